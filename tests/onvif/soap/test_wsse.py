from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from lxml import etree

from onvifd.access.types import Account, Credential, Level
from onvifd.clock import US
from onvifd.errors import NotAuthorized
from onvifd.onvif.soap.wsse import PASSWORD_DIGEST, TokenVerifier, read, security_header

NOW = 1_767_225_600 * US
WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
ALICE = Credential(Account("alice", Level.OPERATOR), ha1="", password="säsam")
WORKER = Credential(Account("worker", Level.OPERATOR), ha1="x")


def lookup(name: str) -> Credential | None:
    return {"alice": ALICE, "worker": WORKER}.get(name)


def block(
    created: str = "2026-01-01T00:00:00Z", nonce: bytes = b"0123456789abcdef", password: str = "säsam", **changes: str
) -> Any:
    digest = hashlib.sha1(nonce + created.encode() + password.encode()).digest()
    parts = {
        "Username": "<w:Username>alice</w:Username>",
        "Password": f'<w:Password Type="{PASSWORD_DIGEST}">{base64.b64encode(digest).decode()}</w:Password>',
        "Nonce": f"<w:Nonce>{base64.b64encode(nonce).decode()}</w:Nonce>",
        "Created": f"<u:Created>{created}</u:Created>",
    } | changes
    return etree.fromstring(
        f'<w:Security xmlns:w="{WSSE}" xmlns:u="{WSU}"><w:UsernameToken>{"".join(parts.values())}</w:UsernameToken></w:Security>'
    )


def verify(security: Any, verifier: TokenVerifier | None = None, now: int = NOW) -> Account:
    token = read(security)
    assert token is not None
    return (verifier or TokenVerifier(lookup)).verify(token, now)


@pytest.mark.covers("S-WS-UsernameToken")
def test_digest_is_accepted() -> None:
    assert verify(block()) == ALICE.account


@pytest.mark.parametrize(
    "created",
    ["2026-01-01T00:00:00.041Z", "2026-01-01T00:00:00+00:00", "2026-01-01T01:00:00+01:00", "2026-01-01T00:00:00"],
)
def test_created_is_hashed_as_it_stands(created: str) -> None:
    assert verify(block(created)) == ALICE.account


def test_prefixes_do_not_matter() -> None:
    # Default namespace on Security, another on Created, as npm `onvif` writes it.
    text = etree.tostring(block()).decode().replace("w:", "").replace("xmlns:w=", "xmlns=")
    text = text.replace("<u:Created>", f'<Created xmlns="{WSU}">').replace("</u:Created>", "</Created>")
    assert verify(etree.fromstring(text)) == ALICE.account


@pytest.mark.parametrize(
    "changes",
    [
        {"Nonce": ""},
        {"Created": ""},
        {"Username": ""},
        {"Password": ""},
        {"Nonce": "<w:Nonce></w:Nonce>"},
        {"Nonce": "<w:Nonce>***</w:Nonce>"},
        {"Nonce": f"<w:Nonce>{'A' * 4096}</w:Nonce>"},
        {"Created": f"<u:Created>{'2' * 1000}</u:Created>"},
        {"Username": f"<w:Username>{'a' * 1000}</w:Username>"},
        {"Password": "<w:Password>säsam</w:Password>"},
        {"Password": f'<w:Password Type="{PASSWORD_DIGEST.replace("Digest", "Text")}">säsam</w:Password>'},
        {"Password": f'<w:Password Type="{PASSWORD_DIGEST}">ü</w:Password>'},
        {"Password": f'<w:Password Type="{PASSWORD_DIGEST}"></w:Password>'},
        {"Username": "<w:Username>bob</w:Username>"},
        {"Username": "<w:Username>worker</w:Username>"},
    ],
)
def test_unacceptable_tokens(changes: dict[str, str]) -> None:
    with pytest.raises(NotAuthorized):
        verify(block(**changes))


def test_wrong_password() -> None:
    with pytest.raises(NotAuthorized, match="wrong user name or password"):
        verify(block(password="other"))


def test_account_without_clear_password_cannot_be_used_with_an_empty_one() -> None:
    with pytest.raises(NotAuthorized):
        verify(block(password="", Username="<w:Username>worker</w:Username>"))


def test_two_tokens() -> None:
    security = block()
    security.append(block()[0])
    with pytest.raises(NotAuthorized, match="more than one"):
        read(security)


def test_security_without_token() -> None:
    assert read(etree.fromstring(f'<w:Security xmlns:w="{WSSE}"/>')) is None


@pytest.mark.covers("S-WS-UsernameToken")
def test_token_works_once() -> None:
    verifier = TokenVerifier(lookup)
    verify(block(), verifier)
    with pytest.raises(NotAuthorized, match="used before"):
        verify(block(), verifier, NOW + 299 * US)
    verify(block(nonce=b"another"), verifier)


def test_refused_token_uses_up_nothing() -> None:
    verifier = TokenVerifier(lookup)
    with pytest.raises(NotAuthorized):
        verify(block(password="wrong"), verifier)
    verify(block(), verifier)


@pytest.mark.covers("S-WS-UsernameToken")
@pytest.mark.parametrize(("seconds", "accepted"), [(-301, False), (-299, True), (299, True), (301, False)])
def test_window(seconds: int, accepted: bool) -> None:
    if accepted:
        assert verify(block(), now=NOW + seconds * US) == ALICE.account
    else:
        with pytest.raises(NotAuthorized, match="too far"):
            verify(block(), now=NOW + seconds * US)


def test_created_that_is_no_time() -> None:
    with pytest.raises(NotAuthorized, match="no date"):
        verify(block("soon"))


def test_memory_is_bounded() -> None:
    verifier = TokenVerifier(lookup, capacity=10)
    for number in range(50):
        verify(block(nonce=f"n{number}".encode()), verifier)
    assert len(verifier._used) <= 10


def test_own_header_is_accepted(official_schema: Any) -> None:
    assert verify(security_header("alice", "säsam", b"nonce", NOW + 123_000)) == ALICE.account
