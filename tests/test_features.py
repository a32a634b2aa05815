"""The feature ledger and the tool that holds it against a test run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

ROW = """[[feature]]
id = "{id}"
source = "{source}"
class = "C"
title = "Something"
state = "{state}"
tests = {tests}
note = ""
"""


def row(id_: str, *, source: str = "ajax", state: str = "none", tests: tuple[str, ...] = ()) -> str:
    return ROW.format(id=id_, source=source, state=state, tests=json.dumps(list(tests)))


class Checker:
    def __init__(self, folder: Path) -> None:
        self.ledger = folder / "features.toml"
        self.results = folder / "features.json"

    def __call__(
        self, *rows: str, tests: dict[str, tuple[str, list[str]]] | None = None, options: tuple[str, ...] = ()
    ) -> tuple[int, str]:
        self.ledger.write_text("\n".join(rows))
        if tests is not None:
            entries = {nodeid: {"outcome": outcome, "covers": covers} for nodeid, (outcome, covers) in tests.items()}
            self.results.write_text(json.dumps({"tests": entries}))
        done = subprocess.run(
            [sys.executable, "-m", "tests.features", "--ledger", self.ledger, "--results", self.results, *options],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert not done.stderr
        return done.returncode, done.stdout


@pytest.fixture
def check(tmp_path: Path) -> Checker:
    return Checker(tmp_path)


def test_done_row_with_passed_and_marked_test_is_right(check: Checker) -> None:
    code, out = check(row("A1", state="done", tests=("t.py::a",)), tests={"t.py::a": ("passed", ["A1"])})
    assert code == 0, out
    assert out.splitlines()[-1].split() == ["all", "all", "1", "0", "0", "0", "1"]


def test_a_row_may_name_a_function_with_parameters(check: Checker) -> None:
    rows = row("A1", state="done", tests=("t.py::a",))
    assert check(rows, tests={"t.py::a[1]": ("passed", ["A1"]), "t.py::a[2]": ("passed", ["A1"])})[0] == 0
    code, out = check(rows, tests={"t.py::a[1]": ("passed", ["A1"]), "t.py::a[2]": ("failed", ["A1"])})
    assert code == 1
    assert "A1: done, but t.py::a[2] failed" in out


@pytest.mark.parametrize("outcome", ["failed", "skipped", "xfailed"])
def test_done_row_needs_its_test_to_pass(check: Checker, outcome: str) -> None:
    code, out = check(row("A1", state="done", tests=("t.py::a",)), tests={"t.py::a": (outcome, ["A1"])})
    assert code == 1
    assert f"t.py::a {outcome}" in out


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ((row("A1"), row("A1")), "A1: 2 rows have this id"),
        ((row("A1", source="elsewhere"),), "A1: unknown source 'elsewhere'"),
        ((row("A1", state="nearly"),), "A1: unknown state 'nearly'"),
        ((row("A1", state="partial"),), "A1: partial needs a note"),
        ((row("A1", state="done"),), "A1: done, but no test is named"),
        ((row("A1", state="done", tests=("t.py::gone",)),), "A1: t.py::gone did not run"),
        ((row("A1", state="done", tests=("t.py::other",)),), "A1: t.py::other does not carry covers('A1')"),
        ((row("A2"),), "t.py::other: covers A9, which is not in the ledger"),
    ],
)
def test_violations_are_named(check: Checker, rows: tuple[str, ...], complaint: str) -> None:
    code, out = check(*rows, tests={"t.py::other": ("passed", ["A9"])})
    assert code == 1
    assert complaint in out


def test_without_results_it_asks_for_a_run(check: Checker) -> None:
    code, out = check(row("A1"))
    assert code == 1
    assert "run `make test` first" in out


def test_fill_writes_covering_tests(check: Checker) -> None:
    tests = {"t.py::a[1]": ("passed", ["A1"]), "t.py::b": ("passed", ["A1"])}
    code, out = check(row("A1"), row("A2"), tests=tests, options=("--fill",))
    assert code == 0, out
    assert 'tests = ["t.py::a", "t.py::b"]' in check.ledger.read_text()
    assert check.ledger.read_text().count("tests = []") == 1


def test_plugin_records_outcomes_and_marks(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeconftest((ROOT / "tests" / "conftest.py").read_text())
    pytester.makeini("[pytest]\nmarkers =\n    covers(*rows): rows")
    pytester.makepyfile(
        test_it="""
        import pytest

        pytestmark = pytest.mark.covers("A1")

        @pytest.mark.covers("A2")
        @pytest.mark.xdist_group("g")
        def test_passes(): pass

        def test_fails(): assert False

        def test_skips(): pytest.skip("why")

        @pytest.fixture
        def broken():
            yield
            raise RuntimeError

        def test_teardown(broken): pass
        """
    )
    for options in ((), ("-n1", "--dist", "loadgroup")):
        pytester.runpytest_subprocess(*options)
        tests = json.loads((pytester.path / ".pytest_cache" / "features.json").read_text())["tests"]
        assert tests == {
            "test_it.py::test_passes": {"outcome": "passed", "covers": ["A1", "A2"]},
            "test_it.py::test_fails": {"outcome": "failed", "covers": ["A1"]},
            "test_it.py::test_skips": {"outcome": "skipped", "covers": ["A1"]},
            "test_it.py::test_teardown": {"outcome": "failed", "covers": ["A1"]},
        }
