"""Objects of every schema type, made from the plans of the codec."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from enum import StrEnum
from typing import Any

from lxml import etree

from onvifd.onvif.soap.schema import Element, FieldPlan, Form, plan_of
from onvifd.onvif.types import tas, tds, tev, timg, tmd, tptz, tr2, trc, trp, trt, trv, tse, wsnt, wsrf_r

MODULES = (tas, tds, trt, tr2, tev, trc, tse, trp, trv, tmd, timg, tptz, wsnt, wsrf_r)
FILLED = (
    "ItemListElementItem",
    "NotificationMessageHolderTypeMessage",
    "BaseFaultTypeFaultCause",
    "ServiceCapabilities",
)
"""Types whose open content must hold an element."""
TEXTS = {"lang": "en", "Passphrase": "passphrase", "algorithm": "1.2.3", "extnOID": "1.2.3", "OID": "1.2.3"}
"""Strings that the schema restricts."""
CHOICES = {
    "CSRAttribute": "x509v3_extension",
    "SerialData": "string",
    "PTZPresetTourPresetDetail": "home",
    "ColorOptions": "color_list",
}
"""Types of which only one part may be present, and the part we take."""


def messages(suffix: str = "") -> list[type]:
    """The classes of all modules of services whose name is that of a global element."""
    return [
        cls
        for module in MODULES
        for name, cls in vars(module).items()
        if dataclasses.is_dataclass(cls)
        and isinstance(cls, type)
        and name.endswith(suffix)
        and cls.__module__ == module.__name__
    ]


def sample(cls: type, depth: int = 6, *, optional: bool = True) -> Any:
    """An object of `cls` with everything filled in down to `depth`, below that only what is mandatory."""
    given = {}
    plan = plan_of(cls)
    for field in plan.fields:
        only = CHOICES.get(cls.__name__)
        if field.spec.kind == "any":
            if cls.__name__ in FILLED:
                given[field.py] = (etree.Element("{urn:example}Content"),)
            continue
        if only and field.py != only:
            continue
        if field.required or (only and field.py == only) or (optional and depth > 0):
            given[field.py] = _value(field, depth, optional)
    return cls(**given)


def _value(field: FieldPlan, depth: int, optional: bool) -> Any:
    item = _item(field, depth, optional)
    if field.repeated:
        return (item, item, item)
    return (item,) if field.spec.tokens else item


def _item(field: FieldPlan, depth: int, optional: bool) -> Any:
    hint: type = field.hint
    if field.plan is not None:
        return sample(hint, depth - 1, optional=optional)
    if hint is Element or not isinstance(hint, type):
        return etree.Element(field.tag)
    if field.spec.name == "Key" and field.spec.form is Form.HEX:
        return bytes(32)
    if field.spec.name in TEXTS:
        return TEXTS[field.spec.name]
    if field.spec.form is Form.DATETIME:
        return 1_767_225_600_123_456
    if field.spec.form is Form.QNAME:
        return "{http://www.onvif.org/ver10/schema}Name"
    if issubclass(hint, StrEnum):
        return next(iter(hint))
    return {str: "PT5S", int: 1, float: 0.5, bool: True, bytes: b"\x00\xff", timedelta: timedelta(seconds=90)}[hint]
