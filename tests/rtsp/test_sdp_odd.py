"""Descriptions as odd cameras give them."""

from __future__ import annotations

import pytest

from onvifd.errors import BadInput
from onvifd.media.types import Codec, Kind
from onvifd.rtsp.sdp import parse_sdp

URL = "rtsp://192.0.2.1/cam"
SPROP = "sprop-parameter-sets=Z0LAH9oBQBbsBEAAAAMAQAAADIPGDKg=,aM48gA=="


def video(*lines: str, media: str = "m=video 0 RTP/AVP 96", end: str = "\r\n") -> bytes:
    return end.join(("v=0", "s=cam", media, *lines, "")).encode("latin-1")


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_line_ends(end: str) -> None:
    (track,) = parse_sdp(video("a=rtpmap:96 H264/90000", "a=control:t", end=end), URL).tracks
    assert (track.format.codec, track.url) == (Codec.H264, URL + "/t")


def test_latin_1_and_nuls_do_not_tear_lines() -> None:
    body = video("i=Eingang\x85S\xfcd", "a=rtpmap:96 H264/90000") + b"\0\0"
    assert len(parse_sdp(body, URL).tracks) == 1


@pytest.mark.parametrize(
    ("control", "base", "expected"),
    [
        ("a=control:trackID=1", None, URL + "/trackID=1"),
        ("a=control:trackID=1", URL + "/", URL + "/trackID=1"),
        ("a=control:trackID=1", URL, URL + "/trackID=1"),
        ("a=control:rtsp://192.0.2.1/other/t1", None, "rtsp://192.0.2.1/other/t1"),
        ("a=control:/abs/t1", None, "rtsp://192.0.2.1/abs/t1"),
        ("a=control:*", None, URL),
        ("a=tool:none", None, URL),
        ("a=control:trackID=1", "nonsense", URL + "/trackID=1"),
    ],
)
def test_controls(control: str, base: str | None, expected: str) -> None:
    (track,) = parse_sdp(video("a=rtpmap:96 H264/90000", control), URL, base).tracks
    assert track.url == expected


@pytest.mark.parametrize(
    "lines",
    [
        ("a=rtpmap:97 H264/90000", f"a=fmtp:97 {SPROP}"),  # numbers of another payload type
        ("a=rtpmap:96 H264", f"a=fmtp:96 {SPROP}"),  # no clock rate
        ("a=rtpmap: 96 H264/90000", f"a=fmtp:96 packetization-mode=1 ; {SPROP} ;"),
        (f"a=fmtp:96 packetization-mode=1;{SPROP}",),  # no rtpmap
        ("A=RTPMAP:96 h264/90000", f"a=FMTP:96 {SPROP}"),
    ],
)
def test_rtpmap_wrong_misplaced_or_missing(lines: tuple[str, ...]) -> None:
    (track,) = parse_sdp(video(*lines), URL).tracks
    assert (track.format.codec, track.format.clock_rate, track.payload_type) == (Codec.H264, 90000, 96)
    assert len(track.format.parameter_sets) == 2


def test_broken_fmtp_costs_the_parameter_sets_alone() -> None:
    lines = ("a=rtpmap:96 H264/90000", "a=fmtp:96 sprop-parameter-sets=%%%,=,;=;;profile-level-id=xyz")
    (track,) = parse_sdp(video(*lines), URL).tracks
    assert track.format.parameter_sets == ()


def test_h265_is_told_by_its_fmtp() -> None:
    (track,) = parse_sdp(
        video("a=fmtp:98 sprop-vps=QAEM;sprop-sps=;sprop-pps=", media="m=video 0 RTP/AVP 98"), URL
    ).tracks
    assert track.format.codec is Codec.H265


def test_several_video_sections_and_a_back_channel() -> None:
    body = video("a=rtpmap:96 H264/90000", "a=control:v0") + b"".join(
        (
            b"m=video 0 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\na=control:v1\r\n",
            b"m=audio 0 RTP/AVP 0\r\na=control:talk\r\na=sendonly\r\n",
            b"m=audio 0 RTP/AVP 8\r\na=control:a0\r\n",
        )
    )
    found = parse_sdp(body, URL)
    assert [track.url.rpartition("/")[2] for track in found.tracks] == ["v0", "v1", "a0"]
    assert [track.format.kind for track in found.tracks] == [Kind.VIDEO, Kind.VIDEO, Kind.AUDIO]
    assert found.talk is not None


def test_video_that_the_camera_calls_sendonly() -> None:
    assert len(parse_sdp(video("a=rtpmap:96 H264/90000", "a=sendonly"), URL).tracks) == 1
    with pytest.raises(BadInput):
        parse_sdp(video("a=rtpmap:96 H264/90000", "a=inactive"), URL)


@pytest.mark.parametrize(
    ("line", "group"),
    [
        ("c=IN IP4 239.1.2.3/32", "239.1.2.3"),
        ("c=IN IP6 ff15::7", "ff15::7"),
        ("c=IN IP4 0.0.0.0", ""),
        ("c=IN IP4", ""),
        ("c=IN IP4 cam.local", ""),
    ],
)
def test_multicast_addresses(line: str, group: str) -> None:
    (track,) = parse_sdp(video(line, "a=rtpmap:96 H264/90000", media="m=video 5000/2 RTP/AVP 96"), URL).tracks
    assert (track.group, track.port) == (group, 5000 if group else 0)
    early = b"v=0\r\n" + line.encode() + b"\r\nm=video 5000 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    assert parse_sdp(early, URL).tracks[0].group == group


def test_ipv6_and_queries() -> None:
    url = "rtsp://[2001:db8::1]:8554/cam?channel=1&subtype=0"
    (track,) = parse_sdp(video("a=rtpmap:96 H264/90000", "a=control:trackID=0"), url).tracks
    assert track.url == url + "/trackID=0"
    (track,) = parse_sdp(video("a=rtpmap:96 H264/90000", "a=control:/x"), url).tracks
    assert track.url == "rtsp://[2001:db8::1]:8554/x"
