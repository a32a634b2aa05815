"""Base Test 7.3: time, factory default, reboot, logs, system URIs, restore, firmware."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from conformance.cases.base_common import (
    BASE,
    INVALID,
    SENDER,
    away_and_back,
    back_at_last,
    reboot,
    settle,
    wait_hello,
    wait_until_back,
)
from conformance.cases.base_network import address, ntp_kept, set_ntp
from conformance.clock import date_time, moment
from conformance.model import Examination, case
from conformance.names import find, findall, renamed, text
from conformance.soap import expect_fault, expect_response

POSIX_ZONE = re.compile(
    r"(?:[A-Za-z]{3,}|<[A-Za-z0-9+-]{3,}>)[+-]?\d{1,3}(?::\d{2}){0,2}"
    r"(?:(?:[A-Za-z]{3,}|<[A-Za-z0-9+-]{3,}>)(?:[+-]?\d{1,3}(?::\d{2}){0,2})?"
    r"(?:,(?:M\d{1,2}\.[1-5]\.[0-6]|J?\d{1,3})(?:/[+-]?\d{1,3}(?::\d{2}){0,2})?"
    r",(?:M\d{1,2}\.[1-5]\.[0-6]|J?\d{1,3})(?:/[+-]?\d{1,3}(?::\d{2}){0,2})?)?)?"
)
"""POSIX 1003.1, 8.3 (Base Test 9.3)."""


# ---- time ---------------------------------------------------------------------------------------------


async def get_time(x: Examination) -> Any:
    found = find(await x.ask("tds", "<tds:GetSystemDateAndTime/>"), "tds:SystemDateAndTime")
    x.check(found is not None, "GetSystemDateAndTimeResponse has no SystemDateAndTime")
    return found


def check_time(x: Examination, found: Any, *, utc: bool) -> None:
    """Dates that are there must be dates; `utc`: the UTC one must be there."""
    for name in ("UTCDateTime", "LocalDateTime"):
        value = find(found, f"tt:{name}")
        x.check(value is None or moment(value) is not None, f"{name} is no date and time")
    x.check(not utc or find(found, "tt:UTCDateTime") is not None, "UTCDateTime is missing")
    zone = text(found, "tt:TimeZone/tt:TZ")
    x.check(not zone or POSIX_ZONE.fullmatch(zone), f"TimeZone {zone!r} is none of POSIX 1003.1, 8.3 (9.3)")


def set_time(kind: str, *, daylight: str = "false", zone: str = "", utc: str = "") -> str:
    inside = f"<tds:DateTimeType>{kind}</tds:DateTimeType><tds:DaylightSavings>{daylight}</tds:DaylightSavings>"
    inside += f"<tds:TimeZone><tt:TZ>{zone}</tt:TZ></tds:TimeZone>" if zone else ""
    return f"<tds:SetSystemDateAndTime>{inside}{utc}</tds:SetSystemDateAndTime>"


def utc_now() -> str:
    return date_time("tds:UTCDateTime", datetime.now(UTC))


async def restore_time(x: Examination, before: Any) -> None:
    """Helper 9.20."""
    kind = text(before, "tt:DateTimeType", "Manual")
    zone = find(before, "tt:TimeZone")
    inside = f"<tds:DateTimeType>{kind}</tds:DateTimeType>"
    inside += f"<tds:DaylightSavings>{text(before, 'tt:DaylightSavings', 'false')}</tds:DaylightSavings>"
    inside += renamed(zone, "tds:TimeZone") if zone is not None else ""
    inside += utc_now() if kind == "Manual" else ""
    await x.ask("tds", f"<tds:SetSystemDateAndTime>{inside}</tds:SetSystemDateAndTime>")


@asynccontextmanager
async def time_kept(x: Examination) -> AsyncIterator[Any]:
    before = await get_time(x)
    try:
        yield before
    finally:
        await restore_time(x, before)


def need_profile(x: Examination) -> None:
    """Pre-requisite "Profile S scope or ...": the device claims a profile."""
    claimed = [each for each in x.features.scopes if each.startswith("onvif://www.onvif.org/Profile/")]
    if not claimed:
        x.skip("a scope of Profile S, G, C, A, T or D")


@case("DEVICE-3-1-1", document=BASE, name="SYSTEM COMMAND GETSYSTEMDATEANDTIME")
async def date_and_time(x: Examination) -> None:
    found = await get_time(x)
    check_time(x, found, utc=False)
    if text(found, "tt:DateTimeType") == "Manual":
        present = [find(found, f"tt:{name}") is not None for name in ("UTCDateTime", "LocalDateTime")]
        x.check(any(present), "time is set manually, but neither UTCDateTime nor LocalDateTime is there (7.3.1)")


@case("DEVICE-3-1-4", document=BASE, name="SYSTEM COMMAND SETSYSTEMDATEANDTIME TEST FOR INVALID TIMEZONE")
async def invalid_zone(x: Examination) -> None:
    need_profile(x)
    async with time_kept(x):
        request = set_time("Manual", daylight="true", zone="INVALIDTIMEZONE", utc=utc_now())
        await x.soap.refuse("tds", request, (SENDER, INVALID, "ter:InvalidTimeZone"))
        found = await get_time(x)
        x.check(text(found, "tt:TimeZone/tt:TZ") != "INVALIDTIMEZONE", "the refused time zone was set")
        check_time(x, found, utc=True)


INVALID_DATE = (
    "<tds:UTCDateTime><tt:Time><tt:Hour>25</tt:Hour><tt:Minute>75</tt:Minute><tt:Second>75</tt:Second></tt:Time>"
    "<tt:Date><tt:Year>2011</tt:Year><tt:Month>13</tt:Month><tt:Day>32</tt:Day></tt:Date></tds:UTCDateTime>"
)


@case("DEVICE-3-1-5", document=BASE, name="SYSTEM COMMAND SETSYSTEMDATEANDTIME TEST FOR INVALID DATE")
async def invalid_date(x: Examination) -> None:
    need_profile(x)
    async with time_kept(x):
        request = set_time("Manual", daylight="true", zone="PST8PDT,M3.2.0,M11.1.0", utc=INVALID_DATE)
        await x.soap.refuse("tds", request, (SENDER, INVALID, "ter:InvalidDateTime"))
        check_time(x, await get_time(x), utc=True)


def _close(x: Examination, found: Any, expected: datetime) -> None:
    given = moment(find(found, "tt:UTCDateTime"))
    x.check(given is not None, "UTCDateTime is missing")
    assert given is not None
    tolerance = timedelta(seconds=5 + x.settings.message_timeout)
    x.check(abs(given - expected) <= tolerance, f"UTCDateTime is {given} after {expected} was set")


@case("DEVICE-3-1-11", document=BASE, name="SYSTEM COMMAND SETSYSTEMDATEANDTIME")
async def set_date_and_time(x: Examination) -> None:
    need_profile(x)
    async with time_kept(x):
        now = datetime.now(UTC)
        await x.ask("tds", set_time("Manual", utc=date_time("tds:UTCDateTime", now)))
        found = await get_time(x)
        check_time(x, found, utc=True)
        kind = text(found, "tt:DateTimeType")
        x.check(kind == "Manual", f"DateTimeType is {kind} after Manual was set")
        _close(x, found, now)


@case("DEVICE-3-1-12", document=BASE, name="SYSTEM COMMAND SETSYSTEMDATEANDTIME USING NTP", requires=("Device/NTP",))
async def set_time_by_ntp(x: Examination) -> None:
    need_profile(x)
    server = need_time_server(x)
    async with ntp_kept(x), time_kept(x):
        await x.ask("tds", set_ntp(manual=address("tds:NTPManual", server, 4)))
        await x.ask("tds", set_time("NTP", daylight="false", zone="PST8PDT,M3.2.0,M11.1.0"))
        await settle(x)
        found = await get_time(x)
        check_time(x, found, utc=True)
        kind = text(found, "tt:DateTimeType")
        x.check(kind == "NTP", f"DateTimeType is {kind} after NTP was set")
        _close(x, found, datetime.now(UTC))


def need_time_server(x: Examination) -> str:
    if not x.settings.ntp_server:
        x.cannot("needs a time server that the device can reach; name one with --ntp-server")
    return x.settings.ntp_server


# ---- default, reboot ----------------------------------------------------------------------------------


def factory_default(kind: str) -> str:
    return f"<tds:SetSystemFactoryDefault><tds:FactoryDefault>{kind}</tds:FactoryDefault></tds:SetSystemFactoryDefault>"


@case(
    "DEVICE-3-1-6",
    document=BASE,
    name="SYSTEM COMMAND FACTORY DEFAULT HARD",
    requires=("Device/Discovery",),
    destructive=True,
)
async def hard_default(x: Examination) -> None:
    need_profile(x)
    if "hard-default" not in x.settings.equipment:
        x.cannot(
            "the device loses accounts and address; ask for it with --equipment hard-default and run this case last"
        )
    async with x.prober.listen() as ear:
        await x.ask("tds", factory_default("Hard"))
        await wait_hello(x, ear)


@case("DEVICE-3-1-7", document=BASE, name="SYSTEM COMMAND FACTORY DEFAULT SOFT", destructive=True)
async def soft_default(x: Examination) -> None:
    need_profile(x)
    async with back_at_last(x):
        await x.ask("tds", factory_default("Soft"))
        # A device may reset itself without going away.
        await away_and_back(x, within=10.0)
        if not x.has("Device/Discovery"):
            return
        for _ in range(50):
            if await x.prober.probe(None, None, timeout=5.0) is not None:
                return
        x.fail("no ProbeMatch in 50 probes after the soft factory default (7.3.5)")


@case("DEVICE-3-1-8", document=BASE, name="SYSTEM COMMAND REBOOT", destructive=True)
async def system_reboot(x: Examination) -> None:
    async with back_at_last(x):
        hello = await reboot(x)
        if hello is None:
            return
        x.check(hello.endpoint, "the Hello has no EndpointReference")
        x.check(hello.types, "the Hello has no Types")
        x.check(hello.scopes, "the Hello has no Scopes")
        answer = await x.prober.probe(None, None, unicast=True)
        x.check(answer is not None and answer.kind == "ProbeMatches", "no ProbeMatch after the reboot (7.3.6)")


# ---- information, logs, URIs --------------------------------------------------------------------------


@case("DEVICE-3-1-9", document=BASE, name="SYSTEM COMMAND DEVICE INFORMATION")
async def device_information(x: Examination) -> None:
    body = await x.ask("tds", "<tds:GetDeviceInformation/>")
    for name in ("Manufacturer", "Model", "FirmwareVersion", "SerialNumber", "HardwareId"):
        x.check(find(body, f"tds:{name}") is not None, f"GetDeviceInformationResponse has no {name}")


@case("DEVICE-3-1-10", document=BASE, name="SYSTEM COMMAND GETSYSTEMLOG")
async def system_log(x: Examination) -> None:
    for kind in ("System", "Access"):
        reply = await x.soap.call("tds", f"<tds:GetSystemLog><tds:LogType>{kind}</tds:LogType></tds:GetSystemLog>")
        if reply.fault is None:
            body = expect_response(reply, "GetSystemLog")
            x.check(find(body, "tds:SystemLog") is not None, "GetSystemLogResponse has no SystemLog")
            continue
        # The case says InvalidArgs, Core 8.3.10 InvalidArgVal.
        unavailable = [(SENDER, family, f"ter:{kind}logUnavailable") for family in ("ter:InvalidArgs", INVALID)]
        expect_fault(reply, f"GetSystemLog of type {kind}", *unavailable)


async def get_uris(x: Examination) -> Any:
    return await x.ask("tds", "<tds:GetSystemUris/>")


async def download(x: Examination, uri: str, what: str) -> bytes:
    x.check(uri, f"GetSystemUrisResponse has no URI of the {what}")
    answer = await x.soap.get(uri, timeout=60.0)
    x.check(answer.status == 200, f"GET of the {what} was answered with HTTP {answer.status}")
    x.check(answer.content, f"the {what} is empty")
    return answer.content


HTTP_BACKUP, HTTP_LOG, HTTP_SUPPORT = (
    *("Device/Http System Backup", "Device/Http System Logging"),
    "Device/Http Support Information",
)


@case(
    "DEVICE-3-1-13", document=BASE, name="GET SYSTEM URIS", requires=(f"{HTTP_BACKUP} OR {HTTP_LOG} OR {HTTP_SUPPORT}",)
)
async def system_uris(x: Examination) -> None:
    body = await get_uris(x)
    if x.has(HTTP_LOG):
        logs = findall(body, "tds:SystemLogUris/tt:SystemLog")
        x.check(logs, "GetSystemUrisResponse has no SystemLogUris")
        for each in logs:
            await download(x, text(each, "tt:Uri"), f"log of type {text(each, 'tt:Type')}")
    if x.has(HTTP_SUPPORT):
        await download(x, text(body, "tds:SupportInfoUri"), "support information")
    if x.has(HTTP_BACKUP):
        await download(x, text(body, "tds:SystemBackupUri"), "backup")


_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")


def seconds_of(x: Examination, value: str) -> float:
    """xs:duration without years and months."""
    found = _DURATION.fullmatch(value.strip())
    x.check(found, f"{value!r} is no xs:duration")
    assert found is not None
    days, hours, minutes, seconds = (float(each or 0) for each in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


async def start_restore(x: Examination) -> tuple[str, float]:
    body = await x.ask("tds", "<tds:StartSystemRestore/>")
    uri = text(body, "tds:UploadUri")
    x.check(urlsplit(uri).hostname, f"UploadUri {uri!r} is no URI")
    return uri, seconds_of(x, text(body, "tds:ExpectedDownTime"))


@case(
    "DEVICE-3-1-14",
    document=BASE,
    name="START SYSTEM RESTORE",
    requires=(HTTP_BACKUP, "Device/Discovery"),
    destructive=True,
)
async def system_restore(x: Examination) -> None:
    backup = await download(x, text(await get_uris(x), "tds:SystemBackupUri"), "backup")
    uri, down = await start_restore(x)
    async with back_at_last(x), x.prober.listen() as ear:
        answer = await x.soap.send("POST", uri, backup, timeout=120.0)
        x.check(answer.status == 200, f"the upload of the backup was answered with HTTP {answer.status}")
        await wait_hello(x, ear, down + x.settings.operation_delay + x.settings.reboot_timeout)
        await wait_until_back(x)
        found = await x.prober.probe("", "", unicast=True)
        x.check(found is not None and found.kind == "ProbeMatches", "no ProbeMatch after the restore (7.3.12)")


@case(
    "DEVICE-3-1-15",
    document=BASE,
    name="START SYSTEM RESTORE - INVALID BACKUP FILE",
    requires=(HTTP_BACKUP, "Device/Discovery"),
)
async def invalid_restore(x: Examination) -> None:
    uri, _ = await start_restore(x)
    answer = await x.soap.send("POST", uri, os.urandom(4096), timeout=60.0)
    x.check(answer.status == 415, f"random data as backup must be answered with HTTP 415, received {answer.status}")
    await _still_there(x)


async def _still_there(x: Examination) -> None:
    """The device answers probes, at once or after the reboot that it may need."""
    if await x.prober.probe("", "", unicast=True) is None:
        await wait_until_back(x)
        found = await x.prober.probe("", "", unicast=True)
        x.check(found is not None, "the device does not answer probes any more")


# ---- firmware -----------------------------------------------------------------------------------------


async def start_upgrade(x: Examination) -> tuple[str, float, float]:
    body = await x.ask("tds", "<tds:StartFirmwareUpgrade/>")
    uri = text(body, "tds:UploadUri")
    x.check(urlsplit(uri).hostname, f"UploadUri {uri!r} is no URI")
    return uri, seconds_of(x, text(body, "tds:UploadDelay")), seconds_of(x, text(body, "tds:ExpectedDownTime"))


async def _guarded(x: Examination) -> None:
    """GetUsers asks for credentials and takes the right ones."""
    reply = await x.soap.call("tds", "<tds:GetUsers/>", auth="none")
    x.check(reply.status == 401, f"GetUsers without credentials must be refused with HTTP 401, received {reply}")
    await x.ask("tds", "<tds:GetUsers/>")


FIRMWARE = "Device/Http Firmware Upgrade"


@case(
    "DEVICE-3-1-16",
    document=BASE,
    name="Firmware Upload",
    requires=("GetServices", FIRMWARE),
    destructive=True,
    bound=1800,
)
async def firmware(x: Examination) -> None:
    if not x.settings.firmware:
        x.cannot("needs a firmware that the device accepts; name it with --firmware")
    content = await asyncio.to_thread(Path(x.settings.firmware).read_bytes)
    await _guarded(x)
    uri, delay, down = await start_upgrade(x)
    await asyncio.sleep(delay)
    async with back_at_last(x), x.prober.listen() as ear:
        answer = await x.soap.send("POST", uri, content, timeout=600.0)
        x.check(answer.status == 200, f"the upload of the firmware was answered with HTTP {answer.status}")
        await wait_hello(x, ear, max(down, x.settings.reboot_timeout))
        await asyncio.sleep(5)
        await wait_until_back(x)
        await _guarded(x)


@case(
    "DEVICE-3-1-17",
    document=BASE,
    name="Invalid Firmware Upload",
    requires=("GetServices", FIRMWARE, "Device/Discovery"),
)
async def invalid_firmware(x: Examination) -> None:
    uri, delay, _ = await start_upgrade(x)
    await asyncio.sleep(delay)
    answer = await x.soap.send("POST", uri, os.urandom(4096), timeout=60.0)
    x.check(answer.status == 415, f"random data as firmware must be answered with HTTP 415, received {answer.status}")
    await _still_there(x)
