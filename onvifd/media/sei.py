"""The exact UTC of a picture inside the bit stream: an SEI message of type user_data_unregistered (H.264 D.1.7, H.265 D.2.7).

The message is our UUID and the microseconds since 1970 in 8 bytes, big endian. The recorder stores and replays it untouched.
"""

from __future__ import annotations

from uuid import UUID

from onvifd.errors import InvalidArgument, NotSupported
from onvifd.media import h264, h265, nal
from onvifd.media.bits import escape, unescape
from onvifd.media.types import Codec

UTC_UUID = UUID("6f6e7669-6664-4e55-b443-2d7574635f75")
"""Names our message. It holds no zero byte, so that emulation prevention never splits it."""

_HEADER = {Codec.H264: bytes((h264.NAL_SEI,)), Codec.H265: bytes((h265.NAL_SEI_PREFIX << 1, 1))}
_TYPE = h264.SEI_USER_DATA_UNREGISTERED


def build_utc(codec: Codec, utc: int) -> bytes:
    """An SEI NAL unit without start code. Raises NotSupported for codecs without SEI."""
    return build_user_data(codec, UTC_UUID, utc.to_bytes(8, "big"))


def build_user_data(codec: Codec, uuid: UUID, payload: bytes) -> bytes:
    """A NAL unit with one user_data_unregistered message."""
    header = _HEADER.get(codec)
    if header is None:
        raise NotSupported(f"{codec} has no SEI")
    body = uuid.bytes + payload
    size = b"\xff" * (len(body) // 255) + bytes((len(body) % 255,))
    return header + escape(bytes((_TYPE,)) + size + body + b"\x80")


def parse_messages(codec: Codec, unit: bytes) -> list[tuple[int, bytes]]:
    """Type and payload of every message of an SEI NAL unit (H.264 7.3.2.3.1). Raises InvalidArgument on garbage."""
    header = _HEADER.get(codec)
    if header is None:
        raise NotSupported(f"{codec} has no SEI")
    rbsp = unescape(unit[len(header) :])
    end = len(rbsp.rstrip(b"\x00")) - 1
    position = 0
    messages: list[tuple[int, bytes]] = []
    while position < end:
        kind, position = _coded(rbsp, position)
        size, position = _coded(rbsp, position)
        if position + size > end + 1:
            raise InvalidArgument("SEI message ends early")
        messages.append((kind, rbsp[position : position + size]))
        position += size
    return messages


def _coded(rbsp: bytes, position: int) -> tuple[int, int]:
    value = 0
    while position < len(rbsp):
        byte = rbsp[position]
        position += 1
        value += byte
        if byte != 255:
            return value, position
    raise InvalidArgument("SEI message ends early")


def find_utc(codec: Codec, data: bytes) -> int | None:
    """Microseconds UTC from the SEI of an access unit (length prefixed); None without one or where it is broken."""
    if UTC_UUID.bytes not in data:
        return None
    is_sei = _is_sei_h264 if codec is Codec.H264 else _is_sei_h265
    try:
        for unit in nal.iterate(data):
            if not is_sei(unit):
                continue
            for kind, payload in parse_messages(codec, unit):
                if kind == _TYPE and payload[:16] == UTC_UUID.bytes and len(payload) == 24:
                    return int.from_bytes(payload[16:], "big")
    except (InvalidArgument, NotSupported):
        return None
    return None


def _is_sei_h264(unit: bytes) -> bool:
    return h264.nal_type(unit) == h264.NAL_SEI


def _is_sei_h265(unit: bytes) -> bool:
    return h265.nal_type(unit) in (h265.NAL_SEI_PREFIX, h265.NAL_SEI_SUFFIX)
