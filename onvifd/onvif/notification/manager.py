"""All subscriptions of a device: creation, look-up, waiting, pushing and expiry."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from onvifd.clock import Clock
from onvifd.errors import NotSupported, OnvifdError
from onvifd.events.bus import EventBus
from onvifd.events.types import Event
from onvifd.events.writer import SEAM_TIMEOUT
from onvifd.onvif.notification.deadlines import Deadlines
from onvifd.onvif.notification.faults import FaultKind, NotificationFault
from onvifd.onvif.notification.filters import EventFilter
from onvifd.onvif.notification.history import History
from onvifd.onvif.notification.pullpoint import PullPoint
from onvifd.onvif.notification.push import Consumer, PushSubscription
from onvifd.onvif.notification.pusher import Pusher
from onvifd.onvif.notification.subscription import Moment, Subscription, resource_unknown

log = logging.getLogger(__name__)

MAX_PULL_POINTS = 200
MAX_PUSHED = 32
HISTORY_PAGE = 500
"""Stored events that are read at once."""
READ_SECONDS = 2.0
"""How long the store is searched for the first match, though the Timeout of a PullMessages be shorter."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """The answer to PullMessages: messages, and the times (microseconds UTC) it must state."""

    events: tuple[Event, ...]
    current: int
    termination: int


class SubscriptionManager:
    """One per device. Use it on the loop of its event bus. Without a `pusher` there is no base notification.

    `topics` is everything the device emits: a Seek asks the store for those that a filter can select.
    """

    def __init__(
        self,
        bus: EventBus,
        clock: Clock,
        *,
        max_pull_points: int = MAX_PULL_POINTS,
        max_pushed: int = MAX_PUSHED,
        pusher: Pusher | None = None,
        topics: Sequence[str] = (),
    ) -> None:
        self.max_pull_points = max_pull_points
        self.max_pushed = max_pushed if pusher is not None else 0
        self._bus = bus
        self._clock = clock
        self._pusher = pusher
        self._topics = tuple(topics)
        self._all: dict[str, Subscription] = {}
        self._marks: dict[str, asyncio.Future[tuple[int, int | None]]] = {}
        """Where in the store the queues end of those that are behind."""
        self._next_expiry = float("inf")
        self._deadlines = Deadlines(clock)
        self._subscription = bus.subscribe(self._deliver)

    def __len__(self) -> int:
        return len(self._all)

    def now(self) -> Moment:
        return Moment(self._clock.utc(), self._clock.monotonic())

    async def close(self) -> None:
        """End every subscription; waiting requests are answered with ResourceUnknown."""
        self._subscription.close()
        for subscription in self._all.values():
            subscription.close()
        self._all.clear()
        await self._deadlines.close()
        if self._pusher is not None:
            await self._pusher.close()

    # ---- creation ------------------------------------------------------------------------------

    def create(self, filter_: EventFilter, lifetime: float, *, changed_only: bool = False) -> PullPoint:
        """A new pull point that holds the present state of the properties it selects (Core 9.4.2).

        Raises NotificationFault (SubscribeCreationFailed) at the bound.
        """
        now = self.now()
        self.check_room(PullPoint)
        point = PullPoint(secrets.token_hex(8), filter_, now=now, lifetime=lifetime, changed_only=changed_only)
        self._add(point)
        return point

    def subscribe(
        self, filter_: EventFilter, lifetime: float, consumer: Consumer, *, producer: str, references: str
    ) -> PushSubscription:
        """A new subscription that is pushed to `consumer`, states of properties first. Its own address lies below `references`.

        Raises NotificationFault (SubscribeCreationFailed) at the bound.
        """
        if self._pusher is None:
            raise NotSupported("notifications are not pushed")
        self.check_room(PushSubscription)
        id_ = secrets.token_hex(8)
        made = PushSubscription(
            id_,
            filter_,
            consumer,
            now=self.now(),
            lifetime=lifetime,
            producer=producer,
            reference=f"{references}/{id_}",
        )
        self._add(made)
        self._pusher.start(made, self._synchronize)
        return made

    def check_room(self, kind: type[Subscription]) -> None:
        """Raises NotificationFault (SubscribeCreationFailed) when there are as many of a kind as may be."""
        self._expire(self.now())
        bound = self.max_pull_points if kind is PullPoint else self.max_pushed
        if sum(isinstance(each, kind) for each in self._all.values()) >= bound:
            what = "pull points" if kind is PullPoint else "subscriptions"
            raise NotificationFault(FaultKind.CREATION_FAILED, f"All {bound} {what} are in use.")

    def _add(self, subscription: Subscription) -> None:
        self._synchronize(subscription)
        self._all[subscription.id] = subscription
        self._next_expiry = min(self._next_expiry, subscription.deadline)

    # ---- use -----------------------------------------------------------------------------------

    def get(self, id_: str) -> Subscription:
        """Raises NotificationFault (ResourceUnknown)."""
        found = self._all.get(id_)
        if found is None:
            raise resource_unknown()
        if found.expired(self.now()):
            self._remove(found)
            raise resource_unknown()
        return found

    def _pull_point(self, id_: str) -> PullPoint:
        found = self.get(id_)
        if not isinstance(found, PullPoint):
            raise resource_unknown()
        return found

    async def pull(self, id_: str, timeout: float, limit: int) -> Pulled:
        """PullMessages: at once with what waits, with the first that comes, or empty after `timeout` seconds."""
        point = self._pull_point(id_)
        point.begin(self.now(), timeout, limit)
        try:
            events = await self._wait(point)
        finally:
            point.on_ready = None
            point.finish(self.now())
            self._next_expiry = min(self._next_expiry, point.deadline)
        if point.lost and not len(point) and point.history is None:
            point.lost = False
            self._synchronize(point)
        now = self.now()
        return Pulled(events, now.utc, point.termination(now))

    def renew(self, id_: str, lifetime: float) -> tuple[int, int]:
        """Returns current and termination time, microseconds UTC."""
        found = self.get(id_)
        now = self.now()
        found.renew(now, lifetime)
        self._next_expiry = min(self._next_expiry, found.deadline)
        return now.utc, found.termination(now)

    def synchronize(self, id_: str) -> None:
        """SetSynchronizationPoint. Raises NotificationFault (ResourceUnknown)."""
        self._synchronize(self.get(id_))

    def unsubscribe(self, id_: str) -> None:
        self._remove(self.get(id_))

    async def seek(self, id_: str, utc: int, *, reverse: bool) -> None:
        """Deliver from the store, from `utc` on or back (Core 9.1.5). Raises NotificationFault, or Unavailable without store."""
        point = self._pull_point(id_)
        history = History(utc, reverse=reverse)
        # From here on live events wait in the queue: what the store then holds is exactly what came before.
        point.seek(history)
        seam, first = await self._bus.seam()
        if point.history is history:
            history.begin(first, seam, point.filter)
            point.wake()

    def _synchronize(self, subscription: Subscription) -> None:
        subscription.synchronize(self._bus.properties(subscription.filter.matches_topic))

    # ---- waiting -------------------------------------------------------------------------------

    async def _wait(self, point: PullPoint) -> tuple[Event, ...]:
        ready = asyncio.Event()
        point.on_ready = ready.set
        try:
            while True:
                ready.clear()
                events = await self._past(point) or self._present(point)
                if events is not None:
                    return events
                # Never before the time: zero messages would not be allowed (Core 9.1.2).
                self._deadlines.set(point.id, point.pull_end, ready.set)
                await ready.wait()
        finally:
            self._deadlines.drop(point.id)

    def _present(self, point: PullPoint) -> tuple[Event, ...] | None:
        """What waits in the queue; while a Seek is not read to its end only the time-out counts: the past comes first."""
        history = point.history
        if history is None or history.reverse or point.closed:
            return point.collect(self.now())
        return () if self._clock.monotonic() >= point.pull_end else None

    async def _past(self, point: PullPoint) -> tuple[Event, ...] | None:
        """Stored events that a Seek asked for; None when there are none (left), or none were found before the time-out."""
        if point.behind and not len(point) and not point.closed:
            await self._continue(point)
        history = point.history
        if history is None:
            return None
        # A Timeout of nothing still asks for what is there.
        end = max(point.pull_end, self._clock.monotonic() + READ_SECONDS)
        while history is not None and history.seam is not None and not point.closed:
            found = history.take(point.pull_limit)
            if found:
                return found
            if history.done:
                if not self._resume(point, history):
                    return None
                await self._reseam(point, history)
            elif self._clock.monotonic() >= end:
                return None
            else:
                await self._read_page(point, history)
            history = point.history
        return None

    async def _read_page(self, point: PullPoint, history: History) -> None:
        topics = [topic for topic in self._topics if point.filter.matches_topic(topic)]
        page = await self._bus.history(
            utc=history.utc,
            reverse=history.reverse,
            after=history.after,
            seam=history.seam or 0,
            position=history.position,
            topics=None if len(topics) == len(self._topics) else topics,
            limit=HISTORY_PAGE,
        )
        if point.history is history:
            history.receive(page, point.filter, last=len(page) < HISTORY_PAGE)

    def _resume(self, point: PullPoint, history: History) -> bool:
        """The store is read. False if there is nothing more to read; then live events follow, but for reading backwards."""
        if history.reverse:
            return False
        if point.lost:
            return True
        point.caught_up()
        return False

    async def _reseam(self, point: PullPoint, history: History) -> None:
        """The queue overflowed while the past was read: what it lost is in the store."""
        point.seek(history)
        seam, _ = await self._bus.seam()
        if point.history is history:
            history.again(seam)

    async def _continue(self, point: PullPoint) -> None:
        """The queue overflowed after the past was read, and has been delivered: what did not fit is in the store."""
        history, mark = point.past, self._marks.pop(point.id, None)
        if history is None:
            return
        after = None
        try:
            if mark is not None:
                async with asyncio.timeout(SEAM_TIMEOUT):
                    after, _ = await mark
        except (OnvifdError, TimeoutError) as error:
            # Some will come twice, which is better than never.
            log.warning("subscription %s: where its queue ended is not known: %s", point.id, error)
        point.seek(history)
        seam, _ = await self._bus.seam()
        if point.history is history:
            history.utc = 0  # live events are delivered whatever their time
            history.again(seam, after=after)

    def _deliver(self, event: Event) -> None:
        self._expire(self.now())
        for subscription in self._all.values():
            lost = subscription.lost
            if not subscription.offer(event):
                continue
            if isinstance(subscription, PullPoint) and subscription.behind:
                self._mark(subscription)
            elif not lost:
                log.warning("subscription %s is not read: its oldest messages are dropped", subscription.id)

    def _mark(self, point: PullPoint) -> None:
        """Where in the store the queue of a pull point ends; the bus has put the event on its way there already."""
        log.info("subscription %s is not read: it goes on from the store", point.id)
        try:
            mark = self._marks[point.id] = self._bus.mark()
        except OnvifdError as error:
            log.warning("subscription %s: the store does not say where its queue ends: %s", point.id, error.reason)
        else:
            mark.add_done_callback(_looked_at)

    def _expire(self, now: Moment) -> None:
        if now.monotonic < self._next_expiry:
            return
        for found in [each for each in self._all.values() if each.expired(now)]:
            log.info("subscription %s expired", found.id)
            self._remove(found)
        self._next_expiry = min((each.deadline for each in self._all.values()), default=float("inf"))

    def _remove(self, subscription: Subscription) -> None:
        self._all.pop(subscription.id, None)
        self._marks.pop(subscription.id, None)
        subscription.close()


def _looked_at(mark: asyncio.Future[tuple[int, int | None]]) -> None:
    """A subscription may end without asking: an error is then nobody's."""
    if not mark.cancelled():
        mark.exception()
