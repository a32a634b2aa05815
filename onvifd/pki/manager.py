"""The keystore for an event loop: changes one at a time, keys generated beside it, contexts exchanged when it changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, Protocol, TypeVar

from onvifd.clock import Clock
from onvifd.errors import LimitReached, OnvifdError
from onvifd.pki.assignment import Assignment
from onvifd.pki.keystore import Keystore, generate
from onvifd.pki.rows import CORRUPT, GENERATING
from onvifd.pki.signatures import ECC, RSA, PrivateKey
from onvifd.pki.validation import Validation
from onvifd.store.security import SecurityState

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

ESTIMATES = {"2048": 1.0, "3072": 3.0, "4096": 8.0}
"""Seconds that an RSA key takes on a slow machine until one was measured; curves take no time."""
LEAST_ESTIMATE = 1.0


class Runner(Protocol):
    """Runs what blocks in a thread, within bounds (`AsyncCatalogue.run`)."""

    def __call__(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]: ...


StatusChanged = Callable[[str, str | None, str], None]
"""Key id, old status (None for a new key), new status."""
Applied = Callable[[SecurityState], Awaitable[None]]


class SecurityManager:
    """Owns the keystore's state in memory and the generation of keys; lives on one loop.

    `changed` is told of key statuses, `applied` is awaited with every new state before the change is reported as done.
    """

    def __init__(
        self, keystore: Keystore, run: Runner, clock: Clock, *, changed: StatusChanged, applied: Applied
    ) -> None:
        self.keystore = keystore
        self.validation = Validation(keystore)
        self.assignment = Assignment(keystore)
        self.state = SecurityState()
        self._run = run
        self._clock = clock
        self._changed = changed
        self._applied = applied
        self._changing = asyncio.Lock()
        self._announcing = asyncio.Lock()
        self._queue: asyncio.Queue[tuple[str, str, str]] = asyncio.Queue(keystore.limits.keys)
        """Keys to generate: id, algorithm, size. Each has its place in the keystore, which is the bound."""
        self._ahead: list[tuple[str, str]] = []
        self._estimates = dict(ESTIMATES)
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="keys")
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read the state and go on with keys whose generation was interrupted."""
        await self.refresh()
        for row in self.state.keys.values():
            if row.status == GENERATING:
                self._put(row.id, row.algorithm, row.size)
        self._task = asyncio.create_task(self._generate(), name="key generation")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        # A key that is under way ends within seconds; nobody waits for it.
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def change(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a change of the keystore; when it returns, new connections see it."""
        async with self._changing:
            result = await self._run(call, *args, **kwargs)
            await self._take_over()
        return result

    async def ask(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what blocks but changes nothing."""
        return await self._run(call, *args, **kwargs)

    async def refresh(self) -> None:
        """Take over what another process changed."""
        async with self._changing:
            await self._take_over()

    async def _take_over(self) -> None:
        state = await self._run(self.keystore.load)
        if state != self.state:
            await self._applied(state)
            self.state = state

    # ---- generation ----------------------------------------------------------------------------

    async def create_key(self, algorithm: str, size: str, alias: str | None) -> tuple[str, float]:
        """Begin to generate a key; gives its id and about how many seconds it takes.

        Raises LimitReached (MaximumNumberOfKeysReached), InvalidArgument (KeyLength, UnsupportedEllipticCurve).
        """
        async with self._announcing:
            if self._queue.full():
                # Keys that were deleted while they waited still hold their place here.
                raise LimitReached("too many keys wait to be generated", detail="MaximumNumberOfKeysReached")
            key_id = await self.change(self.keystore.announce_key, algorithm, size, alias)
            self._put(key_id, algorithm, size)
        self._changed(key_id, None, GENERATING)
        seconds = sum(self._estimate(*each) for each in self._ahead)
        return key_id, max(LEAST_ESTIMATE, seconds)

    def _put(self, key_id: str, algorithm: str, size: str) -> None:
        self._queue.put_nowait((key_id, algorithm, size))
        self._ahead.append((algorithm, size))

    def _estimate(self, algorithm: str, size: str) -> float:
        return 0.0 if algorithm == ECC else self._estimates.get(size, LEAST_ESTIMATE)

    async def _generate(self) -> None:
        while True:
            key_id, algorithm, size = await self._queue.get()
            try:
                if key_id in self.state.keys:
                    await self._generate_one(key_id, algorithm, size)
            except OnvifdError as error:
                log.error("key %s cannot be stored: %s", key_id, error.reason)
            except Exception:
                # A defect costs one key, not all that follow.
                log.exception("key %s cannot be generated", key_id)
            finally:
                del self._ahead[0]

    async def _generate_one(self, key_id: str, algorithm: str, size: str) -> None:
        loop = asyncio.get_running_loop()
        began = self._clock.monotonic()
        key: PrivateKey | None = None
        try:
            key = await loop.run_in_executor(self._threads, generate, algorithm, size)
        except Exception as error:  # the library's own errors are many, and each means the same
            log.error("key %s cannot be generated: %s", key_id, error)
        if algorithm == RSA and key is not None:
            took = self._clock.monotonic() - began
            self._estimates[size] = 0.5 * (self._estimates.get(size, took) + took)
        status = await self.change(self.keystore.finish_key, key_id, key)
        if status is not None:
            self._changed(key_id, GENERATING, status)
            if status == CORRUPT:
                log.error("key %s is corrupt", key_id)
