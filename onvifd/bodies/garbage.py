"""Python's cyclic garbage collector in a process that answers many clients at once."""

from __future__ import annotations

import gc

THRESHOLDS = (10_000, 20, 20)
"""New objects before a look at the youngest; looks before one at the middle, and at all. A waiting request makes about 150."""


def settle() -> None:
    """Call it once, when a process is up: what it consists of is not looked through any more.

    A full collection walks everything that lives: some 200,000 objects of modules, types and tables that stay until the end, which
    stops every client for 150 ms, and two hundred pull points that are answered at once set one off.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
