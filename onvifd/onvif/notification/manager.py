"""All pull points of a device: creation, look-up, waiting and expiry."""

from __future__ import annotations

import asyncio
import logging
import secrets
from dataclasses import dataclass

from onvifd.clock import Clock
from onvifd.events.bus import EventBus
from onvifd.events.types import Event
from onvifd.onvif.notification.faults import FaultKind, NotificationFault
from onvifd.onvif.notification.filters import EventFilter
from onvifd.onvif.notification.pullpoint import Moment, PullPoint, resource_unknown

log = logging.getLogger(__name__)

MAX_PULL_POINTS = 200


@dataclass(frozen=True, slots=True)
class Pulled:
    """The answer to PullMessages: messages, and the times (microseconds UTC) it must state."""

    events: tuple[Event, ...]
    current: int
    termination: int


class PullPointManager:
    """One per device. Use it on the loop of its event bus."""

    def __init__(self, bus: EventBus, clock: Clock, *, max_pull_points: int = MAX_PULL_POINTS) -> None:
        self.max_pull_points = max_pull_points
        self._bus = bus
        self._clock = clock
        self._points: dict[str, PullPoint] = {}
        self._next_expiry = float("inf")
        self._subscription = bus.subscribe(self._deliver)

    def __len__(self) -> int:
        return len(self._points)

    def now(self) -> Moment:
        return Moment(self._clock.utc(), self._clock.monotonic())

    def close(self) -> None:
        """End every subscription; waiting requests are answered with ResourceUnknown."""
        self._subscription.close()
        for point in self._points.values():
            point.close()
        self._points.clear()

    def create(self, filter_: EventFilter, lifetime: float, *, changed_only: bool = False) -> PullPoint:
        """A new pull point that holds the present state of the properties it selects (Core 9.4.2).

        Raises NotificationFault (SubscribeCreationFailed) at the bound.
        """
        now = self.now()
        self._expire(now)
        if len(self._points) >= self.max_pull_points:
            raise NotificationFault(FaultKind.CREATION_FAILED, f"All {self.max_pull_points} pull points are in use.")
        point = PullPoint(secrets.token_hex(8), filter_, now=now, lifetime=lifetime, changed_only=changed_only)
        point.synchronize(self._bus.properties(filter_.matches_topic))
        self._points[point.id] = point
        self._next_expiry = min(self._next_expiry, point.deadline)
        return point

    def get(self, id_: str) -> PullPoint:
        """Raises NotificationFault (ResourceUnknown)."""
        point = self._points.get(id_)
        if point is None:
            raise resource_unknown()
        if point.expired(self.now()):
            self._remove(point)
            raise resource_unknown()
        return point

    async def pull(self, id_: str, timeout: float, limit: int) -> Pulled:
        """PullMessages: at once with what waits, with the first that comes, or empty after `timeout` seconds."""
        point = self.get(id_)
        point.begin(self.now(), timeout, limit)
        try:
            events = await self._wait(point)
        finally:
            point.on_ready = None
            point.finish(self.now())
            self._next_expiry = min(self._next_expiry, point.deadline)
        if point.lost and not len(point):
            point.lost = False
            point.synchronize(self._bus.properties(point.filter.matches_topic))
        now = self.now()
        return Pulled(events, now.utc, point.termination(now))

    def renew(self, id_: str, lifetime: float) -> tuple[int, int]:
        """Returns current and termination time, microseconds UTC."""
        point = self.get(id_)
        now = self.now()
        point.renew(now, lifetime)
        self._next_expiry = min(self._next_expiry, point.deadline)
        return now.utc, point.termination(now)

    def synchronize(self, id_: str) -> None:
        point = self.get(id_)
        point.synchronize(self._bus.properties(point.filter.matches_topic))

    def unsubscribe(self, id_: str) -> None:
        self._remove(self.get(id_))

    async def _wait(self, point: PullPoint) -> tuple[Event, ...]:
        events = point.collect(self.now())
        if events is not None:
            return events
        ready = asyncio.Event()
        point.on_ready = ready.set
        alarm = asyncio.ensure_future(self._clock.sleep(point.pull_end - self._clock.monotonic()))
        alarm.add_done_callback(lambda _: ready.set())
        try:
            while events is None:
                await ready.wait()
                ready.clear()
                events = point.collect(self.now())
                if events is None and alarm.done():
                    # The clock woke a hair early; zero messages before the time are not allowed (Core 9.1.2).
                    alarm = asyncio.ensure_future(self._clock.sleep(point.pull_end - self._clock.monotonic()))
                    alarm.add_done_callback(lambda _: ready.set())
        finally:
            alarm.cancel()
            await asyncio.gather(alarm, return_exceptions=True)
        return events

    def _deliver(self, event: Event) -> None:
        self._expire(self.now())
        for point in self._points.values():
            lost = point.lost
            if point.offer(event) and not lost:
                log.warning("pull point %s is not read: its oldest messages are dropped", point.id)

    def _expire(self, now: Moment) -> None:
        if now.monotonic < self._next_expiry:
            return
        for point in [point for point in self._points.values() if point.expired(now)]:
            log.info("pull point %s expired", point.id)
            self._remove(point)
        self._next_expiry = min((point.deadline for point in self._points.values()), default=float("inf"))

    def _remove(self, point: PullPoint) -> None:
        self._points.pop(point.id, None)
        point.close()
