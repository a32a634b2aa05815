"""Ways by which media come from a camera, and what cameras answer about them (RFC 2326 12.39), read liberally.

Sans-IO. The strict reader for what clients send us is in `headers`.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace
from enum import StrEnum


class Way(StrEnum):
    """How media come. AUTO is TCP, and UDP where the camera refuses that."""

    AUTO = "auto"
    TCP = "tcp"
    UDP = "udp"
    MULTICAST = "multicast"
    HTTP = "http"
    HTTPS = "https"
    RTSPS = "rtsps"

    @property
    def datagrams(self) -> bool:
        return self in (Way.UDP, Way.MULTICAST)

    @property
    def encrypted(self) -> bool:
        return self in (Way.HTTPS, Way.RTSPS)


MAX_ALTERNATIVES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a Transport header of an answer says. Pairs are (RTP, RTCP); None and empty is what it does not say."""

    tcp: bool = False
    multicast: bool = False
    interleaved: tuple[int, int] | None = None
    server_port: tuple[int, int] | None = None
    port: tuple[int, int] | None = None
    destination: str = ""
    source: str = ""
    ssrc: int | None = None


def ask(way: Way, first: int) -> str:
    """The Transport header of a request; `first` is the channel or local port of RTP, RTCP takes the next."""
    if way is Way.MULTICAST:
        return "RTP/AVP;multicast"
    if way is Way.UDP:
        return f"RTP/AVP;unicast;client_port={first}-{first + 1}"
    return f"RTP/AVP/TCP;unicast;interleaved={first}-{first + 1}"


def parse_answers(value: str) -> list[Answer]:
    """All that can be read of a Transport header."""
    found = (_parse(item) for item in value.split(",")[:MAX_ALTERNATIVES])
    return [each for each in found if each is not None]


def _parse(text: str) -> Answer | None:
    words = [word.strip() for word in text.split(";") if word.strip()]
    lower = [word.lower() for word in words]
    protocol = next((word for word in lower if word.startswith(("rtp/", "raw/"))), "")
    if not protocol:
        return None
    answer = Answer(tcp=protocol.endswith("/tcp"), multicast="multicast" in lower)
    for word in words:
        name, mark, raw = word.partition("=")
        if mark:
            answer = _with(answer, name.strip().lower(), raw.strip().strip('"'))
    # Some say RTP/AVP and mean the connection: the channels tell.
    return replace(answer, tcp=True) if answer.interleaved and not answer.server_port else answer


def _with(answer: Answer, name: str, raw: str) -> Answer:
    if name == "interleaved":
        pair = _pair(raw, 255)
        # The same number twice, and 0 for both, is an answer of cameras that mean what was asked for.
        return replace(answer, interleaved=pair) if pair and pair[0] != pair[1] else answer
    if name == "server_port":
        pair = _pair(raw, 65535)
        return replace(answer, server_port=pair) if pair and pair[0] else answer
    if name == "port":
        pair = _pair(raw, 65535)
        return replace(answer, port=pair) if pair and pair[0] else answer
    if name == "destination":
        return replace(answer, destination=_address(raw))
    if name == "source":
        return replace(answer, source=_address(raw))
    if name == "ssrc" and re.fullmatch(r"(0x)?[0-9A-Fa-f]{1,8}", raw):
        return replace(answer, ssrc=int(raw, 16))
    return answer


def _address(text: str) -> str:
    """An address that says something; names of hosts and 0.0.0.0 do not."""
    try:
        return "" if ipaddress.ip_address(text).is_unspecified else text
    except ValueError:
        return ""


def _pair(text: str, limit: int) -> tuple[int, int] | None:
    match = re.match(r"(\d{1,5})(?:\s*-\s*(\d{1,5}))?", text)
    if match is None:
        return None
    first = int(match.group(1))
    second = int(match.group(2)) if match.group(2) else min(first + 1, limit)
    return (first, second) if first <= limit and second <= limit else None
