"""Recordings are spread in proportion to what is free, hold still, and find their order again in every process."""

from __future__ import annotations

from collections import Counter

import pytest

from onvifd.volumes.choice import STEPS, Weighted, order, step_of

TB = 10**12
RECORDINGS = [f"rec-cam-{number:08x}" for number in range(600)]


def volume(name: str, step: int = STEPS, total: int = TB) -> Weighted:
    return Weighted(id=name, step=step, total=total)


def firsts(*volumes: Weighted) -> Counter[str]:
    return Counter(order(recording, volumes)[0] for recording in RECORDINGS)


@pytest.mark.covers("STO-14", "REC-20")
def test_equal_volumes_share_alike() -> None:
    counts = firsts(volume("vol-1"), volume("vol-2"), volume("vol-3"))
    assert all(150 < counts[name] < 250 for name in ("vol-1", "vol-2", "vol-3"))


def test_volumes_fill_up_evenly() -> None:
    """What is written goes where room is: all are full at about the same time."""
    room = {"vol-1": 4000, "vol-2": 1000, "vol-3": 2000}
    total = dict(room)
    steps: dict[str, int] = {}
    while all(room.values()):
        for name in room:
            steps[name] = step_of(room[name], total[name], steps.get(name))
        volumes = [volume(name, steps[name], total[name]) for name in room]
        for recording in RECORDINGS[:60]:
            best = order(recording, volumes)[0]
            room[best] = max(0, room[best] - 1)
    assert max(room[name] / total[name] for name in room) < 0.15


def test_a_full_volume_comes_last_until_all_are_full() -> None:
    assert order("rec-1", [volume("vol-1", 0, 10 * TB), volume("vol-2", 1)]) == ("vol-2", "vol-1")
    counts = firsts(volume("vol-1", 0, 3 * TB), volume("vol-2", 0, TB))
    assert 350 < counts["vol-1"] < 550  # by what they hold at all


def test_few_recordings_move_when_a_volume_comes() -> None:
    before = {recording: order(recording, [volume("vol-1"), volume("vol-2")]) for recording in RECORDINGS}
    after = {r: order(r, [volume("vol-1"), volume("vol-2"), volume("vol-3")]) for r in RECORDINGS}
    moved = [r for r in RECORDINGS if before[r][0] != after[r][0]]
    assert all(after[recording][0] == "vol-3" for recording in moved)
    assert len(moved) < len(RECORDINGS) / 2


def test_all_volumes_are_named_and_the_order_of_the_question_does_not_count() -> None:
    volumes = [volume("vol-1", 3), volume("vol-2", 9), volume("vol-3", 0)]
    assert sorted(order("rec-1", volumes)) == ["vol-1", "vol-2", "vol-3"]
    assert order("rec-1", volumes) == order("rec-1", volumes[::-1])
    assert order("rec-1", []) == ()


def test_a_step_holds_still_between_two() -> None:
    step = step_of(10 * 100, 16 * 100)
    assert step == 10
    assert step_of(10 * 100 - 10, 1600, step) == 10  # a little less is free, or more: nothing moves
    assert step_of(11 * 100 + 10, 1600, step) == 10
    assert step_of(9 * 100 + 50, 1600, step) == 9
    assert step_of(0, 0) == 0
    assert step_of(-5, 100) == 0
    assert step_of(100, 100) == STEPS
