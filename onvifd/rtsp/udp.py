"""Pairs of UDP sockets for RTP and RTCP of one track, with segmentation offload where the kernel has it."""

from __future__ import annotations

import asyncio
import errno
import logging
import platform
import random
import socket
import struct
from collections.abc import Callable

from onvifd.errors import LimitReached

log = logging.getLogger(__name__)

PORTS = range(30_000, 60_000, 2)
"""Where port pairs are looked for."""

ATTEMPTS = 200
SEND_BUFFER = 2 << 20
"""A key frame leaves at once; the kernel may give less (net.core.wmem_max)."""

MAX_REPORTS = 16
"""Datagrams read per wake-up."""

_UDP_SEGMENT = 103
"""linux/udp.h; not in Python's socket module."""

# EMSGSIZE and EINVAL: the path's MTU is below our segment; EIO: no checksum offload; the others: an old kernel
_NO_OFFLOAD = (errno.EINVAL, errno.EIO, errno.ENOPROTOOPT, errno.EOPNOTSUPP, errno.EMSGSIZE)
_LINUX = platform.system() == "Linux"
_next_port = 0


class DatagramPair:
    """Connected sockets for RTP and RTCP of one track."""

    __slots__ = ("_gso", "_loop", "_segment", "rtcp", "rtp")

    def __init__(self, rtp: socket.socket, rtcp: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self.rtp, self.rtcp = rtp, rtcp
        self._gso = _LINUX
        self._segment: dict[int, list[tuple[int, int, bytes]]] = {}

    def send(self, rtcp: bool, data: bytes | memoryview, size: int) -> int:
        """Send datagrams of `size` bytes each; gives how many bytes the socket took."""
        sock = self.rtcp if rtcp else self.rtp
        try:
            if len(data) <= size:
                sock.send(data)
            elif self._gso:
                self._send_segments(sock, data, size)
            else:
                return self._send_each(sock, data, size)
        except (BlockingIOError, InterruptedError):
            return 0
        except ConnectionRefusedError:
            pass  # news of an earlier datagram: the client's port is closed, and its RTSP connection will tell why
        except OSError as error:
            log.debug("UDP to client: %s", error)
        return len(data)

    def _send_segments(self, sock: socket.socket, data: bytes | memoryview, size: int) -> None:
        ancillary = self._segment.get(size)
        if ancillary is None:
            if len(self._segment) > 64:
                self._segment.clear()
            ancillary = self._segment[size] = [(socket.IPPROTO_UDP, _UDP_SEGMENT, struct.pack("=H", size))]
        try:
            sock.sendmsg((data,), ancillary)
        except OSError as error:
            if error.errno not in _NO_OFFLOAD:
                raise
            self._gso = False
            log.debug("no UDP segmentation offload: %s", error)
            self._send_each(sock, data, size)

    def _send_each(self, sock: socket.socket, data: bytes | memoryview, size: int) -> int:
        view = memoryview(data)
        for start in range(0, len(data), size):
            try:
                sock.send(view[start : start + size])
            except (BlockingIOError, InterruptedError):
                return start
        return len(data)

    def watch(self, writable: Callable[[], None] | None) -> None:
        """Call `writable` whenever the RTP socket takes data; None ends it."""
        fd = self.rtp.fileno()
        if fd < 0:
            return
        if writable is None:
            self._loop.remove_writer(fd)
        else:
            self._loop.add_writer(fd, writable)

    def close(self) -> None:
        for sock in (self.rtp, self.rtcp):
            if sock.fileno() >= 0:
                self._loop.remove_reader(sock.fileno())
                self._loop.remove_writer(sock.fileno())
                sock.close()


class UdpPair(DatagramPair):
    """Bound on the address by which the client reached us, connected to the client's ports: only it can send to us."""

    __slots__ = ("_received", "hears", "server_port")

    def __init__(
        self,
        local: str,
        peer: str,
        client_port: tuple[int, int],
        received: Callable[[bool, bytes], None],
        scope: int = 0,
    ) -> None:
        rtp, rtcp = _bind_pair(local, scope)
        self.server_port = (rtp.getsockname()[1], rtcp.getsockname()[1])
        try:
            rtp.connect(_address(peer, client_port[0], scope))
            rtcp.connect(_address(peer, client_port[1], scope))
        except OSError:
            rtp.close()
            rtcp.close()
            raise
        super().__init__(rtp, rtcp)
        self._received = received
        self.hears = False
        """Whether RTP of the client is wanted: on a back channel."""
        for sock in (rtp, rtcp):
            self._loop.add_reader(sock.fileno(), self._readable, sock)

    def _readable(self, sock: socket.socket) -> None:
        for _ in range(MAX_REPORTS):
            try:
                data = sock.recv(2048)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                # the client's port is closed (ICMP); its RTSP connection tells whether it is gone
                continue
            if sock is self.rtcp or self.hears:
                self._received(sock is self.rtcp, data)
            if sock.fileno() < 0:
                return  # what was received ended the session


def _address(host: str, port: int, scope: int) -> tuple[str, int] | tuple[str, int, int, int]:
    return (host, port, 0, scope) if ":" in host else (host, port)


def _bind_pair(local: str, scope: int) -> tuple[socket.socket, socket.socket]:
    """An even port for RTP and the next for RTCP (RFC 3550 section 11)."""
    global _next_port
    family = socket.AF_INET6 if ":" in local else socket.AF_INET
    for _ in range(ATTEMPTS):
        port = PORTS[_next_port % len(PORTS)]
        _next_port += 1
        rtp = socket.socket(family, socket.SOCK_DGRAM)
        rtcp = socket.socket(family, socket.SOCK_DGRAM)
        try:
            rtp.bind(_address(local, port, scope))
            rtcp.bind(_address(local, port + 1, scope))
        except OSError as error:
            rtp.close()
            rtcp.close()
            if error.errno != errno.EADDRINUSE:
                raise
            # Another worker takes its pairs in a row as well: past all of them at once.
            _next_port = random.randrange(len(PORTS))
            continue
        for sock in (rtp, rtcp):
            sock.setblocking(False)
        rtp.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        return rtp, rtcp
    raise LimitReached("no pair of UDP ports is free")
