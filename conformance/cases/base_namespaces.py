"""Base Test 6.10 and 7.6: the same requests, spelled in five ways."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from conformance.auth import username_token
from conformance.cases.base_common import BASE, NETWORK
from conformance.cases.base_discovery import MANDATORY_SCOPES, check_match, get_scopes, kinds
from conformance.cases.base_network import address, dns_kept, set_dns
from conformance.discovery import probe_message
from conformance.model import Examination, case
from conformance.names import find, findall, renamed, text
from conformance.soap import envelope, expect_response
from conformance.spelling import Spelling, respell

METADATA = "Media2/Metadata"
SPELLINGS = tuple(Spelling)


async def ask_spelled(x: Examination, service: str, request: str, spelling: Spelling, name: str) -> Any:
    """A request in this spelling, UsernameToken included where the device takes one."""
    token = ""
    if x.settings.user and x.has("Device/WS-UsernameToken"):
        token = username_token(x.settings.user, x.settings.password, offset=x.soap.clock_offset)
        token = token.replace(' env:mustUnderstand="true"', "")
    message = respell(envelope(request, token), spelling)
    reply = await x.soap.call(service, message, auth="none" if token else "auto", title=f"{name} ({spelling.value})")
    return expect_response(reply, name)


def _device(spelling: Spelling) -> Callable[[Examination], Awaitable[None]]:
    async def run(x: Examination) -> None:
        # The third example of 9.11, for devices that have neither of the two below.
        request = "<tds:GetCapabilities><tds:Category>Events</tds:Category></tds:GetCapabilities>"
        if x.has("GetCapabilities"):
            body = await ask_spelled(x, "tds", request, spelling, "GetCapabilities")
            x.check(find(body, "tds:Capabilities/tt:Events") is not None, "Category Events was not read")
        if x.has(NETWORK):
            await _dns(x, spelling)
        elif x.has(METADATA):
            await _metadata(x, spelling)

    return run


async def _dns(x: Examination, spelling: Spelling) -> None:
    async with dns_kept(x):
        await ask_spelled(x, "tds", "<tds:GetDNS/>", spelling, "GetDNS")
        request = set_dns(manual=address("tds:DNSManual", "10.1.1.1", 4))
        await ask_spelled(x, "tds", request, spelling, "SetDNS")
        body = await ask_spelled(x, "tds", "<tds:GetDNS/>", spelling, "GetDNS")
        given = [text(each, "tt:IPv4Address") for each in findall(body, "tds:DNSInformation/tt:DNSManual")]
        x.check(given == ["10.1.1.1"], f"DNSManual is {given} after SetDNS of 10.1.1.1 ({spelling.value})")


async def _metadata(x: Examination, spelling: Spelling) -> None:
    """Helpers 9.32 to 9.34."""
    body = await ask_spelled(x, "tr2", "<tr2:GetMetadataConfigurations/>", spelling, "GetMetadataConfigurations")
    found = findall(body, "tr2:Configurations")
    x.check(found, "GetMetadataConfigurationsResponse has no configuration (9.32)")
    before = found[0]
    token = before.get("token")

    def request(configuration: Any) -> str:
        inside = renamed(configuration, "tr2:Configuration")
        return f"<tr2:SetMetadataConfiguration>{inside}</tr2:SetMetadataConfiguration>"

    changed = find(body, "tr2:Configurations")
    name = find(changed, "tt:Name")
    original, name.text = name.text, "TestName1"
    spelled = request(changed)
    name.text = original
    try:
        await ask_spelled(x, "tr2", spelled, spelling, "SetMetadataConfiguration")
        inside = f"<tr2:ConfigurationToken>{token}</tr2:ConfigurationToken>"
        body = await ask_spelled(
            x,
            "tr2",
            f"<tr2:GetMetadataConfigurations>{inside}</tr2:GetMetadataConfigurations>",
            spelling,
            "GetMetadataConfigurations",
        )
        now = find(body, "tr2:Configurations")
        x.check(now is not None and now.get("token") == token, f"the configuration {token} was not returned (9.33)")
        given = text(now, "tt:Name")
        x.check(given == "TestName1", f"Name is {given!r} after TestName1 was set ({spelling.value})")
    finally:
        await x.ask("tr2", request(before))


def _discovery(spelling: Spelling) -> Callable[[Examination], Awaitable[None]]:
    async def run(x: Examination) -> None:
        there = kinds(list(await get_scopes(x)))
        # The example asks for all four kinds; a device need not say where it is (Core 7.3.2.2.1).
        wanted = " ".join(each for each in MANDATORY_SCOPES if each.rpartition("/")[2] in there)
        for scopes in (None, wanted):
            content, identity = probe_message(x_types(x), scopes)
            answer = await x.prober.probe(raw=(respell(content, spelling), identity))
            check_match(x, answer, f"a Probe with {spelling.value}, scopes {scopes}")

    return run


def x_types(x: Examination) -> str:
    return "dn:NetworkVideoTransmitter" if x.has("WS-Discovery/Types/dn:NetworkVideoTransmitter") else "tds:Device"


for _number, _spelling in enumerate(SPELLINGS, 1):
    _title = f"NAMESPACES ({_spelling.value.upper()})"
    case(f"DEVICE-6-1-{_number}", document=BASE, name=f"DEVICE MANAGEMENT - {_title}")(_device(_spelling))
    case(f"DISCOVERY-2-1-{_number}", document=BASE, name=f"DISCOVERY - {_title}", requires=("Device/Discovery",))(
        _discovery(_spelling)
    )
