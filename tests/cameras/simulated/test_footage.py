from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from onvifd.cameras.simulated.footage import copy, load_footage
from onvifd.errors import InvalidArgument, NotFound
from onvifd.media import nal
from onvifd.media.types import Codec


def footage(path: Path, codec: str, *, bframes: int = 0, frames: int = 30, rate: int = 10) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        assert isinstance(stream.codec_context, VideoCodecContext)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p" if codec == "libx264" else "yuvj420p"
        stream.options = {"bf": str(bframes)} if codec == "libx264" else {}
        for index in range(frames):
            picture = np.full((360, 320), 100, np.uint8)
            picture[:240, index * 8 : index * 8 + 40] = 220
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="yuv420p")))
        container.mux(stream.encode(None))
    return path


def test_footage_without_b_frames_is_copied(tmp_path: Path) -> None:
    path = footage(tmp_path / "plain.mp4", "libx264")
    clips = load_footage(tmp_path / "cache", path)
    assert (clips.main.count, clips.main.rate) == (30, Fraction(10))
    assert (clips.main.format.width, clips.main.format.height) == (320, 240)
    with av.open(str(path)) as container:
        sizes = [packet.size for packet in container.demux(video=0) if packet.size]
    # key frames get the parameter sets in-band
    for index in range(30):
        assert clips.main.key(index) or len(clips.main.data(index)) == sizes[index]
    assert clips.main.key(0)
    assert (clips.sub.format.width, clips.sub.format.height, clips.sub.count) == (640, 480, 30)


@pytest.mark.parametrize(("name", "codec", "bframes"), [("b.mp4", "libx264", 2), ("m.avi", "mjpeg", 0)])
def test_other_footage_is_encoded_anew(tmp_path: Path, name: str, codec: str, bframes: int) -> None:
    path = footage(tmp_path / name, codec, bframes=bframes)
    assert copy(path) is None
    clips = load_footage(tmp_path / "cache", path)
    assert clips.main.format.codec is Codec.H264
    assert clips.main.count == 30
    context = av.CodecContext.create("h264", "r")
    assert isinstance(context, VideoCodecContext)
    frames = []
    for number in range(60):
        frames += context.decode(av.Packet(nal.to_annexb(clips.main.unit(number, 0).data)))
    frames += context.decode(None)
    assert all(frame.pict_type != PictureType.B for frame in frames)
    assert len(frames) == 60


def test_it_is_cached(tmp_path: Path) -> None:
    path = footage(tmp_path / "plain.mp4", "libx264")
    load_footage(tmp_path / "cache", path)
    before = sorted((file.name, file.stat().st_mtime_ns) for file in (tmp_path / "cache").iterdir())
    load_footage(tmp_path / "cache", path)
    assert sorted((file.name, file.stat().st_mtime_ns) for file in (tmp_path / "cache").iterdir()) == before


def test_what_is_no_footage(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        load_footage(tmp_path, tmp_path / "missing.mp4")
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(InvalidArgument):
        load_footage(tmp_path, tmp_path / "text.mp4")
