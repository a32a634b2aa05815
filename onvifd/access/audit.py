"""The audit log: who did what, and who was refused. Written in batches off the event loop, bounded in memory and on disk."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from dataclasses import replace
from enum import StrEnum
from typing import Protocol

from onvifd.clock import Clock
from onvifd.errors import OnvifdError
from onvifd.store.catalogue import Catalogue
from onvifd.store.rows import AuditRow

log = logging.getLogger(__name__)

INTERVAL = 1.0
"""Seconds between two batches; the same refusal within them is one entry with a count."""
WAITING = 2000
"""Entries that wait for the next batch. At the bound further ones are counted, and the count is an entry."""
TRIM_AFTER = 500
CLOSE_TIMEOUT = 5.0
FIELD = 64
MAX_DETAIL = 500


class Kind(StrEnum):
    """What an entry is about."""

    LOGIN = "login"
    LOGOUT = "logout"
    REFUSED = "refused"
    LOCKED = "locked"
    CHANGE = "change"
    ACCOUNT = "account"
    SESSION = "session"


class Log(Protocol):
    """Where entries go. Returns at once."""

    def put(
        self,
        kind: Kind,
        action: str,
        *,
        account: str = "",
        address: str = "",
        face: str = "",
        outcome: str = "done",
        detail: str = "",
    ) -> None: ...


def entry(
    utc: int, kind: Kind, action: str, account: str, address: str, face: str, outcome: str, detail: str
) -> AuditRow:
    """An entry within its bounds, without characters that could forge lines."""
    return AuditRow(
        utc=utc,
        kind=kind.value,
        account=_clean(account, FIELD),
        address=_clean(address, 45),
        face=_clean(face, 8),
        action=_clean(action, FIELD),
        outcome=_clean(outcome, FIELD),
        detail=_clean(detail, MAX_DETAIL),
    )


class AuditLog:
    """One task that owns the way to the catalogue. `keep` entries are kept."""

    def __init__(self, catalogue: Catalogue, clock: Clock, *, keep: int = 100_000) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._keep = keep
        self._waiting: list[AuditRow] = []
        self._repeated: dict[tuple[str, ...], int] = {}
        self._dropped = 0
        self._written = TRIM_AFTER
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="audit log")

    async def close(self) -> None:
        """Write what waits, for at most 5 s."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self.flush()
        except TimeoutError:
            log.error("the last entries of the audit log were not stored")

    def put(
        self,
        kind: Kind,
        action: str,
        *,
        account: str = "",
        address: str = "",
        face: str = "",
        outcome: str = "done",
        detail: str = "",
    ) -> None:
        row = entry(self._clock.utc(), kind, action, account, address, face, outcome, detail)
        key = (row.kind, row.action, row.account, row.address, row.face, row.outcome, row.detail)
        place = self._repeated.get(key) if kind is Kind.REFUSED else None
        if place is not None:
            known = self._waiting[place]
            self._waiting[place] = replace(known, count=known.count + 1)
        elif len(self._waiting) >= WAITING:
            self._dropped += 1
        else:
            self._repeated[key] = len(self._waiting)
            self._waiting.append(row)

    async def find(
        self,
        *,
        start: int | None = None,
        end: int | None = None,
        kinds: Collection[str] = (),
        account: str | None = None,
        address: str | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> tuple[AuditRow, ...]:
        """Entries by time, kind, account and address, the newest first; those that wait are written first."""
        await self.flush()
        return await asyncio.to_thread(
            self._catalogue.audit.find,
            start=start,
            end=end,
            kinds=kinds,
            account=account,
            address=address,
            before=before,
            limit=max(1, min(limit, 1000)),
        )

    async def flush(self) -> None:
        """Write what waits. What the catalogue does not take stays for the next time, within the bound."""
        batch, self._waiting = self._waiting, []
        self._repeated = {}
        if self._dropped:
            count, self._dropped = self._dropped, 0
            lost = entry(self._clock.utc(), Kind.REFUSED, "audit", "", "", "", "dropped", "entries beyond the bound")
            batch.append(replace(lost, count=count))
        if not batch:
            return
        try:
            await asyncio.to_thread(self._catalogue.audit.insert, batch)
        except OnvifdError as error:
            log.error("the audit log cannot be written: %s", error.reason)
            self._dropped += max(0, len(batch) + len(self._waiting) - WAITING)
            self._waiting = (batch + self._waiting)[:WAITING]
            self._repeated = {}
            return
        self._written += len(batch)

    async def _run(self) -> None:
        while True:
            await self._clock.sleep(INTERVAL)
            try:
                await self.flush()
                if self._written >= TRIM_AFTER and not await self._trim():
                    self._written = 0
            except Exception:
                # a defect must cost one batch, not the log
                log.exception("audit log")

    async def _trim(self) -> int:
        try:
            return await asyncio.to_thread(self._catalogue.audit.trim, self._keep)
        except OnvifdError as error:
            log.error("the audit log cannot be shortened: %s", error.reason)
            return 0


def _clean(text: str, limit: int) -> str:
    return "".join(one if one.isprintable() else " " for one in text[:limit])
