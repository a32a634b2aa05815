"""Connections within TLS whose keys are spent: they end where that costs nothing, and say so."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl

import pytest

from onvifd.pki import records
from onvifd.rtsp import server as server_module
from tests.bodies.test_gate import GET, serving
from tests.bodies.test_gate import tls as tls
from tests.bodies.test_tunnels import House, until
from tests.bodies.test_tunnels import house as house
from tests.pki.test_records import Client
from tests.rtsp.hostile import PATH, Conversation, Wire

AES_1_2 = ("1.2", "ECDHE+AESGCM")


class Secure:
    """A blocking connection that tells an end that was said from one that was not."""

    def __init__(self, port: int, version: str, suites: str) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.client = Client(version, suites)
        self.ended = False
        while True:
            try:
                self.client.object.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.sock.sendall(self.client.outgoing.read())
                self.client.incoming.write(self.sock.recv(1 << 16))
        self.sock.sendall(self.client.outgoing.read())

    def send(self, data: bytes) -> None:
        with contextlib.suppress(ConnectionError):
            self.sock.sendall(self.client.write(data))

    def read(self) -> bytes:
        """What is next; empty at the end."""
        while True:
            try:
                data = self.sock.recv(1 << 16)
            except ConnectionError:
                data = b""
            found = self.client.read(data) if data else b""
            if found or not data:
                self.ended = not data
                return found
            if self.said():
                return b""

    def said(self) -> bool:
        """Whether the server has said that nothing more comes (close_notify)."""
        try:
            return self.client.object.read(1) == b""
        except ssl.SSLWantReadError:
            return False


def gets(port: int, version: str, suites: str) -> tuple[int, bool]:
    """How many requests of one connection are answered, and whether its end was said."""
    secure = Secure(port, version, suites)
    with secure.sock:
        for answered in range(60):
            secure.send(GET)
            found = b""
            while not found.endswith(b"hello"):
                more = secure.read()
                if not more:
                    return answered, not found and secure.said()
                found += more
        return 60, secure.said()


async def test_keys_of_tls_1_2_end_the_connection_between_two_answers(
    tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "SPENT_AFTER", 20)
    async with serving(tls) as face:
        answered, said = await asyncio.to_thread(gets, face.port, *AES_1_2)
        assert 5 < answered < 21
        assert said


async def test_keys_of_tls_1_3_are_exchanged(tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, number in (("KEY_UPDATE_AFTER", 7), ("ASK_AFTER", 9), ("SPENT_AFTER", 20), ("WORN_AFTER", 25)):
        monkeypatch.setattr(records, name, number)
    async with serving(tls) as face:
        assert await asyncio.to_thread(gets, face.port, "1.3", "") == (60, False)


async def test_an_answer_without_end_is_cut_before_its_keys_break(
    tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "SPENT_AFTER", 10)
    monkeypatch.setattr(records, "WORN_AFTER", 100)

    def take() -> tuple[int, bool]:
        secure = Secure(face.port, *AES_1_2)
        with secure.sock:
            secure.send(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
            got = 0
            while more := secure.read():
                got += len(more)
            return got, secure.said()

    async with serving(tls) as face:
        got, said = await asyncio.to_thread(take)
    assert 80 * (16 << 10) < got < 110 * (16 << 10)
    assert said


@pytest.mark.parametrize(("version", "suites", "ends"), [(*AES_1_2, True), ("1.3", "", False)])
async def test_a_stream_ends_where_its_keys_cannot_be_exchanged(
    house: House, version: str, suites: str, ends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, number in (("KEY_UPDATE_AFTER", 20), ("ASK_AFTER", 30), ("SPENT_AFTER", 50), ("WORN_AFTER", 60)):
        monkeypatch.setattr(records, name, number)
    monkeypatch.setattr(server_module, "TICK", 0.02)

    def watch() -> tuple[int, bool]:
        """Bytes of media up to the end, or enough of them, and whether that was said."""
        secure = Secure(house.ports["door+tls"], version, suites)
        with secure.sock:

            class Inner(Wire):
                def __init__(self) -> None: ...

                def write(self, data: bytes) -> None:
                    secure.send(data)

                async def read(self) -> bytes:
                    return secure.read()

            async def play() -> None:
                talk = Conversation(Inner())
                transport = ("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1")
                await talk.ask("SETUP", f"rtsp://127.0.0.1{PATH}/trackID=0", transport)
                await talk.ask("PLAY", f"rtsp://127.0.0.1{PATH}")

            asyncio.run(play())
            units, seen = 0, b""
            while units < 300 and (seen := secure.read()):
                units += 1
            return units, not seen and secure.said()

    units, said = await asyncio.to_thread(watch)
    assert (units < 300, said) == (ends, ends)
    await until(lambda: house.server.connections == 0)
