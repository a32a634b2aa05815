"""Defects of the device service that Base cases must find."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from lxml import etree

from conformance.defects.model import (
    Answer,
    Exchange,
    Stage,
    answer_defect,
    attribute,
    body_of,
    defect,
    fault,
    flip,
    found,
    negate,
    remove,
    remove_where,
    several,
    succeed,
    write,
)
from conformance.names import NS, clark, findall, text

# ---- form of messages ---------------------------------------------------------------------------------


@defect(
    "wrong-namespace", "GetDeviceInformationResponse is in another namespace", "DEVICE-3-1-9", "GetDeviceInformation"
)
async def wrong_namespace(exchange: Exchange, stage: Stage) -> Answer:
    answer = await stage.forward(exchange)
    return replace(answer, content=answer.content.replace(b"ver10/device/wsdl", b"ver11/device/wsdl"))


@defect("wrong-content-type", "answers are sent as text/html", "DEVICE-3-1-9", "GetDeviceInformation")
async def wrong_content_type(exchange: Exchange, stage: Stage) -> Answer:
    answer = await stage.forward(exchange)
    headers = tuple(each for each in answer.headers if each[0].lower() != "content-type")
    return replace(answer, headers=(*headers, ("Content-Type", "text/html")))


answer_defect(
    "no-serial-number",
    "GetDeviceInformationResponse has no SerialNumber",
    "DEVICE-3-1-9",
    "GetDeviceInformation",
    remove("tds:SerialNumber"),
)


def _xyz(exchange: Exchange) -> bool:
    return b"XYZ" in exchange.content


@defect(
    "no-fault",
    "GetCapabilities of an unknown category is answered as if it were All",
    "DEVICE-1-1-9",
    "GetCapabilities",
)
async def no_fault(exchange: Exchange, stage: Stage) -> Answer:
    return await stage.forward(replace(exchange, content=exchange.content.replace(b"XYZ", b"All")))


@defect("fault-with-200", "faults come with HTTP 200", "DEVICE-1-1-9", "GetCapabilities")
async def fault_with_200(exchange: Exchange, stage: Stage) -> Answer:
    answer = await stage.forward(exchange)
    return replace(answer, status=200) if answer.is_fault else answer


answer_defect(
    "fault-without-reason",
    "faults have no Reason",
    "DEVICE-1-1-9",
    "GetCapabilities",
    remove("env:Reason"),
    faults=True,
)
answer_defect(
    "fault-with-odd-code",
    "the fault code is none of SOAP 1.2",
    "DEVICE-1-1-9",
    "GetCapabilities",
    write("env:Code/env:Value", "env:Client"),
    faults=True,
)


@defect("empty-500", "a fault is an empty HTTP 500", "DEVICE-1-1-9", "GetCapabilities")
async def empty_500(exchange: Exchange, stage: Stage) -> Answer:
    return Answer(500, (), b"") if _xyz(exchange) else await stage.forward(exchange)


def _spelled(case: str, name: str, what: str, pattern: bytes) -> None:
    """A parser that goes by the letters of the tags."""

    @defect(name, what, case, "GetCapabilities", "GetServices")
    async def by_letters(exchange: Exchange, stage: Stage) -> Answer:
        if re.search(pattern, exchange.content):
            return await stage.forward(exchange)
        return fault("env:Sender", "ter:WellFormed")


_spelled(
    "DEVICE-6-1-3", "prefix-bound", "requests are understood only with the usual prefixes", rb"<tds:Get|<Get|<p\d+:Get"
)
_spelled(
    "DEVICE-6-1-1",
    "no-default-namespace",
    "a default namespace on each tag is not understood",
    rb"<\w+:Envelope|<Envelope[^>]*><(?!\w+ xmlns)",
)
_spelled(
    "DEVICE-6-1-5",
    "one-meaning-for-a-prefix",
    "a prefix that changes its meaning is not understood",
    rb"<(?!p1:)\w*:?Envelope",
)


# ---- capabilities -------------------------------------------------------------------------------------


@defect(
    "extra-capability", "GetCapabilities of category Device tells of Events as well", "DEVICE-1-1-3", "GetCapabilities"
)
async def extra_capability(exchange: Exchange, stage: Stage) -> Answer:
    answer = await stage.forward(exchange)
    root = answer.root
    for capabilities in found(root, "tds:Capabilities") if not answer.is_fault else ():
        if capabilities.find("tt:Events", NS) is None:
            events = etree.SubElement(capabilities, clark("tt:Events"))
            etree.SubElement(events, clark("tt:XAddr")).text = "http://192.0.2.1/onvif/events"
            for name in (
                "WSSubscriptionPolicySupport",
                "WSPullPointSupport",
                "WSPausableSubscriptionManagerInterfaceSupport",
            ):
                etree.SubElement(events, clark(f"tt:{name}")).text = "false"
    return answer.with_root(root)


answer_defect(
    "no-events-capability",
    "GetCapabilities lacks Events",
    "DEVICE-1-1-2",
    "GetCapabilities",
    remove("tds:Capabilities/tt:Events"),
)
answer_defect(
    "other-capabilities",
    "GetServiceCapabilities says the opposite of GetServices about HttpDigest",
    "DEVICE-1-1-19",
    "GetServiceCapabilities",
    flip("tds:Capabilities/tds:Security", "TLS1.2"),
)
answer_defect(
    *("old-capabilities-disagree", "GetCapabilities says the opposite of GetServices about DynDNS", "DEVICE-1-1-30"),
    *("GetCapabilities", negate("tds:Capabilities/tt:Device/tt:Network/tt:DynDNS")),
)


answer_defect(
    *("bye-without-discovery", "DiscoveryBye is claimed without discovery", "DEVICE-1-1-18", "GetServiceCapabilities"),
    several(
        attribute("tds:Capabilities/tds:System", "DiscoveryBye", "true"),
        attribute("tds:Capabilities/tds:System", "DiscoveryNotSupported", "true"),
    ),
)


def _addresses(change: Any) -> Any:
    def edit(root: Any) -> None:
        for each in found(root, "tds:Service/tds:XAddr"):
            each.text = change(urlsplit(text(each))).geturl()

    return edit


answer_defect(
    "xaddr-of-another-host",
    "XAddrs of GetServices name another host than the one that was asked",
    "DEVICE-1-1-31",
    "GetServices",
    _addresses(lambda url: url._replace(netloc=f"192.0.2.77:{url.port}")),
)
answer_defect(
    "xaddr-of-another-port",
    "XAddrs of GetServices name another port",
    "DEVICE-1-1-31",
    "GetServices",
    _addresses(lambda url: url._replace(netloc=f"{url.hostname}:9")),
)
answer_defect(
    "xaddr-of-another-scheme",
    "XAddrs of GetServices are of https where http was asked",
    "DEVICE-1-1-31",
    "GetServices",
    _addresses(lambda url: url._replace(scheme="https")),
)


@defect("capabilities-unasked", "GetServices has capabilities that were not asked for", "DEVICE-1-1-13", "GetServices")
async def capabilities_unasked(exchange: Exchange, stage: Stage) -> Answer:
    return await stage.forward(replace(exchange, content=exchange.content.replace(b">false<", b">true<")))


@defect(
    "capabilities-withheld",
    "GetServices has no capabilities though they were asked for",
    "DEVICE-1-1-13",
    "GetServices",
)
async def capabilities_withheld(exchange: Exchange, stage: Stage) -> Answer:
    return await stage.forward(replace(exchange, content=exchange.content.replace(b">true<", b">false<")))


def _forget_event_service(root: Any) -> None:
    for each in found(root, "tds:Service"):
        if text(each, "tds:Namespace") == NS["tev"]:
            each.getparent().remove(each)


answer_defect(
    "no-event-service",
    "GetServices does not list the event service",
    "DEVICE-1-1-16",
    "GetServices",
    _forget_event_service,
)


# ---- time ---------------------------------------------------------------------------------------------

answer_defect(
    *("no-time", "GetSystemDateAndTime of a manual clock tells no time", "DEVICE-3-1-1", "GetSystemDateAndTime"),
    several(
        write("tds:SystemDateAndTime/tt:DateTimeType", "Manual"),
        remove("tds:SystemDateAndTime/tt:UTCDateTime"),
        remove("tds:SystemDateAndTime/tt:LocalDateTime"),
    ),
)
answer_defect(
    "thirteenth-month",
    "UTCDateTime has a month 13",
    "DEVICE-3-1-1",
    "GetSystemDateAndTime",
    write("tds:SystemDateAndTime/tt:UTCDateTime/tt:Date/tt:Month", "13"),
)


def _hour_off(root: Any) -> None:
    for each in found(root, "tds:SystemDateAndTime/tt:UTCDateTime/tt:Time/tt:Hour"):
        each.text = str((int(text(each)) + 1) % 24)


answer_defect(
    *("clock-an-hour-off", "the clock is an hour off after it was set", "DEVICE-3-1-11", "GetSystemDateAndTime"),
    _hour_off,
)
answer_defect(
    "odd-time-zone",
    "TimeZone is no POSIX time zone",
    "DEVICE-3-1-1",
    "GetSystemDateAndTime",
    write("tds:SystemDateAndTime/tt:TimeZone/tt:TZ", "Mitteleuropa/Berlin!"),
)


def _accepting(name: str, what: str, case: str, operation: str, mark: bytes) -> None:
    @defect(name, what, case, operation)
    async def accepted(exchange: Exchange, stage: Stage) -> Answer:
        if mark in exchange.content and exchange.user:
            return succeed(f"<tds:{operation}Response/>")
        return await stage.forward(exchange)


_accepting(
    "bad-date-accepted",
    "SetSystemDateAndTime takes the 32nd of a thirteenth month",
    "DEVICE-3-1-5",
    "SetSystemDateAndTime",
    b"Month>13<",
)
_accepting(
    "bad-zone-accepted",
    "SetSystemDateAndTime takes a time zone that is none",
    "DEVICE-3-1-4",
    "SetSystemDateAndTime",
    b"INVALIDTIMEZONE",
)
answer_defect(
    "wrong-date-fault",
    "a bad date is refused with another subcode",
    "DEVICE-3-1-5",
    "SetSystemDateAndTime",
    write("env:Code/env:Subcode/env:Subcode/env:Value", "ter:InvalidTimeZone"),
    faults=True,
)


@defect("log-fault", "GetSystemLog of an unknown type is refused with NoSuchService", "DEVICE-3-1-10", "GetSystemLog")
async def log_fault(exchange: Exchange, stage: Stage) -> Answer:
    return (
        fault("env:Receiver", "ter:ActionNotSupported", "ter:NoSuchService")
        if exchange.user
        else await stage.forward(exchange)
    )


# ---- accounts -----------------------------------------------------------------------------------------


def _tell_password(root: Any) -> None:
    for each in found(root, "tds:User"):
        secret = etree.Element(clark("tt:Password"))
        secret.text = "secret"
        each.insert(1, secret)


answer_defect("password-told", "GetUsers tells passwords", "DEVICE-4-1-1", "GetUsers", _tell_password)


@defect("duplicate-user", "CreateUsers takes a name that is in use", "DEVICE-4-1-3", "CreateUsers")
async def duplicate_user(exchange: Exchange, stage: Stage) -> Answer:
    answer = await stage.forward(exchange)
    return succeed("<tds:CreateUsersResponse/>") if b"UsernameClash" in answer.content else answer


answer_defect(
    "wrong-subcode",
    "a name in use is refused with UsernameTooLong",
    "DEVICE-4-1-3",
    "CreateUsers",
    write("env:Code/env:Subcode/env:Subcode/env:Value", "ter:UsernameTooLong"),
    faults=True,
)


def _one_by_one(name: str, what: str, case: str, operation: str, path: str) -> None:
    """What is refused as a whole is done in part."""

    @defect(name, what, case, operation)
    async def in_part(exchange: Exchange, stage: Stage) -> Answer:
        answer = await stage.forward(exchange)
        if not answer.is_fault:
            return answer
        for keep in range(len(body_of(exchange.root).findall(path, NS))):
            root = exchange.root
            for index, each in enumerate(findall(body_of(root), path)):
                if index != keep:
                    each.getparent().remove(each)
            await stage.forward_as_administrator(exchange.with_root(root))
        return answer


_one_by_one(
    "users-deleted-in-part",
    "DeleteUsers deletes those it knows although one is missing",
    "DEVICE-4-1-5",
    "DeleteUsers",
    "tds:Username",
)
_one_by_one(
    "users-created-in-part",
    "CreateUsers creates the new ones although a name is in use",
    "DEVICE-4-1-3",
    "CreateUsers",
    "tds:User",
)
_one_by_one(
    "users-changed-in-part",
    "SetUser changes those it knows although one is missing",
    "DEVICE-4-1-8",
    "SetUser",
    "tds:User",
)
_accepting("users-not-deleted", "DeleteUsers does nothing", "DEVICE-4-1-4", "DeleteUsers", b"OnvifTest2<")
_accepting("user-not-changed", "SetUser does nothing", "DEVICE-4-1-7", "SetUser", b"OnvifTest2<")
_accepting("users-not-created", "CreateUsers does nothing", "DEVICE-4-1-9", "CreateUsers", b"OnvifTest")


# ---- scopes -------------------------------------------------------------------------------------------


@defect("added-scopes-replace", "AddScopes loses the scopes that were set before", "CORE-SCOPES-1", "AddScopes")
async def added_scopes_replace(exchange: Exchange, stage: Stage) -> Answer:
    content = exchange.content.replace(b"AddScopes>", b"SetScopes>").replace(b"ScopeItem>", b"Scopes>")
    answer = await stage.forward_as_administrator(replace(exchange, content=content))
    return succeed("<tds:AddScopesResponse/>") if answer.status == 200 else answer


@defect("fixed-scope-removable", "RemoveScopes takes a fixed scope", "CORE-SCOPES-2", "RemoveScopes")
async def fixed_scope_removable(exchange: Exchange, stage: Stage) -> Answer:
    answer = await stage.forward(exchange)
    if b"FixedScope" not in answer.content:
        return answer
    items = "".join(
        f"<tds:ScopeItem>{text(each)}</tds:ScopeItem>" for each in findall(body_of(exchange.root), "tds:ScopeItem")
    )
    return succeed(f"<tds:RemoveScopesResponse>{items}</tds:RemoveScopesResponse>")


answer_defect(
    *("no-hardware-scope", "GetScopes has no scope of kind hardware", "DISCOVERY-1-1-3", "GetScopes"),
    remove_where("tds:Scopes", lambda each: "/hardware" in text(each, "tt:ScopeItem")),
)
