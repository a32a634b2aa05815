"""Cameras that begin to send another encoding within one session, without a word about it.

Nothing of the hot path asks for it: a first byte that no packet of the codec has (`clean_point.ODD`) and a payload type that
was not seen so far are what leads here. Then the session ends, and the camera is asked for a description anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from onvifd.cameras.intake_track import InboundTrack
from onvifd.errors import OnvifdError
from onvifd.media import h264, h265, video
from onvifd.media.rtp.clean_point import UNDECIDED, odd_verdict
from onvifd.media.types import Codec, Kind, TrackFormat
from onvifd.rtsp.sdp import DescribedTrack

MAX_ODD_PICTURES = 100
"""Pictures since the last key frame that begin as none of the codec does, after which it is another one."""

MAX_OTHER_TYPES = 8
"""Time stamps in a row with a payload type that is not described, after which it is what the camera sends now."""

_COMFORT_NOISE = frozenset((13, 19))
"""Static payload types that fill pauses (RFC 3389; 19 in older devices)."""

_SIZES = range(16, 16_385)
_OBJECT_SEQUENCE = b"\0\0\1\xb0"
"""How MPEG-4 streams begin (ISO/IEC 14496-2 6.2.2)."""


class CodecChanged(Exception):
    """What comes is not what was described. `codec` is what it is, None where that cannot be told."""

    def __init__(self, kind: Kind, reason: str, *, codec: Codec | None = None, payload_type: int = -1) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason
        self.codec = codec
        self.payload_type = payload_type


# ---- what packets hold -----------------------------------------------------------------------------


def judge_odd(track: InboundTrack, payload: bytes, rtp_time: int) -> int:
    """What a packet is taken for that begins as none of the track's codec does. Raises CodecChanged."""
    described = track.format.codec
    found = other_codec(described, payload)
    if found is not None:
        raise CodecChanged(track.format.kind, f"the camera sends {found} now instead of {described}", codec=found)
    verdict = odd_verdict(described, payload[0])
    if verdict == UNDECIDED and not (described is Codec.H265 and payload[0] & 1):
        # Cameras put units of their own in front of pictures, under types that mean nothing.
        return verdict
    if track.key_time != track.odd_since:
        track.odd_since, track.odd_pictures = track.key_time, 0
    if rtp_time != track.odd_time:
        track.odd_time = rtp_time
        track.odd_pictures += 1
        # Where no key frame ever came it was no change, and a new description would say the same.
        if track.odd_pictures > MAX_ODD_PICTURES and track.key_time >= 0:
            raise CodecChanged(track.format.kind, f"what the camera sends is no {described} any more")
    return verdict


def other_codec(described: Codec, payload: bytes) -> Codec | None:
    """The codec whose parameter sets are in a payload, if it is not the one that was described."""
    for codec in (Codec.H264, Codec.H265):
        if codec is not described and any(_is_sequence(codec, unit) for unit in _units(codec, payload)):
            return codec
    if described is not Codec.MPEG4 and payload.startswith(_OBJECT_SEQUENCE):
        return Codec.MPEG4
    return None


def _units(codec: Codec, payload: bytes) -> Iterator[bytes]:
    """The NAL units of a packet that is no fragment: parameter sets are small, and nobody cuts them."""
    aggregate, at = (24, 1) if codec is Codec.H264 else (h265.NAL_AP, 2)
    kind = h264.nal_type(payload) if codec is Codec.H264 else h265.nal_type(payload)
    if kind != aggregate:
        yield payload
        return
    while at + 2 < len(payload):
        end = at + 2 + (payload[at] << 8 | payload[at + 1])
        yield payload[at + 2 : end]
        at = end


def _is_sequence(codec: Codec, unit: bytes) -> bool:
    if len(unit) < 4 or not video.is_sps(codec, unit):
        return False
    # H.265 7.3.1.2: of the base layer, which has temporal id 0; H.264 7.3.1: nal_ref_idc is not 0
    if (unit[0] & 0x81 or unit[1] != 1) if codec is Codec.H265 else (unit[0] & 0x80 or not unit[0] & 0x60):
        return False
    try:
        sps = video.parse_sps(codec, unit)
    except OnvifdError:
        return False
    return sps.width in _SIZES and sps.height in _SIZES


# ---- payload types ---------------------------------------------------------------------------------


def takes_type(track: InboundTrack, number: int, rtp_time: int) -> bool:
    """Whether a packet belongs to the track whose payload type is not the one that came before. Raises CodecChanged.

    Some cameras send another one than they describe: the first of a connection is believed. What is listed besides, for
    pauses, tones or correction, is left out.
    """
    if number == track.described:
        track.coming = number
        return True
    if number in track.listed:
        listed = track.listed[number]
        if listed is None:
            return False
        if not _same(listed, track.format):
            reason = f"the camera sends {listed.codec} now instead of {track.format.codec}, with payload type {number}"
            raise CodecChanged(track.format.kind, reason, codec=listed.codec, payload_type=number)
        track.coming = number
        return True
    if number in _COMFORT_NOISE:
        return False
    if track.coming < 0:
        track.coming = number
        return True
    if track.other_next != track.next_seq:
        # One of ours came in between.
        track.other_next, track.others, track.other_time = track.next_seq, 0, -1
    if rtp_time != track.other_time:
        track.other_time = rtp_time
        track.others += 1
    if track.others > MAX_OTHER_TYPES:
        reason = f"the camera sends payload type {number}, which it has not described"
        raise CodecChanged(track.format.kind, reason, payload_type=number)
    return False


def _same(one: TrackFormat, other: TrackFormat) -> bool:
    return one.codec is other.codec and one.clock_rate == other.clock_rate


# ---- and the next description ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Found:
    """What was seen on a track of a kind, for descriptions that do not know of it."""

    codec: Codec | None = None
    payload_type: int = -1


class Findings:
    """What the packets of a camera have shown, by the kind of track."""

    def __init__(self) -> None:
        self._found: dict[Kind, Found] = {}

    def note(self, change: CodecChanged) -> None:
        if change.codec is not None:
            self._found[change.kind] = Found(change.codec, change.payload_type)

    def applied(self, tracks: Sequence[DescribedTrack]) -> list[DescribedTrack]:
        """The tracks as they come: where a description still says otherwise, what was seen counts."""
        return [self._applied(track) for track in tracks]

    def _applied(self, track: DescribedTrack) -> DescribedTrack:
        found = self._found.get(track.format.kind)
        if found is None or found.codec is None or found.codec is track.format.codec:
            return track
        for number, format in track.others:
            if format is not None and format.codec is found.codec and found.payload_type in (number, -1):
                others = (*track.others, (track.payload_type, track.format))
                return replace(track, format=format, payload_type=number, others=others)
        # Pictures of both codecs come on the same clock (RFC 6184 8.2.1, RFC 7798 7.1); sets come in band.
        if track.format.kind is Kind.VIDEO and found.payload_type < 0:
            return replace(track, format=TrackFormat(codec=found.codec, clock_rate=track.format.clock_rate))
        return track
