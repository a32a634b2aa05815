"""Small real streams, made with PyAV, and archives made of them."""

from __future__ import annotations

import dataclasses
import itertools
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from onvifd.archive.cache import FragmentCache
from onvifd.archive.disk import DiskPool, SegmentFiles, Volume
from onvifd.archive.index import EndReason
from onvifd.archive.memory import MemorySegmentStore
from onvifd.archive.reader import RecordingReader
from onvifd.archive.segment import Append, SegmentWriter
from onvifd.clock import US
from onvifd.media import g711, nal, sei, video
from onvifd.media.types import AccessUnit, Codec, TrackFormat

T0 = 1_767_225_610 * US
"""2026-01-01T00:00:10Z."""
FPS = 25
FRAME = US // FPS


@dataclasses.dataclass(frozen=True)
class Clip:
    """One group of pictures that can be repeated for ever."""

    format: TrackFormat
    frames: tuple[tuple[bool, bytes], ...]


def encode(codec: Codec, width: int = 160, height: int = 96, seconds: int = 1) -> Clip:
    context = av.CodecContext.create("libx264" if codec is Codec.H264 else "libx265", "w")
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.framerate = FPS
    context.options = {"preset": "ultrafast", "tune": "zerolatency", "g": str(seconds * FPS)}
    if codec is Codec.H265:
        context.options["x265-params"] = f"log-level=none:keyint={seconds * FPS}:bframes=0:repeat-headers=1"
    packets = []
    for index in range(seconds * FPS):
        picture = np.full((height * 3 // 2, width), 128, np.uint8)
        picture[:height, (index * 4) % width :] = 60 + index * 2
        frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts = index
        packets += context.encode(frame)
    packets += context.encode(None)
    frames = tuple((packet.is_keyframe, nal.from_annexb(bytes(packet))) for packet in packets)
    sets = video.find_parameter_sets(codec, frames[0][1])
    return Clip(video.with_parameter_sets(TrackFormat(codec=codec, clock_rate=90000), sets), frames)


def encode_aac() -> tuple[TrackFormat, list[bytes]]:
    context = av.CodecContext.create("aac", "w")
    context.sample_rate, context.layout, context.format = 16000, "mono", "fltp"
    context.open()
    packets = []
    for index in range(20):
        phase = np.arange(index * 1024, (index + 1) * 1024) * (2 * np.pi * 440 / 16000)
        frame = av.AudioFrame.from_ndarray(
            np.sin(phase).astype(np.float32).reshape(1, -1), format="fltp", layout="mono"
        )
        frame.sample_rate, frame.pts = 16000, index * 1024
        packets += context.encode(frame)
    config = bytes(context.extradata or b"")
    format = TrackFormat(codec=Codec.AAC, clock_rate=16000, config=config, channels=1)
    return format, [bytes(packet) for packet in packets]


def video_units(
    clip: Clip, start: int = T0, seconds: float = 3, *, track: int = 0, with_sei: bool = False
) -> Iterator[AccessUnit]:
    """Frames at FPS; the first is a clean point."""
    for index in range(round(seconds * FPS)):
        utc = start + index * FRAME
        key, data = clip.frames[index % len(clip.frames)]
        if with_sei:
            units = list(nal.iterate(data))
            data = nal.join([*units[:-1], sei.build_utc(clip.format.codec, utc), units[-1]])
        yield AccessUnit(track, utc, index * 90000 // FPS, key, data)


PCMU = TrackFormat(codec=Codec.PCMU, clock_rate=8000, channels=1)
PCMA = TrackFormat(codec=Codec.PCMA, clock_rate=8000, channels=1)


def g711_units(start: int = T0, seconds: float = 3, *, track: int = 1) -> Iterator[AccessUnit]:
    """20 ms of a tone per unit."""
    tone = (np.sin(np.arange(160) * (2 * np.pi * 400 / 8000)) * 8000).astype(np.int16)
    data = g711.encode_mulaw(tone)
    for index in range(round(seconds * 50)):
        yield AccessUnit(track, start + index * 20_000, index * 160, True, data)


def aac_units(frames: list[bytes], start: int = T0, seconds: float = 3, *, track: int = 1) -> Iterator[AccessUnit]:
    for index in range(int(seconds * 16000 / 1024)):
        utc = start + index * 1024 * US // 16000
        yield AccessUnit(track, utc, index * 1024, True, frames[index % len(frames)])


def in_order(*tracks: Iterable[AccessUnit]) -> list[AccessUnit]:
    return sorted(itertools.chain(*tracks), key=lambda unit: (unit.utc, unit.track))


@pytest.fixture(scope="session")
def h264() -> Clip:
    return encode(Codec.H264)


@pytest.fixture(scope="session")
def h264_long() -> Clip:
    """Groups of 3 s."""
    return encode(Codec.H264, seconds=3)


@pytest.fixture(scope="session")
def h264_large() -> Clip:
    return encode(Codec.H264, 320, 192)


@pytest.fixture(scope="session")
def h265() -> Clip:
    return encode(Codec.H265)


@pytest.fixture(scope="session")
def aac() -> tuple[TrackFormat, list[bytes]]:
    return encode_aac()


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    root = tmp_path / "volume"
    root.mkdir()
    return Volume("v1", root)


@pytest.fixture
def store() -> MemorySegmentStore:
    return MemorySegmentStore()


Record = Callable[..., SegmentWriter]


@pytest.fixture
def record(volume: Volume, store: MemorySegmentStore) -> Record:
    """Writes units to the volume as the recorder does, without threads."""

    def run(
        formats: list[TrackFormat],
        units: Iterable[AccessUnit],
        *,
        recording: str = "rec-1",
        reason: EndReason | None = EndReason.STOP,
        segment_us: int = 60 * US,
        fragment_us: int = US,
    ) -> SegmentWriter:
        core = SegmentWriter(recording, volume.id, formats, segment_us=segment_us, fragment_us=fragment_us)
        files = SegmentFiles(volume, store)
        actions = [action for unit in units for action in core.feed(unit, unit.utc / US)]
        if reason is not None:
            actions += core.finish(reason)
        for action in actions:
            files.append(action) if isinstance(action, Append) else files.close(action)
        return core

    return run


def segment_files(volume: Volume) -> list[Path]:
    return sorted(volume.root.rglob("*.mp4"))


def assert_decodes(path: Path) -> None:
    """ffmpeg decodes the whole file without a word."""
    done = subprocess.run(
        ["ffmpeg", "-nostdin", "-v", "error", "-i", str(path), "-f", "null", "-"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, ""), path


@pytest.fixture
def pool() -> Iterator[DiskPool]:
    made = DiskPool(4)
    yield made
    made.close()


@pytest.fixture
def reader(store: MemorySegmentStore, volume: Volume, pool: DiskPool) -> RecordingReader:
    return RecordingReader(store, {volume.id: volume}, "rec-1", cache=FragmentCache(), pool=pool)
