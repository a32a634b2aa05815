"""What a device must be able to do: the protocols that a body implements and the services dispatch over.

Services hold no state and translate between these plain types and the ONVIF types. All tokens are at most 64 characters.
Times are integer microseconds UTC. Methods that may touch disk or database are `async`; the others answer from memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from onvifd.access.types import Level
from onvifd.events.types import Event
from onvifd.host.types import Interface as Interface
from onvifd.host.types import Network as Network
from onvifd.media.types import Codec, Kind

# ---- device ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who the device says it is. `uuid` is the stable endpoint reference without `urn:uuid:`."""

    uuid: str
    manufacturer: str
    model: str
    firmware_version: str
    serial_number: str
    hardware_id: str
    name: str
    location: str


@dataclass(frozen=True, slots=True)
class Scope:
    uri: str
    fixed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Public ports; None where a protocol is not served."""

    http: int | None
    https: int | None
    rtsp: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemTime:
    """`timezone` is a POSIX TZ string, `ntp` whether the clock follows NTP, `daylight` whether DST applies now."""

    utc: int
    timezone: str
    ntp: bool
    daylight: bool
    utc_offset: int
    """Seconds east of UTC at `utc`, for LocalDateTime."""


class DeviceBackend(Protocol):
    def identity(self) -> Identity: ...
    def scopes(self) -> tuple[Scope, ...]: ...
    def discoverable(self) -> bool: ...
    def ports(self) -> Ports: ...
    def system_time(self) -> SystemTime: ...
    async def network(self) -> Network: ...
    async def users(self) -> tuple[tuple[str, Level], ...]: ...


# ---- media -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSource:
    """A picture source. Its source configuration has the token `vsc-<token of the camera>` given in `config_token`."""

    token: str
    config_token: str
    name: str
    width: int
    height: int
    framerate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoEncoder:
    """One encoding as the camera delivers it now. `bitrate` is kbit/s, `gov_length` frames, `quality` 0 to 10."""

    token: str
    name: str
    codec: Codec
    width: int
    height: int
    framerate: float
    bitrate: int
    gov_length: int
    profile: str
    """H.264: Baseline, Main, Extended, High; H.265: Main, Main10."""
    quality: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioSource:
    token: str
    config_token: str
    name: str
    channels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioEncoder:
    """`bitrate` is kbit/s, `sample_rate` Hz."""

    token: str
    name: str
    codec: Codec
    bitrate: int
    sample_rate: int
    channels: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaProfile:
    """A profile by the tokens of its parts. `path` is the RTSP path of its stream (starts with `/`)."""

    token: str
    name: str
    fixed: bool
    video_source: str
    video_encoder: str
    audio_source: str | None
    audio_encoder: str | None
    path: str
    snapshot: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaModel:
    """Everything the media services show, as one consistent snapshot, in channel order."""

    video_sources: tuple[VideoSource, ...] = ()
    video_encoders: tuple[VideoEncoder, ...] = ()
    audio_sources: tuple[AudioSource, ...] = ()
    audio_encoders: tuple[AudioEncoder, ...] = ()
    profiles: tuple[MediaProfile, ...] = ()


class MediaBackend(Protocol):
    def media(self) -> MediaModel: ...

    async def snapshot(self, profile_token: str) -> bytes:
        """A JPEG of the latest key frame. Raises NotFound (NoProfile) or Unavailable."""
        ...

    async def synchronize(self, profile_token: str) -> None:
        """Ask for a key frame. Raises NotFound (NoProfile)."""
        ...


# ---- recording, search, replay -----------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """A track as configured. `token` is VIDEO001, AUDIO001 or META001."""

    token: str
    kind: Kind
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A recording as configured. `retention` is seconds, 0 for unlimited. `source_id` is the video source token."""

    token: str
    source_id: str
    source_name: str
    source_location: str
    source_description: str
    source_address: str
    content: str
    retention: int
    tracks: tuple[Track, ...]


class JobState(StrEnum):
    """tt:RecordingJobState values (RecordingControl 5.3.13)."""

    IDLE = "Idle"
    ACTIVE = "Active"
    PARTIAL = "PartiallyActive"
    ERROR = "Error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A recording job. `active` is its mode; `profile` the media profile it records."""

    token: str
    recording: str
    active: bool
    priority: int
    profile: str
    tracks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """State of a job; `tracks` pairs a track token with its state. `error` says why when `state` is Error."""

    job: str
    recording: str
    state: JobState
    profile: str
    tracks: tuple[tuple[str, JobState], ...]
    error: str = ""


class RecordingStatus(StrEnum):
    """tt:RecordingStatus."""

    INITIATED = "Initiated"
    RECORDING = "Recording"
    STOPPED = "Stopped"
    REMOVING = "Removing"
    REMOVED = "Removed"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackData:
    """What a track holds: times of its first and last data."""

    token: str
    kind: Kind
    description: str
    data_from: int
    data_to: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingData:
    """What a recording holds. `earliest` and `latest` are None when it is empty; tracks without data are left out."""

    recording: Recording
    status: RecordingStatus
    earliest: int | None
    latest: int | None
    tracks: tuple[TrackData, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackMedia:
    """Attributes of a track around a moment (tt:TrackAttributes)."""

    token: str
    kind: Kind
    description: str
    data_from: int
    data_to: int
    codec: Codec
    width: int = 0
    height: int = 0
    framerate: float = 0.0
    bitrate: int = 0
    sample_rate: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingMedia:
    """Media attributes of a recording between two times (tt:MediaAttributes)."""

    recording: str
    start: int
    until: int
    tracks: tuple[TrackMedia, ...]


class RecordingBackend(Protocol):
    """Recordings and jobs. Every change raises the events that the specification names, on the event bus of the body."""

    def recordings(self) -> tuple[Recording, ...]: ...
    def jobs(self) -> tuple[Job, ...]: ...

    def job_status(self, token: str) -> JobStatus:
        """Raises NotFound (NoRecordingJob)."""
        ...

    async def set_job_mode(self, token: str, active: bool) -> None:
        """Persist and apply a job's mode. Raises NotFound (NoRecordingJob)."""
        ...


class SearchBackend(Protocol):
    async def recording_data(self, tokens: tuple[str, ...] | None = None) -> tuple[RecordingData, ...]:
        """What the recordings hold, all or those named. Raises NotFound (InvalidToken)."""
        ...

    async def media_attributes(self, tokens: tuple[str, ...], at: int) -> tuple[RecordingMedia, ...]:
        """At most one entry per recording: none if nothing was recorded at `at`. Raises NotFound (InvalidToken)."""
        ...

    async def events(
        self, *, start: int, end: int | None, recordings: frozenset[str], backward: bool, limit: int
    ) -> tuple[tuple[str, Event], ...]:
        """Stored events of the named recordings between two times in order (newest first if `backward`), at most `limit`.

        Each comes with its recording's token ("" for events that belong to no recording). `start` <= `end` always.
        """
        ...

    async def states_at(self, at: int, recordings: frozenset[str]) -> tuple[tuple[str, Event], ...]:
        """The value of every property event at a moment, as virtual events with that time (Search 5.2.2)."""
        ...


class ReplayBackend(Protocol):
    def replay_path(self, recording: str) -> str:
        """RTSP path of a recording. Raises NotFound (NoRecording)."""
        ...

    def replay_timeout(self) -> int:
        """Seconds of RTSP session time-out in replay."""
        ...

    async def set_replay_timeout(self, seconds: int) -> None: ...
