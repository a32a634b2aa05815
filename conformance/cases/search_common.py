"""What the cases of test/Search share: sessions of the four kinds of search, and the recording that is searched."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.sax.saxutils import escape

from conformance.cases.base_common import INVALID, SENDER, settle
from conformance.cases.event_values import moment, patience, seconds_of, stamp
from conformance.cases.recording_common import jobs, set_mode, tracks
from conformance.cases.recording_common import recordings as get_recordings
from conformance.model import Examination, Failure
from conformance.names import find, findall, text

DOCUMENT = "Search"
SEARCH = "Recording Search Service"
METADATA = "Recording Search/Metadata Search"
PTZ = "Recording Search/PTZ Position Search"
KEEP_ALIVE = 10.0
"""Search Test 6.10: the maximum of 10 s and the time between requests + 3 s."""
WAIT = "PT5S"
NOWHERE = "no-such-search-77"
MAX_ROUNDS = 2000
DELTA = timedelta(seconds=2)
"""delta1 and delta2 of the specification."""
FOOTAGE = 4.0
"""Seconds of footage that the search cases want at least."""

VIDEO_FILTER = 'boolean(//Track[TrackType = "Video"])'
AUDIO_FILTER = 'boolean(//Track[TrackType = "Audio"])'
METADATA_FILTER = 'boolean(//Track[TrackType = "Metadata"])'
PAN_TILT = '<tt:{0}><tt:PanTilt x="{1}" y="{2}"/></tt:{0}>'
ANYWHERE = (
    "<tse:SearchFilter>"
    + PAN_TILT.format("MinPosition", "-1", "-1")
    + PAN_TILT.format("MaxPosition", "1", "1")
    + "<tt:EnterOrExit>false</tt:EnterOrExit></tse:SearchFilter>"
)


def duration(seconds: float) -> str:
    return f"PT{seconds:g}S"


def exact(value: datetime) -> str:
    """xs:dateTime with all digits: end points must be those that the device gave."""
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


# ---- sessions -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of search: its operations and the element of a result."""

    find: str
    results: str
    item: str


RECORDINGS = Family("FindRecordings", "GetRecordingSearchResults", "RecordingInformation")
EVENTS = Family("FindEvents", "GetEventSearchResults", "Result")
METADATA_FAMILY = Family("FindMetadata", "GetMetadataSearchResults", "Result")
PTZ_FAMILY = Family("FindPTZPosition", "GetPTZPositionSearchResults", "Result")


def scope(*, recording: str = "", information: str = "") -> str:
    inside = f"<tt:IncludedRecordings>{recording}</tt:IncludedRecordings>" if recording else ""
    if information:
        inside += f"<tt:RecordingInformationFilter>{escape(information)}</tt:RecordingInformationFilter>"
    return f"<tse:Scope>{inside}</tse:Scope>"


def request(
    family: Family,
    where: str,
    *,
    start: datetime | str | None = None,
    end: datetime | None = None,
    inside: str = "",
    most: int | None = None,
    keep_alive: float = KEEP_ALIVE,
    states: bool | None = None,
) -> str:
    """A Find request; `inside` is its filter."""
    body = ""
    if start is not None:
        body += f"<tse:StartPoint>{start if isinstance(start, str) else exact(start)}</tse:StartPoint>"
    if end is not None:
        body += f"<tse:EndPoint>{exact(end)}</tse:EndPoint>"
    body += where + inside
    if states is not None:
        body += f"<tse:IncludeStartState>{'true' if states else 'false'}</tse:IncludeStartState>"
    if most is not None:
        body += f"<tse:MaxMatches>{most}</tse:MaxMatches>"
    body += f"<tse:KeepAliveTime>{duration(keep_alive)}</tse:KeepAliveTime>"
    return f"<tse:{family.find}>{body}</tse:{family.find}>"


async def begin(x: Examination, family: Family, where: str, **options: Any) -> str:
    token = text(await x.ask("tse", request(family, where, **options)), "tse:SearchToken")
    x.check(token, f"{family.find}Response has no SearchToken")
    return token


def results_request(
    family: Family, token: str, *, least: int | None = None, most: int | None = None, wait: str = ""
) -> str:
    body = f"<tse:SearchToken>{token}</tse:SearchToken>"
    if least is not None:
        body += f"<tse:MinResults>{least}</tse:MinResults>"
    if most is not None:
        body += f"<tse:MaxResults>{most}</tse:MaxResults>"
    if wait:
        body += f"<tse:WaitTime>{wait}</tse:WaitTime>"
    return f"<tse:{family.results}>{body}</tse:{family.results}>"


async def collect(
    x: Examination,
    family: Family,
    token: str,
    *,
    least: int | None = None,
    most: int | None = None,
    wait: str = WAIT,
) -> list[Any]:
    """All results of a session, until it is Completed. `most` bounds each answer, the wait its time."""
    found: list[Any] = []
    for _ in range(MAX_ROUNDS):
        began = time.monotonic()
        answer = await x.ask("tse", results_request(family, token, least=least, most=most, wait=wait))
        passed = time.monotonic() - began
        if wait:
            limit = seconds_of(wait) + 1
            x.check(
                passed <= limit,
                f"{family.results} with WaitTime {wait} was answered after {passed:.1f} s (Search Test 5.2.4)",
            )
        items = findall(answer, f"tse:ResultList/tt:{family.item}")
        x.check(
            most is None or len(items) <= most,
            f"{family.results}Response has {len(items)} results though MaxResults was {most}",
        )
        found += items
        state = text(answer, "tse:ResultList/tt:SearchState")
        if state == "Completed":
            return found
        x.check(state in ("Queued", "Searching"), f"SearchState in {family.results}Response is {state or 'missing'}")
    raise Failure(f"the search did not reach the state Completed in {MAX_ROUNDS} answers")


async def search(
    x: Examination,
    family: Family,
    where: str,
    *,
    least: int | None = None,
    per_answer: int | None = None,
    wait: str = WAIT,
    **options: Any,
) -> list[Any]:
    """A whole session: Find and all results."""
    return await collect(x, family, await begin(x, family, where, **options), least=least, most=per_answer, wait=wait)


async def kept_alive(x: Examination, family: Family, where: str, **options: Any) -> None:
    """A session must live for its KeepAliveTime."""
    token = await begin(x, family, where, **options)
    await asyncio.sleep(KEEP_ALIVE - 1)
    await x.ask("tse", results_request(family, token, wait=WAIT))


async def expires(x: Examination, family: Family, where: str, **options: Any) -> None:
    """A session must be gone when its KeepAliveTime is over."""
    token = await begin(x, family, where, **options)
    await asyncio.sleep(KEEP_ALIVE + patience(x))
    await refuse_token(x, results_request(family, token, wait=WAIT))


async def refuse_token(x: Examination, body: str) -> None:
    """Any fault is acceptable, this one is preferred."""
    await x.soap.refuse("tse", body, (SENDER, INVALID, "ter:InvalidToken"), strict=False)


# ---- recordings ---------------------------------------------------------------------------------------


def check_information(x: Examination, information: Any) -> None:
    """EarliestRecording and LatestRecording must be those of the tracks."""
    token = text(information, "tt:RecordingToken")
    x.check(token, "a RecordingInformation has no RecordingToken")
    x.check(text(information, "tt:RecordingStatus"), f"RecordingInformation of {token} has no RecordingStatus")
    known = findall(information, "tt:Track")
    for name, part, choose in (("EarliestRecording", "DataFrom", min), ("LatestRecording", "DataTo", max)):
        value = text(information, f"tt:{name}")
        times = [moment(text(each, f"tt:{part}")) for each in known]
        if value and times:
            x.check(
                moment(value) == choose(times),
                f"{name} of {token} is {value}, the {choose.__name__} of {part} of its tracks is {stamp(choose(times))}",
            )


def information_of(information: Any) -> tuple[Any, ...]:
    """What two RecordingInformation must have in common (Search Test 6.4, 6.5, 6.9)."""
    paths = ("SourceId", "Name", "Location", "Description", "Address")
    head = tuple(text(information, f"tt:Source/tt:{each}") for each in paths)
    rest = tuple(
        text(information, f"tt:{each}")
        for each in ("EarliestRecording", "LatestRecording", "Content", "RecordingStatus")
    )
    fields = ("TrackToken", "TrackType", "Description", "DataFrom", "DataTo")
    listed = sorted(tuple(text(each, f"tt:{name}") for name in fields) for each in findall(information, "tt:Track"))
    return head + rest + tuple(listed)


async def recording_information(x: Examination, token: str) -> Any:
    body = (
        f"<tse:GetRecordingInformation><tse:RecordingToken>{token}</tse:RecordingToken></tse:GetRecordingInformation>"
    )
    found = find(await x.ask("tse", body), "tse:RecordingInformation")
    known = text(found, "tt:RecordingToken")
    x.check(known == token, f"GetRecordingInformation of {token} was answered for {known or 'nothing'}")
    return found


async def total(x: Examination) -> int:
    """Search Test 6.3."""
    return int(text(await x.ask("tse", "<tse:GetRecordingSummary/>"), "tse:Summary/tt:NumberRecordings") or 0)


@contextlib.asynccontextmanager
async def stopped_recordings(x: Examination) -> AsyncIterator[None]:
    """Search Test 6.1: recordings are stopped before; their jobs go on afterwards."""
    active: list[str] = []
    if x.has("Recording Control Service"):
        active = [token for token, job in (await jobs(x)).items() if text(job, "tt:Mode") == "Active"]
    try:
        for token in active:
            await set_mode(x, token, "Idle")
        if active:
            # What was in memory reaches the archive.
            await settle(x)
        yield
    finally:
        for token in active:
            with contextlib.suppress(Failure):
                await set_mode(x, token, "Active")


@dataclass(frozen=True, slots=True)
class Footage:
    """The recording of a case, which does not grow."""

    token: str
    start: datetime
    end: datetime
    information: Any

    @property
    def tracks(self) -> dict[str, str]:
        """Types of its tracks with data by token."""
        return {
            text(each, "tt:TrackToken"): text(each, "tt:TrackType") for each in findall(self.information, "tt:Track")
        }

    def of_track(self, token: str) -> tuple[datetime, datetime] | None:
        for each in findall(self.information, "tt:Track"):
            if text(each, "tt:TrackToken") == token:
                return moment(text(each, "tt:DataFrom")), moment(text(each, "tt:DataTo"))
        return None


@contextlib.asynccontextmanager
async def footage(x: Examination, *wanted: str) -> AsyncIterator[Footage]:
    """The recording that the operator named, or the longest one: with data, and tracks of all `wanted` types."""
    async with stopped_recordings(x):
        found = []
        for information in await search(x, RECORDINGS, scope()):
            token = text(information, "tt:RecordingToken")
            listed = findall(information, "tt:Track")
            kinds = {text(each, "tt:TrackType") for each in listed}
            if not listed or not kinds.issuperset(wanted):
                continue
            if x.settings.recording and token != x.settings.recording:
                continue
            start = min(moment(text(each, "tt:DataFrom")) for each in listed)
            end = max(moment(text(each, "tt:DataTo")) for each in listed)
            found.append(Footage(token, start, end, await recording_information(x, token)))
        what = f" with tracks of {' and '.join(wanted)}" if wanted else ""
        x.check(found, f"no recording{what} has data; the case wants one (Search Test 6.1)")
        chosen = max(found, key=lambda each: each.end - each.start)
        seconds = (chosen.end - chosen.start).total_seconds()
        x.check(
            seconds >= FOOTAGE, f"the longest recording{what} has {seconds:.1f} s of footage; {FOOTAGE:g} s are wanted"
        )
        yield chosen


async def configured_tracks(x: Examination, token: str) -> dict[str, str]:
    """Types of all tracks of a recording by token (GetRecordings)."""
    item = (await get_recordings(x)).get(token)
    x.check(item is not None, f"GetRecordings does not list {token}")
    return {name: text(each, "tt:Configuration/tt:TrackType") for name, each in tracks(item).items()}


def inside(value: datetime, one: datetime, other: datetime) -> bool:
    return min(one, other) <= value <= max(one, other)


def check_order(x: Examination, times: Sequence[datetime], backward: bool, family: Family, *, strict: bool) -> None:
    """Results must ascend, or descend; `strict`: no two of one time."""
    for one, other in itertools.pairwise(times):
        good = other <= one if backward else other >= one
        x.check(
            good and not (strict and one == other),
            f"results of {family.find} {'do not descend' if backward else 'do not ascend'}: {stamp(one)}, then {stamp(other)}",
        )
