"""A small MQTT 3.1.1 broker that lets one device in and keeps what it publishes: over TCP, TLS and WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal

from aiohttp import WSMsgType, web

Scheme = Literal["mqtt", "mqtts", "ws", "wss"]
MAX_PACKET = 1 << 20
MAX_WAITING = 10_000

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 1, 2, 3, 4, 5, 6, 7
PINGREQ, PINGRESP, DISCONNECT = 12, 13, 14


class MqttError(Exception):
    """What the device sent is no MQTT 3.1.1."""


@dataclass(frozen=True, slots=True)
class Connect:
    """A CONNECT packet; `None` where a flag says that the field is missing."""

    client: str
    user: str | None
    password: str | None
    level: int


@dataclass(frozen=True, slots=True)
class Publish:
    topic: str
    payload: bytes
    qos: int
    retain: bool
    identifier: int | None


def read_connect(body: bytes) -> Connect:
    """MQTT 3.1.1, 3.1."""
    name, at = _string(body, 0)
    if name != "MQTT" or at + 4 > len(body):
        raise MqttError(f"protocol name {name!r}")
    level, flags = body[at], body[at + 1]
    client, at = _string(body, at + 4)
    if flags & 0x04:
        _, at = _string(body, at)
        _, at = _string(body, at)
    user = password = None
    if flags & 0x80:
        user, at = _string(body, at)
    if flags & 0x40:
        password, at = _string(body, at)
    return Connect(client, user, password, level)


def read_publish(flags: int, body: bytes) -> Publish:
    """MQTT 3.1.1, 3.3."""
    topic, at = _string(body, 0)
    qos = flags >> 1 & 3
    if qos == 3:
        raise MqttError("PUBLISH with QoS 3")
    identifier = None
    if qos:
        identifier, at = int.from_bytes(body[at : at + 2], "big"), at + 2
        if not identifier:
            raise MqttError("PUBLISH without packet identifier")
    return Publish(topic, body[at:], qos, bool(flags & 1), identifier)


def _string(body: bytes, at: int) -> tuple[str, int]:
    end = at + 2 + int.from_bytes(body[at : at + 2], "big")
    if end > len(body):
        raise MqttError("packet too short")
    return body[at + 2 : end].decode("utf-8", "replace"), end


def packet(kind: int, body: bytes = b"", flags: int = 0) -> bytes:
    length, left = b"", len(body)
    while True:
        left, low = left >> 7, left & 0x7F
        length += bytes((low | (0x80 if left else 0),))
        if not left:
            return bytes((kind << 4 | flags,)) + length + body


@dataclass(slots=True)
class Session:
    """The broker's side of one connection: bytes in, bytes out. `connect` is None until CONNECT came."""

    connect: Connect | None = None
    published: list[Publish] = field(default_factory=list)
    disconnected: bool = False
    _buffer: bytearray = field(default_factory=bytearray)

    def receive(self, data: bytes) -> bytes:
        """The broker's answer to more bytes. Raises MqttError."""
        self._buffer += data
        answer = b""
        while (found := self._packet()) is not None:
            answer += self._handle(*found)
        return answer

    def _packet(self) -> tuple[int, int, bytes] | None:
        length = shift = 0
        for at in range(1, min(len(self._buffer), 5)):
            length |= (self._buffer[at] & 0x7F) << shift
            shift += 7
            if not self._buffer[at] & 0x80:
                if length > MAX_PACKET:
                    raise MqttError(f"packet of {length} bytes")
                if len(self._buffer) < at + 1 + length:
                    return None
                first, body = self._buffer[0], bytes(self._buffer[at + 1 : at + 1 + length])
                del self._buffer[: at + 1 + length]
                return first >> 4, first & 15, body
        if len(self._buffer) > 5:
            raise MqttError("length of a packet is not to be read")
        return None

    def _handle(self, kind: int, flags: int, body: bytes) -> bytes:
        if kind == CONNECT:
            self.connect = read_connect(body)
            return packet(CONNACK, b"\0\0")
        if self.connect is None:
            raise MqttError("the first packet is not CONNECT (MQTT 3.1.1, 3.1)")
        match kind:
            case 3:
                message = read_publish(flags, body)
                if len(self.published) < MAX_WAITING:
                    self.published.append(message)
                identifier = (message.identifier or 0).to_bytes(2, "big")
                return (b"", packet(PUBACK, identifier), packet(PUBREC, identifier))[message.qos]
            case 6:
                return packet(PUBCOMP, body[:2])
            case 12:
                return packet(PINGRESP)
            case 14:
                self.disconnected = True
                return b""
        raise MqttError(f"unexpected packet of type {kind}")


@dataclass(slots=True)
class Broker:
    """`async with Broker(address, scheme, note) as broker`. `changed` is set whenever something arrived."""

    local: str
    scheme: Scheme
    note: Callable[[str, str | bytes, str | bytes], None]
    context: ssl.SSLContext | None = None
    url: str = ""
    sessions: list[Session] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    _server: asyncio.Server | None = None
    _runner: web.AppRunner | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def __aenter__(self) -> Broker:
        if self.scheme in ("mqtt", "mqtts"):
            self._server = await asyncio.start_server(self._serve, self.local, 0, ssl=self.context)
            port = self._server.sockets[0].getsockname()[1]
        else:
            app = web.Application()
            app.router.add_get("/{tail:.*}", self._websocket)
            self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
            await self._runner.setup()
            await web.TCPSite(self._runner, self.local, 0, ssl_context=self.context).start()
            port = self._runner.addresses[0][1]
        host = f"[{self.local}]" if ":" in self.local else self.local
        self.url = f"{self.scheme}://{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in list(self._writers):
            writer.close()
        if self._server is not None:
            self._server.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await self._server.wait_closed()
        if self._runner is not None:
            await self._runner.cleanup()

    def _received(self, session: Session, data: bytes) -> bytes:
        count = len(session.published)
        answer = session.receive(data)
        for message in session.published[count:]:
            self.note(f"PUBLISH {message.topic} QoS {message.qos}{' retained' * message.retain}", message.payload, "")
        self.changed.set()
        return answer

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session()
        self.sessions.append(session)
        self._writers.add(writer)
        try:
            # MQTT 3.1.1, 3.14.4: after DISCONNECT the server closes as well.
            while not session.disconnected and (data := await reader.read(65536)):
                writer.write(self._received(session, data))
                await writer.drain()
        except (MqttError, OSError, ssl.SSLError) as trouble:
            self.errors.append(str(trouble))
        finally:
            self._writers.discard(writer)
            writer.close()
            self.changed.set()

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        # MQTT 3.1.1, 6: subprotocol "mqtt", binary frames.
        socket = web.WebSocketResponse(protocols=("mqtt",), max_msg_size=MAX_PACKET)
        await socket.prepare(request)
        session = Session()
        self.sessions.append(session)
        try:
            if socket.ws_protocol != "mqtt":
                raise MqttError("the WebSocket has not the subprotocol mqtt (MQTT 3.1.1, 6)")
            async for frame in socket:
                if frame.type is not WSMsgType.BINARY:
                    raise MqttError("a frame that is not binary (MQTT 3.1.1, 6)")
                if answer := self._received(session, frame.data):
                    await socket.send_bytes(answer)
                if session.disconnected:
                    break
        except MqttError as trouble:
            self.errors.append(str(trouble))
        finally:
            await socket.close()
            self.changed.set()
        return socket
