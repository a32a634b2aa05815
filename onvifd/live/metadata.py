"""The live metadata of a camera as documents of tt:MetadataStream (Streaming 5.1.2.1.1). No I/O; times are microseconds UTC.

A configuration selects parts: scene description, PTZ and events. What comes within a moment goes into one document; without
anything to say a document is closed each second all the same.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from lxml import etree

from onvifd.clock import US
from onvifd.errors import OnvifdError
from onvifd.media.types import PtzPart
from onvifd.onvif.soap.envelope import parse_xml
from onvifd.onvif.soap.namespaces import PREFIXES, TT

GATHER = 40_000
"""Parts that come within this time share a document: those of one picture mostly."""
LONGEST = US
"""A document is closed after this time at the latest."""
MAX_BYTES = 256 << 10
"""Of one document; at the bound it is closed at once."""
MAX_STATES = 512
"""States of one camera; further ones are told when they change, but not to who comes later."""
MAX_DOCUMENT = 1 << 20
"""Of a document from a camera."""

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<tt:MetadataStream'
_PREFIX = re.compile(rb"[<>\s\"'/|]([A-Za-z][A-Za-z0-9-]*):[A-Za-z]")


_PTZ_PARTS = {
    ("MoveStatus", "PanTilt"): PtzPart.PAN_TILT_STATUS,
    ("MoveStatus", "Zoom"): PtzPart.ZOOM_STATUS,
    ("Position", "PanTilt"): PtzPart.PAN_TILT_POSITION,
    ("Position", "Zoom"): PtzPart.ZOOM_POSITION,
}
_PTZ_TOLD = frozenset(holder for holder, _ in _PTZ_PARTS)


class PartKind(StrEnum):
    """What a part of a document tells; the value is the local name of the element around it."""

    ANALYTICS = "VideoAnalytics"
    PTZ = "PTZ"
    EVENT = "Event"


@dataclass(frozen=True, slots=True)
class Part:
    """A child of tt:VideoAnalytics, tt:PTZ or tt:Event, with the prefixes of `PREFIXES` or declarations of its own."""

    kind: PartKind
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a metadata configuration wants (tt:MetadataConfiguration). Events are selected before they come here."""

    analytics: bool = False
    ptz_status: bool = False
    ptz_position: bool = False

    def of(self, part: Part) -> Part | None:
        """What is left of a part."""
        if part.kind is PartKind.ANALYTICS:
            return part if self.analytics else None
        if part.kind is PartKind.EVENT or (self.ptz_status and self.ptz_position):
            return part
        if not (self.ptz_status or self.ptz_position):
            return None
        element = etree.fromstring(part.data)
        for child in list(element):
            if etree.QName(child).localname == ("MoveStatus" if self.ptz_position else "Position"):
                element.remove(child)
        return Part(part.kind, etree.tostring(element)) if _tells(element) else None


def write_document(parts: Iterable[Part]) -> bytes:
    """One document with these parts in their order."""
    pieces: list[bytes] = []
    last: PartKind | None = None
    for part in parts:
        if part.kind is not last:
            if last is not None:
                pieces.append(b"</tt:%s>" % last.encode())
            pieces.append(b"<tt:%s>" % part.kind.encode())
            last = part.kind
        pieces.append(part.data)
    if last is not None:
        pieces.append(b"</tt:%s>" % last.encode())
    body = b"".join(pieces)
    used = {b"tt", *_PREFIX.findall(body)}
    declared = "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in PREFIXES.items() if prefix.encode() in used)
    return f"{_HEAD}{declared}>".encode() + body + b"</tt:MetadataStream>"


def _tells(status: etree._Element) -> bool:
    """Whether tt:PTZStatus says anything: cameras that do not move send it empty."""
    return any(isinstance(each.tag, str) and etree.QName(each).localname in _PTZ_TOLD for each in status)


def parts_of(document: bytes) -> Iterator[Part]:
    """The parts of a camera's document, each with the declarations it needs. Events are left out: the recorder hears them
    by its subscription, and tells them with its own tokens.

    Raises InvalidArgument for what is no document.
    """
    root = parse_xml(document, limit=MAX_DOCUMENT)
    for kind in (PartKind.ANALYTICS, PartKind.PTZ):
        for holder in root.findall(f"{{{TT}}}{kind}"):
            for child in holder:
                if isinstance(child.tag, str) and (kind is PartKind.ANALYTICS or _tells(child)):
                    yield Part(kind, etree.tostring(child, with_tail=False))


def ptz_of(document: bytes) -> frozenset[PtzPart]:
    """What a camera's document tells of where it looks. Raises an OnvifdError for what is no document."""
    found = set()
    for part in parts_of(document):
        if part.kind is PartKind.PTZ:
            for holder in etree.fromstring(part.data):
                for told in holder:
                    names = (etree.QName(each).localname for each in (holder, told) if isinstance(each.tag, str))
                    found.add(_PTZ_PARTS.get(tuple(names)))
    return frozenset(each for each in found if each is not None)


@dataclass(slots=True)
class Assembler:
    """Gathers the parts of one configuration to documents."""

    selection: Selection
    _parts: list[Part] = field(default_factory=list)
    _size: int = 0
    _begun: int = 0
    """When the document under way was begun: when the last one was closed."""
    _first: int | None = None
    """When its first part came."""

    def begin(self, now: int) -> None:
        """Somebody watches from now on."""
        self._parts, self._size, self._first = [], 0, None
        self._begun = now

    def add(self, part: Part, now: int) -> None:
        """A part, if it is selected."""
        chosen = self.selection.of(part)
        if chosen is None:
            return
        self._parts.append(chosen)
        self._size += len(chosen.data)
        if self._first is None:
            self._first = now

    def due(self) -> int:
        """When the document is to be closed."""
        latest = self._begun + LONGEST
        if self._first is None:
            return latest
        return self._begun if self._size > MAX_BYTES else min(latest, self._first + GATHER)

    def close(self, now: int) -> bytes:
        """Close the document and begin the next."""
        document = write_document(self._parts)
        self.begin(now)
        return document


@dataclass(slots=True)
class States:
    """What is true of a camera now, for synchronisation points: property events by configuration, and where it looks."""

    _events: dict[str, tuple[frozenset[str], Part]] = field(default_factory=dict)
    _seen: bytes = b""
    """The camera's last document that says where it looks; read when somebody asks."""
    _read: bytes = b""
    """The one that was read last for `ptz`."""
    _ptz: frozenset[PtzPart] = frozenset()

    def tell(self, state: str, configurations: Iterable[str], part: Part | None) -> None:
        """`part` tells the state to these configurations; None ends it."""
        if part is None:
            self._events.pop(state, None)
        elif state in self._events or len(self._events) < MAX_STATES:
            self._events[state] = (frozenset(configurations), part)

    def forget(self) -> None:
        """All events are told anew."""
        self._events.clear()

    def see(self, document: bytes) -> None:
        """A document of the camera."""
        if b"PTZStatus" in document:
            self._seen = document

    def ptz(self) -> frozenset[PtzPart]:
        """What the camera tells of where it looks, as far as it was seen; for reports. Reads a document only while that may bring
        something new."""
        if len(self._ptz) < len(PtzPart) and self._read is not self._seen:
            self._read = self._seen
            with contextlib.suppress(OnvifdError):  # who shows it says so
                self._ptz |= ptz_of(self._seen)
        return self._ptz

    def for_configuration(self, configuration: str) -> Iterator[Part]:
        """All that is true, for one configuration. Raises InvalidArgument when the camera's document cannot be read."""
        for configurations, part in self._events.values():
            if configuration in configurations:
                yield part
        if self._seen:
            yield from [part for part in parts_of(self._seen) if part.kind is PartKind.PTZ][-1:]
