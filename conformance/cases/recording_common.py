"""What the cases of test/Recording and test/Receiver share: recordings, jobs, receivers, and the events of both."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from lxml import etree

from conformance.cases.base_common import INVALID, SENDER
from conformance.cases.receiver_common import receivers
from conformance.cases.recording_values import differing, source_types, values
from conformance.model import Examination, Failure
from conformance.names import NS, find, findall, renamed, text

CONTROL = "Recording Control Service"
RECEIVER = "Receiver Service"
DYNAMIC = "Recording Control/Dynamic Recordings"
TRACKS = "Recording Control/Dynamic Tracks"
OPTIONS = "Recording Control/Recording Options"
PULL_POINT = "Event/Pull-Point Notification"
MEDIA = "Media Service OR Media2 Service"

PROFILE_TYPE = f"{NS['tt']}/Profile"
RECEIVER_TYPE = f"{NS['tt']}/Receiver"
ACTIVE = ("Active", "PartiallyActive")
VIDEO = frozenset({"JPEG", "MPEG4", "H264", "H265", "MPV4-ES"})
AUDIO = frozenset({"G711", "G726", "AAC", "PCMU", "PCMA", "MP4A-LATM", "OPUS"})
NOWHERE = "no-such-token-77"


# ---- recordings ---------------------------------------------------------------------------------------


async def recordings(x: Examination) -> dict[str, Any]:
    """GetRecordings by token."""
    answer = await x.ask("trc", "<trc:GetRecordings/>")
    items = findall(answer, "trc:RecordingItem")
    tokens = [text(each, "tt:RecordingToken") for each in items]
    x.check(len(tokens) == len(set(tokens)), f"GetRecordingsResponse has a RecordingToken twice: {', '.join(tokens)}")
    return dict(zip(tokens, items, strict=True))


def tracks(item: Any) -> dict[str, Any]:
    """Tracks of a recording item by token."""
    return {text(each, "tt:TrackToken"): each for each in findall(item, "tt:Tracks/tt:Track")}


async def capabilities(x: Examination) -> Any:
    found = find(await x.ask("trc", "<trc:GetServiceCapabilities/>"), "trc:Capabilities")
    x.check(found is not None, "GetServiceCapabilitiesResponse has no Capabilities")
    return found


def configuration(x: Examination, **changed: str) -> str:
    """RecordingConfiguration as the specification prescribes it for recordings that cases create."""
    known = {
        "SourceId": "http://www.example.org/camera",
        "Name": "CameraName",
        "Location": "LocationDescription",
        "Description": "Source Description",
        "Address": x.settings.url,
        "Content": "Recording from device",
        "MaximumRetentionTime": "PT0S",
    } | changed
    source = "".join(
        f"<tt:{name}>{escape(known[name])}</tt:{name}>"
        for name in ("SourceId", "Name", "Location", "Description", "Address")
    )
    return (
        f"<tt:Source>{source}</tt:Source><tt:Content>{escape(known['Content'])}</tt:Content>"
        f"<tt:MaximumRetentionTime>{known['MaximumRetentionTime']}</tt:MaximumRetentionTime>"
    )


async def create_recording(x: Examination, inside: str) -> str:
    body = (
        f"<trc:CreateRecording><trc:RecordingConfiguration>{inside}</trc:RecordingConfiguration></trc:CreateRecording>"
    )
    token = text(await x.ask("trc", body), "trc:RecordingToken")
    x.check(token, "CreateRecordingResponse has no RecordingToken")
    return token


async def delete_recording(x: Examination, token: str) -> None:
    await x.ask("trc", f"<trc:DeleteRecording><trc:RecordingToken>{token}</trc:RecordingToken></trc:DeleteRecording>")


async def discard_recording(x: Examination, token: str) -> None:
    """Leave nothing behind; what the device answers is not judged here."""
    with contextlib.suppress(Failure):
        await delete_recording(x, token)


async def room_for_recording(x: Examination) -> None:
    """Recording Test 6.7: where the maximum is reached, a recording must go; its footage does not come back."""
    most = (await capabilities(x)).get("MaxRecordings")
    known = await recordings(x)
    if most is None or len(known) < float(most):
        return
    spare_own(x, "recordings")
    for token in known:
        reply = await x.soap.call(
            "trc", f"<trc:DeleteRecording><trc:RecordingToken>{token}</trc:RecordingToken></trc:DeleteRecording>"
        )
        if reply.fault is None:
            return
    x.cannot("the device has no room for another recording, and none of its recordings can be deleted")


def spare_own(x: Examination, what: str) -> None:
    """What the device holds of its own is deleted for a case only where that is asked for."""
    if not x.settings.destructive:
        x.cannot(f"the device has all the {what} that it takes; with --destructive one of its own is deleted")


@contextlib.asynccontextmanager
async def new_recording(x: Examination, **changed: str) -> AsyncIterator[str]:
    """A recording that is gone afterwards."""
    await room_for_recording(x)
    token = await create_recording(x, configuration(x, **changed))
    try:
        yield token
    finally:
        await discard_recording(x, token)


async def options(x: Examination, token: str) -> Any:
    body = f"<trc:GetRecordingOptions><trc:RecordingToken>{token}</trc:RecordingToken></trc:GetRecordingOptions>"
    found = find(await x.ask("trc", body), "trc:Options")
    x.check(found is not None, "GetRecordingOptionsResponse has no Options")
    return found


def number(element: Any, name: str) -> int:
    value = "" if element is None else element.get(name, "")
    return int(value) if value.strip().isdigit() else 0


@dataclass(frozen=True, slots=True)
class Place:
    """A recording that takes jobs. `sources` are media profiles that are compatible with it."""

    token: str
    sources: tuple[str, ...]


async def _place(x: Examination, token: str) -> tuple[int, Place]:
    job = find(await options(x, token), "trc:Job")
    sources = "" if job is None else job.get("CompatibleSources", "")
    return number(job, "Spare"), Place(token, tuple(sources.split()))


@contextlib.asynccontextmanager
async def place_for_jobs(x: Examination, spare: int, *, profile: bool = False) -> AsyncIterator[Place]:
    """Recording Test 6.9 and 6.12: a recording that takes more than `spare` jobs, and with `profile` has compatible sources.

    A recording made for it is deleted afterwards; jobs that had to go are put back.
    """
    made = ""
    removed: list[Any] = []
    try:
        if x.has(DYNAMIC):
            with contextlib.suppress(Failure):
                await room_for_recording(x)
                made = await create_recording(x, configuration(x))
        for attempt in range(MAX_JOBS):
            places = [await _place(x, each) for each in ([made] if made else await recordings(x))]
            if profile:
                places = [each for each in places if each[1].sources]
                x.check(
                    places, "GetRecordingOptions names no CompatibleSources for any recording (Recording Test 6.12)"
                )
            for free, place in places:
                if free > spare:
                    yield place
                    return
            known = await jobs(x)
            if attempt >= len(known) + len(removed) or not known:
                break
            spare_own(x, "recording jobs")
            token, job = next(iter(known.items()))
            await delete_job(x, token)
            removed.append(job)
        x.fail(f"no recording takes more than {spare} jobs (GetRecordingOptions, Recording Test 6.9)")
    finally:
        if made:
            await discard_recording(x, made)
        for job in removed:
            with contextlib.suppress(Failure):
                await x.ask("trc", create_job_request(renamed(job, "trc:JobConfiguration")))


MAX_JOBS = 64
"""Jobs that may have to go before the examiner gives up."""


async def _spare_kind(x: Examination, token: str) -> str:
    """A type of track that a recording takes; empty if it takes none."""
    track = find(await options(x, token), "trc:Track")
    if number(track, "SpareTotal") > 0:
        for kind in ("Video", "Audio", "Metadata"):
            if number(track, f"Spare{kind}") > 0:
                return kind
    return ""


@contextlib.asynccontextmanager
async def place_for_track(x: Examination) -> AsyncIterator[tuple[str, str]]:
    """Recording Test 6.11: a recording that takes a track, and the type of it."""
    made = ""
    try:
        known = await recordings(x)
        if not known:
            x.require(DYNAMIC)
            made = await create_recording(x, configuration(x))
            known = await recordings(x)
        for token in known:
            if kind := await _spare_kind(x, token):
                yield token, kind
                return
        # To delete a track is to delete its footage: only one of a recording that is made for it goes.
        x.require(DYNAMIC)
        made = made or await create_recording(x, configuration(x))
        kind = await _spare_kind(x, made)
        for track in tracks((await recordings(x))[made]) if not kind else ():
            body = f"<trc:RecordingToken>{made}</trc:RecordingToken><trc:TrackToken>{track}</trc:TrackToken>"
            await x.soap.call("trc", f"<trc:DeleteTrack>{body}</trc:DeleteTrack>")
            if kind := await _spare_kind(x, made):
                break
        x.check(kind, "no recording has Options.Track.SpareTotal above 0, and none gets it (Recording Test 6.11)")
        yield made, kind
    finally:
        if made:
            await discard_recording(x, made)


# ---- jobs ---------------------------------------------------------------------------------------------


async def jobs(x: Examination) -> dict[str, Any]:
    """Configurations of GetRecordingJobs by token."""
    answer = await x.ask("trc", "<trc:GetRecordingJobs/>")
    items = findall(answer, "trc:JobItem")
    tokens = [text(each, "tt:JobToken") for each in items]
    x.check(len(tokens) == len(set(tokens)), f"GetRecordingJobsResponse has a JobToken twice: {', '.join(tokens)}")
    return {token: find(item, "tt:JobConfiguration") for token, item in zip(tokens, items, strict=True)}


def job_of(recording: str, mode: str, priority: int, source: str) -> str:
    """trc:JobConfiguration with one source."""
    return (
        f"<trc:JobConfiguration><tt:RecordingToken>{recording}</tt:RecordingToken><tt:Mode>{mode}</tt:Mode>"
        f"<tt:Priority>{priority}</tt:Priority><tt:Source>{source}</tt:Source></trc:JobConfiguration>"
    )


def source_of(token: str, type_: str) -> str:
    return f'<tt:SourceToken Type="{type_}"><tt:Token>{token}</tt:Token></tt:SourceToken>'


AUTO_RECEIVER = "<tt:AutoCreateReceiver>true</tt:AutoCreateReceiver>"


def create_job_request(job: str) -> str:
    return f"<trc:CreateRecordingJob>{job}</trc:CreateRecordingJob>"


async def create_job(x: Examination, job: str) -> tuple[str, Any]:
    """CreateRecordingJob; returns the token and the configuration of the answer, which must be what was asked for."""
    answer = await x.ask("trc", create_job_request(job))
    token, made = text(answer, "trc:JobToken"), find(answer, "trc:JobConfiguration")
    try:
        x.check(token and made is not None, "CreateRecordingJobResponse lacks JobToken or JobConfiguration")
        asked = etree.fromstring(job.replace("<trc:JobConfiguration", f"<trc:JobConfiguration {_DECLARED}", 1))
        wanted = values(asked, "tt:RecordingToken", "tt:Mode", "tt:Priority")
        wrong = differing(wanted, values(made, *wanted))
        x.check(not wrong, f"CreateRecordingJob was asked for and answered with different {wrong}")
        for source in findall(made, "tt:Source"):
            x.check(
                find(source, "tt:AutoCreateReceiver") is None,
                "CreateRecordingJobResponse reports AutoCreateReceiver (RecordingControl 5.3.8)",
            )
        if find(asked, "tt:Source/tt:SourceToken") is not None:
            paths = ("tt:Source/tt:SourceToken/tt:Token",)
            wrong = differing(values(asked, *paths), values(made, *paths))
            x.check(not wrong, f"CreateRecordingJob was asked for and answered with different {wrong}")
            x.check(
                source_types(asked) == source_types(made),
                f"CreateRecordingJob was asked for a source of type {source_types(asked)} and answered {source_types(made)}",
            )
    except Failure:
        if token:
            await discard_job(x, token)
        raise
    return token, made


_DECLARED = f'xmlns:trc="{NS["trc"]}" xmlns:tt="{NS["tt"]}"'


async def delete_job(x: Examination, token: str) -> None:
    await x.ask("trc", f"<trc:DeleteRecordingJob><trc:JobToken>{token}</trc:JobToken></trc:DeleteRecordingJob>")


async def discard_job(x: Examination, token: str) -> None:
    with contextlib.suppress(Failure):
        await delete_job(x, token)


async def set_mode(x: Examination, token: str, mode: str) -> None:
    body = f"<trc:JobToken>{token}</trc:JobToken><trc:Mode>{mode}</trc:Mode>"
    await x.ask("trc", f"<trc:SetRecordingJobMode>{body}</trc:SetRecordingJobMode>")


async def job_state(x: Examination, token: str) -> Any:
    body = f"<trc:GetRecordingJobState><trc:JobToken>{token}</trc:JobToken></trc:GetRecordingJobState>"
    state = find(await x.ask("trc", body), "trc:State")
    x.check(state is not None, "GetRecordingJobStateResponse has no State")
    return state


def source_states(state: Any) -> tuple[str, ...]:
    return tuple(text(each, "tt:State") for each in findall(state, "tt:Sources"))


async def expect_state(
    x: Examination, token: str, allowed: Sequence[str], *, recording: str = "", sources: Sequence[str] = ()
) -> str:
    """GetRecordingJobState must give one of `allowed`, and its sources one of `sources` where named."""
    state = await job_state(x, token)
    value = text(state, "tt:State")
    x.check(value in allowed, f"the state of job {token} is {value}, expected {' or '.join(allowed)}")
    if recording:
        known = text(state, "tt:RecordingToken")
        x.check(known == recording, f"the state of job {token} names the recording {known}, not {recording}")
    if sources:
        x.check(
            source_states(state) and all(each in sources for each in source_states(state)),
            f"the sources of job {token} are {', '.join(source_states(state)) or 'none'}, expected {' or '.join(sources)}",
        )
    return value


@contextlib.asynccontextmanager
async def stopped_jobs(x: Examination) -> AsyncIterator[None]:
    """Prerequisite "all recording jobs were stopped": those that were active are so again afterwards."""
    active = [token for token, job in (await jobs(x)).items() if text(job, "tt:Mode") == "Active"]
    try:
        for token in active:
            await set_mode(x, token, "Idle")
        yield
    finally:
        for token in active:
            with contextlib.suppress(Failure):
                await set_mode(x, token, "Active")


@contextlib.asynccontextmanager
async def some_job(x: Examination) -> AsyncIterator[str]:
    """A job of the device, or one that is made for the case (Recording Test 5.4.11)."""
    known = await jobs(x)
    if known:
        yield next(iter(known))
        return
    if x.has(RECEIVER):
        async with place_for_jobs(x, 0) as place, receiver_job(x, place.token) as (token, _receiver):
            yield token
        return
    async with place_for_jobs(x, 0, profile=True) as place:
        token, _made = await create_job(x, job_of(place.token, "Idle", 1, source_of(place.sources[0], PROFILE_TYPE)))
        try:
            yield token
        finally:
            await discard_job(x, token)


# ---- jobs on receivers --------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def receiver_job(x: Examination, recording: str) -> AsyncIterator[tuple[str, str]]:
    """Recording Test 6.10: an idle job on a receiver that the device makes for it. Gives both tokens."""
    job, made = await create_job(x, job_of(recording, "Idle", 1, AUTO_RECEIVER))
    try:
        sources = findall(made, "tt:Source/tt:SourceToken")
        x.check(
            len(sources) == 1 and sources[0].get("Type") == RECEIVER_TYPE and text(sources[0], "tt:Token"),
            "CreateRecordingJobResponse does not name the receiver that was made for the job (Recording Test 6.10)",
        )
        token = text(sources[0], "tt:Token")
        x.check(token in await receivers(x), f"GetReceivers does not list {token}, which was made for the job {job}")
        yield job, token
    finally:
        await discard_job(x, job)


async def refuse_token(x: Examination, service: str, body: str, subcode: str) -> None:
    """The specification prefers this fault and accepts others."""
    await x.soap.refuse(service, body, (SENDER, INVALID, subcode), strict=False)
