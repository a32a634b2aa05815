"""From events, schedules and modes to orders, spans and reasons, in simulated time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

import pytest

from onvifd.clock import US, SimulatedClock
from onvifd.errors import Unavailable
from onvifd.events import topics
from onvifd.events.relayed_topics import DIGITAL_INPUT, LINE_CROSSED
from onvifd.events.topic import message
from onvifd.recording.director import INTERRUPTED_SETTING, MAX_WAIT
from onvifd.recording.schedule import Period, Week, all_week, one_click
from onvifd.recording.settings import Changes, with_active
from onvifd.recording.spans import RETRY, Line, SpanWriter
from onvifd.recording.triggers import Decision, Now, Watched
from onvifd.recording.types import Mode, RecordType
from onvifd.store.catalogue import AsyncCatalogue

from .conftest import Stage

DAY = 86_400
Cameras = tuple[str, str]


@pytest.fixture
def changes(catalogue: AsyncCatalogue) -> Changes:
    return Changes(catalogue.sync)


@pytest.mark.covers("REC-13", "REC-24", "P131")
async def test_cameras_are_recorded_always_until_somebody_says_otherwise(stage: Stage, cameras: Cameras) -> None:
    await stage.start()
    assert stage.writing == {f"rec-{camera}" for camera in cameras}
    assert await stage.spans(f"rec-{cameras[0]}") == [("general", "general", -5, None)]
    (first, second) = stage.director.status()
    assert (first.recording, first.mode, first.active, first.kind, first.reason) == (
        f"rec-{cameras[0]}",
        "auto",
        True,
        "general",
        "",
    )
    assert second.camera == cameras[1]


@pytest.mark.covers("REC-09", "REC-10", "P127", "P135", "P136")
async def test_motion_is_recorded_from_before_its_begin_to_after_its_end(
    stage: Stage, cameras: Cameras, changes: Changes, clock: SimulatedClock
) -> None:
    changes.one_click(cameras, one_click("motion"))
    await stage.start()
    token = f"rec-{cameras[0]}"
    assert stage.writing == frozenset()
    assert stage.director.status()[0].reason == "waits for an event: motion"
    await clock.advance(100)
    stage.motion(cameras[0], True)
    assert stage.writing == {token}
    await clock.advance(20)
    stage.motion(cameras[0], False)
    await clock.advance(29)
    assert stage.writing == {token}
    await clock.advance(2)
    assert stage.writing == frozenset()
    assert await stage.spans(token) == [("motion", "motion", 95, 150)]


@pytest.mark.covers("P118", "P128", "P129", "P130")
async def test_continuous_footage_shows_its_events(
    stage: Stage, cameras: Cameras, changes: Changes, clock: SimulatedClock
) -> None:
    changes.one_click(cameras, one_click("always+motion+sensor+analytics"))
    await stage.start()
    camera, token = cameras[0], f"rec-{cameras[0]}"

    def sensor(state: str) -> None:
        stage.bus.publish(message(DIGITAL_INPUT, clock.utc(), (f"di-{camera}-1",), (state,), token))

    await clock.advance(10)
    stage.motion(camera, True)
    await clock.advance(10)
    sensor("true")
    await clock.advance(10)
    sensor("false")
    stage.motion(camera, False)
    await clock.advance(40)
    source = (f"vsc-{camera}", f"vac-{camera}", "fence")
    stage.bus.publish(message(LINE_CROSSED, clock.utc(), source, ("1",), token))
    await clock.advance(40)
    assert [span[:2] for span in await stage.spans(token)] == [
        ("general", "general"),
        ("motion", "motion,general"),
        ("alarm", "alarm,motion,general"),
        ("general", "general"),
        ("intelligent", "intelligent,general"),
        ("general", "general"),
    ]
    starts = [span[2] for span in await stage.spans(token)]
    ends = [span[3] for span in await stage.spans(token)]
    assert ends[:-1] == starts[1:]
    assert len({f"rec-{camera}" for camera in cameras} & stage.writing) == 2


@pytest.mark.covers("REC-01", "P126", "P122")
async def test_schedules_begin_and_end_recording(
    stage: Stage, cameras: Cameras, changes: Changes, clock: SimulatedClock
) -> None:
    week = Week(((Period(8 * 60, 9 * 60, frozenset((RecordType.GENERAL,))),),) * 7)
    changes.set_week(cameras[:1], week)
    changes.assign(cameras[1:], RecordType.GENERAL, "24x2")
    await stage.start()
    assert stage.writing == frozenset()  # the first of January 2026 is a Thursday
    assert stage.director.status()[0].reason == "outside the times of the schedule"
    await clock.advance(8 * 3600 + 1)
    assert stage.writing == {f"rec-{cameras[0]}"}
    await clock.advance(3600)
    assert stage.writing == frozenset()
    await clock.advance(39 * 3600)
    assert stage.writing == {f"rec-{cameras[1]}"}


@pytest.mark.covers("REC-28")
async def test_two_days_with_a_shift_and_a_leap_back(
    stage: Stage, cameras: Cameras, changes: Changes, clock: SimulatedClock
) -> None:
    # To 28 March 2026, 20:00 UTC; in the night the clocks go from 02:00 to 03:00.
    clock.step((31 + 28 + 27) * DAY + 20 * 3600)
    stage.zone, stage.pre = "CET-1CEST,M3.5.0,M10.5.0/3", 0
    week = Week(((Period(2 * 60 + 30, 4 * 60, frozenset((RecordType.GENERAL,))),),) * 7)
    changes.set_week(cameras, week)
    await stage.start()
    token, begin = f"rec-{cameras[0]}", clock.utc()

    def hours(span: tuple[str, str, int, int | None]) -> tuple[float, float | None]:
        base = begin // US - 1_767_225_600
        end = None if span[3] is None else round((span[3] - base) / 3600, 2)
        return round((span[2] - base) / 3600, 2), end

    await clock.advance(12 * 3600)
    # 03:00 summer time is 01:00 UTC, five hours after the beginning: the half hour before was skipped.
    assert [hours(span) for span in await stage.spans(token)] == [(5.0, 6.0)]
    await clock.advance(17 * 3600 + 1800)
    assert stage.writing == frozenset((token, f"rec-{cameras[1]}"))  # 03:30 on Monday
    clock.step(-5400)  # by an hour and a half: the schedule has not begun yet
    await clock.advance(20)
    assert stage.writing == frozenset()
    await clock.advance(1800)
    assert token in stage.writing
    await clock.advance(2 * 3600)
    assert stage.writing == frozenset()
    # What was begun before the leap has no length by the new clock; the time that comes again is recorded again.
    assert [hours(span) for span in await stage.spans(token)] == [(5.0, 6.0), (28.5, 30.0)]


async def test_orders_are_told_only_when_they_change(
    stage: Stage, cameras: Cameras, clock: SimulatedClock, changes: Changes
) -> None:
    await stage.start()
    for _ in range(3):
        stage.motion(cameras[0], True)
        await clock.advance(60)
        stage.motion(cameras[0], False)
    await stage.read()
    assert len(stage.orders) == 1


@pytest.mark.covers("REC-13", "P125", "P138")
async def test_modes_and_recording_by_hand(
    stage: Stage, cameras: Cameras, changes: Changes, clock: SimulatedClock
) -> None:
    await stage.start()
    first = cameras[0]
    changes.one_click([first], one_click("motion"))
    await stage.read()
    for mode, written in ((Mode.MANUAL, True), (Mode.OFF, False), (Mode.AUTO, False)):
        changes.set_mode([first], "main", mode)
        await stage.read()
        assert (f"rec-{first}" in stage.writing) is written
    changes.set_manual([first], "main", True)
    await stage.read()
    await stage.settle()
    assert stage.director.status()[0].kind is RecordType.MANUAL
    changes.policies(lambda known: with_active(known, False), [first], "main")
    await stage.read()
    (status, _) = stage.director.status()
    assert (status.ordered, status.reason) == (False, "recording is switched off")


async def test_an_active_job_goes_back_to_what_it_was(
    cameras: Cameras, changes: Changes, catalogue: AsyncCatalogue
) -> None:
    policies = catalogue.sync.policies
    for mode in (Mode.MANUAL, Mode.AUTO):
        changes.set_mode([cameras[0]], "main", mode)
        for active, expected in ((True, mode.value), (False, "off"), (False, "off"), (True, mode.value)):
            changes.policies(partial(with_active, active=active), [cameras[0]], "main")
            assert policies.get(cameras[0], "main").mode == expected
            (job,) = (each for each in catalogue.sync.recordings.jobs() if each.camera == cameras[0])
            assert job.active is (expected != "off")


@pytest.mark.covers("REC-16", "LNK-07", "P187")
async def test_an_event_records_linked_channels(
    stage: Stage, cameras: Cameras, changes: Changes, clock: SimulatedClock
) -> None:
    changes.one_click(cameras, one_click("motion"))
    changes.set_links(cameras[0], RecordType.MOTION, [cameras[1]])
    await stage.start()
    stage.motion(cameras[0], True)
    assert stage.writing == {f"rec-{camera}" for camera in cameras}


@pytest.mark.covers("P004")
async def test_main_and_sub_are_recorded_together(stage: Stage, cameras: Cameras, changes: Changes) -> None:
    changes.set_mode([cameras[0]], "sub", Mode.AUTO)
    await stage.start()
    assert {f"rec-{cameras[0]}", f"rec-{cameras[0]}-sub"} <= stage.writing
    assert [status.stream for status in stage.director.status()] == ["main", "sub", "main"]


async def test_a_lost_camera_ends_its_event(
    stage: Stage, cameras: Cameras, changes: Changes, clock: SimulatedClock
) -> None:
    changes.one_click(cameras, one_click("motion"))
    await stage.start()
    stage.motion(cameras[0], True)
    await clock.advance(10)
    stage.bus.publish(topics.signal_loss(f"vs-{cameras[0]}", True, clock.utc(), f"rec-{cameras[0]}"))
    stage.say(f"rec-{cameras[0]}", False, clock.utc(), "the camera does not deliver")
    assert stage.director.status()[0].reason == "the camera does not deliver"
    await clock.advance(29)
    assert stage.writing
    await clock.advance(2)
    assert not stage.writing


@pytest.mark.covers("P138")
async def test_why_something_is_not_recorded(stage: Stage, cameras: Cameras, changes: Changes) -> None:
    stage.works = False
    changes.set_week(cameras[1:], Week())
    await stage.start()
    first, second = stage.director.status()
    assert (first.ordered, first.active, first.reason) == (True, False, "volume vol-1 is full")
    assert (second.ordered, second.reason) == (False, "the schedule has no times")
    stage.works = True
    assert stage.director.status()[0].reason == "about to begin"
    stage.say(f"rec-{cameras[0]}", False, 0, "No space left on device", error=True)
    assert stage.director.status()[0].reason == "No space left on device"


@pytest.mark.parametrize("orderly", [True, False])
async def test_a_restart_in_the_middle_of_an_event(
    stage: Stage, cameras: Cameras, changes: Changes, clock: SimulatedClock, orderly: bool
) -> None:
    changes.one_click(cameras, one_click("motion"))
    await stage.start()
    token = f"rec-{cameras[0]}"
    stage.motion(cameras[0], True)
    await clock.advance(10)
    await stage.spans(token)
    if orderly:
        await stage.director.stop()
        stage.say(token, False, clock.utc())
    else:
        # Killed: nobody ends what was begun.
        for task in (stage.director._writer._task, stage.director._states._task, stage.director._timer):
            assert task is not None
            task.cancel()
    again = Stage(stage.catalogue, clock)
    await again.start()
    assert again.writing == {token}
    assert again.catalogue.sync.settings.get(INTERRUPTED_SETTING) is None
    await clock.advance(5)
    again.motion(cameras[0], True)
    await clock.advance(60)
    assert again.writing == {token}
    again.motion(cameras[0], False)
    await clock.advance(31)
    assert again.writing == frozenset()
    await again.stop()
    assert len([span for span in await again.spans(token) if span[3] is None]) == 0


async def test_what_was_long_ago_is_not_taken_up(
    stage: Stage, cameras: Cameras, changes: Changes, clock: SimulatedClock
) -> None:
    changes.one_click(cameras, one_click("motion"))
    await stage.start()
    stage.motion(cameras[0], True)
    await stage.director.stop()
    await clock.advance(3600)
    again = Stage(stage.catalogue, clock)
    await again.start()
    assert again.writing == frozenset()
    await again.stop()


async def test_events_that_last_already_count_from_the_start(stage: Stage, cameras: Cameras, changes: Changes) -> None:
    changes.one_click(cameras, one_click("motion"))
    stage.motion(cameras[1], True)
    await stage.start()
    assert stage.writing == {f"rec-{cameras[1]}"}


async def test_a_new_time_zone_counts_within_seconds(
    stage: Stage, cameras: Cameras, changes: Changes, clock: SimulatedClock
) -> None:
    changes.set_week(cameras, Week(((Period(0, 60, frozenset((RecordType.GENERAL,))),),) * 7))
    await stage.start()
    assert stage.writing
    stage.zone = "JST-9"
    await clock.advance(11)
    assert not stage.writing


@pytest.mark.covers("REC-24")
async def test_how_it_stands_can_be_read_in_the_catalogue(
    stage: Stage, cameras: Cameras, changes: Changes, clock: SimulatedClock
) -> None:
    changes.one_click(cameras[1:], one_click("motion"))
    await stage.start()
    policies = stage.catalogue.sync.policies

    async def rows() -> dict[str, tuple[bool, bool, str, str]]:
        await clock.advance(1)
        async with asyncio.timeout(5):
            while not (found := await asyncio.to_thread(policies.states)):
                await asyncio.sleep(0.01)
        return {row.camera: (row.ordered, row.active, row.marks, row.reason) for row in found}

    assert await rows() == {
        cameras[0]: (True, True, "general", ""),
        cameras[1]: (False, False, "", "waits for an event: motion"),
    }
    await stage.director.stop()
    assert policies.states() == ()


async def test_a_job_of_a_client_is_watched_too(stage: Stage, cameras: Cameras) -> None:
    await stage.start()
    settings = stage.director._settings
    stage.director.configure(settings, [Watched(recording="rec-0123abcd", camera=cameras[0])])
    assert stage.writing == {"rec-0123abcd"}
    job = stage.director.status()[-1]
    assert (job.recording, job.mode, job.ordered) == ("rec-0123abcd", "job", True)
    assert stage.director.status()[0].reason == "no active job has a source for it"


async def test_receipts_are_a_cause_of_their_own(
    stage: Stage, cameras: Cameras, changes: Changes, clock: SimulatedClock
) -> None:
    changes.set_week(cameras, all_week((RecordType.POS,)))
    await stage.start()
    stage.director.trigger(cameras[0], RecordType.POS)
    assert stage.writing == {f"rec-{cameras[0]}"}
    assert stage.director.decisions()[f"rec-{cameras[0]}"].kind is RecordType.POS


async def test_post_record_is_that_of_the_policy(
    stage: Stage, cameras: Cameras, changes: Changes, clock: SimulatedClock
) -> None:
    changes.one_click(cameras, one_click("motion"))
    changes.policies(lambda known: replace(known, post=300), cameras[:1], "main")
    await stage.start()
    for camera in cameras:
        stage.motion(camera, True)
        stage.motion(camera, False)
    await clock.advance(31)
    assert stage.writing == {f"rec-{cameras[0]}"}
    await clock.advance(270)
    assert stage.writing == frozenset()


async def test_a_defect_costs_one_look(
    stage: Stage, cameras: Cameras, changes: Changes, clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stage.start()
    decide = stage.director._triggers.decide
    calls = 0

    def broken(now: Now) -> dict[str, Decision]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise RuntimeError("a defect")
        return decide(now)

    monkeypatch.setattr(stage.director._triggers, "decide", broken)
    await clock.advance(MAX_WAIT + 1)
    assert calls == 1
    await clock.advance(MAX_WAIT + 1)
    assert calls == 2


@pytest.mark.parametrize("method", ["begin", "finish"])
async def test_spans_wait_for_a_catalogue_that_is_locked(
    catalogue: AsyncCatalogue, clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Neither the end of one nor the begin of the next is lost, and nothing is stored twice."""
    spans = catalogue.sync.spans
    original = getattr(spans, method)
    calls = 0

    def locked(*args: object) -> object:
        nonlocal calls
        calls += 1
        if calls % 3:
            raise Unavailable("the database is locked")
        return original(*args)

    monkeypatch.setattr(spans, method, locked)
    writer = SpanWriter(catalogue, clock)
    writer.start()
    times = [n * US for n in range(1, 4)]
    kinds = (RecordType.GENERAL, RecordType.MOTION)
    for utc, kind in zip(times, kinds, strict=False):
        writer.put(Line("rec-1", utc, None))
        writer.put(Line("rec-1", utc, Decision(kind, (kind,))))
    writer.put(Line("rec-1", times[-1], None))
    async with asyncio.timeout(5):
        while writer._lines._unfinished_tasks:  # type: ignore[attr-defined]
            await clock.advance(RETRY)
    await writer.stop()
    found = await asyncio.to_thread(spans.between, "rec-1", 0, 1 << 62)
    assert [(row.kind, row.start, row.end) for row in found] == [
        ("general", times[0], times[1]),
        ("motion", times[1], times[2]),
    ]
