"""How many files and sockets this process holds."""

from __future__ import annotations

import os


def descriptors() -> int:
    """Open descriptors; 0 where the system does not tell."""
    try:
        # One of them is the listing's own.
        return len(os.listdir("/proc/self/fd")) - 1
    except OSError:
        return 0
