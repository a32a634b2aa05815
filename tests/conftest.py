"""Shared fixtures, and the record of each run that `python -m tests.features` reads."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import hypothesis
import pytest

# What the suite tries is the same in every run: a change is judged by itself, not by luck. `make soak` tries anew each time.
hypothesis.settings.register_profile("suite", derandomize=True)
hypothesis.settings.register_profile("search", derandomize=False)
hypothesis.settings.load_profile("suite")

pytest_plugins = ["pytester", "tests.postgres", "tests.thrift"]

SHARED = (
    *("tests/e2e/", "tests/abuse/test_abuse", "tests/conformance/test_defects"),
    # Replay takes as long as all others together: it has a recorder of its own. So has each specification of streams.
    "tests/conformance/test_archive.py::test_no_case_fails[Replay",
    "tests/conformance/test_archive.py::test_no_case_fails",
    "tests/conformance/test_archive_defects",
    # Defects first: their path begins like the cases'.
    "tests/conformance/test_streaming_defects",
    "tests/conformance/test_streaming.py::test_no_case_fails[Streaming using",
    "tests/conformance/test_streaming.py::test_no_case_fails",
    # Groups begin first, the largest before the others: these take minutes and must not be left to the end.
    "tests/workers/test_soak",
    "tests/workers/test_kill_recorder",
)
"""Beginnings of node ids of tests with one costly fixture for all; the first that fits counts."""

_WORST_FIRST = ("failed", "skipped", "xfailed", "passed")


def pytest_configure(config: pytest.Config) -> None:
    # Workers of xdist send their reports to the controller, which alone writes.
    if not hasattr(config, "workerinput") and not config.option.collectonly:
        config.pluginmanager.register(FeatureRecorder(config.rootpath / ".pytest_cache" / "features.json"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        rows = sorted({row for mark in item.iter_markers("covers") for row in mark.args})
        # User properties travel with the reports, also from xdist workers.
        item.user_properties.append(("covers", rows))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Tests that share a recorder (SHARED) on one worker of xdist; every other test wherever there is room.

    Marks cannot say it: xdist 3.8 carries its groups in node ids, which pytest 9.2 does not let it change.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            for shared in SHARED:
                if nodeid.startswith(shared):
                    return shared
            return nodeid

    return Scheduling(config, log)


class FeatureRecorder:
    """Writes outcome and covered rows of every test that ran."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tests: dict[str, dict[str, object]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and report.passed:
            return
        # xdist's loadgroup appends `@<group>` to node ids.
        nodeid = re.sub(r"@[\w.-]+$", "", report.nodeid)
        outcome = "xfailed" if hasattr(report, "wasxfail") else report.outcome
        before = self._tests.get(nodeid)
        if before and _WORST_FIRST.index(str(before["outcome"])) <= _WORST_FIRST.index(outcome):
            return
        self._tests[nodeid] = {"outcome": outcome, "covers": dict(report.user_properties).get("covers", [])}

    def pytest_sessionfinish(self) -> None:
        self._path.parent.mkdir(exist_ok=True)
        self._path.write_text(json.dumps({"tests": self._tests}, indent=1), encoding="utf-8")
