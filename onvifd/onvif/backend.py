"""What a device must be able to do: the protocols that a body implements and the services dispatch over.

Services hold no state and translate between these plain types and the ONVIF types. All tokens are at most 64 characters.
Times are integer microseconds UTC. Methods that may touch disk or database are `async`; the others answer from memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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


class Part(StrEnum):
    """What a media profile is made of (tr2:ConfigurationEnumeration)."""

    VIDEO_SOURCE = "VideoSource"
    VIDEO_ENCODER = "VideoEncoder"
    AUDIO_SOURCE = "AudioSource"
    AUDIO_ENCODER = "AudioEncoder"
    AUDIO_OUTPUT = "AudioOutput"
    AUDIO_DECODER = "AudioDecoder"
    METADATA = "Metadata"
    ANALYTICS = "Analytics"
    PTZ = "PTZ"


@dataclass(frozen=True, slots=True)
class MulticastSettings:
    """Where a configuration goes by multicast; RTCP goes to the next port. `address` is a literal of either family, empty if
    it goes nowhere. `auto_start` is whether it is sent without any session."""

    address: str = ""
    port: int = 0
    ttl: int = 1
    auto_start: bool = False

    @property
    def valid(self) -> bool:
        return bool(self.address) and self.port > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSource:
    """A picture source. Its source configuration has the token given in `config_token`.

    Of all configurations `camera` says what they belong to: only those of the same one go together in a profile.
    """

    token: str
    config_token: str
    name: str
    width: int
    height: int
    framerate: float
    camera: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoEncoder:
    """One encoding as the camera delivers it now. `bitrate` is kbit/s, `gov_length` frames, `quality` 0 to 10. `stream` is the
    stream of the camera."""

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
    encoding: str = ""
    """Media subtype, where `codec` only says that it is none that the recorder reads."""
    camera: str = ""
    stream: str = ""
    multicast: MulticastSettings | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioSource:
    token: str
    config_token: str
    name: str
    channels: int
    camera: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioEncoder:
    """`bitrate` is kbit/s, `sample_rate` Hz."""

    token: str
    name: str
    codec: Codec
    bitrate: int
    sample_rate: int
    channels: int = 1
    encoding: str = ""
    """As of VideoEncoder."""
    camera: str = ""
    stream: str = ""
    multicast: MulticastSettings | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioOutput:
    """A loudspeaker at a camera, and its configuration. `level` is 0 to 100, `primacy` who speaks in half duplex (Media2
    5.2.9.1), empty for none."""

    token: str
    config_token: str
    name: str
    camera: str = ""
    level: int = 100
    primacy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioDecoder:
    """What can be sent to a loudspeaker: `encodings` with their bit rates (kbit/s) and sample rates (Hz)."""

    token: str
    name: str
    camera: str = ""
    encodings: tuple[tuple[Codec, tuple[int, ...], tuple[int, ...]], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataChoice:
    """What a metadata configuration selects (tt:MetadataConfiguration). `topics` is a topic expression of `dialect`, empty for
    all events; `namespaces` are the prefixes used in it."""

    analytics: bool = True
    ptz_status: bool = True
    ptz_position: bool = True
    events: bool = True
    topics: str = ""
    dialect: str = ""
    namespaces: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """A metadata configuration."""

    token: str
    name: str
    camera: str = ""
    choice: MetadataChoice = MetadataChoice()
    multicast: MulticastSettings | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaProfile:
    """A profile by the tokens of its parts; `video_source` and `audio_source` name the sources themselves, all others the
    configurations. `path` is the RTSP path of its stream (starts with `/`), empty while it has none. `started` is whether it
    is sent by multicast without any session."""

    token: str
    name: str
    fixed: bool
    video_source: str | None
    video_encoder: str | None
    audio_source: str | None
    audio_encoder: str | None
    path: str
    snapshot: bool
    metadata: str | None = None
    audio_output: str | None = None
    audio_decoder: str | None = None
    analytics: str | None = None
    ptz: str | None = None
    started: bool = False
    camera: str = ""
    """What its configurations belong to, for ever if it is fixed; empty while it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaModel:
    """Everything the media services show, as one consistent snapshot, in channel order."""

    video_sources: tuple[VideoSource, ...] = ()
    video_encoders: tuple[VideoEncoder, ...] = ()
    audio_sources: tuple[AudioSource, ...] = ()
    audio_encoders: tuple[AudioEncoder, ...] = ()
    audio_outputs: tuple[AudioOutput, ...] = ()
    audio_decoders: tuple[AudioDecoder, ...] = ()
    metadata: tuple[Metadata, ...] = ()
    profiles: tuple[MediaProfile, ...] = ()


class MediaBackend(Protocol):
    def media(self) -> MediaModel: ...

    async def snapshot(self, profile_token: str) -> bytes:
        """A JPEG of the latest key frame. Raises NotFound (NoProfile) or Unavailable."""
        ...

    async def synchronize(self, profile_token: str) -> None:
        """Ask for a key frame, and for all metadata anew. Raises NotFound (NoProfile)."""
        ...


class MediaControl(Protocol):
    """Changes of profiles and configurations, of a device that can be configured. What is refused changes nothing."""

    def max_profiles(self) -> int:
        """How many profiles there can be, fixed ones included. Never changes."""
        ...

    async def create_profile(self, name: str, token: str | None, parts: Mapping[Part, str]) -> str:
        """A new profile of these configurations. Raises InvalidArgument (ProfileExists), LimitReached (MaxNVTProfiles),
        NotFound (NoConfig), Conflict (ConfigurationConflict)."""
        ...

    async def delete_profile(self, token: str) -> None:
        """Raises NotFound (NoProfile), SoapFault (DeletionOfFixedProfile)."""
        ...

    async def change_profile(
        self, token: str, *, name: str | None = None, parts: Mapping[Part, str | None], lone_metadata: bool = False
    ) -> None:
        """Put configurations into a profile, or take out those that are None. With `lone_metadata` metadata may stand without
        a source. Raises NotFound (NoProfile, NoConfig), Conflict (ConfigurationConflict)."""
        ...

    async def start_multicast(self, token: str, started: bool) -> None:
        """Send a profile by multicast from now on, whoever listens, or not any more. Raises NotFound (NoProfile)."""
        ...

    async def set_source(self, config_token: str, name: str) -> None:
        """New name of a video or audio source configuration. Raises NotFound (NoConfig)."""
        ...

    async def video_options(self, encoders: Sequence[VideoEncoder]) -> tuple[EncoderChoice, ...]:
        """What can be chosen for these encoders, one entry per codec each."""
        ...

    async def set_video_encoder(
        self, token: str, *, name: str, settings: EncoderSettings, multicast: MulticastSettings | None
    ) -> None:
        """New settings; None keeps those of multicast. A rate or quality that is out of range is adapted. Raises NotFound
        (NoConfig), InvalidArgument (ConfigModify)."""
        ...

    async def set_audio_encoder(self, token: str, *, name: str, multicast: MulticastSettings | None) -> None:
        """Raises NotFound (NoConfig)."""
        ...

    async def set_audio_output(self, config_token: str, *, name: str, level: int, primacy: str) -> None:
        """New settings of a loudspeaker. Raises NotFound (NoConfig)."""
        ...

    async def set_audio_decoder(self, token: str, *, name: str) -> None:
        """Raises NotFound (NoConfig)."""
        ...

    async def set_metadata(
        self, token: str, *, name: str, choice: MetadataChoice, multicast: MulticastSettings | None
    ) -> None:
        """Raises NotFound (NoConfig)."""
        ...


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
