"""Look-ups in the media model that both media services share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Protocol, TypeVar

from onvifd.errors import InvalidArgument, NotFound
from onvifd.onvif.backend import (
    AudioDecoder,
    AudioEncoder,
    AudioOutput,
    AudioSource,
    MediaModel,
    MediaProfile,
    Metadata,
    MulticastSettings,
    Part,
    VideoEncoder,
    VideoSource,
)
from onvifd.onvif.media_rules import DEPENDS, parts_of

Item = TypeVar("Item")


class Belonging(Protocol):
    """A configuration of a camera."""

    @property
    def camera(self) -> str: ...


Configuration = TypeVar("Configuration", bound=Belonging)


class MediaView:
    """One consistent snapshot of the media model, with its relations resolved.

    Sources are named by the token of their configuration where a client speaks of a configuration. Methods that take a
    token raise NotFound with NoProfile or NoConfig.
    """

    def __init__(self, model: MediaModel) -> None:
        self.model = model

    # ---- by token

    @cached_property
    def _profiles(self) -> Mapping[str, MediaProfile]:
        return {each.token: each for each in self.model.profiles}

    @cached_property
    def _video_sources(self) -> Mapping[str, VideoSource]:
        return {each.config_token: each for each in self.model.video_sources}

    @cached_property
    def _video_encoders(self) -> Mapping[str, VideoEncoder]:
        return {each.token: each for each in self.model.video_encoders}

    @cached_property
    def _audio_sources(self) -> Mapping[str, AudioSource]:
        return {each.config_token: each for each in self.model.audio_sources}

    @cached_property
    def _audio_encoders(self) -> Mapping[str, AudioEncoder]:
        return {each.token: each for each in self.model.audio_encoders}

    @cached_property
    def _audio_outputs(self) -> Mapping[str, AudioOutput]:
        return {each.config_token: each for each in self.model.audio_outputs}

    @cached_property
    def _audio_decoders(self) -> Mapping[str, AudioDecoder]:
        return {each.token: each for each in self.model.audio_decoders}

    @cached_property
    def _metadata(self) -> Mapping[str, Metadata]:
        return {each.token: each for each in self.model.metadata}

    def profile(self, token: str) -> MediaProfile:
        return _get(self._profiles, token, "NoProfile", "media profile")

    def video_source(self, config_token: str) -> VideoSource:
        return _get(self._video_sources, config_token)

    def video_encoder(self, token: str) -> VideoEncoder:
        return _get(self._video_encoders, token)

    def audio_source(self, config_token: str) -> AudioSource:
        return _get(self._audio_sources, config_token)

    def audio_encoder(self, token: str) -> AudioEncoder:
        return _get(self._audio_encoders, token)

    def audio_output(self, config_token: str) -> AudioOutput:
        return _get(self._audio_outputs, config_token)

    def audio_decoder(self, token: str) -> AudioDecoder:
        return _get(self._audio_decoders, token)

    def metadata(self, token: str) -> Metadata:
        return _get(self._metadata, token)

    # ---- parts of a profile

    def parts(self, profile: MediaProfile) -> dict[Part, str]:
        """The tokens of its configurations."""
        return parts_of(self.model, profile)

    @cached_property
    def _sources(self) -> Mapping[str, VideoSource]:
        return {each.token: each for each in self.model.video_sources}

    @cached_property
    def _microphones(self) -> Mapping[str, AudioSource]:
        return {each.token: each for each in self.model.audio_sources}

    @cached_property
    def _loudspeakers(self) -> Mapping[str, AudioOutput]:
        return {each.token: each for each in self.model.audio_outputs}

    def source_of(self, profile: MediaProfile) -> VideoSource | None:
        return self._sources.get(profile.video_source or "")

    def encoder_of(self, profile: MediaProfile) -> VideoEncoder | None:
        return self._video_encoders.get(profile.video_encoder or "")

    def audio_source_of(self, profile: MediaProfile) -> AudioSource | None:
        return self._microphones.get(profile.audio_source or "")

    def audio_encoder_of(self, profile: MediaProfile) -> AudioEncoder | None:
        return self._audio_encoders.get(profile.audio_encoder or "")

    def audio_output_of(self, profile: MediaProfile) -> AudioOutput | None:
        return self._loudspeakers.get(profile.audio_output or "")

    def audio_decoder_of(self, profile: MediaProfile) -> AudioDecoder | None:
        return self._audio_decoders.get(profile.audio_decoder or "")

    def metadata_of(self, profile: MediaProfile) -> Metadata | None:
        return self._metadata.get(profile.metadata or "")

    def streams(self, profile: MediaProfile) -> bool:
        """Whether it has the least that makes a stream (Media2 5.4.1): a source with its encoder, or metadata."""
        video = self.source_of(profile) is not None and self.encoder_of(profile) is not None
        audio = self.audio_source_of(profile) is not None and self.audio_encoder_of(profile) is not None
        return bool(profile.path) and (video or audio or self.metadata_of(profile) is not None)

    def groups(self, profile: MediaProfile) -> tuple[MulticastSettings, ...]:
        """Where its streams go by multicast, those without a valid group left out."""
        parts = (self.encoder_of(profile), self.audio_encoder_of(profile), self.metadata_of(profile))
        found = (each.multicast for each in parts if each is not None)
        return tuple(each for each in found if each is not None and each.valid)

    # ---- what goes with what

    def profiles_of(self, source: VideoSource) -> tuple[MediaProfile, ...]:
        return tuple(profile for profile in self.model.profiles if profile.video_source == source.token)

    def video_encoders_of(self, source: VideoSource) -> tuple[VideoEncoder, ...]:
        """The encodings of one camera, in the order of the model."""
        return tuple(encoder for encoder in self.model.video_encoders if encoder.camera == source.camera)

    def video_sources_for(self, profile: MediaProfile) -> tuple[VideoSource, ...]:
        return self._fitting(profile, Part.VIDEO_SOURCE, self.model.video_sources)

    def video_encoders_for(self, profile: MediaProfile) -> tuple[VideoEncoder, ...]:
        return self._fitting(profile, Part.VIDEO_ENCODER, self.model.video_encoders)

    def audio_sources_for(self, profile: MediaProfile) -> tuple[AudioSource, ...]:
        return self._fitting(profile, Part.AUDIO_SOURCE, self.model.audio_sources)

    def audio_encoders_for(self, profile: MediaProfile) -> tuple[AudioEncoder, ...]:
        return self._fitting(profile, Part.AUDIO_ENCODER, self.model.audio_encoders)

    def audio_outputs_for(self, profile: MediaProfile) -> tuple[AudioOutput, ...]:
        return self._fitting(profile, Part.AUDIO_OUTPUT, self.model.audio_outputs)

    def audio_decoders_for(self, profile: MediaProfile) -> tuple[AudioDecoder, ...]:
        return self._fitting(profile, Part.AUDIO_DECODER, self.model.audio_decoders)

    def metadata_for(self, profile: MediaProfile, *, alone: bool = False) -> tuple[Metadata, ...]:
        """With `alone` a source is not needed (ver10)."""
        return self._fitting(profile, Part.METADATA, self.model.metadata, free=alone)

    def _fitting(
        self, profile: MediaProfile, part: Part, every: tuple[Configuration, ...], *, free: bool = False
    ) -> tuple[Configuration, ...]:
        """Those that could be put into a profile now."""
        others = self.parts(profile).keys() - {part}
        needed = DEPENDS.get(part, ())
        if needed and not free and not any(each in others for each in needed):
            return ()
        if not others and not profile.fixed:
            return every
        return tuple(each for each in every if each.camera == profile.camera)

    # ---- use counts (tt:ConfigurationEntity UseCount)

    @cached_property
    def _uses(self) -> Counter[tuple[Part, str | None]]:
        uses: Counter[tuple[Part, str | None]] = Counter()
        for profile in self.model.profiles:
            uses[Part.VIDEO_SOURCE, profile.video_source] += 1
            uses[Part.VIDEO_ENCODER, profile.video_encoder] += 1
            uses[Part.AUDIO_SOURCE, profile.audio_source] += 1
            uses[Part.AUDIO_ENCODER, profile.audio_encoder] += 1
            uses[Part.AUDIO_OUTPUT, profile.audio_output] += 1
            uses[Part.AUDIO_DECODER, profile.audio_decoder] += 1
            uses[Part.METADATA, profile.metadata] += 1
        return uses

    def uses_of_video_source(self, source: VideoSource) -> int:
        return self._uses[Part.VIDEO_SOURCE, source.token]

    def uses_of_video_encoder(self, encoder: VideoEncoder) -> int:
        return self._uses[Part.VIDEO_ENCODER, encoder.token]

    def uses_of_audio_source(self, source: AudioSource) -> int:
        return self._uses[Part.AUDIO_SOURCE, source.token]

    def uses_of_audio_encoder(self, encoder: AudioEncoder) -> int:
        return self._uses[Part.AUDIO_ENCODER, encoder.token]

    def uses_of_audio_output(self, output: AudioOutput) -> int:
        return self._uses[Part.AUDIO_OUTPUT, output.token]

    def uses_of_audio_decoder(self, decoder: AudioDecoder) -> int:
        return self._uses[Part.AUDIO_DECODER, decoder.token]

    def uses_of_metadata(self, metadata: Metadata) -> int:
        return self._uses[Part.METADATA, metadata.token]


class Asked(Protocol):
    """A question for configurations or their options, in either service."""

    @property
    def profile_token(self) -> str | None: ...
    @property
    def configuration_token(self) -> str | None: ...


def choose(
    view: MediaView,
    request: Asked,
    every: tuple[Item, ...],
    named: Callable[[str], Item],
    compatible: Callable[[MediaProfile], tuple[Item, ...]],
    *,
    strict: bool = False,
) -> tuple[Item, ...]:
    """The one named, or those compatible with a profile, or all (Media2 5.3.2).

    With `strict`, one that does not go with the profile is refused (Media2 5.3.4: IncompatibleConfiguration).
    """
    fitting = compatible(view.profile(request.profile_token)) if request.profile_token else every
    if not request.configuration_token:
        return fitting
    item = named(request.configuration_token)
    if strict and item not in fitting:
        raise InvalidArgument("The configuration does not go with the profile.", detail="IncompatibleConfiguration")
    return (item,)


def _get(known: Mapping[str, Item], token: str, detail: str = "NoConfig", what: str = "configuration") -> Item:
    found = known.get(token)
    if found is None:
        raise NotFound(f"There is no such {what}.", detail=detail)
    return found
