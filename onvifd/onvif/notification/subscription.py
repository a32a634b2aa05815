"""What pull points and pushed subscriptions share (Core 9.1, 9.3): filter, queue, lifetime. No I/O; `now` is an argument."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from onvifd.clock import US
from onvifd.events.types import Event, Operation
from onvifd.onvif.notification.faults import FaultKind, NotificationFault
from onvifd.onvif.notification.filters import EventFilter

QUEUE_LIMIT = 4096
"""Messages that wait for the client. At the bound the oldest is dropped; see `Subscription.offer`."""
DEFAULT_LIFETIME = 60.0
MIN_LIFETIME = 1.0
MAX_LIFETIME = 86_400.0
"""Seconds that a subscription lives without being pulled or renewed."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant on both clocks: wall time in microseconds UTC, and seconds that never step."""

    utc: int
    monotonic: float


class Subscription:
    """A filter with a bounded queue and an end.

    `on_ready` is called when there is something to deliver, or when the subscription has ended; whoever waits sets it.
    """

    def __init__(
        self, id_: str, filter_: EventFilter, *, now: Moment, lifetime: float, changed_only: bool = False
    ) -> None:
        self.id = id_
        self.filter = filter_
        self.on_ready: Callable[[], None] | None = None
        self.lost = False
        """Messages were dropped: the states must be repeated when the queue is empty."""
        self._changed_only = changed_only
        self._queue: deque[Event] = deque()
        self._lifetime = lifetime
        self._deadline = now.monotonic + lifetime
        self._closed = False

    def __len__(self) -> int:
        return len(self._queue)

    # ---- messages in

    def offer(self, event: Event) -> bool:
        """Queue an event if the filter selects it; returns whether the oldest was dropped for it."""
        if not self.filter.matches(event):
            return False
        # Core 9.1.1, tev:ChangedOnly
        if self._changed_only and event.operation in (Operation.INITIALIZED, Operation.DELETED):
            return False
        full = len(self._queue) >= QUEUE_LIMIT
        if full:
            self._queue.popleft()
            self.lost = True
        self._queue.append(event)
        self._wake()
        return full

    def synchronize(self, properties: Iterable[Event]) -> None:
        """Queue the present state of all properties as Initialized (Core 9.5).

        States that still wait from an earlier call are replaced, so that repeated calls cannot grow the queue.
        """
        if self._changed_only:
            return
        waiting = (event for event in self._queue if event.operation is not Operation.INITIALIZED)
        self._queue = deque((*waiting, *(event for event in properties if self.filter.matches(event))))
        self._wake()

    def _wake(self) -> None:
        if self._queue and self.on_ready is not None:
            self.on_ready()

    def take(self, limit: int) -> tuple[Event, ...]:
        """At most `limit` of the oldest messages, which leave the queue."""
        return tuple(self._queue.popleft() for _ in range(min(limit, len(self._queue))))

    # ---- lifetime

    def renew(self, now: Moment, lifetime: float) -> None:
        """Live for `lifetime` seconds from now."""
        self._lifetime = lifetime
        self._deadline = now.monotonic + lifetime

    @property
    def deadline(self) -> float:
        """Monotonic time of the end."""
        return self._deadline

    @property
    def closed(self) -> bool:
        return self._closed

    def expired(self, now: Moment) -> bool:
        return self._closed or self.deadline <= now.monotonic

    def termination(self, now: Moment) -> int:
        """The end as wall time, microseconds UTC."""
        return now.utc + round((self._deadline - now.monotonic) * US)

    def close(self) -> None:
        """End the subscription and whoever waits on it."""
        self._closed = True
        self._queue.clear()
        if self.on_ready is not None:
            self.on_ready()


def resource_unknown() -> NotificationFault:
    return NotificationFault(FaultKind.RESOURCE_UNKNOWN, "There is no such subscription.")
