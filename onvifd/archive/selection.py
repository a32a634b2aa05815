"""Which access units of a recording are replayed, and as which track (Streaming 6.5.2, 6.5.3)."""

from __future__ import annotations

from dataclasses import dataclass

from onvifd.archive.cache import LoadedFragment
from onvifd.archive.index import KIND_FLAGS, KIND_MASK, SegmentState
from onvifd.archive.reader import Position, same_encoding
from onvifd.clock import US
from onvifd.media import h265
from onvifd.media.mp4_parse import SampleRef
from onvifd.media.types import Codec, Kind, TrackFormat
from onvifd.rtsp.play import Frames

_SKEW = US
"""How far other tracks may reach over the ends of a fragment."""
_MAX_MAPS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be replayed: the bound (latest time, or earliest in reverse), the tracks set up, which frames."""

    end: int | None
    tracks: frozenset[int]
    frames: Frames
    interval: int


class Selection:
    """Which samples of a fragment are replayed, and as which track of the presentation."""

    def __init__(self, presented: tuple[TrackFormat, ...], wanted: Wanted) -> None:
        self._presented = presented
        self._wanted = wanted
        self._maps: dict[tuple[TrackFormat, ...], tuple[int, ...]] = {}
        self._video = any(presented[n].kind is Kind.VIDEO for n in wanted.tracks)
        self._last_intra: int | None = None

    @property
    def groups(self) -> bool:
        """Whether pictures are sent that refer to others, so that everything begins with a clean point of theirs."""
        formats = (self._presented[n] for n in self._wanted.tracks)
        return any(each.kind is Kind.VIDEO and each.codec is not Codec.JPEG for each in formats)

    @property
    def single(self) -> bool:
        """Whether one track is sent, so that nothing has to be interleaved."""
        return len(self._wanted.tracks) == 1

    @property
    def slack(self) -> int:
        """How far beyond a fragment's start its samples may begin: video opens its fragments, other tracks do not."""
        return 0 if self.single and self._video else _SKEW

    def holds(self, position: Position) -> bool:
        """Whether the segment of a fragment has anything of the tracks that are sent."""
        row = position.segment.row
        # Of a segment that is being written the row may not know its kinds yet.
        known = KIND_MASK if row.state is SegmentState.OPEN else row.kinds
        tracks = zip(self._map(row.formats), row.formats, strict=True)
        return any(track >= 0 and known & KIND_FLAGS[format.kind] for track, format in tracks)

    def tracks(self, formats: tuple[TrackFormat, ...]) -> frozenset[int]:
        """The presentation's tracks that a segment of these formats can bring."""
        return frozenset(self._map(formats)) - {-1}

    def take(self, loaded: LoadedFragment, *, intra_reverse: bool = False) -> list[tuple[SampleRef, int]]:
        """Samples with their presentation track, in order."""
        tracks = self._map(loaded.formats)
        if self._wanted.frames is Frames.ALL:
            return [(s, tracks[s.track]) for s in loaded.samples if tracks[s.track] >= 0]
        samples = reversed(loaded.samples) if intra_reverse else loaded.samples
        return [
            (sample, tracks[sample.track])
            for sample in samples
            if tracks[sample.track] >= 0 and self._passes(loaded, sample, intra_reverse)
        ]

    def _passes(self, loaded: LoadedFragment, sample: SampleRef, reverse: bool) -> bool:
        format = loaded.formats[sample.track]
        if self._wanted.frames is Frames.PREDICTED:
            return format.kind is not Kind.VIDEO or not disposable(format.codec, loaded.data, sample)
        if format.kind is not Kind.VIDEO:
            return not self._video
        if not sample.key:
            return False
        last = self._last_intra
        # Streaming 6.5.3: the interval counts in recording time.
        if last is not None and (last - sample.utc if reverse else sample.utc - last) < self._wanted.interval:
            return False
        self._last_intra = sample.utc
        return True

    def _map(self, formats: tuple[TrackFormat, ...]) -> tuple[int, ...]:
        """Presentation track of each stored track; -1 for those that are not set up or have another encoding."""
        known = self._maps.get(formats)
        if known is not None:
            return known
        free = sorted(self._wanted.tracks)
        found = []
        for format in formats:
            match = next((n for n in free if same_encoding(self._presented[n], format)), -1)
            if match >= 0:
                free.remove(match)
            found.append(match)
        if len(self._maps) >= _MAX_MAPS:
            self._maps.clear()
        self._maps[formats] = tuple(found)
        return self._maps[formats]


def disposable(codec: Codec, data: bytes, sample: SampleRef) -> bool:
    """Whether no other picture refers to this one: nal_ref_idc 0 (H.264 7.4.1), sub-layer non-reference (H.265 table 7-1)."""
    if codec is Codec.MPEG4:
        # vop_coding_type 2: a B-VOP (ISO/IEC 14496-2 6.3.5)
        at = data.find(b"\0\0\1\xb6", sample.offset, sample.offset + sample.size - 1)
        return at >= 0 and data[at + 4] >> 6 == 2
    position, end = sample.offset, sample.offset + sample.size
    while position + 5 <= end:
        first = data[position + 4]
        if codec is Codec.H264 and 1 <= first & 0x1F <= 5:
            return first & 0x60 == 0
        kind = first >> 1 & 0x3F
        if codec is Codec.H265 and h265.is_slice(kind):
            return kind < 16 and kind % 2 == 0
        position += 4 + int.from_bytes(data[position : position + 4], "big")
    return False
