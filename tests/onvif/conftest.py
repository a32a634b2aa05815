from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from tests.onvif import oracle as judge


@pytest.fixture(scope="session")
def oracle() -> ModuleType:
    """The module with `assert_valid`, `zeep_decode` and `official_schema`."""
    return judge


@pytest.fixture(scope="session")
def official_schema() -> Any:
    """All official schemas as one lxml XMLSchema."""
    return judge.official_schema()


@pytest.fixture(scope="session")
def assert_valid() -> Callable[[bytes], Any]:
    """Asserts that a message is valid against the official schemas and that zeep reads it; returns its content."""

    def check(message: bytes) -> Any:
        found = judge.assert_valid(message)
        if not found.tag.endswith("}Fault"):
            judge.zeep_decode(message)
        return found

    return check
