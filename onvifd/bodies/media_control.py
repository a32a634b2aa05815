"""Media profiles and configurations as clients change them: checked, kept in the catalogue, laid over the model.

Implements MediaControl. What belongs to a camera itself (encoding, size, rates) goes to it through `CameraSettings`; the rest is
the recorder's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from onvifd.bodies import media_jpeg as jpeg
from onvifd.bodies.camera_parts import CameraParts
from onvifd.bodies.media_settings import (
    Changed,
    KeptProfile,
    MediaSettings,
    apply,
    configuration_row,
    profile_row,
    settings_of,
)
from onvifd.bodies.recorder import Recorder
from onvifd.cameras.settings import CameraSettings, EncoderChoice, EncoderSettings
from onvifd.clock import Clock
from onvifd.config import Config
from onvifd.errors import InvalidArgument, LimitReached, NotFound, OnvifdError
from onvifd.onvif.backend import (
    AudioSource,
    MediaModel,
    MediaProfile,
    MetadataChoice,
    MulticastSettings,
    Part,
    VideoEncoder,
    VideoSource,
)
from onvifd.onvif.media_rules import adapt, combine, completed, differs, parts_of, present, told, with_present
from onvifd.onvif.soap.faults import SoapFault
from onvifd.store.catalogue import AsyncCatalogue

log = logging.getLogger(__name__)

MAX_MADE = 128
"""Profiles of clients beyond the fixed ones of all cameras that there may be."""
FIXED: Final = 3
"""Fixed profiles of a camera at most."""
IN_FORCE = 5.0
"""Seconds that an answer waits until the camera sends what it was told to."""
OPTIONS_TIMEOUT = 4.0
"""Seconds for a camera to say what it offers; then it is taken to offer what it sends."""
_FIXED_TOKEN = re.compile(r"cam-[0-9a-f]{8}-(main|sub|jpeg)")
"""Tokens of fixed profiles, also of those that are not shown yet."""
MAX_TOKEN = 64
"""Characters of a token (tt:ReferenceToken)."""

Change = Callable[..., Awaitable[Any]]
Expect = Callable[[str, str, EncoderSettings], asyncio.Event]
"""A camera was told to send something else; gives what tells that it does."""


class MediaParts:
    """One per recorder. `model` gives the model as it is shown, `change` changes the catalogue and has everybody take over, `expect`
    is told what a stream of a camera is about to become. Without `cameras` their settings are out of reach."""

    def __init__(
        self,
        catalogue: AsyncCatalogue,
        clock: Clock,
        *,
        model: Callable[[], MediaModel],
        change: Change,
        expect: Expect,
        max_cameras: int,
        cameras: CameraSettings | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._model = model
        self._change = change
        self._expect = expect
        self._max_profiles = FIXED * max_cameras + MAX_MADE
        self.cameras = cameras
        self._settings = MediaSettings()
        self._changing = asyncio.Lock()
        """From reading what is kept to keeping what is made of it: two changes at a time must not undo each other."""
        self._setting: dict[str, asyncio.Lock] = {}
        """By encoder, from telling its camera to keeping what came of it."""

    # ---- laid over the model -------------------------------------------------------------------

    async def read(self) -> None:
        """Take over what the catalogue says; what is shown changes with the next look at it."""
        media = self._catalogue.sync.media
        profiles, configurations = await self._catalogue.run(lambda: (media.profiles(), media.configurations()))
        self._settings = settings_of(profiles, configurations)

    def shape(self, model: MediaModel) -> MediaModel:
        """What the cameras deliver with what clients changed."""
        return apply(model, self._settings)

    def changed(self) -> Mapping[str, object]:
        """What clients changed, by the token of the configuration."""
        return self._settings.configurations

    # ---- profiles ------------------------------------------------------------------------------

    def max_profiles(self) -> int:
        return self._max_profiles

    def _profile(self, token: str) -> MediaProfile:
        found = next((each for each in self._model().profiles if each.token == token), None)
        if found is None:
            raise NotFound("There is no such media profile.", detail="NoProfile")
        return found

    async def create_profile(self, name: str, token: str | None, parts: Mapping[Part, str]) -> str:
        model = self._model()
        token = token or f"profile-{secrets.token_hex(6)}"
        if len(token) > MAX_TOKEN or not token.isprintable():
            raise InvalidArgument(f"A token has at most {MAX_TOKEN} printable characters.")
        if any(each.token == token for each in model.profiles) or _FIXED_TOKEN.fullmatch(token):
            raise InvalidArgument(f"There is a profile {token} already.", detail="ProfileExists")
        if len(model.profiles) >= self._max_profiles:
            raise LimitReached(f"There are {len(model.profiles)} profiles already.", detail="MaxNVTProfiles")
        after, camera = combine(model, {}, parts)
        kept = KeptProfile(token=token, fixed=False, name=name, parts=after, started=False, created=self._clock.utc())
        limit = self._max_profiles - sum(each.fixed for each in model.profiles)
        await self._change(self._catalogue.sync.media.create_profile, profile_row(kept, camera), limit=limit)
        log.info("media profile %s created: %s", token, name)
        return token

    async def delete_profile(self, token: str) -> None:
        if self._profile(token).fixed:
            raise SoapFault("Sender", ("Action", "DeletionOfFixedProfile"), "This profile cannot be deleted.")
        await self._change(self._catalogue.sync.media.remove_profile, token)
        log.info("media profile %s deleted", token)

    async def change_profile(
        self, token: str, *, name: str | None = None, parts: Mapping[Part, str | None], lone_metadata: bool = False
    ) -> None:
        async with self._changing:
            model, profile = self._model(), self._profile(token)
            before = parts_of(model, profile)
            # What was let stand alone once may go on so.
            lone_metadata |= not {Part.VIDEO_SOURCE, Part.AUDIO_SOURCE} & before.keys() and Part.METADATA in before
            own = profile.camera if profile.fixed else ""
            after, camera = combine(model, before, parts, lone_metadata=lone_metadata, camera=own)
            if after == before and name in (None, profile.name):
                return
            await self._keep(profile, camera, name=name or profile.name, parts=after)
        log.info("media profile %s changed", token)

    async def start_multicast(self, token: str, started: bool) -> None:
        async with self._changing:
            profile = self._profile(token)
            if profile.started == started:
                return
            await self._keep(profile, profile.camera, started=started)
        log.info("media profile %s: multicast %s", token, "started" if started else "stopped")

    async def _keep(self, profile: MediaProfile, camera: str, **changes: Any) -> None:
        kept = self._settings.profile(profile.token) or KeptProfile(
            token=profile.token, fixed=profile.fixed, name=None, parts=None, started=False, created=self._clock.utc()
        )
        row = profile_row(replace(kept, **changes), camera)
        await self._change(self._catalogue.sync.media.put_profile, row)

    # ---- configurations ------------------------------------------------------------------------

    async def _put(self, token: str, camera: str, **changes: Any) -> None:
        async with self._changing:
            changed = self._settings.configurations.get(token, Changed())
            after = replace(changed, **changes)
            if after == changed:
                return
            rows = [configuration_row(token, camera, after)]
            await self._change(self._catalogue.sync.media.put_configurations, rows)
        log.info("media configuration %s changed", token)

    async def set_source(self, config_token: str, name: str) -> None:
        model = self._model()
        sources: tuple[VideoSource | AudioSource, ...] = (*model.video_sources, *model.audio_sources)
        found = next((each for each in sources if each.config_token == config_token), None)
        if found is None:
            raise _no_config()
        if name != found.name:
            await self._put(config_token, found.camera, name=name)

    async def set_audio_encoder(self, token: str, *, name: str, multicast: MulticastSettings | None) -> None:
        found = next((each for each in self._model().audio_encoders if each.token == token), None)
        if found is None:
            raise _no_config()
        await self._put(token, found.camera, **_common(found.name, name, multicast, found.multicast))

    async def set_metadata(
        self, token: str, *, name: str, choice: MetadataChoice, multicast: MulticastSettings | None
    ) -> None:
        found = next((each for each in self._model().metadata if each.token == token), None)
        if found is None:
            raise _no_config()
        changes = _common(found.name, name, multicast, found.multicast)
        if choice != found.choice:
            changes["choice"] = choice
        await self._put(token, found.camera, **changes)

    async def set_audio_output(self, config_token: str, *, name: str, level: int, primacy: str) -> None:
        found = next((each for each in self._model().audio_outputs if each.config_token == config_token), None)
        if found is None:
            raise _no_config()
        wanted: dict[str, Any] = {"name": name, "level": level, "primacy": primacy}
        changes = {key: value for key, value in wanted.items() if value != getattr(found, key)}
        await self._put(config_token, found.camera, **changes)

    async def set_audio_decoder(self, token: str, *, name: str) -> None:
        found = next((each for each in self._model().audio_decoders if each.token == token), None)
        if found is None:
            raise _no_config()
        await self._put(token, found.camera, **_common(found.name, name, None, None))

    # ---- video encoders ------------------------------------------------------------------------

    async def video_options(self, encoders: Sequence[VideoEncoder]) -> tuple[EncoderChoice, ...]:
        found = await asyncio.gather(*(self._choices(each) for each in encoders))
        return tuple(choice for choices in found for choice in choices)

    async def _choices(self, encoder: VideoEncoder) -> tuple[EncoderChoice, ...]:
        if encoder.stream == jpeg.STREAM:
            source = next(each for each in self._model().video_sources if each.camera == encoder.camera)
            return (jpeg.choice(source.width, source.height),)
        offered: tuple[EncoderChoice, ...] = ()
        if self.cameras is not None:
            try:
                async with asyncio.timeout(OPTIONS_TIMEOUT):
                    offered = await self.cameras.options(encoder.camera, encoder.stream)
            except (OnvifdError, TimeoutError) as error:
                log.info(
                    "camera %s: what its encoder %s offers is not known: %s", encoder.camera, encoder.stream, error
                )
        return tuple(with_present(each, encoder) for each in offered) or (present(encoder),)

    async def set_video_encoder(
        self, token: str, *, name: str, settings: EncoderSettings, multicast: MulticastSettings | None
    ) -> None:
        self._video_encoder(token)
        async with self._setting.setdefault(token, asyncio.Lock()):
            encoder = self._video_encoder(token)
            adapted = adapt(encoder, settings, await self._choices(encoder))
            changes = _common(encoder.name, name, multicast, encoder.multicast)
            if encoder.stream == jpeg.STREAM:
                if differs(encoder, adapted):
                    changes["encoder"] = adapted
            elif (wanted := told(encoder, settings, adapted)) is not None:
                before = self._settings.configurations.get(token, Changed()).encoder
                changes["encoder"] = completed(await self._tell(encoder, wanted), before)
            await self._put(token, encoder.camera, **changes)

    def _video_encoder(self, token: str) -> VideoEncoder:
        found = next((each for each in self._model().video_encoders if each.token == token), None)
        if found is None:
            raise _no_config()
        return found

    async def _tell(self, encoder: VideoEncoder, wanted: EncoderSettings) -> EncoderSettings:
        if self.cameras is None:
            raise InvalidArgument("The camera's settings are out of reach.", detail="ConfigModify")
        made = await self.cameras.set_encoder(encoder.camera, encoder.stream, wanted)
        log.info("camera %s: encoder %s set to %s", encoder.camera, encoder.stream, made)
        begun = self._expect(encoder.camera, encoder.stream, made)
        if (made.codec, made.width, made.height) != (encoder.codec, encoder.width, encoder.height):
            # Who is answered asks for the stream next, and must not be told of the old one.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(IN_FORCE):
                    await begun.wait()
        return made


def media_parts(
    recorder: Recorder,
    catalogue: AsyncCatalogue,
    clock: Clock,
    config: Config,
    change: Change,
    at_cameras: CameraParts,
) -> MediaParts:
    """The part of a recorder, laid over what it shows."""
    parts = MediaParts(
        catalogue,
        clock,
        model=recorder.media,
        change=change,
        expect=recorder.expect,
        max_cameras=config.limits.cameras,
        cameras=at_cameras.settings,
    )
    recorder.shaper = parts
    at_cameras.way_search.say = recorder.say
    return parts


def _common(
    before: str, name: str, wanted: MulticastSettings | None, group: MulticastSettings | None
) -> dict[str, Any]:
    """What changes of a name and a group."""
    changes: dict[str, Any] = {}
    if name != before:
        changes["name"] = name
    if wanted is not None:
        after = (wanted.address, wanted.port, wanted.ttl)
        if group is None or after != (group.address, group.port, group.ttl):
            changes["group"] = after
    return changes


def _no_config() -> NotFound:
    return NotFound("There is no such configuration.", detail="NoConfig")
