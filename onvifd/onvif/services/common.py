"""What the services share: where they are mounted, which version of their specification they follow, how addresses are made."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import quote

from onvifd.errors import InvalidArgument, NotFound, Unavailable
from onvifd.onvif.types import tt

if TYPE_CHECKING:
    from onvifd.onvif.soap.dispatch import Call

NS_DEVICE = "http://www.onvif.org/ver10/device/wsdl"
NS_EVENTS = "http://www.onvif.org/ver10/events/wsdl"
NS_MEDIA = "http://www.onvif.org/ver10/media/wsdl"
NS_MEDIA2 = "http://www.onvif.org/ver20/media/wsdl"
NS_RECORDING = "http://www.onvif.org/ver10/recording/wsdl"
NS_SEARCH = "http://www.onvif.org/ver10/search/wsdl"
NS_REPLAY = "http://www.onvif.org/ver10/replay/wsdl"
NS_RECEIVER = "http://www.onvif.org/ver10/receiver/wsdl"
NS_SECURITY = "http://www.onvif.org/ver10/advancedsecurity/wsdl"

DEVICE_PATH = "/onvif/device_service"
"""Fixed by Core 5.1.1; every other path is ours to choose."""
EVENTS_PATH = "/onvif/event_service"
MEDIA_PATH = "/onvif/media_service"
MEDIA2_PATH = "/onvif/media2_service"
RECORDING_PATH = "/onvif/recording_service"
SEARCH_PATH = "/onvif/search_service"
REPLAY_PATH = "/onvif/replay_service"
RECEIVER_PATH = "/onvif/receiver_service"
SECURITY_PATH = "/onvif/security_service"
SNAPSHOT_PATH = "/onvif/snapshot"
WSDL_PATH = "/onvif/wsdl/"

Version = tuple[int, int]

VERSIONS: dict[str, Version] = {
    NS_DEVICE: (26, 6),
    NS_EVENTS: (26, 6),
    NS_MEDIA: (24, 12),
    NS_MEDIA2: (26, 6),
    NS_RECORDING: (26, 6),
    NS_SEARCH: (26, 6),
    NS_REPLAY: (21, 12),
    NS_RECEIVER: (26, 6),
    NS_SECURITY: (26, 6),
}
"""Release of the specification of each service (major, minor) that its implementation follows (tt:OnvifVersion)."""

MAX_URI = 128
"""Octets of a stream or snapshot URI (Media2 5.4.1)."""

_AUTHORITY = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]{1,253})(?::[0-9]{1,5})?")
_PORT = re.compile(r"(?:\[[^]]*\]|[^:]*)(:[0-9]{1,5})")

Item = TypeVar("Item")


class Mountable(Protocol):
    """What the registry must know of a service. `version` may be left to `VERSIONS`."""

    @property
    def namespace(self) -> str: ...

    @property
    def path(self) -> str: ...

    def capabilities(self, call: Call) -> Any:
        """The service's capabilities dataclass: the same for GetServiceCapabilities, GetServices and GetCapabilities."""
        ...


class ServiceRegistry:
    """The services that are mounted, in the order in which they are announced.

    GetServices and GetCapabilities are made from it, so nothing can be advertised that is not served.
    """

    def __init__(self, services: Iterable[Mountable] = ()) -> None:
        self._services: dict[str, Mountable] = {}
        for service in services:
            self.add(service)

    def add(self, service: Mountable) -> None:
        if service.namespace in self._services:
            raise ValueError(f"service {service.namespace} is mounted twice")
        self._services[service.namespace] = service

    def get(self, namespace: str) -> Mountable | None:
        return self._services.get(namespace)

    def __iter__(self) -> Iterator[Mountable]:
        return iter(self._services.values())

    def __len__(self) -> int:
        return len(self._services)


def version(service: Mountable) -> Version:
    """The specification release of a service."""
    return VERSIONS[service.namespace]


def authority(call: Call) -> str:
    """`host[:port]` as the client addressed the device, or the local address instead of a host that cannot be used.

    The header is the client's text, so it is repeated only if it has the form of an authority (RFC 3986 section 3.2).
    """
    if _AUTHORITY.fullmatch(call.host):
        return call.host
    return bracketed(call.local_address) + _port_of(call.host)


def _port_of(authority: str) -> str:
    """`:port`, or nothing."""
    found = _PORT.fullmatch(authority)
    return found[1] if found else ""


def host_of(authority: str) -> str:
    """`host[:port]` without its port; an IPv6 literal keeps its brackets."""
    if authority.startswith("["):
        return authority[: authority.index("]") + 1]
    return authority.partition(":")[0]


def bracketed(address: str) -> str:
    """An address as the host of a URI: IPv6 literals in brackets, without a zone (RFC 3986 section 3.2.2)."""
    plain = address.partition("%")[0]
    try:
        return f"[{plain}]" if ipaddress.ip_address(plain).version == 6 else plain
    except ValueError:
        return address


def xaddr(call: Call, path: str) -> str:
    """Address of a service with the scheme, host and port of the request (Core 8.1.2.2: GetServices)."""
    return f"{call.scheme}://{authority(call)}{path}"


def rtsp_uri(call: Call, port: int | None, path: str, *, scheme: str = "rtsp") -> str:
    """`rtsp://<host of the request>:<port><path>`, at most 128 octets. Raises Unavailable where no RTSP is served."""
    if port is None:
        raise Unavailable("This device has no RTSP port.")
    tail = f":{port}{quote(path, safe='/-._~!$&()*+,;=:@%')}"
    return _bounded(f"{scheme}://{host_of(authority(call))}{tail}", f"{scheme}://{bracketed(call.local_address)}{tail}")


def tunnel_uri(call: Call, port: int | None, path: str, *, scheme: str = "") -> str:
    """Address for RTSP within HTTP: that of the web service, as the client reached it (Media2 5.4.1), at most 128 octets.

    `scheme` stands in the place of http where clients want an RTSP address (Replay 5.1), with the port written out, since the
    default one would be another. Raises Unavailable where no RTSP is served.
    """
    if port is None:
        raise Unavailable("This device has no RTSP port.")
    here = authority(call)
    tail = quote(path, safe="/-._~!$&()*+,;=:@%")
    clear = call.scheme == "http"
    number = _port_of(here) or (":80" if clear else ":443")
    start = scheme if clear and scheme else call.scheme
    return _bounded(
        f"{start}://{host_of(here)}{number}{tail}", f"{start}://{bracketed(call.local_address)}{number}{tail}"
    )


def snapshot_uri(call: Call, token: str) -> str:
    """Address of the JPEG picture of a profile, at most 128 octets."""
    tail = f"{SNAPSHOT_PATH}/{quote(token, safe='')}"
    here = authority(call)
    return _bounded(
        f"{call.scheme}://{here}{tail}",
        f"{call.scheme}://{bracketed(call.local_address)}{_port_of(here)}{tail}",
    )


def _bounded(uri: str, fallback: str) -> str:
    """`uri`, or `fallback` if a long host name made it longer than clients are required to store."""
    if len(uri) <= MAX_URI:
        return uri
    if len(fallback) <= MAX_URI:
        return fallback
    raise InvalidArgument(f"The address would be longer than {MAX_URI} octets.")


def check_unicast(setup: tt.StreamSetup) -> None:
    """Refuse what is not served of a ver10 stream setup: multicast. Raises S/IAV/InvalidStreamSetup.

    TCP is a deprecated name that some clients use for interleaved RTSP.
    """
    kinds = tt.TransportProtocol
    served = (kinds.UDP, kinds.TCP, kinds.RTSP, kinds.HTTP)
    if setup.stream is not tt.StreamType.RTP_UNICAST or setup.transport.protocol not in served:
        raise InvalidArgument(
            f"{setup.stream} over {setup.transport.protocol} is not served.", detail="InvalidStreamSetup"
        )


def find(items: Iterable[Item], matches: Callable[[Item], bool], *, detail: str, what: str) -> Item:
    """The first item that matches. Raises NotFound with the second `ter:` subcode `detail`."""
    for item in items:
        if matches(item):
            return item
    raise NotFound(f"There is no such {what}.", detail=detail)
