"""Include (XOP)."""

from __future__ import annotations

from onvifd.onvif.soap.codec import AnyElements, any_elements, attribute, schema
from onvifd.onvif.soap.namespaces import XOP

NAMESPACE = XOP


@schema(XOP)
class Include:
    any_: AnyElements = any_elements(default=())
    href: str = attribute("href")
