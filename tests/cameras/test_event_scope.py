"""Devices with several video sources, each a camera of the recorder."""

from __future__ import annotations

from typing import Any

import pytest

from onvifd.cameras import onvif_driver
from onvifd.cameras.event_feed import CameraEventFeed
from onvifd.cameras.event_scope import EventScope, SourceTokens, admitted, scope_of
from onvifd.clock import SimulatedClock
from onvifd.errors import NotSupported, Unavailable
from onvifd.onvif.soap.codec import encode
from onvifd.onvif.soap.namespaces import TEV, TR2, TRT
from onvifd.onvif.types import tds, tev, tr2, trt, tt, wsa, wsnt

PROFILES = (
    SourceTokens("vs1", "main1", frozenset({"vs1", "main1", "vsc1", "rules"})),
    SourceTokens("vs1", "sub1", frozenset({"vs1", "sub1", "vsc1", "rules"})),
    SourceTokens("vs2", "main2", frozenset({"vs2", "main2", "vsc2", "rules"})),
)


def message(**source: str) -> wsnt.NotificationMessageHolderType:
    items = tuple(tt.ItemListSimpleItem(name=name, value=value) for name, value in source.items())
    state = (tt.ItemListSimpleItem(name="State", value="true"),)
    body = tt.Message(
        utc_time=SimulatedClock().utc(),
        property_operation=tt.PropertyOperation.CHANGED,
        source=tt.ItemList(simple_item=items),
        data=tt.ItemList(simple_item=state),
    )
    return wsnt.NotificationMessageHolderType(
        topic=wsnt.TopicExpressionType(value="tns1:VideoSource/MotionAlarm", dialect="concrete"),
        message=wsnt.NotificationMessageHolderTypeMessage(any_=(encode(body),)),
    )


@pytest.mark.parametrize(
    ("source", "mine"),
    [
        ({"Source": "vs1"}, True),
        ({"Source": "vs2"}, False),
        ({"VideoSourceConfigurationToken": "vsc1", "Rule": "r"}, True),
        ({"VideoSourceConfigurationToken": "vsc2", "Rule": "r"}, False),
        ({"VideoSourceConfigurationToken": "vsc2", "VideoAnalyticsConfigurationToken": "rules"}, False),
        ({"ProfileToken": "main2"}, False),
        ({"InputToken": "in1"}, True),
        ({"Source": "unknown"}, True),
        ({}, True),
    ],
)
def test_messages_of_other_sources_are_not_ours(source: dict[str, str], mine: bool) -> None:
    scope = scope_of(PROFILES, {"main1", "sub1"})
    assert scope is not None
    assert bool(admitted([message(**source)], scope)) is mine


def test_analytics_that_serve_several_sources_tell_by_the_source() -> None:
    scope = scope_of(PROFILES, {"main1"})
    assert scope == EventScope(
        foreign=frozenset({"vs2", "main2", "vsc2"}), own=frozenset({"vs1", "main1", "sub1", "vsc1"})
    )


@pytest.mark.parametrize(
    ("profiles", "ours"),
    [(PROFILES[:2], {"main1"}), (PROFILES, {"gone"}), ((), {"main1"})],
    ids=["one", "unknown", "none"],
)
def test_where_nothing_is_told_apart_everything_is_heard(profiles: tuple[SourceTokens, ...], ours: set[str]) -> None:
    assert scope_of(profiles, ours) is None


# ---- asking the device -----------------------------------------------------------------------------


def video_source(number: int) -> tt.VideoSourceConfiguration:
    return tt.VideoSourceConfiguration(
        name="",
        use_count=1,
        token=f"vsc{number}",
        source_token=f"vs{number}",
        bounds=tt.IntRectangle(x=0, y=0, width=1920, height=1080),
    )


class Device:
    """Two sources with a profile each, by the services that it is made with."""

    url = "http://192.0.2.1/onvif/device_service"

    def __init__(self, *namespaces: str, broken: str = "") -> None:
        self._namespaces = namespaces
        self._broken = broken
        self.asked: list[str] = []

    def at(self, url: str) -> Device:
        return self

    async def call(self, request: Any, response: type, **more: Any) -> Any:
        self.asked.append(f"{type(request).__module__.rpartition('.')[2]}.{type(request).__name__}")
        version = tt.OnvifVersion(major=21, minor=12)
        if isinstance(request, tds.GetServices):
            services = (
                tds.Service(namespace=namespace, x_addr="http://192.0.2.1/x", version=version)
                for namespace in self._namespaces
            )
            return tds.GetServicesResponse(service=tuple(services))
        if self._broken and self._broken in self.asked[-1]:
            raise NotSupported("not here")
        if isinstance(request, tr2.GetProfiles):
            profiles = (
                tr2.MediaProfile(
                    name="", token=f"p{number}", configurations=tr2.ConfigurationSet(video_source=video_source(number))
                )
                for number in (1, 2)
            )
            return tr2.GetProfilesResponse(profiles=tuple(profiles))
        assert isinstance(request, trt.GetProfiles)
        old = (tt.Profile(name="", token=f"p{n}", video_source_configuration=video_source(n)) for n in (1, 2))
        return trt.GetProfilesResponse(profiles=tuple(old))


@pytest.mark.parametrize("namespaces", [(TR2,), (TRT,), (TRT, TR2, TEV)])
async def test_the_device_is_asked_what_belongs_to_which_source(namespaces: tuple[str, ...]) -> None:
    scope = await onvif_driver.event_scope(Device(*namespaces), {"p2"})  # type: ignore[arg-type]
    assert scope == EventScope(foreign=frozenset({"vs1", "vsc1", "p1"}), own=frozenset({"vs2", "vsc2", "p2"}))


async def test_a_device_that_does_not_tell_is_heard_in_full() -> None:
    device = Device(TR2, broken="GetProfiles")
    assert await onvif_driver.event_scope(device, {"p2"}) is None  # type: ignore[arg-type]


# ---- the feed --------------------------------------------------------------------------------------


class Pulled:
    """An event service with one answer, and nothing after it."""

    def __init__(self, clock: SimulatedClock, *messages: wsnt.NotificationMessageHolderType) -> None:
        self._clock = clock
        self._messages = messages

    async def call(self, request: object, response: type, **more: Any) -> Any:
        now = self._clock.utc()
        if isinstance(request, tev.CreatePullPointSubscription):
            reference = wsa.EndpointReferenceType(address=wsa.AttributedURIType(value="http://192.0.2.1/sub"))
            return tev.CreatePullPointSubscriptionResponse(
                subscription_reference=reference, current_time=now, termination_time=now + 60_000_000
            )
        if isinstance(request, tev.PullMessages):
            messages, self._messages = self._messages, ()
            if not messages:
                await self._clock.sleep(request.timeout.total_seconds())
            return tev.PullMessagesResponse(current_time=now, termination_time=now, notification_message=messages)
        return wsnt.UnsubscribeResponse()


async def test_two_cameras_of_one_device_hear_their_own_source_alone() -> None:
    clock = SimulatedClock()
    heard: list[tuple[str, bool]] = []
    feeds = []
    for camera, profile in (("cam-1", "main1"), ("cam-2", "main2")):

        async def scope(profile: str = profile) -> EventScope | None:
            return scope_of(PROFILES, {profile})

        feeds.append(
            CameraEventFeed(
                camera,
                "http://192.0.2.1/events",
                lambda: Pulled(clock, message(Source="vs2")),
                lambda *change: heard.append((change[0], change[1])),
                clock,
                scope=scope,
            )
        )
    for feed in feeds:
        feed.start()
    await clock.advance(1)
    assert heard == [("cam-2", True)]
    for feed in feeds:
        await feed.close()


async def test_a_device_that_cannot_be_asked_is_tried_again() -> None:
    clock = SimulatedClock()
    answers: list[EventScope | Exception] = [Unavailable("away"), scope_of(PROFILES, {"main1"}) or Unavailable("")]
    heard: list[bool] = []

    async def scope() -> EventScope | None:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    feed = CameraEventFeed(
        "cam-1",
        "http://192.0.2.1/events",
        lambda: Pulled(clock, message(Source="vs2"), message(Source="vs1")),
        lambda *change: heard.append(change[1]),
        clock,
        scope=scope,
    )
    feed.start()
    await clock.advance(0)
    await clock.advance(5)
    assert (answers, heard) == ([], [True])
    await feed.close()
