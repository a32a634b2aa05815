"""Base Test 7.1: capabilities."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from conformance.model import Examination, case
from conformance.names import NS, boolean, find, findall, flag, name_of, text
from conformance.soap import expect_fault

BASE = "Base"
BRANCHES = ("Analytics", "Device", "Events", "Imaging", "Media", "PTZ")
FEATURES = {
    "Media": "Media Service",
    "PTZ": "PTZ Service",
    "Imaging": "Imaging Service",
    "Analytics": "Analytics Service",
}


async def get_capabilities(x: Examination, *categories: str) -> Any:
    inside = "".join(f"<tds:Category>{each}</tds:Category>" for each in categories)
    body = await x.ask("tds", f"<tds:GetCapabilities>{inside}</tds:GetCapabilities>")
    found = find(body, "tds:Capabilities")
    x.check(found is not None, "GetCapabilitiesResponse has no Capabilities")
    return found


async def get_services(x: Examination, *, capability: bool, address: str = "tds") -> list[Any]:
    flag_ = "true" if capability else "false"
    body = await x.ask(
        address, f"<tds:GetServices><tds:IncludeCapability>{flag_}</tds:IncludeCapability></tds:GetServices>"
    )
    return findall(body, "tds:Service")


def service_of(services: list[Any], prefix: str) -> Any:
    """The service with this namespace, of the latest version; None if there is none."""

    def version(each: Any) -> tuple[int, int]:
        return int(text(each, "tds:Version/tt:Major", "0")), int(text(each, "tds:Version/tt:Minor", "0"))

    return max((each for each in services if text(each, "tds:Namespace") == NS[prefix]), key=version, default=None)


# ---- 7.1.1 to 7.1.8: GetCapabilities ------------------------------------------------------------------


@case("DEVICE-1-1-2", document=BASE, name="ALL CAPABILITIES", requires=("GetCapabilities",))
async def all_capabilities(x: Examination) -> None:
    for categories in (("All",), ()):
        capabilities = await get_capabilities(x, *categories)
        asked = "Category All" if categories else "no Category"
        for branch in BRANCHES:
            if branch in FEATURES and not x.has(FEATURES[branch]):
                continue
            present = find(capabilities, f"tt:{branch}") is not None
            x.check(present, f"GetCapabilities with {asked}: Capabilities.{branch} is missing (7.1.1)")
        if x.has("Device IO Service"):
            x.check(
                find(capabilities, "tt:Extension/tt:DeviceIO") is not None,
                f"GetCapabilities with {asked}: Capabilities.Extension.DeviceIO is missing (7.1.1)",
            )


def _category(category: str) -> Callable[[Examination], Awaitable[None]]:
    async def run(x: Examination) -> None:
        if category in FEATURES and not x.has(FEATURES[category]):
            request = f"<tds:GetCapabilities><tds:Category>{category}</tds:Category></tds:GetCapabilities>"
            await x.soap.refuse("tds", request, ("env:Receiver", "ter:ActionNotSupported", "ter:NoSuchService"))
            return
        capabilities = await get_capabilities(x, category)
        branch = find(capabilities, f"tt:{category}")
        x.check(branch is not None, f"Capabilities.{category} is missing")
        address = text(branch, "tt:XAddr")
        x.check(
            urlsplit(address).scheme in ("http", "https") and urlsplit(address).hostname,
            f"Capabilities.{category}.XAddr {address!r} is no valid URI",
        )
        for other in BRANCHES:
            if other != category:
                x.check(
                    find(capabilities, f"tt:{other}") is None,
                    f"Capabilities.{other} is there although only {category} was asked for",
                )

    return run


for _id, _name, _what in (
    ("DEVICE-1-1-3", "DEVICE CAPABILITIES", "Device"),
    ("DEVICE-1-1-4", "MEDIA CAPABILITIES", "Media"),
    ("DEVICE-1-1-5", "EVENT CAPABILITIES", "Events"),
    ("DEVICE-1-1-6", "PTZ CAPABILITIES", "PTZ"),
    ("DEVICE-1-1-10", "IMAGING CAPABILITIES", "Imaging"),
    ("DEVICE-1-1-11", "ANALYTICS CAPABILITIES", "Analytics"),
):
    case(_id, document=BASE, name=_name, requires=("GetCapabilities",))(_category(_what))


@case("DEVICE-1-1-9", document=BASE, name="SOAP FAULT MESSAGE", requires=("GetCapabilities",))
async def soap_fault(x: Examination) -> None:
    request = "<tds:GetCapabilities><tds:Category>XYZ</tds:Category></tds:GetCapabilities>"
    reply = await x.soap.call("tds", request)
    expect_fault(reply, "GetCapabilities of category XYZ", strict=False)
    x.check(
        reply.status in (400, 500),
        f"the fault came with HTTP {reply.status}, not 400 or 500 (SOAP 1.2 Part 2, 7.5.2.2)",
    )


# ---- 7.1.9 to 7.1.25: GetServices ---------------------------------------------------------------------


def _service(prefix: str) -> Callable[[Examination], Awaitable[None]]:
    async def run(x: Examination) -> None:
        for included in (False, True):
            found = service_of(await get_services(x, capability=included), prefix)
            x.check(found is not None, f"GetServicesResponse has no service {NS[prefix]}")
            capabilities = find(found, "tds:Capabilities")
            if not included:
                x.check(
                    capabilities is None, f"Capabilities of {prefix} are there although IncludeCapability was false"
                )
                continue
            x.check(
                capabilities is not None, f"Capabilities of {prefix} are missing although IncludeCapability was true"
            )
            names = [name_of(each) for each in capabilities if isinstance(each.tag, str)]
            x.check(
                names == [f"{prefix}:Capabilities"],
                f"the Capabilities of {prefix} must contain {prefix}:Capabilities, they contain {', '.join(names) or 'nothing'}",
            )

    return run


for _id, _name, _what, _feature in (
    ("DEVICE-1-1-13", "DEVICE SERVICE", "tds", ""),
    ("DEVICE-1-1-14", "MEDIA SERVICE", "trt", "Media Service"),
    ("DEVICE-1-1-15", "PTZ SERVICE", "tptz", "PTZ Service"),
    ("DEVICE-1-1-16", "EVENT SERVICE", "tev", ""),
    ("DEVICE-1-1-17", "IMAGING SERVICE", "timg", "Imaging Service"),
    ("DEVICE-1-1-20", "REPLAY SERVICE", "trp", "Replay Service"),
    ("DEVICE-1-1-21", "RECORDING SEARCH SERVICE", "tse", "Recording Search Service"),
    ("DEVICE-1-1-22", "RECORDING CONTROL SERVICE", "trc", "Recording Control Service"),
    ("DEVICE-1-1-23", "RECEIVER SERVICE", "trv", "Receiver Service"),
    ("DEVICE-1-1-24", "ACCESS CONTROL SERVICE", "tac", "Access Control Service"),
    ("DEVICE-1-1-25", "DOOR CONTROL SERVICE", "tdc", "Door Control Service"),
    ("DEVICE-1-1-26", "SECURITY CONFIGURATION SERVICE", "tas", "Security Configuration Service"),
    ("DEVICE-1-1-27", "ACCESS RULES SERVICE", "tar", "Access Rules Service"),
    ("DEVICE-1-1-28", "CREDENTIAL SERVICE", "tcr", "Credential Service"),
    ("DEVICE-1-1-29", "SCHEDULE SERVICE", "tsc", "Schedule Service"),
):
    _needs = ("GetServices", _feature) if _feature else ("GetServices",)
    case(_id, document=BASE, name=f"GET SERVICES - {_name}", requires=_needs)(_service(_what))


async def device_capabilities(x: Examination) -> Any:
    found = find(await x.ask("tds", "<tds:GetServiceCapabilities/>"), "tds:Capabilities")
    x.check(found is not None, "GetServiceCapabilitiesResponse has no Capabilities")
    return found


@case("DEVICE-1-1-18", document=BASE, name="DEVICE SERVICE CAPABILITIES", requires=("GetServices",))
async def device_service_capabilities(x: Examination) -> None:
    system = find(await device_capabilities(x), "tds:System")
    x.check(
        not (flag(system, "DiscoveryNotSupported") and flag(system, "DiscoveryBye")),
        "DiscoveryBye is true although DiscoveryNotSupported is true (7.1.14)",
    )


@case(
    "DEVICE-1-1-19",
    document=BASE,
    name="GET SERVICES AND GET DEVICE SERVICE CAPABILITIES CONSISTENCY",
    requires=("GetServices",),
)
async def device_consistency(x: Examination) -> None:
    device = service_of(await get_services(x, capability=True), "tds")
    embedded = find(device, "tds:Capabilities/tds:Capabilities")
    x.check(embedded is not None, "GetServicesResponse has no capabilities of the device service")
    asked = await device_capabilities(x)
    for part in ("Network", "System", "Security", "Misc"):
        one, other = find(embedded, f"tds:{part}"), find(asked, f"tds:{part}")
        left = {} if one is None else dict(one.attrib)
        right = {} if other is None else dict(other.attrib)
        for name in sorted({*left, *right}):
            x.check(
                _same(left.get(name), right.get(name)),
                f"{part}.{name} is {left.get(name)!r} in GetServices and {right.get(name)!r} in GetServiceCapabilities",
            )


def _same(one: str | None, other: str | None) -> bool:
    """Equal as booleans (a missing one is false), numbers, or sets of words."""
    truth = ("true", "1", "false", "0", None)
    if one in truth and other in truth and (one is not None or other is not None) and "1" not in (one, other):
        return boolean(one or "false") == boolean(other or "false")
    return sorted((one or "").split()) == sorted((other or "").split())


# ---- 7.1.26: both ways of asking ----------------------------------------------------------------------

_BOOLEANS: tuple[tuple[str, str, str, str], ...] = (
    # service, path in GetCapabilities, element in the service's capabilities, attribute
    *(
        ("tds", f"Device/Network/{path}", "Network", name)
        for path, name in (
            ("IPFilter", "IPFilter"),
            ("ZeroConfiguration", "ZeroConfiguration"),
            ("IPVersion6", "IPVersion6"),
            ("DynDNS", "DynDNS"),
            ("Extension/Dot11Configuration", "Dot11Configuration"),
        )
    ),
    *(
        ("tds", f"Device/System/{name}", "System", name)
        for name in (
            *(
                "DiscoveryResolve",
                "DiscoveryBye",
                "RemoteDiscovery",
                "SystemBackup",
                "SystemLogging",
                "FirmwareUpgrade",
            ),
        )
    ),
    *(
        ("tds", f"Device/System/Extension/{name}", "System", name)
        for name in ("HttpFirmwareUpgrade", "HttpSystemBackup", "HttpSystemLogging", "HttpSupportInformation")
    ),
    *(
        ("tds", f"Device/Security/{path}", "Security", name)
        for path, name in (
            *(("TLS1.1", "TLS1.1"), ("TLS1.2", "TLS1.2"), ("OnboardKeyGeneration", "OnboardKeyGeneration")),
            *(("AccessPolicyConfig", "AccessPolicyConfig"), ("X.509Token", "X.509Token"), ("SAMLToken", "SAMLToken")),
            *(("KerberosToken", "KerberosToken"), ("RELToken", "RELToken"), ("Extension/TLS1.0", "TLS1.0")),
            *(("Extension/Extension/Dot1X", "Dot1X"),),
            *(("Extension/Extension/RemoteUserHandling", "RemoteUserHandling"),),
        )
    ),
    *(
        ("tev", f"Events/{name}", "", name)
        for name in (
            "WSSubscriptionPolicySupport",
            "WSPullPointSupport",
            "WSPausableSubscriptionManagerInterfaceSupport",
        )
    ),
    ("tan", "Analytics/RuleSupport", "", "RuleSupport"),
    ("tan", "Analytics/AnalyticsModuleSupport", "", "AnalyticsModuleSupport"),
    *(
        ("trt", f"Media/StreamingCapabilities/{name}", "StreamingCapabilities", name)
        for name in ("RTPMulticast", "RTP_TCP", "RTP_RTSP_TCP")
    ),
    ("trc", "Extension/Recording/DynamicRecordings", "", "DynamicRecordings"),
    ("trc", "Extension/Recording/DynamicTracks", "", "DynamicTracks"),
    ("tse", "Extension/Search/MetadataSearch", "", "MetadataSearch"),
    *(("trv", f"Extension/Receiver/{name}", "", name) for name in ("RTP_Multicast", "RTP_TCP", "RTP_RTSP_TCP")),
)

_NUMBERS: tuple[tuple[str, str, str, str], ...] = (
    (
        "trt",
        "Media/Extension/ProfileCapabilities/MaximumNumberOfProfiles",
        "ProfileCapabilities",
        "MaximumNumberOfProfiles",
    ),
    *(
        ("tmd", f"Extension/DeviceIO/{name}", "", name)
        for name in ("VideoSources", "VideoOutputs", "AudioSources", "AudioOutputs", "RelayOutputs")
    ),
    ("trv", "Extension/Receiver/SupportedReceivers", "", "SupportedReceivers"),
    ("trv", "Extension/Receiver/MaximumRTSPURILength", "", "MaximumRTSPURILength"),
)

_PLACES = {
    "tan": "Analytics", "timg": "Imaging", "trt": "Media", "tptz": "PTZ", "tmd": "Extension/DeviceIO",
    "trc": "Extension/Recording", "tse": "Extension/Search", "trp": "Extension/Replay", "trv": "Extension/Receiver",
}  # fmt: skip


def _old(capabilities: Any, path: str) -> str:
    return text(capabilities, "/".join(f"tt:{step}" for step in path.split("/")))


@case(
    "DEVICE-1-1-30",
    document=BASE,
    name="GET SERVICES AND GET CAPABILITIES CONSISTENCY",
    requires=("GetServices", "GetCapabilities"),
)
async def both_ways(x: Examination) -> None:
    services = await get_services(x, capability=True)
    old = await get_capabilities(x, "All")
    new: dict[str, Any] = {}
    for prefix in ("tds", "tev", *_PLACES):
        found = service_of(services, prefix)
        place = _PLACES.get(prefix)
        listed = place is not None and find(old, "/".join(f"tt:{step}" for step in place.split("/"))) is not None
        x.check(found is not None or not listed, f"GetCapabilities lists {place}, GetServices has no {NS[prefix]}")
        if found is not None and (listed or place is None):
            new[prefix] = find(found, f"tds:Capabilities/{prefix}:Capabilities")
            x.check(new[prefix] is not None, f"GetServices has no capabilities of {NS[prefix]}")
    for prefix, path, element, attribute in _BOOLEANS:
        if prefix not in new:
            continue
        holder = find(new[prefix], f"{prefix}:{element}") if element else new[prefix]
        if attribute == "WSPullPointSupport" and (holder is None or holder.get(attribute) is None):
            # The schema of the event service has no such attribute any more: its absence says nothing.
            continue
        one, other = boolean(_old(old, path)), flag(holder, attribute)
        x.check(one == other, f"{path} is {one} in GetCapabilities, {attribute} is {other} in GetServices (7.1.26)")
    for prefix, path, element, attribute in _NUMBERS:
        if prefix not in new:
            continue
        holder = find(new[prefix], f"{prefix}:{element}") if element else new[prefix]
        one_, other_ = _old(old, path), "" if holder is None else holder.get(attribute, "")
        if not one_ and attribute == "MaximumNumberOfProfiles":
            continue
        x.check(
            int(one_ or 0) == int(other_ or 0),
            f"{path} is {one_ or 'missing'} in GetCapabilities, {attribute} is {other_ or 'missing'} in GetServices (7.1.26)",
        )
    methods = findall(old, "tt:Device/tt:Security/tt:Extension/tt:Extension/tt:SupportedEAPMethod")
    listed_methods = {int(text(each)) for each in methods}
    security = find(new["tds"], "tds:Security")
    given = {int(each) for each in ("" if security is None else security.get("SupportedEAPMethods", "")).split()}
    x.check(
        listed_methods == given, f"SupportedEAPMethods: {listed_methods} in GetCapabilities, {given} in GetServices"
    )


@case("DEVICE-1-1-31", document=BASE, name="GET SERVICES - XADDR", requires=("GetServices",))
async def service_addresses(x: Examination) -> None:
    await _check_addresses(x, x.settings.url)
    if x.has("Device/HTTPS"):
        port = await https_port(x)
        target = urlsplit(x.settings.url)
        host = f"[{target.hostname}]" if ":" in (target.hostname or "") else target.hostname
        await _check_addresses(x, f"https://{host}:{port}{target.path}")


async def https_port(x: Examination) -> int:
    """Port of the enabled HTTPS (helper 9.24; a device that has it off is not reconfigured)."""
    body = await x.ask("tds", "<tds:GetNetworkProtocols/>")
    for each in findall(body, "tds:NetworkProtocols"):
        if text(each, "tt:Name") == "HTTPS" and boolean(text(each, "tt:Enabled")):
            return int(text(each, "tt:Port", "443"))
    x.cannot("HTTPS is supported but not enabled; enable it and examine again (Base Test 9.24)")
    raise AssertionError


async def _check_addresses(x: Examination, url: str) -> None:
    """Helper 9.23."""
    asked = urlsplit(url)
    standard = {"http": 80, "https": 443}
    services = await get_services(x, capability=False, address=url)
    x.check(services, "GetServicesResponse has no service")
    for each in services:
        address = text(each, "tds:XAddr")
        given = urlsplit(address)
        where = f"XAddr {address} of {text(each, 'tds:Namespace')}, asked at {url}"
        x.check(given.scheme == asked.scheme, f"{where}: the scheme differs (9.23)")
        x.check(given.netloc, f"{where}: no authority (9.23)")
        x.check(given.hostname == asked.hostname, f"{where}: the host differs (9.23)")
        ports = [part.port or standard[part.scheme] for part in (given, asked)]
        x.check(ports[0] == ports[1], f"{where}: the port differs (9.23)")
