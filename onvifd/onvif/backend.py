"""What a device must be able to do: the protocols that a body implements and the services dispatch over. Media: `media_backend`.

Services hold no state and translate between these plain types and the ONVIF types. All tokens are at most 64 characters.
Times are integer microseconds UTC. Methods that may touch disk or database are `async`; the others answer from memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeVar

from onvifd.access.types import Level
from onvifd.cameras.settings import EncoderChoice as EncoderChoice
from onvifd.cameras.settings import EncoderSettings as EncoderSettings
from onvifd.events.types import Event
from onvifd.host.types import Interface as Interface
from onvifd.host.types import Network as Network
from onvifd.media.types import Codec, Kind
from onvifd.onvif.media_backend import AudioDecoder as AudioDecoder
from onvifd.onvif.media_backend import AudioEncoder as AudioEncoder
from onvifd.onvif.media_backend import AudioOutput as AudioOutput
from onvifd.onvif.media_backend import AudioSource as AudioSource
from onvifd.onvif.media_backend import MediaBackend as MediaBackend
from onvifd.onvif.media_backend import MediaControl as MediaControl
from onvifd.onvif.media_backend import MediaModel as MediaModel
from onvifd.onvif.media_backend import MediaProfile as MediaProfile
from onvifd.onvif.media_backend import Metadata as Metadata
from onvifd.onvif.media_backend import MetadataChoice as MetadataChoice
from onvifd.onvif.media_backend import MulticastSettings as MulticastSettings
from onvifd.onvif.media_backend import Part as Part
from onvifd.onvif.media_backend import VideoEncoder as VideoEncoder
from onvifd.onvif.media_backend import VideoSource as VideoSource

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


# ---- recording, search, replay -----------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """A track as configured. `token` is VIDEO001, AUDIO001 or META001."""

    token: str
    kind: Kind
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingTarget:
    """Where copies of a recording go besides the recorder's own volumes (tt:RecordingTargetConfiguration).

    `storage` is a token of a storage configuration, `segment` and `span` are microseconds, `strategy` Local or Both.
    """

    storage: str
    format: str
    prefix: str = ""
    postfix: str = ""
    segment: int
    span: int | None = None
    strategy: str = "Local"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A recording as configured. `retention` is seconds, 0 for unlimited. `source_id` is the video source token of those of
    cameras. `dynamic` ones were made by a client."""

    token: str
    source_id: str
    source_name: str
    source_location: str
    source_description: str
    source_address: str
    content: str
    retention: int
    tracks: tuple[Track, ...]
    dynamic: bool = False
    target: RecordingTarget | None = None


class JobState(StrEnum):
    """tt:RecordingJobState values (RecordingControl 5.3.13)."""

    IDLE = "Idle"
    ACTIVE = "Active"
    PARTIAL = "PartiallyActive"
    ERROR = "Error"


class SourceKind(StrEnum):
    """What a job's source token names (RecordingControl 5.3.3)."""

    PROFILE = "profile"
    RECEIVER = "receiver"


@dataclass(frozen=True, slots=True)
class JobTrack:
    """A track of the source, and the track of the recording that it goes to."""

    source_tag: str
    destination: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSource:
    kind: SourceKind
    token: str
    tracks: tuple[JobTrack, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A recording job. `active` is its mode. A `fixed` one belongs to a camera. Of several sources the first that delivers
    is recorded."""

    token: str
    recording: str
    active: bool
    priority: int
    sources: tuple[JobSource, ...]
    fixed: bool = False

    @property
    def profile(self) -> str:
        """The first media profile among its sources; empty for none."""
        return next((source.token for source in self.sources if source.kind is SourceKind.PROFILE), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackStatus:
    """`error` says why when `state` is Error."""

    source_tag: str
    destination: str
    state: JobState
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatus:
    kind: SourceKind
    token: str
    state: JobState
    tracks: tuple[TrackStatus, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """State of a job, of its sources and their tracks (RecordingControl 5.19)."""

    job: str
    recording: str
    state: JobState
    sources: tuple[SourceStatus, ...]

    @property
    def error(self) -> str:
        """Why it is in error; empty if it is not."""
        return next((track.error for source in self.sources for track in source.tracks if track.error), "")


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
    analytics: bool = False
    """Metadata: it holds descriptions of scenes."""
    ptz_spaces: tuple[str, ...] = ()
    """Metadata: the spaces of the PTZ positions in it; empty without positions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingMedia:
    """Media attributes of a recording between two times (tt:MediaAttributes)."""

    recording: str
    start: int
    until: int
    tracks: tuple[TrackMedia, ...]


T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Take = Callable[[int, bytes], T | None]
"""Looks at a tt:MetadataStream document and its time (microseconds UTC); None if it is of no interest."""


class MetadataScan(Protocol[T_co]):
    """What a scan found, in its order. Up to `reached` (inclusive) nothing is left out."""

    @property
    def found(self) -> Sequence[tuple[int, T_co]]: ...
    @property
    def reached(self) -> int: ...


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
        self,
        *,
        start: int,
        end: int | None,
        recordings: frozenset[str],
        backward: bool,
        limit: int,
        topics: Callable[[str], bool] | None = None,
    ) -> tuple[tuple[str, Event], ...]:
        """Stored events of the named recordings between two times in order (newest first if `backward`), at most `limit`.

        Each comes with its recording's token ("" for events that belong to no recording). `start` <= `end` always. `topics`
        says which are wanted; None: all.
        """
        ...

    async def states_at(self, at: int, recordings: frozenset[str]) -> tuple[tuple[str, Event], ...]:
        """The value of every property event at a moment, as virtual events with that time (Search 5.2.2)."""
        ...

    async def scan_metadata(
        self, recording: str, start: int, end: int, take: Take[T], *, backward: bool
    ) -> MetadataScan[T]:
        """What `take` makes of the documents of the metadata track from `start` to `end` inclusive, in order.

        `take` runs in a thread. A scan stops after a fraction of a second: go on behind what it reached.
        """
        ...


class ReplayBackend(Protocol):
    def replay_path(self, recording: str) -> str:
        """RTSP path of a recording. Raises NotFound (NoRecording)."""
        ...

    def replay_timeout(self) -> int:
        """Seconds of RTSP session time-out in replay."""
        ...

    async def set_replay_timeout(self, seconds: int) -> None: ...
