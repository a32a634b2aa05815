"""The client's side of an RTSP conversation, without I/O: requests in, bytes out; answers in, meanings out."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from onvifd.access.digest import ClientDigest
from onvifd.errors import InvalidArgument, NotAuthorized, NotSupported, Unavailable
from onvifd.rtsp.headers import parse_session, parse_transport
from onvifd.rtsp.messages import REASONS, Headers, Request, Response, RtspError
from onvifd.rtsp.sdp import DescribedTrack, Description, parse_sdp

USER_AGENT = "onvifd"
DEFAULT_TIMEOUT = 60
"""Seconds of session time-out where the server states none (RFC 2326 12.37)."""

MAX_REDIRECTS = 3
_REQUIRING = frozenset(("DESCRIBE", "SETUP", "PLAY", "TEARDOWN"))
"""Requests that a feature changes (Streaming 5.3.2.2)."""

_URL = re.compile(
    r"^rtsp://(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^/:?#@\[\]]+))(?::(?P<port>\d{1,5}))?(?P<rest>[/?].*)?$"
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where an `rtsp://` URL without credentials leads."""

    host: str
    port: int
    url: str


def parse_url(url: str) -> Address:
    """Host and port of an RTSP URL. Raises InvalidArgument for any other URL and for one that carries credentials."""
    match = _URL.match(url)
    port = int(match.group("port") or 554) if match else 0
    if match is None or not 0 < port < 65536 or any(ord(char) <= 0x20 or ord(char) == 0x7F for char in url):
        raise InvalidArgument("This is no rtsp:// address without credentials.")
    return Address(match.group("v6") or match.group("host"), port, url)


@dataclass(slots=True)
class ClientSession:
    """One conversation. `request` gives the bytes to send and `response` judges the answer to the request sent last.

    One request is under way at a time, keep-alives excepted: their answers are recognised by CSeq and need no judgement.
    """

    url: str
    user: str = ""
    password: str = field(default="", repr=False)
    session: str = ""
    timeout: int = DEFAULT_TIMEOUT
    description: Description | None = None
    redirect: str = ""
    require: str = ""
    """A feature without which the session is of no use (RFC 2326 12.32)."""
    _cseq: int = 0
    _digest: ClientDigest | None = None
    _methods: frozenset[str] = frozenset()
    _sent: tuple[str, str, tuple[tuple[str, str], ...]] = ("", "", ())
    _waiting: int = 0

    def request(self, method: str, uri: str = "", headers: tuple[tuple[str, str], ...] = ()) -> bytes:
        """The bytes of a request whose answer is to be given to `response`."""
        target = uri or (self.description.url if self.description else self.url)
        self._sent = (method, target, headers)
        data = self._serialise(method, target, headers)
        self._waiting = self._cseq
        return data

    def _serialise(self, method: str, uri: str, headers: tuple[tuple[str, str], ...]) -> bytes:
        self._cseq += 1
        fields = Headers([("CSeq", str(self._cseq)), ("User-Agent", USER_AGENT), *headers])
        if self.session:
            fields.add("Session", self.session)
        if self.require and method in _REQUIRING:
            fields.add("Require", self.require)
        authorization = self._digest.authorization(method, uri) if self._digest else None
        if authorization:
            fields.add("Authorization", authorization)
        return Request(method, uri, fields).serialise()

    def keep_alive(self) -> bytes:
        """A request that keeps the session alive: GET_PARAMETER where the server has it, else OPTIONS."""
        method = "GET_PARAMETER" if "GET_PARAMETER" in self._methods else "OPTIONS"
        return self._serialise(method, self.description.url if self.description else self.url, ())

    def renew(self, response: Response) -> bool:
        """Take the challenge in a refusal of a keep-alive; true if it is worth another try (the nonce was stale)."""
        try:
            return self._digest is not None and self._digest.receive_challenge(response.headers.all("WWW-Authenticate"))
        except NotSupported:
            return False

    def awaits(self, response: Response) -> bool:
        """Whether this answers the request sent last."""
        return (response.headers.get("CSeq") or "").strip() in (str(self._waiting), "")

    def response(self, response: Response) -> bytes | None:
        """Judge an answer: bytes to send again (now with credentials), or None when it is a success.

        Sets `redirect` for a redirection. Raises NotAuthorized or Unavailable for a refusal.
        """
        status = response.status
        if status == 401:
            return self._challenged(response)
        if status in (301, 302):
            self.redirect = response.headers.get("Location") or ""
            if not self.redirect:
                raise Unavailable("camera redirects without saying where to")
            return None
        if status != 200:
            method = self._sent[0]
            raise Unavailable(f"camera answers {method} with {status} {REASONS.get(status, '')}".rstrip())
        public = response.headers.get("Public")
        if public:
            self._methods = frozenset(name.strip().upper() for name in public.split(","))
        header = response.headers.get("Session")
        if header:
            self._take_session(header)
        return None

    def _take_session(self, header: str) -> None:
        try:
            found = parse_session(header)
        except RtspError as error:
            raise Unavailable(f"camera: {error.reason}") from None
        self.session = found.id
        if found.timeout:
            self.timeout = max(5, found.timeout)

    def _challenged(self, response: Response) -> bytes:
        if not self.user:
            raise NotAuthorized("camera asks for credentials")
        if self._digest is None:
            self._digest = ClientDigest(self.user, self.password)
        if not self._digest.receive_challenge(response.headers.all("WWW-Authenticate")):
            raise NotAuthorized("camera refuses the user name or password")
        return self.request(*self._sent)

    def described(self, response: Response) -> Description:
        """Take the answer of DESCRIBE. Raises BadInput when it holds no usable track."""
        base = response.headers.get("Content-Base") or response.headers.get("Content-Location")
        self.description = parse_sdp(response.body, self.url, base)
        return self.description

    def setup(self, track: DescribedTrack, channel: int) -> bytes:
        """Ask for a track on the interleaved channels `channel` and `channel + 1`."""
        transport = f"RTP/AVP/TCP;unicast;interleaved={channel}-{channel + 1}"
        return self.request("SETUP", track.url, (("Transport", transport),))

    def setup_udp(self, track: DescribedTrack, port: int) -> bytes:
        """Ask for a track by UDP on the local ports `port` and `port + 1`."""
        transport = f"RTP/AVP;unicast;client_port={port}-{port + 1}"
        return self.request("SETUP", track.url, (("Transport", transport),))

    @staticmethod
    def ports_of(response: Response) -> tuple[tuple[int, int] | None, int | None]:
        """The camera's ports and the SSRC, as far as it tells them. Raises Unavailable when it does not send by UDP."""
        for transport in parse_transport(response.headers.get("Transport") or ""):
            if not transport.tcp and transport.unicast:
                return transport.server_port, transport.ssrc
        raise Unavailable("camera does not stream by UDP")

    @staticmethod
    def channel_of(response: Response, asked: int) -> tuple[int, int | None]:
        """Channel and SSRC that the server chose, normally the channel asked for; None if it does not tell the SSRC.

        Raises Unavailable when it is not interleaved.
        """
        for transport in parse_transport(response.headers.get("Transport") or ""):
            if transport.tcp:
                return transport.interleaved[0] if transport.interleaved else asked, transport.ssrc
        raise Unavailable("camera does not stream over the RTSP connection")
