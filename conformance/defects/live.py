"""Defects of live streams: media services, RTSP, RTP and RTCP."""

from __future__ import annotations

import re
import struct
from typing import Any

from conformance.defects.model import (
    Answer,
    Exchange,
    Stage,
    answer_defect,
    body_of,
    defect,
    remove,
    request_defect,
    several,
    succeed,
    write,
)
from conformance.defects.stream import Text, header, of_method, replace, stream_defect
from conformance.names import findall

H264, G711, JPEG = "RTSS-1-1-43", "RTSS-2-1-21", "RTSS-1-1-36"
METADATA, TALK = "MEDIA2_RTSS-4-1-3", "MEDIA2_RTSS-3-1-3"
CONTROL = "RTSS-1-1-31"


# ---- web services -------------------------------------------------------------------------------------


def ignores(name: str, what: str, case: str, operation: str) -> None:
    """A request is answered with success, and nothing is done."""

    @defect(name, what, case, operation)
    async def apply(exchange: Exchange, stage: Stage) -> Answer:
        body = body_of(exchange.root)
        prefix = "tr2" if b"ver20/media" in body.tag.encode() else "trt"
        return succeed(f"<{prefix}:{operation}Response/>")


def _long_uri(root: Any) -> None:
    for path in ("trt:MediaUri/tt:Uri", "tr2:Uri"):
        for each in findall(body_of(root), path):
            each.text = f"{each.text}?{'x' * 130}"


def _http_uri(root: Any) -> None:
    for path in ("trt:MediaUri/tt:Uri", "tr2:Uri"):
        for each in findall(body_of(root), path):
            each.text = (each.text or "").replace("rtsp://", "http://")


answer_defect("stream-uri-too-long", "stream URIs have more than 128 octets", H264, "GetStreamUri", _long_uri)
answer_defect("stream-uri-of-http", "GetStreamUri for RTSP gives an HTTP URI", H264, "GetStreamUri", _http_uri)
answer_defect(
    "stream-uri-empty",
    "GetStreamUri of Media2 gives nothing",
    "MEDIA2_RTSS-1-1-3",
    "GetStreamUri",
    write("tr2:Uri", ""),
)
answer_defect(
    "no-video-options",
    "no profile's options have the encoding",
    "MEDIA2_RTSS-1-1-3",
    "GetVideoEncoderConfigurationOptions",
    write("tr2:Options/tt:Encoding", "H265"),
)
answer_defect(
    "no-audio-options",
    "no options of an audio encoder have an encoding",
    G711,
    "GetAudioEncoderConfigurationOptions",
    remove("trt:Options/tt:Options"),
)
answer_defect(
    "no-decoder-options",
    "no audio decoder can decode anything",
    TALK,
    "GetAudioDecoderConfigurationOptions",
    remove("tr2:Options"),
)
answer_defect(
    "resolution-not-shown",
    "GetVideoEncoderConfiguration shows another resolution than was set",
    "RTSS-1-1-48",
    "GetVideoEncoderConfiguration",
    write("trt:Configuration/tt:Resolution/tt:Width", "304"),
)
answer_defect(
    "resolution-that-is-none",
    "options have a resolution that cannot be set",
    "RTSS-1-1-48",
    "GetVideoEncoderConfigurationOptions",
    several(
        write("trt:Options/tt:H264/tt:ResolutionsAvailable/tt:Width", "304"),
        write("trt:Options/tt:H264/tt:ResolutionsAvailable/tt:Height", "200"),
    ),
)
request_defect(
    "video-group-not-kept",
    "SetVideoEncoderConfiguration keeps another port for multicast",
    "RTSS-1-2-19",
    "SetVideoEncoderConfiguration",
    write("trt:Configuration/tt:Multicast/tt:Port", "39000"),
)
request_defect(
    "video-address-not-kept",
    "SetVideoEncoderConfiguration keeps another address for multicast",
    "RTSS-1-2-20",
    "SetVideoEncoderConfiguration",
    write("trt:Configuration/tt:Multicast/tt:Address/tt:IPv4Address", "239.1.2.3"),
)
request_defect(
    "audio-group-not-kept",
    "SetAudioEncoderConfiguration keeps another port for multicast",
    "RTSS-2-2-9",
    "SetAudioEncoderConfiguration",
    write("trt:Configuration/tt:Multicast/tt:Port", "39000"),
)
ignores("multicast-not-started", "StartMulticastStreaming does nothing", "RTSS-5-1-10", "StartMulticastStreaming")
ignores("multicast-not-stopped", "StopMulticastStreaming does nothing", "RTSS-5-1-10", "StopMulticastStreaming")
ignores("no-key-frame-on-request", "SetSynchronizationPoint does nothing", "RTSS-1-1-44", "SetSynchronizationPoint")
ignores(
    "no-events-on-request",
    "SetSynchronizationPoint repeats no property events in metadata",
    "MEDIA2_RTSS-4-1-4",
    "SetSynchronizationPoint",
)
request_defect(
    "no-events-in-metadata",
    "events are not in the metadata stream whatever its configuration says",
    "RTSS-4-1-3",
    "SetMetadataConfiguration",
    remove("trt:Configuration/tt:Events"),
)
answer_defect(
    "too-many-instances-guaranteed",
    "more encoder instances are guaranteed than there are",
    "RTSS-1-1-29",
    "GetGuaranteedNumberOfVideoEncoderInstances",
    write("trt:TotalNumber", "40"),
)
answer_defect(
    "too-many-instances-of-media2",
    "GetVideoEncoderInstances promises more profiles than there may be",
    "MEDIA2_RTSS-1-1-23",
    "GetVideoEncoderInstances",
    write("tr2:Info/tr2:Total", "400"),
)

# ---- RTSP ---------------------------------------------------------------------------------------------


def _renamed(method: str) -> Text:
    """The device does not know a method."""
    return of_method(method, replace(rf"^{method} ", "UNKNOWN "))


stream_defect(
    "rtsp-by-basic-only", "RTSP asks for Basic, not for Digest", H264, answer=replace("Digest realm", "Basic realm")
)
stream_defect(
    "live-cseq-wrong",
    "answers carry another CSeq than the request",
    H264,
    answer=replace(r"(?im)^cseq:\s*(\d)", r"CSeq: 7\1"),
)
stream_defect(
    "no-video-described", "the session description has no video", H264, answer=replace(r"(?m)^m=video", "m=image")
)
stream_defect(
    "other-encoding-described", "H.264 is described as H.263", H264, answer=replace(r" H264/90000", " H263/90000")
)
stream_defect(
    "ipv6-origin",
    "the origin has an IPv6 address for an IPv4 client",
    H264,
    answer=replace(r"(?m)^(o=.*) IN IP4 [^\r]*", r"\1 IN IP6 ::1"),
)
stream_defect(
    "ipv6-content-base",
    "Content-Base has an IPv6 address for an IPv4 client",
    "MEDIA2_RTSS-1-1-3",
    answer=replace(r"(?im)^content-base:.*\r\n", "Content-Base: rtsp://[2001:db8::1]/live/\r\n"),
)
stream_defect(
    "audio-sendonly", "the device's own sound is a=sendonly", G711, answer=replace("a=recvonly", "a=sendonly")
)
stream_defect("no-transport-in-setup", "SETUP is answered without Transport", H264, answer=header("Transport", None))
stream_defect("no-session-in-setup", "SETUP is answered without Session", H264, answer=header("Session", None))
stream_defect(
    "live-no-timeout",
    "Session has no timeout",
    "RTSS-1-1-32",
    answer=replace(r"(?im)^(session:[^;\r]*);\s*timeout=\d+", r"\1"),
)
stream_defect(
    "live-no-play-in-public",
    "OPTIONS does not list PLAY",
    CONTROL,
    answer=replace(r"(?im)^(public:.*?),?\s*PLAY\b", r"\1"),
)
stream_defect("live-no-rtp-info", "PLAY is answered without RTP-Info", CONTROL, answer=header("RTP-Info", None))
stream_defect(
    "live-play-without-session",
    "PLAY is answered without Session",
    H264,
    answer=lambda head, memory: header("Session", None)(head, memory) if "rtp-info:" in head.lower() else head,
)
stream_defect(
    "live-rtp-info-of-others",
    "RTP-Info announces another sequence number than that of the first packet",
    CONTROL,
    answer=replace(r";seq=(\d)", r";seq=1\1"),
)
stream_defect(
    "live-rtptime-of-others",
    "RTP-Info announces an RTP time that is far from that of the first packet",
    CONTROL,
    answer=replace(r";rtptime=\d+", ";rtptime=1"),
)
stream_defect(
    "live-teardown-does-nothing",
    "TEARDOWN is answered 200 and the session goes on",
    H264,
    request=_renamed("TEARDOWN"),
    answer=replace(r"^RTSP/1.0 (?:405|501) [^\r]*", "RTSP/1.0 200 OK"),
)
stream_defect("live-rtp-info-without-seq", "RTP-Info has no seq", CONTROL, answer=replace(r";seq=\d+", ""))
stream_defect("no-set-parameter", "SET_PARAMETER is refused", "RTSS-1-1-32", request=_renamed("SET_PARAMETER"))
stream_defect("no-options", "OPTIONS is refused during a session", "RTSS-1-1-33", request=_renamed("OPTIONS"))
stream_defect(
    "teardown-refused",
    "TEARDOWN is answered 454",
    H264,
    request=of_method("TEARDOWN", replace(r"(?im)^session:.*$", "Session: 00000000\r")),
)
stream_defect(
    "play-without-media",
    "PLAY succeeds and nothing comes",
    H264,
    packet=lambda data, memory: None,
)

# ---- the back channel ---------------------------------------------------------------------------------

stream_defect(
    "talk-not-described",
    "the session description has no back channel whatever is asked for",
    TALK,
    request=of_method("DESCRIBE", header("Require", None)),
)
stream_defect(
    "talk-described-unasked",
    "the back channel is in every session description",
    TALK,
    request=lambda head, memory: (
        head
        if not head.startswith("DESCRIBE ") or re.search(r"(?im)^require:", head)
        else head.replace("\r\n\r\n", "\r\nRequire: www.onvif.org/ver20/backchannel\r\n\r\n")
    ),
)
stream_defect("talk-recvonly", "the back channel is a=recvonly", TALK, answer=replace("a=sendonly", "a=recvonly"))
stream_defect(
    "talk-without-reports", "the device reports nothing of what it is told", TALK, control=lambda data, memory: None
)

# ---- RTP ----------------------------------------------------------------------------------------------


def _body(data: bytes) -> int:
    """Where the payload begins."""
    start = 12 + 4 * (data[0] & 0x0F)
    if data[0] & 0x10:
        start += 4 + 4 * int(struct.unpack_from("!H", data, start + 2)[0])
    return start


def _version(data: bytes, memory: dict[str, Any]) -> bytes:
    return bytes([data[0] & 0x3F | 0x40]) + data[1:]


def _contributor(data: bytes, memory: dict[str, Any]) -> bytes:
    return bytes([data[0] & 0xF0 | 1]) + data[1:12] + b"\0\0\0\7" + data[12:]


def _payload_type(data: bytes, memory: dict[str, Any]) -> bytes:
    return data[:1] + bytes([data[1] ^ 0x04]) + data[2:]


def _source(data: bytes, memory: dict[str, Any]) -> bytes:
    memory["count"] = memory.get("count", 0) + 1
    return data if memory["count"] % 5 else data[:8] + b"\1\2\3\4" + data[12:]


def _unmarked(data: bytes, memory: dict[str, Any]) -> bytes:
    return data[:1] + bytes([data[1] & 0x7F]) + data[2:]


def _gap(data: bytes, memory: dict[str, Any]) -> bytes | None:
    memory["count"] = memory.get("count", 0) + 1
    return None if memory["count"] % 10 == 0 else data


def _ends(data: bytes, memory: dict[str, Any]) -> bytes | None:
    memory["count"] = memory.get("count", 0) + 1
    return data if memory["count"] < 4 else None


def _no_idr(data: bytes, memory: dict[str, Any]) -> bytes:
    """Key frames look like others: NAL units of type 5, whole or in fragments, become type 1."""
    at = _body(data)
    buffer = bytearray(data)
    kind = buffer[at] & 0x1F
    if kind == 5:
        buffer[at] = buffer[at] & 0xE0 | 1
    elif kind == 28 and buffer[at + 1] & 0x1F == 5:
        buffer[at + 1] = buffer[at + 1] & 0xE0 | 1
    return bytes(buffer)


def _forbidden(data: bytes, memory: dict[str, Any]) -> bytes:
    at = _body(data)
    return data[:at] + bytes([data[at] | 0x80]) + data[at + 1 :]


def _fragments(data: bytes, memory: dict[str, Any]) -> bytes:
    """No fragment says that it is the last one."""
    at = _body(data)
    if data[at] & 0x1F != 28:
        return data
    return data[: at + 1] + bytes([data[at + 1] & 0xBF]) + data[at + 2 :]


def _slow(data: bytes, memory: dict[str, Any]) -> bytes:
    first = memory.setdefault("first", struct.unpack_from("!I", data, 4)[0])
    stamp = struct.unpack_from("!I", data, 4)[0]
    return data[:4] + struct.pack("!I", first + (stamp - first & 0xFFFFFFFF) // 4 & 0xFFFFFFFF) + data[8:]


def _empty(data: bytes, memory: dict[str, Any]) -> bytes:
    return data[: _body(data)]


def _offset(data: bytes, memory: dict[str, Any]) -> bytes:
    """JPEG fragments after the first have an offset that is one too high."""
    at = _body(data)
    offset = int.from_bytes(data[at + 1 : at + 4], "big")
    return data if not offset else data[: at + 1] + (offset + 1).to_bytes(3, "big") + data[at + 4 :]


def _no_size(data: bytes, memory: dict[str, Any]) -> bytes:
    at = _body(data)
    buffer = bytearray(data)
    buffer[at + 6] = buffer[at + 7] = 0
    return bytes(buffer)


stream_defect("live-version-1", "RTP packets have version 1", H264, packet=_version)
stream_defect("live-csrc", "RTP packets name a contributing source", H264, packet=_contributor)
stream_defect("live-payload-type", "RTP packets have a payload type that was not described", H264, packet=_payload_type)
stream_defect("live-ssrc-changes", "the SSRC changes within a session", H264, packet=_source)
stream_defect("live-unmarked", "access units end without the marker bit", H264, packet=_unmarked)
stream_defect("live-loses-packets", "one packet in ten is missing on TCP", H264, packet=_gap)
stream_defect("live-ends", "the stream ends after three packets", H264, packet=_ends)
stream_defect("live-no-key-frames", "no picture of the stream is IDR", H264, packet=_no_idr)
stream_defect("live-forbidden-bit", "NAL units have the forbidden bit", "MEDIA2_RTSS-1-1-3", packet=_forbidden)
stream_defect(
    "live-endless-fragments", "no fragment of a NAL unit is the last one", "MEDIA2_RTSS-1-1-3", packet=_fragments
)
stream_defect("sound-too-slow", "RTP time of G.711 does not run with its samples", G711, packet=_slow)
stream_defect("sound-empty", "packets of G.711 are empty", "MEDIA2_RTSS-2-1-3", packet=_empty)
stream_defect("jpeg-offset-wrong", "fragments of JPEG have wrong offsets", JPEG, packet=_offset)
stream_defect("jpeg-without-size", "JPEG tells no width and height", JPEG, packet=_no_size)

# ---- RTCP ---------------------------------------------------------------------------------------------


def _in_report(offset: int, form: str, change: int) -> Any:
    """Add to a field of sender reports."""

    def apply(data: bytes, memory: dict[str, Any]) -> bytes:
        if data[1] != 200:
            return data
        buffer = bytearray(data)
        value = struct.unpack_from(form, buffer, offset)[0]
        struct.pack_into(form, buffer, offset, value + change & 0xFFFFFFFF)
        return bytes(buffer)

    return apply


stream_defect("no-reports", "no RTCP is sent", H264, control=lambda data, memory: None)
stream_defect("report-of-other-source", "sender reports are of another SSRC", H264, control=_in_report(4, "!I", 1))
stream_defect(
    "report-an-hour-off", "the wall clock of sender reports is an hour off", H264, control=_in_report(8, "!I", 3600)
)
stream_defect(
    "report-time-wrong",
    "the RTP time of sender reports is a minute off",
    H264,
    control=_in_report(16, "!I", 60 * 90_000),
)
stream_defect(
    "report-length-wrong",
    "the lengths in RTCP packets do not add up",
    "MEDIA2_RTSS-1-1-3",
    control=lambda data, memory: data[:2] + struct.pack("!H", struct.unpack_from("!H", data, 2)[0] + 3) + data[4:],
)

# ---- metadata -----------------------------------------------------------------------------------------


def _in_document(before: bytes, after: bytes) -> Any:
    def apply(data: bytes, memory: dict[str, Any]) -> bytes:
        return data.replace(before, after)

    return apply


stream_defect(
    "metadata-root-wrong",
    "the root of metadata has another name",
    METADATA,
    packet=_in_document(b"MetadataStream", b"MetadataScream"),
)
stream_defect("metadata-torn", "documents of metadata are no XML", METADATA, packet=_in_document(b"</", b"<"))
stream_defect("metadata-never-closed", "no document of metadata is closed by the marker", METADATA, packet=_unmarked)
stream_defect(
    "metadata-not-of-the-schema",
    "metadata has elements that no schema knows",
    METADATA,
    packet=_in_document(b":Event>", b":Evens>"),
)
stream_defect(
    "metadata-not-described",
    "metadata is described under another name",
    METADATA,
    answer=replace(r"(?i)vnd\.onvif\.metadata", "vnd.onvif.metafata"),
)
