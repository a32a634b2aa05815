"""Coverage-guided fuzzing of one target: `python -m tests.abuse TARGET [--runs N]` (needs `pip install atheris`)."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

CRASHES = Path(".cache/fuzz")
"""Where inputs that crash are kept."""

HANG = 5.0


def escaped(token: bytes) -> str:
    """As libFuzzer's dictionaries have it."""
    return "".join(f"\\x{octet:02x}" for octet in token)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.abuse", description=__doc__)
    parser.add_argument("target", help="name of a target; `list` shows them")
    parser.add_argument("--runs", type=int, default=100_000, help="inputs to try")
    parser.add_argument("--seconds", type=int, default=0, help="stop after so many; 0: never")
    given = parser.parse_args()
    try:
        import atheris
    except ImportError:
        sys.exit("atheris is not installed; `make soak` fuzzes without it")
    with atheris.instrument_imports(include=["onvifd", "elementpath"]):
        from tests.abuse.targets import TARGETS
    named = {target.name: target for target in TARGETS}
    if given.target not in named:
        sys.exit("targets: " + ", ".join(named))
    target = named[given.target]

    def check(data: bytes) -> None:
        began = time.process_time()
        target.check(data)
        if time.process_time() - began > HANG:
            raise TimeoutError(f"{target.name} hangs")

    CRASHES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        seeds = Path(folder) / "seeds"
        seeds.mkdir()
        for number, seed in enumerate(target.seeds):
            (seeds / str(number)).write_bytes(seed)
        words = Path(folder) / "words"
        words.write_text("".join(f'"{escaped(token)}"\n' for token in target.tokens))
        arguments = [
            sys.argv[0],
            f"-runs={given.runs}",
            f"-max_total_time={given.seconds}",
            "-max_len=4096",
            f"-dict={words}",
            "-verbosity=1",
            f"-artifact_prefix={CRASHES}/",
            str(seeds),
        ]
        atheris.Setup(arguments, check)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
