"""Tunnels that a worker has, and the POSTs by which they go on."""

from __future__ import annotations

import asyncio
import socket

from onvifd.rtsp.arrival import Arrival
from onvifd.rtsp.tunnel import TunnelHead
from onvifd.workers.tunnels import Half, Tunnels


async def test_a_tunnel_that_is_forgotten_meanwhile_still_goes_on() -> None:
    routed: list[tuple[str, bytes]] = []

    async def route(path: str, arrival: Arrival) -> None:
        routed.append((path, arrival.rest))

    tunnels = Tunnels(route)
    ours, theirs = socket.socketpair()
    post = Half(TunnelHead(True, "cookie"), ours, b"T1BU", "192.0.2.7", "192.0.2.1")
    tunnels._remember(post.key, "/live/cam-1/main")
    tunnels.take(post)
    tunnels._known.clear()  # so many others came
    async with asyncio.timeout(10):
        while tunnels._tasks:
            await asyncio.sleep(0)
    assert routed == [("/live/cam-1/main", b"T1BU")]
    assert ours.fileno() < 0, "the worker has a descriptor of its own"
    theirs.close()
    await tunnels.close()
