"""What clients changed of the media model: kept as JSON, laid over what the cameras deliver. Pure functions."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

import msgspec

from onvifd.bodies import media_jpeg as jpeg
from onvifd.bodies.media_plan import profile_path
from onvifd.cameras.settings import EncoderSettings
from onvifd.media.types import Codec
from onvifd.onvif.backend import (
    AudioOutput,
    MediaModel,
    MediaProfile,
    Metadata,
    MetadataChoice,
    MulticastSettings,
    Part,
    VideoEncoder,
)
from onvifd.onvif.media_rules import Parts, cameras_of, parts_of
from onvifd.store.rows import MediaConfigurationRow, MediaProfileRow

log = logging.getLogger(__name__)

Configured = TypeVar("Configured")


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """What a client changed of a configuration; None is as it was. `group` is address, port and TTL, `level` and `primacy` those
    of an audio output."""

    name: str | None = None
    group: tuple[str, int, int] | None = None
    choice: MetadataChoice | None = None
    encoder: EncoderSettings | None = None
    level: int | None = None
    primacy: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptProfile:
    """A profile as kept: one that a client made, or what it changed of a fixed one (then None is as it was)."""

    token: str
    fixed: bool
    name: str | None
    parts: Parts | None
    started: bool
    created: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSettings:
    """Profiles in order of creation, changed configurations by token."""

    profiles: tuple[KeptProfile, ...] = ()
    configurations: Mapping[str, Changed] = field(default_factory=dict)

    def profile(self, token: str) -> KeptProfile | None:
        return next((each for each in self.profiles if each.token == token), None)


# ---- kept ------------------------------------------------------------------------------------------


def settings_of(profiles: Iterable[MediaProfileRow], configurations: Iterable[MediaConfigurationRow]) -> MediaSettings:
    """What the catalogue says. What cannot be read is logged and taken to be unchanged."""
    kept = []
    for row in profiles:
        try:
            parts = None if row.parts is None else msgspec.json.decode(row.parts, type=dict[Part, str])
        except msgspec.DecodeError as error:
            log.error("media profile %s: its configurations cannot be read: %s", row.token, error)
            parts = None if row.fixed else {}
        kept.append(
            KeptProfile(
                token=row.token,
                fixed=row.fixed,
                name=row.name,
                parts=parts,
                started=row.started,
                created=row.created,
            )
        )
    changed: dict[str, Changed] = {}
    for each in configurations:
        try:
            changed[each.token] = msgspec.json.decode(each.body, type=Changed)
        except msgspec.DecodeError as error:
            log.error("media configuration %s: its changes cannot be read: %s", each.token, error)
    return MediaSettings(profiles=tuple(kept), configurations=changed)


def profile_row(profile: KeptProfile, camera: str) -> MediaProfileRow:
    return MediaProfileRow(
        token=profile.token,
        camera=camera or None,
        fixed=profile.fixed,
        name=profile.name,
        parts=None if profile.parts is None else msgspec.json.encode(dict(profile.parts)).decode(),
        started=profile.started,
        created=profile.created,
    )


def configuration_row(token: str, camera: str, changed: Changed) -> MediaConfigurationRow:
    return MediaConfigurationRow(token=token, camera=camera, body=msgspec.json.encode(changed).decode())


# ---- laid over -------------------------------------------------------------------------------------


def apply(model: MediaModel, settings: MediaSettings) -> MediaModel:
    """The model with what clients changed and made."""
    known = settings.configurations
    sources = {each.camera: (each.width, each.height) for each in model.video_sources}
    model = replace(
        model,
        video_sources=tuple(_named(each, known.get(each.config_token)) for each in model.video_sources),
        audio_sources=tuple(_named(each, known.get(each.config_token)) for each in model.audio_sources),
        video_encoders=tuple(_encoder(each, known.get(each.token), sources) for each in model.video_encoders),
        audio_encoders=tuple(_grouped(_named(each, known.get(each.token)), known) for each in model.audio_encoders),
        metadata=tuple(_metadata(each, known.get(each.token), known) for each in model.metadata),
        audio_outputs=tuple(_output(each, known.get(each.config_token)) for each in model.audio_outputs),
        audio_decoders=tuple(_named(each, known.get(each.token)) for each in model.audio_decoders),
    )
    cameras = cameras_of(model)
    kept = {each.token: each for each in settings.profiles if each.fixed}
    fixed = [_fixed(model, each, kept.get(each.token), cameras) for each in model.profiles]
    made = [_made(model, each, cameras) for each in settings.profiles if not each.fixed]
    return _auto_start(replace(model, profiles=(*fixed, *made)))


def _named(configuration: Configured, changed: Changed | None) -> Configured:
    if changed is None or changed.name is None:
        return configuration
    return replace(configuration, name=changed.name)  # type: ignore[type-var]


def _output(output: AudioOutput, changed: Changed | None) -> AudioOutput:
    if changed is None:
        return output
    level = output.level if changed.level is None else changed.level
    return replace(
        output,
        name=changed.name or output.name,
        level=level,
        primacy=output.primacy if changed.primacy is None else changed.primacy,
    )


def _grouped(configuration: Configured, known: Mapping[str, Changed]) -> Configured:
    changed = known.get(configuration.token)  # type: ignore[attr-defined]
    if changed is None or changed.group is None:
        return configuration
    return replace(configuration, multicast=MulticastSettings(*changed.group))  # type: ignore[type-var]


def _metadata(metadata: Metadata, changed: Changed | None, known: Mapping[str, Changed]) -> Metadata:
    metadata = _grouped(_named(metadata, changed), known)
    return metadata if changed is None or changed.choice is None else replace(metadata, choice=changed.choice)


def _encoder(encoder: VideoEncoder, changed: Changed | None, sources: Mapping[str, tuple[int, int]]) -> VideoEncoder:
    if changed is not None:
        encoder = _grouped(_named(encoder, changed), {encoder.token: changed})
    wanted = changed.encoder if changed is not None else None
    if encoder.stream == jpeg.STREAM and encoder.codec is Codec.JPEG:
        made = jpeg.effective(wanted, *sources[encoder.camera])
        framerate, quality = made.framerate or jpeg.DEFAULT_RATE, made.quality or jpeg.DEFAULT_QUALITY
        return replace(
            encoder,
            width=made.width,
            height=made.height,
            framerate=framerate,
            quality=quality,
            bitrate=jpeg.bitrate(made.width, made.height, framerate, quality),
        )
    if wanted is None or wanted.codec is not encoder.codec:
        return encoder
    # Limits are what was set; what is measured stays below them.
    return replace(
        encoder,
        framerate=wanted.framerate or encoder.framerate,
        bitrate=wanted.bitrate or encoder.bitrate,
        gov_length=wanted.gov_length or encoder.gov_length,
        quality=encoder.quality if wanted.quality is None else wanted.quality,
    )


Cameras = Mapping[tuple[Part, str], str]


def _fixed(model: MediaModel, profile: MediaProfile, kept: KeptProfile | None, cameras: Cameras) -> MediaProfile:
    if kept is None:
        return profile
    changed = replace(profile, name=kept.name or profile.name, started=kept.started)
    return changed if kept.parts is None else _with(model, changed, kept.parts, cameras)


def _made(model: MediaModel, kept: KeptProfile, cameras: Cameras) -> MediaProfile:
    parts = {part: token for part, token in (kept.parts or {}).items() if (part, token) in cameras}
    camera = next((cameras[part, token] for part, token in parts.items()), "")
    streams = Part.VIDEO_ENCODER in parts or Part.AUDIO_ENCODER in parts or Part.METADATA in parts
    empty = MediaProfile(
        token=kept.token,
        name=kept.name or kept.token,
        fixed=False,
        video_source=None,
        video_encoder=None,
        audio_source=None,
        audio_encoder=None,
        path=profile_path(camera, kept.token) if camera and streams else "",
        snapshot=False,
        started=kept.started,
        camera=camera,
    )
    return _with(model, empty, parts, cameras)


def _with(model: MediaModel, profile: MediaProfile, parts: Parts, cameras: Cameras) -> MediaProfile:
    """The profile with these parts as far as there are such configurations still."""
    there = {part: token for part, token in parts.items() if (part, token) in cameras}
    sources = {each.config_token: each.token for each in model.video_sources}
    sources |= {each.config_token: each.token for each in model.audio_sources}
    outputs = {each.config_token: each.token for each in model.audio_outputs}
    return replace(
        profile,
        video_source=sources.get(there.get(Part.VIDEO_SOURCE, "")),
        video_encoder=there.get(Part.VIDEO_ENCODER),
        audio_source=sources.get(there.get(Part.AUDIO_SOURCE, "")),
        audio_encoder=there.get(Part.AUDIO_ENCODER),
        audio_output=outputs.get(there.get(Part.AUDIO_OUTPUT, "")),
        audio_decoder=there.get(Part.AUDIO_DECODER),
        metadata=there.get(Part.METADATA),
        analytics=there.get(Part.ANALYTICS),
        ptz=there.get(Part.PTZ),
        snapshot=Part.VIDEO_SOURCE in there and Part.VIDEO_ENCODER in there,
    )


def _auto_start(model: MediaModel) -> MediaModel:
    """Say of each configuration whether it is sent without any session (tt:MulticastConfiguration AutoStart)."""
    started = {token for profile in model.profiles if profile.started for token in parts_of(model, profile).values()}
    if not started:
        return model

    def marked(configuration: Configured) -> Configured:
        group: MulticastSettings | None = configuration.multicast  # type: ignore[attr-defined]
        if group is None or configuration.token not in started:  # type: ignore[attr-defined]
            return configuration
        return replace(configuration, multicast=replace(group, auto_start=True))  # type: ignore[type-var]

    return replace(
        model,
        video_encoders=tuple(marked(each) for each in model.video_encoders),
        audio_encoders=tuple(marked(each) for each in model.audio_encoders),
        metadata=tuple(marked(each) for each in model.metadata),
    )
