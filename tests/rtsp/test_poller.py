"""Many sockets in few wake-ups."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

import onvifd.rtsp.poller as poller
from onvifd.rtsp.poller import ReadPoller


@pytest.fixture
def pairs() -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    made = [socket.socketpair() for _ in range(poller.MANY + 2)]
    for near, _ in made:
        near.setblocking(False)
    yield made
    for near, far in made:
        near.close()
        far.close()


class Readers:
    """Reads what comes and remembers from where."""

    def __init__(self, pairs: list[tuple[socket.socket, socket.socket]], poller: ReadPoller) -> None:
        self.got: list[tuple[int, bytes]] = []
        self.arrived = asyncio.Event()
        for number, (near, _) in enumerate(pairs):
            poller.add(near.fileno(), lambda number=number, near=near: self.take(number, near))  # type: ignore[misc]

    def take(self, number: int, near: socket.socket) -> None:
        self.got.append((number, near.recv(100)))
        self.arrived.set()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.got) < count:
                self.arrived.clear()
                await self.arrived.wait()


@pytest.mark.parametrize("count", [1, poller.MANY + 2])
async def test_everything_that_comes_is_read(pairs: list[tuple[socket.socket, socket.socket]], count: int) -> None:
    readers = Readers(pairs[:count], reading := ReadPoller(lambda: True))
    for round in range(3):
        for number in range(count):
            pairs[number][1].send(b"%d" % round)
        await readers.until((round + 1) * count)
    assert sorted(readers.got) == sorted((number, b"%d" % round) for round in range(3) for number in range(count))
    reading.close()


async def test_after_silence_it_wakes_again(pairs: list[tuple[socket.socket, socket.socket]]) -> None:
    readers = Readers(pairs, reading := ReadPoller(lambda: True))
    pairs[0][1].send(b"first")
    await readers.until(1)
    async with asyncio.timeout(10):
        while not reading._waiting:  # nothing is looked at in vain
            await asyncio.sleep(poller.LIVE)
    pairs[3][1].send(b"second")
    await readers.until(2)
    assert readers.got == [(0, b"first"), (3, b"second")]
    reading.close()


async def test_a_removed_socket_is_not_called_again(pairs: list[tuple[socket.socket, socket.socket]]) -> None:
    reading = ReadPoller(lambda: True)
    called: list[int] = []
    ended = asyncio.Event()

    def other() -> None:
        pairs[1][0].recv(100)
        ended.set()

    def once() -> None:
        called.append(1)
        reading.remove(pairs[0][0].fileno())  # the data stays unread: it would be called for ever

    reading.add(pairs[0][0].fileno(), once)
    reading.add(pairs[1][0].fileno(), other)
    pairs[0][1].send(b"x")
    while not called:
        await asyncio.sleep(0)
    pairs[1][1].send(b"x")
    async with asyncio.timeout(10):
        await ended.wait()
    assert called == [1]
    reading.remove(pairs[1][0].fileno())
    reading.remove(pairs[1][0].fileno())  # twice does no harm
    reading.close()


async def test_a_socket_that_another_call_closed_is_not_called_in_the_same_look(
    pairs: list[tuple[socket.socket, socket.socket]],
) -> None:
    """Two streams of a camera: the end of one ends the other, whose data has come as well."""
    reading = ReadPoller(lambda: True)
    called: list[int] = []

    def end_all(number: int) -> None:
        called.append(number)
        for near, _ in pairs[:2]:
            reading.remove(near.fileno())
            near.close()

    for number, (near, far) in enumerate(pairs[:2]):
        reading.add(near.fileno(), lambda number=number: end_all(number))  # type: ignore[misc]
        far.send(b"x")
    async with asyncio.timeout(10):
        while not called:
            await asyncio.sleep(0)
    assert len(called) == 1
    assert (reading._waiting, reading._timer) == (False, None)
    reading.close()
