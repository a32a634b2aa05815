from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def _load_oracle() -> ModuleType:
    """`oracle.py` beside this file: tests have no packages, so it is loaded by path, once."""
    name = "onvif_test_oracle"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("oracle.py"))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="session")
def oracle() -> ModuleType:
    """The module with `assert_valid`, `zeep_decode` and `official_schema`."""
    return _load_oracle()


@pytest.fixture(scope="session")
def official_schema(oracle: ModuleType) -> Any:
    """All official schemas as one lxml XMLSchema."""
    return oracle.official_schema()


@pytest.fixture(scope="session")
def assert_valid(oracle: ModuleType) -> Callable[[bytes], Any]:
    """Asserts that a message is valid against the official schemas and that zeep reads it; returns its content."""

    def check(message: bytes) -> Any:
        found = oracle.assert_valid(message)
        oracle.zeep_decode(message)
        return found

    return check
