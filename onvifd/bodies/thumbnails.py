"""Small pictures of footage: the key frame at or before a moment, decoded by the vision worker."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping

from onvifd.archive.cache import FragmentCache, LoadedFragment
from onvifd.archive.disk import DiskPool, Volume
from onvifd.archive.index import SegmentState, SegmentStore
from onvifd.archive.reader import RecordingReader
from onvifd.errors import LimitReached, NotFound, Unavailable
from onvifd.media.types import Kind
from onvifd.web.archive_marks import Thumbnail
from onvifd.workers.messages import MakeJpeg

AT_ONCE = 2
MAX_WAITING = 64
"""Pictures that are asked for and not made yet; at the bound further ones are refused."""
TIMEOUT = 15.0
KEPT = 256
"""Pictures that are given again without being decoded."""
MAX_BYTES = 16 << 20
"""Of all kept pictures."""
QUALITY = 75

Key = tuple[str, int, int]
Picture = Callable[[MakeJpeg], Awaitable[bytes]]


class Thumbnails:
    """Everything that reads runs in two threads of its own. Close it at the end."""

    def __init__(self, segments: SegmentStore, volumes: Callable[[], Mapping[str, Volume]], picture: Picture) -> None:
        self._segments = segments
        self._volumes = volumes
        self._picture = picture
        self._pool = DiskPool(AT_ONCE)
        self._room = asyncio.Semaphore(AT_ONCE)
        self._asked = 0
        self._kept: OrderedDict[Key, bytes] = OrderedDict()
        self._bytes = 0

    def close(self) -> None:
        self._pool.close()

    async def at(self, recording: str, utc: int, width: int) -> Thumbnail:
        """Raises NotFound where nothing is recorded at or before, LimitReached, Unavailable."""
        if self._asked >= MAX_WAITING:
            raise LimitReached("too many pictures are asked for at once: try again")
        self._asked += 1
        try:
            async with asyncio.timeout(TIMEOUT):
                async with self._room:
                    return await self._make(recording, utc, width)
        except TimeoutError:
            raise Unavailable("no picture was ready in time") from None
        finally:
            self._asked -= 1

    async def _make(self, recording: str, utc: int, width: int) -> Thumbnail:
        shown, request, final = await self._pool.run(self._key_frame, recording, utc, width)
        key = (recording, shown, width)
        jpeg = self._kept.get(key)
        if jpeg is None:
            jpeg = await self._picture(request)
            self._keep(key, jpeg)
        else:
            self._kept.move_to_end(key)
        return Thumbnail(utc=shown, jpeg=jpeg, final=final)

    def _key_frame(self, recording: str, utc: int, width: int) -> tuple[int, MakeJpeg, bool]:
        """Time of the key frame, what the vision worker needs, and whether no later one can take its place. Blocks."""
        # Nothing is cached of what is read: dragging over a month must not push out what is played.
        reader = RecordingReader(self._segments, self._volumes(), recording, cache=FragmentCache(0), pool=self._pool)
        position = reader.find_now(utc, forward=False)
        if position is None:
            raise NotFound("nothing is recorded then or before")
        loaded = reader.load_now(position)
        shown, request = key_frame(loaded, utc, width)
        return shown, request, position.segment.row.state is not SegmentState.OPEN

    def _keep(self, key: Key, jpeg: bytes) -> None:
        self._kept[key] = jpeg
        self._bytes += len(jpeg)
        while len(self._kept) > KEPT or self._bytes > MAX_BYTES:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= len(dropped)


def key_frame(loaded: LoadedFragment, utc: int, width: int) -> tuple[int, MakeJpeg]:
    """The last key frame of a fragment at or before a time, or its first. Raises NotFound for footage without pictures."""
    keys = [each for each in loaded.samples if each.key and loaded.formats[each.track].kind is Kind.VIDEO]
    if not keys:
        raise NotFound("there are no pictures in this footage")
    chosen = next((each for each in reversed(keys) if each.utc <= utc), keys[0])
    format = loaded.formats[chosen.track]
    return chosen.utc, MakeJpeg(
        codec=format.codec.value,
        parameter_sets=format.parameter_sets,
        data=bytes(loaded.data[chosen.offset : chosen.offset + chosen.size]),
        quality=QUALITY,
        width=width,
    )
