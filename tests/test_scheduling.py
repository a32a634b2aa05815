"""Where tests run when several workers share them."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def test_end_to_end_tests_share_one_worker(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeconftest((ROOT / "tests" / "conftest.py").read_text())
    pytester.makeini("[pytest]\nmarkers =\n    covers(*rows): rows")
    body = """
        import os, pathlib, time, pytest

        @pytest.mark.parametrize("number", range(4))
        def test_it(number):
            folder = pathlib.Path(os.environ["SEEN"]) / pathlib.Path(__file__).parent.name
            folder.mkdir(exist_ok=True)
            (folder / os.environ["PYTEST_XDIST_WORKER"]).touch()
            time.sleep(0.05)
        """
    monkeypatch.setenv("SEEN", str(pytester.path))
    files = {f"tests/{room}/test_{name}": body for room, name in (("e2e", "one"), ("e2e", "two"), ("media", "three"))}
    for room in ("e2e", "media"):
        (pytester.path / "tests" / room).mkdir(parents=True)
    pytester.makepyfile(**files)
    result = pytester.runpytest_subprocess("-n2", "--dist", "loadgroup", "--import-mode=importlib", "tests")
    result.assert_outcomes(passed=12)
    assert len(list((pytester.path / "e2e").iterdir())) == 1
