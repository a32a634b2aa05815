"""Sequence numbers of one source, counted on beyond their 16 bits (RFC 3711 3.3.1). Sans-IO."""

from __future__ import annotations

FAR_BEHIND = 0x1000
"""Numbers that go back by more are new ones: a source that begins anew must not come to an index that it had before."""


def estimate(highest: int, sequence: int) -> int:
    """The index of a packet from the highest so far, for packets that come out of order (RFC 3711 3.3.1); below zero before
    the first."""
    rollover, newest = highest >> 16, highest & 0xFFFF
    if newest < 0x8000:
        rollover -= sequence - newest > 0x8000
    else:
        rollover += newest - 0x8000 > sequence
    return rollover << 16 | sequence


class Rollover:
    """Counts the rollovers of a source whose every packet it is shown."""

    __slots__ = ("_highest",)

    def __init__(self) -> None:
        self._highest = -1

    @property
    def current(self) -> int:
        return max(0, self._highest >> 16)

    def of(self, sequence: int) -> int:
        """The rollover counter of a packet."""
        if self._highest < 0:
            self._highest = sequence
            return 0
        index = estimate(self._highest, sequence)
        if index < max(0, self._highest - FAR_BEHIND):
            index += 0x10000
        self._highest = max(self._highest, index)
        return index >> 16
