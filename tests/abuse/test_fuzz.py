"""Fuzzing of everything that strangers' bytes reach: no crash, no hang."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.abuse.targets import TARGETS, Fuzzed, mutate

SHORT = 150
SOAK = int(os.environ.get("ONVIFD_FUZZ_INPUTS", "1000000")) // len(TARGETS)
HANG = 5.0
"""Seconds of processor time for one input; the filter of recordings may take two by its own bound."""


def inputs(target: Fuzzed) -> st.SearchStrategy[bytes]:
    insert = st.one_of(st.just(b""), st.sampled_from(target.tokens), st.binary(max_size=8))
    edit = st.tuples(st.floats(0, 1), st.integers(0, 40), insert)
    mutated = st.builds(mutate, st.sampled_from(target.seeds), st.lists(edit, max_size=6))
    assembled = st.lists(st.sampled_from(target.tokens), max_size=12).map(b"".join)
    return st.one_of(mutated, mutated, mutated, assembled, st.binary(max_size=200))


def fuzz(target: Fuzzed, examples: int, *, repeatable: bool) -> None:
    @settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        derandomize=repeatable,
    )
    @given(data=inputs(target))
    def run(data: bytes) -> None:
        began = time.process_time()
        target.check(data)
        assert time.process_time() - began < HANG, f"{target.name} hangs"

    run()


@pytest.mark.covers("SEC-10")
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_no_input_makes_it_crash(target: Fuzzed) -> None:
    for seed in target.seeds:
        target.check(seed)
    fuzz(target, SHORT, repeatable=True)


@pytest.mark.soak
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_million_inputs(target: Fuzzed) -> None:
    fuzz(target, max(1, SOAK), repeatable=False)


@pytest.mark.soak
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_million_inputs_chosen_by_what_they_reach(target: Fuzzed) -> None:
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is not installed")
    command = [sys.executable, "-m", "tests.abuse", target.name, "--runs", str(max(1, SOAK))]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr[-4000:]
