"""Merging the metadata tracks of recordings in order of time, and PTZ positions in documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onvifd.onvif.search.metadata import (
    Axes,
    FoundMetadata,
    MetadataSearch,
    MetadataTrack,
    Position,
    PositionJudge,
    found_metadata,
    position_of,
    spaces_of,
)

NS = 'xmlns:tt="http://www.onvif.org/ver10/schema"'


@dataclass(frozen=True)
class Scanned:
    found: tuple[tuple[int, Any], ...]
    reached: int


class Tracks:
    """A backend whose scans reach `step` units of time each."""

    def __init__(self, documents: dict[str, list[int]], step: int) -> None:
        self.documents = documents
        self.step = step
        self.scans = 0

    async def scan_metadata(self, recording: str, start: int, end: int, take: Any, *, backward: bool) -> Scanned:
        self.scans += 1
        low, high = (max(start, end - self.step), end) if backward else (start, min(end, start + self.step))
        times = sorted((utc for utc in self.documents[recording] if low <= utc <= high), reverse=backward)
        found = ((utc, take(utc, b"%d" % utc)) for utc in times)
        return Scanned(tuple(each for each in found if each[1] is not None), low if backward else high)


class Collector:
    def __init__(self, most: int = 10**9) -> None:
        self.found: list[Any] = []
        self.points: list[int] = []
        self._most = most

    async def put(self, result: Any, reached: int | None = None) -> bool:
        self.found.append(result)
        return len(self.found) < self._most

    def reach(self, utc: int) -> None:
        self.points.append(utc)


async def find(tracks: Tracks, start: int, end: int, sink: Collector) -> list[tuple[int, str]]:
    backend: Any = tracks
    search: MetadataSearch[bool, FoundMetadata] = MetadataSearch(
        backend=backend,
        start=start,
        end=end,
        tracks=tuple(MetadataTrack(name, "META001", 0, 200) for name in sorted(tracks.documents)),
        take=lambda utc, _: True if utc % 3 else None,
        judge=found_metadata,
    )
    await search.run(sink)
    return [(each.utc, each.recording) for each in sink.found]


@given(
    st.dictionaries(st.sampled_from("abcd"), st.lists(st.integers(0, 100), max_size=30), max_size=4),
    st.integers(-5, 105),
    st.integers(-5, 105),
    st.integers(0, 40),
)
@settings(deadline=None)
async def test_all_recordings_in_order_of_time_each_result_once(
    documents: dict[str, list[int]], start: int, end: int, step: int
) -> None:
    tracks, sink = Tracks(documents, step), Collector()
    found = await find(tracks, start, end, sink)
    low, high = min(start, end), max(start, end)
    wanted = {(utc, name) for name, times in documents.items() for utc in times if low <= utc <= high and utc % 3}
    assert len(found) == len(set(found))
    assert set(found) == wanted
    times = [utc for utc, _ in found]
    assert times == sorted(times, reverse=end < start)
    assert sink.points == sorted(sink.points, reverse=end < start)


async def test_a_search_that_has_enough_reads_no_further() -> None:
    tracks = Tracks({"a": list(range(100))}, 9)
    assert len(await find(tracks, 0, 100, Collector(most=3))) == 3
    assert tracks.scans == 1


@pytest.mark.parametrize("crossings", [False, True])
@given(st.lists(st.integers(-3, 3), max_size=30))
@settings(deadline=None)
def test_positions_are_the_same_in_both_directions(crossings: bool, pans: list[int]) -> None:
    track = MetadataTrack("a", "META001", 0, 100)
    least, most = (Position(Axes((x, x), "")) for x in (-1.0, 1.0))
    given_ = [(utc, Position(Axes((float(pan), 0.0), ""))) for utc, pan in enumerate(pans)]

    def judged(backward: bool) -> list[int]:
        judge = PositionJudge(least, most, crossings, backward)
        found = (judge(track, utc, position) for utc, position in (given_[::-1] if backward else given_))
        return [each.utc for each in found if each is not None]

    assert judged(True) == judged(False)[::-1]
    inside = [abs(pan) <= 1 for pan in pans]
    if crossings:
        assert judged(False) == [n for n in range(1, len(pans)) if inside[n] != inside[n - 1]]
    else:
        assert judged(False) == [n for n in range(len(pans)) if inside[n]]


def test_positions_in_described_scenes_count_too() -> None:
    """A frame may state where the camera looked (Analytics, scene description)."""
    document = (
        f'<tt:MetadataStream {NS}><tt:VideoAnalytics><tt:Frame UtcTime="2026-01-01T00:00:00Z"><tt:PTZStatus><tt:Position>'
        '<tt:PanTilt x="1e-1" y="-1" space="urn:x"/></tt:Position></tt:PTZStatus></tt:Frame></tt:VideoAnalytics></tt:MetadataStream>'
    ).encode()
    assert position_of(0, document) == Position(Axes((0.1, -1.0), "urn:x"))
    assert spaces_of((document, b"")) == ("urn:x",)


@pytest.mark.parametrize(
    "inside",
    [
        "",
        "<tt:Position/>",
        '<tt:Position><tt:PanTilt x="1"/></tt:Position>',
        '<tt:Position><tt:PanTilt x="nan" y="0"/></tt:Position>',
        '<tt:Position><tt:PanTilt x="a" y="0"/><tt:Zoom x="inf"/></tt:Position>',
    ],
)
def test_what_states_no_position(inside: str) -> None:
    document = f"<tt:MetadataStream {NS}><tt:PTZ><tt:PTZStatus>{inside}</tt:PTZStatus></tt:PTZ></tt:MetadataStream>"
    assert position_of(0, document.encode()) is None


@given(st.binary(max_size=200))
def test_any_bytes_are_a_document_or_not(data: bytes) -> None:
    assert position_of(0, b"<PTZStatus" + data) is None
