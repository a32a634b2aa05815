"""The catalogue: everything the recorder remembers, by noun.

`Catalogue` blocks; `AsyncCatalogue` runs its methods in threads of its own for code on an event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, Self, TypeVar

from onvifd.errors import Timeout, Unavailable
from onvifd.store.accounts import Accounts
from onvifd.store.audit import Audit
from onvifd.store.brokers import Brokers
from onvifd.store.cameras import Cameras
from onvifd.store.configuration import Configuration
from onvifd.store.console import Console
from onvifd.store.device import Device
from onvifd.store.engine import Database, make_private, open_engine
from onvifd.store.events import Events
from onvifd.store.locks import Locks
from onvifd.store.loudspeakers import Loudspeakers
from onvifd.store.media import Media
from onvifd.store.migrate import upgrade
from onvifd.store.policies import Policies
from onvifd.store.receivers import Receivers
from onvifd.store.receptions import Receptions
from onvifd.store.recordings import Recordings
from onvifd.store.schedules import Schedules
from onvifd.store.security import Security
from onvifd.store.segments import Segments
from onvifd.store.settings import Settings
from onvifd.store.snapshots import Snapshots
from onvifd.store.spans import Spans
from onvifd.store.tags import Tags
from onvifd.store.upkeep import Upkeep
from onvifd.store.volumes import StorageRules, Volumes

P = ParamSpec("P")
T = TypeVar("T")

WAITING = 256
"""Calls that may wait for a thread. At the bound further calls fail with Unavailable."""
CALL_TIMEOUT = 30.0
"""Seconds after which a caller gives up; the call itself ends by the database's own time-outs."""


class Catalogue:
    """Methods block and may be called from any thread. Failures of the database raise Unavailable or Timeout."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.cameras = Cameras(database)
        self.recordings = Recordings(database)
        self.receivers = Receivers(database)
        self.receptions = Receptions(database)
        self.segments = Segments(database)
        self.spans = Spans(database)
        self.policies = Policies(database)
        self.schedules = Schedules(database)
        self.snapshots = Snapshots(database)
        self.volumes = Volumes(database)
        self.storage_rules = StorageRules(database)
        self.locks = Locks(database)
        self.upkeep = Upkeep(database)
        self.events = Events(database)
        self.brokers = Brokers(database)
        self.accounts = Accounts(database)
        self.security = Security(database)
        self.console = Console(database)
        self.audit = Audit(database)
        self.settings = Settings(database)
        self.tags = Tags(database)
        self.device = Device(database)
        self.loudspeakers = Loudspeakers(database)
        self.media = Media(database)
        self.configuration = Configuration(database)

    @classmethod
    def open(cls, url: str, *, timeout: float = 5.0, migrate: bool = False) -> Self:
        """Open the catalogue at `url`. With `migrate`, make or upgrade its tables first (one process does that)."""
        if migrate:
            make_private(url)
        engine = open_engine(url, timeout=timeout)
        try:
            if migrate:
                upgrade(engine)
        except BaseException:
            engine.dispose()
            raise
        return cls(Database(engine))

    def revision(self) -> int:
        """Grows with every change of cameras, recordings, jobs and accounts, by whatever process."""
        return self.settings.revision()

    def close(self) -> None:
        self.database.close()


class AsyncCatalogue:
    """The catalogue for an event loop: `await catalogue.run(catalogue.sync.cameras.all)`."""

    def __init__(self, sync: Catalogue, *, threads: int = 2, waiting: int = WAITING) -> None:
        self.sync = sync
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="catalogue")
        self._limit = threads + waiting
        self._pending = 0

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `call` in one of the catalogue's threads. Raises Unavailable at the bound, Timeout after 30 s."""
        if self._pending >= self._limit:
            raise Unavailable("the database is overloaded")
        future = asyncio.get_running_loop().run_in_executor(self._pool, partial(call, *args, **kwargs))
        self._pending += 1
        future.add_done_callback(self._done)
        try:
            # Not wait_for: before Python 3.12 it loses a cancellation that comes together with the result.
            async with asyncio.timeout(CALL_TIMEOUT):
                return await asyncio.shield(future)
        except TimeoutError as error:
            raise Timeout("the database does not answer") from error

    def _done(self, future: asyncio.Future[T]) -> None:
        self._pending -= 1
        # A caller that gave up does not ask for the outcome any more.
        if not future.cancelled():
            future.exception()

    async def close(self) -> None:
        """Wait for calls under way, then close the connections."""
        await asyncio.to_thread(self._pool.shutdown, wait=True, cancel_futures=True)
        await asyncio.to_thread(self.sync.close)
