"""What the Base cases share: rebooting, waiting, addresses."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from conformance.discovery import Ear, Message
from conformance.model import Examination, Failure
from conformance.names import text

BASE = "Base"
NETWORK = "Device/Network Configuration"
SENDER, INVALID = "env:Sender", "ter:InvalidArgVal"

_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?")


def valid_hostname(name: str) -> bool:
    """RFC 952 with RFC 1123 (Base Test 9.2)."""
    return 0 < len(name) < 256 and all(
        len(each) < 64 and _LABEL.fullmatch(each) for each in name.rstrip(".").split(".")
    )


def valid_address(value: str, version: int) -> bool:
    """An IP address, or one of the ways to say that there is none (Base Test 9.10)."""
    if not value:
        return True
    try:
        return ipaddress.ip_address(value).version == version
    except ValueError:
        return False


def check_ip_address(x: Examination, element: Any, where: str) -> None:
    """tt:IPAddress and the addresses of tt:NetworkHost."""
    for version, name in ((4, "IPv4Address"), (6, "IPv6Address")):
        value = text(element, f"tt:{name}")
        x.check(valid_address(value, version), f"{where}: {name} {value!r} is no IP address")


async def settle(x: Examination) -> None:
    """Operation Delay: what a device may need until a setting shows."""
    await asyncio.sleep(x.settings.operation_delay)


# ---- rebooting ----------------------------------------------------------------------------------------


async def wait_until_back(x: Examination, timeout: float | None = None) -> None:
    """Until the device answers requests again."""
    deadline = time.monotonic() + (x.settings.reboot_timeout if timeout is None else timeout)
    while True:
        try:
            await x.soap.call("tds", "<tds:GetSystemDateAndTime/>", auth="none", timeout=2.0)
            break
        except Failure:
            if time.monotonic() > deadline:
                raise Failure("the device does not answer any more") from None
            await asyncio.sleep(0.5)
    x.soap.forget()


async def away_and_back(x: Examination, within: float | None = None) -> None:
    """Until the device has stopped answering, for it has announced so, and answers again.

    `within`: seconds in which it must go; a device that is never seen away may have been quicker than we look.
    """
    deadline = time.monotonic() + (x.settings.reboot_timeout if within is None else within)
    while time.monotonic() < deadline:
        try:
            await x.soap.call("tds", "<tds:GetSystemDateAndTime/>", auth="none", timeout=1.0)
        except Failure:
            break
        await asyncio.sleep(0.1)
    await wait_until_back(x)


async def wait_hello(x: Examination, ear: Ear, timeout: float | None = None) -> Message:
    """The device's Hello, with the parts that every case wants."""
    limit = x.settings.reboot_timeout if timeout is None else timeout
    hello = await ear.wait(lambda message: message.kind == "Hello" and x.prober.is_ours(message), limit)
    if hello is None:
        raise Failure(f"no multicast Hello of the device within {limit:g} s")
    return hello


AWAY = 3.0
"""Seconds in which a device that said Hello, but did not go down yet, does so."""


async def ask_reboot(x: Examination) -> None:
    body = await x.ask("tds", "<tds:SystemReboot/>")
    x.check(text(body, "tds:Message"), "SystemRebootResponse has no Message")


async def reboot(x: Examination) -> Message | None:
    """SystemReboot, and wait until the device is back. Returns its Hello where it can discover."""
    hello = None
    if x.has("Device/Discovery"):
        async with x.prober.listen() as ear:
            await ask_reboot(x)
            hello = await wait_hello(x, ear)
            # An earlier change may have caused this Hello, and the device is still on its way down.
            await away_and_back(x, AWAY)
            later = await ear.wait(lambda message: message.kind == "Hello" and x.prober.is_ours(message), 0.1)
            hello = later or hello
    else:
        await ask_reboot(x)
        await away_and_back(x)
    await wait_until_back(x)
    return hello


@contextlib.asynccontextmanager
async def back_at_last(x: Examination) -> AsyncIterator[None]:
    """Whatever happens inside: the next case finds a device that answers."""
    try:
        yield
    finally:
        await wait_until_back(x)


def relocate(x: Examination, host: str) -> None:
    """Speak to the device at another address from now on."""

    def moved(url: str) -> str:
        target = urlsplit(url)
        place = f"[{host}]" if ":" in host else host
        return urlunsplit(target._replace(netloc=f"{place}:{target.port}" if target.port else place))

    x.soap.services = {prefix: moved(url) for prefix, url in x.soap.services.items()}
    x.prober.host = host
