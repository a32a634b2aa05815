"""The vision worker: decodes pictures, so that nothing else has to. JPEG of a key frame, and streams of JPEG."""

from __future__ import annotations

import asyncio
import socket
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

from onvifd.errors import InvalidArgument
from onvifd.workers.link import Link
from onvifd.workers.messages import AnyMessage, Done, Failure, Jpeg, MakeJpeg, Ping, Pong, Ready, Setup, Stop
from onvifd.workers.vision_codec import jpeg_of_keyframe as jpeg_of_keyframe
from onvifd.workers.vision_pictures import PictureMakers

CACHE_ENTRIES = 64


class VisionWorker:
    """Answers `MakeJpeg`, one picture at a time: decoding must not take more than its core. Streams of pictures are made beside
    that, for whoever is at the other end of a line."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._executor = ThreadPoolExecutor(1, "vision")
        self._makers = PictureMakers()
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

    def connect(self, sock: socket.socket) -> None:
        """Serve the line to a media worker (see picture_line)."""
        self._makers.connect(sock)

    async def _jpeg(self, request: MakeJpeg) -> AnyMessage:
        key = hash(
            (request.codec, request.parameter_sets, request.data, request.quality, request.width, request.config)
        )
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
                    request.config,
                )
            except InvalidArgument as error:
                return Failure(reason=error.reason)
            self._cache[key] = jpeg
            if len(self._cache) > CACHE_ENTRIES:
                self._cache.popitem(last=False)
        return Jpeg(data=jpeg)

    async def stop(self) -> None:
        """Free the threads."""
        await self._makers.stop()
        await asyncio.to_thread(self._executor.shutdown, wait=True, cancel_futures=True)
