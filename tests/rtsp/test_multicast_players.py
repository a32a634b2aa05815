"""Foreign players of multicast, in a network namespace of their own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.rtsp import sample

HERE = Path(__file__).parents[2]
covers = pytest.mark.covers("S-RTP-UDP-multicast", "T-RTP-UDP-multicast", "LIV-42")


def ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=10)
    if done.returncode:
        raise OSError(done.stderr.strip())


class Space:
    """A network namespace, and what runs in it."""

    def __init__(self) -> None:
        self.name = f"om{uuid.uuid4().hex[:8]}"
        self.processes = ExitStack()
        ip("netns", "add", self.name)
        ip("-n", self.name, "link", "set", "lo", "up", "multicast", "on")
        ip("-n", self.name, "route", "add", "239.0.0.0/8", "dev", "lo")
        ip("-n", self.name, "link", "add", "groups0", "type", "veth", "peer", "name", "groups1")
        for name in ("groups0", "groups1"):
            ip("-n", self.name, "link", "set", name, "up")
        ip("-n", self.name, "-6", "addr", "add", "fd00:77::1/64", "dev", "groups0", "nodad")
        # as the guide tells it
        route = ("local", "ff00::/8", "dev", "lo", "table", "local", "metric", "4096")
        ip("-n", self.name, "-6", "route", "add", *route)

    def command(self, *arguments: str) -> list[str]:
        return ["ip", "netns", "exec", self.name, *arguments]

    def serve(self, *arguments: str) -> int:
        """Start the sample's server; gives its port."""
        process = subprocess.Popen(
            self.command(sys.executable, "-m", "tests.rtsp.multicast_server", *arguments),
            stdout=subprocess.PIPE,
            text=True,
            cwd=HERE,
        )
        self.processes.callback(process.wait, 10)
        self.processes.callback(process.kill)
        assert process.stdout is not None
        self.processes.callback(process.stdout.close)
        return int(process.stdout.readline())

    def run(self, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=timeout)

    def close(self) -> None:
        self.processes.close()
        ip("netns", "del", self.name)


@pytest.fixture
def space() -> Iterator[Space]:
    if os.geteuid():
        pytest.skip("network namespaces need root")
    try:
        made = Space()
    except OSError as error:
        pytest.skip(f"no network namespaces here: {error}")
    yield made
    made.close()


def need(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed")
    return path


def url(host: str, port: int) -> str:
    return f"rtsp://{sample.USER}:{quote(sample.PASSWORD, safe='')}@{host}:{port}/live/cam-1/main?multicast"


@covers
@pytest.mark.covers("NET-43")
def test_ffmpeg_by_udp_multicast(space: Space) -> None:
    port = space.serve("127.0.0.1", "239.255.78.1", "5600")
    done = space.run(
        *(need("ffmpeg"), "-nostdin", "-v", "warning", "-rtsp_transport", "udp_multicast"),
        *("-i", url("127.0.0.1", port), "-frames:v", "40", "-f", "null", "-"),
    )
    assert done.returncode == 0, done.stderr
    assert not re.search(r"missed|error|corrupt|concealing", done.stderr), done.stderr


@covers
def test_what_was_started_is_decoded_without_rtsp(space: Space, tmp_path: Path) -> None:
    space.serve("127.0.0.1", "239.255.78.2", "5602", "started")
    description = tmp_path / "started.sdp"
    description.write_text(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 239.255.78.2/1\r\nt=0 0\r\n"
        "m=video 5602 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    )
    done = space.run(
        *(need("ffmpeg"), "-nostdin", "-v", "error", "-protocol_whitelist", "file,udp,rtp"),
        *("-i", str(description), "-frames:v", "25", "-f", "framemd5", "-"),
    )
    assert done.returncode == 0, done.stderr
    assert len([line for line in done.stdout.splitlines() if not line.startswith("#")]) == 25


@covers
@pytest.mark.covers("NET-43")
def test_gstreamer_by_multicast(space: Space, tmp_path: Path) -> None:
    port = space.serve("127.0.0.1", "239.255.78.3", "5604")
    film = tmp_path / "film.h264"
    done = space.run(
        *(need("gst-launch-1.0"), "-q", "rtspsrc", f"location=rtsp://127.0.0.1:{port}/live/cam-1/main?multicast"),
        *(f"user-id={sample.USER}", f"user-pw={sample.PASSWORD}", "protocols=udp-mcast", "!", "rtph264depay", "!"),
        *("h264parse", "!", "video/x-h264,stream-format=byte-stream,alignment=au", "!"),
        *("identity", "eos-after=40", "!", "filesink", f"location={film}"),
    )
    assert done.returncode == 0, done.stderr
    probe = [need("ffprobe"), "-v", "error", "-count_frames", "-show_entries", "stream=nb_read_frames", str(film)]
    found = subprocess.run([*probe, "-of", "csv=p=0"], capture_output=True, text=True, timeout=60)
    assert found.stderr == ""
    # who is in the group a moment too late for the first key frame decodes from the next one on
    assert int(found.stdout) >= 40 - sample.GOP - 1


@covers
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_the_address_of_multicast_serves_other_transports_too(space: Space, transport: str) -> None:
    port = space.serve("127.0.0.1", "239.255.78.4", "5606")
    done = space.run(
        *(need("ffmpeg"), "-nostdin", "-v", "warning", "-rtsp_transport", transport),
        *("-i", url("127.0.0.1", port), "-frames:v", "20", "-f", "null", "-"),
    )
    assert done.returncode == 0, done.stderr


@covers
def test_ipv6_by_the_senders_own_test(space: Space) -> None:
    done = space.run(
        *("env", "INTERFACES_FOR_GROUPS=groups0 lo"),
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "test_ipv6"),
        str(HERE / "tests/rtsp/test_multicast.py"),
        timeout=120,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert done.stdout.startswith(".."), "not skipped"
