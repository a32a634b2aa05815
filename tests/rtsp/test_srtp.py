"""SRTP: vectors of the RFCs, and both sides against each other."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvifd.media.rtp.rollover import Rollover, estimate
from onvifd.media.types import FlushUnit
from onvifd.rtsp.srtp import WINDOW, KeyMaterial, Receiver, Sender, Suite, _Keys, derive, header_size

SSRC = 0x1234


def rtp(sequence: int, payload: bytes = b"payload", ssrc: int = SSRC) -> bytes:
    return struct.pack(">BBHII", 0x80, 96, sequence & 0xFFFF, 1000, ssrc) + payload


def rtcp(number: int = 0) -> bytes:
    return struct.pack(">BBHIIIIII", 0x80, 200, 6, SSRC, number, 0, 0, 0, 0)


def test_key_derivation() -> None:
    """RFC 3711 B.3."""
    key, salt = bytes.fromhex("E1F97A0D3E018BE0D64FA32C06DE4139"), bytes.fromhex("0EC675AD498AFEEBB6960B3AABE6")
    assert derive(key, salt, 0, 16).hex().upper() == "C61E7A93744F39EE10734AFE3FF7A087"
    assert derive(key, salt, 2, 14).hex().upper() == "30CBBC08863D8C85D49DB34A9AE1"
    assert derive(key, salt, 1, 20).hex().upper() == "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"


def test_key_stream() -> None:
    """RFC 3711 B.2."""
    keys = _Keys(KeyMaterial(Suite.AES_CM_128, bytes(16), bytes(14)), 0)
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    keys.salt = int("F0F1F2F3F4F5F6F7F8F9FAFBFCFD", 16)
    session = bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3C")
    keys._counter = Cipher(algorithms.AES(session), modes.CTR(bytes(16))).encryptor()
    stream = keys.xor(bytes(48), 0, 0)
    assert stream.hex().upper() == (
        "E03EAD0935C95E80E166B16DD92B4EB4D23513162B02D0F72A43A2FE4A5F97AB41E95B3BB0A2E8DD477901E4FCA894C0"
    )


# RFC 7714 16: one packet and session keys for both suites
PACKET = bytes.fromhex("8040f17b8041f8d35501a0b2") + bytes.fromhex(
    "47616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573"
)
SALT = int("517569642070726f2071756f", 16)


@pytest.mark.parametrize(
    ("key", "sealed"),
    [
        (
            "000102030405060708090a0b0c0d0e0f",
            "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833899d7f27beb16a9152cf765ee4390cce",
        ),
        (
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            "32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13",
        ),
    ],
)
def test_aead(key: str, sealed: str) -> None:
    """RFC 7714 16.1.1, 16.2.1."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    suite = Suite.AES_GCM_128 if len(key) == 32 else Suite.AES_GCM_256
    sender = Sender(KeyMaterial(suite, bytes(suite.key_size), bytes(12)), 0x5501A0B2)
    sender._rtp._gcm = AESGCM(bytes.fromhex(key))
    sender._rtp.salt = SALT
    assert sender.packet(PACKET) == PACKET[:12] + bytes.fromhex(sealed)


@pytest.mark.parametrize("suite", list(Suite))
@pytest.mark.parametrize("mki", [b"", b"\0\0\0\5"])
def test_there_and_back(suite: Suite, mki: bytes) -> None:
    material = KeyMaterial(suite, bytes(range(suite.key_size)), bytes(range(suite.salt_size)), mki)
    sender, receiver = Sender(material, SSRC), Receiver(material)
    for number in range(65_530, 65_545):
        packet = rtp(number, bytes(range(number % 7 * 30)))
        made = sender.packet(packet)
        assert made[:12] == packet[:12]
        assert len(made) == len(packet) + (16 if suite.aead else 10) + len(mki)
        assert made.endswith(mki) if suite.aead else made[:-10].endswith(mki)
        assert receiver.packet(made) == packet
        report = rtcp(number)
        assert receiver.report(sender.report(report)) == report
    assert sender.rollover == 1


@pytest.mark.parametrize("suite", list(Suite))
def test_what_is_changed_or_comes_twice_is_not_taken(suite: Suite) -> None:
    material = KeyMaterial.fresh(suite)
    sender, receiver = Sender(material, SSRC), Receiver(material)
    first, second = sender.packet(rtp(1)), sender.packet(rtp(2))
    for at in range(len(second)):
        assert receiver.packet(second[:at] + bytes((second[at] ^ 1,)) + second[at + 1 :]) is None
    assert receiver.packet(second) == rtp(2)
    assert receiver.packet(first) == rtp(1)
    assert receiver.packet(first) is None
    assert receiver.packet(second) is None
    late = sender.packet(rtp(3))
    for number in range(4, 5 + WINDOW):
        assert receiver.packet(sender.packet(rtp(number)))
    assert receiver.packet(late) is None
    report = sender.report(rtcp())
    assert receiver.report(report)
    assert receiver.report(report) is None
    assert receiver.report(b"short") is None
    assert receiver.packet(b"short") is None


def test_rekeying_keeps_the_rollover_counter() -> None:
    """Streaming 8.2.1.2."""
    one, two = KeyMaterial.fresh(Suite.AES_CM_128), KeyMaterial.fresh(Suite.AES_GCM_128)
    sender, receiver = Sender(one, SSRC, 4), Receiver(two)
    sender.packet(rtp(65_535))
    sender.packet(rtp(0))
    assert sender.rollover == 5
    sender.rekey(two)
    assert sender.rollover == 5
    made = sender.packet(rtp(1))
    assert receiver.packet(made) is None  # it knows nothing of the counter
    receiver._rtp[SSRC] = window = type(receiver._window({}, 0))()
    window.note(5 << 16)
    assert receiver.packet(made) == rtp(1)


def test_a_unit_is_encrypted_once_for_all_who_share_a_key() -> None:
    packets = [rtp(7, b"a" * 100), rtp(8, b"b" * 50), rtcp()]
    data, starts = b"", []
    for number, packet in enumerate(packets):
        starts.append(len(data))
        data += bytes((0x24, 3 if number == 2 else 2)) + len(packet).to_bytes(2, "big") + packet
    unit = FlushUnit(1, data, tuple(starts), True, 1, 2, cache={})
    material = KeyMaterial.fresh(Suite.AES_CM_128)
    shared, own = Sender(material, SSRC, shared=True), Sender(material, SSRC)
    made = shared.protect(unit)
    assert shared.protect(unit) is made
    assert own.protect(unit) is not own.protect(unit)
    receiver, at = Receiver(material), 0
    for number, start in enumerate(made.starts):
        assert start == at
        size = int.from_bytes(made.data[start + 2 : start + 4], "big")
        packet = made.data[start + 4 : start + 4 + size]
        at += 4 + size
        assert made.data[start + 1] == (3 if number == 2 else 2)
        assert (receiver.report(packet) if number == 2 else receiver.packet(packet)) == packets[number]
    assert at == len(made.data)
    assert (made.track, made.key, made.utc) == (1, True, 2)
    shared.rekey(KeyMaterial.fresh(Suite.AES_CM_128))
    assert shared.protect(unit) is not made


def unit_of(*packets: bytes, rollover: int | None = None) -> FlushUnit:
    data, starts = b"", []
    for packet in packets:
        starts.append(len(data))
        data += b"\x24\0" + len(packet).to_bytes(2, "big") + packet
    return FlushUnit(0, data, tuple(starts), True, 1, 2, cache={}, rollover=rollover)


def sealed(unit: FlushUnit) -> bytes:
    return unit.data[4:]


@pytest.mark.parametrize("suite", list(Suite))
def test_a_nonce_never_comes_twice_however_long_nobody_listened(suite: Suite) -> None:
    """RFC 3711 9.1. The numbers have gone round meanwhile, and come to one that was there."""
    sender = Sender(KeyMaterial.fresh(suite), SSRC, shared=True)
    payload = bytes(32)
    first = sealed(sender.protect(unit_of(rtp(60_000, payload), rollover=0)))
    again = sealed(sender.protect(unit_of(rtp(60_000, payload), rollover=1)))
    assert first[12:44] != again[12:44]
    assert sender.rollover == 1
    # who joins late gets what was sent before, and it is the same for all
    late = Sender(sender.material, SSRC)
    assert sealed(late.protect(unit_of(rtp(60_000, payload), rollover=0))) == first


def test_a_unit_in_which_the_numbers_begin_anew() -> None:
    material = KeyMaterial.fresh(Suite.AES_CM_128)
    sender, receiver = Sender(material, SSRC, 3), Receiver(material)
    receiver._rtp[SSRC] = window = type(receiver._window({}, 0))()
    window.note(3 << 16 | 65_000)
    made = sender.protect(unit_of(rtp(65_535), rtp(0), rollover=3))
    for start, stop in zip(made.starts, (*made.starts[1:], len(made.data)), strict=True):
        assert receiver.packet(made.data[start + 4 : stop])
    assert sender.rollover == 4


def test_what_goes_out_once_is_not_repeated() -> None:
    sender = Sender(KeyMaterial.fresh(Suite.AES_GCM_128), SSRC, once=True)
    assert sender.protect(unit_of(rtp(5), rtp(6))).starts
    assert not sender.protect(unit_of(rtp(5, b"other"), rtp(6, b"other"))).starts
    assert len(sender.protect(unit_of(rtp(6, b"other"), rtp(7))).starts) == 1


def test_reports_of_a_client_with_a_key_of_its_own_are_counted_on() -> None:
    sender = Sender(KeyMaterial.fresh(Suite.AES_GCM_128), SSRC, shared=True)
    first = sender.report(rtcp())
    assert sender.fork(sender.material).report(rtcp()) != first


def test_a_packet_that_does_not_fit_any_more_is_left_out() -> None:
    sender = Sender(KeyMaterial.fresh(Suite.AES_CM_128), SSRC)
    assert len(sender.protect(unit_of(rtp(1), rtp(2, bytes(65_520)), rtp(3))).starts) == 2


def test_rollovers_of_a_source() -> None:
    count = Rollover()
    assert [count.of(number) for number in (40_000, 65_535, 0, 65_534, 1, 30_000, 60_000, 10, 9)] == [
        0, 0, 1, 0, 1, 1, 1, 2, 2,
    ]  # fmt: skip
    # one that begins anew far behind is not taken for a late one
    assert [count.of(number) for number in (20_000, 5_000)] == [2, 3]


def test_headers_with_sources_and_extension() -> None:
    packet = bytes((0x92, 96)) + bytes(10) + bytes(8) + b"\xab\xac\0\3" + bytes(12) + b"payload"
    assert header_size(packet) == 12 + 8 + 4 + 12
    assert header_size(packet[:30]) == 0
    assert header_size(b"\0" * 20) == 0


@given(index=st.integers(0x10000, 1 << 40), step=st.integers(-0x7FFF, 0x7FFF))
def test_the_index_is_found_however_packets_are_ordered(index: int, step: int) -> None:
    assert estimate(index, (index + step) & 0xFFFF) == index + step


@given(data=st.binary(max_size=80))
@pytest.mark.parametrize("suite", list(Suite))
def test_anything_may_come(suite: Suite, data: bytes) -> None:
    receiver = Receiver(KeyMaterial(suite, bytes(suite.key_size), bytes(suite.salt_size), b"mki4"))
    assert receiver.packet(data) is None
    assert receiver.report(data) is None
