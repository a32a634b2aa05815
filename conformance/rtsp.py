"""Raw RTSP 1.0 over TCP (RFC 2326), with Digest and interleaved data."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from urllib.parse import unquote, urlsplit, urlunsplit

from conformance.auth import Digest, read_challenges
from conformance.model import Failure

Note = Callable[[str, "str | bytes", "str | bytes"], None]
MAX_HEAD, MAX_BODY = 64 << 10, 1 << 20


@dataclass(frozen=True, slots=True)
class RtspReply:
    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def __str__(self) -> str:
        lines = [f"RTSP/1.0 {self.status} {self.reason}", *(f"{key}: {value}" for key, value in self.headers), ""]
        return "\n".join(lines) + "\n" + self.body.decode("utf-8", "replace")


@dataclass(slots=True)
class RtspClient:
    """One connection. Requests carry Digest credentials once the server has asked for them."""

    uri: str
    user: str = ""
    password: str = field(default="", repr=False)
    timeout: float = 10.0
    note: Note = lambda title, request, response: None
    authenticate: bool = True
    sequence: int = 0
    session: str = ""
    _reader: asyncio.StreamReader | None = None
    _writer: asyncio.StreamWriter | None = None
    _digest: Digest | None = None
    packets: asyncio.Queue[tuple[int, bytes]] = field(default_factory=lambda: asyncio.Queue(10_000))
    """Interleaved packets that arrived while an answer was awaited."""

    async def __aenter__(self) -> RtspClient:
        target = urlsplit(self.uri)
        if target.username:
            self.user, self.password = unquote(target.username), unquote(target.password or "")
            host = target.netloc.rpartition("@")[2]
            self.uri = urlunsplit((target.scheme, host, target.path, target.query, ""))
        tls = target.scheme == "rtsps"
        context = ssl.create_default_context() if tls else None
        if context is not None:
            # A device's certificate is its own; who it belongs to is what other cases ask.
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            async with asyncio.timeout(self.timeout):
                self._reader, self._writer = await asyncio.open_connection(
                    target.hostname, target.port or (322 if tls else 554), ssl=context
                )
        except (OSError, TimeoutError) as error:
            raise Failure(f"no RTSP connection to {target.netloc}: {error or 'time-out'}") from None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()
            try:
                async with asyncio.timeout(2):
                    await self._writer.wait_closed()
            except (OSError, TimeoutError):
                self.note("the RTSP connection was not closed in order", "", "")

    async def request(
        self, method: str, uri: str | None = None, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> RtspReply:
        """Send a request and read its answer; answers a 401 with Digest once."""
        reply = await self._exchange(method, uri or self.uri, headers or {}, body)
        if reply.status == 401 and self.authenticate and self.user:
            challenges = [each for each in read_challenges(reply.all("WWW-Authenticate")) if each.known]
            if challenges and (self._digest is None or self._digest.challenge.nonce != challenges[0].nonce):
                self._digest = Digest(self.user, self.password, challenges[0])
                reply = await self._exchange(method, uri or self.uri, headers or {}, body)
        if (session := reply.header("Session")) and reply.status == 200:
            self.session = session.partition(";")[0].strip()
        return reply

    async def _exchange(self, method: str, uri: str, headers: Mapping[str, str], body: bytes) -> RtspReply:
        assert self._writer is not None
        self.sequence += 1
        lines = [f"{method} {uri} RTSP/1.0", f"CSeq: {self.sequence}"]
        if self.session and "Session" not in headers:
            lines.append(f"Session: {self.session}")
        if self._digest is not None:
            lines.append(f"Authorization: {self._digest.authorize(method, uri)}")
        lines += [f"{key}: {value}" for key, value in headers.items()]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        message = "\r\n".join((*lines, "", "")).encode() + body
        try:
            async with asyncio.timeout(self.timeout):
                self._writer.write(message)
                await self._writer.drain()
                reply = await self._reply()
        except TimeoutError:
            self.note(f"RTSP {method}", message, "")
            raise Failure(f"RTSP {method}: no answer within {self.timeout:g} s") from None
        except (OSError, EOFError) as error:
            self.note(f"RTSP {method}", message, repr(error))
            raise Failure(f"RTSP {method}: the connection ended: {error!r}") from None
        self.note(f"RTSP {method}", message, str(reply))
        return reply

    async def _reply(self) -> RtspReply:
        assert self._reader is not None
        while (first := await self._reader.readexactly(1)) == b"$":
            await self._packet()
        head = first + await self._reader.readuntil(b"\r\n\r\n")
        if len(head) > MAX_HEAD:
            raise Failure(f"an RTSP answer with {len(head)} bytes of headers")
        start, *rest = head.decode("utf-8", "replace").split("\r\n")
        version, _, more = start.partition(" ")
        status, _, reason = more.partition(" ")
        if version != "RTSP/1.0" or not status.isdigit():
            raise Failure(f"not an RTSP answer: {start!r}")
        headers = tuple(
            (key.strip(), value.strip()) for key, colon, value in (each.partition(":") for each in rest) if colon
        )
        length = next((int(value) for key, value in headers if key.lower() == "content-length" and value.isdigit()), 0)
        if length > MAX_BODY:
            raise Failure(f"an RTSP answer with {length} bytes")
        return RtspReply(int(status), reason, headers, await self._reader.readexactly(length) if length else b"")

    async def _packet(self) -> tuple[int, bytes]:
        assert self._reader is not None
        channel, high, low = await self._reader.readexactly(3)
        packet = channel, await self._reader.readexactly(high << 8 | low)
        if not self.packets.full():
            self.packets.put_nowait(packet)
        return packet

    async def packet(self, timeout: float | None = None) -> tuple[int, bytes]:
        """The next interleaved packet: channel and content."""
        assert self._reader is not None
        if not self.packets.empty():
            return self.packets.get_nowait()
        try:
            async with asyncio.timeout(self.timeout if timeout is None else timeout):
                while await self._reader.readexactly(1) != b"$":
                    raise Failure("something else than interleaved data arrived")
                await self._packet()
                return self.packets.get_nowait()
        except TimeoutError:
            raise Failure("no media arrived in time") from None
        except (OSError, EOFError) as error:
            raise Failure(f"the media connection ended: {error!r}") from None
