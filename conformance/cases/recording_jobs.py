"""Test/Recording 5.2 and 5.3: starting and stopping, tracks and recordings that are made, priorities."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from conformance.cases.base_common import settle
from conformance.cases.event_common import Subscription
from conformance.cases.receiver_common import receiver_state, rtsp_source, set_receiver_mode, stream_to
from conformance.cases.recording_common import (
    ACTIVE,
    AUDIO,
    CONTROL,
    DYNAMIC,
    MEDIA,
    OPTIONS,
    PROFILE_TYPE,
    PULL_POINT,
    RECEIVER,
    RECEIVER_TYPE,
    TRACKS,
    VIDEO,
    capabilities,
    configuration,
    create_job,
    create_recording,
    delete_job,
    delete_recording,
    discard_job,
    discard_recording,
    expect_state,
    job_of,
    jobs,
    place_for_jobs,
    place_for_track,
    receiver_job,
    recordings,
    room_for_recording,
    set_mode,
    source_of,
    stopped_jobs,
    tracks,
)
from conformance.cases.recording_messages import (
    CHANGE_STATE,
    JOB_STATE,
    await_job_state,
    await_receiver_state,
    listening,
)
from conformance.cases.recording_values import RECORDING_PATHS, differing, values, whole
from conformance.model import Examination, case
from conformance.names import find, flag, text
from conformance.source import ONE, TWO, RtspSource

DOCUMENT = "Recording"
ON_RECEIVER = (CONTROL, RECEIVER, OPTIONS, PULL_POINT)
ON_PROFILE = (CONTROL, MEDIA, OPTIONS, PULL_POINT)
IDLE = ("Idle",)


# ---- 5.2: on a receiver -------------------------------------------------------------------------------


class Started:
    """A job that records what a receiver gets from the simulator."""

    def __init__(self, job: str, receiver: str, recording: str, source: RtspSource, state: str) -> None:
        self.job, self.receiver, self.recording, self.source, self.state = job, receiver, recording, source, state


@contextlib.asynccontextmanager
async def _recording_receiver(x: Examination) -> AsyncIterator[Started]:
    """Steps that the cases of 5.2.1, 5.2.2, 5.2.4 and 5.2.5 share, up to a job that records."""
    async with (
        stopped_jobs(x),
        place_for_jobs(x, 0) as place,
        receiver_job(x, place.token) as (job, receiver),
        rtsp_source(x) as source,
        listening(x, JOB_STATE) as sub,
    ):
        await stream_to(x, receiver, source, ONE)
        await set_mode(x, job, "Active")
        state = await await_job_state(x, sub, job, ACTIVE)
        await expect_state(x, job, ACTIVE, recording=place.token)
        yield Started(job, receiver, place.token, source, state)


@case("RECORDING-2-1-20", document=DOCUMENT, name="START RECORDING ON RECEIVER", requires=ON_RECEIVER)
async def start_on_receiver(x: Examination) -> None:
    async with _recording_receiver(x) as started:
        now = await expect_state(x, started.job, ACTIVE, recording=started.recording, sources=("Active",))
        x.check(now == started.state, f"the message says {started.state}, GetRecordingJobState says {now}")


@case(
    "RECORDING-2-1-22",
    document=DOCUMENT,
    name="STOP RECORDING ON RECEIVER - PUT JOB IN IDLE STATE",
    requires=ON_RECEIVER,
)
async def stop_on_receiver_idle(x: Examination) -> None:
    async with _recording_receiver(x) as started, listening(x, JOB_STATE) as sub:
        await set_mode(x, started.job, "Idle")
        await await_job_state(x, sub, started.job, IDLE)
        await expect_state(x, started.job, IDLE, recording=started.recording, sources=IDLE)


@case(
    "RECORDING-2-1-23",
    document=DOCUMENT,
    name="STOP RECORDING ON RECEIVER - NEVER CONNECTED MODE",
    requires=ON_RECEIVER,
)
async def stop_on_receiver_never(x: Examination) -> None:
    async with (
        stopped_jobs(x),
        place_for_jobs(x, 0) as place,
        receiver_job(x, place.token) as (job, receiver),
        rtsp_source(x) as source,
    ):
        async with listening(x, CHANGE_STATE) as sub:
            await stream_to(x, receiver, source, ONE)
            await set_mode(x, job, "Active")
            await await_receiver_state(x, sub, receiver, "Connected")
        state = await receiver_state(x, receiver)
        x.check(state == "Connected", f"GetReceiverState says {state} after the message that it is Connected")
        await settle(x)
        await expect_state(x, job, ACTIVE, recording=place.token, sources=("Active",))
        async with listening(x, CHANGE_STATE) as sub:
            await set_receiver_mode(x, receiver, "NeverConnect")
            await await_receiver_state(x, sub, receiver, "NotConnected")
        state = await receiver_state(x, receiver)
        x.check(state == "NotConnected", f"GetReceiverState says {state} after the message that it is NotConnected")
        await settle(x)
        await expect_state(x, job, IDLE, recording=place.token, sources=IDLE)


@case("RECORDING-2-1-25", document=DOCUMENT, name="STOP RECORDING ON RECEIVER - DELETE JOB", requires=ON_RECEIVER)
async def stop_on_receiver_delete(x: Examination) -> None:
    async with _recording_receiver(x) as started:
        await delete_job(x, started.job)
        x.check(started.job not in await jobs(x), f"GetRecordingJobs lists {started.job} after it was deleted")


@case(
    "RECORDING-2-1-27",
    document=DOCUMENT,
    name="MODIFY MEDIA ATTRIBUTE WHILE RECORDING - RECEIVER",
    requires=ON_RECEIVER,
)
async def modify_while_recording(x: Examination) -> None:
    async with _recording_receiver(x) as started:
        await stream_to(x, started.receiver, started.source, TWO)
        await settle(x)
        await expect_state(x, started.job, ACTIVE, recording=started.recording)


# ---- 5.2: on a media profile --------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def _recording_profile(x: Examination) -> AsyncIterator[tuple[str, str, str, Subscription]]:
    """Job, recording, state of the message, and the pull point."""
    async with stopped_jobs(x), place_for_jobs(x, 0, profile=True) as place, listening(x, JOB_STATE) as sub:
        source = source_of(place.sources[0], PROFILE_TYPE)
        job, _made = await create_job(x, job_of(place.token, "Active", 1, source))
        try:
            # Recording Test 6.13; a job may be announced first and record a moment later.
            state = await await_job_state(x, sub, job, ACTIVE, ("Initialized", "Changed"))
            yield job, place.token, state, sub
        finally:
            await discard_job(x, job)


@case("RECORDING-2-1-28", document=DOCUMENT, name="START RECORDING ON MEDIA PROFILE", requires=ON_PROFILE)
async def start_on_profile(x: Examination) -> None:
    async with _recording_profile(x) as (job, recording, state, _sub):
        now = await expect_state(x, job, ACTIVE, recording=recording, sources=("Active",))
        x.check(now == state, f"the message says {state}, GetRecordingJobState says {now}")


@case(
    "RECORDING-2-1-29",
    document=DOCUMENT,
    name="STOP RECORDING ON MEDIA PROFILE - PUT JOB IN IDLE STATE",
    requires=ON_PROFILE,
)
async def stop_on_profile_idle(x: Examination) -> None:
    async with _recording_profile(x) as (job, recording, _state, _sub):
        await expect_state(x, job, ACTIVE, recording=recording)
        async with listening(x, JOB_STATE) as sub:
            await set_mode(x, job, "Idle")
            await await_job_state(x, sub, job, IDLE)
        await expect_state(x, job, IDLE, recording=recording, sources=IDLE)


@case("RECORDING-2-1-30", document=DOCUMENT, name="STOP RECORDING ON MEDIA PROFILE - DELETE JOB", requires=ON_PROFILE)
async def stop_on_profile_delete(x: Examination) -> None:
    async with _recording_profile(x) as (job, recording, _state, _sub):
        await expect_state(x, job, ACTIVE, recording=recording, sources=ACTIVE)
        await delete_job(x, job)
        x.check(job not in await jobs(x), f"GetRecordingJobs lists {job} after it was deleted")


# ---- 5.3: tracks and recordings -----------------------------------------------------------------------


def track_request(recording: str, kind: str) -> str:
    inside = f"<tt:TrackType>{kind}</tt:TrackType><tt:Description>New Track</tt:Description>"
    body = (
        f"<trc:RecordingToken>{recording}</trc:RecordingToken><trc:TrackConfiguration>{inside}</trc:TrackConfiguration>"
    )
    return f"<trc:CreateTrack>{body}</trc:CreateTrack>"


def delete_track_request(recording: str, track: str) -> str:
    body = f"<trc:RecordingToken>{recording}</trc:RecordingToken><trc:TrackToken>{track}</trc:TrackToken>"
    return f"<trc:DeleteTrack>{body}</trc:DeleteTrack>"


@case("RECORDING-3-1-7", document=DOCUMENT, name="DYNAMIC TRACKS CONFIGURATION", requires=(CONTROL, TRACKS, OPTIONS))
async def dynamic_tracks(x: Examination) -> None:
    async with place_for_track(x) as (recording, kind):
        before = await recordings(x)
        track = text(await x.ask("trc", track_request(recording, kind)), "trc:TrackToken")
        gone = False
        try:
            x.check(
                track and track not in tracks(before[recording]),
                f"CreateTrack gave the token {track!r}, which is no new one",
            )
            with_track = await recordings(x)
            x.check(track in tracks(with_track[recording]), f"GetRecordings does not list the new track {track}")
            made = find(tracks(with_track[recording])[track], "tt:Configuration")
            read = values(made, "tt:TrackType", "tt:Description")
            wrong = differing({"tt:TrackType": (kind,), "tt:Description": ("New Track",)}, read)
            x.check(not wrong, f"the track as created and as listed differs in {wrong}")
            _unchanged(x, before, with_track, {recording: {track}})
            await x.ask("trc", delete_track_request(recording, track))
            gone = True
            after = await recordings(x)
            x.check(
                track not in tracks(after[recording]), f"GetRecordings lists the track {track} after it was deleted"
            )
            _unchanged(x, before, after, {})
        finally:
            if track and not gone:
                await x.soap.call("trc", delete_track_request(recording, track))


def _unchanged(x: Examination, before: dict[str, object], after: dict[str, object], new: dict[str, set[str]]) -> None:
    """Nothing else has changed: recordings by their configuration, tracks by theirs."""
    for token, recording in before.items():
        x.check(token in after, f"recording {token} is no longer listed")
        one, other = (find(each, "tt:Configuration") for each in (recording, after[token]))
        wrong = differing(values(one, *RECORDING_PATHS), values(other, *RECORDING_PATHS))
        x.check(not wrong, f"recording {token} has changed: {wrong}")
        old, now = tracks(recording), tracks(after[token])
        x.check(
            set(now) == set(old) | new.get(token, set()),
            f"the tracks of {token} were {', '.join(old)} and are {', '.join(now)}",
        )
        for track, element in old.items():
            x.check(whole(element) == whole(now[track]), f"track {track} of {token} has changed")


@case("RECORDING-3-1-10", document=DOCUMENT, name="DYNAMIC RECORDINGS CONFIGURATION", requires=(CONTROL, DYNAMIC))
async def dynamic_recordings(x: Examination) -> None:
    await room_for_recording(x)
    supported = await capabilities(x)
    encodings = {each.upper() for each in (supported.get("Encoding") or "").split()}
    before = await recordings(x)
    inside = configuration(x, Content="Create/Delete recordings test")
    token = await create_recording(x, inside)
    gone = False
    try:
        x.check(token not in before, f"CreateRecording gave the token {token}, which another recording has")
        after = await recordings(x)
        x.check(token in after, f"GetRecordings does not list the new recording {token}")
        made = values(find(after[token], "tt:Configuration"), *RECORDING_PATHS)
        for path in RECORDING_PATHS:
            name = path.rpartition(":")[2]
            x.check(
                made[path] and (name == "MaximumRetentionTime" or f"<tt:{name}>{made[path][0]}</tt:{name}>" in inside),
                f"{name} of the new recording is {made[path]}, which is not what was asked for",
            )
        kinds = {text(each, "tt:Configuration/tt:TrackType") for each in tracks(after[token]).values()}
        wanted = {
            "Video": bool(encodings & VIDEO),
            "Audio": bool(encodings & AUDIO),
            "Metadata": flag(supported, "MetadataRecording"),
        }
        missing = [kind for kind, needed in wanted.items() if needed and kind not in kinds]
        x.check(not missing, f"the new recording has no track of {', '.join(missing)}, which the capabilities promise")
        _unchanged(x, before, after, {})
        await delete_recording(x, token)
        gone = True
        last = await recordings(x)
        x.check(token not in last, f"GetRecordings lists the recording {token} after it was deleted")
        _unchanged(x, before, last, {})
    finally:
        if not gone:
            await discard_recording(x, token)


# ---- 5.3: priorities ----------------------------------------------------------------------------------


async def _priorities(x: Examination, job: str, second: str) -> None:
    """The first job is active; another of higher priority takes its place until it is deleted."""
    first = await expect_state(x, job, ACTIVE)
    other, _made = await create_job(x, second)
    try:
        await settle(x)
        await expect_state(x, job, IDLE)
        await expect_state(x, other, ACTIVE)
        await delete_job(x, other)
    except BaseException:
        await discard_job(x, other)
        raise
    await settle(x)
    again = await expect_state(x, job, ACTIVE)
    x.check(again == first, f"job {job} was {first} before the job of higher priority and is {again} after it")
    await delete_job(x, job)


@case(
    "RECORDING-3-1-11",
    document=DOCUMENT,
    name="RECORDING JOB CONFIGURATION - DIFFERENT PRIORITIES (ON MEDIA PROFILE)",
    requires=(CONTROL, MEDIA, OPTIONS),
)
async def priorities_on_profile(x: Examination) -> None:
    async with stopped_jobs(x), place_for_jobs(x, 1, profile=True) as place:
        source = source_of(place.sources[0], PROFILE_TYPE)
        job, _made = await create_job(x, job_of(place.token, "Active", 1, source))
        try:
            await settle(x)
            await _priorities(x, job, job_of(place.token, "Active", 2, source))
        finally:
            await discard_job(x, job)


@case(
    "RECORDING-3-1-12",
    document=DOCUMENT,
    name="RECORDING JOB CONFIGURATION - DIFFERENT PRIORITIES (ON RECEIVER)",
    requires=(CONTROL, RECEIVER, OPTIONS),
)
async def priorities_on_receiver(x: Examination) -> None:
    async with (
        stopped_jobs(x),
        place_for_jobs(x, 1) as place,
        receiver_job(x, place.token) as (job, receiver),
        rtsp_source(x) as source,
    ):
        # The steps name no stream; a receiver without one could not become active.
        await stream_to(x, receiver, source, ONE)
        await set_mode(x, job, "Active")
        await settle(x)
        second = source_of(receiver, RECEIVER_TYPE) + "<tt:AutoCreateReceiver>false</tt:AutoCreateReceiver>"
        await _priorities(x, job, job_of(place.token, "Active", 2, second))
