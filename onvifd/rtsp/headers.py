"""RTSP header values: parse and format (RFC 2326 section 12; Streaming 6.5 for the replay headers)."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from onvifd.clock import US, from_datetime, to_datetime
from onvifd.rtsp.messages import RtspError
from onvifd.rtsp.play import Frames

MAX_ALTERNATIVES = 16
_SECONDS_1900_TO_1970 = 2_208_988_800

_UTC = re.compile(r"(\d{8})T(\d{6})(?:\.(\d{1,9}))?Z\Z")
_NPT_HMS = re.compile(r"(\d{1,9}):([0-5]?\d):([0-5]?\d(?:\.\d{0,9})?)\Z")
_NUMBER = re.compile(r"[+-]?\d{1,9}(?:\.\d{0,9})?\Z")
_SESSION = re.compile(r"[A-Za-z0-9$\-_.+]{1,128}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """One alternative of a Transport header (12.39). Pairs are (RTP, RTCP); `port` is that of a group."""

    tcp: bool = False
    unicast: bool = True
    profile: str = "AVP"
    interleaved: tuple[int, int] | None = None
    client_port: tuple[int, int] | None = None
    server_port: tuple[int, int] | None = None
    port: tuple[int, int] | None = None
    ttl: int | None = None
    destination: str | None = None
    source: str | None = None
    ssrc: int | None = None
    mode: str = "PLAY"

    def format(self) -> str:
        parts = [f"RTP/{self.profile}/TCP" if self.tcp else f"RTP/{self.profile}"]
        parts.append("unicast" if self.unicast else "multicast")
        for name in ("destination", "source"):
            if getattr(self, name):
                parts.append(f"{name}={getattr(self, name)}")
        for name in ("interleaved", "client_port", "server_port", "port"):
            pair = getattr(self, name)
            if pair is not None:
                parts.append(f"{name}={pair[0]}-{pair[1]}")
        if self.ttl is not None:
            parts.append(f"ttl={self.ttl}")
        if self.ssrc is not None:
            parts.append(f"ssrc={self.ssrc:08X}")
        return ";".join(parts)


def parse_transport(value: str) -> list[Transport]:
    """The alternatives of a Transport header in order of preference; those that cannot be read are left out."""
    found = []
    for item in value.split(",")[:MAX_ALTERNATIVES]:
        transport = _parse_alternative(item)
        if transport is not None:
            found.append(transport)
    return found


def _parse_alternative(text: str) -> Transport | None:
    specification, *parameters = [part.strip() for part in text.split(";")]
    protocol, *rest = specification.upper().split("/")
    if protocol != "RTP" or not rest or len(rest) > 2 or (len(rest) == 2 and rest[1] not in ("TCP", "UDP")):
        return None
    result = Transport(profile=rest[0], tcp=rest[-1] == "TCP", unicast="multicast" not in map(str.lower, parameters))
    for parameter in parameters:
        name, _, raw = parameter.partition("=")
        name, raw = name.strip().lower(), raw.strip().strip('"')
        if name in ("interleaved", "client_port", "server_port", "port"):
            pair = _pair(raw, 255 if name == "interleaved" else 65535)
            if pair is None:
                return None
            if name == "interleaved":
                result = replace(result, interleaved=pair)
            elif name == "client_port":
                result = replace(result, client_port=pair)
            elif name == "server_port":
                result = replace(result, server_port=pair)
            else:
                result = replace(result, port=pair)
        elif name == "ttl" and re.fullmatch("[0-9]{1,3}", raw):
            result = replace(result, ttl=int(raw))
        elif name == "destination":
            result = replace(result, destination=raw or None)
        elif name == "source":
            result = replace(result, source=raw or None)
        elif name == "ssrc" and re.fullmatch("[0-9A-Fa-f]{1,8}", raw):
            result = replace(result, ssrc=int(raw, 16))
        elif name == "mode":
            result = replace(result, mode=raw.upper())
    return result


def _pair(text: str, limit: int) -> tuple[int, int] | None:
    match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", text)
    if match is None:
        return None
    first = int(match.group(1))
    second = int(match.group(2)) if match.group(2) else first + 1
    return (first, second) if first <= limit and second <= limit and first != second else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A Range header (12.29): `clock` (microseconds UTC) or `npt` (seconds; `now` for the live edge)."""

    start: int | None = None
    end: int | None = None
    npt: bool = False
    npt_start: float | None = None
    npt_end: float | None = None
    now: bool = False

    def format(self) -> str:
        if self.npt:
            start = "now" if self.now else "" if self.npt_start is None else f"{self.npt_start:g}"
            return f"npt={start}-{'' if self.npt_end is None else f'{self.npt_end:g}'}"
        return f"clock={_format_optional(self.start)}-{_format_optional(self.end)}"


def _format_optional(utc: int | None) -> str:
    return "" if utc is None else format_utc(utc)


def format_utc(utc: int) -> str:
    """Microseconds UTC as `utc-time` of RFC 2326 3.7, with milliseconds, or all six digits where they say more."""
    text = to_datetime(utc).strftime("%Y%m%dT%H%M%S")
    micros = utc % US
    return f"{text}.{micros // 1000:03d}Z" if micros % 1000 == 0 else f"{text}.{micros:06d}Z"


def parse_utc(text: str) -> int:
    """`utc-time` (Streaming 6.5.1: up to nine digits of a second) to microseconds UTC. Raises RtspError 457."""
    match = _UTC.match(text)
    if match is None:
        raise RtspError(457, "time in Range is malformed")
    try:
        whole = datetime.strptime(match.group(1) + match.group(2), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        raise RtspError(457, "time in Range does not exist") from None
    return from_datetime(whole) + int((match.group(3) or "0").ljust(9, "0")) // 1000


def parse_range(value: str) -> Range:
    """A Range header. Raises RtspError 457 for what cannot be read and for other units."""
    # 12.29: "range;time=" says when the operation starts; we start at once
    unit, mark, text = value.split(";", 1)[0].strip().partition("=")
    unit, text = unit.strip().lower(), text.strip()
    if unit == "clock" and not mark:
        return Range()  # Streaming 6.5.1: the times may be left out
    first, dash, last = text.partition("-")
    first, last = first.strip(), last.strip()
    if not mark or not dash or not (first or last):
        raise RtspError(457, "Range is malformed")
    if unit == "clock":
        return Range(start=parse_utc(first) if first else None, end=parse_utc(last) if last else None)
    if unit == "npt":
        now = first.lower() == "now"
        start = None if now or not first else _npt(first)
        end = _npt(last) if last else None
        if start is not None and start >= _SECONDS_1900_TO_1970:
            # GStreamer without its ONVIF mode turns `a=range:clock=` into seconds since 1900.
            return Range(start=_since_1900(start), end=None if end is None else _since_1900(end))
        return Range(npt=True, now=now, npt_start=start, npt_end=end)
    raise RtspError(457, "Range must be in clock or npt units")


def parse_pause_point(value: str) -> int:
    """The Range of a PAUSE: one time, microseconds UTC (RFC 2326 10.6; a dash behind it is borne). Raises RtspError 457."""
    unit, mark, text = value.strip().partition("=")
    if unit.strip().lower() != "clock" or not mark:
        raise RtspError(457, "Range of PAUSE must be one time in clock units")
    return parse_utc(text.strip().removesuffix("-").rstrip())


def _since_1900(seconds: float) -> int:
    return round((seconds - _SECONDS_1900_TO_1970) * US)


def _npt(text: str) -> float:
    match = _NPT_HMS.match(text)
    if match:
        return int(match.group(1)) * 3600 + int(match.group(2)) * 60 + float(match.group(3))
    if re.fullmatch(r"\d{1,10}(\.\d{0,9})?", text):
        return float(text)
    raise RtspError(457, "npt time in Range is malformed")


@dataclass(frozen=True, slots=True)
class SessionHeader:
    """A Session header (12.37); `timeout` in seconds where it is stated."""

    id: str
    timeout: int | None = None

    def format(self) -> str:
        return self.id if self.timeout is None else f"{self.id};timeout={self.timeout}"


def parse_session(value: str) -> SessionHeader:
    """Raises RtspError 454 for an identifier that cannot be one."""
    identifier, *parameters = [part.strip() for part in value.split(";")]
    if not _SESSION.match(identifier):
        raise RtspError(454, "Session is malformed")
    for parameter in parameters:
        match = re.fullmatch(r"timeout\s*=\s*(\d{1,6})", parameter, re.IGNORECASE)
        if match:
            return SessionHeader(identifier, int(match.group(1)))
    return SessionHeader(identifier)


@dataclass(frozen=True, slots=True)
class RtpInfoItem:
    """One stream of RTP-Info (12.33)."""

    url: str
    seq: int | None = None
    rtp_time: int | None = None

    def format(self) -> str:
        text = f"url={self.url}"
        if self.seq is not None:
            text += f";seq={self.seq}"
        return text if self.rtp_time is None else f"{text};rtptime={self.rtp_time}"


def parse_rtp_info(value: str) -> list[RtpInfoItem]:
    """The streams of RTP-Info; what cannot be read is left out."""
    found = []
    for item in re.split(r",(?=\s*url=)", value):
        url, seq, rtp_time = "", None, None
        for parameter in item.split(";"):
            name, _, raw = parameter.strip().partition("=")
            name = name.lower()
            if name == "url":
                url = raw.strip('"')
            elif name == "seq" and re.fullmatch(r"\d{1,5}", raw):
                seq = int(raw) & 0xFFFF
            elif name == "rtptime" and re.fullmatch(r"\d{1,10}", raw):
                rtp_time = int(raw) & 0xFFFFFFFF
            elif name not in ("seq", "rtptime", "ssrc"):
                # a URL with ';' in it
                url += ";" + parameter.strip() if url else ""
        if url:
            found.append(RtpInfoItem(url, seq, rtp_time))
    return found


def format_rtp_info(items: list[RtpInfoItem]) -> str:
    return ",".join(item.format() for item in items)


def parse_number(value: str, name: str) -> float:
    """Scale or Speed (12.34, 12.35). Raises RtspError 400; 0 is no speed."""
    if not _NUMBER.match(value):
        raise RtspError(400, f"{name} is malformed")
    number = float(value)
    if number == 0 or not math.isfinite(number):
        raise RtspError(400, f"{name} must not be 0")
    return number


def parse_yes_no(value: str, name: str) -> bool:
    """Rate-Control or Immediate (Streaming 6.5.2, 6.10). Raises RtspError 400."""
    lower = value.strip().lower()
    if lower not in ("yes", "no"):
        raise RtspError(400, f"{name} must be yes or no")
    return lower == "yes"


def parse_frames(value: str) -> tuple[Frames, int]:
    """Frames (Streaming 6.5.3): what to send and the least interval in microseconds. Raises RtspError 400."""
    name, slash, interval = value.strip().lower().partition("/")
    try:
        frames = Frames(name)
    except ValueError:
        raise RtspError(400, "Frames must be intra, predicted or all") from None
    if not slash:
        return frames, 0
    if frames is not Frames.INTRA or not re.fullmatch(r"\d{1,9}", interval):
        raise RtspError(400, "Frames takes an interval in milliseconds with intra only")
    return frames, int(interval) * 1000


def parse_tags(values: list[str]) -> list[str]:
    """The tags of Require, Supported, Unsupported or Public."""
    return [tag for tag in (item.strip() for value in values for item in value.split(",")) if tag]
