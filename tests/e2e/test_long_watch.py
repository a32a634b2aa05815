"""Several foreign players watch at once: not one gap, not one error of a decoder.

`pytest -s -m soak tests/e2e/test_long_watch.py` takes ten minutes and prints what was seen.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.conftest import device_of, wait_for
from tests.e2e.harness import CLIENTS, Recorder, need
from tests.e2e.test_live_ffmpeg import with_account

SYSTEM_PYTHON = "/usr/bin/python3"
SHORT = 20
LONG = int(os.environ.get("ONVIFD_WATCH", "600"))
SETTLED = 3.0
"""Seconds after which a player has put its clock right by the first sender report."""
BAD = re.compile(r"missed|bad cseq|error|corrupt|conceal|non-existing|invalid|max delay|dropping", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Watch:
    """ffmpeg with one track. `rate` is frames a second, `unit` the time base in which they are told, `step` one frame of it."""

    name: str
    codec: str
    """Of the recorder."""
    transport: str
    track: str
    rate: float
    unit: int
    step: int


WATCHES = (
    Watch("H.264 by TCP", "h264", "tcp", "v", 25, 90_000, 3600),
    Watch("H.264 by UDP", "h264", "udp", "v", 25, 90_000, 3600),
    Watch("G.711 by UDP", "h264", "udp", "a", 25, 8000, 320),
    Watch("H.265 by TCP", "h265", "tcp", "v", 25, 90_000, 3600),
    Watch("AAC by TCP", "h265", "tcp", "a", 16_000 / 1024, 16_000, 1024),
)


def ffmpeg(watch: Watch, uri: str, seconds: int, film: Path) -> list[str]:
    """Keeps what comes and tells its times. It is decoded afterwards: a player that decodes on a busy machine does not read
    its socket in time, and loses datagrams by itself."""
    return [
        *(
            need("ffmpeg"),
            "-nostdin",
            "-v",
            "warning",
            "-rtsp_transport",
            watch.transport,
            "-buffer_size",
            str(4 << 20),
        ),
        *("-i", uri, "-map", f"0:{watch.track}:0", "-t", str(seconds), "-c", "copy", "-f", "framecrc", "pipe:1"),
        *("-map", f"0:{watch.track}:0", "-t", str(seconds), "-c", "copy", str(film)),
    ]


def assert_decodes(watch: Watch, film: Path) -> None:
    command = [need("ffmpeg"), "-nostdin", "-v", "error", "-i", str(film), "-f", "null", "-"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stderr) == (0, ""), f"{watch.name}: {done.stderr[:1000]}"


def main_uri(recorder: Recorder) -> str:
    device = device_of(recorder)
    first = wait_for(lambda: next(iter(device.profiles()), None), seconds=30, what="profiles")
    return with_account(device.stream_uri(first), recorder)


def judge(watch: Watch, output: str, complaints: str, seconds: int) -> str:
    """Every frame follows the one before; gives a line that tells what was seen."""
    bad = [line for line in complaints.splitlines() if BAD.search(line)]
    assert not bad, f"{watch.name}: {bad[:10]}"
    times = [int(line.split(",")[2]) for line in output.splitlines() if line and line[0] != "#"]
    whole = seconds * watch.rate
    assert len(times) > whole - 2 * watch.rate, f"{watch.name}: {len(times)} of {whole:.0f}"
    running = [time for time in times if time >= SETTLED * watch.unit]
    holes = [
        (before, after)
        for before, after in itertools.pairwise(running)
        if abs(after - before - watch.step) > watch.step // 8
    ]
    assert not holes, f"{watch.name}: {holes[:10]}"
    return f"{watch.name}: {len(times)} frames in {seconds} s, none missing, none damaged"


def watch_all(recorder: Recorder, modern: Recorder, seconds: int, folder: Path) -> list[str]:
    uris = {"h264": main_uri(recorder), "h265": main_uri(modern)}
    plain = uris["h264"].replace(f"{recorder.user}:{recorder.password}@", "")
    script = str(CLIENTS / "gst_watch.py")
    films = [folder / f"{number}.mkv" for number in range(len(WATCHES))]
    commands = [ffmpeg(watch, uris[watch.codec], seconds, film) for watch, film in zip(WATCHES, films, strict=True)]
    commands.append([SYSTEM_PYTHON, script, plain, recorder.user, recorder.password, str(seconds)])
    # files, for a pipe that is not read at once stops the player behind it
    outputs = [(folder / f"{number}.out", folder / f"{number}.err") for number in range(len(commands))]
    players = []
    try:
        for command, (out, err) in zip(commands, outputs, strict=True):
            with out.open("wb") as stdout, err.open("wb") as stderr:
                players.append(subprocess.Popen(command, stdout=stdout, stderr=stderr))
        for player in players:
            player.wait(seconds + 90)
    finally:
        for player in players:
            if player.poll() is None:
                player.kill()
                player.wait(10)
    said = [(out.read_text(), err.read_text()) for out, err in outputs]
    lines = [
        judge(watch, output, complaints, seconds)
        for watch, (output, complaints) in zip(WATCHES, said[:-1], strict=True)
    ]
    print(*lines, said[-1][0], sep="\n", flush=True)
    for watch, film in zip(WATCHES, films, strict=True):
        assert_decodes(watch, film)
        film.unlink()
    seen = json.loads(said[-1][0].splitlines()[-1])
    assert (seen["gaps"], seen["holes"], seen["lost"], seen["damaged"], seen["complaints"]) == (0, 0, 0, 0, []), seen
    assert seen["buffers"] >= 1
    assert seen["pictures"] > (seconds - 4) * 25, seen
    return [
        *lines,
        f"H.264 by TCP to GStreamer: {seen['pictures']} pictures in {seconds} s, none missing, none damaged",
    ]


@pytest.fixture(scope="module", autouse=True)
def _gstreamer() -> None:
    script = "import gi; gi.require_version('Gst', '1.0'); from gi.repository import Gst; Gst.init(None); assert Gst.ElementFactory.find('avdec_h264')"
    if (
        not Path(SYSTEM_PYTHON).exists()
        or subprocess.run([SYSTEM_PYTHON, "-c", script], capture_output=True).returncode
    ):
        pytest.skip("GStreamer is not complete")


@pytest.mark.covers("S-RTSP", "S-RTP-UDP", "T-RTSP", "T-RTP-UDP", "T-H264orH265", "T-G711orAAC")
def test_a_short_watch(recorder: Recorder, modern: Recorder, tmp_path: Path) -> None:
    watch_all(recorder, modern, SHORT, tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(LONG + 400)
def test_a_watch_of_ten_minutes(recorder: Recorder, modern: Recorder, tmp_path: Path) -> None:
    print(*watch_all(recorder, modern, LONG, tmp_path), sep="\n")
