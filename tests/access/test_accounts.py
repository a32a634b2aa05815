"""Accounts: rules of CreateUsers, SetUser and DeleteUsers, storage, snapshot."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from onvifd.access.accounts import AccountChange, Accounts, NewAccount
from onvifd.access.keyfile import SecretBox
from onvifd.access.types import Account, Level
from onvifd.clock import SimulatedClock
from onvifd.errors import InvalidArgument, LimitReached, NotFound, OnvifdError, Prohibited
from onvifd.store.catalogue import Catalogue

HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
ADMIN = NewAccount(name="admin", level=Level.ADMINISTRATOR, password="first-password")
VIEWER = NewAccount(name="viewer", level=Level.USER, password="second-password")


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    catalogue = Catalogue.open(f"sqlite:///{tmp_path / 'catalogue.sqlite3'}", migrate=True)
    yield catalogue
    catalogue.close()


def make(catalogue: Catalogue, key: bytes = bytes(32)) -> Accounts:
    return Accounts(catalogue, SecretBox(key), SimulatedClock(), realm="onvifd", limit=4, hasher=HASHER)


@pytest.fixture
def accounts(catalogue: Catalogue) -> Accounts:
    accounts = make(catalogue)
    accounts.create([ADMIN, VIEWER])
    return accounts


def detail_of(error: pytest.ExceptionInfo[OnvifdError]) -> str | None:
    return error.value.detail


@pytest.mark.covers("INI-01")
def test_a_new_recorder_has_no_account(catalogue: Catalogue) -> None:
    accounts = make(catalogue)
    accounts.reload()
    assert accounts.all() == ()
    assert accounts.lookup("admin") is None


def test_the_credential_serves_digest_and_username_token(accounts: Accounts) -> None:
    credential = accounts.lookup("admin")
    assert credential is not None
    assert credential.account == Account("admin", Level.ADMINISTRATOR)
    assert credential.ha1 == hashlib.md5(b"admin:onvifd:first-password").hexdigest()
    assert credential.password == "first-password"
    assert "first-password" not in repr(credential)
    assert credential.ha1 not in repr(credential)


def test_names_are_case_sensitive(accounts: Accounts) -> None:
    assert accounts.lookup("Admin") is None


def test_workers_get_no_clear_passwords(accounts: Accounts) -> None:
    assert [one.account.name for one in accounts.export()] == ["admin", "viewer"]
    assert all(one.ha1 and not one.password for one in accounts.export())


def test_passwords_are_not_stored_in_clear(accounts: Accounts, tmp_path: Path) -> None:
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"viewer" in stored
    assert b"first-password" not in stored
    assert b"second-password" not in stored
    assert hashlib.md5(b"admin:onvifd:first-password").hexdigest().encode() not in stored


def test_another_process_sees_a_change_by_the_revision(accounts: Accounts, catalogue: Catalogue) -> None:
    other = make(catalogue)
    other.reload()
    before = catalogue.revision()
    accounts.change([AccountChange(name="viewer", password="third-password")])
    assert catalogue.revision() > before
    other.reload()
    credential = other.lookup("viewer")
    assert credential is not None
    assert credential.password == "third-password"


def test_an_account_sealed_with_another_key_is_left_out(
    accounts: Accounts, catalogue: Catalogue, caplog: pytest.LogCaptureFixture
) -> None:
    other = make(catalogue, key=b"\1" * 32)
    other.reload()
    assert other.all() == ()
    assert "admin" in caplog.text
    assert "password does not fit the key file" in caplog.text


@pytest.mark.parametrize(
    ("account", "detail"),
    [
        (NewAccount(name="admin", level=Level.USER, password="good-password"), "UsernameClash"),
        (NewAccount(name="", level=Level.USER, password="good-password"), "UsernameTooShort"),
        (NewAccount(name="x" * 33, level=Level.USER, password="good-password"), "UsernameTooLong"),
        (NewAccount(name="x", level=Level.USER, password="short1"), "Password"),
        (NewAccount(name="x", level=Level.USER, password="1x" * 17), "PasswordTooLong"),
        (NewAccount(name="x", level=Level.ANONYMOUS, password="good-password"), "AnonymousNotAllowed"),
    ],
)
def test_create_refuses_and_makes_none(accounts: Accounts, account: NewAccount, detail: str) -> None:
    good = NewAccount(name="good", level=Level.OPERATOR, password="good-password")
    with pytest.raises(Prohibited) as error:
        accounts.create([good, account])
    assert detail_of(error) == detail
    assert accounts.lookup("good") is None


def test_create_refuses_one_name_twice(accounts: Accounts) -> None:
    twin = NewAccount(name="twin", level=Level.USER, password="good-password")
    with pytest.raises(Prohibited) as error:
        accounts.create([twin, twin])
    assert detail_of(error) == "UsernameClash"


@pytest.mark.covers("P005")
def test_create_is_bounded(accounts: Accounts) -> None:
    more = [NewAccount(name=f"user{n}", level=Level.USER, password="good-password") for n in range(3)]
    with pytest.raises(LimitReached) as error:
        accounts.create(more)
    assert detail_of(error) == "TooManyUsers"
    assert len(accounts.all()) == 2


@pytest.mark.covers("ACC-02", "P228")
def test_change_sets_level_and_password(accounts: Accounts) -> None:
    accounts.change([AccountChange(name="viewer", level=Level.OPERATOR, password="third-password")])
    credential = accounts.lookup("viewer")
    assert credential is not None
    assert (credential.account.level, credential.password) == (Level.OPERATOR, "third-password")
    accounts.change([AccountChange(name="viewer", level=Level.USER)])
    credential = accounts.lookup("viewer")
    assert credential is not None
    assert (credential.account.level, credential.password) == (Level.USER, "third-password")


@pytest.mark.parametrize(
    ("change", "kind", "detail"),
    [
        (AccountChange(name="nobody", level=Level.USER), NotFound, "UsernameMissing"),
        (AccountChange(name="viewer", password=""), Prohibited, "PasswordTooWeak"),
        (AccountChange(name="viewer", password="1x" * 17), Prohibited, "PasswordTooLong"),
        (AccountChange(name="viewer", level=Level.ANONYMOUS), Prohibited, "AnonymousNotAllowed"),
        (AccountChange(name="admin", level=Level.OPERATOR), InvalidArgument, "FixedUser"),
    ],
)
def test_change_refuses_and_changes_none(
    accounts: Accounts, change: AccountChange, kind: type[OnvifdError], detail: str
) -> None:
    with pytest.raises(kind) as error:
        accounts.change([AccountChange(name="viewer", password="third-password"), change])
    assert detail_of(error) == detail
    credential = accounts.lookup("viewer")
    assert credential is not None
    assert credential.password == "second-password"


@pytest.mark.covers("ACC-15")
def test_the_first_administrator_stays(accounts: Accounts) -> None:
    with pytest.raises(InvalidArgument) as error:
        accounts.remove(["viewer", "admin"])
    assert detail_of(error) == "FixedUser"
    assert len(accounts.all()) == 2
    accounts.change([AccountChange(name="viewer", level=Level.ADMINISTRATOR)])
    for refused in (
        lambda: accounts.remove(["admin"]),
        lambda: accounts.change([AccountChange(name="admin", level=Level.USER)]),
    ):
        with pytest.raises(InvalidArgument) as error:
            refused()
        assert detail_of(error) == "FixedUser"
    accounts.change([AccountChange(name="admin", password="another-password")])
    accounts.remove(["viewer"])
    assert [one.name for one in accounts.all()] == ["admin"]


def test_removing_nobody_known_removes_none(accounts: Accounts) -> None:
    with pytest.raises(NotFound) as error:
        accounts.remove(["viewer", "nobody"])
    assert detail_of(error) == "UsernameMissing"
    assert len(accounts.all()) == 2
