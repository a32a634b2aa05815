"""Defects of the replay service and of replay by RTSP."""

from __future__ import annotations

import struct
from typing import Any

from conformance.defects.model import answer_defect, attribute, request_defect, write
from conformance.defects.stream import header, in_extension, of_method, replace, stream_defect

# ---- the service --------------------------------------------------------------------------------------

answer_defect(
    "replay-capabilities-disagree",
    "GetServiceCapabilities says another ReversePlayback than GetServices",
    "REPLAY-1-1-2",
    "GetServiceCapabilities",
    attribute("trp:Capabilities", "ReversePlayback", "0"),
)
request_defect(
    "session-timeout-not-kept",
    "SetReplayConfiguration stores something else",
    "REPLAY-4-1-1",
    "SetReplayConfiguration",
    write("trp:Configuration/tt:SessionTimeout", "PT33S"),
)
answer_defect(
    "replay-uri-without-host",
    "GetReplayUri gives a path alone",
    "REPLAY-3-1-2",
    "GetReplayUri",
    write("trp:Uri", "/replay/1"),
)

# ---- requests that are not understood -----------------------------------------------------------------

stream_defect(
    "ignores-end-of-range",
    "PLAY goes on beyond the end of its Range",
    "REPLAY-3-1-10",
    request=of_method("PLAY", replace(r"(?im)^(range: clock=[^-\r]*-)[^\r]*", r"\1")),
)
stream_defect(
    "ignores-start-of-range",
    "PLAY begins where the recording does, whatever is asked",
    "REPLAY-3-1-17",
    request=of_method("PLAY", replace(r"(?im)^range: clock=[^-\r]*-", "Range: clock=19800101T000000Z-")),
)
stream_defect(
    "ignores-frames",
    "Frames: intra gives all frames",
    "REPLAY-3-1-11",
    request=of_method("PLAY", header("Frames", None)),
)
stream_defect(
    "immediate-elsewhere",
    "PLAY with Immediate: yes begins where the recording does",
    "REPLAY-3-1-13",
    request=of_method(
        "PLAY", replace(r"(?is)^(.*)range: clock=[^-\r]*-(.*immediate: yes)", r"\1Range: clock=19800101T000000Z-\2")
    ),
)
stream_defect(
    "ignores-scale",
    "Scale: -1.0 is played forward",
    "REPLAY-3-1-7",
    request=of_method("PLAY", header("Scale", "1.0")),
)
stream_defect(
    "ignores-pause-point",
    "PAUSE with a Range pauses at once",
    "REPLAY-3-1-16",
    request=of_method("PAUSE", header("Range", None)),
)

# ---- answers ------------------------------------------------------------------------------------------

stream_defect(
    "no-teardown-in-public",
    "OPTIONS does not list TEARDOWN",
    "REPLAY-3-1-1",
    answer=replace(r"(?im)^(public:.*?),?\s*TEARDOWN", r"\1"),
)
stream_defect(
    "no-track-reference",
    "the session description has no x-onvif-track",
    "REPLAY-3-1-1",
    answer=replace(r"a=x-onvif-track:[^\r]*\r\n", ""),
)
stream_defect(
    "wrong-track-reference",
    "x-onvif-track names no track of the recording",
    "REPLAY-3-1-1",
    answer=replace(r"(a=x-onvif-track:)[^\r]*", r"\1VIDEO077"),
)
stream_defect(
    "no-timeout-in-session",
    "SETUP says no session time-out",
    "REPLAY-3-1-1",
    answer=replace(r"(?im)^(session:[^;\r]*);timeout=\d+", r"\1"),
)
stream_defect("no-rtp-info", "PLAY is answered without RTP-Info", "REPLAY-3-1-1", answer=header("RTP-Info", None))
stream_defect(
    "rtp-info-without-time",
    "RTP-Info has no rtptime",
    "REPLAY-3-1-1",
    answer=replace(r";rtptime=\d+", ""),
)
stream_defect(
    "ipv6-connection",
    "the session description has an IPv6 connection field for an IPv4 client",
    "REPLAY-3-1-2",
    answer=replace(r"(?m)^c=IN IP4 [^\r]*", "c=IN IP6 ::"),
)
stream_defect(
    "wrong-cseq-in-answer",
    "answers carry another CSeq than the request",
    "REPLAY-3-1-2",
    answer=replace(r"(?im)^cseq:\s*(\d)", r"CSeq: 7\1"),
)

# ---- packets ------------------------------------------------------------------------------------------

TCP = "REPLAY-3-1-4"


def _no_extension(data: bytes, memory: dict[str, Any]) -> bytes:
    start = 12 + 4 * (data[0] & 0x0F)
    if not data[0] & 0x10:
        return data
    words = struct.unpack_from("!H", data, start + 2)[0]
    return bytes([data[0] & 0xEF]) + data[1:start] + data[start + 4 + 4 * words :]


def _identity(buffer: bytearray, at: int, memory: dict[str, Any]) -> None:
    buffer[at - 4 : at - 2] = b"\xab\xad"


def _mbz(buffer: bytearray, at: int, memory: dict[str, Any]) -> None:
    buffer[at + 8] |= 0x05


def _cseq(buffer: bytearray, at: int, memory: dict[str, Any]) -> None:
    buffer[at + 9] ^= 0x40


def _fixed_time(buffer: bytearray, at: int, memory: dict[str, Any]) -> None:
    """Times fall by two seconds from frame to frame."""
    seconds = struct.unpack_from("!I", buffer, at)[0]
    memory["count"] = memory.get("count", 0) + 2
    struct.pack_into("!I", buffer, at, seconds - memory["count"])


def _no_discontinuity(buffer: bytearray, at: int, memory: dict[str, Any]) -> None:
    buffer[at + 8] &= 0xDF


def _sequence(data: bytes, memory: dict[str, Any]) -> bytes:
    number = struct.unpack_from("!H", data, 2)[0]
    return data[:2] + struct.pack("!H", number & 0xFFF0) + data[4:]


def _lose(data: bytes, memory: dict[str, Any]) -> bytes | None:
    memory["count"] = memory.get("count", 0) + 1
    return None if memory["count"] % 20 == 0 else data


def _slow_clock(data: bytes, memory: dict[str, Any]) -> bytes:
    stamp = struct.unpack_from("!I", data, 4)[0]
    return data[:4] + struct.pack("!I", stamp // 100) + data[8:]


def _version(data: bytes, memory: dict[str, Any]) -> bytes:
    return bytes([data[0] & 0x3F | 0x40]) + data[1:]


stream_defect("no-replay-extension", "RTP has no replay extension", TCP, packet=_no_extension)
stream_defect(
    "other-extension",
    "the extension has an identifier that is no replay extension",
    TCP,
    packet=in_extension(_identity),
)
stream_defect("mbz-not-zero", "the mbz bits of the extension are set", TCP, packet=in_extension(_mbz))
stream_defect("wrong-cseq-byte", "the extension has another CSeq than the PLAY", TCP, packet=in_extension(_cseq))
stream_defect("time-falls", "NTP times fall in forward replay", TCP, packet=in_extension(_fixed_time))
stream_defect("sequence-stands", "sequence numbers do not rise", TCP, packet=_sequence)
stream_defect("loses-packets", "one packet in twenty is missing on TCP", TCP, packet=_lose)
stream_defect("rtp-clock-wrong", "RTP time does not run as the recording did", TCP, packet=_slow_clock)
stream_defect("rtp-version-1", "RTP packets have version 1", TCP, packet=_version)
stream_defect(
    "no-d-in-reverse", "groups in reverse replay have no D bit", "REPLAY-3-1-7", packet=in_extension(_no_discontinuity)
)
