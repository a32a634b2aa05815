"""Live hostile clients: a server goes on for all others, and keeps nothing of them."""

from __future__ import annotations

import asyncio
import gc
import os
import ssl
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from onvifd.bodies.gate import GateLimits
from onvifd.pki.handshake import prepare
from onvifd.rtsp import server as server_module
from onvifd.rtsp.server_events import Limits
from onvifd.workers import frontdoor as frontdoor_module
from tests.bodies.test_gate import tls as tls
from tests.bodies.test_tunnels import House, housing
from tests.rtsp import hostile
from tests.rtsp.hostile import LIMITS, Dial, dialling, greeted

WAYS = ("door", "door+tls", "door+http", "web+http", "web+tls+http", "ws", "wss")
GATE = GateLimits(handshake=1.0, head=1.0, pace_window=1.0, unread=5.0)


@asynccontextmanager
async def quick(tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, limits: Limits = LIMITS) -> AsyncIterator[House]:
    """Everything that listens, with little patience."""
    monkeypatch.setattr(server_module, "TICK", 0.05)
    monkeypatch.setattr(frontdoor_module, "FIRST_REQUEST_TIMEOUT", 1.0)
    monkeypatch.setattr(frontdoor_module, "HANDSHAKE_TIMEOUT", 1.0)
    prepare(tls)  # opens what stays open
    async with housing(tls, limits, GATE) as house:
        monkeypatch.setattr(house.door.tunnels, "_timeout", 1.0)
        monkeypatch.setattr(house.door.tunnels._websockets, "_timeout", 1.0)
        yield house


def state(house: House) -> dict[str, int]:
    """All that a client may take."""
    tunnels = house.door.tunnels
    return {
        "connections": house.server.connections,
        "sessions": house.server.sessions,
        "sinks": house.stream.clients,
        "descriptors": len(os.listdir("/proc/self/fd")),
        "tasks": len(asyncio.all_tasks()),
        "of the server": len(house.server._tasks),
        "handshakes": house.door.handshakes,
        "at the door": len(house.door._waiting) + len(house.door._tasks),
        "tunnels": tunnels.waiting + tunnels.joining + len(tunnels._timers),
        "web sockets": tunnels._websockets.waiting,
        "at the web server": house.face._gate.keeper.count,
    }


async def until(true: Callable[[], object], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.02)


async def settled(house: House, before: dict[str, int]) -> None:
    """Nothing is left of what has been done."""

    def more() -> dict[str, tuple[int, int]]:
        return {what: (before[what], now) for what, now in state(house).items() if now > before[what]}

    try:
        await until(lambda: not more())
    except TimeoutError:
        assert not more(), "something of them stays"


async def besieged(house: House, attacks: Callable[[], list[Awaitable[None]]]) -> None:
    """Others lose nothing meanwhile, and nothing is left afterwards."""
    async with hostile.honest(house.ports["door"]) as watching:
        await until(lambda: all(each.packets > 10 for each in watching))
        gc.collect()  # contexts of TLS before
        before, seen = state(house), [each.packets for each in watching]
        async with asyncio.timeout(90):
            await asyncio.gather(*attacks())
        await settled(house, before)
        await until(lambda: all(each.packets > count + 20 for each, count in zip(watching, seen, strict=True)))
        assert [each.gaps for each in watching] == [[], []], "an honest client misses packets"


@pytest.mark.parametrize("way", WAYS)
async def test_harm_within_rtsp(tls: ssl.SSLContext, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with quick(tls, monkeypatch) as house:
        dials = dialling(house.ports, way), dialling(house.ports, way, deaf=True)

        def attacks() -> list[Awaitable[None]]:
            chosen = ((attack, dials[attack is hostile.never_reads]) for attack in hostile.WITHIN)
            return [attack(each) for attack, dial in chosen for each in (dial, greeted(dial))]

        await besieged(house, attacks)


@pytest.mark.parametrize("way", ["ws", "wss"])
async def test_harm_around_rtsp_in_a_websocket(tls: ssl.SSLContext, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with quick(tls, monkeypatch) as house:
        dial = dialling(house.ports, way)
        sent = hostile.websocket_attacks().values()
        await besieged(
            house, lambda: [hostile.sends_raw(each, data) for data in sent for each in (dial, greeted(dial))]
        )


@pytest.mark.parametrize("way", ["ws", "wss"])
async def test_who_takes_no_pongs(tls: ssl.SSLContext, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with quick(tls, monkeypatch) as house:
        dial = dialling(house.ports, way, deaf=True)
        await besieged(house, lambda: [hostile.never_takes_pongs(each) for each in (dial, greeted(dial))])


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("where", ["door", "web"])
async def test_harm_around_rtsp_in_a_tunnel(
    tls: ssl.SSLContext, where: str, secure: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with quick(tls, monkeypatch) as house:
        port = house.ports[where + ("+tls" if secure else "")]
        dial = dialling(house.ports, f"{where}{'+tls' if secure else ''}+http")
        await besieged(
            house,
            lambda: [
                hostile.tunnels_by_halves(port, tls=secure),
                hostile.posts_anew(dial, port, tls=secure),
                hostile.sends_raw(dial, b"=" * 50_000),
                hostile.sends_raw(greeted(dial), b"A===" * 20_000),
                hostile.sends_raw(greeted(dial), b"\r\n" * 50_000 + b"!"),
            ],
        )


@pytest.mark.parametrize("where", ["door+tls", "web+tls"])
async def test_harm_around_rtsp_in_tls(tls: ssl.SSLContext, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with quick(tls, monkeypatch) as house:
        port = house.ports[where]
        await besieged(house, lambda: [hostile.no_tls(port), hostile.breaks_tls(port)])


async def test_harm_by_datagrams(tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rubbish from a client's own ports is its own affair; from others nothing is heard, a BYE included."""
    async with quick(tls, monkeypatch, Limits(login_timeout=1.0, idle_timeout=0.5, bye_grace=0.5)) as house:
        dial = dialling(house.ports, "door")

        async def spoofing() -> None:
            ports = [
                sock.getsockname()[1]
                for connection in house.server._connections
                for media in connection._media.values()
                for pair in media.pairs.values()
                for sock in (pair.rtp, pair.rtcp)
            ]
            assert ports
            for _ in range(10):
                hostile.spoof(ports)
                await asyncio.sleep(0.1)

        await besieged(house, lambda: [spoofing(), *(hostile.datagrams_of_a_client(dial) for _ in range(4))])


def rounds(house: House) -> tuple[Callable[[], Awaitable[None]], ...]:
    """Some of each kind."""

    def by(way: str, attack: Callable[[Dial], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        return lambda: attack(dialling(house.ports, way))

    pings = hostile.websocket_attacks()["pings"]
    found = [by(way, attack) for way in WAYS for attack in (hostile.garbage, hostile.plays_and_leaves)]
    found += [by(way, hostile.ten_thousand_requests) for way in ("door+tls", "web+http", "wss")]
    found += [by("ws", lambda dial: hostile.sends_raw(greeted(dial), pings)), by("door", hostile.datagrams_of_a_client)]
    found += [lambda: hostile.breaks_tls(house.ports["door+tls"])]
    found += [lambda: hostile.tunnels_by_halves(house.ports["web"], tls=False)]
    return tuple(found)


async def test_memory_does_not_grow_with_attacks(tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    async with quick(tls, monkeypatch) as house:

        async def round_of_attacks() -> int:
            async with asyncio.timeout(120):
                for attack in rounds(house):
                    await asyncio.gather(*(attack() for _ in range(2)))
            await until(lambda: house.server.connections == 0)
            gc.collect()
            return tracemalloc.get_traced_memory()[0]

        await round_of_attacks()
        tracemalloc.start()
        try:
            first = await round_of_attacks()
            for _ in range(2):
                last = await round_of_attacks()
        finally:
            tracemalloc.stop()
        assert last < first + 300_000, "each round leaves what the one before left"
