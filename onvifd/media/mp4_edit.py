"""Moving a finished fragment into another file: what counts from the start of a file is rewritten, samples stay as they are."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from onvifd.clock import ntp_to_utc, utc_to_ntp
from onvifd.errors import InvalidArgument
from onvifd.media.mp4_parse import Box, boxes

_SEQUENCE = struct.Struct(">I")
_MEDIA_TIME = struct.Struct(">Q")


def first_times(body: bytes) -> dict[int, int]:
    """Decode time of the first sample of each track in a fragment as `mp4.build_fragment` makes it, by track index."""
    return {track: time for track, time, _ in _decode_times(body)}


def moved_fragment(body: bytes, sequence: int, shifts: Sequence[int]) -> bytes:
    """The fragment as number `sequence` of a file whose media time 0 lies `shifts[track]` (media time of the track) later.

    What would begin before that begins with it; its wall time stays in any case. Raises InvalidArgument for anything that was
    not built by `mp4.build_fragment`.
    """
    data = bytearray(body)
    times = _decode_times(body)
    shifts = list(shifts)
    for track, time, _ in times:
        shifts[track] = min(shifts[track], time)
    for each in boxes(body):
        if each.kind == b"prft":
            _shift_reference(data, each, shifts[_number(body, each, 4)])
        elif each.kind == b"moof":
            header = next(boxes(body, each.body, each.end))
            if header.kind != b"mfhd":
                raise InvalidArgument("fragment has no number")
            _SEQUENCE.pack_into(data, header.body + 4, sequence)
    for track, _, at in times:
        _shift(data, at.body + 4, at, shifts[track])
    return bytes(data)


def _decode_times(body: bytes) -> list[tuple[int, int, Box]]:
    """Track index, decode time and `tfdt` of each `traf`."""
    found = []
    for moof in boxes(body):
        if moof.kind != b"moof":
            continue
        for traf in boxes(body, moof.body, moof.end):
            if traf.kind == b"traf":
                parts = {part.kind: part for part in boxes(body, traf.body, traf.end)}
                time = parts[b"tfdt"]
                found.append((_number(body, parts[b"tfhd"], 4), _MEDIA_TIME.unpack_from(body, time.body + 4)[0], time))
    return found


def _number(body: bytes, box: Box, skip: int) -> int:
    """Track index by the track_ID at an offset of a box's payload."""
    (number,) = _SEQUENCE.unpack_from(body, box.body + skip)
    return int(number) - 1


def _shift_reference(data: bytearray, prft: Box, by: int) -> None:
    """Of a picture that is shown before the file's media time begins that beginning is told instead. Such are pictures alone,
    whose media time is microseconds: what has no composition offset begins with its decode time."""
    at, ntp = prft.body + 16, prft.body + 8
    if at + _MEDIA_TIME.size <= prft.end:
        early = by - _MEDIA_TIME.unpack_from(data, at)[0]
        if early > 0:
            (utc,) = _MEDIA_TIME.unpack_from(data, ntp)
            _MEDIA_TIME.pack_into(data, ntp, utc_to_ntp(ntp_to_utc(utc) + early))
            by -= early
    _shift(data, at, prft, by)


def _shift(data: bytearray, position: int, box: Box, by: int) -> None:
    if position + _MEDIA_TIME.size > box.end:
        raise InvalidArgument("box is too short")
    (time,) = _MEDIA_TIME.unpack_from(data, position)
    _MEDIA_TIME.pack_into(data, position, time - by)
