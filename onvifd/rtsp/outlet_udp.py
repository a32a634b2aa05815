"""The way out of the server for media as datagrams: to one client's ports, or to a group.

Bursts (the cached GOP of a late joiner, a large key frame, a download) leave at a pace: receive buffers are small, and what
does not fit is lost without anybody knowing. What a client reports lost slows them further.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Protocol

from onvifd.media.types import FlushUnit, Kind
from onvifd.rtsp.forms import datagram_runs
from onvifd.rtsp.outlet import LOW_WATER, MAX_DELAY, MAX_LOSSLESS, MAX_QUEUE
from onvifd.rtsp.server_events import Session
from onvifd.rtsp.udp import UdpPair

log = logging.getLogger(__name__)

UDP_RATE = 8_000_000.0
"""Bytes per second of one session over UDP."""
MIN_RATE = 500_000.0
"""A client that loses however slowly it is sent to does not lose by bursts."""
UDP_BURST = 32 << 10
"""Bytes beyond the pace; with one batch more it fits the usual receive buffer of 208 KB, overhead included."""
UDP_TICK = 0.004
LOSS = 5 / 256
"""A greater fraction lost slows bursts; the unit is that of receiver reports."""


class Way(Protocol):
    """Sockets for RTP and RTCP of one track (rtsp.udp.DatagramPair)."""

    def send(self, rtcp: bool, data: bytes | memoryview, size: int) -> int: ...

    def watch(self, writable: Callable[[], None] | None) -> None: ...


class PacedQueue:
    """Datagrams on their way: straight to the sockets within the pace, else they wait.

    `lossless` is for senders that use `drain`; others lose what waits when it is too much or too late.
    """

    __slots__ = (
        "_budget",
        "_drained",
        "_loop",
        "_lossless",
        "_queue",
        "_refilled",
        "_spare",
        "_spare_until",
        "_timer",
        "_watched",
        "floor",
        "queued",
        "rate",
        "sent",
    )

    def __init__(self, lossless: bool = False) -> None:
        self._loop = asyncio.get_running_loop()
        self._lossless = lossless
        self._queue: deque[tuple[Way, bool, memoryview, int, float]] = deque()
        self._watched: Way | None = None
        self._budget = float(UDP_BURST)
        self._refilled = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._drained: list[asyncio.Future[None]] = []
        self._spare = 0
        self._spare_until = 0.0
        self.queued = 0
        self.sent = 0
        self.rate = UDP_RATE
        self.floor = MIN_RATE
        """The pace that losses slow it to at most."""

    def send(self, way: Way, unit: FlushUnit) -> None:
        """Send or queue a unit; there is room (`has_room`)."""
        cached = unit.cache.get("udp")
        for rtcp, data, size in cached if isinstance(cached, list) else datagram_runs(unit):
            sent = 0 if self._queue or not self._may_send() else way.send(rtcp, data, size)
            self._budget -= sent
            self.sent += sent
            if sent < len(data):
                self._queue.append((way, rtcp, memoryview(data)[sent:], size, self._loop.time()))
                self.queued += len(data) - sent
                self._watch()

    def has_room(self, size: int) -> bool:
        """Whether `size` bytes more may wait."""
        if not self._queue:
            return True
        if self._lossless:
            return self.queued + size <= MAX_LOSSLESS
        now = self._loop.time()
        bound = MAX_QUEUE + (self._spare if now < self._spare_until else 0)
        return self.queued + size <= bound and now - self._queue[0][4] <= MAX_DELAY

    def expect(self, size: int) -> None:
        """See Outlet."""
        self._spare, self._spare_until = size, self._loop.time() + MAX_DELAY

    def slow_down(self) -> None:
        """Datagrams were lost."""
        self.rate = max(self.floor, self.rate * 0.7)

    def speed_up(self) -> None:
        """None were."""
        self.rate = min(UDP_RATE, self.rate * 1.1)

    def _may_send(self) -> bool:
        """Whether the pace allows a batch now."""
        now = self._loop.time()
        self._budget = min(float(UDP_BURST), self._budget + (now - self._refilled) * self.rate)
        self._refilled = now
        return self._budget > 0

    def _watch(self) -> None:
        """Be called when the socket of what waits first takes data again, or when the pace allows."""
        way = self._queue[0][0] if self._queue else None
        if way is not None and self._budget <= 0:
            way = None
            if self._timer is None:
                self._timer = self._loop.call_later(UDP_TICK, self._due)
        if way is not self._watched:
            if self._watched is not None:
                self._watched.watch(None)
            if way is not None:
                way.watch(self._writable)
            self._watched = way

    def _due(self) -> None:
        self._timer = None
        self._writable()

    def _writable(self) -> None:
        while self._queue and self._may_send():
            way, rtcp, data, size, since = self._queue[0]
            sent = way.send(rtcp, data, size)
            self._budget -= sent
            self.queued -= sent
            self.sent += sent
            if sent < len(data):
                self._queue[0] = (way, rtcp, data[sent:], size, since)
                break
            self._queue.popleft()
        self._watch()
        if self.queued <= LOW_WATER:
            self._wake()

    def _wake(self) -> None:
        for waiter in self._drained:
            if not waiter.done():
                waiter.set_result(None)
        self._drained.clear()

    def overflow(self) -> None:
        """There is no room: what waits is dropped. A pace that live media does not keep loses more than bursts do."""
        if self._watched is None and self.rate < UDP_RATE:
            self.floor = min(UDP_RATE, 2 * self.rate)
            self.rate = self.floor
        self.forget()

    def forget(self) -> None:
        """What waits is not wanted any more."""
        self._queue.clear()
        self.queued = 0
        self._watch()
        self._wake()

    def leave(self, way: Way) -> None:
        """Nothing goes this way any more, and what waits for another must not wait for it."""
        self._queue = deque(entry for entry in self._queue if entry[0] is not way)
        self.queued = sum(len(entry[2]) for entry in self._queue)
        if self._watched is way:
            way.watch(None)
            self._watched = None
        self._watch()
        if self.queued <= LOW_WATER:
            self._wake()

    async def drain(self) -> None:
        """Wait until little waits."""
        while self.queued > LOW_WATER:
            waiter = self._loop.create_future()
            self._drained.append(waiter)
            await waiter


class UdpOutlet:
    """Outlet of a session whose tracks go to UDP ports. What the sockets do not take at once waits as it does for TCP."""

    __slots__ = ("_active", "_dropping", "_ended", "_pairs", "_queue", "_video", "dropped", "session")

    def __init__(self, session: Session, pairs: dict[int, UdpPair], ended: Callable[[Session], None]) -> None:
        self.session = session
        self._pairs = pairs
        self._active: dict[int, UdpPair] = {}
        self._ended = ended
        self._queue = PacedQueue(session.presentation.replay)
        self._dropping = False
        self._video: int | None = None
        self.dropped = 0
        self.refresh()

    def refresh(self) -> None:
        """Read from the session which tracks play."""
        tracks = self.session.presentation.tracks
        before = set(self._active.values())
        self._active = {
            track: pair for track, pair in self._pairs.items() if track < len(tracks) and track not in self.session.held
        }
        for pair in before.difference(self._active.values()):
            self._queue.leave(pair)
        self._video = next((i for i in sorted(self._active) if tracks[i].format.kind is Kind.VIDEO), None)

    def send(self, unit: FlushUnit) -> None:
        """See Outlet."""
        pair = self._active.get(unit.track)
        if pair is None:
            return
        if self._dropping and not unit.rtcp:
            if self._video is not None and not (unit.key and unit.track == self._video):
                return
            self._dropping = False
        queue = self._queue
        if queue.queued and not queue.has_room(len(unit.data)):
            self.dropped += queue.queued
            queue.overflow()
            self._dropping = True
            return
        queue.send(pair, unit)

    def expect(self, size: int) -> None:
        """See Outlet."""
        self._queue.expect(size)

    @property
    def sent(self) -> int:
        """Bytes that left."""
        return self._queue.sent

    def reported(self, fraction: float) -> None:
        """A client reports which fraction of the packets it did not get."""
        if fraction > LOSS:
            self._queue.slow_down()
        elif fraction == 0:
            self._queue.speed_up()

    def forget(self) -> None:
        """What waits is not wanted any more."""
        self._queue.forget()

    @property
    def ready(self) -> bool:
        """See Outlet."""
        return self._queue.queued <= LOW_WATER

    async def drain(self) -> None:
        """See Outlet."""
        await self._queue.drain()

    def end(self) -> None:
        """See Outlet."""
        self._ended(self.session)
