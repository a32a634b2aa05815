"""Settings of cameras: asks an ONVIF camera what its encoders offer, and sets them. Implements `settings.CameraSettings`.

What a camera offers is kept for a while: a VMS asks for the options of every encoder when it adds a device. After a change the
stream is described anew and what is known of it follows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Protocol, TypeVar

import aiohttp

from onvifd.cameras import onvif_driver, rtsp_driver
from onvifd.cameras.onvif_encoders import Media2Encoders, MediaEncoders
from onvifd.cameras.registry import Camera, Credentials, Driver, Role, Stream
from onvifd.cameras.settings import EncoderChoice, EncoderSettings, quality_within
from onvifd.cameras.shared_answers import Refused, SharedAnswers, way_to
from onvifd.cameras.ways import Reach
from onvifd.clock import Clock
from onvifd.errors import InvalidArgument, NotAuthorized, NotSupported, OnvifdError, Timeout, Unavailable
from onvifd.onvif.client import OnvifClient

log = logging.getLogger(__name__)

T = TypeVar("T")

TIMEOUT = 10.0
"""Seconds for the questions of one request to a camera."""
KEPT = 60.0
"""Seconds for which a camera's options are not asked again."""
LOOKS = (1.0, 2.0, 4.0, 8.0)
"""Seconds before a stream is described after a change, and again while it is as before: encoders need a while."""
DESCRIBE_TIMEOUT = 8.0

Learned = Callable[[str, Stream], Awaitable[None]]
"""Camera id and a stream as it is now."""
LearnedQuality = Callable[[str, str, float], Awaitable[None]]
"""Camera id, name of a stream, and the quality of its encoder."""


async def _unheard(camera: str, stream: str, quality: float) -> None:
    """Who makes nothing of it."""


class Encoders(Protocol):
    """What both media services can do."""

    async def options(self, profile: str) -> tuple[EncoderChoice, ...]: ...
    async def set(self, profile: str, wanted: EncoderSettings) -> EncoderSettings: ...


class OnvifSettings:
    """Options and settings of the cameras that `set_cameras` names. `learned` takes what a stream became by a change, `learned_quality`
    the quality that came with its options; `reach` says how a stream of a camera is described."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        clock: Clock,
        learned: Learned,
        reach: Callable[[str, str], Reach] = lambda camera, stream: Reach(),
        learned_quality: LearnedQuality = _unheard,
    ) -> None:
        self._learned_quality = learned_quality
        self._reach = reach
        self._session = session
        self._clock = clock
        self._learned = learned
        self._cameras: dict[str, Camera] = {}
        self._asked: SharedAnswers[tuple[EncoderChoice, ...]] = SharedAnswers(clock, KEPT)
        self._locks: dict[str, asyncio.Lock] = {}
        self._probes: dict[tuple[str, str], asyncio.Task[None]] = {}

    def set_cameras(self, cameras: Iterable[Camera]) -> None:
        """Take over the configured cameras; what was learned of those that are reached otherwise is forgotten."""
        before, self._cameras = self._cameras, {camera.id: camera for camera in cameras}
        for camera in before.values():
            if way_to(camera) != way_to(self._cameras.get(camera.id)):
                self._locks.pop(camera.id, None)
                self._asked.forget(camera.id)
                for key in [key for key in self._probes if key[0] == camera.id]:
                    self._probes.pop(key).cancel()

    async def options(self, camera: str, stream: str) -> tuple[EncoderChoice, ...]:
        """See CameraSettings: empty for a camera that is no ONVIF device."""
        known = self._reached(camera, stream)
        if known is None:
            return ()
        return await self._asked.get((camera, stream), partial(self._offered, *known), "options")

    async def _offered(self, camera: Camera, stream: Stream) -> tuple[EncoderChoice, ...]:
        profile = stream.source_profile
        choices = await self._ask(camera, lambda encoders: encoders.options(profile))
        present = next((each for each in choices if each.codec is stream.video_codec), None)
        if present is not None:
            # With the range at hand: what is shown is to be within it.
            quality = quality_within(present.quality_now, present.quality)
            if quality != stream.quality:
                try:
                    await self._learned_quality(camera.id, stream.role, quality)
                except OnvifdError as error:
                    log.error("%s/%s: its quality is not kept: %s", camera.id, stream.role, error.reason)
        return choices

    async def set_encoder(self, camera: str, stream: str, settings: EncoderSettings) -> EncoderSettings:
        """See CameraSettings. Changes of one camera are made one after the other."""
        known = self._reached(camera, stream)
        if known is None:
            raise InvalidArgument("the settings of this camera cannot be reached", detail="ConfigModify")
        profile = known[1].source_profile
        async with self._locks.setdefault(camera, asyncio.Lock()):
            made = await self._ask(known[0], lambda encoders: encoders.set(profile, settings))
        # What one encoder may do can depend on what another one does.
        self._asked.forget(camera, answered=True)
        self._describe(camera, stream, made)
        return made

    def _reached(self, camera: str, stream: str) -> tuple[Camera, Stream] | None:
        known = self._cameras.get(camera)
        found = next((each for each in known.streams if each.role == stream), None) if known else None
        if known is None or found is None:
            raise Unavailable(f"there is no stream {camera}/{stream}")
        reached = known.driver is Driver.ONVIF and found.source_profile
        return (known, found) if reached else None

    async def _ask(self, camera: Camera, question: Callable[[Encoders], Awaitable[T]]) -> T:
        """Ask by Media2, and by Media where that has no such profile or is not served."""
        login = camera.credentials or Credentials(user="", password="")
        client = OnvifClient(camera.address, login.user, login.password, self._session, clock=self._clock)
        try:
            async with asyncio.timeout(TIMEOUT):
                addresses = await onvif_driver.service_addresses(client)
                ways: list[Encoders] = []
                if addresses.media2:
                    ways.append(Media2Encoders(client.at(addresses.media2)))
                if addresses.media:
                    ways.append(MediaEncoders(client.at(addresses.media)))
                for number, way in enumerate(ways, 1):
                    try:
                        return await question(way)
                    except (NotSupported, InvalidArgument) as error:
                        # Profiles of the two services may have tokens of their own.
                        unknown = isinstance(error, NotSupported) or error.detail == "NoProfile"
                        if number == len(ways) or not unknown:
                            raise
                raise NotSupported("the camera has no media service")
        except TimeoutError:
            raise Timeout(f"the camera gave no answer within {TIMEOUT:g} s") from None
        except NotAuthorized as refused:
            # Not the camera's own error: it would tell our client that its own login was wrong.
            raise Refused(f"the camera refuses: {refused.reason}") from None
        except InvalidArgument as refused:
            raise InvalidArgument(f"the camera refuses: {refused.reason}", detail="ConfigModify") from None
        except (Timeout, Unavailable):
            raise
        except OnvifdError as error:
            raise Unavailable(error.reason) from None

    # ---- what became of it ---------------------------------------------------------------------

    def _describe(self, camera: str, stream: str, made: EncoderSettings) -> None:
        """Describe the stream when the camera has settled; a later change takes the place of one that is not looked at yet."""
        before = self._probes.pop((camera, stream), None)
        if before is not None:
            before.cancel()
        task = asyncio.create_task(self._probe(camera, stream, made), name=f"look at {camera}/{stream}")
        self._probes[camera, stream] = task
        task.add_done_callback(lambda done: self._forget((camera, stream), done))

    def _forget(self, key: tuple[str, str], done: asyncio.Task[None]) -> None:
        if self._probes.get(key) is done:
            del self._probes[key]
        if not done.cancelled() and (error := done.exception()) is not None:
            log.error("%s/%s: what became of it is not known", *key, exc_info=error)

    async def _probe(self, camera: str, stream: str, made: EncoderSettings) -> None:
        for wait in LOOKS:
            await self._clock.sleep(wait)
            known = self._reached(camera, stream)
            if known is None:
                return
            now = _as_set(known[1], made)
            try:
                ask = rtsp_driver.asker(known[0].credentials, self._reach(camera, stream))
                described = await rtsp_driver.describe_stream(ask, now.uri, timeout=DESCRIBE_TIMEOUT)
            except OnvifdError as error:
                log.info("%s/%s cannot be described after its change: %s", camera, stream, error.reason)
                continue
            seen = rtsp_driver.refine(now, described.formats)
            done = (seen.video_codec, seen.width, seen.height) == (now.video_codec, now.width, now.height)
            now = seen
            if done:
                break
        try:
            await self._learned(camera, now)
        except OnvifdError as error:
            log.error("%s/%s: what became of it is not kept: %s", camera, stream, error.reason)

    async def close(self) -> None:
        """End what is under way."""
        await self._asked.close()
        tasks = list(self._probes.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def change_stream(camera: Camera, stream: Stream) -> Camera:
    """A camera with what one of its streams became; the addresses stay as they were."""
    return replace(
        camera,
        streams=tuple(
            replace(stream, role=each.role, uri=each.uri, snapshot_uri=each.snapshot_uri)
            if each.role is Role(stream.role)
            else each
            for each in camera.streams
        ),
    )


def change_quality(camera: Camera, stream: str, quality: float) -> Camera:
    """A camera with the quality of one of its encoders."""
    streams = tuple(replace(each, quality=quality) if each.role == stream else each for each in camera.streams)
    return replace(camera, streams=streams)


def _as_set(stream: Stream, made: EncoderSettings) -> Stream:
    return replace(
        stream,
        video_codec=made.codec,
        width=made.width,
        height=made.height,
        framerate=stream.framerate if made.framerate is None else made.framerate,
        bitrate=stream.bitrate if made.bitrate is None else made.bitrate,
        gov_length=stream.gov_length if made.gov_length is None else made.gov_length,
        encoder_profile=made.profile or stream.encoder_profile,
        quality=stream.quality if made.quality is None else made.quality,
    )
