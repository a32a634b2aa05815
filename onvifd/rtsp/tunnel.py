"""RTSP within HTTP, without sockets (Streaming 5.1.1.5; Apple, "Tunnelling RTSP and RTP over HTTP").

A client opens two connections that carry the same `x-sessioncookie`: by a GET it receives RTSP and media as they are, by a
POST it sends RTSP in base64. Who the client is settles RTSP within (Core 5.9: authentication is that of RTSP).
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from dataclasses import dataclass

MAX_HEAD = 16 << 10
"""Bytes of the head of a GET or POST."""
END_OF_HEAD = b"\r\n\r\n"

ANSWER = (
    b"HTTP/1.0 200 OK\r\nConnection: close\r\nCache-Control: no-store\r\nPragma: no-cache\r\n"
    b"Content-Type: application/x-rtsp-tunnelled\r\n\r\n"
)
"""To the GET. A POST has no answer: its body has no end."""
REFUSED = b"HTTP/1.0 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
UNAVAILABLE = b"HTTP/1.0 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

_LINE = re.compile(rb"(GET|POST) \S{1,2048} HTTP/1\.[01]\r?\n")
_COOKIE = re.compile(rb"^x-sessioncookie[ \t]*:[ \t]*([\x21-\x7e]{1,128})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_METHODS = (b"GET ", b"POST ")


@dataclass(frozen=True, slots=True)
class TunnelHead:
    """One of the two requests that make a tunnel."""

    post: bool
    cookie: str


def may_be_http(data: bytes) -> bool:
    """Whether bytes may be the beginning of a GET or POST."""
    return any(data.startswith(method[: len(data)]) for method in _METHODS)


def tunnel_head(head: bytes) -> TunnelHead | None:
    """What a whole HTTP head (up to the empty line) says; None if it asks for no tunnel."""
    line = _LINE.match(head)
    cookie = _COOKIE.search(head)
    if line is None or cookie is None:
        return None
    return TunnelHead(line.group(1) == b"POST", cookie.group(1).decode("ascii"))


class Base64Stream:
    """Decodes what a client posts: base64 of one message after the other, each with its own padding, with line breaks or
    without."""

    def __init__(self, rest: bytes = b"") -> None:
        self.rest = rest
        """What is not decoded yet: less than four characters."""

    def feed(self, data: bytes) -> bytes:
        """Raises ValueError for what is no base64."""
        text = self.rest + data.translate(None, b" \t\r\n")
        parts: list[bytes] = []
        begin, end = 0, len(text)
        while begin < end:
            pad = text.find(b"=", begin)
            if pad < 0:
                stop = end - (end - begin) % 4
            else:
                stop = begin + ((pad - begin) | 3) + 1
                if stop > end:  # the padding itself is not whole yet
                    stop = begin + (pad - begin & ~3)
            if stop == begin:
                break
            parts.append(a2b_base64(text[begin:stop], strict_mode=True))
            begin = stop
            if pad < 0:
                break
        self.rest = text[begin:]
        return b"".join(parts)
