"""Back channels of the RTSP server (Streaming 5.3), with our client on loopback."""

from __future__ import annotations

import asyncio
import random

import pytest

from onvifd.errors import OnvifdError, Unavailable
from onvifd.live.talk import TalkLine
from onvifd.media.rtp.packet import SenderReport, build_rtp, build_sender_report, parse_rtcp
from onvifd.media.types import Codec, TrackFormat
from onvifd.rtsp.backchannel import BACKCHANNEL_TAG, Talker
from onvifd.rtsp.client import RtspClient
from onvifd.rtsp.messages import Interleaved, Parser
from onvifd.rtsp.talks import _Held
from tests.rtsp.sample import feeding
from tests.rtsp.talk import PASSWORD, House, Speaker, until

SPEECH = random.Random(1).randbytes(160 * 50)
G726 = TrackFormat(codec=Codec.G726, clock_rate=8000, channels=1, bits=4)


async def sdp(house: House, require: str, camera: str = "cam-1") -> str:
    client = RtspClient(house.url(camera), "olga", PASSWORD, require=require)
    await client.connect()
    try:
        request = client.session.request("DESCRIBE", client.session.url, (("Accept", "application/sdp"),))
        return (await client._ask(request)).body.decode()
    finally:
        await client.close()


@pytest.mark.covers("T-Backchannel")
async def test_the_section_is_shown_to_those_who_ask_for_it() -> None:
    async with House(G726).open() as house:
        assert "sendonly" not in await sdp(house, "")
        section = (await sdp(house, BACKCHANNEL_TAG)).partition("m=audio ")[2].splitlines()
    assert section[0] == "0 RTP/AVP 0 8 97"
    assert {"a=rtpmap:0 PCMU/8000", "a=rtpmap:8 PCMA/8000", "a=rtpmap:97 G726-32/8000", "a=sendonly"} <= set(section)


@pytest.mark.covers("T-Backchannel")
async def test_a_camera_without_back_channel_refuses_the_tag() -> None:
    async with House().open() as house:
        with pytest.raises(OnvifdError, match="551"):
            await sdp(house, BACKCHANNEL_TAG, "cam-2")
        assert "m=video" in await sdp(house, "", "cam-2")


@pytest.mark.covers("T-Backchannel-G711")
@pytest.mark.parametrize("udp", [False, True], ids=["tcp", "udp"])
async def test_what_is_said_arrives(udp: bool) -> None:
    async with House().open() as house:
        speaker = Speaker(house.url())
        await speaker.setup(await speaker.describe(), udp=udp)
        await speaker.play()
        speaker.say(SPEECH)
        await until(lambda: len(house.heard) == 50)
        assert b"".join(sound.data for sound in house.heard) == SPEECH
        assert [sound.at - house.heard[0].at for sound in house.heard] == [n * 20_000 for n in range(50)]
        await speaker.client.close()
        await until(lambda: house.line.talker(house.server.now()) is None)


async def test_nothing_is_heard_before_play_and_while_paused() -> None:
    async with House().open() as house:
        speaker = Speaker(house.url())
        await speaker.setup(await speaker.describe(), channel=4)
        transport = speaker.client._open().transport
        transport.write(Interleaved(4, SPEECH[:172]).serialise())
        await speaker.play()
        speaker.say(SPEECH[:160])
        await until(lambda: house.heard)
        assert len(house.heard) == 1
        transport.write(speaker.client.session.request("PAUSE"))
        speaker.say(SPEECH)
        transport.write(speaker.client.session.request("PLAY"))
        speaker.say(SPEECH[160:320])
        await until(lambda: len(house.heard) > 1)
        assert [sound.data for sound in house.heard] == [SPEECH[:160], SPEECH[160:320]]
        await speaker.client.close()


@pytest.mark.covers("LIV-10")
async def test_a_second_talker_is_refused_until_the_first_has_ended() -> None:
    async with House().open() as house:
        first, second = Speaker(house.url()), Speaker(house.url(), "otto")
        await first.setup(await first.describe())
        described = await second.describe()
        await first.play()
        with pytest.raises(Unavailable, match="503"):
            await second.setup(described)
        ((_, account, address, path, kinds),) = house.server.listing()
        assert (account, address, path, kinds) == ("olga", "127.0.0.1", "/live/cam-1/main", ("talk",))
        await first.client.close()
        await until(lambda: not house.server.listing())
        await second.setup(described)
        await second.play()
        second.say(SPEECH[:160])
        await until(lambda: house.heard)
        assert house.line.talker(house.server.now()).account == "otto"
        await second.client.close()


async def test_of_two_that_are_set_up_one_may_play() -> None:
    async with House().open() as house:
        first, second = Speaker(house.url()), Speaker(house.url(), "otto")
        for speaker in (first, second):
            await speaker.setup(await speaker.describe())
        await first.play()
        with pytest.raises(Unavailable, match="503"):
            await second.play()
        for speaker in (first, second):
            await speaker.client.close()


async def test_who_talks_to_a_camera_that_is_gone_is_ended() -> None:
    async with House().open() as house:
        speaker = Speaker(house.url())
        await speaker.setup(described := await speaker.describe())
        await speaker.play()
        speaker.say(SPEECH[:160])
        await until(lambda: house.heard)
        house.line.close()
        speaker.say(SPEECH)
        await until(lambda: house.server is not None and not house.server.listing())
        assert len(house.heard) == 1
        late = Speaker(house.url())
        await late.client.connect()
        await late.client.describe()
        with pytest.raises(Unavailable, match="503"):
            await late.setup(described)
        for each in (speaker, late):
            await each.client.close()


async def test_who_is_silent_gives_the_line_away() -> None:
    async with House(idle=0.05).open() as house:
        first, second = Speaker(house.url()), Speaker(house.url(), "otto")
        await first.setup(await first.describe())
        await first.play()
        await until(lambda: house.line.talker(house.server.now()) is None)
        await second.setup(await second.describe())
        await second.play()
        assert not first.client.lost.done()
        for speaker in (first, second):
            await speaker.client.close()


@pytest.mark.covers("LIV-10")
async def test_users_may_watch_but_not_talk() -> None:
    async with House().open() as house:
        speaker = Speaker(house.url(), "uwe")
        described = await speaker.describe()
        with pytest.raises(OnvifdError, match="403"):
            await speaker.setup(described)
        await speaker.client.setup(described.tracks[0], 0)
        await speaker.client.close()


@pytest.mark.covers("T-Backchannel")
async def test_pictures_and_sound_in_one_session() -> None:
    async with House().open() as house, feeding(house.stream):
        speaker = Speaker(house.url())
        described = await speaker.describe()
        await speaker.client.setup(described.tracks[0], 0)
        await speaker.setup(described, channel=2)
        seen = bytearray()

        def take(buffer: bytearray, start: int, end: int) -> int:
            seen.extend(buffer[start:end])
            return end

        await speaker.client.play(take)
        speaker.say(SPEECH)
        await until(lambda: len(house.heard) == 50 and len(seen) > 50_000)
        assert house.server.listing()[0][4] == ("talk", "video")
        await speaker.client.close()


async def test_who_only_talked_may_look_later() -> None:
    async with House().open() as house, feeding(house.stream):
        speaker = Speaker(house.url())
        described = await speaker.describe()
        await speaker.setup(described, channel=2)
        seen = bytearray()

        def take(buffer: bytearray, start: int, end: int) -> int:
            seen.extend(buffer[start:end])
            return end

        await speaker.client.play(take)
        speaker.say(SPEECH[:160])
        await until(lambda: house.heard)
        send = speaker.client._open().send
        session = speaker.client.session
        way = (("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1"),)
        setup = ("SETUP", described.tracks[0].url, way)
        for request in (("PAUSE",), setup, ("PLAY",)):
            before = len(seen)
            send(session.request(*request))
            await until(lambda before=before: len(seen) > before)
        await until(lambda: len(seen) > 50_000)
        assert house.server.listing()[0][4] == ("talk", "video")
        await speaker.client.close()


@pytest.mark.covers("T-Backchannel")
@pytest.mark.parametrize("udp", [False, True], ids=["tcp", "udp"])
async def test_who_talks_is_told_how_it_arrives(udp: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onvifd.rtsp.talks.FIRST_REPORT", 0.0)
    async with House().open() as house:
        speaker = Speaker(house.url())
        await speaker.setup(await speaker.describe(), udp=udp, channel=6)
        parser, reports = Parser(), []

        def take(buffer: bytearray, start: int, end: int) -> int:
            parser.receive_data(bytes(buffer[start:end]))
            while (message := parser.next_message()) is not None:
                if isinstance(message, Interleaved) and message.channel == 7:
                    reports.append(message.data)
            return end

        await speaker.client.play(take)
        speaker.seq = 0xFFFE
        speaker.say(SPEECH[:160])
        await until(lambda: reports)
        monkeypatch.setattr("onvifd.rtsp.talks.REPORTS", 0.0)
        (first,) = parse_rtcp(reports[0])
        assert isinstance(first, SenderReport)
        assert first.packets == 0
        assert [(block.ssrc, block.lost, block.highest_seq) for block in first.blocks] == [(0x5EA7, 0, 0xFFFE)]
        await speaker.client.close()


def test_reports_count_what_is_lost() -> None:
    line = TalkLine("cam-1")
    held = _Held(line.take(Talker("a", "b", "c"), 0.0))
    rates = {0: 8000}

    def packet(seq: int) -> bytes:
        return build_rtp(marker=False, payload_type=0, seq=seq & 0xFFFF, rtp_time=seq * 160, ssrc=9, payload=b"x")

    numbers = [0xFFFE, 0xFFFF, 0x10002, 0x10001, 0x10003]
    told = [held.count(packet(number), rates, 0.02 * n, 0) for n, number in enumerate(numbers)]
    assert told == [None] * 5
    ntp = 0xE000_0000_8000_0000
    held.reported(build_sender_report(SenderReport(ssrc=9, ntp=ntp, rtp_time=0)), 1.0)
    held.reported(b"no RTCP", 1.0)
    report = held.count(packet(0x10004), rates, 2.0, 1_767_225_600_000_000)
    assert report is not None
    (found,) = parse_rtcp(report)
    assert isinstance(found, SenderReport)
    (block,) = found.blocks
    assert (block.ssrc, block.lost, block.highest_seq) == (9, 1, 0x10004)
    assert (block.last_sr, block.delay) == (ntp >> 16 & 0xFFFFFFFF, 65536)
    assert held.count(packet(0x10005), rates, 6.9, 0) is None
    assert held.count(packet(0x10006), rates, 7.0, 0) is not None
    assert held.count(b"", rates, 20.0, 0) is None
    assert held.count(packet(0x10007).replace(b"\x80\0", b"\x80\x60", 1), rates, 20.0, 0) is None


async def test_sessions_that_talk_free_the_line_when_their_connection_is_lost() -> None:
    async with House().open() as house:
        speaker = Speaker(house.url())
        await speaker.setup(await speaker.describe())
        await speaker.play()
        speaker.client.abort("gone")
        await until(lambda: house.line.talker(house.server.now()) is None)


def test_without_a_talker_nobody_is_named() -> None:
    assert TalkLine("cam-1").talker(0.0) is None


async def test_a_flood_of_sound_ends_the_connection() -> None:
    async with House().open() as house:
        speaker = Speaker(house.url())
        await speaker.setup(await speaker.describe())
        await speaker.play()
        async with asyncio.timeout(10):
            while not speaker.client.lost.done():
                speaker.say(SPEECH)
                await asyncio.sleep(0.001)
        assert len(house.heard) < 500
