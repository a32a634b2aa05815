"""The cases of recording control, receivers, search and replay: all are there, and the recorder passes those that apply."""

from __future__ import annotations

import asyncio
import struct
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lxml import etree

from conformance import pattern, runner
from conformance.cases import receiver
from conformance.cases.recording_common import room_for_recording
from conformance.cases.replay_common import check_packets, frames
from conformance.model import Failure, NotRun
from conformance.names import NS
from conformance.rtp import Media, check_rtcp, read_rtp, read_sdp
from conformance.session import Track
from conformance.source import ONE, RtspSource
from onvifd.rtsp.client import RtspClient
from tests.conformance.laboratory import Laboratory, laboratory

COUNTS = {"Recording": 40, "Receiver": 21, "Search": 44, "Replay": 51}


def test_all_official_cases_are_there() -> None:
    found = Counter(each.document for each in runner.select(documents=list(COUNTS)))
    assert found == COUNTS


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    """A recorder that has recorded a little, with picture, sound and metadata."""
    with laboratory(tmp_path_factory.mktemp("archive")) as made:
        made.start()
        began = time.monotonic()
        # Footage of half a minute is what the cases of search and replay need; they look into what is there.
        while time.monotonic() - began < FOOTAGE:
            time.sleep(0.5)
        yield made


FOOTAGE = 30.0


@pytest.mark.e2e
@pytest.mark.timeout(900)
@pytest.mark.xdist_group("recorder")
@pytest.mark.parametrize("document", ["Search", "Replay", "Recording", "Receiver"])
def test_no_case_fails(place: Laboratory, document: str) -> None:
    report = place.examine(
        *("--document", document, "--operation-delay", "2", "--case-timeout", "90", "--destructive"), timeout=860
    )
    verdicts = {each["id"]: (each["verdict"], each["why"]) for each in report["cases"]}
    assert len(verdicts) == COUNTS[document]
    assert {each: why for each, (verdict, why) in verdicts.items() if verdict in ("FAIL", "NOT RUN")} == {}
    passed = sum(verdict == "PASS" for verdict, _ in verdicts.values())
    assert passed >= {"Recording": 40, "Receiver": 21, "Search": 34, "Replay": 51}[document], verdicts


# ---- parts --------------------------------------------------------------------------------------------


def test_pictures_of_the_simulator_decode(tmp_path: Path) -> None:
    file = tmp_path / "pattern.h264"
    pictures = (
        part for number in range(3) for part in (pattern.sps(96, 64), pattern.pps(), pattern.idr(96, 64, number))
    )
    file.write_bytes(b"".join(b"\0\0\0\1" + each for each in pictures))
    command = ["ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=width,height,nb_read_frames"]
    done = subprocess.run([*command, "-of", "csv=p=0", str(file)], capture_output=True, text=True, timeout=30)
    assert (done.stdout.strip(), done.stderr.strip()) == ("96,64,3", "")


@pytest.mark.parametrize("udp", [False, True])
async def test_simulator_streams_to_a_client(udp: bool) -> None:
    heard: list[int] = []

    def receive(buffer: bytearray, start: int, end: int) -> int:
        heard.append(end - start)
        return end

    async with RtspSource("127.0.0.1", lambda title, request, answer: None) as source:
        client = RtspClient(source.uri(ONE))
        await client.connect()
        (track,) = (await client.describe()).tracks
        if udp:
            await client.setup_udp(track, 0)
        else:
            await client.setup(track, 0)
        await client.play(receive)
        async with asyncio.timeout(10):
            while len(heard) < 3:
                await asyncio.sleep(0.01)
        await client.close()
        assert await source.wait_for("TEARDOWN", 5) is not None
        assert [each.method for each in source.seen][:4] == ["OPTIONS", "DESCRIBE", "SETUP", "PLAY"]


def test_replay_extension_is_read() -> None:
    head = bytes.fromhex("9060000a0000000100000002")
    extension = bytes.fromhex("abac0003" + "e8f1f2f380000000" + "a0070000")
    packet = read_rtp(head + extension + b"payload", 0.0)
    assert packet.extension is not None
    assert (packet.extension.clean, packet.extension.end, packet.extension.discontinuity) == (True, False, True)
    assert (packet.extension.cseq, packet.extension.zeros, packet.payload) == (7, 0, b"payload")
    for wrong in (b"\x40" + head[1:], head[:8], head + extension[:7], head + b"\xab\xac\0\1" + bytes(4)):
        with pytest.raises(Failure):
            read_rtp(wrong, 0.0)


@pytest.mark.parametrize(("behind", "good"), [("ffd80000", True), ("ffff0000", True), ("abcd0000", False)])
def test_the_extension_of_jpeg_may_follow_that_of_replay(behind: str, good: bool) -> None:
    head = bytes.fromhex("9060000a0000000100000002")
    packet = head + bytes.fromhex("abac0004" + "e8f1f2f380000000" + "a0070000" + behind) + b"payload"
    if good:
        read = read_rtp(packet, 0.0)
        assert (read.extension is not None, read.payload) == (True, b"payload")
    else:
        with pytest.raises(Failure):
            read_rtp(packet, 0.0)


def test_rtcp_and_sdp_are_judged() -> None:
    check_rtcp(bytes.fromhex("80c90001" + "00000001"))
    for wrong in ("81ca0001" + "00000001", "80c90002" + "00000001", "40c90001" + "00000001"):
        with pytest.raises(Failure):
            check_rtcp(bytes.fromhex(wrong))
    text = "v=0\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\na=control:v\r\na=x-onvif-track:VIDEO001\r\n"
    description = read_sdp(text)
    (media,) = description.media
    assert (media.kind, media.encoding, media.clock, media.track, media.control) == (
        *("video", "H265", 90_000, "VIDEO001", "v"),
    )
    with pytest.raises(Failure):
        read_sdp("o=nothing")


def test_every_packet_of_an_access_unit_may_have_the_extension() -> None:
    """Streaming 6.3 demands it of the first one; what stands in the others as well begins no new unit."""

    def packet(sequence: int, time: str, *, marker: bool, flags: str = "a0") -> bytes:
        head = struct.pack("!BBHII", 0x90, 96 | marker << 7, sequence, 1000, 7)
        return head + bytes.fromhex("abac0003" + time + "00000000" + flags + "070000") + b"\x65payload"

    later, earlier = "e8f1f2f5", "e8f1f2f3"
    sent = [packet(n, later, marker=n == 2) for n in range(3)] + [packet(n, earlier, marker=n == 4) for n in (3, 4)]
    read = [read_rtp(each, 0.0) for each in sent]
    assert [len(unit) for unit in frames(read)] == [3, 2]
    track = Track(Media("video", "", "", "H264", 90_000), "", read)
    device: Any = Full(False)
    check_packets(device, track, read, cseq=7, transport="RTSP", backward=True)
    forward = [replace(each, sequence=n) for n, each in enumerate([*read[3:], *read[:3]])]
    with pytest.raises(AssertionError, match="not in reverse order"):
        check_packets(device, track, forward, cseq=7, transport="RTSP", backward=True)


class Full:
    """A device that is full: what an examination asks of it, and what it was told to delete."""

    def __init__(self, destructive: bool) -> None:
        self.settings = SimpleNamespace(destructive=destructive)
        self.deleted: list[str] = []
        self.soap = self

    async def ask(self, prefix: str, body: str) -> etree._Element:
        names = " ".join(f'xmlns:{key}="{NS[key]}"' for key in ("trc", "trv", "tt"))
        inside = {
            "<trc:GetServiceCapabilities/>": '<trc:Capabilities MaxRecordings="1"/>',
            "<trv:GetServiceCapabilities/>": '<trv:Capabilities SupportedReceivers="1"/>',
            "<trc:GetRecordings/>": "<trc:RecordingItem><tt:RecordingToken>r</tt:RecordingToken></trc:RecordingItem>",
            "<trv:GetReceivers/>": "<trv:Receivers><tt:Token>v</tt:Token><tt:Configuration/></trv:Receivers>",
        }.get(body, "")
        return etree.fromstring(f"<answer {names}>{inside}</answer>")

    async def call(self, prefix: str, body: str) -> SimpleNamespace:
        self.deleted.append(body.partition(">")[0].strip("<"))
        return SimpleNamespace(fault=None)

    def check(self, good: object, why: str) -> None:
        assert good, why

    def cannot(self, why: str) -> None:
        raise NotRun(why)


@pytest.mark.parametrize("destructive", [False, True])
async def test_a_full_device_loses_nothing_unless_that_is_asked_for(destructive: bool) -> None:
    device: Any = Full(destructive)
    made = [room_for_recording(device), receiver.room(device).__aenter__()]
    for each in made:
        if destructive:
            await each
        else:
            with pytest.raises(NotRun):
                await each
    assert device.deleted == (["trc:DeleteRecording", "trv:DeleteReceiver"] if destructive else [])
