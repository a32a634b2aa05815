"""The machine's sensors and the sessions of workers as events."""

from __future__ import annotations

from dataclasses import replace

import pytest

from onvifd.bodies.events_hardware import ActiveSessions, Hardware
from onvifd.clock import SimulatedClock
from onvifd.events.bus import EventBus
from onvifd.events.types import Event, Operation
from onvifd.host.sensors import LinkState, Readings, Temperature
from onvifd.onvif.backend import MediaModel, MediaProfile
from onvifd.workers.specs import SessionSpec

NOW = 1_767_225_600_000_000
HOT = Temperature(token="cpu", value=40.0, critical=100.0, normal=97.0)
ALL = Readings(
    fans=(("fan1", False),),
    supplies=(("AC0", False),),
    temperatures=(HOT,),
    links=(LinkState(token="eth0", speed=1000, full_duplex=True),),
)


class Side:
    def __init__(self) -> None:
        self.bus = EventBus(SimulatedClock(NOW))
        self.events: list[Event] = []
        self.bus.subscribe(self.events.append)

    def told(self) -> list[tuple[str, Operation | None, str]]:
        """Topic's last part, operation and first value since the last call."""
        events, self.events[:] = list(self.events), []
        return [
            (event.topic.rpartition("/")[2], event.operation, event.data[0][1] if event.data else "")
            for event in events
        ]


@pytest.fixture
def side() -> Side:
    return Side()


@pytest.mark.parametrize("field", ["fans", "supplies", "temperatures", "links"])
def test_only_what_can_be_measured_is_a_topic(side: Side, field: str) -> None:
    names = {
        "fans": "FanFailure",
        "supplies": "PowerSupplyFailure",
        "temperatures": "TemperatureCritical",
        "links": "LinkStatus",
    }
    hardware = Hardware(side.bus.publish, replace(Readings(), **{field: getattr(ALL, field)}))
    assert [topic.name.rpartition("/")[2] for topic in hardware.topics] == [names[field]]
    hardware.look(ALL, NOW)
    assert [topic for topic, _, _ in side.told()] == [names[field]]


def test_failures_begin_and_end(side: Side) -> None:
    hardware = Hardware(side.bus.publish, ALL)
    hardware.look(ALL, NOW)
    assert [(topic, operation, value) for topic, operation, value in side.told() if value] == [
        ("FanFailure", Operation.INITIALIZED, "false"),
        ("PowerSupplyFailure", Operation.INITIALIZED, "false"),
        ("TemperatureCritical", Operation.INITIALIZED, "false"),
    ]
    hardware.look(ALL, NOW)
    assert side.told() == []
    bad = replace(ALL, fans=(("fan1", True),), supplies=(("AC0", True),), temperatures=(replace(HOT, value=101.0),))
    hardware.look(bad, NOW)
    assert [(topic, value) for topic, _, value in side.told()] == [
        ("FanFailure", "true"),
        ("PowerSupplyFailure", "true"),
        ("TemperatureCritical", "true"),
    ]
    hardware.look(replace(ALL, temperatures=(replace(HOT, value=98.0),)), NOW)
    assert [(topic, value) for topic, _, value in side.told()] == [
        ("FanFailure", "false"),
        ("PowerSupplyFailure", "false"),
    ]
    hardware.look(ALL, NOW)
    assert side.told() == [("TemperatureCritical", Operation.CHANGED, "false")]


def test_a_link_that_is_lost_talks_at_no_speed(side: Side) -> None:
    hardware = Hardware(side.bus.publish, ALL)
    hardware.look(ALL, NOW)
    (first,) = [event for event in side.events if event.topic == "Monitoring/LinkStatus"]
    assert first.source == (("Token", "eth0"),)
    assert first.elements[0][0] == "Link"
    assert ">1000<" in first.elements[0][1]
    side.events.clear()
    lost = (LinkState(token="eth0", speed=0, full_duplex=True), LinkState(token="usb0", speed=10, full_duplex=True))
    hardware.look(replace(ALL, links=lost), NOW)
    (event,) = side.events
    assert event.source == (("Token", "eth0"),)
    assert ">0<" in event.elements[0][1]


# ---- who is sent what ------------------------------------------------------------------------------


def profile(number: int, *, audio: bool = False) -> MediaProfile:
    return MediaProfile(
        token=f"cam-{number}-main",
        name="",
        fixed=True,
        video_source=f"vs-{number}",
        video_encoder=f"vec-{number}",
        audio_source=f"as-{number}" if audio else None,
        audio_encoder=f"aec-{number}" if audio else None,
        path=f"/live/cam-{number}/main",
        snapshot=True,
    )


MEDIA = MediaModel(profiles=(profile(1, audio=True), profile(2)))


def session(number: int, address: str, path: str = "/live/cam-1/main", *kinds: str) -> SessionSpec:
    return SessionSpec(id=f"rtsp-{number}", account="vms", address=address, path=path, kinds=kinds or ("video",))


def test_clients_are_told_by_what_they_are_sent(side: Side) -> None:
    active = ActiveSessions(side.bus.publish)
    first = session(1, "192.0.2.1", "/live/cam-1/main", "video", "audio")
    active.heard("media-0", (first,), MEDIA, NOW)
    assert sorted(side.told()) == [
        ("AudioEncoder", Operation.INITIALIZED, "192.0.2.1"),
        ("VideoEncoder", Operation.INITIALIZED, "192.0.2.1"),
    ]
    # a second client behind the same address, in another worker
    active.heard("media-1", (session(2, "192.0.2.1"),), MEDIA, NOW)
    assert side.told() == [("VideoEncoder", Operation.CHANGED, "192.0.2.1 192.0.2.1")]
    active.heard("media-1", (session(2, "192.0.2.1"),), MEDIA, NOW)
    assert side.told() == []
    active.heard("media-0", (), MEDIA, NOW)
    assert sorted(side.told()) == [
        ("AudioEncoder", Operation.DELETED, ""),
        ("VideoEncoder", Operation.CHANGED, "192.0.2.1"),
    ]
    active.heard("media-1", (), MEDIA, NOW)
    assert side.told() == [("VideoEncoder", Operation.DELETED, "")]


@pytest.mark.covers("LIV-10")
def test_who_talks_is_told(side: Side) -> None:
    media = MediaModel(profiles=(replace(profile(1), audio_output="ao-1", audio_decoder="adc-1"),))
    active = ActiveSessions(side.bus.publish)
    active.heard("media-0", (session(1, "192.0.2.7", "/live/cam-1/main", "talk"),), media, NOW)
    assert side.told() == [("AudioDecoder", Operation.INITIALIZED, "192.0.2.7")]
    active.heard("media-0", (), media, NOW)
    assert side.told() == [("AudioDecoder", Operation.DELETED, "")]


def test_replay_and_paused_sessions_are_no_live_streams(side: Side) -> None:
    active = ActiveSessions(side.bus.publish)
    paused = SessionSpec(id="rtsp-9", account="vms", address="192.0.2.1", path="/live/cam-1/main", kinds=())
    active.heard("media-0", (paused, session(1, "192.0.2.1", "/replay/rec-cam-1")), MEDIA, NOW)
    assert side.told() == []


def test_the_property_ends_with_its_configuration(side: Side) -> None:
    active = ActiveSessions(side.bus.publish)
    active.heard("media-0", (session(1, "192.0.2.1"),), MEDIA, NOW)
    side.told()
    active.heard("media-0", (session(1, "192.0.2.1"),), MediaModel(), NOW)
    assert side.told() == [("VideoEncoder", Operation.DELETED, "")]
