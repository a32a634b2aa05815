"""Base Test 6: WS-Discovery."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from conformance.cases.base_common import (
    BASE,
    ask_reboot,
    away_and_back,
    back_at_last,
    settle,
    wait_hello,
    wait_until_back,
)
from conformance.discovery import Message, probe_message
from conformance.model import Examination, case
from conformance.names import findall, text
from conformance.soap import expect_response, read_fault

DISCOVERY = ("Device/Discovery",)
ONVIF = "onvif://www.onvif.org/"
MANDATORY_SCOPES = tuple(f"{ONVIF}{kind}" for kind in ("type", "location", "hardware", "name"))
TYPES = ("dn:NetworkVideoTransmitter", "tds:Device")
NEW_SCOPE, MORE_SCOPE = f"{ONVIF}examiner/first", f"{ONVIF}examiner/second"


async def get_scopes(x: Examination) -> dict[str, str]:
    """Definition (Fixed, Configurable) by scope. The kinds that Core 7.3.2.2 makes mandatory must be there."""
    body = await x.ask("tds", "<tds:GetScopes/>")
    found = {text(each, "tt:ScopeItem"): text(each, "tt:ScopeDef") for each in findall(body, "tds:Scopes")}
    check_kinds(x, list(found), "GetScopesResponse")
    return found


def kinds(scopes: list[str] | tuple[str, ...]) -> set[str]:
    return {each.removeprefix(ONVIF).partition("/")[0] for each in scopes if each.startswith(ONVIF)}


def check_kinds(x: Examination, scopes: list[str] | tuple[str, ...], where: str) -> None:
    """`location` is optional where nobody has told the device where it is (Core 7.3.2.2: hardware and name are mandatory)."""
    for kind in ("hardware", "name"):
        x.check(kind in kinds(scopes), f"{where} has no scope of kind {kind}: {' '.join(scopes)}")
    x.check("Profile" in kinds(scopes) or "type" in kinds(scopes), f"{where} has neither a Profile nor a type scope")


def expected_types(x: Examination) -> list[str]:
    return [each for each in TYPES if x.has(f"WS-Discovery/Types/{each}")]


def check_match(x: Examination, answer: Message | None, asked: str) -> Message:
    """What every ProbeMatch must have (6.2, 6.3)."""
    x.check(answer is not None, f"no ProbeMatch to {asked} within DISCOVERY_TIMEOUT (9.7)")
    assert answer is not None
    x.check(answer.kind == "ProbeMatches", f"{asked} was answered with {answer.kind}")
    x.check(answer.endpoint, f"the ProbeMatch to {asked} has no EndpointReference")
    x.check(answer.types, f"the ProbeMatch to {asked} has no Types")
    x.check(set(answer.types) & set(TYPES), f"Types {answer.types} have none of {TYPES} with its namespace (9.1)")
    x.check(answer.scopes, f"the ProbeMatch to {asked} has no Scopes")
    check_kinds(x, answer.scopes, "the ProbeMatch")
    x.check(answer.xaddrs, f"the ProbeMatch to {asked} has no XAddrs")
    entries = [each for each in answer.xaddrs if urlsplit(each).path == "/onvif/device_service"]
    x.check(entries, f"no XAddr in {answer.xaddrs} has the fixed entry point /onvif/device_service")
    if ":" in x.prober.host:
        six = [each for each in answer.xaddrs if ":" in (urlsplit(each).hostname or "")]
        x.check(six, f"no XAddr in {answer.xaddrs} has an IPv6 address (6.2)")
    x.check(answer.metadata_version >= 0, f"the ProbeMatch to {asked} has no MetadataVersion")
    x.check(
        answer.relates_to.startswith("urn:uuid:"),
        f"RelatesTo is {answer.relates_to!r}, the MessageID with urn: is wanted",
    )
    return answer


async def by_scopes(x: Examination, *, unicast: bool) -> None:
    scopes = list(await get_scopes(x))
    for types in expected_types(x):
        check_match(x, await x.prober.probe(types, unicast=unicast), f"a Probe for {types}")
    wanted = [
        next((each for each in scopes if kind in kinds([each])), None)
        for kind in ("type", "location", "hardware", "name")
    ]
    for scope in filter(None, wanted):
        check_match(x, await x.prober.probe(expected_types(x)[0], scope, unicast=unicast), f"a Probe for scope {scope}")


async def by_nothing(x: Examination, *, unicast: bool) -> None:
    check_match(x, await x.prober.probe(None, None, unicast=unicast), "a Probe without Types and Scopes")


async def by_nonsense(x: Examination, *, unicast: bool) -> None:
    answer = await x.prober.probe("dn:InvalidDeviceType", f"{ONVIF}invalid_scope_of_the_examiner", unicast=unicast)
    matched = answer is not None and answer.kind == "ProbeMatches" and bool(answer.endpoint)
    x.check(not matched, "a Probe for an invalid device type and scope was answered with a match (6.4)")


@case(
    "DISCOVERY-1-1-2", document=BASE, name="HELLO MESSAGE VALIDATION", requires=DISCOVERY, destructive=True, bound=600
)
async def hello_message(x: Examination) -> None:
    async with back_at_last(x), x.prober.listen() as ear:
        await ask_reboot(x)
        hello = await wait_hello(x, ear)
        x.check(hello.endpoint, "the Hello has no EndpointReference")
        x.check(hello.scopes, "the Hello has no Scopes")
        x.check(hello.metadata_version >= 0, "the Hello has no MetadataVersion")
        x.check(set(hello.types) & set(TYPES), f"Types {hello.types} of the Hello have none of {TYPES} (9.1)")
        check_kinds(x, hello.scopes, "the Hello")


@case("DISCOVERY-1-1-3", document=BASE, name="SEARCH BASED ON DEVICE SCOPE TYPES", requires=DISCOVERY)
async def search_by_scopes(x: Examination) -> None:
    await by_scopes(x, unicast=False)


@case("DISCOVERY-1-1-4", document=BASE, name="SEARCH WITH OMITTED DEVICE AND SCOPE TYPES", requires=DISCOVERY)
async def search_by_nothing(x: Examination) -> None:
    await by_nothing(x, unicast=False)


@case("DISCOVERY-1-1-5", document=BASE, name="RESPONSE TO INVALID SEARCH REQUEST", requires=DISCOVERY)
async def search_by_nonsense(x: Examination) -> None:
    await by_nonsense(x, unicast=False)


@case("DISCOVERY-1-1-6", document=BASE, name="SEARCH USING UNICAST PROBE MESSAGE", requires=DISCOVERY)
async def unicast_probes(x: Examination) -> None:
    await by_scopes(x, unicast=True)
    await by_nothing(x, unicast=True)
    await by_nonsense(x, unicast=True)


@case(
    "DISCOVERY-1-1-8",
    document=BASE,
    name="BYE MESSAGE",
    requires=("Device/Bye Message",),
    destructive=True,
)
async def bye_message(x: Examination) -> None:
    async with back_at_last(x), x.prober.listen() as ear:
        await ask_reboot(x)
        bye = await ear.wait(lambda each: each.kind == "Bye" and x.prober.is_ours(each), x.settings.reboot_timeout)
        x.check(bye is not None, "no multicast Bye after SystemReboot (6.6)")
        await wait_hello(x, ear)


# ---- mode ---------------------------------------------------------------------------------------------


async def get_mode(x: Examination) -> str:
    return text(await x.ask("tds", "<tds:GetDiscoveryMode/>"), "tds:DiscoveryMode")


async def set_mode(x: Examination, mode: str) -> None:
    await x.ask("tds", f"<tds:SetDiscoveryMode><tds:DiscoveryMode>{mode}</tds:DiscoveryMode></tds:SetDiscoveryMode>")


@case(
    "DISCOVERY-1-1-9",
    document=BASE,
    name="DISCOVERY MODE CONFIGURATION",
    requires=DISCOVERY,
    destructive=True,
)
async def discovery_mode(x: Examination) -> None:
    mode = await get_mode(x)
    x.check(mode == "Discoverable", f"DiscoveryMode is {mode!r}, expected Discoverable (6.7)")
    try:
        await set_mode(x, "NonDiscoverable")
        mode = await get_mode(x)
        x.check(mode == "NonDiscoverable", f"DiscoveryMode is {mode!r} after NonDiscoverable was set")
        answer = await x.prober.probe(None, None)
        x.check(answer is None, "a Probe was answered although the device is not discoverable (6.7)")
        async with x.prober.listen() as ear:
            await ask_reboot(x)
            await away_and_back(x)
            heard = await ear.wait(
                lambda each: each.kind in ("Hello", "Bye") and x.prober.is_ours(each), x.settings.operation_delay
            )
            x.check(heard is None, "Hello or Bye was sent although the device is not discoverable (6.7)")
    finally:
        await wait_until_back(x)
        await set_mode(x, "Discoverable")


@case("DISCOVERY-1-1-10", document=BASE, name="SOAP FAULT MESSAGE", requires=DISCOVERY)
async def matching_rule(x: Examination) -> None:
    content, identity = probe_message(None, f"{ONVIF}name", "http://www.onvif.org/no_such_matching_rule")
    answer = await x.prober.probe(unicast=True, raw=(content, identity))
    x.check(answer is not None, "a unicast Probe with an unknown matching rule was not answered with a fault (6.8)")
    assert answer is not None
    x.check(
        answer.kind == "Fault", f"a unicast Probe with an unknown matching rule was answered with {answer.kind} (6.8)"
    )
    fault = read_fault(answer.root.find("env:Body/env:Fault", _NS))
    expected = fault.matches("env:Sender", "d:MatchingRuleNotSupported")
    x.check(expected, f"the fault must be env:Sender/d:MatchingRuleNotSupported, received {fault} (6.8)")
    action = text(answer.root, "env:Header/wsadis:Action")
    x.check(action == _FAULT_ACTION, f"Action of the fault is {action!r}, expected {_FAULT_ACTION} (WS-Discovery 7)")


_NS = {"env": "http://www.w3.org/2003/05/soap-envelope"}
_FAULT_ACTION = "http://schemas.xmlsoap.org/ws/2005/04/discovery/fault"


# ---- scopes -------------------------------------------------------------------------------------------


def scopes_request(operation: str, name: str, *scopes: str) -> str:
    inside = "".join(f"<tds:{name}>{each}</tds:{name}>" for each in scopes)
    return f"<tds:{operation}>{inside}</tds:{operation}>"


@asynccontextmanager
async def scopes_kept(x: Examination) -> AsyncIterator[dict[str, str]]:
    before = await get_scopes(x)
    configurable = [scope for scope, kind in before.items() if kind == "Configurable"]
    try:
        yield before
    finally:
        reply = await x.soap.call("tds", scopes_request("SetScopes", "Scopes", *configurable))
        if configurable:
            expect_response(reply, "SetScopes")
        else:
            # SetScopes wants at least one: what is left is removed.
            left = [each for each, kind in (await get_scopes(x)).items() if kind == "Configurable"]
            if left:
                await x.ask("tds", scopes_request("RemoveScopes", "ScopeItem", *left))


@case("DISCOVERY-1-1-11", document=BASE, name="DEVICE SCOPES CONFIGURATION", requires=DISCOVERY)
async def device_scopes(x: Examination) -> None:
    async with scopes_kept(x):
        for operation, name, scope in (("SetScopes", "Scopes", NEW_SCOPE), ("AddScopes", "ScopeItem", MORE_SCOPE)):
            async with x.prober.listen() as ear:
                reply = await x.soap.call("tds", scopes_request(operation, name, scope))
                if reply.fault is not None and "ter:TooManyScopes" in reply.fault.subcodes:
                    x.note("TooManyScopes: the case passes (6.9)")
                    return
                expect_response(reply, operation)
                await settle(x)
                if operation == "AddScopes":
                    added = await wait_hello(x, ear, x.settings.discovery_timeout)
                    while scope not in added.scopes:  # the Hello that SetScopes caused may be that late
                        x.note(f"a Hello without {scope}")
                        added = await wait_hello(x, ear, x.settings.discovery_timeout)
        match = check_match(x, await x.prober.probe(None, MORE_SCOPE), f"a Probe for the added scope {MORE_SCOPE}")
        x.check(MORE_SCOPE in match.scopes, f"the ProbeMatch lacks the added scope {MORE_SCOPE}")
        x.check(
            match.metadata_version >= added.metadata_version,
            "MetadataVersion of the ProbeMatch is older than the Hello's",
        )
        async with x.prober.listen() as ear:
            body = await x.ask("tds", scopes_request("RemoveScopes", "ScopeItem", MORE_SCOPE))
            removed = [text(each) for each in findall(body, "tds:ScopeItem")]
            x.check(removed == [MORE_SCOPE], f"RemoveScopesResponse lists {removed}, removed was {MORE_SCOPE}")
            gone = await wait_hello(x, ear, x.settings.discovery_timeout)
            while gone.metadata_version <= added.metadata_version:  # repeated, or delayed, from before
                x.note(f"a Hello of MetadataVersion {gone.metadata_version}, which was there before RemoveScopes (6.9)")
                gone = await wait_hello(x, ear, x.settings.discovery_timeout)
        x.check(MORE_SCOPE not in gone.scopes, f"the Hello after RemoveScopes still has {MORE_SCOPE}")
        answer = await x.prober.probe(None, MORE_SCOPE)
        x.check(answer is None, "a Probe for the removed scope was answered (6.9)")
