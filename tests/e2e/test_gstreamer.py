"""GStreamer as an ONVIF replay client: the only free one that knows the header extension."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import CLIENTS, Recorder, run_client
from tests.e2e.pictures import FRAME_US, LOOP_US, apart, grey_frames, loop_time
from tests.e2e.soap import Device
from tests.e2e.stored import stored_pictures

SYSTEM_PYTHON = "/usr/bin/python3"
SECOND = 1_000_000


@pytest.fixture(scope="module", autouse=True)
def _gstreamer() -> None:
    script = """
import gi
gi.require_version("Gst", "1.0")
from gi.repository import Gst
Gst.init(None)
names = ("rtspsrc", "rtponvifparse", "rtph264depay", "h264parse", "avdec_h264")
raise SystemExit(", ".join(name for name in names if Gst.ElementFactory.find(name) is None) or 0)
"""
    if not Path(SYSTEM_PYTHON).exists():
        pytest.skip("no system Python")
    done = subprocess.run([SYSTEM_PYTHON, "-c", script], capture_output=True, text=True, timeout=30)
    if done.returncode:
        pytest.skip(f"GStreamer is not complete: {done.stderr.strip()[-200:]}")


def replay(
    recorder: Recorder, device: Device, footage: str, mode: str, start: int, end: int, output: Path
) -> dict[str, Any]:
    return run_client(
        [
            *(
                SYSTEM_PYTHON,
                str(CLIENTS / "gst_replay.py"),
                device.replay_uri(footage),
                recorder.user,
                recorder.password,
            ),
            *(mode, str(start), str(end), str(output)),
        ],
        timeout=60,
    )


@pytest.mark.covers("G-ReplayHeaderExtension", "G-GetReplayUri")
def test_seeks_to_a_clock_time(recorder: Recorder, device: Device, footage: str, tmp_path: Path) -> None:
    span = device.span(footage)
    assert span
    start = span[0] + 9 * SECOND
    answer = replay(recorder, device, footage, "seek", start, span[1], tmp_path / "frames")
    assert answer["pictures"] >= 10
    pictures = grey_frames((tmp_path / "frames").read_bytes(), answer["width"], answer["height"])
    # The first picture is the clean point at or before the start; groups of pictures are 2 s long.
    first = loop_time(pictures[0])
    assert (start - first) % (10 * SECOND) <= 2 * SECOND + FRAME_US
    for number, picture in enumerate(pictures):
        assert apart(loop_time(picture), first + number * FRAME_US) == 0


@pytest.mark.covers("G-ReplayHeaderExtension")
def test_downloads_faster_than_real_time(recorder: Recorder, device: Device, footage: str, tmp_path: Path) -> None:
    span = device.span(footage)
    assert span
    start, length = span[0] + 2 * SECOND, 12 * SECOND
    answer = replay(recorder, device, footage, "download", start, start + length, tmp_path / "frames")
    assert answer["pictures"] >= 12 * 25 - 5
    assert answer["seconds"] * SECOND < length


@pytest.mark.covers("G-ReplayHeaderExtension", "PLY-14")
@pytest.mark.parametrize("begin", [5, 6], ids=["from one second", "from the next"])
def test_plays_backward(recorder: Recorder, device: Device, footage: str, tmp_path: Path, begin: int) -> None:
    """Scale -1: every stored picture of the range comes out once, in falling order."""
    span = device.span(footage)
    assert span
    # One of the two ends on a key frame: groups of pictures are two seconds long.
    start = (span[0] // SECOND + begin) * SECOND
    end = start + 6 * SECOND
    # To GStreamer a picture that begins at the end of a segment lies behind it.
    stored = stored_pictures(recorder.data, footage, start, end - 1)
    assert len(stored) > 5 * 25
    answer = replay(recorder, device, footage, "reverse", start, end, tmp_path / "frames")
    pictures = grey_frames((tmp_path / "frames").read_bytes(), answer["width"], answer["height"])
    assert [loop_time(picture) for picture in pictures] == [utc % LOOP_US for utc in reversed(stored)]
    # Nanoseconds of a fraction of 32 bits round.
    assert all(abs(time - utc) <= 1 for time, utc in zip(answer["times"], reversed(stored), strict=True))


@pytest.mark.covers("G-ReplayHeaderExtension", "PLY-16")
def test_skims_key_frames(recorder: Recorder, device: Device, footage: str, tmp_path: Path) -> None:
    """Frames: intra. The clock in each picture is the time that the header extension gives it."""
    span = device.span(footage)
    assert span
    start, length = span[0] + 3 * SECOND, 12 * SECOND
    answer = replay(recorder, device, footage, "keys", start, start + length, tmp_path / "frames")
    pictures = grey_frames((tmp_path / "frames").read_bytes(), answer["width"], answer["height"])
    times = answer["times"]
    assert 6 <= len(pictures) == len(times) <= 8
    assert all(after - before == 2 * SECOND for before, after in itertools.pairwise(times))
    assert all(apart(loop_time(picture), time) <= FRAME_US for picture, time in zip(pictures, times, strict=True))


@pytest.mark.covers("G-ReplayHeaderExtension")
def test_the_clock_in_each_picture_is_the_time_of_its_packets(
    recorder: Recorder, device: Device, footage: str, tmp_path: Path
) -> None:
    span = device.span(footage)
    assert span
    answer = replay(
        recorder, device, footage, "download", span[0] + 2 * SECOND, span[0] + 4 * SECOND, tmp_path / "frames"
    )
    pictures = grey_frames((tmp_path / "frames").read_bytes(), answer["width"], answer["height"])
    assert len(pictures) == 10
    for picture, time in zip(pictures, answer["times"], strict=False):
        assert apart(loop_time(picture), time) <= FRAME_US
