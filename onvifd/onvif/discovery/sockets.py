"""The sockets of one link: one that hears the group, one per address that is asked directly and from which all is sent."""

from __future__ import annotations

import ipaddress
import socket
import struct
import sys
from typing import cast

from onvifd.onvif.discovery.links import Address, Link

PORT = 3702
GROUPS = {4: "239.255.255.250", 6: "ff02::c"}
"""WS-Discovery section 2.4."""
HOP_LIMIT = 1

# Linux delivers a group that any socket of the machine has joined to every socket bound to it unless told otherwise; the
# module `socket` does not name these options (linux/in.h, linux/in6.h).
_IP_MULTICAST_ALL = 49
_IPV6_MULTICAST_ALL = 29
_LINUX = sys.platform.startswith("linux")


def _socket(link: Link) -> socket.socket:
    sock = socket.socket(socket.AF_INET if link.version == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    sock.setblocking(False)
    # Several devices and clients on one host share the port; each gets its copy of every multicast datagram.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if not _LINUX and hasattr(socket, "SO_REUSEPORT"):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if link.version == 6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return sock


def _interface(link: Link, address: Address) -> bytes:
    """The interface for IPv4 multicast: by number where the system knows that, because two may have the same address."""
    return struct.pack("@4s4si", bytes(4), address.packed, link.index) if _LINUX else address.packed


def group_socket(link: Link) -> socket.socket:
    """Receives the group on this link alone. Raises OSError."""
    sock = _socket(link)
    try:
        if link.version == 4:
            if _LINUX:
                sock.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
            sock.bind((GROUPS[4], PORT))
            interface = _interface(link, link.addresses[0][0])
            group = socket.inet_aton(GROUPS[4])
            membership = group + interface[4:] if _LINUX else group + interface
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        else:
            if _LINUX:
                sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MULTICAST_ALL, 0)
            sock.bind((GROUPS[6], PORT, 0, link.index))
            membership = socket.inet_pton(socket.AF_INET6, GROUPS[6]) + struct.pack("@I", link.index)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, membership)
    except OSError:
        sock.close()
        raise
    return sock


def unicast_socket(link: Link, address: Address) -> socket.socket:
    """Receives what is sent to one address and sends, multicast included, from it. Raises OSError."""
    sock = _socket(link)
    try:
        if link.version == 4:
            sock.bind((str(address), PORT))
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, _interface(link, address))
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, HOP_LIMIT)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
        else:
            scope = link.index if cast(ipaddress.IPv6Address, address).is_link_local else 0
            sock.bind((str(address), PORT, 0, scope))
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, link.index)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, HOP_LIMIT)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 1)
    except OSError:
        sock.close()
        raise
    return sock
