"""Addresses of cameras as people and logs may see them."""

from __future__ import annotations

import re
from typing import Final

HIDDEN: Final = "***"

# Cameras of several makers want the login within path or query: rtsp://host/user=admin&password=x&channel=1
_SECRET = re.compile(r"(?i)((?:^|[?&;/_])(?:password|passwd|passwort|pass|pwd|token|auth|key)=)([^&;/#]*)")

# A password with a raw slash: what stands behind the colon is no port, so a login ends at the next @.
_BROKEN_LOGIN = re.compile(r"\A[^/?#@\[]*:(?!\d{1,5}(?:[/?#]|\Z))[^@]*@")


def redact(url: str) -> str:
    """The URL with everything that looks like a secret replaced by `***`, for people and logs."""
    scheme, mark, rest = url.partition("://")
    rest = _BROKEN_LOGIN.sub("", rest)
    location, slash, path = rest.partition("/")
    location = location.rpartition("@")[2]
    return scheme + mark + location + _SECRET.sub(rf"\g<1>{HIDDEN}", slash + path)
