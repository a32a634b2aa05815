"""Raw SOAP 1.2 over HTTP: every byte of a request can be chosen, every byte of an answer is judged."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

import aiohttp
from lxml import etree

from conformance import schema
from conformance.auth import Digest, read_challenges, username_token
from conformance.model import Failure
from conformance.names import DECLARATIONS, NS, clark, name_of, resolve, short, text

Auth = Literal["auto", "digest", "wsse", "none"]
CONTENT_TYPE = "application/soap+xml; charset=utf-8"
MAX_ANSWER = 16 << 20
Note = Callable[[str, "str | bytes", "str | bytes"], None]

_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=False)


@dataclass(frozen=True, slots=True)
class Fault:
    """A SOAP 1.2 fault with its names in the usual prefixes: `env:Sender`, (`ter:InvalidArgVal`, `ter:NoProfile`)."""

    code: str
    subcodes: tuple[str, ...]
    reason: str
    detail: Any = None

    def matches(self, code: str, *subcodes: str) -> bool:
        """Is it that code with (at least) these subcodes?"""
        return self.code == code and self.subcodes[: len(subcodes)] == subcodes

    def __str__(self) -> str:
        return "/".join((self.code, *self.subcodes)) + (f' ("{self.reason}")' if self.reason else "")


@dataclass(frozen=True, slots=True)
class Http:
    """An HTTP answer."""

    status: int
    headers: tuple[tuple[str, str], ...]
    content: bytes

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def __str__(self) -> str:
        lines = [f"HTTP {self.status}", *(f"{key}: {value}" for key, value in self.headers), ""]
        return "\n".join(lines) + "\n" + readable(self.content)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer read as SOAP."""

    status: int
    headers: tuple[tuple[str, str], ...]
    content: bytes
    envelope: Any
    """Root element; None where the content is no XML."""
    body: Any
    """First child of the Body; None where there is none."""
    fault: Fault | None
    http: Http

    def header(self, name: str) -> str:
        return self.http.header(name)

    @property
    def soap_header(self) -> Any:
        return None if self.envelope is None else self.envelope.find("env:Header", NS)

    def __str__(self) -> str:
        if self.fault is not None:
            return f"HTTP {self.status} with fault {self.fault}"
        if self.body is not None:
            return f"HTTP {self.status} with {name_of(self.body)}"
        return f"HTTP {self.status} with {self.content[:200]!r}"


def readable(content: bytes) -> str:
    """Indented XML where it is XML."""
    try:
        root = etree.fromstring(content, _PARSER)
    except etree.XMLSyntaxError:
        return (
            content.decode("utf-8", "replace") if content.isascii() or b"\0" not in content else f"{len(content)} bytes"
        )
    etree.cleanup_namespaces(root, keep_ns_prefixes=["tns1", "dn", "ter"])
    etree.indent(root)
    return str(etree.tostring(root, encoding="unicode"))


def envelope(body: str, headers: str = "") -> bytes:
    """A SOAP 1.2 message in which all usual prefixes are declared."""
    head = f"<env:Header>{headers}</env:Header>" if headers else ""
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n<env:Envelope {DECLARATIONS}>{head}<env:Body>{body}</env:Body></env:Envelope>'
    ).encode()


def addressing(to: str, action: str) -> str:
    """WS-Addressing headers."""
    return (
        f"<wsa:Action>{action}</wsa:Action><wsa:MessageID>urn:uuid:{uuid.uuid4()}</wsa:MessageID>"
        "<wsa:ReplyTo><wsa:Address>http://www.w3.org/2005/08/addressing/anonymous</wsa:Address></wsa:ReplyTo>"
        f"<wsa:To>{to.replace('&', '&amp;')}</wsa:To>"
    )


def read_fault(element: Any) -> Fault:
    """SOAP 1.2 Part 1, 5.4; raises Failure where the fault is not built so (Base Test 9.4)."""
    code = element.find("env:Code/env:Value", NS)
    reason = element.find("env:Reason/env:Text", NS)
    if code is None or not text(code):
        raise Failure(
            f"invalid SOAP 1.2 fault: no env:Code/env:Value (Base Test 9.4): {readable(etree.tostring(element))}"
        )
    if reason is None:
        raise Failure(
            f"invalid SOAP 1.2 fault: no env:Reason/env:Text (Base Test 9.4): {readable(etree.tostring(element))}"
        )
    subcodes, level = [], element.find("env:Code/env:Subcode", NS)
    while level is not None:
        value = level.find("env:Value", NS)
        if value is None:
            raise Failure("invalid SOAP 1.2 fault: env:Subcode without env:Value (Base Test 9.4)")
        subcodes.append(resolve(text(value), value))
        level = level.find("env:Subcode", NS)
    name = resolve(text(code), code)
    if name not in (
        "env:Sender",
        "env:Receiver",
        "env:VersionMismatch",
        "env:MustUnderstand",
        "env:DataEncodingUnknown",
    ):
        raise Failure(f"invalid SOAP 1.2 fault: code {text(code)!r} is none of SOAP 1.2 Part 1, 5.4.6 (Base Test 9.4)")
    return Fault(name, tuple(subcodes), text(reason), element.find("env:Detail", NS))


def read_reply(http: Http) -> Reply:
    """Read an HTTP answer as SOAP, without judging more than the form of a fault."""
    content = _first_part(http)
    try:
        root = etree.fromstring(content, _PARSER) if content else None
    except etree.XMLSyntaxError:
        root = None
    is_soap = root is not None and root.tag == clark("env:Envelope")
    holder = root.find("env:Body", NS) if root is not None and is_soap else None
    body = next((each for each in holder if isinstance(each.tag, str)), None) if holder is not None else None
    fault = read_fault(body) if body is not None and body.tag == clark("env:Fault") else None
    return Reply(http.status, http.headers, http.content, root if is_soap else None, body, fault, http)


def _first_part(http: Http) -> bytes:
    """The envelope of an MTOM answer is its first part; other answers are the envelope themselves."""
    kind = http.header("Content-Type")
    boundary = re.search(r'boundary="?([^";]+)', kind)
    if not kind.lower().startswith("multipart/related") or boundary is None:
        return http.content
    parts = http.content.split(b"--" + boundary[1].encode())
    return parts[1].partition(b"\r\n\r\n")[2].strip() if len(parts) > 1 else http.content


@dataclass(slots=True)
class SoapClient:
    """All requests of an examination go through here and into the log of the running case."""

    session: aiohttp.ClientSession
    user: str
    password: str = field(repr=False)
    timeout: float = 10.0
    services: dict[str, str] = field(default_factory=dict)
    """Address of each service by the prefix of its namespace (`conformance.names.NS`)."""
    note: Note = lambda title, request, response: None
    preferred: Auth = "auto"
    """What `auto` starts with once the features are known."""
    clock_offset: float = 0.0
    """Seconds that the device's clock is ahead of ours, for UsernameToken."""
    _digests: dict[tuple[str, str], Digest] = field(default_factory=dict)

    # ---- HTTP --------------------------------------------------------------------------------------

    async def http(
        self,
        method: str,
        url: str,
        content: bytes | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        title: str = "",
    ) -> Http:
        """One HTTP exchange, logged. Fails if there is no answer in time."""
        limit = self.timeout if timeout is None else timeout
        shown = "\n".join((f"{method} {url}", *(f"{key}: {value}" for key, value in (headers or {}).items()), ""))
        shown += "\n" + (readable(content) if content else "")
        title = title or f"{method} {urlsplit(url).path}"
        try:
            async with (
                asyncio.timeout(limit),
                self.session.request(method, url, data=content, headers=headers, allow_redirects=False) as response,
            ):
                received = await response.content.read(MAX_ANSWER)
                while chunk := await response.content.read(MAX_ANSWER - len(received)):
                    received += chunk
                answer = Http(response.status, tuple(response.headers.items()), received)
        except TimeoutError:
            self.note(title, shown, "")
            raise Failure(f"{title}: no answer within {limit:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            self.note(title, shown, repr(error))
            raise Failure(f"{title}: {error or type(error).__name__}") from None
        self.note(title, shown, str(answer))
        return answer

    async def post(
        self,
        url: str,
        content: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        content_type: str = CONTENT_TYPE,
        timeout: float | None = None,
        title: str = "",
    ) -> Http:
        """POST raw bytes without credentials."""
        return await self.http(
            "POST",
            url,
            content,
            headers={"Content-Type": content_type, **(headers or {})},
            timeout=timeout,
            title=title,
        )

    async def get(
        self, url: str, *, auth: Auth = "auto", account: tuple[str, str] | None = None, timeout: float | None = None
    ) -> Http:
        """GET with Digest where the device asks for it."""
        return await self._with_digest("GET", url, None, {}, auth, account, timeout, "")

    async def send(
        self,
        method: str,
        url: str,
        content: bytes,
        *,
        content_type: str = "application/octet-stream",
        auth: Auth = "auto",
        account: tuple[str, str] | None = None,
        timeout: float | None = None,
    ) -> Http:
        """Upload with Digest where the device asks for it."""
        return await self._with_digest(method, url, content, {"Content-Type": content_type}, auth, account, timeout, "")

    async def _with_digest(
        self,
        method: str,
        url: str,
        content: bytes | None,
        headers: dict[str, str],
        auth: Auth,
        account: tuple[str, str] | None,
        timeout: float | None,
        title: str,
    ) -> Http:
        user, password = account or (self.user, self.password)
        target = urlsplit(url)
        uri = (target.path or "/") + (f"?{target.query}" if target.query else "")
        known = self._digests.get((target.netloc, f"{user}:{password}")) if auth in ("auto", "digest") else None
        if known is not None:
            answer = await self.http(
                method,
                url,
                content,
                headers=headers | {"Authorization": known.authorize(method, uri)},
                timeout=timeout,
                title=title,
            )
            if answer.status != 401:
                return answer
            challenges = [each for each in read_challenges(answer.all("WWW-Authenticate")) if each.known]
            if not any(each.stale for each in challenges):
                del self._digests[target.netloc, f"{user}:{password}"]
                return answer
        else:
            answer = await self.http(method, url, content, headers=headers, timeout=timeout, title=title)
            if answer.status != 401 or auth not in ("auto", "digest") or not user:
                return answer
            challenges = [each for each in read_challenges(answer.all("WWW-Authenticate")) if each.known]
            if not challenges:
                return answer
        digest = Digest(user, password, challenges[0])
        answer = await self.http(
            method,
            url,
            content,
            headers=headers | {"Authorization": digest.authorize(method, uri)},
            timeout=timeout,
            title=title,
        )
        if answer.status != 401:
            self._digests[target.netloc, f"{user}:{password}"] = digest
        return answer

    def forget(self) -> None:
        """Start the next request without a remembered challenge."""
        self._digests.clear()

    # ---- SOAP --------------------------------------------------------------------------------------

    def address(self, service: str) -> str:
        """URL of a service given by prefix, namespace or URL."""
        prefix = service if service in NS else short(f"{{{service}}}x").rpartition(":")[0]
        if prefix in self.services:
            return self.services[prefix]
        if service in NS or not urlsplit(service).scheme.startswith("http"):
            raise Failure(f"the device has no service {service}")
        return service

    async def call(
        self,
        service: str,
        body: str | bytes | Any,
        *,
        auth: Auth = "auto",
        action: str | None = None,
        headers: str = "",
        to: str | None = None,
        account: tuple[str, str] | None = None,
        validate: bool = True,
        timeout: float | None = None,
        http_headers: Mapping[str, str] | None = None,
        title: str = "",
    ) -> Reply:
        """Send a request and read the answer, whatever it is (fault, 401, no SOAP at all).

        `body`: text of the request element (usual prefixes need no declaration), an element, or bytes: then they are
        the whole message. `to` adds WS-Addressing headers. `auth="auto"` selects as Base Test 4.3.5 does.
        Raises Failure if there is no answer in time or, with `validate`, if the answer violates the official schemas.
        """
        url = self.address(service)
        if not isinstance(body, str | bytes):
            body = etree.tostring(body, encoding="unicode")
        if to is not None:
            headers += addressing(to, action or "")
        kind = CONTENT_TYPE if action is None else f'{CONTENT_TYPE}; action="{action}"'
        fixed = {"Content-Type": kind, **(http_headers or {})}
        user, password = account or (self.user, self.password)
        title = title or _title(body)
        way: Auth = self.preferred if auth == "auto" else auth

        def message(token: bool) -> bytes:
            if isinstance(body, bytes):
                return body
            security = username_token(user, password, offset=self.clock_offset) if token and user else ""
            return envelope(body, security + headers)

        http = await self._with_digest("POST", url, message(way == "wsse"), fixed, way, account, timeout, title)
        reply = read_reply(http)
        refused = http.status == 401 or (reply.fault is not None and "ter:NotAuthorized" in reply.fault.subcodes)
        # Base Test 4.3.5: a NotAuthorized fault asks for a UsernameToken; so does a 401 that offers no Digest.
        offered = http.status == 401 and bool(read_challenges(http.all("WWW-Authenticate")))
        if auth == "auto" and refused and not offered and way != "wsse" and user and not isinstance(body, bytes):
            http = await self._with_digest("POST", url, message(True), fixed, "wsse", account, timeout, title)
            reply = read_reply(http)
        if validate and reply.body is not None:
            self._judge(reply, title)
        return reply

    def _judge(self, reply: Reply, title: str) -> None:
        wrong = schema.faults_of(reply.envelope)
        if not wrong and reply.fault is None:
            wrong = schema.faults_of(reply.body)
        if wrong:
            raise Failure(f"the answer to {title} violates the official schemas: {wrong}")

    async def ask(self, service: str, body: str, **options: Any) -> Any:
        """A request that must succeed; returns the response element, which must be the one of the request."""
        reply = await self.call(service, body, **options)
        return expect_response(reply, _title(body))

    async def refuse(
        self, service: str, body: str, *expected: tuple[str, ...], strict: bool = True, **options: Any
    ) -> Fault:
        """A request that must be refused with one of the `expected` faults, each `(code, subcode, ...)`.

        With `strict=False` any valid SOAP 1.2 fault will do (cases that say "FAULT shall be returned").
        """
        reply = await self.call(service, body, **options)
        return expect_fault(reply, _title(body), *expected, strict=strict)


def _title(body: str | bytes) -> str:
    """Name of the request element."""
    source = body if isinstance(body, bytes) else envelope(body)
    try:
        root = etree.fromstring(source, _PARSER)
    except etree.XMLSyntaxError:
        return "(malformed request)"
    holder = root.find("env:Body", NS)
    return "(empty request)" if holder is None or not len(holder) else etree.QName(holder[0]).localname


def expect_response(reply: Reply, request: str) -> Any:
    """The response element to a request, or Failure."""
    if reply.status != 200 or reply.body is None or reply.fault is not None:
        raise Failure(f"expected {request}Response, received {reply}")
    if etree.QName(reply.body).localname != f"{request}Response":
        raise Failure(f"expected {request}Response, received {name_of(reply.body)}")
    if "soap+xml" not in reply.header("Content-Type").lower():
        raise Failure(
            f"content type of {request}Response is {reply.header('Content-Type')!r}, not application/soap+xml"
        )
    return reply.body


def expect_fault(reply: Reply, request: str, *expected: tuple[str, ...], strict: bool = True) -> Fault:
    """The fault that a request was refused with, or Failure."""
    named = " or ".join("/".join(each) for each in expected) or "a SOAP 1.2 fault"
    if reply.fault is None:
        raise Failure(f"{request} must be refused with {named}, received {reply}")
    if strict and expected and not any(reply.fault.matches(*each) for each in expected):
        raise Failure(f"{request} must be refused with {named}, received fault {reply.fault}")
    return reply.fault
