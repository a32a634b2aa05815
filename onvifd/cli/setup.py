"""First start, shared by the commands: data folder, key, catalogue, first administrator; and the camera registry."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onvifd.cameras.registry import Registry
    from onvifd.config import Config


def initialise(config: Config, name: str, password: str) -> bool:
    """Make what a recorder needs before its first start; true if an administrator was made, false if there was one.

    Raises Unavailable, or what `Accounts.create` raises for a name or password that is refused. Blocks.
    """
    from onvifd.access.accounts import Accounts, NewAccount
    from onvifd.access.keyfile import create_key, load_key
    from onvifd.access.types import Level
    from onvifd.clock import SystemClock
    from onvifd.config import prepare_data_folder
    from onvifd.store.catalogue import Catalogue

    prepare_data_folder(config)
    box = load_key(config.key_file) if config.key_file.exists() else create_key(config.key_file)
    catalogue = Catalogue.open(config.database_url, timeout=config.database.timeout, migrate=True)
    try:
        accounts = Accounts(catalogue, box, SystemClock(), realm=config.access.realm, limit=config.limits.accounts)
        accounts.reload()
        if accounts.all():
            return False
        accounts.create([NewAccount(name=name, level=Level.ADMINISTRATOR, password=password)])
        return True
    finally:
        catalogue.close()


@contextmanager
def open_registry(config: Config) -> Iterator[Registry]:
    """The cameras of an initialised recorder. Blocks."""
    from onvifd.access.keyfile import load_key
    from onvifd.cameras.registry import Registry
    from onvifd.clock import SystemClock
    from onvifd.store.catalogue import Catalogue

    box = load_key(config.key_file)
    catalogue = Catalogue.open(config.database_url, timeout=config.database.timeout)
    try:
        yield Registry(catalogue, box, SystemClock(), limit=config.limits.cameras)
    finally:
        catalogue.close()
