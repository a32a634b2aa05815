"""What clients report, as bytes and over sockets."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvifd.clock import utc_to_ntp
from onvifd.errors import InvalidArgument
from onvifd.media.rtp.packet import ReceiverReport, ReportBlock, build_bye, build_receiver_report
from onvifd.rtsp.client import RtspClient
from onvifd.rtsp.feedback import Reception, SessionFeedback, parse_feedback, pli, round_trip
from onvifd.rtsp.outlet_udp import MIN_RATE, UDP_RATE, PacedQueue, UdpOutlet
from onvifd.rtsp.server_events import Session
from tests.rtsp.sample import PASSWORD, USER, feeding, live, serving
from tests.rtsp.test_server_session import Sample

NOW = utc_to_ntp(1_767_225_600_000_000)


def report(*blocks: ReportBlock) -> bytes:
    return build_receiver_report(ReceiverReport(ssrc=9, blocks=blocks))


def test_losses_jitter_and_round_trip_of_a_report() -> None:
    session = SessionFeedback()
    sent = NOW - (2 << 32)  # two seconds ago
    block = ReportBlock(ssrc=1, fraction=64, lost=12, jitter=900, last_sr=sent >> 16 & 0xFFFFFFFF, delay=3 << 15)
    session.take(0, 90_000, report(block), NOW)
    assert session.tracks[0] == Reception(fraction=0.25, lost=12, jitter=0.01, round_trip=0.5)
    session.take(1, 8_000, report(ReportBlock(ssrc=2, lost=3)), NOW)
    assert session.worst == Reception(fraction=0.25, lost=15, jitter=0.01, round_trip=0.5)
    session.take(0, 90_000, report(ReportBlock(ssrc=1, lost=0xFFFFFF)), NOW)
    assert session.tracks[0].round_trip == 0.5, "known from before"


def test_a_session_without_reports_is_not_known() -> None:
    session = SessionFeedback()
    assert session.worst is None
    session.take(0, 90_000, b"\x80", NOW)
    session.take(0, 90_000, report(), NOW)
    assert (session.worst, session.unusable) == (None, 1)


@pytest.mark.parametrize(("last_sr", "delay"), [(0, 0), (1, 0), (NOW >> 16 & 0xFFFFFFFF, 1 << 31)])
def test_round_trips_that_cannot_be(last_sr: int, delay: int) -> None:
    assert round_trip(ReportBlock(ssrc=1, last_sr=last_sr, delay=delay), NOW) is None


def test_requests_for_key_frames() -> None:
    assert parse_feedback(pli(1, 2)).keyframe
    fir = struct.pack(">BBHIIII", 0x84, 206, 4, 1, 0, 2, 7 << 24)
    assert parse_feedback(report() + fir).keyframe
    assert parse_feedback(struct.pack(">BBHI", 0x80, 192, 1, 5)).keyframe
    assert not parse_feedback(report()).keyframe
    remb = struct.pack(">BBHII", 0x8F, 206, 2, 1, 0)
    assert not parse_feedback(remb).keyframe


def test_bye() -> None:
    assert parse_feedback(build_bye(5)).bye


@given(st.binary(max_size=200))
def test_anything_else_is_told_from_reports(data: bytes) -> None:
    session = SessionFeedback()
    session.take(0, 0, data, NOW)
    try:
        parse_feedback(data)
    except InvalidArgument:
        assert session.unusable == 1


async def test_reported_losses_slow_bursts_and_their_end_speeds_them_up() -> None:
    outlet = UdpOutlet(Session("s", "/p", "rtsp://h/p", Sample(), 0.0), {}, lambda _: None)
    queue: PacedQueue = outlet._queue
    outlet.reported(0.2)
    assert queue.rate == UDP_RATE * 0.7
    outlet.reported(0.01)
    assert queue.rate == UDP_RATE * 0.7, "what is lost now and then is not lost by bursts"
    for _ in range(30):
        outlet.reported(1.0)
    assert queue.rate == MIN_RATE
    for _ in range(100):
        outlet.reported(0.0)
    assert queue.rate == UDP_RATE


# ---- over sockets --------------------------------------------------------------------------------


async def until(true) -> None:  # type: ignore[no-untyped-def]
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.005)


async def test_reports_within_the_connection_are_listed_and_ask_for_key_frames() -> None:
    stream, mount = live()
    asked: list[int] = []
    stream.on_keyframe_wanted = lambda: asked.append(1)
    async with serving(mount) as (server, port), feeding(stream):
        client = RtspClient(f"rtsp://127.0.0.1:{port}/live/cam-1/main", USER, PASSWORD)
        await client.connect()
        description = await client.describe()
        channel, _ = await client.setup(description.tracks[0], 4)
        await client.play(lambda buffer, start, end: end)
        ((session, *_),) = server.listing()
        assert server.reception(session) is None
        packet = report(ReportBlock(ssrc=1, fraction=128, lost=4, jitter=90)) + pli(9, 1)[8:]
        client.send_rtcp(channel + 1, packet)
        await until(lambda: server.reception(session))
        assert server.reception(session) == Reception(fraction=0.5, lost=4, jitter=0.001)
        await until(lambda: asked)
        await client.close()
    stream.end()


async def test_reports_by_udp_and_bye() -> None:
    stream, mount = live()
    async with serving(mount) as (server, port), feeding(stream):
        client = RtspClient(f"rtsp://127.0.0.1:{port}/live/cam-1/main", USER, PASSWORD)
        await client.connect()
        description = await client.describe()
        await client.setup_udp(description.tracks[0], 0)
        await client.play(lambda buffer, start, end: end)
        ((identity, *_),) = server.listing()
        (connection,) = server._connections
        (session,) = connection.machine.sessions.values()
        (pair,) = connection._media[identity].pairs.values()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as foreign:
            foreign.sendto(build_bye(1), ("127.0.0.1", pair.server_port[1]))
        deadline = session.deadline
        pair._received(True, report(ReportBlock(ssrc=1, lost=9)))
        await until(lambda: server.reception(identity))
        assert session.deadline >= deadline, "nobody else can end it"
        pair._received(True, build_bye(1))
        assert session.deadline <= server.now() + server.limits.bye_grace
        client.keep_alive()
        await until(lambda: session.deadline > server.now() + server.limits.bye_grace)
        await client.close()
