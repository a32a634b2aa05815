"""Modes, schedules, holidays, links and spans in the catalogue, and what becomes of a camera's former record flag."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import text

from onvifd.errors import Conflict, LimitReached, NotFound
from onvifd.recording.settings import Changes, load
from onvifd.recording.types import RecordType
from onvifd.store.catalogue import Catalogue
from onvifd.store.engine import Database, open_engine
from onvifd.store.migrate import _config
from onvifd.store.rows import (
    CameraRow,
    HolidayRow,
    JobRow,
    PolicyRow,
    RecordingRow,
    RecordStateRow,
    SnapshotPolicyRow,
    StreamRow,
)
from onvifd.store.spans import UNSTORED

CAMERA = "cam-00000001"


def add(catalogue: Catalogue, camera: str = CAMERA, *roles: str) -> None:
    streams = tuple(StreamRow(camera=camera, role=role, uri=f"rtsp://x/{role}") for role in roles or ("main", "sub"))
    row = CameraRow(id=camera, channel=0, name=camera, driver="rtsp", address="rtsp://x/", streams=streams)
    recording = RecordingRow(token=f"rec-{camera}", camera=camera, source_id="s", source_name="s")
    job = JobRow(token=f"job-{camera}", recording=recording.token, camera=camera, sources=())
    catalogue.cameras.add(row, [], recording, job, limit=10)


def test_streams_have_policies_before_anybody_gave_them_one(catalogue: Catalogue) -> None:
    add(catalogue)
    main, sub = catalogue.policies.all()
    assert (main, sub) == (
        PolicyRow(camera=CAMERA, stream="main", mode="auto", pre=5, post=30, audio=True),
        PolicyRow(camera=CAMERA, stream="sub", mode="off"),
    )
    for camera, stream in ((CAMERA, "third"), ("cam-00000002", "main")):
        with pytest.raises(NotFound):
            catalogue.policies.get(camera, stream)


def test_policies_are_changed_all_or_none_and_jobs_follow(catalogue: Catalogue) -> None:
    add(catalogue)
    revision = catalogue.revision()
    main = replace(catalogue.policies.get(CAMERA, "main"), mode="off")
    with pytest.raises(NotFound):
        catalogue.policies.put(main, replace(main, camera="cam-00000002"))
    assert catalogue.policies.get(CAMERA, "main").mode == "auto"
    assert catalogue.revision() == revision
    catalogue.policies.put(main)
    assert catalogue.policies.get(CAMERA, "main") == main
    assert [job.active for job in catalogue.recordings.jobs()] == [False]
    assert catalogue.revision() > revision
    catalogue.cameras.remove(CAMERA)
    assert catalogue.policies.all() == ()


def test_all_of_it_is_read_back(catalogue: Catalogue) -> None:
    add(catalogue)
    add(catalogue, "cam-00000002", "main")
    schedules = catalogue.schedules
    schedules.put_weeks("video", {CAMERA: "week"}, {CAMERA: {"motion": "24x5", "alarm": None}})
    schedules.put_weeks("snapshot", {CAMERA: "other"}, {})
    schedules.put_links(CAMERA, "alarm", ["cam-00000002"])
    schedules.put_snapshots(SnapshotPolicyRow(camera=CAMERA, enabled=True, interval=5))
    schedules.put_holiday(HolidayRow(name="May", first="2026-05-01", last="2026-05-01"), limit=1, new=True)
    rows = schedules.all()
    assert rows.weeks == {(CAMERA, "video"): "week", (CAMERA, "snapshot"): "other"}
    assert rows.assigned == {(CAMERA, "motion"): "24x5", (CAMERA, "alarm"): None}
    assert rows.links == {(CAMERA, "alarm"): frozenset(("cam-00000002",))}
    assert rows.snapshots[CAMERA].interval == 5
    assert [holiday.name for holiday in rows.holidays] == ["May"]
    catalogue.cameras.remove(CAMERA)
    rows = schedules.all()
    assert (rows.weeks, rows.assigned, rows.links, rows.snapshots) == ({}, {}, {}, {})


def test_what_is_refused_changes_nothing(catalogue: Catalogue) -> None:
    add(catalogue)
    schedules = catalogue.schedules
    schedules.put_named("own", "week", limit=4)
    schedules.put_weeks("video", {}, {CAMERA: {"motion": "own"}})
    holiday = HolidayRow(name="May", first="2026-05-01", last="2026-05-01")
    schedules.put_holiday(holiday, limit=1, new=True)
    before, revision = schedules.all(), catalogue.revision()
    with pytest.raises(NotFound):
        schedules.put_weeks("video", {CAMERA: "x", "cam-00000002": "x"}, {})
    with pytest.raises(NotFound):
        schedules.put_weeks("video", {CAMERA: "x"}, {CAMERA: {"motion": "nothing"}})
    with pytest.raises(LimitReached):
        schedules.put_named("more", "week", limit=4)
    with pytest.raises(Conflict):
        schedules.remove_named("own")
    with pytest.raises(NotFound):
        schedules.remove_named("nothing")
    with pytest.raises(Conflict):
        schedules.put_holiday(holiday, limit=9, new=True)
    with pytest.raises(LimitReached):
        schedules.put_holiday(replace(holiday, name="June"), limit=1, new=True)
    with pytest.raises(NotFound):
        schedules.put_holiday(replace(holiday, name="June"), limit=9, new=False)
    with pytest.raises(NotFound):
        schedules.put_links(CAMERA, "alarm", ["cam-00000002"])
    assert schedules.all() == before
    assert catalogue.revision() == revision


@pytest.mark.covers("P123")
def test_a_new_catalogue_has_the_predefined_schedules(catalogue: Catalogue) -> None:
    named = load(catalogue).named
    days = {name: [bool(row) for row in each.week.days] for name, each in named.items()}
    assert days == {"24x7": [True] * 7, "24x5": [True] * 5 + [False] * 2, "24x2": [False] * 5 + [True] * 2}
    assert [name for name, each in named.items() if each.fixed] == ["24x7"]
    add(catalogue)
    changes = Changes(catalogue)
    changes.put_named(replace(named["24x5"], name="own"))
    changes.remove_named("24x2")
    changes.assign([CAMERA], RecordType.MOTION, "own")
    catalogue.configuration.clear(())
    assert set(load(catalogue).named) == {"24x7", "24x5", "24x2"}


def test_a_schedule_that_cannot_be_read_is_left_out(catalogue: Catalogue, caplog: pytest.LogCaptureFixture) -> None:
    add(catalogue)
    catalogue.schedules.put_weeks("video", {CAMERA: "rubbish"}, {})
    catalogue.schedules.put_named("own", "[]", limit=9)
    kept = load(catalogue)
    assert "own" not in kept.named
    assert kept.week(CAMERA).types() == {RecordType.GENERAL}
    assert caplog.text.count("that is no weekly schedule") == 2


def test_states_are_replaced_one_by_one_or_all(catalogue: Catalogue) -> None:
    def row(token: str, reason: str = "") -> RecordStateRow:
        return RecordStateRow(recording=token, reason=reason)

    revision = catalogue.revision()
    catalogue.policies.put_states((row("a"), row("b")), others=False)
    catalogue.policies.put_states((row("b", "full"),), others=True)
    assert catalogue.policies.states() == (row("a"), row("b", "full"))
    catalogue.policies.put_states((row("c"),), others=False)
    assert catalogue.policies.states() == (row("c"),)
    assert catalogue.revision() == revision


@pytest.mark.covers("P130")
def test_spans_are_found_by_any_of_their_types(catalogue: Catalogue) -> None:
    spans = catalogue.spans
    for start, marks in ((0, ("motion", "general")), (10, ("general",)), (20, ("motion-and-alarm", "general"))):
        spans.finish(spans.begin("rec", marks[0], start, marks), start + 10)
    assert [span.marks for span in spans.between("rec", 0, 100)] == [
        "motion,general",
        "general",
        "motion-and-alarm,general",
    ]
    assert [span.start for span in spans.between("rec", 0, 100, kinds=("motion",))] == [0]
    assert [span.start for span in spans.between("rec", 0, 100, kinds=("general",))] == [0, 10, 20]
    assert spans.between("rec", 0, 100, kinds=("alarm", "pos")) == ()
    spans.finish(spans.begin("rec", "alarm", 50), 50)  # no length: nothing was recorded
    spans.finish(spans.begin("other", "general", 0), 50)
    spans.finish(spans.begin("other", "motion", 50), 45)  # its footage was lost, and some from before
    assert [(span.kind, span.end) for span in spans.between("other", 0, 99)] == [("general", 45)]
    spans.finish(spans.begin("other", "motion", UNSTORED * 2), 40)  # the clock was set
    assert [(span.kind, span.end) for span in spans.between("other", 0, 99)] == [("general", 45)]
    assert len(spans.between("rec", 0, 100)) == 3
    assert spans.unfinished() == ()


def test_the_record_flag_of_a_camera_becomes_its_mode(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.sqlite3'}"
    engine = open_engine(url)

    def work(connection: object) -> None:
        with as_file(files("onvifd.store") / "migrations") as folder:
            command.upgrade(_config(str(folder), connection), "0006")  # type: ignore[arg-type]

    Database(engine).write(work)
    with engine.begin() as connection:
        for number, record in ((1, True), (2, False)):
            connection.execute(
                text(
                    "INSERT INTO cameras (id, channel, name, driver, address, enabled, record, manufacturer, model, firmware, "
                    "serial, event_address, created) VALUES (:id, :number, 'x', 'rtsp', '', 1, :record, '', '', '', '', '', 0)"
                ),
                {"id": f"cam-0000000{number}", "number": number, "record": record},
            )
        connection.execute(text("INSERT INTO spans (recording, kind, start) VALUES ('rec-a', 'general', 5)"))
    engine.dispose()
    catalogue = Catalogue.open(url, migrate=True)
    try:
        with catalogue.database.engine.begin() as connection:
            modes = {
                row.camera: row.mode for row in connection.execute(text("SELECT camera, mode FROM record_policies"))
            }
        assert modes == {"cam-00000001": "auto", "cam-00000002": "off"}
        assert catalogue.spans.unfinished()[0].marks == ""
    finally:
        catalogue.close()
