"""Topics of events that cameras send and the recorder passes on under its own tokens.

Analytics, DeviceIO and Imaging specify them for the device that finds out; a recorder emits them when its cameras do.
"""

from __future__ import annotations

from onvifd.events.topic import BOOLEAN, INTEGER, STRING, TOKEN, Item, Topic, state
from onvifd.onvif.soap.namespaces import TT

_CONFIGURATION = Item("VideoSourceConfigurationToken", TOKEN)
_ANALYTICS = Item("VideoAnalyticsConfigurationToken", TOKEN)
_RULE = Item("Rule", STRING)

# Imaging 5.7: what cameras say of a picture that shows nothing useful.
BLURRY, DARK, BRIGHT, SCENE_CHANGE = (
    state(f"VideoSource/{name}/ImagingService")
    for name in ("ImageTooBlurry", "ImageTooDark", "ImageTooBright", "GlobalSceneChange")
)
TAMPER = Topic(
    name="RuleEngine/TamperDetector/Tamper",
    is_property=True,
    source=(_CONFIGURATION, _ANALYTICS, _RULE),
    data=(Item("IsTamper", BOOLEAN),),
)
"""Not of a specification, but what cameras send and clients look for: some know no `Source` in the topics above."""

# DeviceIO 5.10
DIGITAL_INPUT = Topic(
    name="Device/Trigger/DigitalInput",
    is_property=True,
    source=(Item("InputToken", TOKEN),),
    data=(Item("LogicalState", BOOLEAN),),
)
RELAY = Topic(
    name="Device/Trigger/Relay",
    is_property=True,
    source=(Item("RelayToken", TOKEN),),
    data=(Item("LogicalState", f"{{{TT}}}RelayLogicalState"),),
)

# Analytics A.2 to A.7
CELL_MOTION = Topic(
    name="RuleEngine/CellMotionDetector/Motion",
    is_property=True,
    source=(_CONFIGURATION, _ANALYTICS, _RULE),
    data=(Item("IsMotion", BOOLEAN),),
)
REGION_MOTION = Topic(
    name="RuleEngine/MotionRegionDetector/Motion",
    is_property=True,
    source=(Item("VideoSource", TOKEN), Item("RuleName", STRING)),
    data=(Item("State", BOOLEAN),),
)
LINE_CROSSED = Topic(
    name="RuleEngine/LineDetector/Crossed",
    is_property=False,
    source=(_CONFIGURATION, _ANALYTICS, _RULE),
    data=(Item("ObjectId", INTEGER),),
)
OBJECTS_INSIDE = Topic(
    name="RuleEngine/FieldDetector/ObjectsInside",
    is_property=True,
    source=(_CONFIGURATION, _ANALYTICS, _RULE),
    key=(Item("ObjectId", INTEGER),),
    data=(Item("IsInside", BOOLEAN),),
)
DETECTED_SOUND = Topic(
    name="AudioAnalytics/Audio/DetectedSound",
    is_property=True,
    source=(Item("AudioSourceConfigurationToken", TOKEN), Item("AudioAnalyticsConfigurationToken", TOKEN), _RULE),
    data=(Item("isSoundDetected", BOOLEAN),),
)

RELAYED_TOPICS = (
    BLURRY,
    DARK,
    BRIGHT,
    SCENE_CHANGE,
    TAMPER,
    DIGITAL_INPUT,
    RELAY,
    CELL_MOTION,
    REGION_MOTION,
    LINE_CROSSED,
    OBJECTS_INSIDE,
    DETECTED_SOUND,
)
