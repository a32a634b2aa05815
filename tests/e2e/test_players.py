"""H.265 and AAC by every transport to foreign players: ffmpeg, GStreamer, and live555 in its own player and in VLC.

What they decode is looked at: each picture carries its time. `.ci/live555` gets live555's own player and a VLC that has live555
(as `vlc-live555`) where the distribution has neither.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.e2e.conftest import device_of, wait_for
from tests.e2e.harness import ROOT, Recorder, need
from tests.e2e.pictures import FRAME_US, apart, grey_frames, loop_time
from tests.e2e.soap import Device
from tests.e2e.test_audio import assert_sound, probe_of
from tests.e2e.test_transports import FFMPEG, GSTREAMER
from tests.rtsp.test_multicast_players import Space
from tests.rtsp.test_multicast_players import space as space

SIZE = (640, 360)
COUNT = 50
LIVE555 = {"tcp": ("-t",), "udp": (), "http": ("-T", "http_port")}
VLC = {"tcp": ("--rtsp-tcp",), "udp": (), "http": ("--rtsp-http", "--rtsp-http-port", "http_port")}
covers = pytest.mark.covers("S-RTSP", "S-RTP-UDP", "T-RTSP", "T-RTP-UDP", "T-H264orH265", "T-G711orAAC", "NET-43")


@pytest.fixture(scope="session")
def path(modern: Recorder) -> str:
    """Of the small stream."""
    device = device_of(modern)
    tokens = wait_for(lambda: device.profiles() or None, seconds=30, what="profiles")
    return urlsplit(device.stream_uri(tokens[1])).path


def address(recorder: Recorder, path: str, scheme: str = "rtsp", port: str = "rtsp_port", login: bool = True) -> str:
    user = f"{recorder.user}:{recorder.password}@" if login else ""
    return f"{scheme}://{user}{recorder.host}:{getattr(recorder, port)}{path}"


def assert_running(data: bytes, least: int) -> None:
    """Pictures of 640x360; behind the start each is the one after the one before."""
    pictures = grey_frames(data, *SIZE)
    assert len(pictures) >= least
    times = [loop_time(picture) for picture in pictures[least // 2 :]]
    assert {apart(after, before) for before, after in pairwise(times)} == {FRAME_US}


def grey(source: Path, kind: str) -> bytes:
    """The pictures of an elementary stream, decoded without a complaint."""
    command = [need("ffmpeg"), "-nostdin", "-v", "error", "-f", kind, "-i", str(source), "-pix_fmt", "gray"]
    done = subprocess.run([*command, "-f", "rawvideo", "pipe:1"], capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout


def options(recorder: Recorder, given: tuple[str, ...]) -> list[str]:
    return [str(getattr(recorder, each, each)) for each in given]


@covers
@pytest.mark.parametrize("way", FFMPEG)
def test_ffmpeg_decodes_h265(modern: Recorder, path: str, way: str) -> None:
    scheme, port, given = FFMPEG[way]
    command = [
        *(need("ffmpeg"), "-nostdin", "-v", "error", *given, "-i", address(modern, path, scheme, port), "-an"),
        *("-frames:v", str(COUNT), "-fps_mode", "passthrough", "-pix_fmt", "gray", "-f", "rawvideo", "pipe:1"),
    ]
    done = subprocess.run(command, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert_running(done.stdout, COUNT)


@covers
@pytest.mark.parametrize("transport", ["tcp", "udp", "http"])
def test_ffmpeg_hears_aac(modern: Recorder, path: str, transport: str) -> None:
    main = path.removesuffix("/sub") + "/main"
    done = subprocess.run(probe_of(address(modern, main), transport), capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert_sound(done.stdout, "aac", 16_000)


def interrupted_itself(errors: str) -> bool:
    """Whether GStreamer's only complaint is about the PAUSE that it sends at the end. Its own close may interrupt it ("connection
    flush busy PAUSE" in its log); in TLS an interrupted write looks like the end of the connection, on which TEARDOWN then goes."""
    told = re.findall(r"\d\): (gst_rtspsrc_\w+) \(\)", errors)
    # try_send speaks of any request: that it was the PAUSE is what pause says behind it.
    return told == ["gst_rtspsrc_try_send", "gst_rtspsrc_pause"] and errors.count("(Received end-of-file)") == 2


@covers
@pytest.mark.parametrize("way", ["tcp", "udp", *GSTREAMER])
def test_gstreamer_decodes_h265(modern: Recorder, path: str, way: str, tmp_path: Path) -> None:
    if subprocess.run([need("gst-inspect-1.0"), "--exists", "avdec_h265"], timeout=30).returncode:
        pytest.skip("no H.265 decoder for GStreamer")
    scheme, port = GSTREAMER.get(way, ("rtsp", "rtsp_port"))
    target = tmp_path / "pictures"
    command = [
        *(need("gst-launch-1.0"), "-q", "rtspsrc", f"location={address(modern, path, scheme, port, login=False)}"),
        *(f"user-id={modern.user}", f"user-pw={modern.password}", "tls-validation-flags=0"),
        *((f"protocols={way}",) if way in ("tcp", "udp") else ()),
        *("!", "application/x-rtp,media=video", "!", "rtph265depay", "!", "h265parse", "!", "avdec_h265", "!"),
        *("videoconvert", "!", f"video/x-raw,format=GRAY8,width={SIZE[0]},height={SIZE[1]}", "!"),
        *("identity", f"eos-after={COUNT}", "!", "filesink", f"location={target}"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 or interrupted_itself(done.stderr), done.stderr
    assert_running(target.read_bytes(), COUNT - 2)


# ---- live555 --------------------------------------------------------------------------------------


def open_rtsp(recorder: Recorder, path: str, given: tuple[str, ...], folder: Path) -> list[str]:
    """Writes each track to a file for six seconds."""
    return [
        *(need("openRTSP"), "-V", "-u", recorder.user, recorder.password, *options(recorder, given)),
        *("-d", "6", "-b", "1000000", "-F", f"{folder}/", address(recorder, path, login=False)),
    ]


@pytest.mark.parametrize("way", LIVE555)
def test_live555_receives_video_and_sound(modern: Recorder, path: str, way: str, tmp_path: Path) -> None:
    main = path.removesuffix("/sub") + "/main"
    for each in (path, main):
        subprocess.run(open_rtsp(modern, each, LIVE555[way], tmp_path), capture_output=True, timeout=40, check=True)
        if each == path:
            (video,) = tmp_path.glob("*video-H265*")
            assert_running(grey(video, "hevc"), 4 * 25)
    (sound,) = tmp_path.glob("*audio-MPEG4-GENERIC*")
    assert sound.stat().st_size > 4000


@functools.cache
def vlc() -> list[str]:
    """VLC with live555, as a user who is not root; skips where there is none."""
    program = shutil.which("vlc-live555") or need("vlc")
    nobody = [need("setpriv"), "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    command = [*nobody, "env", "HOME=/nonexistent", program, "-I", "dummy", "--no-dbus"]
    told = subprocess.run([*command, "--list"], capture_output=True, text=True, timeout=60)
    if not any(line.split()[:1] == ["live555"] for line in told.stdout.splitlines()):
        pytest.skip("VLC was built without live555 (.ci/live555 gets another)")
    return command


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Where anybody may write."""
    folder = Path(tempfile.mkdtemp(prefix="players-"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("codec", ["h264", "h265"])
@pytest.mark.parametrize("way", VLC)
def test_vlc_decodes(way: str, codec: str, request: pytest.FixtureRequest, open_folder: Path) -> None:
    command = vlc()
    recorder: Recorder = request.getfixturevalue("modern" if codec == "h265" else "recorder")
    device = device_of(recorder)
    tokens = wait_for(lambda: device.profiles() or None, seconds=30, what="profiles")
    small = urlsplit(device.stream_uri(tokens[1])).path
    whole = shown_by_vlc(
        [*command, *options(recorder, VLC[way])], address(recorder, small), SIZE, 2 * COUNT, open_folder
    )
    # VLC's transcoder keeps its own time and leaves out pictures on a busy machine: what it shows is whole and goes on
    times = [loop_time(picture) for picture in grey_frames(whole, *SIZE)[COUNT:]]
    steps = [apart(after, before) for before, after in pairwise(times)]
    assert steps.count(FRAME_US) > len(steps) // 2


def shown_by_vlc(command: list[str], url: str, size: tuple[int, int], count: int, folder: Path) -> bytes:
    """The brightness of the first pictures that VLC decodes."""
    target = folder / "pictures"
    output = f"#transcode{{vcodec=I420,acodec=none}}:std{{access=file,mux=dummy,dst={target}}}"
    luma = size[0] * size[1]
    picture = luma * 3 // 2
    player = subprocess.Popen(
        [*command, url, "--sout", output, "--run-time=60"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(
            lambda: (target.exists() and target.stat().st_size >= count * picture) or None,
            seconds=50,
            what="pictures from VLC",
        )
    finally:
        player.kill()
        player.wait(10)
    data = target.read_bytes()
    return b"".join(data[at : at + luma] for at in range(0, count * picture, picture))


@pytest.mark.covers("G-onvif-replay", "NET-43")
def test_vlc_plays_a_recording(recorder: Recorder, device: Device, footage: str, open_folder: Path) -> None:
    """Through the same live555, picture after picture."""
    replay, size = urlsplit(device.replay_uri(footage)).path, (1920, 1080)
    whole = shown_by_vlc([*vlc(), "--rtsp-tcp"], address(recorder, replay), size, 30, open_folder)
    times = [loop_time(picture) for picture in grey_frames(whole, *size)]
    steps = [apart(after, before) for before, after in pairwise(times[5:])]
    assert steps.count(FRAME_US) > len(steps) // 2


# ---- multicast ------------------------------------------------------------------------------------

ASK = (
    "import sys; from tests.e2e.soap import Device; d = Device(*sys.argv[1:4]); "
    "print(d.stream_uri(d.profiles()[1], 'RtspMulticast'))"
)


@pytest.fixture
def isolated(space: Space, tmp_path: Path) -> Iterator[Recorder]:
    """A demo with H.265 in a network of its own."""
    made = Recorder(tmp_path / "data", cameras=1, codec="h265", audio="aac", prefix=tuple(space.command()))
    try:
        made.start()
        yield made
        made.stop()
    finally:
        made.kill()


@pytest.mark.covers("S-RTP-UDP-multicast", "T-RTP-UDP-multicast", "LIV-42")
def test_multicast_of_a_whole_recorder(isolated: Recorder, space: Space, tmp_path: Path) -> None:
    """The address that GetStreamUri gives, to each player in turn. Who joins a group waits for the next key frame."""
    service = f"http://{isolated.host}:{isolated.http_port}/onvif/device_service"
    asked = subprocess.run(
        space.command(sys.executable, "-c", ASK, service, isolated.user, isolated.password),
        capture_output=True,
        text=True,
        timeout=30,
        cwd=ROOT,
    )
    assert asked.returncode == 0, asked.stderr
    plain = asked.stdout.strip()
    full = plain.replace("://", f"://{isolated.user}:{isolated.password}@")
    done = subprocess.run(
        space.command(
            *(need("ffmpeg"), "-nostdin", "-v", "error", "-rtsp_transport", "udp_multicast", "-i", full, "-an"),
            *("-frames:v", str(3 * COUNT), "-fps_mode", "passthrough", "-pix_fmt", "gray", "-f", "rawvideo", "pipe:1"),
        ),
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert_running(done.stdout, 3 * COUNT)
    if shutil.which("gst-launch-1.0"):
        film = tmp_path / "pictures"
        gst = [
            *("gst-launch-1.0", "-q", "rtspsrc", f"location={plain}", "protocols=udp-mcast"),
            *(f"user-id={isolated.user}", f"user-pw={isolated.password}", "!", "application/x-rtp,media=video", "!"),
            *("rtph265depay", "!", "h265parse", "!", "avdec_h265", "!", "videoconvert", "!"),
            *(
                f"video/x-raw,format=GRAY8,width={SIZE[0]},height={SIZE[1]}",
                "!",
                "identity",
                f"eos-after={3 * COUNT}",
                "!",
            ),
            *("filesink", f"location={film}"),
        ]
        # A source whose sound comes before its pictures, which wait for a key frame, ends for GStreamer if nothing is linked yet.
        told = next((run for _ in range(3) if "not-linked" not in (run := space.run(*gst)).stderr), None)
        assert told is not None, "three times GStreamer had nothing linked when sound came"
        assert told.returncode == 0, told.stderr
        assert_running(film.read_bytes(), 3 * COUNT - 2)
