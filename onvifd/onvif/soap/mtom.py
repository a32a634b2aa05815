"""Binary attachments: MTOM packages of a message and its parts (MTOM, XOP 1.0; RFC 2387).

`unpack` and `pack` are pure. Parts are named by their Content-ID without brackets.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32
from urllib.parse import unquote

from onvifd.onvif.soap.faults import SoapFault, sender

MAX_PARTS = 8
MAX_PACKAGE = 33 << 20
"""Octets of a package, which may carry a whole configuration."""
XOP_TYPE = "application/xop+xml"
_SOAP_TYPE = "application/soap+xml"
_MULTIPART = "multipart/related"


@dataclass(frozen=True, slots=True)
class Part:
    content_type: str
    data: bytes = field(repr=False)


@dataclass(slots=True)
class Attachments:
    """The binary parts that came with a request, and those that are to go with its answer."""

    received: Mapping[str, Part] = field(default_factory=dict)
    sent: dict[str, Part] = field(default_factory=dict)

    def get(self, href: str) -> bytes:
        """What an xop:Include refers to (`cid:...`, RFC 2392). Raises SoapFault."""
        part = self.received.get(unquote(href.removeprefix("cid:"))) if href.startswith("cid:") else None
        if part is None:
            raise sender("InvalidArgs", "an attachment is missing")
        return part.data

    def add(self, content_type: str, data: bytes) -> str:
        """Send a part along; gives the href of its xop:Include."""
        name = f"{uuid.uuid4().hex}@onvifd"
        self.sent[name] = Part(content_type, data)
        return f"cid:{name}"


def is_package(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == _MULTIPART


def unpack(content_type: str, body: bytes) -> tuple[bytes, dict[str, Part]]:
    """The envelope of a package and its other parts. Raises SoapFault (ter:WellFormed)."""
    if "\r" in content_type or "\n" in content_type:
        raise sender("WellFormed", "the type of the package cannot be read")
    head = f"Content-Type: {content_type}\r\n\r\n".encode("utf-8", "replace")
    # Not the newer policies: they parse recursively, and a header of many brackets ends them.
    message = BytesParser(policy=compat32).parsebytes(head, headersonly=True)
    boundary = message.get_boundary()
    if not boundary or len(boundary) > 70:
        raise sender("WellFormed", "the package has no boundary")
    parts = [_part(raw) for raw in _split(body, boundary.encode("utf-8", "replace"))]
    if not 1 <= len(parts) <= MAX_PARTS:
        raise sender("WellFormed", f"a package has 1 to {MAX_PARTS} parts")
    start = str(message.get_param("start") or "").strip("<>")
    root = next((number for number, (name, _) in enumerate(parts) if start and name == start), 0)
    return parts[root][1].data, {name: part for number, (name, part) in enumerate(parts) if number != root and name}


def _split(body: bytes, boundary: bytes) -> list[bytes]:
    """The parts between the delimiters (RFC 2046 section 5.1.1)."""
    delimiter = b"\r\n--" + boundary
    pieces = (b"\r\n" + body).split(delimiter, MAX_PARTS + 2)
    if len(pieces) < 3 or len(pieces) > MAX_PARTS + 2 or not pieces[-1].startswith(b"--"):
        raise sender("WellFormed", "the package is not complete")
    return [piece.lstrip(b" \t").removeprefix(b"\r\n") for piece in pieces[1:-1]]


def _part(raw: bytes) -> tuple[str, Part]:
    head, separator, data = raw.partition(b"\r\n\r\n")
    if not separator or len(head) > 4096:
        raise sender("WellFormed", "a part of the package has no head")
    message: Message = BytesParser(policy=compat32).parsebytes(head + b"\r\n\r\n", headersonly=True)
    encoding = str(message.get("Content-Transfer-Encoding", "binary")).strip().lower()
    if encoding not in ("binary", "8bit", "7bit"):
        raise sender("WellFormed", "parts are sent as binary")
    name = str(message.get("Content-ID", "")).strip().strip("<>")
    return name, Part(message.get_content_type(), data)


_SAFE = re.compile(r"[A-Za-z0-9/+.;= -]{1,100}")


def pack(envelope: bytes, parts: Mapping[str, Part]) -> tuple[str, bytes]:
    """Content type and body of a package."""
    boundary = f"mime-{uuid.uuid4().hex}"
    out = [
        f'--{boundary}\r\nContent-Type: {XOP_TYPE}; charset=utf-8; type="{_SOAP_TYPE}"\r\n'
        "Content-Transfer-Encoding: binary\r\nContent-ID: <root@onvifd>\r\n\r\n".encode(),
        envelope,
    ]
    for name, part in parts.items():
        if not _SAFE.fullmatch(part.content_type):
            raise SoapFault("Receiver", ("Action",), "the type of an attachment cannot be written")
        head = f"\r\n--{boundary}\r\nContent-Type: {part.content_type}\r\n"
        out += [f"{head}Content-Transfer-Encoding: binary\r\nContent-ID: <{name}>\r\n\r\n".encode(), part.data]
    out.append(f"\r\n--{boundary}--\r\n".encode())
    kind = f'{_MULTIPART}; type="{XOP_TYPE}"; start="<root@onvifd>"; start-info="{_SOAP_TYPE}"; boundary="{boundary}"'
    return kind, b"".join(out)
