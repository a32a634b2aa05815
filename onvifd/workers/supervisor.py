"""Starts the workers, watches them, restarts those that die and stops them all in time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from onvifd.errors import OnvifdError, Unavailable
from onvifd.rtsp.arrival import Arrival
from onvifd.workers.link import FdChannel, Link, LocalLink, SocketLink
from onvifd.workers.messages import AnyMessage, Ping, Ready, Setup, Stop

log = logging.getLogger(__name__)

START_TIMEOUT = 30.0
PING_INTERVAL = 5.0
PING_TIMEOUT = 15.0
BACK_OFF = (0.2, 0.5, 1.0, 2.0, 5.0)
STEADY = 30.0
"""Seconds after which a worker counts as steady and its back-off starts anew."""

STOP_TIMEOUT = 3.0
KILL_TIMEOUT = 1.0

Adopt = Callable[[Arrival], None]
Connect = Callable[[socket.socket], None]
"""Takes the end of a line to another worker."""


@dataclass(slots=True)
class Handle:
    """One running worker as control sees it."""

    link: Link
    pid: int
    hand_over: Callable[[Arrival], Awaitable[None]]
    stop: Callable[[], Awaitable[None]]
    give_line: Callable[[socket.socket], Awaitable[None]] | None = None
    """Passes the end of a line to another worker on; the caller closes its own copy."""


Launch = Callable[[Setup], Awaitable[Handle]]


async def launch_process(setup: Setup) -> Handle:
    """Start a worker as a process of its own, with a socket pair for messages and one for connections."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    our_fds, their_fds = FdChannel.pair()
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "onvifd.workers",
            setup.kind,
            str(theirs.fileno()),
            str(their_fds.fileno()),
            pass_fds=(theirs.fileno(), their_fds.fileno()),
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C reaches control alone, which then stops its workers in order
        )
    except OSError:
        ours.close()
        our_fds.close()
        raise
    finally:
        theirs.close()
        their_fds.close()
    link = await SocketLink.open(ours)
    channel = FdChannel(our_fds)

    async def hand_over(arrival: Arrival) -> None:
        await channel.send(arrival)

    async def stop() -> None:
        link.send(Stop())
        for wait, final in ((STOP_TIMEOUT, signal.SIGTERM), (KILL_TIMEOUT, signal.SIGKILL)):
            try:
                async with asyncio.timeout(wait):
                    await process.wait()
                break
            except TimeoutError:
                log.warning("worker %s (pid %d) does not stop, sending %s", setup.name, process.pid, final.name)
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(final)
        else:
            await process.wait()
        channel.close()
        # What it said last (the ends of recordings) is read up to the end of the link.
        await asyncio.wait([link.closed], timeout=KILL_TIMEOUT)
        await link.close()

    return Handle(link, process.pid, hand_over, stop, channel.send_line)


def launch_local(
    start: Callable[[Setup, Link], Awaitable[tuple[Adopt | None, Callable[[], Awaitable[None]], Connect | None]]],
) -> Launch:
    """Run workers within this process: `start` takes the worker's end of the link and gives its adopt, stop and connect."""

    async def launch(setup: Setup) -> Handle:
        ours, theirs = LocalLink.pair()
        adopt, stop_worker, connect = await start(setup, theirs)

        async def hand_over(arrival: Arrival) -> None:
            if adopt is None:
                raise Unavailable(f"worker {setup.name} takes no connections")
            adopt(arrival.duplicate())

        async def give_line(sock: socket.socket) -> None:
            if connect is not None:
                connect(sock.dup())

        async def stop() -> None:
            await stop_worker()
            await theirs.close()
            await ours.close()

        return Handle(ours, os.getpid(), hand_over, stop, give_line)

    return launch


@dataclass(slots=True)
class Worker:
    """A worker that is kept running. `brief` sends it what it must know after every start.

    `lost` is awaited when it died, before it is started again; not when it is stopped.
    """

    setup: Setup
    launch: Launch
    receive: Callable[[str, AnyMessage], Awaitable[AnyMessage | None]]
    brief: Callable[[str, Link], Awaitable[None]]
    lost: Callable[[str], Awaitable[None]]
    handle: Handle | None = None
    restarts: int = 0
    started: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        return self.setup.name

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        failures = 0
        while True:
            began = time.monotonic()
            try:
                await self._run_once()
            except (OSError, OnvifdError, TimeoutError) as error:
                log.error("worker %s does not start: %s", self.name, error)
            except Exception:
                # whatever happened, its cameras must come back
                log.exception("worker %s: supervision failed", self.name)
            self.restarts += 1
            failures = 0 if time.monotonic() - began > STEADY else failures + 1
            await asyncio.sleep(BACK_OFF[min(failures, len(BACK_OFF) - 1)])

    async def _run_once(self) -> None:
        """From start to death."""
        handle = await self._start_once()
        try:
            await self._watch(handle)
        finally:
            self.handle = None
            self.started.clear()
            await _stopped(handle)
        log.error("worker %s (pid %d) died; restarting it", self.name, handle.pid)
        await self.lost(self.name)

    async def _start_once(self) -> Handle:
        handle = await self.launch(self.setup)
        try:
            handle.link.listen(lambda message: self.receive(self.name, message))
            answer = await handle.link.request(self.setup, START_TIMEOUT)
            if not isinstance(answer, Ready):
                raise Unavailable(f"unexpected answer {type(answer).__name__}")
            # Connections come by another way than messages: nobody may arrive before accounts and cameras are known.
            self.handle = handle  # what changes meanwhile is sent behind the brief
            await self.brief(self.name, handle.link)
        except BaseException:
            self.handle = None
            await _stopped(handle)
            raise
        self.started.set()
        log.info("worker %s runs (pid %d)", self.name, handle.pid)
        return handle

    async def _watch(self, handle: Handle) -> None:
        """Return when the worker is gone or has stopped answering."""
        while not handle.link.closed.done():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PING_INTERVAL):
                    await asyncio.shield(handle.link.closed)
                    return
            try:
                await handle.link.request(Ping(), PING_TIMEOUT)
            except OnvifdError as error:
                log.error("worker %s (pid %d): %s", self.name, handle.pid, error.reason)
                return

    def send(self, message: AnyMessage) -> None:
        """Send if it runs; a worker that starts later is briefed as a whole."""
        if self.handle is not None:
            self.handle.link.send(message)

    async def request(self, message: AnyMessage, timeout: float = 5.0) -> AnyMessage:
        """Ask the worker. Raises Unavailable when it does not run or fails."""
        if self.handle is None:
            raise Unavailable(f"worker {self.name} is not running")
        return await self.handle.link.request(message, timeout)

    async def hand_over(self, arrival: Arrival) -> None:
        """Pass a connection on; raises Unavailable when the worker does not run or is not briefed yet."""
        if self.handle is None or not self.started.is_set():
            raise Unavailable(f"worker {self.name} is not running")
        await self.handle.hand_over(arrival)

    async def give_line(self, sock: socket.socket) -> bool:
        """Pass the end of a line to another worker on; false when this one does not run or takes none."""
        if self.handle is None or self.handle.give_line is None:
            return False
        try:
            await self.handle.give_line(sock)
        except Unavailable as error:
            log.warning("worker %s gets no line: %s", self.name, error.reason)
            return False
        return True

    async def stop(self) -> None:
        """Stop for good, within STOP_TIMEOUT + 2 * KILL_TIMEOUT."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


async def _stopped(handle: Handle) -> None:
    """Stop a worker to the end, even if control stops meanwhile: no process may outlive us."""
    stopping = asyncio.ensure_future(handle.stop())
    try:
        await asyncio.shield(stopping)
    except asyncio.CancelledError:
        await stopping
        raise
