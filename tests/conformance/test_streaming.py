"""The cases of both streaming specifications: all are there, and the recorder passes those that apply."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from conformance import runner
from tests.conformance.laboratory import Laboratory, laboratory

STREAMING, STREAMING2 = "Streaming", "Streaming using Media2"
COUNTS = {STREAMING: 136, STREAMING2: 104}


def test_all_official_cases_are_there() -> None:
    found = Counter(each.document for each in runner.select(documents=list(COUNTS)))
    assert found == COUNTS
    assert all(
        each.id.startswith({STREAMING: "RTSS-", STREAMING2: "MEDIA2_RTSS-"}[each.document])
        for each in runner.select(documents=list(COUNTS))
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    with laboratory(tmp_path_factory.mktemp("streaming")) as made:
        made.start(host="::")
        yield made


@pytest.mark.e2e
@pytest.mark.timeout(600)
@pytest.mark.xdist_group("recorder")
@pytest.mark.parametrize("document", [STREAMING, STREAMING2])
def test_no_case_fails(place: Laboratory, document: str) -> None:
    report = place.examine(
        *("--document", document, "--operation-delay", "20", "--case-timeout", "90", "--destructive"), timeout=560
    )
    verdicts = {each["id"]: (each["verdict"], each["why"]) for each in report["cases"]}
    assert len(verdicts) == COUNTS[document]
    assert {each: why for each, (verdict, why) in verdicts.items() if verdict in ("FAIL", "NOT RUN")} == {}
    passed = sum(verdict == "PASS" for verdict, _ in verdicts.values())
    assert passed >= {STREAMING: 100, STREAMING2: 80}[document], verdicts
