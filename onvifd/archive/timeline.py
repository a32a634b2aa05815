"""Wall time to media time of one track in one segment."""

from __future__ import annotations

from collections.abc import Sequence

from onvifd.clock import US
from onvifd.media import mp4
from onvifd.media.types import AccessUnit, Kind, TrackFormat

_AUDIO_TOLERANCE = 40_000
"""Audio whose time stamps differ from the sum of its samples by less (jitter of reports) stays without seam, in us."""


class Timeline:
    """Gives decode times that grow, and durations that lead from one to the next. Media time 0 is `origin` (UTC)."""

    def __init__(self, format: TrackFormat, origin: int) -> None:
        self._format = format
        self._origin = origin
        self._scale = mp4.timescale(format)
        self._next = 0

    def run(self, track: int, units: Sequence[AccessUnit], ends: int) -> mp4.Run:
        """The units as samples. `ends` is the UTC at which the last one of a track without durations of its own ends."""
        if self._format.kind is Kind.AUDIO:
            return self._audio(track, units)
        if self._format.kind is Kind.METADATA:
            return self._documents(track, units, ends)
        times = [self._media_time(unit.utc) for unit in units]
        decode = self._growing(sorted(times))
        decode.append(max(decode[-1] + 1, self._media_time(ends)))
        self._next = decode[-1]
        samples = [
            mp4.Sample(unit.data, min(decode[n + 1] - decode[n], 0xFFFFFFFF), unit.key, times[n] - decode[n])
            for n, unit in enumerate(units)
        ]
        return mp4.Run(track, units[0].utc, decode[0], samples)

    def move(self, later: int) -> int:
        """Media time 0 is `later` microseconds later from now on; gives the same in media time."""
        by = later * self._scale // US
        self._origin += later
        self._next = max(0, self._next - by)
        return by

    def _documents(self, track: int, units: Sequence[AccessUnit], ends: int) -> mp4.Run:
        """Each lasts until the next. They may come out of order, and one from before the segment counts from its start."""
        floor = self._origin + self._next * US // self._scale
        inside = sorted((max(unit.utc, floor), unit.data) for unit in units)
        times = self._growing([self._media_time(utc) for utc, _ in inside])
        times.append(max(times[-1] + 1, self._media_time(ends)))
        # The next ones may lie in what the last one is said to last.
        self._next = times[-2] + 1
        samples = [
            mp4.Sample(data, min(times[n + 1] - times[n], 0xFFFFFFFF), True) for n, (_, data) in enumerate(inside)
        ]
        return mp4.Run(track, self._origin + times[0] * US // self._scale, times[0], samples)

    def _media_time(self, utc: int) -> int:
        # A clock that was put right just after the segment began may say times from before it.
        return max(0, (utc - self._origin) * self._scale // US)

    def _growing(self, times: list[int]) -> list[int]:
        """Decode times: the presentation times in order, pushed on where they would not grow."""
        floor = self._next
        for n, time in enumerate(times):
            times[n] = max(time, floor)
            floor = times[n] + 1
        return times

    def _audio(self, track: int, units: Sequence[AccessUnit]) -> mp4.Run:
        tolerance = _AUDIO_TOLERANCE * self._scale // US
        starts: list[int] = []
        durations: list[int] = []
        for unit in units:
            exact = self._media_time(unit.utc)
            start = self._next if abs(exact - self._next) <= tolerance else max(exact, self._next)
            if starts:
                durations[-1] = start - starts[-1]
            duration = mp4.unit_duration(self._format, unit.data) or 1
            starts.append(start)
            durations.append(duration)
            self._next = start + duration
        samples = [mp4.Sample(unit.data, length, True) for unit, length in zip(units, durations, strict=True)]
        return mp4.Run(track, units[0].utc, starts[0], samples)
