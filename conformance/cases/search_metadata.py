"""Test/Search 5.4 to 5.6: metadata, positions, and attributes of media with positions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from xml.sax.saxutils import escape

from conformance.cases.event_values import moment, stamp
from conformance.cases.search_common import (
    ANYWHERE,
    AUDIO_FILTER,
    DELTA,
    DOCUMENT,
    METADATA,
    METADATA_FAMILY,
    NOWHERE,
    PAN_TILT,
    PTZ,
    PTZ_FAMILY,
    SEARCH,
    Family,
    Footage,
    check_order,
    exact,
    expires,
    footage,
    inside,
    kept_alive,
    recording_information,
    refuse_token,
    results_request,
    scope,
    search,
)
from conformance.model import Examination, case
from conformance.names import find, findall, text

NOTHING = '<tse:MetadataFilter><tt:MetadataStreamFilter>boolean(//Track[TrackToken = "NonExistingToken"])</tt:MetadataStreamFilter></tse:MetadataFilter>'
PAN_TILT_SPACE = "http://www.onvif.org/ver10/tptz/PanTiltSpaces/PositionGenericSpace"
ZOOM_SPACE = "http://www.onvif.org/ver10/tptz/ZoomSpaces/PositionGenericSpace"
PROFILE_G = "onvif://www.onvif.org/Profile/G"


@dataclass(frozen=True, slots=True)
class Found:
    """One result of FindMetadata or FindPTZPosition."""

    recording: str
    track: str
    time: datetime
    position: tuple[str, ...]
    """Pan, tilt and zoom as they were sent; empty where they were not."""


def read(x: Examination, result: Any) -> Found:
    time_ = text(result, "tt:Time")
    x.check(time_, "a search result has no Time")
    pan_tilt, zoom = find(result, "tt:Position/tt:PanTilt"), find(result, "tt:Position/tt:Zoom")
    position = (
        *(("", "") if pan_tilt is None else (pan_tilt.get("x", ""), pan_tilt.get("y", ""))),
        "" if zoom is None else zoom.get("x", ""),
    )
    return Found(text(result, "tt:RecordingToken"), text(result, "tt:TrackToken"), moment(time_), position)


def filter_of(x: Examination, family: Family) -> str:
    """MetadataFilter1 is the operator's choice; what matches every document is the default."""
    if family is PTZ_FAMILY:
        return ANYWHERE
    expression = escape(x.settings.metadata_filter)
    return f"<tse:MetadataFilter><tt:MetadataStreamFilter>{expression}</tt:MetadataStreamFilter></tse:MetadataFilter>"


async def _search(
    x: Examination, family: Family, place: Footage, start: datetime, end: datetime, **options: Any
) -> list[Found]:
    where = scope(recording=place.token)
    options.setdefault("inside", filter_of(x, family))
    found = [read(x, each) for each in await search(x, family, where, start=start, end=end, **options)]
    tracks = {track for track, kind in place.tracks.items() if kind == "Metadata"}
    for each in found:
        x.check(each.recording == place.token, f"{family.find} gave a result of the recording {each.recording!r}")
        x.check(
            each.track in tracks, f"{family.find} gave a result of the track {each.track!r}, which holds no metadata"
        )
    check_order(x, [each.time for each in found], end < start, family, strict=True)
    return found


def _both_ways(family: Family, since: timedelta, until: timedelta) -> Callable[[Examination], Awaitable[None]]:
    """Forward and backward with the end points of the recording, moved by `since` and `until`."""

    async def run(x: Examination) -> None:
        async with footage(x, "Metadata") as place:
            one, other = place.start + since, place.end + until
            forward = await _search(x, family, place, one, other)
            backward = await _search(x, family, place, other, one)
            low, high = max(one, place.start), min(other, place.end)
            for each in (*forward, *backward):
                x.check(
                    inside(each.time, low, high),
                    f"{family.find} gave a result of {stamp(each.time)}, outside {stamp(low)} to {stamp(high)}",
                )
            x.check(
                sorted(forward, key=lambda each: each.time) == sorted(backward, key=lambda each: each.time),
                f"{family.find} gave {len(forward)} results forward and {len(backward)} others backward",
            )
            x.check(
                forward or since > timedelta(0),
                f"{family.find} gave no result; the recording must hold what the filter selects",
            )

    return run


_ENDS = (
    ("EQUAL TO", timedelta(0), timedelta(0)),
    ("OUTSIDE", -DELTA, DELTA),
    ("INSIDE", DELTA / 2, -DELTA / 2),
)
for _family, _what, _needs, _ids in (
    (METADATA_FAMILY, "FIND METADATA", METADATA, ("SEARCH-5-1-1", "SEARCH-5-1-2", "SEARCH-5-1-3")),
    (PTZ_FAMILY, "FIND PTZ POSITION", PTZ, ("SEARCH-6-1-8", "SEARCH-6-1-9", "SEARCH-6-1-10")),
):
    for _id, (_words, _since, _until) in zip(_ids, _ENDS, strict=True):
        case(
            _id,
            document=DOCUMENT,
            name=f"{_what} - FORWARD AND BACKWARD SEARCH (SEARCH ENDPOINTS {_words} RECORDING ENDPOINTS)",
            requires=(SEARCH, _needs),
        )(_both_ways(_family, _since, _until))


async def _one_match(x: Examination, family: Family) -> None:
    async with footage(x, "Metadata") as place:
        found = await _search(x, family, place, place.start, place.end, most=1)
        x.check(len(found) <= 1, f"{family.find} gave {len(found)} results though MaxMatches was 1")
        for each in found:
            x.check(
                inside(each.time, place.start, place.end), f"the result of {stamp(each.time)} is outside the recording"
            )


@case("SEARCH-5-1-4", document=DOCUMENT, name="FIND METADATA (MAXMATCHES = 1)", requires=(SEARCH, METADATA))
async def one_metadata(x: Examination) -> None:
    await _one_match(x, METADATA_FAMILY)


@case("SEARCH-6-1-11", document=DOCUMENT, name="FIND PTZ POSITION (MAXMATCHES = 1)", requires=(SEARCH, PTZ))
async def one_position(x: Examination) -> None:
    await _one_match(x, PTZ_FAMILY)


@case("SEARCH-5-1-5", document=DOCUMENT, name="FIND METADATA (NO RESULTS)", requires=(SEARCH, METADATA))
async def no_metadata(x: Examination) -> None:
    async with footage(x, "Metadata") as place:
        found = await _search(x, METADATA_FAMILY, place, place.start, place.end, inside=NOTHING, most=1)
        x.check(not found, "FindMetadata gave a result for a filter that no document meets")


@case(
    "SEARCH-5-1-6",
    document=DOCUMENT,
    name="GET METADATA SEARCH RESULTS WITH INVALID SEARCHTOKEN",
    requires=(SEARCH, METADATA),
)
async def invalid_metadata_token(x: Examination) -> None:
    await refuse_token(x, results_request(METADATA_FAMILY, NOWHERE))


@case(
    "SEARCH-6-1-7",
    document=DOCUMENT,
    name="GET PTZ POSITION SEARCH RESULTS WITH INVALID SEARCHTOKEN",
    requires=(SEARCH, PTZ),
)
async def invalid_position_token(x: Examination) -> None:
    await refuse_token(x, results_request(PTZ_FAMILY, NOWHERE))


def _session(family: Family, judge: Callable[..., Awaitable[None]]) -> Callable[[Examination], Awaitable[None]]:
    async def run(x: Examination) -> None:
        async with footage(x, "Metadata") as place:
            where = scope(recording=place.token)
            await judge(x, family, where, start=place.start, end=place.end, inside=filter_of(x, family))

    return run


for _id, _name, _chosen, _need, _judge in (
    ("SEARCH-5-1-7", "METADATA SEARCH - KEEP ALIVE", METADATA_FAMILY, METADATA, kept_alive),
    ("SEARCH-5-1-8", "METADATA SEARCH EXPIRATION", METADATA_FAMILY, METADATA, expires),
    ("SEARCH-6-1-14", "PTZ SEARCH - KEEP ALIVE", PTZ_FAMILY, PTZ, kept_alive),
    ("SEARCH-6-1-15", "PTZ SEARCH EXPIRATION", PTZ_FAMILY, PTZ, expires),
):
    case(_id, document=DOCUMENT, name=_name, requires=(SEARCH, _need))(_session(_chosen, _judge))


@case(
    "SEARCH-6-1-12",
    document=DOCUMENT,
    name="FIND PTZ POSITIONS USING RECORDING INFORMATION FILTER",
    requires=(SEARCH, PTZ),
)
async def positions_by_information(x: Examination) -> None:
    found = await search(
        x,
        PTZ_FAMILY,
        scope(information=AUDIO_FILTER),
        start="0001-01-01T00:00:00Z",
        inside=ANYWHERE,
        most=20,
        least=1,
    )
    for result in (read(x, each) for each in found):
        information = await recording_information(x, result.recording)
        kinds = {text(each, "tt:TrackType") for each in findall(information, "tt:Track")}
        x.check("Audio" in kinds, f"a position of {result.recording} was found by {AUDIO_FILTER}; it has no audio")
        times = [moment(text(information, f"tt:{name}")) for name in ("EarliestRecording", "LatestRecording")]
        x.check(
            inside(result.time, *times),
            f"a position of {stamp(result.time)} is outside the recording {result.recording}",
        )


@case(
    "SEARCH-6-1-13",
    document=DOCUMENT,
    name="FIND PTZ POSITION - SEARCHING IN A CERTAIN POSITION",
    requires=(SEARCH, PTZ),
)
async def certain_position(x: Examination) -> None:
    async with footage(x, "Metadata") as place:
        known = [each for each in await _search(x, PTZ_FAMILY, place, place.end, place.start) if each.position[0]]
        x.check(known, "no position was found; the recording must hold one")
        pan, tilt, _zoom = known[0].position
        exactly = PAN_TILT.format("MinPosition", pan, tilt) + PAN_TILT.format("MaxPosition", pan, tilt)
        filter_ = f"<tse:SearchFilter>{exactly}<tt:EnterOrExit>false</tt:EnterOrExit></tse:SearchFilter>"
        found = await _search(x, PTZ_FAMILY, place, place.end, place.start, inside=filter_)
        x.check(found, f"nothing was found at the position {pan}, {tilt}, which a search before gave")
        for each in found:
            same = all(
                abs(float(a or "nan") - float(b)) < 1e-6 for a, b in zip(each.position[:2], (pan, tilt), strict=True)
            )
            x.check(same, f"the position {each.position[:2]} was found, {pan}, {tilt} was asked for")
            x.check(
                inside(each.time, place.start, place.end), f"the result of {stamp(each.time)} is outside the recording"
            )


@case(
    "SEARCH-7-1-1",
    document=DOCUMENT,
    name="GET MEDIA ATTRIBUTES - PTZ MEDIA ATTRIBUTES",
    requires=(SEARCH, PTZ),
)
async def ptz_attributes(x: Examination) -> None:
    async with footage(x, "Metadata") as place:
        found = await _search(x, PTZ_FAMILY, place, place.start, place.end)
        x.check(found, "no position was found; the recording must hold one")
        result = found[0]
        body = f"<tse:RecordingTokens>{place.token}</tse:RecordingTokens><tse:Time>{exact(result.time)}</tse:Time>"
        answer = await x.ask("tse", f"<tse:GetMediaAttributes>{body}</tse:GetMediaAttributes>")
        attributes = next(
            (
                each
                for each in findall(answer, "tse:MediaAttributes/tt:TrackAttributes")
                if text(each, "tt:TrackInformation/tt:TrackToken") == result.track
            ),
            None,
        )
        metadata = find(attributes, "tt:MetadataAttributes")
        x.check(metadata is not None, f"GetMediaAttributes gives no MetadataAttributes of the track {result.track}")
        x.check(
            text(metadata, "tt:CanContainPTZ") in ("true", "1"),
            f"CanContainPTZ of {result.track} is not true though it has positions",
        )
        if PROFILE_G in x.features.scopes:
            spaces = (metadata.get("PtzSpaces") or "").split()
            for value, space in ((result.position[0], PAN_TILT_SPACE), (result.position[2], ZOOM_SPACE)):
                x.check(not value or space in spaces, f"PtzSpaces of {result.track} lacks {space}")
