"""Scopes, time, logs, backups and restarts of the device service: bytes in, bytes out, every fault of Core 8.3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from lxml import etree

from onvifd.access.types import AccessClass, Level, may
from onvifd.clock import US, isoformat
from onvifd.onvif.services.common import NS_DEVICE, ServiceRegistry
from onvifd.onvif.services.device import DeviceService
from onvifd.onvif.services.device_host import DeviceHost
from onvifd.onvif.services.device_inventory import DeviceInventory
from onvifd.onvif.services.device_maintenance import DeviceMaintenance
from onvifd.onvif.soap.dispatch import HttpRequest
from onvifd.onvif.soap.mtom import Part, unpack
from onvifd.onvif.types import tds
from tests.onvif.services.device_stage import Stage

TDS = f"{{{NS_DEVICE}}}"
TT = "{http://www.onvif.org/ver10/schema}"
BAD = ("Sender", "InvalidArgVal")
BASE = "onvif://www.onvif.org/"

ACCESS = {
    AccessClass.READ_SYSTEM: {
        "GetSystemUris",
        "GetZeroConfiguration",
        "GetDynamicDNS",
        "GetIPAddressFilter",
        "GetGeoLocation",
    },
    AccessClass.READ_MEDIA: {"GetRelayOutputs", "GetStorageConfigurations", "GetStorageConfiguration"},
    AccessClass.READ_SYSTEM_SECRET: {"GetSystemLog", "GetSystemSupportInformation", "GetSystemBackup"},
    AccessClass.UNRECOVERABLE: {"SystemReboot", "SetSystemFactoryDefault", "RestoreSystem", "StartSystemRestore"},
    AccessClass.ACTUATE: {
        *("SetRelayOutputSettings", "SetRelayOutputState", "SendAuxiliaryCommand"),
        *("CreateStorageConfiguration", "SetStorageConfiguration", "DeleteStorageConfiguration"),
    },
    AccessClass.WRITE_SYSTEM: {
        *("SetHostname", "SetHostnameFromDHCP", "SetDNS", "SetNTP", "SetNetworkInterfaces", "SetNetworkProtocols"),
        *("SetNetworkDefaultGateway", "SetZeroConfiguration", "SetDynamicDNS", "SetIPAddressFilter"),
        *("AddIPAddressFilter", "RemoveIPAddressFilter", "SetScopes", "AddScopes", "RemoveScopes", "SetDiscoveryMode"),
        *("SetSystemDateAndTime", "SetHashingAlgorithm", "SetGeoLocation", "DeleteGeoLocation"),
    },
}
"""The access classes of the requirements' table."""


@pytest.fixture
async def stage() -> Stage:
    made = Stage()
    await made.start()
    return made


@pytest.fixture
def device(body: Any, stage: Stage, client: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(body, "scopes", stage.scopes.scopes)
    monkeypatch.setattr(body, "discoverable", stage.scopes.discoverable)
    monkeypatch.setattr(body, "system_time", stage.time.system_time)
    made = client(DeviceService(body, ServiceRegistry(), control=stage.control))
    made.clock = stage.clock
    return made


def request(name: str, content: str = "") -> str:
    return f'<t:{name} xmlns:t="{NS_DEVICE}" xmlns:tt="{TT[1:-1]}">{content}</t:{name}>'


def test_access_classes() -> None:
    served = {
        etree.QName(item.name).localname: item.access
        for part in (DeviceHost, DeviceMaintenance, DeviceInventory)
        for item in part.operations()
    }
    assert served == {name: access for access, names in ACCESS.items() for name in names}


@pytest.mark.covers("ACC-18")
@pytest.mark.parametrize("name", sorted(name for names in ACCESS.values() for name in names))
async def test_levels_that_are_too_low_are_refused_before_anything_is_looked_at(device: Any, name: str) -> None:
    access = next(access for access, names in ACCESS.items() if name in names)
    for level in (Level.OPERATOR, Level.USER):
        if not may(level, access):
            assert await device.fault(request(name), level.lower()) == ("Sender", "NotAuthorized")
    assert await device.fault(request(name), None) == ("Sender", "NotAuthorized")


# ---- scopes and discovery


async def scopes(device: Any) -> list[str]:
    return [item[1].text for item in await device.ask(tds.GetScopes()) if item[0].text == "Configurable"]


def items(tag: str, *uris: str) -> str:
    return "".join(f"<t:{tag}>{uri}</t:{tag}>" for uri in uris)


@pytest.mark.covers(
    *("S-SetScopes", "G-SetScopes", "T-SetScopes", "S-AddScopes", "G-AddScopes", "T-AddScopes", "S-RemoveScopes"),
    *("G-RemoveScopes", "T-RemoveScopes"),
)
async def test_configurable_scopes_are_replaced_added_and_removed(device: Any, stage: Stage) -> None:
    assert await scopes(device) == [f"{BASE}location/here"]
    fixed = len(await device.ask(tds.GetScopes())) - 1
    # A fixed one among them is there already; repetitions count once.
    await device.ask(request("SetScopes", items("Scopes", f"{BASE}name/new", "urn:x:1", f"{BASE}Profile/G", "urn:x:1")))
    assert await scopes(device) == [f"{BASE}name/new", "urn:x:1"]
    await device.ask(request("AddScopes", items("ScopeItem", "http://example.org/a%20b")))
    assert await scopes(device) == [f"{BASE}name/new", "urn:x:1", "http://example.org/a%20b"]
    answer = await device.ask(request("RemoveScopes", items("ScopeItem", "urn:x:1")))
    assert [item.text for item in answer] == ["urn:x:1"]
    assert len(await device.ask(tds.GetScopes())) == fixed + 2
    assert stage.announced == 3
    assert stage.state.now.scopes == (f"{BASE}name/new", "http://example.org/a%20b")


async def test_what_changes_nothing_is_not_announced(device: Any, stage: Stage) -> None:
    await device.ask(request("AddScopes", items("ScopeItem", f"{BASE}location/here")))
    assert stage.announced == 0


@pytest.mark.covers(
    *("S-SetScopes", "G-SetScopes", "T-SetScopes", "S-AddScopes", "G-AddScopes", "T-AddScopes", "S-RemoveScopes"),
    *("G-RemoveScopes", "T-RemoveScopes"),
)
async def test_scope_faults_change_nothing(device: Any, stage: Stage) -> None:
    many = items("ScopeItem", *(f"urn:x:{number}" for number in range(33)))
    too_many = ("Receiver", "Action", "TooManyScopes")
    assert await device.fault(request("AddScopes", many)) == too_many
    assert await device.fault(request("SetScopes", many.replace("ScopeItem", "Scopes"))) == too_many
    remove = request("RemoveScopes", items("ScopeItem", f"{BASE}Profile/G"))
    assert await device.fault(remove) == ("Sender", "OperationProhibited", "FixedScope")
    both = request("RemoveScopes", items("ScopeItem", f"{BASE}location/here", "urn:x:9"))
    assert await device.fault(both) == (*BAD, "NoScope")
    for bad in ("no scheme", "urn:", "http://a b", "x" * 200 + ":a", "urn:%zz"):
        assert await device.fault(request("AddScopes", items("ScopeItem", bad))) == BAD
    assert await scopes(device) == [f"{BASE}location/here"]
    assert stage.announced == 0


@pytest.mark.covers("S-SetDiscoveryMode", "G-SetDiscoveryMode", "T-SetDiscoveryMode", "NET-41")
async def test_discovery_mode_is_set_kept_and_announced(device: Any, stage: Stage) -> None:
    await device.ask(request("SetDiscoveryMode", "<t:DiscoveryMode>NonDiscoverable</t:DiscoveryMode>"))
    assert (await device.ask(tds.GetDiscoveryMode()))[0].text == "NonDiscoverable"
    assert stage.state.now.discoverable is False
    await device.ask(request("SetDiscoveryMode", "<t:DiscoveryMode>Discoverable</t:DiscoveryMode>"))
    assert (await device.ask(tds.GetDiscoveryMode()))[0].text == "Discoverable"
    assert stage.announced == 2
    assert await device.fault(request("SetDiscoveryMode", "<t:DiscoveryMode>Hidden</t:DiscoveryMode>")) == BAD


# ---- time


def time(kind: str, *, zone: str | None = None, when: tuple[int, ...] | None = None, daylight: str = "true") -> str:
    content = f"<t:DateTimeType>{kind}</t:DateTimeType><t:DaylightSavings>{daylight}</t:DaylightSavings>"
    if zone is not None:
        content += f"<t:TimeZone><tt:TZ>{zone}</tt:TZ></t:TimeZone>"
    if when is not None:
        year, month, day, hour, minute, second = when
        content += (
            f"<t:UTCDateTime><tt:Time><tt:Hour>{hour}</tt:Hour><tt:Minute>{minute}</tt:Minute>"
            f"<tt:Second>{second}</tt:Second></tt:Time><tt:Date><tt:Year>{year}</tt:Year><tt:Month>{month}</tt:Month>"
            f"<tt:Day>{day}</tt:Day></tt:Date></t:UTCDateTime>"
        )
    return request("SetSystemDateAndTime", content)


async def clock(device: Any) -> dict[str, str]:
    answer = (await device.ask(tds.GetSystemDateAndTime(), None))[0]
    local = [item.text for item in answer.find(f"{TT}LocalDateTime").iter() if item.text]
    return {
        "type": answer.findtext(f"{TT}DateTimeType"),
        "daylight": answer.findtext(f"{TT}DaylightSavings"),
        "zone": answer.findtext(f"{TT}TimeZone/{TT}TZ"),
        "local": ":".join(local[:2]),
    }


@pytest.mark.covers(
    "P255", "S-SetSystemDateAndTime", "G-SetSystemDateAndTime", "T-SetSystemDateAndTime", "SYS-04", "SYS-05", "A063"
)
async def test_time_is_set_and_read_back(device: Any, stage: Stage) -> None:
    await device.ask(time("Manual", zone="PST8PDT,M3.2.0,M11.1.0", when=(2026, 7, 1, 12, 0, 0)))
    assert ("set_time", 1_782_907_200 * US) in stage.host.calls
    stage.clock = device.clock
    found = await clock(device)
    assert (found["type"], found["daylight"], found["zone"]) == ("Manual", "true", "PST8PDT,M3.2.0,M11.1.0")
    assert found["local"] == "16:0"  # 2026-01-01T00:00Z is the day before, in winter
    await device.ask(time("Manual", daylight="false"))
    found = await clock(device)
    assert (found["daylight"], found["zone"]) == ("false", "PST8PDT,M3.2.0,M11.1.0")


@pytest.mark.covers("S-SetSystemDateAndTime", "G-SetSystemDateAndTime", "T-SetSystemDateAndTime")
@pytest.mark.parametrize("zone", ["INVALIDTIMEZONE", "", "CET-1CEST,M3.5.0", "Europe/Berlin"])
async def test_invalid_time_zone(device: Any, stage: Stage, zone: str) -> None:
    before = await clock(device)
    assert await device.fault(time("Manual", zone=zone, when=(2026, 1, 1, 0, 0, 0))) == (*BAD, "InvalidTimeZone")
    assert await clock(device) == before
    assert stage.host.calls == []


@pytest.mark.covers("S-SetSystemDateAndTime", "G-SetSystemDateAndTime", "T-SetSystemDateAndTime")
@pytest.mark.parametrize(
    "when",
    [
        *((2026, 2, 29, 0, 0, 0), (2026, 2, 31, 0, 0, 0), (2026, 13, 1, 0, 0, 0), (2026, 0, 1, 0, 0, 0)),
        *((2026, 1, 0, 0, 0, 0), (2026, 1, 1, 24, 0, 0), (2026, 1, 1, 0, 60, 0), (2026, 1, 1, 0, 0, 60)),
        *((1969, 12, 31, 0, 0, 0), (99999, 1, 1, 0, 0, 0), (2026, 1, 1, -1, 0, 0)),
    ],
)
async def test_invalid_date(device: Any, stage: Stage, when: tuple[int, ...]) -> None:
    before = await clock(device)
    assert await device.fault(time("Manual", zone="PST8PDT,M3.2.0,M11.1.0", when=when)) == (*BAD, "InvalidDateTime")
    assert await clock(device) == before
    assert stage.host.calls == []


@pytest.mark.covers("S-SetSystemDateAndTime", "G-SetSystemDateAndTime", "T-SetSystemDateAndTime", "SYS-06", "P249")
async def test_ntp_needs_a_server(device: Any, stage: Stage) -> None:
    assert await device.fault(time("NTP")) == (*BAD, "NtpServerUndefined")
    stage.host.ntp_servers = (False, ("192.0.2.123",))
    await device.ask(time("NTP", when=(2026, 2, 31, 0, 0, 0)))  # with NTP the date has no meaning
    assert (await clock(device))["type"] == "NTP"
    assert stage.host.calls == [("follow", True)]


async def test_a_clock_that_is_somebody_elses_takes_the_time_that_it_has(device: Any, stage: Stage) -> None:
    stage.host.max_servers = 0
    now = stage.clock.utc()
    assert isoformat(now).startswith("2026-01-01T00:00:00")
    await device.ask(time("Manual", when=(2026, 1, 1, 0, 0, 5)))
    assert (await clock(device))["type"] == "Manual"
    other = time("Manual", when=(2026, 1, 1, 0, 1, 0))
    assert await device.fault(other) == ("Receiver", "ActionNotSupported")
    assert stage.host.calls == []


async def test_hashing_algorithms(device: Any, stage: Stage) -> None:
    await device.ask(request("SetHashingAlgorithm", "<t:Algorithm>SHA-256,MD5</t:Algorithm>"))
    assert stage.hashing.names == ("SHA-256", "MD5")
    await device.ask(request("SetHashingAlgorithm", "<t:Algorithm>SHA-256</t:Algorithm>"))
    assert stage.hashing.names == ("SHA-256",)
    assert await device.fault(request("SetHashingAlgorithm", "<t:Algorithm>CRC-8</t:Algorithm>")) == BAD
    security = (await device.ask(tds.GetServiceCapabilities())).find(f".//{TDS}Security")
    assert security.get("HashingAlgorithms") == "MD5 SHA-256"


# ---- restart


@pytest.mark.covers("S-SystemReboot", "G-SystemReboot", "T-SystemReboot", "M-SystemReboot")
async def test_reboot_says_when(device: Any, stage: Stage) -> None:
    answer = await device.ask(request("SystemReboot"))
    assert answer.findtext(f"{TDS}Message") == "Rebooting in 1 seconds."
    assert stage.system.asked == ["SystemReboot by administrator at 192.0.2.99"]


@pytest.mark.covers("S-SetSystemFactoryDefault", "G-SetSystemFactoryDefault", "T-SetSystemFactoryDefault")
async def test_factory_default(device: Any, stage: Stage) -> None:
    for kind in ("Soft", "Hard"):
        await device.ask(request("SetSystemFactoryDefault", f"<t:FactoryDefault>{kind}</t:FactoryDefault>"))
    assert stage.system.asked == ["soft", "hard"]
    assert await device.fault(request("SetSystemFactoryDefault", "<t:FactoryDefault>X</t:FactoryDefault>")) == BAD


# ---- logs, support information, backups


async def test_logs(device: Any, stage: Stage) -> None:
    for kind in ("System", "Access"):
        answer = await device.ask(request("GetSystemLog", f"<t:LogType>{kind}</t:LogType>"))
        assert answer.findtext(f".//{TT}String") == f"{kind} entries\n"
    stage.system.silent = True
    for kind in ("System", "Access"):
        fault = ("Sender", "InvalidArgs", f"{kind}logUnavailable")
        assert await device.fault(request("GetSystemLog", f"<t:LogType>{kind}</t:LogType>")) == fault
    answer = await device.ask(request("GetSystemSupportInformation"))
    assert answer.findtext(f".//{TT}String") == "all is well & <good>\n"


async def test_addresses_of_downloads_repeat_those_of_the_request(device: Any) -> None:
    for scheme, host in (("http", "192.0.2.10:8080"), ("https", "nvr.example"), ("http", "[2001:db8::1]:80")):
        device.scheme, device.host = scheme, host
        answer = await device.ask(request("GetSystemUris"))
        uris = [item.text for item in answer.iter() if (item.text or "").startswith("http")]
        assert [uri.removeprefix(f"{scheme}://{host}/onvif/system/") for uri in uris] == [
            *("log/system", "log/access", "support", "backup"),
        ]
        answer = await device.ask(request("StartSystemRestore"))
        assert answer.findtext(f"{TDS}UploadUri") == f"{scheme}://{host}/onvif/system/restore"
        assert answer.findtext(f"{TDS}ExpectedDownTime") == "PT30S"


async def test_a_backup_travels_as_an_attachment_and_back(device: Any, stage: Stage, assert_valid: Any) -> None:
    reply = await device.send(request("GetSystemBackup"))
    assert reply.status == 200
    kind = dict(reply.headers)["Content-Type"]
    assert kind.startswith('multipart/related; type="application/xop+xml"')
    envelope, parts = unpack(kind, reply.body)
    answer = assert_valid(envelope)
    href = answer.find(".//{http://www.w3.org/2004/08/xop/include}Include").get("href")
    assert answer.findtext(f".//{TT}Name") == "x.backup"
    part = parts[href.removeprefix("cid:")]
    assert part.data == b"\x00backup\xff"
    assert (await restore(device, part)).status == 200
    assert stage.system.asked == [b"\x00backup\xff"]


async def restore(device: Any, part: Part | None, href: str = "cid:it@x") -> Any:
    include = f'<x:Include xmlns:x="http://www.w3.org/2004/08/xop/include" href="{href}"/>'
    content = f"<t:BackupFiles><tt:Name>b</tt:Name><tt:Data>{include}</tt:Data></t:BackupFiles>"
    handle = device.dispatcher.handle

    async def with_part(http: HttpRequest) -> Any:
        import dataclasses

        return await handle(dataclasses.replace(http, parts={"it@x": part} if part else {}))

    device.dispatcher.handle = with_part
    try:
        return await device.send(request("RestoreSystem", content))
    finally:
        device.dispatcher.handle = handle


async def test_files_that_are_no_backup(device: Any, stage: Stage) -> None:
    reply = await restore(device, Part("application/octet-stream", b"noise"))
    assert b"ter:InvalidBackupFile" in reply.body
    for href in ("cid:other@x", "http://192.0.2.1/backup", ""):
        assert b"ter:InvalidArgs" in (await restore(device, None, href)).body
    assert stage.system.asked == []
