"""How far the archive reaches, and how far it will."""

from __future__ import annotations

import pytest

from onvifd.archive.catalogue_index import CatalogueSegmentStore
from onvifd.archive.index import FragmentFlag, SegmentRow, SegmentState
from onvifd.clock import US
from onvifd.store.catalogue import Catalogue
from onvifd.volumes.forecast import DAY, Depth, capacity, depths, limited, reaches
from onvifd.volumes.model import Access, Mode, Options, VolumeState, VolumeStatus
from tests.archive.conftest import T0

GB = 10**9
NOW = T0 + 30 * DAY


def segment(recording: str, start: int, seconds: int, size: int, *, copy: bool = False) -> SegmentRow:
    return SegmentRow(
        recording=recording,
        volume="vol-2" if copy else "vol-1",
        path=f"{recording}/{start}",
        start=start,
        end=start + seconds * US,
        size=size,
        formats=(),
        kinds=FragmentFlag.VIDEO,
        state=SegmentState.CLOSED,
        copy=copy,
    )


def volume(name: str, *, group: int = 1, used: int = 100 * GB, free: int = 300 * GB, **values: object) -> VolumeStatus:
    about: dict[str, object] = {"access": Access.READ_WRITE, "state": VolumeState.OK, "total": 1000 * GB, **values}
    return VolumeStatus(id=name, name="", path="/", uuid="", group=group, used=used, free=free, **about)  # type: ignore[arg-type]


def depth(recording: str, rate: float) -> Depth:
    return Depth(recording=recording, earliest=0, latest=1, bytes=0, rate=rate, recorded=1.0)


@pytest.mark.covers("A041")
def test_depth_and_rate_of_a_channel(catalogue: Catalogue) -> None:
    store = CatalogueSegmentStore(catalogue)
    store.insert_segment(segment("rec-1", T0 + 7 * DAY, 60, 1000))
    for number in range(12):
        store.insert_segment(segment("rec-1", NOW - DAY + number * 3600 * US, 3600, GB))
    store.insert_segment(segment("rec-1", NOW - DAY, 3600, GB, copy=True))
    store.insert_segment(segment("rec-2", NOW - 6 * 3600 * US, 3600, GB))
    first, second = depths(catalogue, NOW)
    assert (first.recording, first.days(NOW), first.bytes) == ("rec-1", 23.0, 13 * GB + 1000)
    assert (first.rate, first.recorded) == (13 * GB, 0.5)
    # It began six hours ago: the day is reckoned from those.
    assert (second.rate, second.days(NOW)) == (pytest.approx(4 * GB), 0.25)


@pytest.mark.covers("A041", "STO-21")
def test_at_todays_rate_the_archive_reaches_23_days() -> None:
    (reach,) = reaches([volume("vol-1", used=160 * GB, free=400 * GB)], [depth("rec-1", 20 * GB)], {}, Options(), 0.1)
    assert (reach.group, reach.capacity, reach.used) == (1, 460 * GB, 160 * GB)
    assert (reach.days, reach.full_in) == (23.0, 15.0)


def test_each_group_by_itself() -> None:
    volumes = [
        volume("vol-1"),
        volume("vol-2", group=2, used=0, free=100 * GB),
        volume("vol-3", group=2, access=Access.REDUNDANT),
        volume("vol-4", group=1, state=VolumeState.MISSING),
    ]
    told = [depth("rec-1", 10 * GB), depth("rec-2", 5 * GB)]
    first, second = reaches(volumes, told, {"rec-2": 2}, Options(), 0.1)
    assert (first.group, first.rate, first.days) == (1, 10 * GB, 30.0)
    assert (second.group, second.capacity, second.days) == (2, 0, 0.0)
    (together,) = reaches(volumes, told, {"rec-2": 2}, Options(mode=Mode.QUOTAS), 0.1)
    assert (together.group, together.rate, together.capacity) == (None, 15 * GB, 300 * GB)


def test_nothing_recorded_is_no_forecast() -> None:
    (reach,) = reaches([volume("vol-1")], [], {}, Options(), 0.1)
    assert (reach.days, reach.full_in) == (None, None)


def test_a_bound_of_bytes_counts() -> None:
    assert capacity(volume("vol-1", max_bytes=150 * GB), 0.1) == 150 * GB
    assert capacity(volume("vol-1", max_bytes=900 * GB), 0.1) == 300 * GB
    assert capacity(volume("vol-1", free=0), 0.1) == 100 * GB


def test_an_age_limits_the_reach() -> None:
    assert limited(50.0, "rec-1", {"rec-1": 7 * DAY}, 30 * DAY) == 7.0
    assert limited(50.0, "rec-2", {"rec-1": 7 * DAY}, 30 * DAY) == 30.0
    assert limited(50.0, "rec-1", {"rec-1": 0}, 30 * DAY) == 50.0
    assert limited(None, "rec-2", {}, 0) is None
    assert limited(None, "rec-2", {}, DAY) == 1.0
