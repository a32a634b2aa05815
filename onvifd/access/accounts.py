"""ONVIF accounts: rules, storage, and the snapshot that authentication asks.

ONVIF has one user database for SOAP and RTSP (Core 5.9). Passwords are stored encrypted since UsernameToken needs them in
clear. People who use the console have accounts of their own (`access.console`).
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from onvifd.access.digest import make_ha1, make_ha1_sha256
from onvifd.access.keyfile import SecretBox
from onvifd.access.passwords import check_level, check_name, check_password
from onvifd.access.periods import ALWAYS, WeekPlan
from onvifd.access.policy import POLICY_SETTING, AccessPolicy
from onvifd.access.types import Account, Credential, Level
from onvifd.clock import Clock
from onvifd.errors import InvalidArgument, LimitReached, NotFound, OnvifdError, Prohibited
from onvifd.store.accounts import ONVIF, AccountEdit
from onvifd.store.catalogue import Catalogue
from onvifd.store.rows import AccountRow
from onvifd.store.settings import put_setting

log = logging.getLogger(__name__)

MAX_ACCOUNTS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccount:
    """An account to make."""

    name: str
    level: Level
    password: str = field(repr=False)
    periods: WeekPlan = ALWAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountChange:
    """What changes in an account; None leaves it as it is."""

    name: str
    level: Level | None = None
    password: str | None = field(default=None, repr=False)
    periods: WeekPlan | None = None


class Accounts:
    """All ONVIF accounts. `lookup`, `all`, `policy` and `export` answer from memory; every other method blocks and belongs in a
    thread."""

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
        self.catalogue = catalogue
        self._box = box
        self._clock = clock
        self._realm = realm
        self._hasher = hasher or PasswordHasher()
        # Replaced as a whole, so that readers in other threads need no lock.
        self._credentials: Mapping[str, Credential] = {}
        self._rows: Mapping[str, AccountRow] = {}
        self._withdrawn: deque[str] = deque()
        self.limit = limit
        self.policy = AccessPolicy()

    def lookup(self, name: str) -> Credential | None:
        """The credential of an account (CredentialLookup)."""
        return self._credentials.get(name)

    def all(self) -> tuple[Account, ...]:
        """Every account in order of creation."""
        return tuple(credential.account for credential in self._credentials.values())

    def rows(self) -> Mapping[str, AccountRow]:
        """Accounts by name as stored."""
        return self._rows

    def export(self) -> tuple[Credential, ...]:
        """What a worker needs to serve RTSP and HTTP digest: no clear passwords."""
        return tuple(_without_password(credential) for credential in self._credentials.values())

    def reload(self) -> tuple[str, ...]:
        """Read all accounts again, after the revision of the catalogue has changed. Raises Unavailable.

        Gives the names of accounts that were changed or removed since the last time. An account that the key file does not
        open is left out and logged: the others still work.
        """
        policy = AccessPolicy.from_json(self.catalogue.settings.get(POLICY_SETTING))
        rows = {row.name: row for row in self.catalogue.accounts.all()}
        found: dict[str, Credential] = {}
        for row in rows.values():
            try:
                found[row.name] = self._credential(row)
            except (OnvifdError, ValueError) as error:
                log.error("account %s cannot be used: %s", row.name, error)
        changed = tuple(name for name, row in self._rows.items() if rows.get(name) != row)
        self._withdrawn += [name for name, old in self._credentials.items() if not _still(old, found.get(name))]
        self._credentials, self._rows, self.policy = found, rows, policy
        return changed

    def withdrawn(self) -> frozenset[str]:
        """Accounts that are gone or have another password or level since this was asked last: who is in by the old one goes."""
        names = set()
        while self._withdrawn:
            names.add(self._withdrawn.popleft())
        return frozenset(names)

    def outside_periods(self, utc: int) -> frozenset[str]:
        """Accounts that may not log in at this time."""
        return frozenset(name for name, one in self._credentials.items() if not one.periods.allows_utc(utc))

    def _credential(self, row: AccountRow) -> Credential:
        password = self._box.open(row.password, _context(row.name))
        before = self._credentials.get(row.name)
        former = None
        if before is not None:
            former = before.former if before.password == password else replace(before, former=None)
        return Credential(
            Account(row.name, Level(row.level)),
            make_ha1(row.name, self._realm, password),
            password,
            make_ha1_sha256(row.name, self._realm, password),
            WeekPlan.parse(row.periods),
            former,
        )

    # ---- changes

    def create(self, accounts: Sequence[NewAccount]) -> None:
        """Make all accounts or none (Core 8.4.4). Raises Prohibited or LimitReached with the details of CreateUsers.

        The very first administrator is fixed: it is neither deleted nor demoted.
        """
        rules = self._policy().complexity
        for account in accounts:
            check_level(account.level)
            check_name(account.name)
            check_password(account.password, account.name, weak="Password", rules=rules)
        names = [account.name for account in accounts]
        rows = tuple(self._row(account) for account in accounts)

        def decide(present: Mapping[str, AccountRow]) -> AccountEdit:
            for number, name in enumerate(names):
                if name in present or name in names[:number]:
                    raise Prohibited(f"account {name} exists already", detail="UsernameClash")
            if len(present) + len(rows) > self.limit:
                raise LimitReached(f"there may be {self.limit} accounts", detail="TooManyUsers")
            first = next((row for row in rows if row.level == Level.ADMINISTRATOR), None)
            if present or first is None:
                return AccountEdit(put=rows)
            return AccountEdit(put=tuple(replace(row, fixed=row is first) for row in rows))

        self.catalogue.accounts.edit(decide)
        log.info("accounts made: %s", ", ".join(names))
        self.reload()

    def change(self, changes: Sequence[AccountChange]) -> None:
        """Apply all changes or none (Core 8.4.6). Raises NotFound, Prohibited or InvalidArgument with the details of SetUser."""
        policy = self._policy()
        present = {row.name: row for row in self.catalogue.accounts.all()}
        for one in changes:
            if one.name not in present:
                raise NotFound(f"there is no account {one.name}", detail="UsernameMissing")
        sealed = [self._checked_secret(one, present[one.name], policy) for one in changes]
        former = tuple(
            (one.name, self._hasher.hash(self._box.open(present[one.name].password, _context(one.name))))
            for one in changes
            if one.password is not None
        )
        now = self._clock.utc()

        def decide(present: Mapping[str, AccountRow]) -> AccountEdit:
            after = dict(present)
            for one, secret in zip(changes, sealed, strict=True):
                row = after.get(one.name)
                if row is None:
                    raise NotFound(f"there is no account {one.name}", detail="UsernameMissing")
                if one.level is not None and row.fixed and one.level != row.level:
                    raise InvalidArgument("the first administrator keeps its level", detail="FixedUser")
                after[one.name] = _changed(row, one, secret, now)
            _keep_administrator(present, after)
            return AccountEdit(put=tuple(after[name] for name in {one.name for one in changes}), former=former)

        self.catalogue.accounts.edit(decide)
        log.info("accounts changed: %s", ", ".join(one.name for one in changes))
        self.reload()

    def remove(self, names: Sequence[str]) -> None:
        """Delete all accounts named or none (Core 8.4.5). Raises NotFound (UsernameMissing) or InvalidArgument (FixedUser)."""

        def decide(present: Mapping[str, AccountRow]) -> AccountEdit:
            for name in names:
                if name not in present:
                    raise NotFound(f"there is no account {name}", detail="UsernameMissing")
            if any(present[name].fixed for name in names):
                raise InvalidArgument("the first administrator must stay", detail="FixedUser")
            _keep_administrator(present, {name: row for name, row in present.items() if name not in names})
            return AccountEdit(remove=tuple(names))

        self.catalogue.accounts.edit(decide)
        log.info("accounts removed: %s", ", ".join(names))
        self.reload()

    def unlock(self, name: str) -> None:
        """Free an account that was locked: a running recorder sees that it changed. Raises NotFound."""
        self.change([AccountChange(name=name)])

    def set_policy(self, decide: Callable[[AccessPolicy], AccessPolicy]) -> AccessPolicy:
        """Change the security policies; `decide` raises what the caller shall see."""
        policy = decide(self._policy())
        put_setting(self.catalogue.database, POLICY_SETTING, policy.to_json())
        self.reload()
        return policy

    def _policy(self) -> AccessPolicy:
        """As stored: another process may have changed it."""
        return AccessPolicy.from_json(self.catalogue.settings.get(POLICY_SETTING))

    def _checked_secret(self, change: AccountChange, row: AccountRow, policy: AccessPolicy) -> bytes | None:
        if change.level is not None:
            check_level(change.level)
        if change.password is None:
            return None
        check_password(change.password, change.name, weak="PasswordTooWeak", rules=policy.complexity)
        if policy.history_enabled:
            hashes = self.catalogue.accounts.history(ONVIF, change.name, policy.history)
            present = self._box.open(row.password, _context(row.name))
            if present == change.password or used_before(self._hasher, hashes, change.password):
                raise Prohibited("the password was used before", detail="PasswordTooWeak")
        return self._box.seal(change.password, _context(change.name))

    def _row(self, account: NewAccount) -> AccountRow:
        now = self._clock.utc()
        return AccountRow(
            name=account.name,
            level=account.level.value,
            password=self._box.seal(account.password, _context(account.name)),
            created=now,
            changed=now,
            periods=account.periods.format(),
        )


def _still(old: Credential, new: Credential | None) -> bool:
    return new is not None and (new.account, new.password) == (old.account, old.password)


def used_before(hasher: PasswordHasher, hashes: Sequence[str], password: str) -> bool:
    """Whether a password is one of those hashed. Takes tens of milliseconds for each."""
    for hashed in hashes:
        try:
            if hasher.verify(hashed, password):
                return True
        except VerificationError:
            continue
    return False


def _changed(row: AccountRow, change: AccountChange, secret: bytes | None, now: int) -> AccountRow:
    if change.level is not None:
        row = replace(row, level=change.level.value)
    if secret is not None:
        row = replace(row, password=secret)
    if change.periods is not None:
        row = replace(row, periods=change.periods.format())
    return replace(row, changed=now)


def _without_password(credential: Credential) -> Credential:
    former = replace(credential.former, password="") if credential.former is not None else None
    return replace(credential, password="", former=former)


def _context(name: str) -> str:
    return f"account:{name}"


def _keep_administrator(before: Mapping[str, AccountRow], after: Mapping[str, AccountRow]) -> None:
    """Nobody may lock everybody out (FixedUser of Core 8.4.5 and 8.4.6)."""
    if _has_administrator(before) and not _has_administrator(after):
        raise InvalidArgument("the last administrator must stay", detail="FixedUser")


def _has_administrator(rows: Mapping[str, AccountRow]) -> bool:
    return any(row.level == Level.ADMINISTRATOR for row in rows.values())
