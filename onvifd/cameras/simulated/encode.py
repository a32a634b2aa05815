"""Encodes the simulated camera's picture and sound into clips, once, and keeps them in a cache folder."""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.video.codeccontext import VideoCodecContext

from onvifd.cameras.simulated import clip as clips
from onvifd.cameras.simulated import picture, sound
from onvifd.cameras.simulated.clip import Clip
from onvifd.errors import NotSupported, Unavailable
from onvifd.media import nal, video
from onvifd.media.types import Codec, TrackFormat

log = logging.getLogger(__name__)

VERSION = 1
"""Raised whenever a clip made from the same parameters would differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSpec:
    """How a stream is encoded. `bitrate` is bit/s, `gop` frames; `scale` is the picture size in grid units."""

    codec: Codec
    scale: int
    bitrate: int
    gop: int = 2 * picture.FPS


@dataclass(frozen=True, slots=True)
class CameraClips:
    """What a simulated camera plays."""

    main: Clip
    sub: Clip
    audio: Clip


def main_spec(codec: Codec) -> VideoSpec:
    """1920 x 1080, about 4 Mbit/s."""
    return VideoSpec(codec=codec, scale=3, bitrate=4_000_000)


def sub_spec(codec: Codec) -> VideoSpec:
    """640 x 360, about 400 kbit/s."""
    return VideoSpec(codec=codec, scale=1, bitrate=400_000)


def encode_picture(camera: int, spec: VideoSpec) -> Clip:
    """Encode the loop of one camera. Takes one to several seconds of one core."""
    drawing = picture.Picture(camera, spec.scale)
    return encode_frames(_frames(drawing), spec, drawing.width, drawing.height, Fraction(picture.FPS))


def _frames(drawing: picture.Picture) -> Iterator[av.VideoFrame]:
    """The loop, drawn in place: the encoder has taken a copy of the canvas when it asks for the next frame."""
    frame = av.VideoFrame.from_numpy_buffer(drawing.canvas, format="yuv420p")
    for index in range(picture.LOOP_FRAMES):
        drawing.draw(index)
        yield frame


def encode_frames(frames: Iterable[av.VideoFrame], spec: VideoSpec, width: int, height: int, rate: Fraction) -> Clip:
    """Encode frames into a clip: closed groups of pictures of fixed length, no B frames."""
    context = _encoder(spec, width, height, rate)
    units = [_unit(spec.codec, packet) for packet in _packets(context, frames, rate)]
    sets = video.find_parameter_sets(spec.codec, units[0][0]) if units else ()
    track = video.with_parameter_sets(TrackFormat(codec=spec.codec, clock_rate=90000), sets)
    return clips.make(track, rate, units)


def _packets(context: VideoCodecContext, frames: Iterable[av.VideoFrame], rate: Fraction) -> Iterator[bytes]:
    for index, frame in enumerate(frames):
        frame.pts = index
        frame.time_base = 1 / rate
        yield from map(bytes, context.encode(frame))
    yield from map(bytes, context.encode(None))


def _unit(codec: Codec, packet: bytes) -> tuple[bytes, bool]:
    data = nal.from_annexb(packet)
    return data, video.is_clean_point(codec, data)


def _encoder(spec: VideoSpec, width: int, height: int, rate: Fraction) -> VideoCodecContext:
    name = {Codec.H264: "libx264", Codec.H265: "libx265"}.get(spec.codec)
    if name is None:
        raise NotSupported(f"the simulated camera does not encode {spec.codec}")
    try:
        context = av.CodecContext.create(name, "w")
    except av.FFmpegError as error:
        raise Unavailable(f"encoder {name} is not available") from error
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.framerate, context.time_base = rate, 1 / rate
    context.bit_rate, context.gop_size = spec.bitrate, spec.gop
    context.thread_count = 1
    kilobits = spec.bitrate // 1000
    limits = f"vbv-maxrate={kilobits * 3 // 2}:vbv-bufsize={kilobits * 2}"
    fixed = f"keyint={spec.gop}:min-keyint={spec.gop}:scenecut=0:bframes=0:{limits}"
    options = {"preset": "ultrafast", "tune": "zerolatency"}
    if spec.codec is Codec.H264:
        options["x264-params"] = fixed
    else:
        options["x265-params"] = (
            f"{fixed}:log-level=none:open-gop=0:repeat-headers=1:info=0:pools=none:frame-threads=1:weightp=0"
        )
    context.options = options
    return context


def cached(folder: Path, name: str, parameters: dict[str, object], make: Callable[[], Clip]) -> Clip:
    """The clip made from `parameters`, from the cache if it is there. Raises Unavailable if it cannot be kept."""
    key = json.dumps({"version": VERSION, **parameters}, sort_keys=True, default=str)
    path = folder / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.clip"
    found = clips.load(path)
    if found is not None:
        return found
    made = make()
    clips.save(made, path)
    log.info("encoded %s: %s, %d kbit/s", path.name, made.format.codec, made.bitrate // 1000)
    return clips.load(path) or made


def load_cameras(
    folder: Path,
    cameras: Iterable[int],
    codec: Codec = Codec.H264,
    audio: Codec = Codec.PCMU,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[int, CameraClips]:
    """Clips of the given camera numbers; what is not in the cache is encoded, on all cores. It blocks.

    `progress` is told how many clips there are of how many, one call after the other. Raises InvalidArgument for camera numbers, NotSupported for codecs, Unavailable for a disk that does not take the clips.
    """
    numbers = sorted(set(cameras))
    specs = (main_spec(codec), sub_spec(codec))

    def stream(camera: int, spec: VideoSpec) -> Clip:
        parameters = {"camera": camera, **asdict(spec)}
        return cached(folder, f"camera{camera}-{codec}-{spec.scale}", parameters, lambda: encode_picture(camera, spec))

    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        sounds = pool.submit(cached, folder, f"sound-{audio}", {"audio": audio}, lambda: sound.encode_sound(audio))
        jobs = {camera: [pool.submit(stream, camera, spec) for spec in specs] for camera in numbers}
        waiting = [sounds, *itertools.chain.from_iterable(jobs.values())]
        for done, _ in enumerate(as_completed(waiting), 1):
            progress(done, len(waiting))
        loop = sounds.result()
        return {camera: CameraClips(main.result(), sub.result(), loop) for camera, (main, sub) in jobs.items()}
