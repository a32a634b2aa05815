"""Test/AccessPolicy: who may call what."""

from __future__ import annotations

import contextlib
import secrets
import string
from collections.abc import AsyncIterator
from xml.sax.saxutils import escape

from conformance import samples
from conformance.cases.access_policy_table import forbidden
from conformance.cases.event_common import SERVICE as EVENT_SERVICE
from conformance.model import Examination, Failure, NotRun, case
from conformance.names import boolean, find, findall, text
from conformance.soap import Reply, expect_response

DIGEST, DEFAULT = "Device/HTTP Digest", "Device/Default Access Policy"
LENGTHS = ("Device/Maximum Username Length", "Device/Maximum Password Length")
MANAGED = "Device/User Configuration"
REQUIRES = ("GetServices", DIGEST, DEFAULT)
Account = tuple[str, str]
ATTEMPTS = 5
MAX_LENGTH = 64
"""Longer names and passwords show nothing that these do not."""


# ---- accounts -----------------------------------------------------------------------------------------


def _password(length: int) -> str:
    """ASCII characters of three classes: what complexity rules ask for (Access Policy Test 6.3)."""
    classes = (string.ascii_lowercase, string.ascii_uppercase, string.digits)
    characters = [secrets.choice(each) for each in classes]
    while len(characters) < length:
        characters.append(secrets.choice("".join(classes)))
    return "".join(characters[: max(length, 1)])


@contextlib.asynccontextmanager
async def account(x: Examination, level: str) -> AsyncIterator[Account]:
    """An account of a level that is gone afterwards (Access Policy Test 6.3).

    The specification takes an account that is there and changes its password. That cannot be undone, so this makes one.
    """
    capabilities = find(await x.ask("tds", "<tds:GetServiceCapabilities/>"), "tds:Capabilities/tds:Security")
    lengths = [
        capabilities.get(name) if capabilities is not None else None
        for name in ("MaxUserNameLength", "MaxPasswordLength")
    ]
    x.check(all(lengths), "Capabilities lack MaxUserNameLength or MaxPasswordLength (Access Policy Test 6.3)")
    name_length, password_length = (min(int(each or 0), MAX_LENGTH) for each in lengths)
    known = {text(each, "tt:Username") for each in findall(await x.ask("tds", "<tds:GetUsers/>"), "tds:User")}
    name = next(
        each
        for each in iter(lambda: "".join(secrets.choice(string.ascii_lowercase) for _ in range(name_length)), "")
        if each not in known
    )
    for _ in range(ATTEMPTS):
        password = _password(password_length)
        x.masks.add(password)
        reply = await x.soap.call("tds", _create_user(name, password, level))
        if reply.fault is None or not reply.fault.matches("env:Sender", "ter:OperationProhibited", "ter:Password"):
            break
    if reply.fault is not None and "ter:TooManyUsers" in reply.fault.subcodes:
        raise NotRun("the device has no room for another account")
    expect_response(reply, "CreateUsers")
    try:
        yield name, password
    finally:
        await x.ask("tds", f"<tds:DeleteUsers><tds:Username>{name}</tds:Username></tds:DeleteUsers>")


def _create_user(name: str, password: str, level: str) -> str:
    return (
        f"<tds:CreateUsers><tds:User><tt:Username>{name}</tt:Username><tt:Password>{escape(password)}</tt:Password>"
        f"<tt:UserLevel>{level}</tt:UserLevel></tds:User></tds:CreateUsers>"
    )


# ---- answers ------------------------------------------------------------------------------------------


async def _send(x: Examination, service: str, body: str, who: Account | None) -> Reply:
    if who is None:
        return await x.soap.call(service, body, auth="none")
    return await x.soap.call(service, body, auth="digest", account=who)


async def _allowed(x: Examination, service: str, body: str, who: Account | None, level: str) -> None:
    operation = _name(body)
    reply = await _send(x, service, body, who)
    x.check(
        reply.fault is None and reply.status == 200,
        f"{operation} must be allowed for {level} (Core 5.9.4), received {reply}",
    )
    expect_response(reply, operation)


def _name(body: str) -> str:
    return body[1:].partition(">")[0].partition("/")[0].partition(":")[2].partition(" ")[0]


async def _refused(
    x: Examination, service: str, body: str, who: Account | None, level: str, *, unknown: bool = False
) -> None:
    """Must be refused. `unknown`: an operation that the device does not have may be answered so."""
    reply = await _send(x, service, body, who)
    if _is_refusal(reply, anonymous=who is None):
        return
    # Access Policy Test 6.5.
    if unknown and reply.fault is not None and reply.fault.matches("env:Receiver", "ter:ActionNotSupported"):
        return
    x.fail(f"{_name(body)} must be refused for {level} (Core 5.9.4), received {reply}")


def _is_refusal(reply: Reply, *, anonymous: bool) -> bool:
    """HTTP 401 to who sent no credentials (Core 5.9.1).

    To an account whose level is too low, devices answer 401, 403 or the fault ter:NotAuthorized (Core 5.8.2.3); a 401 alone
    would send clients into a loop of challenges.
    """
    if reply.status == 401:
        return True
    return not anonymous and (
        reply.status == 403 or (reply.fault is not None and "ter:NotAuthorized" in reply.fault.subcodes)
    )


# ---- cases --------------------------------------------------------------------------------------------


@case(
    "ACCESS_POLICY-1-1-1",
    document="AccessPolicy",
    name="ACCESS POLICY (ACCESS NOT ALLOWED)",
    requires=(*REQUIRES, *LENGTHS, MANAGED),
    bound=900.0,
)
async def not_allowed(x: Examination) -> None:
    async with account(x, "User") as user, account(x, "Operator") as operator:
        for level, who in (("Anonymous", None), ("User", user), ("Operator", operator)):
            for service in x.features.services:
                for operation in forbidden(service, level):
                    if operation in samples.operations(service):
                        await _refused(x, service, samples.request(service, operation), who, level, unknown=True)


GET_SERVICES = "<tds:GetServices><tds:IncludeCapability>false</tds:IncludeCapability></tds:GetServices>"


@case("ACCESS_POLICY-1-1-2", document="AccessPolicy", name="Default access policy - Anonymous", requires=REQUIRES)
async def anonymous(x: Examination) -> None:
    for body in (GET_SERVICES, "<tds:GetServiceCapabilities/>", "<tds:GetHostname/>", "<tds:GetSystemDateAndTime/>"):
        await _allowed(x, "tds", body, None, "Anonymous")


@case(
    "ACCESS_POLICY-1-1-3",
    document="AccessPolicy",
    name="Default access policy - User",
    requires=(*REQUIRES, *LENGTHS, EVENT_SERVICE, MANAGED),
)
async def level_user(x: Examination) -> None:
    requests = [("tds", "<tds:GetNTP/>")] if x.has("Device/NTP") else []
    requests += [("tds", f"<tds:{each}/>") for each in ("GetNetworkInterfaces", "GetScopes", "GetDiscoveryMode")]
    requests += [("tev", "<tev:GetEventProperties/>")]
    async with account(x, "User") as user:
        for service, body in requests:
            await _refused(x, service, body, None, "Anonymous")
            await _allowed(x, service, body, user, "User")


SET_TIME = "<tds:SetSystemDateAndTime><tds:DateTimeType>NTP</tds:DateTimeType><tds:DaylightSavings>true</tds:DaylightSavings></tds:SetSystemDateAndTime>"


async def _administrator_only(x: Examination, who: Account | None, level: str) -> None:
    capabilities = find(await x.ask("tds", "<tds:GetServiceCapabilities/>"), "tds:Capabilities/tds:Security")
    requests = [
        "<tds:SetScopes><tds:Scopes>onvif://www.onvif.org/location/test</tds:Scopes></tds:SetScopes>",
        "<tds:SetDiscoveryMode><tds:DiscoveryMode>Discoverable</tds:DiscoveryMode></tds:SetDiscoveryMode>",
        _create_user("Test", "Test", "Administrator"),
        SET_TIME,
    ]
    if capabilities is not None and boolean(capabilities.get("AccessPolicyConfig", "")):
        requests.append("<tds:GetAccessPolicy/>")
    created = False
    try:
        for body in requests:
            created = created or "CreateUsers" in body
            await _refused(x, "tds", body, who, level)
    finally:
        if created:
            # Where the device did create it, it must not stay.
            with contextlib.suppress(Failure):
                await x.soap.call("tds", "<tds:DeleteUsers><tds:Username>Test</tds:Username></tds:DeleteUsers>")


@case(
    "ACCESS_POLICY-1-1-4",
    document="AccessPolicy",
    name="Default access policy - Administrator and Anonymous",
    requires=REQUIRES,
)
async def administrator_and_anonymous(x: Examination) -> None:
    await _administrator_only(x, None, "Anonymous")


@case(
    "ACCESS_POLICY-1-1-5",
    document="AccessPolicy",
    name="Default access policy - Administrator And User/Operator",
    requires=(*REQUIRES, *LENGTHS, MANAGED),
)
async def administrator_and_others(x: Examination) -> None:
    for level in ("User", "Operator"):
        async with account(x, level) as who:
            await _administrator_only(x, who, level)
