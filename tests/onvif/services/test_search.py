"""Recording search: every operation by bytes, valid against the official schema, with its access class and faults."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest
from lxml import etree

from onvifd.access.types import AccessClass, Level, may
from onvifd.clock import US, SimulatedClock
from onvifd.errors import Unavailable
from onvifd.events.topics import RECORDER_TOPICS
from onvifd.onvif.backend import SourceKind
from onvifd.onvif.services.common import NS_SEARCH
from onvifd.onvif.services.search import SearchService
from onvifd.onvif.types import tse, tt

TSE = f"{{{NS_SEARCH}}}"
TT = "{http://www.onvif.org/ver10/schema}"
WSNT = "{http://docs.oasis-open.org/wsn/b-2}"
REC1, REC2 = "rec-cam-1a2b3c4d", "rec-cam-5e6f7a8b"
READ, PRE_AUTH = AccessClass.READ_MEDIA, AccessClass.PRE_AUTH
TEN = timedelta(seconds=10)
SCOPE = tt.SearchScope()
MAX_SEARCHES = 20
NAMESPACES = (
    f'xmlns="{NS_SEARCH}" xmlns:t="{TT[1:-1]}" xmlns:w="{WSNT[1:-1]}" xmlns:tns1="http://www.onvif.org/ver10/topics"'
)
CONCRETE_SET = "http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet"
ITEM_FILTER = "http://www.onvif.org/ver10/tev/messageContentFilter/ItemFilter"


@pytest.fixture
def now(sample: ModuleType) -> int:
    value: int = sample.NOW
    return value


@pytest.fixture
async def service(body: Any) -> AsyncIterator[SearchService]:
    made = SearchService(body, body, SimulatedClock(), RECORDER_TOPICS, max_searches=MAX_SEARCHES)
    yield made
    await made.close()


@pytest.fixture
def asked(service: SearchService, client: Callable[..., Any]) -> Any:
    return client(service)


async def find_recordings(asked: Any, scope: str = "", extra: str = "") -> str:
    """Start a search with the XML inside Scope; returns its token."""
    answer = await asked.ask(
        f"<FindRecordings {NAMESPACES}><Scope>{scope}</Scope>{extra}<KeepAliveTime>PT10S</KeepAliveTime></FindRecordings>"
    )
    return str(answer.findtext(f"{TSE}SearchToken"))


async def recordings(asked: Any, token: str, **options: Any) -> tuple[str, list[str]]:
    """State and tokens of the next results."""
    found = (await asked.ask(tse.GetRecordingSearchResults(search_token=token, **options)))[0]
    state = found.findtext(f"{TT}SearchState")
    return state, [item.findtext(f"{TT}RecordingToken") for item in found.findall(f"{TT}RecordingInformation")]


def events_request(
    start: str, end: str = "", filter_: str = "", scope: str = "", states: bool = False, extra: str = ""
) -> str:
    point = f"<EndPoint>{end}</EndPoint>" if end else ""
    return (
        f"<FindEvents {NAMESPACES}><StartPoint>{start}</StartPoint>{point}<Scope>{scope}</Scope>"
        f"<SearchFilter>{filter_}</SearchFilter><IncludeStartState>{str(states).lower()}</IncludeStartState>"
        f"{extra}<KeepAliveTime>PT10S</KeepAliveTime></FindEvents>"
    )


def topic(text: str) -> str:
    return f'<w:TopicExpression Dialect="{CONCRETE_SET}">{text}</w:TopicExpression>'


async def events(asked: Any, *args: Any, **options: Any) -> list[Any]:
    """All results of a FindEvents."""
    answer = await asked.ask(events_request(*args, **options))
    token = answer.findtext(f"{TSE}SearchToken")
    found = []
    while True:
        (results,) = await asked.ask(tse.GetEventSearchResults(search_token=token, max_results=3, wait_time=TEN))
        found += results.findall(f"{TT}Result")
        if results.findtext(f"{TT}SearchState") == "Completed":
            return found


def summary(result: Any) -> tuple[str, str, str, bool]:
    """Time after 23:00, recording, value and whether it is virtual."""
    message = result.find(f"{TT}Event/{WSNT}Message/{TT}Message")
    assert message.get("UtcTime") == result.findtext(f"{TT}Time")
    return (
        result.findtext(f"{TT}Time").partition("T")[2],
        result.findtext(f"{TT}RecordingToken"),
        message.find(f"{TT}Data/{TT}SimpleItem").get("Value"),
        result.findtext(f"{TT}StartStateEvent") == "true",
    )


# ---- every operation

METADATA = tse.FindMetadata(
    start_point=0, scope=SCOPE, metadata_filter=tt.MetadataFilter(metadata_stream_filter="//x"), keep_alive_time=TEN
)
POSITIONS = tse.FindPTZPosition(
    start_point=0,
    scope=SCOPE,
    search_filter=tt.PTZPositionFilter(min_position=tt.PTZVector(), max_position=tt.PTZVector(), enter_or_exit=False),
    keep_alive_time=TEN,
)


async def request_for(name: str, asked: Any) -> Any:
    """A request that succeeds, with the search that it needs."""
    match name:
        case "GetRecordingInformation":
            return tse.GetRecordingInformation(recording_token=REC1)
        case "GetMediaAttributes":
            return tse.GetMediaAttributes(time=asked.clock.utc() - 60 * US)
        case "FindRecordings":
            return tse.FindRecordings(scope=SCOPE, keep_alive_time=TEN)
        case "GetRecordingSearchResults":
            return tse.GetRecordingSearchResults(search_token=await find_recordings(asked), max_results=1)
        case "FindEvents":
            return events_request("2026-01-01T00:00:00Z")
        case "GetEventSearchResults":
            answer = await asked.ask(events_request("2025-12-31T23:00:00Z"))
            return tse.GetEventSearchResults(search_token=answer.findtext(f"{TSE}SearchToken"), max_results=1)
        case "FindMetadata":
            return METADATA
        case "GetMetadataSearchResults":
            answer = await asked.ask(METADATA)
            return tse.GetMetadataSearchResults(search_token=answer.findtext(f"{TSE}SearchToken"))
        case "FindPTZPosition":
            return POSITIONS
        case "GetPTZPositionSearchResults":
            answer = await asked.ask(POSITIONS)
            return tse.GetPTZPositionSearchResults(search_token=answer.findtext(f"{TSE}SearchToken"))
        case "GetSearchState":
            return tse.GetSearchState(search_token=await find_recordings(asked))
        case "EndSearch":
            return tse.EndSearch(search_token=await find_recordings(asked))
        case _:
            return getattr(tse, name)()


NAMES = [item.name.removeprefix(TSE) for item in SearchService.operations()]


def test_the_operations_are_those_of_this_cut() -> None:
    assert set(NAMES) == {
        "GetServiceCapabilities",
        "GetRecordingSummary",
        "GetRecordingInformation",
        "GetMediaAttributes",
        "FindRecordings",
        "GetRecordingSearchResults",
        "FindEvents",
        "GetEventSearchResults",
        "FindMetadata",
        "GetMetadataSearchResults",
        "FindPTZPosition",
        "GetPTZPositionSearchResults",
        "GetSearchState",
        "EndSearch",
    }


@pytest.mark.covers(
    *("G-EndSearch", "G-FindEvents", "G-FindRecordings", "G-GetEventSearchResults", "G-GetMediaAttributes"),
    *("G-GetRecordingInformation", "G-GetRecordingSearchResults", "G-GetRecordingSummary"),
    *("G-search-GetServiceCapabilities",),
)
@pytest.mark.parametrize("name", NAMES)
async def test_the_answer_is_valid(asked: Any, name: str) -> None:
    assert (await asked.ask(await request_for(name, asked))).tag == f"{TSE}{name}Response"


@pytest.mark.parametrize("name", NAMES)
async def test_access_class(asked: Any, name: str) -> None:
    access = PRE_AUTH if name == "GetServiceCapabilities" else READ
    for level in (Level.USER, Level.OPERATOR, Level.ADMINISTRATOR):
        reply = await asked.send(await request_for(name, asked), str(level).lower())
        assert (reply.status == 200) == may(level, access), level
    assert ((await asked.send(await request_for(name, asked), None)).status == 200) == (access is PRE_AUTH)


async def test_capabilities(asked: Any) -> None:
    found = (await asked.ask(tse.GetServiceCapabilities(), None))[0]
    assert (found.get("MetadataSearch"), found.get("GeneralStartEvents")) == ("true", "true")


# ---- without a session


@pytest.mark.covers("G-GetRecordingSummary")
async def test_summary_spans_all_recordings(asked: Any) -> None:
    found = (await asked.ask(tse.GetRecordingSummary()))[0]
    assert [child.text for child in found] == ["2025-12-31T23:00:00Z", "2026-01-01T00:00:00Z", "2"]


@pytest.mark.covers("G-GetRecordingSummary")
async def test_summary_of_an_empty_recorder_is_valid(asked: Any, body: Any) -> None:
    body.recordings_ = ()
    found = (await asked.ask(tse.GetRecordingSummary()))[0]
    assert found.findtext(f"{TT}NumberRecordings") == "0"


@pytest.mark.covers("G-GetRecordingInformation")
async def test_recording_information(asked: Any) -> None:
    found = (await asked.ask(tse.GetRecordingInformation(recording_token=REC2)))[0]
    assert found.findtext(f"{TT}RecordingStatus") == "Stopped"
    assert found.findtext(f"{TT}EarliestRecording") == "2025-12-31T23:00:00Z"
    assert found.findtext(f"{TT}LatestRecording") == "2025-12-31T23:30:00Z"
    assert found.findtext(f"{TT}Source/{TT}SourceId") == "vs-cam-5e6f7a8b"
    assert [track.findtext(f"{TT}TrackType") for track in found.findall(f"{TT}Track")] == ["Video"]
    assert found.find(f"{TT}MaximumRetentionTime") is None


@pytest.mark.covers("G-GetRecordingInformation")
async def test_recording_without_data_has_neither_times_nor_tracks(
    asked: Any, body: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data,) = await body.recording_data((REC1,))

    async def empty(tokens: object = None) -> Any:
        return (dataclasses.replace(data, earliest=None, latest=None, tracks=()),)

    monkeypatch.setattr(body, "recording_data", empty)
    found = (await asked.ask(tse.GetRecordingInformation(recording_token=REC1)))[0]
    assert found.find(f"{TT}EarliestRecording") is None
    assert found.find(f"{TT}Track") is None


@pytest.mark.covers("G-GetMediaAttributes")
async def test_media_attributes_of_all_recordings_at_a_moment(asked: Any, now: int) -> None:
    answer = await asked.ask(tse.GetMediaAttributes(time=now - 3000 * US))
    assert [item.findtext(f"{TT}RecordingToken") for item in answer] == [REC1, REC2]
    video, audio = answer[0].findall(f"{TT}TrackAttributes")
    assert video.findtext(f"{TT}VideoAttributes/{TT}Encoding") == "H264"
    assert video.findtext(f"{TT}VideoAttributes/{TT}Width") == "1920"
    assert audio.findtext(f"{TT}AudioAttributes/{TT}Encoding") == "G711"
    assert answer[1].findtext(f".//{TT}Encoding") == "H265"
    # The second recording had ended by then.
    answer = await asked.ask(tse.GetMediaAttributes(recording_tokens=(REC1, REC2), time=now - US))
    assert [item.findtext(f"{TT}RecordingToken") for item in answer] == [REC1]
    answer = await asked.ask(tse.GetMediaAttributes(recording_tokens=(REC1, REC1), time=now - US))
    assert len(answer) == 1


@pytest.mark.parametrize(
    "request_",
    [
        tse.GetRecordingInformation(recording_token="none"),
        tse.GetMediaAttributes(recording_tokens=("none",), time=0),
        tse.GetRecordingSearchResults(search_token="none"),
        tse.GetEventSearchResults(search_token="none"),
        tse.GetMetadataSearchResults(search_token="none"),
        tse.GetPTZPositionSearchResults(search_token="none"),
        tse.GetSearchState(search_token="none"),
        tse.EndSearch(search_token="none"),
        tse.FindRecordings(scope=tt.SearchScope(included_recordings=("none",)), keep_alive_time=TEN),
    ],
)
async def test_invalid_tokens(asked: Any, request_: Any) -> None:
    assert await asked.fault(request_) == ("Sender", "InvalidArgVal", "InvalidToken")


# ---- recordings


@pytest.mark.covers("G-FindRecordings", "G-GetRecordingSearchResults")
async def test_recordings_are_found_in_increments_then_the_token_is_dead(asked: Any) -> None:
    token = await find_recordings(asked)
    assert await recordings(asked, token, max_results=1) == ("Searching", [REC1])
    assert await recordings(asked, token, max_results=1) == ("Completed", [REC2])
    for request in (
        tse.GetRecordingSearchResults(search_token=token),
        tse.EndSearch(search_token=token),
    ):
        assert await asked.fault(request) == ("Sender", "InvalidArgVal", "InvalidToken")


@pytest.mark.covers("G-GetRecordingSearchResults")
async def test_max_matches(asked: Any) -> None:
    token = await find_recordings(asked, extra="<MaxMatches>1</MaxMatches>")
    assert await recordings(asked, token) == ("Completed", [REC1])


@pytest.mark.covers("G-FindRecordings", "G-SearchFilter")
@pytest.mark.parametrize(
    ("scope", "wanted"),
    [
        (f"<t:IncludedRecordings>{REC2}</t:IncludedRecordings>", [REC2]),
        ("<t:IncludedSources><t:Token>vs-cam-5e6f7a8b</t:Token></t:IncludedSources>", [REC2]),
        ("<t:IncludedSources><t:Token>cam-1a2b3c4d-main</t:Token></t:IncludedSources>", [REC1]),
        (
            "<t:IncludedSources><t:Token>vs-cam-1a2b3c4d</t:Token></t:IncludedSources>"
            f"<t:IncludedRecordings>{REC2}</t:IncludedRecordings>",
            [REC1, REC2],
        ),
        (
            '<t:RecordingInformationFilter>boolean(//Track[TrackType = "Video"])</t:RecordingInformationFilter>',
            [REC1, REC2],
        ),
        ('<t:RecordingInformationFilter>boolean(//Track[TrackType = "Audio"])</t:RecordingInformationFilter>', [REC1]),
        (
            '<t:RecordingInformationFilter>boolean(//t:Track[t:TrackType = "Audio"])</t:RecordingInformationFilter>',
            [REC1],
        ),
        ('<t:RecordingInformationFilter>boolean(//Track[TrackType = "Metadata"])</t:RecordingInformationFilter>', []),
        (
            f"<t:IncludedRecordings>{REC2}</t:IncludedRecordings>"
            '<t:RecordingInformationFilter>boolean(//Track[TrackType = "Audio"])</t:RecordingInformationFilter>',
            [],
        ),
        ("<t:RecordingInformationFilter>  </t:RecordingInformationFilter>", [REC1, REC2]),
    ],
)
async def test_scope(asked: Any, scope: str, wanted: list[str]) -> None:
    state, found = await recordings(asked, await find_recordings(asked, scope))
    assert (state, sorted(found)) == ("Completed", sorted(wanted))


@pytest.mark.covers("G-SearchFilter")
async def test_the_filter_may_declare_its_own_prefix(asked: Any) -> None:
    answer = await asked.ask(
        f'<FindRecordings xmlns="{NS_SEARCH}"><Scope><q:RecordingInformationFilter xmlns:q="{TT[1:-1]}">'
        '//q:Source[q:Name = "Yard"]</q:RecordingInformationFilter></Scope>'
        "<KeepAliveTime>PT10S</KeepAliveTime></FindRecordings>"
    )
    assert await recordings(asked, answer.findtext(f"{TSE}SearchToken")) == ("Completed", [REC2])


@pytest.mark.covers("G-SearchFilter")
async def test_receivers_are_sources_too(asked: Any, body: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """tt:SearchScope: a source may be a receiver, and the second one of its job."""
    (first, *others) = body.jobs()
    receiver = dataclasses.replace(first.sources[0], kind=SourceKind.RECEIVER, token="rcv-1")
    job = dataclasses.replace(first, sources=(receiver, *first.sources))
    monkeypatch.setattr(body, "jobs", lambda: (job, *others))
    for token in ("rcv-1", first.profile):
        search = await find_recordings(asked, f"<t:IncludedSources><t:Token>{token}</t:Token></t:IncludedSources>")
        assert await recordings(asked, search) == ("Completed", [first.recording])


@pytest.mark.covers("G-SearchFilter")
@pytest.mark.parametrize(
    ("scope", "detail"),
    [
        ("<t:IncludedSources><t:Token>none</t:Token></t:IncludedSources>", "InvalidSource"),
        ("<t:IncludedRecordings>none</t:IncludedRecordings>", "InvalidToken"),
        ("<t:RecordingInformationFilter>boolean((//Track)</t:RecordingInformationFilter>", "InvalidFilterFault"),
        (
            '<t:RecordingInformationFilter>document("file:///etc/passwd")</t:RecordingInformationFilter>',
            "InvalidFilterFault",
        ),
        (
            f"<t:RecordingInformationFilter>{'//*[' * 14 + '1' + ']' * 14}</t:RecordingInformationFilter>",
            "InvalidFilterFault",
        ),
    ],
)
async def test_scope_faults(asked: Any, scope: str, detail: str) -> None:
    for request in (
        f"<FindRecordings {NAMESPACES}><Scope>{scope}</Scope><KeepAliveTime>PT10S</KeepAliveTime></FindRecordings>",
        events_request("2026-01-01T00:00:00Z", scope=scope),
    ):
        assert await asked.fault(request) == ("Sender", "InvalidArgVal", detail)


async def test_sessions_are_bounded(asked: Any) -> None:
    for _ in range(MAX_SEARCHES):
        await find_recordings(asked)
    fault = await asked.fault(tse.FindRecordings(scope=SCOPE, keep_alive_time=TEN))
    assert fault == ("Receiver", "Action", "ResourceProblem")


async def test_a_token_of_one_kind_of_search_is_none_of_the_other(asked: Any) -> None:
    token = await find_recordings(asked)
    assert await asked.fault(tse.GetEventSearchResults(search_token=token)) == (
        "Sender",
        "InvalidArgVal",
        "InvalidToken",
    )


@pytest.mark.covers("G-EndSearch")
async def test_end_search(asked: Any) -> None:
    token = await find_recordings(asked)
    await asked.ask(tse.EndSearch(search_token=token))
    assert await asked.fault(tse.EndSearch(search_token=token)) == ("Sender", "InvalidArgVal", "InvalidToken")


# ---- events


@pytest.mark.covers("G-FindEvents", "G-GetEventSearchResults", "G-event-RecordingState", "G-event-TrackState")
async def test_events_forward(asked: Any) -> None:
    found = [summary(each) for each in await events(asked, "2025-12-31T23:00:00Z")]
    assert found == [
        ("23:00:00Z", REC1, "true", False),
        ("23:00:00Z", REC2, "true", False),
        ("23:01:00Z", REC1, "true", False),
        ("23:01:10Z", REC1, "false", False),
        ("23:01:30Z", REC2, "true", False),
        ("23:01:35Z", REC2, "false", False),
        ("23:30:00Z", REC2, "false", False),
    ]


@pytest.mark.covers("G-FindEvents")
async def test_events_backward_descend_with_values_as_they_were(asked: Any) -> None:
    found = [
        summary(each)
        for each in await events(
            asked, "2025-12-31T23:01:20Z", "2025-12-31T23:00:30Z", topic("tns1:VideoSource/MotionAlarm"), states=True
        )
    ]
    assert found == [
        ("23:01:20Z", REC1, "false", True),
        ("23:01:10Z", REC1, "false", False),
        ("23:01:00Z", REC1, "true", False),
    ]


async def test_start_state_of_track_history(asked: Any) -> None:
    found = await events(
        asked, "2025-12-31T23:10:00Z", "2025-12-31T23:40:00Z", topic("tns1:RecordingHistory//."), states=True
    )
    assert [summary(each) for each in found] == [
        ("23:10:00Z", REC1, "true", True),
        ("23:10:00Z", REC2, "true", True),
        ("23:30:00Z", REC2, "false", False),
    ]
    assert {each.findtext(f"{TT}TrackToken") for each in found} == {"VIDEO001"}
    virtual = found[0].find(f"{TT}Event/{WSNT}Message/{TT}Message")
    assert virtual.get("PropertyOperation") == "Initialized"


async def test_topic_and_content_filters_select(asked: Any) -> None:
    content = (
        f'<w:MessageContent Dialect="{ITEM_FILTER}">'
        'boolean(//t:SimpleItem[@Name="State" and @Value="true"])</w:MessageContent>'
    )
    found = await events(asked, "0001-01-01T00:00:00Z", filter_=topic("tns1:VideoSource//.") + content)
    assert [summary(each)[:3] for each in found] == [("23:01:00Z", REC1, "true"), ("23:01:30Z", REC2, "true")]


async def test_scope_and_max_matches_of_events(asked: Any) -> None:
    scope = f"<t:IncludedRecordings>{REC2}</t:IncludedRecordings>"
    found = await events(asked, "2025-12-31T23:00:00Z", scope=scope, extra="<MaxMatches>2</MaxMatches>")
    assert [summary(each)[:2] for each in found] == [("23:00:00Z", REC2), ("23:01:30Z", REC2)]


@pytest.mark.parametrize(
    "filter_",
    [
        topic("xyz"),
        topic("tns1:VideoSource/"),
        '<w:TopicExpression Dialect="urn:unknown">tns1:VideoSource/MotionAlarm</w:TopicExpression>',
        f'<w:MessageContent Dialect="{ITEM_FILTER}">boolean((//t:SimpleItem[@Name="x"])</w:MessageContent>',
        '<w:MessageContent Dialect="urn:unknown">true</w:MessageContent>',
        '<x:Other xmlns:x="urn:x"/>',
    ],
)
async def test_invalid_event_filters(asked: Any, filter_: str) -> None:
    fault = await asked.fault(events_request("2026-01-01T00:00:00Z", filter_=filter_))
    assert fault == ("Sender", "InvalidArgVal", "InvalidFilterFault")


async def test_end_of_an_event_search_states_the_point(asked: Any) -> None:
    answer = await asked.ask(events_request("0001-01-01T00:00:00Z", "2025-12-31T23:30:00Z"))
    await asyncio.sleep(0)
    end = await asked.ask(tse.EndSearch(search_token=answer.findtext(f"{TSE}SearchToken")))
    assert end.findtext(f"{TSE}Endpoint") in ("0001-01-01T00:00:00Z", "2025-12-31T23:30:00Z")


async def test_an_unavailable_archive_is_told(asked: Any, body: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(**_: Any) -> Any:
        raise Unavailable("database is locked")

    monkeypatch.setattr(body, "events", away)
    answer = await asked.ask(events_request("2025-12-31T23:00:00Z"))
    token = answer.findtext(f"{TSE}SearchToken")
    assert await asked.fault(tse.GetEventSearchResults(search_token=token)) == ("Receiver", "Action")


async def test_element_items_of_results_are_valid(asked: Any, body: Any, now: int) -> None:
    from onvifd.events.topics import job_state

    job = dataclasses.replace(job_state(body.job_status("job-cam-1a2b3c4d"), now))
    body.events_ = (job,)
    (found,) = await events(asked, "2025-12-31T23:00:00Z", "2026-01-01T00:00:00Z")
    (item,) = found.iter(f"{TT}ElementItem")
    assert etree.QName(item[0]).localname == "RecordingJobStateInformation"


@pytest.mark.parametrize("operation", ["SearchImageByNL", "GetImageSearchResults"])
async def test_optional_operations_that_are_not_served(asked: Any, operation: str) -> None:
    request = f'<{operation} xmlns="{NS_SEARCH}"/>'
    assert await asked.fault(request) == ("Receiver", "ActionNotSupported")
