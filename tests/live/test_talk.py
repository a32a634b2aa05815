"""The line to a camera: who has it, and what becomes of what clients send."""

from __future__ import annotations

import pytest

from onvifd.access.types import Account, Level
from onvifd.errors import Forbidden, Unavailable
from onvifd.live.talk import IDLE, PACKETS_PER_SECOND, Sound, TalkGrip, TalkLine
from onvifd.media.rtp.packet import build_rtp
from onvifd.media.types import Codec, FlushUnit, TrackFormat
from onvifd.rtsp.backchannel import HalfDuplexOutlet, Primacy, Talker, check_talker
from onvifd.rtsp.play import TrackDescription

ANNA, BERT = Talker("anna", "192.0.2.1", "a"), Talker("bert", "192.0.2.2", "b")
PCMU = TrackFormat(codec=Codec.PCMU, clock_rate=8000, channels=1)
PCMA = TrackFormat(codec=Codec.PCMA, clock_rate=8000, channels=1)
AAC = TrackFormat(codec=Codec.AAC, clock_rate=16000, channels=1, config=b"\x14\x08")


def packet(seq: int, *, payload: bytes | None = None, ssrc: int = 7, pt: int = 0, time: int | None = None) -> bytes:
    data = bytes([seq & 0xFF]) * 160 if payload is None else payload
    return build_rtp(
        marker=False, payload_type=pt, seq=seq, rtp_time=seq * 160 if time is None else time, ssrc=ssrc, payload=data
    )


def line_and_heard(*formats: TrackFormat) -> tuple[TalkLine, list[Sound]]:
    line = TalkLine("cam-1", formats)
    heard: list[Sound] = []
    line.attach(heard.append)
    return line, heard


def speak(grip: TalkGrip, numbers: range | list[int], now: float = 0.0) -> None:
    for step, number in enumerate(numbers):
        grip.hear(packet(number), now + step * 0.02)


def test_one_at_a_time() -> None:
    line, heard = line_and_heard()
    anna = line.take(ANNA, 0.0)
    with pytest.raises(Unavailable, match="anna talks"):
        line.take(BERT, 1.0)
    with pytest.raises(Unavailable):
        line.check(BERT, 1.0)
    line.check(ANNA, 1.0)
    assert line.talker(1.0) == ANNA
    anna.release()
    assert line.talker(1.0) is None
    line.take(BERT, 1.0)
    speak(anna, range(3), now=1.0)
    assert not heard
    assert line.statistics.refused == 3


def test_who_is_silent_loses_the_line_and_may_have_it_again() -> None:
    line, heard = line_and_heard()
    anna = line.take(ANNA, 0.0)
    speak(anna, [0], now=5.0)
    assert line.talker(5.0 + IDLE - 0.1) == ANNA
    assert line.talker(5.0 + IDLE) is None
    bert = line.take(BERT, 5.0 + IDLE)
    speak(anna, [1], now=16.0)
    assert len(heard) == 1
    bert.release()
    speak(anna, [2], now=17.0)
    assert len(heard) == 2
    assert line.talker(17.0) == ANNA


def test_places_follow_the_time_of_the_client() -> None:
    line, heard = line_and_heard()
    grip = line.take(ANNA, 100.0)
    speak(grip, [65534, 65535, 65536, 65537], now=100.0)
    assert [sound.at - heard[0].at for sound in heard] == [0, 20_000, 40_000, 60_000]
    assert [sound.first for sound in heard] == [True, False, False, False]
    assert b"".join(sound.data for sound in heard) == b"\xfe" * 160 + b"\xff" * 160 + b"\0" * 160 + b"\1" * 160


def test_doublets_and_stragglers_are_left_out_and_gaps_kept() -> None:
    line, heard = line_and_heard()
    speak(line.take(ANNA, 0.0), [1, 2, 2, 5, 4, 6])
    assert [sound.data[0] for sound in heard] == [1, 2, 5, 6]
    assert heard[2].at - heard[1].at == 60_000
    assert (line.statistics.late, line.statistics.lost) == (2, 2)


def test_another_sender_or_a_jump_of_time_begins_a_spurt_behind_what_was() -> None:
    line, heard = line_and_heard()
    grip = line.take(ANNA, 0.0)
    speak(grip, range(100), now=0.0)
    grip.hear(packet(5, ssrc=8), 1.0)
    grip.hear(packet(6, ssrc=8, time=7_000_000), 3.0)
    grip.hear(packet(7, ssrc=8, time=0), 3.02)
    places = [sound.at for sound in heard]
    assert places == sorted(set(places))
    assert [number for number, sound in enumerate(heard) if sound.first] == [0, 100, 101, 102]
    assert heard[101].at == 3_000_000
    assert line.statistics.spurts == 4


def test_what_is_no_sound_is_counted_and_left_out() -> None:
    line, heard = line_and_heard()
    grip = line.take(ANNA, 0.0)
    for data in (b"", b"\x80" * 5, packet(0, pt=99), packet(1, payload=b""), packet(2, payload=bytes(9000))):
        grip.hear(data, 0.0)
    assert not heard
    assert line.statistics.unusable == 5


def test_a_flood_is_left_out() -> None:
    line, heard = line_and_heard()
    grip = line.take(ANNA, 0.0)
    for number in range(5000):
        grip.hear(packet(number), 0.0)
    assert len(heard) == PACKETS_PER_SECOND


def test_formats_of_the_camera_are_offered_beside_g711() -> None:
    line, heard = line_and_heard(AAC, PCMA)
    assert line.offered == {0: PCMU, 8: PCMA, 97: AAC}
    track = line.track
    assert (track.talk, track.payload_type, track.alternatives) == (True, 0, ((8, PCMA), (97, AAC)))
    line.take(ANNA, 0.0).hear(packet(1, pt=97, time=1024), 0.0)
    assert heard[0].format == AAC
    line.set_formats((PCMU,))
    assert line.offered[97] == AAC


def test_the_camera_alone_may_send() -> None:
    line, heard = line_and_heard()
    grip = line.take(ANNA, 0.0)
    line.primacy = Primacy.SERVER
    speak(grip, range(3))
    assert not heard
    line.primacy = Primacy.CLIENT
    speak(grip, range(3, 5))
    assert len(heard) == 2


class Taken:
    """An outlet that keeps what it is given."""

    ready = True

    def __init__(self) -> None:
        self.units: list[int] = []
        self.ended = 0

    def send(self, unit: FlushUnit) -> None:
        self.units.append(unit.track)

    async def drain(self) -> None:
        return None

    def end(self) -> None:
        self.ended += 1


def test_the_client_alone_may_send() -> None:
    line, taken = TalkLine("cam-1"), Taken()
    video = TrackDescription(format=TrackFormat(codec=Codec.H264, clock_rate=90_000), payload_type=96, control="v")
    sound = TrackDescription(format=PCMU, payload_type=0, control="a")
    outlet = HalfDuplexOutlet(taken, line, (video, sound, line.track))
    units = [FlushUnit(number, b"", (), True, 0, 0) for number in (0, 1)]
    for primacy in (Primacy.AUTO, Primacy.CLIENT, Primacy.SERVER):
        line.primacy = primacy
        for unit in units:
            outlet.send(unit)
    assert taken.units == [0, 1, 0, 0, 1]
    outlet.end()
    assert taken.ended == 1


@pytest.mark.parametrize("level", list(Level))
def test_operators_and_administrators_may_talk(level: Level) -> None:
    if level in (Level.OPERATOR, Level.ADMINISTRATOR):
        check_talker(Account("x", level))
    else:
        with pytest.raises(Forbidden):
            check_talker(Account("x", level))
