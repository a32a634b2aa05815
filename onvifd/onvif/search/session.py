"""Search sessions (Search 5.2.3): started by Find operations, read in increments, ended by completion, EndSearch or silence.

A session owns a task that produces its results and one that watches its keep-alive time. All waits run on the given clock.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from onvifd.clock import Clock
from onvifd.errors import LimitReached, NotFound, OnvifdError, Unavailable

log = logging.getLogger(__name__)

MAX_SESSIONS = 64
"""Sessions at once; at the bound a Find operation is refused with ResourceProblem."""
BUFFER = 500
"""Results that wait for the client; at the bound the search pauses. Also the most results of one answer."""
MAX_KEEP_ALIVE = 600.0
"""Longest keep-alive time in seconds; larger values are lowered to it (Search 5.7)."""
MIN_KEEP_ALIVE = 1.0
MAX_WAIT = 60.0
"""Longest WaitTime in seconds; larger values are lowered to it (Search 5.8)."""
DEFAULT_WAIT = 5.0

Result_co = TypeVar("Result_co", covariant=True)
Result = TypeVar("Result")
Result_contra = TypeVar("Result_contra", contravariant=True)


class Sink(Protocol[Result_contra]):
    """What a search writes to."""

    async def put(self, result: Result_contra, reached: int | None = None) -> bool:
        """Add a result, waiting while the buffer is full; False when MaxMatches is met and the search must stop.

        `reached` is the point in time (microseconds UTC) up to which has been searched.
        """
        ...

    def reach(self, utc: int) -> None:
        """It was searched up to a point in time, and nothing more found before it."""
        ...


Producer = Callable[[Sink[Result]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Batch(Generic[Result_co]):
    """One answer. After `completed` the session is gone."""

    results: tuple[Result_co, ...]
    completed: bool


class SearchSession(Generic[Result]):
    """One search. `start` and `end` are the points between which it goes, for EndSearch (Search 5.19)."""

    def __init__(self, clock: Clock, *, keep_alive: float, max_matches: int | None, start: int, end: int) -> None:
        self.token = f"search-{secrets.token_hex(8)}"
        self.reached = start
        self.finished = False
        self.keep_alive = min(max(keep_alive, MIN_KEEP_ALIVE), MAX_KEEP_ALIVE)
        self.deadline = clock.monotonic() + self.keep_alive
        self.waiting = 0
        """Result requests that block now; the session cannot expire meanwhile."""
        self._clock = clock
        self._end = end
        # Search 5.7 gives zero no meaning of its own.
        self._left = max_matches if max_matches is not None and max_matches > 0 else None
        self._results: deque[Result] = deque()
        self._error: OnvifdError | None = None
        self._ended = False
        self._changed = asyncio.Event()

    async def put(self, result: Result, reached: int | None = None) -> bool:
        if self._left is not None and self._left <= 0:
            return False
        while len(self._results) >= BUFFER:
            await self._change()
        self._results.append(result)
        if reached is not None:
            self.reached = reached
        if self._left is not None:
            self._left -= 1
        self._notify()
        return self._left is None or self._left > 0

    def reach(self, utc: int) -> None:
        self.reached = utc

    async def run(self, produce: Producer[Result]) -> None:
        """Search to the end."""
        try:
            await produce(self)
        except OnvifdError as error:
            self._error = error
        except Exception:
            log.exception("search %s failed", self.token)
            self._error = Unavailable("The search failed.")
        else:
            self.reached = self._end
        self.finished = True
        self._notify()

    def touch(self) -> None:
        """A request concerns this session: the keep-alive time begins anew."""
        self.deadline = self._clock.monotonic() + self.keep_alive

    def end(self) -> None:
        """Let blocked result requests return."""
        self._ended = True
        self._notify()

    @property
    def exhausted(self) -> bool:
        """Whether there is nothing more to come."""
        return self.finished and self._error is None and not self._results

    async def results(self, least: int | None, most: int | None, wait: float | None) -> Batch[Result]:
        """The next results, as soon as one of the conditions of Search 5.8 holds. Raises the error that ended the search.

        Values outside the range are adapted, not refused.
        """
        limit = min(max(most, 1), BUFFER) if most is not None else BUFFER
        enough = limit if least is None else min(max(least, 0), limit)
        until = self._clock.monotonic() + min(max(DEFAULT_WAIT if wait is None else wait, 0.0), MAX_WAIT)
        await self._fill(enough, until)
        if self._error is not None and not self._results:
            raise self._error
        taken = tuple(self._results.popleft() for _ in range(min(limit, len(self._results))))
        self._notify()
        done = self._ended or self.exhausted
        return Batch(taken, done)

    async def _fill(self, enough: int, until: float) -> None:
        """Wait for `enough` results, the end of the search, or the time `until`."""
        if self._satisfied(enough) or self._clock.monotonic() >= until:
            return
        alarm = asyncio.ensure_future(self._clock.sleep(until - self._clock.monotonic()))
        alarm.add_done_callback(lambda _: self._notify())
        try:
            while not self._satisfied(enough) and not alarm.done():
                await self._change()
        finally:
            alarm.cancel()
            await asyncio.gather(alarm, return_exceptions=True)

    def _satisfied(self, enough: int) -> bool:
        return len(self._results) >= enough or self.finished or self._ended

    async def _change(self) -> None:
        await self._changed.wait()

    def _notify(self) -> None:
        # Each waiter holds the event it waits for; the next wait begins on a fresh one.
        self._changed.set()
        self._changed = asyncio.Event()


class SearchSessions(Generic[Result]):
    """All sessions of one kind: a token of FindRecordings is unknown to GetEventSearchResults."""

    def __init__(self, clock: Clock, *, max_sessions: int = MAX_SESSIONS) -> None:
        self._clock = clock
        self._max = max_sessions
        self._sessions: dict[str, SearchSession[Result]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def __contains__(self, token: str) -> bool:
        return token in self._sessions

    def start(
        self, produce: Producer[Result], *, keep_alive: float, max_matches: int | None, start: int, end: int
    ) -> str:
        """Begin a search and return its token. Raises LimitReached (ResourceProblem)."""
        if len(self._sessions) >= self._max:
            raise LimitReached(f"{self._max} searches are in progress.", detail="ResourceProblem")
        session: SearchSession[Result] = SearchSession(
            self._clock, keep_alive=keep_alive, max_matches=max_matches, start=start, end=end
        )
        self._sessions[session.token] = session
        self._tasks[session.token] = asyncio.create_task(self._live(session, produce), name=session.token)
        return session.token

    async def results(self, token: str, least: int | None, most: int | None, wait: float | None) -> Batch[Result]:
        """The next results of a session. Raises NotFound (InvalidToken), or the error of the search."""
        session = self._get(token)
        session.waiting += 1
        try:
            batch = await session.results(least, most, wait)
        except OnvifdError:
            await self._drop(session)
            raise
        finally:
            session.waiting -= 1
            session.touch()
        if batch.completed:
            await self._drop(session)
        return batch

    def completed(self, token: str) -> bool:
        """Whether a search is at its end and all its results were given. Raises NotFound (InvalidToken)."""
        return self._get(token).exhausted

    async def end(self, token: str) -> int:
        """End a session; returns the point reached, microseconds UTC. Raises NotFound (InvalidToken)."""
        session = self._get(token)
        await self._drop(session)
        return session.reached

    async def close(self) -> None:
        """End every session."""
        for session in list(self._sessions.values()):
            await self._drop(session)

    def _get(self, token: str) -> SearchSession[Result]:
        session = self._sessions.get(token)
        if session is None:
            raise NotFound("There is no such search.", detail="InvalidToken")
        session.touch()
        return session

    async def _live(self, session: SearchSession[Result], produce: Producer[Result]) -> None:
        """Produce results, and end the session when nobody asked for its keep-alive time."""
        work = asyncio.create_task(session.run(produce), name=f"{session.token} producer")
        try:
            while session.waiting or self._clock.monotonic() < session.deadline:
                rest = session.keep_alive if session.waiting else session.deadline - self._clock.monotonic()
                await self._clock.sleep(max(rest, 0.001))
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
        log.info("search %s expired", session.token)
        self._sessions.pop(session.token, None)
        self._tasks.pop(session.token, None)
        session.end()

    async def _drop(self, session: SearchSession[Result]) -> None:
        self._sessions.pop(session.token, None)
        task = self._tasks.pop(session.token, None)
        session.end()
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
