"""Fragmented MP4: what players get to see."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest

from onvifd.clock import US, ntp_to_utc
from onvifd.errors import InvalidArgument, NotSupported
from onvifd.media import mp4
from onvifd.media.mp4_parse import boxes, parse_init
from onvifd.media.types import AccessUnit, Codec, TrackFormat

T0 = 1_767_225_600 * US + 123_457
PCMU = TrackFormat(codec=Codec.PCMU, clock_rate=8000, channels=1)
Encoded = tuple[TrackFormat, list[AccessUnit]]


def video_run(units: list[AccessUnit], decode_time: int = 0) -> mp4.Run:
    samples = [mp4.Sample(unit.data, 40_000, unit.key) for unit in units]
    return mp4.Run(0, T0 + decode_time, decode_time, samples)


def test_file_decodes_and_lasts_as_long_as_it_says(clip: Encoded, tmp_path: Path) -> None:
    track, units = clip
    path = tmp_path / "a.mp4"
    audio = mp4.Run(1, T0, 0, [mp4.Sample(b"\xff" * 160, 160, True)] * 12)
    path.write_bytes(
        mp4.init_segment([track, PCMU])
        + mp4.build_fragment(1, [video_run(units[:3]), audio])
        + mp4.build_fragment(2, [video_run(units[3:], 120_000)])
    )
    decoded = subprocess.run(
        ["ffmpeg", "-nostdin", "-v", "error", "-i", path, "-f", "null", "-"], capture_output=True, text=True, timeout=60
    )
    assert (decoded.returncode, decoded.stderr) == (0, "")
    probed = subprocess.run(
        [
            "ffprobe",
            "-v",
            "error",
            "-show_entries",
            "format=duration:stream=codec_name,width,height",
            "-of",
            "csv",
            path,
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    name = {"h264": "h264", "h265": "hevc"}[track.codec.value]
    assert probed.stdout.split() == [f"stream,{name},320,180", "stream,pcm_mulaw", "format,0.240000"]


def test_each_track_has_its_own_reference_time(clip: Encoded) -> None:
    _, units = clip
    audio = mp4.Run(1, T0 + 7, 0, [mp4.Sample(b"\xff" * 160, 160, True)])
    data = mp4.build_fragment(1, [video_run(units), audio])
    found = [each for each in boxes(data) if each.kind == b"prft"]
    times = [struct.unpack_from(">IQ", data, each.body + 4) for each in found]
    assert [(track, ntp_to_utc(ntp)) for track, ntp in times] == [(1, T0), (2, T0 + 7)]


def test_a_fragment_is_reference_times_then_moof_then_mdat(clip: Encoded) -> None:
    _, units = clip
    data = mp4.build_fragment(1, [video_run(units)])
    assert [each.kind for each in boxes(data)] == [b"prft", b"moof", b"mdat"]


def test_run_end_is_the_end_of_the_last_sample(clip: Encoded) -> None:
    track, units = clip
    assert mp4.run_end(video_run(units), track) == T0 + 6 * 40_000
    assert mp4.run_end(mp4.Run(1, T0, 0, [mp4.Sample(b"x", 160, True)]), PCMU) == T0 + 20_000


@pytest.mark.parametrize(
    ("codec", "size", "duration"), [(Codec.PCMU, 160, 160), (Codec.PCMA, 320, 320), (Codec.H264, 9, None)]
)
def test_audio_units_have_their_own_duration(codec: Codec, size: int, duration: int | None) -> None:
    assert mp4.unit_duration(TrackFormat(codec=codec, clock_rate=8000, channels=1), bytes(size)) == duration


def test_video_without_parameter_sets_has_no_head() -> None:
    with pytest.raises(InvalidArgument):
        mp4.init_segment([TrackFormat(codec=Codec.H264, clock_rate=90000)])


def test_encodings_without_sample_entry_are_refused() -> None:
    with pytest.raises(NotSupported):
        mp4.init_segment([TrackFormat(codec=Codec.G726, clock_rate=8000)])


def test_a_fragment_without_samples_is_refused() -> None:
    with pytest.raises(InvalidArgument):
        mp4.build_fragment(1, [mp4.Run(0, T0, 0, [])])


def test_jpeg_needs_its_size() -> None:
    with pytest.raises(InvalidArgument):
        mp4.init_segment([TrackFormat(codec=Codec.JPEG, clock_rate=90000)])
    known = TrackFormat(codec=Codec.JPEG, clock_rate=90000, width=640, height=360)
    assert parse_init(mp4.init_segment([known])) == (known,)


def test_mpeg4_and_opus_come_back_as_they_were() -> None:
    config = bytes.fromhex("000001b001000001b58913000001000000012000c48d8800cd14042d1463")
    video = TrackFormat(codec=Codec.MPEG4, clock_rate=90000, config=config, width=640, height=360)
    sound = TrackFormat(codec=Codec.OPUS, clock_rate=48000, channels=2)
    assert parse_init(mp4.init_segment([video, sound])) == (video, sound)
    # CELT, 20 ms (RFC 6716 table 2), one and two frames
    assert mp4.unit_duration(sound, b"\xfc" + bytes(20)) == 960
    assert mp4.unit_duration(sound, b"\xfd" + bytes(20)) == 1920
    assert mp4.unit_duration(sound, b"\xff\x03" + bytes(20)) == 2880
    assert mp4.unit_duration(sound, b"") == 0
