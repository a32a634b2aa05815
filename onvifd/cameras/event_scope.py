"""Which events of a device concern a camera: a device may have several video sources, each a camera of the recorder. No I/O.

Items name sources by whatever they have: the source, its configuration, a profile, the analytics. So an event belongs to
another source if it holds a token of that one, and none of ours.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from onvifd.errors import OnvifdError
from onvifd.onvif.soap.codec import decode
from onvifd.onvif.soap.namespaces import TT
from onvifd.onvif.types import tt, wsnt


@dataclass(frozen=True, slots=True)
class SourceTokens:
    """What a profile names: its video source, and every token that events may name it by."""

    source: str
    profile: str
    tokens: frozenset[str]


@dataclass(frozen=True, slots=True)
class EventScope:
    """Tokens of other video sources alone, and of our own alone."""

    foreign: frozenset[str]
    own: frozenset[str]

    def admits(self, holder: wsnt.NotificationMessageHolderType) -> bool:
        """Whether a message may concern us; so may what names no source."""
        named = _named(holder)
        return not named & self.foreign or bool(named & self.own)


def scope_of(profiles: Iterable[SourceTokens], ours: Collection[str]) -> EventScope | None:
    """The scope of a camera whose streams are the profiles `ours`; None if everything concerns it."""
    known = tuple(profiles)
    sources = {each.source for each in known if each.profile in ours}
    own = frozenset[str]().union(*(each.tokens for each in known if each.source in sources))
    foreign = frozenset[str]().union(*(each.tokens for each in known if each.source not in sources))
    # What several sources share, such as one set of analytics, tells nothing.
    return EventScope(foreign - own, own - foreign) if sources and foreign else None


def admitted(
    messages: Sequence[wsnt.NotificationMessageHolderType], scope: EventScope | None
) -> Sequence[wsnt.NotificationMessageHolderType]:
    return messages if scope is None else tuple(each for each in messages if scope.admits(each))


def _named(holder: wsnt.NotificationMessageHolderType) -> frozenset[str]:
    """Values of source and key of a message; none of a damaged one."""
    node = next((one for one in holder.message.any_ if one.tag == f"{{{TT}}}Message"), None)
    if node is None:
        return frozenset()
    try:
        message = decode(tt.Message, node, lenient=True)
    except OnvifdError:
        return frozenset()
    parts = (part for part in (message.source, message.key) if part is not None)
    return frozenset(item.value for part in parts for item in part.simple_item)
