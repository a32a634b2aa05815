"""Rules for names and passwords."""

from __future__ import annotations

import pytest

from onvifd.access.passwords import check_level, check_name, check_password, generate_password, weakness
from onvifd.access.types import Level
from onvifd.errors import Prohibited


@pytest.mark.parametrize("name", ["a", "Ada Lovelace", "x" * 32, "müller", "ops@site"])
def test_names_that_are_allowed(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    ("name", "detail"),
    [("", "UsernameTooShort"), ("x" * 33, "UsernameTooLong"), ("a:b", None), (" a", None), ('a"', None), ("a\n", None)],
)
def test_names_that_are_refused(name: str, detail: str | None) -> None:
    with pytest.raises(Prohibited) as refusal:
        check_name(name)
    assert refusal.value.detail == detail


def test_anonymous_is_no_level_of_an_account() -> None:
    with pytest.raises(Prohibited) as refusal:
        check_level(Level.ANONYMOUS)
    assert refusal.value.detail == "AnonymousNotAllowed"


@pytest.mark.covers("ACC-09")
@pytest.mark.parametrize("password", ["abcxefg1", "ABCXEFG1", "abcx-efg", "x1" * 16])
def test_passwords_that_are_allowed(password: str) -> None:
    check_password(password, "admin", weak="Password")


@pytest.mark.covers("ACC-09", "ACC-10")
@pytest.mark.parametrize(
    ("password", "name", "detail"),
    [
        ("", "admin", "Password"),
        ("abcdef1", "admin", "Password"),
        ("abcdefgh", "admin", "Password"),
        ("12345678", "admin", "Password"),
        ("Operator1", "operator1", "Password"),
        ("1rotarepo", "operator1", "Password"),
        ("abcdefg1\0", "admin", "Password"),
        *((f"abcxef1{mark}", "admin", "Password") for mark in "'\";:& \u00a0"),
        ("x1" * 16 + "y", "admin", "PasswordTooLong"),
    ],
)
def test_passwords_that_are_refused(password: str, name: str, detail: str) -> None:
    with pytest.raises(Prohibited) as refusal:
        check_password(password, name, weak="Password")
    assert refusal.value.detail == detail
    assert not password or password not in refusal.value.reason


def test_generated_passwords_satisfy_the_rules() -> None:
    made = {generate_password() for _ in range(50)}
    assert len(made) == 50
    assert all(weakness(one, "admin") is None for one in made)
