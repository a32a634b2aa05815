"""H.265 (ITU-T H.265, ISO/IEC 23008-2): NAL unit types, sequence parameter set, decoder configuration."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from onvifd.errors import InvalidArgument
from onvifd.media.bits import MAX_PARAMETER_SET, BitReader, unescape

NAL_BLA_W_LP = 16
NAL_IDR_W_RADL = 19
NAL_IDR_N_LP = 20
NAL_CRA = 21
NAL_VPS = 32
NAL_SPS = 33
NAL_PPS = 34
NAL_AUD = 35
NAL_SEI_PREFIX = 39
NAL_SEI_SUFFIX = 40
NAL_AP = 48
NAL_FU = 49

SEI_USER_DATA_UNREGISTERED = 5

_MAX_SIZE = 16384


@dataclass(frozen=True, slots=True, kw_only=True)
class Sps:
    """What a sequence parameter set says. `width` and `height` are pixels after cropping; `fps` is None without timing.

    `compatibility` is the 32 profile compatibility flags, `constraints` the 48 constraint bits of the general profile.
    """

    profile_space: int
    tier: int
    profile_idc: int
    compatibility: int
    constraints: int
    level_idc: int
    width: int
    height: int
    fps: float | None
    temporal_layers: int
    temporal_nesting: bool
    chroma_format_idc: int = 1
    bit_depth_luma: int = 8
    bit_depth_chroma: int = 8

    @property
    def profile(self) -> str:
        """The name ONVIF has for it (Main or Main10)."""
        return "Main10" if self.profile_idc == 2 else "Main"


def nal_type(nal: bytes) -> int:
    return (nal[0] >> 1) & 0x3F if nal else 0


def is_slice(kind: int) -> bool:
    """Whether a NAL unit type carries picture data (table 7-1)."""
    return kind < 32


def is_irap(kind: int) -> bool:
    """Whether a NAL unit type belongs to an intra random access point picture (7.4.2.2)."""
    return 16 <= kind <= 21


def parse_sps(nal: bytes) -> Sps:
    """Parse a whole SPS NAL unit (7.3.2.2). Raises InvalidArgument on anything else."""
    if nal_type(nal) != NAL_SPS:
        raise InvalidArgument("not an H.265 SPS")
    bits = BitReader(unescape(nal[2:]))
    bits.skip(4)
    sub_layers = bits.u(3)
    if sub_layers > 6:
        raise InvalidArgument("too many sub-layers in an H.265 SPS")
    nesting = bits.flag()
    space, tier, profile = bits.u(2), bits.u(1), bits.u(5)
    compatibility, constraints, level = bits.u(32), bits.u(48), bits.u(8)
    _skip_sub_layers(bits, sub_layers)
    bits.ue(15)
    chroma = bits.ue(3)
    separate = chroma == 3 and bits.flag()
    width, height = bits.ue(_MAX_SIZE), bits.ue(_MAX_SIZE)
    if bits.flag():
        left, right, top, bottom = (bits.ue(_MAX_SIZE) for _ in range(4))
        # 6.2: SubWidthC and SubHeightC
        width -= (left + right) * (2 if chroma in (1, 2) and not separate else 1)
        height -= (top + bottom) * (2 if chroma == 1 and not separate else 1)
    if width <= 0 or height <= 0:
        raise InvalidArgument("H.265 SPS has no picture")
    luma_depth, chroma_depth = 8 + bits.ue(8), 8 + bits.ue(8)
    return Sps(
        profile_space=space,
        tier=tier,
        profile_idc=profile,
        compatibility=compatibility,
        constraints=constraints,
        level_idc=level,
        width=width,
        height=height,
        fps=_fps(bits, sub_layers),
        temporal_layers=sub_layers + 1,
        temporal_nesting=nesting,
        chroma_format_idc=chroma,
        bit_depth_luma=luma_depth,
        bit_depth_chroma=chroma_depth,
    )


def _skip_sub_layers(bits: BitReader, count: int) -> None:
    """The part of profile_tier_level after the general level (7.3.3)."""
    present = [(bits.flag(), bits.flag()) for _ in range(count)]
    if count:
        bits.skip(2 * (8 - count))
    for profile, level in present:
        bits.skip(88 * profile + 8 * level)


def _fps(bits: BitReader, sub_layers: int) -> float | None:
    """Frame rate of the VUI. A part that is broken behind the picture size is harmless: it counts as no frame rate."""
    try:
        _skip_to_vui(bits, sub_layers)
        return _vui_fps(bits)
    except InvalidArgument:
        return None


def _skip_to_vui(bits: BitReader, sub_layers: int) -> None:
    poc_bits = bits.ue(12) + 4
    for _ in range(sub_layers + 1 if bits.flag() else 1):
        bits.ue()
        bits.ue()
        bits.ue()
    for _ in range(6):
        bits.ue(64)
    if bits.flag() and bits.flag():
        _skip_scaling_lists(bits)
    bits.skip(2)
    if bits.flag():
        bits.skip(8)
        bits.ue(64)
        bits.ue(64)
        bits.skip(1)
    _skip_reference_sets(bits)
    if bits.flag():
        bits.skip(bits.ue(32) * (poc_bits + 1))
    bits.skip(2)


def _skip_scaling_lists(bits: BitReader) -> None:
    """7.3.4."""
    for size in range(4):
        for _ in range(2 if size == 3 else 6):
            if not bits.flag():
                bits.ue()
                continue
            if size > 1:
                bits.se()
            for _ in range(min(64, 1 << (4 + (size << 1)))):
                bits.se()


def _skip_reference_sets(bits: BitReader) -> None:
    """st_ref_pic_set (7.3.7); the count of a predicted set follows from the set before it (7.4.8)."""
    deltas = 0
    for index in range(bits.ue(64)):
        if index and bits.flag():
            bits.skip(1)
            bits.ue()
            # the use_delta flag is only sent when the picture is not used by the current one
            deltas = sum([bits.flag() or bits.flag() for _ in range(deltas + 1)])
            continue
        deltas = bits.ue(16) + bits.ue(16)
        for _ in range(deltas):
            bits.ue()
            bits.skip(1)


def _vui_fps(bits: BitReader) -> float | None:
    """E.2.1."""
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
    bits.skip(3)
    if bits.flag():
        for _ in range(4):
            bits.ue(_MAX_SIZE)
    if not bits.flag():
        return None
    units, scale = bits.u(32), bits.u(32)
    return scale / units if units and scale else None


def is_clean_point(nals: Iterable[bytes]) -> bool:
    """Whether an access unit is an intra random access point picture: decoding can start here."""
    return any(is_irap(nal_type(nal)) for nal in nals)


def first_of_picture(nal: bytes) -> bool:
    """Whether a slice NAL unit is the first of its picture (7.3.6.1: first_slice_segment_in_pic_flag)."""
    return len(nal) > 2 and nal[2] & 0x80 != 0


def select_parameter_sets(nals: Iterable[bytes]) -> tuple[bytes, ...]:
    """The parameter sets among NAL units in the order VPS, SPS, PPS. Over-long ones are garbage and left out."""
    found = [nal for nal in nals if NAL_VPS <= nal_type(nal) <= NAL_PPS and len(nal) <= MAX_PARAMETER_SET]
    return tuple(sorted(found, key=nal_type))


def _sps(parameter_sets: tuple[bytes, ...]) -> Sps:
    for nal in parameter_sets:
        if nal_type(nal) == NAL_SPS:
            return parse_sps(nal)
    raise InvalidArgument("no H.265 SPS")


def codec_string(parameter_sets: Iterable[bytes]) -> str:
    """`hvc1.` string (ISO/IEC 14496-15 annex E.3). Raises InvalidArgument without a usable SPS."""
    sps = _sps(tuple(parameter_sets))
    space = ("", "A", "B", "C")[sps.profile_space]
    flipped = int(f"{sps.compatibility:032b}"[::-1], 2)
    text = f"hvc1.{space}{sps.profile_idc}.{flipped:X}.{'HL'[sps.tier == 0]}{sps.level_idc}"
    constraints = sps.constraints.to_bytes(6, "big").rstrip(b"\x00")
    return text + "".join(f".{byte:X}" for byte in constraints)


def decoder_configuration(parameter_sets: Iterable[bytes]) -> bytes:
    """HEVCDecoderConfigurationRecord, the payload of `hvcC` (ISO/IEC 14496-15 8.3.3.1.2), for 4-byte lengths.

    Raises InvalidArgument unless VPS, SPS and PPS are all there.
    """
    sets = select_parameter_sets(parameter_sets)
    sps = _sps(sets)
    by_type = {kind: [nal for nal in sets if nal_type(nal) == kind] for kind in (NAL_VPS, NAL_SPS, NAL_PPS)}
    if not all(by_type.values()):
        raise InvalidArgument("H.265 needs VPS, SPS and PPS")
    record = bytearray(b"\x01")
    record.append(sps.profile_space << 6 | sps.tier << 5 | sps.profile_idc)
    record += sps.compatibility.to_bytes(4, "big") + sps.constraints.to_bytes(6, "big")
    record += bytes((sps.level_idc, 0xF0, 0x00, 0xFC, 0xFC | sps.chroma_format_idc))
    record += bytes((0xF8 | sps.bit_depth_luma - 8, 0xF8 | sps.bit_depth_chroma - 8, 0, 0))
    record.append(sps.temporal_layers << 3 | sps.temporal_nesting << 2 | 3)
    record.append(len(by_type))
    for kind, nals in by_type.items():
        record += bytes((0x80 | kind,)) + len(nals).to_bytes(2, "big")
        for nal in nals:
            record += len(nal).to_bytes(2, "big") + nal
    return bytes(record)
