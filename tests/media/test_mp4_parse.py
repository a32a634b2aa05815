"""Reading fragmented MP4: exact for what we wrote, InvalidArgument for everything else."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvifd.clock import US
from onvifd.errors import InvalidArgument
from onvifd.media import aac, mp4, mp4_parse
from onvifd.media.types import AccessUnit, Codec, TrackFormat

T0 = 1_767_225_600 * US + 123_457
PCMA = TrackFormat(codec=Codec.PCMA, clock_rate=8000, channels=1)
AAC = TrackFormat(
    codec=Codec.AAC,
    clock_rate=48000,
    channels=2,
    config=aac.build_config(aac.AudioSpecificConfig(object_type=2, sample_rate=48000, channels=2)),
)
Encoded = tuple[TrackFormat, list[AccessUnit]]


def reader(data: bytes) -> mp4_parse.ReadAt:
    return lambda offset, size: data[offset : offset + size]


def make_file(clip: Encoded) -> tuple[bytes, list[int]]:
    """A file of two fragments and the offsets of head and fragment ends."""
    track, units = clip
    head = mp4.init_segment([track, PCMA])
    parts = [head]
    for number in range(2):
        samples = [mp4.Sample(unit.data, 33_333, unit.key) for unit in units[3 * number : 3 * number + 3]]
        start = number * 99_999
        audio = mp4.Run(
            1, T0 + start + 5, start * 8 // 1000, [mp4.Sample(bytes([n]) * 160, 160, True) for n in range(5)]
        )
        parts.append(mp4.build_fragment(number + 1, [mp4.Run(0, T0 + start, start, samples), audio]))
    ends = [sum(map(len, parts[: n + 1])) for n in range(3)]
    return b"".join(parts), ends


@pytest.mark.parametrize("audio", [PCMA, AAC, None])
def test_formats_survive(clip: Encoded, audio: TrackFormat | None) -> None:
    formats = (clip[0],) if audio is None else (clip[0], audio)
    assert mp4_parse.parse_init(mp4.init_segment(formats)) == formats


def test_metadata_track_survives() -> None:
    metadata = TrackFormat(codec=Codec.METADATA, clock_rate=90000)
    assert mp4_parse.parse_init(mp4.init_segment([metadata])) == (metadata,)
    # Export File Format 5.5: XMLMetaDataSampleEntry with the namespace of ONVIF
    entry = mp4.sample_entry(metadata)
    assert entry[4:8] == b"metx"
    assert entry[16:].split(b"\0") == [b"", b"http://www.onvif.org/ver10/schema", b"", b""]


def test_samples_have_their_times_to_the_microsecond(clip: Encoded) -> None:
    data, ends = make_file(clip)
    walk = mp4_parse.walk_file(reader(data), len(data))
    assert (walk.end, walk.torn, walk.formats) == (len(data), False, (clip[0], PCMA))
    assert [(each.offset, each.offset + each.size) for each in walk.fragments] == [
        (ends[0], ends[1]),
        (ends[1], ends[2]),
    ]
    runs = mp4_parse.parse_fragment(data[ends[1] :], walk.formats)
    assert [sample.utc - T0 for sample in runs[0].samples] == [99_999, 133_332, 166_665]
    assert runs[0].end - T0 == 199_998
    assert [sample.utc - T0 - 99_999 for sample in runs[1].samples] == [5, 20_005, 40_005, 60_005, 80_005]
    stored = [data[ends[1] :][s.offset : s.offset + s.size] for s in runs[0].samples]
    assert stored == [unit.data for unit in clip[1][3:6]]
    assert [s.key for s in runs[0].samples] == [unit.key for unit in clip[1][3:6]]


def test_reordered_pictures_keep_their_times(clip: Encoded) -> None:
    _, units = clip
    offsets = [0, 120_000, -40_000, -40_000]
    samples = [mp4.Sample(u.data, 40_000, u.key, c) for u, c in zip(units, offsets, strict=False)]
    data = mp4.build_fragment(1, [mp4.Run(0, T0, 0, samples)])
    (run,) = mp4_parse.parse_fragment(data, (clip[0],))
    assert [s.utc - T0 for s in run.samples] == [0, 160_000, 40_000, 80_000]
    assert mp4.run_end(mp4.Run(0, T0, 0, samples), clip[0]) == run.end


@pytest.mark.parametrize("seed", range(40))
def test_a_cut_file_keeps_its_complete_fragments(h264_clip: Encoded, seed: int) -> None:
    data, ends = make_file(h264_clip)
    cut = random.Random(seed).randrange(ends[0], len(data))
    walk = mp4_parse.walk_file(reader(data[:cut]), cut)
    assert walk.end == max(end for end in ends if end <= cut)
    assert walk.torn == (walk.end != cut)


def test_a_tail_of_zeros_is_torn(h264_clip: Encoded) -> None:
    data, ends = make_file(h264_clip)
    data += bytes(4096)
    walk = mp4_parse.walk_file(reader(data), len(data))
    assert (walk.end, walk.torn) == (ends[2], True)


def test_zeros_inside_the_samples_are_noticed(h264_clip: Encoded) -> None:
    data, _ = make_file(h264_clip)
    walk = mp4_parse.walk_file(reader(data), len(data))
    last = walk.fragments[-1]
    assert mp4_parse.samples_whole(reader(data), last, walk.formats)
    sample = last.runs[0].samples[1]
    position = last.offset + sample.offset
    damaged = data[:position] + bytes(sample.size) + data[position + sample.size :]
    assert not mp4_parse.samples_whole(reader(damaged), last, walk.formats)


@given(st.data())
def test_flipped_bytes_never_do_worse_than_invalid_argument(h264_clip: Encoded, draw: st.DataObject) -> None:
    data, ends = make_file(h264_clip)
    changed = bytearray(data)
    for _ in range(draw.draw(st.integers(1, 8))):
        changed[draw.draw(st.integers(0, ends[0] + 600))] = draw.draw(st.integers(0, 255))
    try:
        walk = mp4_parse.walk_file(reader(bytes(changed)), len(changed))
        for fragment in walk.fragments:
            mp4_parse.parse_fragment(bytes(changed[fragment.offset : fragment.offset + fragment.size]), walk.formats)
    except InvalidArgument:
        pass


@given(st.binary(max_size=200))
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidArgument):
        mp4_parse.walk_file(reader(data), len(data))
    with pytest.raises(InvalidArgument):
        mp4_parse.parse_fragment(data, (PCMA,))


def test_a_sample_outside_of_mdat_is_refused(h264_clip: Encoded) -> None:
    track, units = h264_clip
    data = bytearray(mp4.build_fragment(1, [mp4.Run(0, T0, 0, [mp4.Sample(units[0].data, 40_000, True)])]))
    size_field = data.rindex(len(units[0].data).to_bytes(4, "big"), 0, data.index(b"mdat"))
    data[size_field : size_field + 4] = (len(units[0].data) + 1).to_bytes(4, "big")
    with pytest.raises(InvalidArgument):
        mp4_parse.parse_fragment(bytes(data), (track,))
