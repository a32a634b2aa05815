"""The sound of the simulated camera: a short beep at every second, a higher one where the loop of 10 s begins."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt
from av.audio.codeccontext import AudioCodecContext

from onvifd.cameras.simulated import clip as clips
from onvifd.cameras.simulated.clip import Clip
from onvifd.errors import NotSupported, Unavailable
from onvifd.media import aac, g711
from onvifd.media.types import Codec, TrackFormat

LOOP_SECONDS = 10
PACKET_SAMPLES = 320
"""Samples of a G.711 packet: 40 ms."""

_AAC_RATE = 16000
# 1024 samples fit into 40 s a whole number of times, into 10 s they do not
_AAC_SECONDS = 40


def tone(rate: int) -> npt.NDArray[np.int16]:
    """One loop of linear PCM: 100 ms of 880 Hz at each second, 1760 Hz at second 0."""
    samples = np.zeros(rate * LOOP_SECONDS, np.float64)
    length = rate // 10
    time = np.arange(length) / rate
    envelope = np.minimum(1, np.minimum(time, time[::-1]) * 200)
    for second in range(LOOP_SECONDS):
        pitch = 880 if second else 1760
        samples[second * rate : second * rate + length] = 8000 * envelope * np.sin(2 * np.pi * pitch * time)
    return samples.astype(np.int16)


def encode_sound(codec: Codec) -> Clip:
    """G.711 at 8 kHz or AAC-LC at 16 kHz, mono. Raises NotSupported for other codecs."""
    if codec is Codec.PCMU:
        return _g711(codec, g711.encode_mulaw(tone(8000)))
    if codec is Codec.PCMA:
        return _g711(codec, g711.encode_alaw(tone(8000)))
    if codec is Codec.AAC:
        return _aac()
    raise NotSupported(f"the simulated camera does not encode {codec}")


def _g711(codec: Codec, data: bytes) -> Clip:
    track = TrackFormat(codec=codec, clock_rate=8000, channels=1)
    parts = [(data[at : at + PACKET_SAMPLES], True) for at in range(0, len(data), PACKET_SAMPLES)]
    return clips.make(track, Fraction(8000, PACKET_SAMPLES), parts)


def _aac() -> Clip:
    try:
        context = av.CodecContext.create("aac", "w")
    except av.FFmpegError as error:
        raise Unavailable("encoder aac is not available") from error
    assert isinstance(context, AudioCodecContext)
    context.sample_rate, context.layout, context.format, context.bit_rate = _AAC_RATE, "mono", "fltp", 32000
    samples = np.tile(tone(_AAC_RATE), _AAC_SECONDS // LOOP_SECONDS).astype(np.float32) / 32768
    count = len(samples) // 1024
    packets: list[bytes] = []
    # two rounds: the second one's packets follow on from a whole loop, so that its end fits its beginning
    for index in range(2 * count + 2):
        at = index % count * 1024
        frame = av.AudioFrame.from_ndarray(samples[None, at : at + 1024], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = _AAC_RATE, index * 1024
        packets += [bytes(packet) for packet in context.encode(frame)]
    # the encoder is one frame late: packet n + 1 ends where frame n ends
    units = [(data, True) for data in packets[count + 1 : 2 * count + 1]]
    config = aac.build_config(aac.AudioSpecificConfig(object_type=2, sample_rate=_AAC_RATE, channels=1))
    track = TrackFormat(codec=Codec.AAC, clock_rate=_AAC_RATE, config=config, channels=1)
    return clips.make(track, Fraction(_AAC_RATE, 1024), units)
