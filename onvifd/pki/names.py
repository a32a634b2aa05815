"""Distinguished names (RFC 4514, RFC 5280 4.1.2.4) as clients give them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cryptography import x509
from cryptography.x509.oid import NameOID

from onvifd.errors import InvalidArgument
from onvifd.pki import der

Attribute = tuple[str, str]
"""Type, as dotted object identifier or as short name (`CN`), and value, in UTF-8 or as `#` and hexadecimal DER."""
Rdn = tuple[Attribute, ...]

COUNTRY = "2.5.4.6"
ORGANIZATION = "2.5.4.10"
ORGANIZATIONAL_UNIT = "2.5.4.11"
DN_QUALIFIER = "2.5.4.46"
STATE_OR_PROVINCE = "2.5.4.8"
COMMON_NAME = "2.5.4.3"
SERIAL_NUMBER = "2.5.4.5"
LOCALITY = "2.5.4.7"
TITLE = "2.5.4.12"
SURNAME = "2.5.4.4"
GIVEN_NAME = "2.5.4.42"
INITIALS = "2.5.4.43"
PSEUDONYM = "2.5.4.65"
GENERATION_QUALIFIER = "2.5.4.44"
DOMAIN_COMPONENT = "0.9.2342.19200300.100.1.25"

SHORT = {
    "c": COUNTRY,
    "o": ORGANIZATION,
    "ou": ORGANIZATIONAL_UNIT,
    "dnq": DN_QUALIFIER,
    "dnqualifier": DN_QUALIFIER,
    "st": STATE_OR_PROVINCE,
    "cn": COMMON_NAME,
    "serialnumber": SERIAL_NUMBER,
    "l": LOCALITY,
    "title": TITLE,
    "sn": SURNAME,
    "givenname": GIVEN_NAME,
    "gn": GIVEN_NAME,
    "initials": INITIALS,
    "pseudonym": PSEUDONYM,
    "generationqualifier": GENERATION_QUALIFIER,
    "dc": DOMAIN_COMPONENT,
    "uid": "0.9.2342.19200300.100.1.1",
    "street": "2.5.4.9",
    "emailaddress": "1.2.840.113549.1.9.1",
}
"""Names of attribute types (RFC 4514 section 3, RFC 4519), in lower case."""

MAX_ATTRIBUTES = 64
UTF8_STRING, PRINTABLE_STRING, IA5_STRING = 0x0C, 0x13, 0x16
_PRINTABLE = re.compile(r"[A-Za-z0-9 '()+,./:=?-]+")
_STRINGS = frozenset({UTF8_STRING, 0x12, PRINTABLE_STRING, 0x14, IA5_STRING, 0x1A, 0x1C, 0x1E})
"""Tags of the string types that a value in hexadecimal form may have."""
# RFC 5280 appendix A: types with one encoding of their own.
_ENCODINGS = {
    COUNTRY: PRINTABLE_STRING,
    SERIAL_NUMBER: PRINTABLE_STRING,
    DN_QUALIFIER: PRINTABLE_STRING,
    DOMAIN_COMPONENT: IA5_STRING,
    SHORT["emailaddress"]: IA5_STRING,
}
_BOUNDS = {LOCALITY: 128, STATE_OR_PROVINCE: 128, PSEUDONYM: 128, DOMAIN_COMPONENT: 63, SHORT["emailaddress"]: 255}
"""Most characters of a value (RFC 5280 appendix A.1), 64 for others."""


def invalid(reason: str) -> InvalidArgument:
    return InvalidArgument(reason, detail="InvalidSubject")


def encode_name(rdns: Sequence[Rdn]) -> bytes:
    """The name of these relative names in their order, in DER. Raises InvalidArgument (InvalidSubject)."""
    if not rdns or not all(rdns):
        raise invalid("the subject is empty")
    if sum(len(rdn) for rdn in rdns) > MAX_ATTRIBUTES:
        raise invalid(f"a subject has at most {MAX_ATTRIBUTES} attributes")
    # X.690 11.6: the members of a set in order of their encodings.
    return der.sequence(*(der.write(der.SET, *sorted(_attribute(*each) for each in rdn)) for rdn in rdns))


def _attribute(kind: str, value: str) -> bytes:
    dotted = kind if re.fullmatch(r"[0-9]+(\.[0-9]+)+", kind) else SHORT.get(kind.strip().lower(), "")
    if not dotted:
        raise invalid(f"{kind[:60]!r} is no type of attribute")
    try:
        return der.sequence(der.oid(dotted), _value(dotted, value))
    except der.DerError as error:
        raise invalid(str(error)) from None


def _value(dotted: str, value: str) -> bytes:
    if value.startswith("#"):
        return _encoded(value[1:])
    most = 2 if dotted == COUNTRY else _BOUNDS.get(dotted, 64)
    if not value or len(value) > most or (dotted == COUNTRY and len(value) != 2):
        raise invalid(f"a value of type {dotted} has 1 to {most} characters")
    tag = _ENCODINGS.get(dotted, UTF8_STRING)
    if (tag == PRINTABLE_STRING and not _PRINTABLE.fullmatch(value)) or (tag == IA5_STRING and not value.isascii()):
        raise invalid(f"a value of type {dotted} has characters that its encoding does not know")
    return der.write(tag, value.encode())


def _encoded(hexadecimal: str) -> bytes:
    """A value in the encoding that the client chose (RFC 4514 2.4)."""
    try:
        node = der.parse(bytes.fromhex(hexadecimal))
    except ValueError:
        node = None
    if node is None or node.tag not in _STRINGS or not node.content:
        raise invalid("a value in hexadecimal form is no string in DER")
    return node.whole


def common_name(name: x509.Name) -> str:
    """The last CN of a name; empty if there is none."""
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[-1].value) if found else ""
