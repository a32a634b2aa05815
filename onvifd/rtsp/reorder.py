"""Datagrams back into their order, with bounded delay. Sans-IO; what is given back is whole framed packets."""

from __future__ import annotations

HOLD = 0.050
"""Seconds that a packet waits for one that is missing in front of it."""

MAX_HELD = 64
"""Packets that wait at most."""

MAX_AHEAD = 3000
"""Farther ahead is a new numbering, not loss (RFC 3550 A.1: MAX_DROPOUT)."""

MAX_BEHIND = 100
"""Farther behind is a new numbering, not a late packet (RFC 3550 A.1: MAX_MISORDER)."""


class Reorder:
    """Order of the packets of one track. `deadline` is when `expire` is to be called, None while nothing waits."""

    __slots__ = ("_held", "_odd", "deadline", "dropped", "expected", "reordered")

    def __init__(self) -> None:
        self.expected = -1
        self.deadline: float | None = None
        self.dropped = 0
        """Packets that came twice, or too late to be of use."""
        self.reordered = 0
        """Packets that waited for one that came after them."""
        self._held: dict[int, tuple[bytes, float]] = {}
        """Packets that wait, and since when."""
        self._odd = -1
        """What would follow a packet that fits nowhere: when it comes, a new numbering has begun."""

    @property
    def held(self) -> int:
        return len(self._held)

    def straight(self, numbers: list[int]) -> bool:
        """Whether these packets simply go on, with nothing waiting; they count as taken then."""
        first = numbers[0]
        if self._held or (first != self.expected and self.expected >= 0):
            return False
        count = len(numbers)
        if numbers[-1] != first + count - 1 & 0xFFFF:
            return False
        if first + count <= 0x10000:
            if numbers != list(range(first, first + count)):
                return False
        elif any(number != first + index & 0xFFFF for index, number in enumerate(numbers)):
            return False
        self.expected = first + count & 0xFFFF
        self._odd = -1
        return True

    def take(self, seq: int, packet: bytes, now: float) -> list[bytes]:
        """One packet; gives those that are next, in order."""
        if self.expected < 0:
            self.expected = seq
        ahead = seq - self.expected & 0xFFFF
        if ahead == 0:
            self.expected = seq + 1 & 0xFFFF
            ready = [packet]
            if self._held:
                self._drain(ready)
            return ready
        if ahead < MAX_AHEAD:
            return self._ahead(seq, packet, now)
        if 0x10000 - ahead <= MAX_BEHIND or seq != self._odd:
            # One that fits nowhere may be a stray: the next one tells.
            self.dropped += 1
            self._odd = seq + 1 & 0xFFFF if 0x10000 - ahead > MAX_BEHIND else self._odd
            return []
        ready = self._all()
        self.expected = seq + 1 & 0xFFFF
        self._odd = -1
        ready.append(packet)
        return ready

    def _ahead(self, seq: int, packet: bytes, now: float) -> list[bytes]:
        if seq in self._held:
            self.dropped += 1
            return []
        self._held[seq] = packet, now
        self.reordered += 1
        self.deadline = self._held[self._next()][1] + HOLD
        return self._skip() if len(self._held) > MAX_HELD else []

    def expire(self, now: float) -> list[bytes]:
        """What has waited long enough goes on without what is missing in front of it."""
        ready: list[bytes] = []
        while self.deadline is not None and now >= self.deadline:
            ready += self._skip()
        return ready

    def _next(self) -> int:
        """The first packet that waits."""
        return min(self._held, key=lambda seq: seq - self.expected & 0xFFFF)

    def _skip(self) -> list[bytes]:
        """Give up what is missing in front of the first packet that waits."""
        ready: list[bytes] = []
        self.expected = self._next()
        self._drain(ready)
        return ready

    def _all(self) -> list[bytes]:
        ready: list[bytes] = []
        while self._held:
            ready += self._skip()
        return ready

    def _drain(self, ready: list[bytes]) -> None:
        while (waiting := self._held.pop(self.expected, None)) is not None:
            ready.append(waiting[0])
            self.expected = self.expected + 1 & 0xFFFF
        # What waits behind another gap has its own time.
        self.deadline = self._held[self._next()][1] + HOLD if self._held else None
