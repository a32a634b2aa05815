"""A loop of encoded access units, kept in one file that is mapped into memory and shared by all who play it."""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import msgspec

from onvifd.clock import US
from onvifd.errors import Unavailable
from onvifd.media import h264, h265, nal, sei
from onvifd.media.types import AccessUnit, Codec, TrackFormat

_MAGIC = b"onvifd-clip-1\n"
MAX_UNITS = 100_000


class _Entry(msgspec.Struct, array_like=True, frozen=True):
    """`head` is the length of what stands before the first slice: there the SEI goes."""

    size: int
    key: bool
    head: int


class _Header(msgspec.Struct, frozen=True):
    format: TrackFormat
    rate: tuple[int, int]
    entries: list[_Entry]


class Clip:
    """Unit `n` (any integer, counted from 1970) is shown at `utc_of(n)` and is unit `n % count` of the loop.

    So loops are aligned with UTC wherever their length divides the time since 1970, and go on for ever without a seam:
    the first unit is a clean point.
    """

    def __init__(
        self, format: TrackFormat, rate: Fraction, entries: list[_Entry], data: bytes | mmap.mmap, at: int
    ) -> None:
        self.format = format
        self.rate = rate
        self.count = len(entries)
        self._entries = entries
        self._data = data
        self._offsets = [at]
        for entry in entries:
            self._offsets.append(self._offsets[-1] + entry.size)

    def described(self, format: TrackFormat) -> Clip:
        """The same units, described and packed otherwise."""
        return Clip(format, self.rate, self._entries, self._data, self._offsets[0])

    @property
    def bitrate(self) -> int:
        """Bits per second over the whole loop."""
        return round((self._offsets[-1] - self._offsets[0]) * 8 * self.rate / self.count)

    @property
    def gov_length(self) -> int:
        """Units from key to key (the first such distance)."""
        keys = [index for index in range(self.count) if self._entries[index].key]
        return keys[1] - keys[0] if len(keys) > 1 else self.count

    def key(self, number: int) -> bool:
        return self._entries[number % self.count].key

    def data(self, number: int) -> bytes:
        """The unit as it was encoded."""
        index = number % self.count
        return self._data[self._offsets[index] : self._offsets[index + 1]]

    def utc_of(self, number: int) -> int:
        """Time of unit `number` in microseconds UTC, rounded down."""
        return number * US * self.rate.denominator // self.rate.numerator

    def ticks_of(self, number: int) -> int:
        """Time of unit `number` in RTP ticks since 1970."""
        return number * self.format.clock_rate * self.rate.denominator // self.rate.numerator

    def number_at(self, utc: int) -> int:
        """The first unit that is not before `utc`."""
        return -(-utc * self.rate.numerator // (US * self.rate.denominator))

    def unit(self, number: int, track: int, ticks_offset: int = 0) -> AccessUnit:
        """Unit `number` with its time; video carries the SEI that says it (see `media.sei`)."""
        data, utc = self.data(number), self.utc_of(number)
        data = stamped(self.format.codec, data, utc, self._entries[number % self.count].head)
        return AccessUnit(track, utc, self.ticks_of(number) + ticks_offset, self.key(number), data)


def make(format: TrackFormat, rate: Fraction, units: Iterable[tuple[bytes, bool]]) -> Clip:
    """A clip in memory from length-prefixed units and whether each is a clean point."""
    entries, parts = [], []
    for data, key in units:
        entries.append(_Entry(len(data), key, head_of(format.codec, data)))
        parts.append(data)
    if not entries or not entries[0].key or len(entries) > MAX_UNITS:
        raise Unavailable("a clip must begin with a key frame and have a bounded length")
    return Clip(format, rate, entries, b"".join(parts), 0)


def stamped(codec: Codec, data: bytes, utc: int, head: int) -> bytes:
    """An access unit with the SEI that says its time, in front of the first slice at `head`."""
    if codec not in (Codec.H264, Codec.H265):
        return data
    return data[:head] + nal.join((sei.build_utc(codec, utc),)) + data[head:]


def head_of(codec: Codec, data: bytes) -> int:
    """Where the first slice of an access unit begins."""
    if codec not in (Codec.H264, Codec.H265):
        return 0
    position = 0
    for unit in nal.iterate(data):
        kind = h264.nal_type(unit) if codec is Codec.H264 else h265.nal_type(unit)
        if h264.is_slice(kind) if codec is Codec.H264 else h265.is_slice(kind):
            return position
        position += 4 + len(unit)
    return position


def save(clip: Clip, path: Path) -> None:
    """Write a clip so that readers see it whole or not at all. Raises Unavailable if the disk does not take it."""
    header = _Header(clip.format, (clip.rate.numerator, clip.rate.denominator), clip._entries)
    text = msgspec.json.encode(header)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_MAGIC + len(text).to_bytes(4, "big") + text)
                for index in range(clip.count):
                    file.write(clip.data(index))
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise Unavailable(f"clip cannot be written to {path.parent}: {error.strerror}") from error


def load(path: Path) -> Clip | None:
    """A saved clip, mapped; None if there is none or it is not readable as one."""
    try:
        with path.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):
        return None
    start = len(_MAGIC) + 4
    if data[: len(_MAGIC)] != _MAGIC:
        return None
    at = start + int.from_bytes(data[len(_MAGIC) : start], "big")
    try:
        header = msgspec.json.decode(data[start:at], type=_Header)
    except msgspec.MsgspecError:
        return None
    if not header.entries or at + sum(entry.size for entry in header.entries) != len(data) or header.rate[1] <= 0:
        return None
    return Clip(header.format, Fraction(*header.rate), header.entries, data, at)
