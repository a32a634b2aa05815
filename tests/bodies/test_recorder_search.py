"""What the archive holds at a moment, for the search service: by the index and the files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from onvifd.archive.disk import SegmentFiles, Volume
from onvifd.archive.index import EndReason, FragmentFlag, SegmentRow, SegmentState
from onvifd.archive.memory import MemorySegmentStore
from onvifd.archive.segment import Append, SegmentWriter
from onvifd.bodies.recorder_search import LIVE_EDGE, RecorderSearch
from onvifd.clock import US
from onvifd.errors import NotFound
from onvifd.events import topics
from onvifd.events.types import Event, Operation
from onvifd.media.types import AccessUnit, Codec, Kind, TrackFormat
from onvifd.onvif.backend import Recording, Track
from onvifd.onvif.search.metadata import PAN_TILT_SPACE, ZOOM_SPACE

T0 = 1_767_225_600 * US
REC = "rec-1"
KINDS = ((Kind.VIDEO, "VIDEO001"), (Kind.AUDIO, "AUDIO001"), (Kind.METADATA, "META001"))
POSITION = (
    b'<tt:MetadataStream xmlns:tt="http://www.onvif.org/ver10/schema"><tt:PTZ><tt:PTZStatus><tt:Position>'
    b'<tt:PanTilt x="0.5" y="0"/><tt:Zoom x="0"/></tt:Position></tt:PTZStatus></tt:PTZ></tt:MetadataStream>'
)


class Recorder:
    def __init__(self, *more: Track) -> None:
        self.more = more

    def recordings(self) -> tuple[Recording, ...]:
        return (self.recording(REC, "InvalidToken"),)

    def recording(self, token: str, detail: str = "") -> Recording:
        if token != REC:
            raise NotFound("no", detail=detail)
        tracks = tuple(Track(token=name, kind=kind, description="") for kind, name in KINDS)
        return Recording(
            token=REC,
            source_id="",
            source_name="",
            source_location="",
            source_description="",
            source_address="",
            content="",
            retention=0,
            tracks=tuple(sorted((*tracks, *self.more), key=lambda each: each.token)),
        )

    def is_recording(self, token: str) -> bool:
        return False

    def framerate_of(self, token: str) -> float:
        return 25.0


class Events:
    """What the store says was the last of each property."""

    def __init__(self, *events: Event) -> None:
        self.events = events

    def states_at(self, at: int, recordings: Sequence[str]) -> tuple[Event, ...]:
        return self.events


@pytest.fixture
def store() -> MemorySegmentStore:
    return MemorySegmentStore()


@pytest.fixture
async def executor() -> AsyncIterator[ThreadPoolExecutor]:
    made = ThreadPoolExecutor(2)
    yield made
    made.shutdown()


def add(
    store: MemorySegmentStore,
    start: int,
    end: int,
    reason: EndReason,
    kinds: int = 3,
    state: SegmentState | None = None,
    codec: Codec | None = None,
) -> None:
    store.insert_segment(
        SegmentRow(
            recording=REC,
            volume="v",
            path=str(start),
            start=T0 + start * US,
            end=T0 + end * US,
            size=1,
            formats=(TrackFormat(codec=codec, clock_rate=90_000),) if codec else (),
            kinds=FragmentFlag(kinds),
            state=state or SegmentState.CLOSED,
            end_reason=reason,
        )
    )


async def states(search: RecorderSearch, at: float) -> dict[str, str]:
    """Values at a moment by the last item of their source."""
    found = await search.states_at(T0 + round(at * US), frozenset({REC}))
    assert {event.utc for _, event in found} == {T0 + round(at * US)}
    assert {event.operation for _, event in found} == {Operation.INITIALIZED}
    return {event.source[-1][1]: event.data[0][1] for _, event in found}


ALL = {REC: "true", "VIDEO001": "true", "AUDIO001": "true", "META001": "false"}
NONE = dict.fromkeys(ALL, "false")


@pytest.mark.covers("G-FindEvents")
@pytest.mark.parametrize(
    ("at", "wanted"),
    [(-1, NONE), (0, ALL), (59, ALL), (60.02, ALL), (100, ALL), (120, NONE), (200, NONE), (301, ALL), (400, NONE)],
)
async def test_states_are_those_of_the_footage(
    store: MemorySegmentStore, executor: ThreadPoolExecutor, at: float, wanted: dict[str, str]
) -> None:
    add(store, 0, 60, EndReason.TIME)
    add(store, 61, 120, EndReason.GAP)
    add(store, 300, 301, EndReason.NONE, state=SegmentState.OPEN)
    # what the events say does not count: the recorder may have died
    wrong: Any = Events(topics.recording_state(REC, at == 200, T0), topics.track_state(REC, "VIDEO001", True, T0))
    recorder: Any = Recorder()
    search = RecorderSearch(recorder, store, wrong, executor)
    assert LIVE_EDGE < 50 * US
    assert await states(search, at) == wanted


async def test_encodings_of_a_kind_are_tracks_of_their_own(
    store: MemorySegmentStore, executor: ThreadPoolExecutor
) -> None:
    for start, codec in ((0, Codec.H264), (60, Codec.H265), (120, Codec.H264), (180, Codec.H265)):
        add(store, start, start + 60, EndReason.FORMAT, kinds=1, codec=codec)
    recorder: Any = Recorder(Track(token="VIDEO002", kind=Kind.VIDEO, description=""))
    events: Any = Events()
    search = RecorderSearch(recorder, store, events, executor)
    (data,) = await search.recording_data((REC,))
    times = {each.token: ((each.data_from - T0) // US, (each.data_to - T0) // US) for each in data.tracks}
    assert times == {"VIDEO001": (0, 180), "VIDEO002": (60, 240)}
    for at, token in ((10, "VIDEO001"), (100, "VIDEO002"), (130, "VIDEO001")):
        (media,) = await search.media_attributes((REC,), T0 + at * US)
        assert [each.token for each in media.tracks] == [token]
        assert {name for name, held in (await states(search, at)).items() if held == "true"} == {REC, token}


async def test_other_states_are_those_of_the_events(store: MemorySegmentStore, executor: ThreadPoolExecutor) -> None:
    events: Any = Events(topics.motion_alarm("vs-1", True, T0, REC))
    recorder: Any = Recorder()
    assert await states(RecorderSearch(recorder, store, events, executor), 5) == NONE | {"vs-1": "true"}


@pytest.mark.covers("G-GetMediaAttributes")
async def test_spaces_of_positions_are_told_where_there_are_some(
    store: MemorySegmentStore, executor: ThreadPoolExecutor, tmp_path: Any
) -> None:
    """Search 5.6: devices that may hold PTZ positions report the spaces in use at the moment."""
    volume = Volume("v", tmp_path)
    formats = [TrackFormat(codec=Codec.METADATA, clock_rate=90_000)]
    for start, document in ((0, b"<x/>"), (100, POSITION)):
        core, files = SegmentWriter(REC, "v", formats), SegmentFiles(volume, store)
        units = [AccessUnit(0, T0 + (start + n) * US, n * 90_000, True, document) for n in range(5)]
        for action in [each for unit in units for each in core.feed(unit, unit.utc / US)] + core.finish(EndReason.STOP):
            files.append(action) if isinstance(action, Append) else files.close(action)
    recorder: Any = Recorder()
    events: Any = Events()
    search = RecorderSearch(recorder, store, events, executor, lambda: {"v": volume})
    ((none,), (some,)) = [
        each.tracks for at in (1, 101) for each in await search.media_attributes((REC,), T0 + at * US)
    ]
    assert (none.ptz_spaces, some.ptz_spaces) == ((), (PAN_TILT_SPACE, ZOOM_SPACE))
    assert (none.kind, some.analytics) == (Kind.METADATA, False)
    found = await search.scan_metadata(
        REC, 0, 1 << 60, lambda utc, document: document == POSITION or None, backward=True
    )
    assert [utc for utc, _ in found.found] == [T0 + (100 + n) * US for n in (4, 3, 2, 1, 0)]
