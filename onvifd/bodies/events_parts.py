"""Everything of events but the bus: what makes them, what hands them out, and the tasks that it takes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from onvifd.access.keyfile import SecretBox
from onvifd.archive.index import SegmentRow
from onvifd.bodies.events_monitor import Monitor, read_synchronized, read_ticks
from onvifd.bodies.events_recording import Deletions, RecordingChanges
from onvifd.bodies.events_relay import EventRelay
from onvifd.clock import Clock
from onvifd.config import Config
from onvifd.errors import OnvifdError
from onvifd.events import device_topics
from onvifd.events.bus import EventBus
from onvifd.events.topics import RECORDER_TOPICS
from onvifd.onvif.backend import Job, Recording
from onvifd.onvif.notification.callback import parse_networks
from onvifd.onvif.notification.mqtt.brokers import Brokers, SystemTrust, TlsContexts
from onvifd.onvif.notification.pusher import Pusher
from onvifd.onvif.services.events import EventService
from onvifd.store.catalogue import AsyncCatalogue

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
"""How often the machine is looked at (Core 8.9.1: about every 5 s at most)."""

RESET_SETTING = "device.last_reset"
BACKUP_SETTING = "device.last_backup"
"""Microseconds UTC, written by whoever resets or backs up; nothing if that never was."""


class EventParts:
    """One per recorder. `tls` gives the TLS of connections to brokers; without it the authorities of the system are trusted."""

    def __init__(
        self,
        config: Config,
        catalogue: AsyncCatalogue,
        box: SecretBox,
        bus: EventBus,
        clock: Clock,
        *,
        name: str,
        tls: TlsContexts | None = None,
    ) -> None:
        self._config = config
        self._catalogue = catalogue
        self._bus = bus
        self._clock = clock
        self.relay = EventRelay(bus.publish, clock)
        self._changes = RecordingChanges(bus.publish)
        self._deletions = Deletions(bus.publish)
        settings = config.events
        ca_file = Path(settings.ca_file) if settings.ca_file else None
        trust = SystemTrust(ca_file)
        self.brokers = Brokers(
            catalogue,
            box,
            bus,
            clock,
            RECORDER_TOPICS,
            tls or trust,
            name=name,
            limit=config.limits.event_brokers,
        )
        self._trust = trust
        self.monitor: Monitor | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look, and connect to the brokers."""
        settings = self._catalogue.sync.settings
        self.monitor = Monitor(
            self._bus.publish,
            started=self._clock.utc(),
            reset=_moment(await self._catalogue.run(settings.get, RESET_SETTING)),
            backup=_moment(await self._catalogue.run(settings.get, BACKUP_SETTING)),
        )
        self.monitor.announce(self._clock.utc())
        await self.brokers.load()
        self._task = asyncio.create_task(self._look(self.monitor), name="look at the machine")

    async def close(self) -> None:
        """End the tasks and the connections."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._deletions.flush(self._clock.utc())
        await self.brokers.close()

    async def service(self) -> EventService:
        """The ONVIF event service over all of this. Whoever takes it closes it."""
        pusher = Pusher(
            self._clock,
            parse_networks(self._config.events.callback_networks),
            tls=await asyncio.to_thread(self._trust.context),
        )
        return EventService(
            self._bus,
            self._clock,
            RECORDER_TOPICS,
            max_pull_points=self._config.limits.pull_points,
            max_pushed=self._config.limits.subscriptions,
            pusher=pusher,
            brokers=self.brokers,
        )

    def configured(self, recordings: Sequence[Recording], jobs: Sequence[Job]) -> None:
        """What recordings and jobs there are now."""
        self._changes.update(recordings, jobs, self._clock.utc())

    def deleted(self, row: SegmentRow) -> None:
        """Retention deleted a segment."""
        self._deletions.deleted(row, self._clock.utc())

    async def _look(self, monitor: Monitor) -> None:
        while True:
            try:
                await self._look_once(monitor)
            except OnvifdError as error:
                log.error("the machine cannot be looked at: %s", error.reason)
            await self._clock.sleep(LOOK_SECONDS)

    async def _look_once(self, monitor: Monitor) -> None:
        ticks, heard = await asyncio.to_thread(lambda: (read_ticks(), read_synchronized()))
        now = self._clock.utc()
        monitor.look(now, self._clock.monotonic())
        monitor.processor(ticks, now)
        if heard is not None:
            monitor.clock_set(min(heard, now), now)
        self._deletions.flush(now)


def _moment(text: str | None) -> int:
    """A stored time; 1970 if there is none (Core 8.9.4)."""
    return int(text) if text and text.isdigit() else device_topics.NEVER
