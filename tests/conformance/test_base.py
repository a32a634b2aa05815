"""The recorder passes every applicable case of the Base specification, on a network of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from conformance import runner
from tests.conformance.laboratory import Laboratory, laboratory

OFFICIAL = frozenset(
    {
        *(f"DEVICE-1-1-{n}" for n in (*range(2, 7), 9, 10, 11, *range(13, 32))),
        *(f"DEVICE-2-1-{n}" for n in (1, *range(3, 22), 25, *range(28, 38))),
        *(f"DEVICE-3-1-{n}" for n in (1, *range(4, 18))),
        *(f"DEVICE-4-1-{n}" for n in (1, *range(3, 12))),
        *(f"DEVICE-5-1-{n}" for n in (1, 2, 3, 5, 6, 7, 8, 9, 11, 12)),
        *(f"DEVICE-6-1-{n}" for n in range(1, 6)),
        *(f"DEVICE-7-1-{n}" for n in range(1, 5)),
        "DEVICE-8-1-1",
        *(f"DEVICE-9-1-{n}" for n in range(1, 13)),
        *(f"DISCOVERY-1-1-{n}" for n in (2, 3, 4, 5, 6, 8, 9, 10, 11)),
        *(f"DISCOVERY-2-1-{n}" for n in range(1, 6)),
        *(f"IPCONFIG-1-1-{n}" for n in (3, 5)),
        *(f"IPCONFIG-2-1-{n}" for n in (2, 3, 4)),
        *(f"SECURITY-1-1-{n}" for n in (1, 2)),
    }
)


def test_all_official_cases_are_there() -> None:
    assert {each.id for each in runner.select(documents=["Base"])} == OFFICIAL


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    with laboratory(tmp_path_factory.mktemp("base")) as made:
        made.start(ONVIFD_DEVICE_RELAY_OUTPUTS="2")
        yield made


def verdicts(report: dict[str, Any], verdict: str) -> dict[str, str]:
    """Why, by id."""
    return {each["id"]: each["why"] for each in report["cases"] if each["verdict"] == verdict}


@pytest.mark.e2e
@pytest.mark.timeout(240)
@pytest.mark.xdist_group("base-cases")
def test_no_base_case_fails(place: Laboratory) -> None:
    report = place.examine("--document", "Base")
    assert verdicts(report, "FAIL") == {}
    assert report["remarks"] == [], "the feature discovery found nothing to complain about"
    assert len(verdicts(report, "PASS")) > 85
    away = {each.id for each in runner.select(documents=["Base"]) if each.destructive}
    assert set(verdicts(report, "NOT RUN")) <= away | {"DEVICE-2-1-8"}


@pytest.mark.e2e
@pytest.mark.timeout(400)
@pytest.mark.xdist_group("base-cases")
def test_no_case_that_takes_the_recorder_away_fails(place: Laboratory) -> None:
    away = [each.id for each in runner.select(documents=["Base"]) if each.destructive]
    report = place.examine("--destructive", *(word for each in away for word in ("--only", each)), timeout=350)
    assert verdicts(report, "FAIL") == {}
    # Without a DHCP server, and with the accounts still needed.
    assert set(verdicts(report, "NOT RUN")) == {"DEVICE-3-1-6", "IPCONFIG-1-1-3"}
    assert {"DEVICE-2-1-18", "DEVICE-3-1-8", "DISCOVERY-1-1-2", "DISCOVERY-1-1-9"} <= set(verdicts(report, "PASS"))
