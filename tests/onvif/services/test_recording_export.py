"""Export of recorded data and segments: by bytes, with files that are really copied."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from onvifd.archive.index import Fragment, FragmentFlag, SegmentRow, SegmentState, pack_fragments
from onvifd.bodies.recording_export import LOCKED, MAX_WAITING
from onvifd.clock import US
from onvifd.errors import LimitReached
from onvifd.media.types import Codec, TrackFormat
from onvifd.onvif.services.common import NS_RECORDING
from onvifd.onvif.services.recording import RecordingService
from onvifd.onvif.types import trc, tt

TRC = f"{{{NS_RECORDING}}}"
TT = "{http://www.onvif.org/ver10/schema}"
T0 = 1_767_225_600 * US
"""2026-01-01T00:00:00Z"""
START = T0 - 3600 * US
H264 = TrackFormat(codec=Codec.H264, clock_rate=90_000, parameter_sets=(bytes.fromhex("6764002a"), b"\x68"))
KEY, PART = FragmentFlag.VIDEO | FragmentFlag.CLEAN, FragmentFlag.VIDEO


@pytest.fixture
def stage(recording_stage: Callable[..., Any]) -> Any:
    found = recording_stage()
    (found.folder / "storage").mkdir()
    return found


@pytest.fixture
def asked(stage: Any, client: Callable[..., Any]) -> Any:
    return client(RecordingService(stage.control, stage.export, stage))


def write(stage: Any, number: int, *, start: int, state: SegmentState = SegmentState.CLOSED) -> bytes:
    """A minute of footage in six fragments of ten seconds, every second one without key frame; gives the file."""
    recording = f"rec-{stage.cameras[0]}"
    head = f"head {number} ".encode()
    bodies = [f"fragment {number}.{part} ".encode() for part in range(6)]
    fragments, offset = [], len(head)
    for part, body in enumerate(bodies):
        at = start + part * 10 * US
        fragments.append(Fragment(offset, len(body), at, 10 * US, PART if part % 2 else KEY))
        offset += len(body)
    path: Path = stage.volume.root / f"{recording}/{number}.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    data = head + b"".join(bodies)
    path.write_bytes(data)
    row = SegmentRow(
        recording=recording,
        volume="vol-1",
        path=f"{recording}/{number}.mp4",
        start=start,
        end=start + 60 * US,
        size=len(data),
        formats=(H264,),
        fragments=pack_fragments(fragments),
        kinds=FragmentFlag.VIDEO,
        state=state,
    )
    stage.segments.insert_segment(row)
    return data


def span(start: int, end: int) -> tt.DateTimeRange:
    return tt.DateTimeRange(from_=start, until=end)


def listing(stage: Any, start: int, end: int, most: int | None = None) -> trc.ListRecordedSegments:
    return trc.ListRecordedSegments(time=span(start, end), recording_token=f"rec-{stage.cameras[0]}", max_results=most)


def exporting(stage: Any, start: int, end: int, **named: Any) -> trc.ExportRecordedSegments:
    named.setdefault("storage_token", "storage-1")
    named.setdefault("recording_token", f"rec-{stage.cameras[0]}")
    return trc.ExportRecordedSegments(time=span(start, end), **named)


def data(stage: Any, **named: Any) -> trc.ExportRecordedData:
    fields: dict[str, Any] = {
        "start_point": START + 25 * US,
        "end_point": START + 65 * US,
        "search_scope": tt.SearchScope(included_recordings=(f"rec-{stage.cameras[0]}",)),
        "file_format": "MP4",
        "storage_destination": tt.StorageReferencePath(storage_token="storage-1", relative_path="case 7"),
    }
    return trc.ExportRecordedData(**(fields | named))


async def settle(stage: Any) -> None:
    """Run what waits to its end."""
    while stage.export._waiting:
        await stage.export._carry_out(stage.export._waiting.popleft())


def files(stage: Any) -> dict[str, bytes]:
    root = stage.folder / "storage"
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def told(stage: Any) -> list[tuple[str, dict[str, str], list[str]]]:
    topic = "Monitoring/AsynchronousOperationStatus"
    return [
        (str(each.operation), dict(each.data), [text for _, text in each.elements])
        for each in stage.seen
        if each.topic == topic
    ]


async def test_segments_are_listed_in_pages_and_do_not_change(asked: Any, stage: Any) -> None:
    for number in range(3):
        write(stage, number, start=START + number * 60 * US)
    write(stage, 3, start=START + 180 * US, state=SegmentState.OPEN)
    first = await asked.ask(listing(stage, START + 30 * US, START + 300 * US, 2))
    found = list(first.iter(f"{TRC}Segment"))
    times = [(each.findtext(f"{TRC}StartTime"), each.findtext(f"{TRC}EndTime")) for each in found]
    assert times == [
        ("2025-12-31T23:00:00Z", "2025-12-31T23:01:00Z"),
        ("2025-12-31T23:01:00Z", "2025-12-31T23:02:00Z"),
    ]
    assert found[0].findtext(f"{TRC}MediaType") == 'video/mp4; codecs="avc1.64002A"'
    assert first.findtext(f".//{TRC}HasMoreResults") == "true"
    rest = await asked.ask(listing(stage, START + 120 * US, START + 300 * US))
    # The open segment may still grow: it is not listed.
    assert [each.findtext(f"{TRC}StartTime") for each in rest.iter(f"{TRC}Segment")] == ["2025-12-31T23:02:00Z"]
    assert rest.findtext(f".//{TRC}HasMoreResults") == "false"


@pytest.mark.covers("A022", "BAK-01", "BAK-05", "P177", "P179", "STO-35")
async def test_segments_are_copied_as_they_are_under_their_keys(asked: Any, stage: Any) -> None:
    one = write(stage, 0, start=START)
    two = write(stage, 1, start=START + 60 * US)
    answer = await asked.ask(exporting(stage, START + 70 * US, START + 80 * US, alias="trickle"))
    await settle(stage)
    camera = f"rec-{stage.cameras[0]}"
    # Annex 7.4: the second of its span.
    assert files(stage) == {f"export/2025-12-31/{camera}/23/01-00.000Z.1.mp4": two}
    token = answer.findtext(f"{TRC}OperationToken")
    seen = told(stage)
    assert [(operation, values.get("Progress")) for operation, values, _ in seen] == [
        ("Initialized", "0"),
        ("Changed", "1"),
        ("Deleted", None),
    ]
    assert seen[1][1]["Alias"] == "trickle"
    assert "01-00.000Z.1.mp4" in seen[1][2][0]
    (source,) = {each.source for each in stage.seen if each.topic.startswith("Monitoring")}
    assert source[:2] == (("Token", token), ("OperationName", "ExportRecordedSegments"))
    # Once more with the one before: what is there is not copied again, and its key is the same.
    await asked.ask(exporting(stage, START, START + 80 * US))
    await settle(stage)
    assert sorted(files(stage).values()) == sorted((one, two))


async def test_faults_of_segments(asked: Any, stage: Any) -> None:
    write(stage, 0, start=START)
    cases = (
        (exporting(stage, START, START + US, recording_token="none"), "NoRecording"),
        (exporting(stage, START, START + US, storage_token="none"), "InvalidStorage"),
        (exporting(stage, START, START + US, storage_token=None), "InvalidStorage"),
        (exporting(stage, START + US, START), "BadDuration"),
        (trc.StopExportRecordedSegments(operation_token="none"), "NoOperation"),
        (trc.ListRecordedSegments(time=span(0, 1), recording_token="none"), "NoRecording"),
    )
    for request, detail in cases:
        assert await asked.fault(request) == ("Sender", "InvalidArgVal", detail)
    assert files(stage) == {}
    assert told(stage) == []


async def test_a_stopped_export_leaves_whole_files_only(asked: Any, stage: Any) -> None:
    write(stage, 0, start=START)
    answer = await asked.ask(exporting(stage, START, START + US))
    stop = trc.StopExportRecordedSegments(operation_token=answer.findtext(f"{TRC}OperationToken"))
    await asked.ask(stop)
    await settle(stage)
    assert files(stage) == {}
    assert told(stage)[-1][0] == "Deleted"
    assert await asked.fault(stop) == ("Sender", "InvalidArgVal", "NoOperation")


@pytest.mark.covers("BAK-03", "P181")
async def test_data_between_two_times_begins_at_a_key_frame(asked: Any, stage: Any) -> None:
    write(stage, 0, start=START)
    write(stage, 1, start=START + 60 * US)
    write(stage, 2, start=START + 120 * US)
    answer = await asked.ask(data(stage))
    token = answer.findtext(f"{TRC}OperationToken")
    names = [each.text for each in answer.iterfind(f"{TRC}FileNames")]
    state = trc.GetExportRecordedDataState(operation_token=token)
    assert (await asked.ask(state)).findtext(f"{TRC}Progress") in ("0", "0.0")
    await settle(stage)
    found = files(stage)
    assert len(names) == 2
    assert set(found) == set(names)
    assert all(name.startswith("export/case 7/") for name in names)
    assert [found[name] for name in names] == [
        b"head 0 fragment 0.2 fragment 0.3 fragment 0.4 fragment 0.5 ",
        b"head 1 fragment 1.0 ",
    ]
    done = await asked.ask(state)
    assert float(done.findtext(f"{TRC}Progress")) == 1.0
    assert [each.text for each in done.iter(f"{TT}FileName")] == names
    stopped = await asked.ask(trc.StopExportRecordedData(operation_token=token))
    assert float(stopped.findtext(f"{TRC}Progress")) == 1.0


@pytest.mark.parametrize(
    "bad",
    [
        {"file_format": "ONVIF"},
        {"storage_destination": tt.StorageReferencePath(storage_token="none")},
        {"storage_destination": tt.StorageReferencePath(storage_token="storage-1", relative_path="../x")},
        {"storage_destination": tt.StorageReferencePath(storage_token="storage-1", relative_path="a/.b")},
        {"end_point": START},
    ],
)
async def test_bad_exports_of_data(asked: Any, stage: Any, bad: dict[str, Any]) -> None:
    write(stage, 0, start=START)
    assert await asked.fault(data(stage, **bad)) == ("Sender", "InvalidArgVal", "BadConfiguration")
    assert files(stage) == {}
    for request in (
        trc.GetExportRecordedDataState(operation_token="none"),
        trc.StopExportRecordedData(operation_token="none"),
    ):
        assert await asked.fault(request) == ("Sender", "InvalidArgVal", "BadConfiguration")


async def test_what_is_exported_is_locked_meanwhile(asked: Any, stage: Any) -> None:
    write(stage, 1, start=START)
    write(stage, 2, start=START + 60 * US)
    recording, locks = f"rec-{stage.cameras[0]}", stage.catalogue.locks
    await stage.export.export_segments(recording, START, T0, alias=None, storage="storage-1", kind=None)
    await stage.export.export_data((recording,), START, START + 30 * US, format="MP4", storage="storage-1", path="x")
    found = [(each.start - START, each.end - START) for each in locks.all(recording)]
    assert found == [(0, 60 * US), (0, 120 * US)] or found == [(0, 120 * US), (0, 60 * US)]
    assert all(each.until == stage.clock.utc() + LOCKED for each in locks.all())
    assert locks.covers(recording, START, START + US, stage.clock.utc())
    await stage.clock.advance(LOCKED / US * 0.9)
    seen: list[int] = []
    copy = stage.export._copy
    stage.export._copy = lambda *what: (seen.extend(each.until for each in locks.all()), copy(*what))
    await settle(stage)
    assert max(seen) == stage.clock.utc() + LOCKED  # one that takes long is locked for as long
    assert locks.all() == ()


async def test_a_refused_export_leaves_no_lock(asked: Any, stage: Any) -> None:
    write(stage, 1, start=START)
    recording = f"rec-{stage.cameras[0]}"
    for number in range(MAX_WAITING + 1):
        export = stage.export.export_segments(recording, START, T0, alias=None, storage="storage-1", kind=None)
        if number < MAX_WAITING:
            await export
        else:
            with pytest.raises(LimitReached):
                await export
    assert len(stage.catalogue.locks.all()) == MAX_WAITING
    await stage.export.stop()
    assert stage.catalogue.locks.all() == ()


async def test_what_cannot_be_copied_is_told_as_an_error(asked: Any, stage: Any) -> None:
    write(stage, 0, start=START)
    (stage.volume.root / f"rec-{stage.cameras[0]}/0.mp4").write_bytes(b"short")
    await asked.ask(exporting(stage, START, START + US))
    await settle(stage)
    assert files(stage) == {}
    operation, values, elements = told(stage)[1]
    assert (operation, values["Progress"]) == ("Changed", "0")
    assert etree.fromstring(elements[0]).tag.endswith("}Fault")


async def test_another_file_of_the_same_name_is_left_alone(asked: Any, stage: Any) -> None:
    write(stage, 0, start=START)
    target = stage.folder / f"storage/export/2025-12-31/rec-{stage.cameras[0]}/23/00-00.000Z.0.mp4"
    target.parent.mkdir(parents=True)
    target.write_bytes(b"mine")
    await asked.ask(exporting(stage, START, START + US))
    await settle(stage)
    assert target.read_bytes() == b"mine"


async def test_the_strategy_both_copies_each_new_segment(asked: Any, stage: Any) -> None:
    rec = f"rec-{stage.cameras[0]}"
    write(stage, 0, start=START)
    shown = (await asked.ask(trc.GetRecordingConfiguration(recording_token=rec)))[0]
    configuration = tt.RecordingConfiguration(
        source=tt.RecordingSourceInformation(
            source_id=shown.findtext(f".//{TT}SourceId"), name="Door", location="", description="", address="urn:x"
        ),
        content="Door",
        maximum_retention_time=timedelta(0),
        target=tt.RecordingTargetConfiguration(
            storage="storage-1",
            format_="MP4",
            prefix="site-2",
            postfix="camera-5",
            segment_duration=timedelta(seconds=60),
            storage_strategy="Both",
        ),
    )
    request = trc.SetRecordingConfiguration(recording_token=rec, recording_configuration=configuration)
    await asked.ask(request)
    target = (await asked.ask(trc.GetRecordingConfiguration(recording_token=rec))).find(f".//{TT}Target")
    assert target.findtext(f"{TT}StorageStrategy") == "Both"
    await stage.export.follow_once()
    later = write(stage, 1, start=stage.clock.utc())
    await stage.export.follow_once()
    await stage.export.follow_once()
    await settle(stage)
    # What was there before is not sent.
    assert files(stage) == {"export/site-2/2026-01-01/camera-5/00/00-00.000Z.0.mp4": later}


async def test_it_runs_as_a_task_and_ends(asked: Any, stage: Any) -> None:
    write(stage, 0, start=START)
    stage.export.start()
    await asked.ask(exporting(stage, START, START + US))
    async with asyncio.timeout(10):
        while not files(stage) or stage.export._waiting:
            await asyncio.sleep(0.01)
    await stage.export.stop()
    assert len(files(stage)) == 1
