"""Tracks of a recording that has had several encodings: which holds what, and new ones (RecordingControl 5.1)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any

from onvifd.archive.index import KIND_FLAGS, SegmentRow
from onvifd.archive.tracks import PREFIXES, TrackNumbers
from onvifd.errors import NotFound, OnvifdError
from onvifd.media.types import Kind, TrackFormat
from onvifd.onvif.backend import Recording, Track
from onvifd.store.recordings import Recordings
from onvifd.store.rows import TrackRow

log = logging.getLogger(__name__)


def several(recording: Recording) -> bool:
    """Whether a kind has more than one track, so that encodings tell them apart."""
    return len({track.kind for track in recording.tracks}) < len(recording.tracks)


def track_of(recording: Recording, format: TrackFormat, numbers: TrackNumbers) -> Track | None:
    """The track that takes a format. `numbers` count only where a kind has several."""
    same = [track for track in recording.tracks if track.kind is format.kind]
    if len(same) > 1:
        same = [track for track in same if track.token == numbers.token(format.codec)]
    return same[0] if same else None


def holds(recording: Recording, track: Track, row: SegmentRow, numbers: TrackNumbers) -> bool:
    """Whether a segment has data of a track."""
    if not row.kinds & KIND_FLAGS[track.kind]:
        return False
    if sum(each.kind is track.kind for each in recording.tracks) < 2:
        return True
    return any(numbers.token(each.codec) == track.token for each in row.formats if each.kind is track.kind)


class NewTracks:
    """Adds tracks that a worker has begun to the catalogue. `change` changes it and has everybody take over what it says."""

    def __init__(self, recordings: Recordings, change: Callable[..., Awaitable[Any]]) -> None:
        self._recordings = recordings
        self._change = change
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}

    @property
    def busy(self) -> bool:
        """Whether some are being added."""
        return bool(self._tasks)

    def written(self, recording: Recording, tokens: Iterable[str]) -> None:
        """What a worker says that it writes to. What the recording never had of a kind (its track was deleted) is not added."""
        known = {track.token for track in recording.tracks}
        kinds = {track.kind for track in recording.tracks}
        for token in tokens:
            kind = _kind(token)
            key = (recording.token, token)
            if token in known or kind not in kinds or key in self._tasks:
                continue
            row = TrackRow(recording=recording.token, token=token, kind=kind.value)
            task = asyncio.create_task(self._add(row), name=f"track {token} of {recording.token}")
            self._tasks[key] = task
            task.add_done_callback(partial(self._ended, key))

    async def _add(self, row: TrackRow) -> None:
        try:
            await self._change(self._recordings.add_track, row)
            log.info("recording %s: another encoding, track %s", row.recording, row.token)
        except NotFound:
            log.info("recording %s was deleted before its track %s", row.recording, row.token)
        except OnvifdError as error:
            # The next state of the recording asks again.
            log.error("recording %s: track %s is not kept: %s", row.recording, row.token, error.reason)

    def _ended(self, key: tuple[str, str], task: asyncio.Task[None]) -> None:
        self._tasks.pop(key, None)

    async def stop(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _kind(token: str) -> Kind | None:
    return next((kind for kind, prefix in PREFIXES.items() if token.startswith(prefix)), None)
