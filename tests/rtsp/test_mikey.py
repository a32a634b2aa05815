"""MIKEY messages (RFC 3830, RFC 4567; Streaming 8.2)."""

from __future__ import annotations

import contextlib
from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvifd.errors import BadInput
from onvifd.rtsp import mikey
from onvifd.rtsp.mikey import CryptoSession
from onvifd.rtsp.srtp import KeyMaterial, Suite

# The examples of Streaming 8.2.1, by Genetec's client and a device
SETUP = (
    'prot=mikey;uri="";data="AQAFAP1td9ABAADCD1UcAAAAAAoAAdOOGc75XD0BAAAAGAABAQEBE'
    'AIBAQMBFAcBAQgBAQoBAQsBCgAAACcAIQAe30C59UrClE0e27UP5h/Wty9UL8+dfzg+2ttmmo3kBAAAAC8A"'
)
SET_PARAMETER = (
    "mikey: AQAFAGgCr8EBAADSvxgkAAAAAAoAAdOOK7UihqIBAAAAGAABAQEBEAIBAQMBFAcBAQgBAQoBAQsBCgA\r\n"
    " AACcAIQAepekjs88g+Q7AU6LAvRsoVyn18ZW1JuXI9qht4g6+BAAAAAIA\r\n"
)
GET_PARAMETER = (
    "AQAFAGrVolgBAADdBcAoAAAAAAsA2/K83QArhBIKEGrVolg1GZvp7DPyFCdYmXABAAAAGwABAQEBEAIBAQM"
    "BFAQBDgcBAQgBAQoBAQsBCgAAACcAIQAe7OzS5umZMXHqaegZC3UkDwbC5NNpj4b8+fB6MROeBAAAAA0A"
)


def test_the_key_of_a_client() -> None:
    uri, message = mikey.from_header(SETUP)
    assert uri == ""
    assert message.sessions == (CryptoSession(0, 0xC20F551C, 0),)
    material = message.material()
    assert material.suite is Suite.AES_CM_128
    assert material.mki.hex() == "0000002f"
    assert (material.key + material.salt).hex() == "df40b9f54ac2944d1edbb50fe61fd6b72f542fcf9d7f383edadb669a8de4"


def test_a_new_key_of_a_client() -> None:
    message = mikey.from_parameters(SET_PARAMETER.encode())
    assert message is not None
    assert message.material().mki.hex() == "00000002"


def test_the_key_of_a_device() -> None:
    message = mikey.from_text(GET_PARAMETER)
    assert message.sessions == (CryptoSession(0, 0xDD05C028, 0),)
    assert message.material().mki.hex() == "0000000d"


def test_what_is_built_is_what_the_specification_shows() -> None:
    """All but time and random number; the policy has the salt's size and the PRF besides."""
    shown = mikey.from_text(GET_PARAMETER)
    made = mikey.build(
        shown.material(), shown.csb_id, shown.sessions[0], 0xDBF2BCDD002B8412, b64decode(GET_PARAMETER)[32:48]
    )
    assert mikey.parse(made) == shown
    assert made[:19] == b64decode(GET_PARAMETER)[:19]


@pytest.mark.parametrize("suite", list(Suite))
@pytest.mark.parametrize("mki", [b"", b"\1\2\3\4"])
def test_there_and_back(suite: Suite, mki: bytes) -> None:
    material = KeyMaterial(suite, bytes(range(suite.key_size)), bytes(range(suite.salt_size)), mki)
    session = CryptoSession(0, 0x12345678, 3)
    made = mikey.build(material, 7, session, 1, bytes(16))
    message = mikey.from_text(mikey.to_text(made))
    assert message.material() == material
    assert message.sessions == (session,)
    uri, again = mikey.from_header(mikey.to_header("rtsps://h/live/track1", made))
    assert (uri, again) == ("rtsps://h/live/track1", message)


def test_a_message_without_policy_or_random_number() -> None:
    """Streaming 8.2.1.2: both may be left out when keys are exchanged."""
    material = KeyMaterial(Suite.AES_GCM_128, bytes(16), bytes(12), b"mki4")
    whole = mikey.build(material, 7, CryptoSession(0, 1, 0), 1, bytes(16))
    at = whole.index(b"\1\0\0", 19)
    kemac = whole[-(4 + 4 + 16 + 2 + 12 + 5 + 1) :]
    short = whole[:2] + b"\1" + whole[3:19] + kemac
    assert at
    message = mikey.parse(short)
    assert message.suite is None
    assert message.material(Suite.AES_GCM_128) == material
    with pytest.raises(BadInput, match="28 octets"):
        message.material()


HEADER = bytes.fromhex("01000100000000010100000000000100000000")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\2" + HEADER[1:],
        b"\1\2" + HEADER[2:],
        HEADER[:9] + b"\7" + HEADER[10:],
        HEADER,
        HEADER[:2] + b"\0" + HEADER[3:],
        HEADER[:2] + b"\3" + HEADER[3:] + bytes(40),
        HEADER + bytes.fromhex("0001000000"),
        HEADER + bytes.fromhex("000000040021000000"),
        HEADER + bytes.fromhex("00000005000000010000"),
        bytes(5000),
    ],
)
def test_what_is_refused(data: bytes) -> None:
    with pytest.raises(BadInput, match="MIKEY"):
        mikey.parse(data).material()


@pytest.mark.parametrize("header", ["", "prot=mikey", "prot=pk;data=AQAF", 'prot=mikey;data="***"', "prot=mikey;data="])
def test_headers_that_are_refused(header: str) -> None:
    with pytest.raises(BadInput):
        mikey.from_header(header)


def test_parameters_without_a_message() -> None:
    assert mikey.from_parameters(b"position: 3\r\n") is None


@given(data=st.binary(max_size=300), begin=st.integers(0, 150))
def test_anything_may_come(data: bytes, begin: int) -> None:
    for each in (data, b64decode(GET_PARAMETER)[:begin] + data):
        with contextlib.suppress(BadInput):
            mikey.parse(each).material()
