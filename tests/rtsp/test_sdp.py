"""Session descriptions given and taken."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvifd.errors import BadInput
from onvifd.media.types import Codec, TrackFormat
from onvifd.rtsp.play import Multicast, Outlet, Playback, TrackDescription
from onvifd.rtsp.sdp import parse_sdp
from onvifd.rtsp.sdp_writer import build_sdp
from tests.rtsp.sample import START, encoded

PCMU = TrackFormat(codec=Codec.PCMU, clock_rate=8000, channels=1)
META = TrackFormat(codec=Codec.METADATA, clock_rate=90000)
URL = "rtsp://h:554/cam"


@dataclass
class Described:
    tracks: tuple[TrackDescription, ...]
    replay: bool = False
    range: tuple[int, int] | None = None
    name: str = "rec\r\na=evil"
    session_timeout: int = 60

    def open(self, outlet: Outlet) -> Playback:
        raise NotImplementedError


def lines_of(described: Described, host: str = "192.0.2.1") -> list[str]:
    text = build_sdp(described, host, 7, 8).decode()
    assert text.endswith("\r\n")
    return text.split("\r\n")[:-1]


def video(token: str | None = None) -> TrackDescription:
    return TrackDescription(format=encoded()[0], payload_type=96, control="trackID=0", token=token)


def test_live_description() -> None:
    audio = TrackDescription(format=PCMU, payload_type=0, control="trackID=1")
    meta = TrackDescription(format=META, payload_type=107, control="trackID=2")
    lines = lines_of(Described((video(), audio, meta)))
    assert lines[:7] == [
        "v=0",
        "o=- 7 8 IN IP4 192.0.2.1",
        "s=rec a=evil",
        "c=IN IP4 0.0.0.0",
        "t=0 0",
        "a=control:*",
        "a=range:npt=now-",
    ]
    assert [line for line in lines if line.startswith("m=")] == [
        "m=video 0 RTP/AVP 96",
        "m=audio 0 RTP/AVP 0",
        "m=application 0 RTP/AVP 107",
    ]
    assert "a=rtpmap:96 H264/90000" in lines
    assert any(line.startswith("a=fmtp:96 packetization-mode=1;profile-level-id=") for line in lines)
    assert "a=rtpmap:107 vnd.onvif.metadata/90000" in lines
    assert lines.count("a=recvonly") == 3


def test_replay_description_has_range_and_track_tokens() -> None:
    lines = lines_of(Described((video("VIDEO001"),), True, (START, START + 1_500_000)), "2001:db8::1")
    assert "a=range:clock=20260101T000000.000Z-20260101T000001.500Z" in lines
    assert "a=x-onvif-track:VIDEO001" in lines  # Streaming 6.2
    assert "c=IN IP6 ::" in lines


def test_what_we_describe_we_understand() -> None:
    audio = TrackDescription(format=PCMU, payload_type=0, control="trackID=1")
    found = parse_sdp(build_sdp(Described((video(), audio)), "h", 1, 1), URL, URL + "/")
    assert [track.format for track in found.tracks] == [encoded()[0], PCMU]
    assert [track.url for track in found.tracks] == [URL + "/trackID=0", URL + "/trackID=1"]
    assert found.url == URL + "/"


@pytest.mark.parametrize(
    ("base", "session", "control", "url"),
    [
        (None, "*", "trackID=1", URL + "/trackID=1"),
        (URL + "/", None, "trackID=1", URL + "/trackID=1"),
        (URL + "?a=b", "*", "track1", URL + "?a=b/track1"),
        (None, None, "rtsp://other:99/x/track1", "rtsp://other:99/x/track1"),
        (None, None, "/x/track1", "rtsp://h:554/x/track1"),
        ("nonsense", None, "track1", URL + "/track1"),
    ],
)
def test_control_urls(base: str | None, session: str | None, control: str, url: str) -> None:
    head = f"a=control:{session}\n" if session else ""
    body = f"v=0\n{head}m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=control:{control}\n"
    (track,) = parse_sdp(body.encode(), URL, base).tracks
    assert track.url == url
    assert track.format.codec is Codec.H264  # without fmtp: parameter sets come in-band


def test_tracks_that_cannot_be_used_are_skipped_and_named() -> None:
    body = (
        b"v=0\r\nm=text 0 RTP/AVP 96\r\na=rtpmap:96 T140/1000\r\nm=audio 0 RTP/AVP 0\r\na=control:a\r\n"
        b"m=audio 0 RTP/AVP 0\r\na=sendonly\r\nm=application 0 RTP/AVP 98\r\na=control:m\r\n"
    )
    found = parse_sdp(body, URL)
    assert [track.format.codec for track in found.tracks] == [Codec.PCMU]
    assert len(found.skipped) == 2
    assert "T140" in found.skipped[0]


def test_what_cannot_be_read_is_described_in_the_words_of_the_camera() -> None:
    body = (
        b"v=0\r\nm=video 0 RTP/AVP 97 98\r\na=rtpmap:97 VP9/90000\r\na=fmtp:97 profile-id=0;  max-fr=30\r\na=control:v\r\n"
        b"m=audio 0 RTP/AVP 9\r\na=control:a\r\n"
    )
    found = parse_sdp(body, URL)
    video, audio = (track.format for track in found.tracks)
    assert (video.codec, video.rtpmap, video.fmtp) == (Codec.OTHER_VIDEO, "VP9/90000", "profile-id=0; max-fr=30")
    assert (audio.codec, audio.rtpmap, found.tracks[1].payload_type) == (Codec.OTHER_AUDIO, "G722/8000", 9)


def test_a_payload_that_can_be_read_goes_before_one_that_cannot() -> None:
    body = b"v=0\r\nm=video 0 RTP/AVP 97 98\r\na=rtpmap:97 AV1/90000\r\na=rtpmap:98 H264/90000\r\n"
    (track,) = parse_sdp(body, URL).tracks
    assert (track.format.codec, track.payload_type) == (Codec.H264, 98)


@pytest.mark.parametrize(
    "body", [b"", b"v=0\r\n", b"m=\r\n", b"m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/x\r\n", b"m=video\n" * 40]
)
def test_nothing_usable(body: bytes) -> None:
    with pytest.raises(BadInput):
        parse_sdp(body, URL)


@given(
    st.lists(
        st.sampled_from(
            [
                "m=video 0 RTP/AVP 96",
                "a=rtpmap:96 H264/90000",
                "a=fmtp:96 a;=;sprop-parameter-sets=!!",
                "a=control:",
                "a=control:http://[",
                "m=audio x",
                "=",
                "a=rtpmap:96",
            ]
        ),
        max_size=12,
    ),
    st.binary(max_size=20),
)
def test_any_description_is_used_or_refused(lines: list[str], rest: bytes) -> None:
    with contextlib.suppress(BadInput):
        parse_sdp("\r\n".join(lines).encode() + rest, URL)


def test_several_pictures_are_tied_together() -> None:
    tracks = tuple(
        TrackDescription(
            format=video().format,
            payload_type=96,
            control=f"trackID={number}",
            ssrc=1000 + number,
            profile=f"p{number}",
        )
        for number in range(2)
    )
    lines = build_sdp(Described(tracks), "h", 1, 1).decode().split("\r\n")
    assert "a=group:LS 1 2" in lines
    assert [line for line in lines if line.startswith(("a=mid", "a=ssrc", "a=x-onvif-profile"))] == [
        *("a=mid:1", "a=ssrc:1000", "a=x-onvif-profile:p0"),
        *("a=mid:2", "a=ssrc:1001", "a=x-onvif-profile:p1"),
    ]
    alone = build_sdp(Described(tracks[:1]), "h", 1, 1).decode()
    assert "group" not in alone
    assert "a=x-onvif-profile:p0" in alone


def test_a_back_channel_is_what_the_client_sends() -> None:
    pcma = TrackFormat(codec=Codec.PCMA, clock_rate=8000, channels=1)
    pcmu = TrackFormat(codec=Codec.PCMU, clock_rate=8000, channels=1)
    talk = TrackDescription(format=pcmu, payload_type=0, control="audioback", talk=True, alternatives=((8, pcma),))
    lines = build_sdp(Described((video(),)), "h", 1, 1, talk=talk).decode().split("\r\n")
    at = lines.index("m=audio 0 RTP/AVP 0 8")
    assert lines[at + 1 : at + 5] == [
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000",
        "a=control:audioback",
        "a=sendonly",
    ]


def test_groups_of_ipv6_have_no_time_to_live() -> None:
    track = TrackDescription(
        format=video().format, payload_type=96, control="c", multicast=Multicast("ff18::1", 5000, 4)
    )
    text = build_sdp(Described((track,)), "2001:db8::1", 1, 1, multicast=True).decode()
    assert text.count("c=IN IP6 ff18::1\r\n") == 2
    assert "c=IN IP6 ::\r\n" in build_sdp(Described((track,)), "2001:db8::1", 1, 1).decode()
