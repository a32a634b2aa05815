"""Writes spans: what was recorded when, and why. `SpanLog` is sans-IO; `SpanWriter` brings its lines into the catalogue."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from onvifd.clock import Clock
from onvifd.errors import Unavailable
from onvifd.recording.triggers import Decision
from onvifd.recording.types import RecordType
from onvifd.store.catalogue import AsyncCatalogue

log = logging.getLogger(__name__)

MAX_LINES = 10_000
"""Beginnings and ends of spans that wait for the catalogue; at the bound further ones are lost, with a message."""
RETRY = 1.0
"""Seconds until the catalogue is offered again what it did not take."""
END_TIMEOUT = 1.0


@dataclass(frozen=True, slots=True)
class Line:
    """A span of a recording begins (with a decision) or ends (without) at `utc`."""

    recording: str
    utc: int
    decision: Decision | None


UNKNOWN = Decision(RecordType.GENERAL, (RecordType.GENERAL,))
"""Of footage that came without having been asked for."""


class SpanLog:
    """Knows from when to when recordings are written, and under which name. `tell` takes lines in order."""

    def __init__(self, tell: Callable[[Line], None]) -> None:
        self._tell = tell
        self._named: dict[str, Decision] = {}
        self._open: dict[str, tuple[int, Decision]] = {}

    def decided(self, decisions: dict[str, Decision], utc: int) -> None:
        """What is to be written now. What is not any more keeps its name until the worker says where it ended."""
        for recording, decision in decisions.items():
            self._named[recording] = decision
            known = self._open.get(recording)
            if known is None or known[1] == decision:
                continue
            # The clock may have been set back; a span never ends before it began.
            at = max(utc, known[0])
            self._tell(Line(recording, at, None))
            self._begin(recording, at, decision)

    def changed(self, recording: str, active: bool, utc: int) -> None:
        """The worker says that writing began with the sample of `utc` (what was kept in memory included), or ended there."""
        if active and recording in self._open:
            return  # it goes on, with other tracks
        if self._open.pop(recording, None) is not None:
            self._tell(Line(recording, utc, None))
        if active:
            self._begin(recording, utc, self._named.get(recording, UNKNOWN))

    def _begin(self, recording: str, utc: int, decision: Decision) -> None:
        self._open[recording] = (utc, decision)
        self._tell(Line(recording, utc, decision))

    def forget(self, recordings: set[str]) -> None:
        """These are not decided about any more."""
        for recording in recordings:
            self._named.pop(recording, None)

    def is_open(self, recording: str) -> bool:
        return recording in self._open

    def since(self, recording: str) -> int | None:
        """Since when the span that lasts does so."""
        known = self._open.get(recording)
        return None if known is None else known[0]


class SpanWriter:
    """Owns one task from `start` to `stop`."""

    def __init__(self, catalogue: AsyncCatalogue, clock: Clock) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._lines: asyncio.Queue[Line] = asyncio.Queue(MAX_LINES)
        self._ids: dict[str, int] = {}
        self._task: asyncio.Task[None] | None = None

    def put(self, line: Line) -> None:
        try:
            self._lines.put_nowait(line)
        except asyncio.QueueFull:
            log.error("%s: its span is not stored, the database is too slow", line.recording)

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="spans")

    async def _run(self) -> None:
        while True:
            line = await self._lines.get()
            try:
                await self._store(line)
            except Exception:
                # a defect must cost one line, not all that follow
                log.exception("%s: its span is not stored", line.recording)
            finally:
                self._lines.task_done()

    async def _store(self, line: Line) -> None:
        """Until the catalogue takes it. What comes after it waits, so that spans stay in order."""
        failed = False
        while True:
            try:
                await self._write(line)
            except Unavailable as error:
                if not failed:
                    log.error("spans are not stored: %s", error.reason)
                failed = True
                await self._clock.sleep(RETRY)
                continue
            if failed:
                log.info("spans are stored again")
            return

    async def _write(self, line: Line) -> None:
        """May be done again after a failure: what is stored is not stored twice."""
        spans = self._catalogue.sync.spans
        known = self._ids.get(line.recording)
        if known is not None:
            await self._catalogue.run(spans.finish, known, line.utc)
            del self._ids[line.recording]
        if line.decision is not None:
            kind, marks = line.decision.kind.value, tuple(mark.value for mark in line.decision.marks)
            self._ids[line.recording] = await self._catalogue.run(spans.begin, line.recording, kind, line.utc, marks)

    async def stop(self) -> None:
        """End; what waits is written first, for at most a second."""
        try:
            async with asyncio.timeout(END_TIMEOUT):
                await self._lines.join()
        except TimeoutError:
            log.warning("%d lines of spans are not stored", self._lines.qsize())
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
