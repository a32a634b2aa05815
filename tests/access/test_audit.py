"""The audit log."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from onvifd.access import audit
from onvifd.access.audit import AuditLog, Kind
from onvifd.clock import US, SimulatedClock
from onvifd.errors import Unavailable
from onvifd.store.catalogue import Catalogue


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    catalogue = Catalogue.open(f"sqlite:///{tmp_path / 'catalogue.sqlite3'}", migrate=True)
    yield catalogue
    catalogue.close()


@pytest.mark.covers("SEC-25", "MNT-01", "MNT-02", "P262")
async def test_entries_are_found_by_time_kind_and_account(catalogue: Catalogue) -> None:
    clock = SimulatedClock()
    log = AuditLog(catalogue, clock)
    start = clock.utc()
    log.put(Kind.LOGIN, "login", account="eve", address="192.0.2.1", face="onvif")
    await clock.advance(10)
    log.put(Kind.CHANGE, "SetScopes", account="eve", outcome="done")
    await clock.advance(10)
    log.put(Kind.REFUSED, "login", account="bob", outcome="wrong name or password")
    assert [row.action for row in await log.find()] == ["login", "SetScopes", "login"]
    assert [row.account for row in await log.find(kinds=["login", "refused"])] == ["bob", "eve"]
    assert [row.kind for row in await log.find(account="eve")] == ["change", "login"]
    assert [row.kind for row in await log.find(start=start + 5 * US, end=start + 15 * US)] == ["change"]
    assert [row.address for row in await log.find(address="192.0.2.1")] == ["192.0.2.1"]
    newest, *_ = await log.find(limit=1)
    assert [row.kind for row in await log.find(before=newest.id)] == ["change", "login"]


async def test_the_same_refusal_is_one_entry_and_a_change_is_each(catalogue: Catalogue) -> None:
    log = AuditLog(catalogue, SimulatedClock())
    for _ in range(1000):
        log.put(Kind.REFUSED, "login", account="eve", address="192.0.2.1")
    for _ in range(2):
        log.put(Kind.CHANGE, "SetScopes", account="eve")
    assert [(row.kind, row.count) for row in await log.find()] == [("change", 1), ("change", 1), ("refused", 1000)]


async def test_a_flood_is_bounded_and_told(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "WAITING", 5)
    log = AuditLog(catalogue, SimulatedClock())
    for number in range(12):
        log.put(Kind.REFUSED, "login", account=f"guess{number}")
    newest, *rest = await log.find()
    assert (newest.outcome, newest.count) == ("dropped", 7)
    assert len(rest) == 5


async def test_texts_are_cut_and_cannot_forge_lines(catalogue: Catalogue) -> None:
    log = AuditLog(catalogue, SimulatedClock())
    log.put(Kind.REFUSED, "login", account="eve\n2026 admin" + "x" * 100, detail="y" * 1000)
    (row,) = await log.find()
    assert row.account.startswith("eve 2026 admin")
    assert (len(row.account), len(row.detail)) == (64, 500)


async def test_what_the_database_refuses_is_written_later(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = AuditLog(catalogue, SimulatedClock())
    log.put(Kind.LOGIN, "login", account="eve")

    def fails(rows: object) -> None:
        raise Unavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(catalogue.audit, "insert", fails)
        assert await log.find() == ()
    assert len(await log.find()) == 1


async def test_it_is_written_in_the_background_trimmed_and_at_the_end(catalogue: Catalogue) -> None:
    clock = SimulatedClock()
    log = AuditLog(catalogue, clock, keep=10)
    log.start()
    for number in range(30):
        log.put(Kind.CHANGE, f"n{number}")
    for _ in range(100):
        await clock.advance(1)
        rows = await asyncio.to_thread(catalogue.audit.find)
        if len(rows) == 10:
            break
    assert [row.action for row in rows] == [f"n{number}" for number in range(29, 19, -1)]
    log.put(Kind.CHANGE, "last")
    await log.close()
    assert catalogue.audit.find(limit=1)[0].action == "last"
