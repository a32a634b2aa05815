"""One client's connection to the RTSP server: the machine of `server_session` on a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable, Coroutine
from typing import Protocol

from onvifd.access.types import Account
from onvifd.clock import utc_to_ntp
from onvifd.errors import NotFound, OnvifdError, Timeout, Unavailable
from onvifd.pki.records import RecordLayer, TlsFailure
from onvifd.rtsp.admission import Door
from onvifd.rtsp.arrival import Arrival
from onvifd.rtsp.feedback import Reception
from onvifd.rtsp.messages import Interleaved, RtspError
from onvifd.rtsp.outlet import STALL_TIMEOUT
from onvifd.rtsp.outlet_udp import UdpOutlet
from onvifd.rtsp.play import AsksKeyframes, PausesAt, Presentation
from onvifd.rtsp.protection import KeyStore, Protection
from onvifd.rtsp.secure_link import link_of
from onvifd.rtsp.server_events import (
    Closed,
    Event,
    Find,
    Limits,
    OpenUdp,
    Pause,
    Play,
    Received,
    Retuned,
    Session,
    SessionEnded,
    Verifier,
)
from onvifd.rtsp.server_session import ServerConnection
from onvifd.rtsp.session_media import SessionMedia
from onvifd.rtsp.talks import Talks, talk_track
from onvifd.rtsp.tunnel import Base64Stream
from onvifd.rtsp.udp import UdpPair
from onvifd.rtsp.websocket import GOING_AWAY, WebSocketStream, close_frame

log = logging.getLogger(__name__)

ACTION_TIMEOUT = 15.0
"""Seconds for finding a presentation, preparing to play and pausing."""

_RECEIVE = 64 << 10


class Host(Protocol):
    """What a connection needs of the server."""

    verifier: Verifier
    limits: Limits
    keys: KeyStore

    door: Door

    def now(self) -> float: ...

    def utc(self) -> int: ...

    def own(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]: ...

    async def find(self, path: str, account: Account) -> Presentation: ...

    def forget(self, connection: Connection) -> None: ...


class Connection:
    """One client: feeds its machine, does what the machine asks, and owns what its sessions use.

    In an HTTP tunnel it reads from the socket of the POST, which may end and be followed by another one while the GET stands.
    """

    def __init__(self, server: Host, arrival: Arrival) -> None:
        sock = arrival.client
        self._server = server
        self._sock = sock
        self._source: socket.socket | None = arrival.post or sock
        self._decoder = Base64Stream(arrival.rest) if arrival.post is not None else None
        self._web = WebSocketStream(server.now(), arrival.rest, arrival.fragmented) if arrival.websocket else None
        self._loop = asyncio.get_running_loop()
        self._scope = 0
        self._layers = arrival.layers()
        if arrival.local:
            self.local, self.peer = _plain(arrival.local), _plain(arrival.peer)
        else:
            local = sock.getsockname()
            self.local, self.peer = _plain(local[0]), _plain(sock.getpeername()[0])
            self._scope = local[3] if len(local) > 3 and ":" in self.local else 0
        self.tunnel = arrival.tunnel
        self.machine = ServerConnection(
            server.verifier,
            local_host=self.local,
            now=server.now(),
            limits=server.limits,
            admission=server.door,
            peer=self.peer,
            tcp_only=self._decoder is not None or arrival.websocket,
            protection=Protection(server.keys) if arrival.secure else None,
        )
        self.freeing: set[asyncio.Task[None]] = set()
        self._link = link_of(sock, self._lost, self._layers.get(sock), arrival.websocket)
        self._media: dict[str, SessionMedia] = {}
        self._talks = Talks()
        self._pumping = False
        self._shut = False
        self._reading = False

    def begin(self, initial: bytes) -> None:
        self._loop.add_reader(self._sock.fileno(), self._readable, self._sock)
        if self._source is not None and self._source is not self._sock:
            self._loop.add_reader(self._source.fileno(), self._readable, self._source)
        self._reading = True
        if initial:
            self.machine.receive_data(initial, self._server.now())
            self.pump()

    def renew(self, arrival: Arrival) -> None:
        """Requests come by another POST from now on."""
        self._end_source()
        if self._decoder is None or not self._reading:
            arrival.close()
            return
        try:
            layers = arrival.layers()
        except ValueError as error:
            log.debug("RTSP %s goes on in TLS that is not served: %s", self.peer, error)
            arrival.close()
            return
        self._source, self._decoder = arrival.client, Base64Stream()
        self._layers |= layers
        self._loop.add_reader(self._source.fileno(), self._readable, self._source)
        self._take(arrival.rest)

    def _end_source(self) -> None:
        source, self._source = self._source, None
        if source is not None and source is not self._sock:
            if self._reading:
                self._loop.remove_reader(source.fileno())
            self._layers.pop(source, None)
            source.close()

    def _unseal(self, layer: RecordLayer, sock: socket.socket, data: bytes) -> bytes | None:
        """What is within TLS, empty at its end; None when nothing is whole yet."""
        try:
            data = layer.feed(data)
        except TlsFailure as failure:
            if sock is self._sock:
                self._link.send_records(failure.alert)
            self._lost(str(failure))
            return None
        if sock is not self._sock:
            with contextlib.suppress(OSError):
                sock.send(layer.replies())
        elif not self._link.queued:  # else it goes with what waits: a client that does not read gathers nothing
            self._link.send_records(layer.replies())
        return data if data or layer.closed else None

    def _readable(self, sock: socket.socket) -> None:
        try:
            data = sock.recv(_RECEIVE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            if sock is self._sock:
                self._lost(f"connection lost: {error.strerror or error}")
                return
            data = b""  # a POST that is cut has ended, no more
        ended = not data
        if data and (layer := self._layers.get(sock)) is not None:
            opened = self._unseal(layer, sock, data)
            if opened is None:
                return
            data, ended = opened, layer.closed
        if sock is self._source:
            if data:
                self._take(data)
            if not ended:
                return
            if self._decoder is not None and self.machine.sessions:
                self._end_source()  # another POST may follow, until the sessions are silent for too long
            else:
                self._lost("client has closed the connection")
        elif ended:  # what a client sends behind its GET has no meaning
            self._lost("client has closed the connection")

    def _take(self, data: bytes) -> None:
        if self._decoder is not None:
            try:
                data = self._decoder.feed(data)
            except ValueError:
                self._lost("client posts what is no base64")
                return
        if self._web is not None:
            data = self._web.feed(data, self._server.now())
            self._link.send_raw(self._web.replies())
        self.machine.receive_data(data, self._server.now())
        self.pump()
        if self._web is not None and self._web.closed is not None:
            self.shut(self._web.closed)

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
                elif isinstance(event, Received):
                    self._received(event)
                elif isinstance(event, Retuned):
                    self._retune(event.session)
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
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # not we are cancelled but what was waited for, as its session has ended: requests behind this one wait for an answer
            machine.failed(Unavailable("what it needs has ended"))
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
        if session.id not in self.machine.sessions:
            raise Unavailable("the session has ended meanwhile")

        def received(rtcp: bool, data: bytes) -> None:
            self.machine.datagram_received(session, event.track, rtcp, data, self._server.now())
            self.pump()

        pair = UdpPair(self.local, self.peer, event.client_port, received, self._scope)
        pair.hears = event.track == len(session.presentation.tracks)  # Streaming 5.3: sound comes here
        media = self._media.setdefault(session.id, SessionMedia(session))
        old = media.pairs.get(event.track)
        media.pairs[event.track] = pair
        if old is not None:
            old.close()
        return pair.server_port

    async def _play(self, event: Play) -> None:
        session = event.session
        self._check_there(session)
        media = self._media.setdefault(session.id, SessionMedia(session))
        await media.renew()
        self._check_there(session)
        media.begin(self._link, self._ended, self.local)
        goes_on = session.playing and bool(session.held)
        if event.track in (None, talk_track(session)):
            self._talks.begin(session, self.machine.login, self.peer, self._server.now())
        try:
            reply = await media.play(event.request)
        except BaseException:
            self._talks.end(session)
            raise
        self._check_there(session)
        self.machine.played(reply)
        if media.outlet is not None:
            media.outlet.refresh()
            if event.request.immediate:
                media.outlet.forget()  # Streaming 6.10: the old position is of no more interest
        self._link.send_answer(self.machine.data_to_send())
        if media.playback is not None:
            media.playback.start()
        if goes_on and isinstance(session.presentation, AsksKeyframes):
            session.presentation.want_keyframe()  # a track that was held goes on in the midst of a group of pictures
        log.info("RTSP %s plays %s", self.peer, session.path)

    def _check_there(self, session: Session) -> None:
        """A request whose session has ended meanwhile is answered all the same: others of the connection wait behind it."""
        if session.id not in self.machine.sessions:
            raise RtspError(454, "the session has ended meanwhile")

    def _retune(self, session: Session) -> None:
        """Some tracks of a session do not play any more."""
        media = self._media.get(session.id)
        if media is None:
            return
        media.retune()
        if talk_track(session) in (None, *session.held):
            self._talks.end(session)

    def _received(self, event: Received) -> None:
        """A report of a client, or its sound."""
        session = event.session
        if not event.rtcp:
            if self._talks.over(session):
                self._ended(session)
                return
            report = self._talks.hear(session, event.track, event.data, self._server.now(), self._server.utc())
            if report is not None:
                self._report(session, event.track, report)
            return
        self._talks.reported(session, event.track, event.data, self._server.now())
        media = self._media.get(session.id)
        if media is None or event.track >= len(session.presentation.tracks):
            return
        rate = session.presentation.tracks[event.track].format.clock_rate
        found = media.feedback.take(event.track, rate, event.data, utc_to_ntp(self._server.utc()))
        if found.blocks and isinstance(media.outlet, UdpOutlet):
            media.outlet.reported(found.blocks[0].fraction / 256)
        if found.keyframe and session.playing and isinstance(session.presentation, AsksKeyframes):
            session.presentation.want_keyframe()
        if found.bye:
            self.machine.left(session, self._server.now())

    def _report(self, session: Session, track: int, report: bytes) -> None:
        """RTCP to who talks."""
        secured, way, media = session.secured.get(track), session.tracks.get(track), self._media.get(session.id)
        if secured is not None:
            report = secured.sender.report(report)
        if isinstance(way, tuple):
            self._link.send_answer(Interleaved(way[1], report).serialise())
        elif media is not None and track in media.pairs:
            media.pairs[track].send(True, report, len(report))

    def reception(self, session: str) -> Reception | None:
        """How a session arrives, as its client reports it."""
        media = self._media.get(session)
        return media.feedback.worst if media is not None else None

    async def _pause(self, event: Pause) -> None:
        media = self._media.get(event.session.id)
        self._talks.end(event.session)
        now = True
        if media is not None and media.playback is not None:
            if event.at is not None and isinstance(media.playback, PausesAt):
                now = await media.playback.pause_at(event.at)
            else:
                await media.playback.pause()
        self.machine.paused(now)

    def _ended(self, session: Session) -> None:
        """The source of a session has ended: what is queued still goes out."""
        self._server.own(self._finish(session))

    async def _finish(self, session: Session) -> None:
        await self._link.flush()
        self.machine.end_session(session, "source has ended")
        self.pump()

    def _free(self, event: SessionEnded) -> None:
        self._talks.end(event.session)
        media = self._media.pop(event.session.id, None)
        if media is None:
            return
        if media.outlet is not None:
            log.info("RTSP %s no longer plays %s: %s", self.peer, event.session.path, event.reason)
        media.close_ways()
        if media.playback is not None:
            task = self._server.own(_bounded(media.playback.close()))
            self.freeing.add(task)
            task.add_done_callback(self.freeing.discard)

    def _close(self, event: Closed) -> None:
        self._stop_reading()
        if self._web is not None and self._web.closed is None:
            self._link.send_raw(close_frame(GOING_AWAY))
        log.log(logging.WARNING if event.noteworthy else logging.DEBUG, "RTSP %s: %s", self.peer, event.reason)
        self._server.own(self._finish_closing())

    async def _finish_closing(self) -> None:
        await self._link.flush()
        self.close_socket()

    def _stop_reading(self) -> None:
        if self._reading:
            self._loop.remove_reader(self._sock.fileno())
            self._end_source()
            self._reading = False

    def shut(self, reason: str) -> None:
        """End everything, for the server's end."""
        self.machine.close(reason, noteworthy=False)
        self.pump()

    def withdraw(self, gone: Callable[[str], bool]) -> None:
        """See RtspServer. What is queued for them is dropped."""
        for session in list(self.machine.sessions.values()):
            if gone(session.path):
                log.info("RTSP %s: %s is not there any more", self.peer, session.path)
                self.machine.end_session(session, "nothing is at its address any more")
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
        if any(layer.spent for layer in self._layers.values()):
            self.shut("its keys have been used for as long as they may")
        link = self._link
        # a client of replay steers by not reading (Streaming 6.5.2)
        patient = any(session.presentation.replay for session in self.machine.sessions.values())
        if link.queued and not patient and self._loop.time() - link.last_progress > STALL_TIMEOUT:
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
