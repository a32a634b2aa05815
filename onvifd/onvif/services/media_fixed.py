"""A device whose profiles and configurations are as they are: what MediaControl is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from onvifd.errors import Conflict, InvalidArgument, LimitReached, NotFound, NotSupported
from onvifd.onvif.backend import (
    EncoderChoice,
    EncoderSettings,
    MediaModel,
    MetadataChoice,
    MulticastSettings,
    Part,
    VideoEncoder,
)
from onvifd.onvif.media_rules import adapt, cameras_of, differs, parts_of, present
from onvifd.onvif.services.media_view import MediaView
from onvifd.onvif.soap.faults import SoapFault


class FixedMedia:
    """Takes what is there already, and refuses all else with the faults of the specification."""

    def __init__(self, model: Callable[[], MediaModel]) -> None:
        self._model = model

    def max_profiles(self) -> int:
        return len(self._model().profiles)

    async def create_profile(self, name: str, token: str | None, parts: Mapping[Part, str]) -> str:
        raise LimitReached("There are as many profiles as there can be.", detail="MaxNVTProfiles")

    async def delete_profile(self, token: str) -> None:
        MediaView(self._model()).profile(token)
        raise SoapFault("Sender", ("Action", "DeletionOfFixedProfile"), "This profile cannot be deleted.")

    async def change_profile(
        self, token: str, *, name: str | None = None, parts: Mapping[Part, str | None], lone_metadata: bool = False
    ) -> None:
        model = self._model()
        profile = MediaView(model).profile(token)
        known = cameras_of(model)
        if any(each is not None and (part, each) not in known for part, each in parts.items()):
            raise NotFound("There is no such configuration.", detail="NoConfig")
        has = parts_of(model, profile)
        if name not in (None, profile.name) or any(has.get(part) != each for part, each in parts.items()):
            raise Conflict("This profile stays as it is.", detail="ConfigurationConflict")

    async def start_multicast(self, token: str, started: bool) -> None:
        if started:
            raise NotSupported("This device sends nothing without a session.")

    async def set_source(self, config_token: str, name: str) -> None:
        sources = {each.config_token: each.name for each in self._model().video_sources}
        sources |= {each.config_token: each.name for each in self._model().audio_sources}
        _same(name, sources.get(config_token))

    async def video_options(self, encoders: Sequence[VideoEncoder]) -> tuple[EncoderChoice, ...]:
        return tuple(present(each) for each in encoders)

    async def set_video_encoder(
        self, token: str, *, name: str, settings: EncoderSettings, multicast: MulticastSettings | None
    ) -> None:
        encoder = MediaView(self._model()).video_encoder(token)
        _same(name, encoder.name)
        _ungrouped(multicast)
        if differs(encoder, adapt(encoder, settings, (present(encoder),))):
            raise _impossible()

    async def set_audio_encoder(self, token: str, *, name: str, multicast: MulticastSettings | None) -> None:
        _same(name, MediaView(self._model()).audio_encoder(token).name)
        _ungrouped(multicast)

    async def set_metadata(
        self, token: str, *, name: str, choice: MetadataChoice, multicast: MulticastSettings | None
    ) -> None:
        found = MediaView(self._model()).metadata(token)
        _same(name, found.name)
        _ungrouped(multicast)
        if choice != found.choice:
            raise _impossible()

    async def set_audio_output(self, config_token: str, *, name: str, level: int, primacy: str) -> None:
        found = MediaView(self._model()).audio_output(config_token)
        if (name, level, primacy) != (found.name, found.level, found.primacy):
            raise _impossible()

    async def set_audio_decoder(self, token: str, *, name: str) -> None:
        _same(name, MediaView(self._model()).audio_decoder(token).name)


def _same(name: str, before: str | None) -> None:
    if before is None:
        raise NotFound("There is no such configuration.", detail="NoConfig")
    if name != before:
        raise _impossible()


def _ungrouped(multicast: MulticastSettings | None) -> None:
    if multicast is not None and multicast.valid:
        raise _impossible()


def _impossible() -> InvalidArgument:
    return InvalidArgument("This configuration stays as it is.", detail="ConfigModify")
