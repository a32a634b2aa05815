"""live555's own player, live and recorded, by each of its ways. Live H.265 is in `test_players`."""

from __future__ import annotations

import itertools
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.e2e.conftest import device_of, wait_for_footage
from tests.e2e.harness import Recorder, need
from tests.e2e.pictures import FRAME_US, LOOP_US, apart, grey_frames, loop_time
from tests.e2e.rtsp_client import SECOND
from tests.e2e.soap import Device
from tests.e2e.stored import stored_pictures
from tests.e2e.test_players import SIZE, grey
from tests.e2e.test_players import path as path

WAYS = {
    "udp": (),
    "tcp": ("-t",),
    "http on the web port": ("-T", "http_port"),
    "http on the RTSP port": ("-T", "rtsp_port"),
}
covers = pytest.mark.covers("S-RTSP", "S-RTP-UDP", "T-RTSP", "T-RTP-UDP", "NET-43")


def received(
    recorder: Recorder,
    url: str,
    folder: Path,
    *given: str,
    seconds: int,
    password: str = "",
    output: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Each track goes to a file, or all to `output`."""
    ways = [str(getattr(recorder, each)) if each.endswith("_port") else each for each in given]
    command = [
        *(need("openRTSP"), "-u", recorder.user, password or recorder.password, *ways),
        *("-d", str(seconds), "-b", "1000000", "-F", f"{folder}/", url),
    ]
    with (output or Path(os.devnull)).open("wb") as file:
        return subprocess.run(command, stdout=file, stderr=subprocess.PIPE, text=True, timeout=seconds + 30)


def times(folder: Path, size: tuple[int, int], kind: str = "h264") -> list[int]:
    (video,) = folder.glob("video-H26*")
    return [loop_time(picture) for picture in grey_frames(grey(video, kind), *size)]


@covers
@pytest.mark.covers("T-H264orH265", "T-G711orAAC")
@pytest.mark.parametrize("way", WAYS)
def test_live(recorder: Recorder, streams: dict[str, str], tmp_path: Path, way: str) -> None:
    """Video, sound and metadata at once. No picture is missing from the first key frame on."""
    done = received(recorder, streams["sub"], tmp_path, *WAYS[way], seconds=6)
    assert done.returncode == 0, done.stderr
    found = times(tmp_path, SIZE)
    assert len(found) >= 3 * 25
    assert {apart(after, before) for before, after in itertools.pairwise(found)} == {FRAME_US}
    (sound,) = tmp_path.glob("audio-PCMU*")
    # eight octets a millisecond, about as long as the pictures
    assert abs(sound.stat().st_size / 8_000 - len(found) / 25) < 2.5
    (documents,) = tmp_path.glob("application-VND.ONVIF.METADATA*")
    assert b"MetadataStream" in documents.read_bytes()


def clock_range(start: int, end: int) -> tuple[str, ...]:
    texts = [datetime.fromtimestamp(each // SECOND, UTC).strftime("%Y%m%dT%H%M%SZ") for each in (start, end)]
    return "-U", texts[0], "-E", texts[1]


def assert_as_stored(found: list[int], recorder: Recorder, footage: str, start: int, end: int) -> None:
    """All pictures from `start` to `end`, and of the others but those from the key frame before `start` on."""
    stored = [utc % LOOP_US for utc in stored_pictures(recorder.data, footage, start - 2 * SECOND, end)]
    assert len(found) >= (end - start) // FRAME_US - 2
    assert found in (stored[-len(found) :], stored[-len(found) - 1 : -1])


@covers
@pytest.mark.covers("G-onvif-replay")
@pytest.mark.parametrize("way", WAYS)
def test_recorded(recorder: Recorder, device: Device, footage: str, tmp_path: Path, way: str) -> None:
    """From one UTC time to another, as `Range: clock=` has it."""
    span = device.span(footage)
    assert span
    start = (span[0] // SECOND + 3) * SECOND
    end = start + 4 * SECOND
    url, given = device.replay_uri(footage), clock_range(start, end)
    done = received(recorder, url, tmp_path, *WAYS[way], *given, seconds=8)
    assert done.returncode == 0, done.stderr
    assert_as_stored(times(tmp_path, (1920, 1080)), recorder, footage, start, end)
    (sound,) = tmp_path.glob("audio-PCMU*")
    assert sound.stat().st_size >= 3.5 * 8_000


@covers
@pytest.mark.covers("G-onvif-replay", "T-H264orH265")
@pytest.mark.parametrize("speed", ["1", "2"])
def test_recorded_h265(modern: Recorder, tmp_path: Path, speed: str) -> None:
    """At its pace, and at twice that."""
    device = device_of(modern)
    footage = wait_for_footage(device, seconds=12)
    span = device.span(footage)
    assert span
    start = (span[0] // SECOND + 3) * SECOND
    end = start + 4 * SECOND
    given = ("-t", "-z", speed, *clock_range(start, end))
    done = received(modern, device.replay_uri(footage), tmp_path, *given, seconds=8)
    assert done.returncode == 0, done.stderr
    assert_as_stored(times(tmp_path, (1920, 1080), "hevc"), modern, footage, start, end)


@covers
@pytest.mark.covers("T-G711orAAC")
@pytest.mark.parametrize("recorded", [False, True], ids=["live", "recorded"])
def test_aac(modern: Recorder, path: str, tmp_path: Path, recorded: bool) -> None:
    """The player puts it in a file with the settings of the description; ffmpeg decodes what is there without a complaint."""
    device, url = device_of(modern), f"rtsp://{modern.host}:{modern.rtsp_port}{path}"
    given: tuple[str, ...] = ("-t", "-a", "-4")
    if recorded:
        footage = wait_for_footage(device, seconds=12)
        span = device.span(footage)
        assert span
        url, given = device.replay_uri(footage), (*given, *clock_range(span[0] + SECOND, span[0] + 6 * SECOND))
    done = received(modern, url, tmp_path, *given, seconds=6, output=tmp_path / "sound.mp4")
    assert done.returncode == 0, done.stderr
    decode = [need("ffmpeg"), "-nostdin", "-v", "error", "-i", str(tmp_path / "sound.mp4"), "-f", "s16le", "pipe:1"]
    told = subprocess.run(decode, capture_output=True, timeout=60)
    assert (told.returncode, told.stderr) == (0, b"")
    # 16 kHz, two octets each, one channel
    assert 3 < len(told.stdout) / 32_000 < 7.5


@pytest.mark.covers("T-RTSPDigest")
@pytest.mark.parametrize("way", ["tcp", "http on the web port"])
def test_wrong_password(recorder: Recorder, streams: dict[str, str], tmp_path: Path, way: str) -> None:
    done = received(recorder, streams["sub"], tmp_path, *WAYS[way], seconds=3, password="Wrong-pass1")
    assert done.returncode != 0
    assert "401 Unauthorized" in done.stderr
    assert not list(tmp_path.glob("video*"))
