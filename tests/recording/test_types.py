"""Record types: which counts, which excludes which, and the bounds of a policy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from onvifd.errors import InvalidArgument
from onvifd.recording.types import (
    PRIORITY,
    Policy,
    RecordType,
    check_policy,
    dominant,
    effective,
    ordered,
    record_type,
)

R = RecordType


@pytest.mark.covers("REC-02", "REC-03", "P130")
def test_the_order_of_types() -> None:
    assert [kind.value for kind in PRIORITY] == [
        "manual",
        "motion-and-alarm",
        "alarm",
        "pos",
        "intelligent",
        "motion",
        "general",
    ]
    for index, kind in enumerate(PRIORITY):
        assert dominant(set(PRIORITY[index:])) is kind
    assert dominant(set()) is None
    assert ordered([R.GENERAL, R.ALARM, R.GENERAL]) == (R.ALARM, R.GENERAL)


@pytest.mark.covers("REC-04")
@pytest.mark.parametrize(
    ("armed", "left"),
    [
        ({R.MOTION, R.ALARM}, {R.MOTION, R.ALARM}),
        ({R.MOTION_AND_ALARM, R.MOTION, R.ALARM, R.GENERAL}, {R.MOTION_AND_ALARM, R.GENERAL}),
        ({R.MOTION_AND_ALARM, R.INTELLIGENT, R.POS}, {R.MOTION_AND_ALARM, R.INTELLIGENT, R.POS}),
    ],
)
def test_motion_and_alarm_together_replace_the_single_ones(armed: set[R], left: set[R]) -> None:
    assert effective(frozenset(armed)) == left


@pytest.mark.parametrize(("name", "value"), [("pre", -1), ("pre", 61), ("post", 4), ("post", 301), ("stream", "third")])
def test_a_policy_outside_its_bounds_is_refused(name: str, value: object) -> None:
    policy = Policy(camera="cam-1", stream="main")
    assert (policy.pre, policy.post, policy.audio, policy.redundant) == (5, 30, True, False)
    assert check_policy(replace(policy, pre=60, post=300)) == replace(policy, pre=60, post=300)
    with pytest.raises(InvalidArgument):
        check_policy(replace(policy, **{name: value}))  # type: ignore[arg-type]


def test_names_of_types() -> None:
    assert record_type(" Motion-and-Alarm ") is R.MOTION_AND_ALARM
    with pytest.raises(InvalidArgument, match="no record type"):
        record_type("sensor")
