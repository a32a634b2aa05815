"""Every topic this software emits: what its messages hold, and builders that make them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from lxml import etree

from onvifd.events.device_topics import DEVICE_TOPICS
from onvifd.events.hardware_topics import ALWAYS_TOPICS
from onvifd.events.operation_topics import OPERATION_TOPICS
from onvifd.events.receiver_topics import RECEIVER_TOPICS
from onvifd.events.recording_topics import RECORDING_TOPICS
from onvifd.events.relayed_topics import RELAYED_TOPICS
from onvifd.events.security_topics import SECURITY_TOPICS
from onvifd.events.storage_topics import STORAGE_TOPICS
from onvifd.events.topic import BOOLEAN, STRING, TOKEN, Item, Topic, boolean, message, state
from onvifd.events.types import Event
from onvifd.onvif.soap.codec import encode
from onvifd.onvif.soap.namespaces import TT
from onvifd.onvif.types import tt

__all__ = ["Item", "Topic"]

PROFILE_SOURCE = "http://www.onvif.org/ver10/schema/Profile"
"""Type of a source token that names a media profile (RecordingControl 5.3.3)."""
RECEIVER_SOURCE = "http://www.onvif.org/ver10/schema/Receiver"
SOURCE_TYPES = {"profile": PROFILE_SOURCE, "receiver": RECEIVER_SOURCE}

MOTION_ALARM = state("VideoSource/MotionAlarm")
SIGNAL_LOSS = state("VideoSource/SignalLoss")
# Search 5.21
RECORDING_STATE = Topic(
    name="RecordingHistory/Recording/State",
    is_property=True,
    source=(Item("RecordingToken", TOKEN),),
    data=(Item("IsRecording", BOOLEAN),),
)
TRACK_STATE = Topic(
    name="RecordingHistory/Track/State",
    is_property=True,
    source=(Item("RecordingToken", TOKEN), Item("Track", TOKEN)),
    data=(Item("IsDataPresent", BOOLEAN),),
)
# RecordingControl 5.29.1
JOB_STATE = Topic(
    name="RecordingConfig/JobState",
    is_property=True,
    source=(Item("RecordingJobToken", f"{{{TT}}}RecordingJobReference"),),
    data=(Item("State", STRING),),
    elements=(Item("Information", f"{{{TT}}}RecordingJobStateInformation"),),
)
# Media2 5.16.1, 5.16.2
PROFILE_CHANGED = Topic(name="Media/ProfileChanged", is_property=False, source=(Item("Token", TOKEN),))
CONFIGURATION_CHANGED = Topic(
    name="Media/ConfigurationChanged", is_property=False, source=(Item("Token", TOKEN), Item("Type", STRING))
)

# Core 9.11.1
BUFFER_BEGIN = Topic(name="EventBuffer/Begin", is_property=False)

CAMERA_TOPICS = (MOTION_ALARM,)
"""What the simulated camera emits."""

RECORDER_TOPICS = (
    MOTION_ALARM,
    SIGNAL_LOSS,
    RECORDING_STATE,
    TRACK_STATE,
    JOB_STATE,
    PROFILE_CHANGED,
    CONFIGURATION_CHANGED,
    *RECORDING_TOPICS,
    *RECEIVER_TOPICS,
    *OPERATION_TOPICS,
    *DEVICE_TOPICS,
    *ALWAYS_TOPICS,
    *STORAGE_TOPICS,
    *RELAYED_TOPICS,
    *SECURITY_TOPICS,
    BUFFER_BEGIN,
)
"""What the recorder emits on any machine; sensors add theirs (`bodies.events_parts.EventParts.topics`)."""


def motion_alarm(source: str, state: bool, utc: int, recording: str = "") -> Event:
    """Motion begins or ends in the video source `source`."""
    return message(MOTION_ALARM, utc, (source,), (boolean(state),), recording)


def signal_loss(source: str, state: bool, utc: int, recording: str = "") -> Event:
    """The camera behind the video source `source` does not deliver (True), or does again."""
    return message(SIGNAL_LOSS, utc, (source,), (boolean(state),), recording)


def recording_state(recording: str, is_recording: bool, utc: int) -> Event:
    """Recording starts or stops; `utc` is the time of the media, not of sending (Search 5.21)."""
    return message(RECORDING_STATE, utc, (recording,), (boolean(is_recording),), recording)


def track_state(recording: str, track: str, is_data_present: bool, utc: int) -> Event:
    """Data of a track begins or ends; `utc` is the time of the media, not of sending (Search 5.21)."""
    return message(TRACK_STATE, utc, (recording, track), (boolean(is_data_present),), recording)


class TrackStatusLike(Protocol):
    """What `job_state` reads of a track's status (the types of onvif.backend, which is above this room)."""

    @property
    def source_tag(self) -> str: ...
    @property
    def destination(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def error(self) -> str: ...


class SourceStatusLike(Protocol):
    @property
    def kind(self) -> str: ...
    @property
    def token(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def tracks(self) -> Sequence[TrackStatusLike]: ...


class JobStatusLike(Protocol):
    @property
    def job(self) -> str: ...
    @property
    def recording(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def sources(self) -> Sequence[SourceStatusLike]: ...


def _source_state(source: SourceStatusLike) -> tt.RecordingJobStateSource:
    tracks = tuple(
        tt.RecordingJobStateTrack(
            source_tag=track.source_tag,
            destination=track.destination,
            state=str(track.state),
            error=track.error or None,
        )
        for track in source.tracks
    )
    return tt.RecordingJobStateSource(
        source_token=tt.SourceReference(token=source.token, type_=SOURCE_TYPES[source.kind]),
        state=str(source.state),
        tracks=tt.RecordingJobStateTracks(track=tracks),
    )


def job_state_information(status: JobStatusLike) -> tt.RecordingJobStateInformation:
    """The state of a job, its sources and tracks (RecordingControl 5.19)."""
    return tt.RecordingJobStateInformation(
        recording_token=status.recording, state=str(status.state), sources=tuple(map(_source_state, status.sources))
    )


def job_state(status: JobStatusLike, utc: int) -> Event:
    """A job's state, with the state of its tracks as element item."""
    node = encode(job_state_information(status))
    etree.cleanup_namespaces(node)
    information = etree.tostring(node, encoding="unicode")
    return message(JOB_STATE, utc, (status.job,), (str(status.state),), status.recording, elements=(information,))


def profile_changed(token: str, utc: int) -> Event:
    """A media profile was created, changed or deleted (Media2 5.16.1)."""
    return Event(topic=PROFILE_CHANGED.name, utc=utc, source=(("Token", token),))


def configuration_changed(token: str, kind: str, utc: int) -> Event:
    """A media configuration changed; `kind` is its tr2:ConfigurationEnumeration value, for example VideoEncoder (Media2 5.16.2)."""
    return Event(topic=CONFIGURATION_CHANGED.name, utc=utc, source=(("Token", token), ("Type", kind)))
