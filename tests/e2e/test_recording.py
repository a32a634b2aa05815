"""Files on disk: playable as they lie there, and whole after the worst."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import device_of, wait_for, wait_for_footage
from tests.e2e.harness import PASSWORD, Recorder, alive, need, onvifd
from tests.e2e.rtsp_client import REPLAY, SECOND, RtspClient, clock, units
from tests.e2e.soap import Device


def segments(data: Path) -> list[Path]:
    found = sorted(data.rglob("*.mp4"))
    assert found, f"no segment below {data}"
    return found


def assert_decodes(path: Path) -> None:
    done = subprocess.run(
        [need("ffmpeg"), "-nostdin", "-v", "error", "-i", str(path), "-f", "null", "-"],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (done.returncode, done.stderr) == (0, ""), path.name


def assert_healthy(recorder: Recorder) -> None:
    """`onvifd doctor` compares index and files."""
    done = subprocess.run(
        [onvifd(), "doctor", "--data", str(recorder.data)],
        capture_output=True,
        text=True,
        timeout=100,
        env=os.environ | {"ONVIFD_ADMIN_PASSWORD": PASSWORD},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def recorded_times(recorder: Recorder, device: Device, recording: str) -> list[int]:
    """UTC of every recorded picture, fetched as fast as it comes."""
    span = device.span(recording)
    assert span
    with RtspClient(device.replay_uri(recording), recorder.user, recorder.password) as client:
        video = next(each for each in client.describe() if each.kind == "video")
        client.setup(video, Require=REPLAY)
        client.demand("PLAY", Require=REPLAY, Range=f"clock={clock(span[0])}-{clock(span[1])}", Rate_Control="no")
        return [unit.extension.utc for unit in units(client.packets(seconds=5))]


@pytest.mark.covers("REC-21")
def test_segments_play_as_they_lie_on_disk(recorder: Recorder, footage: str) -> None:
    need("ffmpeg")
    for path in segments(recorder.data):
        done = subprocess.run(
            [need("ffprobe"), "-v", "error", "-show_streams", "-of", "json", str(path)],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        kinds = {stream["codec_type"] for stream in json.loads(done.stdout)["streams"]}
        assert "video" in kinds
        # The file that is being written may grow while ffmpeg reads it; each fragment is whole.
        assert_decodes(path)


@pytest.mark.covers("INI-19")
def test_killed_media_worker_loses_one_fragment_at_most(own_recorder: Recorder) -> None:
    own_recorder.start()
    device = device_of(own_recorder)
    recording = wait_for_footage(device, seconds=8)
    workers = own_recorder.workers("media")
    assert workers
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    killed = time.time_ns() // 1000

    def resumed() -> bool | None:
        span = device.span(recording)
        return True if span and span[1] > killed + 6 * SECOND else None

    wait_for(resumed, seconds=45, what="recording after the worker was killed")
    times = recorded_times(own_recorder, device, recording)
    assert times == sorted(set(times))
    last = max(each for each in times if each <= killed)
    # A fragment lasts a second at most; what was still in memory on the way is on top.
    assert killed - last < 2 * SECOND
    gaps = [after - before for before, after in itertools.pairwise(times) if after - before > SECOND // 2]
    # A camera that sends its last group of pictures first may even close the gap.
    assert len(gaps) <= 1
    own_recorder.stop()
    for path in segments(own_recorder.data):
        assert_decodes(path)
    assert_healthy(own_recorder)


@pytest.mark.covers("INI-19")
def test_killed_recorder_recovers_at_the_next_start(own_recorder: Recorder) -> None:
    own_recorder.start()
    recording = wait_for_footage(device_of(own_recorder), seconds=6)
    own_recorder.kill()
    killed = time.time_ns() // 1000
    own_recorder.start()
    device = device_of(own_recorder)
    assert recording in device.recordings()

    def resumed() -> bool | None:
        span = device.span(recording)
        return True if span and span[1] > killed + 3 * SECOND else None

    wait_for(resumed, seconds=45, what="recording after the restart")
    before = [each for each in recorded_times(own_recorder, device, recording) if each <= killed]
    assert killed - before[-1] < 2 * SECOND
    own_recorder.stop()
    for path in segments(own_recorder.data):
        assert_decodes(path)
    assert_healthy(own_recorder)


@pytest.mark.covers("MNT-19", "P264")
def test_sigterm_closes_files_and_ends_all_processes(own_recorder: Recorder) -> None:
    own_recorder.start()
    wait_for_footage(device_of(own_recorder), seconds=4)
    assert own_recorder.process is not None
    pid = own_recorder.process.pid
    assert own_recorder.stop() < 5
    assert not alive(pid)
    assert "Traceback" not in own_recorder.log()
    assert own_recorder.password not in own_recorder.log()
    for path in segments(own_recorder.data):
        assert_decodes(path)
    assert_healthy(own_recorder)
