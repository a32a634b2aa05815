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
def test_plays_backward(recorder: Recorder, device: Device, footage: str, tmp_path: Path) -> None:
    """Scale -1: the pictures come out in falling order."""
    span = device.span(footage)
    assert span
    # Key frames are at even seconds. A range that ends on one would begin with a group of a single picture, which
    # GStreamer 1.22 clips, and all those behind it with it.
    start, length = (span[0] // (2 * SECOND) * 2 + 5) * SECOND, 6 * SECOND
    answer = replay(recorder, device, footage, "reverse", start, start + length, tmp_path / "frames")
    pictures = grey_frames((tmp_path / "frames").read_bytes(), answer["width"], answer["height"])
    assert len(pictures) >= 6 * 25 - 10
    clocks = [loop_time(picture) for picture in pictures]
    # GStreamer passes on the whole seconds of a time: the range ends up to one earlier.
    assert apart(clocks[0], start + length) <= SECOND + 2 * FRAME_US
    steps = [(before - after) % LOOP_US for before, after in itertools.pairwise(clocks)]
    # On a busy machine the simulated camera leaves out a picture now and then.
    assert set(steps) <= {FRAME_US, 2 * FRAME_US}
    assert steps.count(FRAME_US) > len(steps) * 0.9


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
