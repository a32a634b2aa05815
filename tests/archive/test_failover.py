"""Several volumes: what one does not take goes to the next, in the same instant and without a frame lost."""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

import pytest

from onvifd.archive.cache import FragmentCache
from onvifd.archive.disk import DiskPool, SegmentFiles, Volume
from onvifd.archive.doctor import examine
from onvifd.archive.index import EndReason, SegmentRow
from onvifd.archive.memory import MemorySegmentStore
from onvifd.archive.places import Places
from onvifd.archive.reader import RecordingReader
from onvifd.archive.segment import Append
from onvifd.archive.writer import NO_VOLUME, RecordingWriter
from onvifd.clock import US, SimulatedClock
from onvifd.media.types import AccessUnit
from tests.archive.conftest import FRAME, T0, Clip, video_units


class Faulty(SegmentFiles):
    """File systems that refuse from a given write on, for as long as they are named. No real one fails at a chosen write."""

    def __init__(self, volumes: Callable[[str], Volume | None], store: MemorySegmentStore) -> None:
        super().__init__(volumes, store)
        self.failing: set[str] = set()

    def append(self, action: Append) -> None:
        if action.row.volume in self.failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().append(action)


class Bench:
    def __init__(self, folder: Path, pool: DiskPool, clip: Clip) -> None:
        self.clock = SimulatedClock(T0)
        self.store = MemorySegmentStore()
        self.volumes = [Volume(f"v{n}", folder / f"v{n}") for n in (1, 2, 3)]
        for volume in self.volumes:
            volume.root.mkdir()
        self.trouble: list[tuple[str, str]] = []
        self.states: list[tuple[bool, int, str]] = []
        self.places = Places(self.volumes, lambda *trouble: self.trouble.append(trouble))
        self.files = Faulty(self.places.get, self.store)
        self.pool = pool
        self.writer = RecordingWriter(
            "rec-1",
            [clip.format],
            volumes=["v1", "v2"],
            places=self.places,
            store=self.store,
            pool=pool,
            clock=self.clock,
            on_state=lambda _, *state: self.states.append(state),
            files=self.files,
        )
        self.writer.start()

    async def feed(self, units: Iterable[AccessUnit]) -> None:
        for unit in units:
            late = (unit.utc - self.clock.utc()) / US
            if late > 0:
                await self.clock.advance(late)
            self.writer.feed(unit)
            await self.writer.drain()

    def rows(self) -> tuple[SegmentRow, ...]:
        return self.store.segments_between("rec-1", 0, 1 << 62)

    async def stamps(self) -> list[int]:
        """The time of every frame that can be read back."""
        volumes = {volume.id: volume for volume in self.volumes}
        reader = RecordingReader(self.store, volumes, "rec-1", cache=FragmentCache(), pool=self.pool)
        return [unit.utc async for unit in reader.units(T0)]


@pytest.fixture
async def bench(tmp_path: Path, pool: DiskPool, h264: Clip) -> AsyncIterator[Bench]:
    made = Bench(tmp_path, pool, h264)
    yield made
    await made.writer.stop()


def every(units: Iterable[AccessUnit]) -> list[int]:
    return [unit.utc for unit in units]


async def test_the_first_volume_takes_all(bench: Bench, h264: Clip) -> None:
    await bench.feed(video_units(h264, seconds=3))
    await bench.writer.stop()
    assert [row.volume for row in bench.rows()] == ["v1"]


async def test_a_failing_volume_is_left_at_once_without_loss(bench: Bench, h264_long: Clip) -> None:
    bench.writer.set_formats([h264_long.format])
    units = list(video_units(h264_long, seconds=12))
    await bench.feed(units[:110])  # in the middle of a group of pictures
    bench.files.failing = {"v1"}
    await bench.feed(units[110:])
    await bench.writer.stop()
    first, second = bench.rows()
    assert (first.volume, first.end_reason, second.volume) == ("v1", EndReason.VOLUME, "v2")
    assert first.end == second.start == T0 + 4 * US
    assert await bench.stamps() == every(units)
    assert bench.states == [(True, T0, ""), (False, T0 + 12 * US, "stop")]  # nobody sees recording stop
    assert bench.trouble == [("v1", os.strerror(errno.EIO))]
    assert bench.writer.stats.lost == 0
    assert list(examine(bench.store, bench.volumes)) == []


async def test_a_volume_that_works_again_is_used_with_the_next_segment(bench: Bench, h264: Clip) -> None:
    units = list(video_units(h264, seconds=115))
    await bench.feed(units[:100])
    bench.files.failing = {"v1"}
    await bench.feed(units[100:200])
    bench.files.failing = set()
    await bench.feed(units[200:])
    await bench.writer.stop()
    assert [row.volume for row in bench.rows()] == ["v1", "v2", "v1", "v1"]
    assert await bench.stamps() == every(units)


async def test_what_no_volume_takes_waits_and_is_written_when_one_returns(bench: Bench, h264: Clip) -> None:
    units = list(video_units(h264, seconds=20))
    await bench.feed(units[:100])
    bench.files.failing = {"v1", "v2"}
    await bench.feed(units[100:300])
    assert bench.writer.stats.error == os.strerror(errno.EIO)
    assert bench.states[1:] == [(False, T0 + 3 * US, "disk")]
    assert {volume for volume, _ in bench.trouble} == {"v1", "v2"}
    bench.files.failing = {"v1"}
    await bench.feed(units[300:])
    await bench.writer.stop()
    assert bench.writer.stats.error == ""
    assert bench.states[2:] == [(True, T0 + 3 * US, ""), (False, T0 + 20 * US, "stop")]
    assert await bench.stamps() == every(units)


async def test_what_waits_is_bounded_and_what_is_lost_is_counted(bench: Bench, h264: Clip) -> None:
    units = list(video_units(h264, seconds=60))
    await bench.feed(units[:100])
    bench.files.failing = {"v1", "v2"}
    await bench.feed(units[100:850])
    bench.files.failing = set()
    await bench.feed(units[850:])
    await bench.writer.stop()
    found = await bench.stamps()
    assert len(found) + bench.writer.stats.lost == len(units)
    assert bench.writer.stats.lost > 200
    gaps = [(one - T0, other - T0) for one, other in itertools.pairwise(found) if other - one > FRAME]
    assert len(gaps) == 1
    assert 20 * US < gaps[0][0] < 26 * US
    assert EndReason.OVERLOAD in {row.end_reason for row in bench.rows()}


async def test_another_list_of_volumes_begins_a_file_without_loss(bench: Bench, h264: Clip) -> None:
    units = list(video_units(h264, seconds=8))
    await bench.feed(units[:60])
    bench.writer.set_volumes(["v3", "v1"])  # v1 is still good: the group of pictures is ended
    await bench.feed(units[60:130])
    bench.places.set([bench.volumes[0], bench.volumes[1]])  # v3 is to be let go of at once
    bench.writer.set_volumes(["v2"])
    await bench.feed(units[130:])
    await bench.writer.stop()
    rows = bench.rows()
    assert [(row.volume, row.end_reason) for row in rows] == [
        ("v1", EndReason.VOLUME),
        ("v3", EndReason.VOLUME),
        ("v2", EndReason.STOP),
    ]
    assert (rows[1].start, rows[2].start) == (T0 + 3 * US, T0 + 130 * FRAME)
    assert await bench.stamps() == every(units)
    assert bench.states == [(True, T0, ""), (False, T0 + 8 * US, "stop")]


async def test_a_volume_that_is_to_be_let_go_of_is_though_the_next_file_would_be_elsewhere(
    bench: Bench, h264: Clip
) -> None:
    units = list(video_units(h264, seconds=12))
    await bench.feed(units[:60])
    bench.files.failing = {"v1"}
    await bench.feed(units[60:90])
    bench.files.failing = set()
    await bench.feed(units[90:210])
    bench.places.set([bench.volumes[0]])
    bench.writer.set_volumes(["v1", "v2"])
    await bench.feed(units[210:])
    await bench.writer.stop()
    assert [(row.volume, row.start - T0) for row in bench.rows()] == [("v1", 0), ("v2", 2 * US), ("v1", 210 * FRAME)]
    assert await bench.stamps() == every(units)


async def test_without_any_volume_nothing_is_recorded_until_there_is_one(bench: Bench, h264: Clip) -> None:
    units = list(video_units(h264, seconds=9))
    bench.writer.set_volumes([])
    await bench.feed(units[:50])
    assert bench.writer.stats.error == NO_VOLUME
    assert bench.rows() == ()
    bench.writer.set_volumes(["v2"])
    await bench.feed(units[50:150])
    bench.places.set([])
    bench.writer.set_volumes(["v2"])
    await bench.feed(units[150:])
    assert bench.writer.stats.error == NO_VOLUME
    assert bench.states == [(True, T0 + 2 * US, ""), (False, T0 + 6 * US, "disk")]
    assert await bench.stamps() == every(units[50:150])


async def test_a_volume_that_fails_is_told_of_once(bench: Bench, h264: Clip) -> None:
    bench.files.failing = {"v1", "v2"}
    await bench.feed(video_units(h264, seconds=15))
    assert sorted(bench.trouble) == [("v1", os.strerror(errno.EIO)), ("v2", os.strerror(errno.EIO))]


def test_choice_of_a_place() -> None:
    a, b = Volume("a", Path("/a")), Volume("b", Path("/b"))
    places = Places([a, b])
    assert places.choose(["x", "b", "a"], 0.0) == "b"
    places.failed("b", "broken", 0.0)
    assert places.choose(["b", "a"], 0.5) == "a"
    assert places.choose(["b"], 0.5) == "b"  # rather than none
    assert places.choose(["b"], 0.5, frozenset({"b"})) == ""
    assert places.choose(["b", "a"], 1.5) == "b"
    places.failed("b", "broken", 1.5)
    assert places.choose(["b", "a"], 3.0) == "a"
    places.set([a])
    assert places.get("b") is None
    places.set([a, b])  # it was away and is back
    assert places.choose(["b", "a"], 3.0) == "b"
