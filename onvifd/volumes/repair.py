"""Puts right what the check found. Footage is cut or forgotten only where it cannot be played any more. Everything blocks.

May run while recording goes on: what has just been written, and what is open, is left to whoever writes it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace

from onvifd.archive.disk import Volume, change_of
from onvifd.archive.doctor import (
    Depth,
    Finding,
    FindingKind,
    check_row,
    fragment_at,
    fragment_whole,
    is_young,
)
from onvifd.archive.index import EndReason, Fragment, SegmentRow, SegmentState, SegmentStore, unpack_fragments
from onvifd.archive.recovery import Tally, adopt, fragment_of, mend, row_of, scan, unindexed_files
from onvifd.errors import BadInput, InvalidArgument
from onvifd.store.catalogue import Catalogue
from onvifd.volumes.rebuild import known_again

log = logging.getLogger(__name__)

NEWEST = 3
"""Segments of each recording that are looked at when a volume is back: the last was being written, another was waiting."""

_MENDED = (FindingKind.SIZE, FindingKind.HEAD, FindingKind.TORN, FindingKind.TABLE, FindingKind.DATA)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """What was done: rows brought in line with their files, files taken in, rows whose file is gone forgotten, files put aside
    or removed, bytes cut, and findings that are left as they are (path and reason)."""

    mended: int = 0
    adopted: int = 0
    forgotten: int = 0
    damaged: int = 0
    removed: int = 0
    cut_bytes: int = 0
    left: tuple[str, ...] = ()

    def said(self) -> str:
        """For people."""
        return (
            f"{self.mended} segments mended, {self.adopted} files taken in, {self.forgotten} rows without file forgotten, "
            f"{self.damaged} damaged files put aside, {self.removed} empty files removed, {self.cut_bytes} bytes cut, "
            f"{len(self.left)} left as they are"
        )


def repair(
    catalogue: Catalogue, store: SegmentStore, volume: Volume, findings: Iterable[Finding], *, copy: bool = False
) -> Repaired:
    """Put right what can be. `copy` is whether files that are taken in are second copies. Raises Unavailable."""
    tally, left = Tally(), []
    mended = forgotten = 0
    seen: set[str] = set()
    for finding in findings:
        if not finding.path or finding.path in seen:
            if not finding.path:
                left.append(f"{finding.volume}: {finding.detail}")
            continue
        seen.add(finding.path)
        try:
            if finding.kind is FindingKind.UNINDEXED:
                row = adopt(store, volume, finding.path, tally, copy=copy)
                if row is not None:
                    known_again(catalogue, [row])
            elif finding.kind is FindingKind.MISSING_FILE:
                forgotten += _forget(store, volume, finding, left)
            elif finding.kind in _MENDED:
                mended += _mend(store, volume, finding, tally, left)
            else:
                left.append(f"{finding.path}: {finding.detail}")
        except OSError as error:
            left.append(f"{finding.path}: {error.strerror}")
        except BadInput as error:
            left.append(f"{finding.path}: {error.reason}")
    return Repaired(
        mended=mended,
        adopted=tally.adopted,
        forgotten=forgotten,
        damaged=tally.damaged,
        removed=tally.removed,
        cut_bytes=tally.cut_bytes,
        left=tuple(left),
    )


def _forget(store: SegmentStore, volume: Volume, finding: Finding, left: list[str]) -> int:
    row = store.segment_by_path(volume.id, finding.path)
    # A volume that was pulled in between has lost nothing, and what was found in between is there.
    if row is None or volume.path(finding.path).exists():
        return 0
    if not volume.is_there():
        left.append(f"{finding.path}: the volume is not there")
        return 0
    store.delete_segment(row.id)
    return 1


def _mend(store: SegmentStore, volume: Volume, finding: Finding, tally: Tally, left: list[str]) -> int:
    """Bring a row in line with its file."""
    row = store.segment_by_path(volume.id, finding.path)
    if row is None:
        return 0
    if row.state is SegmentState.OPEN or is_young(volume, row.path):
        left.append(f"{finding.path}: it is being written")
        return 0
    made = _what_is_left(volume, row)
    if made is None:
        found = mend(volume, row.path, tally)
        if found is None:
            store.delete_segment(row.id)
            return 0
        formats, fragments, size = found
        made = row_of(row.recording, volume.id, row.path, formats, fragments, size, copy=row.copy)
    else:
        cut = os.stat(volume.path(row.path)).st_size - made.size
        if cut > 0:
            os.truncate(volume.path(row.path), made.size)
            tally.cut_bytes += cut
    reason = row.end_reason if row.end_reason is not EndReason.NONE else EndReason.CRASH
    if made.formats == row.formats:
        store.close_segment(row.id, change_of(made), state=SegmentState.RECOVERED, reason=reason)
        if made.start != row.start:
            store.insert_segment(replace(made, end_reason=reason))
    else:
        store.insert_segment(replace(made, end_reason=reason))
    return 1


def _what_is_left(volume: Volume, row: SegmentRow) -> SegmentRow | None:
    """The row with those of its fragments that are whole, and with whole ones that come behind them; None when the table is
    of no use. A damaged fragment in the middle costs itself alone, not all that come after it."""
    try:
        table = unpack_fragments(row.fragments)
    except InvalidArgument:
        return None
    fd = os.open(volume.path(row.path), os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size
        formats, found = scan(fd, size)
        if not formats:
            # Without a head nothing in it can be played.
            return None
        walked = [fragment_of(each, formats) for each in found]
        known = {each.offset for each in walked}
        candidates: list[Fragment] = walked + [each for each in table if each.offset not in known]
        good = sorted(
            (
                each
                for each in candidates
                if fragment_at(fd, each, formats) == each and fragment_whole(fd, each, formats)
            ),
            key=lambda each: each.offset,
        )
    finally:
        os.close(fd)
    if not good:
        return None
    end = good[-1].offset + good[-1].size
    return row_of(row.recording, volume.id, row.path, formats, good, end, copy=row.copy)


def catch_up(catalogue: Catalogue, store: SegmentStore, volume: Volume) -> Repaired:
    """After a volume came back: its newest segments are held against the index, and newer files than that are taken in."""
    findings: list[Finding] = []
    copies = {row.id for row in catalogue.volumes.all() if row.access == "redundant"}
    for row in store.open_segments():
        if row.volume == volume.id and not is_young(volume, row.path):
            _close(store, volume, row)
    for recording in store.recorded():
        newest = catalogue.upkeep.newest(volume.id, recording, NEWEST)
        for path in newest:
            found = store.segment_by_path(volume.id, path)
            if found is not None and not is_young(volume, path):
                findings += check_row(store, volume, found, Depth.BOXES)
    unreadable: list[str] = []
    known = frozenset(store.recorded()) | {row.token for row in catalogue.recordings.all()}
    for path in unindexed_files(store, volume, unreadable, all_files=False, recordings=known):
        if not is_young(volume, path):
            findings.append(Finding(FindingKind.UNINDEXED, volume.id, path, "not in the index"))
    report = repair(catalogue, store, volume, findings, copy=volume.id in copies)
    return replace(report, left=(*report.left, *unreadable))


def _close(store: SegmentStore, volume: Volume, row: SegmentRow) -> None:
    """A segment that nobody writes any more: its row is completed from its file."""
    try:
        found = mend(volume, row.path, Tally())
    except (OSError, BadInput) as error:
        log.error("segment %s cannot be closed: %s", row.path, error)
        return
    if found is None:
        store.delete_segment(row.id)
        return
    formats, fragments, size = found
    made = row_of(row.recording, volume.id, row.path, formats, fragments, size, copy=row.copy)
    store.close_segment(row.id, change_of(made), state=SegmentState.RECOVERED, reason=EndReason.CRASH)
