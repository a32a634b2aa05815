"""Who is judged a second time, and what comes of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.run import FEW, judge

Calls = list[list[str]]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "features.json"


def runs(results: Path, *outcomes: tuple[int, dict[str, str]]) -> tuple[Calls, Callable[[Sequence[str]], int]]:
    """A pytest that ends like this, run after run."""
    calls: Calls = []
    left = iter(outcomes)

    def run(arguments: Sequence[str]) -> int:
        calls.append(list(arguments))
        code, tests = next(left)
        entries = {nodeid: {"outcome": outcome, "covers": []} for nodeid, outcome in tests.items()}
        results.write_text(json.dumps({"tests": entries}), encoding="utf-8")
        return code

    return calls, run


def outcomes(results: Path) -> dict[str, str]:
    return {each: entry["outcome"] for each, entry in json.loads(results.read_text(encoding="utf-8"))["tests"].items()}


def test_who_passes_is_not_judged_again(results: Path) -> None:
    calls, run = runs(results, (0, {"a": "passed"}))
    assert judge(["-n", "4"], results, run) == 0
    assert calls == [["-n", "4"]]


def test_one_by_chance_passes_alone_and_is_named(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    calls, run = runs(results, (1, {"a": "passed", "b": "failed"}), (0, {"b": "passed"}))
    assert judge(["-n", "4"], results, run) == 0
    assert calls == [["-n", "4"], ["b"]]
    assert outcomes(results) == {"a": "passed", "b": "passed"}
    assert "Passed only alone, each for a cause that wants finding:\n  b\n" in capsys.readouterr().out


def test_what_fails_twice_fails(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = (1, {"a": "passed", "b": "failed", "c": "failed"})
    _, run = runs(results, first, (1, {"b": "failed", "c": "passed"}))
    assert judge([], results, run) == 1
    assert outcomes(results) == {"a": "passed", "b": "failed", "c": "passed"}
    assert capsys.readouterr().out.endswith("finding:\n  c\n")


def test_what_is_not_judged_the_second_time_fails(results: Path) -> None:
    _, run = runs(results, (1, {"a": "failed"}), (0, {}))
    assert judge([], results, run) == 1


@pytest.mark.parametrize("count", [FEW, FEW + 1])
def test_many_failures_are_no_chance(results: Path, count: int) -> None:
    many = [str(each) for each in range(count)]
    calls, run = runs(results, (1, dict.fromkeys(many, "failed")), (0, dict.fromkeys(many, "passed")))
    assert judge([], results, run) == (0 if count == FEW else 1)
    assert len(calls) == (2 if count == FEW else 1)


@pytest.mark.parametrize("code", [2, 3, 4, 5])
def test_runs_that_did_not_come_about_are_not_judged_again(results: Path, code: int) -> None:
    calls, run = runs(results, (code, {"a": "failed"}))
    assert judge([], results, run) == code
    assert len(calls) == 1
