"""The catalogue on SQLite and on a real PostgreSQL (see `tests/postgres.py`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from onvifd.store.catalogue import Catalogue


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'catalogue.sqlite3'}"
    return str(request.getfixturevalue("postgresql_url"))


@pytest.fixture
def catalogue(url: str) -> Iterator[Catalogue]:
    """A catalogue with all tables, empty."""
    catalogue = Catalogue.open(url, migrate=True)
    yield catalogue
    catalogue.close()
