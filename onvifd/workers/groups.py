"""What a media worker sends by multicast without any session: profiles that were started, or start by themselves (Media 5.16)."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import partial

from onvifd.errors import Unavailable
from onvifd.live.hub import LiveStream
from onvifd.live.parts import Part
from onvifd.media.types import FlushUnit
from onvifd.rtsp.multicast import Groups, Membership
from onvifd.workers.presentations import PresentationTable
from onvifd.workers.specs import PresentationSpec

log = logging.getLogger(__name__)

_Key = tuple[LiveStream, int, str, int, int]


class StartedGroups:
    """Keeps the groups of started profiles joined. `refresh` is called when profiles change, and now and then: streams come and
    go, and tell their formats when their camera does."""

    def __init__(self, table: PresentationTable, groups: Groups) -> None:
        self._table = table
        self._groups = groups
        self._members: dict[_Key, Membership] = {}
        self._awaited: set[LiveStream] = set()
        self._refused: set[_Key] = set()

    def refresh(self) -> None:
        """Join and leave until it is as wanted."""
        wanted, awaited = self._wanted(spec for spec in self._table.specs if spec.started)
        for key in self._members.keys() - wanted.keys():
            self._members.pop(key).leave()
        for key, part in wanted.items():
            if key not in self._members:
                self._join(key, part)
        self._refused &= wanted.keys()
        # A stream that is pulled on demand begins when it is watched; until then nobody knows what it carries.
        before, self._awaited = self._awaited, awaited
        for stream in awaited - before:
            stream.attach(_ignore, partial(self._given_up, stream))
        for stream in before - awaited:
            stream.detach(_ignore)

    def _given_up(self, stream: LiveStream) -> None:
        """A stream that was awaited ended: pictures that cannot be made now, for one. It is asked for again."""
        self._awaited.discard(stream)

    def _wanted(self, specs: Iterable[PresentationSpec]) -> tuple[dict[_Key, Part], set[LiveStream]]:
        wanted: dict[_Key, Part] = {}
        awaited: set[LiveStream] = set()
        for spec in specs:
            composition = self._table.compose(spec)
            if composition is None:
                continue
            awaited |= {
                stream for kind, stream in composition.sources if kind in composition.multicast and not stream.tracks
            }
            for part in composition.parts():
                group = part.multicast
                if group is not None:
                    wanted[part.stream, part.track, group.address, group.port, group.ttl] = part
        return wanted, awaited

    def _join(self, key: _Key, part: Part) -> None:
        assert part.multicast is not None

        def ended() -> None:
            member = self._members.pop(key, None)
            if member is not None:
                member.leave()

        try:
            self._members[key] = self._groups.join(part.stream, part.track, part.multicast, ended)
        except Unavailable as error:
            if key not in self._refused:
                log.warning("%s is not sent by multicast: %s", part.stream.name, error.reason)
            self._refused.add(key)
        else:
            self._refused.discard(key)

    def close(self) -> None:
        """Leave all."""
        members, self._members = self._members, {}
        for member in members.values():
            member.leave()
        for stream in self._awaited:
            stream.detach(_ignore)
        self._awaited = set()


def _ignore(unit: FlushUnit) -> None: ...
