"""SRTP and SRTCP: protecting and checking packets (RFC 3711; RFC 7714 for AES-GCM). Sans-IO.

Each packet carries the MKI of its key (Streaming 8.2). A `Sender` protects whole flush units, so that what goes to several
clients under one key is encrypted once and kept with the unit.
"""

from __future__ import annotations

import hmac
import itertools
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import pairwise

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from onvifd.media.rtp.rollover import estimate
from onvifd.media.types import FlushUnit

MKI_SIZE = 4
TAG = 10
GCM_TAG = 16
WINDOW = 64
"""Packets behind the newest among which repetitions are known (RFC 3711 3.3.2)."""
MAX_KEYS = 4
"""Keys of a receiver: the current one and those it replaces."""
_E = 0x8000_0000
_MAX_FRAMED = 0xFFFF
"""Octets of a packet within RTSP (RFC 2326 10.12); a larger one, made of a packet that just fitted, is left out."""


class Suite(Enum):
    """The suites of Streaming 8.1 but NONE, by their ONVIF names."""

    AES_CM_128 = "AES_CM_128_HMAC_SHA1_80"
    AES_GCM_128 = "AEAD_AES_128_GCM"
    AES_GCM_256 = "AEAD_AES_256_GCM"

    @property
    def key_size(self) -> int:
        return 32 if self is Suite.AES_GCM_256 else 16

    @property
    def salt_size(self) -> int:
        return 14 if self is Suite.AES_CM_128 else 12

    @property
    def aead(self) -> bool:
        return self is not Suite.AES_CM_128


@dataclass(frozen=True, slots=True)
class KeyMaterial:
    """A master key with its salt and identifier."""

    suite: Suite
    key: bytes = field(repr=False)
    salt: bytes = field(repr=False)
    mki: bytes = b""

    @staticmethod
    def fresh(suite: Suite) -> KeyMaterial:
        made = secrets.token_bytes
        return KeyMaterial(suite, made(suite.key_size), made(suite.salt_size), made(MKI_SIZE))


def derive(master: bytes, salt: bytes, label: int, size: int) -> bytes:
    """A session key (RFC 3711 4.3.1 and 4.3.3, key derivation rate 0). A salt of 96 bits stands left of 16 zero bits."""
    number = int.from_bytes(salt.ljust(14, b"\0"), "big") ^ (label << 48)
    encryptor = Cipher(algorithms.AES(master), modes.CTR((number << 16).to_bytes(16, "big"))).encryptor()
    return encryptor.update(bytes(size))


class _Keys:
    """Session keys for packets of one kind, of one master key."""

    def __init__(self, material: KeyMaterial, first_label: int) -> None:
        suite, key, salt = material.suite, material.key, material.salt
        self.mki = material.mki
        self.aead = suite.aead
        session = derive(key, salt, first_label, suite.key_size)
        self.salt = int.from_bytes(derive(key, salt, first_label + 2, suite.salt_size), "big")
        if suite.aead:
            self._gcm = AESGCM(session)
        else:
            self._auth = derive(key, salt, first_label + 1, 20)
            self._counter = Cipher(algorithms.AES(session), modes.CTR(bytes(16))).encryptor()

    def xor(self, data: bytes, ssrc: int, index: int) -> bytes:
        """AES in counter mode (RFC 3711 4.1.1)."""
        start = (self.salt << 16) ^ (ssrc << 64) ^ (index << 16)
        self._counter.reset_nonce(start.to_bytes(16, "big"))
        return self._counter.update(data)

    def tag(self, data: bytes) -> bytes:
        return hmac.digest(self._auth, data, "sha1")[:TAG]

    def nonce(self, ssrc: int, index: int) -> bytes:
        """RFC 7714 8.1 and 9.1: for both, 48 bits hold rollover counter and sequence number, or the SRTCP index."""
        return ((ssrc << 48 | index) ^ self.salt).to_bytes(12, "big")

    def seal(self, nonce: bytes, data: bytes, header: bytes) -> bytes:
        return self._gcm.encrypt(nonce, data, header)

    def open(self, nonce: bytes, data: bytes, header: bytes) -> bytes | None:
        try:
            return self._gcm.decrypt(nonce, data, header)
        except (InvalidTag, ValueError):
            return None


def header_size(packet: bytes | memoryview) -> int:
    """Octets of an RTP header with sources and extension (RFC 3550 5.1, 5.3.1); 0 for what is no RTP."""
    if len(packet) < 12 or packet[0] >> 6 != 2:
        return 0
    size = 12 + 4 * (packet[0] & 0x0F)
    if packet[0] & 0x10:
        if len(packet) < size + 4:
            return 0
        size += 4 + 4 * int.from_bytes(packet[size + 2 : size + 4], "big")
    return size if size <= len(packet) else 0


class Sender:
    """Protects what one source sends under one key at a time. `ssrc` is that of the source.

    The index of a packet, which makes its nonce, is that of the live stream (`FlushUnit.rollover`), whoever listened before.
    Where nobody has counted, it is counted here; numbers may then go back a little, never by half their range.
    """

    def __init__(
        self, material: KeyMaterial, ssrc: int, rollover: int = 0, *, shared: bool = False, once: bool = False
    ) -> None:
        self.ssrc = ssrc
        self.once = once
        """Whether each packet is sent once, in order: what does not come behind the last one is left out then."""
        self.shared = shared
        """Whether several clients get what it protects, so that it is kept with the unit."""
        self._highest: int | None = None
        self._last = -1
        self._rollover = rollover
        self._reports = itertools.count(1)
        self.rekey(material)

    def rekey(self, material: KeyMaterial) -> None:
        """Another key from now on. Rollover counter and report index go on (Streaming 8.2.1.2)."""
        self.material = material
        self._rtp, self._rtcp = _Keys(material, 0), _Keys(material, 3)

    def without_mki(self) -> Sender:
        """One for clients that know no MKI, under the same key. Both count reports together: an index must not come twice."""
        made = Sender(replace(self.material, mki=b""), self.ssrc, self._rollover, shared=self.shared)
        made._highest, made._reports = self._highest, self._reports
        return made

    def fork(self, material: KeyMaterial) -> Sender:
        """One under another key that goes on for a single client where this one is."""
        made = Sender(material, self.ssrc, self._rollover)
        made._highest, made._reports = (
            self._highest,
            self._reports,
        )  # the client may have chosen the key that it was under
        return made

    @property
    def rollover(self) -> int:
        """For who begins to listen now."""
        return self._rollover if self._highest is None else self._highest >> 16

    def protect(self, unit: FlushUnit) -> FlushUnit:
        """The unit with protected packets, on the same canonical channels."""
        kept = unit.cache.get(self) if self.shared else None
        if isinstance(kept, tuple) and kept[0] is self.material:
            found: FlushUnit = kept[1]
            return found
        pieces: list[bytes] = []
        starts: list[int] = []
        at = 0
        near: int | None = None
        for packet, channel in _packets(unit):
            if near is None and unit.rollover is not None and not channel & 1:
                near = unit.rollover << 16 | int.from_bytes(packet[2:4], "big")
            made = self.report(packet) if channel & 1 else self.packet(packet, near)
            if not made or len(made) > _MAX_FRAMED:
                continue
            starts.append(at)
            pieces += (bytes((0x24, channel)), len(made).to_bytes(2, "big"), made)
            at += 4 + len(made)
        made_unit = FlushUnit(
            unit.track,
            b"".join(pieces),
            tuple(starts),
            unit.key,
            unit.rtp_time,
            unit.utc,
            unit.end_of_frame,
            unit.rtcp,
            {},
            unit.rollover,
        )
        if self.shared:
            unit.cache[self] = (self.material, made_unit)
        return made_unit

    def packet(self, packet: bytes, near: int | None = None) -> bytes:
        """RTP to SRTP; empty for what is no RTP. `near` is an index that its own is near to."""
        size = header_size(packet)
        if not size:
            return b""
        sequence = int.from_bytes(packet[2:4], "big")
        if self._highest is None:
            self._highest = self._rollover << 16 | sequence
        index = max(0, estimate(self._highest if near is None else near, sequence))
        if self.once and index <= self._last:
            return b""
        self._last = index
        self._highest = max(self._highest, index)
        ssrc, keys = int.from_bytes(packet[8:12], "big"), self._rtp
        header, payload = packet[:size], packet[size:]
        if keys.aead:
            return header + keys.seal(keys.nonce(ssrc, index), payload, header) + keys.mki
        data = header + keys.xor(payload, ssrc, index)
        return data + keys.mki + keys.tag(data + (index >> 16 & 0xFFFF_FFFF).to_bytes(4, "big"))

    def report(self, packet: bytes) -> bytes:
        """RTCP to SRTCP."""
        if len(packet) < 8:
            return b""
        index, keys = next(self._reports) & 0x7FFF_FFFF, self._rtcp
        ssrc, word = int.from_bytes(packet[4:8], "big"), (_E | index).to_bytes(4, "big")
        if keys.aead:
            # RFC 7714 9.2, 9.3: the word with E flag and index is authenticated as well
            return packet[:8] + keys.seal(keys.nonce(ssrc, index), packet[8:], packet[:8] + word) + word + keys.mki
        data = packet[:8] + keys.xor(packet[8:], ssrc, index) + word
        return data + keys.mki + keys.tag(data)


def _packets(unit: FlushUnit) -> Iterable[tuple[bytes, int]]:
    data = unit.data
    for start, stop in pairwise((*unit.starts, len(data))):
        yield data[start + 4 : stop], data[start + 1]


class _Window:
    """What of one source has been received (RFC 3711 3.3.2)."""

    __slots__ = ("highest", "mask")

    def __init__(self) -> None:
        self.highest: int | None = None
        self.mask = 0

    def fresh(self, index: int) -> bool:
        if self.highest is None or index > self.highest:
            return True
        behind = self.highest - index
        return behind < WINDOW and not self.mask >> behind & 1

    def note(self, index: int) -> None:
        if self.highest is None:
            self.highest, self.mask = index, 1
        elif index > self.highest:
            self.mask = (self.mask << min(index - self.highest, WINDOW) | 1) & (1 << WINDOW) - 1
            self.highest = index
        else:
            self.mask |= 1 << (self.highest - index)


class Receiver:
    """Checks and opens what one client sends: reports, and sound of a back channel. It knows a few keys, by their MKI."""

    MAX_SOURCES = 4

    def __init__(self, material: KeyMaterial) -> None:
        self._keys: list[tuple[_Keys, _Keys]] = []
        self._rtp: dict[int, _Window] = {}
        self._rtcp: dict[int, _Window] = {}
        self.add(material)

    def add(self, material: KeyMaterial) -> None:
        self._keys = [(_Keys(material, 0), _Keys(material, 3)), *self._keys[: MAX_KEYS - 1]]

    def _window(self, windows: dict[int, _Window], ssrc: int) -> _Window:
        return windows.get(ssrc) or _Window()

    def _note(self, windows: dict[int, _Window], ssrc: int, window: _Window, index: int) -> None:
        window.note(index)
        if ssrc not in windows and len(windows) >= self.MAX_SOURCES:
            windows.pop(next(iter(windows)))
        windows[ssrc] = window

    def packet(self, data: bytes) -> bytes | None:
        """SRTP to RTP; None for what is not authentic, came twice or is too old."""
        size = header_size(data)
        if not size:
            return None
        ssrc, sequence = int.from_bytes(data[8:12], "big"), int.from_bytes(data[2:4], "big")
        window = self._window(self._rtp, ssrc)
        index = sequence if window.highest is None else max(0, estimate(window.highest, sequence))
        if not window.fresh(index):
            return None
        for keys, _ in self._keys:
            opened = _open_rtp(keys, data, size, ssrc, index)
            if opened is not None:
                self._note(self._rtp, ssrc, window, index)
                return opened
        return None

    def report(self, data: bytes) -> bytes | None:
        """SRTCP to RTCP; None as for `packet`."""
        if len(data) < 8:
            return None
        ssrc = int.from_bytes(data[4:8], "big")
        window = self._window(self._rtcp, ssrc)
        for _, keys in self._keys:
            opened = _open_rtcp(keys, data, ssrc)
            if opened is not None and window.fresh(opened[1]):
                self._note(self._rtcp, ssrc, window, opened[1])
                return opened[0]
        return None


def _open_rtp(keys: _Keys, data: bytes, size: int, ssrc: int, index: int) -> bytes | None:
    trailer = len(keys.mki)
    if keys.aead:
        body = data[: len(data) - trailer]
        if data[len(body) :] != keys.mki or len(body) < size + GCM_TAG:
            return None
        plain = keys.open(keys.nonce(ssrc, index), body[size:], body[:size])
        return None if plain is None else body[:size] + plain
    end = len(data) - TAG - trailer
    if end < size or data[end : end + trailer] != keys.mki:
        return None
    expected = keys.tag(data[:end] + (index >> 16).to_bytes(4, "big"))
    if not hmac.compare_digest(expected, data[-TAG:]):
        return None
    return data[:size] + keys.xor(data[size:end], ssrc, index)


def _open_rtcp(keys: _Keys, data: bytes, ssrc: int) -> tuple[bytes, int] | None:
    trailer = len(keys.mki) + (0 if keys.aead else TAG)
    end = len(data) - trailer
    if end < 12 or data[end : end + len(keys.mki)] != keys.mki:
        return None
    word = data[end - 4 : end]
    index = int.from_bytes(word, "big")
    if not index & _E:
        return None  # our policies never leave reports in clear
    index &= 0x7FFF_FFFF
    if keys.aead:
        plain = keys.open(keys.nonce(ssrc, index), data[8 : end - 4], data[:8] + word)
        return None if plain is None else (data[:8] + plain, index)
    if not hmac.compare_digest(keys.tag(data[:end]), data[-TAG:]):
        return None
    return data[:8] + keys.xor(data[8 : end - 4], ssrc, index), index
