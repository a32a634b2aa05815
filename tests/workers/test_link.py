"""Typed messages across a link, in memory and over sockets."""

import asyncio
import socket

import pytest

from onvifd.errors import Timeout, Unavailable
from onvifd.rtsp.arrival import Arrival
from onvifd.workers.link import FdChannel, Link, LocalLink, SocketLink
from onvifd.workers.messages import AnyMessage, Done, Failure, GetKeyframe, Jpeg, Ping, Pong, Stop


async def make_pair(kind: str) -> tuple[Link, Link]:
    if kind == "local":
        return LocalLink.pair()
    one, two = socket.socketpair()
    return await SocketLink.open(one), await SocketLink.open(two)


@pytest.mark.parametrize("kind", ["local", "socket"])
async def test_request_gets_its_own_answer(kind: str) -> None:
    ours, theirs = await make_pair(kind)

    async def handle(message: AnyMessage) -> AnyMessage | None:
        match message:
            case Ping():
                return Pong()
            case GetKeyframe():
                await asyncio.sleep(0)
                return Jpeg(data=message.camera.encode() * 1000)
        return None

    theirs.listen(handle)
    answers = await asyncio.gather(
        ours.request(GetKeyframe(camera="one", stream="main")),
        ours.request(Ping()),
        ours.request(GetKeyframe(camera="two", stream="main")),
    )
    assert answers == [Jpeg(data=b"one" * 1000), Pong(), Jpeg(data=b"two" * 1000)]
    await ours.close()
    await theirs.close()


@pytest.mark.parametrize("kind", ["local", "socket"])
async def test_failures_reach_the_asker(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    ours, theirs = await make_pair(kind)

    async def handle(message: AnyMessage) -> AnyMessage | None:
        match message:
            case Ping():
                raise ValueError("broken")
            case Stop():
                return Failure(reason="not now")
            case Done():
                await asyncio.sleep(10)
        return None

    theirs.listen(handle)
    with pytest.raises(Unavailable, match="broken"):
        await ours.request(Ping())
    assert "handling Ping failed" in caplog.text
    with pytest.raises(Unavailable, match="not now"):
        await ours.request(Stop())
    with pytest.raises(Timeout):
        await ours.request(Done(), timeout=0.01)
    await theirs.close()
    await asyncio.wait_for(asyncio.shield(ours.closed), 1)
    with pytest.raises(Unavailable):
        await ours.request(Ping())
    await ours.close()


async def test_pending_requests_fail_when_the_other_side_dies() -> None:
    one, two = socket.socketpair()
    link = await SocketLink.open(one)
    waiting = asyncio.create_task(link.request(Ping(), timeout=5))
    await asyncio.sleep(0)
    two.close()
    with pytest.raises(Unavailable, match="ended"):
        await waiting
    await link.close()


async def test_connection_travels_with_the_bytes_already_read() -> None:
    ours, theirs = FdChannel.pair()
    client, server = socket.socketpair()
    sender, receiver = FdChannel(ours), FdChannel(theirs)
    arrived: asyncio.Future[Arrival] = asyncio.get_running_loop().create_future()
    receiver.listen(arrived.set_result)
    await sender.send(Arrival(client=server, initial=b"OPTIONS * RTSP/1.0\r\n\r\n"))
    server.close()
    arrival = await asyncio.wait_for(arrived, 1)
    assert arrival.initial == b"OPTIONS * RTSP/1.0\r\n\r\n"
    with arrival.client as sock, client:
        sock.sendall(b"hello")
        assert client.recv(10) == b"hello"
    receiver.close()
    with pytest.raises(Unavailable):
        await sender.send(Arrival(client=client))
    sender.close()


async def test_both_connections_of_a_tunnel_travel_together() -> None:
    ours, theirs = FdChannel.pair()
    sender, receiver = FdChannel(ours), FdChannel(theirs)
    arrived: asyncio.Future[Arrival] = asyncio.get_running_loop().create_future()
    receiver.listen(arrived.set_result)
    get, get_far = socket.socketpair()
    post, post_far = socket.socketpair()
    with get, get_far, post, post_far:
        sent = Arrival(client=get, post=post, rest=b"YQ", cookie="c", peer="192.0.2.1", local="192.0.2.2", secure=True)
        await sender.send(sent)
        arrival = await asyncio.wait_for(arrived, 1)
        assert arrival.pack() == sent.pack()
        assert arrival.post is not None
        with arrival.client, arrival.post:
            arrival.client.sendall(b"down")
            post_far.sendall(b"up")
            assert (get_far.recv(9), arrival.post.recv(9)) == (b"down", b"up")
    receiver.close()
    sender.close()


async def test_lines_to_other_workers_travel_beside_connections() -> None:
    ours, theirs = FdChannel.pair()
    sender, receiver = FdChannel(ours), FdChannel(theirs)
    lines: asyncio.Queue[socket.socket] = asyncio.Queue()
    receiver.listen(None, lines.put_nowait)
    one, other = socket.socketpair()
    with one, other:
        # a connection that nobody takes is closed
        await sender.send(Arrival(client=one))
        await sender.send_line(one)
        async with asyncio.timeout(5):
            arrived = await lines.get()
        with arrived:
            arrived.sendall(b"picture")
            assert other.recv(16) == b"picture"
        assert lines.empty()
    sender.close()
    receiver.close()
