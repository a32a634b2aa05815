"""POSIX time zones (IEEE 1003.1 8.3), compared with the host's own library where it knows them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from onvifd.host.timezone import parse


@pytest.mark.parametrize(
    "text",
    [
        *("", "INVALIDTIMEZONE", "UTC", "U0", "CET-25", "CET-1:60", "CET-1CEST,M3.5.0", "CET-1CEST,M13.5.0,M10.5.0"),
        *("CET-1CEST,M3.6.0,M10.5.0", "CET-1CEST,M3.0.0,M10.5.0", "CET-1CEST,M3.5.7,M10.5.0", "CET-1CEST,J0,J100"),
        *(
            "CET-1CEST,J366,J100",
            "CET-1CEST,366,100",
            "CET-1CEST,M3.5.0/168,M10.5.0",
            ":Europe/Berlin",
            "Europe/Berlin",
        ),
        *("CET -1", "CET-1\n", "<CE>-1", "<CET-1", "CET-1CEST,M3.5.0/2,M10.5.0/3,", "A" * 65, "CÉT-1", "UTC٠"),
    ],
)
def test_what_is_no_zone(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("UTC0", 0),
        ("GMT+08:00", -8),
        ("CST-8", 8),
        ("<+0330>-3:30", 3.5),
        ("<-03>3", -3),
        ("NPT-5:45", 5.75),
        ("ABC24", -24),
    ],
)
def test_offsets_count_west(text: str, hours: float) -> None:
    zone = parse(text)
    assert zone.offset == hours * 3600
    assert not zone.daylight(datetime(2026, 7, 1, tzinfo=UTC))


@pytest.mark.covers("SYS-05")
@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("CET-1CEST,M3.5.0,M10.5.0/3", "Europe/Berlin"),
        ("PST8PDT,M3.2.0,M11.1.0", "America/Los_Angeles"),
        ("EST5EDT", "America/New_York"),
        ("AEST-10AEDT,M10.1.0,M4.1.0/3", "Australia/Sydney"),
        ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "America/Nuuk"),
        ("IST-2IDT,M3.4.4/26,M10.5.0", "Asia/Jerusalem"),
        ("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "Australia/Lord_Howe"),
    ],
)
def test_daylight_saving_agrees_with_the_time_zone_database(text: str, name: str) -> None:
    zone, reference = parse(text), ZoneInfo(name)
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    while moment.year < 2029:
        local = moment.astimezone(reference)
        offset = local.utcoffset()
        assert offset is not None
        assert zone.utc_offset(moment) == offset.total_seconds(), moment
        assert zone.daylight(moment) is bool(local.dst()), moment
        moment += timedelta(hours=1, minutes=13)


def test_daylight_saving_can_be_left_out() -> None:
    zone = parse("CET-1CEST,M3.5.0,M10.5.0/3")
    july = datetime(2026, 7, 1, tzinfo=UTC)
    assert zone.utc_offset(july) == 7200
    assert zone.utc_offset(july, daylight=False) == 3600


def test_days_counted_with_and_without_29_february() -> None:
    without, counted = parse("AAA0BBB,J60/0,J365/0"), parse("AAA0BBB,59/0,364/0")
    # 2024 has a 29 February: day J60 is 1 March always, day 59 is then 29 February.
    for year, first in ((2023, (3, 1)), (2024, (2, 29))):
        assert counted.begin is not None
        assert (counted.begin.moment(year).month, counted.begin.moment(year).day) == first
        assert without.begin is not None
        assert (without.begin.moment(year).month, without.begin.moment(year).day) == (3, 1)


def test_changes_happen_at_the_second() -> None:
    zone = parse("CET-1CEST,M3.5.0/2,M10.5.0/3")
    change = datetime(2026, 3, 29, 1, tzinfo=UTC)
    assert not zone.daylight(change - timedelta(seconds=1))
    assert zone.daylight(change)
    back = datetime(2026, 10, 25, 1, tzinfo=UTC)
    assert zone.daylight(back - timedelta(seconds=1))
    assert not zone.daylight(back)
