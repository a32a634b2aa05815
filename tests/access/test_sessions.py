"""Sessions: those of the console, and the list of all."""

from __future__ import annotations

import pytest

from onvifd.access.console_sessions import LIFETIME, PER_ACCOUNT, ConsoleSessions, same_token
from onvifd.access.sessions import SILENCE, Session, SessionKind, SessionRegistry
from onvifd.clock import US

NOW = 1_767_225_600 * US


def rtsp(name: str, since: int = NOW) -> Session:
    return Session(
        id=name, kind=SessionKind.RTSP, account="vms", address="192.0.2.1", since=since, last=since, worker="media-0"
    )


@pytest.mark.covers("ACC-16", "P238")
def test_a_vms_is_there_until_it_is_silent() -> None:
    registry = SessionRegistry()
    assert registry.seen("vms", "192.0.2.1", NOW)
    assert not registry.seen("vms", "192.0.2.1", NOW + 60 * US)
    assert registry.seen("vms", "192.0.2.2", NOW)
    (active, other) = registry.all()
    assert (active.address, active.since, active.last) == ("192.0.2.1", NOW, NOW + 60 * US)
    assert registry.expire(NOW + SILENCE + US) == (other,)
    assert registry.seen("vms", "192.0.2.1", NOW + 2 * SILENCE)


def test_workers_tell_all_of_theirs() -> None:
    registry = SessionRegistry()
    assert registry.report("media-0", [rtsp("a"), rtsp("b")]) == (rtsp("a"), rtsp("b"))
    assert registry.report("media-0", [rtsp("b", NOW + US), rtsp("c", NOW + US)]) == (rtsp("c", NOW + US),)
    assert {one.id: one.since for one in registry.all()} == {"b": NOW, "c": NOW + US}
    registry.report("media-1", [])
    registry.report("media-0", [])
    assert registry.all() == ()


def test_the_list_is_bounded() -> None:
    registry = SessionRegistry(limit=3)
    for number in range(10):
        registry.seen("vms", f"192.0.2.{number}", NOW + number)
    assert [one.address for one in registry.all()] == ["192.0.2.9", "192.0.2.8", "192.0.2.7"]


@pytest.mark.covers("P236", "INI-16")
def test_a_console_session_ends_when_idle() -> None:
    registry = SessionRegistry()
    sessions = ConsoleSessions(registry, idle=600)
    secret, session = sessions.open("eve", "192.0.2.1", NOW)
    assert secret not in repr(session)
    assert session.token not in repr(session)
    assert sessions.find(secret, NOW + 600 * US) is not None
    assert sessions.find(secret, NOW + 1100 * US, active=False) is not None
    assert sessions.find(secret, NOW + 1201 * US) is None
    assert registry.all() == ()


def test_a_console_session_ends_when_old() -> None:
    sessions = ConsoleSessions(SessionRegistry(), idle=86_400)
    secret, _ = sessions.open("eve", "192.0.2.1", NOW)
    assert sessions.find(secret, NOW + LIFETIME // 2) is not None
    assert sessions.find(secret, NOW + LIFETIME + US) is None


def test_other_secrets_find_nothing() -> None:
    sessions = ConsoleSessions(SessionRegistry(), idle=600)
    secret, session = sessions.open("eve", "192.0.2.1", NOW)
    for other in ("", secret[:-1], session.id, session.token, "\ud800"):
        assert sessions.find(other, NOW) is None
    assert same_token(session, session.token)
    assert not same_token(session, secret)


@pytest.mark.covers("ACC-16")
def test_sessions_are_ended_by_id_and_by_account() -> None:
    registry = SessionRegistry()
    sessions = ConsoleSessions(registry, idle=600)
    (first, one), (second, two), (third, _) = (sessions.open(name, "", NOW) for name in ("eve", "eve", "bob"))
    assert sessions.close(one.id) == one
    assert sessions.close(one.id) is None
    assert sessions.find(first, NOW) is None
    assert sessions.close_account("eve", but=two.id) == ()
    assert sessions.close_account("eve") == (two,)
    assert sessions.find(second, NOW) is None
    assert sessions.find(third, NOW) is not None
    assert [session.account for session in registry.all()] == ["bob"]


@pytest.mark.covers("P006", "NET-14")
def test_console_sessions_are_bounded() -> None:
    sessions = ConsoleSessions(SessionRegistry(), idle=600, limit=20)
    mine = [sessions.open("eve", "", NOW + n)[0] for n in range(PER_ACCOUNT + 1)]
    assert sessions.find(mine[0], NOW + 50) is None
    others = [sessions.open(f"user{n}", "", NOW + 100 + n)[0] for n in range(20)]
    assert all(sessions.find(secret, NOW + 200) is not None for secret in others)
    assert all(sessions.find(secret, NOW + 200) is None for secret in mine)
