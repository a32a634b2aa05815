"""RTP by UDP for an RTSP client: a pair of sockets per track, whose packets are handed on framed as if they were interleaved.

So that what receives media is the same for both (RFC 2326 10.12); what is out of order within one reading is put in order.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import socket
import struct
from collections.abc import Callable

from onvifd.errors import Unavailable
from onvifd.rtsp.poller import ReadPoller

BUFFER = 256 << 10
"""Bytes that one reading takes at most; the rest waits in the kernel."""
LARGEST = 65_536
SOCKET_BUFFER = 2 << 20
"""Bytes that the kernel holds for a track, where it allows so many: half a second of 32 Mbit/s."""
MAX_READ = 256
"""Datagrams of one reading."""
PAIR_TRIES = 32
FIRST_PORT, LAST_PORT = 16_384, 32_766
"""Below the ports that the system gives to outgoing connections."""
_HALF = 0x8000
_frame = struct.Struct(">BBH").pack_into

Receiver = Callable[[bytearray, int, int], int]


class DatagramTrack:
    """The two sockets of one track. `channel` is that under which its RTP is handed on, RTCP on the next."""

    def __init__(self, channel: int, rtp: socket.socket, rtcp: socket.socket) -> None:
        self.channel = channel
        self.port = int(rtp.getsockname()[1])
        self._sockets = (rtp, rtcp)
        self._ssrc = secrets.randbits(32)
        self._reports_to: tuple[str, int] | None = None
        self._receiver: Receiver | None = None
        self._poller: ReadPoller | None = None
        self._reading = False

    @classmethod
    def open(cls, channel: int, family: socket.AddressFamily, local: str) -> DatagramTrack:
        """Bind an even port and the next one (RFC 3550 11) at the address that leads to the camera. Raises Unavailable."""
        for _ in range(PAIR_TRIES):
            port = FIRST_PORT + 2 * secrets.randbelow((LAST_PORT - FIRST_PORT) // 2)
            opened: list[socket.socket] = []
            try:
                for number in (port, port + 1):
                    sock = socket.socket(family, socket.SOCK_DGRAM)
                    opened.append(sock)
                    sock.setblocking(False)
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER)
                    sock.bind((local, number))
            except OSError:
                for sock in opened:
                    sock.close()
                continue
            return cls(channel, *opened)
        raise Unavailable("there is no pair of free UDP ports")

    def connect(self, host: str, ports: tuple[int, int] | None) -> None:
        """Take packets from the camera alone; where it names its ports, from these."""
        if ports is None:
            return
        for sock, port in zip(self._sockets, ports, strict=True):
            # Without it anybody could send pictures in the camera's place.
            sock.connect((host, port))
        self._reports_to = (host, ports[1])

    def start(self, receiver: Receiver, poller: ReadPoller | None) -> None:
        """Hand on what comes from now on."""
        self._receiver, self._poller = receiver, poller
        loop = asyncio.get_running_loop()
        for number, sock in enumerate(self._sockets):
            readable = self._readable_rtcp if number else self._readable_rtp
            if poller is not None:
                poller.add(sock.fileno(), readable)
            else:
                loop.add_reader(sock.fileno(), readable)
        self._reading = True

    def read_now(self) -> None:
        if self._reading:
            self._readable_rtp()

    def report(self) -> None:
        """An empty receiver report, which tells the camera that somebody is there (RFC 3550 6.4.2)."""
        if self._reports_to is not None:
            try:
                self._sockets[1].send(struct.pack(">BBHI", 0x80, 201, 1, self._ssrc))
            except OSError:
                # The camera's port may be closed: what matters is whether pictures come.
                return

    def send(self, packet: bytes) -> bool:
        """Send RTP to the camera; false if it did not say where to, or the socket takes nothing."""
        try:
            return self._reports_to is not None and self._sockets[0].send(packet) > 0
        except OSError:
            return False

    def close(self) -> None:
        loop = asyncio.get_running_loop()
        for sock in self._sockets:
            if self._reading:
                if self._poller is not None:
                    self._poller.remove(sock.fileno())
                else:
                    loop.remove_reader(sock.fileno())
            sock.close()
        self._reading = False

    # ---- reading

    def _readable_rtp(self) -> None:
        buffer, places, end = self._read(self._sockets[0], self.channel)
        if not places or self._receiver is None:
            return
        numbers = [int.from_bytes(buffer[at + 6 : at + 8], "big") for at, _ in places]
        first = numbers[0]
        order = [(number - first + _HALF) & 0xFFFF for number in numbers]
        if any(one > other for one, other in itertools.pairwise(order)):
            buffer = bytearray().join(
                buffer[at:stop] for _, (at, stop) in sorted(zip(order, places, strict=True), key=lambda each: each[0])
            )
        self._receiver(buffer, 0, end)

    def _readable_rtcp(self) -> None:
        buffer, places, end = self._read(self._sockets[1], self.channel + 1)
        if places and self._receiver is not None:
            self._receiver(buffer, 0, end)

    def _read(self, sock: socket.socket, channel: int) -> tuple[bytearray, list[tuple[int, int]], int]:
        """What waits in a socket, framed: buffer, where each packet lies, and the end."""
        buffer = bytearray(BUFFER)
        view = memoryview(buffer)
        places: list[tuple[int, int]] = []
        end = 0
        try:
            while len(places) < MAX_READ and BUFFER - end > LARGEST + 4:
                count = sock.recv_into(view[end + 4 :])
                if count < 12 and not channel & 1:
                    continue
                _frame(buffer, end, 0x24, channel, count)
                places.append((end, end + 4 + count))
                end += 4 + count
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            # An ICMP answer to a report of ours, such as "port unreachable": pictures may come all the same.
            pass
        finally:
            view.release()
        return buffer, places, end
