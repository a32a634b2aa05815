"""The streams of a simulated camera: what they play, encoding them otherwise, key frames on demand.

Everything is encoded beforehand or in a thread; a stream plays on meanwhile and goes over to what was made at a clean point.
"""

from __future__ import annotations

import asyncio
import logging

from onvifd.cameras.settings import EncoderChoice, EncoderSettings
from onvifd.cameras.simulated import clip as clips
from onvifd.cameras.simulated import picture
from onvifd.cameras.simulated.clip import Clip
from onvifd.cameras.simulated.encode import CameraClips, VideoSpec
from onvifd.cameras.simulated.player import Loop, SimulatedSource, Splice, StreamPlayer
from onvifd.cameras.simulated.scene import Scene
from onvifd.clock import US, Clock
from onvifd.errors import InvalidArgument, OnvifdError
from onvifd.live.hub import LiveStream, LiveTrack
from onvifd.media.types import AccessUnit, Codec

log = logging.getLogger(__name__)

MIN_FPS = 5
MAX_GOP = 10 * picture.FPS
_CODECS = (Codec.H264, Codec.H265, Codec.MPEG4, Codec.JPEG)
BITRATES = (64, 16_384)
"""kbit/s."""
SCALES = (3, 2, 1)
SCALES_H265 = (1,)
"""Larger pictures take too long to be encoded when somebody chooses them; cameras that have them from the beginning keep them."""
_LEAD = 0.3
"""Seconds at least that a group of pictures gets to be encoded on demand before its first one is due."""
_PACE = 0.004
"""Seconds that encoding a picture is taken to need until it was seen."""
_TRIES = 3
_SPARE = 0.4
"""Seconds before the next clean point in which none is made."""


class SimulatedStream:
    """One stream. `spec` is how its picture is encoded; None for footage, which stays as it is."""

    def __init__(self, name: str, picture_loop: Clip, others: list[Loop], clips_of: CameraClips, clock: Clock) -> None:
        self.name = name
        self.clip = picture_loop
        self._maker = clips_of.maker
        self.spec = clips_of.maker.specs[name] if clips_of.maker is not None else None
        self._clock = clock
        self.player = StreamPlayer([picture_loop, *others])
        self.player.on_change = self._changed
        self.live = LiveStream(name)
        self.live.on_keyframe_wanted = self.want_keyframe
        self._tell()
        self.live.online = True
        self._next = picture_loop
        self._making: asyncio.Task[None] | None = None
        self._splicing: asyncio.Task[None] | None = None
        self._pace = _PACE
        self.latency = 0

    def _tell(self) -> None:
        player = self.player
        self.live.set_tracks(tuple(map(LiveTrack, player.formats, player.payload_types, player.ssrcs)))

    def _changed(self) -> None:
        self.clip = self._next
        self._tell()

    # ---- settings ------------------------------------------------------------------------------

    def options(self) -> tuple[EncoderChoice, ...]:
        """What can be chosen; nothing of footage."""
        if self.spec is None:
            return ()
        return tuple(_choice(codec, self._scales(codec)) for codec in _CODECS)

    def _scales(self, codec: Codec) -> tuple[int, ...]:
        first = None if self._maker is None else self._maker.specs[self.name]
        if codec is not Codec.H265 or first is None:
            return SCALES
        known = {*SCALES_H265, first.scale} if first.codec is codec else {*SCALES_H265}
        return tuple(sorted(known, reverse=True))

    def set(self, wanted: EncoderSettings) -> None:
        """Encode otherwise from now on: it is seen when it has been made. Raises InvalidArgument (ConfigModify)."""
        maker, spec = self._maker, self.spec
        if maker is None or spec is None:
            raise InvalidArgument("Footage is not encoded otherwise.", detail="ConfigModify")
        jpeg = wanted.codec is Codec.JPEG
        self.spec = VideoSpec(
            codec=wanted.codec,
            scale=wanted.width // picture.GRID_WIDTH,
            bitrate=spec.bitrate if wanted.bitrate is None else wanted.bitrate * 1000,
            gop=1 if jpeg else wanted.gov_length or spec.gop,
            fps=spec.fps if wanted.framerate is None else round(wanted.framerate),
        )
        if self._making is not None:
            self._making.cancel()
        self._making = asyncio.create_task(self._make(self.spec), name=f"encode {self.name} otherwise")

    async def _make(self, spec: VideoSpec) -> None:
        assert self._maker is not None
        try:
            made = await asyncio.to_thread(self._maker.clip, spec)
        except OnvifdError as error:
            log.error("stream %s stays as it was: %s", self.name, error.reason)
            return
        begin, end = self._gap(made)
        splice = None
        if spec.codec is not Codec.JPEG and (end - begin) / spec.fps > _SPARE:
            splice = await self._group(made, spec, begin, end)
        self._next = made
        now = self._clock.utc() - self.latency
        if splice is not None and self.player.replace(0, made, now, splice):
            return
        self.player.replace(0, made, now)

    # ---- key frames ----------------------------------------------------------------------------

    def want_keyframe(self) -> None:
        """Make a clean point soon, unless one comes soon by itself."""
        if self._maker is None or self.spec is None or (self._splicing is not None and not self._splicing.done()):
            return
        clip, spec = self.clip, self.spec
        if clip is not self._next or spec.codec is Codec.JPEG:
            return  # a new one begins with a clean point
        self._splicing = asyncio.create_task(self._splice(clip, spec), name=f"key frame of {self.name}")

    async def _splice(self, clip: Clip, spec: VideoSpec) -> None:
        for _ in range(_TRIES):
            begin, end = self._gap(clip)
            if (end - begin) / spec.fps <= _SPARE:
                return
            if self.player.insert(0, clip, await self._group(clip, spec, begin, end)):
                return
            log.debug("a key frame of %s came too late", self.name)

    def _gap(self, clip: Clip) -> tuple[int, int]:
        """The first unit that a group made now could begin with, and the next clean point of the loop."""
        now = self._clock.utc() - self.latency
        begin, end = _next_group(clip, now + round(_LEAD * US))
        # A long group, or a slow machine, takes longer.
        lead = max(_LEAD, 2 * self._pace * (end - begin))
        return _next_group(clip, now + round(lead * US))

    async def _group(self, clip: Clip, spec: VideoSpec, begin: int, end: int) -> Splice:
        """Units `begin` to `end` (excluded) as a group of their own."""
        assert self._maker is not None
        place = begin % clip.count
        began = self._clock.monotonic()
        made = await asyncio.to_thread(self._maker.part, spec, place, place + end - begin)
        self._pace = max((self._clock.monotonic() - began) / len(made), self._pace / 2)
        codec = clip.format.codec
        units = []
        for number, data in enumerate(made, begin):
            utc = clip.utc_of(number)
            stamped = clips.stamped(codec, data, utc, clips.head_of(codec, data))
            units.append(AccessUnit(0, utc, clip.ticks_of(number), number == begin, stamped))
        return Splice(begin, tuple(units))

    async def close(self) -> None:
        """End what is being encoded."""
        tasks = [task for task in (self._making, self._splicing) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _next_group(clip: Clip, utc: int) -> tuple[int, int]:
    """The first unit that is not before `utc`, and the first clean point from there."""
    begin = end = clip.number_at(utc)
    while not clip.key(end):
        end += 1
    return begin, end


def _choice(codec: Codec, scales: tuple[int, ...]) -> EncoderChoice:
    rates = tuple(float(each) for each in range(picture.FPS, MIN_FPS - 1, -1))
    profiles = {Codec.H264: ("Baseline",), Codec.H265: ("Main",), Codec.MPEG4: ("SP",)}.get(codec, ())
    return EncoderChoice(
        codec=codec,
        resolutions=tuple((picture.GRID_WIDTH * scale, picture.GRID_HEIGHT * scale) for scale in scales),
        framerates=rates,
        bitrates=BITRATES,
        quality=(5.0, 5.0),
        gov_lengths=(1, MAX_GOP) if profiles else (1, 1),
        profiles=profiles,
    )


class SimulatedStreams:
    """All streams of one camera. `latency` is as of `SimulatedSource`; `scene` is the metadata track of the main stream."""

    def __init__(self, loops: CameraClips, scene: Scene, clock: Clock, latency: int) -> None:
        self._clock = clock
        self._latency = latency
        self.all = {
            "main": SimulatedStream("main", loops.main, [loops.audio, scene], loops, clock),
            "sub": SimulatedStream("sub", loops.sub, [loops.audio], loops, clock),
        }
        for stream in self.all.values():
            stream.latency = latency

    async def run(self) -> None:
        """Play until cancelled."""
        pairs = [(stream.player, stream.live) for stream in self.all.values()]
        try:
            await SimulatedSource(pairs, self._clock, latency=self._latency).run()
        finally:
            for stream in self.all.values():
                await stream.close()


def shown_spec(stream: SimulatedStream) -> tuple[Codec, int, int, float, int, int]:
    """Codec, width, height, frame rate, kbit/s and length of a group as configured; of footage as it is."""
    spec, clip = stream.spec, stream.clip
    if spec is None:
        track = clip.format
        kilobits = max(1, round(clip.bitrate / 1000))
        return track.codec, track.width, track.height, float(clip.rate), kilobits, clip.gov_length
    width, height = picture.GRID_WIDTH * spec.scale, picture.GRID_HEIGHT * spec.scale
    return spec.codec, width, height, float(spec.fps), spec.bitrate // 1000, spec.gop
