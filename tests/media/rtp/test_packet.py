from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvifd.errors import InvalidArgument
from onvifd.media.rtp import packet as rtp

U32 = st.integers(0, 0xFFFFFFFF)
BLOCK = st.builds(
    rtp.ReportBlock,
    ssrc=U32,
    fraction=st.integers(0, 255),
    lost=st.integers(-0x800000, 0x7FFFFF),
    highest_seq=U32,
    jitter=U32,
    last_sr=U32,
    delay=U32,
)
BLOCKS = st.lists(BLOCK, max_size=3).map(tuple)


def test_header_with_everything() -> None:
    # RFC 3550 5.1: padding, extension of one word, two CSRC
    data = bytes.fromhex("b2e0000100000002000000030000000a0000000b abcd0001 01020304") + b"payload" + b"\0\0\3"
    head = rtp.parse_rtp(data)
    assert (head.marker, head.payload_type, head.seq, head.rtp_time, head.ssrc) == (True, 96, 1, 2, 3)
    assert data[head.start : head.end] == b"payload"
    assert head.extension == (0xABCD, b"\1\2\3\4")


@given(
    marker=st.booleans(), payload_type=st.integers(0, 127), seq=st.integers(0, 65535), rtp_time=U32, payload=st.binary()
)
def test_round_trip(marker: bool, payload_type: int, seq: int, rtp_time: int, payload: bytes) -> None:
    data = rtp.build_rtp(marker=marker, payload_type=payload_type, seq=seq, rtp_time=rtp_time, ssrc=5, payload=payload)
    head = rtp.parse_rtp(b"$$$$" + data + b"more", 4, 4 + len(data))
    assert head[:5] == (marker, payload_type, seq, rtp_time, 5)
    assert (b"$$$$" + data)[head.start : head.end] == payload


@given(st.binary(max_size=64), st.booleans())
def test_garbage_raises_invalid_argument_or_parses(data: bytes, version: bool) -> None:
    if version and data:
        data = bytes((0x80 | data[0] & 0x3F,)) + data[1:]
    try:
        head = rtp.parse_rtp(data)
    except InvalidArgument:
        pass
    else:
        assert 12 <= head.start <= head.end <= len(data)
    try:
        rtp.parse_rtcp(data)
    except InvalidArgument:
        return


@given(ssrc=U32, ntp=st.integers(0, (1 << 64) - 1), rtp_time=U32, packets=U32, octets=U32, blocks=BLOCKS)
def test_sender_report_round_trip(
    ssrc: int, ntp: int, rtp_time: int, packets: int, octets: int, blocks: tuple[rtp.ReportBlock, ...]
) -> None:
    report = rtp.SenderReport(ssrc=ssrc, ntp=ntp, rtp_time=rtp_time, packets=packets, octets=octets, blocks=blocks)
    data = rtp.build_sender_report(report, "camera")
    assert len(data) % 4 == 0
    assert b"camera" in data
    assert rtp.parse_rtcp(data) == [report]


@given(ssrc=U32, blocks=BLOCKS)
def test_receiver_report_and_bye_round_trip(ssrc: int, blocks: tuple[rtp.ReportBlock, ...]) -> None:
    report = rtp.ReceiverReport(ssrc=ssrc, blocks=blocks)
    assert rtp.parse_rtcp(rtp.build_receiver_report(report)) == [report]
    assert rtp.parse_rtcp(rtp.build_bye(ssrc)) == [rtp.ReceiverReport(ssrc=ssrc), rtp.Bye(ssrcs=(ssrc,))]


@pytest.mark.parametrize("data", [b"\x80", b"\x00\xc8\x00\x00", b"\x80\xc8\x00\x06"])
def test_truncated_rtcp_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidArgument):
        rtp.parse_rtcp(data)
