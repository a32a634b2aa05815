"""The first RTSP request of a connection, without sockets: which path it is for."""

from __future__ import annotations

import re

MAX_HEAD = 16 << 10
"""Bytes of a request head; RFC 2326 sets no bound."""

_REQUEST_LINE = re.compile(rb"^([A-Z_]{1,32}) ([^ \r\n]{1,2048}) RTSP/(\d\.\d)\r?$")
_CSEQ = re.compile(rb"^cseq[ \t]*:[ \t]*(\d{1,10})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_URL_PATH = re.compile(r"^(?:rtsps?|https?)://[^/?#]*(/[^?#]*)?", re.IGNORECASE)
_METHODS = "OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, TEARDOWN, GET_PARAMETER, SET_PARAMETER"


def path_of(target: str) -> str:
    """The path of a request target: `rtsp://host:port/a/b?c` gives `/a/b`, `*` gives `/`."""
    match = _URL_PATH.match(target)
    if match:
        return match.group(1) or "/"
    return target.split("?", 1)[0] if target.startswith("/") else "/"


class FirstRequest:
    """Sans-IO reader of what a connection sends until its path is known (RFC 2326 section 6)."""

    def __init__(self) -> None:
        self.buffer = b""
        self.path: str | None = None
        self.begun = False
        """Whether anything was received."""

    def receive_data(self, data: bytes) -> bytes:
        """Take bytes; returns bytes to answer. `path` is set when the connection can be handed over.

        Raises ValueError with the answer to send before closing, as its argument, when the bytes are no RTSP.
        """
        self.begun = True
        self.buffer += data
        answers = b""
        while self.path is None:
            head, separator, rest = self.buffer.partition(b"\r\n\r\n")
            if len(head) > MAX_HEAD:
                raise ValueError(b"RTSP/1.0 400 Bad Request\r\n\r\n")
            if not separator:
                first, newline, _ = self.buffer.partition(b"\n")
                if newline and not _REQUEST_LINE.match(first):
                    raise ValueError(b"RTSP/1.0 400 Bad Request\r\n\r\n")
                break
            line = _REQUEST_LINE.match(head.partition(b"\n")[0])
            if line is None:
                raise ValueError(b"RTSP/1.0 400 Bad Request\r\n\r\n")
            path = path_of(line.group(2).decode("utf-8", "replace"))
            if line.group(1) != b"OPTIONS" or path != "/":
                self.path = path
                break
            answers += self._options(head)
            self.buffer = rest
        return answers

    @staticmethod
    def _options(head: bytes) -> bytes:
        cseq = _CSEQ.search(head)
        number = f"CSeq: {cseq.group(1).decode()}\r\n" if cseq else ""
        return f"RTSP/1.0 200 OK\r\n{number}Public: {_METHODS}\r\n\r\n".encode()
