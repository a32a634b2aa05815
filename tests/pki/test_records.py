"""TLS behind the handshake, against the TLS library as the client."""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvifd.pki import records
from onvifd.pki.handshake import Handshake
from onvifd.pki.records import Papers, RecordLayer, TlsFailure, expand_label, prf
from tests.bodies.test_gate import tls as tls

SUITES = (
    ("1.3", ""),
    ("1.2", "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"),
    ("1.2", "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"),
    ("1.2", "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"),
)


class Client:
    """The TLS library."""

    def __init__(
        self, version: str, suites: str, session: ssl.SSLSession | None = None, context: ssl.SSLContext | None = None
    ) -> None:
        if context is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            if version == "1.2":
                context.maximum_version = ssl.TLSVersion.TLSv1_2
                context.set_ciphers(suites)
        self.context = context
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.object = context.wrap_bio(self.incoming, self.outgoing, session=session)

    def shake(self) -> bytes:
        with contextlib.suppress(ssl.SSLWantReadError):
            self.object.do_handshake()
        return self.outgoing.read()

    def read(self, data: bytes) -> bytes:
        self.incoming.write(data)
        found = b""
        try:
            while more := self.object.read(1 << 20):
                found += more
        except ssl.SSLWantReadError:
            pass
        return found

    def write(self, data: bytes) -> bytes:
        self.object.write(data)
        return self.outgoing.read()


def meet(context: ssl.SSLContext, client: Client, first: bytes = b"") -> RecordLayer:
    """`first` is content that comes with the client's last flight."""
    server = Handshake(context)
    for _ in range(5):
        sent = client.shake()
        if first and client.object.version() and _finished(client):
            sent += client.write(first)
        server.receive(sent)
        client.incoming.write(server.data_to_send())
        if server.done:
            break
    client.shake()
    return server.finish()


def _finished(client: Client) -> bool:
    try:
        client.object.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


@pytest.mark.parametrize(("version", "suites"), SUITES)
def test_content_goes_both_ways(tls: ssl.SSLContext, version: str, suites: str) -> None:
    client = Client(version, suites)
    layer = meet(tls, client)
    for size in (0, 1, 16_384, 16_385, 100_000):
        data = bytes(range(256)) * (size // 256 + 1)
        assert client.read(layer.seal(data[:size])) == data[:size]
        if size:
            assert layer.feed(client.write(data[:size])) == data[:size]


@pytest.mark.parametrize(("version", "suites"), SUITES)
def test_another_process_goes_on(tls: ssl.SSLContext, version: str, suites: str) -> None:
    client = Client(version, suites)
    layer = meet(tls, client)
    assert client.read(layer.seal(b"one")) == b"one"
    whole = client.write(b"two") + client.write(b"three")
    got = layer.feed(whole[:30])
    other = RecordLayer.unpack(layer.pack())
    got += other.feed(whole[30:])
    assert got == b"twothree"
    assert client.read(other.seal(b"four")) == b"four"


def test_content_may_come_with_the_end_of_the_handshake(tls: ssl.SSLContext) -> None:
    client = Client("1.3", "")
    layer = meet(tls, client, b"DESCRIBE")
    assert layer.feed(b"") == b"DESCRIBE"
    assert client.read(layer.seal(b"200 OK")) == b"200 OK"


def test_a_server_that_gives_no_tickets(tls: ssl.SSLContext) -> None:
    tls.num_tickets = 0
    client = Client("1.3", "")
    layer = meet(tls, client)
    assert client.read(layer.seal(b"hello")) == b"hello"


def test_a_session_that_is_resumed(tls: ssl.SSLContext) -> None:
    for version, suites in SUITES[:2]:
        first = Client(version, suites)
        layer = meet(tls, first)
        first.read(layer.seal(b"x"))
        again = Client(version, suites, first.object.session, first.context)
        layer = meet(tls, again)
        assert again.object.session_reused
        assert again.read(layer.seal(b"hello")) == b"hello"
        assert layer.feed(again.write(b"back")) == b"back"


def test_the_end_is_said_and_heard(tls: ssl.SSLContext) -> None:
    client = Client("1.3", "")
    layer = meet(tls, client)
    client.incoming.write(layer.close())
    assert client.object.read(10) == b""
    client.object.unwrap()
    data = client.outgoing.read()
    assert layer.feed(data) == b""
    assert layer.closed


@pytest.mark.parametrize(("version", "suites"), SUITES)
def test_what_is_not_authentic_ends_it(tls: ssl.SSLContext, version: str, suites: str) -> None:
    client = Client(version, suites)
    layer = meet(tls, client)
    wire = bytearray(client.write(b"content"))
    wire[-1] ^= 1
    with pytest.raises(TlsFailure) as failure:
        layer.feed(bytes(wire))
    client.incoming.write(failure.value.alert)
    with pytest.raises(ssl.SSLError, match="BAD_RECORD_MAC"):
        client.object.read(1)


def test_a_record_twice_ends_it(tls: ssl.SSLContext) -> None:
    client = Client("1.3", "")
    layer = meet(tls, client)
    wire = client.write(b"once")
    assert layer.feed(wire) == b"once"
    with pytest.raises(TlsFailure):
        layer.feed(wire)


def pair() -> tuple[RecordLayer, RecordLayer]:
    suite = "TLS_AES_128_GCM_SHA256"
    here = Papers(True, suite, bytes(32), bytes(range(32)))
    return RecordLayer(here), RecordLayer(Papers(True, suite, here.writing, here.reading))


def test_keys_are_updated_when_asked_and_by_ourselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 8446 4.6.3, 5.5."""
    one, two = pair()
    assert two.feed(one._update(request=True) + one.seal(b"a")) == b"a"
    assert one.feed(two.replies() + two.seal(b"b")) == b"b"
    monkeypatch.setattr(records, "KEY_UPDATE_AFTER", 3)
    for number in range(10):
        assert two.feed(one.seal(bytes((number,)))) == bytes((number,))
    assert two.replies() == b""


def test_a_flood_of_updates_costs_one_answer_and_then_the_connection() -> None:
    one, two = pair()
    flood = b"".join(one._update(request=True) for _ in range(records.MAX_BARREN))
    assert two.feed(flood + one.seal(b"a")) == b"a"
    assert len(two.replies()) == 5 + 5 + 1 + 16
    assert two.replies() == b""
    with pytest.raises(TlsFailure, match="without content"):
        two.feed(b"".join(one._update(request=True) for _ in range(records.MAX_BARREN + 1)))
    one, two = pair()
    with pytest.raises(TlsFailure, match="without content"):
        two.feed(b"".join(one.seal(b"") for _ in range(100)))


def test_an_update_that_is_owed_goes_before_content_and_along_to_another_process() -> None:
    one, two = pair()
    assert two.feed(one._update(request=True) + one.seal(b"a")) == b"a"
    two = RecordLayer.unpack(two.pack())
    assert one.feed(two.seal(b"b")) == b"b"
    assert two.replies() == b""


def test_behind_the_end_nothing_is_gathered() -> None:
    one, two = pair()
    assert two.feed(one.seal(b"a") + one.close() + b"rest") == b"a"
    assert two.closed
    for _ in range(10):
        assert two.feed(bytes(10_000)) == b""
    assert not two._buffer


def test_the_library_understands_an_update_of_keys(tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client("1.3", "")
    layer = meet(tls, client)
    monkeypatch.setattr(records, "KEY_UPDATE_AFTER", 4)
    for number in range(20):
        assert client.read(layer.seal(b"%d" % number)) == b"%d" % number


def test_the_library_updates_its_keys_when_it_is_asked(tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 8446 4.6.3, 5.5: once, not with every record until it does."""
    monkeypatch.setattr(records, "ASK_AFTER", 5)
    client = Client("1.3", "")
    layer = meet(tls, client)
    used: list[bytes] = []
    for number in range(30):
        assert layer.feed(client.write(b"%d" % number)) == b"%d" % number
        assert client.read(layer.replies() + layer.seal(b"ok")) == b"ok"
        assert layer.replies() == b""
        used.append(layer._in.secret)
    assert len(set(used)) == 6
    assert not layer.spent


def test_a_client_that_does_not_update_its_keys_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "ASK_AFTER", 5)
    monkeypatch.setattr(records, "SPENT_AFTER", 10)
    one, two = pair()
    asked = b""
    for number in range(9):
        assert two.feed(one.seal(b"%d" % number)) == b"%d" % number
        asked += two.replies()
    assert not two.spent
    two.feed(one.seal(b"ten"))
    assert two.spent
    assert one.feed(asked) == b""
    assert one._owed, "it was asked"
    assert len(asked) == 5 + 5 + 1 + 16


@pytest.mark.parametrize(("version", "suites"), SUITES)
def test_keys_that_cannot_be_exchanged_are_spent(
    tls: ssl.SSLContext, version: str, suites: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AES-GCM bears 2 ** 24.5 records under one key, ChaCha20 as many as there may be (RFC 8446 5.5)."""
    assert records.KEY_UPDATE_AFTER < records.ASK_AFTER < records.SPENT_AFTER < records.WORN_AFTER < 2**24.5
    for name, number in (("KEY_UPDATE_AFTER", 10), ("ASK_AFTER", 15), ("SPENT_AFTER", 20), ("WORN_AFTER", 25)):
        monkeypatch.setattr(records, name, number)
    client = Client(version, suites)
    layer = meet(tls, client)
    spent, worn = [], []
    for _ in range(40):
        assert client.read(layer.seal(b"media")) == b"media"
        spent.append(layer.spent)
        worn.append(layer.worn)
    if version == "1.3" or "CHACHA" in suites:
        assert not any(spent + worn)
        return
    assert spent.index(True) in (18, 19)  # Finished was the first record
    assert worn.index(True) - spent.index(True) == 5
    client.incoming.write(layer.close())
    assert client.object.read(10) == b"", "the end is said, and said under keys that hold"


@pytest.mark.parametrize(
    "wire",
    [b"\x14\x03\x03\x00\x01\x01", b"\x17\x03\x03\x00\x00", b"\x17\x03\x03\xff\xff", b"\x16\x03\x03\x00\x05hello"],
)
def test_records_that_may_not_come(wire: bytes) -> None:
    _, layer = pair()
    with pytest.raises(TlsFailure) as failure:
        layer.feed(wire)
    assert failure.value.alert


@given(data=st.binary(max_size=200))
def test_anything_may_come(data: bytes) -> None:
    one, two = pair()
    try:
        assert two.feed(data) == b""
    except TlsFailure as failure:
        with pytest.raises(TlsFailure, match="alert"):
            one.feed(failure.alert)


def test_known_keys() -> None:
    """RFC 8448 3: server's application traffic secret of the simple handshake."""
    secret = bytes.fromhex("a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643")
    assert expand_label(secret, "key", 16, "sha256").hex() == "9f02283b6c9c07efc26bb9f2ac92e356"
    assert expand_label(secret, "iv", 12, "sha256").hex() == "cf782b88dd83549aadf1e984"


def test_known_prf() -> None:
    """The vector for P_SHA256 that was published on the TLS mailing list."""
    secret = bytes.fromhex("9bbe436ba940f017b17652849a71db35")
    seed = bytes.fromhex("a0ba9f936cda311827a6f796ffd5198c")
    made = prf(secret, b"test label", seed, 100, "sha256")
    assert made.hex().startswith("e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a")


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    assert "00" not in repr(Papers(True, "TLS_AES_128_GCM_SHA256", bytes(32), bytes(32)))


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b"\x80" * 40])
def test_a_handshake_that_is_none(tls: ssl.SSLContext, data: bytes) -> None:
    server = Handshake(tls)
    with pytest.raises(ssl.SSLError):
        server.receive(data)
    assert not server.done
