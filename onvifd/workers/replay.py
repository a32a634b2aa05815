"""The replay worker: recordings by RTSP, so that a download at full speed cannot disturb live."""

from __future__ import annotations

import asyncio
import os

from onvifd.archive.cache import FragmentCache
from onvifd.archive.catalogue_index import CatalogueSegmentStore
from onvifd.archive.disk import DiskPool
from onvifd.archive.index import SegmentStore
from onvifd.archive.reader import READ_AHEAD, RecordingReader
from onvifd.archive.replay import ReplayMount
from onvifd.clock import Clock, SystemClock
from onvifd.host.descriptors import descriptors
from onvifd.rtsp.arrival import Arrival
from onvifd.rtsp.server import RtspServer
from onvifd.store.catalogue import Catalogue
from onvifd.volumes.known import KnownVolumes
from onvifd.workers.accounts import AccountTable, kick
from onvifd.workers.elsewhere import AlwaysElsewhere
from onvifd.workers.link import Link
from onvifd.workers.load import door_of, elsewhere
from onvifd.workers.messages import (
    AnyMessage,
    Credentials,
    Done,
    Failure,
    Kick,
    Ping,
    Pong,
    Ready,
    ReplayTimeout,
    RtspLoad,
    Setup,
    Stats,
    Stop,
)

CACHE_BYTES = 128 * READ_AHEAD
"""What is read ahead must last until it is sent, for as many sessions as there may be without further settings. Who plays on and
on reads nothing twice, and who goes to and fro stays within some seconds: more than this would be memory that nobody asks for."""
STATS_INTERVAL = 2.0
READ_THREADS = 4


class ReplayWorker:
    """Serves `/replay/<recording>`."""

    def __init__(self, link: Link, clock: Clock | None = None) -> None:
        self._link = link
        self._clock = clock or SystemClock()
        self.stopped = asyncio.Event()
        self._accounts = AccountTable(self._clock, link.send)
        self._timeout = 60
        self._server: RtspServer | None = None
        self._catalogue: Catalogue | None = None
        self._pool: DiskPool | None = None
        self._reporter: asyncio.Task[None] | None = None

    async def handle(self, message: AnyMessage) -> AnyMessage | None:
        """Serve one message of control."""
        match message:
            case Setup():
                return await self._begin(message)
            case Credentials():
                self._accounts.replace(message)
                return Done()
            case RtspLoad():
                if self._server is not None:
                    self._server.door.elsewhere = elsewhere(message)
                return Done()
            case Kick():
                return Done() if kick(self._server, message.session) else Failure(reason="no such session")
            case ReplayTimeout():
                self._timeout = message.seconds
                return Done()
            case Ping():
                return Pong()
            case Stop():
                self.stopped.set()
                return Done()
        return None

    async def _begin(self, setup: Setup) -> AnyMessage:
        self._timeout = setup.replay_timeout
        self._catalogue = await asyncio.to_thread(Catalogue.open, setup.database_url)
        store: SegmentStore = CatalogueSegmentStore(self._catalogue)
        volumes = KnownVolumes(self._catalogue)
        cache = FragmentCache(CACHE_BYTES)
        pool = self._pool = DiskPool(READ_THREADS)

        def reader(recording: str) -> RecordingReader:
            return RecordingReader(store, volumes, recording, cache=cache, pool=pool)

        mount = ReplayMount(reader, self._clock, session_timeout=lambda: self._timeout)
        verifier = self._accounts.verifier(setup)
        self._server = RtspServer(
            {"/replay": mount, "/live": AlwaysElsewhere()},
            verifier,
            self._clock,
            max_connections=setup.max_replay,
            door=door_of(setup, self._clock, self._link.send),
        )
        self._accounts.server = self._server
        self._reporter = asyncio.create_task(self._report(setup.name))
        return Ready(name=setup.name, pid=os.getpid())

    async def _report(self, name: str) -> None:
        while True:
            await self._clock.sleep(STATS_INTERVAL)
            if self._server is not None:
                sessions = self._accounts.sessions()
                self._link.send(
                    Stats(
                        worker=name,
                        clients=self._server.connections,
                        tasks=len(asyncio.all_tasks()),
                        descriptors=descriptors(),
                        sessions=sessions,
                    )
                )

    def adopt(self, arrival: Arrival) -> None:
        """Take over a connection of the front door with what was read from it."""
        if self._server is None:
            arrival.close()
        else:
            self._server.admit(arrival)

    async def stop(self) -> None:
        """Close connections and threads."""
        if self._reporter is not None:
            self._reporter.cancel()
            await asyncio.gather(self._reporter, return_exceptions=True)
        if self._server is not None:
            await self._server.close()
        if self._pool is not None:
            self._pool.close()
        if self._catalogue is not None:
            await asyncio.to_thread(self._catalogue.close)
