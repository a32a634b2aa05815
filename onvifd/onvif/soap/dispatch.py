"""From an HTTP request to the handler of its operation and back to a reply, without any I/O of its own.

The operation is found by the expanded name of the Body's child, across all services, then the caller is authenticated (Core 5.9.1),
the access class checked (Core 5.9.4), the request read, the handler awaited within its time-out and the reply written.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, TypeVar

from lxml import etree

from onvifd.access.digest import DigestVerifier
from onvifd.access.gate import Gate
from onvifd.access.types import AccessClass, Account, CredentialLookup
from onvifd.clock import Clock
from onvifd.errors import Forbidden, LimitReached, OnvifdError, Timeout
from onvifd.onvif.soap import envelope, faults
from onvifd.onvif.soap.authentication import Authenticator, Caller, Challenged
from onvifd.onvif.soap.codec import Element, decode, tag_of
from onvifd.onvif.soap.envelope import Addressing, Envelope
from onvifd.onvif.soap.faults import SoapFault
from onvifd.onvif.soap.mtom import Attachments, Part, pack

logger = logging.getLogger(__name__)

Handler = TypeVar("Handler", bound=Callable[..., Awaitable[Any]])

HANDLER_TIMEOUT = 20.0
"""Seconds a handler may take unless its operation states its own bound."""
MAX_ACTIVE = 1024
"""Requests in work at once, blocking PullMessages included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Circumstances of a request.

    `host` is host and port exactly as the client wrote them in the Host header, `local_address` what the connection arrived at,
    `peer` the client's IP address, `path` the path of the request including what follows the service's own. `now` is
    microseconds UTC. `element` is the request as XML, which carries the namespace context of expressions. `attachments` are
    the binary parts of the request, and take those of the answer.
    """

    account: Account | None
    scheme: str
    host: str
    local_address: str
    peer: str
    path: str
    addressing: Addressing
    now: int
    element: Element
    attachments: Attachments = field(default_factory=Attachments)


def _nobody_listens(account: str) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """What the dispatcher needs of an HTTP request. `target` is the request target as sent, for HTTP Digest; `parts` came with
    the message in an MTOM package."""

    method: str
    target: str
    path: str
    scheme: str
    host: str
    local_address: str
    peer: str
    authorization: str | None
    certificate_user: str | None = None
    """The account that the certificate of a TLS client stands for."""
    admitted: Callable[[str], object] = field(default=_nobody_listens, repr=False, compare=False)
    """Is told the account that calls, so that the connection can end when the account does."""
    body: bytes = field(repr=False)
    parts: Mapping[str, Part] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpReply:
    """`headers` may repeat a name (one WWW-Authenticate per algorithm)."""

    status: int
    body: bytes = field(repr=False)
    headers: tuple[tuple[str, str], ...] = ()


# ---- services -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operation of a service. `name` is its request's element name in Clark notation."""

    name: str
    access: AccessClass
    timeout: float
    request: type
    response: type
    method: str

    @property
    def changes(self) -> bool:
        """Whether it changes what is configured. Of ACTUATE the names tell: PTZ moves and key frames change nothing."""
        if self.access in (AccessClass.WRITE_SYSTEM, AccessClass.UNRECOVERABLE):
            return True
        name = self.request.__name__
        return (
            self.access is AccessClass.ACTUATE
            and name.startswith(
                ("Set", "Create", "Delete", "Add", "Remove", "Modify", "Configure", "StartMulticast", "StopMulticast")
            )
            and name != "SetSynchronizationPoint"
        )


class Observer(Protocol):
    """Who is told of what callers do. Both return at once."""

    def forbidden(self, account: str, peer: str, operation: str) -> None:
        """A caller whose level does not allow the operation."""
        ...

    def changed(self, account: str, peer: str, operation: str, outcome: str) -> None:
        """An operation that changes something has ended: `done`, or the last subcode of its fault."""
        ...


def operation(*, access: AccessClass, timeout: float = HANDLER_TIMEOUT) -> Callable[[Handler], Handler]:
    """Make a method `async (self, call, request: Request) -> Response` the handler of an operation."""

    def mark(method: Handler) -> Handler:
        setattr(method, "__operation__", (access, timeout))  # noqa: B010
        return method

    return mark


class Service:
    """Base of the services: a namespace, a path and handlers marked with `operation`."""

    namespace: ClassVar[str]
    path: ClassVar[str]
    prefix: ClassVar[str]
    extra_paths: ClassVar[tuple[str, ...]] = ()
    """Further paths at or below which operations are taken, for example those of subscriptions."""
    not_served: ClassVar[frozenset[str]] = frozenset()
    """Operations of the specification that have no types here; refused as what they are, optional and missing."""
    missing: ClassVar[tuple[str, ...]] = ("ActionNotSupported",)
    """Subcodes of the fault with which optional operations are refused that are not served."""

    @classmethod
    def operations(cls) -> tuple[Operation, ...]:
        """The operations in the order of their definition."""
        found = []
        seen = set()
        for owner in cls.__mro__:
            for name, method in vars(owner).items():
                marked = getattr(method, "__operation__", None)
                if marked is None or name in seen:
                    continue
                seen.add(name)
                request, response = _message_types(method)
                found.append(
                    Operation(
                        name=tag_of(request),
                        access=marked[0],
                        timeout=marked[1],
                        request=request,
                        response=response,
                        method=name,
                    )
                )
        return tuple(found)


def _message_types(method: Any) -> tuple[type, type]:
    """Request and response type of a handler. The other annotations stay unread: they may name what only mypy imports."""
    notes = inspect.get_annotations(method)
    parameters = list(inspect.signature(method).parameters)
    types = (notes[parameters[2]], notes["return"])
    request, response = (
        eval(note, method.__globals__) if isinstance(note, str) else note  # noqa: S307 - our own annotations
        for note in types
    )
    return request, response


# ---- dispatcher ---------------------------------------------------------------------------------


class Dispatcher:
    """Serves the operations of `services`.

    `lookup` gives the accounts for UsernameToken; `digest` is HTTP Digest, None for a device that offers UsernameToken only.
    `gate` knows of locks and login periods, `observer` is told of changes and of calls beyond the caller's level.
    """

    def __init__(
        self,
        services: Iterable[Service],
        *,
        lookup: CredentialLookup,
        clock: Clock,
        digest: DigestVerifier | None = None,
        created_window: int = 300,
        max_active: int = MAX_ACTIVE,
        gate: Gate | None = None,
        observer: Observer | None = None,
    ) -> None:
        self.services = tuple(services)
        self._clock = clock
        self._authenticator = Authenticator(lookup, digest, created_window=created_window, gate=gate)
        self._observer = observer
        self._max_active = max_active
        self._active = 0
        self._operations: dict[str, tuple[Operation, Callable[[Call, Any], Awaitable[Any]]]] = {}
        self._paths: tuple[str, ...] = tuple(
            path.rstrip("/") for service in self.services for path in (service.path, *service.extra_paths)
        )
        self._modules: dict[str, set[str]] = {}
        self._not_served = {f"{{{s.namespace}}}{name}" for s in self.services for name in s.not_served}
        for service in self.services:
            for item in service.operations():
                if item.name in self._operations:
                    raise ValueError(f"{item.name} is served twice")
                self._operations[item.name] = (item, getattr(service, item.method))
                namespace = item.name[1:].partition("}")[0]
                self._modules.setdefault(namespace, set()).add(item.request.__module__)

    def knows_path(self, path: str) -> bool:
        """Whether ONVIF operations are taken at a path."""
        return any(path == known or path.startswith(known + "/") for known in self._paths)

    async def handle(self, http: HttpRequest) -> HttpReply:
        """The reply to a request; never raises but for cancellation."""
        message: Envelope | None = None
        try:
            if not http.body.strip():
                return self._no_message(http)
            if self._active >= self._max_active:
                raise LimitReached("too many requests at once")
            self._active += 1
            try:
                message = envelope.parse(http.body)
                return await self._serve(http, message)
            finally:
                self._active -= 1
        except Challenged as challenge:
            return self._fault(faults.from_error(challenge.error), message, challenge.status, challenge.headers)
        except OnvifdError as error:
            return self._fault(faults.from_error(error), message)
        except Exception:
            name = message.content.tag[:120] if message is not None else "an unread message"
            logger.exception("%s from %s failed", name, http.peer)
            return self._fault(SoapFault("Receiver", ("Action",), "internal error"), message)

    def _no_message(self, http: HttpRequest) -> HttpReply:
        """Core 5.8.2.4: without a SOAP message there is no SOAP fault, only the HTTP error."""
        plain = ("Content-Type", "text/plain")
        if not self._authenticator.offers_digest or http.authorization is not None:
            return HttpReply(status=400, body=b"no SOAP message\n", headers=(plain,))
        # libcurl and others that are told to use Digest hold the message back until they were asked for credentials.
        challenge = self._authenticator.challenge(self._clock.monotonic())
        return HttpReply(status=401, body=b"authentication is required\n", headers=(plain, *challenge))

    def _fault(
        self,
        fault: SoapFault,
        message: Envelope | None,
        status: int | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> HttpReply:
        body = envelope.write_fault(fault, message.addressing if message else None)
        return HttpReply(
            status=status or fault.status, body=body, headers=(("Content-Type", envelope.CONTENT_TYPE), *headers)
        )

    async def _serve(self, http: HttpRequest, message: Envelope) -> HttpReply:
        now = self._clock.utc()
        item, handler = self._find(message.content)
        monotonic = self._clock.monotonic()
        name = item.request.__name__
        caller = self._authenticator.identify(http, message.security, name, item.access, now, monotonic)
        self._authorize(http, caller, item, monotonic)
        if caller.account is not None:
            http.admitted(caller.account.name)
        try:
            kind, body = await self._call(http, message, item, handler, caller.account, now)
        except OnvifdError as error:
            self._tell(http, caller, item, faults.from_error(error).subcodes[-1:])
            raise
        self._tell(http, caller, item, ())
        return HttpReply(status=200, body=body, headers=(("Content-Type", kind),))

    async def _call(
        self,
        http: HttpRequest,
        message: Envelope,
        item: Operation,
        handler: Callable[[Call, Any], Awaitable[Any]],
        account: Account | None,
        now: int,
    ) -> tuple[str, bytes]:
        """Read the request, let the handler work within its time, write the response; gives content type and body."""
        request: Any = decode(item.request, message.content)
        call = Call(
            account=account,
            scheme=http.scheme,
            host=http.host,
            local_address=http.local_address,
            peer=http.peer,
            path=http.path,
            addressing=message.addressing,
            now=now,
            element=message.content,
            attachments=Attachments(http.parts),
        )
        try:
            async with asyncio.timeout(item.timeout) as limit:
                response = await handler(call, request)
        except TimeoutError:
            if not limit.expired():
                raise
            logger.warning("%s from %s took more than %g s", item.request.__name__, http.peer, item.timeout)
            raise Timeout("the operation took too long") from None
        body = envelope.write(response, message.addressing)
        return pack(body, call.attachments.sent) if call.attachments.sent else (envelope.CONTENT_TYPE, body)

    def _find(self, content: Element) -> tuple[Operation, Callable[[Call, Any], Awaitable[Any]]]:
        found = self._operations.get(content.tag)
        if found is not None:
            return found
        name = etree.QName(content)
        missing = next((s.missing for s in self.services if s.namespace == name.namespace), Service.missing)
        if content.tag in self._not_served:
            raise SoapFault("Receiver", missing, f"{name.localname} is not implemented")
        for module in self._modules.get(name.namespace or "", ()):
            known = vars(sys.modules[module])
            if name.localname in known and f"{name.localname}Response" in known:
                raise SoapFault("Receiver", missing, f"{name.localname} is not implemented")
        raise SoapFault("Sender", ("UnknownAction",), f"unknown operation {name.localname[:60]}")

    def _authorize(self, http: HttpRequest, caller: Caller, item: Operation, now: float) -> None:
        try:
            self._authenticator.authorize(caller, item.access, now)
        except (Forbidden, Challenged):
            name = caller.account.name if caller.account else ""
            logger.warning("%s at %s may not call %s (%s)", name, http.peer, item.request.__name__, item.access)
            if self._observer is not None:
                self._observer.forbidden(name, http.peer, item.request.__name__)
            raise

    def _tell(self, http: HttpRequest, caller: Caller, item: Operation, subcode: tuple[str, ...]) -> None:
        """Report an operation that changes something, done or failed."""
        if self._observer is not None and item.changes:
            name = caller.account.name if caller.account else ""
            self._observer.changed(name, http.peer, item.request.__name__, "".join(subcode) or "done")


def operations_of(services: Iterable[Service | type[Service]]) -> Mapping[str, tuple[Operation, ...]]:
    """The operations of services by the namespace of the service, for the contract."""
    return {service.namespace: service.operations() for service in services}
