"""One recording that a stream feeds: memory, orders, copies, documents."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest
from msgspec import structs

from onvifd.archive.cache import FragmentCache
from onvifd.archive.disk import Volume
from onvifd.archive.doctor import examine
from onvifd.archive.grouped import GroupedRows
from onvifd.archive.index import EndReason, SegmentRow
from onvifd.archive.memory import MemorySegmentStore
from onvifd.archive.reader import RecordingReader
from onvifd.clock import US, SimulatedClock
from onvifd.media.types import AccessUnit, Codec, Kind, TrackFormat
from onvifd.workers.messages import AnyMessage, MetadataDocument, RecordingState, RecordSpec, VolumeSpec
from onvifd.workers.recorder import METADATA, Sink
from onvifd.workers.recording import Recordings
from tests.archive.conftest import (
    FRAME,
    PCMU,
    T0,
    Clip,
    assert_decodes,
    encode,
    g711_units,
    in_order,
    pool,
    store,
    video_units,
)

__all__ = ["pool", "store"]


@pytest.fixture(scope="session")
def h264() -> Clip:
    return encode(Codec.H264)


@pytest.fixture(scope="session")
def h265() -> Clip:
    return encode(Codec.H265)


class Scene:
    """A stream and what it feeds, on simulated time."""

    def __init__(self, folder: Path, store: MemorySegmentStore) -> None:
        self.clock = SimulatedClock(T0)
        self.store = store
        self.said: list[AnyMessage] = []
        self.volumes = [Volume(name, folder / name) for name in ("v1", "v2", "red")]
        for volume in self.volumes:
            volume.root.mkdir()
        self.all = Recordings(self.clock, self.said.append)
        self.all.rows = GroupedRows(store)
        self.offer("v1", "v2", "red")
        self.sink: Sink | None = None
        self.feed = self.all.open((), self._wire)

    def _wire(self, sink: Sink | None) -> None:
        self.sink = sink

    def offer(self, *names: str) -> None:
        there = [volume for volume in self.volumes if volume.id in names]
        self.all.set_volumes(tuple(VolumeSpec(id=each.id, path=str(each.root)) for each in there))

    async def begin(self, formats: Iterable[TrackFormat], *specs: RecordSpec) -> None:
        await self.feed.change(specs)
        self.feed.set_formats(tuple(formats))

    def order(self, *recordings: str) -> None:
        self.all.set_orders(frozenset(recordings))

    async def send(self, units: Iterable[AccessUnit]) -> None:
        for unit in units:
            late = (unit.utc - self.clock.utc()) / US
            if late > 0:
                await self.clock.advance(late)
            if self.sink is not None:
                self.sink(unit)
            await self.settle()

    async def settle(self) -> None:
        for recorder in self.feed.recorders.values():
            for writer in (recorder.writer, recorder.copy):
                if writer is not None and writer._writer is not None:
                    await writer._writer.drain()

    async def end(self) -> None:
        await self.feed.stop()

    def rows(self, recording: str = "rec-1", *, copies: bool = False) -> list[SegmentRow]:
        rows = (row for volume in self.volumes for row in self.store.volume_segments(volume.id))
        return sorted((r for r in rows if r.recording == recording and r.copy == copies), key=lambda row: row.start)

    async def stamps(self, recording: str = "rec-1", kind: Kind = Kind.VIDEO) -> list[int]:
        """The time of every unit of a kind that can be read back."""
        volumes = {volume.id: volume for volume in self.volumes}
        reader = RecordingReader(self.store, volumes, recording, cache=FragmentCache(), pool=self.all.pool)
        found = []
        async for loaded in reader.fragments(0):
            found += [sample.utc for sample in loaded.samples if loaded.formats[sample.track].kind is kind]
        return found

    def states(self, recording: str = "rec-1") -> list[RecordingState]:
        return [each for each in self.said if isinstance(each, RecordingState) and each.recording == recording]


@pytest.fixture
async def scene(tmp_path: Path, store: MemorySegmentStore) -> AsyncIterator[Scene]:
    made = Scene(tmp_path, store)
    yield made
    if made.feed in made.all._feeds:
        await made.end()
    await made.all.close()
    assert list(examine(store, made.volumes)) == []


def every(units: Iterable[AccessUnit]) -> list[int]:
    return [unit.utc for unit in units]


def spec(recording: str = "rec-1", **changes: object) -> RecordSpec:
    return structs.replace(RecordSpec(recording=recording, volumes=("v1", "v2"), pre=5.0), **changes)


@pytest.mark.covers("REC-09")
async def test_what_was_in_memory_is_written_first(scene: Scene, h264: Clip) -> None:
    units = in_order(video_units(h264, seconds=20), g711_units(seconds=20))
    await scene.begin([h264.format, PCMU], spec())
    at = next(n for n, unit in enumerate(units) if unit.utc >= T0 + 12_500_000)
    await scene.send(units[:at])
    assert scene.rows() == []
    scene.order("rec-1")
    await scene.send(units[at:])
    await scene.end()
    wanted = [unit for unit in units if unit.utc >= T0 + 7 * US]
    assert await scene.stamps() == every(unit for unit in wanted if not unit.track)
    assert len(await scene.stamps(kind=Kind.AUDIO)) == sum(unit.track for unit in wanted)
    assert [(s.active, s.utc) for s in scene.states()] == [(True, T0 + 7 * US), (False, T0 + 20 * US)]
    assert scene.feed.lost == 0


async def test_a_minute_from_memory_does_not_overrun_the_writer(scene: Scene, h264: Clip) -> None:
    units = list(video_units(h264, seconds=75))
    await scene.begin([h264.format], spec(pre=60.0))
    await scene.send(units[:1750])
    scene.order("rec-1")
    await scene.send(units[1750:])
    await scene.end()
    found = await scene.stamps()
    assert found == every(units[-len(found) :])
    assert found[0] == T0 + 9 * US


@pytest.mark.parametrize("pre", [5.0, 0.0])
async def test_an_order_that_returns_writes_nothing_twice(scene: Scene, h264: Clip, pre: float) -> None:
    units = list(video_units(h264, seconds=20))
    await scene.begin([h264.format], spec(pre=pre))
    scene.order("rec-1")
    await scene.send(units[:110])
    scene.order()
    await scene.send(units[110:130])
    assert [row.end_reason for row in scene.rows()] == [EndReason.PAUSE]  # it ended at once
    scene.order("rec-1")
    await scene.send(units[130:300])
    await scene.end()
    found = await scene.stamps()
    assert found == (every(units[:300]) if pre else every([*units[:110], *units[150:300]]))


async def test_orders_that_come_and_go_lose_and_double_nothing(scene: Scene, h264: Clip) -> None:
    units = list(video_units(h264, seconds=60))
    await scene.begin([h264.format], spec(pre=30.0))
    for number, begin in enumerate(range(0, 1500, 37)):
        scene.order(*(["rec-1"] if number % 3 else []))
        await scene.send(units[begin : begin + 37])
    scene.order("rec-1")
    await scene.end()
    found = await scene.stamps()
    assert found == every(units[: len(found)])
    assert len(found) > 1400


async def test_nobody_joins_frames_that_nobody_wants(scene: Scene, h264: Clip) -> None:
    await scene.begin([h264.format], spec(pre=0.0))
    assert scene.sink is None
    scene.order("rec-1")
    assert scene.sink is not None
    scene.order()
    assert scene.sink is None
    await scene.feed.change((spec(pre=3.0),))
    assert scene.sink is not None


async def test_a_stream_feeds_several_recordings_each_by_its_own_order(scene: Scene, h264: Clip) -> None:
    units = in_order(video_units(h264, seconds=10), g711_units(seconds=10))
    await scene.begin([h264.format, PCMU], spec(pre=0.0), spec("rec-2", pre=0.0, audio=False, volumes=("v2",)))
    scene.order("rec-1", "rec-2")
    await scene.send([unit for unit in units if unit.utc < T0 + 5 * US])
    scene.order("rec-2")
    await scene.send([unit for unit in units if unit.utc >= T0 + 5 * US])
    await scene.end()
    (one,), (two,) = scene.rows(), scene.rows("rec-2")
    assert (one.volume, one.end, two.volume, two.end) == ("v1", T0 + 5 * US, "v2", T0 + 10 * US)
    assert [format.kind for format in one.formats] == [Kind.VIDEO, Kind.AUDIO, Kind.METADATA]
    assert [format.kind for format in two.formats] == [Kind.VIDEO, Kind.METADATA]
    assert await scene.stamps("rec-2", Kind.AUDIO) == []
    assert_decodes(scene.volumes[1].path(two.path))


async def test_sound_is_switched_while_it_records_without_a_frame_lost(scene: Scene, h264: Clip) -> None:
    units = in_order(video_units(h264, seconds=6), g711_units(seconds=6))
    await scene.begin([h264.format, PCMU], spec(pre=0.0))
    scene.order("rec-1")
    await scene.send([unit for unit in units if unit.utc < T0 + 2_500_000])
    await scene.feed.change((spec(pre=0.0, audio=False),))
    await scene.send([unit for unit in units if unit.utc >= T0 + 2_500_000])
    await scene.end()
    assert await scene.stamps() == every(unit for unit in units if not unit.track)
    assert max(await scene.stamps(kind=Kind.AUDIO)) < T0 + 2_500_000
    assert [row.end_reason for row in scene.rows()] == [EndReason.FORMAT, EndReason.STOP]


@pytest.mark.covers("REC-11")
async def test_a_second_copy_holds_the_pictures_alone(scene: Scene, h264: Clip) -> None:
    units = in_order(video_units(h264, seconds=6), g711_units(seconds=6))
    await scene.begin([h264.format, PCMU], spec(copies=("red",)))
    await scene.send([unit for unit in units if unit.utc < T0 + 2 * US])
    scene.order("rec-1")
    await scene.send([unit for unit in units if unit.utc >= T0 + 2 * US])
    await scene.end()
    (row,), (copy,) = scene.rows(), scene.rows(copies=True)
    assert (copy.volume, copy.start, copy.end) == ("red", row.start, row.end)
    assert [format.kind for format in copy.formats] == [Kind.VIDEO]
    assert len(scene.states()) == 2  # nobody is told twice
    assert_decodes(scene.volumes[2].path(copy.path))


@pytest.mark.covers("REC-11")
async def test_trouble_of_the_copy_never_reaches_the_first(scene: Scene, h264: Clip) -> None:
    units = list(video_units(h264, seconds=12))
    await scene.begin([h264.format], spec(copies=("red",), pre=0.0))
    scene.order("rec-1")
    await scene.send(units[:60])
    scene.offer("v1", "v2")
    await scene.send(units[60:200])
    scene.offer("v1", "v2", "red")
    await scene.send(units[200:])
    await scene.end()
    assert await scene.stamps() == every(units)
    assert [row.volume for row in scene.rows()] == ["v1"]
    assert len(scene.rows(copies=True)) == 2
    assert [state.active for state in scene.states()] == [True, False]


async def test_documents_are_a_track_of_their_own(scene: Scene, h264: Clip) -> None:
    await scene.begin([h264.format], spec())
    units = list(video_units(h264, seconds=8))
    for number, unit in enumerate(units):
        if number == 60:
            scene.order("rec-1")
        if number % 20 == 10:
            scene.all.document(MetadataDocument(recording="rec-1", utc=unit.utc - FRAME // 2, document=b"<doc/>"))
        await scene.send([unit])
    scene.all.document(MetadataDocument(recording="rec-2", utc=T0, document=b"<nobody/>"))
    await scene.end()
    (row,) = scene.rows()
    assert row.formats == (h264.format, METADATA)
    assert await scene.stamps(kind=Kind.METADATA) == [T0 + n * FRAME - FRAME // 2 for n in range(10, 200, 20)]
    assert await scene.stamps() == every(units)
    assert scene.states()[0].tracks == ("VIDEO001", "META001")
    assert_decodes(scene.volumes[0].path(row.path))


async def test_a_document_of_another_time_counts_as_of_now(scene: Scene, h264: Clip) -> None:
    await scene.begin([h264.format], spec(pre=0.0))
    scene.order("rec-1")
    units = list(video_units(h264, seconds=4))
    await scene.send(units[:60])
    for utc in (0, T0 - 3600 * US, T0 + 3600 * US, T0 - US):
        scene.all.document(MetadataDocument(recording="rec-1", utc=utc, document=b"<doc/>"))
    await scene.send(units[60:])
    await scene.end()
    found = await scene.stamps(kind=Kind.METADATA)
    assert len(found) == 4
    assert all(T0 <= utc <= T0 + 60 * FRAME for utc in found)


async def test_another_encoding_is_another_track(scene: Scene, h264: Clip, h265: Clip) -> None:
    await scene.begin([h264.format], spec(pre=0.0, metadata=False))
    scene.order("rec-1")
    await scene.send(video_units(h264, seconds=2))
    await scene.clock.advance(5)
    scene.feed.set_formats((h265.format,))
    await scene.send(video_units(h265, T0 + 10 * US, seconds=2))
    await scene.clock.advance(5)
    scene.feed.set_formats((h264.format,))
    await scene.send(video_units(h264, T0 + 20 * US, seconds=2))
    await scene.end()
    assert [state.tracks for state in scene.states() if state.active] == [("VIDEO001",), ("VIDEO002",), ("VIDEO001",)]
    assert [row.formats[0].codec for row in scene.rows()] == [Codec.H264, Codec.H265, Codec.H264]


async def test_without_a_volume_the_recording_says_why_it_is_not(scene: Scene, h264: Clip) -> None:
    scene.offer()
    await scene.begin([h264.format], spec())
    await scene.send(video_units(h264, seconds=1))
    scene.feed.check()
    assert scene.states() == []  # nobody has ordered it
    scene.order("rec-1")
    await scene.send(video_units(h264, T0 + US, seconds=1))
    scene.feed.check()
    (state,) = scene.states()
    assert (state.active, state.error, bool(state.reason)) == (False, True, True)
    scene.offer("v2")
    await scene.send(video_units(h264, T0 + 2 * US, seconds=2))
    assert [row.volume for row in scene.rows()] == ["v2"]
    assert scene.states()[-1].active
    await asyncio.sleep(0)
async def test_another_encoding_without_a_pause_is_told(scene: Scene, h264: Clip, h265: Clip) -> None:
    """So that control knows of the new track while the recording goes on."""
    await scene.begin([h264.format], spec(pre=0.0, metadata=False))
    scene.order("rec-1")
    await scene.send(video_units(h264, seconds=2))
    scene.feed.set_formats((h265.format,))
    await scene.send(video_units(h265, T0 + 2 * US, seconds=2))
    await scene.end()
    told = [(state.active, state.tracks) for state in scene.states()]
    assert told[:2] == [(True, ("VIDEO001",)), (True, ("VIDEO002",))]
    assert [active for active, _ in told[2:]] == [False]


