"""Writes events to the store, in batches, off the event loop."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from itertools import islice

from onvifd.clock import Clock
from onvifd.errors import OnvifdError, Timeout, Unavailable
from onvifd.events.store import EventStore
from onvifd.events.types import Event

log = logging.getLogger(__name__)

QUEUE_LIMIT = 20_000
"""Events that wait for the store. At the bound the newest are dropped, so that the history has one gap, not many."""
BATCH = 500
RETRY = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds between attempts while the store is unavailable; the last value repeats."""
CLOSE_TIMEOUT = 5.0
SEAM_TIMEOUT = 10.0
"""Seconds that a Seek waits for the store."""


class _Between:
    """A question to the store that stands among the events: it is asked when those before are stored, and none after."""

    def __init__(self, ask: Callable[[], tuple[int, int | None]]) -> None:
        self.ask = ask
        self.answer: asyncio.Future[tuple[int, int | None]] = asyncio.get_running_loop().create_future()


class EventWriter:
    """One task that owns the way to the store."""

    def __init__(self, store: EventStore, clock: Clock, *, limit: int = QUEUE_LIMIT) -> None:
        self.dropped = 0
        self._store = store
        self._clock = clock
        self._limit = limit
        self._waiting: deque[Event | _Between] = deque()
        self._ready = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._overflow = False

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="event writer")

    async def close(self) -> None:
        """Write what waits, for at most 5 s; what then still waits is lost and logged."""
        task = self._task
        if task is None:
            return
        self._closing = True
        self._ready.set()
        await asyncio.wait({task}, timeout=CLOSE_TIMEOUT)
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
        self._task = None
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error
        if self._waiting:
            lost = sum(isinstance(each, Event) for each in self._waiting)
            log.error("%d events were not stored", lost)

    def put(self, event: Event) -> None:
        if len(self._waiting) >= self._limit:
            self.dropped += 1
            if not self._overflow:
                self._overflow = True
                log.error("events are dropped: %d wait for the store already", self._limit)
            return
        self._waiting.append(event)
        self._ready.set()

    def mark(self) -> asyncio.Future[tuple[int, int | None]]:
        """`EventStore.bounds` at exactly this point in the stream of events, to be awaited later. Raises Unavailable."""
        if self._task is None or self._closing or len(self._waiting) >= self._limit:
            raise Unavailable("the event store does not take requests")
        between = _Between(self._store.bounds)
        self._waiting.append(between)
        self._ready.set()
        return between.answer

    async def seam(self) -> tuple[int, int | None]:
        """`mark`, answered. Raises Unavailable or Timeout."""
        answer = self.mark()
        try:
            # Not wait_for: before Python 3.12 it loses a cancellation that comes together with the answer.
            async with asyncio.timeout(SEAM_TIMEOUT):
                return await answer
        except TimeoutError:
            raise Timeout("the event store does not answer") from None

    async def _run(self) -> None:
        while True:
            if not self._waiting:
                if self._closing:
                    return
                self._ready.clear()
                await self._ready.wait()
                continue
            first = self._waiting[0]
            if isinstance(first, _Between):
                await self._answer(first)
                self._waiting.popleft()
                continue
            batch = self._batch()
            await self._insert(batch)
            for _ in batch:
                self._waiting.popleft()
            self._overflow = False

    def _batch(self) -> list[Event]:
        """Events up to the bound or the next question; they stay in the queue until they are stored."""
        batch: list[Event] = []
        for event in islice(self._waiting, BATCH):
            if isinstance(event, _Between):
                break
            batch.append(event)
        return batch

    async def _answer(self, between: _Between) -> None:
        if between.answer.done():
            return  # who asked has given up
        try:
            found = await asyncio.to_thread(between.ask)
        except Exception as error:
            # Whatever it is, it is for the one who asked; the events that follow must be stored.
            if not between.answer.done():
                between.answer.set_exception(error)
        else:
            if not between.answer.done():
                between.answer.set_result(found)

    async def _insert(self, batch: list[Event]) -> None:
        """Store `batch`, trying again for as long as the store is unavailable."""
        attempt = 0
        while True:
            try:
                await asyncio.to_thread(self._store.insert_events, batch)
            except OnvifdError as error:
                delay = RETRY[min(attempt, len(RETRY) - 1)]
                log.warning("events cannot be stored (%s), next attempt in %g s", error.reason, delay)
                attempt += 1
                await self._clock.sleep(delay)
            except Exception:
                # A row that the store cannot take must not stop the history of everything else.
                log.exception("%d events could not be stored and are dropped", len(batch))
                return
            else:
                return
