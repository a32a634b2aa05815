"""The client's side of an RTSP conversation, without I/O: requests in, bytes out; answers in, meanings out."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from onvifd.access.digest import ClientDigest, split_challenges
from onvifd.errors import InvalidArgument, NotAuthorized, NotSupported, OnvifdError, Unavailable
from onvifd.rtsp.client_transport import Answer, Way, ask, parse_answers
from onvifd.rtsp.client_trust import Trust
from onvifd.rtsp.messages import REASONS, Headers, Request, Response
from onvifd.rtsp.sdp import DescribedTrack, Description, parse_sdp

USER_AGENT = "onvifd"
DEFAULT_TIMEOUT = 60
"""Seconds of session time-out where the server states none (RFC 2326 12.37)."""

MAX_REDIRECTS = 3
KEEP_ALIVES = ("GET_PARAMETER", "OPTIONS", "SET_PARAMETER")
"""What keeps a session alive, in the order in which it is tried where a camera refuses one."""

_REQUIRING = frozenset(("DESCRIBE", "SETUP", "PLAY", "TEARDOWN"))
"""Requests that a feature changes (Streaming 5.3.2.2)."""

_PLAIN_STATUS = frozenset((401, 403, 404, 453, 454, 503))
"""Refusals that have nothing to do with how we ask."""

_URL = re.compile(
    r"^(?P<scheme>rtsps?)://(?:\[(?P<v6>[0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|(?P<host>[^/:?#@\[\]]+))(?::(?P<port>\d{1,5}))?(?P<rest>[/?].*)?$"
)
_UNPRINTED = re.compile(r"[\x00-\x20\x7f]")


class NotUnderstood(Unavailable):
    """The camera refuses or answers in a way that another client may know how to take."""


class BasicRefused(NotAuthorized):
    """The camera asks for the password in clear, though it has offered Digest before: it is not told."""

    def __init__(self) -> None:
        super().__init__(
            "the camera asks for the password in clear (Basic), but has offered Digest before; the quirk basic-clear allows it"
        )


class TransportRefused(NotUnderstood):
    """The camera does not send by the transport that was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """How to talk to a camera.

    `tunnel_port` is the port of HTTP tunnels, 0 for 80 and 443. `md5_only` leaves digests with SHA-256 alone. `keep_alive` is
    the method that keeps a session alive, empty to find out. `options_first` asks for OPTIONS before DESCRIBE. `reports` is
    whether receiver reports are sent. `short_headers` leaves out what is not needed. `basic` is whether the password may be
    sent in clear (Basic) outside of TLS.
    """

    way: Way = Way.TCP
    tunnel_port: int = 0
    trust: Trust = field(default_factory=Trust)
    md5_only: bool = False
    keep_alive: str = ""
    options_first: bool = True
    reports: bool = True
    short_headers: bool = False
    basic: bool = True


DEFAULTS = ClientOptions()


@dataclass(frozen=True, slots=True)
class Address:
    """Where an `rtsp://` or `rtsps://` URL without credentials leads."""

    host: str
    port: int
    url: str
    secure: bool = False


def parse_url(url: str) -> Address:
    """Host and port of an RTSP URL. Raises InvalidArgument for any other URL and for one that carries credentials."""
    match = _URL.match(url)
    secure = match is not None and match.group("scheme") == "rtsps"
    port = int(match.group("port") or (322 if secure else 554)) if match else 0
    if match is None or not 0 < port < 65536 or any(ord(char) <= 0x20 or ord(char) == 0x7F for char in url):
        raise InvalidArgument("This is no rtsp:// address without credentials.")
    return Address(match.group("v6") or match.group("host"), port, url, secure)


def secured(url: str) -> str:
    """The same address within TLS. The port of RTSP itself is given up for that of RTSPS, another one is kept."""
    address = parse_url(url)
    if address.secure:
        return url
    host = f"[{address.host}]" if ":" in address.host else address.host
    path = re.sub(r"^rtsp://[^/?]*", "", url)
    return f"rtsps://{host}{'' if address.port == 554 else f':{address.port}'}{path}"


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a track was set up: channels of RTP and RTCP, its SSRC where the camera told it, and all that it answered."""

    rtp: int
    rtcp: int
    ssrc: int | None
    answer: Answer


@dataclass(slots=True)
class ClientSession:
    """One conversation. `request` gives the bytes to send and `response` judges the answer to the request sent last.

    One request is under way at a time, keep-alives excepted: their answers are recognised by CSeq (`keep_alive_answer`).
    """

    url: str
    user: str = ""
    password: str = field(default="", repr=False)
    options: ClientOptions = DEFAULTS
    session: str = ""
    timeout: int = DEFAULT_TIMEOUT
    description: Description | None = None
    redirect: str = ""
    require: str = ""
    """A feature without which the session is of no use (RFC 2326 12.32)."""
    answered: bool = False
    """The camera speaks RTSP: it has answered something."""
    offered_digest: bool = False
    """The camera has asked for Digest."""
    _cseq: int = 0
    _digest: ClientDigest | None = None
    _accepted: bool = False
    """The camera has taken these credentials: another challenge means that its nonce is too old, whatever it says."""
    _signed: bool = False
    _tries: int = 0
    _methods: frozenset[str] = frozenset()
    _sent: tuple[str, str, tuple[tuple[str, str], ...]] = ("", "", ())
    _waiting: int = 0
    _alive: int = 0
    _alive_cseq: int = 0
    _refused: int = 0

    def request(self, method: str, uri: str = "", headers: tuple[tuple[str, str], ...] = ()) -> bytes:
        """The bytes of a request whose answer is to be given to `response`."""
        self._tries = 0
        return self._request(method, uri or self._aggregate, headers)

    @property
    def _aggregate(self) -> str:
        return self.description.url if self.description else self.url

    def _request(self, method: str, uri: str, headers: tuple[tuple[str, str], ...]) -> bytes:
        self._sent = (method, uri, headers)
        data = self._serialise(method, uri, headers)
        self._waiting = self._cseq
        return data

    def _serialise(self, method: str, uri: str, headers: tuple[tuple[str, str], ...]) -> bytes:
        self._cseq += 1
        # What a camera calls its tracks may hold what would end the target of a request (RFC 2326 6.1).
        uri = _UNPRINTED.sub(lambda match: f"%{ord(match[0]):02X}", uri)
        fields = Headers([("CSeq", str(self._cseq))])
        if not self.options.short_headers:
            fields.add("User-Agent", USER_AGENT)
        for name, value in headers:
            fields.add(name, value)
        if self.session:
            fields.add("Session", self.session)
        if self.require and method in _REQUIRING:
            fields.add("Require", self.require)
        authorization = self._digest.authorization(method, uri) if self._digest else None
        self._signed = authorization is not None
        if authorization:
            fields.add("Authorization", authorization)
        return Request(method, uri, fields).serialise()

    def awaits(self, response: Response) -> bool:
        """Whether this answers the request sent last; 100 Continue is no answer yet."""
        if 100 <= response.status < 200:
            return False
        number = (response.headers.get("CSeq") or "").strip()
        if number in (str(self._waiting), ""):
            return True
        # Of a number that was never sent: cameras that count for themselves.
        return not (re.fullmatch(r"[0-9]{1,9}", number) and 0 < int(number) <= self._cseq)

    def response(self, response: Response) -> bytes | None:
        """Judge an answer: bytes to send again (now with credentials), or None when it is a success.

        Sets `redirect` for a redirection. Raises NotAuthorized, TransportRefused, NotUnderstood or Unavailable for a refusal.
        """
        status, method = response.status, self._sent[0]
        self.answered = True
        if status == 401:
            return self._challenged(response)
        if 300 <= status < 400:
            self.redirect = response.headers.get("Location") or ""
            if not self.redirect:
                raise Unavailable("camera redirects without saying where to")
            return None
        if not 200 <= status < 300:
            reason = f"camera answers {method} with {status} {REASONS.get(status, '')}".rstrip()
            if status == 461:
                raise TransportRefused(reason)
            raise Unavailable(reason) if status in _PLAIN_STATUS else NotUnderstood(reason)
        # What OPTIONS is answered says nothing: some cameras let everybody ask that.
        self._accepted |= self._signed and method != "OPTIONS"
        public = response.headers.get("Public")
        if public:
            self._methods = frozenset(name.strip().upper() for name in public.split(","))
        header = response.headers.get("Session")
        if header:
            self._take_session(header)
        return None

    def _take_session(self, header: str) -> None:
        """Cameras use identifiers beyond what RFC 2326 3.4 allows: they get back what they gave."""
        identifier, *parameters = [part.strip() for part in header.split(";")]
        if not identifier or len(identifier) > 256 or any(not 0x20 < ord(char) < 0x7F for char in identifier):
            raise NotUnderstood("camera gives a session that cannot be used")
        self.session = identifier
        for parameter in parameters:
            match = re.fullmatch(r"timeout\s*=\s*(\d{1,6})\D*", parameter, re.IGNORECASE)
            if match and int(match.group(1)):
                self.timeout = max(5, int(match.group(1)))

    # ---- authentication --------------------------------------------------------------------------

    @property
    def challenged(self) -> bool:
        """Whether the camera has asked for a login in a way that we answer."""
        return self._digest is not None and bool(self._digest.scheme)

    def _challenged(self, response: Response) -> bytes:
        if not self.user:
            raise NotAuthorized("camera asks for credentials")
        if self._digest is None:
            self._digest = ClientDigest(self.user, self.password)
        hopeful = self._receive_challenge(self._digest, response)
        self._tries += 1
        # One that knew us before and asks again means another nonce; many do not say stale=true (RFC 2617 3.2.1).
        if self._tries > 2 or not (hopeful or (self._accepted and self._tries == 1)):
            raise NotAuthorized("camera refuses the user name or password")
        return self._request(*self._sent)

    def _receive_challenge(self, digest: ClientDigest, response: Response) -> bool:
        """See ClientDigest. Who is in the middle of a connection in clear could ask for Basic, and would be told the password."""
        secure = self.options.way.encrypted or parse_url(self.url).secure
        digest.allow_basic = secure or (self.options.basic and not self.offered_digest)
        values = self._challenges(response)
        try:
            hopeful = digest.receive_challenge(values)
        except NotSupported:
            if any(scheme == "basic" for scheme, _ in split_challenges(values)):
                raise BasicRefused from None
            raise
        self.offered_digest |= digest.scheme == "digest"
        return hopeful

    def _challenges(self, response: Response) -> list[str]:
        values = response.headers.all("WWW-Authenticate")
        if not self.options.md5_only:
            return values
        found = []
        for scheme, fields in split_challenges(values):
            if fields.get("algorithm", "MD5").upper() == "MD5":
                found.append(f"{scheme} " + ", ".join(f'{name}="{value}"' for name, value in fields.items()))
        return found

    # ---- keeping alive ---------------------------------------------------------------------------

    def keep_alive(self) -> bytes:
        """A request that keeps the session alive: GET_PARAMETER where the server has it, else OPTIONS."""
        if not self._refused:
            self._alive = 0 if "GET_PARAMETER" in self._methods else 1
        data = self._serialise(self.options.keep_alive or KEEP_ALIVES[self._alive], self._aggregate, ())
        self._alive_cseq = self._cseq
        return data

    def keep_alive_answer(self, response: Response) -> bytes | None:
        """Judge the answer to a keep-alive that came among the media: bytes to send again, or None.

        Raises Unavailable when the camera does not know the session any more.
        """
        cseq = (response.headers.get("CSeq") or "").strip()
        if cseq not in (str(self._alive_cseq), ""):
            return None
        if response.status == 401:
            return self._renewed(response)
        self._tries = 0
        if response.status == 454:
            raise Unavailable("camera has forgotten the session")
        if response.status >= 400 and self._refused < len(KEEP_ALIVES) - 1:
            # Each is tried once; at the end it stays with the last, whose arrival is what counts.
            self._refused += 1
            self._alive = (self._alive + 1) % len(KEEP_ALIVES)
            return self.keep_alive()
        return None

    def _renewed(self, response: Response) -> bytes | None:
        """A nonce may have become too old: once more with the new one."""
        self._tries += 1
        if self._digest is None or self._tries > 2:
            return None
        try:
            self._receive_challenge(self._digest, response)
        except (NotSupported, BasicRefused):
            return None
        return self.keep_alive()

    def answer_to(self, request: Request) -> bytes:
        """What a request of the camera is answered; its REDIRECT (RFC 2326 10.10) sets `redirect`."""
        status = 200
        if request.method == "REDIRECT":
            self.redirect = request.headers.get("Location") or self.url
        elif request.method not in ("OPTIONS", "GET_PARAMETER", "SET_PARAMETER", "ANNOUNCE"):
            status = 501
        headers = Headers([("CSeq", request.headers.get("CSeq") or "0")])
        if self.session:
            headers.add("Session", self.session)
        return Response(status, headers).serialise()

    # ---- what is asked ---------------------------------------------------------------------------

    def described(self, response: Response) -> Description:
        """Take the answer of DESCRIBE. Raises BadInput when it holds no usable track."""
        base = response.headers.get("Content-Base") or response.headers.get("Content-Location")
        self.description = parse_sdp(response.body, self.url, base)
        return self.description

    def setup(self, track: DescribedTrack, way: Way, first: int) -> bytes:
        """Ask for a track; `first` is the channel or local port of RTP, and RTCP takes the next."""
        return self.request("SETUP", track.url, (("Transport", ask(way, first)),))

    def placed(self, response: Response, way: Way, first: int) -> Placed:
        """Where a track comes. `first` is what was asked for, and holds where the answer does not say otherwise.

        Raises TransportRefused when it comes by another way.
        """
        answers = parse_answers(response.headers.get("Transport") or "")
        if not answers and way in (Way.TCP, Way.UDP):
            # A success without a word about it: what was asked for.
            return Placed(first, first + 1, None, Answer(tcp=way is Way.TCP))
        for answer in answers:
            if answer.tcp == (not way.datagrams) and answer.multicast == (way is Way.MULTICAST):
                rtp, rtcp = answer.interleaved or (first, first + 1)
                if way.datagrams:
                    rtp, rtcp = first, first + 1
                return Placed(rtp, rtcp, answer.ssrc, answer)
        if way.datagrams:
            raise TransportRefused(f"camera does not stream by {way.upper() if way is Way.UDP else way}")
        raise TransportRefused("camera does not stream over the RTSP connection")


def redirected(target: str, url: str, *, encrypted: bool = False) -> str:
    """Where a redirection leads, which may be told as a path alone. `encrypted`: the way is, whatever the address says.

    Raises Unavailable for what is no RTSP address, or would leave TLS.
    """
    target = target.strip()
    if target.startswith("/"):
        parts = urlsplit(url)
        target = f"{parts.scheme}://{parts.netloc}{target}"
    try:
        found = parse_url(target)
    except OnvifdError:
        raise Unavailable("camera redirects to what is no RTSP address") from None
    if parse_url(url).secure and not found.secure and not encrypted:
        raise Unavailable("camera redirects out of TLS")
    return found.url
