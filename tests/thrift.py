"""What the tests of a run do once that would else be done again and again; nothing is left out by it.

Processes that tests start (`onvifd demo`, the commands of end-to-end tests) do it all in earnest.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from argon2 import PasswordHasher

if TYPE_CHECKING:
    from sqlalchemy import Engine


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> Iterator[None]:
    """Argon2id at its least cost: at the usual one four hashes take longer than all else at the start of a recorder.

    That accounts have the usual cost is tested in `tests/access/test_cost.py`.
    """
    quick = partial(PasswordHasher, time_cost=1, memory_cost=8, parallelism=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("onvifd.access.accounts.PasswordHasher", quick)
        patch.setattr("onvifd.access.console.PasswordHasher", quick)
        yield


@pytest.fixture(scope="session", autouse=True)
def ready_tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """New catalogues in SQLite files begin as copies of one that all migrations made; each process makes its own, at the first.

    Others are made and upgraded as ever: PostgreSQL, files that hold something, and all of `tests/store/test_migrate.py`.
    """
    from onvifd.store import catalogue, migrate

    tables: list[bytes] = []

    def upgrade(engine: Engine, *, copy: bool = False) -> None:
        path = Path(engine.url.database or "") if engine.dialect.name == "sqlite" else None
        if path is None or path.stat().st_size:
            migrate.upgrade(engine, copy=copy)
            return
        if not tables:
            tables.append(_tables(tmp_path_factory.mktemp("tables") / "catalogue.sqlite3"))
        path.write_bytes(tables[0])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogue, "upgrade", upgrade)
        yield


def _tables(path: Path) -> bytes:
    from onvifd.store.engine import make_private, open_engine
    from onvifd.store.migrate import upgrade

    url = f"sqlite:///{path}"
    make_private(url)
    engine = open_engine(url)
    upgrade(engine, copy=True)
    # The last connection takes the write-ahead log into the file.
    engine.dispose()
    return path.read_bytes()


@pytest.fixture(scope="session", autouse=True)
def ready_keys() -> Iterator[None]:
    """RSA keys of the recorders' own certificates: a process makes four, and gives them out in turn.

    Keys that clients ask for (`pki.manager`) are made anew each time.
    """
    from onvifd.pki import device
    from onvifd.pki.keystore import generate
    from onvifd.pki.signatures import RSA, PrivateKey

    made: dict[str, list[PrivateKey]] = {}
    turn = itertools.count()

    def ready(algorithm: str, size: str) -> PrivateKey:
        if algorithm != RSA:
            return generate(algorithm, size)
        keys = made.setdefault(size, [])
        if len(keys) < 4:
            keys.append(generate(algorithm, size))
            return keys[-1]
        return keys[next(turn) % 4]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device, "generate", ready)
        yield


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where simulated cameras keep what was encoded for them in this run, in whichever of its processes."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "clips"
    folder.mkdir(exist_ok=True)
    return folder
