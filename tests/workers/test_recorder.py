"""One recording that a stream feeds: memory, orders, copies, documents."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest
from msgspec import structs

from onvifd.archive.cache import FragmentCache
from onvifd.archive.disk import Volume
from onvifd.archive.doctor import examine
from onvifd.archive.grouped import GroupedRows
from onvifd.archive.index import EMPTY_DOCUMENT, EndReason, SegmentRow
from onvifd.archive.memory import MemorySegmentStore
from onvifd.archive.reader import RecordingReader
from onvifd.clock import US, SimulatedClock
from onvifd.media.types import AccessUnit, Codec, Kind, TrackFormat
from onvifd.workers.messages import AnyMessage, MetadataDocument, RecordingState
from onvifd.workers.recorder import METADATA, Sink
from onvifd.workers.recording import Recordings
from onvifd.workers.specs import RecordSpec, VolumeSpec
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

    async def documents(self, recording: str = "rec-1", *, empty: bool = False) -> list[tuple[int, bytes]]:
        """What the metadata track holds; documents that say nothing only if they are asked for."""
        volumes = {volume.id: volume for volume in self.volumes}
        reader = RecordingReader(self.store, volumes, recording, cache=FragmentCache(), pool=self.all.pool)
        found = []
        async for loaded in reader.fragments(0):
            for sample in loaded.samples:
                if loaded.formats[sample.track] == METADATA:
                    found.append((sample.utc, loaded.data[sample.offset : sample.offset + sample.size]))
        return [each for each in found if empty or each[1] != EMPTY_DOCUMENT]

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


async def test_an_order_that_is_withdrawn_at_once_has_what_went_before_it(scene: Scene, h264: Clip) -> None:
    units = list(video_units(h264, seconds=20))
    await scene.begin([h264.format], spec(pre=15.0))
    await scene.send(units)
    scene.order("rec-1")
    scene.order()
    await scene.end()
    assert await scene.stamps() == every(units[-len(await scene.stamps()) :])
    assert len(await scene.stamps()) >= 15 * 25


async def test_sound_is_switched_while_nothing_is_written_without_a_picture_lost(scene: Scene, h264: Clip) -> None:
    units = in_order(video_units(h264, seconds=6), g711_units(seconds=6))
    await scene.begin([h264.format, PCMU], spec())
    at = next(n for n, unit in enumerate(units) if unit.utc >= T0 + 4 * US + US // 2)
    await scene.send(units[:at])
    await scene.feed.change((spec(audio=False),))
    await scene.send(units[at:])
    scene.order("rec-1")
    await scene.end()
    found = await scene.stamps()
    assert found == every(unit for unit in units if not unit.track)[-len(found) :]
    assert len(found) >= 5 * 25
    assert scene.feed.lost == 0


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


@pytest.mark.covers("P076", "P004")
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


@pytest.mark.covers("P076")
@pytest.mark.covers("ENC-11")
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
    wanted = [(T0 + n * FRAME - FRAME // 2, b"<doc/>") for n in range(10, 200, 20)]
    assert await scene.documents() == wanted
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
    found = [utc for utc, _ in await scene.documents()]
    assert len(found) == 4
    assert all(T0 <= utc <= T0 + 60 * FRAME for utc in found)


SECOND = US + FRAME
"""A document comes with the picture that shows that it is due."""


def told(state: str, value: str, utc: int, *, changed: bool = True) -> MetadataDocument:
    now, later = (f"<{state} {kind}='{value}'/>".encode() for kind in ("now", "since"))
    return MetadataDocument(
        recording="rec-1", utc=utc, document=now if changed else b"", state=state, initial=later if value else b""
    )


@pytest.mark.parametrize("pre", [5.0, 0.0])
async def test_every_second_has_a_document(scene: Scene, h264: Clip, pre: float) -> None:
    await scene.begin([h264.format], spec(pre=pre))
    units = list(video_units(h264, seconds=10))
    await scene.send(units[:60])
    scene.order("rec-1")
    await scene.send(units[60:])
    await scene.end()
    found = await scene.documents(empty=True)
    times = [utc for utc, _ in found]
    assert {document for _, document in found} == {EMPTY_DOCUMENT}
    assert times[0] == (await scene.stamps())[0]
    assert [after - before for before, after in itertools.pairwise(times)] == [US] * (len(times) - 1)
    assert T0 + 10 * US - times[-1] <= SECOND


async def test_documents_of_the_camera_are_enough(scene: Scene, h264: Clip) -> None:
    units = list(video_units(h264, seconds=10))
    own = [AccessUnit(1, T0 + n * US, n * 90_000, True, b"<camera/>") for n in range(10)]
    await scene.begin([h264.format, METADATA], spec(pre=0.0))
    scene.order("rec-1")
    await scene.send(in_order(units, own))
    await scene.end()
    (row,) = scene.rows()
    assert row.formats == (h264.format, METADATA)
    documents = await scene.documents(empty=True)
    assert [document for _, document in documents].count(b"<camera/>") == 10
    assert len(documents) == 11  # nothing was known when it began


async def test_documents_of_the_camera_and_of_control_share_a_track(scene: Scene, h264: Clip) -> None:
    units = in_order(video_units(h264, seconds=6), g711_units(seconds=6))
    other = [AccessUnit(2, T0 + n * US + 100, n * 90_000, True, b"<camera/>") for n in range(6)]
    # one that is stamped with a clock of its own
    other[3] = structs.replace(other[3], utc=T0 + 3600 * US)
    await scene.begin([h264.format, PCMU, METADATA], spec(audio=False))
    for unit in sorted([*units, *other], key=lambda unit: unit.utc if unit.utc < T0 + US * 60 else T0 + 3 * US):
        if unit.utc == T0 + 4 * US and not unit.track:
            scene.order("rec-1")
            scene.all.document(MetadataDocument(recording="rec-1", utc=unit.utc, document=b"<event/>"))
        if unit is other[3]:
            scene.sink(unit)  # type: ignore[misc]
        else:
            await scene.send([unit])
    await scene.end()
    (row,) = scene.rows()
    assert row.formats == (h264.format, METADATA)
    found = await scene.documents()
    assert [document for _, document in found].count(b"<camera/>") == 6
    assert [document for _, document in found].count(b"<event/>") == 1
    assert all(T0 <= utc < T0 + 6 * US for utc, _ in found)
    assert len({utc for utc, _ in found}) == 7


async def test_footage_begins_with_the_states_of_its_first_picture(scene: Scene, h264: Clip) -> None:
    units = list(video_units(h264, seconds=20))
    await scene.begin([h264.format], spec())
    scene.all.document(told("motion", "no", T0 - 60 * US, changed=False))
    scene.all.document(told("line", "no", T0 - US))
    scene.all.document(told("gone", "yes", T0 - US))
    scene.all.document(told("gone", "", T0 + US))
    await scene.send(units[:250])
    scene.all.document(told("motion", "yes", units[250].utc))
    scene.all.document(told("late", "yes", units[250].utc))
    await scene.send(units[250:300])
    scene.order("rec-1")
    await scene.send(units[300:400])
    # what control says of the states when it hears that footage has begun is known already
    scene.all.document(told("motion", "yes", units[400].utc, changed=False))
    scene.all.document(told("late", "yes", units[400].utc, changed=False))
    scene.all.document(told("new", "yes", T0, changed=False))
    await scene.send(units[400:])
    await scene.end()
    begin = T0 + 6 * US
    (row,) = scene.rows()
    assert row.start == begin
    found = await scene.documents()
    assert {document for utc, document in found if utc < begin + 1000} == {
        b"<motion since='no'/>",
        b"<line since='no'/>",
    }
    assert [document for utc, document in found if utc >= begin + 1000] == [
        b"<late now='yes'/>",
        b"<motion now='yes'/>",
        b"<new since='yes'/>",
    ]


async def test_states_are_told_again_after_a_gap(scene: Scene, h264: Clip) -> None:
    await scene.begin([h264.format], spec(pre=0.0))
    scene.order("rec-1")
    await scene.send(video_units(h264, seconds=2))
    scene.all.document(told("motion", "yes", T0 + 2 * US))
    await scene.clock.advance(10)
    await scene.send(video_units(h264, T0 + 20 * US, seconds=2))
    await scene.end()
    assert [row.start for row in scene.rows()] == [T0, T0 + 20 * US]
    assert (await scene.documents())[-1] == (T0 + 20 * US, b"<motion since='yes'/>")


async def test_states_of_recordings_that_are_gone_are_forgotten(scene: Scene) -> None:
    scene.all.document(told("motion", "yes", T0))
    assert list(scene.all.states_of("rec-1").at(T0)) == [("motion", b"<motion since='yes'/>")]
    scene.all.keep(["rec-2"])
    assert list(scene.all.states_of("rec-1").at(T0)) == []


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


async def test_pictures_that_fit_into_no_file_are_said_to_be_so(tmp_path: Path, store: MemorySegmentStore) -> None:
    scene = Scene(tmp_path, store)
    vp9 = TrackFormat(codec=Codec.OTHER_VIDEO, clock_rate=90000, rtpmap="VP9/90000")
    await scene.begin((vp9, PCMU), RecordSpec(recording="rec-1", volumes=("v1",)))
    scene.order("rec-1")
    await scene.send([AccessUnit(1, T0, 0, True, bytes(160))])
    scene.all.document(MetadataDocument(recording="rec-1", utc=T0, document=EMPTY_DOCUMENT))
    scene.feed.check()
    scene.feed.check()
    (state,) = [each for each in scene.said if isinstance(each, RecordingState) and each.error]
    assert (state.active, state.reason) == (False, "VP9/90000 cannot be recorded")
    assert scene.rows() == []
    await scene.end()


async def test_sound_that_fits_into_no_file_costs_no_picture(
    tmp_path: Path, store: MemorySegmentStore, h264: Clip
) -> None:
    scene = Scene(tmp_path, store)
    g726 = TrackFormat(codec=Codec.G726, clock_rate=8000, channels=1, bits=4)
    unknown = TrackFormat(codec=Codec.AAC, clock_rate=16000, rtpmap="MP4A-LATM/16000", fmtp="cpresent=1")
    for number, sound in enumerate((g726, unknown)):
        await scene.begin((h264.format, sound), RecordSpec(recording=f"rec-{number}", volumes=("v1",), metadata=False))
        scene.order(f"rec-{number}")
        await scene.send(video_units(h264, start=scene.clock.utc()))
        await scene.feed.change(())
        await scene.settle()
    assert not [each for each in scene.said if isinstance(each, RecordingState) and each.error]
    assert [[each.codec for each in row.formats] for n in (0, 1) for row in scene.rows(f"rec-{n}")] == [
        [Codec.H264]
    ] * 2
    await scene.end()
