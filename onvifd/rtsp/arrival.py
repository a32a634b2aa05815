"""A client's connection on its way to the server that owns its path, within a process or to another one."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field

import msgspec

from onvifd.pki.records import RecordLayer


class _Papers(msgspec.Struct, frozen=True, omit_defaults=True):
    """What travels beside the descriptors."""

    initial: bytes
    post: bool = False
    rest: bytes = b""
    cookie: str = ""
    peer: str = ""
    local: str = ""
    secure: bool = False
    websocket: bool = False
    fragmented: bool = False
    tls: bytes = b""
    post_tls: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A connection with what was already read from it.

    `client` is what is written to. In an HTTP tunnel requests come by `post` (base64; `rest` is what of it was read and not
    yet decoded) and `cookie` names the tunnel; one with a cookie and no `post` is the client's next POST of a tunnel that
    stands. `peer` and `local` are the addresses of a tunnel, by which its connections are found. `secure`: the client's
    connections are encrypted, so media must not leave them in clear; `tls` and `post_tls` are the states to go on with
    (`pki.records`), for `client` and `post`. `websocket`: RTSP is within WebSocket; then `rest` is a frame
    that is not whole yet and `fragmented` tells that a message has begun.
    """

    client: socket.socket
    initial: bytes = b""
    post: socket.socket | None = None
    rest: bytes = b""
    cookie: str = ""
    peer: str = ""
    local: str = ""
    secure: bool = False
    websocket: bool = False
    fragmented: bool = False
    tls: bytes = field(default=b"", repr=False)
    post_tls: bytes = field(default=b"", repr=False)

    @property
    def again(self) -> bool:
        """Whether this is a further POST of a tunnel."""
        return bool(self.cookie) and self.post is None

    @property
    def tunnel(self) -> tuple[str, str, bool]:
        """What the connections of one HTTP tunnel have in common."""
        return self.cookie, self.peer, self.secure

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        return (self.client,) if self.post is None else (self.client, self.post)

    def layers(self) -> dict[socket.socket, RecordLayer]:
        """TLS of each socket that has it. Raises ValueError."""
        papers = zip(self.sockets, (self.tls, self.post_tls), strict=False)
        return {sock: RecordLayer.unpack(state) for sock, state in papers if state}

    def duplicate(self) -> Arrival:
        """The same connection by descriptors of its own."""
        return Arrival.unpack([sock.dup() for sock in self.sockets], self.pack())

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()

    def pack(self) -> bytes:
        """All but the sockets."""
        papers = _Papers(
            initial=self.initial,
            post=self.post is not None,
            rest=self.rest,
            cookie=self.cookie,
            peer=self.peer,
            local=self.local,
            secure=self.secure,
            websocket=self.websocket,
            fragmented=self.fragmented,
            tls=self.tls,
            post_tls=self.post_tls,
        )
        return msgspec.msgpack.encode(papers)

    @staticmethod
    def unpack(sockets: list[socket.socket], data: bytes) -> Arrival:
        """Raises ValueError when sockets and papers do not fit; the sockets are then the caller's to close."""
        papers = msgspec.msgpack.decode(data, type=_Papers)
        if len(sockets) != 1 + papers.post:
            raise ValueError("sockets and papers of a connection do not fit")
        return Arrival(
            client=sockets[0],
            initial=papers.initial,
            post=sockets[1] if papers.post else None,
            rest=papers.rest,
            cookie=papers.cookie,
            peer=papers.peer,
            local=papers.local,
            secure=papers.secure,
            websocket=papers.websocket,
            fragmented=papers.fragmented,
            tls=papers.tls,
            post_tls=papers.post_tls,
        )
