"""H.264 (ITU-T H.264, ISO/IEC 14496-10): NAL unit types, sequence parameter set, decoder configuration."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from onvifd.errors import InvalidArgument
from onvifd.media.bits import MAX_PARAMETER_SET, BitReader, unescape

NAL_SLICE = 1
NAL_IDR = 5
NAL_SEI = 6
NAL_SPS = 7
NAL_PPS = 8
NAL_AUD = 9
NAL_STAP_A = 24
NAL_FU_A = 28

SEI_USER_DATA_UNREGISTERED = 5

_WITH_CHROMA = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
_PROFILES = {66: "Baseline", 77: "Main", 88: "Extended", 100: "High"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sps:
    """What a sequence parameter set says. `width` and `height` are pixels after cropping; `fps` is None without timing."""

    profile_idc: int
    constraints: int
    level_idc: int
    width: int
    height: int
    fps: float | None
    chroma_format_idc: int = 1
    bit_depth_luma: int = 8
    bit_depth_chroma: int = 8

    @property
    def profile(self) -> str:
        """The name ONVIF has for it (tt:H264Profile); the nearest one for profiles that ONVIF does not name."""
        return _PROFILES.get(self.profile_idc, "High")


def nal_type(nal: bytes) -> int:
    return nal[0] & 0x1F if nal else 0


def is_slice(kind: int) -> bool:
    """Whether a NAL unit type carries picture data (table 7-1)."""
    return 1 <= kind <= 5


def parse_sps(nal: bytes) -> Sps:
    """Parse a whole SPS NAL unit (7.3.2.1.1). Raises InvalidArgument on anything else."""
    if nal_type(nal) != NAL_SPS:
        raise InvalidArgument("not an H.264 SPS")
    bits = BitReader(unescape(nal[1:]))
    profile, constraints, level = bits.u(8), bits.u(8), bits.u(8)
    bits.ue(31)
    chroma, luma_depth, chroma_depth, separate = 1, 8, 8, False
    if profile in _WITH_CHROMA:
        chroma = bits.ue(3)
        separate = chroma == 3 and bits.flag()
        luma_depth, chroma_depth = 8 + bits.ue(6), 8 + bits.ue(6)
        bits.skip(1)
        if bits.flag():
            _skip_scaling_matrix(bits, 12 if chroma == 3 else 8)
    _skip_order_count(bits)
    bits.ue(16)
    bits.skip(1)
    width_mbs, height_units = bits.ue(1023) + 1, bits.ue(1023) + 1
    frame_only = bits.flag()
    if not frame_only:
        bits.skip(1)
    bits.skip(1)
    width, height = width_mbs * 16, height_units * 16 * (1 if frame_only else 2)
    if bits.flag():
        left, right, top, bottom = (bits.ue(32768) for _ in range(4))
        # 7.4.2.1.1: units of cropping depend on the chroma sampling and on field coding
        array_type = 0 if separate else chroma
        unit_x = 2 if array_type in (1, 2) else 1
        unit_y = (2 if array_type == 1 else 1) * (1 if frame_only else 2)
        width -= (left + right) * unit_x
        height -= (top + bottom) * unit_y
    if width <= 0 or height <= 0:
        raise InvalidArgument("H.264 SPS crops the whole picture away")
    return Sps(
        profile_idc=profile,
        constraints=constraints,
        level_idc=level,
        width=width,
        height=height,
        fps=_fps(bits),
        chroma_format_idc=chroma,
        bit_depth_luma=luma_depth,
        bit_depth_chroma=chroma_depth,
    )


def _skip_scaling_matrix(bits: BitReader, lists: int) -> None:
    """7.3.2.1.1.1."""
    for index in range(lists):
        if not bits.flag():
            continue
        last = following = 8
        for _ in range(16 if index < 6 else 64):
            if following:
                following = (last + bits.se()) & 0xFF
            last = following or last


def _skip_order_count(bits: BitReader) -> None:
    bits.ue(12)
    kind = bits.ue(2)
    if kind == 0:
        bits.ue(12)
    elif kind == 1:
        bits.skip(1)
        bits.se()
        bits.se()
        for _ in range(bits.ue(255)):
            bits.se()


def _fps(bits: BitReader) -> float | None:
    """Frame rate of the VUI (E.1.1). A broken VUI is common in the field and harmless: it counts as none."""
    try:
        if not bits.flag():
            return None
        if bits.flag() and bits.u(8) == 255:
            bits.skip(32)
        if bits.flag():
            bits.skip(1)
        if bits.flag():
            bits.skip(4)
            if bits.flag():
                bits.skip(24)
        if bits.flag():
            bits.ue(5)
            bits.ue(5)
        if not bits.flag():
            return None
        units, scale = bits.u(32), bits.u(32)
    except InvalidArgument:
        return None
    return scale / (2 * units) if units and scale else None


def is_clean_point(nals: Iterable[bytes]) -> bool:
    """Whether an access unit is an IDR picture: decoding can start here."""
    return any(nal_type(nal) == NAL_IDR for nal in nals)


def first_of_picture(nal: bytes) -> bool:
    """Whether a slice NAL unit begins with macroblock 0 (7.3.3: first_mb_in_slice is ue(v))."""
    return len(nal) > 1 and nal[1] & 0x80 != 0


def select_parameter_sets(nals: Iterable[bytes]) -> tuple[bytes, ...]:
    """The parameter sets among NAL units, SPS first. Over-long ones are garbage and left out."""
    found = [nal for nal in nals if nal_type(nal) in (NAL_SPS, NAL_PPS) and len(nal) <= MAX_PARAMETER_SET]
    return tuple(sorted(found, key=nal_type))


def profile_level_id(sps: bytes) -> str:
    """Six hex digits (RFC 6184 8.1). Raises InvalidArgument for a truncated SPS."""
    if nal_type(sps) != NAL_SPS or len(sps) < 4:
        raise InvalidArgument("not an H.264 SPS")
    return sps[1:4].hex()


def codec_string(parameter_sets: Iterable[bytes]) -> str:
    """`avc1.` and profile, constraints and level in hex (RFC 6381 3.3). Raises InvalidArgument without an SPS."""
    return "avc1." + profile_level_id(_sps(tuple(parameter_sets)))


def _sps(parameter_sets: tuple[bytes, ...]) -> bytes:
    for nal in parameter_sets:
        if nal_type(nal) == NAL_SPS:
            return nal
    raise InvalidArgument("no H.264 SPS")


def decoder_configuration(parameter_sets: Iterable[bytes]) -> bytes:
    """AVCDecoderConfigurationRecord, the payload of `avcC` (ISO/IEC 14496-15 5.3.3.1.2), for 4-byte lengths.

    Raises InvalidArgument without a usable SPS and a PPS.
    """
    sets = select_parameter_sets(parameter_sets)
    sps = [nal for nal in sets if nal_type(nal) == NAL_SPS][:31]
    pps = [nal for nal in sets if nal_type(nal) == NAL_PPS][:255]
    info = parse_sps(_sps(sets))
    if not pps:
        raise InvalidArgument("no H.264 PPS")
    record = bytearray(b"\x01" + sps[0][1:4] + b"\xff")
    record.append(0xE0 | len(sps))
    for nal in sps:
        record += len(nal).to_bytes(2, "big") + nal
    record.append(len(pps))
    for nal in pps:
        record += len(nal).to_bytes(2, "big") + nal
    if info.profile_idc not in (66, 77, 88):
        record += bytes(
            (0xFC | info.chroma_format_idc, 0xF8 | info.bit_depth_luma - 8, 0xF8 | info.bit_depth_chroma - 8, 0)
        )
    return bytes(record)
