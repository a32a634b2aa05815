"""What smartctl says is taken with care; what it does not say is not made up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from onvifd.volumes.model import Health
from onvifd.volumes.smart import MAX_ATTRIBUTES, disks_of, parse, run_smartctl, worst_of

ATA = {
    "model_name": "WDC WD40PURX-64GVNY0",
    "serial_number": "WD-WCC4E1234567",
    "smart_status": {"passed": True},
    "temperature": {"current": 38},
    "power_on_time": {"hours": 41234},
    "ata_smart_attributes": {
        "table": [
            {"name": "Reallocated_Sector_Ct", "value": 200, "worst": 199, "thresh": 140, "raw": {"string": "3"}},
            {"name": "Temperature_Celsius", "value": 112, "worst": 102, "thresh": 0, "raw": {"string": "38"}},
        ]
    },
}


@pytest.mark.covers("STO-17", "STO-19", "STO-20", "P146", "A045", "A004")
def test_a_disk_speaks() -> None:
    assert parse("sda", json.dumps(ATA)) == Health(
        device="sda",
        model="WDC WD40PURX-64GVNY0",
        serial="WD-WCC4E1234567",
        passed=True,
        celsius=38,
        hours=41234,
        attributes=(("Reallocated_Sector_Ct", 200, 199, 140, "3"), ("Temperature_Celsius", 112, 102, 0, "38")),
    )


def test_a_disk_that_says_little() -> None:
    said = parse("nvme0n1", json.dumps({"model_name": "Disk", "smart_status": {}, "temperature": {"drive_trip": 65}}))
    assert said == Health(device="nvme0n1", model="Disk")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json",
        "[]",
        "null",
        "{}",
        '{"smartctl": {"exit_status": 2}}',
        "[" * 100_000,
        json.dumps({"temperature": {"current": "hot"}, "smart_status": {"passed": "yes"}}),
        json.dumps({"temperature": {"current": 100_000}, "ata_smart_attributes": {"table": "none"}}),
        json.dumps({"temperature": 40, "smart_status": True}),
    ],
)
def test_nothing_is_made_up(text: str) -> None:
    assert parse("sda", text) is None


def test_what_a_disk_says_is_bounded() -> None:
    table = [{"name": "x" * 1000 + "\x1b[2J", "value": 1}] * 1000
    said = parse("sda", json.dumps({"model_name": "m" * 5000, "ata_smart_attributes": {"table": table}}))
    assert said is not None
    assert (len(said.model), len(said.attributes)) == (80, MAX_ATTRIBUTES)
    assert said.attributes[0] == ("x" * 80, 1, 0, 0, "")


def test_disks_are_found_below_partitions_and_mappings(tmp_path: Path) -> None:
    devices = tmp_path / "devices"
    for disk, part in (("sda", "sda1"), ("sdb", "sdb1")):
        (devices / disk / part).mkdir(parents=True)
        (devices / disk / part / "partition").write_text("1")
    mapped = devices / "virtual" / "dm-0" / "slaves"
    mapped.mkdir(parents=True)
    for name in ("sda1", "sdb1"):
        (mapped / name).symlink_to(devices / name[:3] / name)
    block = tmp_path / "dev" / "block"
    block.mkdir(parents=True)
    (block / "8:1").symlink_to(devices / "sda" / "sda1")
    (block / "253:0").symlink_to(devices / "virtual" / "dm-0")
    assert disks_of("8:1", tmp_path) == ("sda",)
    assert disks_of("253:0", tmp_path) == ("sda", "sdb")
    assert disks_of("0:44", tmp_path) == ()


def test_a_loop_of_devices_ends(tmp_path: Path) -> None:
    node = tmp_path / "dev" / "block" / "9:0"
    (node / "slaves").mkdir(parents=True)
    (node / "slaves" / "self").symlink_to(node)
    assert disks_of("9:0", tmp_path) == ()


def test_without_smartctl_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onvifd.volumes.smart._PATH", "/nonexistent")
    assert run_smartctl("sda") == ""


def test_a_tool_that_ends_with_findings_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit status of smartctl has a bit for each finding."""
    tool = tmp_path / "smartctl"
    tool.write_text('#!/bin/sh\necho "{\\"model_name\\": \\"$*\\"}"\nexit 24\n')
    tool.chmod(0o755)
    monkeypatch.setattr("onvifd.volumes.smart._PATH", f"{tmp_path}:/bin:/usr/bin")
    said = parse("sda", run_smartctl("sda"))
    assert said is not None
    assert said.model.endswith("/dev/sda")


def test_the_disk_that_matters_most() -> None:
    cold, hot, failing = (
        Health(device="a", celsius=20),
        Health(device="b", celsius=50),
        Health(device="c", passed=False),
    )
    assert worst_of((cold, hot)) == hot
    assert worst_of((cold, failing, hot)) == failing
    assert worst_of(()) is None
