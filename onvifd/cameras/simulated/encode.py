"""Encodes the simulated camera's picture and sound into clips, once, and keeps them in a cache folder."""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
from av.video.codeccontext import VideoCodecContext

from onvifd.cameras.simulated import clip as clips
from onvifd.cameras.simulated import picture, sound
from onvifd.cameras.simulated.clip import Clip
from onvifd.errors import NotSupported, Unavailable
from onvifd.media import fmtp, mpeg4, nal, video
from onvifd.media.types import Codec, TrackFormat

log = logging.getLogger(__name__)

VERSION = 2
"""Raised whenever a clip made from the same parameters would differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSpec:
    """How a stream is encoded. `bitrate` is bit/s, `gop` frames, `fps` a whole number up to that of the picture; `scale` is
    the picture size in grid units."""

    codec: Codec
    scale: int
    bitrate: int
    gop: int = 2 * picture.FPS
    fps: int = picture.FPS


@dataclass(frozen=True, slots=True)
class CameraClips:
    """What a simulated camera plays. `maker` makes its streams otherwise; None where that cannot be done (footage)."""

    main: Clip
    sub: Clip
    audio: Clip
    maker: ClipMaker | None = None


class ClipMaker:
    """Encodes the test picture of one camera, with a cache in `folder`. Methods block."""

    def __init__(self, folder: Path, camera: int, main: VideoSpec, sub: VideoSpec) -> None:
        self._folder = folder
        self._camera = camera
        self.specs = {"main": main, "sub": sub}
        """How the streams are encoded from the beginning."""

    def clip(self, spec: VideoSpec) -> Clip:
        """The whole loop. Raises NotSupported for codecs, Unavailable for a disk that does not take it."""
        spec = self._aim(spec)
        parameters = {"camera": self._camera, **asdict(spec)}
        name = f"camera{self._camera}-{spec.codec}-{spec.scale}"
        return cached(self._folder, name, parameters, lambda: encode_picture(self._camera, spec))

    def _aim(self, spec: VideoSpec) -> VideoSpec:
        """How a stream is encoded that was set to `spec`."""
        return spec if spec in self.specs.values() else replace(spec, bitrate=coarse(spec.bitrate))

    def part(self, spec: VideoSpec, begin: int, end: int) -> list[bytes]:
        """Pictures `begin` to `end` (excluded) of the loop as a group of its own, which starts with a key frame."""
        spec = self._aim(spec)
        drawing = picture.Picture(self._camera, spec.scale)
        numbers = (_shown(number, spec.fps) for number in range(begin, end))
        made = encode_units(_drawn(drawing, numbers), spec, drawing.width, drawing.height, Fraction(spec.fps))
        return [data for data, _ in made]


def coarse(bitrate: int) -> int:
    """The bit rate that is aimed at, not more than the one that was set: clients that write measured rates back find in the
    cache what was made for about the same one."""
    kilobits = max(1, bitrate // 1000)
    step = 1 << max(0, kilobits.bit_length() - 3)
    return kilobits // step * step * 1000


def main_spec(codec: Codec) -> VideoSpec:
    """1920 x 1080, about 4 Mbit/s; JPEG, which takes more for the same picture, in five pictures a second."""
    if codec is Codec.JPEG:
        return VideoSpec(codec=codec, scale=3, bitrate=8_000_000, gop=1, fps=5)
    return VideoSpec(codec=codec, scale=3, bitrate=4_000_000)


def sub_spec(codec: Codec) -> VideoSpec:
    """640 x 360, about 400 kbit/s; as JPEG five pictures a second."""
    if codec is Codec.JPEG:
        return VideoSpec(codec=codec, scale=1, bitrate=1_500_000, gop=1, fps=5)
    return VideoSpec(codec=codec, scale=1, bitrate=400_000)


def encode_picture(camera: int, spec: VideoSpec) -> Clip:
    """Encode the loop of one camera. Takes one to several seconds of one core."""
    drawing = picture.Picture(camera, spec.scale)
    count = spec.fps * picture.LOOP_SECONDS
    frames = _drawn(drawing, (_shown(number, spec.fps) for number in range(count)))
    return encode_frames(frames, spec, drawing.width, drawing.height, Fraction(spec.fps))


def _shown(number: int, fps: int) -> int:
    """Which picture of the loop is shown in frame `number` of a stream of so many frames a second."""
    return number * picture.FPS // fps


def _drawn(drawing: picture.Picture, numbers: Iterable[int]) -> Iterator[av.VideoFrame]:
    """Pictures, drawn in place: the encoder has taken a copy of the canvas when it asks for the next one."""
    frame = av.VideoFrame.from_numpy_buffer(drawing.canvas, format="yuv420p")
    for index in numbers:
        drawing.draw(index)
        yield frame


def encode_frames(frames: Iterable[av.VideoFrame], spec: VideoSpec, width: int, height: int, rate: Fraction) -> Clip:
    """Encode frames into a clip: closed groups of pictures of fixed length, no B frames."""
    units = encode_units(frames, spec, width, height, rate)
    track = TrackFormat(codec=spec.codec, clock_rate=90000, width=width, height=height)
    if spec.codec is Codec.MPEG4:
        track = mpeg4.with_config(track, mpeg4.headers(units[0][0]) if units else b"")
    elif spec.codec is not Codec.JPEG:
        track = video.with_parameter_sets(track, video.find_parameter_sets(spec.codec, units[0][0]) if units else ())
    return clips.make(track, rate, units)


def encode_units(
    frames: Iterable[av.VideoFrame], spec: VideoSpec, width: int, height: int, rate: Fraction
) -> list[tuple[bytes, bool]]:
    """Frames as access units, and whether each is a clean point."""
    context = _encoder(spec, width, height, rate)
    return [_unit(spec.codec, packet) for packet in _packets(context, frames, rate)]


def _packets(context: VideoCodecContext, frames: Iterable[av.VideoFrame], rate: Fraction) -> Iterator[bytes]:
    for index, frame in enumerate(frames):
        frame.pts = index
        frame.time_base = 1 / rate
        yield from map(bytes, context.encode(frame))
    yield from map(bytes, context.encode(None))


def _unit(codec: Codec, packet: bytes) -> tuple[bytes, bool]:
    if codec is Codec.JPEG:
        return packet, True
    if codec is Codec.MPEG4:
        return packet, mpeg4.is_intra(packet)
    data = nal.from_annexb(packet)
    return data, video.is_clean_point(codec, data)


def _encoder(spec: VideoSpec, width: int, height: int, rate: Fraction) -> VideoCodecContext:
    name = _ENCODERS.get(spec.codec)
    if name is None:
        raise NotSupported(f"the simulated camera does not encode {spec.codec}")
    try:
        context = av.CodecContext.create(name, "w")
    except av.FFmpegError as error:
        raise Unavailable(f"encoder {name} is not available") from error
    assert isinstance(context, VideoCodecContext)
    jpeg = spec.codec is Codec.JPEG
    context.width, context.height, context.pix_fmt = width, height, "yuvj420p" if jpeg else "yuv420p"
    context.framerate, context.time_base = rate, 1 / rate
    context.bit_rate, context.gop_size = spec.bitrate, spec.gop
    context.thread_count = 1
    context.options = _options(spec)
    return context


_ENCODERS = {Codec.H264: "libx264", Codec.H265: "libx265", Codec.MPEG4: "mpeg4", Codec.JPEG: "mjpeg"}


def _options(spec: VideoSpec) -> dict[str, str]:
    if spec.codec is Codec.JPEG:
        # RFC 2435 supposes the standard tables
        return {"huffman": "default"}
    if spec.codec is Codec.MPEG4:
        return {"bf": "0", "sc_threshold": "1000000000"}
    kilobits = spec.bitrate // 1000
    limits = f"vbv-maxrate={kilobits * 3 // 2}:vbv-bufsize={kilobits * 2}"
    fixed = f"keyint={spec.gop}:min-keyint={spec.gop}:scenecut=0:bframes=0:{limits}"
    options = {"preset": "ultrafast", "tune": "zerolatency"}
    if spec.codec is Codec.H264:
        return {**options, "x264-params": fixed}
    more = "log-level=none:open-gop=0:repeat-headers=1:info=0:pools=none:frame-threads=1:weightp=0"
    return {**options, "x265-params": f"{fixed}:{more}"}


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
    *,
    latm: bool = False,
) -> dict[int, CameraClips]:
    """Clips of the given camera numbers; what is not in the cache is encoded, on all cores. It blocks.

    `progress` is told how many clips there are of how many, one call after the other. Raises InvalidArgument for camera numbers, NotSupported for codecs, Unavailable for a disk that does not take the clips.
    """
    specs = (main_spec(codec), sub_spec(codec))
    makers = {camera: ClipMaker(folder, camera, *specs) for camera in sorted(set(cameras))}

    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        sounds = pool.submit(load_sound, folder, audio, latm=latm)
        jobs = {camera: [pool.submit(maker.clip, spec) for spec in specs] for camera, maker in makers.items()}
        waiting = [sounds, *itertools.chain.from_iterable(jobs.values())]
        for done, _ in enumerate(as_completed(waiting), 1):
            progress(done, len(waiting))
        loop = sounds.result()
        return {
            camera: CameraClips(main.result(), sub.result(), loop, makers[camera])
            for camera, (main, sub) in jobs.items()
        }


def load_sound(folder: Path, audio: Codec, *, latm: bool = False) -> Clip:
    """The sound, from the cache if it is there; AAC as LATM if that is wanted. It blocks."""
    loop = cached(folder, f"sound-{audio}", {"audio": audio}, lambda: sound.encode_sound(audio))
    return loop.described(fmtp.as_latm(loop.format)) if latm and audio is Codec.AAC else loop
