"""The JPEG stream of a camera that sends H.264, as foreign players decode it."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from urllib.parse import quote, urlsplit

import numpy as np
import pytest

from onvifd.cameras.simulated.picture import read_block_code
from tests.e2e.conftest import device_of, wait_for
from tests.e2e.harness import Recorder, need
from tests.e2e.pictures import apart, grey_frames, loop_time
from tests.e2e.soap import Device

SIZE = (640, 360)
STEP = 200_000
"""Microseconds between pictures: five a second."""

FFMPEG = {
    "tcp": ("rtsp_port", ("-rtsp_transport", "tcp")),
    "udp": ("rtsp_port", ("-rtsp_transport", "udp")),
    "http": ("http_port", ("-rtsp_transport", "http")),
}


def jpeg_path(device: Device) -> str:
    """Path of the JPEG stream of the first camera."""
    return urlsplit(device.stream_uri(device.profiles()[0])).path.rpartition("/")[0] + "/jpeg"


def ffmpeg(recorder: Recorder, path: str, way: str, count: int) -> list[str]:
    port, options = FFMPEG[way]
    login = f"{quote(recorder.user)}:{quote(recorder.password)}"
    return [
        *(need("ffmpeg"), "-nostdin", "-v", "error", *options),
        *("-i", f"rtsp://{login}@{recorder.host}:{getattr(recorder, port)}{path}"),
        *("-an", "-frames:v", str(count), "-fps_mode", "passthrough"),
        *("-vf", f"scale={SIZE[0]}:{SIZE[1]}", "-pix_fmt", "gray", "-f", "rawvideo", "pipe:1"),
    ]


def assert_pictures(data: bytes, count: int) -> None:
    """They show the first camera, one fifth of a second after the other."""
    pictures = grey_frames(data, *SIZE)
    assert len(pictures) == count
    code = read_block_code(np.ascontiguousarray(pictures[0]))
    assert code is not None
    shown = [loop_time(each) for each in pictures]
    steps = [apart(before, after) for before, after in itertools.pairwise(shown)]
    assert sorted(steps)[len(steps) // 2] == STEP


@pytest.mark.covers("S-JPEG")
@pytest.mark.parametrize("way", FFMPEG)
def test_ffmpeg_decodes_it(recorder: Recorder, device: Device, way: str) -> None:
    done = subprocess.run(ffmpeg(recorder, jpeg_path(device), way, 10), capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert_pictures(done.stdout, 10)


@pytest.mark.covers("S-JPEG")
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_gstreamer_decodes_it(recorder: Recorder, device: Device, protocol: str, tmp_path: Path) -> None:
    launch = need("gst-launch-1.0")
    if subprocess.run([need("gst-inspect-1.0"), "jpegdec"], capture_output=True, timeout=30).returncode:
        pytest.skip("no JPEG decoder for GStreamer")
    target = tmp_path / "picture.raw"
    command = [
        *(launch, "-q", "rtspsrc", f"location=rtsp://{recorder.host}:{recorder.rtsp_port}{jpeg_path(device)}"),
        *(f"user-id={recorder.user}", f"user-pw={recorder.password}", f"protocols={protocol}"),
        *("!", "application/x-rtp,media=video", "!", "rtpjpegdepay", "!", "jpegdec", "!", "videoconvert", "!"),
        *(f"video/x-raw,format=GRAY8,width={SIZE[0]},height={SIZE[1]}", "!", "identity", "eos-after=6", "!"),
        *("filesink", f"location={target}"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    pictures = grey_frames(target.read_bytes(), *SIZE)
    assert len(pictures) >= 5
    shown = [loop_time(each) for each in pictures]
    assert all(apart(before, after) > 0 for before, after in itertools.pairwise(shown))


def test_pictures_go_on_when_the_vision_worker_dies_and_end_when_nobody_watches(own_recorder: Recorder) -> None:
    recorder = own_recorder
    recorder.start()
    device = device_of(recorder)
    wait_for(lambda: device.profiles() or None, seconds=30, what="profiles")
    path = jpeg_path(device)
    watching = subprocess.Popen(ffmpeg(recorder, path, "tcp", 40), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        wait_for(lambda: re.search(r"plays /live/\S+/jpeg", recorder.log()), seconds=30, what="a session")
        time.sleep(1)  # some pictures in
        (worker,) = recorder.workers("vision")
        os.kill(worker, signal.SIGKILL)
        data, errors = watching.communicate(timeout=60)
    finally:
        if watching.poll() is None:
            watching.kill()
            watching.communicate()
    assert watching.returncode == 0, errors
    assert len(grey_frames(data, *SIZE)) == 40
    assert errors == b""
    assert recorder.workers("vision") != [worker]
    wait_for(lambda: re.search(r"/jpeg: nobody watches", recorder.log()), seconds=30, what="an end")
