"""The RTSP server: listens, keeps its connections, asks the mounts.

server = RtspServer({"/live": live_mount, "/replay": replay_mount}, DigestVerifier.for_rtsp(realm, lookup), clock)
port = await server.serve("127.0.0.1", 8554)      # own listener, or
server.adopt(sock, initial)                       # connections that somebody else accepted
server.admit(arrival)                             # the same, HTTP tunnels included
await server.close()
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping

from onvifd.access.types import Account
from onvifd.clock import Clock
from onvifd.errors import NotFound
from onvifd.rtsp.admission import Door, bitrate_of, network_of
from onvifd.rtsp.arrival import Arrival
from onvifd.rtsp.connection import Connection
from onvifd.rtsp.feedback import Reception
from onvifd.rtsp.messages import Response
from onvifd.rtsp.outlet import SEND_BUFFER
from onvifd.rtsp.play import Mount, Presentation
from onvifd.rtsp.protection import KeyStore
from onvifd.rtsp.server_events import Limits, Session, Verifier
from onvifd.rtsp.websocket import GOING_AWAY, close_frame, frame

log = logging.getLogger(__name__)

TICK = 1.0
"""Seconds between looks at time-outs and stalls."""

_REFUSAL_LOG_INTERVAL = 10.0


class RtspServer:
    """Serves `mounts` (path prefix to Mount; the longest that fits is asked, with the whole path).

    `verifier` is `DigestVerifier.for_rtsp(...)`. At `max_connections` further ones are refused with 503. `door` admits sessions.
    """

    def __init__(
        self,
        mounts: Mapping[str, Mount],
        verifier: Verifier,
        clock: Clock,
        *,
        max_connections: int = 4096,
        limits: Limits | None = None,
        door: Door | None = None,
    ) -> None:
        self._mounts = {"/" + prefix.strip("/"): mount for prefix, mount in mounts.items()}
        self._clock = clock
        self._max_connections = max_connections
        self._listeners: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: dict[Connection, None] = {}
        """In order of arrival."""
        self._tunnels: dict[tuple[str, str, bool], Connection] = {}
        """HTTP tunnels by cookie, address of the client and whether it is encrypted."""
        self._ticker: asyncio.Task[None] | None = None
        self._refused = 0
        self._refusal_logged = float("-inf")
        self._closing = False
        self.verifier = verifier
        self.limits = limits or Limits()
        self.keys = KeyStore(clock.utc)
        self.door = door or Door()

    @property
    def connections(self) -> int:
        return len(self._connections)

    @property
    def sessions(self) -> int:
        return sum(len(connection.machine.sessions) for connection in self._connections)

    def listing(self) -> tuple[tuple[str, str, str, str, tuple[str, ...]], ...]:
        """Every session: its id, its account, the client's address, the path, and the kinds of the tracks that are sent now; `talk`
        is among them where the client sends sound."""
        return tuple(
            (session.id, connection.machine.account.name, connection.peer, session.path, _kinds(session))
            for connection in self._connections
            if connection.machine.account is not None
            for session in connection.machine.sessions.values()
        )

    def reception(self, session: str) -> Reception | None:
        """How a session arrives at its client; None as long as that has not told."""
        found = (each.reception(session) for each in self._connections if session in each.machine.sessions)
        return next(found, None)

    def traffic(self) -> dict[str, tuple[int, Reception | None]]:
        """By session: bit/s as far as they are known, and how it arrives."""
        return {
            session.id: (bitrate_of(session), connection.reception(session.id))
            for connection in self._connections
            for session in connection.machine.sessions.values()
        }

    def kick(self, session: str) -> bool:
        """End a session with its connection; false if there is none."""
        for connection in list(self._connections):
            if session in connection.machine.sessions:
                connection.shut("ended by an administrator")
                return True
        return False

    def expel(self, refusal: Callable[[str, str], str]) -> None:
        """End the connections that `refusal` gives a reason against; it is asked with account (empty before a login) and address."""
        for connection in list(self._connections):
            names = connection.machine.accounts or {""}
            reasons = (refusal(name, connection.peer) for name in sorted(names))
            if reason := next(filter(None, reasons), ""):
                log.info("RTSP %s is cut: %s", connection.peer, reason)
                connection.shut(reason)

    def withdraw(self, gone: Callable[[str], bool]) -> None:
        """End the sessions at paths where nothing is any more, those that do not play included; a connection ends with its last."""
        for connection in list(self._connections):
            connection.withdraw(gone)

    def now(self) -> float:
        return self._clock.monotonic()

    def utc(self) -> int:
        return self._clock.utc()

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
        self.admit(Arrival(client=sock, initial=initial))

    def admit(self, arrival: Arrival) -> None:
        """Serve a connection; its sockets are ours from now on."""
        sock = arrival.client
        for each in arrival.sockets:
            each.setblocking(False)
        if arrival.again:
            self._continue(arrival)
            return
        if len(self._connections) >= self._max_connections:
            self._make_room()
        if self._closing or len(self._connections) >= self._max_connections:
            self._refuse(arrival)
            return
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            connection = Connection(self, arrival)
        except (OSError, ValueError) as error:
            # it was gone before we had it, or TLS of a kind that is not served
            log.debug("RTSP client: %s", error)
            arrival.close()
            return
        self._connections[connection] = None
        if arrival.cookie:
            self._tunnels[connection.tunnel] = connection
        if self._ticker is None:
            self._ticker = self.own(self._tick())
        connection.begin(arrival.initial)

    def _continue(self, arrival: Arrival) -> None:
        """A client of a tunnel goes on in another POST."""
        connection = self._tunnels.get(arrival.tunnel)
        if connection is None:
            log.debug("RTSP client %s goes on in a tunnel that is not there", arrival.peer)
            arrival.close()
        else:
            connection.renew(arrival)

    def _make_room(self) -> None:
        """Of those that have not logged in the oldest of the address that has most must go: connections alone must not keep
        others out."""
        strangers = [each for each in self._connections if each.machine.account is None]
        if strangers:
            crowd, _ = Counter(network_of(each.peer) for each in strangers).most_common(1)[0]
            oldest = next(each for each in strangers if network_of(each.peer) == crowd)
            oldest.shut("others want to come in")
            oldest.close_socket()

    def _refuse(self, arrival: Arrival) -> None:
        self._refused += 1
        now = self.now()
        if now - self._refusal_logged >= _REFUSAL_LOG_INTERVAL:
            log.warning("RTSP server has %d connections: %d refused", len(self._connections), self._refused)
            self._refusal_logged, self._refused = now, 0
        answer = Response(503).serialise()
        if arrival.websocket:
            answer = frame(answer) + close_frame(GOING_AWAY)
        with contextlib.suppress(OSError, ValueError):
            layer = arrival.layers().get(arrival.client)
            arrival.client.send(answer if layer is None else layer.seal(answer) + layer.close())
        arrival.close()

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
                try:
                    connection.tick(now)
                except Exception:
                    # a defect must cost one connection, not the time-outs of all
                    log.exception("RTSP %s: time-outs failed, it is cut", connection.peer)
                    with contextlib.suppress(Exception):  # as much of its end as works
                        connection.shut("a fault")
                    connection.close_socket()

    async def find(self, path: str, account: Account) -> Presentation:
        """The presentation at `path`. Raises NotFound and what the mount raises."""
        fitting = [prefix for prefix in self._mounts if prefix in ("/", path) or path.startswith(prefix + "/")]
        if not fitting:
            raise NotFound(f"nothing is at {path}")
        return await self._mounts[max(fitting, key=len)].find(path, account)

    def forget(self, connection: Connection) -> None:
        self._connections.pop(connection, None)
        if self._tunnels.get(connection.tunnel) is connection:
            del self._tunnels[connection.tunnel]

    async def close(self) -> None:
        """End all sessions and connections."""
        self._closing = True
        connections = list(self._connections)
        for connection in connections:
            connection.shut("server stops")
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


def _kinds(session: Session) -> tuple[str, ...]:
    if not session.playing:
        return ()
    tracks = session.presentation.tracks
    kinds = {tracks[number].format.kind.value if number < len(tracks) else "talk" for number in session.tracks}
    return tuple(sorted(kinds))
