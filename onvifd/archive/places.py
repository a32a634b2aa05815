"""Where a worker may write: its volumes, and which of them have just failed. No I/O, no clock."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

from onvifd.archive.disk import Volume

log = logging.getLogger(__name__)

FIRST_PAUSE, LAST_PAUSE = 1.0, 30.0
"""Seconds for which a volume that failed is passed over; doubled until it takes something again."""

OnTrouble = Callable[[str, str], None]
"""`on_trouble(volume, reason)`, once until the volume takes something again."""


class Places:
    """The volumes that a worker may write now. `now` is monotonic seconds."""

    def __init__(self, volumes: Iterable[Volume] = (), on_trouble: OnTrouble | None = None) -> None:
        self._volumes: dict[str, Volume] = {}
        self._on_trouble = on_trouble
        self._reasons: dict[str, str] = {}
        self._pauses: dict[str, tuple[float, float]] = {}
        """Until when, and for how long."""
        self.set(volumes)

    def set(self, volumes: Iterable[Volume]) -> None:
        """All volumes there are; one that was not there before, or elsewhere, is taken for sound."""
        before, self._volumes = self._volumes, {volume.id: volume for volume in volumes}
        for each in list(self._pauses):
            if each not in self._volumes or self._volumes[each] != before.get(each):
                del self._pauses[each]
                self._reasons.pop(each, None)

    def get(self, volume: str) -> Volume | None:
        return self._volumes.get(volume)

    def all(self) -> list[Volume]:
        return list(self._volumes.values())

    def choose(self, wanted: Sequence[str], now: float, refused: frozenset[str] = frozenset()) -> str:
        """The first that is there, did not refuse and has no pause; if all have one, the first of them. Empty for none."""
        there = [each for each in wanted if each in self._volumes and each not in refused]
        for each in there:
            if now >= self._pauses.get(each, (0.0, 0.0))[0]:
                return each
        return there[0] if there else ""

    def failed(self, volume: str, reason: str, now: float) -> None:
        """It did not take what it was given."""
        pause = min(LAST_PAUSE, self._pauses[volume][1] * 2) if volume in self._pauses else FIRST_PAUSE
        self._pauses[volume] = (now + pause, pause)
        if self._reasons.get(volume) != reason:
            self._reasons[volume] = reason
            if self._on_trouble is not None:
                self._on_trouble(volume, reason)

    def works(self, volume: str) -> None:
        """It has taken something."""
        if self._pauses.pop(volume, None) is not None:
            self._reasons.pop(volume, None)
            log.info("volume %s takes footage again", volume)
