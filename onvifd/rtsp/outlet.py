"""The way out of the server for media within the client's RTSP connection (RFC 2326 10.12).

A unit goes to all clients as the same `bytes`; what must differ (channel numbers) is derived once per unit and
kept in its `cache`. As long as a client keeps up its unit goes straight to the socket. What the socket does not take waits
in a queue of 2 MB and 2 s; beyond that the session loses everything up to the next key unit.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections import deque
from collections.abc import Callable

from onvifd.media.types import FlushUnit, Kind
from onvifd.rtsp.forms import framed, renumber
from onvifd.rtsp.server_events import Session
from onvifd.rtsp.websocket import frame

log = logging.getLogger(__name__)

MAX_QUEUE = 2 << 20
"""Bytes that wait for a client of live media, beside the pictures that it begins with."""
MAX_DELAY = 2.0
"""Seconds that they may wait."""
STALL_TIMEOUT = 10.0
"""Seconds without a byte taken after which a client is cut."""
MAX_LOSSLESS = 32 << 20
"""Bytes that wait for a client of replay: its sender uses `drain`, so more means that something is wrong."""
LOW_WATER = 256 << 10
"""`drain` returns below this."""
MAX_ANSWERS = 256 << 10
"""Bytes of RTSP answers that wait for a client."""
CLOSE_TIMEOUT = 10.0
"""Seconds to deliver what is queued when a connection is closed."""
SEND_BUFFER = 256 << 10
"""Of the socket (the kernel takes twice as much): a key frame of 4 Mbit/s fits; 2,000 stalled clients cost 1 GB."""

_DOLLAR = 0x24


class Link:
    """A client's TCP connection: writes at once when it can, queues when it must. Owned by the server's connection."""

    __slots__ = (
        "_answers",
        "_buffered",
        "_drained",
        "_fd",
        "_head_is_partial",
        "_loop",
        "_lost",
        "_queue",
        "_watching",
        "closed",
        "last_progress",
        "queued",
        "sock",
        "websocket",
    )

    def __init__(self, sock: socket.socket, lost: Callable[[str], None], *, websocket: bool = False) -> None:
        self.sock = sock
        self.websocket = websocket
        """Whether each unit goes out as a message."""
        self._fd = sock.fileno()
        self._loop = asyncio.get_running_loop()
        self._lost = lost
        self._queue: deque[tuple[memoryview, TcpOutlet | None, float]] = deque()
        self._head_is_partial = False
        self._answers = 0
        self._watching = False
        self._drained: list[asyncio.Future[None]] = []
        self.queued = 0
        self.last_progress = 0.0
        self.closed = False

    def send_answer(self, data: bytes) -> None:
        """An RTSP answer: goes out before queued media, but never inside a unit."""
        self.send_raw(frame(data) if data and self.websocket else data)

    def send_raw(self, data: bytes) -> None:
        """What belongs to the connection itself, with the precedence of an answer."""
        if self.closed or not data:
            return
        if not self._queue:
            self.send_media(data, None)
            return
        place = 1 if self._head_is_partial else 0
        while place < len(self._queue) and self._queue[place][1] is None:
            place += 1
        self._queue.insert(place, (memoryview(data), None, self._loop.time()))
        self.queued += len(data)
        self._answers += len(data)
        if self._answers > MAX_ANSWERS:
            self.lose("does not read its answers")

    def send_records(self, data: bytes) -> None:
        """See SecureLink; in clear there is nothing below what is sent."""

    def send_media(self, data: bytes, outlet: TcpOutlet | None) -> None:
        """Media of `outlet`. Queue bounds are the outlet's affair."""
        if self.closed:
            return
        if self._queue:
            self._queue.append((memoryview(data), outlet, self._loop.time()))
            self.queued += len(data)
            return
        sent = self._offer(data)
        if 0 <= sent < len(data):
            self.last_progress = self._loop.time()
            self._queue.append((memoryview(data)[sent:], outlet, self.last_progress))
            self._head_is_partial = sent > 0
            self.queued = len(data) - sent
            self._watch(True)

    def _offer(self, data: bytes | memoryview) -> int:
        """How much of it the socket takes now; less than nothing when the connection is lost."""
        try:
            return self.sock.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            self.lose(f"connection lost: {error.strerror or error}")
            return -1

    def _watch(self, on: bool) -> None:
        if on and not self._watching:
            self._loop.add_writer(self._fd, self._writable)
        elif not on and self._watching:
            self._loop.remove_writer(self._fd)
        self._watching = on

    def _writable(self) -> None:
        try:
            # one call per several units; IOV_MAX is at least 16 everywhere
            pieces = [entry[0] for entry, _ in zip(self._queue, range(16), strict=False)]
            sent = self.sock.sendmsg(pieces)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self.lose(f"connection lost: {error.strerror or error}")
            return
        self.last_progress = self._loop.time()
        self.queued -= sent
        while self._queue:
            data, outlet, since = self._queue[0]
            if sent < len(data):
                if sent:
                    self._queue[0] = (data[sent:], outlet, since)
                    self._head_is_partial = True
                break
            sent -= len(data)
            if outlet is None:
                self._answers = max(0, self._answers - len(data))
            self._queue.popleft()
            self._head_is_partial = False
        if not self._queue:
            self._answers = 0
            self._watch(False)
        if self.queued <= LOW_WATER:
            self._wake()

    def oldest(self, outlet: TcpOutlet) -> float | None:
        """Since when the oldest unit of `outlet` waits."""
        return next((since for _, other, since in self._queue if other is outlet), None)

    def queued_for(self, outlet: TcpOutlet) -> int:
        """Bytes that wait for one session."""
        return sum(len(data) for data, other, _ in self._queue if other is outlet)

    def drop(self, outlet: TcpOutlet) -> int:
        """Take out what waits for `outlet`, but for the rest of a unit that has begun; gives the number of bytes."""
        if not self._queue:
            return 0
        first = self._queue[0] if self._head_is_partial else None
        kept = deque(entry for entry in self._queue if entry[1] is not outlet or entry is first)
        before = self.queued
        self._queue = kept
        self.queued = sum(len(entry[0]) for entry in kept)
        if not kept:
            self._watch(False)
        if self.queued <= LOW_WATER:
            self._wake()
        return before - self.queued

    def _wake(self) -> None:
        for waiter in self._drained:
            if not waiter.done():
                waiter.set_result(None)
        self._drained.clear()

    async def wait_below(self, mark: int = LOW_WATER) -> None:
        """Wait until at most `mark` bytes are queued or the connection is closed."""
        while self.queued > mark and not self.closed:
            waiter = self._loop.create_future()
            self._drained.append(waiter)
            await waiter

    async def flush(self) -> None:
        """Wait until everything is with the kernel, for at most CLOSE_TIMEOUT."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self.wait_below(0)

    def lose(self, reason: str) -> None:
        """The connection is of no more use."""
        if not self.closed:
            self.close()
            self._lost(reason)

    def close(self) -> None:
        """Forget everything; the socket is the caller's to close."""
        self.closed = True
        self._watch(False)
        self._queue.clear()
        self.queued = 0
        self._wake()


class TcpOutlet:
    """Outlet of a session whose tracks are interleaved (rtsp.play.Outlet)."""

    __slots__ = (
        "_by_track",
        "_dropping",
        "_ended",
        "_link",
        "_lossless",
        "_spare",
        "_spare_until",
        "_told",
        "_video",
        "dropped",
        "session",
    )

    def __init__(self, session: Session, link: Link, ended: Callable[[Session], None]) -> None:
        self.session = session
        self._link = link
        self._ended = ended
        self._lossless = session.presentation.replay
        self._by_track: list[tuple[int, int] | None] = []
        self._video: int | None = None
        self._dropping = False
        self._told = False
        self._spare = 0
        self._spare_until = 0.0
        self.dropped = 0
        self.refresh()

    def expect(self, size: int) -> None:
        """See Outlet."""
        self._spare, self._spare_until = size, asyncio.get_running_loop().time() + MAX_DELAY

    def refresh(self) -> None:
        """Read from the session which tracks are set up."""
        tracks = self.session.presentation.tracks
        found: list[tuple[int, int] | None] = []
        for track in range(len(tracks)):
            channels = self.session.tracks.get(track)
            found.append(channels if isinstance(channels, tuple) and track not in self.session.held else None)
        self._by_track = found
        videos = (i for i, track in enumerate(tracks) if found[i] and track.format.kind is Kind.VIDEO)
        self._video = next(videos, None)

    def send(self, unit: FlushUnit) -> None:
        """See Outlet."""
        link = self._link
        try:
            channels = self._by_track[unit.track]
        except IndexError:
            return
        if channels is None or link.closed:
            return
        if self._dropping and not self._may_resume(unit):
            return
        if channels[0] == unit.track << 1 and channels[1] == channels[0] + 1:
            data = unit.data
        else:
            cached = unit.cache.get(channels)
            data = cached if isinstance(cached, bytes) else renumber(unit, channels)
        if link.websocket:
            data = framed(unit, channels, data)
        if link.queued and not self._has_room(len(data)):
            return
        link.send_media(data, self)

    def _may_resume(self, unit: FlushUnit) -> bool:
        if unit.rtcp:
            return True
        if self._video is not None and not (unit.key and unit.track == self._video):
            return False
        if self._video is None and self._link.queued:
            return False
        self._dropping = False
        self._told = self._told and self._link.queued > 0
        return True

    def _has_room(self, size: int) -> bool:
        link = self._link
        if self._lossless:
            if link.queued > MAX_LOSSLESS:
                link.lose("replay was sent without waiting for the client")
            return not link.closed
        since = link.oldest(self)
        if since is None:
            return True
        now = asyncio.get_running_loop().time()
        bound = MAX_QUEUE + (self._spare if now < self._spare_until else 0) - size
        if now - since <= MAX_DELAY and (link.queued <= bound or link.queued_for(self) <= bound):
            return True
        self.drop()
        return False

    def drop(self) -> None:
        """Drop what waits and all that comes up to the next key unit."""
        if not self._told:
            self._told = True  # once per happening, which ends when nothing waits any more
            log.info("%s: a client does not keep up, skipping to the next key frame", self.session.path)
        self.dropped += self._link.drop(self)
        self._dropping = True

    def forget(self) -> None:
        """The session stops sending: what waits is not wanted any more."""
        self._link.drop(self)

    @property
    def ready(self) -> bool:
        """See Outlet."""
        return self._link.queued <= LOW_WATER

    async def drain(self) -> None:
        """See Outlet."""
        await self._link.wait_below()

    def end(self) -> None:
        """See Outlet."""
        self._ended(self.session)
