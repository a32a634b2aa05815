"""By which way a camera tells what it streams, when it is added or asked again.

Ports may be closed: many networks let HTTP through alone, and some cameras serve nothing in clear. So ways are tried in an
order, and the one that was answered is kept for the stream.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from onvifd.cameras.quirks import client_options
from onvifd.errors import InvalidArgument, NotAuthorized, OnvifdError, Timeout, Unavailable
from onvifd.rtsp.client import CONNECT_TIMEOUT, RtspClient
from onvifd.rtsp.client_session import BasicRefused, ClientOptions, parse_url, secured
from onvifd.rtsp.client_transport import Way
from onvifd.rtsp.client_trust import Judge, Trust, Untrusted
from onvifd.rtsp.sdp import Description
from onvifd.store.receptions import ReceptionRow

log = logging.getLogger(__name__)

WAYS = (Way.TCP, Way.HTTP, Way.RTSPS, Way.HTTPS)
"""In this order where nothing else is set. By UDP and multicast the same connection is asked as by TCP."""

_ADVERTISED = (Way.HTTP, Way.HTTPS, Way.RTSPS)
TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class Told:
    """Where a camera says that a stream is served by some way; `path` with its query."""

    port: int
    path: str


Advertised = Callable[[str], Awaitable[Mapping[Way, Told]]]
"""A profile of the camera's to what it tells of ways other than TCP. Raises no OnvifdError."""


def parse_ways(text: str) -> tuple[Way, ...]:
    """Ways as a person lists them, with commas or blanks between. Raises InvalidArgument."""
    found = tuple(dict.fromkeys(text.lower().replace(",", " ").split()))
    if not found or any(one not in WAYS for one in found):
        raise InvalidArgument(f"ways to ask a camera are {', '.join(WAYS)}")
    return tuple(Way(one) for one in found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How a camera is to be reached, as it is set for a stream. `ways` are those that AUTO tries, in order.

    `tunnel_port` is the port of HTTP tunnels, 0 for what the camera tells or else the usual one. `digest`: it has offered
    Digest before.
    """

    transport: Way = Way.AUTO
    tunnel_port: int = 0
    trust: Trust = field(default_factory=Trust)
    quirks: frozenset[str] = frozenset()
    digest: bool = False
    ways: tuple[Way, ...] = WAYS
    found: bool = False
    """`transport` was found, and not set by a person: when nobody answers by it any more, others may be tried."""

    def options(self, way: Way) -> ClientOptions:
        """The client's options by a concrete way."""
        return client_options(way, self.tunnel_port, self.trust, self.quirks, digest=self.digest)

    def concrete(self) -> Way:
        """The way of a further connection to where this has led."""
        return Way.TCP if self.transport is Way.AUTO else self.transport


def reach_of(row: ReceptionRow) -> Reach:
    """What is stored for a stream."""
    return Reach(
        transport=Way(row.transport),
        tunnel_port=row.tunnel_port,
        trust=Trust(Judge(row.trust), row.pin),
        quirks=frozenset(row.quirks.split()),
        digest=row.digest,
        found=row.found,
    )


def reception_of(reach: Reach, camera: str, stream: str) -> ReceptionRow:
    """The same as it is stored."""
    return ReceptionRow(
        camera=camera,
        stream=stream,
        transport=reach.transport,
        tunnel_port=reach.tunnel_port,
        trust=reach.trust.judge,
        pin=reach.trust.pin,
        quirks=" ".join(sorted(reach.quirks)),
        digest=reach.digest,
        found=reach.found,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What a camera described, and by which way: `url` may have become another one, `reach` names the way and the certificate."""

    url: str
    description: Description
    reach: Reach


class _Silent(Exception):
    """Nobody answers by a way."""

    def __init__(self, error: OnvifdError) -> None:
        super().__init__(error.reason)
        self.error = error


class Asker:
    """Asks one camera for descriptions. What was answered once is tried first for its other streams.

    `web` are the ports where the camera serves HTTP and HTTPS: its tunnels are there (Media2 5.4.1) unless it tells otherwise.
    """

    def __init__(
        self,
        user: str = "",
        password: str = "",
        reach: Reach | None = None,
        *,
        advertised: Advertised | None = None,
        web: Mapping[Way, int] | None = None,
    ) -> None:
        self._login = (user, password)
        self._reach = reach or Reach()
        self._advertised = advertised
        self._web = web or {}
        self._good: Way | None = None
        self.answered = False
        """Whether anybody has answered, be it by a refusal."""

    async def ask(self, url: str, profile: str = "", timeout: float = TIMEOUT) -> Answered:
        """Describe the stream at `url`, by each way in turn as long as nobody answers; `timeout` is for each.

        Raises what the first way has raised: NotAuthorized, InvalidArgument, Unavailable, Timeout.
        """
        failed: list[OnvifdError] = []
        told: Mapping[Way, Told] | None = None
        for way in self._order(url):
            if way in _ADVERTISED and told is None and profile and self._advertised is not None:
                told = await self._advertised(profile)
            try:
                answered = await self._by(way, url, told or {}, timeout)
            except _Silent as silent:
                log.info("no description by %s: %s", way, silent.error.reason)
                failed.append(silent.error)
            else:
                self._good = way
                return answered
        # That a password is wrong says more than that a port is closed.
        raise next((error for error in failed if isinstance(error, NotAuthorized)), failed[0])

    def _order(self, url: str) -> tuple[Way, ...]:
        reach = self._reach
        if reach.transport is not Way.AUTO:
            return (reach.transport,)
        ways = reach.ways
        if parse_url(url).secure:
            # What was to be within TLS stays there; the address says it already.
            ways = (Way.TCP, Way.HTTPS) if Way.HTTPS in ways else (Way.TCP,)
        return tuple(sorted(ways, key=lambda way: way is not self._good))

    async def _by(self, way: Way, url: str, told: Mapping[Way, Told], timeout: float) -> Answered:
        """Raises _Silent if nobody answers by this way."""
        url, port = self._place(way, url, told.get(way))
        reach = replace(self._reach, tunnel_port=port)
        client = RtspClient(url, *self._login, options=reach.options(way))
        try:
            description = await _described(client, timeout)
            self.answered = True
        except (Timeout, Unavailable, NotAuthorized) as error:
            # A certificate that is not the one from before is an answer, and no reason to go on in clear.
            if client.has_answered or isinstance(error, Untrusted | BasicRefused):
                self.answered = True
                raise
            raise _Silent(error) from None
        finally:
            await client.close()
        # By the connection of TCP media may come by UDP as well: that shows when they are pulled.
        transport = self._reach.transport if way is Way.TCP else way
        found = replace(
            reach,
            transport=transport,
            found=transport is not Way.AUTO and (self._reach.found or self._reach.transport is Way.AUTO),
            trust=replace(reach.trust, pin=reach.trust.pin or client.seen_pin),
            digest=reach.digest or client.offered_digest,
        )
        return Answered(url=url, description=description, reach=found)

    def _place(self, way: Way, url: str, told: Told | None) -> tuple[str, int]:
        """Address and port of the tunnel by a way: as set by a person, as the camera tells, or as usual."""
        port = self._reach.tunnel_port
        if way is Way.RTSPS:
            return (_moved(secured(url), port=told.port) if told else secured(url)), port
        if way not in (Way.HTTP, Way.HTTPS):
            return url, port
        if told is not None:
            return _moved(url, path=told.path), port or told.port
        return url, port or self._web.get(way, 0)


def other_ways(known: Reach, url: str, ways: tuple[Way, ...]) -> tuple[Way, ...]:
    """By which of `ways` a stream may be asked when nobody answers by the one that is stored; none where a person has set that.

    What was within TLS stays there, and TLS is tried only where a certificate can be judged: whoever takes a camera's address
    must not have his own believed, since within TLS cameras may ask for the password in clear.
    """
    if known.transport is not Way.AUTO and not known.found:
        return ()
    secure = known.transport.encrypted or parse_url(url).secure
    judged = bool(known.trust.pin) or known.trust.judge is not Judge.PIN
    return tuple(way for way in ways if way is not known.concrete() and (judged if way.encrypted else not secure))


async def ask_again(
    make: Callable[[Reach], Asker], known: Reach, url: str, profile: str, ways: tuple[Way, ...]
) -> Answered | None:
    """Ask a camera that is lost by other ways than the one that is stored; None if it answers by that, or by no other.

    The password is never sent in clear, even if that was not seen to be refused before: who closes a port must not get it.
    """
    others = other_ways(known, url, ways)
    if not others:
        return None
    stored = make(replace(known, transport=known.concrete()))
    try:
        await stored.ask(url, profile)
    except OnvifdError as error:
        log.debug("by the way that is stored: %s", error.reason)
    if stored.answered:
        return None
    try:
        # The port of one tunnel is not that of another.
        return await make(replace(known, transport=Way.AUTO, tunnel_port=0, digest=True, ways=others)).ask(url, profile)
    except OnvifdError as error:
        log.debug("by no other way: %s", error.reason)
        return None


async def _described(client: RtspClient, timeout: float) -> Description:
    try:
        async with asyncio.timeout(timeout):
            await client.connect(min(timeout, CONNECT_TIMEOUT))
            return await client.describe()
    except TimeoutError:
        raise Timeout(f"the camera does not answer in {timeout:g} s") from None
    except (OSError, ValueError) as error:
        raise Unavailable(f"the camera cannot be described: {error}") from error


def _moved(url: str, *, port: int = 0, path: str = "") -> str:
    """The address with another port or path."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    netloc = f"{host}:{port}" if port else parts.netloc
    return f"{parts.scheme}://{netloc}{path or url.partition(parts.netloc)[2]}"
