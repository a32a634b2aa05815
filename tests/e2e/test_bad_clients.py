"""Clients that send garbage, flood, stall or vanish; another client of the same stream must notice nothing."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.e2e.harness import Recorder
from tests.e2e.rtsp_client import RtspClient
from tests.e2e.soap import Device, post
from tests.rtsp import hostile

MEGABYTE = 1 << 20


class Watcher(threading.Thread):
    """A well-behaved client that counts frames per whole second."""

    def __init__(self, recorder: Recorder, url: str) -> None:
        super().__init__(daemon=True)
        self._client = RtspClient(url, recorder.user, recorder.password)
        self._finished = threading.Event()
        self.frames: list[float] = []

    def run(self) -> None:
        with self._client as client:
            video = next(each for each in client.describe() if each.kind == "video")
            client.setup(video)
            client.demand("PLAY")
            while not self._finished.is_set():
                self.frames += [time.monotonic() for packet in client.packets(seconds=0.5) if packet.marker]

    def finish(self) -> None:
        self._finished.set()
        self.join(10)
        assert not self.is_alive()


@contextmanager
def steady(recorder: Recorder, url: str, *, seconds: float) -> Iterator[None]:
    """Whatever happens inside, a watcher gets its 25 frames a second for at least `seconds`; more if this process was late."""
    watcher = Watcher(recorder, url)
    watcher.start()
    time.sleep(1.5)  # the cached group of pictures comes faster than live; let it pass
    began = time.monotonic()
    yield
    while time.monotonic() < began + seconds:
        time.sleep(0.1)
    ended = time.monotonic()
    watcher.finish()
    counted = [each for each in watcher.frames if began <= each <= ended]
    assert len(counted) / (ended - began) > 23
    assert max(after - before for before, after in itertools.pairwise(counted)) < 1.0


def connect(recorder: Recorder) -> socket.socket:
    return socket.create_connection((recorder.host, recorder.rtsp_port), 10)


def is_closed_within(connection: socket.socket, seconds: float) -> bool:
    """Whether the server ends the connection; what it sends before is thrown away."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        connection.settimeout(max(0.05, deadline - time.monotonic()))
        try:
            if not connection.recv(65536):
                return True
        except TimeoutError:
            return False
        except OSError:
            return True
    return False


@pytest.mark.covers("SEC-10")
@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"DESCRIBE\r\n\r\n",
        b"DESCRIBE rtsp://x/ RTSP/1.0\r\nCSeq: one\r\n\r\n",
        b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 99999999999\r\n\r\n",
        b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nX: " + b"y" * (2 * MEGABYTE),
        b"\x00" * 65536,
        bytes(range(256)) * 64,
    ],
    ids=["tls", "http", "no-version", "cseq", "content-length", "endless-header", "zeros", "binary"],
)
def test_garbage_ends_that_connection_only(recorder: Recorder, streams: dict[str, str], garbage: bytes) -> None:
    with steady(recorder, streams["sub"], seconds=2), connect(recorder) as connection:
        connection.settimeout(10)
        try:
            connection.sendall(garbage)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            return  # closed while we were still sending: what we ask for
        assert is_closed_within(connection, 15)


def flood_requests(recorder: Recorder) -> None:
    """Requests without end, answers never read."""
    with connect(recorder) as connection:
        connection.settimeout(0.5)
        deadline = time.monotonic() + 6
        try:
            while time.monotonic() < deadline:
                connection.sendall(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n" * 1000)
        except OSError:
            return


def flood_connections(recorder: Recorder) -> None:
    """Many connections that say nothing."""
    held = []
    try:
        for _ in range(300):
            held.append(connect(recorder))
        time.sleep(4)
    except OSError:
        return
    finally:
        for each in held:
            each.close()


def flood_soap(recorder: Recorder) -> None:
    """Bodies that are far too large, and documents far too deep."""
    url = f"http://{recorder.host}:{recorder.http_port}/onvif/device_service"
    for body in (b"x" * (32 * MEGABYTE), b"<a>" * 200_000, b'<!DOCTYPE a [<!ENTITY b "b">]><a>&b;</a>' * 10):
        try:
            status, _ = post(url, body)
        except OSError:
            continue
        assert 400 <= status < 600


@pytest.mark.covers("SEC-10")
@pytest.mark.parametrize("flood", [flood_requests, flood_connections, flood_soap])
def test_floods_are_bounded(recorder: Recorder, streams: dict[str, str], flood: Callable[[Recorder], None]) -> None:
    before = recorder.memory()
    with steady(recorder, streams["sub"], seconds=6):
        flood(recorder)
    assert recorder.memory() - before < 150 * MEGABYTE


def test_stalled_client_is_cut_off(recorder: Recorder, streams: dict[str, str]) -> None:
    with (
        steady(recorder, streams["sub"], seconds=10),
        RtspClient(streams["main"], recorder.user, recorder.password) as client,
    ):
        video = next(each for each in client.describe() if each.kind == "video")
        client.setup(video)
        client.demand("PLAY")
        # It reads nothing for longer than the server lets a client stall (10 s on top of filling the buffers).
        time.sleep(25)
        assert is_closed_within(client.socket, 15)


def test_vanished_clients_leave_nothing(recorder: Recorder, streams: dict[str, str]) -> None:
    def sockets() -> int:
        count = 0
        for link in (link for pid in recorder.workers("media") for link in Path(f"/proc/{pid}/fd").iterdir()):
            with suppress(FileNotFoundError):  # closed since it was listed
                count += os.readlink(link).startswith("socket:")
        return count

    before = sockets()
    with steady(recorder, streams["sub"], seconds=5):
        for _ in range(20):
            with RtspClient(streams["sub"], recorder.user, recorder.password) as client:
                video = next(each for each in client.describe() if each.kind == "video")
                client.setup(video)
                client.demand("PLAY")
                # Closing with linger 0 sends RST instead of FIN.
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    deadline = time.monotonic() + 15
    while sockets() > before and time.monotonic() < deadline:
        time.sleep(0.5)
    assert sockets() <= before


def held(device: Device) -> dict[str, tuple[int, int]]:
    """Tasks and descriptors of each process, as the recorder tells them for support."""
    text = "".join(str(each) for each in device.call("<tds:GetSystemSupportInformation/>").itertext())
    found = re.findall(r"(?m)(\S+): (?:[^\n]*, )?(\d+) tasks, (\d+) descriptors", text)
    assert {"control", "media-0", "replay"} <= {name for name, _, _ in found}, text
    return {name: (int(tasks), int(descriptors)) for name, tasks, descriptors in found}


async def attack_within_tls(recorder: Recorder) -> None:
    """By the ways that need most; all of them, and who watches meanwhile, are in tests/rtsp/test_hostile."""
    ports = {"door+tls": recorder.rtsps_port, "web+tls": recorder.https_port}
    around = hostile.websocket_attacks()
    async with asyncio.timeout(120):
        for way in ("door+tls", "web+tls+http", "wss"):
            dial = hostile.dialling(ports, way)
            within = (hostile.garbage, hostile.endless_head, hostile.ten_thousand_requests, hostile.frames_without_end)
            await asyncio.gather(*(attack(each) for attack in within for each in (dial, hostile.greeted(dial))))
            if way.startswith("ws"):
                floods = (around[name] for name in ("pings", "fragments", "crumbs", "giant", "noise"))
                await asyncio.gather(*(hostile.sends_raw(hostile.greeted(dial), data) for data in floods))


@pytest.mark.covers("SEC-10")
def test_attacks_within_tls_leave_nothing(recorder: Recorder, device: Device) -> None:
    """Neither tasks nor descriptors in any process, and no memory with each further round."""
    asyncio.run(attack_within_tls(recorder))  # what is made at the first time may stay
    before, memory = held(device), recorder.memory()
    asyncio.run(attack_within_tls(recorder))
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        grown = {name: (before[name], now) for name, now in held(device).items() if grew(before[name], now)}
        if not grown:
            break
        time.sleep(1)
    assert grown == {}
    assert recorder.memory() - memory < 30 * MEGABYTE


def grew(before: tuple[int, int], now: tuple[int, int]) -> bool:
    """A few may be at work at any time."""
    return any(after > earlier + 3 for earlier, after in zip(before, now, strict=True))


@pytest.mark.parametrize(
    "body",
    [
        b"not xml",
        b"<?xml version='1.0'?><open>",
        b"\xff\xfe\x00\x00",
        b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body/></s:Envelope>',
        b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><x xmlns="urn:x"/></s:Body></s:Envelope>',
        b"<!DOCTYPE a [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><a>&e;</a>",
    ],
    ids=["text", "truncated", "utf-16", "no-operation", "unknown-operation", "entity"],
)
def test_malformed_soap_gets_a_fault(device: Device, body: bytes) -> None:
    status, reply = post(device.address, body)
    assert status in (400, 401, 405, 413, 415, 500)
    assert reply.startswith(b"<?xml")
    assert b"Fault" in reply
    assert b"Traceback" not in reply
    assert b"root:" not in reply


def test_request_without_a_message_gets_no_fault(device: Device) -> None:
    # Core 5.8.2.4: a fault answers a SOAP message; without one there is only the HTTP status. 401 asks libcurl, which holds
    # its message back until it knows the challenge, for credentials.
    status, reply = post(device.address, b"")
    assert status == 401
    assert b"Fault" not in reply
