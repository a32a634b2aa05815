"""Passes events of cameras on, under the recorder's own tokens. Sans-IO: camera events in, events out.

Motion is not among them in its short form (`VideoSource/MotionAlarm`): that is the recorder's own state of a channel.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from onvifd.bodies.channel import recording_token, source_token
from onvifd.cameras.camera_events import CameraEvent, Items
from onvifd.clock import Clock
from onvifd.events import relayed_topics as known
from onvifd.events.topic import Topic, boolean, message
from onvifd.events.types import Event, Operation

log = logging.getLogger(__name__)

MAX_INSTANCES = 256
"""Properties of one camera that are passed on at once; further ones are not."""
MAX_TOKEN = 64  # tt:ReferenceToken
RULE = "TamperDetector"
"""Name of the one rule that all signs of tampering are told under."""

# Cameras end these topics in the service that finds out; the recorder, which is one device, in one of them.
_IMAGE = re.compile(
    r"VideoSource/(ImageTooBlurry|ImageTooDark|ImageTooBright|GlobalSceneChange)"
    r"(?:/(?:ImagingService|AnalyticsService|RecordingService))?"
)
_SAME = {
    topic.name: topic
    for topic in known.RELAYED_TOPICS
    if topic not in (known.BLURRY, known.DARK, known.BRIGHT, known.SCENE_CHANGE, known.TAMPER)
}
_IMAGES = {
    "ImageTooBlurry": known.BLURRY,
    "ImageTooDark": known.DARK,
    "ImageTooBright": known.BRIGHT,
    "GlobalSceneChange": known.SCENE_CHANGE,
}
_TAMPER = re.compile(r"RuleEngine/TamperDetector(?:/Tamper)?|VideoAnalytics/TamperingDetection")
_TRUE = ("true", "1", "active", "on")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")

Publish = Callable[[Event], object]


@dataclass(slots=True)
class _Heard:
    """What is known of one camera: living properties as published, and the signs of tampering that are on."""

    properties: dict[object, Event] = field(default_factory=dict)
    tampering: set[tuple[str, Items]] = field(default_factory=set)
    full: bool = False


class EventRelay:
    """Implements CameraListener."""

    def __init__(self, publish: Publish, clock: Clock) -> None:
        self._publish = publish
        self._clock = clock
        self._cameras: dict[str, _Heard] = {}

    def camera_events(self, camera: str, events: Sequence[CameraEvent]) -> None:
        """See CameraListener."""
        heard = self._cameras.setdefault(camera, _Heard())
        for event in events:
            image = _IMAGE.fullmatch(event.topic)
            if image is not None:
                self._image(camera, heard, event, _IMAGES[image[1]])
            elif _TAMPER.fullmatch(event.topic):
                self._tamper(camera, heard, event, _state_of(event))
            elif event.topic in _SAME:
                self._same(camera, heard, event, _SAME[event.topic])

    def camera_lost(self, camera: str) -> None:
        """See CameraListener: alarms end, then all states are withdrawn."""
        heard = self._cameras.pop(camera, None)
        if heard is None:
            return
        now = self._clock.utc()
        for event in heard.properties.values():
            # Clients that look at changes only must see an alarm end. Of inputs and relays the state is not known.
            if event.topic not in (known.DIGITAL_INPUT.name, known.RELAY.name) and event.data[0][1] == "true":
                self._publish(replace(event, utc=now, data=((event.data[0][0], "false"),)))
            self._publish(replace(event, utc=now, data=(), operation=Operation.DELETED))

    # ---- one event -----------------------------------------------------------------------------

    def _image(self, camera: str, heard: _Heard, event: CameraEvent, topic: Topic) -> None:
        """A picture that shows nothing useful: told as such, and as tampering."""
        state = _state_of(event)
        made = message(topic, event.utc, (source_token(camera),), (boolean(state),), recording_token(camera))
        self._property(heard, made, deleted=event.operation is Operation.DELETED)
        self._tamper(camera, heard, event, state)

    def _tamper(self, camera: str, heard: _Heard, event: CameraEvent, state: bool) -> None:
        """One property for each camera, true while any sign is on."""
        sign = (event.topic, event.source)
        if state and len(heard.tampering) < MAX_INSTANCES:
            heard.tampering.add(sign)
        elif not state:
            heard.tampering.discard(sign)
        source = (f"vsc-{camera}", analytics_token(camera), RULE)
        on = boolean(bool(heard.tampering))
        self._property(heard, message(known.TAMPER, event.utc, source, (on,), recording_token(camera)))

    def _same(self, camera: str, heard: _Heard, event: CameraEvent, topic: Topic) -> None:
        """A topic that the recorder has, too."""
        given = dict(event.source)
        source = tuple((item.name, _mapped(camera, item.name, given.get(item.name, ""))) for item in topic.source)
        keys, values = dict(event.key), dict(event.data)
        deleted = event.operation is Operation.DELETED
        if any(item.name not in keys for item in topic.key):
            return
        if not deleted and any(item.name not in values for item in topic.data):
            return
        made = Event(
            topic=topic.name,
            utc=event.utc,
            source=source,
            key=tuple((item.name, keys[item.name]) for item in topic.key),
            data=tuple((item.name, _value(topic, values.get(item.name, ""))) for item in topic.data),
            operation=Operation.CHANGED if topic.is_property else None,
            recording=recording_token(camera),
        )
        if topic.is_property:
            self._property(heard, made, deleted=deleted)
        else:
            self._publish(made)

    def _property(self, heard: _Heard, event: Event, *, deleted: bool = False) -> None:
        if deleted:
            if heard.properties.pop(event.instance, None) is not None:
                self._publish(replace(event, data=(), operation=Operation.DELETED))
            return
        if event.instance not in heard.properties and len(heard.properties) >= MAX_INSTANCES:
            if not heard.full:
                heard.full = True
                log.warning("a camera has more than %d states: further ones are not passed on", MAX_INSTANCES)
            return
        heard.properties[event.instance] = event
        self._publish(event)


def _state_of(event: CameraEvent) -> bool:
    """Whether the one state of a message is on. Makers name it State, IsTamper, IsMotion and so on."""
    if event.operation is Operation.DELETED:
        return False
    return any(value.strip().lower() in _TRUE for _, value in event.data)


def _value(topic: Topic, text: str) -> str:
    """A state as its type writes it: cameras write booleans as 1 and relays as true."""
    text = text.strip()
    if topic is known.RELAY:
        return "active" if text.lower() in _TRUE else "inactive"
    if topic.data and topic.data[0].type.endswith("}boolean"):
        return boolean(text.lower() in _TRUE)
    return text


def analytics_token(camera: str) -> str:
    """What stands for a camera's analytics: the recorder has no configuration of them."""
    return f"vac-{camera}"


def _mapped(camera: str, name: str, value: str) -> str:
    """A source item under the recorder's tokens."""
    match name:
        case "VideoSourceConfigurationToken":
            return f"vsc-{camera}"
        case "VideoSource":
            return source_token(camera)
        case "VideoAnalyticsConfigurationToken":
            return analytics_token(camera)
        case "AudioSourceConfigurationToken":
            return f"asc-{camera}"
        case "AudioAnalyticsConfigurationToken":
            return f"aac-{camera}"
        case "InputToken":
            return own_token("di", camera, value)
        case "RelayToken":
            return own_token("ro", camera, value)
    return value


def own_token(kind: str, camera: str, token: str) -> str:
    """A camera's token as one of the recorder: `di-<camera>-<token>`."""
    return f"{kind}-{camera}-{_UNSAFE.sub('_', token) or '0'}"[:MAX_TOKEN]
