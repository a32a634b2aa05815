"""Test/Search 5.1 and 5.2: capabilities, the summary, recordings."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any

from conformance.cases.event_values import moment
from conformance.cases.recording_common import AUDIO, capabilities, recordings
from conformance.cases.recording_general import same_capabilities
from conformance.cases.search_common import (
    AUDIO_FILTER,
    DOCUMENT,
    METADATA_FILTER,
    NOWHERE,
    RECORDINGS,
    SEARCH,
    VIDEO_FILTER,
    begin,
    check_information,
    expires,
    information_of,
    kept_alive,
    recording_information,
    refuse_token,
    results_request,
    scope,
    search,
    stopped_recordings,
    total,
)
from conformance.model import Examination, case
from conformance.names import find, findall, flag, text

ATTRIBUTES = ("MetadataSearch", "GeneralStartEvents")


@case("SEARCH-1-1-1", document=DOCUMENT, name="RECORDING SEARCH SERVICE CAPABILITIES", requires=(SEARCH,))
async def service_capabilities(x: Examination) -> None:
    found = find(await x.ask("tse", "<tse:GetServiceCapabilities/>"), "tse:Capabilities")
    x.check(found is not None, "GetServiceCapabilitiesResponse has no Capabilities")


@case(
    "SEARCH-1-1-2",
    document=DOCUMENT,
    name="GET SERVICES AND GET RECORDING SEARCH SERVICE CAPABILITIES CONSISTENCY",
    requires=("GetServices", SEARCH),
)
async def consistency(x: Examination) -> None:
    await same_capabilities(x, "tse", *ATTRIBUTES)


@case("SEARCH-4-1-1", document=DOCUMENT, name="GET RECORDING SUMMARY", requires=(SEARCH,))
async def summary(x: Examination) -> None:
    found = find(await x.ask("tse", "<tse:GetRecordingSummary/>"), "tse:Summary")
    x.check(found is not None, "GetRecordingSummaryResponse has no Summary")
    since, until = text(found, "tt:DataFrom"), text(found, "tt:DataUntil")
    x.check(moment(since) <= moment(until), f"DataUntil {until} is before DataFrom {since}")


async def all_recordings(x: Examination, *, where: str = "", **options: Any) -> dict[str, Any]:
    """RecordingInformation by token of a whole session, each judged."""
    found = await search(x, RECORDINGS, where or scope(), **options)
    tokens = [text(each, "tt:RecordingToken") for each in found]
    x.check(len(tokens) == len(set(tokens)), f"the search gave a recording twice: {', '.join(tokens)}")
    for each in found:
        check_information(x, each)
    return dict(zip(tokens, found, strict=True))


async def _some(x: Examination) -> int:
    number = await total(x)
    x.check(number, "GetRecordingSummary counts no recording; the case wants one")
    return number


@case("SEARCH-2-1-3", document=DOCUMENT, name="GET RECORDING SEARCH RESULTS WITH MINRESULTS", requires=(SEARCH,))
async def minimum(x: Examination) -> None:
    async with stopped_recordings(x):
        number = await _some(x)
        first = await all_recordings(x, least=number, wait="")
        second = await all_recordings(x, least=number + 1, wait="")
        x.check(
            set(first) == set(second),
            f"two searches for the same gave {', '.join(sorted(first))} and {', '.join(sorted(second))}",
        )
        for token, information in first.items():
            x.check(
                information_of(information) == information_of(second[token]),
                f"two searches for the same gave different information on {token} (Search Test 6.4)",
            )


@case("SEARCH-2-1-4", document=DOCUMENT, name="GET RECORDING SEARCH RESULTS WITH MAXRESULTS", requires=(SEARCH,))
async def maximum(x: Examination) -> None:
    number = await _some(x)
    for most in (1, number, number + 1):
        await all_recordings(x, per_answer=most, wait="")


@case("SEARCH-2-1-5", document=DOCUMENT, name="GET RECORDING SEARCH RESULTS WITH WAITTIME", requires=(SEARCH,))
async def wait_time(x: Examination) -> None:
    await _some(x)
    for wait in ("PT0.5S", "PT1S"):
        await all_recordings(x, wait=wait)


@case("SEARCH-2-1-7", document=DOCUMENT, name="FIND RECORDINGS WITH MAXMATCHES", requires=(SEARCH,))
async def matches(x: Examination) -> None:
    number = await _some(x)
    for most in sorted({1, number - 1, number} - {0}):
        found = await all_recordings(x, most=most)
        x.check(len(found) <= most, f"the search gave {len(found)} recordings though MaxMatches was {most}")


async def _selected(x: Examination, filter_: str, kinds: tuple[str, ...], needed: Callable[[Any], bool]) -> None:
    """Only recordings with tracks of all `kinds` may be found, and one must be where the device records them."""
    found = await all_recordings(x, where=scope(information=filter_), least=1)
    for token, information in found.items():
        have = {text(each, "tt:TrackType") for each in findall(information, "tt:Track")}
        missing = [kind for kind in kinds if kind not in have]
        x.check(not missing, f"recording {token} was found by {filter_} though it has no track of {', '.join(missing)}")
    if not found and x.has("Recording Control Service"):
        x.check(
            not needed(await capabilities(x)), f"no recording was found by {filter_}, the capabilities promise some"
        )


def _audio(supported: Any) -> bool:
    return bool({each.upper() for each in (supported.get("Encoding") or "").split()} & AUDIO)


def _metadata(supported: Any) -> bool:
    return flag(supported, "MetadataRecording")


def _filtered(
    filter_: str, kinds: tuple[str, ...], needed: Callable[[Any], bool]
) -> Callable[[Examination], Awaitable[None]]:
    return functools.partial(_selected, filter_=filter_, kinds=kinds, needed=needed)


for _id, _words, _filter, _kinds, _needed in (
    ("SEARCH-2-1-8", "ONLY VIDEO", VIDEO_FILTER, ("Video",), lambda supported: True),
    ("SEARCH-2-1-13", "ONLY AUDIO", AUDIO_FILTER, ("Audio",), _audio),
    ("SEARCH-2-1-14", "ONLY METADATA", METADATA_FILTER, ("Metadata",), _metadata),
    ("SEARCH-2-1-15", "VIDEO AND AUDIO", f"{VIDEO_FILTER} and {AUDIO_FILTER}", ("Video", "Audio"), _audio),
    ("SEARCH-2-1-16", "VIDEO AND METADATA", f"{VIDEO_FILTER} and {METADATA_FILTER}", ("Video", "Metadata"), _metadata),
):
    case(
        _id,
        document=DOCUMENT,
        name=f"FIND RECORDINGS WITH RECORDING INFORMATION FILTER ({_words})",
        requires=(SEARCH,),
    )(_filtered(_filter, _kinds, _needed))


@case(
    "SEARCH-2-1-10", document=DOCUMENT, name="GET RECORDING SEARCH RESULTS WITH INVALID SEARCHTOKEN", requires=(SEARCH,)
)
async def invalid_token(x: Examination) -> None:
    await refuse_token(x, results_request(RECORDINGS, NOWHERE))


@case("SEARCH-2-1-11", document=DOCUMENT, name="END SEARCH WITH INVALID SEARCHTOKEN", requires=(SEARCH,))
async def end_invalid(x: Examination) -> None:
    await refuse_token(x, end_request(NOWHERE))


def end_request(token: str) -> str:
    return f"<tse:EndSearch><tse:SearchToken>{token}</tse:SearchToken></tse:EndSearch>"


@case(
    "SEARCH-2-1-12",
    document=DOCUMENT,
    name="GET RECORDING SEARCH RESULTS AFTER END OF SEARCH (ENDSEARCH COMMAND WAS INVOKED)",
    requires=(SEARCH,),
)
async def after_end(x: Examination) -> None:
    await _some(x)
    token = await begin(x, RECORDINGS, scope())
    await x.ask("tse", end_request(token))
    await refuse_token(x, results_request(RECORDINGS, token))


@case(
    "SEARCH-2-1-17",
    document=DOCUMENT,
    name="GET RECORDING SEARCH RESULTS AND GET RECORDINGS CONSISTENCY",
    requires=(SEARCH, "Recording Control Service"),
)
async def control_consistency(x: Examination) -> None:
    listed = await recordings(x)
    found = await all_recordings(x, least=1, per_answer=1)
    x.check(
        set(listed) == set(found),
        f"GetRecordings lists {', '.join(sorted(listed))}, the search gave {', '.join(sorted(found))} (Search Test 6.2)",
    )
    paths = (
        *(f"tt:Source/tt:{name}" for name in ("SourceId", "Name", "Location", "Description", "Address")),
        "tt:Content",
    )
    for token, item in listed.items():
        for path in paths:
            one, other = text(item, f"tt:Configuration/{path}"), text(found[token], path)
            name = path.rpartition(":")[2]
            x.check(
                one == other,
                f"{name} of {token} is {one!r} by GetRecordings and {other!r} by the search (Search Test 6.2)",
            )


@case(
    "SEARCH-2-1-18",
    document=DOCUMENT,
    name="GET RECORDING SEARCH RESULTS AND GET RECORDING INFORMATION CONSISTENCY",
    requires=(SEARCH,),
)
async def information_consistency(x: Examination) -> None:
    async with stopped_recordings(x):
        for token, information in (await all_recordings(x, least=1, per_answer=1)).items():
            x.check(
                information_of(information) == information_of(await recording_information(x, token)),
                f"the search and GetRecordingInformation differ on {token} (Search Test 6.9)",
            )


@case("SEARCH-2-1-19", document=DOCUMENT, name="RECORDINGS SEARCH - KEEP ALIVE", requires=(SEARCH,))
async def keep_alive(x: Examination) -> None:
    await kept_alive(x, RECORDINGS, scope())


@case("SEARCH-2-1-20", document=DOCUMENT, name="RECORDINGS SEARCH EXPIRATION", requires=(SEARCH,))
async def expiration(x: Examination) -> None:
    await expires(x, RECORDINGS, scope())
