"""Key frames on demand: passes SetSynchronizationPoint on to the camera (Media 5.18, Media2 5.7).

One conversation per camera is kept, so that a request costs one call. Requests for one stream are bounded: those who ask within
a second, or while one is under way, share the outcome; after a failure the camera is left alone for a while.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass

import aiohttp

from onvifd.cameras import onvif_driver
from onvifd.cameras.registry import Camera, Credentials, Driver
from onvifd.clock import Clock
from onvifd.errors import NotAuthorized, OnvifdError, Timeout, Unavailable

log = logging.getLogger(__name__)

INTERVAL = 1.0
"""Seconds in which a stream is asked once at most."""
FAILED_WAIT = 5.0
"""Seconds for which a failure stands."""
REFUSED_WAIT = 300.0
"""The same after a refused login: cameras lock accounts that try too often."""
TIMEOUT = 4.0
"""Seconds for the camera to answer, learning its services included."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request to a camera, and when it began (monotonic seconds)."""

    at: float
    task: asyncio.Task[None]


class KeyframeRequests:
    """Asks cameras for key frames. `set_cameras` says which there are, `close` ends what is under way."""

    def __init__(self, session: aiohttp.ClientSession, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._cameras: dict[str, Camera] = {}
        self._talks: dict[str, onvif_driver.Synchronizer] = {}
        self._asked: dict[tuple[str, str], _Asked] = {}

    def set_cameras(self, cameras: Iterable[Camera]) -> None:
        """Take over the configured cameras; what was learned of changed ones is forgotten."""
        before, self._cameras = self._cameras, {camera.id: camera for camera in cameras}
        for camera in before.values():
            if _login(camera) != _login(self._cameras.get(camera.id)):
                self._talks.pop(camera.id, None)
                for key in [key for key in self._asked if key[0] == camera.id]:
                    self._asked.pop(key).task.cancel()

    async def ask(self, camera: str, role: str) -> None:
        """Have the camera send a key frame of a stream soon.

        A camera that is no ONVIF device cannot be asked: its next key frame comes by itself. Raises Unavailable or Timeout when
        the camera refuses or does not answer.
        """
        known = self._cameras.get(camera)
        stream = next((each for each in known.streams if each.role == role), None) if known else None
        if known is None or stream is None or known.driver is not Driver.ONVIF or not stream.source_profile:
            log.debug("%s/%s cannot be asked for a key frame", camera, role)
            return
        asked = self._asked.get((camera, role))
        if asked is None or self._is_over(asked):
            work = self._request(known, stream.source_profile)
            task = asyncio.create_task(work, name=f"key frame of {camera}/{role}")
            # the error is also what a later caller gets, so nobody may have waited for it
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
            asked = self._asked[camera, role] = _Asked(self._clock.monotonic(), task)
        try:
            await asyncio.shield(asked.task)
        except asyncio.CancelledError:
            if asked.task.cancelled():
                raise Unavailable("the camera's configuration has changed") from None
            raise

    def _is_over(self, asked: _Asked) -> bool:
        if not asked.task.done():
            return False
        error = None if asked.task.cancelled() else asked.task.exception()
        wait = INTERVAL
        if isinstance(error, _Refused):
            wait = REFUSED_WAIT
        elif error is not None:
            wait = FAILED_WAIT
        return self._clock.monotonic() - asked.at >= wait

    async def _request(self, camera: Camera, profile: str) -> None:
        try:
            async with asyncio.timeout(TIMEOUT):
                await self._synchronize(camera, profile)
        except TimeoutError:
            error: OnvifdError = Timeout(f"the camera gave no answer within {TIMEOUT:g} s")
        except NotAuthorized as refused:
            error = _Refused(refused.reason)
        except OnvifdError as failed:
            error = failed
        else:
            return
        self._talks.pop(camera.id, None)
        log.warning("camera %s gives no key frame on demand: %s", camera.id, error.reason)
        # Not the camera's own error: it would tell our client that its own request or login was wrong.
        raise error if isinstance(error, (_Refused, Timeout)) else Unavailable(error.reason)

    async def _synchronize(self, camera: Camera, profile: str) -> None:
        talk = self._talks.get(camera.id)
        if talk is not None:
            try:
                await talk.synchronize(profile)
            except NotAuthorized:
                # The camera's clock may have been set: a new conversation asks for its time.
                log.debug("camera %s refuses a token, its time is asked again", camera.id)
            else:
                return
        login = camera.credentials or Credentials(user="", password="")
        talk = await onvif_driver.Synchronizer.open(
            camera.address, login.user, login.password, self._session, self._clock
        )
        await talk.synchronize(profile)
        self._talks[camera.id] = talk

    async def close(self) -> None:
        """End requests under way."""
        tasks = [asked.task for asked in self._asked.values()]
        self._asked.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Refused(Unavailable):
    """The camera refuses our login."""


def _login(camera: Camera | None) -> object:
    if camera is None:
        return None
    profiles = tuple((stream.role, stream.source_profile) for stream in camera.streams)
    return camera.address, camera.credentials, camera.driver, profiles
