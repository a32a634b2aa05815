"""live555 as a camera, by each way: its relay, and its file server."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from onvifd.media import nal
from tests.e2e.harness import ROOT, need
from tests.rtsp.sample import encoded
from tests.rtsp.test_multicast_players import Space
from tests.rtsp.test_multicast_players import space as space

WAYS = ["tcp", "udp", "http"]
COVERS = pytest.mark.covers("CAM-20")
FRAME = 3600
"""Of the clock of 90 kHz."""


def received(space: Space, kind: str, way: str, path: Path) -> dict[str, Any]:
    done = subprocess.run(
        space.command(sys.executable, "-m", "tests.cameras.live555_reader", kind, way, str(path)),
        capture_output=True,
        text=True,
        timeout=90,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    assert (found["states"], found["lost"], found["bad"], found["first is key"]) == ([[True, ""]], 0, 0, True)
    return found


@COVERS
@pytest.mark.parametrize("way", WAYS)
def test_relay(space: Space, tmp_path: Path, way: str) -> None:
    """Every picture comes through live555 to the last octet, and none is left out.

    The relay marks each slice as the end of a picture: the first picture, of two slices, is cut in two before that is found out.
    """
    need("live555ProxyServer")
    found = received(space, "relay", way, tmp_path)
    assert found["codecs"] == ["H264"]
    later = found["numbers"][2:]
    assert -1 not in later
    assert {(after - before) % 50 for before, after in pairwise(later)} == {1}
    assert found["ticks"][1:] == sorted(set(found["ticks"]))


@COVERS
@pytest.mark.parametrize("way", WAYS)
def test_file_of_h264(space: Space, tmp_path: Path, way: str) -> None:
    need("live555MediaServer")
    film = tmp_path / "film.264"
    film.write_bytes(b"".join(nal.to_annexb(data) for _, data in encoded()[1]) * 5)
    found = received(space, "file", way, film)
    assert found["codecs"] == ["H264"]
    assert -1 not in found["numbers"]
    assert {(after - before) % 50 for before, after in pairwise(found["numbers"])} == {1}
    assert {after - before for before, after in pairwise(found["ticks"])} <= {FRAME - 1, FRAME, FRAME + 1}


@COVERS
@pytest.mark.parametrize("way", WAYS)
def test_file_of_h265_and_aac(space: Space, tmp_path: Path, way: str) -> None:
    need("live555MediaServer")
    film = tmp_path / "film.mkv"
    command = [
        *(need("ffmpeg"), "-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=25:duration=12"),
        *("-f", "lavfi", "-i", "sine=sample_rate=16000:duration=12", "-c:v", "libx265", "-preset", "ultrafast"),
        *("-x265-params", "keyint=25:bframes=0:log-level=none", "-c:a", "aac", str(film)),
    ]
    subprocess.run(command, check=True, timeout=60)
    found = received(space, "file", way, film)
    assert sorted(found["codecs"]) == ["AAC", "H265"]
    assert found["ticks"] == sorted(set(found["ticks"]))
