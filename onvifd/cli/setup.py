"""First start, shared by the commands: data folder, key, catalogue, first administrator; and what the commands open later."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onvifd.access.accounts import Accounts
    from onvifd.access.console import ConsoleAccounts
    from onvifd.cameras.registry import Registry
    from onvifd.config import Config
    from onvifd.store.catalogue import Catalogue


def initialise(config: Config, name: str, password: str) -> bool:
    """Make what a recorder needs before its first start; true if an administrator was made, false if there was one.

    The administrator is an ONVIF account and a console account of the same name and password; from then on they are apart.

    Raises Prohibited for a name or password that is refused, Conflict if the key file of an existing catalogue is gone,
    Unavailable. Blocks.
    """
    from onvifd.access.accounts import Accounts, NewAccount
    from onvifd.access.keyfile import create_key, load_key
    from onvifd.access.passwords import check_name, check_password
    from onvifd.access.types import Level
    from onvifd.clock import SystemClock
    from onvifd.config import prepare_data_folder
    from onvifd.errors import Conflict
    from onvifd.store.catalogue import Catalogue

    prepare_data_folder(config)
    catalogue = Catalogue.open(config.database_url, timeout=config.database.timeout, migrate=True)
    try:
        present = bool(catalogue.accounts.all())
        if not present:
            check_name(name)
            check_password(password, name, weak="Password")
        if config.key_file.exists():
            box = load_key(config.key_file)
        elif present or any(camera.credentials for camera in catalogue.cameras.all()):
            # A new key would not open the passwords that are stored.
            raise Conflict(f"the key file {config.key_file} is missing: put it back from the backup")
        else:
            box = create_key(config.key_file)
        if present:
            return False
        first_console_account(catalogue, name, password)
        accounts = Accounts(catalogue, box, SystemClock(), realm=config.access.realm, limit=config.limits.accounts)
        accounts.create([NewAccount(name=name, level=Level.ADMINISTRATOR, password=password)])
        return True
    finally:
        catalogue.close()


def first_console_account(catalogue: Catalogue, name: str, password: str) -> None:
    """The administrator of the console. One that an interrupted start left is given the password."""
    from onvifd.access.console import ConsoleAccounts, ConsoleChange
    from onvifd.access.permissions import ADMINISTRATORS
    from onvifd.clock import SystemClock

    console = ConsoleAccounts(catalogue, SystemClock())
    if name in catalogue.console.view().accounts:
        console.change(ConsoleChange(name=name, password=password))
    else:
        console.create(name, ADMINISTRATORS, password)


def refuse_running(config: Config) -> None:
    """Raises Unavailable if a recorder runs on the data folder: it holds the lock on `onvifd.lock` (see `app`)."""
    import fcntl

    from onvifd.errors import Unavailable

    try:
        file = (config.data / "onvifd.lock").open("rb")
    except FileNotFoundError:
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unavailable(f"another recorder runs on the data folder {config.data}") from None


@contextmanager
def open_catalogue(config: Config) -> Iterator[Catalogue]:
    """The catalogue of an initialised recorder. Raises Unavailable if there is none, Conflict if it needs an upgrade."""
    from pathlib import Path

    from sqlalchemy import make_url

    from onvifd.errors import Conflict, Unavailable
    from onvifd.store.catalogue import Catalogue
    from onvifd.store.migrate import versions

    url = make_url(config.database_url)
    # SQLite would make an empty file.
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        raise Unavailable(f"there is no recorder in {config.data}: run onvifd init")
    catalogue = Catalogue.open(config.database_url, timeout=config.database.timeout)
    try:
        current, needed = versions(catalogue.database.engine)
        if current is None:
            raise Unavailable("the database is empty: run onvifd init")
        if current != needed:
            raise Conflict(f"the catalogue has version {current}, this program needs {needed}: start onvifd run once")
        yield catalogue
    finally:
        catalogue.close()


@contextmanager
def open_registry(config: Config) -> Iterator[Registry]:
    """The cameras of an initialised recorder. Blocks."""
    from onvifd.access.keyfile import load_key
    from onvifd.cameras.registry import Registry
    from onvifd.clock import SystemClock

    with open_catalogue(config) as catalogue:
        yield Registry(catalogue, load_key(config.key_file), SystemClock(), limit=config.limits.cameras)


@contextmanager
def open_console(config: Config) -> Iterator[ConsoleAccounts]:
    """The console accounts of an initialised recorder, loaded. Blocks."""
    from onvifd.access.console import ConsoleAccounts
    from onvifd.clock import SystemClock

    with open_catalogue(config) as catalogue:
        limits = config.limits
        accounts = ConsoleAccounts(
            catalogue, SystemClock(), limit=limits.console_accounts, group_limit=limits.console_groups
        )
        accounts.reload()
        yield accounts


@contextmanager
def open_accounts(config: Config) -> Iterator[Accounts]:
    """The accounts of an initialised recorder, loaded. Blocks."""
    from onvifd.access.accounts import Accounts
    from onvifd.access.keyfile import load_key
    from onvifd.clock import SystemClock

    with open_catalogue(config) as catalogue:
        box = load_key(config.key_file)
        accounts = Accounts(catalogue, box, SystemClock(), realm=config.access.realm, limit=config.limits.accounts)
        accounts.reload()
        yield accounts
