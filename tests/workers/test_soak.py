"""Two minutes of the soak that `python -m benchmarks soak` runs for an hour: nothing is left over, nothing is lost on disk."""

from __future__ import annotations

import pytest

from benchmarks import soak

SECONDS, CAMERAS, CLIENTS = 120, 16, 5


@pytest.mark.covers("INI-19")
@pytest.mark.timeout(500)
def test_clients_come_and_go() -> None:
    samples, clients, kept, log = soak.run(SECONDS, CAMERAS, CLIENTS)
    assert {"control", "media", "replay", "vision"} == samples[0].memory.keys()
    assert samples[0].tasks.keys() >= {"control", "media", "replay"}
    assert clients.faults == []
    assert clients.packets > 0
    assert clients.visits.keys() >= {"tcp", "udp", "replay"}
    assert soak.leaks(samples) == {}
    assert (kept.lost, kept.gaps) == (0, 0)
    assert kept.deleted > 0
    assert "Traceback" not in log


def test_what_is_left_over_is_found() -> None:
    first = soak.Sample(0.0, {"media": 100}, {"media": 10}, {"media": 40})
    last = soak.Sample(9.0, {"media": 100}, {"media": 11}, {"media": 42 + soak.POOLED})
    assert soak.leaks((first, first)) == {}
    assert soak.leaks((first, last)) == {"media descriptors": 2, "media tasks": 1}


def test_growth_is_from_the_second_quarter_on() -> None:
    held = (10, 60, 100, 100, 110, 100, 130, 130)
    samples = [soak.Sample(float(number), {"media": each}, {}, {}) for number, each in enumerate(held)]
    assert soak.growth(samples, "media") == 30


def test_what_grows_is_told() -> None:
    def samples(*held: int) -> list[soak.Sample]:
        return [soak.Sample(float(number), {"replay": each}, {}, {}) for number, each in enumerate(held)]

    assert soak.grown(samples(50, 100, 110, 116)) == {}
    assert soak.grown(samples(50, 100, 110, 117)) == {"replay": 17}
    assert soak.grown(samples(50, 400, 420, 440)) == {}
    assert soak.grown(samples(50, 400, 420, 441)) == {"replay": 41}
