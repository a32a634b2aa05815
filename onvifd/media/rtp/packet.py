"""RTP and RTCP headers (RFC 3550 sections 5.1 and 6)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from onvifd.clock import utc_to_ntp
from onvifd.errors import InvalidArgument

RTP_HEADER = 12
REPLAY_EXTENSION = 0xABAC
"""Profile word of the replay header extension (Streaming, replay chapter)."""

_RTP = struct.Struct(">BBHII")
_SR = struct.Struct(">BBHIQIII")
_BLOCK = struct.Struct(">IIIIII")

SR, RR, SDES, BYE, APP = 200, 201, 202, 203, 204


class RtpPacket(NamedTuple):
    """A parsed header. `start` and `end` are the offsets of the payload; `extension` is profile word and body or None."""

    marker: bool
    payload_type: int
    seq: int
    rtp_time: int
    ssrc: int
    start: int
    end: int
    extension: tuple[int, bytes] | None


def parse_rtp(data: bytes | memoryview, offset: int = 0, end: int | None = None) -> RtpPacket:
    """Parse the packet in `data[offset:end]`. Raises InvalidArgument for what is no RTP packet."""
    stop = len(data) if end is None else end
    if stop - offset < RTP_HEADER:
        raise InvalidArgument("RTP packet is too short")
    first, second, seq, rtp_time, ssrc = _RTP.unpack_from(data, offset)
    if first >> 6 != 2:
        raise InvalidArgument("RTP version is not 2")
    start = offset + RTP_HEADER
    extension = None
    if first & 0x3F:
        start += 4 * (first & 0x0F)
        if first & 0x10:
            if start + 4 > stop:
                raise InvalidArgument("RTP header extension ends early")
            profile, words = struct.unpack_from(">HH", data, start)
            body = start + 4
            start = body + 4 * words
            extension = (profile, bytes(data[body:start]))
        if first & 0x20 and stop > start:
            if not 0 < data[stop - 1] <= stop - start:
                raise InvalidArgument("RTP padding is longer than the packet")
            stop -= data[stop - 1]
        if start > stop:
            raise InvalidArgument("RTP header is longer than the packet")
    return RtpPacket(second >= 128, second & 0x7F, seq, rtp_time, ssrc, start, stop, extension)


def build_rtp(
    *, marker: bool, payload_type: int, seq: int, rtp_time: int, ssrc: int, payload: bytes, extension: bytes = b""
) -> bytes:
    """One packet without interleaved framing. `extension` is a whole header extension, a multiple of 4 bytes."""
    first = 0x90 if extension else 0x80
    header = _RTP.pack(first, marker << 7 | payload_type, seq & 0xFFFF, rtp_time & 0xFFFFFFFF, ssrc)
    return header + extension + payload


def replay_extension(utc: int, *, clean: bool, end: bool, discontinuity: bool, terminal: bool, cseq: int) -> bytes:
    """The 16 bytes of the replay header extension: NTP time, the bits C, E, D and T, and the low byte of the CSeq."""
    flags = clean << 7 | end << 6 | discontinuity << 5 | terminal << 4
    return struct.pack(">HHQBBH", REPLAY_EXTENSION, 3, utc_to_ntp(utc), flags, cseq & 0xFF, 0)


class ReplayExtension(NamedTuple):
    """`ntp` is the 64-bit NTP time of the frame."""

    ntp: int
    clean: bool
    end: bool
    discontinuity: bool
    terminal: bool
    cseq: int


def parse_replay_extension(extension: tuple[int, bytes] | None) -> ReplayExtension | None:
    """The replay extension of a parsed packet, None if it has none. Words behind it belong to others (JPEG)."""
    if extension is None or extension[0] != REPLAY_EXTENSION or len(extension[1]) < 12:
        return None
    ntp, flags, cseq = struct.unpack_from(">QBB", extension[1])
    return ReplayExtension(ntp, bool(flags & 0x80), bool(flags & 0x40), bool(flags & 0x20), bool(flags & 0x10), cseq)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportBlock:
    """Reception report on one source (RFC 3550 6.4.1). `fraction` is lost / 256, `jitter` in ticks, delays in 1/65536 s."""

    ssrc: int
    fraction: int = 0
    lost: int = 0
    highest_seq: int = 0
    jitter: int = 0
    last_sr: int = 0
    delay: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderReport:
    """`ntp` is the 64-bit NTP time that belongs to `rtp_time`."""

    ssrc: int
    ntp: int
    rtp_time: int
    packets: int = 0
    octets: int = 0
    blocks: tuple[ReportBlock, ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverReport:
    ssrc: int
    blocks: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bye:
    ssrcs: tuple[int, ...]


Report = SenderReport | ReceiverReport | Bye


def parse_rtcp(data: bytes | memoryview, *, liberal: bool = False) -> list[Report]:
    """The reports of a compound packet; other packets are skipped. Raises InvalidArgument for what is no RTCP, if `liberal` only
    where nothing good stands in front of it."""
    found: list[Report] = []
    position, end = 0, len(data)
    while position < end:
        if end - position < 4:
            if liberal and found:
                break
            raise InvalidArgument("RTCP packet is too short")
        first, kind, words = struct.unpack_from(">BBH", data, position)
        stop = position + 4 + 4 * words
        if first >> 6 != 2 or stop > end:
            if liberal and found:
                break
            raise InvalidArgument("not an RTCP packet")
        count = first & 0x1F
        body = bytes(data[position + 4 : stop])
        if kind == SR and len(body) >= 24:
            ssrc, ntp, rtp_time, packets, octets = struct.unpack_from(">IQIII", body)
            blocks = _parse_blocks(body[24:], count)
            found.append(
                SenderReport(ssrc=ssrc, ntp=ntp, rtp_time=rtp_time, packets=packets, octets=octets, blocks=blocks)
            )
        elif kind == RR and len(body) >= 4:
            (ssrc,) = struct.unpack_from(">I", body)
            found.append(ReceiverReport(ssrc=ssrc, blocks=_parse_blocks(body[4:], count)))
        elif kind == BYE and len(body) >= 4 * count:
            found.append(Bye(ssrcs=struct.unpack_from(f">{count}I", body)))
        position = stop
    return found


def _parse_blocks(data: bytes, count: int) -> tuple[ReportBlock, ...]:
    blocks = []
    for index in range(min(count, len(data) // 24)):
        ssrc, loss, highest, jitter, last_sr, delay = _BLOCK.unpack_from(data, 24 * index)
        lost = loss & 0xFFFFFF
        blocks.append(
            ReportBlock(
                ssrc=ssrc,
                fraction=loss >> 24,
                lost=lost - 0x1000000 if lost & 0x800000 else lost,
                highest_seq=highest,
                jitter=jitter,
                last_sr=last_sr,
                delay=delay,
            )
        )
    return tuple(blocks)


def build_sender_report(report: SenderReport, cname: str = "onvifd") -> bytes:
    """A compound packet of SR and SDES CNAME (RFC 3550 6.1: every compound packet carries a CNAME)."""
    blocks = report.blocks[:31]
    head = _SR.pack(
        0x80 | len(blocks),
        SR,
        6 + 6 * len(blocks),
        report.ssrc,
        report.ntp,
        report.rtp_time & 0xFFFFFFFF,
        report.packets & 0xFFFFFFFF,
        report.octets & 0xFFFFFFFF,
    )
    return head + _build_blocks(blocks) + _build_sdes(report.ssrc, cname)


def build_receiver_report(report: ReceiverReport, cname: str = "onvifd") -> bytes:
    """A compound packet of RR and SDES CNAME."""
    blocks = report.blocks[:31]
    head = struct.pack(">BBHI", 0x80 | len(blocks), RR, 1 + 6 * len(blocks), report.ssrc)
    return head + _build_blocks(blocks) + _build_sdes(report.ssrc, cname)


def build_bye(ssrc: int, cname: str = "onvifd") -> bytes:
    """A compound packet of an empty RR, SDES and BYE."""
    return build_receiver_report(ReceiverReport(ssrc=ssrc), cname) + struct.pack(">BBHI", 0x81, BYE, 1, ssrc)


def _build_blocks(blocks: Sequence[ReportBlock]) -> bytes:
    return b"".join(
        _BLOCK.pack(
            block.ssrc,
            (block.fraction & 0xFF) << 24 | max(-0x800000, min(0x7FFFFF, block.lost)) & 0xFFFFFF,
            block.highest_seq & 0xFFFFFFFF,
            block.jitter & 0xFFFFFFFF,
            block.last_sr & 0xFFFFFFFF,
            block.delay & 0xFFFFFFFF,
        )
        for block in blocks
    )


def _build_sdes(ssrc: int, cname: str) -> bytes:
    text = cname.encode()[:255]
    chunk = struct.pack(">IBB", ssrc, 1, len(text)) + text
    # RFC 3550 6.5: the item list ends with at least one zero byte, up to the next 32-bit boundary
    chunk += bytes(4 - len(chunk) % 4)
    return struct.pack(">BBH", 0x81, SDES, len(chunk) // 4) + chunk
