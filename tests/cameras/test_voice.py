"""Speech in another encoding."""

from __future__ import annotations

import contextlib
import itertools

import av
import numpy as np
import pytest

from onvifd.cameras.voice import OtherLaw, Transcoder, Unchanged, voice
from onvifd.errors import NotSupported
from onvifd.live.talk import Sound
from onvifd.media import g711
from onvifd.media.types import Codec, TrackFormat

PCMU = TrackFormat(codec=Codec.PCMU, clock_rate=8000, channels=1)
PCMA = TrackFormat(codec=Codec.PCMA, clock_rate=8000, channels=1)
WIDE = TrackFormat(codec=Codec.PCMU, clock_rate=16000, channels=1)
AAC = TrackFormat(codec=Codec.AAC, clock_rate=16000, channels=1, config=b"\x14\x08")
TONE = (np.sin(np.arange(8000) * 2 * np.pi * 440 / 8000) * 12000).astype(np.int16)


def sounds(coded: bytes, format: TrackFormat = PCMU, begin: int = 0) -> list[Sound]:
    pieces = [coded[at : at + 160] for at in range(0, len(coded), 160)]
    return [Sound(format, begin + n * 20_000, piece, n == 0) for n, piece in enumerate(pieces)]


def test_the_same_encoding_stays_as_it_is() -> None:
    way = voice(PCMU, TrackFormat(codec=Codec.PCMU, clock_rate=8000))
    assert isinstance(way, Unchanged)
    (speech,) = way.convert(Sound(PCMU, 20_000, b"\1\2", False))
    assert (speech.ticks, speech.data, speech.first) == (160, b"\1\2", False)


@pytest.mark.parametrize(("source", "target"), [(PCMU, PCMA), (PCMA, PCMU)])
def test_one_law_becomes_the_other(source: TrackFormat, target: TrackFormat) -> None:
    way = voice(source, target)
    assert isinstance(way, OtherLaw)
    assert not way.heavy
    encode, decode = (g711.encode_mulaw, g711.decode_alaw) if source is PCMU else (g711.encode_alaw, g711.decode_mulaw)
    (speech,) = way.convert(Sound(source, 0, encode(TONE), True))
    error = np.abs(decode(speech.data).astype(np.int32) - TONE)
    assert error.max() <= 768  # two quantisations of the largest segment in use


def test_another_rate_is_resampled_without_gaps() -> None:
    way = voice(PCMU, WIDE)
    assert isinstance(way, Transcoder)
    made = [speech for sound in sounds(g711.encode_mulaw(TONE), begin=1_000_000) for speech in way.convert(sound)]
    assert made[0].first
    assert made[0].ticks == 16000
    for before, after in itertools.pairwise(made):
        assert after.ticks == before.ticks + len(before.data)
    assert 15_500 <= sum(len(speech.data) for speech in made) <= 16_000


def test_g711_becomes_aac_that_a_camera_decodes() -> None:
    way = voice(PCMU, AAC)
    assert way.heavy
    made = [speech for sound in sounds(g711.encode_mulaw(TONE)) for speech in way.convert(sound)]
    assert [speech.ticks for speech in made] == [1024 * n for n in range(len(made))]
    decoder = av.CodecContext.create("aac", "r")
    decoder.extradata = AAC.config
    heard = []
    for speech in made:
        size = int.from_bytes(speech.data[2:4], "big") >> 3  # RFC 3640 3.3.6
        assert speech.data[:2] == b"\0\x10"
        assert len(speech.data) == 4 + size
        heard += [frame.to_ndarray().reshape(-1) for frame in decoder.decode(av.Packet(speech.data[4:]))]
    pcm = np.concatenate(heard)[4096:-1024]
    spectrum = np.abs(np.fft.rfft(pcm))
    assert abs(np.argmax(spectrum) * 16000 / len(pcm) - 440) < 5


def test_aac_becomes_g711() -> None:
    there, back = voice(PCMU, AAC), voice(AAC, PCMA)
    made = [speech for sound in sounds(g711.encode_mulaw(TONE)) for speech in there.convert(sound)]
    heard = b"".join(
        speech.data
        for each in made
        for speech in back.convert(Sound(AAC, round(each.ticks * 1_000_000 / 16000), each.data, each.first))
    )
    pcm = g711.decode_alaw(heard)[2048:]
    spectrum = np.abs(np.fft.rfft(pcm))
    assert abs(np.argmax(spectrum) * 8000 / len(pcm) - 440) < 5


def test_a_spurt_begins_anew_at_its_own_time() -> None:
    way = voice(PCMU, AAC)
    for sound in sounds(g711.encode_mulaw(TONE)):
        way.convert(sound)
    made = [speech for sound in sounds(g711.encode_mulaw(TONE), begin=9_000_000) for speech in way.convert(sound)]
    assert made[0].first
    assert made[0].ticks == 9 * 16000


def test_what_cannot_be_turned_is_refused() -> None:
    with pytest.raises(NotSupported):
        voice(TrackFormat(codec=Codec.JPEG, clock_rate=90000), PCMU)
    with contextlib.suppress(NotSupported):
        assert voice(AAC, PCMU).convert(Sound(AAC, 0, b"\0\x10\0\x18abc", True)) == []


def test_g711_becomes_g726_in_packets_of_20_ms() -> None:
    way = voice(PCMU, TrackFormat(codec=Codec.G726, clock_rate=8000, channels=1, bits=4))
    made = [speech for sound in sounds(g711.encode_mulaw(TONE)) for speech in way.convert(sound)]
    assert {len(speech.data) for speech in made} == {80}
    assert [speech.ticks for speech in made] == [160 * n for n in range(len(made))]
    assert len(made) > 30


@pytest.mark.parametrize("target", [PCMU, PCMA, AAC], ids=["same", "law", "aac"])
def test_loudness(target: TrackFormat) -> None:
    loud, quiet = voice(PCMU, target), voice(PCMU, target, 50)

    def power(way: Transcoder | OtherLaw | Unchanged) -> float:
        made = [speech for sound in sounds(g711.encode_mulaw(TONE)) for speech in way.convert(sound)]
        back = voice(target, PCMU)
        coded = b"".join(
            heard.data
            for each in made
            for heard in back.convert(
                Sound(target, round(each.ticks * 1_000_000 / target.clock_rate), each.data, each.first)
            )
        )
        return float(np.abs(g711.decode_mulaw(coded)[2000:6000].astype(np.float64)).mean())

    assert power(quiet) == pytest.approx(power(loud) / 2, rel=0.05)  # type: ignore[arg-type]
