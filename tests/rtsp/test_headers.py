"""Values of RTSP headers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvifd.rtsp import headers as h
from onvifd.rtsp.messages import RtspError
from onvifd.rtsp.play import Frames

T0 = 1_245_066_540_440_000  # 2009-06-15T11:49:00.440Z


def status_of(function: object, *args: object) -> int:
    with pytest.raises(RtspError) as caught:
        function(*args)  # type: ignore[operator]
    return caught.value.status


def test_transport_alternatives_in_order() -> None:
    first, second, third = h.parse_transport(
        'RTP/AVP/UDP;unicast;client_port=5000-5001;mode="PLAY", RTP/AVP/TCP;unicast;interleaved=2-3,RTP/AVP;multicast'
    )
    assert (first.tcp, first.client_port, first.mode) == (False, (5000, 5001), "PLAY")
    assert (second.tcp, second.interleaved) == (True, (2, 3))
    assert not third.unicast


def test_single_port_means_the_next_for_rtcp() -> None:
    (transport,) = h.parse_transport("RTP/AVP;unicast;client_port=4588")
    assert transport.client_port == (4588, 4589)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "RAW/RAW/UDP",
        "RTP",
        "RTP/AVP;client_port=70000-70001",
        "RTP/AVP/TCP;interleaved=255-256",
        "RTP/AVP;client_port=a",
    ],
)
def test_unusable_transports_are_left_out(value: str) -> None:
    assert h.parse_transport(value) == []


def test_transport_format() -> None:
    udp = h.Transport(client_port=(5000, 5001), server_port=(6000, 6001), ssrc=0xAB)
    assert udp.format() == "RTP/AVP;unicast;client_port=5000-5001;server_port=6000-6001;ssrc=000000AB"
    assert h.Transport(tcp=True, interleaved=(0, 1)).format() == "RTP/AVP/TCP;unicast;interleaved=0-1"
    assert h.parse_transport(udp.format()) == [udp]


@pytest.mark.parametrize(
    ("value", "start", "end"),
    [
        ("clock=20090615T114900.440Z-", T0, None),
        ("clock=20090615T114900.44Z-20090615T115000Z", T0, T0 + 59_560_000),
        ("clock=20090615T115000Z-20090615T114900.440000000Z", T0 + 59_560_000, T0),
        ("clock=-20090615T114900.440Z", None, T0),
        ("CLOCK = 20090615T114900.440123456Z - ;time=19970123T143720Z", T0 + 123, None),
    ],
)
def test_clock_range(value: str, start: int | None, end: int | None) -> None:
    span = h.parse_range(value)
    assert (span.start, span.end, span.npt) == (start, end, False)


def test_npt_range() -> None:
    assert h.parse_range("npt=now-").now
    assert h.parse_range("npt=0.000-").npt_start == 0.0
    assert h.parse_range("npt=1:02:03.5-").npt_start == 3723.5
    span = h.parse_range("npt=10-20.5")
    assert (span.npt_start, span.npt_end, span.start) == (10, 20.5, None)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "clock=-",
        "clock=20090615T114900.440Z",
        "clock=20091315T114900Z-",
        "clock=20090615T114900.0123456789Z-",
        "clock=20090615T114900.Z-",
        "smpte=0:10:00-",
        "npt=x-",
        "npt=-",
    ],
)
def test_bad_range_is_457(value: str) -> None:
    assert status_of(h.parse_range, value) == 457


@given(st.integers(0, 4_000_000_000_000_000))
def test_clock_time_survives(utc: int) -> None:
    assert h.parse_utc(h.format_utc(utc)) == utc
    assert h.parse_range(h.Range(start=utc, end=utc + 1).format()) == h.Range(start=utc, end=utc + 1)


def test_range_format() -> None:
    assert h.Range(start=T0).format() == "clock=20090615T114900.440Z-"
    assert h.Range(npt=True, now=True).format() == "npt=now-"


def test_session() -> None:
    assert h.parse_session("12-ab.C_$+ ; timeout=30") == h.SessionHeader("12-ab.C_$+", 30)
    assert h.SessionHeader("a", 60).format() == "a;timeout=60"
    assert status_of(h.parse_session, "a b") == 454
    assert status_of(h.parse_session, "") == 454


def test_rtp_info() -> None:
    items = [h.RtpInfoItem("rtsp://h/a/trackID=0", 65535, 4_294_967_295), h.RtpInfoItem("rtsp://h/a;b,c/1")]
    text = h.format_rtp_info(items)
    assert text == "url=rtsp://h/a/trackID=0;seq=65535;rtptime=4294967295,url=rtsp://h/a;b,c/1"
    assert h.parse_rtp_info(text) == items


def test_replay_headers() -> None:
    assert h.parse_frames("intra/4000") == (Frames.INTRA, 4_000_000)
    assert h.parse_frames("Intra") == (Frames.INTRA, 0)
    assert h.parse_frames("all") == (Frames.ALL, 0)
    for value in ("all/40", "intra/", "some", "intra/-1"):
        assert status_of(h.parse_frames, value) == 400
    assert h.parse_yes_no("No", "Rate-Control") is False
    assert status_of(h.parse_yes_no, "maybe", "Immediate") == 400
    assert h.parse_number("-1.0", "Scale") == -1.0
    for value in ("0", "nan", "1e9", "x", ""):
        assert status_of(h.parse_number, value, "Scale") == 400


def test_tags() -> None:
    assert h.parse_tags(["onvif-replay, other", " third"]) == ["onvif-replay", "other", "third"]


def test_seconds_since_1900_are_a_clock() -> None:
    """What GStreamer makes of `a=range:clock=`."""
    found = h.parse_range("npt=4004248296-4004248750.5")
    assert (found.npt, found.start, found.end) == (False, 1_795_259_496_000_000, 1_795_259_950_500_000)


def test_a_clock_without_times_is_no_range() -> None:
    """Streaming 6.5.1: `"clock" [ "=" ... ]`."""
    assert h.parse_range("clock") == h.Range()
