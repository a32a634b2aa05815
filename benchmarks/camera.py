"""Cameras for benchmarks: RTSP over TCP, any number, each picture stamped with the time at which it was sent.

`python -m benchmarks.camera PORT [--pace MICROSECONDS]` serves `/cam0`, `/cam1`, ... to anybody; with `--pace` the packets of
a picture are sent apart, as many cameras do. One thread per session: simple, and cheap enough for 100 cameras.
"""

from __future__ import annotations

import argparse
import base64
import socket
import struct
import threading
import time
from dataclasses import dataclass

from benchmarks.clip import FPS, access_units

PAYLOAD = 1400
STAMP = b"onvifd-benchmark"
"""User data identifier of the SEI that carries the send time as 16 hexadecimal digits (nanoseconds since 1970), and the number of
the picture since PLAY as 8."""

SEI = bytes((6, 5, 40)) + STAMP + b"0" * 24 + b"\x80"
NTP_TO_UNIX = 2_208_988_800


@dataclass(frozen=True, slots=True)
class Template:
    """One picture as interleaved RTP packets; `starts` are the offsets of their `$`."""

    data: bytes
    starts: tuple[int, ...]


def payloads(nals: list[bytes]) -> list[bytes]:
    """RFC 6184: single NAL unit packets and FU-A."""
    packets = []
    for nal in nals:
        if len(nal) <= PAYLOAD:
            packets.append(nal)
            continue
        pieces = [nal[offset : offset + PAYLOAD - 2] for offset in range(1, len(nal), PAYLOAD - 2)]
        for number, piece in enumerate(pieces):
            flags = (0x80 if number == 0 else 0) | (0x40 if number == len(pieces) - 1 else 0)
            packets.append(bytes((nal[0] & 0xE0 | 28, flags | nal[0] & 31)) + piece)
    return packets


def template(nals: list[bytes]) -> Template:
    data, starts = bytearray(), []
    packets = payloads([SEI, *nals])
    for number, payload in enumerate(packets):
        starts.append(len(data))
        marker = 0x80 if number == len(packets) - 1 else 0
        data += struct.pack(">BBHBBHII", 0x24, 0, len(payload) + 12, 0x80, marker | 96, 0, 0, 0x10203040) + payload
    return Template(bytes(data), tuple(starts))


class Session(threading.Thread):
    """One client: answers its requests until PLAY, then sends pictures until it goes."""

    def __init__(self, connection: socket.socket, templates: list[Template], pace: float) -> None:
        super().__init__(daemon=True)
        self._connection = connection
        self._templates = templates
        self._pace = pace

    def run(self) -> None:
        with self._connection:
            try:
                self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self._negotiate():
                    threading.Thread(target=self._swallow, daemon=True).start()
                    self._play()
            except OSError:
                return

    def _negotiate(self) -> bool:
        requests = self._connection.makefile("rb")
        while first := requests.readline(4096):
            method, url = first.decode().split()[:2]
            headers = {}
            while line := requests.readline(4096).strip():
                name, _, value = line.decode().partition(":")
                headers[name.lower()] = value.strip()
            extra, body = self._answer(method, url, headers)
            reply = f"RTSP/1.0 200 OK\r\nCSeq: {headers.get('cseq', '0')}\r\n{extra}Content-Length: {len(body)}\r\n\r\n{body}"
            self._connection.sendall(reply.encode())
            if method == "PLAY":
                return True
        return False

    def _answer(self, method: str, url: str, headers: dict[str, str]) -> tuple[str, str]:
        if method == "OPTIONS":
            return "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER\r\n", ""
        if method == "DESCRIBE":
            sets = [nal for nal in self._nals() if nal[0] & 31 in (7, 8)]
            sprop = ",".join(base64.b64encode(each).decode() for each in sets)
            sdp = (
                "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\n"
                f"a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1;sprop-parameter-sets={sprop}\r\na=control:t0\r\n"
            )
            return f"Content-Type: application/sdp\r\nContent-Base: {url}/\r\n", sdp
        if method == "SETUP":
            return f"Session: 1;timeout=60\r\nTransport: {headers['transport']};ssrc=10203040\r\n", ""
        return "Session: 1\r\n", ""

    def _nals(self) -> list[bytes]:
        return access_units()[0]

    def _swallow(self) -> None:
        """Read keep-alives and answer none; the clients here do not mind."""
        try:
            while self._connection.recv(65536):
                pass
        except OSError:
            return

    def _play(self) -> None:
        sequence, number = 0, 0
        began = time.monotonic() + hash(threading.get_ident()) % 40 / 1000
        # Reports tell when pictures were taken, as those of cameras do, not when a busy machine got to send them.
        origin = time.time_ns() + round((began - time.monotonic()) * 1_000_000_000)
        while True:
            time.sleep(max(0.0, began + number / FPS - time.monotonic()))
            rtp_time = number * 90_000 // FPS & 0xFFFFFFFF
            if number % (5 * FPS) == 0:
                self._connection.sendall(sender_report(rtp_time, origin + number * 1_000_000_000 // FPS))
            each = self._templates[number % len(self._templates)]
            data = bytearray(each.data)
            for start in each.starts:
                struct.pack_into(">HI", data, start + 6, sequence & 0xFFFF, rtp_time)
                sequence += 1
            data[19 + len(STAMP) : 43 + len(STAMP)] = b"%016x%08x" % (time.time_ns(), number)
            if self._pace:
                self._send_apart(data, each.starts)
            else:
                self._connection.sendall(data)
            number += 1

    def _send_apart(self, data: bytearray, starts: tuple[int, ...]) -> None:
        for start, end in zip(starts, (*starts[1:], len(data)), strict=True):
            self._connection.sendall(data[start:end])
            time.sleep(self._pace)


def sender_report(rtp_time: int, taken: int) -> bytes:
    """That the picture with this time stamp was taken at `taken`, nanoseconds since 1970."""
    seconds, nanos = divmod(taken, 1_000_000_000)
    report = struct.pack(
        ">BBHIIIIII", 0x80, 200, 6, 0x10203040, seconds + NTP_TO_UNIX, (nanos << 32) // 1_000_000_000, rtp_time, 0, 0
    )
    return struct.pack(">BBH", 0x24, 1, len(report)) + report


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--pace", type=int, default=0, help="microseconds between packets of a picture")
    options = parser.parse_args()
    templates = [template(nals) for nals in access_units()]
    with socket.create_server(("127.0.0.1", options.port), backlog=1024) as server:
        print("ready", flush=True)
        while True:
            connection, _ = server.accept()
            Session(connection, templates, options.pace / 1_000_000).start()


if __name__ == "__main__":
    main()
