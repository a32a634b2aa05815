"""Everything of events but the bus: what makes them, what hands them out, and the tasks that it takes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from onvifd.access.keyfile import SecretBox
from onvifd.archive.index import SegmentRow
from onvifd.bodies.events_hardware import ActiveSessions, Hardware
from onvifd.bodies.events_monitor import Monitor, read_synchronized, read_ticks
from onvifd.bodies.events_recording import Deletions, RecordingChanges
from onvifd.bodies.events_relay import EventRelay
from onvifd.clock import Clock
from onvifd.config import Config
from onvifd.errors import OnvifdError
from onvifd.events import device_topics, hardware_topics
from onvifd.events.bus import EventBus
from onvifd.events.topics import RECORDER_TOPICS
from onvifd.host.sensors import Readings, Sensors
from onvifd.onvif.backend import Job, MediaModel, Recording
from onvifd.onvif.notification.callback import parse_networks
from onvifd.onvif.notification.mqtt.brokers import Brokers, SystemTrust, TlsContexts
from onvifd.onvif.notification.pusher import Pusher
from onvifd.onvif.services.events import EventService
from onvifd.store.catalogue import AsyncCatalogue
from onvifd.workers.messages import Stats

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
"""How often the machine is looked at (Core 8.9.1: about every 5 s at most)."""
FAREWELL = 0.2
"""Seconds that the news of the end gets to reach those who wait for events."""

RESET_SETTING = "device.last_reset"
BACKUP_SETTING = "device.last_backup"
"""Microseconds UTC, written by whoever resets or backs up; nothing if that never was."""


class EventParts:
    """One per recorder. `tls` gives the TLS of connections to brokers; without it the authorities of the system are trusted.

    What `sensors` do not have is no topic. `topics` is everything that the recorder emits.
    """

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
        sensors: Sensors | None = None,
    ) -> None:
        self._config = config
        self._catalogue = catalogue
        self._bus = bus
        self._clock = clock
        self._sensors = sensors
        self._hardware = Hardware(bus.publish, sensors.first if sensors is not None else Readings())
        self.topics = (*RECORDER_TOPICS, *self._hardware.topics)
        self._sessions = ActiveSessions(bus.publish)
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
            self.topics,
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
            self.topics,
            max_pull_points=self._config.limits.pull_points,
            max_pushed=self._config.limits.subscriptions,
            pusher=pusher,
            brokers=self.brokers,
        )

    def configured(self, recordings: Sequence[Recording], jobs: Sequence[Job]) -> None:
        """What recordings and jobs there are now."""
        self._changes.update(recordings, jobs, self._clock.utc())

    def heard(self, stats: Stats, media: MediaModel) -> None:
        """Who is sent what by a worker."""
        self._sessions.heard(stats.worker, stats.sessions, media, self._clock.utc())

    async def farewell(self) -> None:
        """The recorder goes down: whoever waits for events is told while it still can be."""
        self._bus.publish(hardware_topics.shutdown_initiated(self._clock.utc()))
        await self._clock.sleep(FAREWELL)

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
        ticks, heard, readings = await asyncio.to_thread(self._read)
        now = self._clock.utc()
        self._hardware.look(readings, now)
        monitor.look(now, self._clock.monotonic())
        monitor.processor(ticks, now)
        if heard is not None:
            monitor.clock_set(min(heard, now), now)
        self._deletions.flush(now)

    def _read(self) -> tuple[tuple[int, int] | None, int | None, Readings]:
        return read_ticks(), read_synchronized(), self._sensors.read() if self._sensors is not None else Readings()


def _moment(text: str | None) -> int:
    """A stored time; 1970 if there is none (Core 8.9.4)."""
    return int(text) if text and text.isdigit() else device_topics.NEVER
