"""Cameras that speak RTSP alone: one stream, known by its DESCRIBE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from onvifd.cameras.probe import CameraProbe, ProbedStream
from onvifd.cameras.registry import Credentials, Driver, Role, Stream
from onvifd.cameras.ways import TIMEOUT, Asker, Reach
from onvifd.errors import InvalidArgument, Unavailable
from onvifd.media.types import Kind, TrackFormat
from onvifd.media.video import is_sps, parse_sps


@dataclass(frozen=True, slots=True)
class Described:
    """Formats of a stream's usable tracks, and what was left out."""

    formats: tuple[TrackFormat, ...]
    skipped: tuple[str, ...]
    url: str
    reach: Reach
    """Where it was described, and by which way."""


def asker(credentials: Credentials | None, reach: Reach | None = None) -> Asker:
    """Who asks a camera that speaks RTSP alone."""
    return Asker(*((credentials.user, credentials.password) if credentials else ("", "")), reach)


async def describe_stream(ask: Asker, url: str, profile: str = "", timeout: float = TIMEOUT) -> Described:
    """What a stream carries. Raises NotAuthorized, InvalidArgument, Unavailable, Timeout."""
    answered = await ask.ask(url, profile, timeout)
    tracks = tuple(track.format for track in answered.description.tracks)
    return Described(tracks, answered.description.skipped, answered.url, answered.reach)


async def probe(url: str, ask: Asker) -> CameraProbe:
    """Describe the stream at `url`. Raises Unavailable if it has no video, and what `describe_stream` raises."""
    described = await describe_stream(ask, url)
    if not any(track.kind is Kind.VIDEO for track in described.formats):
        raise Unavailable("the stream has no video that the recorder can take")
    stream = refine(Stream(role=Role.MAIN, uri=url), described.formats)
    return CameraProbe(
        driver=Driver.RTSP,
        name=urlsplit(url).hostname or "",
        streams=(ProbedStream(name="stream", video_source="", stream=stream),),
    )


def refine(stream: Stream, formats: Sequence[TrackFormat]) -> Stream:
    """`stream` with what the SDP says: it is nearer to the truth than a configuration."""
    video = next((track for track in formats if track.kind is Kind.VIDEO), None)
    audio = next((track for track in formats if track.kind is Kind.AUDIO), None)
    if video is not None:
        width, height, profile = _picture(video)
        stream = replace(
            stream,
            video_codec=video.codec,
            width=width or stream.width,
            height=height or stream.height,
            encoder_profile=profile or stream.encoder_profile,
        )
    if audio is None:
        return replace(stream, audio_codec=None, sample_rate=0, audio_channels=0, audio_bitrate=0)
    return replace(
        stream,
        audio_codec=audio.codec,
        sample_rate=audio.clock_rate,
        audio_channels=audio.channels or 1,
        # G.711 has 8 bits per sample; for AAC only the configuration tells.
        audio_bitrate=audio.clock_rate * 8 // 1000 if audio.codec.value.startswith("pcm") else stream.audio_bitrate,
    )


def _picture(video: TrackFormat) -> tuple[int, int, str]:
    """Width, height and profile of the parameter sets in the SDP; 0 and empty if there are none or they are damaged."""
    for unit in video.parameter_sets:
        try:
            if unit and is_sps(video.codec, unit):
                sps = parse_sps(video.codec, unit)
                return sps.width, sps.height, sps.profile
        except InvalidArgument:
            break
    return video.width, video.height, ""
