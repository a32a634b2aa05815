"""A client's TCP connection within TLS: units are encrypted when the socket is about to take them, each with one call.

What waits is not encrypted yet, so it can still be dropped for a later key frame. Only the rest of what the socket took in part
waits as it will be sent.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable

from onvifd.pki.records import RecordLayer
from onvifd.rtsp.outlet import LOW_WATER, Link, TcpOutlet

BATCH = 128 << 10
"""Bytes that wait and are encrypted at a time, once the socket takes data again."""


def link_of(
    sock: socket.socket, lost: Callable[[str], None], layer: RecordLayer | None, websocket: bool
) -> Link | SecureLink:
    """The connection of a client, in clear without `layer`."""
    if layer is None:
        return Link(sock, lost, websocket=websocket)
    return SecureLink(sock, lost, layer, websocket=websocket)


class SecureLink(Link):
    """See module and `Link`."""

    __slots__ = ("_layer",)

    def __init__(
        self, sock: socket.socket, lost: Callable[[str], None], layer: RecordLayer, *, websocket: bool = False
    ) -> None:
        super().__init__(sock, lost, websocket=websocket)
        self._layer = layer

    def send_media(self, data: bytes, outlet: TcpOutlet | None) -> None:
        """See Link."""
        if self.closed:
            return
        if self._queue:
            self._queue.append((memoryview(data), outlet, self._loop.time()))
            self.queued += len(data)
            return
        self._send_sealed(self._layer.seal(data), outlet)

    def send_records(self, data: bytes) -> None:
        """Records of the protocol itself: before what is not encrypted yet, behind what is."""
        if self.closed or not data:
            return
        if not self._queue:
            self._send_sealed(data, None)
            return
        now = self._loop.time()
        if self._head_is_partial:
            head, outlet, now = self._queue.popleft()
            self._queue.appendleft((memoryview(bytes(head) + data), outlet, now))
        else:
            self._queue.appendleft((memoryview(data), None, now))
            self._head_is_partial = True
        self.queued += len(data)

    def _send_sealed(self, sealed: bytes, outlet: TcpOutlet | None) -> None:
        sent = self._offer(sealed)
        if 0 <= sent < len(sealed):
            self.last_progress = self._loop.time()
            self._keep(memoryview(sealed)[sent:], outlet, self.last_progress)
            self._watch(True)

    def _keep(self, rest: memoryview, outlet: TcpOutlet | None, since: float) -> None:
        """The first in the queue: what can be neither dropped nor preceded any more."""
        self._queue.appendleft((rest, outlet, since))
        self.queued += len(rest)
        self._head_is_partial = True

    def _writable(self) -> None:
        pieces: list[bytes | memoryview] = []
        plain: list[memoryview] = []
        size, outlet, since = 0, self._queue[0][1], self._queue[0][2]
        if self._head_is_partial:
            head = self._queue.popleft()[0]
            pieces.append(head)
            size = len(head)  # where the socket takes little, the rest stays as it is, to be dropped or preceded
        while self._queue and size < BATCH:
            data, whose, _ = self._queue.popleft()
            if whose is None:
                self._answers = max(0, self._answers - len(data))
            plain.append(data)
            size += len(data)
        self.queued = sum(len(entry[0]) for entry in self._queue)
        if plain:
            pieces.append(self._layer.seal(plain[0] if len(plain) == 1 else b"".join(plain)))
        sealed = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._head_is_partial = False
        sent = self._offer(sealed)
        if sent < 0:
            return
        if sent:
            self.last_progress = self._loop.time()
        if sent < len(sealed):
            self._keep(memoryview(sealed)[sent:], outlet, since)
        elif not self._queue:
            self._answers = 0
            self._watch(False)
        if self.queued <= LOW_WATER:
            self._wake()

    def close(self) -> None:
        """See Link. Says that nothing more comes, where it can be said at once."""
        if not self.closed and not self._queue:
            with contextlib.suppress(OSError):
                self.sock.send(self._layer.close())
        super().close()
