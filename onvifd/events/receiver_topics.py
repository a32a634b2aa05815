"""Topics of receivers (Receiver 5.6)."""

from __future__ import annotations

from onvifd.events.topic import TOKEN, Item, Topic, message
from onvifd.events.types import Event
from onvifd.onvif.soap.namespaces import TT, XS

_RECEIVER = Item("ReceiverToken", TOKEN)
_URI = Item("MediaUri", f"{{{XS}}}anyURI")

CHANGE_STATE = Topic(
    name="Receiver/ChangeState",
    is_property=False,
    source=(_RECEIVER,),
    data=(Item("NewState", f"{{{TT}}}ReceiverState"), _URI),
)
CONNECTION_FAILED = Topic(name="Receiver/ConnectionFailed", is_property=False, source=(_RECEIVER,), data=(_URI,))

RECEIVER_TOPICS = (CHANGE_STATE, CONNECTION_FAILED)


def change_state(receiver: str, state: str, uri: str, utc: int) -> Event:
    """A receiver is Connected, Connecting or NotConnected now. `uri` is as shown, without credentials."""
    return message(CHANGE_STATE, utc, (receiver,), (state, uri))


def connection_failed(receiver: str, uri: str, utc: int) -> Event:
    """A receiver could not connect."""
    return message(CONNECTION_FAILED, utc, (receiver,), (uri,))
