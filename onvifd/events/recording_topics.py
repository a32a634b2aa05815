"""Topics of recordings, tracks and jobs that come, change and go (RecordingControl 5.29)."""

from __future__ import annotations

from lxml import etree

from onvifd.clock import isoformat
from onvifd.events.topic import DATETIME, Item, Topic, message
from onvifd.events.types import Event
from onvifd.onvif.soap.codec import encode
from onvifd.onvif.soap.namespaces import TT
from onvifd.onvif.types import tt

_RECORDING = Item("RecordingToken", f"{{{TT}}}RecordingReference")
_TRACK = Item("TrackToken", f"{{{TT}}}TrackReference")
_JOB = Item("RecordingJobToken", f"{{{TT}}}RecordingJobReference")


def _configuration(name: str, source: tuple[Item, ...], kind: str) -> Topic:
    elements = (Item("Configuration", f"{{{TT}}}{kind}"),)
    return Topic(name=f"RecordingConfig/{name}", is_property=False, source=source, elements=elements)


def _happening(name: str, *source: Item) -> Topic:
    return Topic(name=f"RecordingConfig/{name}", is_property=False, source=source)


# RecordingControl 5.29.2
RECORDING_CONFIGURATION = _configuration("RecordingConfiguration", (_RECORDING,), "RecordingConfiguration")
TRACK_CONFIGURATION = _configuration("TrackConfiguration", (_RECORDING, _TRACK), "TrackConfiguration")
JOB_CONFIGURATION = _configuration("RecordingJobConfiguration", (_JOB,), "RecordingJobConfiguration")
# RecordingControl 5.29.3
DELETE_TRACK_DATA = Topic(
    name="RecordingConfig/DeleteTrackData",
    is_property=False,
    source=(_RECORDING, _TRACK),
    data=(Item("StartTime", DATETIME), Item("EndTime", DATETIME)),
)
# RecordingControl 5.29.4
CREATE_RECORDING = _happening("CreateRecording", _RECORDING)
DELETE_RECORDING = _happening("DeleteRecording", _RECORDING)
CREATE_TRACK = _happening("CreateTrack", _RECORDING, _TRACK)
DELETE_TRACK = _happening("DeleteTrack", _RECORDING, _TRACK)

RECORDING_TOPICS = (
    RECORDING_CONFIGURATION,
    TRACK_CONFIGURATION,
    JOB_CONFIGURATION,
    DELETE_TRACK_DATA,
    CREATE_RECORDING,
    DELETE_RECORDING,
    CREATE_TRACK,
    DELETE_TRACK,
)


def _element(value: object, tag: str) -> str:
    node = encode(value, f"{{{TT}}}{tag}")
    etree.cleanup_namespaces(node)
    return str(etree.tostring(node, encoding="unicode"))


def recording_configuration(recording: str, value: tt.RecordingConfiguration, utc: int) -> Event:
    """The configuration of a recording changed."""
    text = _element(value, "RecordingConfiguration")
    return message(RECORDING_CONFIGURATION, utc, (recording,), (), recording, elements=(text,))


def track_configuration(recording: str, track: str, value: tt.TrackConfiguration, utc: int) -> Event:
    """The configuration of a track changed."""
    text = _element(value, "TrackConfiguration")
    return message(TRACK_CONFIGURATION, utc, (recording, track), (), recording, elements=(text,))


def job_configuration(job: str, recording: str, value: tt.RecordingJobConfiguration, utc: int) -> Event:
    """The configuration of a job, its mode included, changed."""
    text = _element(value, "RecordingJobConfiguration")
    return message(JOB_CONFIGURATION, utc, (job,), (), recording, elements=(text,))


def delete_track_data(recording: str, track: str, start: int, end: int, utc: int) -> Event:
    """Footage of a track from `start` to `end` (microseconds UTC) was deleted."""
    return message(DELETE_TRACK_DATA, utc, (recording, track), (isoformat(start), isoformat(end)), recording)


def create_recording(recording: str, utc: int) -> Event:
    return message(CREATE_RECORDING, utc, (recording,), (), recording)


def delete_recording(recording: str, utc: int) -> Event:
    return message(DELETE_RECORDING, utc, (recording,), (), recording)


def create_track(recording: str, track: str, utc: int) -> Event:
    return message(CREATE_TRACK, utc, (recording, track), (), recording)


def delete_track(recording: str, track: str, utc: int) -> Event:
    return message(DELETE_TRACK, utc, (recording, track), (), recording)
