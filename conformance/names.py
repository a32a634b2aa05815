"""Namespaces by the prefixes that ONVIF itself uses for them."""

from __future__ import annotations

from typing import Any

from lxml import etree

NS: dict[str, str] = {
    "env": "http://www.w3.org/2003/05/soap-envelope",
    "ter": "http://www.onvif.org/ver10/error",
    "tt": "http://www.onvif.org/ver10/schema",
    "tds": "http://www.onvif.org/ver10/device/wsdl",
    "dn": "http://www.onvif.org/ver10/network/wsdl",
    "tev": "http://www.onvif.org/ver10/events/wsdl",
    "trt": "http://www.onvif.org/ver10/media/wsdl",
    "tr2": "http://www.onvif.org/ver20/media/wsdl",
    "tptz": "http://www.onvif.org/ver20/ptz/wsdl",
    "timg": "http://www.onvif.org/ver20/imaging/wsdl",
    "tan": "http://www.onvif.org/ver20/analytics/wsdl",
    "tmd": "http://www.onvif.org/ver10/deviceIO/wsdl",
    "trc": "http://www.onvif.org/ver10/recording/wsdl",
    "tse": "http://www.onvif.org/ver10/search/wsdl",
    "trp": "http://www.onvif.org/ver10/replay/wsdl",
    "trv": "http://www.onvif.org/ver10/receiver/wsdl",
    "tas": "http://www.onvif.org/ver10/advancedsecurity/wsdl",
    "tac": "http://www.onvif.org/ver10/accesscontrol/wsdl",
    "tdc": "http://www.onvif.org/ver10/doorcontrol/wsdl",
    "tar": "http://www.onvif.org/ver10/accessrules/wsdl",
    "tcr": "http://www.onvif.org/ver10/credential/wsdl",
    "tsc": "http://www.onvif.org/ver10/schedule/wsdl",
    "tpv": "http://www.onvif.org/ver10/provisioning/wsdl",
    "tth": "http://www.onvif.org/ver10/thermal/wsdl",
    "tns1": "http://www.onvif.org/ver10/topics",
    "wsa": "http://www.w3.org/2005/08/addressing",
    "wsnt": "http://docs.oasis-open.org/wsn/b-2",
    "wsntw": "http://docs.oasis-open.org/wsn/bw-2",
    "wstop": "http://docs.oasis-open.org/wsn/t-1",
    "wsrf-bf": "http://docs.oasis-open.org/wsrf/bf-2",
    "wsrf-r": "http://docs.oasis-open.org/wsrf/r-2",
    "wsrf-rw": "http://docs.oasis-open.org/wsrf/rw-2",
    "wsse": "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd",
    "wsu": "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd",
    "d": "http://schemas.xmlsoap.org/ws/2005/04/discovery",
    "wsadis": "http://schemas.xmlsoap.org/ws/2004/08/addressing",
    "xml": "http://www.w3.org/XML/1998/namespace",
    "xs": "http://www.w3.org/2001/XMLSchema",
    "xsi": "http://www.w3.org/2001/XMLSchema-instance",
    "xop": "http://www.w3.org/2004/08/xop/include",
    "xmime": "http://www.w3.org/2005/05/xmlmime",
}
PREFIXES = {uri: prefix for prefix, uri in NS.items()}

SERVICES = (
    *("tds", "tev", "trt", "tr2", "tptz", "timg", "tan", "tmd", "trc", "tse", "trp", "trv", "tas"),
    *("tac", "tdc", "tar", "tcr", "tsc", "tpv", "tth"),
)
"""Prefixes of the namespaces that name services."""

DECLARATIONS = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NS.items() if prefix != "xml")


def clark(name: str) -> str:
    """`tds:Service` as `{namespace}Service`; a name without prefix has no namespace."""
    prefix, colon, local = name.rpartition(":")
    return f"{{{NS[prefix]}}}{local}" if colon else local


def short(name: str) -> str:
    """`{namespace}Service` as `tds:Service`, where the namespace is a known one."""
    if not name.startswith("{"):
        return name
    uri, _, local = name[1:].partition("}")
    return f"{PREFIXES[uri]}:{local}" if uri in PREFIXES else name


def name_of(element: Any) -> str:
    """Name of an element with the usual prefix."""
    return short(element.tag)


def resolve(text: str, element: Any) -> str:
    """A QName in content, read with the namespaces in scope of `element`, with the usual prefix."""
    prefix, colon, local = text.strip().rpartition(":")
    uri = element.nsmap.get(prefix if colon else None)
    return short(f"{{{uri}}}{local}") if uri else text.strip()


def find(element: Any, path: str) -> Any:
    """First element at `path` (usual prefixes), or None."""
    return None if element is None else element.find(path, NS)


def findall(element: Any, path: str) -> list[Any]:
    return [] if element is None else list(element.findall(path, NS))


def text(element: Any, path: str = "", default: str = "") -> str:
    """Stripped text at `path`, or `default`."""
    found = find(element, path) if path else element
    return default if found is None or found.text is None else str(found.text).strip()


def flag(element: Any, name: str) -> bool:
    """An xs:boolean attribute that defaults to false."""
    return element is not None and element.get(name, "").strip() in ("true", "1")


def boolean(value: str) -> bool:
    return value.strip() in ("true", "1")


def renamed(element: Any, name: str) -> str:
    """An element with its content as text under another name (usual prefix): settings that were read, to be written back."""
    copy = etree.fromstring(etree.tostring(element, with_tail=False))
    copy.tag = clark(name)
    return str(etree.tostring(copy, encoding="unicode"))
