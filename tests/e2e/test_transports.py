"""Live and recorded video by every transport, as foreign clients ask for it: RTSP, within HTTP, in TLS."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from tests.e2e.harness import Recorder, need
from tests.e2e.rtsp_client import REPLAY, SECOND, RtspClient, Unit, clock, units, unverified
from tests.e2e.soap import Device
from tests.e2e.stored import stored_pictures
from tests.e2e.test_replay import udp_packets, udp_ports

SYSTEM_PYTHON = "/usr/bin/python3"

FFMPEG = {
    "udp": ("rtsp", "rtsp_port", ("-rtsp_transport", "udp")),
    "tcp": ("rtsp", "rtsp_port", ("-rtsp_transport", "tcp")),
    "http on the web port": ("rtsp", "http_port", ("-rtsp_transport", "http")),
    "http on the RTSP port": ("rtsp", "rtsp_port", ("-rtsp_transport", "http")),
    "https": ("rtsp", "https_port", ("-rtsp_transport", "https")),
    "rtsps": ("rtsps", "rtsps_port", ("-rtsp_flags", "prefer_tcp")),
    "rtsps that first asks for UDP": ("rtsps", "rtsps_port", ()),
}
GSTREAMER = {
    "within HTTP": ("rtsph", "http_port"),
    "within HTTPS": ("rtspsh", "https_port"),
    "in TLS": ("rtsps", "rtsps_port"),
}


@pytest.fixture(params=["live", "replay"])
def path(request: pytest.FixtureRequest, device: Device, footage: str, streams: dict[str, str]) -> str:
    address = streams["sub"] if request.param == "live" else device.replay_uri(footage)
    return urlsplit(address).path


@pytest.mark.covers("S-RTP-RTSP-HTTP-TCP", "T-RTP-RTSP-HTTP-TCP", "T-RTP-RTSP-HTTPS-TCP", "SEC-17", "NET-43")
@pytest.mark.parametrize("way", FFMPEG)
def test_ffmpeg(recorder: Recorder, path: str, way: str) -> None:
    scheme, port, options = FFMPEG[way]
    login = f"{quote(recorder.user)}:{quote(recorder.password)}"
    command = [
        *(need("ffmpeg"), "-nostdin", "-v", "error", *options),
        *("-i", f"{scheme}://{login}@{recorder.host}:{getattr(recorder, port)}{path}", "-an", "-frames:v", "40"),
        *("-vf", "scale=64:36", "-pix_fmt", "gray", "-f", "rawvideo", "pipe:1"),
    ]
    done = subprocess.run(command, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) == 40 * 64 * 36


PIPELINE = """
import sys
import gi
gi.require_version("Gst", "1.0")
from gi.repository import Gst
Gst.init(None)
pipeline = Gst.parse_launch(
    f"rtspsrc name=source location={sys.argv[1]} user-id={sys.argv[2]} user-pw={sys.argv[3]} tls-validation-flags=0 "
    "! fakesink sync=false num-buffers=100"
)
# One track alone: rtspsrc shows those of several from threads of their own, which upsets links that wait for one of them.
pipeline.get_by_name("source").connect(
    "select-stream", lambda source, number, caps: caps.get_structure(0).get_string("media") == "video"
)
pipeline.set_state(Gst.State.PLAYING)
message = pipeline.get_bus().timed_pop_filtered(30 * Gst.SECOND, Gst.MessageType.EOS | Gst.MessageType.ERROR)
pipeline.set_state(Gst.State.NULL)
if message is None or message.type != Gst.MessageType.EOS:
    raise SystemExit(str(message and message.parse_error()))
"""


@pytest.mark.covers("S-RTP-RTSP-HTTP-TCP", "T-RTP-RTSP-HTTP-TCP", "T-RTP-RTSP-HTTPS-TCP", "SEC-17", "NET-43")
@pytest.mark.parametrize("way", GSTREAMER)
def test_gstreamer(recorder: Recorder, path: str, way: str) -> None:
    if not Path(SYSTEM_PYTHON).exists() or subprocess.run([SYSTEM_PYTHON, "-c", "import gi"], timeout=30).returncode:
        pytest.skip("no GStreamer for the system's Python")
    scheme, port = GSTREAMER[way]
    url = f"{scheme}://{recorder.host}:{getattr(recorder, port)}{path}"
    command = [SYSTEM_PYTHON, "-c", PIPELINE, url, recorder.user, recorder.password]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.covers("S-RTP-RTSP-HTTP-TCP", "T-RTP-RTSP-HTTP-TCP", "T-RTP-RTSP-HTTPS-TCP")
@pytest.mark.parametrize("secure", [False, True])
def test_a_download_through_a_tunnel(recorder: Recorder, device: Device, footage: str, secure: bool) -> None:
    """Rate-Control: no, as a VMS fetches footage from behind a firewall."""
    span = device.span(footage)
    assert span is not None
    path = urlsplit(device.replay_uri(footage)).path
    port = recorder.https_port if secure else recorder.http_port
    url = f"rtsp://{recorder.host}:{port}{path}"
    tls = unverified() if secure else None
    with RtspClient(url, recorder.user, recorder.password, tunnel=True, tls=tls) as client:
        video = next(each for each in client.describe() if each.kind == "video")
        client.setup(video, Require=REPLAY)
        start, end = span[0] + 2 * SECOND, span[0] + 12 * SECOND
        client.demand("PLAY", Require=REPLAY, Range=f"clock={clock(start)}-{clock(end)}", Rate_Control="no")
        count = 0
        for unit in units(client.packets(seconds=20)):
            count += 1
            if unit.extension.terminal:
                break
        assert count >= 10 * 25 - 1
        assert unit.extension.utc <= end


@pytest.mark.covers("G-onvif-replay", "G-ReplayHeaderExtension")
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("way", ["tcp", "udp", "tunnel", "tunnel in TLS"])
def test_a_bounded_range_gives_exactly_the_stored_pictures(
    recorder: Recorder, device: Device, footage: str, way: str, reverse: bool
) -> None:
    """Those of the range, and before them what must be decoded first: from the key frame on."""
    span = device.span(footage)
    assert span is not None
    start = span[0] + 3 * SECOND + 123_456
    end = start + 5 * SECOND
    stored = stored_pictures(recorder.data, footage, start - 4 * SECOND, end)
    path = urlsplit(device.replay_uri(footage)).path
    secure = way == "tunnel in TLS"
    port = recorder.https_port if secure else recorder.http_port if way == "tunnel" else recorder.rtsp_port
    bounds = (end, start) if reverse else (start, end)
    asked = {
        "Range": "clock=" + "-".join(map(clock, bounds)),
        "Rate_Control": "no",
        "Scale": f"{-1 if reverse else 1}.0",
    }
    with RtspClient(
        f"rtsp://{recorder.host}:{port}{path}",
        *(recorder.user, recorder.password),
        tunnel=way.startswith("tunnel"),
        tls=unverified() if secure else None,
    ) as client:
        video = next(each for each in client.describe() if each.kind == "video")
        found = []
        if way == "udp":
            media, control = udp_ports()
            with media, control:
                client.setup(video, port=media.getsockname()[1], Require=REPLAY)
                client.demand("PLAY", Require=REPLAY, **asked)
                found += up_to_the_last(units(udp_packets(media)))
        else:
            client.setup(video, Require=REPLAY)
            client.demand("PLAY", Require=REPLAY, **asked)
            found += up_to_the_last(units(client.packets(seconds=20)))
    keys = [unit.extension.utc for unit in found if unit.extension.clean]
    first = max(key for key in keys if key <= start)
    assert sorted(keys) == [utc for utc in stored if utc in keys and utc >= first]
    times = [unit.extension.utc for unit in found]
    if reverse:
        groups = zip(keys, [end + 1, *keys], strict=False)
        assert times == [utc for low, high in groups for utc in stored if low <= utc < high]
        assert keys == sorted(keys, reverse=True)
    else:
        assert times == [utc for utc in stored if utc >= first]


def up_to_the_last(replayed: Iterator[Unit]) -> Iterator[Unit]:
    """Units up to the terminal one."""
    for unit in replayed:
        yield unit
        if unit.extension.terminal:
            return
