"""The conversation with a camera's pull point, on simulated time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

from onvifd.cameras import event_feed as module
from onvifd.cameras.event_feed import CREATE, PULL, RENEW, UNSUBSCRIBE, CameraEventFeed, MotionTracker, plain_topic
from onvifd.clock import US, SimulatedClock
from onvifd.errors import NotAuthorized, NotSupported, OnvifdError, Timeout, Unavailable
from onvifd.onvif.soap.codec import Element, encode
from onvifd.onvif.types import tev, tt, wsa, wsnt

T = TypeVar("T")
NOW = SimulatedClock().utc()


def message(
    topic: str, item: str, value: str, *, source: str = "v0", utc: int = NOW, operation: str | None = "Changed"
) -> wsnt.NotificationMessageHolderType:
    body = tt.Message(
        source=tt.ItemList(simple_item=(tt.ItemListSimpleItem(name="Source", value=source),)),
        data=tt.ItemList(simple_item=(tt.ItemListSimpleItem(name=item, value=value),)),
        utc_time=utc,
        property_operation=tt.PropertyOperation(operation) if operation else None,
    )
    return wsnt.NotificationMessageHolderType(
        topic=wsnt.TopicExpressionType(value=topic, dialect="concrete"),
        message=wsnt.NotificationMessageHolderTypeMessage(any_=(encode(body),)),
    )


def alarm(state: bool, **about: Any) -> wsnt.NotificationMessageHolderType:
    return message("tns1:VideoSource/MotionAlarm", "State", "true" if state else "false", **about)


def test_topics_lose_their_prefixes() -> None:
    assert plain_topic("tns1:RuleEngine/CellMotionDetector/Motion") == "RuleEngine/CellMotionDetector/Motion"
    assert plain_topic("tns1:VideoSource/tns1:MotionAlarm") == "VideoSource/MotionAlarm"


@pytest.mark.parametrize(
    ("topic", "item", "value"),
    [
        ("tns1:VideoSource/MotionAlarm", "State", "true"),
        ("tns1:RuleEngine/CellMotionDetector/Motion", "IsMotion", "1"),
        ("tns1:RuleEngine/MotionRegionDetector/Motion", "State", "True"),
    ],
)
def test_motion_in_every_dialect(topic: str, item: str, value: str) -> None:
    tracker = MotionTracker()
    assert tracker.receive([message(topic, item, value)], NOW) == [(True, NOW)]
    assert tracker.receive([message(topic, item, value)], NOW) == []
    assert tracker.receive([message(topic, item, "false")], NOW) == [(False, NOW)]


def test_motion_lasts_while_any_property_is_true() -> None:
    tracker = MotionTracker()
    cells = message("tns1:RuleEngine/CellMotionDetector/Motion", "IsMotion", "true")
    assert tracker.receive([alarm(True), cells, alarm(False)], NOW) == [(True, NOW)]
    assert tracker.motion
    deleted = message("tns1:RuleEngine/CellMotionDetector/Motion", "IsMotion", "true", operation="Deleted")
    assert tracker.receive([deleted], NOW) == [(False, NOW)]


def test_other_topics_and_damaged_messages_change_nothing() -> None:
    tracker = MotionTracker()
    empty = wsnt.NotificationMessageHolderType(message=wsnt.NotificationMessageHolderTypeMessage())
    odd = message("tns1:VideoSource/MotionAlarm", "Other", "true")
    other = message("tns1:Device/Trigger/DigitalInput", "State", "true")
    assert tracker.receive([empty, odd, other], NOW) == []


def test_the_time_of_a_camera_counts_when_it_is_near_ours() -> None:
    tracker = MotionTracker()
    assert tracker.receive([alarm(True, utc=NOW - 2 * US)], NOW) == [(True, NOW - 2 * US)]
    assert tracker.receive([alarm(False, utc=NOW - 3600 * US)], NOW) == [(False, NOW)]


def test_the_number_of_properties_is_bounded() -> None:
    tracker = MotionTracker()
    tracker.receive([alarm(True, source=f"v{n}") for n in range(module.MAX_INSTANCES)], NOW)
    tracker.receive([alarm(True, source="one too many")], NOW)
    assert tracker.receive([alarm(False, source=f"v{n}") for n in range(module.MAX_INSTANCES)], NOW) == [(False, NOW)]


def test_properties_that_are_false_take_no_room() -> None:
    tracker = MotionTracker()
    tracker.receive([alarm(False, source=f"v{n}") for n in range(module.MAX_INSTANCES)], NOW)
    assert tracker.receive([alarm(True, source="new")], NOW) == [(True, NOW)]


@dataclass
class FakeCamera:
    """Answers as told: `pulls` are the answers to PullMessages in order; then it holds the request back."""

    clock: SimulatedClock
    pulls: list[list[wsnt.NotificationMessageHolderType] | OnvifdError] = field(default_factory=list)
    create: list[OnvifdError] = field(default_factory=list)
    renew: OnvifdError | None = None
    hold: bool = True
    asked: list[tuple[float, str | None, str | None]] = field(default_factory=list)
    parameters: list[tuple[Element, ...]] = field(default_factory=list)

    async def call(
        self,
        request: object,
        response: type[T],
        *,
        url: str | None = None,
        timeout: float | None = None,
        reference_parameters: tuple[Element, ...] = (),
        action: str | None = None,
    ) -> T:
        assert timeout is not None
        self.asked.append((self.clock.monotonic(), action, url))
        self.parameters.append(reference_parameters)
        answer: object
        if isinstance(request, tev.CreatePullPointSubscription):
            if self.create:
                raise self.create.pop(0)
            answer = tev.CreatePullPointSubscriptionResponse(
                subscription_reference=wsa.EndpointReferenceType(
                    address=wsa.AttributedURIType(value="http://192.0.2.1/sub/1")
                ),
                current_time=self.clock.utc(),
                termination_time=self.clock.utc() + 60 * US,
            )
        elif isinstance(request, tev.PullMessages):
            answer = await self._pulled(request)
        elif isinstance(request, wsnt.Renew):
            if self.renew:
                raise self.renew
            answer = wsnt.RenewResponse(termination_time=self.clock.utc() + 60 * US)
        else:
            answer = wsnt.UnsubscribeResponse()
        assert isinstance(answer, response)
        return answer

    async def _pulled(self, request: tev.PullMessages) -> tev.PullMessagesResponse:
        messages: tuple[wsnt.NotificationMessageHolderType, ...] = ()
        if self.pulls:
            outcome = self.pulls.pop(0)
            if isinstance(outcome, OnvifdError):
                raise outcome
            messages = tuple(outcome)
        elif self.hold:
            await self.clock.sleep(request.timeout.total_seconds())
        return tev.PullMessagesResponse(
            current_time=self.clock.utc(), termination_time=self.clock.utc() + 60 * US, notification_message=messages
        )

    def times(self, action: str) -> list[float]:
        return [round(when, 3) for when, what, _ in self.asked if what == action]


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture
def heard() -> list[tuple[str, bool, int]]:
    return []


@pytest.fixture(autouse=True)
def no_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.random, "uniform", lambda low, high: 1.0)


async def feed_of(camera: FakeCamera, heard: list[tuple[str, bool, int]]) -> CameraEventFeed:
    note: Callable[[str, bool, int], None] = lambda *change: heard.append(change)  # noqa: E731
    feed = CameraEventFeed("cam-1", "http://192.0.2.1/events", lambda: camera, note, camera.clock)
    feed.start()
    await camera.clock.advance(0)
    return feed


async def test_it_creates_pulls_renews_and_unsubscribes(
    clock: SimulatedClock, heard: list[tuple[str, bool, int]]
) -> None:
    camera = FakeCamera(clock, pulls=[[alarm(True)]])
    feed = await feed_of(camera, heard)
    assert heard == [("cam-1", True, NOW)]
    assert feed.connected
    await clock.advance(60)
    assert camera.times(CREATE) == [0.0]
    # Well before its life of 60 s is over.
    assert camera.times(RENEW) == [20.0, 40.0, 60.0]
    assert camera.asked[0][2] == "http://192.0.2.1/events"
    await feed.close()
    assert camera.asked[-1][1:] == (UNSUBSCRIBE, "http://192.0.2.1/sub/1")
    # Motion does not outlive the feed.
    assert [state for _, state, _ in heard] == [True, False]


async def test_a_lost_camera_ends_motion_and_is_tried_again_ever_more_seldom(
    clock: SimulatedClock, heard: list[tuple[str, bool, int]], caplog: pytest.LogCaptureFixture
) -> None:
    camera = FakeCamera(clock, pulls=[[alarm(True)], Timeout("silent")])
    feed = await feed_of(camera, heard)
    camera.create = [Unavailable("down") for _ in range(7)]
    assert [state for _, state, _ in heard] == [True, False]
    assert not feed.connected
    await clock.advance(200)
    assert camera.times(CREATE) == [0, 1, 3, 8, 18, 48, 78, 108, 138]
    assert feed.connected
    assert caplog.text.count("down") <= 2
    await feed.close()


async def test_a_pull_point_that_never_works_is_not_made_again_and_again(
    clock: SimulatedClock, heard: list[tuple[str, bool, int]]
) -> None:
    camera = FakeCamera(clock, pulls=[Unavailable("broken") for _ in range(20)])
    feed = await feed_of(camera, heard)
    await clock.advance(50)
    assert camera.times(CREATE) == [0, 1, 3, 8, 18, 48]
    await feed.close()


async def test_a_refused_login_is_not_hammered(clock: SimulatedClock, heard: list[tuple[str, bool, int]]) -> None:
    camera = FakeCamera(clock, create=[NotAuthorized("no") for _ in range(10)])
    feed = await feed_of(camera, heard)
    await clock.advance(700)
    # The second try covers a clock that was set.
    assert camera.times(CREATE) == [0, 1, 301, 601]
    await feed.close()


async def test_a_camera_without_pull_point_is_left_alone(
    clock: SimulatedClock, heard: list[tuple[str, bool, int]], caplog: pytest.LogCaptureFixture
) -> None:
    camera = FakeCamera(clock, create=[NotSupported("no events")])
    feed = await feed_of(camera, heard)
    await clock.advance(600)
    assert camera.times(CREATE) == [0]
    assert "motion is not heard" in caplog.text
    await feed.close()


async def test_a_camera_without_renew_is_pulled_on(clock: SimulatedClock, heard: list[tuple[str, bool, int]]) -> None:
    camera = FakeCamera(clock, renew=NotSupported("no renew"))
    feed = await feed_of(camera, heard)
    await clock.advance(100)
    assert camera.times(RENEW) == [20.0]
    assert camera.times(CREATE) == [0.0]
    await feed.close()


async def test_a_camera_that_answers_at_once_is_not_asked_in_a_tight_loop(
    clock: SimulatedClock, heard: list[tuple[str, bool, int]]
) -> None:
    camera = FakeCamera(clock, hold=False)
    feed = await feed_of(camera, heard)
    await clock.advance(10)
    assert 15 <= len(camera.times(PULL)) <= 22
    await feed.close()


async def test_closing_twice_or_before_starting_is_harmless(clock: SimulatedClock) -> None:
    camera = FakeCamera(clock)
    feed = CameraEventFeed("cam-1", "http://192.0.2.1/events", lambda: camera, lambda *change: None, clock)
    await feed.close()
    feed.start()
    feed.start()
    await feed.close()
    await feed.close()
