"""Real footage as the picture of a simulated camera: copied where that gives a seamless loop, encoded anew otherwise."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer
from av.video.stream import VideoStream

from onvifd.cameras.simulated import clip as clips
from onvifd.cameras.simulated.clip import Clip
from onvifd.cameras.simulated.encode import (
    CameraClips,
    VideoSpec,
    cached,
    encode_frames,
    load_sound,
    main_spec,
    sub_spec,
)
from onvifd.errors import InvalidArgument, NotFound
from onvifd.media import nal, video
from onvifd.media.types import Codec, TrackFormat

log = logging.getLogger(__name__)

MAX_FRAMES = 3000
"""Frames of footage that are used at most: two minutes at 25 frames a second."""

_SUB_WIDTH = 640
_MAX_HEIGHT = 1080
_CODECS = {"h264": Codec.H264, "hevc": Codec.H265}
_OPEN_TIMEOUT = 10.0


def load_footage(
    folder: Path, path: Path, codec: Codec = Codec.H264, audio: Codec = Codec.PCMU, *, latm: bool = False
) -> CameraClips:
    """Clips of a footage file, from the cache in `folder` if they are there; the sound is that of the test picture. It blocks.

    Raises NotFound if there is no such file, InvalidArgument if no video can be read from it, Unavailable for the disk.
    """
    try:
        state = path.stat()
    except OSError as error:
        raise NotFound(f"no footage at {path.name}: {error.strerror}") from error
    parameters: dict[str, object] = {"size": state.st_size, "changed": state.st_mtime_ns, "codec": codec}
    name = f"footage-{path.stem[:40]}"
    main, sub = main_spec(codec), sub_spec(codec)
    return CameraClips(
        cached(
            folder, f"{name}-main", {**parameters, **asdict(main)}, lambda: copy(path) or transcode(path, main, None)
        ),
        cached(folder, f"{name}-sub", {**parameters, **asdict(sub)}, lambda: transcode(path, sub, _SUB_WIDTH)),
        load_sound(folder, audio, latm=latm),
    )


def _open(path: Path) -> tuple[InputContainer, VideoStream, Fraction]:
    try:
        container = av.open(str(path), timeout=_OPEN_TIMEOUT)
    except av.FFmpegError as error:
        raise InvalidArgument(f"{path.name} cannot be read as footage: {error.strerror}") from error
    if not container.streams.video:
        container.close()
        raise InvalidArgument(f"{path.name} has no video")
    stream = container.streams.video[0]
    rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    return container, stream, Fraction(rate) if 1 <= rate <= 120 else Fraction(25)


def copy(path: Path) -> Clip | None:
    """The footage as it is, if it is H.264 or H.265, begins with a key frame and shows frames in the order of decoding."""
    container, stream, rate = _open(path)
    with container:
        codec = _CODECS.get(stream.codec_context.name)
        if codec is None:
            return None
        convert = BitStreamFilterContext("h264_mp4toannexb" if codec is Codec.H264 else "hevc_mp4toannexb", stream)
        units: list[tuple[bytes, bool]] = []
        last = None
        try:
            for packet in islice(container.demux(stream), MAX_FRAMES):
                if packet.pts is None or (last is not None and packet.pts <= last):
                    if packet.size:
                        return None
                    continue
                last = packet.pts
                for whole in convert.filter(packet):
                    data = nal.from_annexb(bytes(whole))
                    units.append((data, video.is_clean_point(codec, data)))
        except av.FFmpegError as error:
            log.warning("footage %s is used up to a fault: %s", path.name, error.strerror)
    if not units or not units[0][1]:
        return None
    track = video.with_parameter_sets(
        TrackFormat(codec=codec, clock_rate=90000), video.find_parameter_sets(codec, units[0][0])
    )
    return clips.make(track, rate, units) if track.width else None


def transcode(path: Path, spec: VideoSpec, width: int | None) -> Clip:
    """The footage encoded anew by `spec`, scaled to `width` pixels or, with None, to at most 1080 lines."""
    container, stream, rate = _open(path)
    with container:
        source_width, source_height = stream.codec_context.width, stream.codec_context.height
        if not source_width or not source_height:
            raise InvalidArgument(f"{path.name} has no picture size")
        if width is None:
            width = source_width * min(_MAX_HEIGHT, source_height) // source_height
        width -= width % 2
        height = width * source_height // source_width // 2 * 2
        return encode_frames(_scaled(container, stream, width, height, path.name), spec, width, height, rate)


def _scaled(
    container: InputContainer, stream: VideoStream, width: int, height: int, name: str
) -> Iterator[av.VideoFrame]:
    try:
        for frame in islice(container.decode(stream), MAX_FRAMES):
            # a new frame, so that no picture type or key flag of the footage reaches the encoder
            yield av.VideoFrame.from_ndarray(frame.to_ndarray(format="yuv420p", width=width, height=height), "yuv420p")
    except av.FFmpegError as error:
        log.warning("footage %s is used up to a fault: %s", name, error.strerror)
