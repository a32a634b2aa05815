"""All tests: `python -m tests.run -n 4` (what `make test` calls), with the arguments of pytest.

Many tests play in real time, side by side on a machine that may have two cores. A few that fail among the others are
judged again, one after the other with nothing beside them; what fails there too fails the run. Those that passed only
alone are named at the end: each has a cause that wants finding (decision 49).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.features import RESULTS, ROOT

FEW = 5
"""More failures than these are no chance: nothing is judged again."""
FAILURES = 1
"""What pytest ends with when tests failed; everything above is a run that did not come about."""

Tests = dict[str, dict[str, object]]


def read(results: Path) -> Tests:
    tests: Tests = json.loads(results.read_text(encoding="utf-8"))["tests"]
    return tests


def failed(tests: Tests) -> list[str]:
    return [nodeid for nodeid, entry in tests.items() if entry["outcome"] == "failed"]


def judge(arguments: Sequence[str], results: Path, run: Callable[[Sequence[str]], int]) -> int:
    """Exit code of the run, and of the second one of those that failed; `results` then tells of both.

    Args:
        arguments: of pytest, for the first run.
        results: what `tests/conftest.py` writes after each run.
        run: pytest with arguments; its exit code.
    """
    code = run(arguments)
    if code != FAILURES:
        return code
    first = read(results)
    again = failed(first)
    if not 0 < len(again) <= FEW:
        return code
    print(f"\n{len(again)} failed among the others and are judged again alone:", *again, sep="\n  ", flush=True)
    code = run(again)
    second = read(results)
    results.write_text(json.dumps({"tests": first | second}, indent=1), encoding="utf-8")
    chance = [nodeid for nodeid in again if second.get(nodeid, {}).get("outcome") == "passed"]
    if chance:
        print("\nPassed only alone, each for a cause that wants finding:", *chance, sep="\n  ", flush=True)
    # A test that did not run the second time has not passed.
    return code or (0 if set(again) <= set(second) else FAILURES)


def main() -> int:
    def run(arguments: Sequence[str]) -> int:
        return subprocess.run([sys.executable, "-m", "pytest", *arguments], cwd=ROOT, check=False).returncode

    return judge(sys.argv[1:], RESULTS, run)


if __name__ == "__main__":
    sys.exit(main())
