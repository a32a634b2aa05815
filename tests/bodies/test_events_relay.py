"""Events of cameras under the recorder's tokens, and how they end."""

from __future__ import annotations

import pytest

from onvifd.bodies import events_relay as module
from onvifd.bodies.events_relay import EventRelay, own_token
from onvifd.cameras.camera_events import CameraEvent, Items
from onvifd.clock import SimulatedClock
from onvifd.events import relayed_topics as known
from onvifd.events.bus import EventBus
from onvifd.events.topics import RECORDER_TOPICS
from onvifd.events.types import Event, Operation

CAM = "cam-00000001"
Told = list[tuple[str, dict[str, str], dict[str, str], str | None]]


class Side:
    """A relay into a bus, and what came out of it."""

    def __init__(self) -> None:
        self.clock = SimulatedClock()
        self.bus = EventBus(self.clock)
        self.events: list[Event] = []
        self.bus.subscribe(self.events.append)
        self.relay = EventRelay(self.bus.publish, self.clock)

    def hear(self, topic: str, source: Items = (), data: Items = (), **more: object) -> None:
        values = {"key": (), "operation": Operation.CHANGED} | more
        event = CameraEvent(topic=topic, utc=self.clock.utc(), source=source, data=data, **values)  # type: ignore[arg-type]
        self.relay.camera_events(CAM, [event])

    def told(self) -> Told:
        """Topic, source, data and operation of what was published since the last call."""
        events, self.events[:] = list(self.events), []
        return [(e.topic, dict(e.source), dict(e.data), e.operation) for e in events]


@pytest.fixture
def side() -> Side:
    return Side()


TAMPER_SOURCE = {
    "VideoSourceConfigurationToken": f"vsc-{CAM}",
    "VideoAnalyticsConfigurationToken": f"vac-{CAM}",
    "Rule": "TamperDetector",
}


@pytest.mark.covers("T-event-Tampering", "ALM-15", "ALM-16", "P205")
@pytest.mark.parametrize("ending", ["", "/ImagingService", "/AnalyticsService", "/RecordingService"])
@pytest.mark.parametrize(
    ("name", "topic"),
    [
        ("GlobalSceneChange", known.SCENE_CHANGE),
        ("ImageTooDark", known.DARK),
        ("ImageTooBright", known.BRIGHT),
        ("ImageTooBlurry", known.BLURRY),
    ],
)
def test_a_useless_picture_is_told_by_the_specification_and_as_tampering(
    side: Side, name: str, topic: known.Topic, ending: str
) -> None:
    source = (("VideoSource", "1"), ("RuleName", "Any"))
    side.hear(f"VideoSource/{name}{ending}", source, (("State", "1"),))
    own = {"Source": f"vs-{CAM}"}
    assert side.told() == [
        (topic.name, own, {"State": "true"}, "Initialized"),
        (known.TAMPER.name, TAMPER_SOURCE, {"IsTamper": "true"}, "Initialized"),
    ]
    side.hear(f"VideoSource/{name}{ending}", source, (("State", "false"),))
    assert side.told() == [
        (topic.name, own, {"State": "false"}, "Changed"),
        (known.TAMPER.name, TAMPER_SOURCE, {"IsTamper": "false"}, "Changed"),
    ]


def test_tampering_lasts_while_any_sign_is_on(side: Side) -> None:
    side.hear("VideoSource/ImageTooDark/ImagingService", (("Source", "1"),), (("State", "true"),))
    side.hear("RuleEngine/TamperDetector/Tamper", (("Rule", "x"),), (("IsTamper", "true"),))
    side.told()
    side.hear("VideoSource/ImageTooDark/ImagingService", (("Source", "1"),), (("State", "false"),))
    assert [topic for topic, *_ in side.told()] == [known.DARK.name]
    side.hear("RuleEngine/TamperDetector/Tamper", (("Rule", "x"),), (("IsTamper", "false"),))
    assert side.told() == [(known.TAMPER.name, TAMPER_SOURCE, {"IsTamper": "false"}, "Changed")]


@pytest.mark.covers("T-event-DigitalInput", "ALM-07", "P185")
def test_an_input_is_told_under_a_token_of_ours(side: Side) -> None:
    side.hear("Device/Trigger/DigitalInput", (("InputToken", "DI 1"),), (("LogicalState", "1"),))
    source = {"InputToken": f"di-{CAM}-DI_1"}
    assert side.told() == [(known.DIGITAL_INPUT.name, source, {"LogicalState": "true"}, "Initialized")]
    side.hear("Device/Trigger/DigitalInput", (("InputToken", "DI 1"),), (("LogicalState", "false"),))
    assert side.told() == [(known.DIGITAL_INPUT.name, source, {"LogicalState": "false"}, "Changed")]


@pytest.mark.covers("T-event-Relay")
@pytest.mark.parametrize(
    ("given", "told"), [("active", "active"), ("true", "active"), ("inactive", "inactive"), ("0", "inactive")]
)
def test_a_relay_has_the_states_of_its_type(side: Side, given: str, told: str) -> None:
    side.hear("Device/Trigger/Relay", (("RelayToken", "R1"),), (("LogicalState", given),))
    assert side.told() == [(known.RELAY.name, {"RelayToken": f"ro-{CAM}-R1"}, {"LogicalState": told}, "Initialized")]


@pytest.mark.covers("T-event-MotionRegionDetector", "P206", "P207")
def test_rules_keep_their_name_and_get_our_configurations(side: Side) -> None:
    source = (("VideoSourceConfigurationToken", "1"), ("VideoAnalyticsConfigurationToken", "2"), ("Rule", "Gate"))
    side.hear("RuleEngine/CellMotionDetector/Motion", source, (("IsMotion", "true"),))
    side.hear("RuleEngine/LineDetector/Crossed", source, (("ObjectId", "15"),), operation=None)
    side.hear("RuleEngine/FieldDetector/ObjectsInside", source, (("IsInside", "true"),), key=(("ObjectId", "5"),))
    side.hear("RuleEngine/MotionRegionDetector/Motion", (("VideoSource", "1"), ("RuleName", "R")), (("State", "true"),))
    ours = {**TAMPER_SOURCE, "Rule": "Gate"}
    assert side.told() == [
        (known.CELL_MOTION.name, ours, {"IsMotion": "true"}, "Initialized"),
        (known.LINE_CROSSED.name, ours, {"ObjectId": "15"}, None),
        (known.OBJECTS_INSIDE.name, ours, {"IsInside": "true"}, "Initialized"),
        (known.REGION_MOTION.name, {"VideoSource": f"vs-{CAM}", "RuleName": "R"}, {"State": "true"}, "Initialized"),
    ]
    side.hear("RuleEngine/FieldDetector/ObjectsInside", source, key=(("ObjectId", "5"),), operation=Operation.DELETED)
    assert side.told() == [(known.OBJECTS_INSIDE.name, ours, {}, "Deleted")]


def test_alarms_end_when_the_camera_is_lost_and_states_are_withdrawn(side: Side) -> None:
    side.hear("VideoSource/GlobalSceneChange", (("Source", "1"),), (("State", "true"),))
    side.hear("Device/Trigger/DigitalInput", (("InputToken", "1"),), (("LogicalState", "true"),))
    side.told()
    side.relay.camera_lost(CAM)
    assert [(topic, tuple(data.values()), operation) for topic, _, data, operation in side.told()] == [
        (known.SCENE_CHANGE.name, ("false",), "Changed"),
        (known.SCENE_CHANGE.name, (), "Deleted"),
        (known.TAMPER.name, ("false",), "Changed"),
        (known.TAMPER.name, (), "Deleted"),
        (known.DIGITAL_INPUT.name, (), "Deleted"),
    ]
    assert side.bus.properties() == ()
    side.relay.camera_lost(CAM)
    side.relay.camera_lost("cam-ffffffff")
    assert side.told() == []


def test_topics_that_are_not_ours_and_incomplete_messages_are_dropped(side: Side) -> None:
    side.hear("VideoSource/MotionAlarm", (("Source", "1"),), (("State", "true"),))
    side.hear("Maker/Special", (), (("State", "true"),))
    side.hear("Device/Trigger/DigitalInput", (("InputToken", "1"),), (("Other", "true"),))
    side.hear("RuleEngine/FieldDetector/ObjectsInside", (), (("IsInside", "true"),))
    assert side.told() == []


def test_the_number_of_states_is_bounded(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_INSTANCES", 2)
    for number in range(4):
        side.hear("Device/Trigger/DigitalInput", (("InputToken", str(number)),), (("LogicalState", "true"),))
    assert len(side.told()) == 2


def test_everything_that_is_relayed_is_declared() -> None:
    assert set(known.RELAYED_TOPICS) <= set(RECORDER_TOPICS)


def test_tokens_fit_their_type() -> None:
    assert len(own_token("di", CAM, "x" * 200)) == 64
    assert own_token("di", CAM, "") == f"di-{CAM}-0"
