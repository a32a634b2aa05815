"""Does a probe mean this device? Types and scopes (WS-Discovery section 5.1, Core 7.3.3)."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit

from onvifd.onvif.discovery.messages import NS_WSD, Request, Target

RFC3986 = NS_WSD + "/rfc3986"
"""The default rule in ONVIF (Core 7.3.3)."""
RFC2396 = NS_WSD + "/rfc2396"
"""The default rule of WS-Discovery itself; the same comparison."""
UUID = NS_WSD + "/uuid"
STRCMP0 = NS_WSD + "/strcmp0"


class UnsupportedRule(Exception):
    """The probe asks for a way of matching that this device does not have (LDAP, or an unknown one)."""


def matches(request: Request, target: Target) -> bool:
    """Whether every type and every scope of the probe is found in the target. Raises UnsupportedRule."""
    rule = _RULES.get(request.rule or RFC3986)
    if rule is None:
        raise UnsupportedRule(request.rule)
    if not set(request.types) <= set(target.types):
        return False
    return all(any(rule(wanted, scope) for scope in target.scopes) for wanted in request.scopes)


def _uri_prefix(wanted: str, scope: str) -> bool:
    """Scheme and authority without regard to case, then the path segment by segment; query and fragment do not count."""
    left, right = _split(wanted), _split(scope)
    if left is None or right is None:
        return False
    if (left.scheme.lower(), left.netloc.lower()) != (right.scheme.lower(), right.netloc.lower()):
        return False
    probe, own = _segments(left.path), _segments(right.path)
    if any(segment in (b".", b"..") for segment in (*probe, *own)):
        return False  # WS-Discovery 5.1: dot segments never match
    return own[: len(probe)] == probe


def _split(uri: str) -> SplitResult | None:
    try:
        return urlsplit(uri)
    except ValueError:
        return None


def _segments(path: str) -> Sequence[bytes]:
    """Path segments with percent-encoding undone (RFC 3986 section 6.2.2.2); a trailing slash adds no segment."""
    return [unquote_to_bytes(segment) for segment in path.strip("/").split("/")] if path.strip("/") else []


def _same_uuid(wanted: str, scope: str) -> bool:
    left, right = _uuid(wanted), _uuid(scope)
    return left is not None and left == right


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text.lower().removeprefix("urn:").removeprefix("uuid:"))
    except ValueError:
        return None


def _same_text(wanted: str, scope: str) -> bool:
    return wanted == scope


_RULES: dict[str, Callable[[str, str], bool]] = {
    RFC3986: _uri_prefix,
    RFC2396: _uri_prefix,
    UUID: _same_uuid,
    STRCMP0: _same_text,
}

SUPPORTED_RULES = tuple(_RULES)
