"""The public RTSP port before a worker takes over."""

import asyncio
import ipaddress

import pytest

from onvifd.access.ip_filter import FilterRules, IpFilter
from onvifd.errors import Unavailable
from onvifd.rtsp.arrival import Arrival
from onvifd.workers.first import FirstRequest, path_of
from onvifd.workers.frontdoor import FrontDoor

DESCRIBE = b"DESCRIBE rtsp://h:554/live/cam-1/main?x=1 RTSP/1.0\r\nCSeq: 2\r\n\r\n"


def test_path_of_targets() -> None:
    assert path_of("rtsp://host:8554/live/cam-1/main?a=b") == "/live/cam-1/main"
    assert path_of("RTSP://[::1]:8554") == "/"
    assert path_of("*") == "/"
    assert path_of("/live/x") == "/live/x"


def test_options_without_path_is_answered_and_the_next_request_decides() -> None:
    first = FirstRequest()
    answer = first.receive_data(b"OPTIONS * RTSP/1.0\r\ncseq: 7\r\n\r\n" + DESCRIBE[:20])
    assert answer.startswith(b"RTSP/1.0 200 OK\r\nCSeq: 7\r\nPublic: OPTIONS, DESCRIBE")
    assert first.path is None
    assert first.receive_data(DESCRIBE[20:]) == b""
    assert first.path == "/live/cam-1/main"
    assert first.buffer == DESCRIBE


def test_options_with_path_is_handed_over_unanswered() -> None:
    first = FirstRequest()
    assert first.receive_data(b"OPTIONS rtsp://h/replay/rec-1 RTSP/1.0\r\nCSeq: 1\r\n\r\n") == b""
    assert first.path == "/replay/rec-1"


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x02\x00\n", b"DESCRIBE rtsp://h/" + b"a" * 20_000, b"\r\n\r\n"]
)
def test_other_protocols_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="400"):
        FirstRequest().receive_data(data)


async def test_hands_over_refuses_and_survives() -> None:
    routed: list[tuple[str, bytes]] = []

    async def route(path: str, arrival: Arrival) -> None:
        if path == "/none":
            raise Unavailable("no worker")
        routed.append((path, arrival.initial))
        await asyncio.get_running_loop().sock_sendall(arrival.client, b"taken")

    door = FrontDoor(route)
    port = door.listen("127.0.0.1", 0)

    async def talk(data: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(data)
        answer = await asyncio.wait_for(reader.read(1000), 2)
        writer.close()
        await writer.wait_closed()
        return answer

    assert (await talk(b"nonsense\r\n\r\n")).startswith(b"RTSP/1.0 400")
    assert (await talk(b"OPTIONS rtsp://h/none RTSP/1.0\r\n\r\n")).startswith(b"RTSP/1.0 503")
    assert await talk(DESCRIBE) == b"taken"
    assert routed == [("/live/cam-1/main", DESCRIBE)]
    await door.close()
    with pytest.raises(OSError):  # noqa: PT011 - the port is closed, whatever the system calls it
        await asyncio.open_connection("127.0.0.1", port)


async def test_who_only_connects_keeps_nobody_out(caplog: pytest.LogCaptureFixture) -> None:
    async def route(path: str, arrival: Arrival) -> None:
        await asyncio.get_running_loop().sock_sendall(arrival.client, b"taken")

    door = FrontDoor(route, max_waiting=4)
    port = door.listen("127.0.0.1", 0)
    idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
    try:
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(DESCRIBE)
            assert await asyncio.wait_for(reader.read(100), 5) == b"taken"
            writer.close()
        # The first that only connected made room; those that came later still may say what they want.
        assert await asyncio.wait_for(idle[0][0].read(1), 5) == b""
        idle[3][1].write(DESCRIBE)
        assert await asyncio.wait_for(idle[3][0].read(100), 5) == b"taken"
        assert sum("without a request" in record.message for record in caplog.records) == 1
    finally:
        for _, writer in idle:
            writer.close()
        await door.close()


@pytest.mark.covers("SEC-07")
async def test_the_filter_is_asked_again_before_a_connection_is_handed_over() -> None:
    rules = IpFilter()
    routed: list[str] = []

    async def route(path: str, arrival: Arrival) -> None:
        routed.append(path)

    door = FrontDoor(route, permits=rules.permits)
    port = door.listen("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
    writer.write(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    rules.replace(FilterRules(False, (ipaddress.ip_network("127.0.0.2/32"),)))
    writer.write(DESCRIBE)
    async with asyncio.timeout(20):
        assert await reader.read() == b""
    assert routed == []
    writer.close()
    await door.close()


@pytest.mark.covers("SEC-07")
async def test_address_filter_holds_at_accept_and_changes_without_restart() -> None:
    async def route(path: str, arrival: Arrival) -> None:
        await asyncio.get_running_loop().sock_sendall(arrival.client, b"taken")

    rules = IpFilter()
    door = FrontDoor(route, permits=rules.permits)
    port = door.listen("127.0.0.1", 0)

    async def talk(source: str) -> bytes:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
            writer.write(DESCRIBE)
            answer = await asyncio.wait_for(reader.read(100), 5)
        except ConnectionError:
            return b""
        writer.close()
        return answer

    try:
        assert await talk("127.0.0.2") == b"taken"
        rules.replace(FilterRules(prefixes=(ipaddress.ip_network("127.0.0.2/32"),)))
        assert await talk("127.0.0.2") == b""
        assert await talk("127.0.0.3") == b"taken"
        rules.replace(FilterRules())
        assert await talk("127.0.0.2") == b"taken"
    finally:
        await door.close()


async def test_crowd_of_one_address_makes_room_for_the_others() -> None:
    async def route(path: str, arrival: Arrival) -> None:
        await asyncio.get_running_loop().sock_sendall(arrival.client, b"taken")

    door = FrontDoor(route, max_waiting=4)
    port = door.listen("127.0.0.1", 0)
    waiting = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.3", 0))
    crowd = [await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0)) for _ in range(20)]
    try:
        # It was the first to come, and those who came after it in numbers do not push it out.
        assert await asyncio.wait_for(crowd[0][0].read(1), 5) == b""
        waiting[1].write(DESCRIBE)
        assert await asyncio.wait_for(waiting[0].read(100), 5) == b"taken"
    finally:
        for _, writer in (waiting, *crowd):
            writer.close()
        await door.close()
