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
from onvifd.media import aac, g711, opus
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
    """G.711, G.726 (32 kbit/s) and L16 at 8 kHz, AAC-LC at 16 kHz, Opus, mono. Raises NotSupported for other codecs."""
    if codec is Codec.PCMU:
        return _g711(codec, g711.encode_mulaw(tone(8000)))
    if codec is Codec.PCMA:
        return _g711(codec, g711.encode_alaw(tone(8000)))
    if codec is Codec.AAC:
        return _aac()
    if codec is Codec.L16:
        track = TrackFormat(codec=codec, clock_rate=8000, channels=1)
        return _cut(track, tone(8000).astype(">i2").tobytes(), 2 * PACKET_SAMPLES)
    if codec is Codec.G726:
        track = TrackFormat(codec=codec, clock_rate=8000, channels=1, bits=_G726_BITS)
        return _cut(track, _g726(), PACKET_SAMPLES * _G726_BITS // 8)
    if codec is Codec.OPUS:
        return _opus()
    raise NotSupported(f"the simulated camera does not encode {codec}")


def _g711(codec: Codec, data: bytes) -> Clip:
    return _cut(TrackFormat(codec=codec, clock_rate=8000, channels=1), data, PACKET_SAMPLES)


def _cut(track: TrackFormat, data: bytes, size: int) -> Clip:
    """Packets of PACKET_SAMPLES samples, which are `size` bytes."""
    parts = [(data[at : at + size], True) for at in range(0, len(data), size)]
    return clips.make(track, Fraction(8000, PACKET_SAMPLES), parts)


_G726_BITS = 4


def _context(name: str) -> AudioCodecContext:
    try:
        context = av.CodecContext.create(name, "w")
    except av.FFmpegError as error:
        raise Unavailable(f"encoder {name} is not available") from error
    assert isinstance(context, AudioCodecContext)
    return context


def _g726() -> bytes:
    """RFC 3551 4.5.4: the first sample in the lowest bits, which libavcodec calls little endian."""
    context = _context("g726le")
    context.sample_rate, context.layout, context.format, context.bit_rate = 8000, "mono", "s16", 8000 * _G726_BITS
    frame = av.AudioFrame.from_ndarray(tone(8000)[None, :], format="s16", layout="mono")
    frame.sample_rate = 8000
    return b"".join(bytes(packet) for packet in (*context.encode(frame), *context.encode(None)))


_OPUS_SAMPLES = 960
"""Samples of an Opus packet: 20 ms."""


def _opus() -> Clip:
    context = _context("libopus")
    context.sample_rate, context.layout, context.format, context.bit_rate = opus.RATE, "mono", "s16", 32000
    samples = tone(opus.RATE)
    count = len(samples) // _OPUS_SAMPLES
    packets: list[bytes] = []
    # two rounds, of which the second follows on from a whole loop; the encoder looks ahead by less than a packet
    for index in range(2 * count + 2):
        at = index % count * _OPUS_SAMPLES
        frame = av.AudioFrame.from_ndarray(samples[None, at : at + _OPUS_SAMPLES], format="s16", layout="mono")
        frame.sample_rate, frame.pts = opus.RATE, index * _OPUS_SAMPLES
        packets += [bytes(packet) for packet in context.encode(frame)]
    track = TrackFormat(codec=Codec.OPUS, clock_rate=opus.RATE, channels=2)
    return clips.make(track, Fraction(opus.RATE, _OPUS_SAMPLES), [(data, True) for data in packets[count : 2 * count]])


def _aac() -> Clip:
    context = _context("aac")
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
