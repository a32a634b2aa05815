"""RTSP client: the conversation on a real connection, with media in it, beside it (UDP, multicast), or within HTTP or TLS.

After `play` all bytes go to the receiver given, straight from the receive buffer.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
import ssl
from dataclasses import replace
from typing import Any

from onvifd.errors import OnvifdError, Timeout, Unavailable
from onvifd.rtsp.client_connection import Connection, Receiver
from onvifd.rtsp.client_messages import AnswerParser
from onvifd.rtsp.client_session import (
    DEFAULTS,
    MAX_REDIRECTS,
    ClientOptions,
    ClientSession,
    NotUnderstood,
    Placed,
    TransportRefused,
    parse_url,
    redirected,
)
from onvifd.rtsp.client_transport import Way
from onvifd.rtsp.client_trust import check, context_for
from onvifd.rtsp.client_tunnel import Tunnel
from onvifd.rtsp.client_udp import DatagramTrack
from onvifd.rtsp.messages import Interleaved, Request, Response, RtspError
from onvifd.rtsp.poller import ReadPoller
from onvifd.rtsp.sdp import DescribedTrack, Description

__all__ = ["CONNECT_TIMEOUT", "Receiver", "RtspClient", "describe"]

log = logging.getLogger(__name__)

SEND_BUFFER = 64 << 10
"""Bytes to a camera that wait; sound beyond is left out."""

CONNECT_TIMEOUT = 5.0
ANSWER_TIMEOUT = 10.0


class RtspClient:
    """One connection to a camera. Use: `connect`, `describe`, `place` each track, `play`, then await `lost`; `close` at the end.

    `options.way` must be a concrete one. `seen_pin` is the fingerprint of the certificate that the camera has shown.
    """

    def __init__(
        self,
        url: str,
        user: str = "",
        password: str = "",
        poller: ReadPoller | None = None,
        options: ClientOptions = DEFAULTS,
        require: str = "",
    ) -> None:
        self.options = options
        self.session = ClientSession(url, user, password, options, require=require)
        self.seen_pin = ""
        self._poller = poller
        self._connection: Connection | None = None
        self._tunnel: Tunnel | None = None
        self._datagrams: list[DatagramTrack] = []

    async def connect(self, timeout: float = CONNECT_TIMEOUT) -> None:
        """Open the connection. Raises Unavailable (Untrusted), NotAuthorized or Timeout."""
        address = parse_url(self.session.url)
        where = f"{address.host}:{address.port}"
        try:
            async with asyncio.timeout(timeout):
                connection = await self._open_connection()
        except TimeoutError:
            raise Timeout(f"no connection to {where} in {timeout:g} s") from None
        except ssl.SSLError as error:
            raise Unavailable(f"no TLS with {where}: {error.reason or error}") from None
        except OSError as error:
            raise Unavailable(f"no connection to {where}: {error.strerror or error}") from None
        connection.on_request = self._requested
        self._connection = connection
        if self._tunnel is not None:
            self.session.offered_digest |= self._tunnel.offered_digest
        transport = connection.transport
        sock = transport.get_extra_info("socket") if transport else None
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    async def _open_connection(self) -> Connection:
        address, way = parse_url(self.session.url), self.options.way
        secure = way.encrypted or address.secure
        context = await asyncio.to_thread(context_for, self.options.trust.judge) if secure else None
        if way in (Way.HTTP, Way.HTTPS):
            port = self.options.tunnel_port or (443 if secure else 80)
            path = re.sub(r"^rtsps?://[^/?]*", "", address.url)
            user, password = self.session.user, self.session.password
            self._tunnel = Tunnel(
                address.host, port, path, user, password, context, self._judge, basic=self.options.basic
            )
            return await self._tunnel.open(self._poller)
        poller = None if secure else self._poller
        connection = Connection(poller)
        await asyncio.get_running_loop().create_connection(
            lambda: connection,
            address.host,
            address.port,
            ssl=context,
            server_hostname=address.host if context is not None else None,
        )
        if context is not None:
            assert connection.transport is not None
            try:
                self._judge(connection.transport.get_extra_info("ssl_object"))
            except Unavailable:
                connection.fail("not trusted")
                raise
        return connection

    def _judge(self, ssl_object: Any) -> None:
        self.seen_pin = check(self.options.trust, ssl_object)

    def _open(self) -> Connection:
        if self._connection is None or self._connection.transport is None:
            raise Unavailable("not connected")
        return self._connection

    @property
    def offered_digest(self) -> bool:
        """Whether the camera has asked for Digest, and is to be told no password in clear any more."""
        return self.session.offered_digest or (self._tunnel is not None and self._tunnel.offered_digest)

    @property
    def challenged(self) -> bool:
        """Whether the camera has asked for a login that we would give it."""
        return self.session.challenged or (self._tunnel is not None and self._tunnel.challenged)

    @property
    def has_answered(self) -> bool:
        """Whether the camera has answered anything: it speaks RTSP, and by this way."""
        return self.session.answered

    @property
    def misunderstood(self) -> bool:
        """Whether the connection ended since what came was no RTSP."""
        return self._connection is not None and self._connection.misunderstood

    async def _ask(self, data: bytes, timeout: float = ANSWER_TIMEOUT) -> Response:
        challenged = False
        while True:
            connection = self._open()
            connection.send(data)
            try:
                async with asyncio.timeout(timeout):
                    response = await connection.answer(timeout)
                    while not self.session.awaits(response):
                        response = await connection.answer(timeout)
            except TimeoutError:
                raise Timeout(f"the camera does not answer in {timeout:g} s") from None
            except Unavailable:
                if not challenged or self.session.session:
                    raise
                # Cameras that close behind a challenge want the answer to it on another connection.
                challenged = False
                await self._renew()
                continue
            again = self.session.response(response)
            if again is None:
                return response
            data, challenged = again, True

    async def _renew(self) -> None:
        """Another connection for the same conversation."""
        connection, self._connection = self._connection, None
        tunnel, self._tunnel = self._tunnel, None
        if connection is not None:
            connection.fail("closed")
        if tunnel is not None:
            await tunnel.close()
        await self.connect()

    async def request(self, method: str, uri: str = "", headers: tuple[tuple[str, str], ...] = ()) -> Response:
        """Any request and its answer. Raises NotAuthorized, Unavailable, Timeout."""
        return await self._ask(self.session.request(method, uri, headers))

    # ---- describing ------------------------------------------------------------------------------

    async def describe(self, headers: tuple[tuple[str, str], ...] = ()) -> Description:
        """OPTIONS and DESCRIBE, with credentials if asked, following redirections.

        Raises NotAuthorized, Unavailable, Timeout, BadInput.
        """
        for _ in range(MAX_REDIRECTS + 1):
            if self.options.options_first:
                await self._options()
            response = await self.request("DESCRIBE", self.session.url, (("Accept", "application/sdp"), *headers))
            if not self.session.redirect:
                return self.session.described(response)
            await self._follow()
        raise Unavailable("camera redirects too often")

    async def _follow(self) -> None:
        """Go on where the camera sends us, with the same login: on the same host only, it is nobody else's business."""
        old = parse_url(self.session.url)
        target = redirected(self.session.redirect, self.session.url, encrypted=self.options.way.encrypted)
        same = parse_url(target).host == old.host
        user, password = (self.session.user, self.session.password) if same else ("", "")
        if not same:
            log.warning("%s redirects to another host, which does not get its password", old.host)
        self.options = replace(self.options, basic=self.options.basic and not self.offered_digest)
        offered = self.offered_digest
        await self.close()
        self.session = ClientSession(target, user, password, self.options, require=self.session.require)
        self.session.offered_digest = offered
        await self.connect()

    async def _options(self) -> None:
        try:
            await self.request("OPTIONS", self.session.url)
        except (Timeout, Unavailable):
            if self._open().lost.done():
                raise
            # A camera without OPTIONS is still a camera.
        self.session.redirect = ""

    # ---- setting up ------------------------------------------------------------------------------

    def use(self, way: Way) -> None:
        """Ask for the following tracks by TCP or UDP on this same connection."""
        self.options = replace(self.options, way=way)

    async def place(self, track: DescribedTrack, channel: int) -> Placed:
        """Set a track up by the way of the options. Its packets come on the channels that are given back, as if interleaved.

        Raises TransportRefused if the camera does not send that way, Unavailable, Timeout.
        """
        way = self.options.way
        if way is Way.UDP:
            return await self._place_udp(track, channel)
        if way is Way.MULTICAST:
            return await self._place_multicast(track, channel)
        response = await self._ask(self.session.setup(track, Way.TCP, channel))
        return self.session.placed(response, Way.TCP, channel)

    async def setup(self, track: DescribedTrack, channel: int) -> tuple[int, int | None]:
        """Set a track up interleaved; gives the channel of its RTP, and its SSRC if it was told."""
        response = await self._ask(self.session.setup(track, Way.TCP, channel))
        placed = self.session.placed(response, Way.TCP, channel)
        return placed.rtp, placed.ssrc

    async def setup_udp(self, track: DescribedTrack, channel: int) -> int | None:
        """Set a track up by UDP, whatever the options say; gives its SSRC if it was told."""
        return (await self._place_udp(track, channel)).ssrc

    def _ends(self) -> tuple[socket.socket, str, str]:
        """The connection's socket, and the addresses of both its ends without scope."""
        transport = self._open().transport
        assert transport is not None
        sock = transport.get_extra_info("socket")
        return sock, sock.getsockname()[0], transport.get_extra_info("peername")[0]

    async def _place_udp(self, track: DescribedTrack, channel: int) -> Placed:
        sock, local, peer = self._ends()
        datagrams = DatagramTrack.open(channel, sock.family, local)
        self._datagrams.append(datagrams)
        try:
            response = await self._ask(self.session.setup(track, Way.UDP, datagrams.port))
            placed = self.session.placed(response, Way.UDP, channel)
        except (OnvifdError, TimeoutError):
            self._datagrams.remove(datagrams)
            datagrams.close()
            raise
        answer = placed.answer
        # `source` says who sends (RFC 2326 12.39); where it is no address, or wrong, it is the camera itself.
        hosts = frozenset((peer.partition("%")[0], answer.source)) - {""}
        datagrams.expect(hosts, peer, answer.server_port)
        return placed

    async def _place_multicast(self, track: DescribedTrack, channel: int) -> Placed:
        _, local, peer = self._ends()
        response = await self._ask(self.session.setup(track, Way.MULTICAST, channel))
        placed = self.session.placed(response, Way.MULTICAST, channel)
        answer = placed.answer
        group = answer.destination or track.group
        ports = answer.port or answer.server_port or ((track.port, track.port + 1) if track.port else None)
        if not group or ports is None:
            raise TransportRefused("camera does not say to which multicast group it sends")
        datagrams = DatagramTrack.join(channel, group, ports, local, answer.source)
        self._datagrams.append(datagrams)
        datagrams.expect(frozenset((answer.source or peer.partition("%")[0],)))
        return placed

    # ---- playing ---------------------------------------------------------------------------------

    async def play(self, receiver: Receiver) -> Response:
        """Start; from its answer on every byte goes to `receiver`, datagrams as well."""
        connection = self._open()
        connection.hold = True
        for datagrams in self._datagrams:
            datagrams.start(receiver, self._poller, self._unusable)
        response = await self.request("PLAY", "", (("Range", "npt=0.000-"),))
        if self.session.redirect:
            raise NotUnderstood("camera redirects where that means nothing")
        connection.switch(receiver)
        return response

    def _unusable(self, error: Exception) -> None:
        """What came by UDP cannot be used: the connection ends as it does for what comes within it."""
        if self._connection is not None:
            self._connection.misunderstood = True
            self._connection.fail(str(error))

    def read_now(self) -> None:
        """Take what has come since the poller looked last."""
        if self._connection is not None:
            self._connection.read_now()
        for datagrams in self._datagrams:
            datagrams.read_now()

    def send(self, channel: int, packet: bytes) -> bool:
        """Send an RTP packet on the track that was set up on `channel`; false if the camera takes nothing at present."""
        for datagrams in self._datagrams:
            if datagrams.channel == channel:
                return datagrams.send(packet)
        connection = self._open()
        if (self._tunnel or connection).unsent > SEND_BUFFER:
            return False
        connection.send(Interleaved(channel, packet).serialise())
        return True

    def send_rtcp(self, channel: int, packet: bytes) -> None:
        """Send RTCP of ours on the channel that `Placed.rtcp` says."""
        for datagrams in self._datagrams:
            if datagrams.channel == channel - 1:
                datagrams.send_rtcp(packet)
                return
        if not self.options.way.datagrams:
            self._open().send(Interleaved(channel, packet).serialise())

    @property
    def reordered(self) -> tuple[int, int]:
        """Datagrams that came out of order, and those that were dropped since they came twice or too late."""
        orders = [each.order for each in self._datagrams]
        return sum(each.reordered for each in orders), sum(each.dropped for each in orders)

    def keep_alive(self) -> None:
        """Send a request that keeps the session alive; give its answer, which arrives among the media, to `answered`."""
        if self.options.keep_alive != "none":
            self._open().send(self.session.keep_alive())

    def answered(self, message: bytes) -> None:
        """Take an RTSP message from among the media: the answer to a keep-alive, or a request of the camera."""
        parser = AnswerParser()
        parser.receive_data(message)
        try:
            found = parser.next_message()
        except RtspError as error:
            log.debug("unreadable message among the media: %s", error.reason)
            return
        if isinstance(found, Request):
            self._open().send(self._requested(found))
            if self.session.redirect:
                self.abort("the camera redirects")
        elif isinstance(found, Response):
            try:
                again = self.session.keep_alive_answer(found)
            except Unavailable as error:
                self.abort(error.reason)
                return
            if again is not None:
                self._open().send(again)

    def _requested(self, request: Request) -> bytes:
        return self.session.answer_to(request)

    @property
    def connected(self) -> bool:
        """Whether there is a connection at present: none while a redirection is followed."""
        connection = self._connection
        return connection is not None and connection.transport is not None and not connection.lost.done()

    @property
    def lost(self) -> asyncio.Future[str]:
        """Done, with the reason, when the connection has ended."""
        return self._open().lost

    def abort(self, reason: str) -> None:
        """End the connection at once."""
        self._open().fail(reason)

    async def close(self) -> None:
        """Say TEARDOWN if a session is open, and close. Never raises for what the camera does."""
        connection, self._connection = self._connection, None
        tunnel, self._tunnel = self._tunnel, None
        while self._datagrams:
            self._datagrams.pop().close()
        if connection is not None and connection.transport is not None:
            connection.leave_poller()
            if self.session.session and not connection.lost.done():
                connection.send(self.session.request("TEARDOWN"))
            connection.transport.close()
            try:
                async with asyncio.timeout(1):
                    await asyncio.shield(connection.lost)
            except TimeoutError:
                connection.transport.abort()
        if tunnel is not None:
            await tunnel.close()


async def describe(
    url: str, user: str = "", password: str = "", timeout: float = 10.0, options: ClientOptions = DEFAULTS
) -> Description:
    """What a camera offers at `url`, for probing. Raises OnvifdError leaves."""
    client = RtspClient(url, user, password, options=options)
    try:
        async with asyncio.timeout(timeout):
            await client.connect(timeout)
            return await client.describe()
    except TimeoutError:
        raise Timeout(f"the camera does not answer in {timeout:g} s") from None
    finally:
        with contextlib.suppress(OnvifdError):
            await client.close()
