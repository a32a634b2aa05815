"""FindMetadata, FindPTZPosition and GetSearchState by bytes (Search 5.11 to 5.14, 6.1)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from onvifd.clock import US, SimulatedClock, isoformat
from onvifd.events.topics import RECORDER_TOPICS, motion_alarm
from onvifd.onvif.notification.metadata import metadata_document
from onvifd.onvif.search.metadata import PAN_TILT_SPACE, ZOOM_SPACE
from onvifd.onvif.services.common import NS_SEARCH
from onvifd.onvif.services.search import SearchService
from onvifd.onvif.types import tse, tt

TSE = f"{{{NS_SEARCH}}}"
TT = "{http://www.onvif.org/ver10/schema}"
REC1, REC2 = "rec-cam-1a2b3c4d", "rec-cam-5e6f7a8b"
TEN = timedelta(seconds=10)
MINUTE = 60 * US


def scene(right: float, kind: str = "Human") -> bytes:
    """A frame with one object (Streaming 5.1.2.1.1)."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><tt:MetadataStream xmlns:tt="{TT[1:-1]}"><tt:VideoAnalytics>'
        f'<tt:Frame UtcTime="2026-01-01T00:00:00Z"><tt:Object ObjectId="1"><tt:Appearance><tt:Shape>'
        f'<tt:BoundingBox left="0.1" top="0.9" right="{right}" bottom="0.6"/><tt:CenterOfGravity x="0" y="0"/></tt:Shape>'
        f"<tt:Class><tt:Type Likelihood='0.9'>{kind}</tt:Type></tt:Class></tt:Appearance></tt:Object></tt:Frame>"
        "</tt:VideoAnalytics></tt:MetadataStream>"
    ).encode()


def turned(pan: float, tilt: float = 0.0, zoom: float = 0.0, space: str = "") -> bytes:
    """A position (Streaming 5.1.2.1.1)."""
    named = f' space="{space}"' if space else ""
    return (
        f'<tt:MetadataStream xmlns:tt="{TT[1:-1]}"><tt:PTZ><tt:PTZStatus><tt:Position>'
        f'<tt:PanTilt x="{pan}" y="{tilt}"{named}/><tt:Zoom x="{zoom}"/></tt:Position>'
        "<tt:UtcTime>2026-01-01T00:00:00Z</tt:UtcTime></tt:PTZStatus></tt:PTZ></tt:MetadataStream>"
    ).encode()


@pytest.fixture
def begin(sample: ModuleType) -> int:
    value: int = sample.BEGIN
    return value


@pytest.fixture
async def service(body: Any, begin: int) -> AsyncIterator[SearchService]:
    motion = [
        metadata_document([motion_alarm("vs-cam-1a2b3c4d", on, begin + at)]) for at, on in ((1, True), (2, False))
    ]
    body.metadata_ = {
        REC1: [
            (begin + 1 * MINUTE, motion[0]),
            (begin + 2 * MINUTE, scene(0.4)),
            (begin + 3 * MINUTE, scene(0.7, "Vehicle")),
            (begin + 4 * MINUTE, motion[1]),
            (begin + 4 * MINUTE, motion[1]),
            (begin + 5 * MINUTE, b"this is no XML <"),
            *((begin + (10 + n) * MINUTE, turned(pan)) for n, pan in enumerate((-0.9, -0.4, 0.1, 0.2, 0.8, 0.3))),
        ],
        REC2: [
            (begin + 90 * US, scene(0.9)),
            (begin + 3 * MINUTE + 1, scene(0.2)),
            (begin + 660 * US + 1, turned(0.15)),
        ],
    }
    made = SearchService(body, body, SimulatedClock(), RECORDER_TOPICS, max_searches=20)
    yield made
    await made.close()


@pytest.fixture
def asked(service: SearchService, client: Callable[..., Any]) -> Any:
    return client(service)


async def results(asked: Any, request: Any, **options: Any) -> list[tuple[str, str]]:
    """Minutes after the start and recording of all results, and that each answer keeps to its bounds."""
    token = (await asked.ask(request)).findtext(f"{TSE}SearchToken")
    ask = tse.GetMetadataSearchResults if isinstance(request, tse.FindMetadata) else tse.GetPTZPositionSearchResults
    found: list[Any] = []
    while True:
        (answer,) = await asked.ask(ask(search_token=token, wait_time=TEN, **({"max_results": 2} | options)))
        page = answer.findall(f"{TT}Result")
        assert len(page) <= 2
        found += page
        if answer.findtext(f"{TT}SearchState") == "Completed":
            break
    assert await asked.fault(ask(search_token=token)) == ("Sender", "InvalidArgVal", "InvalidToken")
    assert {item.findtext(f"{TT}TrackToken") for item in found} <= {"META001"}
    return [(item.findtext(f"{TT}Time"), item.findtext(f"{TT}RecordingToken")) for item in found]


def metadata(begin: int, start: float, end: float | None, text: str, **more: Any) -> tse.FindMetadata:
    """Times are minutes after the start of the recordings."""
    return tse.FindMetadata(
        start_point=begin + round(start * MINUTE),
        end_point=None if end is None else begin + round(end * MINUTE),
        scope=more.pop("scope", tt.SearchScope()),
        metadata_filter=tt.MetadataFilter(metadata_stream_filter=text),
        keep_alive_time=TEN,
        **more,
    )


def at(begin: int, *times: tuple[float, str]) -> list[tuple[str, str]]:
    return [(isoformat(begin + round(minutes * MINUTE)), recording) for minutes, recording in times]


RIGHT_HALF = 'boolean(//Object/Appearance/Shape/BoundingBox[@right > "0.5"])'
FORWARD = ((1.5, REC2), (3, REC1))


@pytest.mark.covers("G-FindMetadata", "G-GetMetadataSearchResults")
@pytest.mark.parametrize("whole", [(0.0, 60.0), (-100.0, 5000.0), (1.5, 3.0)])
async def test_documents_are_found_in_both_directions(asked: Any, begin: int, whole: tuple[float, float]) -> None:
    forward = await results(asked, metadata(begin, *whole, RIGHT_HALF))
    assert forward == at(begin, *FORWARD)
    assert await results(asked, metadata(begin, *whole[::-1], RIGHT_HALF)) == forward[::-1]


@pytest.mark.covers("G-FindMetadata")
@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('boolean(//Object/Appearance/Class[Type = "Vehicle"])', ((3, REC1),)),
        ('contains(//Class/Type, "Hum")', ((1.5, REC2), (2, REC1), (3 + 1 / MINUTE, REC2))),
        ('boolean(//SimpleItem[@Name="State" and @Value="true"])', ((1, REC1),)),
        ('boolean(//wsnt:Topic) and not(boolean(//tt:SimpleItem[@Value="true"]))', ((4, REC1),)),
        ('contains(//Topic, "MotionAlarm")', ((1, REC1), (4, REC1))),
        ('boolean(//Track[TrackToken = "NonExistingToken"])', ()),
        ("count(//Object) = 1 and //BoundingBox[1]/@left < 0.05", ()),
        ('boolean(//PanTilt[@x > "0.5"])', ((14, REC1),)),
    ],
)
async def test_expressions(asked: Any, begin: int, text: str, wanted: tuple[tuple[float, str], ...]) -> None:
    assert await results(asked, metadata(begin, 0, 60, text)) == at(begin, *wanted)


async def test_without_an_end_forward_to_the_present(asked: Any, begin: int) -> None:
    assert await results(asked, metadata(begin, 2, None, RIGHT_HALF)) == at(begin, (3, REC1))


async def test_without_an_expression_all_documents(asked: Any, begin: int) -> None:
    scope = tt.SearchScope(included_recordings=(REC2,))
    assert len(await results(asked, metadata(begin, 0, 60, "", scope=scope))) == 3


@pytest.mark.covers("G-FindMetadata")
async def test_scope_and_most_matches(asked: Any, begin: int) -> None:
    scope = tt.SearchScope(included_recordings=(REC1,))
    assert await results(asked, metadata(begin, 0, 60, RIGHT_HALF, scope=scope)) == at(begin, (3, REC1))
    assert await results(asked, metadata(begin, 0, 60, RIGHT_HALF, max_matches=1)) == at(begin, FORWARD[0])
    assert await results(asked, metadata(begin, 60, 0, RIGHT_HALF, max_matches=1)) == at(begin, FORWARD[1])
    none = tt.SearchScope(
        recording_information_filter='boolean(//Track[TrackType = "Audio"])', included_recordings=(REC2,)
    )
    assert await results(asked, metadata(begin, 0, 60, RIGHT_HALF, scope=none)) == []


@pytest.mark.covers("G-FindMetadata")
@pytest.mark.parametrize("text", ["//Object[", "$x", "//none:Object", "x" * 5000, 'document("x")'])
async def test_what_is_no_expression_is_refused(asked: Any, begin: int, text: str) -> None:
    assert await asked.fault(metadata(begin, 0, 60, text)) == ("Sender", "InvalidArgVal", "InvalidFilterFault")


@pytest.mark.covers("G-FindMetadata", "G-FindPTZPosition")
async def test_unknown_recordings_are_refused(asked: Any, begin: int) -> None:
    scope = tt.SearchScope(included_recordings=("none",))
    assert await asked.fault(metadata(begin, 0, 60, "//x", scope=scope)) == ("Sender", "InvalidArgVal", "InvalidToken")


async def test_searches_are_limited(asked: Any, begin: int) -> None:
    for request in (metadata(begin, 0, 60, "//x"), positions(begin, 0, 60, (-1, -1), (1, 1))):
        for _ in range(20):
            await asked.ask(request)
        assert await asked.fault(request) == ("Receiver", "Action", "ResourceProblem")


# ---- PTZ positions


def positions(
    begin: int, start: float, end: float | None, least: Any, most: Any, *, crossings: bool = False, **more: Any
) -> tse.FindPTZPosition:
    def vector(value: Any) -> tt.PTZVector:
        if isinstance(value, tt.PTZVector):
            return value
        return tt.PTZVector(pan_tilt=tt.Vector2D(x=value[0], y=value[1]))

    return tse.FindPTZPosition(
        start_point=begin + round(start * MINUTE),
        end_point=None if end is None else begin + round(end * MINUTE),
        scope=more.pop("scope", tt.SearchScope()),
        search_filter=tt.PTZPositionFilter(
            min_position=vector(least), max_position=vector(most), enter_or_exit=crossings
        ),
        keep_alive_time=TEN,
        **more,
    )


ONE = tt.SearchScope(included_recordings=(REC1,))


@pytest.mark.covers("G-FindPTZPosition", "G-GetPTZPositionSearchResults")
@pytest.mark.parametrize("whole", [(0.0, 60.0), (-100.0, 5000.0), (10.0, 15.0)])
async def test_positions_in_a_volume_in_both_directions(asked: Any, begin: int, whole: tuple[float, float]) -> None:
    wanted = at(begin, *((10 + n, REC1) for n in range(6)))
    wanted.insert(2, *at(begin, (11 + 1 / MINUTE, REC2)))
    assert await results(asked, positions(begin, *whole, (-1, -1), (1, 1))) == wanted
    assert await results(asked, positions(begin, *whole[::-1], (-1, -1), (1, 1))) == wanted[::-1]
    inside = at(begin, (12, REC1), (13, REC1), (15, REC1))
    assert await results(asked, positions(begin, *whole, (0, -1), (0.5, 1), scope=ONE)) == inside


@pytest.mark.covers("G-FindPTZPosition")
async def test_one_certain_position(asked: Any, begin: int) -> None:
    request = positions(begin, 60, 0, (0.2, 0), (0.2, 0))
    assert await results(asked, request) == at(begin, (13, REC1))
    token = (await asked.ask(request)).findtext(f"{TSE}SearchToken")
    (answer,) = await asked.ask(tse.GetPTZPositionSearchResults(search_token=token, min_results=1, wait_time=TEN))
    position = answer.find(f"{TT}Result/{TT}Position/{TT}PanTilt")
    assert (position.get("x"), position.get("y")) == ("0.2", "0")


@pytest.mark.covers("G-FindPTZPosition", "G-GetPTZPositionSearchResults")
async def test_entering_and_leaving_are_the_same_in_both_directions(asked: Any, begin: int) -> None:
    # -0.9 -0.4 | 0.1 0.2 | 0.8 | 0.3: in at 12, out at 14, in at 15; what was before 10 is not looked at
    wanted = at(begin, (12, REC1), (14, REC1), (15, REC1))
    ask = positions(begin, 0, 60, (0, -1), (0.5, 1), crossings=True, scope=ONE)
    assert await results(asked, ask) == wanted
    ask = positions(begin, 60, 0, (0, -1), (0.5, 1), crossings=True, scope=ONE)
    assert await results(asked, ask) == wanted[::-1]


@pytest.mark.covers("G-FindPTZPosition")
async def test_spaces_and_missing_elements(asked: Any, begin: int, body: Any) -> None:
    def zoom(x: float) -> tt.PTZVector:
        return tt.PTZVector(zoom=tt.Vector1D(x=x))

    def pan(x: float, space: str) -> tt.PTZVector:
        return tt.PTZVector(pan_tilt=tt.Vector2D(x=x, y=0.0, space=space))

    assert len(await results(asked, positions(begin, 0, 60, zoom(0), zoom(1)))) == 7
    assert await results(asked, positions(begin, 0, 60, zoom(0.5), zoom(1))) == []
    assert len(await results(asked, positions(begin, 0, 60, pan(-1, PAN_TILT_SPACE), pan(1, PAN_TILT_SPACE)))) == 7
    assert await results(asked, positions(begin, 0, 60, pan(-1, "urn:degrees"), pan(1, "urn:degrees"))) == []
    body.metadata_ = {REC1: [(begin + MINUTE, turned(0.5, space=ZOOM_SPACE)), (begin + 2 * MINUTE, b"PTZStatus")]}
    assert len(await results(asked, positions(begin, 0, 60, tt.PTZVector(), tt.PTZVector()))) == 1
    assert await results(asked, positions(begin, 0, 60, (-1, -1), (1, 1))) == []


# ---- sessions


@pytest.mark.covers("G-GetMetadataSearchResults")
async def test_state_is_searching_until_all_was_given(asked: Any, begin: int) -> None:
    token = (await asked.ask(metadata(begin, 0, 60, RIGHT_HALF))).findtext(f"{TSE}SearchToken")
    state = tse.GetSearchState(search_token=token)
    assert (await asked.ask(state)).findtext(f"{TSE}State") == "Searching"
    await asked.ask(tse.GetMetadataSearchResults(search_token=token, max_results=2, min_results=1, wait_time=TEN))
    await asked.clock.advance(1)
    again = tse.GetMetadataSearchResults(search_token=token, wait_time=TEN)
    while (answer := await asked.send(state)).status == 200 and b"Searching" in answer.body:
        await asked.send(again)
    assert await asked.fault(again) == ("Sender", "InvalidArgVal", "InvalidToken")


@pytest.mark.covers("G-EndSearch")
async def test_end_search_of_metadata_gives_the_point_reached(asked: Any, begin: int) -> None:
    for request in (metadata(begin, 0, 60, RIGHT_HALF), positions(begin, 60, 0, (-1, -1), (1, 1))):
        token = (await asked.ask(request)).findtext(f"{TSE}SearchToken")
        answer = await asked.ask(tse.EndSearch(search_token=token))
        assert isoformat(begin) <= answer.findtext(f"{TSE}Endpoint") <= isoformat(begin + 60 * MINUTE)
        assert await asked.fault(tse.EndSearch(search_token=token)) == ("Sender", "InvalidArgVal", "InvalidToken")
