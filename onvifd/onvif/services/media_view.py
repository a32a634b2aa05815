"""Look-ups in the media model that both media services share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from onvifd.onvif.backend import AudioEncoder, AudioSource, MediaModel, MediaProfile, VideoEncoder, VideoSource
from onvifd.onvif.services.common import find

Item = TypeVar("Item")


class MediaView:
    """One consistent snapshot of the media model, with its relations resolved.

    Sources are named by the token of their configuration where a client speaks of a configuration. Methods that take a
    token raise NotFound with NoProfile or NoConfig.
    """

    def __init__(self, model: MediaModel) -> None:
        self.model = model

    # ---- by token

    def profile(self, token: str) -> MediaProfile:
        return find(
            self.model.profiles, lambda profile: profile.token == token, detail="NoProfile", what="media profile"
        )

    def video_source(self, config_token: str) -> VideoSource:
        return self._config(self.model.video_sources, lambda source: source.config_token == config_token)

    def video_encoder(self, token: str) -> VideoEncoder:
        return self._config(self.model.video_encoders, lambda encoder: encoder.token == token)

    def audio_source(self, config_token: str) -> AudioSource:
        return self._config(self.model.audio_sources, lambda source: source.config_token == config_token)

    def audio_encoder(self, token: str) -> AudioEncoder:
        return self._config(self.model.audio_encoders, lambda encoder: encoder.token == token)

    def _config(self, items: Iterable[Item], matches: Callable[[Item], bool]) -> Item:
        return find(items, matches, detail="NoConfig", what="configuration")

    # ---- parts of a profile

    def source_of(self, profile: MediaProfile) -> VideoSource | None:
        return _first(self.model.video_sources, lambda source: source.token == profile.video_source)

    def encoder_of(self, profile: MediaProfile) -> VideoEncoder | None:
        return _first(self.model.video_encoders, lambda encoder: encoder.token == profile.video_encoder)

    def audio_source_of(self, profile: MediaProfile) -> AudioSource | None:
        return _first(self.model.audio_sources, lambda source: source.token == profile.audio_source)

    def audio_encoder_of(self, profile: MediaProfile) -> AudioEncoder | None:
        return _first(self.model.audio_encoders, lambda encoder: encoder.token == profile.audio_encoder)

    # ---- what goes with what

    def profiles_of(self, source: VideoSource) -> tuple[MediaProfile, ...]:
        return tuple(profile for profile in self.model.profiles if profile.video_source == source.token)

    def video_encoders_of(self, source: VideoSource) -> tuple[VideoEncoder, ...]:
        """The encodings of one camera, in the order of the model."""
        used = {profile.video_encoder for profile in self.profiles_of(source)}
        return tuple(encoder for encoder in self.model.video_encoders if encoder.token in used)

    def video_sources_for(self, profile: MediaProfile) -> tuple[VideoSource, ...]:
        """A profile's stream comes from one camera, so only that camera's source fits it."""
        source = self.source_of(profile)
        return () if source is None else (source,)

    def video_encoders_for(self, profile: MediaProfile) -> tuple[VideoEncoder, ...]:
        source = self.source_of(profile)
        return () if source is None else self.video_encoders_of(source)

    def audio_sources_for(self, profile: MediaProfile) -> tuple[AudioSource, ...]:
        used = {other.audio_source for other in self._siblings(profile)}
        return tuple(source for source in self.model.audio_sources if source.token in used)

    def audio_encoders_for(self, profile: MediaProfile) -> tuple[AudioEncoder, ...]:
        used = {other.audio_encoder for other in self._siblings(profile)}
        return tuple(encoder for encoder in self.model.audio_encoders if encoder.token in used)

    def _siblings(self, profile: MediaProfile) -> tuple[MediaProfile, ...]:
        return tuple(other for other in self.model.profiles if other.video_source == profile.video_source)

    # ---- use counts (tt:ConfigurationEntity UseCount)

    def uses_of_video_source(self, source: VideoSource) -> int:
        return len(self.profiles_of(source))

    def uses_of_video_encoder(self, encoder: VideoEncoder) -> int:
        return sum(profile.video_encoder == encoder.token for profile in self.model.profiles)

    def uses_of_audio_source(self, source: AudioSource) -> int:
        return sum(profile.audio_source == source.token for profile in self.model.profiles)

    def uses_of_audio_encoder(self, encoder: AudioEncoder) -> int:
        return sum(profile.audio_encoder == encoder.token for profile in self.model.profiles)


def _first(items: Iterable[Item], matches: Callable[[Item], bool]) -> Item | None:
    return next((item for item in items if matches(item)), None)
