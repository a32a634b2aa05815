"""From what was seen to a state."""

from __future__ import annotations

from dataclasses import replace

import pytest

from onvifd.volumes.look import Look
from onvifd.volumes.model import Access, VolumeState
from onvifd.volumes.state import FIRST_HOLD, LAST_HOLD, Circumstances, Distrust, capacity_of, judge, room_of

GB = 10**9
SEEN = Look(state=VolumeState.OK, total=1000 * GB, free=200 * GB)
ABOUT = Circumstances(
    access=Access.READ_WRITE, overwrite=True, reserve=0.1, max_bytes=0, used=700 * GB, locked_up=False
)


def state(seen: Look = SEEN, former: VolumeState | None = VolumeState.OK, **about: object) -> VolumeState:
    return judge(seen, replace(ABOUT, **about), former)[0]  # type: ignore[arg-type]


@pytest.mark.covers("REC-18", "P134", "STO-01")
def test_a_full_volume_that_is_overwritten_takes_on() -> None:
    assert state(replace(SEEN, free=50 * GB)) is VolumeState.OK
    assert state(used=2000 * GB, max_bytes=GB) is VolumeState.OK


@pytest.mark.covers("REC-18", "P134", "STO-01", "P138")
def test_a_full_volume_that_is_not_overwritten_stops() -> None:
    less = replace(SEEN, free=99 * GB)
    assert judge(less, replace(ABOUT, overwrite=False), None) == (
        VolumeState.FULL,
        "it is full and is not overwritten",
    )
    assert state(overwrite=False) is VolumeState.OK
    assert state(overwrite=False, max_bytes=700 * GB) is VolumeState.FULL


def test_a_volume_does_not_go_in_and_out_at_the_bound() -> None:
    little = replace(SEEN, free=100 * GB + 1)
    assert state(little, VolumeState.FULL, overwrite=False) is VolumeState.FULL
    assert state(little, VolumeState.OK, overwrite=False) is VolumeState.OK
    assert state(replace(SEEN, free=102 * GB), VolumeState.FULL, overwrite=False) is VolumeState.OK


@pytest.mark.covers("PLY-28")
def test_a_volume_full_of_locked_footage_is_full() -> None:
    assert judge(SEEN, replace(ABOUT, locked_up=True), None) == (VolumeState.FULL, "all that it holds is locked")


def test_no_room_is_no_room_whatever_the_policy() -> None:
    assert state(replace(SEEN, free=1 << 20)) is VolumeState.FULL
    small = Look(state=VolumeState.OK, total=64 << 20, free=2 << 20)
    assert state(small) is VolumeState.OK  # a fiftieth of a small one is enough
    assert state(replace(small, free=1 << 20)) is VolumeState.FULL
    assert state(replace(SEEN, free=0), access=Access.READ_ONLY) is VolumeState.OK


def test_what_was_seen_counts_first() -> None:
    for seen in VolumeState.ERROR, VolumeState.MISSING, VolumeState.NEEDS_INITIALISING:
        assert judge(Look(state=seen, reason="why"), ABOUT, None) == (seen, "why")


def test_room() -> None:
    assert room_of(SEEN, ABOUT) == 100 * GB
    assert room_of(SEEN, replace(ABOUT, max_bytes=710 * GB)) == 10 * GB
    assert room_of(replace(SEEN, free=0), ABOUT) == 0
    assert capacity_of(1000 * GB, ABOUT) == 900 * GB
    assert capacity_of(1000 * GB, replace(ABOUT, max_bytes=5 * GB)) == 5 * GB


def test_who_refuses_again_and_again_is_left_alone_longer() -> None:
    distrust, now, holds = Distrust(), 1000.0, []
    for _ in range(8):
        distrust.refused("Input/output error", now)
        distrust.refused("Input/output error", now)  # another worker says the same
        until = now
        while distrust.holds(until):
            until += 1
        holds.append(until - now)
        now = until
    assert holds[:3] == [FIRST_HOLD, 2 * FIRST_HOLD, 4 * FIRST_HOLD]
    assert max(holds) == LAST_HOLD
    now += 10_000
    distrust.refused("once more", now)
    assert not distrust.holds(now + FIRST_HOLD)
