"""A catalogue of the first version: what was one account for both becomes an ONVIF account and a console account."""

from __future__ import annotations

from importlib.resources import as_file, files

import pytest
from alembic import command
from argon2 import PasswordHasher
from sqlalchemy import text

from onvifd.access.accounts import Accounts
from onvifd.access.console import ConsoleAccounts
from onvifd.access.keyfile import SecretBox
from onvifd.access.permissions import ADMINISTRATORS, OPERATORS, VIEWERS
from onvifd.access.types import Level
from onvifd.clock import SimulatedClock
from onvifd.store.catalogue import Catalogue
from onvifd.store.engine import Database, open_engine
from onvifd.store.migrate import _config

HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
BOX = SecretBox(bytes(32))
OLD = (("boss", "Administrator", 2), ("second", "Administrator", 3), ("vms", "Operator", 1), ("eye", "User", 4))


def first_version(url: str) -> None:
    engine = open_engine(url)

    def work(connection: object) -> None:
        with as_file(files("onvifd.store") / "migrations") as folder:
            command.upgrade(_config(str(folder), connection), "0001")  # type: ignore[arg-type]

    Database(engine).write(work)
    with engine.begin() as connection:
        for name, level, created in OLD:
            connection.execute(
                text("INSERT INTO accounts VALUES (:name, :level, :password, :hash, :at, :at)"),
                {
                    "name": name,
                    "level": level,
                    "password": BOX.seal(f"{name}-password", f"account:{name}"),
                    "hash": HASHER.hash(f"{name}-password"),
                    "at": created,
                },
            )
    engine.dispose()


@pytest.mark.covers("ACC-15")
def test_accounts_are_split_and_all_log_in_as_before(url: str) -> None:
    first_version(url)
    catalogue = Catalogue.open(url, migrate=True)
    try:
        onvif = Accounts(catalogue, BOX, SimulatedClock(), realm="onvifd", hasher=HASHER)
        onvif.reload()
        assert {one.name: one.level for one in onvif.all()} == {name: Level(level) for name, level, _ in OLD}
        assert [row.name for row in onvif.rows().values() if row.fixed] == ["boss"]
        assert all((found := onvif.lookup(name)) and found.password == f"{name}-password" for name, *_ in OLD)
        console = ConsoleAccounts(catalogue, SimulatedClock(), hasher=HASHER)
        console.reload()
        assert {one.name: (one.group, one.fixed) for one in console.all()} == {
            "boss": (ADMINISTRATORS, True),
            "second": (ADMINISTRATORS, False),
            "vms": (OPERATORS, False),
            "eye": (VIEWERS, False),
        }
        assert all(console.verify(name, f"{name}-password") for name, *_ in OLD)
    finally:
        catalogue.close()
