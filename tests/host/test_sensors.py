"""Sensors of made-up machines: trees as the kernel lays them out."""

from __future__ import annotations

from pathlib import Path

import pytest

from onvifd.host.sensors import LinkState, Readings, Sensors, Temperature


def tree(root: Path, files: dict[str, str]) -> Sensors:
    for name, text in files.items():
        path = root / "class" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return Sensors(root)


def test_a_machine_without_sensors(tmp_path: Path) -> None:
    assert Sensors(tmp_path).first == Readings()


@pytest.mark.parametrize(
    ("files", "failed"),
    [
        ({"fan1_alarm": "0", "fan1_input": "900"}, False),
        ({"fan1_alarm": "1", "fan1_input": "0"}, True),
        ({"fan1_fault": "1"}, True),
        ({"fan1_min": "500", "fan1_input": "501"}, False),
        ({"fan1_min": "500", "fan1_input": "120"}, True),
        # nobody says what would be wrong: some fans stand when it is cool
        ({"fan1_input": "0"}, None),
        ({"fan1_min": "0", "fan1_input": "0"}, None),
    ],
)
def test_fans(tmp_path: Path, files: dict[str, str], failed: bool | None) -> None:
    chip = {
        f"hwmon/hwmon2/{name}": text for name, text in ({"name": "nct 6775", "fan1_label": "CPU Fan"} | files).items()
    }
    found = tree(tmp_path, chip).first.fans
    assert found == (() if failed is None else (("hwmon2-nct-6775-CPU-Fan", failed),))


def test_temperatures_of_chips_and_zones(tmp_path: Path) -> None:
    sensors = tree(
        tmp_path,
        {
            "hwmon/hwmon0/name": "coretemp",
            "hwmon/hwmon0/temp1_input": "48000",
            "hwmon/hwmon0/temp1_crit": "100000",
            "hwmon/hwmon0/temp1_crit_alarm": "0",
            "hwmon/hwmon0/temp2_input": "30000",  # without a bound
            "hwmon/hwmon0/temp3_input": "not yet",
            "hwmon/hwmon0/temp3_crit": "90000",
            "hwmon/hwmon0/temp3_crit_hyst": "85000",
            "thermal/thermal_zone0/type": "x86_pkg_temp",
            "thermal/thermal_zone0/temp": "51000",
            "thermal/thermal_zone0/trip_point_0_type": "passive",
            "thermal/thermal_zone0/trip_point_0_temp": "80000",
            "thermal/thermal_zone0/trip_point_1_type": "critical",
            "thermal/thermal_zone0/trip_point_1_temp": "105000",
            "thermal/cooling_device0/type": "Processor",
        },
    )
    assert sensors.first.temperatures == (
        Temperature(token="hwmon0-coretemp-temp1", value=48.0, critical=100.0, normal=97.0),
        Temperature(token="hwmon0-coretemp-temp3", value=None, critical=90.0, normal=85.0),
        Temperature(token="thermal_zone0-x86_pkg_temp", value=51.0, critical=105.0, normal=102.0),
    )


@pytest.mark.parametrize(
    ("value", "alarm", "before", "critical"),
    [
        (99.9, False, False, False),
        (100.0, False, False, True),
        (98.0, False, True, True),
        (98.0, False, False, False),
        (97.0, False, True, False),
        (20.0, True, False, True),
        (None, False, True, False),
    ],
)
def test_critical_begins_at_one_bound_and_ends_at_another(
    value: float | None, alarm: bool, before: bool, critical: bool
) -> None:
    reading = Temperature(token="t", value=value, critical=100.0, normal=97.0, alarm=alarm)
    assert reading.is_critical(before) is critical


def test_mains_supplies(tmp_path: Path) -> None:
    sensors = tree(
        tmp_path,
        {
            "power_supply/AC0/type": "Mains",
            "power_supply/AC0/online": "1",
            "power_supply/AC1/type": "Mains",
            "power_supply/AC1/online": "0",
            "power_supply/BAT0/type": "Battery",
            "power_supply/BAT0/online": "0",
        },
    )
    assert sensors.first.supplies == (("AC0", False), ("AC1", True))


def test_links(tmp_path: Path) -> None:
    def link(name: str, **files: str) -> dict[str, str]:
        return {f"net/{name}/{key}": text for key, text in ({"type": "1"} | files).items()}

    sensors = tree(
        tmp_path,
        {
            **link("eth0", carrier="1", speed="1000", duplex="full"),
            **link("eth1", carrier="1", speed="100", duplex="half"),
            **link("eth2", carrier="0", speed="-1", duplex="unknown"),
            **link("tap0", carrier="1", speed="-1", duplex="unknown"),
            **link("lo", type="772", carrier="1", speed="10"),
        },
    )
    assert sensors.first.links == (
        LinkState(token="eth0", speed=1000, full_duplex=True),
        LinkState(token="eth1", speed=100, full_duplex=False),
        LinkState(token="eth2", speed=0, full_duplex=True),
    )
