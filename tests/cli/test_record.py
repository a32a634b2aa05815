"""`onvifd record`: modes, schedules, holidays, links and snapshots of cameras that are not there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from onvifd.access.keyfile import load_key
from onvifd.cameras.registry import Driver, NewCamera, Registry, Role, Stream
from onvifd.clock import SystemClock
from onvifd.store.catalogue import Catalogue
from onvifd.store.rows import RecordStateRow, SnapshotRow

Run = Callable[..., Result]


@pytest.fixture
def catalogue(recorder: Run, data: Path) -> Any:
    """Of a recorder with two cameras, Hall and Gate."""
    made = Catalogue.open(f"sqlite:///{data / 'catalogue.sqlite3'}")
    registry = Registry(made, load_key(data / "onvifd.key"), SystemClock())
    for number, name in enumerate(("Hall", "Gate"), 1):
        base = f"rtsp://192.0.2.{number}"
        streams = (Stream(role=Role.MAIN, uri=f"{base}/main"), Stream(role=Role.SUB, uri=f"{base}/sub"))
        registry.add(NewCamera(name=name, driver=Driver.RTSP, address=f"{base}/main", streams=streams))
    yield made
    made.close()


@pytest.fixture
def record(recorder: Run, catalogue: Catalogue) -> Callable[..., str]:
    """Runs `onvifd record`, which must succeed; gives what it said."""

    def call(*arguments: str) -> str:
        result = recorder("record", *arguments)
        assert result.exit_code == 0, result.output
        return result.output

    return call


@pytest.fixture
def refused(recorder: Run, catalogue: Catalogue) -> Callable[..., str]:
    """The same for what must be refused."""

    def call(*arguments: str) -> str:
        result = recorder("record", *arguments)
        assert result.exit_code == 1, result.output
        return result.output

    return call


Said = Callable[..., str]


@pytest.mark.covers("REC-13", "P121", "P125")
def test_modes_and_recording_by_hand(record: Said, refused: Said, catalogue: Catalogue) -> None:
    record("mode", "Hall", "manual")
    record("mode", "all", "off", "--stream", "sub")
    record("start", "all")
    record("stop", "Gate")
    found = {(each["camera"], each["stream"]): each for each in json.loads(record("show", "--json"))}
    hall, gate = (camera.id for camera in catalogue.cameras.all())
    assert (found[hall, "main"]["mode"], found[hall, "main"]["manual"]) == ("manual", True)
    assert (found[gate, "main"]["mode"], found[gate, "main"]["manual"]) == ("auto", False)
    assert found[gate, "sub"]["mode"] == "off"
    assert "started by hand" in record("show")
    assert "is no stream" in refused("mode", "Hall", "auto", "--stream", "third")
    assert "no camera" in refused("mode", "Cellar", "auto")


@pytest.mark.covers("REC-09", "REC-10", "P135", "P136", "LNK-08", "P076")
def test_seconds_around_an_event(record: Said, refused: Said, catalogue: Catalogue) -> None:
    record("set", "all", "--pre", "60", "--post", "300", "--no-audio", "--redundant")
    policy = catalogue.policies.all()[0]
    assert (policy.pre, policy.post, policy.audio, policy.redundant) == (60, 300, False, True)
    assert "0 to 60 seconds" in refused("set", "Hall", "--pre", "61")
    assert "5 to 300 seconds" in refused("set", "Hall", "--post", "4")
    assert catalogue.policies.all()[0] == policy


@pytest.mark.covers("P118", "P119")
def test_one_click(record: Said, refused: Said) -> None:
    record("mode", "Hall", "off")
    record("schedule", "assign", "Hall", "motion", "24x2")
    record("one-click", "always+motion")
    shown = json.loads(record("schedule", "show", "Hall", "--json"))
    assert set(shown["week"].values()) == {"00:00-24:00=motion,general", "as the day"}
    assert shown["assigned"] == {}
    assert {each["mode"] for each in json.loads(record("show", "--json")) if each["stream"] == "main"} == {"auto"}
    assert "ready-made" in refused("one-click", "sometimes")


@pytest.mark.covers("REC-01", "REC-02", "REC-05", "REC-07", "REC-08")
def test_schedules_are_set_and_copied(record: Said, refused: Said) -> None:
    periods = ("--period", "08:00-18:00=motion,alarm", "--period", "18:00-24:00=general")
    record("schedule", "set", "Hall", "--day", "mon", *periods)
    record("schedule", "set", "Hall", "--day", "sun")
    record("schedule", "copy-day", "Hall", "mon", "tue-fri,holiday")
    record("schedule", "copy", "Hall", "all")
    week = json.loads(record("schedule", "show", "Gate", "--json"))["week"]
    assert week["wed"] == week["holiday"] == "08:00-18:00=alarm,motion 18:00-24:00=general"
    assert (week["sat"], week["sun"]) == ("00:00-24:00=general", "")
    record("schedule", "set", "Gate", "--as-days")
    assert "as the day" in record("schedule", "show", "Gate")
    seven = [part for hour in range(7) for part in ("--period", f"0{hour}:00-0{hour}:30=motion")]
    assert "at most 6 periods" in refused("schedule", "set", "Hall", *seven)
    assert "ends before it begins" in refused("schedule", "set", "Hall", "--period", "18:00-08:00=motion")
    assert json.loads(record("schedule", "show", "Hall", "--json"))["week"]["wed"] == week["wed"]


@pytest.mark.covers("P122", "P123")
def test_named_schedules(record: Said, refused: Said) -> None:
    record("named", "set", "Night shift", "--day", "mon-fri", "--period", "22:00-24:00", "--period", "00:00-06:00")
    record("named", "set", "24x5", "--day", "sat", "--period", "00:00-12:00")
    record("schedule", "assign", "all", "motion", "Night shift")
    record("schedule", "assign", "Hall", "alarm", "none")
    shown = json.loads(record("schedule", "show", "Hall", "--json"))
    assert shown["assigned"] == {"motion": "Night shift", "alarm": None}
    assert "alarm: never" in record("schedule", "show", "Hall")
    weeks = {each["name"]: each for each in json.loads(record("named", "list", "--json"))}
    assert weeks["Night shift"]["week"]["mon"] == "00:00-06:00 22:00-24:00"
    assert [name for name, each in weeks.items() if each["fixed"]] == ["24x7"]
    assert "fixed" in refused("named", "set", "24x7", "--day", "mon")
    assert "fixed" in refused("named", "remove", "24x7")
    assert "is assigned to camera" in refused("named", "remove", "Night shift")
    assert "no schedule" in refused("schedule", "assign", "Hall", "motion", "Nothing")
    assert "needs no schedule" in refused("schedule", "assign", "Hall", "manual", "24x2")
    record("schedule", "assign", "all", "motion", "own")
    record("named", "remove", "Night shift")
    assert "no schedule Night shift" in refused("named", "remove", "Night shift")


@pytest.mark.covers("SYS-08")
def test_holidays(record: Said, refused: Said) -> None:
    assert "no holidays" in record("holiday", "list")
    record("holiday", "add", "Christmas", "2026-12-24", "2026-12-26", "--yearly")
    record("holiday", "add", "Move", "2026-05-04")
    record("holiday", "change", "Christmas", "--disabled", "--last", "2026-12-27")
    found = json.loads(record("holiday", "list", "--json"))
    assert found[1] == {
        "name": "Christmas",
        "first": "2026-12-24",
        "last": "2026-12-27",
        "yearly": True,
        "enabled": False,
    }
    assert "once" in record("holiday", "list")
    assert "already" in refused("holiday", "add", "Move", "2026-05-05")
    assert "before it begins" in refused("holiday", "add", "Other", "2026-05-05", "2026-05-04")
    assert "no date" in refused("holiday", "add", "Other", "5.5.2026")
    record("holiday", "remove", "Move")
    assert "no holiday Move" in refused("holiday", "remove", "Move")
    assert "no holiday Move" in refused("holiday", "change", "Move", "--enabled")


@pytest.mark.covers("REC-16", "LNK-07", "P187")
def test_links(record: Said, refused: Said, catalogue: Catalogue) -> None:
    hall, gate = (camera.id for camera in catalogue.cameras.all())
    record("link", "Hall", "alarm", "all")
    assert catalogue.schedules.all().links == {(hall, "alarm"): frozenset((gate,))}
    assert "is no event" in refused("link", "Hall", "general", "Gate")
    record("link", "Hall", "alarm")
    assert catalogue.schedules.all().links == {}


@pytest.mark.covers("REC-15", "ENC-14", "ENC-15", "ENC-17")
def test_snapshots(record: Said, refused: Said, catalogue: Catalogue) -> None:
    hall = catalogue.cameras.all()[0].id
    record("snapshots", "set", "Hall", "--on", "--interval", "10", "--stream", "sub", "--days", "7")
    record("schedule", "set", "Hall", "--snapshots", "--period", "08:00-18:00=general")
    assert catalogue.schedules.all().snapshots[hall].interval == 10
    shown = json.loads(record("schedule", "show", "Hall", "--snapshots", "--json"))
    assert shown["week"]["mon"] == "08:00-18:00=general"
    assert json.loads(record("schedule", "show", "Hall", "--json"))["week"]["mon"] == "00:00-24:00=general"
    assert "seconds apart" in refused("snapshots", "set", "Hall", "--interval", "0")
    assert "days" in refused("snapshots", "set", "Hall", "--days", "361")
    assert "no snapshots" in record("snapshots", "list")
    row = SnapshotRow(camera=hall, utc=0, kind="motion", volume="vol-1", path="snapshots/x.jpg", size=5)
    catalogue.snapshots.insert(row)
    (listed,) = json.loads(record("snapshots", "list", "Hall", "--json"))
    assert (listed["path"], listed["size"]) == ("snapshots/x.jpg", 5)
    assert "snapshots/x.jpg" in record("snapshots", "list")


@pytest.mark.covers("REC-24", "P131", "P138")
def test_status_is_what_the_running_recorder_says(record: Said, catalogue: Catalogue) -> None:
    assert "does not run" in record("status")
    hall, gate = (camera.id for camera in catalogue.cameras.all())
    catalogue.policies.put_states(
        (
            RecordStateRow(
                recording=f"rec-{hall}",
                camera=hall,
                stream="main",
                ordered=True,
                active=True,
                kind="alarm",
                marks="alarm,general",
            ),
            RecordStateRow(recording=f"rec-{gate}", camera=gate, stream="main", mode="off", reason="volume is full"),
        ),
        others=False,
    )
    table = record("status")
    assert "Hall" in table
    assert "alarm general" in table
    assert "volume is full" in table
    marks = {each["camera"]: each["marks"] for each in json.loads(record("status", "--json"))}
    assert marks == {hall: ["alarm", "general"], gate: []}
