"""Plays clips on the clock of UTC: the RTP side of the simulated camera."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from onvifd.clock import US, Clock
from onvifd.media import fmtp
from onvifd.media.rtp.pack import DEFAULT_MTU, Packer
from onvifd.media.types import AccessUnit, FlushUnit, TrackFormat

log = logging.getLogger(__name__)

REPORT_INTERVAL = 5 * US
_FIRST_INTERVAL = US
MAX_LATE = 5 * US
"""A player that is later than this (a suspended machine, a clock that was set) leaves out what it missed."""

_MAX_SLEEP = 1.0
_DYNAMIC_PAYLOAD_TYPE = 96


class Loop(Protocol):
    """What a track plays, for ever: units counted from 1970, each with its time (see `Clip`)."""

    @property
    def format(self) -> TrackFormat: ...

    def utc_of(self, number: int) -> int: ...

    def number_at(self, utc: int) -> int: ...

    def key(self, number: int) -> bool: ...

    def unit(self, number: int, track: int) -> AccessUnit: ...


class Splice(NamedTuple):
    """Units that stand in place of those of the loop from number `begin` on: a group of its own, up to a key of the loop."""

    begin: int
    units: tuple[AccessUnit, ...]


class UnitSink(Protocol):
    """Where units go: the live hub of a stream."""

    def publish(self, unit: FlushUnit) -> object: ...


class _Track:
    """One clip on its way: the next unit, and when the next sender report is due."""

    def __init__(self, clip: Loop, index: int, rng: random.Random, mtu: int) -> None:
        self.clip = clip
        self.index = index
        self.ticks_offset = rng.getrandbits(31)
        self.packer = Packer(
            clip.format,
            track=index,
            payload_type=fmtp.payload_type(clip.format, _DYNAMIC_PAYLOAD_TYPE + index),
            ssrc=rng.getrandbits(32),
            seq=rng.getrandbits(16),
            mtu=mtu,
            ticks_offset=self.ticks_offset,
        )
        self.number = 0
        self.report_at = 0
        self.report_interval = _FIRST_INTERVAL
        self.later: tuple[Loop, int, Splice | None] | None = None
        """What is played from a unit on instead."""
        self.splice: Splice | None = None
        self._mtu = mtu

    @property
    def due(self) -> int:
        return self.clip.utc_of(self.number)

    def seek(self, utc: int, *, to_key: bool) -> None:
        """Go to the first unit that is not before `utc`, or the first clean point from there."""
        self.number = self.clip.number_at(utc)
        while to_key and not self.clip.key(self.number):
            self.number += 1
        self.report_at, self.report_interval = 0, _FIRST_INTERVAL

    def change(self) -> bool:
        """Go over to another loop if its time has come; SSRC, sequence numbers and time stamps go on."""
        if self.later is None or self.due < self.later[0].utc_of(self.later[1]):
            return False
        (self.clip, self.number, self.splice), self.later = self.later, None
        before = self.packer
        self.packer = Packer(
            self.clip.format,
            track=self.index,
            payload_type=fmtp.payload_type(self.clip.format, _DYNAMIC_PAYLOAD_TYPE + self.index),
            ssrc=before.ssrc,
            seq=before.seq,
            mtu=self._mtu,
            ticks_offset=self.ticks_offset,
        )
        self.packer.packets, self.packer.octets = before.packets, before.octets
        return True

    def _unit(self) -> AccessUnit:
        splice = self.splice
        if splice is not None and self.number >= splice.begin:
            place = self.number - splice.begin
            if place < len(splice.units):
                return splice.units[place]
            self.splice = None
        return self.clip.unit(self.number, self.index)

    def next(self) -> list[FlushUnit]:
        """The next unit, behind a sender report when one is due: so the first frame of all has its exact time already."""
        unit = self._unit()
        units = []
        if unit.utc >= self.report_at:
            units.append(self.packer.sender_report(unit.utc, unit.ticks))
            self.report_at = unit.utc + self.report_interval
            self.report_interval = REPORT_INTERVAL
        units.append(self.packer.pack(unit))
        self.number += 1
        return units


class StreamPlayer:
    """One stream of a simulated camera: its clips as tracks, played for ever.

    Frame times are exact and common to all players: unit n of a clip is shown at `clip.utc_of(n)`. RTP time stamps are those
    times with a random offset per track. Sender reports go out ahead of the first unit, after a second, then every 5 s.
    It opens no socket and reads no clock.
    """

    def __init__(self, clips: Sequence[Loop], *, seed: int | None = None, mtu: int = DEFAULT_MTU) -> None:
        rng = random.Random(seed)
        self._tracks = [_Track(clip, index, rng, mtu) for index, clip in enumerate(clips)]
        self._started = False
        self.on_change: Callable[[], None] = lambda: None
        """Called before the first unit of another loop."""

    @property
    def formats(self) -> tuple[TrackFormat, ...]:
        return tuple(track.clip.format for track in self._tracks)

    @property
    def payload_types(self) -> tuple[int, ...]:
        return tuple(track.packer.payload_type for track in self._tracks)

    @property
    def ssrcs(self) -> tuple[int, ...]:
        return tuple(track.packer.ssrc for track in self._tracks)

    def start(self, now: int) -> None:
        """Begin with the first clean point that is not before `now` (microseconds UTC)."""
        for track in self._tracks:
            track.splice = None
            track.seek(now, to_key=True)
        self._started = True

    def replace(self, index: int, loop: Loop, now: int, splice: Splice | None = None) -> bool:
        """Play another loop as track `index`, from its first clean point that is not before `now`, or from `splice` on; false
        if the time of that has passed."""
        number = loop.number_at(now)
        if splice is not None and splice.begin < number:
            return False
        while splice is None and not loop.key(number):
            number += 1
        self._tracks[index].later = (loop, number if splice is None else splice.begin, splice)
        return True

    def insert(self, index: int, loop: Loop, splice: Splice) -> bool:
        """Play units in place of some of `loop`; false if their time has passed, or something else is played by now."""
        track = self._tracks[index]
        if track.clip is not loop or track.later is not None or track.number > splice.begin:
            return False
        track.splice = splice
        return True

    def place(self, index: int) -> tuple[Loop, int]:
        """What track `index` plays, and the number of its next unit."""
        track = self._tracks[index]
        return track.clip, track.number

    @property
    def next_due(self) -> int:
        """When the next unit is due, in microseconds UTC."""
        return min(track.due for track in self._tracks)

    def due(self, now: int) -> list[FlushUnit]:
        """All units due at `now`, in the order of their times. Starts on the first call."""
        if not self._started or self.next_due > now + 10 * US:
            self.start(now)
        if self.next_due < now - MAX_LATE:
            log.warning("simulated stream is %.1f s late and goes on at the next key frame", (now - self.next_due) / US)
            self.start(now)
        units: list[FlushUnit] = []
        while True:
            track = min(self._tracks, key=lambda item: item.due)
            if track.due > now:
                return units
            if track.change():
                self.on_change()
                continue
            units += track.next()


class SimulatedSource:
    """Publishes the streams of one simulated camera in real time: one task, `run`, until it is cancelled.

    `latency` is how long after its time a frame leaves (microseconds), as with any real camera; different ones keep many
    cameras from sending in the same moment. The times in the stream stay exact.
    """

    def __init__(self, streams: Sequence[tuple[StreamPlayer, UnitSink]], clock: Clock, *, latency: int = 0) -> None:
        self._streams = tuple(streams)
        self._clock = clock
        self._latency = latency

    async def run(self) -> None:
        """Play until cancelled."""
        start = self._clock.utc() - self._latency
        for player, _ in self._streams:
            player.start(start)
        while True:
            now = self._clock.utc() - self._latency
            for player, sink in self._streams:
                for unit in player.due(now):
                    sink.publish(unit)
            wait = (min(player.next_due for player, _ in self._streams) + self._latency - self._clock.utc()) / US
            if wait > 0:
                await self._clock.sleep(min(wait, _MAX_SLEEP))
            else:
                await asyncio.sleep(0)
