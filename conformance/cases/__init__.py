"""The official cases, one module per part of a test specification. Importing this package registers all of them."""

from __future__ import annotations

import importlib
import pkgutil


def load() -> None:
    """Import every module of the package."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
