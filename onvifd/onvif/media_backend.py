"""Media profiles and configurations of a device: plain types, and the protocols that a body implements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from onvifd.cameras.settings import UNTOLD_QUALITY, EncoderChoice, EncoderSettings
from onvifd.media.types import Codec, PtzPart


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
    quality: float = UNTOLD_QUALITY
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
    ptz: frozenset[PtzPart] = frozenset()
    """What can be in it of where the camera looks; empty for a camera that does not move."""
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
