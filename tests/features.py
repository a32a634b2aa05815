"""The feature ledger against the last test run: `python -m tests.features` (what `make features` calls).

Reads `docs/features.toml` and the results that `tests/conftest.py` wrote, prints what is wrong and the totals per source
and class, and exits with 1 if anything is wrong. `--fill` first writes the tests that carry `covers` marks into their rows;
states are always set by hand.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LEDGER = ROOT / "docs" / "features.toml"
RESULTS = ROOT / ".pytest_cache" / "features.json"

KEYS = {"id", "source", "class", "title", "state", "tests", "note"}
MANUALS = {"ajax", "dahua", "provision"}
PROFILES = {"profile-s", "profile-g", "profile-t", "profile-m"}
STATES = ("done", "partial", "none", "not-applicable")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    id: str
    source: str
    class_: str
    title: str
    state: str
    tests: tuple[str, ...]
    note: str


@dataclass(frozen=True, slots=True)
class Result:
    """Outcome of one test ("passed", "failed", "skipped", "xfailed") and the rows that its `covers` marks name."""

    outcome: str
    covers: frozenset[str]


def read_ledger(path: Path) -> tuple[list[Row], list[str]]:
    """The rows that can be read, and what is wrong with the file."""
    rows: list[Row] = []
    problems: list[str] = []
    for number, table in enumerate(tomllib.loads(path.read_text(encoding="utf-8")).get("feature", []), 1):
        if set(table) != KEYS:
            problems.append(
                f"feature {number} ({table.get('id', 'no id')}): keys differ by {sorted(KEYS ^ set(table))}"
            )
            continue
        rows.append(
            Row(
                id=table["id"],
                source=table["source"],
                class_=table["class"],
                title=table["title"],
                state=table["state"],
                tests=tuple(table["tests"]),
                note=table["note"],
            )
        )
    return rows, problems


def read_results(path: Path) -> dict[str, Result]:
    tests = json.loads(path.read_text(encoding="utf-8"))["tests"]
    return {nodeid: Result(entry["outcome"], frozenset(entry["covers"])) for nodeid, entry in tests.items()}


def without_parameters(nodeid: str) -> str:
    return nodeid.split("[", 1)[0]


def row_problems(rows: list[Row]) -> Iterator[str]:
    """What is wrong with the ledger by itself."""
    for id_, count in Counter(row.id for row in rows).items():
        if count > 1:
            yield f"{id_}: {count} rows have this id"
    for row in rows:
        if row.source not in MANUALS | PROFILES:
            yield f"{row.id}: unknown source {row.source!r}"
        elif row.class_ not in ({"C", "S", "X", "H"} if row.source in MANUALS else {"M", "C"}):
            yield f"{row.id}: class {row.class_!r} does not belong to {row.source}"
        if row.state not in STATES:
            yield f"{row.id}: unknown state {row.state!r}"
        if not row.title.strip():
            yield f"{row.id}: no title"
        if row.state in ("partial", "not-applicable") and not row.note.strip():
            yield f"{row.id}: {row.state} needs a note"
        if row.state == "done" and not row.tests:
            yield f"{row.id}: done, but no test is named"


def result_problems(rows: list[Row], results: dict[str, Result]) -> Iterator[str]:
    """Where the ledger and the last run disagree."""
    by_function: dict[str, list[tuple[str, Result]]] = defaultdict(list)
    for nodeid, result in results.items():
        by_function[without_parameters(nodeid)].append((nodeid, result))
    known = {row.id for row in rows}
    for nodeid, result in results.items():
        for id_ in sorted(result.covers - known):
            yield f"{nodeid}: covers {id_}, which is not in the ledger"
    for row in rows:
        for test in row.tests:
            # A node id with parameters names one case; without, every case of the function.
            ran = [(test, results[test])] if test in results else by_function.get(test, [])
            if not ran:
                yield f"{row.id}: {test} did not run"
            for nodeid, result in ran:
                if row.id not in result.covers:
                    yield f"{row.id}: {nodeid} does not carry covers({row.id!r})"
                if row.state == "done" and result.outcome != "passed":
                    yield f"{row.id}: done, but {nodeid} {result.outcome}"


def totals(rows: list[Row]) -> str:
    """Counts of each state per source and class."""
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for row in rows:
        for key in ((row.source, row.class_), (row.source, "all"), ("all", "all")):
            counts[key][row.state] += 1
    lines = [f"{'source':<11}{'class':<7}" + "".join(f"{state:>16}" for state in STATES) + f"{'total':>8}"]
    for (source, class_), count in sorted(counts.items(), key=lambda item: (item[0][0] == "all", item[0])):
        cells = "".join(f"{count[state]:>16}" for state in STATES)
        lines.append(f"{source:<11}{class_:<7}{cells}{count.total():>8}")
    return "\n".join(lines)


def fill(path: Path, results: dict[str, Result]) -> int:
    """Write every test that covers a row into the row's `tests`. Returns how many rows changed."""
    cases = Counter(map(without_parameters, results))
    marked: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for nodeid, result in results.items():
        for id_ in result.covers:
            marked[id_][without_parameters(nodeid)].add(nodeid)
    covering: dict[str, set[str]] = {}
    stale: dict[str, set[str]] = {}
    for id_, functions in marked.items():
        # A function by its name if all of its cases carry the mark, else those cases that do.
        whole = {function for function, found in functions.items() if len(found) == cases[function]}
        stale[id_] = functions.keys() - whole
        covering[id_] = whole.union(*(functions[function] for function in stale[id_]))
    changed = 0
    lines = path.read_text(encoding="utf-8").splitlines()
    current = ""
    for index, line in enumerate(lines):
        if match := re.fullmatch(r'id = "(.*)"', line):
            current = match[1]
        elif line.startswith("tests = [") and current in covering:
            present = set(tomllib.loads(line)["tests"])
            filled = f"tests = {json.dumps(sorted(present - stale[current] | covering[current]))}"
            changed += filled != line
            lines[index] = filled
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return changed


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.features", description="Check the feature ledger.")
    parser.add_argument("--ledger", type=Path, default=LEDGER)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--fill", action="store_true", help="write covering tests into the rows first")
    options = parser.parse_args(arguments)

    results: dict[str, Result] | None = None
    if options.results.exists():
        results = read_results(options.results)
        if options.fill:
            print(f"{fill(options.ledger, results)} rows filled")
    rows, problems = read_ledger(options.ledger)
    problems += row_problems(rows)
    if results is None:
        problems.append("no results of a test run: run `make test` first")
    else:
        problems += result_problems(rows, results)
    for problem in problems:
        print(problem)
    if problems:
        print(f"{len(problems)} problems\n")
    print(totals(rows))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
