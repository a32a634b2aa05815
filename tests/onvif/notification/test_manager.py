"""All pull points together, on a simulated clock."""

from __future__ import annotations

import asyncio

import pytest

from onvifd.clock import US, SimulatedClock
from onvifd.events import topics
from onvifd.events.bus import EventBus
from onvifd.events.types import Operation
from onvifd.onvif.notification import subscription
from onvifd.onvif.notification.faults import FaultKind, NotificationFault
from onvifd.onvif.notification.filters import EventFilter
from onvifd.onvif.notification.manager import MAX_PULL_POINTS, Pulled, SubscriptionManager


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture
def bus(clock: SimulatedClock) -> EventBus:
    return EventBus(clock)


@pytest.fixture
def manager(bus: EventBus, clock: SimulatedClock) -> SubscriptionManager:
    return SubscriptionManager(bus, clock)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def kind_of(task: asyncio.Task[Pulled]) -> FaultKind:
    error = task.exception()
    assert isinstance(error, NotificationFault)
    return error.kind


async def test_pull_waits_exactly_for_the_timeout(manager: SubscriptionManager, clock: SimulatedClock) -> None:
    point = manager.create(EventFilter(), 60)
    begun = clock.utc()
    pull = asyncio.create_task(manager.pull(point.id, 20, 10))
    await settle()
    await clock.advance(19.9)
    assert not pull.done()
    await clock.advance(0.2)
    pulled = await pull
    assert pulled.events == ()
    assert pulled.current == begun + 20 * US
    assert pulled.termination == pulled.current + 60 * US


async def test_pull_ends_with_the_first_event(
    manager: SubscriptionManager, bus: EventBus, clock: SimulatedClock
) -> None:
    point = manager.create(EventFilter(), 60)
    pull = asyncio.create_task(manager.pull(point.id, 20, 10))
    await settle()
    await clock.advance(3)
    bus.publish(topics.profile_changed("p", 1))
    assert [event.utc for event in (await pull).events] == [1]


async def test_new_pull_point_begins_with_the_state_of_its_properties(
    manager: SubscriptionManager, bus: EventBus
) -> None:
    bus.publish(topics.motion_alarm("vs-1", False, 1))
    bus.publish(topics.motion_alarm("vs-1", True, 2))
    point = manager.create(EventFilter(), 60)
    (initial,) = (await manager.pull(point.id, 0, 10)).events
    assert (initial.operation, initial.data) == (Operation.INITIALIZED, (("State", "true"),))
    bus.publish(topics.motion_alarm("vs-1", False, 3))
    (changed,) = (await manager.pull(point.id, 0, 10)).events
    assert (changed.operation, changed.utc) == (Operation.CHANGED, 3)
    manager.synchronize(point.id)
    (again,) = (await manager.pull(point.id, 0, 10)).events
    assert (again.operation, again.utc) == (Operation.INITIALIZED, 3)


async def test_two_pull_points_wait_side_by_side(manager: SubscriptionManager, bus: EventBus) -> None:
    points = [manager.create(EventFilter(), 60) for _ in range(2)]
    pulls = [asyncio.create_task(manager.pull(point.id, 20, 10)) for point in points]
    await settle()
    bus.publish(topics.profile_changed("p", 1))
    assert [len((await pull).events) for pull in pulls] == [1, 1]


async def test_second_pull_of_one_subscription_is_refused_and_the_first_goes_on(
    manager: SubscriptionManager, bus: EventBus
) -> None:
    point = manager.create(EventFilter(), 60)
    first = asyncio.create_task(manager.pull(point.id, 20, 10))
    await settle()
    second = asyncio.create_task(manager.pull(point.id, 20, 10))
    await settle()
    assert kind_of(second) is FaultKind.UNABLE_TO_GET_MESSAGES
    bus.publish(topics.profile_changed("p", 1))
    assert len((await first).events) == 1


async def test_a_client_that_vanishes_frees_the_subscription(manager: SubscriptionManager) -> None:
    point = manager.create(EventFilter(), 60)
    pull = asyncio.create_task(manager.pull(point.id, 20, 10))
    await settle()
    pull.cancel()
    await asyncio.gather(pull, return_exceptions=True)
    assert (await manager.pull(point.id, 0, 10)).events == ()


async def test_unsubscribe_ends_the_waiting_pull(manager: SubscriptionManager) -> None:
    point = manager.create(EventFilter(), 60)
    pull = asyncio.create_task(manager.pull(point.id, 20, 10))
    await settle()
    manager.unsubscribe(point.id)
    await asyncio.wait({pull})
    assert kind_of(pull) is FaultKind.RESOURCE_UNKNOWN
    with pytest.raises(NotificationFault):
        manager.unsubscribe(point.id)


async def test_expiry(manager: SubscriptionManager, bus: EventBus, clock: SimulatedClock) -> None:
    idle, renewed = manager.create(EventFilter(), 10), manager.create(EventFilter(), 10)
    manager.renew(renewed.id, 30)
    await clock.advance(10)
    bus.publish(topics.profile_changed("p", 1))
    assert len(manager) == 1
    for use in (manager.synchronize, manager.unsubscribe, manager.get):
        with pytest.raises(NotificationFault) as caught:
            use(idle.id)
        assert caught.value.kind is FaultKind.RESOURCE_UNKNOWN
    assert len((await manager.pull(renewed.id, 0, 10)).events) == 1


async def test_two_hundred_pull_points_and_no_more(
    manager: SubscriptionManager, bus: EventBus, clock: SimulatedClock
) -> None:
    points = [manager.create(EventFilter(), 60) for _ in range(MAX_PULL_POINTS)]
    assert len({point.id for point in points}) == MAX_PULL_POINTS == 200
    with pytest.raises(NotificationFault) as caught:
        manager.create(EventFilter(), 60)
    assert caught.value.kind is FaultKind.CREATION_FAILED
    pulls = [asyncio.create_task(manager.pull(point.id, 20, 1)) for point in points]
    await settle()
    bus.publish(topics.profile_changed("p", 1))
    assert [len((await pull).events) for pull in pulls] == [1] * 200
    await clock.advance(61)
    manager.create(EventFilter(), 60)
    assert len(manager) == 1, "expired pull points make room"


async def test_states_are_repeated_after_messages_were_lost(
    manager: SubscriptionManager, bus: EventBus, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(subscription, "QUEUE_LIMIT", 4)
    point = manager.create(EventFilter(), 60)
    bus.publish(topics.motion_alarm("vs-1", True, 1))
    for number in range(10):
        bus.publish(topics.profile_changed("p", number))
    assert caplog.text.count("is not read") == 1
    assert len((await manager.pull(point.id, 0, 10)).events) == 4
    (state,) = (await manager.pull(point.id, 0, 10)).events
    assert (state.topic, state.operation) == ("VideoSource/MotionAlarm", Operation.INITIALIZED)


async def test_closing_ends_everything(manager: SubscriptionManager, bus: EventBus) -> None:
    point = manager.create(EventFilter(), 60)
    pull = asyncio.create_task(manager.pull(point.id, 20, 10))
    await settle()
    await manager.close()
    await asyncio.wait({pull})
    assert kind_of(pull) is FaultKind.RESOURCE_UNKNOWN
    bus.publish(topics.profile_changed("p", 1))
