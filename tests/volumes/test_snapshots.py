"""Snapshots of time whose footage was deleted go with it."""

from __future__ import annotations

import pytest

from onvifd.archive.disk import Volume
from onvifd.store.catalogue import Catalogue
from onvifd.store.rows import CameraRow, JobRow, ProfileRow, RecordingRow, SnapshotRow, StreamRow
from onvifd.volumes.snapshots import forget_snapshots, thin_snapshots
from tests.volumes.conftest import MakeVolume

CAMERA = "cam-00000001"


@pytest.fixture
def stored(catalogue: Catalogue, volume: Volume) -> list[SnapshotRow]:
    """Five pictures of a camera, at 0, 10, ... 40."""
    stream = StreamRow(camera=CAMERA, role="main", uri="rtsp://192.0.2.1/a")
    camera = CameraRow(id=CAMERA, channel=0, name="Gate", driver="rtsp", address="rtsp://192.0.2.1/", streams=(stream,))
    recording = RecordingRow(token=f"rec-{CAMERA}", camera=CAMERA, source_id="vs", source_name="Gate")
    profile = ProfileRow(token=f"{CAMERA}-main", camera=CAMERA, role="main", name="main")
    job = JobRow(token=f"job-{CAMERA}", recording=recording.token, camera=CAMERA, sources=())
    catalogue.cameras.add(camera, [profile], recording, job, limit=10)
    rows = []
    for utc in range(0, 50, 10):
        row = SnapshotRow(camera=CAMERA, utc=utc, kind="general", volume=volume.id, path=f"{utc}.jpg", size=1)
        volume.path(row.path).write_bytes(b"x")
        catalogue.snapshots.insert(row)
        rows.append(row)
    return rows


def left(catalogue: Catalogue, volume: Volume) -> tuple[list[int], list[str]]:
    rows = catalogue.snapshots.older(CAMERA, 1 << 62)
    return [row.utc for row in rows], sorted(path.name for path in volume.root.glob("*.jpg"))


@pytest.mark.usefixtures("stored")
def test_older_ones_go_with_their_files(catalogue: Catalogue, volume: Volume) -> None:
    there = {volume.id: volume}
    assert forget_snapshots(catalogue, there, f"rec-{CAMERA}", 25) == 3
    assert left(catalogue, volume) == ([30, 40], ["30.jpg", "40.jpg"])


@pytest.mark.usefixtures("stored")
def test_only_the_main_stream_decides(catalogue: Catalogue, volume: Volume) -> None:
    there = {volume.id: volume}
    for recording in ("rec-unknown", f"rec-{CAMERA}-sub"):
        assert forget_snapshots(catalogue, there, recording, 100) == 0


@pytest.mark.usefixtures("stored")
def test_those_of_a_volume_that_is_away_stay(catalogue: Catalogue, volume: Volume, make_volume: MakeVolume) -> None:
    other = make_volume("two")
    assert forget_snapshots(catalogue, {other.id: other}, f"rec-{CAMERA}", 100) == 0
    assert len(left(catalogue, volume)[0]) == 5


@pytest.mark.usefixtures("stored")
def test_the_oldest_make_room(catalogue: Catalogue, volume: Volume, make_volume: MakeVolume) -> None:
    assert thin_snapshots(catalogue, volume, 0) == 0
    assert thin_snapshots(catalogue, make_volume("two"), 10) == 0
    assert thin_snapshots(catalogue, volume, 2) == 2
    assert left(catalogue, volume) == ([20, 30, 40], ["20.jpg", "30.jpg", "40.jpg"])
    assert thin_snapshots(catalogue, volume, 100) == 3
    assert left(catalogue, volume) == ([], [])
