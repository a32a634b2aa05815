"""`python -m benchmarks [name ...] [--seconds S]`: measure us beside our peers, print tables, write docs/benchmarks.md."""

from __future__ import annotations

import argparse
import importlib
import shutil
import sys

from benchmarks import month, soak
from benchmarks.measure import report

NAMES = ("relay", "clients", "intake", "recording", "retention", "replay", "secure", "scale", "face", "events")


def main() -> None:
    apart = {"month": month.main, "soak": soak.main}.get(sys.argv[1] if sys.argv[1:] else "")
    if apart is not None:
        # Takes long and has options of its own: not part of the rest.
        apart(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *NAMES], help="which; all if none is named")
    parser.add_argument("--seconds", type=float, default=10, help="measured time of each case")
    options = parser.parse_args()
    if shutil.which("taskset") is None:
        parser.error("taskset (util-linux) is needed to pin server and load")
    for name in options.names or NAMES:
        report(name, importlib.import_module(f"benchmarks.{name}").run(options.seconds))


if __name__ == "__main__":
    main()
