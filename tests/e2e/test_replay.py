"""Recordings over RTSP as Profile G clients fetch them, byte by byte with a client that shares no code with the server."""

from __future__ import annotations

import itertools
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import av
import pytest

from onvifd.media.sei import find_utc
from onvifd.media.types import Codec
from tests.e2e.harness import HOST, Recorder, need
from tests.e2e.pictures import FRAME_US, apart, loop_time
from tests.e2e.rtsp_client import REPLAY, SECOND, Media, Packet, RtspClient, Unit, clock, parse_packet, units
from tests.e2e.soap import Device
from tests.e2e.test_live_ffmpeg import with_account


@pytest.fixture
def span(device: Device, footage: str) -> tuple[int, int]:
    found = device.span(footage)
    assert found is not None
    return found


@pytest.fixture
def client(recorder: Recorder, device: Device, footage: str) -> Iterator[RtspClient]:
    with RtspClient(device.replay_uri(footage), recorder.user, recorder.password) as connected:
        yield connected


def set_up_video(client: RtspClient) -> Media:
    video = next(each for each in client.describe() if each.kind == "video")
    client.setup(video, Require=REPLAY)
    return video


def collect(client: RtspClient, *, until: int, seconds: float = 20.0) -> list[Unit]:
    """Units up to the time `until`, or until nothing more comes."""
    found: list[Unit] = []
    for unit in units(client.packets(seconds=seconds)):
        found.append(unit)
        if unit.extension.utc >= until or unit.extension.end or unit.extension.terminal:
            break
    return found


def length_prefixed(unit: Unit) -> bytes:
    return b"".join(len(nal).to_bytes(4, "big") + nal for nal in unit.nals)


@pytest.mark.covers("G-ReplayHeaderExtension", "G-onvif-replay", "G-GetReplayUri", "A032", "P274")
def test_replayed_pictures_show_the_time_that_their_packets_state(client: RtspClient, span: tuple[int, int]) -> None:
    set_up_video(client)
    start = span[0] + 5 * SECOND
    end = start + 8 * SECOND
    client.demand("PLAY", Require=REPLAY, Range=f"clock={clock(start)}-{clock(end)}", Rate_Control="no")
    found = collect(client, until=end - FRAME_US)
    assert len(found) >= 8 * 25 - 2

    decoder = av.CodecContext.create("h264", "r")
    pictures = []
    for unit in found:
        stated = unit.extension.utc
        assert find_utc(Codec.H264, length_prefixed(unit)) == stated
        packet = av.Packet(unit.annex_b)
        packet.pts = stated
        pictures += [(frame.pts, frame.to_ndarray(format="gray")) for frame in decoder.decode(packet)]
    pictures += [(frame.pts, frame.to_ndarray(format="gray")) for frame in decoder.decode(None)]
    assert len(pictures) == len(found)
    for stated, grey in pictures:
        assert apart(loop_time(grey), stated) <= FRAME_US

    times = [unit.extension.utc for unit in found]
    assert times == sorted(times)
    assert max(after - before for before, after in itertools.pairwise(times)) <= 2 * FRAME_US


@pytest.mark.covers("G-onvif-replay")
def test_starts_at_the_clean_point_before_and_ends_where_asked(client: RtspClient, span: tuple[int, int]) -> None:
    set_up_video(client)
    start = span[0] + 7 * SECOND + 123_456
    end = start + 3 * SECOND
    reply = client.demand("PLAY", Require=REPLAY, Range=f"clock={clock(start)}-{clock(end)}", Rate_Control="no")
    assert reply.headers["range"].startswith("clock=")
    assert "rtptime=" in reply.headers["rtp-info"]
    found = collect(client, until=end + SECOND, seconds=4)
    first = found[0].extension
    assert first.clean
    assert first.discontinuity
    assert first.cseq == client.cseq & 0xFF
    # The group of pictures is 2 s long: the clean point at or before the start.
    assert start - 2 * SECOND - FRAME_US < first.utc <= start
    assert found[-1].extension.utc <= end
    assert end - found[-1].extension.utc <= 2 * FRAME_US
    rtp_time = int(reply.headers["rtp-info"].split("rtptime=")[1].split(";")[0].split(",")[0])
    assert rtp_time == found[0].first.timestamp


@pytest.mark.covers("G-onvif-replay")
def test_without_rate_control_it_comes_faster_than_it_was_recorded(client: RtspClient, span: tuple[int, int]) -> None:
    set_up_video(client)
    start, length = span[0] + 2 * SECOND, 15 * SECOND
    began = time.monotonic()
    client.demand("PLAY", Require=REPLAY, Range=f"clock={clock(start)}-{clock(start + length)}", Rate_Control="no")
    found = collect(client, until=start + length - FRAME_US)
    assert len(found) >= 15 * 25 - 2
    assert (time.monotonic() - began) * SECOND < length / 2


@pytest.mark.covers("G-onvif-replay")
def test_with_rate_control_it_comes_at_the_pace_of_the_recording(client: RtspClient, span: tuple[int, int]) -> None:
    set_up_video(client)
    start = span[0] + 4 * SECOND
    client.demand("PLAY", Require=REPLAY, Range=f"clock={clock(start)}-")
    began, found = time.monotonic(), []
    for unit in units(client.packets(seconds=10)):
        found.append(unit.extension.utc)
        if found[-1] - found[0] >= 4 * SECOND:
            break
    assert 3.0 < time.monotonic() - began < 6.0


@pytest.mark.covers("G-onvif-replay")
def test_pause_and_resume(client: RtspClient, span: tuple[int, int]) -> None:
    def times(seconds: float) -> list[int]:
        return [packet.extension.utc for packet in client.packets(seconds=seconds) if packet.extension]

    set_up_video(client)
    client.demand("PLAY", Require=REPLAY, Range=f"clock={clock(span[0] + 3 * SECOND)}-")
    before = times(1.5)
    client.demand("PAUSE")
    # What was on its way when PAUSE arrived was read with the reply and comes now; then there is silence.
    before += times(0.3)
    assert not list(client.packets(seconds=1.0))
    client.demand("PLAY", Require=REPLAY)
    resumed = times(1.0)
    # From the point of the pause, or from the clean point before it.
    assert before[-1] - 2 * SECOND <= resumed[0] <= before[-1] + 2 * FRAME_US
    assert resumed[-1] > before[-1]


@pytest.mark.covers("G-onvif-replay")
def test_immediate_play_jumps(client: RtspClient, span: tuple[int, int]) -> None:
    set_up_video(client)
    client.demand("PLAY", Require=REPLAY, Range=f"clock={clock(span[0] + 2 * SECOND)}-")
    assert next(units(client.packets(seconds=5)))
    there = span[0] + 12 * SECOND
    client.demand("PLAY", Require=REPLAY, Range=f"clock={clock(there)}-", Immediate="yes")
    for packet in client.packets(seconds=5):
        if packet.extension and packet.extension.cseq == client.cseq & 0xFF:
            assert packet.extension.discontinuity
            assert packet.extension.clean
            assert there - 2 * SECOND - FRAME_US < packet.extension.utc <= there
            return
    raise AssertionError("no packet of the second PLAY")


@pytest.mark.covers("G-onvif-replay")
def test_intra_frames_only(client: RtspClient, span: tuple[int, int]) -> None:
    set_up_video(client)
    start = span[0] + SECOND
    client.demand(
        "PLAY",
        Require=REPLAY,
        Range=f"clock={clock(start)}-{clock(start + 12 * SECOND)}",
        Rate_Control="no",
        Frames="intra",
    )
    found = list(units(client.packets(seconds=3)))
    assert 5 <= len(found) <= 8
    assert all(unit.extension.clean for unit in found)


def test_unknown_feature_is_refused(client: RtspClient) -> None:
    video = next(each for each in client.describe() if each.kind == "video")
    reply = client.request(
        "SETUP", video.control, Transport="RTP/AVP/TCP;unicast;interleaved=0-1", Require="no-such-thing"
    )
    assert reply.status == 551
    assert reply.headers["unsupported"] == "no-such-thing"


@pytest.mark.covers("G-onvif-replay")
def test_sections_name_their_tracks(client: RtspClient) -> None:
    sections = {each.kind: each for each in client.describe()}
    assert sections["video"].track == "VIDEO001"
    assert sections["audio"].track == "AUDIO001"


def udp_ports() -> tuple[socket.socket, socket.socket]:
    """Sockets on an even port and the next one (RFC 3550 11)."""
    for _ in range(100):
        first, second = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        first.bind((HOST, 0))
        port = first.getsockname()[1]
        try:
            if port % 2 == 0:
                second.bind((HOST, port + 1))
                first.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
                first.settimeout(5)
                return first, second
        except OSError:
            pass
        first.close()
        second.close()
    raise AssertionError("no pair of ports is free")


def udp_packets(media: socket.socket) -> Iterator[Packet]:
    """What comes to a socket for media."""
    while True:
        data = media.recv(65536)
        if not 200 <= data[1] <= 204:  # RTCP would come to the other port
            yield parse_packet(0, data)


@pytest.mark.covers("G-onvif-replay", "G-ReplayHeaderExtension")
def test_replay_over_udp(client: RtspClient, span: tuple[int, int]) -> None:
    media, control = udp_ports()
    with media, control:
        video = next(each for each in client.describe() if each.kind == "video")
        reply = client.setup(video, port=media.getsockname()[1], Require=REPLAY)
        assert "server_port=" in reply.headers["transport"]
        start = span[0] + 3 * SECOND
        client.demand("PLAY", Require=REPLAY, Range=f"clock={clock(start)}-{clock(start + 3 * SECOND)}")
        found = list(itertools.takewhile(lambda unit: not unit.extension.terminal, units(udp_packets(media))))
        client.demand("TEARDOWN")
    times = [unit.extension.utc for unit in found]
    assert found[0].extension.clean
    assert start - 2 * SECOND - FRAME_US < times[0] <= start
    assert max(after - before for before, after in itertools.pairwise(times)) <= 2 * FRAME_US
    assert start + 3 * SECOND - times[-1] <= 3 * FRAME_US


def test_ffmpeg_decodes_a_recording_over_udp(recorder: Recorder, device: Device, footage: str) -> None:
    command = [
        *(need("ffmpeg"), "-nostdin", "-v", "error", "-rtsp_transport", "udp"),
        *("-i", with_account(device.replay_uri(footage), recorder), "-an", "-frames:v", "75"),
        *("-vf", "scale=64:36", "-pix_fmt", "gray", "-f", "rawvideo", "pipe:1"),
    ]
    done = subprocess.run(command, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) == 75 * 64 * 36


def decoded(found: list[Unit]) -> list[tuple[int, int]]:
    """The time of each picture by its packets, and by the clock burned into it."""
    decoder = av.CodecContext.create("h264", "r")
    pictures = []
    for unit in found:
        packet = av.Packet(unit.annex_b)
        packet.pts = unit.extension.utc
        pictures += decoder.decode(packet)
    pictures += decoder.decode(None)
    return [(frame.pts, loop_time(frame.to_ndarray(format="gray"))) for frame in pictures]


@pytest.mark.covers("G-ReplayHeaderExtension", "PLY-14", "PLY-16")
@pytest.mark.parametrize("mode", ["reverse", "intra", "reverse intra"])
def test_the_clock_in_each_picture_is_the_time_of_its_packets(
    client: RtspClient, span: tuple[int, int], mode: str
) -> None:
    set_up_video(client)
    low, high = span[0] + 3 * SECOND, span[0] + 11 * SECOND
    headers = {"Rate_Control": "no", "Range": f"clock={clock(low)}-{clock(high)}"}
    if "reverse" in mode:
        headers |= {"Scale": "-1.0", "Range": f"clock={clock(high)}-{clock(low)}"}
    if "intra" in mode:
        headers["Frames"] = "intra"
    client.demand("PLAY", Require=REPLAY, **headers)
    found = []
    for unit in units(client.packets(seconds=20)):
        found.append(unit)
        if unit.extension.terminal:
            break
    keys = [unit.extension.utc for unit in found if unit.extension.clean]
    assert keys == sorted(keys, reverse="reverse" in mode)
    if "intra" in mode:
        assert len(found) == len(keys) >= 4
    else:
        assert len(found) >= 8 * 25 - 2
        assert [unit.extension.utc for unit in found if unit.extension.discontinuity] == keys
    pictures = decoded(found)
    assert len(pictures) == len(found)
    assert all(apart(burned, stated) <= FRAME_US for stated, burned in pictures)


@pytest.mark.covers("G-onvif-replay", "PLY-13")
def test_pauses_where_it_was_told(client: RtspClient, span: tuple[int, int]) -> None:
    set_up_video(client)
    start = span[0] + 3 * SECOND
    client.demand("PLAY", Require=REPLAY, Range=f"clock={clock(start)}-")
    point = start + 2 * SECOND
    client.demand("PAUSE", Range=f"clock={clock(point)}")
    before = [packet.extension.utc for packet in client.packets(seconds=4) if packet.extension]
    assert point - 2 * FRAME_US <= before[-1] < point
    client.demand("PLAY", Require=REPLAY)
    resumed = next(packet.extension.utc for packet in client.packets(seconds=4) if packet.extension)
    assert resumed == before[-1] + FRAME_US


SESSIONS = 100


@pytest.mark.covers("G-onvif-replay")
def test_a_hundred_sessions_get_the_same_pictures(
    recorder: Recorder, device: Device, footage: str, span: tuple[int, int]
) -> None:
    start = span[0] + 2 * SECOND
    end = start + 3 * SECOND
    uri = device.replay_uri(footage)

    def fetch(ready: threading.Barrier) -> list[int]:
        with RtspClient(uri, recorder.user, recorder.password) as client:
            set_up_video(client)
            ready.wait(timeout=60)
            client.demand("PLAY", Range=f"clock={clock(start)}-{clock(end)}", Require=REPLAY)
            return [unit.extension.utc for unit in collect(client, until=end, seconds=30)]

    together = threading.Barrier(SESSIONS)
    with ThreadPoolExecutor(SESSIONS) as pool:
        fetched = list(pool.map(fetch, [together] * SESSIONS))
    assert len(fetched[0]) >= 70
    assert all(each == fetched[0] for each in fetched)
