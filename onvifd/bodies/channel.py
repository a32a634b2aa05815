"""A channel of the recorder: the camera behind it, what its streams carry now, and the tokens that derive from its id.

Pure data and functions: the services' view of a camera (architecture: one device, three bodies).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from onvifd.bodies import media_jpeg
from onvifd.bodies.media_plan import default_multicast, live_path
from onvifd.cameras.registry import (
    job_token,
    profile_token,
    recording_token,
    source_token,
)
from onvifd.cameras.settings import UNTOLD_QUALITY, EncoderSettings
from onvifd.clock import US
from onvifd.media import mpeg4
from onvifd.media.types import Codec, Kind, PtzPart, TrackFormat
from onvifd.onvif.backend import (
    AudioEncoder,
    AudioSource,
    MediaModel,
    MediaProfile,
    Metadata,
    VideoEncoder,
    VideoSource,
)

__all__ = ["job_token", "live_path", "profile_token", "recording_token", "source_token"]

DEFAULT_FRAMERATE = 25.0
EXPECT: Final = 30 * US
"""How long a camera may take to send what it was told to."""
_H264_PROFILES = {66: "Baseline", 77: "Main", 88: "Extended", 100: "High", 110: "High", 122: "High", 244: "High"}
_H265_PROFILES = {1: "Main", 2: "Main10"}


STEADY: Final = 3
"""Reports in a row that must say the same until a measured number is shown: what a client writes back is to be what is shown."""
STALE: Final = 1.5
"""How many times more than the camera says may be measured until it is taken to have been set otherwise since."""
_USUAL_AUDIO: Final = 64
"""kbit/s of sound of which nothing is known yet."""
_AUDIO_BITRATES: Final = (8, 12, 16, 20, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
"""kbit/s that encoders of sound are set to."""


def replay_path(recording: str) -> str:
    return f"/replay/{recording}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the camera says that its encoders are set to, 0 for what it does not say. Bit rates are kbit/s."""

    framerate: float = 0.0
    bitrate: int = 0
    gov_length: int = 0
    audio_bitrate: int = 0
    quality: float | None = None


@dataclass(slots=True)
class Steady:
    """Follows a measured number that must not change with every report."""

    _other: int = 0
    _times: int = 0

    def follow(self, shown: int, measured: int) -> int:
        """What is shown from now on; 0 is not known."""
        if not measured or measured == shown:
            self._times = 0
            return shown
        self._times = self._times + 1 if measured == self._other else 1
        self._other = measured
        return measured if not shown or self._times >= STEADY else shown


@dataclass(slots=True, kw_only=True)
class ChannelStream:
    """One stream of a channel. `formats` is what it carried last, empty if it was never received."""

    name: str
    formats: tuple[TrackFormat, ...] = ()
    framerate: float = 0.0
    bitrate: int = 0
    """Measured bit/s, 0 until known."""
    encoder_profile: str = ""
    """As the camera stated it, perhaps of another encoding than the present one; what the headers say comes first."""
    gov_length: int = 0
    """Measured frames from key frame to key frame, 0 until known."""
    audio_bitrate: int = 0
    """Measured kbit/s of sound, as encoders are set to it; 0 until known."""
    limits: Limits = Limits()
    steady: tuple[Steady, Steady] = field(default_factory=lambda: (Steady(), Steady()))
    """Of `gov_length` and `audio_bitrate`."""
    clients: int = 0
    lost_packets: int = 0
    reconnects: int = 0
    online: bool = False
    reason: str = "not yet connected"
    note: str = ""
    """What was tried while it is lost."""
    expected: tuple[EncoderSettings, int] | None = None
    """What the camera was told to send, and until when (microseconds UTC) that is shown instead of what it sends."""

    def measured(self, gov_length: int, audio_bits: int) -> None:
        """A report: frames between key frames, bit/s of sound."""
        audio = min(_AUDIO_BITRATES, key=lambda rate: abs(1000 * rate - audio_bits)) if audio_bits else 0
        self.gov_length = self.steady[0].follow(self.gov_length, gov_length)
        self.audio_bitrate = self.steady[1].follow(self.audio_bitrate, audio)

    def format_of(self, kind: Kind) -> TrackFormat | None:
        return next((f for f in self.formats if f.kind is kind), None)


@dataclass(slots=True, kw_only=True)
class Channel:
    """A camera as the outside sees it. `record` is the mode of its recording job."""

    camera: str
    number: int
    name: str
    address: str
    location: str
    record: bool
    streams: dict[str, ChannelStream] = field(default_factory=dict)
    talk: tuple[TrackFormat, ...] = ()
    """What its loudspeaker decodes; empty without one."""
    ptz: frozenset[PtzPart] = frozenset()
    """What its metadata was seen to tell of where it looks; empty for a camera that does not move."""
    motion: bool = False
    recording: bool = False
    recording_error: str = ""

    @property
    def main(self) -> ChannelStream:
        return self.streams["main"]

    @property
    def audio(self) -> TrackFormat | None:
        return next((f for s in self.streams.values() if (f := s.format_of(Kind.AUDIO))), None)


def expect(stream: ChannelStream, settings: EncoderSettings, now: int) -> None:
    """The camera was told to send something else."""
    stream.expected = (settings, now + EXPECT)


def _codec_profile(video: TrackFormat) -> str:
    """The profile by the headers; empty while there are none."""
    if video.codec is Codec.MPEG4:
        return "ASP" if mpeg4.is_advanced_simple(video.config) else "SP"
    if video.codec is Codec.H265:
        # general_profile_idc of the SPS (RFC 7798 7.1: profile-id): byte 3 holds space, tier and profile
        sps = next((nal for nal in video.parameter_sets if (nal[0] >> 1) & 0x3F == 33), b"")
        return _H265_PROFILES.get(sps[3] & 0x1F, "Main") if len(sps) > 3 else ""
    sps = next((nal for nal in video.parameter_sets if nal[0] & 0x1F == 7), b"")
    return _H264_PROFILES.get(sps[1], "High") if len(sps) > 1 else ""


def _encoding(track: TrackFormat) -> str:
    """What a camera calls an encoding that is relayed unread; empty for others."""
    unread = track.codec in (Codec.OTHER_VIDEO, Codec.OTHER_AUDIO)
    return track.rtpmap.partition("/")[0] if unread else ""


def _limit(stated: float, measured: float) -> float:
    """The limit of a rate: what the camera says, unless it does more."""
    return stated if stated and measured <= STALE * stated else measured


def _encoder(channel: Channel, stream: ChannelStream, video: TrackFormat) -> VideoEncoder:
    limits = stream.limits
    framerate = _limit(limits.framerate, stream.framerate) or DEFAULT_FRAMERATE
    return VideoEncoder(
        token=f"ve-{channel.camera}-{stream.name}",
        name=f"{channel.name} {stream.name}",
        codec=video.codec,
        encoding=_encoding(video),
        width=video.width,
        height=video.height,
        framerate=round(framerate, 1),
        bitrate=max(1, round(_limit(limits.bitrate, stream.bitrate / 1000))),
        gov_length=limits.gov_length or stream.gov_length or round(framerate),
        profile=_codec_profile(video) or stream.encoder_profile or "Main",
        quality=UNTOLD_QUALITY if limits.quality is None else limits.quality,
        camera=channel.camera,
        stream=stream.name,
        multicast=default_multicast(channel.camera, stream.name, Kind.VIDEO),
    )


def _video_source(channel: Channel, stream: ChannelStream, video: TrackFormat) -> VideoSource:
    return VideoSource(
        token=source_token(channel.camera),
        config_token=f"vsc-{channel.camera}",
        name=channel.name,
        width=video.width,
        height=video.height,
        framerate=round(stream.framerate or DEFAULT_FRAMERATE, 1),
        camera=channel.camera,
    )


def _audio_source(channel: Channel, audio: TrackFormat) -> AudioSource:
    return AudioSource(
        token=f"as-{channel.camera}",
        config_token=f"asc-{channel.camera}",
        name=channel.name,
        channels=max(1, audio.channels),
        camera=channel.camera,
    )


def fixed_bitrate(audio: TrackFormat) -> int:
    """kbit/s of sound whose samples all have the same size (RFC 3551 4.5), else 0."""
    bits = {Codec.PCMU: 8, Codec.PCMA: 8, Codec.L16: 16, Codec.G726: audio.bits}.get(audio.codec, 0)
    return bits * audio.clock_rate * max(1, audio.channels) // 1000


def _audio_encoder(channel: Channel, stream: ChannelStream, audio: TrackFormat) -> AudioEncoder:
    return AudioEncoder(
        token=f"ae-{channel.camera}-{stream.name}",
        name=f"{channel.name} {stream.name} audio",
        codec=audio.codec,
        encoding=_encoding(audio),
        bitrate=fixed_bitrate(audio) or stream.limits.audio_bitrate or stream.audio_bitrate or _USUAL_AUDIO,
        sample_rate=audio.clock_rate,
        channels=max(1, audio.channels),
        camera=channel.camera,
        stream=stream.name,
        multicast=default_multicast(channel.camera, stream.name, Kind.AUDIO),
    )


def metadata_token(camera: str, stream: str) -> str:
    return f"mdc-{camera}-{stream}"


def _metadata(channel: Channel, stream: str) -> Metadata:
    """Everything that there is of a channel is in it until a client selects."""
    return Metadata(
        token=metadata_token(channel.camera, stream),
        name=f"{channel.name} {stream} metadata",
        camera=channel.camera,
        multicast=default_multicast(channel.camera, stream, Kind.METADATA),
        ptz=channel.ptz,
    )


def _profile(channel: Channel, stream: ChannelStream) -> MediaProfile:
    camera = channel.camera
    audible = stream.format_of(Kind.AUDIO) is not None
    return MediaProfile(
        token=profile_token(camera, stream.name),
        name=f"{channel.name} {stream.name}",
        fixed=True,
        video_source=source_token(camera),
        video_encoder=f"ve-{camera}-{stream.name}",
        audio_source=f"as-{camera}" if audible else None,
        audio_encoder=f"ae-{camera}-{stream.name}" if audible else None,
        metadata=metadata_token(camera, stream.name),
        path=live_path(camera, stream.name),
        snapshot=True,
        camera=camera,
    )


def _as_told(encoder: VideoEncoder, stream: ChannelStream, now: int) -> VideoEncoder:
    if stream.expected is None or now > stream.expected[1]:
        return encoder
    told = stream.expected[0]
    return replace(
        encoder, codec=told.codec, width=told.width, height=told.height, profile=told.profile or encoder.profile
    )


def _picture_encoder(channel: Channel, source: VideoSource) -> VideoEncoder:
    """The recorder's own encoder, with its usual settings."""
    usual = media_jpeg.default(source.width, source.height)
    rate, quality = usual.framerate or 1.0, usual.quality or 1.0
    return VideoEncoder(
        token=f"ve-{channel.camera}-{media_jpeg.STREAM}",
        name=f"{channel.name} {media_jpeg.STREAM}",
        codec=Codec.JPEG,
        width=usual.width,
        height=usual.height,
        framerate=rate,
        bitrate=media_jpeg.bitrate(usual.width, usual.height, rate, quality),
        gov_length=1,
        profile="",
        quality=quality,
        camera=channel.camera,
        stream=media_jpeg.STREAM,
        multicast=default_multicast(channel.camera, media_jpeg.STREAM, Kind.VIDEO),
    )


def media_model(channels: tuple[Channel, ...], now: int = 0, *, pictures: bool = False) -> MediaModel:
    """What the media services show of these channels at a time, in their order. Streams never received yet are left out.

    `pictures` is whether there is a stream of JPEG pictures of each."""
    sources: list[VideoSource] = []
    encoders: list[VideoEncoder] = []
    audio_sources: list[AudioSource] = []
    audio_encoders: list[AudioEncoder] = []
    metadata: list[Metadata] = []
    profiles: list[MediaProfile] = []
    for channel in channels:
        known = [(s, v) for s in channel.streams.values() if (v := s.format_of(Kind.VIDEO)) is not None]
        if not known:
            continue
        sources.append(_video_source(channel, *known[0]))
        if channel.audio is not None:
            audio_sources.append(_audio_source(channel, channel.audio))
        for stream, video in known:
            encoders.append(_as_told(_encoder(channel, stream, video), stream, now))
            if (audio := stream.format_of(Kind.AUDIO)) is not None:
                audio_encoders.append(_audio_encoder(channel, stream, audio))
            metadata.append(_metadata(channel, stream.name))
            profiles.append(_profile(channel, stream))
        if pictures:
            encoders.append(_picture_encoder(channel, sources[-1]))
            metadata.append(_metadata(channel, media_jpeg.STREAM))
            profiles.append(_profile(channel, ChannelStream(name=media_jpeg.STREAM)))
    return MediaModel(
        video_sources=tuple(sources),
        video_encoders=tuple(encoders),
        audio_sources=tuple(audio_sources),
        audio_encoders=tuple(audio_encoders),
        metadata=tuple(metadata),
        profiles=tuple(profiles),
    )
