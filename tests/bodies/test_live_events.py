"""Events for live metadata: which configurations get them."""

from __future__ import annotations

import pytest

from onvifd.bodies.live_events import LiveEvents
from onvifd.clock import SimulatedClock
from onvifd.events import topics
from onvifd.events.bus import EventBus
from onvifd.events.types import Event
from onvifd.onvif.backend import MediaModel, Metadata, MetadataChoice
from onvifd.onvif.notification.topic_expression import CONCRETE
from onvifd.onvif.soap.namespaces import TNS1
from onvifd.workers.messages import LivePart

ONE, TWO = "cam-11111111", "cam-22222222"
MOTION = "tns1:VideoSource/MotionAlarm"


def metadata(camera: str, name: str, **chosen: object) -> Metadata:
    namespaces = (("tns1", TNS1),)
    choice = MetadataChoice(namespaces=namespaces, **chosen)  # type: ignore[arg-type]
    return Metadata(token=f"{name}-{camera}", name=name, camera=camera, choice=choice)


class Rig:
    def __init__(self, *found: Metadata) -> None:
        self.clock = SimulatedClock()
        self.bus = EventBus(self.clock)
        self.sent: list[LivePart] = []
        names = tuple(topic.name for topic in topics.RECORDER_TOPICS)
        self.live = LiveEvents(self.bus, self._owner, names, self.sent.append)
        self.live.start()
        self.live.configure(MediaModel(metadata=found))

    @staticmethod
    def _owner(event: Event) -> str | None:
        return next((value[3:] for _, value in event.source if value[3:] in (ONE, TWO)), None)

    def motion(self, camera: str, moving: bool) -> None:
        self.bus.publish(topics.motion_alarm(f"vs-{camera}", moving, self.clock.utc(), f"rec-{camera}"))

    def told(self) -> list[tuple[str, tuple[str, ...]]]:
        """Cameras and configurations of what was told as news since the last look."""
        found = [(part.camera, part.configurations) for part in self.sent if part.part]
        self.sent.clear()
        return found


@pytest.mark.covers("T-MetadataStream", "M-MetadataStream")
def test_an_event_goes_to_the_configurations_of_its_camera() -> None:
    rig = Rig(metadata(ONE, "a"), metadata(ONE, "b", events=False), metadata(ONE, "c"), metadata(TWO, "a"))
    rig.motion(ONE, True)
    assert rig.told() == [(ONE, (f"a-{ONE}", f"c-{ONE}"))]
    rig.motion(TWO, False)
    assert rig.told() == [(TWO, (f"a-{TWO}",))]
    rig.live.close()
    rig.motion(ONE, False)
    assert not rig.sent


def test_topics_are_selected() -> None:
    rig = Rig(
        metadata(ONE, "motion", topics=MOTION, dialect=CONCRETE),
        metadata(ONE, "loss", topics="tns1:VideoSource/SignalLoss|tns1:Device//."),
    )
    rig.motion(ONE, True)
    assert rig.told() == [(ONE, (f"motion-{ONE}",))]
    rig.bus.publish(topics.signal_loss(f"vs-{ONE}", True, rig.clock.utc(), f"rec-{ONE}"))
    assert rig.told() == [(ONE, (f"loss-{ONE}",))]


def test_what_belongs_to_no_camera_goes_to_who_asked_for_its_topic() -> None:
    rig = Rig(metadata(ONE, "all"), metadata(ONE, "device", topics="tns1:Monitoring//."))
    rig.bus.publish(Event(topic="Monitoring/ProcessorUsage", utc=rig.clock.utc(), source=(("Token", "cpu"),)))
    assert rig.told() == [(ONE, (f"device-{ONE}",))]


@pytest.mark.covers("T-PropertyStateOnSync")
def test_states_are_told_to_who_comes_later() -> None:
    rig = Rig()
    rig.motion(ONE, True)
    assert not rig.sent
    rig.live.configure(MediaModel(metadata=(metadata(ONE, "a"),)))
    first, state = rig.sent
    assert (first.camera, first.anew) == (ONE, True)
    assert state.state
    assert not state.part
    assert b'PropertyOperation="Initialized"' in state.initial
    rig.sent.clear()
    rig.live.configure(MediaModel(metadata=(metadata(ONE, "a"),)))
    assert not rig.sent  # nothing changed
    rig.live.tell(ONE)
    assert [part.state for part in rig.sent] == ["", state.state]
    rig.sent.clear()
    rig.motion(ONE, False)
    (change,) = rig.sent
    assert b'PropertyOperation="Changed"' in change.part
    assert b'PropertyOperation="Initialized"' in change.initial
    rig.sent.clear()
    rig.bus.forget(rig.bus.properties())
    (end,) = rig.sent
    assert b'PropertyOperation="Deleted"' in end.part
    assert not end.initial


def test_a_filter_that_no_longer_selects_anything_is_no_filter_for_all() -> None:
    rig = Rig(metadata(ONE, "old", topics="tns1:Of/Yesterday"))
    rig.motion(ONE, True)
    assert rig.told() == []
