"""What the console sets of recording and storage, as one part of the recorder: the API of both."""

from __future__ import annotations

from aiohttp import web

from onvifd.access.audit import Log
from onvifd.bodies.recording_parts import RecordingParts
from onvifd.bodies.recording_view import Change, RecordingSettings
from onvifd.store.catalogue import AsyncCatalogue
from onvifd.web import recording, recording_links, recording_schedules
from onvifd.web.guard import Guard


class SettingsParts:
    """One per recorder. `change` calls something in a thread and has the recorder take over what the catalogue says then."""

    def __init__(self, catalogue: AsyncCatalogue, when: RecordingParts, change: Change, audit: Log) -> None:
        self._recording = RecordingSettings(catalogue, when.director.status, audit, change)

    def add_routes(self, app: web.Application, guard: Guard) -> None:
        """Mount the API."""
        for pages in (recording, recording_schedules, recording_links):
            pages.add_routes(app, self._recording, guard)
