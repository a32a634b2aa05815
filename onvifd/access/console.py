"""Console accounts and groups: rules, storage, and the check of a sign-in.

They are apart from ONVIF accounts: people here, machines there. Passwords are stored as argon2id alone.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from onvifd.access.accounts import used_before
from onvifd.access.passwords import check_name, check_password
from onvifd.access.periods import WeekPlan
from onvifd.access.permissions import ADMINISTRATORS, ConsoleAccount, Group, Permissions
from onvifd.access.policy import POLICY_SETTING, AccessPolicy
from onvifd.clock import Clock
from onvifd.errors import InvalidArgument, LimitReached, NotFound, OnvifdError, Prohibited
from onvifd.store.accounts import CONSOLE
from onvifd.store.catalogue import Catalogue
from onvifd.store.console import ConsoleEdit, ConsoleView
from onvifd.store.rows import ConsoleAccountRow, ConsoleGroupRow

log = logging.getLogger(__name__)

MAX_ACCOUNTS = 64
MAX_GROUPS = 32
MAX_REMARK = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleChange:
    """What changes in an account; None leaves it as it is. `own` replaces the account's own rights if `set_own`."""

    name: str
    password: str | None = field(default=None, repr=False)
    group: str | None = None
    enabled: bool | None = None
    periods: WeekPlan | None = None
    email: str | None = None
    remark: str | None = None
    own: Permissions | None = None
    set_own: bool = False


class ConsoleAccounts:
    """`lookup`, `all` and `groups` answer from memory; every other method blocks and belongs in a thread."""

    def __init__(
        self,
        catalogue: Catalogue,
        clock: Clock,
        *,
        limit: int = MAX_ACCOUNTS,
        group_limit: int = MAX_GROUPS,
        hasher: PasswordHasher | None = None,
    ) -> None:
        self.catalogue = catalogue
        self._clock = clock
        self._limit = limit
        self._group_limit = group_limit
        self._hasher = hasher or PasswordHasher()
        self._decoy = self._hasher.hash("nobody has this password")
        # Replaced as a whole, so that readers in other threads need no lock.
        self._accounts: Mapping[str, ConsoleAccount] = {}
        self._groups: Mapping[str, Group] = {}
        self._rows: Mapping[str, ConsoleAccountRow] = {}

    def lookup(self, name: str) -> ConsoleAccount | None:
        return self._accounts.get(name)

    def all(self) -> tuple[ConsoleAccount, ...]:
        """Every account in order of creation."""
        return tuple(self._accounts.values())

    def groups(self) -> tuple[Group, ...]:
        """Every group, the built-in ones first."""
        return tuple(self._groups.values())

    def reload(self) -> tuple[str, ...]:
        """Read everything again; gives the names of accounts that were changed or removed. Raises Unavailable."""
        view = self.catalogue.console.view()
        groups = {name: _group(row) for name, row in view.groups.items()}
        accounts: dict[str, ConsoleAccount] = {}
        for row in view.accounts.values():
            try:
                accounts[row.name] = _account(row, groups[row.group])
            except OnvifdError as error:
                log.error("console account %s cannot be used: %s", row.name, error.reason)
        changed = {name for name, row in self._rows.items() if view.accounts.get(name) != row}
        # Rights come from the group too.
        changed |= {name for name, account in self._accounts.items() if accounts.get(name) != account}
        self._groups, self._accounts, self._rows = groups, accounts, view.accounts
        return tuple(sorted(changed))

    def verify(self, name: str, password: str) -> ConsoleAccount | None:
        """Check a sign-in; takes tens of milliseconds whatever the outcome, so that time does not tell which names exist."""
        row = self._rows.get(name)
        try:
            self._hasher.verify(row.hash if row is not None else self._decoy, password[:1024])
        except (VerificationError, InvalidHashError):
            return None
        account = self._accounts.get(name)
        return account if row is not None and account is not None and account.enabled else None

    # ---- accounts

    def create(
        self,
        name: str,
        group: str,
        password: str,
        *,
        periods: WeekPlan | None = None,
        email: str = "",
        remark: str = "",
    ) -> None:
        """Make an account. Raises Prohibited, NotFound for the group, LimitReached.

        The very first one, which must be an administrator, is fixed: it is neither deleted, disabled nor demoted.
        """
        check_name(name)
        check_password(password, name, weak="Password", rules=self._policy().complexity)
        now = self._clock.utc()
        row = ConsoleAccountRow(
            name=name,
            group=group,
            hash=self._hasher.hash(password),
            periods=(periods or WeekPlan()).format(),
            email=_text(email),
            remark=_text(remark),
            created=now,
            changed=now,
        )

        def decide(view: ConsoleView) -> ConsoleEdit:
            if name in view.accounts:
                raise Prohibited(f"account {name} exists already", detail="UsernameClash")
            _known_group(view, group)
            if len(view.accounts) >= self._limit:
                raise LimitReached(f"there may be {self._limit} console accounts", detail="TooManyUsers")
            first = not view.accounts and group == ADMINISTRATORS
            return ConsoleEdit(accounts=(replace(row, fixed=first),))

        self.catalogue.console.edit(decide)
        log.info("console account made: %s", name)
        self.reload()

    def change(self, change: ConsoleChange) -> None:
        """Raises NotFound, Prohibited or InvalidArgument; then nothing has changed."""
        policy = self._policy()
        old = self.catalogue.console.view().accounts.get(change.name)
        if old is None:
            raise NotFound(f"there is no console account {change.name}", detail="UsernameMissing")
        hashed = self._checked_hash(change, old, policy)
        now = self._clock.utc()

        def decide(view: ConsoleView) -> ConsoleEdit:
            row = view.accounts.get(change.name)
            if row is None:
                raise NotFound(f"there is no console account {change.name}", detail="UsernameMissing")
            after = _changed(row, change, hashed, now)
            group = _known_group(view, after.group)
            if row.fixed and (
                after.group != row.group or not after.enabled or after.rights is not None or after.periods
            ):
                raise InvalidArgument("the first administrator stays as it is", detail="FixedUser")
            if after.rights is not None and not Permissions.from_json(after.rights).within(group.permissions):
                raise Prohibited(f"an account may not have more rights than its group {group.name}")
            former = ((row.name, row.hash),) if hashed is not None else ()
            return ConsoleEdit(accounts=(after,), former=former)

        self.catalogue.console.edit(decide)
        log.info("console account changed: %s", change.name)
        self.reload()

    def remove(self, name: str) -> None:
        """Raises NotFound, or InvalidArgument (FixedUser)."""

        def decide(view: ConsoleView) -> ConsoleEdit:
            row = view.accounts.get(name)
            if row is None:
                raise NotFound(f"there is no console account {name}", detail="UsernameMissing")
            if row.fixed:
                raise InvalidArgument("the first administrator must stay", detail="FixedUser")
            return ConsoleEdit(remove_accounts=(name,))

        self.catalogue.console.edit(decide)
        log.info("console account removed: %s", name)
        self.reload()

    # ---- groups

    def put_group(self, name: str, permissions: Permissions, *, remark: str | None = None, new: bool = False) -> None:
        """Make (`new`) or change a group. Accounts whose own rights go beyond keep only what the group still has."""
        if new:
            check_name(name)

        def decide(view: ConsoleView) -> ConsoleEdit:
            row = view.groups.get(name)
            if new and row is not None:
                raise Prohibited(f"group {name} exists already")
            if not new and row is None:
                raise NotFound(f"there is no group {name}")
            if name == ADMINISTRATORS:
                raise Prohibited("administrators may everything, which cannot be changed")
            if row is None:
                if len(view.groups) >= self._group_limit:
                    raise LimitReached(f"there may be {self._group_limit} groups")
                row = ConsoleGroupRow(name=name)
            row = replace(row, rights=permissions.to_json())
            if remark is not None:
                row = replace(row, remark=_text(remark))
            return ConsoleEdit(groups=(row,))

        self.catalogue.console.edit(decide)
        log.info("group %s: %s", "made" if new else "changed", name)
        self.reload()

    def remove_group(self, name: str) -> None:
        """Raises NotFound, or Prohibited for a built-in group and one that has accounts."""

        def decide(view: ConsoleView) -> ConsoleEdit:
            row = view.groups.get(name)
            if row is None:
                raise NotFound(f"there is no group {name}")
            if row.builtin:
                raise Prohibited(f"group {name} is built in")
            if any(account.group == name for account in view.accounts.values()):
                raise Prohibited(f"group {name} has accounts")
            return ConsoleEdit(remove_groups=(name,))

        self.catalogue.console.edit(decide)
        log.info("group removed: %s", name)
        self.reload()

    def _policy(self) -> AccessPolicy:
        return AccessPolicy.from_json(self.catalogue.settings.get(POLICY_SETTING))

    def _checked_hash(self, change: ConsoleChange, old: ConsoleAccountRow, policy: AccessPolicy) -> str | None:
        if change.password is None:
            return None
        check_password(change.password, change.name, weak="PasswordTooWeak", rules=policy.complexity)
        if policy.history_enabled:
            hashes = self.catalogue.accounts.history(CONSOLE, change.name, policy.history)
            if used_before(self._hasher, (old.hash, *hashes), change.password):
                raise Prohibited("the password was used before", detail="PasswordTooWeak")
        return self._hasher.hash(change.password)


def _group(row: ConsoleGroupRow) -> Group:
    permissions = Permissions.everything() if row.name == ADMINISTRATORS else Permissions.from_json(row.rights)
    return Group(name=row.name, permissions=permissions, remark=row.remark, builtin=row.builtin)


def _account(row: ConsoleAccountRow, group: Group) -> ConsoleAccount:
    own = Permissions.from_json(row.rights) if row.rights is not None else None
    return ConsoleAccount(
        name=row.name,
        group=row.group,
        permissions=group.permissions if own is None else own.narrowed(group.permissions),
        own=own,
        enabled=row.enabled,
        fixed=row.fixed,
        periods=WeekPlan.parse(row.periods),
        email=row.email,
        remark=row.remark,
        changed=row.changed,
    )


def _changed(row: ConsoleAccountRow, change: ConsoleChange, hashed: str | None, now: int) -> ConsoleAccountRow:
    row = replace(
        row,
        hash=hashed if hashed is not None else row.hash,
        group=change.group if change.group is not None else row.group,
        enabled=change.enabled if change.enabled is not None else row.enabled,
        periods=change.periods.format() if change.periods is not None else row.periods,
        email=_text(change.email) if change.email is not None else row.email,
        remark=_text(change.remark) if change.remark is not None else row.remark,
        changed=now,
    )
    if change.set_own:
        row = replace(row, rights=change.own.to_json() if change.own is not None else None)
    return row


def _known_group(view: ConsoleView, name: str) -> Group:
    row = view.groups.get(name)
    if row is None:
        raise NotFound(f"there is no group {name[:64]}")
    return _group(row)


def _text(text: str) -> str:
    if len(text) > MAX_REMARK or any(not one.isprintable() for one in text):
        raise InvalidArgument(f"texts have at most {MAX_REMARK} printable characters")
    return text
