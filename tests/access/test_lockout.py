"""Locks after too many failures."""

from __future__ import annotations

import pytest

from onvifd.access.lockout import Lock, Lockout, LockoutPolicy, normal_source

A, B = "onvif:a", "onvif:b"
HERE, THERE = "192.0.2.1", "192.0.2.2"


def made(tries: int = 3, capacity: int = 4) -> Lockout:
    return Lockout(LockoutPolicy(tries, 300), capacity=capacity)


def fail(lockout: Lockout, account: str, source: str, now: float, times: int = 1, *, known: bool = True) -> list[Lock]:
    return [lock for _ in range(times) for lock in lockout.failed(account, source, now, known=known)]


@pytest.mark.covers("SEC-09", "P215")
def test_failures_lock_the_account_and_the_source() -> None:
    lockout = made()
    assert fail(lockout, A, HERE, 0, 2) == []
    assert lockout.locked(A, HERE, 0) == 0
    assert fail(lockout, A, HERE, 1) == [Lock(A, "", 300), Lock("", HERE, 300)]
    assert lockout.locked(A, THERE, 1) == 300
    assert lockout.locked(B, HERE, 1) == 300
    assert lockout.locked(B, THERE, 1) == 0
    assert set(lockout.locks(101)) == {Lock(A, "", 200), Lock("", HERE, 200)}


def test_a_lock_ends_by_itself_and_is_not_lengthened() -> None:
    lockout = made()
    fail(lockout, A, HERE, 0, 3)
    assert fail(lockout, A, HERE, 299, 5) == []
    assert lockout.locked(A, HERE, 299) == 1
    assert lockout.locked(A, HERE, 300) == 0
    assert fail(lockout, A, HERE, 300, 2) == []
    assert lockout.locks(300) == ()


def test_failures_are_forgotten() -> None:
    lockout = made()
    fail(lockout, A, HERE, 0, 2)
    assert fail(lockout, A, HERE, 300, 2) == []


def test_success_forgets_only_ones_own_failures() -> None:
    lockout = made()
    fail(lockout, B, HERE, 0, 2)
    lockout.succeeded(A, HERE)
    assert fail(lockout, A, HERE, 0) == [Lock("", HERE, 300)]  # whoever has one account guesses no longer at others
    lockout = made()
    fail(lockout, A, HERE, 0, 2)
    lockout.succeeded(A, HERE)
    assert fail(lockout, A, HERE, 0, 2) == []


def test_success_elsewhere_does_not_end_a_lock() -> None:
    lockout = made()
    fail(lockout, A, HERE, 0, 3)
    lockout.succeeded(A, THERE)
    assert lockout.locked(A, THERE, 0) == 300


def test_memory_is_bounded_and_guessed_names_do_not_push_out_known_ones() -> None:
    lockout = made(capacity=4)
    fail(lockout, A, HERE, 0, 2)
    for number in range(100):
        fail(lockout, f"onvif:guess{number}", f"198.51.100.{number}", 0, known=False)
    assert len(lockout._unknown.entries) == len(lockout._sources.entries) == 4
    assert Lock(A, "", 300) in fail(lockout, A, THERE, 0)


def test_unknown_names_are_locked_like_known_ones() -> None:
    lockout = made()
    fail(lockout, A, "", 0, 3, known=False)
    assert lockout.locked(A, "", 0) == 300


def test_no_tries_never_lock() -> None:
    lockout = made(tries=0)
    assert fail(lockout, A, HERE, 0, 100) == []


@pytest.mark.covers("ACC-16")
def test_blocked_and_freed_by_hand() -> None:
    lockout = made()
    lockout.block(account=A, seconds=1000, now=0)
    lockout.block(account=A, seconds=10, now=0)
    assert lockout.locked(A, HERE, 0) == 1000
    lockout.unlock(A)
    assert lockout.locked(A, HERE, 0) == 0
    fail(lockout, A, HERE, 0, 3)
    lockout.unlock(A)
    assert lockout.locked(A, HERE, 0) == 0


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:2", "2001:db8::/64"),
        ("2001:db8::/64", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::1"),
        ("", ""),
        ("no address", "no address"),
    ],
)
def test_one_party_has_one_name(address: str, source: str) -> None:
    assert normal_source(address) == source
