"""What is remembered of cameras that can be talked to."""

from __future__ import annotations

import pytest

from onvifd.errors import NotFound
from onvifd.media.types import Codec, TrackFormat
from onvifd.store.catalogue import Catalogue
from onvifd.store.rows import CameraRow, JobRow, RecordingRow

CAMERA = "cam-00000001"
PCMU = TrackFormat(codec=Codec.PCMU, clock_rate=8000, channels=1)
AAC = TrackFormat(codec=Codec.AAC, clock_rate=16000, channels=1, config=b"\x14\x08")


def add_camera(catalogue: Catalogue) -> None:
    recording = RecordingRow(token=f"rec-{CAMERA}", camera=CAMERA, source_id="vs", source_name="Gate")
    job = JobRow(token=f"job-{CAMERA}", recording=recording.token, camera=CAMERA, sources=())
    row = CameraRow(id=CAMERA, channel=0, name="Gate", driver="rtsp", address="rtsp://192.0.2.1/")
    catalogue.cameras.add(row, (), recording, job, limit=4)


def test_what_a_camera_decodes_is_kept_until_it_changes_or_the_camera_goes(catalogue: Catalogue) -> None:
    add_camera(catalogue)
    assert catalogue.loudspeakers.all() == {}
    catalogue.loudspeakers.put(CAMERA, (PCMU, AAC))
    assert catalogue.loudspeakers.all() == {CAMERA: (PCMU, AAC)}
    revision = catalogue.settings.revision()
    catalogue.loudspeakers.put(CAMERA, (PCMU, AAC))
    assert catalogue.settings.revision() == revision
    catalogue.loudspeakers.put(CAMERA, ())
    assert catalogue.loudspeakers.all() == {}
    assert catalogue.settings.revision() > revision
    catalogue.loudspeakers.put(CAMERA, (PCMU,))
    catalogue.cameras.remove(CAMERA)
    assert catalogue.loudspeakers.all() == {}


def test_an_unknown_camera_is_refused(catalogue: Catalogue) -> None:
    with pytest.raises(NotFound):
        catalogue.loudspeakers.put("cam-00000009", (PCMU,))
