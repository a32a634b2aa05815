"""UsernameTokens in the spellings of known clients. Written by hand: prefixes and order are the point."""

from __future__ import annotations

import base64
import hashlib
import secrets
from datetime import UTC, datetime

from tests.local import ADMIN as USER
from tests.local import PASSWORD

NS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
UTILITY = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
PROFILE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0"
BASE64 = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary"


def parts(created: str) -> tuple[str, str]:
    """Digest and nonce in base64."""
    nonce = secrets.token_bytes(16)
    digest = hashlib.sha1(nonce + created.encode() + PASSWORD.encode(), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode(), base64.b64encode(nonce).decode()


def genetec() -> str:
    """A default namespace on Security, the wsse prefix declared again on its child (Security Center)."""
    created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    digest, nonce = parts(created)
    return (
        f'<Security s:mustUnderstand="1" xmlns="{NS}"><wsse:UsernameToken xmlns:wsse="{NS}"><wsse:Username>{USER}</wsse:Username>'
        f'<wsse:Password Type="{PROFILE}#PasswordDigest">{digest}</wsse:Password><wsse:Nonce>{nonce}</wsse:Nonce>'
        f'<Created xmlns="{UTILITY}">{created}</Created></wsse:UsernameToken></Security>'
    )


def agsh(kind: str = "PasswordDigest") -> str:
    """Everything in default namespaces, milliseconds in Created (npm onvif: UniFi Protect, Scrypted)."""
    created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    digest, nonce = parts(created)
    secret = digest if kind == "PasswordDigest" else PASSWORD
    return (
        f'<Security s:mustUnderstand="1" xmlns="{NS}"><UsernameToken><Username>{USER}</Username>'
        f'<Password Type="{PROFILE}#{kind}">{secret}</Password><Nonce EncodingType="{BASE64}">{nonce}</Nonce>'
        f'<Created xmlns="{UTILITY}">{created}</Created></UsernameToken></Security>'
    )


def zeep() -> str:
    """zeep's order and prefixes, with an offset instead of Z (Home Assistant)."""
    created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00")
    digest, nonce = parts(created)
    return (
        f'<wsse:Security xmlns:wsse="{NS}"><wsse:UsernameToken><wsse:Username>{USER}</wsse:Username>'
        f'<wsse:Password Type="{PROFILE}#PasswordDigest">{digest}</wsse:Password>'
        f'<wsse:Nonce EncodingType="{BASE64}">{nonce}</wsse:Nonce><wsu:Created xmlns:wsu="{UTILITY}">{created}</wsu:Created>'
        "</wsse:UsernameToken></wsse:Security>"
    )


def odm() -> str:
    """WCF's form: a timestamp-less Security with o and u prefixes and an Id (ONVIF Device Manager)."""
    created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    digest, nonce = parts(created)
    return (
        f'<o:Security s:mustUnderstand="1" xmlns:o="{NS}"><o:UsernameToken u:Id="uuid-1" xmlns:u="{UTILITY}"><o:Username>{USER}'
        f'</o:Username><o:Password Type="{PROFILE}#PasswordDigest">{digest}</o:Password><o:Nonce>{nonce}</o:Nonce>'
        f"<u:Created>{created}</u:Created></o:UsernameToken></o:Security>"
    )
