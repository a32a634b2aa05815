"""One pull point (Core 9.1): what PullMessages and Seek do to a subscription. No I/O; `now` is an argument."""

from __future__ import annotations

from collections.abc import Iterable

from onvifd.events.types import Event
from onvifd.onvif.notification import subscription as bounds
from onvifd.onvif.notification.faults import FaultKind, NotificationFault
from onvifd.onvif.notification.filters import EventFilter
from onvifd.onvif.notification.history import History
from onvifd.onvif.notification.subscription import Moment, Subscription, resource_unknown

MAX_MESSAGES = 256
"""Messages of one answer, about 20 ms of writing; a higher MessageLimit is lowered to this (Core 9.1.2)."""
MAX_PULL_TIMEOUT = 600
"""Longest Timeout of PullMessages in seconds; a longer one is refused with the limits (Core 9.1.2)."""


class PullPoint(Subscription):
    """A subscription that is read by PullMessages."""

    def __init__(
        self, id_: str, filter_: EventFilter, *, now: Moment, lifetime: float, changed_only: bool = False
    ) -> None:
        super().__init__(id_, filter_, now=now, lifetime=lifetime, changed_only=changed_only)
        self.history: History | None = None
        """What a Seek asked for and is not yet read to its end."""
        self.sought = False
        """Whether a Seek ever came."""
        self.past: History | None = None
        """What was read to its end and is followed by live events."""
        self.behind = False
        """Live events are not queued any more, for the queue was full; they are in the store."""
        self._pulling = False
        self._pull_timeout = 0.0
        self._pull_end = 0.0
        self._pull_limit = 0

    # ---- messages in

    def offer(self, event: Event) -> bool:
        """See Subscription. While it is read backwards, nothing new is delivered (Core 9.1.5).

        After a Seek the oldest are not dropped: what does not fit is left to the store. True says that it begins.
        """
        if self.behind or (self.history is not None and self.history.reverse):
            return False
        if self.past is None or len(self) < bounds.QUEUE_LIMIT:
            return super().offer(event)
        if not self.filter.matches(event):
            return False
        self._queue.append(event)  # the one above the bound: from the next on the store is asked
        self.behind = True
        return True

    def synchronize(self, properties: Iterable[Event]) -> None:
        """See Subscription. After a Seek, states of properties are not repeated (Core 9.1.5)."""
        if not self.sought:
            super().synchronize(properties)

    def seek(self, history: History) -> None:
        """Deliver from the store, from now on (Core 9.1.5): what waits is dropped, initial states of properties included."""
        self.history = history
        self.past = None
        self.behind = False
        self.sought = True
        self.lost = False
        self._queue.clear()

    def wake(self) -> None:
        """The history can be read: let a waiting PullMessages look."""
        if self.on_ready is not None:
            self.on_ready()

    def caught_up(self) -> None:
        """The store is read to where the queue begins."""
        self.past, self.history = self.history, None

    # ---- pulling

    def begin(self, now: Moment, timeout: float, limit: int) -> None:
        """A PullMessages request arrives. Raises NotificationFault: over the limits, or one is waiting already."""
        if timeout > MAX_PULL_TIMEOUT:
            raise NotificationFault(
                FaultKind.PULL_LIMITS,
                f"Timeout is limited to {MAX_PULL_TIMEOUT} s.",
                limits=(MAX_PULL_TIMEOUT, MAX_MESSAGES),
            )
        if self._pulling:
            raise NotificationFault(
                FaultKind.UNABLE_TO_GET_MESSAGES, "Another PullMessages request of this subscription is waiting."
            )
        self._pulling = True
        self._pull_timeout = max(timeout, 0.0)
        self._pull_end = now.monotonic + self._pull_timeout
        self._pull_limit = max(1, min(limit, MAX_MESSAGES))

    def collect(self, now: Moment) -> tuple[Event, ...] | None:
        """The messages to answer with, None to go on waiting until `pull_end`. Raises NotificationFault when unsubscribed."""
        if self._closed:
            raise resource_unknown()
        if not self._queue:
            # Core 9.1.2: zero messages never before the time is over.
            return None if now.monotonic < self._pull_end else ()
        return self.take(self._pull_limit)

    @property
    def pull_end(self) -> float:
        """Monotonic time at which the waiting PullMessages must be answered."""
        return self._pull_end

    @property
    def pull_limit(self) -> int:
        """Messages that the waiting PullMessages may be answered with."""
        return self._pull_limit

    def finish(self, now: Moment) -> None:
        """The request is answered, or its client went away. The subscription stays for another lifetime or Timeout.

        Core 9.1.1 asks for the Timeout of the request only; but clients pull with short ones and rely on the pull.
        """
        self._pulling = False
        self._deadline = max(self._deadline, now.monotonic + max(self._pull_timeout, self._lifetime))

    # ---- lifetime

    @property
    def deadline(self) -> float:
        """Monotonic time of the end; infinite while a PullMessages request waits."""
        return float("inf") if self._pulling else self._deadline
