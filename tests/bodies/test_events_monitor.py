"""The recorder's own operation as events (Core 8.9), and the state of its volumes."""

from __future__ import annotations

import pytest

from onvifd.bodies.events_monitor import Monitor, parse_ticks, read_ticks
from onvifd.clock import US, SimulatedClock, isoformat
from onvifd.events.bus import EventBus
from onvifd.events.types import Event

NOW = 1_767_225_600 * US


class Side:
    def __init__(self) -> None:
        self.clock = SimulatedClock(NOW)
        self.bus = EventBus(self.clock)
        self.events: list[Event] = []
        self.bus.subscribe(self.events.append)

    def told(self) -> list[tuple[str, str]]:
        """Last part of the topic and the value of what was published since the last call."""
        events, self.events[:] = list(self.events), []
        return [(event.topic.rpartition("/")[2], event.data[0][1]) for event in events]


@pytest.fixture
def side() -> Side:
    return Side()


@pytest.mark.covers("A055")
def test_times_of_operation_have_a_value_from_the_start(side: Side) -> None:
    Monitor(side.bus.publish, started=NOW, reset=NOW - US).announce(NOW)
    assert side.told() == [
        ("LastReboot", isoformat(NOW)),
        ("LastReset", isoformat(NOW - US)),
        ("LastClockSynchronization", "1970-01-01T00:00:00Z"),
        ("Last", "1970-01-01T00:00:00Z"),
    ]


def test_a_clock_that_jumps_was_set_and_one_that_runs_was_not(side: Side) -> None:
    monitor = Monitor(side.bus.publish, started=NOW)
    monitor.look(NOW, 100.0)
    monitor.look(NOW + 5 * US + 1000, 105.0)
    assert side.told() == []
    monitor.look(NOW + 3600 * US, 110.0)
    assert side.told() == [("LastClockSynchronization", isoformat(NOW + 3600 * US))]
    monitor.look(NOW, 115.0)
    assert side.told() == [("LastClockSynchronization", isoformat(NOW))]
    monitor.clock_set(NOW, NOW)
    assert side.told() == []
    monitor.backed_up(NOW + 7, NOW + 7)
    assert side.told() == [("Last", isoformat(NOW + 7))]


@pytest.mark.covers("A048", "MNT-06")
def test_load_is_told_when_it_changed_by_ten_points(side: Side) -> None:
    monitor = Monitor(side.bus.publish, started=NOW)
    for ticks in ((0, 0), (100, 60), (200, 121), (300, 170), (300, 170), (400, 170)):
        monitor.processor(ticks, NOW)
    assert side.told() == [("ProcessorUsage", "40"), ("ProcessorUsage", "51"), ("ProcessorUsage", "100")]
    monitor.processor(None, NOW)
    monitor.processor((1000, 500), NOW)
    assert side.told() == []


def test_ticks_are_read_from_the_kernel() -> None:
    assert parse_ticks("cpu  10 0 5 80 5 0 0 0 3 0\ncpu0 1 2 3") == (100, 85)
    assert parse_ticks("") is None
    assert parse_ticks("intr 1 2 3 4 5 6") is None
    assert read_ticks() is not None
