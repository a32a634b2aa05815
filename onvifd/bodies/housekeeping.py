"""What keeps catalogue and volumes in order while the recorder runs: retention, old events, and ends after a crash."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from onvifd.archive.index import SegmentStore
from onvifd.archive.retention import Retention
from onvifd.clock import US, Clock
from onvifd.errors import Conflict, NotFound, OnvifdError
from onvifd.events import topics
from onvifd.events.bus import EventBus
from onvifd.events.store import EventStore
from onvifd.events.types import Operation
from onvifd.store.catalogue import AsyncCatalogue

log = logging.getLogger(__name__)

EVENT_SWEEP = 600.0
"""Seconds between deletions of old events and of recordings that are empty for good."""


class Housekeeping:
    """Owns its tasks from `start` to `stop`. `event_age` is microseconds, 0 for ever."""

    def __init__(
        self,
        catalogue: AsyncCatalogue,
        segments: SegmentStore,
        events: EventStore,
        bus: EventBus,
        retention: Retention,
        event_age: int,
        clock: Clock,
    ) -> None:
        self._catalogue = catalogue
        self._segments = segments
        self._events = events
        self._bus = bus
        self._event_age = event_age
        self._clock = clock
        self._retention = retention
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, recordings: frozenset[str]) -> None:
        """End what a crash left open, then keep house."""
        await self._end_states(recordings)
        self._tasks = [
            asyncio.create_task(self._retention.run(), name="retention"),
            asyncio.create_task(self._sweep_catalogue(), name="event retention"),
        ]

    async def _end_states(self, recordings: frozenset[str]) -> None:
        """After a crash the history still says that recording goes on: end it where the footage ends (Search 5.21)."""
        states = await self._catalogue.run(self._events.states_at, self._clock.utc(), recordings)
        for state in states:
            if state.topic not in (topics.RECORDING_STATE.name, topics.TRACK_STATE.name) or state.data[0][1] != "true":
                continue
            times = await self._catalogue.run(self._segments.recording_times, state.recording)
            end = max(state.utc, times[1] if times else state.utc)
            self._bus.record(replace(state, utc=end, data=((state.data[0][0], "false"),), operation=Operation.CHANGED))

    async def _sweep_catalogue(self) -> None:
        while True:
            try:
                await self._sweep_events()
                await self._sweep_recordings()
            except OnvifdError as error:
                log.error("what is old is not deleted from the catalogue: %s", error.reason)
            except Exception:
                # a defect must cost one sweep, not all that follow
                log.exception("what is old is not deleted from the catalogue")
            await self._clock.sleep(EVENT_SWEEP)

    async def _sweep_events(self) -> None:
        if self._event_age:
            before = self._clock.utc() - self._event_age
            count = await self._catalogue.run(self._catalogue.sync.events.forget_before, before)
            if count:
                log.info("%d events older than %d days deleted", count, self._event_age // (86_400 * US))

    async def _sweep_recordings(self) -> None:
        """Recordings of removed cameras go when retention has taken the last of their footage."""
        recordings = self._catalogue.sync.recordings
        for row in await self._catalogue.run(recordings.all):
            if row.camera is not None:
                continue
            times = await self._catalogue.run(self._segments.recording_times, row.token)
            if times is not None:
                continue
            try:
                await self._catalogue.run(recordings.remove, row.token)
            except (Conflict, NotFound):
                continue  # its last segment is still being closed, or somebody else was faster
            log.info("recording %s has no camera and no footage any more: removed", row.token)

    async def stop(self) -> None:
        """End all tasks."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
