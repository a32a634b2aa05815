"""Key frames on demand: passes SetSynchronizationPoint on to the camera (Media 5.18, Media2 5.7).

One conversation per camera is kept, so that a request costs one call. Requests for one stream are bounded: those who ask within
a second, or while one is under way, share the outcome; after a failure the camera is left alone for a while.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

import aiohttp

from onvifd.cameras import onvif_driver
from onvifd.cameras.registry import Camera, Credentials, Driver
from onvifd.cameras.shared_answers import Refused, SharedAnswers, way_to
from onvifd.clock import Clock
from onvifd.errors import NotAuthorized, OnvifdError, Timeout, Unavailable

log = logging.getLogger(__name__)

INTERVAL = 1.0
"""Seconds in which a stream is asked once at most."""
TIMEOUT = 4.0
"""Seconds for the camera to answer, learning its services included."""


class KeyframeRequests:
    """Asks cameras for key frames. `set_cameras` says which there are, `close` ends what is under way."""

    def __init__(self, session: aiohttp.ClientSession, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._cameras: dict[str, Camera] = {}
        self._talks: dict[str, onvif_driver.Synchronizer] = {}
        self._asked: SharedAnswers[None] = SharedAnswers(clock, INTERVAL)

    def set_cameras(self, cameras: Iterable[Camera]) -> None:
        """Take over the configured cameras; what was learned of changed ones is forgotten."""
        before, self._cameras = self._cameras, {camera.id: camera for camera in cameras}
        for camera in before.values():
            if way_to(camera) != way_to(self._cameras.get(camera.id)):
                self._talks.pop(camera.id, None)
                self._asked.forget(camera.id)

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
        profile = stream.source_profile
        await self._asked.get((camera, role), lambda: self._request(known, profile), "key frame")

    async def _request(self, camera: Camera, profile: str) -> None:
        try:
            async with asyncio.timeout(TIMEOUT):
                await self._synchronize(camera, profile)
        except TimeoutError:
            error: OnvifdError = Timeout(f"the camera gave no answer within {TIMEOUT:g} s")
        except NotAuthorized as refused:
            error = Refused(refused.reason)
        except OnvifdError as failed:
            error = failed
        else:
            return
        self._talks.pop(camera.id, None)
        log.warning("camera %s gives no key frame on demand: %s", camera.id, error.reason)
        # Not the camera's own error: it would tell our client that its own request or login was wrong.
        raise error if isinstance(error, (Refused, Timeout)) else Unavailable(error.reason)

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
        await self._asked.close()
