"""JPEG streams of cameras, made on demand: the media worker's side.

While somebody watches `<camera>/jpeg`, or waits to learn what it is, the access units of another stream of that camera go to the
vision worker, and what comes back is packed and published with the times of the source. Else nothing runs.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import socket
from collections.abc import Callable, Coroutine
from typing import Any

from onvifd.clock import US
from onvifd.errors import InvalidArgument, NotSupported, Unavailable
from onvifd.live.hub import LiveStream, LiveTrack
from onvifd.media.rtp.depack import Depacketizer, depacketizer
from onvifd.media.rtp.jpeg import tell_extension
from onvifd.media.rtp.pack import Packer
from onvifd.media.rtp.packet import parse_rtp
from onvifd.media.types import AccessUnit, Codec, FlushUnit, Kind, TrackFormat
from onvifd.workers.messages import Presentations
from onvifd.workers.picture_line import Begin, End, Picture, PictureLine, Refused, Unit, Word
from onvifd.workers.specs import PictureSpec
from onvifd.workers.tasks import tell_fault

log = logging.getLogger(__name__)

NAME = "jpeg"
"""Of the stream of each camera."""

LINGER = 8.0
"""Seconds that pictures go on when nobody watches any more: from DESCRIBE to PLAY, or to the next client."""

SOURCE_WAIT = 5.0
"""Seconds for the source to tell its formats before another look at what there is."""

REFUSED_WAIT = 3.0
"""Seconds for which a refusal stands."""

REPORT_INTERVAL = 5 * US
"""Between sender reports, microseconds (RFC 3550 6.2)."""

_PAYLOAD_TYPE = 26
_CLOCK = 90_000

Find = Callable[[str, str], LiveStream | None]
"""A stream of a camera by name."""


class JpegStream(LiveStream):
    """The pictures of one camera as they are relayed; numbers go on over all pauses."""

    def __init__(self, camera: str) -> None:
        super().__init__(f"{camera}/{NAME}")
        self.camera = camera
        self.spec = PictureSpec()
        self.changed = asyncio.Event()
        """That it must be made another way, or out of something else."""
        self._refusal = ""
        self._refused_at = 0.0
        self._reported = 0
        self.latest = 0
        """Time of the last picture, microseconds UTC."""
        self._ticks = 0
        self._packer = Packer(
            self._format(0, 0),
            track=0,
            payload_type=_PAYLOAD_TYPE,
            ssrc=random.getrandbits(32),
            seq=random.getrandbits(16),
            ticks_offset=random.getrandbits(32),
        )

    @staticmethod
    def _format(width: int, height: int) -> TrackFormat:
        return TrackFormat(codec=Codec.JPEG, clock_rate=_CLOCK, width=width, height=height)

    async def known(self, timeout: float) -> bool:
        """See LiveStream. Raises Unavailable when the pictures are refused."""
        self._check_refusal()
        found = await super().known(timeout)
        self._check_refusal()
        return found

    def _check_refusal(self) -> None:
        if self._refusal and asyncio.get_running_loop().time() - self._refused_at < REFUSED_WAIT:
            raise Unavailable(self._refusal)

    def refuse(self, reason: str) -> None:
        """There will be no pictures: whoever waits is told, whoever watches is ended."""
        self._refusal, self._refused_at = reason, asyncio.get_running_loop().time()
        self._known.set()
        self.end()

    def end(self) -> None:
        """See LiveStream. Who comes next gets a report of its own time before the first picture."""
        super().end()
        self._reported = 0

    def forget(self) -> None:
        """See LiveStream; the same report."""
        super().forget()
        self._reported = 0

    def picture(self, utc: int, data: bytes) -> None:
        """Publish a JPEG of a moment."""
        self._refusal = ""
        ticks = utc * (_CLOCK // 1000) // 1000
        jump = ticks <= self._ticks
        if jump:
            # The source's clock was set back: time stamps go on all the same, a report tells what they mean from now on.
            on = self._ticks + round(_CLOCK / max(self.spec.framerate, 1.0))
            self._packer.ticks_offset += on - ticks
        packer = self._packer
        try:
            unit = packer.pack(AccessUnit(0, utc, ticks, True, data))
        except InvalidArgument as error:
            log.error("%s: %s", self.name, error)
            return
        self._ticks, self.latest = ticks, utc
        if jump or not self._reported <= utc < self._reported + REPORT_INTERVAL:
            self._reported = utc
            report = packer.sender_report(utc, ticks)
        else:
            report = None
        if not self.tracks:
            self.set_tracks((LiveTrack(self._format(self.spec.width, self.spec.height), _PAYLOAD_TYPE, packer.ssrc),))
            self.online = True
        if report is not None:
            self.publish(report)
        self.publish(unit)


class Feeder:
    """Sends the video of a live stream to the vision worker, from the latest clean point on.

    `over` is set when it must be begun anew: the source has changed or ended.
    """

    def __init__(
        self, number: int, source: LiveStream, line: PictureLine, spec: PictureSpec, over: asyncio.Event
    ) -> None:
        """Raises NotSupported for a source without video of which pictures can be made."""
        self.number = number
        self._source = source
        self._line = line
        self._over = over
        found = ((index, each) for index, each in enumerate(source.tracks) if each.format.kind is Kind.VIDEO)
        self._track, track = next(found, (-1, None))
        if track is None:
            raise NotSupported(f"{source.name} has no video")
        self._joiner: Depacketizer = depacketizer(track.format)
        format = track.format
        self._begin = Begin(
            number,
            format.codec.value,
            format.parameter_sets,
            format.config,
            spec.width,
            spec.height,
            spec.framerate,
            spec.quality,
        )
        self._expected = -1
        self._waits = True
        self.backlog = 0
        """Up to when it sent what was there before it began, microseconds UTC."""
        self._times: list[tuple[int, int]] = []
        """RTP time and UTC of the last units: a picture may end with the begin of the next one."""

    def start(self) -> None:
        self._line.send(self._begin)
        for unit in self._source.backlog():
            self.backlog = max(self.backlog, unit.utc)
            self._take(unit)
        self._source.attach(self._take, self._over.set)

    def stop(self) -> None:
        self._source.detach(self._take)
        self._line.send(End(self.number))

    def _take(self, unit: FlushUnit) -> None:
        if unit.rtcp or unit.track != self._track:
            return
        if not self._times or self._times[-1][0] != unit.rtp_time:
            self._times = [*self._times[-1:], (unit.rtp_time, unit.utc)]
        for start, end in itertools.pairwise((*unit.starts, len(unit.data))):
            packet = parse_rtp(unit.data, start + 4, end)
            contiguous = packet.seq == self._expected or self._expected < 0
            self._expected = packet.seq + 1 & 0xFFFF
            tell_extension(self._joiner, packet)
            payload = unit.data[packet.start : packet.end]
            for frame in self._joiner.feed(payload, packet.marker, packet.rtp_time, contiguous):
                if frame.damaged:
                    self._waits = True
                elif frame.key or not self._waits:
                    utc = next((utc for rtp_time, utc in self._times if rtp_time == frame.rtp_time), unit.utc)
                    # What does not get across is missed by all that refer to it.
                    self._waits = not self._line.send(Unit(self.number, utc, frame.key, frame.data))


class Pictures:
    """All JPEG streams of a media worker. `find` gives the other streams of a camera; `lost` is called when the line to the vision
    worker has ended and there is no other."""

    def __init__(self, find: Find, *, linger: float = LINGER, lost: Callable[[], None] = lambda: None) -> None:
        self._find = find
        self._linger = linger
        self._lost = lost
        self._streams: dict[str, JpegStream] = {}
        self._specs: dict[str, PictureSpec] = {}
        self._making: dict[str, asyncio.Task[None]] = {}
        self._ending: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count(1)
        self._wanted: dict[int, tuple[JpegStream, Feeder]] = {}
        self._line: PictureLine | None = None
        self._arriving: set[socket.socket] = set()
        """Ends of lines whose task has not begun."""
        self._connected = asyncio.Event()
        self._stopping = False

    @property
    def running(self) -> int:
        """Streams that are made now."""
        return len(self._making)

    @property
    def streams(self) -> tuple[LiveStream, ...]:
        """Those that were asked for at any time."""
        return tuple(self._streams.values())

    def replace(self, message: Presentations) -> None:
        """How pictures are to be made; streams that are watched change at once."""
        self._specs = {each.camera: each.picture for each in message.presentations if each.picture is not None}
        for camera, stream in self._streams.items():
            wanted = self._specs.get(camera, PictureSpec())
            if wanted != stream.spec:
                stream.spec = wanted
                stream.changed.set()

    def stream(self, camera: str) -> LiveStream | None:
        """The pictures of a camera; None without the camera."""
        if self._stopping or not self._sources(camera):
            return None
        stream = self._streams.get(camera)
        if stream is None:
            stream = self._streams[camera] = JpegStream(camera)
            stream.spec = self._specs.get(camera, PictureSpec())
            stream.on_wanted = lambda wanted: self._want(stream, wanted)
        return stream

    def _sources(self, camera: str) -> list[LiveStream]:
        return [found for name in ("sub", "main") if (found := self._find(camera, name)) is not None]

    def forget(self) -> None:
        """End the pictures of cameras that are gone."""
        for camera in [each for each in self._streams if not self._sources(each)]:
            stream = self._streams.pop(camera)
            stream.on_wanted = None
            self._end(camera)
            stream.end()

    # ---- the line to the vision worker -----------------------------------------------------------

    def connect(self, sock: socket.socket) -> None:
        """A new line: control has started one of both sides."""
        if self._stopping:
            sock.close()
            return
        self._arriving.add(sock)
        self._own(self._serve(sock), "line for pictures")

    async def _serve(self, sock: socket.socket) -> None:
        self._arriving.discard(sock)
        try:
            line = await PictureLine.open(sock, self._heard)
        except OSError as error:
            log.warning("a line for pictures cannot be taken: %s", error)
            if self._line is None:
                self._lost()
            return
        before, self._line = self._line, line
        self._connected.set()
        try:
            if before is not None:
                await before.close()
            await line.closed
        finally:
            if self._line is line:
                self._line = None
                self._connected.clear()
                if not self._stopping:
                    self._lost()
            await line.close()

    def _heard(self, line: PictureLine, word: Word) -> None:
        if isinstance(word, Picture | Refused) and line is self._line and word.number in self._wanted:
            stream, feeder = self._wanted[word.number]
            if isinstance(word, Picture):
                # What is decoded once more after a change was published before it.
                if not word.utc <= stream.latest <= feeder.backlog:
                    stream.picture(word.utc, word.data)
            else:
                self._end(stream.camera)
                stream.refuse(word.reason)

    # ---- demand ----------------------------------------------------------------------------------

    def _want(self, stream: JpegStream, wanted: bool) -> None:
        camera = stream.camera
        if (timer := self._ending.pop(camera, None)) is not None:
            timer.cancel()
        if not wanted:
            if camera in self._making:
                self._ending[camera] = asyncio.get_running_loop().call_later(self._linger, self._idle, stream)
        elif camera not in self._making and not self._stopping:
            log.info("%s: somebody watches", stream.name)
            self._making[camera] = self._own(self._make(stream), f"pictures of {camera}")

    def _idle(self, stream: JpegStream) -> None:
        log.info("%s: nobody watches", stream.name)
        self._end(stream.camera)
        stream.online = False
        stream.end()

    def _end(self, camera: str) -> None:
        if (timer := self._ending.pop(camera, None)) is not None:
            timer.cancel()
        if (task := self._making.pop(camera, None)) is not None:
            task.cancel()

    async def _make(self, stream: JpegStream) -> None:
        """Have pictures made until cancelled, anew whenever source, settings or vision worker change."""
        while True:
            stream.changed.clear()
            await self._connected.wait()
            line = self._line
            source = await self._choose(stream)
            if line is None or source is None or line.closed.done():
                await asyncio.sleep(0.2)
                continue
            try:
                feeder = Feeder(next(self._numbers), source, line, stream.spec, stream.changed)
            except NotSupported as error:
                stream.refuse(error.reason)
                await asyncio.sleep(REFUSED_WAIT)
                continue
            self._wanted[feeder.number] = (stream, feeder)
            try:
                feeder.start()
                await self._until_changed(stream, line)
            finally:
                feeder.stop()
                del self._wanted[feeder.number]
                # Until pictures come again those of before grow too old for who joins.
                stream.forget()

    @staticmethod
    async def _until_changed(stream: JpegStream, line: PictureLine) -> None:
        changed = asyncio.create_task(stream.changed.wait())
        try:
            await asyncio.wait((changed, line.closed), return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
            await asyncio.gather(changed, return_exceptions=True)

    async def _choose(self, stream: JpegStream) -> LiveStream | None:
        """The smaller stream, unless larger pictures are wanted or it does not deliver."""
        found: LiveStream | None = None
        for source in self._sources(stream.camera):
            if not await source.known(SOURCE_WAIT):
                continue
            video = next((each.format for each in source.tracks if each.format.kind is Kind.VIDEO), None)
            if video is None:
                continue
            found = source
            if source.online and not (0 < video.width < stream.spec.width):
                break
        return found

    # ---- upkeep ----------------------------------------------------------------------------------

    def _own(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        for camera in [camera for camera, each in self._making.items() if each is task]:
            del self._making[camera]
        tell_fault(task)

    async def stop(self) -> None:
        """End all streams and the line."""
        self._stopping = True
        for timer in self._ending.values():
            timer.cancel()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for sock in self._arriving:
            sock.close()
        for stream in self._streams.values():
            stream.on_wanted = None
            stream.end()
