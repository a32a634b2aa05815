"""RTP by UDP and multicast for an RTSP client: the sockets of a track, whose packets are handed on framed as if interleaved.

So that what receives media is the same for all (RFC 2326 10.12). What is out of order waits a moment (`reorder`).
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import secrets
import socket
import struct
from collections.abc import Callable
from pathlib import Path

from onvifd.errors import Unavailable
from onvifd.rtsp.poller import ReadPoller
from onvifd.rtsp.reorder import Reorder

log = logging.getLogger(__name__)

BUFFER = 256 << 10
"""Bytes that one reading takes at most; the rest waits in the kernel."""
LARGEST = 65_536
SOCKET_BUFFER = 2 << 20
"""Bytes that the kernel holds for a track, where it allows so many: half a second of 32 Mbit/s."""
MAX_READ = 256
"""Datagrams of one reading."""
PATIENCE = 1.0
"""Seconds in which only the announced ports are heard."""
PAIR_TRIES = 32
_RTCP_FIRST, _RTCP_LAST = 200, 207
FIRST_PORT, LAST_PORT = 16_384, 32_766
"""Below the ports that the system gives to outgoing connections."""
IP_MULTICAST_ALL, IP_ADD_SOURCE_MEMBERSHIP = 49, 39
MCAST_JOIN_SOURCE_GROUP = 46
_frame = struct.Struct(">BBH").pack_into

Receiver = Callable[[bytearray, int, int], int]


class DatagramTrack:
    """The two sockets of one track. `channel` is that under which its RTP is handed on, RTCP on the next."""

    def __init__(self, channel: int, rtp: socket.socket, rtcp: socket.socket) -> None:
        self.channel = channel
        self.port = int(rtp.getsockname()[1])
        self.order = Reorder()
        self._sockets = (rtp, rtcp)
        self._hosts: frozenset[str] = frozenset()
        """Who may send; what comes first from one of these is the camera, and then nobody else is heard."""
        self._ports: tuple[int, int] | None = None
        self._loose_from = 0.0
        self._latched = [False, False]
        self._out: socket.socket | None = None
        """Where reports leave, unless by the RTCP socket: one that is bound to a group cannot send."""
        self._media_to: tuple[str, int] | None = None
        self._reports_to: tuple[str, int] | None = None
        self._receiver: Receiver | None = None
        self._failed: Callable[[Exception], None] | None = None
        self._poller: ReadPoller | None = None
        self._reading = False
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    def open(cls, channel: int, family: socket.AddressFamily, local: str) -> DatagramTrack:
        """Bind an even port and the next one (RFC 3550 11) at the address that leads to the camera. Raises Unavailable."""
        for _ in range(PAIR_TRIES):
            port = FIRST_PORT + 2 * secrets.randbelow((LAST_PORT - FIRST_PORT) // 2)
            opened: list[socket.socket] = []
            try:
                for number in (port, port + 1):
                    sock = _socket(family)
                    opened.append(sock)
                    sock.bind((local, number))
            except OSError:
                for sock in opened:
                    sock.close()
                continue
            return cls(channel, *opened)
        raise Unavailable("there is no pair of free UDP ports")

    @classmethod
    def join(cls, channel: int, group: str, ports: tuple[int, int], local: str, source: str = "") -> DatagramTrack:
        """Join a multicast group on the interface that has the address `local`; only what `source` sends, if given.

        Raises Unavailable.
        """
        opened: list[socket.socket] = []
        try:
            address = ipaddress.ip_address(group)
            if not address.is_multicast:
                raise Unavailable("camera gives no multicast address")
            family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
            for number in ports:
                sock = _socket(family)
                opened.append(sock)
                # Several programs of one machine may listen to a group.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                # Bound to the group, so that nothing else that comes to the port is heard.
                sock.bind((group, number))
                _join(sock, group, local, source)
            track = cls(channel, *opened)
            track._out = _sender(family, local)
        except (OSError, ValueError) as error:
            for sock in opened:
                sock.close()
            raise Unavailable(f"cannot join the multicast group of the camera: {error}") from None
        track._reports_to = (group, ports[1])
        return track

    def expect(self, hosts: frozenset[str], host: str = "", ports: tuple[int, int] | None = None) -> None:
        """Take packets from these hosts alone.

        `ports` are what the camera announces. Some send from others: those are taken when nothing came for PATIENCE.
        """
        self._hosts, self._ports = hosts, ports
        if ports is not None:
            self._media_to, self._reports_to = (host, ports[0]), (host, ports[1])

    def start(
        self, receiver: Receiver, poller: ReadPoller | None, failed: Callable[[Exception], None] | None = None
    ) -> None:
        """Hand on what comes from now on. `failed` takes what the receiver raises, after which it is given nothing more."""
        self._receiver, self._poller, self._failed = receiver, poller, failed
        loop = asyncio.get_running_loop()
        self._loose_from = loop.time() + PATIENCE
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

    def send_rtcp(self, packet: bytes) -> None:
        """A report or request of ours to the camera. Until the camera has told or shown its port there is nowhere to send it."""
        sock, to = self._out or self._sockets[1], self._reports_to
        # The camera's port may be closed: what matters is whether pictures come.
        with contextlib.suppress(OSError):
            if self._latched[1] and self._out is None:
                sock.send(packet)
            elif to is not None:
                sock.sendto(packet, to)

    def send(self, packet: bytes) -> bool:
        """Send RTP to the camera; false if it did not say where to, or the socket takes nothing."""
        try:
            if self._latched[0]:
                return self._sockets[0].send(packet) > 0
            return self._media_to is not None and self._sockets[0].sendto(packet, self._media_to) > 0
        except OSError:
            return False

    def close(self) -> None:
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for sock in self._sockets:
            if self._reading:
                if self._poller is not None:
                    self._poller.remove(sock.fileno())
                else:
                    loop.remove_reader(sock.fileno())
            sock.close()
        if self._out is not None:
            self._out.close()
        self._reading = False

    # ---- reading

    def _readable_rtp(self) -> None:
        buffer, places, end = self._read(0, self.channel)
        if not places or self._receiver is None:
            return
        order = self.order
        numbers = [buffer[at + 6] << 8 | buffer[at + 7] for at, _ in places]
        if order.expected >= 0 and order.straight(numbers):
            self._give(buffer, end)
            return
        now = asyncio.get_running_loop().time()
        ready: list[bytes] = []
        for (at, stop), number in zip(places, numbers, strict=True):
            packet = bytes(buffer[at:stop])
            if _RTCP_FIRST <= packet[5] <= _RTCP_LAST:
                ready.append(packet)  # on the port of media: where numbers are it has its length
            else:
                ready += order.take(number, packet, now)
        self._hand_on(ready)

    def _give(self, buffer: bytearray, end: int) -> None:
        try:
            if self._receiver is not None:
                self._receiver(buffer, 0, end)
        except Exception as error:
            # Whatever the bytes did, only this camera may suffer from it: others are read in the same look.
            log.debug("receiver failed", exc_info=True)
            self._receiver = None
            if self._failed is None:
                raise
            self._failed(error)

    def _hand_on(self, ready: list[bytes]) -> None:
        if self.order.deadline is not None and self._timer is None and self._reading:
            self._timer = asyncio.get_running_loop().call_at(self.order.deadline, self._expired)
        if ready:
            joined = bytearray().join(ready)
            self._give(joined, len(joined))

    def _expired(self) -> None:
        self._timer = None
        # What is missing may lie in the socket: on a busy machine this comes before the look at it.
        self._readable_rtp()
        # A hair later than its time: timers of the loop may come early by their resolution.
        self._hand_on(self.order.expire(asyncio.get_running_loop().time() + 0.002))

    def _readable_rtcp(self) -> None:
        buffer, places, end = self._read(1, self.channel + 1)
        if places:
            self._give(buffer, end)

    def _is_camera(self, sender: tuple[str, int], which: int) -> bool:
        if self._hosts and sender[0].partition("%")[0] not in self._hosts:
            return False
        if self._ports is None or sender[1] == self._ports[which]:
            return True
        return asyncio.get_running_loop().time() >= self._loose_from

    def _read(self, which: int, channel: int) -> tuple[bytearray, list[tuple[int, int]], int]:
        """What waits in a socket, framed: buffer, where each packet lies, and the end."""
        sock, latched = self._sockets[which], self._latched[which]
        least = 4 if which else 12
        buffer = bytearray(BUFFER)
        view = memoryview(buffer)
        places: list[tuple[int, int]] = []
        end = 0
        try:
            for _ in range(MAX_READ):
                if BUFFER - end <= LARGEST + 4:
                    break
                if latched:
                    count = sock.recv_into(view[end + 4 :])
                else:
                    count, sender = sock.recvfrom_into(view[end + 4 :])
                    if not self._is_camera(sender, which):
                        continue
                    # Without it anybody could send pictures in the camera's place.
                    sock.connect(sender)
                    latched = self._latched[which] = True
                if count < least or count > 0xFFFF:
                    continue
                _frame(buffer, end, 0x24, channel, count)
                places.append((end, end + 4 + count))
                end += 4 + count
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            # An ICMP answer to a report of ours, such as "port unreachable": pictures may come all the same.
            log.debug("UDP: %s", error)
        finally:
            view.release()
        return buffer, places, end


def _socket(family: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER)
    return sock


def _sender(family: int, local: str) -> socket.socket:
    """A socket that sends to groups by the interface of `local`."""
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setblocking(False)
    if family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(local))
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, _interface_of(local))
    return sock


def _join(sock: socket.socket, group: str, local: str, source: str) -> None:
    if sock.family == socket.AF_INET:
        # Else a socket bound to a port hears groups that others of this machine have joined.
        sock.setsockopt(socket.IPPROTO_IP, IP_MULTICAST_ALL, 0)
        where = socket.inet_aton(group), socket.inet_aton(local)
        if source:
            request = b"".join((*where, socket.inet_aton(source)))
            sock.setsockopt(socket.IPPROTO_IP, IP_ADD_SOURCE_MEMBERSHIP, request)
        else:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, b"".join(where))
        return
    index = _interface_of(local)
    if source:
        request = struct.pack("@I4x", index) + _storage(group) + _storage(source)
        sock.setsockopt(socket.IPPROTO_IPV6, MCAST_JOIN_SOURCE_GROUP, request)
    else:
        packed = socket.inet_pton(socket.AF_INET6, group)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, packed + struct.pack("@I", index))


def _storage(address: str) -> bytes:
    """A struct sockaddr_storage with an IPv6 address."""
    packed = struct.pack("@HHI", socket.AF_INET6, 0, 0) + socket.inet_pton(socket.AF_INET6, address)
    return packed + bytes(128 - len(packed))


def _interface_of(local: str) -> int:
    """Index of the interface that has the IPv6 address `local`. Raises OSError."""
    address, _, scope = local.partition("%")
    if scope:
        return int(scope) if scope.isdigit() else socket.if_nametoindex(scope)
    wanted = ipaddress.IPv6Address(address).packed.hex()
    for line in Path("/proc/net/if_inet6").read_text().splitlines():
        found, index, *_ = line.split()
        if found == wanted:
            return int(index, 16)
    raise OSError(f"no interface has the address {local}")
