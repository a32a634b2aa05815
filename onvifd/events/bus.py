"""Where events meet: publishers on one side; pull points, rules and the store on the other.

The bus lives on one event loop. For property events (Core 9.4.2) it keeps the current value of every living instance, lets
through only real changes and sets the operation itself: Initialized for a new instance, Changed, Deleted.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from onvifd.clock import Clock
from onvifd.errors import NotSupported
from onvifd.events.store import EventStore, Numbered, Position
from onvifd.events.types import Event, Operation
from onvifd.events.writer import EventWriter

log = logging.getLogger(__name__)

MAX_PROPERTIES = 50_000
"""Living property instances that are remembered. At the bound a new one is delivered, but not remembered."""
MAX_FOREIGN = 10_000
"""Events from other threads that wait for the loop. At the bound further ones are dropped."""

Callback = Callable[[Event], None]
TopicFilter = Callable[[str], bool]


class Subscription:
    """A callback's place on the bus; `close` takes it off and may be called twice."""

    def __init__(self, bus: EventBus, callback: Callback) -> None:
        self._bus = bus
        self._callback = callback

    def close(self) -> None:
        self._bus._subscriptions.pop(self, None)


class EventQueue:
    """A subscription that is read at the reader's pace.

    It holds `limit` events; at the bound the oldest is dropped and counted in `dropped`. One reader at a time.
    """

    def __init__(self, bus: EventBus, limit: int) -> None:
        self.dropped = 0
        self._events: deque[Event] = deque()
        self._limit = limit
        self._ready = asyncio.Event()
        self._subscription = bus.subscribe(self._put)
        self._closed = False

    def _put(self, event: Event) -> None:
        if len(self._events) >= self._limit:
            self._events.popleft()
            self.dropped += 1
        self._events.append(event)
        self._ready.set()

    def __aiter__(self) -> EventQueue:
        return self

    async def __anext__(self) -> Event:
        while not self._events:
            if self._closed:
                raise StopAsyncIteration
            self._ready.clear()
            await self._ready.wait()
        return self._events.popleft()

    def close(self) -> None:
        """Take no more events; the reader gets those that wait, then the iteration ends."""
        self._closed = True
        self._subscription.close()
        self._ready.set()


class EventBus:
    """One per body. `store` None keeps no history (simulated cameras)."""

    def __init__(self, clock: Clock, store: EventStore | None = None, *, max_properties: int = MAX_PROPERTIES) -> None:
        self._clock = clock
        self._subscriptions: dict[Subscription, None] = {}
        self._properties: dict[object, Event] = {}
        self._max_properties = max_properties
        self._full_logged = False
        self._store = store
        self._writer = EventWriter(store, clock) if store is not None else None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._foreign = 0
        self._foreign_lock = threading.Lock()

    async def start(self) -> None:
        """Bind to the running loop and start the writer."""
        self._loop = asyncio.get_running_loop()
        if self._writer is not None:
            self._writer.start()

    async def close(self) -> None:
        """Write what waits (at most 5 s) and stop."""
        self._loop = None
        if self._writer is not None:
            await self._writer.close()

    def publish(self, event: Event) -> Event | None:
        """Deliver an event and keep it. Call it on the loop's thread; it never blocks.

        Of a property event only the values count: its operation is set here. Returns the event as delivered, None for a
        property that did not change.
        """
        if event.operation is not None:
            changed = self._update(event)
            if changed is None:
                return None
            event = changed
        self.record(event)
        for subscription in list(self._subscriptions):
            try:
                subscription._callback(event)
            except Exception:
                # One faulty subscriber must not cost the others the event.
                log.exception("subscriber failed on event %s", event.topic)
        return event

    def publish_threadsafe(self, event: Event) -> None:
        """`publish` from any thread. Dropped, with a log line, when the bus is not running or 10000 wait already."""
        loop = self._loop
        with self._foreign_lock:
            if loop is None or self._foreign >= MAX_FOREIGN:
                log.warning("event %s dropped: the bus %s", event.topic, "is full" if loop else "does not run")
                return
            self._foreign += 1
        try:
            loop.call_soon_threadsafe(self._publish_foreign, event)
        except RuntimeError:
            # The loop was closed in between.
            with self._foreign_lock:
                self._foreign -= 1
            log.warning("event %s dropped: the loop has ended", event.topic)

    def _publish_foreign(self, event: Event) -> None:
        with self._foreign_lock:
            self._foreign -= 1
        self.publish(event)

    @property
    def persistent(self) -> bool:
        """Whether events are kept in a store."""
        return self._store is not None

    async def seam(self) -> tuple[int, int | None]:
        """The highest number and the lowest UtcTime of the store when all that was published so far is in it, and no more.

        Raises NotSupported without a store, Unavailable or Timeout if it does not answer.
        """
        if self._writer is None:
            raise NotSupported("events are not kept")
        return await self._writer.seam()

    def mark(self) -> asyncio.Future[tuple[int, int | None]]:
        """What `seam` gives, for this moment, to be awaited later. Raises NotSupported, Unavailable."""
        if self._writer is None:
            raise NotSupported("events are not kept")
        return self._writer.mark()

    async def history(
        self,
        *,
        utc: int,
        reverse: bool,
        after: int,
        seam: int,
        position: Position | None,
        topics: Sequence[str] | None,
        limit: int,
    ) -> tuple[Numbered, ...]:
        """See EventStore.page."""
        if self._store is None:
            raise NotSupported("events are not kept")
        if topics is not None and not topics:
            return ()
        return await asyncio.to_thread(
            self._store.page,
            utc=utc,
            reverse=reverse,
            after=after,
            seam=seam,
            position=position,
            topics=topics,
            limit=limit,
        )

    def record(self, event: Event) -> None:
        """Keep an event in the store without delivering it (history found by crash recovery)."""
        if self._writer is not None:
            self._writer.put(event)

    def subscribe(self, callback: Callback) -> Subscription:
        """Call `callback` with every event, on the loop, in order of publication. It must return at once."""
        subscription = Subscription(self, callback)
        self._subscriptions[subscription] = None
        return subscription

    def queue(self, limit: int = 1000) -> EventQueue:
        """Events for a reader that awaits: `async for event in queue`."""
        return EventQueue(self, limit)

    def properties(self, matches: TopicFilter | None = None) -> tuple[Event, ...]:
        """The current value of every living property whose topic matches, as Initialized with the time of its last change."""
        return tuple(
            replace(event, operation=Operation.INITIALIZED)
            for event in self._properties.values()
            if matches is None or matches(event.topic)
        )

    def forget(self, instances: Iterable[Event]) -> None:
        """Publish the deletion of properties, for example of a removed camera."""
        for event in tuple(instances):
            self.publish(replace(event, operation=Operation.DELETED, utc=self._clock.utc(), data=(), elements=()))

    def _update(self, event: Event) -> Event | None:
        known = self._properties.get(event.instance)
        if event.operation is Operation.DELETED:
            if known is not None:
                del self._properties[event.instance]
            return event if known is not None else None
        if known is not None:
            if (known.data, known.elements) == (event.data, event.elements):
                return None
            event = replace(event, operation=Operation.CHANGED)
        else:
            event = replace(event, operation=Operation.INITIALIZED)
            if len(self._properties) >= self._max_properties:
                if not self._full_logged:
                    self._full_logged = True
                    log.error("%d properties are known; further ones are not remembered", self._max_properties)
                return event
        self._properties[event.instance] = event
        return event
