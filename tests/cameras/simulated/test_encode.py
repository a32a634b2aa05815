from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from av.video.codeccontext import VideoCodecContext

from onvifd.cameras.simulated import encode
from onvifd.cameras.simulated.clip import Clip
from onvifd.cameras.simulated.encode import CameraClips, load_cameras
from onvifd.cameras.simulated.picture import BlockCode, read_block_code
from onvifd.errors import NotSupported, Unavailable
from onvifd.media import nal, sei
from onvifd.media.types import Codec


def decode(clip: Clip, numbers: range) -> Iterator[av.VideoFrame]:
    context = av.CodecContext.create("h264" if clip.format.codec is Codec.H264 else "hevc", "r")
    assert isinstance(context, VideoCodecContext)
    for number in numbers:
        yield from context.decode(av.Packet(nal.to_annexb(clip.unit(number, 0).data)))
    yield from context.decode(None)


def check(clip: Clip, width: int, height: int, bitrate: int) -> None:
    assert (clip.format.width, clip.format.height) == (width, height)
    assert clip.count == 250
    assert [index for index in range(250) if clip.key(index)] == [0, 50, 100, 150, 200]
    assert bitrate * 0.85 < clip.bitrate < bitrate * 1.15
    # over the seam: the second round starts from the first frame
    found = []
    for frame in decode(clip, range(300)):
        assert (frame.width, frame.height) == (width, height)
        found.append(read_block_code(frame.to_ndarray(format="gray")))
    assert found == [BlockCode(7, index % 250) for index in range(300)]


def test_h264_main_shows_its_time_in_every_frame(h264: CameraClips) -> None:
    check(h264.main, 1920, 1080, 4_000_000)


def test_h264_sub_shows_its_time_in_every_frame(h264: CameraClips) -> None:
    check(h264.sub, 640, 360, 400_000)


def test_h265_main_shows_its_time_in_every_frame(h265: CameraClips) -> None:
    check(h265.main, 1920, 1080, 4_000_000)


def test_h265_sub_shows_its_time_in_every_frame(h265: CameraClips) -> None:
    check(h265.sub, 640, 360, 400_000)


def test_every_unit_says_its_utc(h264: CameraClips, h265: CameraClips) -> None:
    for clip in (h264.main, h264.sub, h265.main, h265.sub):
        first = clip.number_at(1_767_225_600_000_000)
        for number in range(first, first + 60):
            unit = clip.unit(number, 0)
            assert unit.utc == 1_767_225_600_000_000 + (number - first) * 40_000
            assert sei.find_utc(clip.format.codec, unit.data) == unit.utc
            assert unit.ticks * 100 == unit.utc * 9


def test_clips_are_encoded_once(clip_folder: Path, h264: CameraClips, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Clip:
        raise AssertionError("encoded again")

    monkeypatch.setattr(encode, "encode_picture", fail)
    again = load_cameras(clip_folder, [7])[7]
    assert again.main.format == h264.main.format
    assert [again.main.data(index) for index in range(250)] == [h264.main.data(index) for index in range(250)]


def test_other_codecs_are_refused(clip_folder: Path) -> None:
    with pytest.raises(NotSupported):
        load_cameras(clip_folder, [7], Codec.OTHER_VIDEO)
    with pytest.raises(NotSupported):
        load_cameras(clip_folder, [7], audio=Codec.METADATA)


def test_a_cache_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable):
        load_cameras(tmp_path / "file" / "cache", [])
