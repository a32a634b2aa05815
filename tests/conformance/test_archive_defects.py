"""The examiner can fail: defects of recording control, receivers, search and replay are found by the cases meant for them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from conformance.defects.model import DEFECTS
from tests.conformance.laboratory import laboratory
from tests.conformance.test_archive import FOOTAGE
from tests.conformance.test_defects import of_archive, prove

NAMES = [name for name in DEFECTS if of_archive(name)]


@pytest.fixture(scope="module")
def proofs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, str]]]:
    with laboratory(tmp_path_factory.mktemp("archive-defects")) as place:
        place.start()
        began = time.monotonic()
        while time.monotonic() - began < FOOTAGE:
            time.sleep(0.5)
        yield prove(place, NAMES)


@pytest.mark.e2e
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", NAMES)
def test_defect_is_caught(proofs: dict[str, dict[str, str]], name: str) -> None:
    found = proofs[name]
    assert found["verdict"] == "CAUGHT", f"{found['case']}: {found['why']}"
