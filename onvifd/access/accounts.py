"""Accounts: rules, storage, and the snapshot that authentication asks.

ONVIF has one user database for SOAP and RTSP (Core 5.9). Passwords are stored encrypted since UsernameToken needs them in
clear; the console checks the argon2id hash that is stored beside.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from onvifd.access.digest import make_ha1
from onvifd.access.keyfile import SecretBox
from onvifd.access.passwords import check_level, check_name, check_password
from onvifd.access.types import Account, Credential, Level
from onvifd.clock import Clock
from onvifd.errors import InvalidArgument, LimitReached, NotFound, OnvifdError, Prohibited
from onvifd.store.accounts import AccountEdit
from onvifd.store.catalogue import Catalogue
from onvifd.store.rows import AccountRow

log = logging.getLogger(__name__)

MAX_ACCOUNTS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccount:
    """An account to make."""

    name: str
    level: Level
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountChange:
    """What changes in an account; None leaves it as it is."""

    name: str
    level: Level | None = None
    password: str | None = field(default=None, repr=False)


class Accounts:
    """All accounts. `lookup`, `all` and `export` answer from memory; every other method blocks and belongs in a thread."""

    def __init__(
        self,
        catalogue: Catalogue,
        box: SecretBox,
        clock: Clock,
        *,
        realm: str,
        limit: int = MAX_ACCOUNTS,
        hasher: PasswordHasher | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._box = box
        self._clock = clock
        self._realm = realm
        self._limit = limit
        self._hasher = hasher or PasswordHasher()
        # Replaced as a whole, so that readers in other threads need no lock.
        self._credentials: Mapping[str, Credential] = {}

    def lookup(self, name: str) -> Credential | None:
        """The credential of an account (CredentialLookup)."""
        return self._credentials.get(name)

    def all(self) -> tuple[Account, ...]:
        """Every account in order of creation."""
        return tuple(credential.account for credential in self._credentials.values())

    def export(self) -> tuple[Credential, ...]:
        """What a worker needs to serve RTSP and HTTP digest: no clear passwords."""
        return tuple(replace(credential, password="") for credential in self._credentials.values())

    def reload(self) -> None:
        """Read all accounts again, after the revision of the catalogue has changed. Raises Unavailable.

        An account that the key file does not open is left out and logged: the others still work.
        """
        found: dict[str, Credential] = {}
        for row in self._catalogue.accounts.all():
            try:
                password = self._box.open(row.password, _context(row.name))
                account = Account(row.name, Level(row.level))
            except (OnvifdError, ValueError) as error:
                log.error("account %s cannot be used: %s", row.name, error)
                continue
            found[row.name] = Credential(account, make_ha1(row.name, self._realm, password), password)
        self._credentials = found

    def create(self, accounts: Sequence[NewAccount]) -> None:
        """Make all accounts or none (Core 8.4.4). Raises Prohibited or LimitReached with the details of CreateUsers."""
        for account in accounts:
            check_level(account.level)
            check_name(account.name)
            check_password(account.password, account.name, weak="Password")
        names = [account.name for account in accounts]
        rows = tuple(self._row(account) for account in accounts)

        def decide(present: Mapping[str, AccountRow]) -> AccountEdit:
            for number, name in enumerate(names):
                if name in present or name in names[:number]:
                    raise Prohibited(f"account {name} exists already", detail="UsernameClash")
            if len(present) + len(rows) > self._limit:
                raise LimitReached(f"there may be {self._limit} accounts", detail="TooManyUsers")
            return AccountEdit(put=rows)

        self._catalogue.accounts.edit(decide)
        log.info("accounts made: %s", ", ".join(names))
        self.reload()

    def change(self, changes: Sequence[AccountChange]) -> None:
        """Apply all changes or none (Core 8.4.6). Raises NotFound, Prohibited or InvalidArgument with the details of SetUser."""
        secrets = [self._checked_secrets(one) for one in changes]
        now = self._clock.utc()

        def decide(present: Mapping[str, AccountRow]) -> AccountEdit:
            after = dict(present)
            for one, secret in zip(changes, secrets, strict=True):
                row = after.get(one.name)
                if row is None:
                    raise NotFound(f"there is no account {one.name}", detail="UsernameMissing")
                if one.level is not None:
                    row = replace(row, level=one.level.value)
                if secret is not None:
                    row = replace(row, password=secret[0], console_hash=secret[1])
                after[one.name] = replace(row, changed=now)
            _keep_administrator(present, after)
            return AccountEdit(put=tuple(after[name] for name in {one.name for one in changes}))

        self._catalogue.accounts.edit(decide)
        log.info("accounts changed: %s", ", ".join(one.name for one in changes))
        self.reload()

    def remove(self, names: Sequence[str]) -> None:
        """Delete all accounts named or none (Core 8.4.5). Raises NotFound (UsernameMissing) or InvalidArgument (FixedUser)."""

        def decide(present: Mapping[str, AccountRow]) -> AccountEdit:
            for name in names:
                if name not in present:
                    raise NotFound(f"there is no account {name}", detail="UsernameMissing")
            _keep_administrator(present, {name: row for name, row in present.items() if name not in names})
            return AccountEdit(remove=tuple(names))

        self._catalogue.accounts.edit(decide)
        log.info("accounts removed: %s", ", ".join(names))
        self.reload()

    def verify(self, name: str, password: str) -> Account | None:
        """Check a console login against the argon2id hash; takes tens of milliseconds whatever the outcome."""
        row = next((row for row in self._catalogue.accounts.all() if row.name == name), None)
        if row is None:
            # As long as for an account that exists, so that time does not tell which names do.
            self._hasher.hash(password)
            return None
        try:
            self._hasher.verify(row.console_hash, password)
        except VerificationError:
            return None
        return Account(row.name, Level(row.level))

    def _checked_secrets(self, change: AccountChange) -> tuple[bytes, str] | None:
        if change.level is not None:
            check_level(change.level)
        if change.password is None:
            return None
        check_password(change.password, change.name, weak="PasswordTooWeak")
        return self._box.seal(change.password, _context(change.name)), self._hasher.hash(change.password)

    def _row(self, account: NewAccount) -> AccountRow:
        now = self._clock.utc()
        return AccountRow(
            name=account.name,
            level=account.level.value,
            password=self._box.seal(account.password, _context(account.name)),
            console_hash=self._hasher.hash(account.password),
            created=now,
            changed=now,
        )


def _context(name: str) -> str:
    return f"account:{name}"


def _keep_administrator(before: Mapping[str, AccountRow], after: Mapping[str, AccountRow]) -> None:
    """Nobody may lock everybody out (FixedUser of Core 8.4.5 and 8.4.6)."""
    if _has_administrator(before) and not _has_administrator(after):
        raise InvalidArgument("the last administrator must stay", detail="FixedUser")


def _has_administrator(rows: Mapping[str, AccountRow]) -> bool:
    return any(row.level == Level.ADMINISTRATOR for row in rows.values())
