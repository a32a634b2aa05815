"""Base Test 7.5 and 7.8: relay outputs of the device service, auxiliary commands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from conformance.cases.base_capabilities import device_capabilities, get_capabilities
from conformance.cases.base_common import BASE, INVALID, SENDER
from conformance.cases.base_system import seconds_of
from conformance.features import relay_settings
from conformance.model import Examination, case
from conformance.names import find, findall, text

RELAYS = ("Device/RelayOutputs",)
TOKEN_FAULT = (SENDER, INVALID, "ter:RelayToken")
NO_TOKEN = "ExaminerHasNoSuchRelay"


async def get_relays(x: Examination) -> list[Any]:
    found = findall(await x.ask("tds", "<tds:GetRelayOutputs/>"), "tds:RelayOutputs")
    tokens = [each.get("token", "") for each in found]
    x.check(found, "GetRelayOutputsResponse has no relay output")
    x.check(len(set(tokens)) == len(tokens) and all(tokens), f"tokens of the relay outputs are not unique: {tokens}")
    return found


def properties(relay: Any) -> tuple[str, str, str]:
    values = [text(relay, f"tt:Properties/tt:{name}") for name in ("Mode", "DelayTime", "IdleState")]
    return values[0], values[1], values[2]


@asynccontextmanager
async def relays_kept(x: Examination) -> AsyncIterator[list[Any]]:
    before = await get_relays(x)
    try:
        yield before
    finally:
        for each in before:
            await x.ask("tds", relay_settings(each.get("token"), *properties(each)))


def relay_state(token: str, state: str) -> str:
    return (
        f"<tds:SetRelayOutputState><tds:RelayOutputToken>{token}</tds:RelayOutputToken>"
        f"<tds:LogicalState>{state}</tds:LogicalState></tds:SetRelayOutputState>"
    )


async def delay_time(x: Examination, token: str) -> str:
    """A delay that the relay offers; five seconds where it offers none."""
    if x.has("Device IO/Relay Output Options"):
        request = f"<tmd:GetRelayOutputOptions><tmd:RelayOutputToken>{token}</tmd:RelayOutputToken></tmd:GetRelayOutputOptions>"
        options = find(await x.ask("tmd", request), "tmd:RelayOutputOptions")
        if options is not None and (given := text(options, "tmd:DelayTimes").split()):
            seconds = given[0] if not given[0].startswith("P") else f"{seconds_of(x, given[0]):g}"
            return f"PT{seconds}S"
    return "PT5S"


def supported(x: Examination, mode: str, idle: str) -> bool:
    return x.has(f"Device/RelayOutputs/{mode} Mode/{idle.capitalize()} Idle State")


@case("DEVICE-5-1-1", document=BASE, name="IO COMMAND GETRELAYOUTPUTS", requires=RELAYS)
async def relays(x: Examination) -> None:
    await get_relays(x)


@case(
    "DEVICE-5-1-2",
    document=BASE,
    name="RELAY OUTPUTS COUNT IN GETRELAYOUTPUTS AND GETCAPABILITIES",
    requires=(*RELAYS, "GetCapabilities"),
)
async def relay_count(x: Examination) -> None:
    count = text(await get_capabilities(x, "Device"), "tt:Device/tt:IO/tt:RelayOutputs", "0")
    found = len(await get_relays(x))
    x.check(int(count) == found, f"{count} relay outputs in GetCapabilities, {found} in GetRelayOutputs (7.5.2)")


@case("DEVICE-5-1-3", document=BASE, name="IO COMMAND SETRELAYOUTPUTSETTINGS", requires=RELAYS)
async def relay_settings_case(x: Examination) -> None:
    tried = 0
    async with relays_kept(x) as found:
        for relay in found:
            token = relay.get("token")
            delay = await delay_time(x, token)
            for mode in ("Bistable", "Monostable"):
                for idle in ("open", "closed"):
                    if not supported(x, mode, idle):
                        continue
                    tried += 1
                    await x.ask("tds", relay_settings(token, mode, delay, idle))
                    now = next((each for each in await get_relays(x) if each.get("token") == token), None)
                    x.check(now is not None, f"the relay {token} is gone after SetRelayOutputSettings")
                    given = properties(now)
                    x.check(
                        given[0] == mode and given[2] == idle, f"relay {token} is {given} after {mode}, {idle} was set"
                    )
                    same = mode == "Bistable" or seconds_of(x, given[1]) == seconds_of(x, delay)
                    x.check(same, f"DelayTime of relay {token} is {given[1]} after {delay} was set")
    x.check(tried, "the device supports no mode with any idle state (7.5.3)")


def _state(mode: str, idle: str) -> Callable[[Examination], Awaitable[None]]:
    async def run(x: Examination) -> None:
        async with relays_kept(x) as found:
            token = found[0].get("token")
            delay = await delay_time(x, token)
            await x.ask("tds", relay_settings(token, mode, delay, idle))
            await x.ask("tds", relay_state(token, "active"))
            if mode == "Bistable":
                await x.ask("tds", relay_state(token, "inactive"))
            else:
                await asyncio.sleep(seconds_of(x, delay))

    return run


for _id, _mode, _idle, _name in (
    ("DEVICE-5-1-5", "Bistable", "open", "OPENED IDLE STATE"),
    ("DEVICE-5-1-6", "Bistable", "closed", "CLOSED IDLE STATE"),
    ("DEVICE-5-1-7", "Monostable", "open", "OPENED IDLE STATE"),
    ("DEVICE-5-1-8", "Monostable", "closed", "CLOSED IDLE STATE"),
):
    case(
        _id,
        document=BASE,
        name=f"IO COMMAND SETRELAYOUTPUTSTATE - {_mode.upper()} MODE ({_name})",
        requires=(*RELAYS, f"Device/RelayOutputs/{_mode} Mode/{_idle.capitalize()} Idle State"),
    )(_state(_mode, _idle))


@case(
    "DEVICE-5-1-9",
    document=BASE,
    name="IO COMMAND SETRELAYOUTPUTSTATE - MONOSTABLE MODE (INACTIVE BEFORE DELAYTIME EXPIRED)",
    requires=(*RELAYS, "Device/RelayOutputs/Monostable Mode"),
)
async def early_inactive(x: Examination) -> None:
    async with relays_kept(x) as found:
        token = found[0].get("token")
        delay = await delay_time(x, token)
        for idle in ("open", "closed"):
            if supported(x, "Monostable", idle):
                await x.ask("tds", relay_settings(token, "Monostable", delay, idle))
                await x.ask("tds", relay_state(token, "active"))
                await x.ask("tds", relay_state(token, "inactive"))
                await asyncio.sleep(seconds_of(x, delay))


@case("DEVICE-5-1-11", document=BASE, name="IO COMMAND SETRELAYOUTPUTSETTINGS - INVALID TOKEN", requires=RELAYS)
async def settings_of_nothing(x: Examination) -> None:
    await get_relays(x)
    # "Other faults than specified in the test are acceptable though the specified are preferable."
    await x.soap.refuse("tds", relay_settings(NO_TOKEN, "Bistable", "PT5S", "open"), TOKEN_FAULT, strict=False)


@case("DEVICE-5-1-12", document=BASE, name="IO COMMAND SETRELAYOUTPUTSTATE - INVALID TOKEN", requires=RELAYS)
async def state_of_nothing(x: Examination) -> None:
    await x.soap.refuse("tds", relay_state(NO_TOKEN, "active"), TOKEN_FAULT, strict=False)


@case("DEVICE-8-1-1", document=BASE, name="AUXILIARY COMMANDS", requires=("GetServices", "Device/Auxiliary Commands"))
async def auxiliary(x: Examination) -> None:
    misc = find(await device_capabilities(x), "tds:Misc")
    commands = "" if misc is None else misc.get("AuxiliaryCommands", "")
    x.check(commands.split(), "Misc.AuxiliaryCommands is empty")
    for command in commands.split():
        request = f"<tds:SendAuxiliaryCommand><tds:AuxiliaryCommand>{command}</tds:AuxiliaryCommand></tds:SendAuxiliaryCommand>"
        await x.ask("tds", request)
