"""MTOM packages (RFC 2387, XOP 1.0)."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvifd.onvif.soap.faults import SoapFault
from onvifd.onvif.soap.mtom import MAX_PARTS, Attachments, Part, is_package, pack, unpack

ENVELOPE = b"<e/>"


def test_what_is_packed_is_unpacked() -> None:
    attachments = Attachments()
    data = os.urandom(5000) + b"\r\n--mime\r\n\r\n"
    href = attachments.add("application/octet-stream", data)
    kind, body = pack(ENVELOPE, attachments.sent)
    assert is_package(kind)
    envelope, parts = unpack(kind, body)
    assert envelope == ENVELOPE
    assert Attachments(parts).get(href) == data


def package(*parts: str, kind: str = 'multipart/related; boundary="b"; start="<root>"') -> tuple[str, bytes]:
    return kind, "".join(f"--b\r\n{part}\r\n" for part in parts).encode() + b"--b--\r\n"


def test_parts_of_other_writers() -> None:
    first = "Content-Type: application/octet-stream\r\nContent-ID: <a%20b@x>\r\nContent-Transfer-Encoding: binary\r\n\r\nDATA"
    root = 'content-id: <root>\r\ncontent-type: application/xop+xml; type="application/soap+xml"\r\n\r\n<e/>'
    envelope, parts = unpack(*package(first, root))
    assert envelope == b"<e/>"
    assert parts == {"a%20b@x": Part("application/octet-stream", b"DATA")}
    envelope, _ = unpack(
        *package(root, first, kind="Multipart/Related; boundary=b")
    )  # the first is the root by default
    assert envelope == b"<e/>"


@pytest.mark.parametrize(
    "bad",
    [
        ("multipart/related", b"--b\r\n\r\nx\r\n--b--"),
        ("multipart/related; boundary=b", b""),
        ("multipart/related; boundary=b", b"--b\r\nContent-ID: <x>\r\n\r\nx"),
        ("multipart/related; boundary=b", b"--b--"),
        ("multipart/related; boundary=b", b"--b\r\nno head\r\n--b--"),
        ("multipart/related; boundary=b", b"--b\r\nContent-Transfer-Encoding: base64\r\n\r\neA==\r\n--b--"),
        ("multipart/related; boundary=b", b"--b\r\n\r\nx\r\n" * (MAX_PARTS + 1) + b"--b--"),
        ("multipart/related; boundary=b\r\nX: y", b"--b\r\n\r\nx\r\n--b--"),
    ],
)
def test_packages_that_are_none(bad: tuple[str, bytes]) -> None:
    with pytest.raises(SoapFault):
        unpack(*bad)


@given(st.text(max_size=60), st.binary(max_size=300))
def test_nothing_but_faults_comes_of_noise(kind: str, body: bytes) -> None:
    for content_type in (kind, "multipart/related; boundary=b; " + kind):
        try:
            unpack(content_type, b"--b\r\n" + body + b"\r\n--b--")
        except SoapFault:
            continue


def test_attachments_that_are_missing() -> None:
    for href in ("cid:x", "http://192.0.2.1/", ""):
        with pytest.raises(SoapFault):
            Attachments().get(href)
