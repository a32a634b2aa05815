"""The network part of the device service: bytes in, bytes out, every fault of Core 8.2 and nothing changed by bad input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from onvifd.host.types import Features, InterfaceChange
from onvifd.onvif.services.common import NS_DEVICE, ServiceRegistry
from onvifd.onvif.services.device import DeviceService
from onvifd.onvif.types import tds
from tests.onvif.services.device_stage import Stage

TDS = f"{{{NS_DEVICE}}}"
TT = "{http://www.onvif.org/ver10/schema}"
BAD = ("Sender", "InvalidArgVal")
UNSUPPORTED = ("Receiver", "ActionNotSupported")


@pytest.fixture
async def stage() -> Stage:
    made = Stage()
    await made.start()
    return made


@pytest.fixture
def device(body: Any, stage: Stage, client: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(body, "network", stage.network.network)
    return client(DeviceService(body, ServiceRegistry(), control=stage.control))


def request(name: str, content: str = "") -> str:
    return f'<t:{name} xmlns:t="{NS_DEVICE}" xmlns:tt="{TT[1:-1]}">{content}</t:{name}>'


# ---- names and servers


@pytest.mark.covers("S-SetHostname", "G-SetHostname", "T-SetHostname")
async def test_hostname_is_set_and_read_back(device: Any, stage: Stage) -> None:
    await device.ask(request("SetHostname", "<t:Name>Onvif-Test0-oNvif-Onv12</t:Name>"))
    answer = await device.ask(tds.GetHostname(), None)
    assert answer.findtext(f".//{TT}Name") == "Onvif-Test0-oNvif-Onv12"
    assert answer.findtext(f".//{TT}FromDHCP") == "false"
    assert stage.state.now.network.hostname == "Onvif-Test0-oNvif-Onv12"


@pytest.mark.covers("S-SetHostname", "G-SetHostname", "T-SetHostname")
@pytest.mark.parametrize("name", ["Onvif_Test1", "-a", "a-", "a..b", "a b", "1.2.3.4", "x" * 64, "é", "a/b", "a;b"])
async def test_invalid_hostname(device: Any, stage: Stage, name: str) -> None:
    assert await device.fault(request("SetHostname", f"<t:Name>{name}</t:Name>")) == (*BAD, "InvalidHostname")
    assert stage.host.calls == []


async def test_hostname_from_dhcp(device: Any, stage: Stage) -> None:
    answer = await device.ask(request("SetHostnameFromDHCP", "<t:FromDHCP>true</t:FromDHCP>"))
    assert answer.findtext(f"{TDS}RebootNeeded") == "false"
    assert (await device.ask(tds.GetHostname())).findtext(f".//{TT}FromDHCP") == "true"
    await device.ask(request("SetHostname", "<t:Name/>"))  # Core 8.2.2: an empty name asks for DHCP's
    assert stage.host.calls == [("set_hostname_from_dhcp", True)] * 2


DNS = "<t:FromDHCP>{}</t:FromDHCP><t:SearchDomain>example.org</t:SearchDomain><t:DNSManual><tt:Type>{}</tt:Type>{}</t:DNSManual>"


@pytest.mark.covers("S-SetDNS", "G-SetDNS", "T-SetDNS")
async def test_dns_is_set_and_read_back(device: Any) -> None:
    for kind, address in (("IPv4", "10.1.1.1"), ("IPv6", "2001:1:1:1:1:1:1:1")):
        given = f"<tt:{kind}Address>{address}</tt:{kind}Address>"
        await device.ask(request("SetDNS", DNS.format("false", kind, given)))
        answer = await device.ask(tds.GetDNS())
        assert answer.findtext(f".//{TT}DNSManual/{TT}{kind}Address") == address
        assert answer.findtext(f".//{TT}SearchDomain") == "example.org"
    await device.ask(request("SetDNS", "<t:FromDHCP>true</t:FromDHCP>"))
    assert (await device.ask(tds.GetDNS())).findtext(f".//{TT}FromDHCP") == "true"


@pytest.mark.covers("S-SetDNS", "G-SetDNS", "T-SetDNS")
@pytest.mark.parametrize(
    ("kind", "address", "fault"),
    [
        ("IPv4", "<tt:IPv4Address>10.1.1</tt:IPv4Address>", "InvalidIPv4Address"),
        ("IPv4", "<tt:IPv4Address>10.1.1.256</tt:IPv4Address>", "InvalidIPv4Address"),
        ("IPv4", "<tt:IPv4Address>0.0.0.0</tt:IPv4Address>", "InvalidIPv4Address"),
        ("IPv4", "", "InvalidIPv4Address"),
        ("IPv6", "<tt:IPv6Address>FF02:1</tt:IPv6Address>", "InvalidIPv6Address"),
        ("IPv6", "<tt:IPv4Address>10.1.1.1</tt:IPv4Address>", "InvalidIPv6Address"),
    ],
)
async def test_invalid_dns_server(device: Any, stage: Stage, kind: str, address: str, fault: str) -> None:
    assert await device.fault(request("SetDNS", DNS.format("false", kind, address))) == (*BAD, fault)
    assert stage.host.calls == []


def ntp(kind: str, content: str) -> str:
    return request(
        "SetNTP", f"<t:FromDHCP>false</t:FromDHCP><t:NTPManual><tt:Type>{kind}</tt:Type>{content}</t:NTPManual>"
    )


@pytest.mark.covers("S-SetNTP", "T-SetNTP")
async def test_time_servers_are_set_and_read_back(device: Any) -> None:
    await device.ask(ntp("DNS", "<tt:DNSname>pool.example.org</tt:DNSname>"))
    assert (await device.ask(tds.GetNTP())).findtext(f".//{TT}NTPManual/{TT}DNSname") == "pool.example.org"
    await device.ask(ntp("IPv6", "<tt:IPv6Address>2001:db8::1</tt:IPv6Address>"))
    assert (await device.ask(tds.GetNTP())).findtext(f".//{TT}NTPManual/{TT}IPv6Address") == "2001:db8::1"
    await device.ask(request("SetNTP", "<t:FromDHCP>true</t:FromDHCP>"))
    assert (await device.ask(tds.GetNTP())).findtext(f".//{TT}FromDHCP") == "true"


@pytest.mark.covers("S-SetNTP", "T-SetNTP")
async def test_time_servers_that_are_none(device: Any, stage: Stage) -> None:
    assert await device.fault(ntp("IPv4", "<tt:IPv4Address>10.1.1</tt:IPv4Address>")) == (*BAD, "InvalidIPv4Address")
    assert await device.fault(ntp("IPv6", "<tt:IPv6Address>x</tt:IPv6Address>")) == (*BAD, "InvalidIPv6Address")
    assert await device.fault(ntp("DNS", "<tt:DNSname>a_b</tt:DNSname>")) == (*BAD, "InvalidDnsName")
    stage.host.ntp = True
    await stage.time.load()
    empty = request("SetNTP", "<t:FromDHCP>false</t:FromDHCP>")
    assert await device.fault(empty) == (*BAD, "TimeSyncedToNtp")
    assert stage.host.calls == []


# ---- interfaces


def interface(content: str, token: str = "eth0") -> str:
    given = f"<t:InterfaceToken>{token}</t:InterfaceToken><t:NetworkInterface>{content}</t:NetworkInterface>"
    return request("SetNetworkInterfaces", given)


def ipv4(address: str, bits: int = 24, dhcp: str = "false") -> str:
    manual = f"<tt:Manual><tt:Address>{address}</tt:Address><tt:PrefixLength>{bits}</tt:PrefixLength></tt:Manual>"
    return f"<tt:IPv4><tt:Enabled>true</tt:Enabled>{manual}<tt:DHCP>{dhcp}</tt:DHCP></tt:IPv4>"


@pytest.mark.covers("S-SetNetworkInterfaces", "G-SetNetworkInterfaces", "T-SetNetworkInterfaces")
async def test_an_address_is_added_at_once(device: Any, stage: Stage) -> None:
    both = ipv4("192.0.2.10").replace(
        "<tt:DHCP>",
        ipv4("192.0.2.11").partition("<tt:Enabled>true</tt:Enabled>")[2].partition("<tt:DHCP>")[0] + "<tt:DHCP>",
    )
    answer = await device.ask(interface(both))
    assert answer.findtext(f"{TDS}RebootNeeded") == "false"
    shown = await device.ask(tds.GetNetworkInterfaces())
    assert [item.text for item in shown.iter(f"{TT}Address") if item.text.startswith("192")] == [
        "192.0.2.10",
        "192.0.2.11",
    ]
    assert stage.announced == 1
    assert stage.state.now.network.interfaces["eth0"].ipv4_manual == (("192.0.2.10", 24), ("192.0.2.11", 24))


@pytest.mark.covers("S-SetNetworkInterfaces", "G-SetNetworkInterfaces", "T-SetNetworkInterfaces")
async def test_the_address_that_the_client_uses_goes_after_the_answer(device: Any, stage: Stage) -> None:
    await device.ask(interface(ipv4("192.0.2.77")))
    assert stage.host.calls == []
    await stage.go_on()
    assert stage.host.now.interfaces[0].ipv4 == (("192.0.2.77", 24),)
    assert stage.announced == 1


async def test_a_change_that_fails_after_the_answer_is_not_kept(device: Any, stage: Stage) -> None:
    stage.host.broken = "set_interface"
    await device.ask(interface(ipv4("192.0.2.77")))
    await stage.go_on()
    assert stage.state.now.network.interfaces == {}


async def test_a_change_that_fails_before_the_answer_is_a_fault(device: Any, stage: Stage) -> None:
    stage.host.broken = "set_interface"
    assert await device.fault(interface("<tt:MTU>1400</tt:MTU>")) == ("Receiver", "Action")
    assert stage.state.now.network.interfaces == {}


@pytest.mark.covers("S-SetNetworkInterfaces", "G-SetNetworkInterfaces", "T-SetNetworkInterfaces")
@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (ipv4("10.1.1"), (*BAD, "InvalidIPv4Address")),
        (ipv4("192.0.2.5", 33), (*BAD, "InvalidIPv4Address")),
        (ipv4("192.0.2.5", 0), (*BAD, "InvalidIPv4Address")),
        (ipv4("127.0.0.5"), (*BAD, "InvalidIPv4Address")),
        (ipv4("240.0.0.1"), (*BAD, "InvalidIPv4Address")),
        (ipv4("x").replace("IPv4", "IPv6").replace("<tt:DHCP>false</tt:DHCP>", ""), (*BAD, "InvalidIPv6Address")),
        ("<tt:MTU>67</tt:MTU>", (*BAD, "InvalidMtuValue")),
        ("<tt:MTU>9001</tt:MTU>", (*BAD, "InvalidMtuValue")),
        (
            "<tt:Link><tt:AutoNegotiation>false</tt:AutoNegotiation><tt:Speed>-1</tt:Speed><tt:Duplex>Full</tt:Duplex></tt:Link>",
            (*BAD, "InvalidInterfaceSpeed"),
        ),
        ("<tt:IPv6><tt:DHCP>Stateless</tt:DHCP></tt:IPv6>", (*UNSUPPORTED, "InvalidDHCPv6")),
        (
            "<tt:Extension><tt:Dot11><tt:SSID>6161</tt:SSID><tt:Mode>Infrastructure</tt:Mode><tt:Alias>a</tt:Alias>"
            "<tt:Priority>1</tt:Priority><tt:Security><tt:Mode>None</tt:Mode></tt:Security></tt:Dot11></tt:Extension>",
            (*UNSUPPORTED, "InvalidDot11"),
        ),
    ],
)
async def test_invalid_interface_settings(device: Any, stage: Stage, content: str, fault: tuple[str, ...]) -> None:
    assert await device.fault(interface(content)) == fault
    assert stage.host.calls == []
    assert stage.state.now.network.interfaces == {}


async def test_unknown_interface(device: Any) -> None:
    assert await device.fault(interface("", "eth9")) == (*BAD, "InvalidNetworkInterface")


@pytest.mark.covers("G-GetNetworkInterfaces", "S-GetNetworkInterfaces", "T-GetNetworkInterfaces", "A050", "P250")
async def test_link_of_an_interface_is_shown(device: Any) -> None:
    answer = await device.ask(tds.GetNetworkInterfaces())
    assert answer.findtext(f".//{TT}Link/{TT}OperSettings/{TT}Speed") == "1000"
    assert answer.findtext(f".//{TT}Link/{TT}InterfaceType") == "6"


async def test_what_was_set_is_set_again_where_the_host_forgets(device: Any, stage: Stage) -> None:
    await device.ask(interface("<tt:MTU>1400</tt:MTU>"))
    await device.ask(request("SetHostname", "<t:Name>kept</t:Name>"))
    await device.ask(request("SetNetworkDefaultGateway", "<t:IPv4Address>192.0.2.1</t:IPv4Address>"))
    stage.host.calls.clear()
    await stage.network.restore()
    assert stage.host.calls == [
        ("set_hostname", "kept"),
        ("set_interface", "eth0", InterfaceChange(mtu=1400)),
        ("set_gateways", ("192.0.2.1",)),
    ]


# ---- gateway, zero configuration, dynamic DNS


@pytest.mark.covers("S-SetNetworkDefaultGateway", "G-SetNetworkDefaultGateway", "T-SetNetworkDefaultGateway")
async def test_gateway(device: Any, stage: Stage) -> None:
    await device.ask(request("SetNetworkDefaultGateway", "<t:IPv4Address>10.1.1.1</t:IPv4Address>"))
    answer = await device.ask(tds.GetNetworkDefaultGateway())
    assert [item.text for item in answer[0]] == ["10.1.1.1"]
    stage.host.calls.clear()
    for bad in ("<t:IPv4Address>10.1.1</t:IPv4Address>", "<t:IPv6Address>2001:1</t:IPv6Address>"):
        assert await device.fault(request("SetNetworkDefaultGateway", bad)) == (*BAD, "InvalidGatewayAddress")
    assert stage.host.calls == []


@pytest.mark.covers("S-GetZeroConfiguration", "S-SetZeroConfiguration")
async def test_zero_configuration(device: Any) -> None:
    set_on = request("SetZeroConfiguration", "<t:InterfaceToken>eth0</t:InterfaceToken><t:Enabled>true</t:Enabled>")
    await device.ask(set_on)
    answer = await device.ask(request("GetZeroConfiguration"))
    assert [item.text for item in answer[0]] == ["eth0", "true", "169.254.7.7"]
    await device.ask(set_on.replace(">true<", ">false<"))
    answer = await device.ask(request("GetZeroConfiguration"))
    assert [item.text for item in answer[0]] == ["eth0", "false"]
    assert await device.fault(set_on.replace("eth0", "eth1")) == (*BAD, "InvalidNetworkInterface")


@pytest.mark.covers("S-GetDynamicDNS")
async def test_without_dynamic_dns_no_update_is_the_answer(device: Any) -> None:
    answer = await device.ask(request("GetDynamicDNS"))
    assert answer.findtext(f".//{TT}Type") == "NoUpdate"
    assert await device.fault(request("SetDynamicDNS", "<t:Type>NoUpdate</t:Type>")) == UNSUPPORTED


class Updates:
    """Dynamic DNS that only remembers what is wanted."""

    def __init__(self) -> None:
        self.wanted: list[Any] = []

    def set(self, wanted: Any) -> None:
        self.wanted.append((str(wanted.updates), wanted.name, wanted.ttl))


def ddns(kind: str, name: str = "", ttl: str = "") -> str:
    more = (f"<t:Name>{name}</t:Name>" if name else "") + (f"<t:TTL>{ttl}</t:TTL>" if ttl else "")
    return request("SetDynamicDNS", f"<t:Type>{kind}</t:Type>{more}")


@pytest.mark.covers("S-SetDynamicDNS", "S-GetDynamicDNS", "NET-27")
async def test_dynamic_dns_is_set_and_read_back(device: Any, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    updates = Updates()
    monkeypatch.setattr(stage.network, "_updater", updates)
    assert (await device.ask(tds.GetServiceCapabilities())).find(f".//{TDS}Network").get("DynDNS") == "true"
    await device.ask(ddns("NoUpdate", ttl="PT20S"))
    await device.ask(ddns("ClientUpdates", "Onvif-Test0-oNvif-Onv12", "PT30S"))
    answer = (await device.ask(request("GetDynamicDNS")))[0]
    assert [item.text for item in answer] == ["ClientUpdates", "Onvif-Test0-oNvif-Onv12", "PT30S"]
    for bad in (ddns("ServerUpdates"), ddns("ClientUpdates", ttl="PT0S"), ddns("NoUpdate", ttl="P8D")):
        assert await device.fault(bad) == BAD
    assert await device.fault(ddns("ClientUpdates", "a_b")) == (*BAD, "InvalidDnsName")
    assert updates.wanted == [("NoUpdate", "", 20), ("ClientUpdates", "Onvif-Test0-oNvif-Onv12", 30)]
    assert stage.state.now.network.dynamic_dns.name == "Onvif-Test0-oNvif-Onv12"


# ---- ports


def protocol(name: str, enabled: str, port: int) -> str:
    inner = f"<tt:Name>{name}</tt:Name><tt:Enabled>{enabled}</tt:Enabled><tt:Port>{port}</tt:Port>"
    return f"<t:NetworkProtocols>{inner}</t:NetworkProtocols>"


def protocols(*items: str) -> str:
    return request("SetNetworkProtocols", "".join(items))


async def shown(device: Any) -> list[tuple[str, str, str]]:
    return [(item[0].text, item[1].text, item[2].text) for item in await device.ask(tds.GetNetworkProtocols())]


@pytest.mark.covers("S-SetNetworkProtocols", "G-SetNetworkProtocols", "T-SetNetworkProtocols")
async def test_ports_move_and_are_switched_off_while_it_runs(device: Any, stage: Stage) -> None:
    await device.ask(protocols(protocol("RTSP", "true", 10554)))
    assert stage.rtsp.open == {10554: "rtsp"}
    assert (await shown(device))[2] == ("RTSP", "true", "10554")
    await device.ask(protocols(protocol("RTSP", "false", 10554)))
    assert stage.rtsp.open == {}
    assert (await shown(device))[2] == ("RTSP", "false", "10554")
    assert stage.ports.ports.rtsp is None
    await device.ask(protocols(protocol("HTTP", "false", 80), protocol("RTSP", "true", 554)))
    assert stage.http.open == {443: "https"}
    assert stage.state.now.ports["HTTP"].enabled is False


@pytest.mark.covers("S-SetNetworkProtocols", "G-SetNetworkProtocols", "T-SetNetworkProtocols")
async def test_port_faults_change_nothing(device: Any, stage: Stage) -> None:
    before, ports = await shown(device), dict(stage.http.open)
    stage.rtsp.taken.add(10554)
    clash = (*BAD, "PortAlreadyInUse")
    assert await device.fault(protocols(protocol("RTSP", "true", 10554))) == clash
    assert await device.fault(protocols(protocol("HTTP", "true", 443))) == clash
    assert await device.fault(protocols(protocol("HTTP", "true", 8000), protocol("RTSP", "true", 10554))) == clash
    assert await device.fault(protocols(protocol("HTTP", "true", 0))) == BAD
    assert await device.fault(protocols(protocol("HTTP", "true", 65536))) == BAD
    assert await device.fault(protocols(protocol("HTTP", "false", 80), protocol("HTTPS", "false", 443))) == BAD
    assert await device.fault(protocols(protocol("HTTP", "true", 80), protocol("HTTP", "true", 81))) == BAD
    assert await shown(device) == before
    assert stage.http.open == ports
    assert stage.rtsp.open == {554: "rtsp"}


@pytest.mark.covers("S-SetNetworkProtocols", "G-SetNetworkProtocols", "T-SetNetworkProtocols")
async def test_https_without_certificate(device: Any, stage: Stage) -> None:
    stage.certificate = False
    assert await device.fault(protocols(protocol("HTTPS", "true", 8443))) == (*UNSUPPORTED, "EnablingTlsFailed")
    assert stage.http.open == {80: "http", 443: "https"}


async def test_protocol_that_is_not_served(body: Any, client: Callable[..., Any]) -> None:
    made = Stage()
    del made.ports._now["RTSP"]
    await made.start()
    device = client(DeviceService(body, ServiceRegistry(), control=made.control))
    assert await device.fault(protocols(protocol("RTSP", "true", 554))) == (*BAD, "ServiceNotSupported")


# ---- address filter


def address_filter(name: str, kind: str, *addresses: tuple[str, int]) -> str:
    given = "".join(
        f"<tt:IPv{6 if ':' in address else 4}Address><tt:Address>{address}</tt:Address>"
        f"<tt:PrefixLength>{bits}</tt:PrefixLength></tt:IPv{6 if ':' in address else 4}Address>"
        for address, bits in addresses
    )
    return request(f"{name}IPAddressFilter", f"<t:IPAddressFilter><tt:Type>{kind}</tt:Type>{given}</t:IPAddressFilter>")


async def filtered(device: Any) -> list[str]:
    answer = (await device.ask(request("GetIPAddressFilter")))[0]
    return [answer[0].text, *(f"{item[0].text}/{item[1].text}" for item in answer[1:])]


@pytest.mark.covers(
    *("S-GetIPAddressFilter", "S-SetIPAddressFilter", "S-AddIPAddressFilter", "S-RemoveIPAddressFilter"),
)
async def test_address_filter_is_kept_and_in_force(device: Any, stage: Stage) -> None:
    assert await filtered(device) == ["Deny"]
    await device.ask(address_filter("Set", "Allow", ("10.0.0.7", 24), ("2001:db8::", 64)))
    assert await filtered(device) == ["Allow", "10.0.0.0/24", "2001:db8::/64"]
    assert not stage.filter.permits("10.0.1.1")
    await device.ask(address_filter("Add", "Deny", ("10.0.1.0", 24)))  # Core 8.2.20: the type is ignored
    assert stage.filter.permits("10.0.1.1")
    await device.ask(address_filter("Remove", "Deny", ("10.0.0.0", 24), ("2001:db8::", 64)))
    assert await filtered(device) == ["Allow", "10.0.1.0/24"]
    assert stage.state.now.filter.prefixes == ("10.0.1.0/24",)
    await device.ask(address_filter("Set", "Deny"))
    assert await filtered(device) == ["Deny"]


@pytest.mark.covers(
    *("S-SetIPAddressFilter", "S-AddIPAddressFilter", "S-RemoveIPAddressFilter"),
)
async def test_address_filter_faults(device: Any, stage: Stage) -> None:
    for name in ("Set", "Add", "Remove"):
        assert await device.fault(address_filter(name, "Allow", ("10.0.0", 8))) == (*BAD, "InvalidIPv4Address")
        assert await device.fault(address_filter(name, "Allow", ("10.0.0.0", 33))) == (*BAD, "InvalidIPv4Address")
        assert await device.fault(address_filter(name, "Allow", ("2001:::", 64))) == (*BAD, "InvalidIPv6Address")
        assert await device.fault(address_filter(name, "Allow", ("2001::", 129))) == (*BAD, "InvalidIPv6Address")
    assert await device.fault(address_filter("Remove", "Allow", ("10.0.0.0", 8))) == (*BAD, "NoIPv4Address")
    assert await device.fault(address_filter("Remove", "Allow", ("2001::", 64))) == (*BAD, "NoIPv6Address")
    many = [(f"10.{number}.0.0", 16) for number in range(65)]
    assert await device.fault(address_filter("Add", "Allow", *many)) == (*BAD, "IPFilterListIsFull")
    assert await filtered(device) == ["Deny"]
    assert stage.filter.rules.prefixes == ()


# ---- a host that is not ours


async def test_a_host_that_is_somebody_elses_says_so(device: Any, stage: Stage) -> None:
    stage.host.features = Features()
    stage.host.max_servers = 0
    capabilities = await device.ask(tds.GetServiceCapabilities())
    assert capabilities.find(f".//{TDS}System").get("NetworkConfigNotSupported") == "true"
    network = capabilities.find(f".//{TDS}Network")
    assert (network.get("NTP"), network.get("ZeroConfiguration"), network.get("IPFilter")) == ("0", "false", "true")
    for content in (
        request("SetHostname", "<t:Name>x</t:Name>"),
        request("SetDNS", "<t:FromDHCP>true</t:FromDHCP>"),
        request("SetNTP", "<t:FromDHCP>true</t:FromDHCP>"),
        interface("<tt:MTU>1400</tt:MTU>"),
        request("SetNetworkDefaultGateway", "<t:IPv4Address>10.1.1.1</t:IPv4Address>"),
        request("GetZeroConfiguration"),
        request("SetHostnameFromDHCP", "<t:FromDHCP>true</t:FromDHCP>"),
    ):
        assert await device.fault(content) == UNSUPPORTED
    assert stage.host.calls == []


async def test_capabilities_follow_what_the_host_can(device: Any, stage: Stage) -> None:
    network = (await device.ask(tds.GetServiceCapabilities())).find(f".//{TDS}Network")
    assert dict(network.attrib) | {"HostnameFromDHCP": "true", "NTP": "4", "DHCPv6": "true"} == dict(network.attrib)
    legacy = await device.ask(tds.GetCapabilities())
    assert legacy.findtext(f".//{TT}IPFilter") == "true"
    assert legacy.findtext(f".//{TT}ZeroConfiguration") == "true"
    assert legacy.findtext(f".//{TT}RelayOutputs") == "1"
    stage.host.features = replace(stage.host.features, hostname_from_dhcp=False)
    bad = (*BAD, "InvalidHostname")
    assert await device.fault(request("SetHostname", "<t:Name/>")) == bad
