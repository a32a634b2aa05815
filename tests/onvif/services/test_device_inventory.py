"""Relay outputs, auxiliary commands, places and storage of the device service: bytes in, bytes out, all faults."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from onvifd.onvif.services.common import NS_DEVICE, ServiceRegistry
from onvifd.onvif.services.device import DeviceService
from onvifd.onvif.types import tds
from tests.onvif.services.device_stage import Stage

TDS = f"{{{NS_DEVICE}}}"
TT = "{http://www.onvif.org/ver10/schema}"
BAD = ("Sender", "InvalidArgVal")


@pytest.fixture
async def stage(tmp_path: Path) -> Stage:
    volume = tmp_path / "volume"
    (tmp_path / "root" / "one").mkdir(parents=True)
    volume.mkdir()
    made = Stage(relays=2, roots=(tmp_path / "root",), volume=volume)
    await made.start()
    return made


@pytest.fixture
def device(body: Any, stage: Stage, client: Callable[..., Any]) -> Any:
    return client(DeviceService(body, ServiceRegistry(), control=stage.control))


def request(name: str, content: str = "") -> str:
    return f'<t:{name} xmlns:t="{NS_DEVICE}" xmlns:tt="{TT[1:-1]}">{content}</t:{name}>'


# ---- relay outputs


def settings(mode: str, delay: str, idle: str, token: str = "relay-1") -> str:
    inner = f"<tt:Mode>{mode}</tt:Mode><tt:DelayTime>{delay}</tt:DelayTime><tt:IdleState>{idle}</tt:IdleState>"
    content = f"<t:RelayOutputToken>{token}</t:RelayOutputToken><t:Properties>{inner}</t:Properties>"
    return request("SetRelayOutputSettings", content)


def switch(state: str, token: str = "relay-1") -> str:
    content = f"<t:RelayOutputToken>{token}</t:RelayOutputToken><t:LogicalState>{state}</t:LogicalState>"
    return request("SetRelayOutputState", content)


async def shown(device: Any) -> list[list[str]]:
    return [[item.get("token"), *(child.text for child in item[0])] for item in await device.ask(tds.GetRelayOutputs())]


@pytest.mark.covers("S-GetRelayOutputs", "S-SetRelayOutputSettings")
@pytest.mark.parametrize(("mode", "idle"), [(m, i) for m in ("Bistable", "Monostable") for i in ("open", "closed")])
async def test_relay_settings(device: Any, mode: str, idle: str) -> None:
    await device.ask(settings(mode, "PT20S", idle))
    first, second = await shown(device)
    assert (first[1], first[3]) == (mode, idle)
    assert mode == "Bistable" or first[2] == "PT20S"
    assert second == ["relay-2", "Bistable", "PT1S", "open"]


@pytest.mark.covers("S-SetRelayOutputState")
async def test_bistable_output_stays(device: Any, stage: Stage) -> None:
    await device.ask(switch("active"))
    await device.ask(switch("active"))
    await stage.clock.advance(100_000)
    assert stage.told == [("relay-1", True)]
    await device.ask(switch("inactive"))
    assert stage.told == [("relay-1", True), ("relay-1", False)]


@pytest.mark.covers("S-SetRelayOutputState")
async def test_monostable_output_returns_after_its_time(device: Any, stage: Stage) -> None:
    await device.ask(settings("Monostable", "PT20S", "open"))
    await device.ask(switch("active"))
    await asyncio.sleep(0)
    await stage.clock.advance(19.9)
    assert stage.told == [("relay-1", True)]
    await device.ask(switch("active"))  # its time begins anew
    await asyncio.sleep(0)
    await stage.clock.advance(19.9)
    assert stage.told == [("relay-1", True)]
    await stage.clock.advance(0.2)
    assert stage.told == [("relay-1", True), ("relay-1", False)]
    await device.ask(switch("active"))
    await device.ask(switch("inactive"))
    await stage.clock.advance(30)
    assert stage.told[2:] == [("relay-1", True), ("relay-1", False)]


@pytest.mark.covers("S-SetRelayOutputSettings", "S-SetRelayOutputState")
async def test_relay_faults(device: Any, stage: Stage) -> None:
    before = await shown(device)
    assert await device.fault(settings("Bistable", "PT1S", "open", "relay-9")) == (*BAD, "RelayToken")
    assert await device.fault(switch("active", "relay-9")) == (*BAD, "RelayToken")
    for delay in ("PT0S", "-PT5S", "P2D"):
        assert await device.fault(settings("Monostable", delay, "open")) == (*BAD, "ModeError")
    assert await shown(device) == before
    assert stage.told == []


async def test_relay_counts_agree(device: Any) -> None:
    capabilities = await device.ask(tds.GetCapabilities())
    assert capabilities.findtext(f".//{TT}RelayOutputs") == str(len(await shown(device)))


@pytest.mark.covers("T-SendAuxiliaryCommand")
async def test_auxiliary_commands(device: Any, stage: Stage) -> None:
    capabilities = await device.ask(tds.GetServiceCapabilities())
    (command,) = capabilities.find(f".//{TDS}Misc").get("AuxiliaryCommands").split()
    legacy = await device.ask(tds.GetCapabilities())
    assert legacy.findtext(f".//{TT}AuxiliaryCommands") == command
    answer = await device.ask(request("SendAuxiliaryCommand", f"<t:AuxiliaryCommand>{command}</t:AuxiliaryCommand>"))
    assert answer[0].text == "on"
    assert stage.recorded == [True]
    unknown = request("SendAuxiliaryCommand", "<t:AuxiliaryCommand>tt:Wiper|On</t:AuxiliaryCommand>")
    assert await device.fault(unknown) == (*BAD, "AuxiliaryDataNotSupported")


# ---- places


def place(attributes: str = "", content: str = "", name: str = "SetGeoLocation") -> str:
    return request(name, f"<t:Location {attributes}>{content}</t:Location>")


async def test_places_are_kept_replaced_and_removed(device: Any, stage: Stage) -> None:
    geo = (
        '<tt:GeoLocation lon="13.4" lat="52.5" elevation="34.0"/><tt:LocalOrientation pan="1.0" tilt="2.0" roll="3.0"/>'
    )
    await device.ask(place('Entity="VideoSource" Token="vs-1" GeoSource="http://example.org/gps"', geo))
    await device.ask(place('Entity="Device"', '<tt:LocalLocation x="1.5" y="0" z="-2"/>'))
    first, second = await device.ask(request("GetGeoLocation"))
    assert (first.get("Entity"), first.get("Token"), first.get("GeoSource")) == (
        *("VideoSource", "vs-1", "http://example.org/gps"),
    )
    assert dict(first[0].attrib) == {"lon": "13.4", "lat": "52.5", "elevation": "34"}
    assert second.find(f"{TT}LocalLocation").get("z") == "-2"
    # What is not passed is removed (Core 8.3.21).
    await device.ask(place('Entity="VideoSource" Token="vs-1"', '<tt:GeoOrientation yaw="90"/>'))
    first, _ = await device.ask(request("GetGeoLocation"))
    assert [child.tag for child in first] == [f"{TT}GeoOrientation"]
    await device.ask(place('Entity="VideoSource" Token="vs-1"', name="DeleteGeoLocation"))
    (left,) = await device.ask(request("GetGeoLocation"))
    assert left.get("Entity") == "Device"
    assert len(stage.state.now.places) == 1


async def test_place_faults(device: Any, stage: Stage) -> None:
    assert await device.fault(place('AutoGeo="true"')) == (*BAD, "NoAutoGeo")
    assert await device.fault(place("", '<tt:GeoLocation lon="181" lat="0"/>')) == BAD
    assert await device.fault(place("", '<tt:GeoLocation lon="0" lat="NaN"/>')) == BAD
    assert await device.fault(place('Entity="Device"', name="DeleteGeoLocation")) == (*BAD, "NoConfig")
    many = "".join(f'<t:Location Token="{number}"/>' for number in range(65))
    assert await device.fault(request("SetGeoLocation", many)) == ("Receiver", "Action", "TooManyEntries")
    assert stage.state.now.places == ()
    capabilities = (await device.ask(tds.GetServiceCapabilities())).find(f".//{TDS}System")
    assert capabilities.get("GeoLocationEntries") == "64"
    assert capabilities.get("AutoGeo") is None


# ---- storage


def data(path: Path | str, kind: str = "Local", more: str = "") -> str:
    return f'type="{kind}"><t:LocalPath>{path}</t:LocalPath>{more}'


def create(path: Path | str, kind: str = "Local", more: str = "") -> str:
    return request(
        "CreateStorageConfiguration", f"<t:StorageConfiguration {data(path, kind, more)}</t:StorageConfiguration>"
    )


def change(token: str, path: Path | str) -> str:
    inner = f'<t:StorageConfiguration token="{token}"><t:Data {data(path)}</t:Data></t:StorageConfiguration>'
    return request("SetStorageConfiguration", inner)


def named(name: str, token: str) -> str:
    return request(f"{name}StorageConfiguration", f"<t:Token>{token}</t:Token>")


async def listed(device: Any) -> dict[str, str]:
    answer = await device.ask(request("GetStorageConfigurations"))
    return {item.get("token"): item.findtext(f"{TDS}Data/{TDS}LocalPath") for item in answer}


@pytest.mark.covers("STO-03")
async def test_storage_is_listed_added_moved_and_removed(device: Any, stage: Stage, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "two").mkdir()
    assert await listed(device) == {"vol-1": str(tmp_path / "volume")}
    token = (await device.ask(create(root / "one")))[0].text
    assert await listed(device) == {"vol-1": str(tmp_path / "volume"), token: str(root / "one")}
    await device.ask(change(token, root / "two"))
    answer = await device.ask(named("Get", token))
    assert answer.findtext(f".//{TDS}LocalPath") == str(root / "two")
    await device.ask(named("Delete", token))
    assert list(await listed(device)) == ["vol-1"]
    stage.volumes.append(("vol-2", tmp_path))  # one that is added while it runs
    assert list(await listed(device)) == ["vol-1", "vol-2"]
    stage.volumes.pop()
    assert list(await listed(device)) == ["vol-1"]
    capabilities = (await device.ask(tds.GetServiceCapabilities())).find(f".//{TDS}System")
    assert (capabilities.get("StorageConfiguration"), capabilities.get("MaxStorageConfigurations")) == ("true", "9")


async def test_storage_faults(device: Any, stage: Stage, tmp_path: Path) -> None:
    root = tmp_path / "root"
    for bad in (root / "none", tmp_path, "one", root / ".." / "volume", "/etc"):
        assert await device.fault(create(bad)) == BAD
    (root / "link").symlink_to(tmp_path / "volume")
    assert await device.fault(create(root / "link")) == BAD
    assert await device.fault(create(root / "one", "FTP")) == BAD
    assert await device.fault(create(root / "one", more="<t:StorageUri>ftp://x</t:StorageUri>")) == BAD
    for name in ("Get", "Delete"):
        assert await device.fault(named(name, "none")) == (*BAD, "NoConfig")
    assert await device.fault(change("none", root / "one")) == (*BAD, "NoConfig")
    assert await device.fault(change("vol-1", root / "one")) == (*BAD, "ConfigModify")
    conflict = ("Receiver", "Action", "ConfigurationConflict")
    assert await device.fault(named("Delete", "vol-1")) == conflict
    token = (await device.ask(create(root / "one")))[0].text
    assert await device.fault(create(root / "one")) == BAD
    assert await device.fault(change(token, "/etc")) == (*BAD, "ConfigModify")
    stage.used.add(root / "one")
    assert await device.fault(named("Delete", token)) == conflict
    for number in range(7):
        (root / f"more{number}").mkdir()
        await device.ask(create(root / f"more{number}"))
    (root / "last").mkdir()
    full = ("Receiver", "OperationProhibited", "MaxStorageConfigurations")
    assert await device.fault(create(root / "last")) == full


async def test_without_roots_nothing_can_be_added(body: Any, client: Callable[..., Any], tmp_path: Path) -> None:
    device = client(DeviceService(body, ServiceRegistry(), control=Stage(volume=tmp_path).control))
    full = ("Receiver", "OperationProhibited", "MaxStorageConfigurations")
    assert await device.fault(create(tmp_path)) == full
