"""Word from the kernel that links or addresses have changed (rtnetlink); where there is none, the caller must look by itself."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable

logger = logging.getLogger(__name__)

SETTLE_SECONDS = 0.5
"""A change comes in many messages (link, then address, then the end of duplicate detection); they are taken together."""

_NETLINK_ROUTE = 0
_GROUPS = 0x1 | 0x10 | 0x100
"""RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR (linux/rtnetlink.h)."""


class NetworkWatch:
    """Calls `changed` on the event loop half a second after the first notice of a change."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._socket: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> bool:
        """Whether the kernel will tell."""
        family = getattr(socket, "AF_NETLINK", None)
        if family is None:
            return False
        sock: socket.socket | None = None
        try:
            sock = socket.socket(family, socket.SOCK_RAW, _NETLINK_ROUTE)
            sock.setblocking(False)
            sock.bind((0, _GROUPS))
            asyncio.get_running_loop().add_reader(sock.fileno(), self._read)
        except OSError as error:
            if sock is not None:
                sock.close()
            logger.info("discovery: the kernel does not tell of changes of the network: %s", error)
            return False
        self._socket = sock
        return True

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def _read(self) -> None:
        # What changed is read from the system afterwards; a full buffer (ENOBUFS) means a change as well.
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.recv(65536)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SETTLE_SECONDS, self._fire)

    def _fire(self) -> None:
        self._timer = None
        self._changed()
