"""The archive's index in the catalogue behaves as the one in memory, on both databases."""

from __future__ import annotations

import dataclasses
import gc
import random
from typing import Any

import pytest

from onvifd.archive.catalogue_index import CatalogueSegmentStore
from onvifd.archive.index import (
    EndReason,
    Fragment,
    FragmentFlag,
    SegmentChange,
    SegmentRow,
    SegmentState,
    SegmentStore,
    pack_fragments,
    unpack_fragments,
)
from onvifd.archive.memory import MemorySegmentStore
from onvifd.media.types import Codec, Kind, TrackFormat
from onvifd.store.catalogue import Catalogue

FORMATS = (
    TrackFormat(codec=Codec.H265, clock_rate=90000, parameter_sets=(b"\x40\x01", b"\0"), width=1920, height=1080),
    TrackFormat(codec=Codec.AAC, clock_rate=48000, config=b"\x11\x90", channels=2),
)
US = 1_000_000
VIDEO, AUDIO = FragmentFlag.VIDEO, FragmentFlag.AUDIO


@pytest.fixture
def store(catalogue: Catalogue) -> SegmentStore:
    return CatalogueSegmentStore(catalogue)


def row(start: int, *, recording: str = "rec-a", volume: str = "vol-1", path: str = "") -> SegmentRow:
    return SegmentRow(
        recording=recording,
        volume=volume,
        path=path or f"{recording}/{start}.mp4",
        start=start,
        end=start,
        size=0,
        formats=FORMATS,
    )


def grown(end: int, kinds: FragmentFlag = VIDEO, size: int = 1000) -> SegmentChange:
    table = pack_fragments([Fragment(24, size - 24, end - US, US, kinds | FragmentFlag.CLEAN)])
    return SegmentChange(end=end, size=size, kinds=kinds, fragments=table)


def test_a_segment_lives_from_open_to_closed(store: SegmentStore) -> None:
    number = store.insert_segment(row(0))
    assert store.segment_by_path("vol-1", "rec-a/0.mp4") == store.open_segments()[0]
    assert store.recording_times("rec-a") is None
    store.update_segment(number, grown(5 * US))
    store.close_segment(number, grown(60 * US), state=SegmentState.CLOSED, reason=EndReason.TIME)
    (found,) = store.segments_between("rec-a", 0, 1)
    assert (found.id, found.end, found.size) == (number, 60 * US, 1000)
    assert (found.state, found.end_reason, found.kinds) == (SegmentState.CLOSED, EndReason.TIME, VIDEO)
    assert found.formats == FORMATS
    assert unpack_fragments(found.fragments) == unpack_fragments(grown(60 * US).fragments)
    assert store.open_segments() == ()
    store.delete_segment(number)
    assert store.recorded() == ()


def test_changes_of_a_segment_that_is_gone_do_nothing(store: SegmentStore) -> None:
    store.update_segment(99, grown(1))
    store.close_segment(99, grown(1), state=SegmentState.CLOSED, reason=EndReason.STOP)
    store.delete_segment(99)
    assert store.recorded() == ()


def test_the_same_path_replaces_a_row(store: SegmentStore) -> None:
    first = store.insert_segment(row(0, path="x.mp4"))
    second = store.insert_segment(row(5, path="x.mp4"))
    assert second != first
    assert [each.start for each in store.volume_segments("vol-1")] == [5]


def test_an_id_is_never_given_twice(store: SegmentStore) -> None:
    first = store.insert_segment(row(0))
    store.delete_segment(first)
    assert store.insert_segment(row(1)) > first


def test_tracks_are_told_apart(store: SegmentStore) -> None:
    for start, kinds in ((0, VIDEO), (60, VIDEO | AUDIO), (120, AUDIO)):
        number = store.insert_segment(row(start * US))
        store.close_segment(number, grown((start + 60) * US, kinds), state=SegmentState.CLOSED, reason=EndReason.TIME)
    assert store.track_times("rec-a") == {Kind.VIDEO: (0, 120 * US), Kind.AUDIO: (60 * US, 180 * US)}
    assert store.recording_times("rec-a") == (0, 180 * US)


def test_both_stores_answer_the_same(store: SegmentStore, catalogue: Catalogue) -> None:
    """Random histories, the store in memory as the oracle."""
    chance = random.Random(7)
    memory = MemorySegmentStore()
    pairs: list[tuple[int, int]] = []
    starts: dict[int, int] = {}
    for step in range(120):
        action = chance.random()
        if action < 0.5 or not pairs:
            new = row(
                chance.randrange(50) * US,
                recording=f"rec-{chance.choice('abc')}",
                volume=f"vol-{chance.choice('12')}",
                path=f"{step if action < 0.45 else chance.randrange(step + 1)}.mp4",
            )
            new = dataclasses.replace(new, copy=chance.random() < 0.2)
            gone = memory.segment_by_path(new.volume, new.path)
            pairs = [pair for pair in pairs if gone is None or pair[0] != gone.id]
            pairs.append((memory.insert_segment(new), store.insert_segment(new)))
            starts[pairs[-1][0]] = new.start
            continue
        number = chance.randrange(len(pairs))
        end = starts[pairs[number][0]] + chance.randrange(1, 30) * US
        change = grown(end, chance.choice([VIDEO, AUDIO, VIDEO | AUDIO]), chance.randrange(100, 200))
        for each, ident in zip((memory, store), pairs[number], strict=True):
            if action < 0.55:
                each.update_segment(ident, change)
            elif action < 0.65:
                each.update_segments({ident: change, 9999: change})
            elif action < 0.9:
                each.close_segment(ident, change, state=SegmentState.CLOSED, reason=EndReason.GAP)
            else:
                each.delete_segment(ident)
        if action >= 0.9:
            del pairs[number]
    names = dict(pairs)
    assert_same(memory, store, names, chance)
    assert catalogue.segments.usage.check() == ()


def questions(chance: random.Random) -> list[dict[str, Any]]:
    """Of retention: by recording, by age, with locks."""

    def stretch() -> tuple[int, int]:
        start = chance.randrange(0, 60) * US
        return start, start + chance.randrange(1, 20) * US

    return [
        {
            "recording": chance.choice([None, "rec-a"]),
            "before": chance.choice([None, 40 * US]),
            "locks": {f"rec-{name}": [stretch() for _ in range(chance.randrange(4))] for name in "ab"},
        }
        for _ in range(20)
    ]


def assert_same(memory: MemorySegmentStore, store: SegmentStore, names: dict[int, int], chance: random.Random) -> None:
    def plain(rows: tuple[SegmentRow, ...], known: dict[int, int] | None = None) -> list[tuple[object, ...]]:
        return [
            (
                (known or {}).get(r.id, r.id),
                r.volume,
                r.path,
                r.start,
                r.end,
                r.size,
                r.kinds,
                r.state,
                unpack_fragments(r.fragments),
            )
            for r in rows
        ]

    assert store.recorded() == memory.recorded()
    assert store.all_times() == memory.all_times()
    assert plain(store.oldest_segments(None, 7)) == plain(memory.oldest_segments(None, 7), names)
    assert plain(store.open_segments()) == plain(memory.open_segments(), names)
    for volume in ("vol-1", "vol-2"):
        assert store.volume_bytes(volume) == memory.volume_bytes(volume)
        for question in questions(chance):
            assert plain(store.oldest_segments(volume, 5, **question)) == plain(
                memory.oldest_segments(volume, 5, **question), names
            )
        assert plain(store.volume_segments(volume)) == plain(memory.volume_segments(volume), names)
        after = store.volume_segments(volume)[2]
        assert plain(store.volume_segments(volume, after.id, 3)) == plain(store.volume_segments(volume))[3:6]
    for recording in ("rec-a", "rec-b", "rec-c", "rec-none"):
        assert store.recording_times(recording) == memory.recording_times(recording)
        assert store.track_times(recording) == memory.track_times(recording)
        assert store.recording_bytes(recording) == memory.recording_bytes(recording)
        for _ in range(10):
            start, end = sorted((chance.randrange(-5, 90) * US, chance.randrange(-5, 90) * US))
            limit = chance.choice([1, 3, 100])
            tolerance = chance.choice([0, US])
            assert store.covered(recording, start, end, tolerance) == memory.covered(recording, start, end, tolerance)
            days = [(start + day * US, start + (day + 1) * US) for day in range(-2, 60)]
            assert store.calendar(recording, days) == memory.calendar(recording, days)
            assert plain(store.segments_between(recording, start, end, limit)) == plain(
                memory.segments_between(recording, start, end, limit), names
            )
            at = store.segments_at(("rec-a", "rec-b", "rec-none"), start)
            oracle = memory.segments_at(("rec-a", "rec-b", "rec-none"), start)
            assert {name: plain((each,)) for name, each in at.items()} == {
                name: plain((each,), names) for name, each in oracle.items()
            }
            for ask in ("segment_at", "segment_after"):
                ours, theirs = getattr(store, ask)(recording, start), getattr(memory, ask)(recording, start)
                assert plain((ours,) if ours else ()) == plain((theirs,) if theirs else (), names)


def test_formats_and_the_next_that_are_other(store: SegmentStore) -> None:
    sound = (FORMATS[1],)
    rows = []
    for minute in range(6):
        formats = sound if minute in (2, 3) else FORMATS
        made = dataclasses.replace(row(minute * 60 * US), formats=formats, kinds=AUDIO if formats is sound else VIDEO)
        rows.append(dataclasses.replace(made, id=store.insert_segment(made)))
    assert store.formats("rec-a") == FORMATS
    after, before = store.unlike_after(rows[0]), store.unlike_before(rows[5])
    assert after is not None
    assert before is not None
    assert (after.start, before.start) == (rows[2].start, rows[3].start)
    assert store.unlike_after(rows[4]) is None


def test_what_a_session_asks_leaves_nothing_to_collect(store: SegmentStore) -> None:
    """Statements are made once: what is made for each question holds itself, and whoever begins to play waits for its collection."""
    store.insert_segment(dataclasses.replace(row(US), kinds=VIDEO))

    def ask() -> None:
        store.recording_times("rec-a")
        store.segment_at("rec-a", 2 * US)
        store.segment_after("rec-a", 0)

    ask()
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            ask()
        assert gc.collect() < 20 * 20
    finally:
        gc.enable()
