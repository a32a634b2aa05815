"""Cameras that speak RTSP alone: one stream, known by its DESCRIBE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from onvifd.cameras.probe import CameraProbe, ProbedStream
from onvifd.cameras.registry import Credentials, Driver, Role, Stream
from onvifd.errors import InvalidArgument, OnvifdError, Unavailable
from onvifd.media.types import Kind, TrackFormat
from onvifd.media.video import is_sps, parse_sps
from onvifd.rtsp.client import describe

TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class Described:
    """Formats of a stream's usable tracks, and what was left out."""

    formats: tuple[TrackFormat, ...]
    skipped: tuple[str, ...]


async def describe_stream(url: str, credentials: Credentials | None, timeout: float = TIMEOUT) -> Described:
    """What a stream carries. Raises NotAuthorized, InvalidArgument, Unavailable, Timeout."""
    user, password = (credentials.user, credentials.password) if credentials else ("", "")
    try:
        description = await describe(url, user, password, timeout)
    except OnvifdError:
        raise
    except (OSError, ValueError) as error:
        raise Unavailable(f"the camera cannot be described: {error}") from error
    return Described(tuple(track.format for track in description.tracks), description.skipped)


async def probe(url: str, credentials: Credentials | None) -> CameraProbe:
    """Describe the stream at `url`. Raises Unavailable if it has no video, and what `describe_stream` raises."""
    described = await describe_stream(url, credentials)
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
