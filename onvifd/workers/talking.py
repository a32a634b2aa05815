"""The ways for sound to the cameras of a media worker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from onvifd.cameras.quirks import client_options
from onvifd.cameras.talkback import Talkback, TalkSource
from onvifd.clock import Clock
from onvifd.live.talk import TalkLine
from onvifd.media.types import Codec, TrackFormat
from onvifd.rtsp.backchannel import Primacy
from onvifd.rtsp.client_transport import Way
from onvifd.rtsp.client_trust import Judge, Trust
from onvifd.workers.specs import CameraSpec, PresentationSpec, TalkSpec, TrackSpec
from onvifd.workers.tasks import tell_fault


@dataclass(slots=True)
class _Way:
    spec: TalkSpec
    line: TalkLine
    back: Talkback
    task: asyncio.Task[None]


class Talking:
    """One line for each camera that can be talked to. Nothing runs and no camera is asked until somebody talks."""

    def __init__(self, clock: Clock, on_pin: Callable[[str, str], None] | None = None) -> None:
        """`on_pin` takes the camera and the fingerprint of a certificate that was taken without knowing it."""
        self._clock = clock
        self._on_pin = on_pin
        self._ways: dict[str, _Way] = {}
        self._tuned: dict[str, tuple[int, Primacy]] = {}
        """Loudness, and who may speak, by camera."""

    def line(self, camera: str) -> TalkLine | None:
        """The line to a camera; None if it cannot be talked to."""
        way = self._ways.get(camera)
        return way.line if way is not None else None

    async def configure(self, cameras: Iterable[CameraSpec]) -> None:
        """Have exactly the lines of these cameras. Who talks goes on unless the way to the camera is another one."""
        wanted = {camera.id: camera.talk for camera in cameras if camera.talk is not None}
        for camera in [camera for camera in self._ways if camera not in wanted]:
            gone = self._ways.pop(camera)
            gone.line.close()
            await self._end(gone)
        for camera, spec in wanted.items():
            way = self._ways.get(camera)
            if way is None:
                self._ways[camera] = self._begin(camera, spec, TalkLine(camera))
            elif not way.back.source.is_same(_source(camera, spec)):
                await self._end(way)
                self._ways[camera] = self._begin(camera, spec, way.line)
            else:
                way.spec = spec
            self._ways[camera].line.set_formats(tuple(_format(each) for each in spec.formats))
        self._tune()

    def tune(self, presentations: Iterable[PresentationSpec]) -> None:
        """Take over loudness and who may speak from the media profiles. All profiles of a camera say the same."""
        self._tuned = {
            each.camera: (each.talk_level, Primacy(each.talk_primacy) if each.talk_primacy else Primacy.AUTO)
            for each in presentations
            if each.talk
        }
        self._tune()

    def _tune(self) -> None:
        for camera, (level, primacy) in self._tuned.items():
            if (line := self.line(camera)) is not None:
                line.level, line.primacy = level, primacy

    def _begin(self, camera: str, spec: TalkSpec, line: TalkLine) -> _Way:
        told = self._on_pin
        on_pin = (lambda pin: told(camera, pin)) if told is not None else None
        back = Talkback(line, _source(camera, spec), self._clock, on_pin=on_pin)
        task = asyncio.create_task(back.run(), name=f"talk to {camera}")
        task.add_done_callback(tell_fault)
        return _Way(spec, line, back, task)

    async def _end(self, way: _Way) -> None:
        way.task.cancel()
        await asyncio.gather(way.task, return_exceptions=True)

    async def close(self) -> None:
        """Leave all cameras."""
        ways, self._ways = list(self._ways.values()), {}
        await asyncio.gather(*(self._end(way) for way in ways))


def _source(camera: str, spec: TalkSpec) -> TalkSource:
    quirks, way = frozenset(spec.quirks), Way(spec.transport)
    options = client_options(
        Way.TCP if way is Way.AUTO else way,
        spec.tunnel_port,
        Trust(Judge(spec.trust), spec.pin),
        quirks,
        digest=spec.digest,
    )
    return TalkSource(camera, spec.url, spec.user, spec.password, options, clear="basic-clear" in quirks)


def _format(spec: TrackSpec) -> TrackFormat:
    return TrackFormat(
        codec=Codec(spec.codec),
        clock_rate=spec.clock_rate,
        config=spec.config,
        channels=spec.channels,
        bits=spec.bits,
        rtpmap=spec.rtpmap,
        fmtp=spec.fmtp,
    )
