"""Payloads of RTP: is what a device sends the encoding that it says it is? (RFC 6184, 7798, 2435, 6416, 3640, 3551)

A judge is given the packets of one access unit after the other and raises Failure for what a decoder could not use.
"""

from __future__ import annotations

import gzip
import zlib
from typing import Any

from lxml import etree

from conformance import schema
from conformance.bits import Bits
from conformance.judge import Judge
from conformance.model import Failure
from conformance.nal import H264, H265
from conformance.names import NS
from conformance.rtp import JPEG_FIRST, JPEG_NEXT, Media, Rtp, ahead

NAMES: dict[str, tuple[str, ...]] = {
    "JPEG": ("JPEG",),
    "MPEG4": ("MP4V-ES",),
    "H264": ("H264",),
    "H265": ("H265",),
    "G711": ("PCMU",),
    "G726": tuple(f"{head}-{rate}" for head in ("G726", "AAL2-G726") for rate in (16, 24, 32, 40)),
    # Streaming using Media2 Test 6.10: either name may stand for AAC.
    "AAC": ("MPEG4-GENERIC", "MP4A-LATM"),
    "Metadata": ("VND.ONVIF.METADATA", "VND.ONVIF.METADATA+GZIP", "VND.ONVIF.METADATA.EXI.EXT"),
}
"""What a=rtpmap calls the encodings."""
KINDS = {"G711": "audio", "G726": "audio", "AAC": "audio", "Metadata": "application"}
"""Kind of media where it is not video."""


# ---- JPEG ---------------------------------------------------------------------------------------------


class Jpeg(Judge):
    """RFC 2435 with the header extension of Streaming 5.1.4."""

    extended = False
    """Whether a frame had the header extension."""

    def _take(self, unit: list[Rtp]) -> bool:
        wanted, segments = 0, bytearray()
        for number, packet in enumerate(unit):
            if packet.header is not None:
                segments += self._extension(packet, number == 0)
            data = packet.payload
            if not data and packet.header is not None and number:
                continue
            if len(data) < 8:
                raise Failure(f"a JPEG packet has {len(data)} bytes, no RTP/JPEG header (RFC 2435 3.1)")
            offset, kind, quality = int.from_bytes(data[1:4], "big"), data[4], data[5]
            self._dimensions(data, segments, number)
            at = 8 + (4 if 64 <= kind <= 127 else 0)
            if quality >= 128 and offset == 0:
                at = self._tables(data, at, number)
            if packet.header is None and offset != wanted:
                raise Failure(f"a JPEG packet has the fragment offset {offset}, expected {wanted} (RFC 2435 3.1.2)")
            wanted = offset + len(data) - at
        return True

    def _dimensions(self, data: bytes, segments: bytearray, number: int) -> None:
        if number:
            return
        kind, quality = data[4], data[5]
        if not (kind in (0, 1, 64, 65) or kind >= 128 or segments) or (not quality and not segments):
            raise Failure(f"a JPEG packet has the type {kind} and the Q {quality} (RFC 2435 3.1.3, 3.1.4)")
        self.size = 8 * data[6], 8 * data[7]
        self._frame_header(segments)
        if not all(self.size):
            raise Failure("a JPEG frame tells no width and height, neither in its header nor in an extension")

    def _tables(self, data: bytes, at: int, number: int) -> int:
        if len(data) < at + 4:
            raise Failure("a JPEG packet ends before its quantization tables (RFC 2435 3.1.8)")
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        if len(data) < at + 4 + size or (size and size % 64):
            raise Failure(f"a JPEG packet has {size} bytes of quantization tables (RFC 2435 3.1.8)")
        return at + 4 + size

    def _extension(self, packet: Rtp, first: bool) -> bytes:
        assert packet.header is not None
        identity, content = packet.header
        wanted = JPEG_FIRST if first else JPEG_NEXT
        if identity != wanted:
            raise Failure(f"a JPEG header extension begins with {identity:#06x}, expected {wanted:#06x}")
        self.extended = True
        at = 0
        # Marker segments, padded with 0xFF (Streaming 5.1.4.3).
        while at < len(content):
            if content[at] != 0xFF:
                raise Failure(f"a JPEG header extension has {content[at]:#04x} where a marker begins")
            if at + 1 >= len(content) or content[at + 1] == 0xFF:
                at += 1
                continue
            size = int.from_bytes(content[at + 2 : at + 4], "big")
            if size < 2 or at + 2 + size > len(content):
                raise Failure(f"a marker segment in a JPEG header extension has {size} bytes, too many or too few")
            at += 2 + size
        return content

    def _frame_header(self, segments: bytearray) -> None:
        at = 0
        while at + 9 <= len(segments):
            if segments[at + 1] == 0xFF:
                at += 1
                continue
            if 0xC0 <= segments[at + 1] <= 0xC2:
                height, width = (int.from_bytes(segments[at + n : at + n + 2], "big") for n in (5, 7))
                self.size = width, height
            at += 2 + int.from_bytes(segments[at + 2 : at + 4], "big")


# ---- MPEG-4 -------------------------------------------------------------------------------------------


class Mpeg4(Judge):
    """RFC 6416 5: parts of a visual bitstream, each VOP from a packet of its own on."""

    def __init__(self, media: Media) -> None:
        super().__init__(media)
        config = media.parameters(int(media.formats[0])).get("config", "") if media.formats else ""
        try:
            self._headers(bytes.fromhex(config))
        except ValueError:
            raise Failure(f"config in a=fmtp is no hexadecimal number: {config[:40]!r}") from None

    def _take(self, unit: list[Rtp]) -> bool:
        data = b"".join(each.payload for each in unit)
        if data[:3] != b"\0\0\1":
            raise Failure(f"an MPEG-4 access unit begins with {data[:4].hex()}, no start code (RFC 6416 5.1)")
        self._headers(data)
        start = data.find(b"\0\0\1\xb6")
        if start < 0:
            return False
        return len(data) > start + 4 and data[start + 4] >> 6 == 0

    def _headers(self, data: bytes) -> None:
        at = data.find(b"\0\0\1")
        while at >= 0 and at + 4 < len(data):
            if 0x20 <= data[at + 3] <= 0x2F:
                self.size = _vol(data[at + 4 :])
            at = data.find(b"\0\0\1", at + 3)

    @property
    def ready(self) -> bool:
        return self.units > 1 and bool(self.keys) and self.size is not None


def _vol(data: bytes) -> tuple[int, int]:
    """Video object layer: width and height (ISO 14496-2 6.2.3)."""
    bits = Bits(data)
    bits.u(9)
    version = 1
    if bits.u(1):
        version = bits.u(4)
        bits.u(3)
    if bits.u(4) == 15:
        bits.u(16)
    if bits.u(1):
        bits.u(3)
        if bits.u(1):
            bits.u(79)
    shape = bits.u(2)
    if shape == 3 and version != 1:
        bits.u(4)
    bits.u(1)
    resolution = bits.u(16)
    bits.u(1)
    if bits.u(1):
        bits.u(max(1, (resolution - 1).bit_length()))
    if shape:
        raise Failure("the MPEG-4 video is not rectangular (Streaming 5.1.2.1: simple and advanced simple profile)")
    bits.u(1)
    width = bits.u(13)
    bits.u(1)
    return width, bits.u(13)


# ---- audio --------------------------------------------------------------------------------------------


class Samples(Judge):
    """G.711 and G.726: so many bits for each sample, and time that runs with them (RFC 3551 4.5)."""

    def __init__(self, media: Media, bits: int) -> None:
        super().__init__(media)
        self._bits = bits
        self._expected: tuple[int, int] | None = None

    def _take(self, unit: list[Rtp]) -> bool:
        for packet in unit:
            if not packet.payload:
                raise Failure(f"a packet of {self.media.codec} is empty")
            samples = 8 * len(packet.payload) // self._bits
            if self._expected is not None and not packet.marker:
                sequence, stamp = self._expected
                off = ahead(packet.stamp, stamp)
                # Clocks of camera and recorder differ; a sample is not the unit of what may be wrong.
                if packet.sequence == sequence and abs(off) > samples // 4:
                    raise Failure(
                        f"the RTP time of {self.media.codec} is {off} samples off after a packet of {samples} (RFC 3551 4.1)"
                    )
            self._expected = packet.sequence + 1 & 0xFFFF, packet.stamp + samples & 0xFFFFFFFF
        return False

    @property
    def ready(self) -> bool:
        return self.units > 3


class Aac(Judge):
    """AAC as MPEG4-GENERIC in mode AAC-hbr or -lbr (RFC 3640 3.3)."""

    def __init__(self, media: Media) -> None:
        super().__init__(media)
        given = media.parameters(int(media.formats[0])) if media.formats else {}
        try:
            self._sizes = tuple(int(given.get(name, "0")) for name in ("sizelength", "indexlength", "indexdeltalength"))
        except ValueError:
            raise Failure(f"a=fmtp of the audio has no numbers where RFC 3640 wants them: {given}") from None
        if not given.get("config") or not self._sizes[0]:
            raise Failure("a=fmtp of the audio has no config or no sizelength (RFC 3640 4.1)")

    def _take(self, unit: list[Rtp]) -> bool:
        size, index, delta = self._sizes
        remaining = 0
        for packet in unit:
            data = packet.payload
            if len(data) < 3:
                raise Failure(f"an AAC packet has {len(data)} bytes (RFC 3640 3.2)")
            length = int.from_bytes(data[:2], "big")
            rest = len(data) - 2 - (length + 7) // 8
            if length < size + index or rest < 0:
                raise Failure(f"an AAC packet names {length} bits of AU headers (RFC 3640 3.2.1)")
            bits = Bits(data[2 : 2 + (length + 7) // 8])
            units: list[int] = []
            while length >= size + (delta if units else index):
                length -= size + (delta if units else index)
                units.append(bits.u(size))
                bits.u(delta if len(units) > 1 else index)
            if len(units) == 1 and units[0] > rest:
                # A fragment: each names the size of the whole.
                remaining = (remaining or units[0]) - rest
            elif not remaining and sum(units) != rest:
                raise Failure(f"the AU headers of an AAC packet name {sum(units)} bytes and {rest} follow (RFC 3640)")
        return False

    @property
    def ready(self) -> bool:
        return self.units > 3


class Latm(Judge):
    """AAC as MP4A-LATM (RFC 6416 6)."""

    def _take(self, unit: list[Rtp]) -> bool:
        data = b"".join(each.payload for each in unit)
        if self.media.parameters(unit[0].payload_type).get("cpresent", "1") == "0":
            at = size = 0
            while at < len(data):
                size += data[at]
                at += 1
                if data[at - 1] != 255:
                    break
            if size > len(data) - at or not size:
                raise Failure(f"an audioMuxElement names {size} bytes and {len(data) - at} follow (ISO 14496-3 1.7)")
        elif not data:
            raise Failure("an audioMuxElement is empty")
        return False

    @property
    def ready(self) -> bool:
        return self.units > 3


# ---- metadata -----------------------------------------------------------------------------------------


class Metadata(Judge):
    """One XML document from marker to marker (Streaming 5.1.2.1.1)."""

    def __init__(self, media: Media) -> None:
        super().__init__(media)
        self.documents: list[tuple[float, Any]] = []

    def _take(self, unit: list[Rtp]) -> bool:
        data = b"".join(each.payload for each in unit)
        if self.media.codec.endswith("+GZIP"):
            try:
                data = gzip.decompress(data)
            except (OSError, EOFError, zlib.error):
                raise Failure("a document of the metadata stream is no GZIP (Streaming 5.1.2.1.1)") from None
        try:
            root = etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False))
        except etree.XMLSyntaxError as error:
            raise Failure(f"a document of the metadata stream is no XML: {error}: {data[:200]!r}") from None
        if root.tag != f"{{{NS['tt']}}}MetadataStream":
            raise Failure(f"the root of a document in the metadata stream is {root.tag}, not tt:MetadataStream")
        if wrong := schema.faults_of(root):
            raise Failure(f"a document of the metadata stream violates the official schemas: {wrong}")
        self.documents.append((unit[-1].at, root))
        return False


def judge_of(media: Media) -> Judge:
    """For a track, by the name in its session description."""
    name = media.codec
    if name in NAMES["G726"]:
        return Samples(media, int(name.rpartition("-")[2]) // 8)
    if name in NAMES["Metadata"]:
        return Metadata(media)
    if name == "PCMU" or name == "PCMA":
        return Samples(media, 8)
    kinds: dict[str, type[Judge]] = {
        "H264": H264,
        "H265": H265,
        "JPEG": Jpeg,
        "MP4V-ES": Mpeg4,
        "MPEG4-GENERIC": Aac,
        "MP4A-LATM": Latm,
    }
    if name not in kinds:
        raise Failure(f"the examiner knows no encoding {name!r}")
    return kinds[name](media)
