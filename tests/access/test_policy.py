"""Security policies of Core 8.5."""

from __future__ import annotations

import pytest

from onvifd.access.passwords import Complexity, check_password, weakness
from onvifd.access.policy import AccessPolicy, FailureMonitor, FailureWarning
from onvifd.errors import InvalidArgument, Prohibited


def test_is_stored_as_json() -> None:
    policy = (
        AccessPolicy()
        .with_complexity(Complexity(min_length=12, uppercase=1, block_username=True), locked=True)
        .with_history(True, 5)
        .with_warning(FailureWarning(enabled=False, period=30, failures=9))
        .with_algorithms(("SHA-256", "MD5"))
    )
    assert AccessPolicy.from_json(policy.to_json()) == policy
    assert AccessPolicy.from_json(None) == AccessPolicy()
    for text in ("", "{}", "[]", '{"complexity": {"no": 1}}'):
        with pytest.raises(InvalidArgument):
            AccessPolicy.from_json(text)


@pytest.mark.parametrize(
    "rules",
    [
        Complexity(min_length=7),
        Complexity(min_length=33),
        Complexity(number=-1),
        Complexity(uppercase=11, number=11, special=11),
    ],
)
def test_impossible_rules_are_refused(rules: Complexity) -> None:
    with pytest.raises(InvalidArgument):
        AccessPolicy().with_complexity(rules, locked=False)


def test_a_locked_policy_stays() -> None:
    policy = AccessPolicy().with_complexity(Complexity(), locked=True)
    with pytest.raises(InvalidArgument):
        policy.with_complexity(Complexity(), locked=False)


@pytest.mark.parametrize("names", [(), ("MD5", "MD5"), ("SHA-1",), ("md5",)])
def test_unknown_algorithms_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(InvalidArgument):
        AccessPolicy().with_algorithms(names)


@pytest.mark.parametrize("length", [0, 11])
def test_history_has_a_range(length: int) -> None:
    with pytest.raises(InvalidArgument):
        AccessPolicy().with_history(True, length)


@pytest.mark.covers("ACC-09", "ACC-10")
@pytest.mark.parametrize(
    ("password", "rules", "refused"),
    [
        ("OnvifTest123", Complexity(), ""),  # DEVICE-4-1-3
        ("Onvif1234test", Complexity(), "run"),
        ("Onvif4321test", Complexity(), "run"),
        ("aaaa-password", Complexity(), "run"),
        ("Passwdefgh-1", Complexity(), "run"),
        ("good-password", Complexity(min_length=14), "shorter"),
        ("good-password", Complexity(uppercase=1), "upper-case"),
        ("good-password", Complexity(number=2), "digits"),
        ("good_password", Complexity(special=2), "neither"),
        ("Good-pass-12", Complexity(min_length=12, uppercase=1, number=2, special=2), ""),
        ("eves-password", Complexity(block_username=True), "contains"),
        ("eves-password", Complexity(), ""),
    ],
)
def test_passwords_follow_the_rules(password: str, rules: Complexity, refused: str) -> None:
    found = weakness(password, "eve", rules)
    assert (found is None) if not refused else (found is not None and refused in found)
    if refused:
        with pytest.raises(Prohibited) as error:
            check_password(password, "eve", weak="PasswordTooWeak", rules=rules)
        assert error.value.detail == "PasswordTooWeak"


def test_the_warning_is_due_once_per_period() -> None:
    monitor, warning = FailureMonitor(), FailureWarning(period=60, failures=2)
    assert [monitor.failed(warning, now) for now in (0, 1, 2, 3)] == [False, False, True, False]
    assert [monitor.failed(warning, now) for now in (60, 61, 62)] == [False, False, True]
    off = FailureWarning(enabled=False, failures=1)
    assert not any(FailureMonitor().failed(off, 0) for _ in range(5))
