"""Devices that misbehave in exactly one way, to prove that the examiner can fail.

`python -m conformance.defects URL --user U --password P --defect NAME` stands in front of a real device as a proxy and does one
thing wrong; `python -m conformance.defects --list` names what it can do wrong and the case that must find it.
"""

from __future__ import annotations

import importlib

_MODULES = ("device", "access", "event", "messages", "security", "discovery", "replay", "recording", "search", "live")


def load() -> None:
    """Register all defects."""
    for name in _MODULES:
        importlib.import_module(f"{__name__}.{name}")
