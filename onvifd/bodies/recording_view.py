"""What the API of recording shows and changes: implements web.recording.RecordingBackend over the catalogue and the director."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from onvifd.access.audit import Kind, Log
from onvifd.recording.settings import Changes, Settings, load
from onvifd.recording.status import RecordingStatus
from onvifd.store.catalogue import AsyncCatalogue
from onvifd.web.guard import Visitor
from onvifd.web.recording import ChannelView

T = TypeVar("T")
Change = Callable[..., Awaitable[Any]]
"""Calls in a thread, one at a time, and has the recorder take over what the catalogue says then."""
CONSOLE = "console"


class Told:
    """Tells the audit log what visitors of the console do."""

    def __init__(self, audit: Log) -> None:
        self._audit = audit

    def __call__(self, action: str, detail: str, visitor: Visitor) -> None:
        self._audit.put(
            Kind.CHANGE, action, account=visitor.account.name, address=visitor.peer, face=CONSOLE, detail=detail
        )


class RecordingSettings:
    """`status` says how recording stands now."""

    def __init__(
        self,
        catalogue: AsyncCatalogue,
        status: Callable[[], tuple[RecordingStatus, ...]],
        audit: Log,
        change: Change,
    ) -> None:
        self._catalogue = catalogue
        self._status = status
        self._told = Told(audit)
        self._change = change

    async def channels(self) -> tuple[ChannelView, ...]:
        """See RecordingBackend."""
        rows = await self._catalogue.run(self._catalogue.sync.cameras.all)
        return tuple(
            ChannelView(
                camera=row.id, channel=row.channel, name=row.name, streams=tuple(each.role for each in row.streams)
            )
            for row in sorted(rows, key=lambda each: each.channel)
        )

    async def settings(self) -> Settings:
        """See RecordingBackend."""
        return await self._catalogue.run(load, self._catalogue.sync)

    def status(self) -> tuple[RecordingStatus, ...]:
        """See RecordingBackend."""
        return self._status()

    async def change(self, action: str, detail: str, visitor: Visitor, work: Callable[[Changes], T]) -> T:
        """See RecordingBackend."""
        result: T = await self._change(work, Changes(self._catalogue.sync))
        self._told(action, detail, visitor)
        return result
