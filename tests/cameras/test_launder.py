"""Whatever a camera does, clients see one SSRC, numbers that grow and times that do not go back."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from dataclasses import dataclass, field

from hypothesis import example, given, settings
from hypothesis import strategies as st

from onvifd.cameras.codec_change import CodecChanged
from onvifd.cameras.intake_core import BadStream, Walker
from onvifd.cameras.intake_track import Counters, InboundTrack
from onvifd.clock import utc_to_ntp
from onvifd.media.rtp.packet import SenderReport, build_sender_report, parse_rtp
from onvifd.media.types import AccessUnit, FlushUnit
from onvifd.rtsp.client_transport import Way
from tests.cameras.fault_camera import Camera, Packet, Rig, frame, pictures, seq_of, set_seq, set_time, time_of
from tests.rtsp.sample import START, encoded

FAULTS = (
    "lose",
    "lose-all",
    "twice",
    "late",
    "ssrc",
    "stray",
    "type",
    "sequence",
    "time",
    "time-back",
    "stall",
    "mark-all",
    "mark-none",
    "padding",
    "extension",
    "csrc",
    "report",
    "report-insane",
    "report-broken",
    "empty",
    "garbage",
    "answer",
    "request",
    "reconnect",
)


@dataclass
class Source:
    """A camera in memory that spoils what comes next, and the walker that receives it."""

    seed: int
    track: InboundTrack = field(init=False)
    counters: Counters = field(default_factory=Counters)
    units: list[FlushUnit] = field(default_factory=list)
    frames: list[AccessUnit] = field(default_factory=list)
    now: int = START
    connections: int = 0
    lied: bool = False
    """Whether a marker stood in the middle of a picture."""

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        format, _ = encoded()
        self.track = InboundTrack(0, format, 96, 0x1234)
        self.pictures = pictures()
        self.ssrc, self.seq, self.time = 0xCAFE, 0, 0
        self.recent: list[Packet] = []
        self.connect()

    def connect(self) -> None:
        self.connections += 1
        self.rest = bytearray()
        self.walker = Walker(
            {0: self.track},
            self.counters,
            on_unit=self.units.append,
            on_format=lambda track: None,
            on_message=lambda message: None,
            on_jump=lambda track, by: None,
        )
        self.walker.on_frame = self.frames.append

    def receive(self, data: bytes) -> None:
        """In pieces of any size, as a connection brings them."""
        while data:
            size = self.chance.choice((len(data), 1, 7, 100, 1400))
            buffer = self.rest + data[:size]
            data = data[size:]
            try:
                used = self.walker.receive(buffer, 0, len(buffer), self.now)
            except (BadStream, CodecChanged):
                self.reconnect()
                return
            self.rest = buffer[used:]

    def reconnect(self) -> None:
        self.track.begin(encoded()[0])
        self.seq, self.time = self.chance.getrandbits(16), self.chance.getrandbits(32)
        self.connect()

    def step(self, fault: str) -> None:
        number, packets = next(self.pictures)
        self.now += 40_000
        for packet in packets:
            set_seq(packet, seq_of(packet) + self.seq)
            set_time(packet, time_of(packet) + self.time)
            packet[8:12] = self.ssrc.to_bytes(4, "big")
        self.receive(b"".join(self.spoiled(fault, number, packets)))
        self.recent = packets
        if self.chance.random() < 0.2:
            self.walker.flush()

    def spoiled(self, fault: str, number: int, packets: list[Packet]) -> list[bytes]:
        chance = self.chance
        before: list[bytes] = []
        match fault:
            case "lose":
                packets = [packet for packet in packets if chance.random() < 0.8]
            case "lose-all":
                packets = []
            case "twice":
                packets = [each for packet in packets for each in (packet, packet)]
            case "late":
                packets = [*self.recent[-3:], *packets]
            case "ssrc":
                self.ssrc = chance.getrandbits(32)
            case "stray":
                stray = bytearray(packets[0])
                stray[8:12] = chance.randbytes(4)
                set_seq(stray, chance.getrandbits(16))
                set_time(stray, chance.getrandbits(32))
                packets = [*packets, stray]
            case "type":
                other = bytearray(packets[0])
                other[1] = chance.choice((13, 50, 127))
                set_seq(other, chance.choice((seq_of(packets[0]), chance.getrandbits(16))))
                packets = [other, *packets]
            case "sequence":
                self.seq = chance.getrandbits(16)
            case "time":
                self.time = chance.getrandbits(32)
            case "time-back":
                self.time -= 90_000 * chance.randrange(2, 1000)
            case "stall":
                self.now += chance.randrange(60_000_000)
            case "mark-all" | "mark-none":
                self.lied |= fault == "mark-all"
                for packet in packets:
                    packet[1] = packet[1] & 0x7F | (0x80 if fault == "mark-all" else 0)
            case "padding":
                packets = [bytearray(b"\xa0" + packet[1:] + b"\0\0\3") for packet in packets]
            case "extension":
                head = b"\xab\xac\0\1abcd"
                packets = [bytearray(b"\x90" + packet[1:12] + head + packet[12:]) for packet in packets]
            case "csrc":
                packets = [bytearray(b"\x82" + packet[1:12] + bytes(8) + packet[12:]) for packet in packets]
            case "report":
                report = SenderReport(ssrc=self.ssrc, ntp=utc_to_ntp(self.now), rtp_time=time_of(packets[0]))
                before = [frame(1, build_sender_report(report))]
            case "report-insane":
                report = SenderReport(ssrc=self.ssrc, ntp=chance.getrandbits(64), rtp_time=chance.getrandbits(32))
                before = [frame(chance.randrange(2), build_sender_report(report))]
            case "report-broken":
                before = [frame(1, chance.randbytes(chance.randrange(60)))]
            case "empty":
                before = [frame(0, b""), frame(0, b"short"), frame(1, b"")]
            case "garbage":
                before = [chance.randbytes(chance.randrange(200)).replace(b"$", b"%")]
            case "answer":
                before = [b"RTSP/1.0 200 OK\r\nCSeq: 4\r\nContent-Length: 3\r\n\r\nabc"]
            case "request":
                before = [b"ANNOUNCE rtsp://x/ RTSP/1.0\nCSeq: 4\n\n"]
            case "reconnect":
                self.reconnect()
        return [*before, *(frame(0, bytes(packet)) for packet in packets)]

    def check(self) -> None:
        packets = [parse_rtp(unit.data, start + 4) for unit in self.units if not unit.rtcp for start in unit.starts]
        assert {packet.ssrc for packet in packets} <= {0x1234}
        assert {packet.payload_type for packet in packets} <= {96}
        for one, other in itertools.pairwise(packets):
            assert 0 < (other.seq - one.seq & 0xFFFF) < 0x8000
            assert other.rtp_time - one.rtp_time & 0xFFFFFFFF < 1 << 31
        # A picture ends once, but for the one by which a lying camera is found out.
        twice = sum(one.marker and one.rtp_time == other.rtp_time for one, other in itertools.pairwise(packets))
        assert twice <= self.connections
        ticks = [each.ticks for each in self.frames]
        assert ticks == sorted(ticks)
        whole = {data for _, data in encoded()[1]}
        assert sum(each.data not in whole for each in self.frames) <= (2 * self.connections if self.lied else 0)
        assert sum(map(len, self.track.pieces)) < 8 << 20
        assert len(self.rest) < 70_000


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 1 << 30), st.lists(st.sampled_from(("none", "none", *FAULTS)), min_size=1, max_size=60))
@example(1, ["none", "none", "late", "none", "twice", "ssrc", "none", "sequence", "reconnect", "none"])
@example(0, ["none", "none", "time-back", "type"])
def test_clients_see_a_stream_that_goes_on(seed: int, faults: list[str]) -> None:
    source = Source(seed)
    for fault in faults:
        source.step(fault)
    source.walker.flush()
    source.check()
    # And it heals: once the camera is good again, pictures come.
    count = len(source.frames)
    for _ in range(130):
        source.step("none")
    assert len(source.frames) > count
    source.check()


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=3000), st.integers(0, 1 << 30))
def test_any_bytes_at_all(data: bytes, seed: int) -> None:
    source = Source(seed)
    source.step("none")
    source.receive(data)
    for _ in range(3):
        source.step("none")
    assert len(source.rest) < 70_000


async def test_over_transports_and_restarts_of_the_source() -> None:
    """TCP, then UDP since that is all the camera gives after its restart, then TCP again."""
    rig: Rig | None = None
    async with contextlib.AsyncExitStack() as stack:
        camera = Camera()
        url = await stack.enter_async_context(camera.url())
        rig = await stack.enter_async_context(Rig(url, silence=1.0).running())
        for refuse in ("", "tcp", "udp", "tcp"):
            camera.refuse = frozenset((refuse,)) - {""}
            client = rig.intake._client
            if client is not None:
                client.abort("restarted")
            before, count = camera.connections, len(rig.frames)
            await rig.until(lambda: camera.connections > before or not refuse)  # noqa: B023
            await rig.until(lambda: len(rig.frames) >= count + 30)  # noqa: B023
            assert rig.intake._way is (Way.UDP if refuse == "tcp" else Way.TCP)
        rig.check_laundered()
        assert {format[0].codec for format in rig.formats} == {encoded()[0].codec}
        await asyncio.sleep(0)
