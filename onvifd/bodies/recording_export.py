"""Export of footage to the folders of storage configurations (RecordingControl 5.21 to 5.28). Implements ExportBackend.

Segments on disk are fragmented MP4 files that play by themselves: they are copied as they are, or without the fragments that
lie outside of the time that was asked for. One operation runs at a time, others wait. A file is there whole or not at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from onvifd.archive.disk import Volume
from onvifd.archive.index import KIND_FLAGS, SegmentRow, SegmentState, SegmentStore, unpack_fragments
from onvifd.clock import US, Clock
from onvifd.errors import InvalidArgument, LimitReached, NotFound, OnvifdError, Unavailable
from onvifd.events.bus import EventBus
from onvifd.events.operation_topics import operation_status
from onvifd.media.media_type import mp4_type
from onvifd.media.types import Kind
from onvifd.onvif.backend import Recording, RecordingTarget
from onvifd.onvif.recording_backend import ExportSegment, ExportState
from onvifd.store.locks import Locks

log = logging.getLogger(__name__)

FORMATS = ("MP4",)
MAX_WAITING = 16
"""Operations that may wait; further ones are refused."""
MAX_FILES = 10_000
"""Files of one operation."""
KEPT = 64
"""Operations that are over and can still be asked about."""
LIST_LIMIT = 200
MAX_PATH = 200
CHUNK = 1 << 20
LOCKED = 86_400 * US
"""How long footage stays locked for an export that nobody ends any more, because the recorder died."""
FOLLOW_SECONDS = 5.0
"""How often recordings whose segments are to be copied as they come are looked at."""
FOLDER = "export"
"""Everything lies below this folder of a storage, apart from the recorder's own footage."""
GAP = 3 * US // 2
DAY = 86_400 * US
FAR = 1 << 62
DATA, SEGMENTS = "ExportRecordedData", "ExportRecordedSegments"


@dataclass(frozen=True, slots=True)
class _File:
    """What is copied to `name`, which is relative to the storage: ranges (offset, length) of a segment's file."""

    name: str
    row: SegmentRow
    ranges: tuple[tuple[int, int], ...]

    @property
    def size(self) -> int:
        return sum(length for _, length in self.ranges)


@dataclass(slots=True)
class _Operation:
    token: str
    name: str
    root: Path
    files: tuple[_File, ...]
    alias: str | None = None
    locks: tuple[int, ...] = ()
    """Of the footage that is read, so that retention does not delete it meanwhile; they end `until` then."""
    until: int = 0
    done: int = 0
    """Files that are copied."""
    over: bool = False
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def progress(self) -> float:
        return self.done / len(self.files) if self.files else 1.0

    def state(self) -> ExportState:
        return ExportState(
            progress=self.progress,
            files=tuple((each.name, 1.0 if number < self.done else 0.0) for number, each in enumerate(self.files)),
        )


class RecordingExport:
    """One per recorder. `find` gives a recording by token, `storages` the folders of storage configurations by token. What is
    exported is locked in `locks` meanwhile."""

    def __init__(
        self,
        segments: SegmentStore,
        bus: EventBus,
        clock: Clock,
        *,
        volumes: Callable[[], Sequence[Volume]],
        find: Callable[[str], Recording],
        recordings: Callable[[], Sequence[Recording]],
        storages: Callable[[], Awaitable[Mapping[str, Path]]],
        locks: Locks,
    ) -> None:
        self._segments = segments
        self._bus = bus
        self._clock = clock
        self._volumes = volumes
        self._find = find
        self._recordings = recordings
        self._storages = storages
        self._locks = locks
        self._operations: dict[str, _Operation] = {}
        self._waiting: deque[_Operation] = deque()
        self._wake = asyncio.Event()
        self._followed: dict[str, int] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._run(), name="export"),
            asyncio.create_task(self._follow(), name="export of segments as they come"),
        ]

    async def stop(self) -> None:
        for operation in self._operations.values():
            operation.stop.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for operation in self._waiting:
            await asyncio.to_thread(self._unlock, operation)

    # ---- what the service asks -----------------------------------------------------------------

    def formats(self) -> tuple[str, ...]:
        return FORMATS

    async def segments(
        self, recording: str, start: int, end: int, limit: int
    ) -> tuple[tuple[ExportSegment, ...], bool]:
        target = self._find(recording).target
        if target is not None and target.storage not in await self._storages():
            raise NotFound("The storage of the recording does not exist.", detail="NoStorage")
        limit = max(1, min(limit, LIST_LIMIT))
        rows = await asyncio.to_thread(self._closed, recording, start, end, limit + 1)
        shown = tuple(
            ExportSegment(start=row.start, end=row.end, media_type=mp4_type(row.formats)) for row in rows[:limit]
        )
        return shown, len(rows) > limit

    def _closed(self, recording: str, start: int, end: int, limit: int) -> list[SegmentRow]:
        """Segments that touch a time and do not change any more (Annex 8.4). Blocks."""
        found = [
            row
            for row in self._segments.segments_between(recording, start, max(end, start + 1), limit)
            if row.state is not SegmentState.OPEN and row.end > start
        ]
        return found[:limit]

    async def export_segments(
        self, recording: str, start: int, end: int, *, alias: str | None, storage: str | None, kind: Kind | None
    ) -> str:
        known = self._find(recording)
        if end <= start:
            raise InvalidArgument("The time ends before it begins.", detail="BadDuration")
        token = storage or (known.target.storage if known.target is not None else "")
        root = (await self._storages()).get(token)
        if root is None:
            raise InvalidArgument("There is no such storage configuration.", detail="InvalidStorage")
        files = await asyncio.to_thread(self._whole, known, start, end, kind)
        return (await self._begin(SEGMENTS, root, files, alias)).token

    def _whole(self, recording: Recording, start: int, end: int, kind: Kind | None) -> tuple[_File, ...]:
        """Blocks."""
        rows = self._closed(recording.token, start, end, MAX_FILES)
        if kind is not None:
            rows = [row for row in rows if row.kinds & KIND_FLAGS[kind]]
        found, counter, before = [], 0, None
        for row in rows:
            fresh = before is None or row.start - before.end > GAP or row.start // DAY != before.start // DAY
            counter = self._counter(recording.token, row) if fresh else counter + 1
            before = row
            name = segment_name(recording.token, recording.target, row.start, counter)
            found.append(_File(name, row, ((0, row.size),)))
        return tuple(found)

    def _counter(self, recording: str, row: SegmentRow) -> int:
        """How many segments precede this one without a gap on the same day: a span ends at midnight UTC. Blocks."""
        count, start = 0, row.start
        earlier = self._segments.segments_between(recording, row.start // DAY * DAY, row.start, MAX_FILES)
        for each in reversed(earlier):
            if each.start >= row.start or each.start // DAY != row.start // DAY:
                continue
            if start - each.end > GAP:
                break
            count, start = count + 1, each.start
        return count

    async def stop_segments(self, operation: str) -> None:
        known = self._operations.get(operation)
        if known is None or known.name != SEGMENTS or known.over:
            raise NotFound("There is no such operation.", detail="NoOperation")
        known.stop.set()

    async def export_data(
        self, recordings: tuple[str, ...], start: int | None, end: int | None, *, format: str, storage: str, path: str
    ) -> tuple[str, tuple[str, ...]]:
        if format not in FORMATS:
            raise _bad(f"File formats are {', '.join(FORMATS)}.")
        if start is not None and end is not None and end <= start:
            raise _bad("The time ends before it begins.")
        root = (await self._storages()).get(storage)
        if root is None:
            raise _bad("There is no such storage configuration.")
        parts = [part for part in path.split("/") if part]
        if len(path) > MAX_PATH or any(part.startswith(".") or "\0" in part for part in parts):
            raise _bad("The relative path leads out of the storage.")
        lead = "/".join((FOLDER, *parts))
        begin, until = 0 if start is None else start, FAR if end is None else end
        files = await asyncio.to_thread(self._trimmed, recordings, begin, until, lead)
        operation = await self._begin(DATA, root, files, None)
        return operation.token, tuple(each.name for each in files)

    def _trimmed(self, recordings: Sequence[str], start: int, end: int, lead: str) -> tuple[_File, ...]:
        """Segments without the fragments before and after the time. Blocks."""
        found = []
        for recording in recordings:
            for row in self._closed(recording, start, end, MAX_FILES):
                fragments = unpack_fragments(row.fragments)
                first = 0
                for number, each in enumerate(fragments):
                    if each.start <= start and each.clean:
                        first = number  # a player can begin here at the latest
                chosen = [each for each in fragments[first:] if each.start < end]
                if not chosen:
                    continue
                ranges = ((0, fragments[0].offset), *((each.offset, each.size) for each in chosen))
                stamp = datetime.fromtimestamp(chosen[0].start / US, UTC).strftime("%Y%m%dT%H%M%S.%f")[:-3]
                found.append(_File(f"{lead}/{recording}_{stamp}Z.mp4", row, ranges))
            if len(found) > MAX_FILES:
                raise LimitReached(f"An export has at most {MAX_FILES} files; take a shorter time.")
        return tuple(found)

    async def stop_data(self, operation: str) -> ExportState:
        state = self.data_state(operation)
        self._operations[operation].stop.set()
        return state

    def data_state(self, operation: str) -> ExportState:
        known = self._operations.get(operation)
        if known is None or known.name != DATA:
            raise NotFound("There is no such operation.", detail="BadConfiguration")
        return known.state()

    # ---- the work ------------------------------------------------------------------------------

    async def _begin(self, name: str, root: Path, files: tuple[_File, ...], alias: str | None) -> _Operation:
        operation = _Operation(f"exp-{secrets.token_hex(8)}", name, root, files, alias)
        self._check_room()
        await asyncio.to_thread(self._lock, operation)
        try:
            self._check_room()  # others may have begun meanwhile
        except LimitReached:
            await asyncio.to_thread(self._unlock, operation)
            raise
        over = [token for token, each in self._operations.items() if each.over]
        for token in over[: max(0, len(over) - KEPT + 1)]:
            del self._operations[token]
        self._operations[operation.token] = operation
        self._waiting.append(operation)
        self._tell(operation)
        self._wake.set()
        return operation

    def _check_room(self) -> None:
        if len(self._waiting) >= MAX_WAITING:
            raise LimitReached(f"{MAX_WAITING} exports wait already.")

    def _lock(self, operation: _Operation) -> None:
        """Blocks. Raises Unavailable."""
        now = self._clock.utc()
        ranges: dict[str, tuple[int, int]] = {}
        for file in operation.files:
            row = file.row
            start, end = ranges.get(row.recording, (row.start, row.start + 1))
            ranges[row.recording] = (min(start, row.start), max(end, row.end))
        operation.until = now + LOCKED
        operation.locks = tuple(
            self._locks.add(
                recording, start, end, account="", now=now, reason=f"export {operation.token}", until=operation.until
            ).id
            for recording, (start, end) in ranges.items()
        )

    def _prolong(self, operation: _Operation) -> None:
        """Blocks. Raises Unavailable."""
        until = self._clock.utc() + LOCKED
        if until - operation.until < LOCKED // 2:
            return
        operation.until = until
        for lock in operation.locks:
            with contextlib.suppress(NotFound):  # somebody has unlocked it
                self._locks.prolong(lock, until)

    def _unlock(self, operation: _Operation) -> None:
        """Blocks."""
        locks, operation.locks = operation.locks, ()
        for lock in locks:
            try:
                self._locks.remove(lock)
            except NotFound:
                continue
            except OnvifdError as error:
                log.error("export %s: its lock stays until it ends: %s", operation.token, error.reason)

    def _tell(self, operation: _Operation, file: _File | None = None, error: str = "") -> None:
        event = operation_status(
            operation.token,
            operation.name,
            operation.progress,
            self._clock.utc(),
            files=() if file is None else ((file.name, 1.0),),
            alias=operation.alias,
            error=error,
        )
        self._bus.publish(event)

    async def _run(self) -> None:
        while True:
            while self._waiting:
                await self._carry_out(self._waiting.popleft())
            self._wake.clear()
            await self._wake.wait()

    async def _carry_out(self, operation: _Operation) -> None:
        try:
            for file in operation.files:
                if operation.stop.is_set():
                    log.info("export %s was stopped", operation.token)
                    break
                await asyncio.to_thread(self._prolong, operation)
                await asyncio.to_thread(self._copy, operation, file)
                if operation.stop.is_set():
                    continue
                operation.done += 1
                self._tell(operation, file)
        except OnvifdError as error:
            log.error("export %s: %s", operation.token, error.reason)
            self._tell(operation, error=error.reason)
        finally:
            operation.over = True
            await asyncio.to_thread(self._unlock, operation)
            gone = {operation.token}
            self._bus.forget(event for event in self._bus.properties() if event.source and event.source[0][1] in gone)

    def _copy(self, operation: _Operation, file: _File) -> None:
        """One file. What is there already whole stays. Blocks; raises Unavailable."""
        volume = next((each for each in self._volumes() if each.id == file.row.volume), None)
        if volume is None:
            raise Unavailable(f"volume {file.row.volume} is not there")
        home = next((each for each in self._volumes() if each.root == operation.root), None)
        target = operation.root / file.name
        draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            if home is not None and not home.is_there():
                raise Unavailable(f"volume {home.id} is not there")
            if target.exists():
                if target.stat().st_size == file.size:
                    return
                raise Unavailable(f"{file.name} exists and is another file")
            target.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            try:
                if self._write(volume.path(file.row.path), draft, file.ranges, operation.stop):
                    os.link(draft, target)
            finally:
                draft.unlink(missing_ok=True)
        except OSError as error:
            raise Unavailable(f"{file.name}: {error.strerror or error}") from error

    def _write(self, source: Path, draft: Path, ranges: Sequence[tuple[int, int]], stop: threading.Event) -> bool:
        """False if it was stopped."""
        with (
            source.open("rb") as reading,
            open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640), "wb") as to,
        ):
            for offset, length in ranges:
                reading.seek(offset)
                while length:
                    if stop.is_set():
                        return False
                    data = reading.read(min(length, CHUNK))
                    if not data:
                        raise Unavailable(f"{source.name} is shorter than the index says")
                    to.write(data)
                    length -= len(data)
            to.flush()
            os.fsync(to.fileno())
        return True

    # ---- segments as they come -----------------------------------------------------------------

    async def _follow(self) -> None:
        """Recordings with the strategy Both: every new segment is copied once it is closed (Annex 8.2)."""
        while True:
            await self._clock.sleep(FOLLOW_SECONDS)
            try:
                await self.follow_once()
            except OnvifdError as error:
                log.error("segments are not exported: %s", error.reason)

    async def follow_once(self) -> None:
        """Begin to copy what was closed since the last time."""
        wanted = {each.token: each for each in self._recordings() if each.target and each.target.strategy == "Both"}
        self._followed = {token: self._followed.get(token, self._clock.utc()) for token in wanted}
        if not wanted:
            return
        storages = await self._storages()
        for token, recording in wanted.items():
            root = storages.get(recording.target.storage) if recording.target is not None else None
            if root is None or len(self._waiting) >= MAX_WAITING:
                continue
            files = await asyncio.to_thread(self._whole, recording, self._followed[token], FAR, None)
            fresh = tuple(each for each in files if each.row.end > self._followed[token])
            if fresh:
                self._followed[token] = max(each.row.end for each in fresh)
                await self._begin(SEGMENTS, root, fresh, None)


def segment_name(recording: str, target: RecordingTarget | None, start: int, counter: int) -> str:
    """Path of a segment below the storage (Annex 7.4)."""
    at = datetime.fromtimestamp(start / US, UTC)
    prefix = target.prefix if target is not None else ""
    postfix = (target.postfix if target is not None else "") or recording
    fraction = f"{at.microsecond // 1000:03d}"
    lead = [FOLDER, *([prefix] if prefix else []), f"{at:%Y-%m-%d}", postfix]
    return "/".join((*lead, f"{at:%H}", f"{at:%M-%S}.{fraction}Z.{counter}.mp4"))


def _bad(reason: str) -> InvalidArgument:
    return InvalidArgument(reason, detail="BadConfiguration")
