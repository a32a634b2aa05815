"""What is kept of a stream before somebody orders it."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from msgspec import structs

from onvifd.archive.budget import Budget
from onvifd.archive.prerecord import Memory
from onvifd.clock import US
from onvifd.media.types import AccessUnit, TrackFormat
from tests.archive.conftest import FRAME, PCMU, T0, Clip, g711_units, in_order, video_units


def memory(
    formats: list[TrackFormat], seconds: float = 5.0, limit: int = 1 << 20, budget: Budget | None = None
) -> Memory:
    return Memory(seconds, formats, budget or Budget(1 << 30), limit)


def fill(kept: Memory, units: Iterable[AccessUnit]) -> None:
    for unit in units:
        kept.remember(unit, (unit.utc - T0) / US)


def drain(kept: Memory) -> list[AccessUnit]:
    found = []
    while (taken := kept.take()) is not None:
        found.append(taken[1])
    assert kept.size == 0
    return found


@pytest.mark.covers("REC-09")
def test_whole_groups_of_pictures_cover_the_seconds(h264_long: Clip) -> None:
    kept = memory([h264_long.format])
    units = list(video_units(h264_long, seconds=16))
    fill(kept, units)
    found = drain(kept)
    assert found[0].key
    assert (found[0].utc, found[-1].utc) == (T0 + 9 * US, units[-1].utc)  # 7 s: the clean point before 5 s ago
    assert found == units[225:]


def test_sound_lies_between_the_pictures_as_it_came(h264: Clip) -> None:
    kept = memory([h264.format, PCMU])
    units = in_order(video_units(h264, seconds=4), g711_units(seconds=4))
    fill(kept, units)
    assert drain(kept) == units


def test_what_comes_before_a_clean_point_is_not_kept(h264: Clip) -> None:
    kept = memory([h264.format])
    units = list(video_units(h264, seconds=3))[10:]
    fill(kept, units)
    assert drain(kept) == units[15:]


def test_what_follows_written_footage_is_kept_without_a_clean_point(h264: Clip) -> None:
    kept = memory([h264.format])
    units = list(video_units(h264, seconds=3))[10:]
    kept.follow(0.4)
    fill(kept, units)
    assert drain(kept) == units
    kept.follow(0.4)
    fill(kept, list(video_units(h264, seconds=20))[10:])
    assert drain(kept)[0].key  # it is too old by then


def test_at_its_bound_less_time_is_kept(h264: Clip) -> None:
    units = list(video_units(h264, seconds=10))
    second = sum(len(unit.data) for unit in units[:25])
    kept = memory([h264.format], seconds=60, limit=3 * second)
    fill(kept, units)
    assert kept.size <= 3 * second
    found = drain(kept)
    assert found[0].key
    assert found == units[len(units) - len(found) :]
    assert 2 * 25 <= len(found) <= 3 * 25


def test_a_group_larger_than_the_bound_goes_as_a_whole(h264_long: Clip) -> None:
    units = list(video_units(h264_long, seconds=7))
    kept = memory([h264_long.format], limit=len(units[0].data) + 100)
    fill(kept, units[:75])
    assert drain(kept) == []
    fill(kept, units[75:76])
    assert len(drain(kept)) == 1


def test_all_recordings_share_a_bound(h264: Clip) -> None:
    budget = Budget(sum(len(unit.data) for unit in video_units(h264, seconds=6)))
    one, two = memory([h264.format], 60, budget=budget), memory([h264.format], 60, budget=budget)
    for unit in video_units(h264, seconds=20):
        one.remember(unit, (unit.utc - T0) / US)
        two.remember(unit, (unit.utc - T0) / US)
        assert budget.used <= budget.limit
    assert len(drain(one)) > 40
    assert len(drain(two)) > 40
    assert budget.used == 0


def test_footage_of_a_camera_that_was_lost_long_ago_is_no_pre_record(h264: Clip) -> None:
    kept = memory([h264.format])
    fill(kept, video_units(h264, seconds=4))
    kept.expire(8.0)
    assert kept
    kept.expire(60.0)
    assert not kept


def test_units_keep_the_formats_they_came_with(h264: Clip, h264_large: Clip) -> None:
    kept = memory([h264.format])
    fill(kept, video_units(h264, seconds=1))
    kept.set_formats([h264_large.format])
    fill(kept, list(video_units(h264_large, T0 + US, seconds=2))[5:])
    formats = []
    while (taken := kept.take()) is not None:
        formats.append(taken[0])
    assert formats == [(h264.format,)] * 25 + [(h264_large.format,)] * 25


def test_sound_alone_is_kept_in_seconds() -> None:
    kept = memory([PCMU])
    units = [structs.replace(unit, track=0) for unit in g711_units(seconds=20)]
    fill(kept, units)
    found = drain(kept)
    assert 5 * US <= units[-1].utc - found[0].utc <= 6 * US + FRAME
