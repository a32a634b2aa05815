"""The keystore's topic (Security 5.5.8)."""

from __future__ import annotations

from onvifd.events.topic import Item, Topic
from onvifd.events.types import Event
from onvifd.onvif.soap.namespaces import TAS

KEY_STATUS = Topic(
    name="Advancedsecurity/Keystore/KeyStatus",
    is_property=False,
    source=(Item("KeyID", f"{{{TAS}}}KeyID"),),
    data=(Item("OldStatus", f"{{{TAS}}}KeyStatus"), Item("NewStatus", f"{{{TAS}}}KeyStatus")),
)

SECURITY_TOPICS = (KEY_STATUS,)


def key_status(key: str, old: str | None, new: str, utc: int) -> Event:
    """The status of a key changed. A key that begins to be generated has no old status."""
    before = (("OldStatus", old),) if old is not None else ()
    return Event(topic=KEY_STATUS.name, utc=utc, source=(("KeyID", key),), data=(*before, ("NewStatus", new)))
