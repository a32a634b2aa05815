"""H.264 and H.265 in RTP: NAL units that come whole, aggregated or in fragments (RFC 6184, RFC 7798)."""

from __future__ import annotations

import base64
import binascii

from conformance.bits import Bits, unescape
from conformance.judge import Judge
from conformance.model import Failure
from conformance.rtp import Media, Rtp


class Nals(Judge):
    """What both packetizations share; parameter sets are in the session description or in band."""

    name: str
    reference: str
    """Where the structure of payloads is defined."""
    header: int
    """Bytes of the header of a NAL unit."""
    aggregation: int
    fragmentation: int
    in_description: tuple[str, ...]
    """Parameters of a=fmtp that have parameter sets."""
    parameter_sets: frozenset[int]
    sequence: int
    """The parameter set that has the size of the picture."""

    def __init__(self, media: Media) -> None:
        super().__init__(media)
        self.sets: set[int] = set()
        value = media.parameters(int(media.formats[0])) if media.formats else {}
        for name in self.in_description:
            for each in value.get(name, "").split(","):
                self._note(_unb64(each))

    def _take(self, unit: list[Rtp]) -> bool:
        kinds: set[int] = set()
        fragment: bytearray | None = None
        for packet in unit:
            data = packet.payload
            if not self._sound(data):
                raise Failure(f"an {self.name} payload begins with {data[:2].hex() or 'nothing'} ({self.reference})")
            kind = self._kind(data)
            if fragment is not None and kind != self.fragmentation:
                raise Failure(f"an {self.name} fragment is followed by a NAL unit of type {kind} before its end")
            if kind == self.aggregation:
                for nal in _aggregated(data[self.header :]):
                    kinds.add(self._note(nal))
            elif kind == self.fragmentation:
                fragment = self._fragment(data, fragment)
                if data[self.header] & 0x40:
                    kinds.add(self._note(bytes(fragment)))
                    fragment = None
            elif self._single(kind):
                kinds.add(self._note(data))
            else:
                raise Failure(f"an {self.name} packet has the NAL unit type {kind} ({self.reference})")
        if fragment is not None:
            raise Failure(f"an {self.name} access unit ends within a fragment ({self.reference})")
        return self._key(kinds)

    def _fragment(self, data: bytes, begun: bytearray | None) -> bytearray:
        at = self.header
        if len(data) <= at + 1:
            raise Failure("a fragment of a NAL unit is empty")
        start = bool(data[at] & 0x80)
        if start != (begun is None):
            raise Failure(
                "a fragment of a NAL unit begins twice" if start else "a fragment of a NAL unit has no beginning"
            )
        made = bytearray(self._header_of(data)) if begun is None else begun
        made += data[at + 1 :]
        return made

    def _note(self, nal: bytes) -> int:
        """The type of a NAL unit; what it tells is kept."""
        kind = self._kind(nal) if nal else 0
        if kind in self.parameter_sets:
            self.sets.add(kind)
        if kind == self.sequence:
            self.size = self._size(nal)
        return kind

    @property
    def ready(self) -> bool:
        return self.units > 1 and bool(self.keys) and self.sets == self.parameter_sets

    # ---- where they differ -----------------------------------------------------------------------------

    def _sound(self, data: bytes) -> bool:
        """Whether a payload can begin so."""
        raise NotImplementedError

    def _kind(self, data: bytes) -> int:
        raise NotImplementedError

    def _single(self, kind: int) -> bool:
        """Whether a NAL unit of this type may come in a packet of its own."""
        raise NotImplementedError

    def _header_of(self, data: bytes) -> bytes:
        """Header of the NAL unit that a fragment is of."""
        raise NotImplementedError

    def _key(self, kinds: set[int]) -> bool:
        """Whether an access unit of NAL units of these types is a key frame."""
        raise NotImplementedError

    def _size(self, nal: bytes) -> tuple[int, int]:
        raise NotImplementedError


class H264(Nals):
    """RFC 6184: single NAL units, STAP-A and FU-A."""

    name, reference = "H.264", "RFC 6184 5"
    header, aggregation, fragmentation = 1, 24, 28
    in_description = ("sprop-parameter-sets",)
    parameter_sets = frozenset({7, 8})
    sequence = 7

    def _sound(self, data: bytes) -> bool:
        return bool(data) and not data[0] & 0x80

    def _kind(self, data: bytes) -> int:
        return data[0] & 0x1F

    def _single(self, kind: int) -> bool:
        return 1 <= kind <= 23

    def _header_of(self, data: bytes) -> bytes:
        return bytes([data[0] & 0xE0 | data[1] & 0x1F])

    def _key(self, kinds: set[int]) -> bool:
        if not kinds & {1, 2, 5}:
            if kinds & {7, 8, 6, 9}:
                return False
            raise Failure(f"an H.264 access unit has no slice: NAL units of type {sorted(kinds)}")
        return 5 in kinds

    def _size(self, nal: bytes) -> tuple[int, int]:
        return sps_h264(nal)


class H265(Nals):
    """RFC 7798: single NAL units, aggregation packets and fragmentation units."""

    name, reference = "H.265", "RFC 7798 4.4"
    header, aggregation, fragmentation = 2, 48, 49
    in_description = ("sprop-vps", "sprop-sps", "sprop-pps")
    parameter_sets = frozenset({32, 33, 34})
    sequence = 33

    def _sound(self, data: bytes) -> bool:
        return len(data) >= 3 and not data[0] & 0x80 and bool(data[1] & 7)

    def _kind(self, data: bytes) -> int:
        return data[0] >> 1 & 0x3F

    def _single(self, kind: int) -> bool:
        return kind < 48

    def _header_of(self, data: bytes) -> bytes:
        return bytes([data[0] & 0x81 | (data[2] & 0x3F) << 1, data[1]])

    def _key(self, kinds: set[int]) -> bool:
        # 16 to 23: IRAP pictures (H.265 table 7-1).
        return any(16 <= kind <= 23 for kind in kinds)

    def _size(self, nal: bytes) -> tuple[int, int]:
        return sps_h265(nal)


def _unb64(value: str) -> bytes:
    try:
        return base64.b64decode(value.strip() + "==" if value.strip() else "", validate=False)
    except binascii.Error:
        raise Failure(f"a parameter set in a=fmtp is no base64: {value[:40]!r}") from None


def _aggregated(data: bytes) -> list[bytes]:
    found, at = [], 0
    while at + 2 < len(data):
        size = int.from_bytes(data[at : at + 2], "big")
        if not size or at + 2 + size > len(data):
            raise Failure(f"an aggregation packet names a NAL unit of {size} bytes and has {len(data) - at - 2}")
        found.append(data[at + 2 : at + 2 + size])
        at += 2 + size
    return found


def sps_h264(nal: bytes) -> tuple[int, int]:
    """Width and height (H.264 7.3.2.1.1)."""
    bits = Bits(unescape(nal)[1:])
    profile = bits.u(8)
    bits.u(16)
    bits.ue()
    chroma = 1
    if profile in (100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135):
        chroma = bits.ue()
        if chroma == 3:
            bits.u(1)
        bits.ue()
        bits.ue()
        bits.u(1)
        if bits.u(1):
            for index in range(8 if chroma != 3 else 12):
                if bits.u(1):
                    _skip_scaling(bits, 16 if index < 6 else 64)
    bits.ue()
    order = bits.ue()
    if order == 0:
        bits.ue()
    elif order == 1:
        bits.u(1)
        bits.se()
        bits.se()
        for _ in range(bits.ue()):
            bits.se()
    bits.ue()
    bits.u(1)
    width, height = 16 * (bits.ue() + 1), 16 * (bits.ue() + 1)
    frames = bits.u(1)
    height *= 2 - frames
    if not frames:
        bits.u(1)
    bits.u(1)
    if bits.u(1):
        across, down = (1 if chroma in (0, 3) else 2), (2 if chroma == 1 else 1) * (2 - frames)
        left, right, top, bottom = (bits.ue() for _ in range(4))
        width, height = width - across * (left + right), height - down * (top + bottom)
    return width, height


def _skip_scaling(bits: Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = last + bits.se() + 256 & 0xFF
        last = following or last


def sps_h265(nal: bytes) -> tuple[int, int]:
    """Width and height (H.265 7.3.2.2)."""
    bits = Bits(unescape(nal)[2:])
    bits.u(4)
    layers = bits.u(3)
    bits.u(1)
    bits.u(88)
    bits.u(8)
    present = [(bits.u(1), bits.u(1)) for _ in range(layers)]
    if layers:
        bits.u(2 * (8 - layers))
    for profile, level in present:
        bits.u(88 * profile + 8 * level)
    bits.ue()
    chroma = bits.ue()
    if chroma == 3:
        bits.u(1)
    width, height = bits.ue(), bits.ue()
    if bits.u(1):
        across, down = (2 if chroma in (1, 2) else 1), (2 if chroma == 1 else 1)
        left, right, top, bottom = (bits.ue() for _ in range(4))
        width, height = width - across * (left + right), height - down * (top + bottom)
    return width, height
