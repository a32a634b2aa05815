"""Console accounts and their groups as stored: rights are opaque here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, delete, insert, select, update

from onvifd.store import schema
from onvifd.store.accounts import CONSOLE, forget_history, remember
from onvifd.store.engine import Database
from onvifd.store.rows import ConsoleAccountRow, ConsoleGroupRow
from onvifd.store.settings import bump


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleView:
    """What an edit decides upon: everything, by name."""

    groups: Mapping[str, ConsoleGroupRow]
    accounts: Mapping[str, ConsoleAccountRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleEdit:
    """Rows to insert or replace, names to delete, and hashes of passwords that accounts had until now."""

    groups: tuple[ConsoleGroupRow, ...] = ()
    accounts: tuple[ConsoleAccountRow, ...] = ()
    remove_groups: tuple[str, ...] = ()
    remove_accounts: tuple[str, ...] = ()
    former: tuple[tuple[str, str], ...] = ()


class Console:
    """Reads and changes console accounts and groups."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def view(self) -> ConsoleView:
        return self._database.read(_load)

    def edit(self, decide: Callable[[ConsoleView], ConsoleEdit]) -> None:
        """Change accounts and groups, all or nothing; like `store.accounts.Accounts.edit`."""

        def work(connection: Connection) -> None:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql("LOCK TABLE console_groups, console_accounts IN SHARE ROW EXCLUSIVE MODE")
            view = _load(connection)
            edit = decide(view)
            accounts, groups = schema.console_accounts, schema.console_groups
            if edit.remove_accounts:
                connection.execute(delete(accounts).where(accounts.c.name.in_(edit.remove_accounts)))
                for name in edit.remove_accounts:
                    forget_history(connection, CONSOLE, name)
            for group in edit.groups:
                if group.name in view.groups:
                    connection.execute(update(groups).where(groups.c.name == group.name).values(asdict(group)))
                else:
                    connection.execute(insert(groups).values(asdict(group)))
            for account in edit.accounts:
                if account.name in view.accounts:
                    connection.execute(update(accounts).where(accounts.c.name == account.name).values(asdict(account)))
                else:
                    connection.execute(insert(accounts).values(asdict(account)))
            if edit.remove_groups:
                connection.execute(delete(groups).where(groups.c.name.in_(edit.remove_groups)))
            for name, hashed in edit.former:
                remember(connection, CONSOLE, name, hashed)
            bump(connection)

        self._database.write(work)


def _load(connection: Connection) -> ConsoleView:
    groups, accounts = schema.console_groups, schema.console_accounts
    found_groups = connection.execute(select(groups).order_by(groups.c.builtin.desc(), groups.c.name)).mappings()
    found_accounts = connection.execute(select(accounts).order_by(accounts.c.created, accounts.c.name)).mappings()
    return ConsoleView(
        groups={row["name"]: ConsoleGroupRow(**row) for row in found_groups},
        accounts={row["name"]: ConsoleAccountRow(**row) for row in found_accounts},
    )
