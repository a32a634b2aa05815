"""Reading many connections in few wake-ups.

An event loop that waits for each of 64 cameras wakes 1,600 times a second, and waking costs more than reading. Here all
sockets lie in one epoll set that is looked at only every few milliseconds: one wake-up then serves all that came since.
A single camera still is read at once, since the loop waits for the set itself as long as nothing comes.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable

LIVE = 0.004
"""Seconds between two looks while somebody watches: what a frame may wait at most."""

RELAXED = 0.016
"""The same while frames are only recorded. Far below what a camera's window holds, and below the time of a frame."""

MANY = 8
"""With so many sockets the next frame is never far: looking on costs less than waiting to be woken."""

EMPTY_LOOKS = 10
"""Looks in a row that find nothing, after which the loop waits again even for many sockets."""

MAX_EVENTS = 256
"""Connections served in one look. The others are first in the next."""


class ReadPoller:
    """Calls back for readable sockets. Belongs to the running event loop; Linux only.

    `watched` tells whether anybody wants frames at once (LIVE, else RELAXED).
    """

    def __init__(self, watched: Callable[[], bool]) -> None:
        self._watched = watched
        self._loop = asyncio.get_running_loop()
        self._epoll = select.epoll()
        self._readable: dict[int, Callable[[], None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._waiting = False
        self._empty = 0

    def add(self, descriptor: int, readable: Callable[[], None]) -> None:
        """Call `readable` while the non-blocking socket has data, an error or its end. It must not raise."""
        self._epoll.register(descriptor, select.EPOLLIN)
        self._readable[descriptor] = readable
        if self._timer is None:
            self._wait(True)

    def remove(self, descriptor: int) -> None:
        """No more calls. To be called before the socket is closed."""
        if self._readable.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)
            if not self._readable:
                self._rest()

    def close(self) -> None:
        """Forget all sockets; they are the callers' to close."""
        self._rest()
        self._readable.clear()
        self._epoll.close()

    def _rest(self) -> None:
        self._wait(False)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self, on: bool) -> None:
        if on and not self._waiting:
            self._loop.add_reader(self._epoll.fileno(), self._woken)
        elif not on and self._waiting:
            self._loop.remove_reader(self._epoll.fileno())
        self._waiting = on

    def _woken(self) -> None:
        self._wait(False)
        self._look()

    def _look(self) -> None:
        self._timer = None
        events = self._epoll.poll(0, MAX_EVENTS)
        if events:
            self._empty = 0
        else:
            self._empty += 1
            if len(self._readable) < MANY or self._empty > EMPTY_LOOKS:
                self._wait(True)
                return
        # Set before the calls: one of them may take the last socket out.
        self._timer = self._loop.call_later(LIVE if self._watched() else RELAXED, self._look)
        for descriptor, _ in events:
            readable = self._readable.get(descriptor)
            if readable is not None:
                readable()
