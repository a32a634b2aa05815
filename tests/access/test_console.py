"""Console accounts and groups."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from onvifd.access.accounts import Accounts
from onvifd.access.console import ConsoleAccounts, ConsoleChange
from onvifd.access.keyfile import SecretBox
from onvifd.access.periods import WeekPlan
from onvifd.access.permissions import ADMINISTRATORS, OPERATORS, VIEWERS, Permissions, Right, may
from onvifd.clock import SimulatedClock
from onvifd.errors import InvalidArgument, LimitReached, NotFound, OnvifdError, Prohibited
from onvifd.store.catalogue import Catalogue

HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PASSWORD = "first-password"


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    catalogue = Catalogue.open(f"sqlite:///{tmp_path / 'catalogue.sqlite3'}", migrate=True)
    yield catalogue
    catalogue.close()


@pytest.fixture
def console(catalogue: Catalogue) -> ConsoleAccounts:
    console = ConsoleAccounts(catalogue, SimulatedClock(), limit=20, group_limit=10, hasher=HASHER)
    console.create("admin", ADMINISTRATORS, PASSWORD)
    console.create("eve", OPERATORS, "second-password")
    return console


@pytest.mark.covers("ACC-01", "ACC-02", "P228")
def test_the_built_in_groups_are_there_and_stay(console: ConsoleAccounts) -> None:
    assert [group.name for group in console.groups()] == [ADMINISTRATORS, OPERATORS, VIEWERS]
    for name in (ADMINISTRATORS, OPERATORS, VIEWERS):
        with pytest.raises(Prohibited):
            console.remove_group(name)
    with pytest.raises(Prohibited):
        console.put_group(ADMINISTRATORS, Permissions())
    admin, eve = console.lookup("admin"), console.lookup("eve")
    assert admin is not None
    assert eve is not None
    assert all(may(admin, right, "cam-1") for right in Right)
    assert may(eve, Right.PTZ, "cam-1")
    assert not may(eve, Right.ACCOUNTS)


@pytest.mark.covers("P005", "ACC-04", "P230")
def test_sixteen_accounts_and_eight_groups(console: ConsoleAccounts) -> None:
    for number in range(7):
        console.put_group(f"group{number}", Permissions.of([], {"live": [f"cam-{number}"]}), remark="a floor", new=True)
    for number in range(18):
        console.create(
            f"user{number}", f"group{number % 7}", "good-password", email="u@example.org", remark="night shift"
        )
    assert len(console.groups()) == 10
    assert len(console.all()) == 20
    with pytest.raises(LimitReached):
        console.create("one-more", VIEWERS, "good-password")
    with pytest.raises(LimitReached):
        console.put_group("one-more", Permissions(), new=True)
    user = console.lookup("user3")
    assert user is not None
    assert (user.group, user.email, user.remark) == ("group3", "u@example.org", "night shift")
    assert may(user, Right.LIVE, "cam-3")
    assert not may(user, Right.LIVE, "cam-4")


@pytest.mark.covers("ACC-15")
@pytest.mark.parametrize(
    "change",
    [
        ConsoleChange(name="admin", group=VIEWERS),
        ConsoleChange(name="admin", enabled=False),
        ConsoleChange(name="admin", periods=WeekPlan.parse("mon 08:00-09:00")),
        ConsoleChange(name="admin", own=Permissions(), set_own=True),
    ],
)
def test_the_first_administrator_stays(console: ConsoleAccounts, change: ConsoleChange) -> None:
    with pytest.raises(InvalidArgument) as error:
        console.change(change)
    assert error.value.detail == "FixedUser"
    with pytest.raises(InvalidArgument):
        console.remove("admin")
    console.change(ConsoleChange(name="admin", password="another-password"))
    assert console.verify("admin", "another-password") is not None


@pytest.mark.covers("ACC-08", "P232", "P234")
def test_change_disable_and_remove(console: ConsoleAccounts) -> None:
    console.change(ConsoleChange(name="eve", password="third-password", group=VIEWERS, remark="left", email=""))
    assert console.verify("eve", "second-password") is None
    eve = console.verify("eve", "third-password")
    assert eve is not None
    assert eve.group == VIEWERS
    console.change(ConsoleChange(name="eve", enabled=False))
    assert console.verify("eve", "third-password") is None
    console.remove("eve")
    assert console.lookup("eve") is None


def test_sign_in_is_checked_against_argon2id(console: ConsoleAccounts, catalogue: Catalogue) -> None:
    row = catalogue.console.view().accounts["admin"]
    assert row.hash.startswith("$argon2id$")
    assert PASSWORD not in repr(row)
    assert console.verify("admin", PASSWORD) == console.lookup("admin")
    assert console.verify("admin", "wrong") is None
    assert console.verify("nobody", PASSWORD) is None


@pytest.mark.covers("ACC-05", "P233")
def test_own_rights_stay_within_those_of_the_group(console: ConsoleAccounts) -> None:
    with pytest.raises(Prohibited):
        console.change(ConsoleChange(name="eve", own=Permissions.of(["accounts"], {}), set_own=True))
    console.change(ConsoleChange(name="eve", own=Permissions.of([], {"live": ["cam-1"]}), set_own=True))
    eve = console.lookup("eve")
    assert eve is not None
    assert eve.permissions == Permissions.of([], {"live": ["cam-1"]})
    console.put_group(OPERATORS, Permissions.of([], {"playback": ["*"]}))
    eve = console.lookup("eve")
    assert eve is not None
    assert eve.permissions == Permissions()
    console.change(ConsoleChange(name="eve", set_own=True))
    eve = console.lookup("eve")
    assert eve is not None
    assert may(eve, Right.PLAYBACK, "cam-9")


def test_a_group_with_accounts_is_not_removed(console: ConsoleAccounts) -> None:
    console.put_group("guards", Permissions(), new=True)
    console.create("bob", "guards", "good-password")
    with pytest.raises(Prohibited):
        console.remove_group("guards")
    console.remove("bob")
    console.remove_group("guards")
    assert "guards" not in [group.name for group in console.groups()]


@pytest.mark.parametrize(
    ("name", "group", "password", "kind"),
    [
        ("eve", OPERATORS, "good-password", Prohibited),
        ("", OPERATORS, "good-password", Prohibited),
        ("bob", "nobody", "good-password", NotFound),
        ("bob", OPERATORS, "short", Prohibited),
        ("bobbobbob1", OPERATORS, "1bobbobbob", Prohibited),
    ],
)
def test_bad_accounts_are_refused(
    console: ConsoleAccounts, name: str, group: str, password: str, kind: type[OnvifdError]
) -> None:
    with pytest.raises(kind):
        console.create(name, group, password)
    assert [account.name for account in console.all()] == ["admin", "eve"]


def test_former_passwords_are_refused_where_the_policy_says_so(console: ConsoleAccounts, catalogue: Catalogue) -> None:
    onvif = Accounts(catalogue, SecretBox(bytes(32)), SimulatedClock(), realm="onvifd", hasher=HASHER)
    onvif.set_policy(lambda policy: policy.with_history(True, 2))
    for password in ("password-a1", "password-b2"):
        console.change(ConsoleChange(name="eve", password=password))
    for refused in ("password-b2", "password-a1", "second-password"):
        with pytest.raises(Prohibited) as error:
            console.change(ConsoleChange(name="eve", password=refused))
        assert error.value.detail == "PasswordTooWeak"
    console.change(ConsoleChange(name="eve", password="password-c3"))
    console.change(ConsoleChange(name="eve", password="second-password"))


def test_reload_tells_what_others_changed(console: ConsoleAccounts, catalogue: Catalogue) -> None:
    other = ConsoleAccounts(catalogue, SimulatedClock(), hasher=HASHER)
    assert console.reload() == ()
    other.create("bob", VIEWERS, "good-password")
    assert console.reload() == ()
    other.change(ConsoleChange(name="bob", password="next-password"))
    assert console.reload() == ("bob",)
    other.remove("bob")
    assert console.reload() == ("bob",)
