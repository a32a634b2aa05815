"""The server's side of a TLS handshake, without sockets, up to the keys of the connection.

Python's TLS library keeps keys to itself but for its key log. Here that goes to a file that exists in memory alone and is
emptied after each step, so what it holds are the secrets of the handshake at hand.
"""

from __future__ import annotations

import functools
import os
import ssl

from onvifd.pki.records import CHANGE_CIPHER_SPEC, HEADER, MAX_RECORD, Papers, RecordLayer, Suite, keys_of_master

_MOST = 64 << 10
"""Bytes of secrets that one step may write; it writes about 1,000."""
_SERVER_HELLO = 2


class _KeyLog:
    """The file in memory. One thread shakes hands, so what is in it after a step comes from that step."""

    def __init__(self) -> None:
        self._fd = os.memfd_create("tls-secrets", os.MFD_CLOEXEC)
        self.path = f"/proc/self/fd/{self._fd}"

    def take(self) -> dict[str, tuple[bytes, bytes]]:
        """What was written since the last time: by label the client's random number and the secret."""
        written = os.pread(self._fd, _MOST, 0)
        if not written:
            return {}
        os.ftruncate(self._fd, 0)
        lines = (line.split() for line in written.decode("ascii").splitlines() if not line.startswith("#"))
        return {each[0]: (bytes.fromhex(each[1]), bytes.fromhex(each[2])) for each in lines if len(each) == 3}


@functools.cache
def _key_log() -> _KeyLog:
    return _KeyLog()


def prepare(context: ssl.SSLContext) -> None:
    """Let connections of a context be handed over. Needed beforehand where one connection changes its context (SNI)."""
    if not getattr(context, "keylog_filename", None):  # None is not among its types
        context.keylog_filename = _key_log().path


class Handshake:
    """One connection until both sides know each other. `connection` can be asked for the client's certificate."""

    def __init__(self, context: ssl.SSLContext) -> None:
        """Raises ssl.SSLError when there is no certificate to show."""
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.connection = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        prepare(self.connection.context)
        self._buffer = bytearray()
        self._out: list[bytes] = []
        self._secrets: dict[str, tuple[bytes, bytes]] = {}
        self._server_random = b""
        self._read, self._written = _Counter(), _Counter()
        self.done = False

    def receive(self, data: bytes) -> None:
        """Take bytes of the client. Raises ssl.SSLError when it fails; what is to be sent then is there as well."""
        buffer = self._buffer
        buffer += data
        while not self.done and len(buffer) >= HEADER:
            size = HEADER + int.from_bytes(buffer[3:5], "big")
            if buffer[0] not in range(20, 24) or size > HEADER + MAX_RECORD:
                size = len(buffer)  # no TLS: the library says what is wrong with it
            if len(buffer) < size:
                break
            # One record at a time: what follows the handshake must not reach the library.
            record = bytes(buffer[:size])
            del buffer[:size]
            self._step(record)

    def _step(self, record: bytes) -> None:
        self._read.count(record)
        self._incoming.write(record)
        _key_log().take()
        try:
            self.connection.do_handshake()
            self.done = True
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        finally:
            self._secrets.update(_key_log().take())
            self._collect()

    def _collect(self) -> None:
        if self.done and self.connection.version() == "TLSv1.3":
            self._written = _Counter(counts=True)  # the step that ends it may send tickets, under the keys that stay
        out = self._outgoing.read()
        if not out:
            return
        self._out.append(out)
        self._written.count(out)
        if not self._server_random and len(out) > 43 and out[5] == _SERVER_HELLO:
            self._server_random = out[11:43]  # RFC 5246 7.4.1.3

    def data_to_send(self) -> bytes:
        data = b"".join(self._out)
        self._out.clear()
        return data

    def finish(self) -> RecordLayer:
        """The connection from here on. Raises ValueError when its keys or suite are not known."""
        cipher = self.connection.cipher()
        name = cipher[0] if cipher else ""
        rest = bytes(self._buffer)
        try:
            if self.connection.version() == "TLSv1.3":
                client, server = (self._secrets[f"{side}_TRAFFIC_SECRET_0"][1] for side in ("CLIENT", "SERVER"))
                return RecordLayer(Papers(True, name, client, server, 0, self._written.number, rest))
            client_random, master = self._secrets["CLIENT_RANDOM"]
        except KeyError as error:
            raise ValueError(f"the TLS library tells no keys ({error})") from None
        finally:
            self._secrets.clear()
        client, server = keys_of_master(Suite.of(name), master, client_random, self._server_random)
        return RecordLayer(Papers(False, name, client, server, self._read.number, self._written.number, rest))


class _Counter:
    """Counts the records under the final keys: in TLS 1.2 those behind ChangeCipherSpec."""

    def __init__(self, *, counts: bool = False) -> None:
        self._counts = counts
        self.number = 0

    def count(self, records: bytes) -> None:
        at = 0
        while at + HEADER <= len(records):
            if self._counts:
                self.number += 1
            elif records[at] == CHANGE_CIPHER_SPEC:
                self._counts = True
            at += HEADER + int.from_bytes(records[at + 3 : at + 5], "big")
