"""The RTSP server on real sockets: connections, their sessions' media, time-outs.

server = RtspServer({"/live": live_mount, "/replay": replay_mount}, DigestVerifier.for_rtsp(realm, lookup), clock)
port = await server.serve("127.0.0.1", 8554)      # own listener, or
server.adopt(sock, initial)                       # connections that somebody else accepted
await server.close()
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Coroutine, Mapping
from dataclasses import dataclass, field

from onvifd.access.types import Account
from onvifd.clock import Clock
from onvifd.errors import NotFound, OnvifdError, Timeout, Unavailable
from onvifd.rtsp.messages import Response
from onvifd.rtsp.outlet import SEND_BUFFER, STALL_TIMEOUT, Link, TcpOutlet, UdpOutlet
from onvifd.rtsp.play import Mount, Playback, Presentation
from onvifd.rtsp.server_events import Closed, Event, Find, Limits, OpenUdp, Pause, Play, Session, SessionEnded, Udp
from onvifd.rtsp.server_session import ServerConnection, Verifier
from onvifd.rtsp.udp import UdpPair

log = logging.getLogger(__name__)

ACTION_TIMEOUT = 15.0
"""Seconds for finding a presentation, preparing to play and pausing."""

TICK = 1.0
"""Seconds between looks at time-outs and stalls."""

_RECEIVE = 64 << 10
_REFUSAL_LOG_INTERVAL = 10.0


@dataclass(slots=True)
class _Media:
    """What belongs to one session: its way out and, once played, its playback."""

    pairs: dict[int, UdpPair] = field(default_factory=dict)
    outlet: TcpOutlet | UdpOutlet | None = None
    playback: Playback | None = None


class RtspServer:
    """Serves `mounts` (path prefix to Mount; the longest that fits is asked, with the whole path).

    `verifier` is `DigestVerifier.for_rtsp(...)`. At `max_connections` further ones are refused with 503.
    """

    def __init__(
        self,
        mounts: Mapping[str, Mount],
        verifier: Verifier,
        clock: Clock,
        *,
        max_connections: int = 4096,
        limits: Limits | None = None,
    ) -> None:
        self._mounts = {"/" + prefix.strip("/"): mount for prefix, mount in mounts.items()}
        self._clock = clock
        self._max_connections = max_connections
        self._listeners: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: set[_Connection] = set()
        self._ticker: asyncio.Task[None] | None = None
        self._refused = 0
        self._refusal_logged = float("-inf")
        self._closing = False
        self.verifier = verifier
        self.limits = limits or Limits()

    @property
    def connections(self) -> int:
        return len(self._connections)

    @property
    def sessions(self) -> int:
        return sum(len(connection.machine.sessions) for connection in self._connections)

    def now(self) -> float:
        return self._clock.monotonic()

    async def serve(self, host: str, port: int) -> int:
        """Listen; gives the port (useful when asked for 0). Raises OSError when it cannot bind."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
            listener.listen(1024)
            listener.setblocking(False)
        except OSError:
            listener.close()
            raise
        self._listeners.append(listener)
        self.own(self._accept(listener))
        return int(listener.getsockname()[1])

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, _ = await loop.sock_accept(listener)
            except OSError as error:
                log.error("RTSP server cannot accept: %s", error)
                await asyncio.sleep(0.2)
                continue
            self.adopt(client)

    def adopt(self, sock: socket.socket, initial: bytes = b"") -> None:
        """Serve a connected client; the socket is ours from now on. `initial` is what was already read from it."""
        sock.setblocking(False)
        if self._closing or len(self._connections) >= self._max_connections:
            self._refuse(sock)
            return
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            connection = _Connection(self, sock)
        except OSError as error:
            # it was gone before we had it
            log.debug("RTSP client: %s", error)
            sock.close()
            return
        self._connections.add(connection)
        if self._ticker is None:
            self._ticker = self.own(self._tick())
        connection.begin(initial)

    def _refuse(self, sock: socket.socket) -> None:
        self._refused += 1
        now = self.now()
        if now - self._refusal_logged >= _REFUSAL_LOG_INTERVAL:
            log.warning("RTSP server has %d connections: %d refused", len(self._connections), self._refused)
            self._refusal_logged, self._refused = now, 0
        with contextlib.suppress(OSError):
            sock.send(Response(503).serialise())
        sock.close()

    def own(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Run `work` as a task that ends with the server at the latest."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("RTSP server task failed", exc_info=task.exception())

    async def _tick(self) -> None:
        while True:
            await self._clock.sleep(TICK)
            now = self.now()
            for connection in list(self._connections):
                connection.tick(now)

    async def find(self, path: str, account: Account) -> Presentation:
        """The presentation at `path`. Raises NotFound and what the mount raises."""
        fitting = [prefix for prefix in self._mounts if prefix in ("/", path) or path.startswith(prefix + "/")]
        if not fitting:
            raise NotFound(f"nothing is at {path}")
        return await self._mounts[max(fitting, key=len)].find(path, account)

    def forget(self, connection: _Connection) -> None:
        self._connections.discard(connection)

    async def close(self) -> None:
        """End all sessions and connections."""
        self._closing = True
        connections = list(self._connections)
        for connection in connections:
            connection.shut("server stops")
        # freeing sessions awaits their playbacks
        for _ in range(2):
            frees = [task for connection in connections for task in connection.freeing]
            await asyncio.gather(*frees, return_exceptions=True)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for listener in self._listeners:
            listener.close()
        for connection in connections:
            connection.close_socket()


class _Connection:
    """One client: feeds its machine, does what the machine asks, and owns what its sessions use."""

    def __init__(self, server: RtspServer, sock: socket.socket) -> None:
        self._server = server
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        local, peer = sock.getsockname(), sock.getpeername()
        self.local, self.peer = _plain(local[0]), _plain(peer[0])
        self._scope = local[3] if len(local) > 3 and ":" in self.local else 0
        self.machine = ServerConnection(server.verifier, local_host=self.local, now=server.now(), limits=server.limits)
        self.freeing: set[asyncio.Task[None]] = set()
        self._link = Link(sock, self._lost)
        self._media: dict[str, _Media] = {}
        self._pumping = False
        self._shut = False
        self._reading = False
        self._fd = sock.fileno()

    def begin(self, initial: bytes) -> None:
        self._loop.add_reader(self._fd, self._readable)
        self._reading = True
        if initial:
            self.machine.receive_data(initial, self._server.now())
            self.pump()

    def _readable(self) -> None:
        try:
            data = self._sock.recv(_RECEIVE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lost(f"connection lost: {error.strerror or error}")
            return
        if not data:
            self._lost("client has closed the connection")
            return
        self.machine.receive_data(data, self._server.now())
        self.pump()

    def _lost(self, reason: str) -> None:
        self._link.close()
        self.machine.close(reason, noteworthy=False)
        self.pump()

    def pump(self) -> None:
        """Do what the machine asks until it waits for the client or for a task."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while (event := self.machine.next_event(self._server.now())) is not None:
                if isinstance(event, SessionEnded):
                    self._free(event)
                elif isinstance(event, Closed):
                    self._link.send_answer(self.machine.data_to_send())
                    self._close(event)
                else:
                    self._server.own(self._perform(event))
        finally:
            self._pumping = False
        self._link.send_answer(self.machine.data_to_send())

    async def _perform(self, event: Event) -> None:
        machine = self.machine
        try:
            async with asyncio.timeout(ACTION_TIMEOUT):
                if isinstance(event, Find):
                    machine.found(*await self._find(event))
                elif isinstance(event, OpenUdp):
                    machine.set_up(self._open_udp(event))
                elif isinstance(event, Play):
                    await self._play(event)
                elif isinstance(event, Pause):
                    await self._pause(event)
        except TimeoutError:
            machine.failed(Timeout("no answer in time"))
        except OnvifdError as error:
            machine.failed(error)
        except OSError as error:
            machine.failed(Unavailable(str(error)))
        except Exception as error:
            # a defect must cost one request, not the connections of others
            log.exception("RTSP request of %s failed", self.peer)
            machine.failed(OnvifdError(str(error)))
        self.pump()

    async def _find(self, event: Find) -> tuple[Presentation, str, str | None]:
        missing: NotFound | None = None
        for path, control in event.candidates:
            try:
                return await self._server.find(path, event.account), path, control
            except NotFound as error:
                missing = missing or error
        raise missing or NotFound("nothing is there")

    def _open_udp(self, event: OpenUdp) -> tuple[int, int]:
        session = event.session
        media = self._media.setdefault(session.id, _Media())

        def received(_: bytes) -> None:
            self.machine.rtcp_received(session, self._server.now())

        pair = UdpPair(self.local, self.peer, event.client_port, received, self._scope)
        old = media.pairs.get(event.track)
        media.pairs[event.track] = pair
        if old is not None:
            old.close()
        return pair.server_port

    async def _play(self, event: Play) -> None:
        session = event.session
        media = self._media.setdefault(session.id, _Media())
        if media.outlet is None:
            if any(isinstance(track, Udp) for track in session.tracks.values()):
                media.outlet = UdpOutlet(session, media.pairs, self._ended)
            else:
                media.outlet = TcpOutlet(session, self._link, self._ended)
            media.playback = session.presentation.open(media.outlet)
        assert media.playback is not None
        media.outlet.refresh()
        reply = await media.playback.play(event.request, frozenset(session.tracks))
        if session.id not in self.machine.sessions:
            return
        self.machine.played(reply)
        if event.request.immediate:
            media.outlet.forget()  # Streaming 6.10: the old position is of no more interest
        self._link.send_answer(self.machine.data_to_send())
        media.playback.start()
        log.info("RTSP %s plays %s", self.peer, session.path)

    async def _pause(self, event: Pause) -> None:
        media = self._media.get(event.session.id)
        if media is not None and media.playback is not None:
            await media.playback.pause()
        self.machine.paused()

    def _ended(self, session: Session) -> None:
        """The source of a session has ended: what is queued still goes out."""
        self._server.own(self._finish(session))

    async def _finish(self, session: Session) -> None:
        await self._link.flush()
        self.machine.end_session(session, "source has ended")
        self.pump()

    def _free(self, event: SessionEnded) -> None:
        media = self._media.pop(event.session.id, None)
        if media is None:
            return
        if media.outlet is not None:
            media.outlet.forget()
            log.info("RTSP %s no longer plays %s: %s", self.peer, event.session.path, event.reason)
        for pair in media.pairs.values():
            pair.close()
        media.pairs.clear()
        if media.playback is not None:
            task = self._server.own(_bounded(media.playback.close()))
            self.freeing.add(task)
            task.add_done_callback(self.freeing.discard)

    def _close(self, event: Closed) -> None:
        self._stop_reading()
        log.log(logging.WARNING if event.noteworthy else logging.DEBUG, "RTSP %s: %s", self.peer, event.reason)
        self._server.own(self._finish_closing())

    async def _finish_closing(self) -> None:
        await self._link.flush()
        self.close_socket()

    def _stop_reading(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._fd)

    def shut(self, reason: str) -> None:
        """End everything, for the server's end."""
        self.machine.close(reason, noteworthy=False)
        self.pump()

    def close_socket(self) -> None:
        if not self._shut:
            self._shut = True
            self._stop_reading()
            self._link.close()
            self._sock.close()
            self._server.forget(self)

    def tick(self, now: float) -> None:
        """Time-outs, and clients that take nothing."""
        self.machine.handle_timer(now)
        link = self._link
        if link.queued and self._loop.time() - link.last_progress > STALL_TIMEOUT:
            # a client of replay steers by not reading (Streaming 6.5.2)
            if not any(session.presentation.replay for session in self.machine.sessions.values()):
                log.warning("RTSP %s took nothing for %g s and is cut", self.peer, STALL_TIMEOUT)
                link.lose("stalled")
        self.pump()


async def _bounded(work: Awaitable[None]) -> None:
    try:
        async with asyncio.timeout(ACTION_TIMEOUT):
            await work
    except TimeoutError:
        log.error("a playback did not close in %g s", ACTION_TIMEOUT)


def _plain(address: str) -> str:
    """An IPv4 address that came in over a dual-stack socket as itself."""
    return address.removeprefix("::ffff:").partition("%")[0]
