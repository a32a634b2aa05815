"""All forms in which cameras put pictures into packets, and where they tell parameter sets."""

from __future__ import annotations

import base64
import functools
import itertools
import random
from collections.abc import Callable, Iterator

import pytest

from onvifd.media import nal
from onvifd.media.rtp.packet import build_rtp
from onvifd.media.types import Codec, TrackFormat
from tests.cameras.fault_camera import SDP, SSRC, Camera, Packet, Rig
from tests.cameras.test_codec_change import H265_SDP, encoded_h265
from tests.rtsp.sample import encoded

Form = Callable[[Codec, list[bytes]], Iterator[bytes]]
"""The NAL units of a picture to the payloads of its packets (RFC 6184 5, RFC 7798 4.4)."""
BOTH = pytest.mark.parametrize("codec", [Codec.H264, Codec.H265])


def sample(codec: Codec) -> tuple[TrackFormat, tuple[tuple[bool, bytes], ...]]:
    return encoded() if codec is Codec.H264 else encoded_h265()


def is_set(codec: Codec, unit: bytes) -> bool:
    return unit[0] & 0x1F in (7, 8) if codec is Codec.H264 else 32 <= unit[0] >> 1 & 0x3F <= 34


def aggregate(codec: Codec, units: list[bytes]) -> bytes:
    head = b"\x78" if codec is Codec.H264 else b"\x60\x01"
    return head + b"".join(len(unit).to_bytes(2, "big") + unit for unit in units)


def fragments(codec: Codec, unit: bytes, size: int) -> Iterator[bytes]:
    skip = 1 if codec is Codec.H264 else 2
    body = unit[skip:]
    for at in range(0, len(body), size):
        flags = (0x80 if at == 0 else 0) | (0x40 if at + size >= len(body) else 0)
        if codec is Codec.H264:
            head = bytes((unit[0] & 0xE0 | 28, flags | unit[0] & 0x1F))
        else:
            head = bytes((unit[0] & 0x81 | 49 << 1, unit[1], flags | unit[0] >> 1 & 0x3F))
        yield head + body[at : at + size]


def single(codec: Codec, units: list[bytes]) -> Iterator[bytes]:
    """Each NAL unit is a packet, however large."""
    yield from units


def one_aggregate(codec: Codec, units: list[bytes]) -> Iterator[bytes]:
    if sum(map(len, units)) > 60_000:
        yield from sets_together(codec, units)
    else:
        yield aggregate(codec, units)


def sets_together(codec: Codec, units: list[bytes]) -> Iterator[bytes]:
    """What precedes the picture in an aggregate, the picture in fragments."""
    yield aggregate(codec, units[:-1]) if len(units) > 1 else units[0]
    if len(units) > 1:
        yield from fragments(codec, units[-1], 700)


def aggregates_of_one(codec: Codec, units: list[bytes]) -> Iterator[bytes]:
    yield from (aggregate(codec, [unit]) for unit in units)


def all_fragments(codec: Codec, units: list[bytes], size: int = 300) -> Iterator[bytes]:
    """Parameter sets as well."""
    for unit in units:
        yield from fragments(codec, unit, size)


def whole_fragments(codec: Codec, units: list[bytes]) -> Iterator[bytes]:
    """Start and end in one packet, which RFC 6184 5.8 forbids."""
    yield from all_fragments(codec, units, 1 << 20)


def tiny_fragments(codec: Codec, units: list[bytes]) -> Iterator[bytes]:
    yield from all_fragments(codec, units, 37)


def mixed(codec: Codec, units: list[bytes]) -> Iterator[bytes]:
    chance = random.Random(len(units[-1]))
    for unit in units:
        form = chance.choice((single, aggregates_of_one, all_fragments, whole_fragments))
        yield from form(codec, [unit])


FORMS: tuple[Form, ...] = (
    single,
    one_aggregate,
    sets_together,
    aggregates_of_one,
    all_fragments,
    whole_fragments,
    tiny_fragments,
    mixed,
)


def playing(
    codec: Codec, form: Form, take: Callable[[bytes], bool] = lambda unit: True
) -> Iterator[tuple[int, list[Packet]]]:
    """The packets of one picture after the other, of NAL units that `take` leaves in."""
    _, frames = sample(codec)
    seq = itertools.count(random.Random(3).getrandbits(16))
    for number in itertools.count():
        units = [unit for unit in nal.iterate(frames[number % len(frames)][1]) if take(unit)]
        payloads = list(form(codec, [bytes(unit) for unit in units]))
        yield (
            number,
            [
                bytearray(
                    build_rtp(
                        marker=index == len(payloads) - 1,
                        payload_type=96,
                        seq=next(seq) & 0xFFFF,
                        rtp_time=number * 3600,
                        ssrc=SSRC,
                        payload=payload,
                    )
                )
                for index, payload in enumerate(payloads)
            ],
        )


def sdp(codec: Codec) -> bytes:
    return SDP if codec is Codec.H264 else H265_SDP


@BOTH
@pytest.mark.parametrize("form", FORMS)
async def test_every_form_gives_the_same_pictures(codec: Codec, form: Form) -> None:
    camera = Camera(sdp=sdp(codec), plays=functools.partial(playing, codec, form))
    async with camera.url() as url, Rig(url).running() as rig:
        await rig.until(lambda: len(rig.frames) >= 30)
        assert rig.states == [(True, "")]
        frames = [data for _, data in sample(codec)[1]]
        for number, one in enumerate(rig.frames):
            assert one.data == frames[number % len(frames)]
        assert rig.frames[0].key
        counters = rig.intake.counters
        assert (counters.bad_frames, counters.lost_packets, counters.strays) == (0, 0, 0)
        rig.check_laundered()


@BOTH
async def test_parameter_sets_in_the_description_alone(codec: Codec) -> None:
    format, _ = sample(codec)
    coded = [base64.b64encode(one) for one in format.parameter_sets]
    names = (b"sprop-vps", b"sprop-sps", b"sprop-pps")
    told = (
        b"sprop-parameter-sets=" + b",".join(coded)
        if codec is Codec.H264
        else b";".join(b"=".join(pair) for pair in zip(names, coded, strict=True))
    )
    out = sdp(codec) + b"a=fmtp:96 packetization-mode=1;" + told + b"\r\n"
    camera = Camera(sdp=out, plays=lambda: playing(codec, sets_together, lambda unit: not is_set(codec, unit)))
    async with camera.url() as url, Rig(url).running() as rig:
        await rig.until(lambda: len(rig.frames) >= 20)
        # Known before the first packet, and never unlearnt.
        assert rig.formats == [(format,)]
        assert rig.intake.tracks[0].format.parameter_sets == format.parameter_sets
        keys = [one for one in rig.frames if one.key]
        assert keys
        assert not any(is_set(codec, bytes(unit)) for one in rig.frames for unit in nal.iterate(one.data))


@BOTH
async def test_parameter_sets_in_band_alone(codec: Codec) -> None:
    format, _ = sample(codec)
    camera = Camera(sdp=sdp(codec), plays=lambda: playing(codec, single))
    async with camera.url() as url, Rig(url).running() as rig:
        await rig.until(lambda: len(rig.frames) >= 20)
        assert [one[0].parameter_sets for one in rig.formats] == [(), format.parameter_sets]
        assert (rig.formats[-1][0].width, rig.formats[-1][0].height) == (320, 240)


@BOTH
@pytest.mark.parametrize("markers", ["all", "none", "sets", "random"])
async def test_wrong_and_missing_markers(codec: Codec, markers: str) -> None:
    chance = random.Random(11)

    def spoil(number: int, packets: list[Packet]) -> list[Packet]:
        for packet in packets:
            match markers:
                case "all":
                    mark = True
                case "none":
                    mark = False
                case "sets":
                    mark = bool(packet[1] & 0x80) or is_set(codec, bytes(packet[12:14]))
                case _:
                    mark = chance.random() < 0.5
            packet[1] = packet[1] & 0x7F | (0x80 if mark else 0)
        return packets

    camera = Camera(sdp=sdp(codec), spoil=spoil, plays=lambda: playing(codec, all_fragments))
    async with camera.url() as url, Rig(url).running() as rig:
        await rig.until(lambda: len(rig.frames) >= 40)
        whole = {data for _, data in sample(codec)[1]}
        # The first picture may be how a lie is found out.
        assert sum(one.data not in whole for one in rig.frames) <= 2
        rig.check_laundered()
        packets = rig.packets()
        twice = sum(one[3] and one[1] == other[1] for one, other in itertools.pairwise(packets))
        assert twice <= 1
