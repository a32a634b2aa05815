"""When a recording is written and under which name: causes, post-record, exclusion, links, clocks that jump."""

from __future__ import annotations

from dataclasses import replace

import pytest

from onvifd.clock import US
from onvifd.host.timezone import parse
from onvifd.recording.calendar import Calendar
from onvifd.recording.localtime import LocalTime
from onvifd.recording.schedule import Period, Week, all_week
from onvifd.recording.triggers import FAR, MAX_CAUSES, Decision, Now, Rules, Triggers, Watched
from onvifd.recording.types import Mode, Policy, RecordType

R = RecordType
NOON = 1_767_268_800 * US  # Thursday 2026-01-01 12:00 UTC
POST = 30


def now(seconds: float, step: float = 0.0) -> Now:
    """Seconds after noon; `step` is how far the wall clock was set."""
    return Now(NOON + round((seconds + step) * US), 1000.0 + seconds)


def rules(*armed: R, links: dict[tuple[str, R], frozenset[str]] | None = None, week: Week | None = None) -> Rules:
    calendar = Calendar(LocalTime(parse("UTC0")), week or all_week(armed) if armed or week else Week())
    return Rules(calendars={"a": calendar, "b": calendar}, links=links or {})


def watched(camera: str = "a", **more: object) -> Watched:
    policy = Policy(camera=camera, stream="main", post=POST, **more)  # type: ignore[arg-type]
    return Watched(recording=f"rec-{camera}", camera=camera, policy=policy)


def made(*armed: R, given: tuple[Watched, ...] | None = None, **more: object) -> Triggers:
    triggers = Triggers()
    triggers.configure(rules(*armed, **more), given or (watched(),), now(0))  # type: ignore[arg-type]
    return triggers


def kind(triggers: Triggers, seconds: float, step: float = 0.0, recording: str = "rec-a") -> R | None:
    moment = now(seconds, step)
    triggers.look(moment)
    decision = triggers.decide(moment).get(recording)
    return None if decision is None else decision.kind


@pytest.mark.covers("REC-13", "P126")
@pytest.mark.parametrize(
    ("mode", "armed", "expected"),
    [
        (Mode.AUTO, (R.GENERAL,), R.GENERAL),
        (Mode.AUTO, (R.MOTION,), None),
        (Mode.AUTO, (), None),
        (Mode.MANUAL, (), R.GENERAL),
        (Mode.OFF, (R.GENERAL,), None),
    ],
)
def test_modes(mode: Mode, armed: tuple[R, ...], expected: R | None) -> None:
    assert kind(made(*armed, given=(watched(mode=mode),)), 0) is expected


@pytest.mark.covers("REC-02", "P127", "P128", "P129", "REC-26")
@pytest.mark.parametrize("cause", [R.MOTION, R.ALARM, R.INTELLIGENT, R.POS])
def test_an_event_is_recorded_where_its_type_is_armed(cause: R) -> None:
    triggers = made(cause)
    triggers.cause("a", cause, "1", True, now(1))
    assert kind(triggers, 1) is cause
    others = made(*(each for each in (R.MOTION, R.ALARM, R.INTELLIGENT, R.POS) if each is not cause))
    others.cause("a", cause, "1", True, now(1))
    assert kind(others, 1) is None


@pytest.mark.covers("REC-10", "P136", "LNK-08")
def test_post_record_follows_the_end_of_the_event() -> None:
    triggers = made(R.MOTION)
    triggers.cause("a", R.MOTION, "1", True, now(1))
    assert triggers.next_look(now(2)) > POST
    triggers.cause("a", R.MOTION, "1", False, now(10))
    assert triggers.next_look(now(10)) == POST
    assert kind(triggers, 10 + POST - 0.001) is R.MOTION
    assert kind(triggers, 10 + POST) is None


@pytest.mark.covers("REC-10")
def test_an_event_prolongs_and_never_cuts() -> None:
    triggers = made(R.MOTION)
    for begin, end in ((0, 20), (25, 26), (40, 60)):
        triggers.cause("a", R.MOTION, "1", True, now(begin))
        triggers.cause("a", R.MOTION, "1", False, now(end))
        assert kind(triggers, end + POST - 1) is R.MOTION
    assert kind(triggers, 60 + POST) is None


def test_an_event_lasts_until_its_last_cause_ends() -> None:
    triggers = made(R.ALARM)
    for key in ("1", "2"):
        triggers.cause("a", R.ALARM, key, True, now(0))
    triggers.cause("a", R.ALARM, "1", False, now(5))
    assert kind(triggers, 100) is R.ALARM
    triggers.cause("a", R.ALARM, "2", False, now(100))
    assert kind(triggers, 100 + POST - 1) is R.ALARM
    assert kind(triggers, 100 + POST) is None


def test_what_does_not_last_is_recorded_for_its_post_record() -> None:
    triggers = made(R.INTELLIGENT)
    triggers.pulse("a", R.INTELLIGENT, now(0))
    assert kind(triggers, POST - 1) is R.INTELLIGENT
    triggers.pulse("a", R.INTELLIGENT, now(POST - 1))
    assert kind(triggers, 2 * POST - 2) is R.INTELLIGENT
    assert kind(triggers, 2 * POST - 1) is None


@pytest.mark.covers("REC-03", "P130")
def test_the_type_that_counts_most_names_it_and_all_are_marked() -> None:
    triggers = made(R.GENERAL, R.MOTION, R.ALARM, R.INTELLIGENT, R.POS)
    expected = [R.GENERAL]
    for cause in (R.MOTION, R.INTELLIGENT, R.POS, R.ALARM):
        triggers.cause("a", cause, "1", True, now(1))
        expected.insert(0, cause)
        assert triggers.decide(now(1)) == {"rec-a": Decision(cause, tuple(expected))}
    triggers.configure(rules(R.GENERAL), (watched(manual=True),), now(2))
    assert triggers.decide(now(2))["rec-a"].kind is R.MANUAL


@pytest.mark.covers("P118", "P130")
def test_events_mark_continuous_footage_without_being_armed() -> None:
    triggers = made(R.GENERAL)
    triggers.cause("a", R.MOTION, "1", True, now(1))
    assert triggers.decide(now(1))["rec-a"] == Decision(R.GENERAL, (R.MOTION, R.GENERAL))
    triggers.cause("a", R.MOTION, "1", False, now(2))
    assert triggers.next_look(now(2)) == POST
    triggers.look(now(2 + POST))
    assert triggers.decide(now(2 + POST))["rec-a"] == Decision(R.GENERAL, (R.GENERAL,))


@pytest.mark.covers("REC-04")
def test_motion_and_alarm_together() -> None:
    triggers = made(R.MOTION_AND_ALARM, R.MOTION, R.ALARM)
    triggers.cause("a", R.MOTION, "1", True, now(1))
    assert kind(triggers, 1) is None  # motion alone has no effect
    triggers.cause("a", R.ALARM, "1", True, now(2))
    assert kind(triggers, 2) is R.MOTION_AND_ALARM
    triggers.cause("a", R.MOTION, "1", False, now(3))
    assert kind(triggers, 3 + POST - 1) is R.MOTION_AND_ALARM
    assert kind(triggers, 3 + POST) is None  # an alarm alone has none either


@pytest.mark.covers("P125")
def test_recording_by_hand_asks_no_schedule_but_what_is_off_is_off() -> None:
    triggers = made(given=(watched(manual=True),))
    assert kind(triggers, 0) is R.MANUAL
    triggers.configure(rules(), (watched(),), now(5))
    assert kind(triggers, 5) is None
    triggers.configure(rules(), (watched(manual=True, mode=Mode.OFF),), now(6))
    assert kind(triggers, 6) is None


@pytest.mark.covers("REC-16")
def test_an_event_records_other_channels_whose_schedule_arms_it() -> None:
    links = {("a", R.ALARM): frozenset("b")}
    triggers = made(R.ALARM, given=(watched("a"), watched("b")), links=links)
    triggers.cause("a", R.ALARM, "1", True, now(1))
    assert set(triggers.decide(now(1))) == {"rec-a", "rec-b"}
    triggers.cause("a", R.ALARM, "1", False, now(2))
    triggers.cause("b", R.ALARM, "1", True, now(40))
    triggers.look(now(40))
    assert set(triggers.decide(now(40))) == {"rec-b"}  # links have one direction
    for mode in (Mode.OFF, Mode.MANUAL):
        other = made(R.ALARM, given=(watched("a"), watched("b", mode=mode)), links=links)
        other.cause("a", R.ALARM, "1", True, now(1))
        assert kind(other, 1, recording="rec-b") is (None if mode is Mode.OFF else R.GENERAL)


def test_each_recording_has_its_own_post_record() -> None:
    sub = Watched(recording="rec-a-sub", camera="a", policy=Policy(camera="a", stream="sub", post=100))
    triggers = made(R.MOTION, given=(watched(), sub))
    triggers.pulse("a", R.MOTION, now(0))
    triggers.look(now(POST))
    assert set(triggers.decide(now(POST))) == {"rec-a-sub"}


def test_a_lost_camera_ends_its_events_with_their_post_record() -> None:
    triggers = made(R.MOTION)
    triggers.cause("a", R.MOTION, "1", True, now(0))
    triggers.camera_lost("a", True, now(10))
    assert kind(triggers, 10 + POST - 1) is R.MOTION
    assert kind(triggers, 10 + POST) is None
    triggers.camera_lost("a", False, now(100))  # the event was never said to have ended
    assert kind(triggers, 100) is R.MOTION


@pytest.mark.covers("REC-01")
def test_the_end_of_a_period_is_the_end_of_its_events() -> None:
    week = Week(((Period(12 * 60, 12 * 60 + 1, frozenset((R.MOTION,))),),) * 7)
    triggers = made(week=week)
    triggers.cause("a", R.MOTION, "1", True, now(10))
    assert triggers.next_look(now(10)) == 50
    assert kind(triggers, 60) is R.MOTION
    assert kind(triggers, 60 + POST - 1) is R.MOTION
    assert kind(triggers, 60 + POST) is None


def test_an_event_that_lasts_is_recorded_when_its_period_begins() -> None:
    week = Week(((Period(12 * 60 + 1, 12 * 60 + 9, frozenset((R.MOTION,))),),) * 7)
    triggers = made(week=week)
    triggers.cause("a", R.MOTION, "1", True, now(10))
    assert kind(triggers, 59) is None
    assert kind(triggers, 60) is R.MOTION


@pytest.mark.covers("REC-28")
def test_post_record_does_not_care_for_the_wall_clock_and_schedules_do() -> None:
    week = Week(((Period(12 * 60, 13 * 60, frozenset((R.MOTION,))),),) * 7)
    triggers = made(week=week)
    triggers.pulse("a", R.MOTION, now(0))
    assert kind(triggers, 10, step=-7200) is R.MOTION
    assert kind(triggers, POST, step=-7200) is None
    triggers.pulse("a", R.MOTION, now(40, step=-7200))
    assert kind(triggers, 40, step=-7200) is None  # it is 10 o'clock
    triggers.pulse("a", R.MOTION, now(50))
    assert kind(triggers, 50) is R.MOTION


def test_a_job_of_a_client_records_always_and_marks_events() -> None:
    job = Watched(recording="rec-1234abcd", camera="a")
    triggers = made(given=(job,))
    assert triggers.decide(now(0)) == {"rec-1234abcd": Decision(R.GENERAL, (R.GENERAL,))}
    triggers.cause("a", R.ALARM, "1", True, now(1))
    assert triggers.decide(now(1))["rec-1234abcd"].marks == (R.ALARM, R.GENERAL)
    receiver = made(given=(Watched(recording="rec-1234abcd"),))
    assert kind(receiver, 0, recording="rec-1234abcd") is R.GENERAL
    assert receiver.next_look(now(0)) == FAR


def test_what_was_being_recorded_is_taken_up_after_a_restart() -> None:
    triggers = made(R.MOTION)
    triggers.cause("a", R.MOTION, "1", True, now(0))
    kept = triggers.interrupted(now(1))
    assert kept == {"rec-a": (R.MOTION,)}
    again = made(R.MOTION)
    for token, kinds in kept.items():
        again.resume(token, kinds, now(10))
    assert kind(again, 10) is R.MOTION
    again.cause("a", R.MOTION, "1", True, now(15))  # the camera says that it lasts
    assert kind(again, 100) is R.MOTION
    forgotten = made(R.MOTION)
    forgotten.resume("rec-a", kept["rec-a"], now(10))
    assert kind(forgotten, 10 + POST) is None
    unarmed = made(R.ALARM)
    unarmed.resume("rec-a", (R.MOTION, R.GENERAL), now(10))
    assert kind(unarmed, 10) is None


def test_a_new_configuration_does_not_end_what_goes_on() -> None:
    triggers = made(R.MOTION)
    triggers.cause("a", R.MOTION, "1", True, now(0))
    triggers.cause("a", R.MOTION, "1", False, now(10))
    triggers.configure(rules(R.MOTION, R.ALARM), (watched(),), now(12))
    assert kind(triggers, 10 + POST - 1) is R.MOTION
    triggers.cause("a", R.MOTION, "1", True, now(50))
    triggers.configure(rules(R.MOTION), (replace(watched(), camera="b"),), now(51))
    assert kind(triggers, 51) is None


def test_too_many_causes_are_taken_for_momentary() -> None:
    triggers = made(R.ALARM)
    for number in range(MAX_CAUSES + 5):
        triggers.cause("a", R.ALARM, str(number), True, now(0))
    for number in range(MAX_CAUSES):
        triggers.cause("a", R.ALARM, str(number), False, now(1))
    assert kind(triggers, 1 + POST) is None
