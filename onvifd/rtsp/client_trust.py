"""Whether the certificate that a camera shows is to be believed.

Cameras come with certificates that they signed themselves. So by default the first one seen is remembered, and another one
later is refused (trust on first use).
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import ssl
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from onvifd.errors import InvalidArgument, Unavailable


class Judge(StrEnum):
    """How a certificate is judged."""

    PIN = "pin"
    CA = "ca"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Trust:
    """`pin` is the SHA-256 of the certificate in hex; empty takes the first one."""

    judge: Judge = Judge.PIN
    pin: str = ""


class Untrusted(Unavailable):
    """The camera shows another certificate than it should."""


_LEGACY_SERVER = 0x4
"""SSL_OP_LEGACY_SERVER_CONNECT, which ssl names from Python 3.12 on."""


@functools.lru_cache(4)
def context_for(judge: Judge) -> ssl.SSLContext:
    """What a connection to a camera is opened with. Reads the system's authorities: call it in a thread the first time."""
    if judge is Judge.CA:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # Cameras have short keys and SHA-1; the pin is what counts, and nothing older than TLS 1.2.
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    # Nor have many secure renegotiation (RFC 5746); we never renegotiate.
    context.options |= _LEGACY_SERVER
    return context


def fingerprint(certificate: bytes) -> str:
    """The SHA-256 of a certificate (DER) in hex."""
    return hashlib.sha256(certificate).hexdigest()


def parse_pin(text: str) -> str:
    """A fingerprint as people write it, with colons or blanks. Raises InvalidArgument."""
    pin = "".join(text.split()).replace(":", "").lower()
    if pin and (len(pin) != 64 or any(char not in "0123456789abcdef" for char in pin)):
        raise InvalidArgument("a fingerprint is the SHA-256 of a certificate: 64 hex digits")
    return pin


def check(trust: Trust, ssl_object: Any) -> str:
    """Judge the certificate of a finished handshake; gives its fingerprint. Raises Untrusted."""
    certificate = ssl_object.getpeercert(binary_form=True) if ssl_object is not None else None
    if not certificate:
        raise Untrusted("the camera shows no certificate")
    found = fingerprint(certificate)
    if trust.judge is Judge.PIN and trust.pin and not hmac.compare_digest(found, trust.pin):
        raise Untrusted("the camera shows another certificate than before: if it was changed there, forget the old one")
    return found
