"""Matching of types and scopes (WS-Discovery section 5.1, Core 7.3)."""

from __future__ import annotations

import pytest

from onvifd.onvif.discovery.matching import RFC2396, RFC3986, STRCMP0, UUID, UnsupportedRule, matches
from onvifd.onvif.discovery.messages import NS_DN, NS_TDS, NS_WSD, Kind, Request, Target

BASE = "onvif://www.onvif.org"
TARGET = Target(
    address="urn:uuid:1b4e28ba-2fa1-11d2-883f-b9a761bde3fb",
    scopes=(
        f"{BASE}/Profile/Streaming",
        f"{BASE}/hardware/D1-566",
        f"{BASE}/location/country/china",
        f"{BASE}/name/Front%20door",
        "urn:uuid:1B4E28BA-2FA1-11D2-883F-B9A761BDE3FB",
        "onvif://www.onvif.org/dots/../x",
    ),
    metadata_version=1,
)


def probe(*scopes: str, rule: str | None = None, types: tuple[tuple[str, str], ...] = ()) -> Request:
    return Request(kind=Kind.PROBE, message_id="urn:1", scopes=scopes, rule=rule, types=types)


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        ((), True),
        (((NS_TDS, "Device"),), True),
        (((NS_DN, "NetworkVideoTransmitter"), (NS_TDS, "Device")), True),
        (((NS_DN, "Device"),), False),
        (((NS_TDS, "Device"), (NS_DN, "NetworkVideoStorage")), False),
        ((("", "NetworkVideoTransmitter"),), False),
    ],
)
def test_every_type_must_be_ours(types: tuple[tuple[str, str], ...], expected: bool) -> None:
    assert matches(probe(types=types), TARGET) is expected


@pytest.mark.parametrize("rule", [None, RFC3986, RFC2396])
@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (BASE, True),
        (BASE + "/", True),
        ("ONVIF://WWW.ONVIF.ORG/location/country/china", True),
        (f"{BASE}/location", True),
        (f"{BASE}/location/country/china/", True),
        (f"{BASE}/location/country/china?x#y", True),
        (f"{BASE}/name/Front%20door", True),
        (f"{BASE}/name/%46ront%20door", True),
        (f"{BASE}/hardware/D1", False),
        (f"{BASE}/hardware/d1-566", False),
        (f"{BASE}/Location", False),
        (f"{BASE}/location/country/china/wall", False),
        (f"{BASE}/dots/../x", False),
        ("onvif://www.onvif.org:80", False),
        ("http://www.onvif.org", False),
        ("onvif://[::1", False),
        ("nonsense", False),
    ],
)
def test_uri_prefix_rule(rule: str | None, scope: str, expected: bool) -> None:
    assert matches(probe(scope, rule=rule), TARGET) is expected


@pytest.mark.covers("G-WS-Discovery", "S-WS-Discovery", "T-WS-Discovery")
def test_every_scope_must_match() -> None:
    assert matches(probe(f"{BASE}/name", f"{BASE}/hardware"), TARGET)
    assert not matches(probe(f"{BASE}/name", f"{BASE}/Profile/M"), TARGET)


def test_strcmp0_is_exact() -> None:
    assert matches(probe(f"{BASE}/hardware/D1-566", rule=STRCMP0), TARGET)
    assert not matches(probe(f"{BASE}/hardware", rule=STRCMP0), TARGET)
    assert not matches(probe(f"{BASE}/HARDWARE/D1-566", rule=STRCMP0), TARGET)


def test_uuid_rule_ignores_case_and_scheme() -> None:
    assert matches(probe("uuid:1b4e28ba-2fa1-11d2-883f-b9a761bde3fb", rule=UUID), TARGET)
    assert not matches(probe("urn:uuid:1b4e28ba-2fa1-11d2-883f-b9a761bde3fc", rule=UUID), TARGET)
    assert not matches(probe("no uuid", rule=UUID), TARGET)


@pytest.mark.parametrize("rule", [NS_WSD + "/ldap", "urn:unknown"])
def test_other_rules_are_refused(rule: str) -> None:
    with pytest.raises(UnsupportedRule):
        matches(probe(BASE, rule=rule), TARGET)
