"""`onvifd volume` on a recorder that stands still."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from onvifd.archive.catalogue_index import CatalogueSegmentStore
from onvifd.archive.disk import SegmentFiles, Volume
from onvifd.archive.index import EndReason
from onvifd.archive.marker import MARKER
from onvifd.archive.segment import Append, SegmentWriter
from onvifd.clock import US, SystemClock
from onvifd.media.types import Codec
from onvifd.store.catalogue import Catalogue
from onvifd.store.rows import CameraRow, JobRow, ProfileRow, RecordingRow, StreamRow
from tests.archive.conftest import Clip, encode, video_units
from tests.cli.conftest import Run

HOUR = 3600 * US


@pytest.fixture(scope="session")
def clip() -> Clip:
    return encode(Codec.H264)


@pytest.fixture
def disk(recorder: Run, tmp_path: Path) -> Path:
    """A volume of its own, vol-2 beside the default one."""
    root = tmp_path / "disk"
    root.mkdir()
    result = recorder("volume", "add", str(root), "--name", "second")
    assert result.exit_code == 0, result.output
    assert (root / MARKER).exists()
    return root


def catalogue(data: Path) -> Catalogue:
    return Catalogue.open(f"sqlite:///{data / 'catalogue.sqlite3'}")


@pytest.fixture
def footage(data: Path, disk: Path, clip: Clip) -> list[Path]:
    """Four segments of rec-1, recorded two hours ago, on the volume."""
    made = catalogue(data)
    try:
        made.upkeep.archive([RecordingRow(token="rec-1", camera=None, source_id="a", source_name="Gate")])
        row = made.volumes.all()[-1]
        start = (SystemClock().utc() - 2 * HOUR) // HOUR * HOUR
        core = SegmentWriter("rec-1", row.id, [clip.format], segment_us=2 * US)
        files = SegmentFiles(Volume(row.id, disk, row.uuid), CatalogueSegmentStore(made))
        actions = [a for unit in video_units(clip, start=start, seconds=8) for a in core.feed(unit, 0.0)]
        for action in [*actions, *core.finish(EndReason.STOP)]:
            files.append(action) if isinstance(action, Append) else files.close(action)
    finally:
        made.close()
    paths = sorted(disk.rglob("*.mp4"))
    for path in paths:
        os.utime(path, (1, 1))
    return paths


def as_json(run: Run, *arguments: str) -> list[dict[str, object]]:
    result = run("volume", *arguments, "--json")
    assert result.exit_code in (0, 1), result.output
    found: list[dict[str, object]] = json.loads(result.stdout)
    return found


@pytest.mark.covers("STO-03", "STO-04", "STO-19", "P139", "P147")
def test_list_and_set(recorder: Run, footage: list[Path], disk: Path) -> None:
    (volume,) = [each for each in as_json(recorder, "list") if each["name"] == "second"]
    assert (volume["state"], volume["access"], volume["group"], volume["segments"]) == ("ok", "read-write", 1, 4)
    assert volume["used"] == sum(path.stat().st_size for path in footage)
    assert len(volume["times"]) == 2  # type: ignore[arg-type]
    assert recorder("volume", "set", "second", "--property", "read-only", "--max-bytes", "5").exit_code == 0
    (volume,) = [each for each in as_json(recorder, "list") if each["name"] == "second"]
    assert (volume["access"], volume["max_bytes"], volume["used"]) == (
        "read-only",
        5,
        sum(path.stat().st_size for path in footage),
    )
    assert "second" in recorder("volume", "list").output
    assert recorder("volume", "set", "second", "--property", "writable").exit_code == 2
    assert recorder("volume", "set", "third", "--name", "x").exit_code == 1


@pytest.mark.covers("STO-16", "STO-17")
def test_check_and_repair(recorder: Run, footage: list[Path]) -> None:
    result = recorder("volume", "check")
    assert (result.exit_code, result.output) == (0, "4 segments agree with their files\n")
    footage[0].unlink()
    shutil.copy(footage[1], footage[1].with_name("003000.000.mp4"))
    os.utime(footage[1].with_name("003000.000.mp4"), (1, 1))
    assert [each["kind"] for each in as_json(recorder, "check")] == ["missing file"]
    assert recorder("volume", "check").exit_code == 1
    assert [each["kind"] for each in as_json(recorder, "check", "--full")] == ["missing file", "file without row"]
    result = recorder("volume", "repair")
    assert result.exit_code == 0
    assert "1 files taken in, 1 rows without file forgotten" in result.output
    assert recorder("volume", "check", "--full").exit_code == 0


@pytest.mark.covers("P145")
def test_a_lost_catalogue_is_made_anew(run: Run, recorder: Run, footage: list[Path], data: Path, disk: Path) -> None:
    """Catalogue and key are gone, the disk is there."""
    shutil.rmtree(data)
    assert run("init", ONVIFD_ADMIN_PASSWORD="admin-pass-1").exit_code == 0
    assert run("volume", "add", str(disk)).exit_code == 0
    result = run("volume", "rebuild")
    assert result.exit_code == 0, result.output
    assert "4 files taken in" in result.output
    assert "rec-1 was not known: it is an archived recording now" in result.output
    assert run("volume", "check", "--full").exit_code == 0
    made = catalogue(data)
    try:
        assert [row.token for row in made.recordings.all()] == ["rec-1"]
        assert len(CatalogueSegmentStore(made).segments_between("rec-1", 0, 1 << 62)) == 4
    finally:
        made.close()


@pytest.mark.covers("STO-05", "A042", "PLY-28")
def test_init_is_guarded(recorder: Run, footage: list[Path], disk: Path) -> None:
    assert recorder("volume", "init", "second").exit_code == 1
    assert (
        recorder("volume", "lock", "rec-1", "2020-01-01", "2100-01-01T00:00:00+01:00", "--reason", "court").exit_code
        == 0
    )
    (lock,) = as_json(recorder, "locks")
    assert (lock["recording"], lock["reason"], lock["until"]) == ("rec-1", "court", None)
    result = recorder("volume", "init", "second", "--erase", "--yes")
    assert (result.exit_code, "locked" in result.output) == (1, True)
    assert all(path.exists() for path in footage)
    assert recorder("volume", "unlock", str(lock["id"])).exit_code == 0
    assert recorder("volume", "init", "second", "--erase", stdin="n\n").exit_code == 1
    assert all(path.exists() for path in footage)
    result = recorder("volume", "init", "second", "--erase", "--yes")
    assert (result.exit_code, "4 files deleted" in result.output) == (0, True)
    assert [path.name for path in disk.iterdir()] == [MARKER]
    assert recorder("volume", "check", "--full").exit_code == 0


def test_a_folder_that_lost_its_marker_is_kept(recorder: Run, footage: list[Path], disk: Path) -> None:
    (disk / MARKER).unlink()
    (volume,) = [each for each in as_json(recorder, "list") if each["name"] == "second"]
    assert volume["state"] == "missing"
    assert recorder("volume", "init", "second", "--keep").exit_code == 0
    assert recorder("volume", "check", "--full").exit_code == 0


def test_remove(recorder: Run, footage: list[Path]) -> None:
    assert recorder("volume", "remove", "second").exit_code == 1
    assert recorder("volume", "remove", "second", "--forget").exit_code == 0
    assert all(path.exists() for path in footage)
    assert [each["id"] for each in as_json(recorder, "list") if each["name"] == "second"] == []


@pytest.mark.covers("STO-14", "STO-15", "P141", "P142", "P144")
def test_groups_and_quotas_exclude_each_other(recorder: Run, footage: list[Path]) -> None:
    result = recorder("volume", "group", "4", "--recording", "rec-1")
    assert (result.exit_code, "group 4 has no volume" in result.output) == (0, True)
    assert recorder("volume", "group", "4", "--volume", "second").exit_code == 0
    shown = {each["group"]: (each["volumes"], each["recordings"]) for each in as_json(recorder, "group")}
    assert shown[4][1] == ["rec-1"]
    assert len(shown[4][0]) == 1  # type: ignore[arg-type]
    assert recorder("volume", "quota", "rec-1", "--bytes", "1000").exit_code == 1
    assert recorder("volume", "quota", "rec-1", "--days", "7").exit_code == 0  # an age goes with both
    assert recorder("volume", "policy", "--mode", "quotas", "--full", "stop").exit_code == 0
    assert recorder("volume", "quota", "rec-1", "--bytes", "1000").exit_code == 0
    assert recorder("volume", "group", "1", "--recording", "rec-1").exit_code == 1
    assert as_json(recorder, "quota") == [{"owner": "rec-1", "group": 4, "quota": 1000, "days": 7}]
    assert recorder("volume", "group", "1", "--recording", "nobody").exit_code == 1
    assert recorder("volume", "quota", "rec-1", "--days", "361").exit_code == 2
    assert recorder("volume", "policy", "--full", "never").exit_code == 2
    options = json.loads(recorder("volume", "policy", "--json").stdout)
    assert (options["mode"], options["overwrite"]) == ("quotas", False)


def test_the_age_of_snapshots_is_not_set_where_it_would_not_count(recorder: Run, data: Path) -> None:
    made = catalogue(data)
    stream = StreamRow(camera="cam-1", role="main", uri="rtsp://192.0.2.1/a")
    camera = CameraRow(
        id="cam-1", channel=0, name="Gate", driver="rtsp", address="rtsp://192.0.2.1/", streams=(stream,)
    )
    recording = RecordingRow(token="rec-cam-1", camera="cam-1", source_id="vs-cam-1", source_name="Gate")
    profile = ProfileRow(token="cam-1-main", camera="cam-1", role="main", name="main")
    job = JobRow(token="job-cam-1", recording="rec-cam-1", camera="cam-1", sources=())
    try:
        made.cameras.add(camera, [profile], recording, job, limit=10)
    finally:
        made.close()
    result = recorder("volume", "quota", "snapshots-cam-1", "--days", "7")
    assert (result.exit_code, "record snapshots set --days" in result.output) == (1, True)
    assert as_json(recorder, "quota") == []
    assert recorder("volume", "group", "2", "--recording", "snapshots-cam-1").exit_code == 0


@pytest.mark.covers("A041", "STO-21", "STO-22", "STO-23", "STO-24", "A006", "P078")
def test_forecast_and_calculator(recorder: Run, footage: list[Path]) -> None:
    result = json.loads(recorder("volume", "forecast", "--json").stdout)
    (recording,) = result["recordings"]
    assert recording["recording"] == "rec-1"
    assert 0 < recording["days"] < 0.2
    assert "at today's rate of" in recorder("volume", "forecast").output
    wanted = ("volume", "calculate", "--channels", "16", "--bitrate", "4000", "--json")
    space = json.loads(recorder(*wanted, "--days", "30").stdout)["space"]
    assert space == pytest.approx(16 * 30 * 43.2e9, rel=0.02)
    back = json.loads(recorder(*wanted, "--space", str(space)).stdout)
    assert back["days"] == pytest.approx(30)
    alarm = json.loads(recorder(*wanted, "--space", str(space), "--alarm-rate", "0.1").stdout)
    assert alarm["days"] == pytest.approx(300)
    assert recorder("volume", "calculate", "--channels", "2", "--picture", "wide").exit_code == 2
    assert recorder("volume", "calculate", "--volume", "second").exit_code == 0


@pytest.mark.covers("STO-20", "P146")
def test_disks_that_say_nothing_are_no_fault(recorder: Run, disk: Path) -> None:
    result = recorder("volume", "smart")
    assert result.exit_code == 0, result.output
