"""Live metadata in a media worker: who is sent what, and when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from onvifd.clock import US, SimulatedClock, ntp_to_utc
from onvifd.live import hub
from onvifd.live.metadata_stream import FORMAT, PAYLOAD_TYPE, MetadataStream
from onvifd.media.rtp.depack import depacketizer
from onvifd.media.rtp.packet import SenderReport, parse_rtcp, parse_rtp
from onvifd.media.types import AccessUnit, FlushUnit
from onvifd.workers.live_metadata import QUIET, LiveMetadata
from onvifd.workers.messages import LivePart, Presentations
from onvifd.workers.specs import MetadataSpec, PresentationSpec
from tests.live.test_metadata import CAMERA, EVENT, shape

CAM = "cam-11111111"
STEP = 0.01
FRAME, PTZ, NOTICE = ("VideoAnalytics", ["Frame"]), ("PTZ", ["PTZStatus"]), ("Event", ["NotificationMessage"])


def profile(name: str, **chosen: bool) -> PresentationSpec:
    metadata = MetadataSpec(token=f"mdc-{CAM}-{name}", **chosen)
    return PresentationSpec(
        path=f"/live/{CAM}/{name}", profile=f"{CAM}-{name}", camera=CAM, video=name, metadata=metadata
    )


MAIN = profile("main", analytics=True, ptz_status=True, ptz_position=True)
SUB = profile("sub")


class Rig:
    def __init__(self) -> None:
        self.clock = SimulatedClock()
        self.live = LiveMetadata(self.clock)
        self.live.replace(Presentations(presentations=(MAIN, SUB)))
        self.task = asyncio.create_task(self.live.run())

    async def go(self, seconds: float) -> None:
        """Let time pass in small steps, and everybody do what is due in each."""
        for _ in range(round(seconds / STEP)):
            await self._settle()
            await self.clock.advance(STEP)
        await self._settle()

    @staticmethod
    async def _settle() -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    def watch(self, spec: PresentationSpec) -> Watcher:
        stream = self.live.stream(spec)
        assert stream is not None
        return Watcher(stream)

    def camera(self, stream: str = "main", document: bytes = CAMERA) -> None:
        self.live.document(CAM, stream, AccessUnit(2, self.clock.utc(), 0, True, document))

    def event(self, *configurations: str, state: str = "") -> None:
        tokens = tuple(f"mdc-{CAM}-{each}" for each in configurations)
        self.live.part(
            LivePart(
                camera=CAM, configurations=tokens, part=EVENT.data, state=state, initial=EVENT.data if state else b""
            )
        )


class Watcher:
    """A client: joins documents out of the packets that it is sent, as one that plays does."""

    def __init__(self, stream: MetadataStream) -> None:
        self.stream = stream
        self.documents: list[list[tuple[str, list[str]]]] = []
        self.reports: list[SenderReport] = []
        self.sequence: list[int] = []
        self.times: list[int] = []
        self.ended = 0
        self._depack = depacketizer(FORMAT)
        for unit in stream.backlog():
            self._take(unit)
        stream.attach(self._take, self._end)

    def _end(self) -> None:
        self.ended += 1

    def leave(self) -> None:
        self.stream.detach(self._take)

    def _take(self, unit: FlushUnit) -> None:
        if unit.rtcp:
            (report,) = parse_rtcp(unit.data[4:])
            assert isinstance(report, SenderReport)
            self.reports.append(report)
            return
        for start, end in zip(unit.starts, (*unit.starts[1:], len(unit.data)), strict=True):
            packet = parse_rtp(unit.data, start + 4, end)
            assert packet.payload_type == PAYLOAD_TYPE
            self.sequence.append(packet.seq)
            for frame in self._depack.feed(unit.data[packet.start : packet.end], packet.marker, packet.rtp_time, True):
                self.documents.append(shape(frame.data))
                self.times.append(packet.rtp_time)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    yield made
    made.task.cancel()
    await asyncio.gather(made.task, return_exceptions=True)


@pytest.mark.covers("T-MetadataStream", "M-MetadataStream")
async def test_a_document_each_second_to_who_watches(rig: Rig) -> None:
    await rig.go(5)
    watcher = rig.watch(SUB)
    await rig.go(3.5)
    assert watcher.documents == [[], [], []]
    assert watcher.sequence == [(watcher.sequence[0] + number) & 0xFFFF for number in range(len(watcher.sequence))]
    watcher.leave()
    await rig.go(10)
    assert len(watcher.documents) == 3
    assert not watcher.stream.wanted


async def test_reports_tell_the_time_of_documents(rig: Rig) -> None:
    watcher = rig.watch(SUB)
    await rig.go(12.5)
    assert len(watcher.reports) == 3
    first, *_, last = watcher.reports
    assert {first.rtp_time, last.rtp_time} <= set(watcher.times)
    passed = ntp_to_utc(last.ntp) - ntp_to_utc(first.ntp)
    assert (last.rtp_time - first.rtp_time) & 0xFFFFFFFF == passed * FORMAT.clock_rate // US
    assert (last.packets, first.packets) == (watcher.times.index(last.rtp_time), 0)


async def test_who_comes_after_a_pause_gets_no_report_of_the_time_before(rig: Rig) -> None:
    first = rig.watch(SUB)
    await rig.go(2)
    first.leave()
    await rig.go(20)
    second = rig.watch(SUB)
    assert second.reports == []
    await rig.go(1.5)
    (report,) = second.reports
    assert rig.clock.utc() - ntp_to_utc(report.ntp) < 2 * US


@pytest.mark.covers("T-MetadataStream", "M-MetadataStream")
async def test_each_configuration_gets_what_it_selects(rig: Rig) -> None:
    main, sub = rig.watch(MAIN), rig.watch(SUB)
    await rig.go(0.1)
    main.documents.clear(), sub.documents.clear()
    rig.camera()
    rig.event("sub")
    await rig.go(0.05)
    assert main.documents == [[FRAME, PTZ]]
    assert sub.documents == [[NOTICE]]


@pytest.mark.covers("T-PropertyStateOnSync", "M-media2-SetSynchronizationPoint")
async def test_a_synchronisation_point_tells_all_that_is_true(rig: Rig) -> None:
    rig.camera()
    rig.event("main", "sub", state="motion")
    watcher = rig.watch(MAIN)
    await rig.go(0.05)
    assert watcher.documents[-1] == [NOTICE, PTZ]  # who joins needs it
    await rig.go(2)
    watcher.documents.clear()
    rig.camera()
    watcher.stream.synchronise()
    assert watcher.documents == [[FRAME, PTZ]]  # the one under way is closed at once
    await rig.go(0.05)
    assert watcher.documents[1:] == [[NOTICE, PTZ]]
    rig.live.part(LivePart(camera=CAM, configurations=(f"mdc-{CAM}-main",), state="motion"))
    watcher.documents.clear()
    watcher.stream.synchronise()
    await rig.go(0.05)
    assert watcher.documents == [[], [PTZ]]
    rig.live.part(LivePart(camera=CAM, anew=True))


async def test_who_joins_soon_after_another_is_told_all_that_is_true_as_well(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "KEYFRAME_INTERVAL", 0.2)
    rig.event("main", state="motion")
    others = [rig.watch(MAIN), rig.watch(MAIN)]  # the second is told at once
    await rig.go(0.1)
    rig.camera()
    await rig.go(0.1)  # what a newcomer begins with tells no state
    last = rig.watch(MAIN)
    rig.camera()  # and neither does the next document
    await rig.go(0.1)
    async with asyncio.timeout(5):
        while not any(NOTICE in document for document in last.documents):
            await asyncio.sleep(0.01)  # wishes are granted by the clock of the event loop
            await rig.go(0.05)
    for watcher in (*others, last):
        watcher.leave()


async def test_one_stream_of_a_camera_is_listened_to(rig: Rig) -> None:
    watcher = rig.watch(MAIN)
    await rig.go(0.1)
    watcher.documents.clear()
    rig.camera("main")
    rig.camera("sub")
    await rig.go(0.05)
    assert watcher.documents == [[FRAME, PTZ]]
    await rig.go(QUIET)
    watcher.documents.clear()
    rig.camera("sub")
    await rig.go(0.05)
    assert [FRAME, PTZ] in watcher.documents


async def test_what_a_camera_sends_and_is_no_document_is_left_out(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.camera(document=b"<PTZStatus")
    watcher = rig.watch(MAIN)
    await rig.go(0.05)
    rig.event("main")
    rig.camera(document=b"<broken")
    rig.camera(document=b"<broken")
    await rig.go(0.05)
    assert watcher.documents[-1] == [NOTICE]
    assert caplog.text.count("a document of its metadata cannot be read") == 1


async def test_streams_of_configurations_that_are_gone_end(rig: Rig) -> None:
    main, sub = rig.watch(MAIN), rig.watch(SUB)
    rig.live.replace(Presentations(presentations=(MAIN,)))
    assert (main.ended, sub.ended) == (0, 1)
    assert rig.live.stream(SUB) is None
    rig.event("main", "sub")
    await rig.go(0.05)
    assert main.documents[-1] == [NOTICE]


async def test_time_stamps_grow_though_the_clock_is_set_back(rig: Rig) -> None:
    watcher = rig.watch(SUB)
    await rig.go(2)
    rig.clock.step(-3600)
    rig.event("sub")
    await rig.go(3)
    steps = [(after - before) & 0xFFFFFFFF for before, after in zip(watcher.times, watcher.times[1:], strict=False)]
    assert len(steps) >= 4
    assert all(0 < step < 1 << 31 for step in steps)
