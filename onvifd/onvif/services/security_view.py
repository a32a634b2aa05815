"""The keystore's rows in the types of the schema, and requests in those of the keystore."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from onvifd.clock import to_datetime
from onvifd.errors import InvalidArgument
from onvifd.onvif.types import tas
from onvifd.pki import names
from onvifd.pki.issue import NO_END, Extension, RequestAttribute
from onvifd.pki.names import Rdn
from onvifd.store.security import CertificateRow, CrlRow, KeyRow, PathRow, PolicyRow, SecurityState


def key_attribute(row: KeyRow) -> tas.KeyAttribute:
    return tas.KeyAttribute(
        key_id=row.id,
        alias=row.alias,
        has_private_key=row.private is not None,
        key_status=row.status,
        externally_generated=row.external,
        securely_stored=False,  # only special hardware counts (5.2.1)
    )


def certificate(state: SecurityState, row: CertificateRow) -> tas.X509Certificate:
    return tas.X509Certificate(
        certificate_id=row.id,
        key_id=row.key,
        alias=row.alias,
        certificate_content=row.content,
        has_private_key=state.keys[row.key].private is not None,
    )


def path(row: PathRow) -> tas.CertificationPath:
    return tas.CertificationPath(certificate_id=row.certificates, alias=row.alias)


def crl(row: CrlRow) -> tas.CRL:
    return tas.CRL(crl_id=row.id, alias=row.alias or "", crl_content=row.content)


def policy(row: PolicyRow) -> tas.CertPathValidationPolicy:
    return tas.CertPathValidationPolicy(
        cert_path_validation_policy_id=row.id,
        alias=row.alias,
        parameters=tas.CertPathValidationParameters(
            require_tls_www_client_auth_extended_key_usage=row.client_usage, use_delta_crls=row.deltas
        ),
        trust_anchor=tuple(tas.TrustAnchor(certificate_id=key) for key in row.anchors),
    )


def parameters(given: tas.CertPathValidationParameters) -> tuple[bool, bool]:
    """Whether the clientAuth usage is required, whether delta lists are applied.

    Raises InvalidArgument (CertPathValidationParameters) for parameters that are not known here, for what they demand
    would not be checked.
    """
    if given.any_parameters is not None and len(given.any_parameters.any_):
        raise InvalidArgument("a parameter is not known", detail="CertPathValidationParameters")
    return bool(given.require_tls_www_client_auth_extended_key_usage), bool(given.use_delta_crls)


_SINGLE = (
    ("country", names.COUNTRY),
    ("organization", names.ORGANIZATION),
    ("organizational_unit", names.ORGANIZATIONAL_UNIT),
    ("distinguished_name_qualifier", names.DN_QUALIFIER),
    ("state_or_province_name", names.STATE_OR_PROVINCE),
    ("common_name", names.COMMON_NAME),
    ("serial_number", names.SERIAL_NUMBER),
    ("locality", names.LOCALITY),
    ("title", names.TITLE),
    ("surname", names.SURNAME),
    ("given_name", names.GIVEN_NAME),
    ("initials", names.INITIALS),
    ("pseudonym", names.PSEUDONYM),
    ("generation_qualifier", names.GENERATION_QUALIFIER),
)


def subject(given: tas.DistinguishedName) -> tuple[Rdn, ...]:
    """The relative names in the order of the schema, which is that from the widest to the narrowest for the usual ones."""
    found: list[Rdn] = []
    if given.any_attribute is not None:
        found += [((names.DOMAIN_COMPONENT, value),) for value in given.any_attribute.domain_component]
    for field, oid in _SINGLE:
        found += [((oid, value),) for value in getattr(given, field)]
    found += [((each.type_, each.value),) for each in given.generic_attribute]
    found += [tuple((each.type_, each.value) for each in rdn.attribute_) for rdn in given.multi_valued_rdn]
    return tuple(found)


def extensions(given: Iterable[tas.X509v3Extension]) -> tuple[Extension, ...]:
    return tuple(Extension(each.extn_oid, each.critical, each.extn_value) for each in given)


def request_attributes(given: Sequence[tas.CSRAttribute]) -> tuple[tuple[Extension, ...], tuple[RequestAttribute, ...]]:
    """Extensions and further attributes of a request. Raises InvalidArgument (InvalidAttribute)."""
    if any(each.x509v3_extension is None and each.basic_request_attribute is None for each in given):
        raise InvalidArgument("an attribute is empty", detail="InvalidAttribute")
    asked = extensions(each.x509v3_extension for each in given if each.x509v3_extension is not None)
    basic = (each.basic_request_attribute for each in given if each.basic_request_attribute is not None)
    return asked, tuple(RequestAttribute(each.oid, each.value) for each in basic)


def validity(begin: int | None, end: int | None, now: int) -> tuple[datetime, datetime]:
    """The validity that is asked for (5.2.6.3.2). Raises InvalidArgument (InvalidDateTime)."""
    try:
        first = to_datetime(now if begin is None else begin)
        last = NO_END if end is None else to_datetime(end)
    except (ValueError, OverflowError):
        raise InvalidArgument("a time cannot be used", detail="InvalidDateTime") from None
    if first.year < 1950 or last < first or last < datetime(1950, 1, 1, tzinfo=UTC):
        raise InvalidArgument("a time cannot be used", detail="InvalidDateTime")
    return first, last
