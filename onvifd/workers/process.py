"""A worker as a process: event loop, logging, link and the end of it all."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from onvifd.host import logs
from onvifd.rtsp.arrival import Arrival
from onvifd.workers.link import FdChannel, Link, SocketLink
from onvifd.workers.messages import AnyMessage, Setup

log = logging.getLogger(__name__)

SWITCH = 0.001
"""Seconds that a thread may go on while the event loop waits to. Python's own 5 ms are as long as a picture may take."""

LOG_FORMAT = "%(asctime)s %(levelname)-7s {name} %(name)s: %(message)s"


class WorkerBody(Protocol):
    """What a kind of worker provides."""

    stopped: asyncio.Event

    async def handle(self, message: AnyMessage) -> AnyMessage | None: ...

    async def stop(self) -> None: ...


def run_loop(main: Coroutine[Any, Any, None]) -> None:
    """Run on uvloop where it is installed, else on asyncio's own loop."""
    sys.setswitchinterval(SWITCH)
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)


Made = tuple[WorkerBody, Callable[[Arrival], None] | None, Callable[[socket.socket], None] | None]


def make(kind: str, link: Link) -> Made:
    """The worker of a kind, what takes connections and what takes lines to other workers for it. Imports late: each process loads only what it needs."""
    if kind == "media":
        from onvifd.workers.media import MediaWorker

        media = MediaWorker(link)
        return media, media.adopt, media.connect
    if kind == "replay":
        from onvifd.workers.replay import ReplayWorker

        replay = ReplayWorker(link)
        return replay, replay.adopt, None
    if kind == "vision":
        from onvifd.workers.vision import VisionWorker

        vision = VisionWorker(link)
        return vision, None, vision.connect
    raise ValueError(f"no worker of kind {kind!r}")


async def start_local(
    setup: Setup, link: Link
) -> tuple[Callable[[Arrival], None] | None, Callable[[], Awaitable[None]], Callable[[socket.socket], None] | None]:
    """A worker within this process, for one-process mode (see `supervisor.launch_local`)."""
    body, adopt, connect = make(setup.kind, link)
    link.listen(body.handle)
    return adopt, body.stop, connect


def _orphaned(body: WorkerBody) -> None:
    if not body.stopped.is_set():
        log.error("control is gone; closing files and ending")
        body.stopped.set()


async def _serve(kind: str, link_fd: int, connection_fd: int) -> None:
    link = await SocketLink.open(socket.socket(fileno=link_fd))
    body, adopt, connect = make(kind, link)
    channel = FdChannel(socket.socket(fileno=connection_fd))
    loop = asyncio.get_running_loop()
    # A terminal's Ctrl-C and a service manager's SIGTERM are control's business; a direct SIGTERM still ends cleanly.
    loop.add_signal_handler(signal.SIGTERM, body.stopped.set)
    link.listen(body.handle)
    channel.listen(adopt, connect)
    link.closed.add_done_callback(lambda _: _orphaned(body))
    # Modules and types stay until the end: no collection is to walk them while pictures wait.
    gc.freeze()
    await body.stopped.wait()
    channel.close()
    await body.stop()
    await link.close()


def main(arguments: list[str]) -> int:
    """Run one worker until control says stop or is gone."""
    kind, link_fd, connection_fd = arguments[0], int(arguments[1]), int(arguments[2])
    logging.basicConfig(
        level=os.environ.get("ONVIFD_LOG_LEVEL", "INFO"), format=LOG_FORMAT.format(name=kind), stream=sys.stderr
    )
    logging.getLogger("alembic").setLevel(logging.WARNING)
    kept = logs.from_environment(kind)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Long-lived media objects hold no cycles: a rare collection costs less than many. Of replay many sessions are begun and
    # ended, which leaves more behind, and whoever begins to play waits as long as a collection takes.
    gc.set_threshold(5_000 if kind == "replay" else 50_000, 20, 20)
    try:
        run_loop(_serve(kind, link_fd, connection_fd))
    finally:
        if kept is not None:
            kept.close()
    return 0
