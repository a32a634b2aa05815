"""live555's own player: H.264, G.711 and metadata, live and recorded, by each of its ways.

H.265 and AAC are in `test_players`.
"""

from __future__ import annotations

import itertools
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.e2e.harness import Recorder, need
from tests.e2e.pictures import FRAME_US, LOOP_US, apart, grey_frames, loop_time
from tests.e2e.rtsp_client import SECOND
from tests.e2e.soap import Device
from tests.e2e.stored import stored_pictures
from tests.e2e.test_players import SIZE, grey

WAYS = {
    "udp": (),
    "tcp": ("-t",),
    "http on the web port": ("-T", "http_port"),
    "http on the RTSP port": ("-T", "rtsp_port"),
}
covers = pytest.mark.covers("S-RTSP", "S-RTP-UDP", "T-RTSP", "T-RTP-UDP", "NET-43")


def received(
    recorder: Recorder, url: str, folder: Path, *given: str, seconds: int, password: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Each track goes to a file."""
    ways = [str(getattr(recorder, each)) if each.endswith("_port") else each for each in given]
    command = [
        *(need("openRTSP"), "-u", recorder.user, recorder.password if password is None else password, *ways),
        *("-d", str(seconds), "-b", "1000000", "-F", f"{folder}/", url),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30)


def times(folder: Path, size: tuple[int, int]) -> list[int]:
    (video,) = folder.glob("video-H264*")
    return [loop_time(picture) for picture in grey_frames(grey(video, "h264"), *size)]


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


@covers
@pytest.mark.covers("G-onvif-replay")
@pytest.mark.parametrize("way", WAYS)
def test_recorded(recorder: Recorder, device: Device, footage: str, tmp_path: Path, way: str) -> None:
    """From one UTC time to another, as `Range: clock=` has it: all pictures that are stored, and none but them."""
    span = device.span(footage)
    assert span
    start = (span[0] // SECOND + 3) * SECOND
    end = start + 4 * SECOND
    absolute = [datetime.fromtimestamp(each // SECOND, UTC).strftime("%Y%m%dT%H%M%SZ") for each in (start, end)]
    given = ("-U", absolute[0], "-E", absolute[1])
    done = received(recorder, device.replay_uri(footage), tmp_path, *WAYS[way], *given, seconds=8)
    assert done.returncode == 0, done.stderr
    found = times(tmp_path, (1920, 1080))
    stored = [utc % LOOP_US for utc in stored_pictures(recorder.data, footage, start - 2 * SECOND, end)]
    # What is played begins with the key frame at or before the start.
    assert len(found) >= 4 * 25 - 2
    assert found in (stored[-len(found) :], stored[-len(found) - 1 : -1])
    (sound,) = tmp_path.glob("audio-PCMU*")
    assert sound.stat().st_size >= 3.5 * 8_000


@pytest.mark.covers("T-RTSPDigest")
@pytest.mark.parametrize("way", ["tcp", "http on the web port"])
def test_wrong_password(recorder: Recorder, streams: dict[str, str], tmp_path: Path, way: str) -> None:
    done = received(recorder, streams["sub"], tmp_path, *WAYS[way], seconds=3, password="Wrong-pass1")
    assert done.returncode != 0
    assert "401 Unauthorized" in done.stderr
    assert not list(tmp_path.glob("video*"))
