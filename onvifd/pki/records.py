"""TLS behind the handshake, without sockets: records in, records out (RFC 8446 5; RFC 5246 6.2 with the suites of RFC 5288, 7905).

A handshake ends in a `RecordLayer`. Its state can be packed and given to another process, which goes on where it was: so the
process that has the certificates shakes hands, and the one that has the media encrypts it, without knowing any private key.
Only the authenticated suites that the server offers are known (pki.contexts.CIPHERS and those of TLS 1.3).
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Protocol

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

MAX_PLAIN = 16 << 10
"""Octets of content in one record (RFC 8446 5.1)."""
MAX_RECORD = MAX_PLAIN + 256
HEADER = 5
TAG = 16
KEY_UPDATE_AFTER = 1 << 23
"""Records under one key of ours; AES-GCM bears 2 ** 24.5 (RFC 8446 5.5)."""
ASK_AFTER = 3 << 22
"""Records under one key of the client, which is then asked to take another one."""
SPENT_AFTER = 1 << 24
"""Records under one key of AES-GCM where it was not exchanged: TLS 1.2 cannot, and a client may not do as it is asked. The
connection is then to be closed at the next occasion,"""
WORN_AFTER = 5 << 22
"""and at this number whatever it is doing."""

MAX_BARREN = 32
"""Records in a row without content. What they cost us is many times what they cost a client: updates of keys, above all."""

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION = 20, 21, 22, 23
_UNEXPECTED, _BAD_MAC, _OVERFLOW, _DECODE = 10, 20, 22, 50
_KEY_UPDATE = 24


class TlsFailure(Exception):
    """The connection is of no more use. `alert` is to be sent as the last bytes; empty if the peer needs none."""

    def __init__(self, reason: str, alert: bytes = b"") -> None:
        super().__init__(reason)
        self.alert = alert


class Papers(msgspec.Struct, frozen=True, array_like=True):
    """The state of a connection. For TLS 1.3 `reading` and `writing` are traffic secrets, for 1.2 key and IV together."""

    tls13: bool
    suite: str
    reading: bytes
    writing: bytes
    read: int = 0
    """Records so far, by which nonces are made."""
    written: int = 0
    rest: bytes = b""
    """What was received and is not a whole record yet."""
    owed: bool = False
    """Whether the client waits for an update of our keys."""

    def __repr__(self) -> str:
        return f"Papers({self.suite})"  # secrets never reach a log


class _Aead(Protocol):
    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes: ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes: ...


class Suite(msgspec.Struct, frozen=True):
    """What a suite's name says."""

    chacha: bool
    key_size: int
    hash_name: str

    @staticmethod
    def of(name: str) -> Suite:
        """By the library's name. Raises ValueError for a suite that is not authenticated encryption."""
        plain = name.upper().replace("_", "").replace("-", "")
        hash_name = "sha384" if plain.endswith("SHA384") else "sha256"
        if "CHACHA20POLY1305" in plain:
            return Suite(True, 32, "sha256")
        if "AES128GCM" in plain:
            return Suite(False, 16, hash_name)
        if "AES256GCM" in plain:
            return Suite(False, 32, hash_name)
        raise ValueError(f"TLS suite {name} cannot be handed over")

    def aead(self, key: bytes) -> _Aead:
        return ChaCha20Poly1305(key) if self.chacha else AESGCM(key)


def expand_label(secret: bytes, label: str, size: int, hash_name: str) -> bytes:
    """HKDF-Expand-Label with an empty context (RFC 8446 7.1)."""
    full = b"tls13 " + label.encode()
    info = size.to_bytes(2, "big") + bytes((len(full),)) + full + b"\0"
    made, block, count = b"", b"", 0
    while len(made) < size:
        count += 1
        block = hmac.digest(secret, block + info + bytes((count,)), hash_name)
        made += block
    return made[:size]


def prf(secret: bytes, label: bytes, seed: bytes, size: int, hash_name: str) -> bytes:
    """The pseudorandom function of TLS 1.2 (RFC 5246 5)."""
    seed = label + seed
    made, link = b"", seed
    while len(made) < size:
        link = hmac.digest(secret, link, hash_name)
        made += hmac.digest(secret, link + seed, hash_name)
    return made[:size]


def keys_of_master(suite: Suite, master: bytes, client_random: bytes, server_random: bytes) -> tuple[bytes, bytes]:
    """Key and IV of the client and of the server in TLS 1.2 (RFC 5246 6.3)."""
    iv = 12 if suite.chacha else 4  # RFC 7905 2, RFC 5288 3
    size = suite.key_size
    block = prf(master, b"key expansion", server_random + client_random, 2 * (size + iv), suite.hash_name)
    client, server = block[:size], block[size : 2 * size]
    ivs = block[2 * size :]
    return client + ivs[:iv], server + ivs[iv:]


class _Direction:
    """Keys of one direction."""

    __slots__ = ("aead", "iv", "number", "salt", "secret", "sequence", "suite", "tls13")

    def __init__(self, suite: Suite, tls13: bool, secret: bytes, sequence: int) -> None:
        self.suite, self.tls13, self.sequence = suite, tls13, sequence
        self._use(secret)

    def _use(self, secret: bytes) -> None:
        self.secret = secret
        if self.tls13:
            key = expand_label(secret, "key", self.suite.key_size, self.suite.hash_name)
            self.iv = expand_label(secret, "iv", 12, self.suite.hash_name)
        else:
            key, self.iv = secret[: self.suite.key_size], secret[self.suite.key_size :]
        self.aead = self.suite.aead(key)
        self.salt = self.iv[:4]
        self.number = int.from_bytes(self.iv, "big")

    def update(self) -> None:
        """The next generation of keys (RFC 8446 7.2)."""
        size = hashlib.new(self.suite.hash_name).digest_size
        self.sequence = 0
        self._use(expand_label(self.secret, "traffic upd", size, self.suite.hash_name))


class RecordLayer:
    """One connection behind its handshake. `closed` is set once the peer has said that nothing more comes."""

    def __init__(self, papers: Papers) -> None:
        """Raises ValueError for a suite that is not known."""
        self._papers = papers
        self._tls13 = papers.tls13
        suite = Suite.of(papers.suite)
        self._in = _Direction(suite, papers.tls13, papers.reading, papers.read)
        self._out = _Direction(suite, papers.tls13, papers.writing, papers.written)
        self._explicit = not papers.tls13 and not suite.chacha
        self._buffer = bytearray(papers.rest)
        self._owed = papers.owed
        self._asked = False
        """Whether the client was asked to update its keys and has not done it yet."""
        self._aes_gcm = not suite.chacha
        self._barren = 0
        self.closed = False

    @staticmethod
    def unpack(data: bytes) -> RecordLayer:
        """Raises ValueError."""
        return RecordLayer(msgspec.msgpack.decode(data, type=Papers))

    def pack(self) -> bytes:
        """The state as it is now; this object must not be used any more."""
        state = msgspec.structs.replace(
            self._papers,
            reading=self._in.secret,
            writing=self._out.secret,
            read=self._in.sequence,
            written=self._out.sequence,
            rest=bytes(self._buffer),
            owed=self._owed,
        )
        return msgspec.msgpack.encode(state)

    # ---- out

    def seal(self, data: bytes | memoryview) -> bytes:
        """Content as records, to be sent as one."""
        if len(data) <= MAX_PLAIN:
            return self._seal(APPLICATION, data)
        view = memoryview(data)
        pieces = (view[at : at + MAX_PLAIN] for at in range(0, len(view), MAX_PLAIN))
        return b"".join([self._seal(APPLICATION, piece) for piece in pieces])

    def close(self) -> bytes:
        """The record that says that nothing more comes (RFC 8446 6.1)."""
        return self._seal(ALERT, b"\x01\x00")

    def replies(self) -> bytes:
        """What the protocol itself has to send. It goes before the next content in any case (RFC 8446 4.6.3)."""
        return self._renew() if self._owed else b""

    @property
    def spent(self) -> bool:
        """Whether the keys have been used for as long as they may (RFC 8446 5.5; what it says of AES-GCM holds for TLS 1.2 as well)."""
        return self._aes_gcm and max(self._in.sequence, self._out.sequence) >= SPENT_AFTER

    @property
    def worn(self) -> bool:
        """Whether nothing but the end may be said with them."""
        return self._aes_gcm and max(self._in.sequence, self._out.sequence) >= WORN_AFTER

    def _seal(self, kind: int, data: bytes | memoryview) -> bytes:
        out = self._out
        if self._tls13:
            before = b""
            if self._owed or out.sequence >= KEY_UPDATE_AFTER:
                before = self._renew()
            header = b"\x17\x03\x03" + (len(data) + 1 + TAG).to_bytes(2, "big")
            nonce = (out.number ^ out.sequence).to_bytes(12, "big")
            out.sequence += 1
            return before + header + out.aead.encrypt(nonce, b"".join((data, bytes((kind,)))), header)
        sequence = out.sequence.to_bytes(8, "big")
        size = len(data)
        extra = sequence + bytes((kind, 3, 3)) + size.to_bytes(2, "big")
        explicit = sequence if self._explicit else b""
        nonce = out.salt + sequence if explicit else (out.number ^ out.sequence).to_bytes(12, "big")
        out.sequence += 1
        sealed = out.aead.encrypt(nonce, bytes(data), extra)
        return bytes((kind, 3, 3)) + (len(explicit) + len(sealed)).to_bytes(2, "big") + explicit + sealed

    def _renew(self) -> bytes:
        request = self._in.sequence >= ASK_AFTER and not self._asked
        self._asked |= request
        return self._update(request=request)

    def _update(self, *, request: bool) -> bytes:
        """Say that our next records are under new keys, and take those (RFC 8446 4.6.3)."""
        out, self._owed = self._out, False
        message = bytes((_KEY_UPDATE, 0, 0, 1, request))
        header = b"\x17\x03\x03" + (len(message) + 1 + TAG).to_bytes(2, "big")
        nonce = (out.number ^ out.sequence).to_bytes(12, "big")
        record = header + out.aead.encrypt(nonce, message + bytes((HANDSHAKE,)), header)
        out.update()
        return record

    # ---- in

    def feed(self, data: bytes) -> bytes:
        """Take bytes; gives the content of whole records. What comes behind the end is left out. Raises TlsFailure."""
        if self.closed:
            return b""
        buffer = self._buffer
        buffer += data
        content: list[bytes] = []
        while not self.closed and len(buffer) >= HEADER:
            size = int.from_bytes(buffer[3:5], "big")
            if size > MAX_RECORD:
                raise self._failure(_OVERFLOW, "record is too large")
            if len(buffer) < HEADER + size:
                break
            header, sealed = bytes(buffer[:HEADER]), bytes(buffer[HEADER : HEADER + size])
            del buffer[: HEADER + size]
            kind, plain = self._open13(header, sealed) if self._tls13 else self._open12(header, sealed)
            if len(plain) > MAX_PLAIN:
                raise self._failure(_OVERFLOW, "content of a record is too large")
            if kind == APPLICATION and plain:
                content.append(plain)
                self._barren = 0
                continue
            self._barren += 1
            if self._barren > MAX_BARREN:
                raise self._failure(_UNEXPECTED, "too many records without content")
            if kind != APPLICATION:
                self._handle(kind, plain)
        if self._tls13 and self._in.sequence >= ASK_AFTER and not self._asked:
            self._owed = True
        return b"".join(content)

    def _failure(self, description: int, reason: str) -> TlsFailure:
        return TlsFailure(reason, self._seal(ALERT, bytes((2, description))))

    def _decrypt(self, nonce: bytes, sealed: bytes, extra: bytes) -> bytes:
        try:
            plain = self._in.aead.decrypt(nonce, sealed, extra)
        except (InvalidTag, ValueError):
            raise self._failure(_BAD_MAC, "record is not authentic") from None
        self._in.sequence += 1
        return plain

    def _open13(self, header: bytes, sealed: bytes) -> tuple[int, bytes]:
        if header[0] != APPLICATION:
            raise self._failure(_UNEXPECTED, "record in clear")
        nonce = (self._in.number ^ self._in.sequence).to_bytes(12, "big")
        plain = self._decrypt(nonce, sealed, header).rstrip(b"\0")  # RFC 8446 5.4: padding
        if not plain:
            raise self._failure(_UNEXPECTED, "record without content type")
        return plain[-1], plain[:-1]

    def _open12(self, header: bytes, sealed: bytes) -> tuple[int, bytes]:
        incoming = self._in
        sequence = incoming.sequence.to_bytes(8, "big")
        if self._explicit:
            nonce, sealed = incoming.salt + sealed[:8], sealed[8:]
        else:
            nonce = (incoming.number ^ incoming.sequence).to_bytes(12, "big")
        size = len(sealed) - TAG
        if size < 0:
            raise self._failure(_BAD_MAC, "record is too short")
        return header[0], self._decrypt(nonce, sealed, sequence + header[:3] + size.to_bytes(2, "big"))

    def _handle(self, kind: int, plain: bytes) -> None:
        if kind == ALERT:
            if len(plain) != 2:
                raise self._failure(_DECODE, "alert is malformed")
            if plain[1] == 0:
                self.closed = True
                self._buffer.clear()
                return
            raise TlsFailure(f"client gives alert {plain[1]}")
        if kind == HANDSHAKE and self._tls13 and plain in (_UPDATE, _UPDATE_BOTH):
            self._in.update()
            self._asked = False
            self._owed |= plain == _UPDATE_BOTH  # one update answers several
            return
        raise self._failure(_UNEXPECTED, f"record of type {kind} at the wrong time")  # renegotiation included


_UPDATE = bytes((_KEY_UPDATE, 0, 0, 1, 0))
_UPDATE_BOTH = bytes((_KEY_UPDATE, 0, 0, 1, 1))
