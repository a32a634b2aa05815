"""RTSP over WebSocket and SRTP of a running recorder: a page in a real browser, the `websockets` package, GStreamer."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import urllib.request
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.client import connect

from onvifd.rtsp.websocket import PATH, PROTOCOL
from tests.bodies.test_websockets import Client
from tests.e2e.harness import Recorder
from tests.e2e.rtsp_client import unverified
from tests.e2e.soap import Device
from tests.e2e.test_transports import PIPELINE, SYSTEM_PYTHON
from tests.e2e.test_transports import path as path

PAGE = """<!doctype html><title>asking</title><script>
const url = "URL", out = [];
const socket = new WebSocket("WS", "rtsp.onvif.org");
socket.binaryType = "arraybuffer";
let step = 0;
const send = (method, number) =>
  socket.send(new TextEncoder().encode(`${method} ${url} RTSP/1.0\\r\\nCSeq: ${number}\\r\\n\\r\\n`));
socket.onopen = () => { out.push(socket.protocol); send("OPTIONS", 1); };
socket.onmessage = (event) => {
  out.push(new TextDecoder().decode(event.data));
  if (++step == 1) send("DESCRIBE", 2);
  else socket.close(1000);
};
socket.onclose = (event) => { out.push("closed " + event.code); fetch("/done", {method: "POST", body: out.join("|")}); };
</script>"""


class Page(BaseHTTPRequestHandler):
    def __init__(self, page: str, told: list[str], *args: object) -> None:
        self.page, self.told = page, told
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.page.encode())

    def do_POST(self) -> None:
        self.told.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.covers("T-RTP-RTSP-TCP-WebSocket")
@pytest.mark.parametrize("way", ["ws", "wss"])
def test_a_page_in_a_browser(recorder: Recorder, path: str, way: str, tmp_path: Path) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    port = recorder.http_port if way == "ws" else recorder.https_port
    page = PAGE.replace("WS", f"{way}://{recorder.host}:{port}{PATH}").replace(
        "URL", f"rtsp://{recorder.host}:{recorder.rtsp_port}{path}"
    )
    told: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Page, page, told))
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    command = [
        *(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server"),
        *("--ignore-certificate-errors", f"--user-data-dir={tmp_path / 'profile'}", "--remote-debugging-port=0"),
        f"http://127.0.0.1:{server.server_port}/",
    ]
    browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            if told or browser.poll() is not None:
                break
            thread.join(0.1)
    finally:
        browser.terminate()
        browser.wait(20)
        server.shutdown()
        server.server_close()
        thread.join()
    assert told, "the page has told nothing"
    protocol, options, describe, closed = told[0].split("|")
    assert protocol == PROTOCOL
    assert options.startswith("RTSP/1.0 200")
    assert "CSeq: 1" in options
    assert describe.startswith("RTSP/1.0 401")
    assert "WWW-Authenticate: Digest" in describe
    assert closed == "closed 1000"


@pytest.mark.covers("T-RTP-RTSP-TCP-WebSocket")
@pytest.mark.parametrize("way", ["ws", "wss"])
def test_media_of_live_and_replay(recorder: Recorder, path: str, way: str) -> None:
    port = recorder.http_port if way == "ws" else recorder.https_port
    url = f"rtsp://{recorder.host}:{recorder.rtsp_port}{path}"

    async def watch() -> None:
        tls = unverified() if way == "wss" else None
        address = f"{way}://{recorder.host}:{port}{PATH}"
        async with connect(address, subprotocols=[PROTOCOL], ssl=tls, compression=None) as connection:  # type: ignore[list-item]
            client = Client(connection, recorder.user, recorder.password)
            status, text = await client.request("DESCRIBE", url)
            assert status == 200
            control = text.partition("m=video")[2].partition("a=control:")[2].split()[0]
            transport = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1"
            status, text = await client.request("SETUP", control if "://" in control else f"{url}/{control}", transport)
            assert status == 200
            session = text.partition("Session: ")[2].partition(";")[0].split()[0]
            assert (await client.request("PLAY", url, f"Session: {session}"))[0] == 200
            for _ in range(100):
                await client.frame()

    asyncio.run(watch())


def test_capabilities_tell_where(recorder: Recorder) -> None:
    address = f"http://{recorder.host}:{recorder.http_port}/onvif/"
    for service, namespace in (("media2", "http://www.onvif.org/ver20/media/wsdl"), ("replay", None)):
        name = namespace or "http://www.onvif.org/ver10/replay/wsdl"
        body = (
            '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body>'
            f'<GetServiceCapabilities xmlns="{name}"/></s:Body></s:Envelope>'
        )
        request = urllib.request.Request(
            f"{address}{service}_service", body.encode(), {"Content-Type": "application/soap+xml"}
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert f'RTSPWebSocketUri="ws:{PATH}"' in answer.read().decode()


@pytest.mark.parametrize("kind", ["live", "replay"])
def test_gstreamer_by_srtp(
    recorder: Recorder, device: Device, footage: str, streams: dict[str, str], kind: str
) -> None:
    if not Path(SYSTEM_PYTHON).exists() or subprocess.run([SYSTEM_PYTHON, "-c", "import gi"], timeout=30).returncode:
        pytest.skip("no GStreamer for the system's Python")
    path = urlsplit(streams["sub"] if kind == "live" else device.replay_uri(footage)).path
    url = f"rtsps://{recorder.host}:{recorder.rtsps_port}{path}?srtp"
    done = subprocess.run(
        [SYSTEM_PYTHON, "-c", PIPELINE, url, recorder.user, recorder.password],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
