"""Decoding and JPEG encoding with PyAV. Everything here blocks and belongs on a thread of its own."""

from __future__ import annotations

import fractions
import io
import logging
from collections.abc import Iterable
from typing import cast

import av
import av.error
from av.codec.context import ThreadType
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from onvifd.clock import US
from onvifd.errors import InvalidArgument
from onvifd.media import nal
from onvifd.workers.picture_line import Begin, Unit

log = logging.getLogger(__name__)

_DECODERS = {"h264": "h264", "h265": "hevc", "mpeg4": "mpeg4", "jpeg": "mjpeg"}
MAX_PIXELS = 64 << 20
"""Of a picture that is decoded: twice 8K."""
_JITTER = 10_000
"""Microseconds by which a frame may come before its turn."""
_HD = 1  # AVCOL_SPC_BT709


def make_decoder(codec: str, config: bytes = b"") -> VideoCodecContext:
    """A decoder of one thread. Raises InvalidArgument for encodings of which no picture can be made."""
    name = _DECODERS.get(codec)
    if name is None:
        raise InvalidArgument(f"no picture can be made of {codec}")
    decoder = cast(VideoCodecContext, VideoCodecContext.create(name, "r"))
    decoder.thread_type = ThreadType.NONE
    decoder.thread_count = 1
    # A few bytes of a hostile stream may claim any size.
    decoder.options = {"max_pixels": str(MAX_PIXELS)}
    if codec == "mpeg4" and config:
        decoder.extradata = config
    return decoder


def bitstream(codec: str, parameter_sets: tuple[bytes, ...], data: bytes) -> bytes:
    """An access unit as its decoder wants it. Raises InvalidArgument where lengths do not fit."""
    if codec in ("h264", "h265"):
        return nal.to_annexb(nal.join(parameter_sets) + data)
    return data


def make_encoder(width: int, height: int, options: dict[str, str]) -> VideoCodecContext:
    """A JPEG encoder."""
    encoder = VideoCodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj420p"
    encoder.time_base = fractions.Fraction(1, 25)
    # one slice: no restart markers
    encoder.thread_type = ThreadType.NONE
    encoder.thread_count = 1
    encoder.options = options
    return encoder


def constant(quality: float) -> dict[str, str]:
    """Options for a constant quality (1 to 100), with the Huffman tables that RTP presumes (RFC 2435 4.1)."""
    scale = str(quantizer(quality))
    return {"qmin": scale, "qmax": scale, "huffman": "default"}


def quantizer(quality: float) -> int:
    """The encoder's scale from 1 to 31 for a quality as it is commonly told: 8 leaves its tables as they are, as 50 does those
    of the standard (T.81 K.1, RFC 2435 4.2)."""
    bounded = min(max(quality, 1.0), 100.0)
    percent = 5000 / bounded if bounded < 50 else 200 - 2 * bounded
    return min(max(round(8 * percent / 100), 1), 31)


def wanted_size(width: int, height: int, wide: int, high: int) -> tuple[int, int]:
    """Size of the picture to make: both as wanted, or even numbers of the same shape and never larger."""
    if wide > 0 and high > 0:
        return wide, high
    if not 0 < wide < width:
        return width, height
    return max(2, wide & -2), max(2, round(height * wide / width) & -2)


class Scaler:
    """Brings frames to one size and to the colours of JPEG. Keeps what it has prepared for the last size."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def scale(self, frame: VideoFrame, width: int, height: int) -> VideoFrame:
        return self._reformatter.reformat(
            frame,
            width,
            height,
            "yuvj420p",
            src_colorspace=Colorspace.ITU709 if frame.colorspace == _HD else Colorspace.ITU601,
            dst_colorspace=Colorspace.ITU601,
            interpolation=Interpolation.BILINEAR,
            src_color_range=frame.color_range or ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
            threads=1,
        )


class Transcoder:
    """One stream of video to pictures. Its calls must not overlap. Raises InvalidArgument for an unknown encoding."""

    def __init__(self, begin: Begin) -> None:
        self._begin = begin
        self._decoder = make_decoder(begin.codec, begin.config)
        self._encoder: VideoCodecContext | None = None
        self._scaler = Scaler()
        self._interval = round(US / begin.rate) if begin.rate > 0 else 0
        self._due: int | None = None
        self._number = 0
        self._waits = True
        self.broken = 0

    def work(self, units: Iterable[Unit], last_only: bool = False) -> list[tuple[int, bytes]]:
        """Decode units; gives the times and JPEGs of those frames that are due, or only of the last of them."""
        due: list[tuple[int, VideoFrame]] = []
        for unit in units:
            if self._waits and not unit.key:
                continue
            try:
                for frame in self._decode(unit):
                    utc = unit.utc if frame.pts is None else frame.pts
                    if self._is_due(utc):
                        due.append((utc, frame))
            except (av.error.FFmpegError, InvalidArgument) as error:
                self.broken += 1
                self._waits = True
                self._decoder.flush_buffers()
                log.debug("pictures: what came does not decode: %s", error)
            if last_only:
                del due[:-1]
        made = []
        for utc, frame in due:
            try:
                made.append((utc, self._encode(frame)))
            except av.error.FFmpegError as error:
                self.broken += 1
                log.warning("pictures: a frame of %dx%d is not encoded: %s", frame.width, frame.height, error)
        return made

    def _decode(self, unit: Unit) -> list[VideoFrame]:
        sets = self._begin.parameter_sets if unit.key else ()
        packet = av.Packet(bitstream(self._begin.codec, sets, unit.data))
        packet.pts = packet.dts = unit.utc
        packet.is_keyframe = unit.key
        self._waits = False
        return self._decoder.decode(packet)

    def _is_due(self, utc: int) -> bool:
        if not self._interval:
            return True
        due = self._due
        # A clock that was set, or a pause: the beat begins anew.
        if due is None or not -4 * self._interval < utc - due < 4 * self._interval:
            self._due = utc + self._interval
            return True
        if utc < due - min(self._interval // 8, _JITTER):
            return False
        self._due = due + self._interval
        return True

    def _encode(self, frame: VideoFrame) -> bytes:
        width, height = wanted_size(frame.width, frame.height, self._begin.width, self._begin.height)
        encoder = self._encoder
        if encoder is None or (encoder.width, encoder.height) != (width, height):
            encoder = self._encoder = make_encoder(width, height, constant(self._begin.quality))
            self._number = 0
        picture = self._scaler.scale(frame, width, height)
        picture.pts = self._number
        picture.time_base = fractions.Fraction(1, 25)
        self._number += 1
        return b"".join(bytes(packet) for packet in encoder.encode(picture))


def jpeg_of_keyframe(
    codec: str,
    parameter_sets: tuple[bytes, ...],
    data: bytes,
    quality: int = 85,
    width: int = 0,
    config: bytes = b"",
) -> bytes:
    """Decode one key frame (AccessUnit.data) and give it as JPEG of the same size, or `width` pixels wide if that is less.

    Raises InvalidArgument when it does not decode. Milliseconds to tens of milliseconds.
    """
    decoder = make_decoder(codec, config)
    try:
        frames = decoder.decode(av.Packet(bitstream(codec, parameter_sets, data))) + decoder.decode(None)
    except av.error.FFmpegError as error:
        raise InvalidArgument(f"the key frame does not decode: {error}") from None
    if not frames:
        raise InvalidArgument("the key frame holds no picture")
    size = wanted_size(frames[0].width, frames[0].height, width, 0)
    encoder = make_encoder(*size, {"qmin": "1", "qmax": str(max(2, 31 - quality * 29 // 100))})
    picture = Scaler().scale(frames[0], *size)
    picture.pts = 0
    picture.time_base = encoder.time_base
    buffer = io.BytesIO()
    for packet in [*encoder.encode(picture), *encoder.encode(None)]:
        buffer.write(bytes(packet))
    return buffer.getvalue()
