"""Fragmented MP4 (ISO/IEC 14496-12) that players open as it lies on disk: building.

A file is `ftyp`, `moov` and fragments. A fragment is one `prft` per track, `moof` and `mdat`: it can be understood without
any other file. `media.mp4_parse` reads what this module builds.

Video and metadata count media time in microseconds, so that the capture time of every sample survives exactly; audio
counts samples. Media time 0 is the start of the segment, and media time follows wall time.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from onvifd.clock import US, utc_to_ntp
from onvifd.errors import InvalidArgument, NotSupported
from onvifd.media import aac, opus
from onvifd.media.types import Codec, Kind, TrackFormat
from onvifd.media.video import decoder_configuration

MAX_TRACKS = 8

PRFT_CAPTURED = 24
"""`prft` flags: the time is that of capture (ISO/IEC 14496-12 8.16.5)."""

TFHD_BASE_IS_MOOF = 0x020000
TRUN_DATA_OFFSET, TRUN_FIRST_FLAGS = 0x1, 0x4
TRUN_DURATION, TRUN_SIZE, TRUN_FLAGS, TRUN_COMPOSITION = 0x100, 0x200, 0x400, 0x800

SYNC_SAMPLE = 0x02000000
"""Sample flags: depends on no other (8.8.3.1)."""
DEPENDENT_SAMPLE = 0x01010000
"""Sample flags: depends on others, no sync sample."""
NON_SYNC = 0x00010000

_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_UNDETERMINED_LANGUAGE = 0x55C4
_MOVIE_TIMESCALE = 1000
VISUAL, AUDIO = 0x20, 0x40
"""objectTypeIndication of MPEG-4 part 2 and part 3 (ISO/IEC 14496-1 table 5)."""
VISUAL_STREAM, AUDIO_STREAM = 0x11, 0x15
"""streamType (table 6) with the bits behind it."""
METADATA_NAMESPACE = b"http://www.onvif.org/ver10/schema"
"""Of timed XML metadata (Export File Format 5.5)."""


class Sample(NamedTuple):
    """One access unit. `duration` and `composition` (presentation minus decode time) are media time."""

    data: bytes
    duration: int
    key: bool
    composition: int = 0


class Run(NamedTuple):
    """The samples of one track in a fragment. `utc` is the time of the first, `decode_time` its media time."""

    track: int
    utc: int
    decode_time: int
    samples: Sequence[Sample]


def timescale(track: TrackFormat) -> int:
    """Media time units per second."""
    return track.clock_rate if track.kind is Kind.AUDIO else US


def box(kind: bytes, *parts: bytes) -> bytes:
    """A box from its payload."""
    return b"".join((struct.pack(">I4s", 8 + sum(map(len, parts)), kind), *parts))


def full_box(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    """A box with version and flags (4.2)."""
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def init_segment(formats: Sequence[TrackFormat]) -> bytes:
    """`ftyp` and `moov` for the tracks; track n has the track_ID n + 1.

    Raises InvalidArgument when parameter sets or configurations are missing, NotSupported for encodings without a
    sample entry.
    """
    if not 1 <= len(formats) <= MAX_TRACKS:
        raise InvalidArgument("a segment has 1 to 8 tracks")
    movie = full_box(
        b"mvhd",
        0,
        0,
        struct.pack(">IIIIIH10x", 0, 0, _MOVIE_TIMESCALE, 0, 0x10000, 0x0100),
        _MATRIX,
        struct.pack(">24xI", len(formats) + 1),
    )
    tracks = [_track(index + 1, each) for index, each in enumerate(formats)]
    extends = [full_box(b"trex", 0, 0, struct.pack(">5I", n + 1, 1, 0, 0, 0)) for n in range(len(formats))]
    brands = box(b"ftyp", b"iso6", struct.pack(">I", 0), b"iso6mp42avc1dash")
    return brands + box(b"moov", movie, *tracks, box(b"mvex", *extends))


def _track(number: int, track: TrackFormat) -> bytes:
    kind = track.kind
    header = full_box(
        b"tkhd",
        0,
        7,
        struct.pack(">IIIII8xHHHH", 0, 0, number, 0, 0, 0, 0, 0x0100 if kind is Kind.AUDIO else 0, 0),
        _MATRIX,
        struct.pack(">II", track.width << 16, track.height << 16),
    )
    handler, name, media_header = {
        Kind.VIDEO: (b"vide", b"video\0", full_box(b"vmhd", 0, 1, bytes(8))),
        Kind.AUDIO: (b"soun", b"audio\0", full_box(b"smhd", 0, 0, bytes(4))),
        Kind.METADATA: (b"meta", b"metadata\0", full_box(b"nmhd", 0, 0)),
    }[kind]
    reference = full_box(b"dref", 0, 0, struct.pack(">I", 1), full_box(b"url ", 0, 1))
    empty = struct.pack(">I", 0)
    table = box(
        b"stbl",
        full_box(b"stsd", 0, 0, struct.pack(">I", 1), sample_entry(track)),
        full_box(b"stts", 0, 0, empty),
        full_box(b"stsc", 0, 0, empty),
        full_box(b"stsz", 0, 0, empty, empty),
        full_box(b"stco", 0, 0, empty),
    )
    media = box(
        b"mdia",
        full_box(b"mdhd", 0, 0, struct.pack(">IIIIHH", 0, 0, timescale(track), 0, _UNDETERMINED_LANGUAGE, 0)),
        full_box(b"hdlr", 0, 0, bytes(4), handler, bytes(12), name),
        box(b"minf", media_header, box(b"dinf", reference), table),
    )
    return box(b"trak", header, media)


def sample_entry(track: TrackFormat) -> bytes:
    """The box in `stsd` that describes an encoding."""
    match track.codec:
        case Codec.H264:
            return _video_entry(b"avc1", track, box(b"avcC", decoder_configuration(track)))
        case Codec.H265:
            return _video_entry(b"hvc1", track, box(b"hvcC", decoder_configuration(track)))
        case Codec.MPEG4:
            return _video_entry(b"mp4v", track, _elementary_stream(track, VISUAL, VISUAL_STREAM))
        case Codec.JPEG:
            if not track.width or not track.height:
                raise InvalidArgument("size of JPEG pictures is not known")
            return _video_entry(b"jpeg", track, b"")
        case Codec.AAC:
            return _audio_entry(b"mp4a", track, _elementary_stream(track, AUDIO, AUDIO_STREAM))
        case Codec.OPUS:
            return _audio_entry(b"Opus", track, box(b"dOps", opus.specific_box(max(1, track.channels))))
        case Codec.PCMU:
            return _audio_entry(b"ulaw", track)
        case Codec.PCMA:
            return _audio_entry(b"alaw", track)
        case Codec.METADATA:
            # ISO/IEC 14496-12 12.3.3: no content encoding, namespace, no schema location
            return box(b"metx", bytes(6), struct.pack(">H", 1), b"\0", METADATA_NAMESPACE + b"\0", b"\0")
    raise NotSupported(f"no MP4 sample entry for {track.codec}")


def _video_entry(kind: bytes, track: TrackFormat, configuration: bytes) -> bytes:
    return box(
        kind,
        struct.pack(">6xH16xHHIIIH", 1, track.width, track.height, 0x480000, 0x480000, 0, 1),
        struct.pack(">32xHh", 0x18, -1),
        configuration,
    )


def _audio_entry(kind: bytes, track: TrackFormat, *more: bytes) -> bytes:
    rate = track.clock_rate << 16 if track.clock_rate < 1 << 16 else 0
    return box(kind, struct.pack(">6xH8xHHHHI", 1, max(1, track.channels), 16, 0, 0, rate), *more)


def _elementary_stream(track: TrackFormat, kind: int, stream: int) -> bytes:
    """`esds` (ISO/IEC 14496-14 5.6, 14496-1 7.2.6)."""
    if not track.config:
        raise InvalidArgument(f"{track.codec} track has no configuration")
    specific = _descriptor(5, track.config)
    decoder = _descriptor(4, struct.pack(">BBBHII", kind, stream, 0, 0, 0, 0), specific)
    return full_box(b"esds", 0, 0, _descriptor(3, struct.pack(">HB", 0, 0), decoder, _descriptor(6, b"\x02")))


def _descriptor(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    size = len(body)
    length = bytes((0x80 | size >> 21 & 0x7F, 0x80 | size >> 14 & 0x7F, 0x80 | size >> 7 & 0x7F, size & 0x7F))
    return bytes((tag,)) + length + body


def build_fragment(sequence: int, runs: Sequence[Run]) -> bytes:
    """A fragment as it is appended to the file. Raises InvalidArgument for one without samples."""
    return b"".join(fragment_parts(sequence, runs))


def fragment_parts(sequence: int, runs: Sequence[Run]) -> list[bytes]:
    """`build_fragment` in pieces: all that precedes the samples, then the samples as they are, behind each other, run by run."""
    if not runs or not all(run.samples for run in runs):
        raise InvalidArgument("a fragment needs samples in every run")
    references = [
        full_box(
            b"prft",
            1,
            PRFT_CAPTURED,
            struct.pack(">IQQ", run.track + 1, utc_to_ntp(run.utc), run.decode_time + run.samples[0].composition),
        )
        for run in runs
    ]
    sizes = [sum(len(sample.data) for sample in run.samples) for run in runs]
    offset, offsets = _MOOF + sum(map(_traf_size, runs)) + 8, []
    for size in sizes:
        offsets.append(offset)
        offset += size
    total = 8 + sum(sizes)
    if total >= 1 << 31:
        raise InvalidArgument("fragment is too large")
    head = b"".join((*references, _moof(sequence, runs, offsets), struct.pack(">I4s", total, b"mdat")))
    return [head, *(sample.data for run in runs for sample in run.samples)]


_MOOF, _TRAF = 8 + 16, 8 + 16 + 20 + 20
"""Bytes of `moof` with `mfhd`, and of `traf` with `tfhd`, `tfdt` and a `trun` without entries."""


def _traf_size(run: Run) -> int:
    return _TRAF + len(run.samples) * (16 if _reordered(run) else 12)


def _reordered(run: Run) -> bool:
    return any(sample.composition for sample in run.samples)


def _moof(sequence: int, runs: Sequence[Run], offsets: Sequence[int]) -> bytes:
    header = full_box(b"mfhd", 0, 0, struct.pack(">I", sequence))
    return box(b"moof", header, *(_traf(run, offset) for run, offset in zip(runs, offsets, strict=True)))


def _traf(run: Run, offset: int) -> bytes:
    flags = TRUN_DATA_OFFSET | TRUN_DURATION | TRUN_SIZE | TRUN_FLAGS
    reordered = _reordered(run)
    if reordered:
        flags |= TRUN_COMPOSITION
    return box(
        b"traf",
        full_box(b"tfhd", 0, TFHD_BASE_IS_MOOF, struct.pack(">I", run.track + 1)),
        full_box(b"tfdt", 1, 0, struct.pack(">Q", run.decode_time)),
        full_box(b"trun", 1, flags, struct.pack(">Ii", len(run.samples), offset), _entries(run.samples, reordered)),
    )


def _entries(samples: Iterable[Sample], reordered: bool) -> bytes:
    values: list[int] = []
    for sample in samples:
        values += (sample.duration, len(sample.data), SYNC_SAMPLE if sample.key else DEPENDENT_SAMPLE)
        if reordered:
            # a signed value (trun version 1) in an unsigned field
            values.append(sample.composition & 0xFFFFFFFF)
    return struct.pack(f">{len(values)}I", *values)


def run_end(run: Run, track: TrackFormat) -> int:
    """UTC at which the last sample of a run ends, as a reader will find it."""
    scale, time, end = timescale(track), 0, run.utc
    first = run.samples[0].composition
    for sample in run.samples:
        utc = run.utc + (time + sample.composition - first) * US // scale
        end = max(end, utc + sample.duration * US // scale)
        time += sample.duration
    return end


def unit_duration(track: TrackFormat, data: bytes) -> int | None:
    """Media time of an audio access unit; None for other kinds, whose units last until the next."""
    match track.codec:
        case Codec.PCMU | Codec.PCMA:
            return len(data) // max(1, track.channels)
        case Codec.OPUS:
            return opus.samples(data) * track.clock_rate // opus.RATE
        case Codec.AAC:
            config = aac.parse_config(track.config)
            return config.samples * track.clock_rate // config.sample_rate
    return None


STORABLE = frozenset(
    (Codec.H264, Codec.H265, Codec.MPEG4, Codec.JPEG, Codec.PCMU, Codec.PCMA, Codec.AAC, Codec.OPUS, Codec.METADATA)
)
"""Encodings with a sample entry here."""
