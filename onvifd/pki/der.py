"""As much DER (X.690) as certificates, requests and PKCS#12 envelopes need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, NULL, OID = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
UTC_TIME, GENERALIZED_TIME, SEQUENCE, SET = 0x17, 0x18, 0x30, 0x31


class DerError(ValueError):
    """The bytes are no DER."""


@dataclass(frozen=True, slots=True)
class Node:
    """One value. `whole` includes tag and length."""

    tag: int
    content: bytes
    whole: bytes

    def children(self) -> tuple[Node, ...]:
        return tuple(parse_all(self.content))


def parse(data: bytes) -> Node:
    """The one value that `data` is. Raises DerError if it is more, less or something else."""
    node, end = _read(data, 0)
    if end != len(data):
        raise DerError("bytes follow the value")
    return node


def parse_all(data: bytes) -> Iterator[Node]:
    """The values that follow each other in `data`. Raises DerError."""
    at = 0
    while at < len(data):
        node, at = _read(data, at)
        yield node


def _read(data: bytes, at: int) -> tuple[Node, int]:
    start = at
    if at + 2 > len(data):
        raise DerError("the value is cut off")
    tag, length = data[at], data[at + 1]
    at += 2
    if tag & 0x1F == 0x1F:
        raise DerError("tags above 30 are not used here")
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= 4 or at + count > len(data):
            raise DerError("the length is not definite")
        length = int.from_bytes(data[at : at + count], "big")
        at += count
    if at + length > len(data):
        raise DerError("the value is cut off")
    return Node(tag, data[at : at + length], data[start : at + length]), at + length


def write(tag: int, *parts: bytes) -> bytes:
    """A value of the given tag with these parts as its content."""
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def sequence(*parts: bytes) -> bytes:
    return write(SEQUENCE, *parts)


def explicit(number: int, *parts: bytes) -> bytes:
    """Context-specific, constructed."""
    return write(0xA0 | number, *parts)


def integer(value: int) -> bytes:
    return write(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def bits(value: bytes) -> bytes:
    """A bit string of whole octets."""
    return write(BIT_STRING, b"\0", value)


def oid(dotted: str) -> bytes:
    """Raises DerError for text that names no object identifier."""
    try:
        first, second, *rest = (int(arc) for arc in dotted.split("."))
    except ValueError:
        raise DerError(f"{dotted[:60]!r} is no object identifier") from None
    if not 0 <= first <= 2 or second < 0 or (first < 2 and second > 39) or any(arc < 0 for arc in rest):
        raise DerError(f"{dotted[:60]!r} is no object identifier")
    content = b""
    for arc in (first * 40 + second, *rest):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(arc & 0x7F | 0x80)
        content += bytes(reversed(groups))
    return write(OID, content)


def time(moment: datetime) -> bytes:
    """A time of a certificate: UTCTime through 2049, then GeneralizedTime (RFC 5280 4.1.2.5). Seconds are cut."""
    if 1950 <= moment.year < 2050:
        return write(UTC_TIME, moment.strftime("%y%m%d%H%M%SZ").encode())
    return write(GENERALIZED_TIME, f"{moment.year:04d}{moment.strftime('%m%d%H%M%SZ')}".encode())
