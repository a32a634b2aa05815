"""The examiner can fail: defects of live streams are found by the cases meant for them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from conformance.defects.model import DEFECTS
from tests.conformance.laboratory import laboratory
from tests.conformance.test_defects import of_streams, prove

NAMES = [name for name in DEFECTS if of_streams(name)]


@pytest.fixture(scope="module")
def proofs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, str]]]:
    with laboratory(tmp_path_factory.mktemp("streaming-defects")) as place:
        place.start()
        yield prove(place, NAMES)


def test_there_are_many() -> None:
    assert len(NAMES) >= 50


@pytest.mark.e2e
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", NAMES)
def test_defect_is_caught(proofs: dict[str, dict[str, str]], name: str) -> None:
    found = proofs[name]
    assert found["verdict"] == "CAUGHT", f"{found['case']}: {found['why']}"
