"""Days from space, space from days."""

from __future__ import annotations

import pytest

from onvifd.errors import InvalidArgument
from onvifd.volumes.calculator import OVERHEAD, ChannelEstimate, days_from, estimated_bitrate, space_for

GB = 10**9


@pytest.mark.covers("STO-24")
def test_a_channel_takes_its_rate() -> None:
    channel = ChannelEstimate(bitrate=4_000_000)
    assert channel.per_hour == pytest.approx(1.8 * GB * OVERHEAD)
    assert channel.per_day == pytest.approx(43.2 * GB * OVERHEAD)
    assert ChannelEstimate(bitrate=4_000_000, hours=8).per_day == pytest.approx(14.4 * GB * OVERHEAD)
    assert ChannelEstimate(bitrate=4_000_000, alarm_rate=0.05).per_day == pytest.approx(2.16 * GB * OVERHEAD)


@pytest.mark.covers("STO-21", "STO-22", "STO-23", "A006", "P078")
def test_one_is_the_reverse_of_the_other() -> None:
    channels = [
        ChannelEstimate(name="gate", bitrate=8_000_000),
        ChannelEstimate(name="hall", bitrate=2_000_000, hours=10, alarm_rate=0.3),
        ChannelEstimate(name="yard", bitrate=estimated_bitrate(1920, 1080, 25, "h265")),
    ]
    space = space_for(channels, 30)
    assert space == round(sum(channel.per_day for channel in channels) * 30)
    assert days_from(channels, space) == pytest.approx(30)
    assert days_from([], GB) is None
    assert days_from([ChannelEstimate(bitrate=1, hours=0)], GB) is None


@pytest.mark.covers("STO-23")
def test_a_rate_from_the_picture() -> None:
    assert estimated_bitrate(1920, 1080, 25) == pytest.approx(5_184_000)
    assert (
        estimated_bitrate(1920, 1080, 25, "h265")
        < estimated_bitrate(1920, 1080, 25)
        < estimated_bitrate(1920, 1080, 25, "jpeg")
    )


@pytest.mark.parametrize(
    "values",
    [{"bitrate": 0}, {"bitrate": 1, "hours": 25}, {"bitrate": 1, "alarm_rate": 1.5}, {"bitrate": 1, "hours": -1}],
)
def test_what_makes_no_sense_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(InvalidArgument):
        ChannelEstimate(**values)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument):
        space_for([], -1)
    with pytest.raises(InvalidArgument):
        estimated_bitrate(0, 1080, 25)
    with pytest.raises(InvalidArgument):
        estimated_bitrate(1920, 1080, 25, "vp9")
