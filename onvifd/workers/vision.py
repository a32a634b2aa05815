"""The vision worker: decodes pictures, so that nothing else has to. Here: JPEG of a key frame."""

from __future__ import annotations

import asyncio
import io
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import av
import av.error
from av.codec.context import ThreadType
from av.video.codeccontext import VideoCodecContext

from onvifd.errors import InvalidArgument
from onvifd.media import nal
from onvifd.workers.link import Link
from onvifd.workers.messages import AnyMessage, Done, Failure, Jpeg, MakeJpeg, Ping, Pong, Ready, Setup, Stop

CACHE_ENTRIES = 64
_DECODERS = {"h264": "h264", "h265": "hevc"}


def jpeg_of_keyframe(
    codec: str, parameter_sets: tuple[bytes, ...], data: bytes, quality: int = 85, width: int = 0
) -> bytes:
    """Decode one key frame (length-prefixed NAL units) and give it as JPEG of the same size, or `width` pixels wide if that
    is less.

    Raises InvalidArgument when it does not decode. Blocking: milliseconds to tens of milliseconds.
    """
    name = _DECODERS.get(codec)
    if name is None:
        raise InvalidArgument(f"no picture can be made of {codec}")
    decoder = cast(VideoCodecContext, VideoCodecContext.create(name, "r"))
    decoder.thread_type = ThreadType.NONE
    try:
        stream = nal.to_annexb(nal.join(parameter_sets) + data)
        frames = decoder.decode(av.Packet(stream)) + decoder.decode(None)
    except av.error.FFmpegError as error:
        raise InvalidArgument(f"the key frame does not decode: {error}") from None
    if not frames:
        raise InvalidArgument("the key frame holds no picture")
    frame = frames[0]
    encoder = VideoCodecContext.create("mjpeg", "w")
    encoder.width, encoder.height = _size(frame.width, frame.height, width)
    encoder.pix_fmt = "yuvj420p"
    encoder.options = {"qmin": "1", "qmax": str(max(2, 31 - quality * 29 // 100))}
    picture = frame.reformat(
        encoder.width, encoder.height, format="yuvj420p", src_color_range=frame.color_range or 1, dst_color_range=2
    )
    picture.pts = 0
    buffer = io.BytesIO()
    for packet in [*encoder.encode(picture), *encoder.encode(None)]:
        buffer.write(bytes(packet))
    return buffer.getvalue()


def _size(width: int, height: int, wanted: int) -> tuple[int, int]:
    """Even numbers of the same shape."""
    if not 0 < wanted < width:
        return width, height
    return max(2, wanted & -2), max(2, round(height * wanted / width) & -2)


class VisionWorker:
    """Answers `MakeJpeg`. One picture at a time: decoding must not take more than its core."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._executor = ThreadPoolExecutor(1, "vision")
        self._cache: OrderedDict[int, bytes] = OrderedDict()
        self.stopped = asyncio.Event()

    async def handle(self, message: AnyMessage) -> AnyMessage | None:
        """Serve one message of control."""
        match message:
            case Setup():
                return Ready(name=message.name, pid=0)
            case Ping():
                return Pong()
            case MakeJpeg():
                return await self._jpeg(message)
            case Stop():
                self.stopped.set()
                return Done()
        return None

    async def _jpeg(self, request: MakeJpeg) -> AnyMessage:
        key = hash((request.codec, request.parameter_sets, request.data, request.quality, request.width))
        jpeg = self._cache.get(key)
        if jpeg is None:
            try:
                jpeg = await asyncio.get_running_loop().run_in_executor(
                    self._executor,
                    jpeg_of_keyframe,
                    request.codec,
                    request.parameter_sets,
                    request.data,
                    request.quality,
                    request.width,
                )
            except InvalidArgument as error:
                return Failure(reason=error.reason)
            self._cache[key] = jpeg
            if len(self._cache) > CACHE_ENTRIES:
                self._cache.popitem(last=False)
        return Jpeg(data=jpeg)

    async def stop(self) -> None:
        """Free the thread."""
        await asyncio.to_thread(self._executor.shutdown, wait=True, cancel_futures=True)
