"""MIKEY with a pre-shared key, as ONVIF uses it within RTSPS (RFC 3830; RFC 4567, RFC 7714 12; Streaming 8.2).

A message tells for a stream its SSRC, rollover counter, crypto suite, master key and salt, and the identifier (MKI) by which
packets name the key. It is neither encrypted nor authenticated by itself: TLS does both (Streaming 8.2). Sans-IO.
"""

from __future__ import annotations

import re
import struct
from base64 import b64decode, b64encode
from dataclasses import dataclass, field

from onvifd.errors import BadInput
from onvifd.rtsp.srtp import TAG, KeyMaterial, Suite

MAX_MESSAGE = 4096
"""Octets of a message; one with all payloads has about 120."""
_LAST, _KEMAC, _T, _SP, _RAND, _KEY_DATA = 0, 1, 5, 10, 11, 20
_SKIPPED_V, _ID, _EXTENSION = 9, 6, 21
_TEK, _TEK_SALT = 2, 3
_SPI, _INTERVAL = 1, 2
_NTP_UTC = 0
_CIPHERS = {1: "AES-CM", 6: "AES-GCM"}
_ENCRYPTION, _KEY_SIZE, _AUTHENTICATION, _AUTH_SIZE, _SALT_SIZE, _PRF = 0, 1, 2, 3, 4, 5
_SRTP_ON, _SRTCP_ON, _AUTH_ON, _TAG, _AEAD_TAG = 7, 8, 10, 11, 20

_FIELD = re.compile(r"""\s*([A-Za-z]+)\s*=\s*("[^"]*"|[^;]*)\s*(?:;|$)""")


@dataclass(frozen=True, slots=True)
class CryptoSession:
    """One stream of a message (RFC 3830 6.1.1)."""

    policy: int
    ssrc: int
    rollover: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a message says. `suite` is None where it has no security policy, which a new key may leave out (Streaming 8.2.1.2)."""

    csb_id: int
    sessions: tuple[CryptoSession, ...]
    suite: Suite | None
    key: bytes = field(repr=False)
    """Master key and salt, one behind the other."""
    mki: bytes = b""

    def material(self, default: Suite = Suite.AES_CM_128) -> KeyMaterial:
        """The key by its suite, or by `default` where none is told. Raises BadInput when its size is another."""
        suite = self.suite or default
        if len(self.key) != suite.key_size + suite.salt_size:
            raise BadInput(f"MIKEY: key and salt have {len(self.key)} octets, not those of {suite.value}")
        return KeyMaterial(suite, self.key[: suite.key_size], self.key[suite.key_size :], self.mki)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, size: int) -> bytes:
        if size < 0 or self._at + size > len(self._data):
            raise BadInput("MIKEY: message is too short")
        self._at += size
        return self._data[self._at - size : self._at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    @property
    def empty(self) -> bool:
        return self._at >= len(self._data)


def parse(data: bytes) -> Message:
    """Raises BadInput for what is malformed or not used here (public keys, encrypted keys, other protocols than SRTP)."""
    if len(data) > MAX_MESSAGE:
        raise BadInput("MIKEY: message is too long")
    reader = _Reader(data)
    version, kind, following, _ = reader.take(4)
    if version != 1 or kind != 0:
        raise BadInput("MIKEY: not a pre-shared key message of version 1")
    csb_id, count, mapping = reader.number(4), reader.number(1), reader.number(1)
    if mapping != 0:
        raise BadInput("MIKEY: crypto sessions are not of SRTP")
    sessions = tuple(CryptoSession(reader.number(1), reader.number(4), reader.number(4)) for _ in range(count))
    policy: dict[int, bytes] | None = None
    found: tuple[bytes, bytes] | None = None
    while following != _LAST:
        kind, following = following, reader.number(1)
        if kind == _SP:
            policy = _policy(reader)
        elif kind == _KEMAC:
            found = _kemac(reader)
        else:
            _skip(kind, reader)
    if found is None:
        raise BadInput("MIKEY: there is no key")
    suite = None if policy is None else _suite(policy)
    return Message(csb_id=csb_id, sessions=sessions, suite=suite, key=found[0], mki=found[1])


def _skip(kind: int, reader: _Reader) -> None:
    """Payloads that say nothing to us."""
    if kind == _T:
        reader.take({0: 8, 1: 8, 2: 4}.get(reader.number(1), -1))
    elif kind == _RAND:
        reader.take(reader.number(1))
    elif kind in (_ID, _EXTENSION):
        reader.take(1)
        reader.take(reader.number(2))
    elif kind == _SKIPPED_V:
        reader.take(20 if reader.number(1) == 1 else 0)
    else:
        raise BadInput(f"MIKEY: payload {kind} is not used with a pre-shared key")


def _policy(reader: _Reader) -> dict[int, bytes]:
    reader.take(1)
    if reader.number(1) != 0:
        raise BadInput("MIKEY: policy is not of SRTP")
    inner = _Reader(reader.take(reader.number(2)))
    found: dict[int, bytes] = {}
    while not inner.empty:
        name = inner.number(1)
        found[name] = inner.take(inner.number(1))
    return found


def _suite(policy: dict[int, bytes]) -> Suite:
    def get(name: int, default: int) -> int:
        return int.from_bytes(policy[name], "big") if name in policy else default

    if get(_SRTP_ON, 1) != 1 or get(_SRTCP_ON, 1) != 1 or get(_PRF, 0) != 0:
        raise BadInput("MIKEY: encryption is off, or keys are derived in a way that is not served")
    cipher, size = _CIPHERS.get(get(_ENCRYPTION, 1)), get(_KEY_SIZE, 16)
    if cipher == "AES-GCM" and get(_AEAD_TAG, 16) == 16 and get(_SALT_SIZE, 12) == 12:
        # RFC 7714 has no authentication beside; clients leave the parameter of the default policy there
        if size == 16:
            return Suite.AES_GCM_128
        if size == 32:
            return Suite.AES_GCM_256
    # GStreamer writes the size of the tag where that of the key belongs
    plain = get(_AUTHENTICATION, 1) == 1 and get(_AUTH_SIZE, 20) in (20, TAG) and get(_AUTH_ON, 1) == 1
    if cipher == "AES-CM" and size == 16 and plain and get(_TAG, TAG) == TAG and get(_SALT_SIZE, 14) == 14:
        return Suite.AES_CM_128
    raise BadInput("MIKEY: crypto suite is not served")


def _kemac(reader: _Reader) -> tuple[bytes, bytes]:
    """Key with salt, and MKI, of the first key that encrypts traffic."""
    if reader.number(1) != 0:
        raise BadInput("MIKEY: the key is encrypted")
    inner = _Reader(reader.take(reader.number(2)))
    reader.take({0: 0, 1: 20}.get(reader.number(1), -1))
    following = _KEY_DATA
    while following == _KEY_DATA:
        following, kind = inner.number(1), inner.number(1)
        key = inner.take(inner.number(2))
        salt = inner.take(inner.number(2)) if kind >> 4 in (1, _TEK_SALT) else b""
        mki = b""
        if kind & 0x0F == _SPI:
            mki = inner.take(inner.number(1))
        elif kind & 0x0F == _INTERVAL:
            inner.take(inner.number(1))
            inner.take(inner.number(1))
        elif kind & 0x0F:
            raise BadInput("MIKEY: validity of a key is of an unknown kind")
        if kind >> 4 in (_TEK, _TEK_SALT):
            return key + salt, mki
    raise BadInput("MIKEY: there is no traffic key")


def build(material: KeyMaterial, csb_id: int, session: CryptoSession, ntp: int, rand: bytes) -> bytes:
    """A whole message: HDR, T, RAND, SP, KEMAC. `ntp` is the time as 64 bits of NTP."""
    header = struct.pack(">BBBBIBB", 1, 0, _T, 0, csb_id, 1, 0)
    header += struct.pack(">BII", session.policy, session.ssrc, session.rollover)
    time = struct.pack(">BBQ", _RAND, _NTP_UTC, ntp)
    random = struct.pack(">BB", _SP, len(rand)) + rand
    policy = b"".join(bytes((name, 1, value)) for name, value in _parameters(material.suite))
    security = struct.pack(">BBBH", _KEMAC, session.policy, 0, len(policy)) + policy
    mki = bytes((len(material.mki),)) + material.mki if material.mki else b""
    validity = _SPI if material.mki else 0
    if material.suite is Suite.AES_CM_128:
        # Streaming 8.2: TEK for this suite, with the salt behind the key; TEK+SALT for others
        key = struct.pack(">BBH", _LAST, _TEK << 4 | validity, len(material.key) + len(material.salt))
        key += material.key + material.salt + mki
    else:
        key = struct.pack(">BBH", _LAST, _TEK_SALT << 4 | validity, len(material.key)) + material.key
        key += struct.pack(">H", len(material.salt)) + material.salt + mki
    kemac = struct.pack(">BBH", _LAST, 0, len(key)) + key + b"\0"
    return header + time + random + security + kemac


def _parameters(suite: Suite) -> tuple[tuple[int, int], ...]:
    on = ((_SRTP_ON, 1), (_SRTCP_ON, 1))
    if suite is Suite.AES_CM_128:
        cipher = (
            (_ENCRYPTION, 1),
            (_KEY_SIZE, 16),
            (_AUTHENTICATION, 1),
            (_AUTH_SIZE, 20),
            (_SALT_SIZE, 14),
            (_PRF, 0),
        )
        return (*cipher, *on, (_AUTH_ON, 1), (_TAG, 10))
    sealed = ((_ENCRYPTION, 6), (_KEY_SIZE, suite.key_size), (_AUTHENTICATION, 0), (_SALT_SIZE, 12), (_PRF, 0))
    return (*sealed, *on, (_AEAD_TAG, 16))


# ---- in RTSP and SDP ---------------------------------------------------------------------------


def to_text(message: bytes) -> str:
    return b64encode(message).decode()


def from_text(text: str) -> Message:
    """The base64 of a message, perhaps with white space. Raises BadInput."""
    compact = "".join(text.split())
    if len(compact) > MAX_MESSAGE * 4 // 3 + 4:
        raise BadInput("MIKEY: message is too long")
    try:
        data = b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except ValueError:
        raise BadInput("MIKEY: no base64") from None
    return parse(data)


def from_header(value: str) -> tuple[str, Message]:
    """URI and message of a `KeyMgmt` header (RFC 4567 3.2). Raises BadInput."""
    fields = {name.lower(): text.strip().strip('"') for name, text in _FIELD.findall(value)}
    if fields.get("prot", "").lower() != "mikey" or "data" not in fields:
        raise BadInput("KeyMgmt is not of MIKEY")
    return fields.get("uri", ""), from_text(fields["data"])


def to_header(uri: str, message: bytes) -> str:
    return f'prot=mikey;uri="{uri}";data="{to_text(message)}"'


def from_parameters(body: bytes) -> Message | None:
    """The message among `text/parameters`; None if there is none. Raises BadInput."""
    for line in re.split(r"\r?\n(?![ \t])", body.decode("latin-1")):
        name, mark, value = line.partition(":")
        if mark and name.strip().lower() == "mikey":
            return from_text(value)
    return None
