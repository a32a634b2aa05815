"""Events in the metadata stream (Core 9.2, Streaming 5.2): documents of tt:MetadataStream. Pure functions.

The codec writes a document faster as text than through element trees, and there may be one for every client.
"""

from __future__ import annotations

from collections.abc import Sequence

from onvifd.events.types import Event
from onvifd.onvif.notification.messages import notification_message
from onvifd.onvif.soap.codec import encode_text
from onvifd.onvif.soap.namespaces import PREFIXES, WSNT

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<tt:MetadataStream'


def metadata_document(events: Sequence[Event], producer: str | None = None) -> bytes:
    """One document with all `events`, in order; an empty tt:Event if there are none.

    `producer` is the address of the event service. A SubscriptionReference is never written: there is none (Core 9.2).
    """
    messages = "".join(event_text(event, producer) for event in events)
    body = f"<tt:Event>{messages}</tt:Event>" if messages else "<tt:Event/>"
    # Only what is used: a document is sent again and again, and topics are named with their prefix.
    used = {"tt": PREFIXES["tt"]} | {prefix: uri for prefix, uri in PREFIXES.items() if f"{prefix}:" in messages}
    declarations = "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in used.items())
    return f"{_HEAD}{declarations}>{body}</tt:MetadataStream>".encode()


def event_text(event: Event, producer: str | None = None) -> str:
    """An event as wsnt:NotificationMessage, with the prefixes that `PREFIXES` has."""
    holder = notification_message(event, producer)
    return encode_text(holder, f"{{{WSNT}}}NotificationMessage", declare=False)
