"""Device management: every operation by bytes, valid against the official schema, with its access class and faults."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from lxml import etree

from onvifd.access.types import AccessClass, Level, may
from onvifd.onvif.backend import Ports
from onvifd.onvif.services.common import NS_DEVICE, NS_MEDIA, NS_MEDIA2, ServiceRegistry
from onvifd.onvif.services.device import DeviceService
from onvifd.onvif.services.device_host import DeviceHost
from onvifd.onvif.services.device_inventory import DeviceInventory
from onvifd.onvif.services.device_maintenance import DeviceMaintenance
from onvifd.onvif.services.device_users import DeviceUsers
from onvifd.onvif.services.media import MediaService
from onvifd.onvif.services.media2 import Media2Service
from onvifd.onvif.types import tds, tt

TDS = f"{{{NS_DEVICE}}}"
TT = "{http://www.onvif.org/ver10/schema}"

ACCESS = {
    "GetServices": AccessClass.PRE_AUTH,
    "GetServiceCapabilities": AccessClass.PRE_AUTH,
    "GetCapabilities": AccessClass.PRE_AUTH,
    "GetWsdlUrl": AccessClass.PRE_AUTH,
    "GetEndpointReference": AccessClass.PRE_AUTH,
    "GetSystemDateAndTime": AccessClass.PRE_AUTH,
    "GetHostname": AccessClass.PRE_AUTH,
    "GetDeviceInformation": AccessClass.READ_SYSTEM,
    "GetScopes": AccessClass.READ_SYSTEM,
    "GetDiscoveryMode": AccessClass.READ_SYSTEM,
    "GetDNS": AccessClass.READ_SYSTEM,
    "GetNTP": AccessClass.READ_SYSTEM,
    "GetDynamicDNS": AccessClass.READ_SYSTEM,
    "GetNetworkInterfaces": AccessClass.READ_SYSTEM,
    "GetNetworkProtocols": AccessClass.READ_SYSTEM,
    "GetNetworkDefaultGateway": AccessClass.READ_SYSTEM,
    "GetUsers": AccessClass.READ_SYSTEM_SECRET,
    "GetRelayOutputs": AccessClass.READ_MEDIA,
}


@pytest.fixture
def device(body: Any, client: Callable[..., Any]) -> Any:
    registry = ServiceRegistry()
    service = DeviceService(body, registry)
    media, media2 = MediaService(body, body), Media2Service(body, body)
    registry.add(media)
    registry.add(media2)
    return client(service, media, media2)


def test_access_classes() -> None:
    served = {etree.QName(item.name).localname: item.access for item in DeviceService.operations()}
    others = (DeviceUsers, DeviceHost, DeviceMaintenance, DeviceInventory)  # each has a test module of its own
    elsewhere = {etree.QName(item.name).localname for part in others for item in part.operations()}
    assert {name: access for name, access in served.items() if name not in elsewhere - ACCESS.keys()} == ACCESS


@pytest.mark.covers(
    *("G-GetDNS", "G-GetDeviceInformation", "G-GetDiscoveryMode", "G-GetHostname", "G-GetNetworkDefaultGateway"),
    *("G-GetNetworkInterfaces", "G-GetNetworkProtocols", "G-GetScopes", "G-GetServices", "G-GetSystemDateAndTime"),
    *("G-GetUsers", "G-GetWsdlUrl", "G-device-GetServiceCapabilities", "M-GetDeviceInformation", "M-GetScopes"),
    *("M-GetServices", "M-GetSystemDateAndTime", "M-device-GetServiceCapabilities", "S-GetCapabilities", "S-GetDNS"),
    *("S-GetDeviceInformation", "S-GetDiscoveryMode", "S-GetDynamicDNS", "S-GetHostname", "S-GetNTP"),
    *("S-GetNetworkDefaultGateway", "S-GetNetworkInterfaces", "S-GetNetworkProtocols", "S-GetRelayOutputs"),
    *("S-GetScopes", "S-GetSystemDateAndTime", "S-GetUsers", "S-GetWsdlUrl", "T-GetDNS", "T-GetDeviceInformation"),
    *("T-GetDiscoveryMode", "T-GetHostname", "T-GetNTP", "T-GetNetworkDefaultGateway", "T-GetNetworkInterfaces"),
    *("T-GetNetworkProtocols", "T-GetScopes", "T-GetServices", "T-GetSystemDateAndTime", "T-GetUsers", "T-GetWsdlUrl"),
    *("T-device-GetServiceCapabilities",),
)
@pytest.mark.parametrize("name", ACCESS)
async def test_every_operation_answers_validly_and_to_the_right_levels(device: Any, name: str) -> None:
    extra = "<tds:IncludeCapability>true</tds:IncludeCapability>" if name == "GetServices" else ""
    request = f'<tds:{name} xmlns:tds="{NS_DEVICE}">{extra}</tds:{name}>'
    assert (await device.ask(request)).tag == f"{TDS}{name}Response"
    for level in (Level.OPERATOR, Level.USER):
        if may(level, ACCESS[name]):
            await device.ask(request, level.lower())
        else:
            assert await device.fault(request, level.lower()) == ("Sender", "NotAuthorized")
    if ACCESS[name] is AccessClass.PRE_AUTH:
        await device.ask(request, None)
    else:
        assert await device.fault(request, None) == ("Sender", "NotAuthorized")


# ---- services and capabilities


async def test_services_repeat_scheme_host_and_port_of_the_request(device: Any) -> None:
    request = tds.GetServices(include_capability=False)
    for scheme, host in (("http", "192.0.2.10:8080"), ("https", "nvr.example.org"), ("http", "[2001:db8::1]:80")):
        device.scheme, device.host = scheme, host
        answer = await device.ask(request, None)
        addresses = [element.text for element in answer.iter(f"{TDS}XAddr")]
        assert addresses[0] == f"{scheme}://{host}/onvif/device_service"
        assert all(address.startswith(f"{scheme}://{host}/onvif/") for address in addresses)


async def test_host_header_that_is_no_host_is_not_repeated(device: Any) -> None:
    device.host = 'x"><script>:8080'
    answer = await device.ask(tds.GetServices(include_capability=False), None)
    assert answer.findtext(f".//{TDS}XAddr") == "http://192.0.2.10:8080/onvif/device_service"


@pytest.mark.covers("G-GetServices", "M-GetServices", "T-GetServices")
async def test_services_are_exactly_those_mounted(device: Any) -> None:
    answer = await device.ask(tds.GetServices(include_capability=False), None)
    assert [element.text for element in answer.iter(f"{TDS}Namespace")] == [NS_DEVICE, NS_MEDIA, NS_MEDIA2]
    assert answer.find(f".//{TDS}Capabilities") is None
    version = answer.find(f"{TDS}Service/{TDS}Version")
    assert [child.text for child in version] == ["26", "6"]


async def test_embedded_capabilities_equal_those_of_each_service(device: Any) -> None:
    answer = await device.ask(tds.GetServices(include_capability=True), None)
    for service in answer.iter(f"{TDS}Service"):
        namespace = service.findtext(f"{TDS}Namespace")
        (embedded,) = service.find(f"{TDS}Capabilities")
        assert embedded.tag == f"{{{namespace}}}Capabilities"
        own = await device.ask(f'<x:GetServiceCapabilities xmlns:x="{namespace}"/>', None)
        assert _plain(embedded) == _plain(own[0])


def _plain(element: etree._Element) -> Any:
    return element.tag, dict(element.attrib), (element.text or "").strip(), [_plain(child) for child in element]


async def test_capabilities_agree_with_the_services(device: Any) -> None:
    answer = await device.ask(tds.GetCapabilities(), None)
    capabilities = answer[0]
    assert [etree.QName(child).localname for child in capabilities] == ["Device", "Media"]
    assert capabilities.findtext(f"{TT}Device/{TT}XAddr") == "http://192.0.2.10:8080/onvif/device_service"
    assert capabilities.findtext(f"{TT}Media/{TT}XAddr") == "http://192.0.2.10:8080/onvif/media_service"
    assert capabilities.findtext(f"{TT}Media//{TT}RTP_RTSP_TCP") == "true"
    assert capabilities.findtext(f"{TT}Media//{TT}RTPMulticast") == "false"
    assert capabilities.findtext(f"{TT}Media//{TT}MaximumNumberOfProfiles") == "4"
    assert capabilities.findtext(f"{TT}Device//{TT}TLS1.2") == "true"
    assert capabilities.findtext(f"{TT}Device//{TT}DiscoveryBye") == "true"
    assert (await device.ask(tds.GetCapabilities(category=(tt.CapabilityCategory.ALL,)), None))[0].tag == TDS + (
        "Capabilities"
    )


@pytest.mark.covers("S-GetCapabilities")
@pytest.mark.parametrize("category", ["Device", "Media"])
async def test_one_category_gives_only_that_branch(device: Any, category: str) -> None:
    answer = await device.ask(tds.GetCapabilities(category=(tt.CapabilityCategory(category),)), None)
    assert [etree.QName(child).localname for child in answer[0]] == [category]


@pytest.mark.covers("S-GetCapabilities")
@pytest.mark.parametrize("category", ["Analytics", "Events", "Imaging", "PTZ"])
async def test_category_that_is_not_served(device: Any, category: str) -> None:
    request = tds.GetCapabilities(category=(tt.CapabilityCategory(category),))
    assert await device.fault(request, None) == ("Receiver", "ActionNotSupported", "NoSuchService")


async def test_unknown_category(device: Any) -> None:
    request = f'<d:GetCapabilities xmlns:d="{NS_DEVICE}"><d:Category>Nonsense</d:Category></d:GetCapabilities>'
    assert await device.fault(request, None) == ("Sender", "InvalidArgVal")


async def test_operations_that_are_not_served(device: Any) -> None:
    for name in ("SystemReboot", "GetSystemUris", "GetZeroConfiguration"):
        request = f'<d:{name} xmlns:d="{NS_DEVICE}"/>'
        assert await device.fault(request) == ("Receiver", "ActionNotSupported"), name


async def test_security_capabilities_follow_the_ports(device: Any, body: Any) -> None:
    body.ports_ = Ports(http=8080, https=None, rtsp=8554)
    answer = await device.ask(tds.GetServiceCapabilities(), None)
    assert answer.find(f".//{TDS}Security").get("TLS1.2") == "false"
    assert answer.find(f".//{TDS}System").get("UserConfigNotSupported") == "true"


def test_service_cannot_be_mounted_twice(body: Any) -> None:
    registry = ServiceRegistry([MediaService(body, body)])
    with pytest.raises(ValueError, match="twice"):
        registry.add(MediaService(body, body))


# ---- identity, time, users


@pytest.mark.covers(
    *("A056", "A057", "G-GetDeviceInformation", "M-GetDeviceInformation", "MNT-04", "S-GetDeviceInformation"),
    *("T-GetDeviceInformation",),
)
async def test_identity(device: Any, sample: ModuleType) -> None:
    information = await device.ask(tds.GetDeviceInformation())
    assert [child.text for child in information] == ["Example & Sons", "Sample <1>", "0.1.0", "SN-0001", "x86_64"]
    reference = await device.ask(tds.GetEndpointReference(), None)
    assert reference.findtext(f"{TDS}GUID") == f"urn:uuid:{sample.UUID}"


@pytest.mark.covers(
    *("G-GetSystemDateAndTime", "M-GetSystemDateAndTime", "S-GetSystemDateAndTime", "T-GetSystemDateAndTime"),
)
async def test_time_is_given_in_utc_and_local(device: Any) -> None:
    answer = (await device.ask(tds.GetSystemDateAndTime(), None))[0]
    assert answer.findtext(f"{TT}DateTimeType") == "NTP"
    assert answer.findtext(f"{TT}TimeZone/{TT}TZ") == "CET-1CEST,M3.5.0,M10.5.0/3"

    def clock(name: str) -> list[int]:
        return [int(element.text) for element in answer.find(f"{TT}{name}").iter() if element.text]

    assert clock("UTCDateTime") == [0, 0, 0, 2026, 1, 1]
    assert clock("LocalDateTime") == [1, 0, 0, 2026, 1, 1]


@pytest.mark.covers(
    *("G-GetSystemDateAndTime", "M-GetSystemDateAndTime", "S-GetSystemDateAndTime", "T-GetSystemDateAndTime"),
)
async def test_wrong_credentials_still_learn_the_time(device: Any) -> None:
    await device.ask(tds.GetSystemDateAndTime(), "nobody")


@pytest.mark.covers("A060", "G-GetScopes", "M-GetScopes", "P252", "S-GetScopes", "SYS-01", "T-GetScopes")
async def test_scopes_are_fixed_or_configurable(device: Any, body: Any) -> None:
    answer = await device.ask(tds.GetScopes())
    found = [(item[0].text, item[1].text) for item in answer]
    assert found == [("Fixed" if scope.fixed else "Configurable", scope.uri) for scope in body.scopes()]
    assert {definition for definition, _ in found} == {"Fixed", "Configurable"}


@pytest.mark.covers("G-GetDiscoveryMode", "S-GetDiscoveryMode", "T-GetDiscoveryMode")
async def test_discovery_mode(device: Any, body: Any) -> None:
    assert (await device.ask(tds.GetDiscoveryMode()))[0].text == "Discoverable"
    body.discoverable_ = False
    assert (await device.ask(tds.GetDiscoveryMode()))[0].text == "NonDiscoverable"


@pytest.mark.covers("ACC-15", "G-GetUsers", "S-GetUsers", "T-GetUsers")
async def test_users_come_without_passwords(device: Any) -> None:
    answer = await device.ask(tds.GetUsers())
    assert [[child.text for child in user] for user in answer] == [["admin", "Administrator"], ["vms", "Operator"]]
    assert answer.find(f".//{TT}Password") is None


# ---- network


@pytest.mark.covers("G-GetNetworkInterfaces", "S-GetNetworkInterfaces", "T-GetNetworkInterfaces")
async def test_interfaces_show_hardware_address_and_both_families(device: Any) -> None:
    first, second = await device.ask(tds.GetNetworkInterfaces())
    assert first.get("token") == "eth0"
    assert first.findtext(f"{TT}Info/{TT}HwAddress") == "02:00:00:00:00:01"
    config = first.find(f"{TT}IPv4/{TT}Config")
    assert config.findtext(f"{TT}FromDHCP/{TT}Address") == "192.0.2.10"
    assert config.findtext(f"{TT}FromDHCP/{TT}PrefixLength") == "24"
    assert config.findtext(f"{TT}DHCP") == "true"
    assert first.findtext(f"{TT}IPv6/{TT}Config/{TT}Manual/{TT}Address") == "2001:db8::10"
    assert first.findtext(f"{TT}IPv6/{TT}Config/{TT}LinkLocal/{TT}Address") == "fe80::10"
    assert second.findtext(f"{TT}Enabled") == "false"
    assert second.find(f"{TT}IPv4") is None


async def test_host_without_interfaces(device: Any, body: Any) -> None:
    body.network_ = dataclasses.replace(body.network_, interfaces=())
    assert await device.fault(tds.GetNetworkInterfaces()) == ("Receiver", "Action")


@pytest.mark.covers(
    *("G-GetDNS", "G-GetHostname", "G-GetNetworkDefaultGateway", "S-GetDNS", "S-GetHostname", "S-GetNTP"),
    *("S-GetNetworkDefaultGateway", "T-GetDNS", "T-GetHostname", "T-GetNTP", "T-GetNetworkDefaultGateway"),
)
async def test_names_addresses_and_gateways_by_family(device: Any) -> None:
    dns = (await device.ask(tds.GetDNS()))[0]
    assert [element.text for element in dns.iter(f"{TT}IPv4Address", f"{TT}IPv6Address")] == [
        "192.0.2.1",
        "2001:db8::53",
    ]
    assert dns.findtext(f"{TT}SearchDomain") == "example.org"
    ntp = (await device.ask(tds.GetNTP()))[0]
    assert [element.text for element in ntp.iter(f"{TT}Type")] == ["IPv4", "DNS"]
    assert ntp.findtext(f".//{TT}DNSname") == "pool.example.org"
    gateway = (await device.ask(tds.GetNetworkDefaultGateway()))[0]
    assert [child.text for child in gateway] == ["192.0.2.254", "fe80::1"]
    assert (await device.ask(tds.GetHostname(), None)).findtext(f".//{TT}Name") == "sample"


@pytest.mark.covers("G-GetNetworkProtocols", "S-GetNetworkProtocols", "T-GetNetworkProtocols")
async def test_protocols_are_those_served(device: Any, body: Any) -> None:
    answer = await device.ask(tds.GetNetworkProtocols())
    assert [(item[0].text, item[1].text, item[2].text) for item in answer] == [
        ("HTTP", "true", "8080"),
        ("HTTPS", "true", "8443"),
        ("RTSP", "true", "8554"),
    ]
    body.ports_ = Ports(http=None, https=443, rtsp=None)
    assert [item[0].text for item in await device.ask(tds.GetNetworkProtocols())] == ["HTTPS"]
