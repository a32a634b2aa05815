"""The forms in which one unit of media goes to clients, each made once and kept in its `cache`."""

from __future__ import annotations

from itertools import pairwise

from onvifd.media.types import FlushUnit
from onvifd.rtsp.websocket import frame

MAX_FORMS = 4
"""Forms of a unit that are kept with it."""
GSO_SEGMENTS = 64
"""Linux: UDP_MAX_SEGMENTS."""
GSO_BYTES = 65_000
"""A batch is one UDP datagram to the kernel until it is cut: 65,535 less headers."""


def renumber(unit: FlushUnit, channels: tuple[int, int]) -> bytes:
    """The unit's bytes on the client's channels (RTP, RTCP), made once per unit (but for the rarest channels)."""
    data = bytearray(unit.data)
    for start in unit.starts:
        data[start + 1] = channels[data[start + 1] & 1]
    made = bytes(data)
    # A cached GOP keeps what its units keep: clients choose their channels, not how much memory they cost.
    if len(unit.cache) < MAX_FORMS:
        unit.cache[channels] = made
    return made


def framed(unit: FlushUnit, channels: tuple[int, int], data: bytes) -> bytes:
    """`data`, the unit on these channels, as one WebSocket message, made once per unit."""
    key = ("message", channels)
    cached = unit.cache.get(key)
    if isinstance(cached, bytes):
        return cached
    made = frame(data)
    if len(unit.cache) < MAX_FORMS:
        unit.cache[key] = made
    return made


def datagram_runs(unit: FlushUnit) -> list[tuple[bool, bytes, int]]:
    """The unit as (is RTCP, bytes, segment size) batches, made once per unit.

    All datagrams of a batch have the segment size but for the last one, which may be shorter (UDP_SEGMENT).
    """
    data = unit.data
    runs: list[tuple[bool, bytes, int]] = []
    pieces: list[bytes] = []
    size = total = 0
    channel = -1
    open_ended = False
    for start, stop in pairwise((*unit.starts, len(data))):
        packet = data[start + 4 : stop]
        fits = open_ended and data[start + 1] == channel and len(packet) <= size
        if not fits or len(pieces) >= GSO_SEGMENTS or total + len(packet) > GSO_BYTES:
            if pieces:
                runs.append((bool(channel & 1), b"".join(pieces), size))
            pieces, size, total, channel = [], len(packet), 0, data[start + 1]
        pieces.append(packet)
        total += len(packet)
        open_ended = len(packet) == size
    if pieces:
        runs.append((bool(channel & 1), b"".join(pieces), size))
    unit.cache["udp"] = runs
    return runs
