"""Speech from one encoding into another: what a client sends, as the camera takes it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import pairwise
from typing import Protocol

import av
import numpy as np

from onvifd.errors import NotSupported
from onvifd.live.talk import Sound
from onvifd.media import g711
from onvifd.media.rtp.depack import depacketizer
from onvifd.media.types import Codec, TrackFormat

G711 = (Codec.PCMU, Codec.PCMA)
_US = 1_000_000
_AAC_FRAME = 1024
_G726_PACKET = 50
"""Packets of G.726 per second: the encoder gives a quarter of a second at once, which is cut (RFC 3551 4.2)."""


@dataclass(frozen=True, slots=True)
class Speech:
    """The payload of a packet for the camera; `ticks` in its clock rate."""

    ticks: int
    data: bytes
    first: bool


class Voice(Protocol):
    """Turns packets of one encoding into those of another. `heavy` ones belong in a thread; they are used by one at a time."""

    heavy: bool

    def convert(self, sound: Sound) -> list[Speech]:
        """Raises NotSupported for what cannot be decoded."""
        ...


def same(one: TrackFormat, other: TrackFormat) -> bool:
    """Whether packets of one format are such of the other."""
    return (one.codec, one.clock_rate, max(1, one.channels), one.config, one.bits) == (
        other.codec,
        other.clock_rate,
        max(1, other.channels),
        other.config,
        other.bits,
    )


def can_decode(format: TrackFormat) -> bool:
    return format.codec in (*G711, Codec.AAC)


def can_encode(format: TrackFormat) -> bool:
    if format.rtpmap or format.fmtp:  # packets of another kind than ours
        return False
    return format.codec in (*G711, Codec.AAC) or (format.codec is Codec.G726 and 2 <= format.bits <= 5)


def voice(source: TrackFormat, target: TrackFormat, level: int = 100) -> Voice:
    """The way from one format to another at a loudness of `level` percent. Raises NotSupported if there is none.

    What cannot be decoded here reaches a camera that takes it as it is, at the loudness of the client.
    """
    possible = can_decode(source) and can_encode(target)
    if same(source, target) and (level == 100 or not possible):
        return Unchanged(target)
    if not possible:
        raise NotSupported(f"{source.codec} is not turned into {target.codec}")
    alike = source.clock_rate == target.clock_rate and max(1, source.channels) == max(1, target.channels)
    if source.codec in G711 and target.codec in G711 and alike:
        return OtherLaw(source, target, level)
    return Transcoder(source, target, level)


def ticks_of(at: int, rate: int) -> int:
    """A place in microseconds in ticks of a clock."""
    return round(at * rate / _US)


class Unchanged:
    """The camera takes what the client sends."""

    heavy = False

    def __init__(self, target: TrackFormat) -> None:
        self._rate = target.clock_rate

    def convert(self, sound: Sound) -> list[Speech]:
        """See Voice."""
        return [Speech(ticks_of(sound.at, self._rate), sound.data, sound.first)]


class OtherLaw:
    """G.711 of one law into the other, or of another loudness: byte by byte."""

    heavy = False

    def __init__(self, source: TrackFormat, target: TrackFormat, level: int = 100) -> None:
        self._table = _law(source.codec, target.codec, level)
        self._rate = target.clock_rate

    def convert(self, sound: Sound) -> list[Speech]:
        """See Voice."""
        return [Speech(ticks_of(sound.at, self._rate), sound.data.translate(self._table), sound.first)]


def _scaled(pcm: g711.Pcm, level: int) -> g711.Pcm:
    return pcm if level == 100 else (pcm.astype(np.int32) * level // 100).clip(-32768, 32767).astype(np.int16)


@cache
def _law(source: Codec, target: Codec, level: int) -> bytes:
    every = bytes(range(256))
    pcm = _scaled(g711.decode_mulaw(every) if source is Codec.PCMU else g711.decode_alaw(every), level)
    return g711.encode_alaw(pcm) if target is Codec.PCMA else g711.encode_mulaw(pcm)


class Transcoder:
    """Decodes, resamples and encodes with libavcodec. Each spurt begins anew: what is less than a frame at its end is lost."""

    heavy = True

    def __init__(self, source: TrackFormat, target: TrackFormat, level: int = 100) -> None:
        self._source, self._target, self._level = source, target, level
        self._begin = -1
        self._made = 0
        self._fresh = True
        self._restart()

    def _restart(self) -> None:
        target = self._target
        layout = "stereo" if target.channels == 2 else "mono"
        self._joiner = None if self._source.codec in G711 else depacketizer(self._source)
        self._decoder = None if self._source.codec in G711 else _aac_decoder(self._source)
        self._encoder = None if target.codec in G711 else _encoder(target, layout)
        size = 0 if self._encoder is None else self._encoder.frame_size or _AAC_FRAME
        form = "s16" if self._encoder is None else self._encoder.format.name
        self._resampler = av.AudioResampler(form, layout, target.clock_rate, frame_size=size or None)
        self._rest = b""

    def convert(self, sound: Sound) -> list[Speech]:
        """See Voice."""
        if sound.first or self._begin < 0:
            self._restart()
            self._begin, self._made, self._fresh = ticks_of(sound.at, self._target.clock_rate), 0, True
        try:
            frames = [out for frame in self._decode(sound) for out in self._resampler.resample(frame)]
            return [self._speech(data, ticks) for frame in frames for data, ticks in self._encode(frame)]
        except av.FFmpegError as error:
            raise NotSupported(f"sound cannot be turned into {self._target.codec}: {error}") from None

    def _speech(self, data: bytes, ticks: int) -> Speech:
        speech = Speech(self._begin + self._made, data, self._fresh)
        self._made += ticks
        self._fresh = False
        return speech

    def _decode(self, sound: Sound) -> list[av.AudioFrame]:
        source = self._source
        if self._decoder is None or self._joiner is None:
            pcm = (g711.decode_mulaw if source.codec is Codec.PCMU else g711.decode_alaw)(sound.data)
            pcm = _scaled(pcm, self._level)
            layout = "stereo" if source.channels == 2 else "mono"
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(pcm.reshape(1, -1)), format="s16", layout=layout)
            frame.sample_rate = source.clock_rate
            return [frame]
        ticks = ticks_of(sound.at, source.clock_rate) & 0xFFFFFFFF
        units = self._joiner.feed(memoryview(sound.data), True, ticks, True)
        frames = [out for unit in units for out in self._decoder.decode(av.Packet(unit.data))]
        return frames if self._level == 100 else [_quieter(frame, self._level) for frame in frames]

    def _encode(self, frame: av.AudioFrame) -> list[tuple[bytes, int]]:
        """Payloads and how many ticks each lasts."""
        if self._encoder is None:
            pcm = frame.to_ndarray().reshape(-1).astype(np.int16, copy=False)
            coded = (g711.encode_mulaw if self._target.codec is Codec.PCMU else g711.encode_alaw)(pcm)
            return [(coded, frame.samples)]
        frame.pts = None
        packets = [bytes(packet) for packet in self._encoder.encode(frame)]
        if self._target.codec is Codec.AAC:
            # RFC 3640 3.3.6: the length of the AU headers in bits, then the size of the one frame in 13 bits
            return [(b"\0\x10" + (len(data) << 3).to_bytes(2, "big") + data, _AAC_FRAME) for data in packets]
        return self._pieces(b"".join(packets))

    def _pieces(self, data: bytes) -> list[tuple[bytes, int]]:
        ticks = self._target.clock_rate // _G726_PACKET
        size = ticks * self._target.bits // 8
        data = self._rest + data
        cuts = range(0, len(data) - len(data) % size + 1, size)
        self._rest = data[cuts[-1] :]
        return [(data[start:stop], ticks) for start, stop in pairwise(cuts)]


def _quieter(frame: av.AudioFrame, level: int) -> av.AudioFrame:
    scaled = frame.to_ndarray() * (level / 100)  # AAC is decoded to floating point
    made = av.AudioFrame.from_ndarray(scaled.astype(np.float32), format=frame.format.name, layout=frame.layout.name)
    made.sample_rate = frame.sample_rate
    return made


def _aac_decoder(format: TrackFormat) -> av.AudioCodecContext:
    decoder = av.CodecContext.create("aac", "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.extradata = format.config
    return decoder


def _encoder(format: TrackFormat, layout: str) -> av.AudioCodecContext:
    name, form, rate = ("aac", "fltp", 0) if format.codec is Codec.AAC else ("g726le", "s16", format.bits)
    encoder = av.CodecContext.create(name, "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate = format.clock_rate
    encoder.layout = layout
    encoder.format = form
    encoder.time_base = Fraction(1, format.clock_rate)
    # 2 bits per sample are good speech for AAC; those of G.726 are its kind (RFC 3551 4.5.4)
    encoder.bit_rate = format.clock_rate * (rate or 2)
    encoder.thread_count = 1
    try:
        encoder.open()
    except av.FFmpegError as error:
        # Cameras describe what no encoder makes, such as rates that are none.
        raise NotSupported(f"{format.codec} at {format.clock_rate} Hz cannot be made: {error.strerror}") from None
    return encoder


async def converted(way: Voice, sound: Sound) -> list[Speech]:
    """`way.convert`, in a thread if it is heavy."""
    return await asyncio.to_thread(way.convert, sound) if way.heavy else way.convert(sound)
