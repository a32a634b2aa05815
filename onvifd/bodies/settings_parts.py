"""What the console sets of recording and storage, as one part of the recorder: the API of both."""

from __future__ import annotations

from functools import partial

from aiohttp import web

from onvifd.access.audit import Log
from onvifd.bodies.archive_parts import ArchiveParts
from onvifd.bodies.recording_parts import RecordingParts
from onvifd.bodies.recording_view import Change, RecordingSettings
from onvifd.bodies.storage_forecast_view import StorageForecast
from onvifd.bodies.storage_jobs_view import StorageJobs
from onvifd.bodies.storage_view import StorageSettings
from onvifd.clock import Clock
from onvifd.config import Config
from onvifd.store.catalogue import AsyncCatalogue
from onvifd.volumes.register import active_rows
from onvifd.web import recording, recording_links, recording_schedules, storage, storage_forecast, storage_jobs
from onvifd.web.guard import Guard


class SettingsParts:
    """One per recorder. `change` calls something in a thread and has the recorder take over what the catalogue says then.

    Use: `add_routes`; `close` while there are still those who write to volumes.
    """

    def __init__(
        self,
        config: Config,
        catalogue: AsyncCatalogue,
        clock: Clock,
        when: RecordingParts,
        archive: ArchiveParts,
        change: Change,
        audit: Log,
    ) -> None:
        statuses = archive.keeper.statuses
        active = partial(active_rows, catalogue.sync, [str(path) for path in config.volume_paths])
        self._recording = RecordingSettings(catalogue, when.director.status, audit, change)
        self._storage = StorageSettings(config, catalogue, statuses, audit, change)
        self._jobs = StorageJobs(catalogue, clock, active, audit, change)
        self.forecast = StorageForecast(config, catalogue, statuses, clock)

    def add_routes(self, app: web.Application, guard: Guard) -> None:
        """Mount the API."""
        for pages in (recording, recording_schedules, recording_links):
            pages.add_routes(app, self._recording, guard)
        storage.add_routes(app, self._storage, guard)
        storage_jobs.add_routes(app, self._jobs, guard)
        storage_forecast.add_routes(app, self.forecast, guard)

    async def close(self) -> None:
        """Stop jobs on volumes."""
        await self._jobs.close()
