"""What a defect is: a way to treat one exchange between client and device."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from lxml import etree

from conformance.names import NS, clark

PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request as it arrived."""

    method: str
    target: str
    """Path and query as sent; what Digest protects."""
    headers: tuple[tuple[str, str], ...]
    content: bytes

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    @property
    def root(self) -> Any:
        """The request's XML; None where it is none."""
        return parse(self.content)

    @property
    def operation(self) -> str:
        """Name of the request with its usual prefix would be too much: the local name. Empty without SOAP."""
        body = body_of(self.root)
        return "" if body is None else str(etree.QName(body).localname)

    @property
    def user(self) -> str:
        """Who calls, by Digest or UsernameToken; empty for nobody."""
        value = self.header("Authorization")
        if 'username="' in value:
            return value.partition('username="')[2].partition('"')[0]
        root = self.root
        name = None if root is None else root.find("env:Header/wsse:Security/wsse:UsernameToken/wsse:Username", NS)
        return "" if name is None else str(name.text or "")

    def with_root(self, root: Any) -> Exchange:
        return replace(self, content=serialize(root))

    def without_credentials(self) -> Exchange:
        headers = tuple(each for each in self.headers if each[0].lower() != "authorization")
        root = self.root
        if root is not None:
            for security in root.findall("env:Header/wsse:Security", NS):
                security.getparent().remove(security)
        return replace(self, headers=headers, content=self.content if root is None else serialize(root))


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: tuple[tuple[str, str], ...]
    content: bytes

    @property
    def root(self) -> Any:
        return parse(self.content)

    @property
    def is_fault(self) -> bool:
        body = body_of(self.root)
        return body is not None and body.tag == clark("env:Fault")

    def with_root(self, root: Any) -> Answer:
        return replace(self, content=serialize(root))


def parse(content: bytes) -> Any:
    try:
        return etree.fromstring(content, PARSER) if content else None
    except etree.XMLSyntaxError:
        return None


def serialize(root: Any) -> bytes:
    return bytes(etree.tostring(root, xml_declaration=True, encoding="utf-8"))


def body_of(root: Any) -> Any:
    """First child of the SOAP Body, or None."""
    holder = None if root is None else root.find("env:Body", NS)
    return None if holder is None else next((each for each in holder if isinstance(each.tag, str)), None)


# ---- answers of our own -------------------------------------------------------------------------------

_SOAP = (("Content-Type", "application/soap+xml; charset=utf-8"),)


def message(inside: str, headers: str = "") -> bytes:
    spaces = " ".join(
        f'xmlns:{prefix}="{NS[prefix]}"'
        for prefix in ("env", "ter", "tds", "tt", "tev", "tas", "trt", "tr2", "trc", "trv", "tse", "trp", "wsnt", "wsa")
    )
    return f'<?xml version="1.0" encoding="utf-8"?>\n<env:Envelope {spaces}><env:Header>{headers}</env:Header><env:Body>{inside}</env:Body></env:Envelope>'.encode()


def succeed(inside: str, *, action: str = "", status: int = 200) -> Answer:
    """A response as the device could have sent it."""
    return Answer(status, _SOAP, message(inside, f"<wsa:Action>{action}</wsa:Action>" if action else ""))


def fault(code: str, *subcodes: str, status: int = 500) -> Answer:
    inner = ""
    for each in reversed(subcodes):
        inner = f"<env:Subcode><env:Value>{each}</env:Value>{inner}</env:Subcode>"
    inside = (
        f"<env:Fault><env:Code><env:Value>{code}</env:Value>{inner}</env:Code>"
        '<env:Reason><env:Text xml:lang="en">seeded defect</env:Text></env:Reason></env:Fault>'
    )
    return Answer(status, _SOAP, message(inside))


# ---- defects ------------------------------------------------------------------------------------------

Forward = Callable[[Exchange], Awaitable[Answer]]


@dataclass(slots=True)
class Stage:
    """What a defect may use besides the exchange."""

    forward: Forward
    """To the device, as it is."""
    forward_as_administrator: Forward
    """To the device with the proxy's own credentials instead of the client's."""
    relay: Callable[[str, Callable[[bytes], bytes]], str]
    """An address of the proxy that passes on what is posted there to another one, changed."""
    memory: dict[str, Any] = field(default_factory=dict)
    """Of one defect, as long as the proxy runs."""


Apply = Callable[[Exchange, Stage], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Defect:
    name: str
    what: str
    """One line for a person: what the device does wrong."""
    case: str
    """The case that must find it."""
    apply: Apply | None = None
    """For SOAP; None for a defect of discovery alone."""
    operations: frozenset[str] = frozenset()
    """Requests that it treats; empty: all."""
    discovery: str = ""
    """What the responder does wrong (`conformance.defects.responder`)."""
    streams: bool = False
    """Whether it is one of RTSP (`conformance.defects.stream`)."""


DEFECTS: dict[str, Defect] = {}


def add(made: Defect) -> None:
    if made.name in DEFECTS:
        raise ValueError(f"two defects are called {made.name}")
    DEFECTS[made.name] = made


def defect(name: str, what: str, case: str, *operations: str) -> Callable[[Apply], Apply]:
    """Register `async def apply(exchange, stage) -> Answer` for some requests."""

    def register(apply: Apply) -> Apply:
        add(Defect(name, what, case, apply, frozenset(operations)))
        return apply

    return register


Change = Callable[[Any], None]
"""Changes the root of a message in place."""


def answer_defect(name: str, what: str, case: str, operation: str, change: Change, *, faults: bool = False) -> None:
    """Register a defect that changes the answer to one request: successful ones, or `faults`."""

    async def apply(exchange: Exchange, stage: Stage) -> Answer:
        answer = await stage.forward(exchange)
        root = answer.root
        if root is None or answer.is_fault != faults:
            return answer
        change(root)
        return answer.with_root(root)

    add(Defect(name, what, case, apply, frozenset({operation})))


def request_defect(name: str, what: str, case: str, operation: str, change: Change) -> None:
    """Register a defect that changes one request on its way: the device understands it wrongly."""

    async def apply(exchange: Exchange, stage: Stage) -> Answer:
        root = exchange.root
        change(root)
        return (
            await stage.forward_as_administrator(exchange.with_root(root))
            if exchange.user
            else await stage.forward(exchange)
        )

    add(Defect(name, what, case, apply, frozenset({operation})))


# ---- edits --------------------------------------------------------------------------------------------


def remove(path: str) -> Change:
    """Remove all elements at a path (usual prefixes, from the body's content on)."""

    def change(root: Any) -> None:
        for each in found(root, path):
            each.getparent().remove(each)

    return change


def write(path: str, text: str) -> Change:
    """Write text into all elements at a path."""

    def change(root: Any) -> None:
        for each in found(root, path):
            each.text = text

    return change


def attribute(path: str, name: str, value: str | None) -> Change:
    """Write an attribute, or remove it (None)."""

    def change(root: Any) -> None:
        for each in found(root, path):
            if value is None:
                each.attrib.pop(clark(name), None)
            else:
                each.set(clark(name), value)

    return change


def flip(path: str, name: str) -> Change:
    """Turn a boolean attribute round."""

    def change(root: Any) -> None:
        for each in found(root, path):
            each.set(name, "false" if each.get(name) in ("true", "1") else "true")

    return change


def found(root: Any, path: str) -> list[Any]:
    return list(body_of(root).findall(path, NS)) if path else [body_of(root)]


def several(*changes: Change) -> Change:
    def change(root: Any) -> None:
        for each in changes:
            each(root)

    return change


def remove_where(path: str, wanted: Callable[[Any], bool]) -> Change:
    """Remove the elements at a path for which `wanted` holds."""

    def change(root: Any) -> None:
        for each in found(root, path):
            if wanted(each):
                each.getparent().remove(each)

    return change


def negate(path: str) -> Change:
    """Turn the boolean content of elements round."""

    def change(root: Any) -> None:
        for each in found(root, path):
            each.text = "false" if (each.text or "").strip() in ("true", "1") else "true"

    return change


def twice(path: str) -> Callable[[Any], None]:
    """The first element at a path stands there twice."""

    def change(root: Any) -> None:
        for each in found(root, path)[:1]:
            each.addnext(etree.fromstring(etree.tostring(each, with_tail=False)))

    return change


def accepts(name: str, what: str, case: str, operation: str, response: str) -> None:
    """A request for something unknown is answered as if it were there."""

    @defect(name, what, case, operation)
    async def apply(exchange: Exchange, stage: Stage) -> Answer:
        answer = await stage.forward(exchange)
        return succeed(response) if answer.is_fault else answer
