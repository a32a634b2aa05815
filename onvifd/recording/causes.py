"""Events as causes of recording: which camera and record type an event of the bus concerns, and whether it lasts. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from onvifd.events.relayed_topics import DETECTED_SOUND, DIGITAL_INPUT
from onvifd.events.topics import MOTION_ALARM, SIGNAL_LOSS
from onvifd.events.types import Event, Operation
from onvifd.recording.types import RecordType

_MOTION = frozenset(
    (MOTION_ALARM.name, "RuleEngine/CellMotionDetector/Motion", "RuleEngine/MotionRegionDetector/Motion")
)
_ANALYTICS = "RuleEngine/"
RECORDING, SOURCE = "rec-", "vs-"
_TRUE = "true"


@dataclass(frozen=True, slots=True)
class Cause:
    """`key` tells apart causes of a type that last at once; `active` None is something that does not last."""

    camera: str
    kind: RecordType
    key: str
    active: bool | None


def cause_of(event: Event) -> Cause | None:
    """The cause that an event is, or None."""
    kind = _kind(event.topic)
    camera = _camera(event)
    if kind is None or not camera:
        return None
    if event.operation is None:
        return Cause(camera, kind, "", None)
    on = event.operation is not Operation.DELETED and any(value == _TRUE for _, value in event.data)
    return Cause(camera, kind, repr(event.instance), on)


def loss_of(event: Event) -> tuple[str, bool] | None:
    """The camera that was lost (True) or came back, if the event says that."""
    if event.topic != SIGNAL_LOSS.name:
        return None
    camera = next((value.removeprefix(SOURCE) for _, value in event.source if value.startswith(SOURCE)), "")
    lost = event.operation is not Operation.DELETED and any(value == _TRUE for _, value in event.data)
    return (camera, lost) if camera else None


def _kind(topic: str) -> RecordType | None:
    if topic in _MOTION:
        return RecordType.MOTION
    if topic == DIGITAL_INPUT.name:
        return RecordType.ALARM
    if topic.startswith(_ANALYTICS) or topic == DETECTED_SOUND.name:
        return RecordType.INTELLIGENT
    return None


def _camera(event: Event) -> str:
    """Events of a channel name its recording, whose token is made from the camera's id."""
    return event.recording.removeprefix(RECORDING) if event.recording.startswith(RECORDING) else ""
