"""ffprobe and ffmpeg play live streams with the addresses that ONVIF gives."""

from __future__ import annotations

import json
import subprocess
import time
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.e2e.harness import Recorder, need
from tests.e2e.pictures import FRAME_US, apart, grey_frames, loop_time

SIZES = {"main": (1920, 1080), "sub": (640, 360)}


def with_account(uri: str, recorder: Recorder) -> str:
    parts = urlsplit(uri)
    assert (parts.scheme, parts.hostname, parts.port) == ("rtsp", recorder.host, recorder.rtsp_port)
    return urlunsplit(parts._replace(netloc=f"{recorder.user}:{recorder.password}@{parts.netloc}"))


@pytest.mark.covers("P245", "NET-43", "S-RTSP", "S-RTP-UDP", "T-RTSP", "T-RTP-UDP", "T-H264orH265", "T-RTSPDigest")
@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("stream", ["main", "sub"])
def test_live_video_is_decoded_and_shows_the_present(
    recorder: Recorder, streams: dict[str, str], stream: str, transport: str
) -> None:
    width, height = SIZES[stream]
    count = 100 if stream == "sub" else 75
    command = [
        *(need("ffmpeg"), "-nostdin", "-v", "error", "-rtsp_transport", transport, "-fflags", "nobuffer"),
        *("-flags", "low_delay", "-i", with_account(streams[stream], recorder), "-an", "-frames:v", str(count)),
        *("-vsync", "passthrough", "-pix_fmt", "gray", "-f", "rawvideo", "pipe:1"),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as player:
        assert player.stdout is not None
        assert player.stderr is not None
        data, arrived = bytearray(), 0
        deadline = time.monotonic() + 60
        try:
            while chunk := player.stdout.read(width * height):
                data += chunk
                arrived = time.time_ns() // 1000
                assert time.monotonic() < deadline, "ffmpeg did not get its frames in 60 s"
        finally:
            player.kill()
        complaints = player.stderr.read().decode(errors="replace")
    pictures = grey_frames(bytes(data), width, height)
    assert len(pictures) == count, complaints
    times = [loop_time(picture) for picture in pictures]
    # ffmpeg swallows frames while it probes, never in the running stream.
    steps = [apart(after, before) for before, after in zip(times[count // 2 :], times[count // 2 + 1 :], strict=False)]
    assert set(steps) == {FRAME_US}
    # Decoding and the pipe take their time on a busy machine; the loop of 10 s still tells present from past.
    assert apart(times[-1], arrived) < 2_500_000


@pytest.mark.covers("S-H264", "S-GetStreamUri", "T-media2-GetStreamUri", "T-G711orAAC", "A032")
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_probe_sees_video_and_audio(recorder: Recorder, streams: dict[str, str], transport: str) -> None:
    done = subprocess.run(
        [
            *(need("ffprobe"), "-v", "error", "-rtsp_transport", transport, "-show_streams", "-of", "json"),
            with_account(streams["main"], recorder),
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    found = {each["codec_type"]: each for each in json.loads(done.stdout)["streams"]}
    assert (found["video"]["codec_name"], found["video"]["width"], found["video"]["height"]) == ("h264", 1920, 1080)
    assert found["audio"]["codec_name"] in ("pcm_mulaw", "pcm_alaw", "aac")


@pytest.mark.covers("SEC-04", "T-RTSPDigest")
def test_wrong_password_is_refused(recorder: Recorder, streams: dict[str, str]) -> None:
    uri = with_account(streams["sub"], recorder).replace(recorder.password, "wrong")
    done = subprocess.run([need("ffprobe"), "-v", "error", uri], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "401" in done.stderr
    anonymous = subprocess.run(
        [need("ffprobe"), "-v", "error", streams["sub"]], capture_output=True, text=True, timeout=60
    )
    assert "401" in anonymous.stderr
