"""The stream that all benchmarks send: H.264, 1920x1080, 25 fps, about 4 Mbit/s, two-second groups of pictures."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".cache" / "benchmarks"
FPS = 25
SECONDS = 10
BITRATE = 4_000_000


def elementary_stream() -> Path:
    """Annex B file, encoded once."""
    path = FOLDER / f"clip-{BITRATE}.h264"
    if not path.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_bytes(b"".join(_encode()))
        part.rename(path)
    return path


def mp4() -> Path:
    """The same pictures as one MP4 file, for file servers of others."""
    path = elementary_stream().with_suffix(".mp4")
    if not path.exists():
        with av.open(str(elementary_stream()), format="h264") as source, av.open(str(path), "w") as target:
            out = target.add_stream_from_template(source.streams.video[0])
            out.time_base = Fraction(1, 90_000)
            for number, packet in enumerate(source.demux(video=0)):
                if packet.size:
                    packet.pts = packet.dts = number * 3600
                    packet.time_base, packet.duration = Fraction(1, 90_000), 3600
                    packet.stream = out
                    target.mux(packet)
    return path


def access_units() -> list[list[bytes]]:
    """The NAL units of each picture."""
    units: list[list[bytes]] = [[]]
    for nal in _nal_units(elementary_stream().read_bytes()):
        kind = nal[0] & 31
        # A slice ends its picture here (one slice per picture); parameter sets begin the next.
        units[-1].append(nal)
        if kind in (1, 5):
            units.append([])
    return units[:-1]


def _nal_units(data: bytes) -> list[bytes]:
    pieces = data.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")
    return [piece for piece in pieces if piece]


def _encode() -> list[bytes]:
    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt = 1920, 1080, "yuv420p"
    codec.time_base, codec.framerate = Fraction(1, FPS), Fraction(FPS)
    codec.bit_rate = BITRATE
    codec.thread_count = 1
    codec.options = {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "maxrate": str(BITRATE),
        "bufsize": str(BITRATE),
        "x264-params": "slices=1:sliced-threads=0:keyint=50:min-keyint=50:scenecut=0:bframes=0:repeat-headers=1",
    }
    noise = np.random.default_rng(1).integers(0, 24, (1080, 1920), np.uint8)
    base = np.add.outer(np.arange(1080) // 8, np.arange(1920) // 12).astype(np.uint8)
    packets: list[bytes] = []
    for number in range(FPS * SECONDS):
        picture = np.full((1620, 1920), 128, np.uint8)
        picture[:1080] = np.roll(base, number * 5, axis=1) + np.roll(noise, number * 97, axis=1)
        frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts = number
        packets += [bytes(packet) for packet in codec.encode(frame)]
    return packets + [bytes(packet) for packet in codec.encode(None)]
