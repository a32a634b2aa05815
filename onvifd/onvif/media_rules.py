"""Which configurations go together in a profile, and which settings an encoder takes (Media2 5.2, 5.3.3). Pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from onvifd.cameras.settings import EncoderChoice, EncoderSettings
from onvifd.errors import Conflict, InvalidArgument, NotFound
from onvifd.onvif.backend import MediaModel, MediaProfile, Part, VideoEncoder

Parts = Mapping[Part, str]
"""Configurations by their tokens."""

DEPENDS: Final = {
    Part.VIDEO_ENCODER: (Part.VIDEO_SOURCE,),
    Part.AUDIO_ENCODER: (Part.AUDIO_SOURCE,),
    Part.PTZ: (Part.VIDEO_SOURCE,),
    Part.AUDIO_DECODER: (Part.AUDIO_OUTPUT,),
    Part.METADATA: (Part.VIDEO_SOURCE, Part.AUDIO_SOURCE),
    Part.ANALYTICS: (Part.VIDEO_SOURCE, Part.AUDIO_SOURCE),
}
"""What needs one of what (Media2 5.2.1)."""


def cameras_of(model: MediaModel) -> dict[tuple[Part, str], str]:
    """The camera of every configuration."""
    found: dict[tuple[Part, str], str] = {}
    found |= {(Part.VIDEO_SOURCE, each.config_token): each.camera for each in model.video_sources}
    found |= {(Part.AUDIO_SOURCE, each.config_token): each.camera for each in model.audio_sources}
    found |= {(Part.AUDIO_OUTPUT, each.config_token): each.camera for each in model.audio_outputs}
    found |= {(Part.VIDEO_ENCODER, each.token): each.camera for each in model.video_encoders}
    found |= {(Part.AUDIO_ENCODER, each.token): each.camera for each in model.audio_encoders}
    found |= {(Part.AUDIO_DECODER, each.token): each.camera for each in model.audio_decoders}
    found |= {(Part.METADATA, each.token): each.camera for each in model.metadata}
    return found


def parts_of(model: MediaModel, profile: MediaProfile) -> dict[Part, str]:
    """The configurations of a profile."""
    video = next((each.config_token for each in model.video_sources if each.token == profile.video_source), None)
    audio = next((each.config_token for each in model.audio_sources if each.token == profile.audio_source), None)
    output = next((each.config_token for each in model.audio_outputs if each.token == profile.audio_output), None)
    found = {
        Part.VIDEO_SOURCE: video,
        Part.VIDEO_ENCODER: profile.video_encoder,
        Part.AUDIO_SOURCE: audio,
        Part.AUDIO_ENCODER: profile.audio_encoder,
        Part.AUDIO_OUTPUT: output,
        Part.AUDIO_DECODER: profile.audio_decoder,
        Part.METADATA: profile.metadata,
        Part.ANALYTICS: profile.analytics,
        Part.PTZ: profile.ptz,
    }
    return {part: token for part, token in found.items() if token is not None}


def combine(
    model: MediaModel,
    before: Parts,
    changes: Mapping[Part, str | None],
    *,
    lone_metadata: bool = False,
    camera: str = "",
) -> tuple[dict[Part, str], str]:
    """The parts of a profile after a change, and the camera that they belong to (empty for none).

    `camera` is the only one that the profile can have, if it has one. Raises NotFound (NoConfig), Conflict
    (ConfigurationConflict).
    """
    known = cameras_of(model)
    for part, token in changes.items():
        if token is not None and (part, token) not in known:
            raise NotFound(f"There is no {part} configuration {token[:64]}.", detail="NoConfig")
    after = {part: token for part, token in {**before, **changes}.items() if token is not None}
    for part in after:
        needed = DEPENDS.get(part, ())
        if part is Part.METADATA and lone_metadata:
            continue
        if needed and not any(each in after for each in needed):
            raise Conflict(
                f"A {part} configuration needs one of {' or '.join(needed)}.", detail="ConfigurationConflict"
            )
    cameras = {known[part, token] for part, token in after.items()}
    if camera:
        cameras.add(camera)
    if len(cameras) > 1:
        raise Conflict("Configurations of different cameras do not go together.", detail="ConfigurationConflict")
    return after, next(iter(cameras), "")


def present(encoder: VideoEncoder) -> EncoderChoice:
    """What can be chosen of an encoder whose settings are out of reach: exactly what it has."""
    return EncoderChoice(
        codec=encoder.codec,
        encoding=encoder.encoding,
        resolutions=((encoder.width, encoder.height),),
        framerates=(encoder.framerate,),
        bitrates=(encoder.bitrate, encoder.bitrate),
        quality=(encoder.quality, encoder.quality),
        gov_lengths=(encoder.gov_length, encoder.gov_length),
        profiles=(encoder.profile,),
    )


def adapt(encoder: VideoEncoder, wanted: EncoderSettings, choices: tuple[EncoderChoice, ...]) -> EncoderSettings:
    """The settings that an encoder gets: rates and quality that are out of range are moved into it, all else must have been
    offered (Media 5.5.6, Media2 5.3.3). Raises InvalidArgument (ConfigModify)."""
    choice = next((each for each in choices if each.codec is wanted.codec), None)
    if choice is None:
        raise _impossible(f"the encoding {wanted.codec.value}")
    if (wanted.width, wanted.height) not in choice.resolutions:
        raise _impossible(f"the size {wanted.width} x {wanted.height}")
    same = wanted.codec is encoder.codec
    profile, gov_length = wanted.profile, wanted.gov_length
    if choice.profiles:
        profile = profile or (encoder.profile if same and encoder.profile in choice.profiles else choice.profiles[0])
        if profile not in choice.profiles:
            raise _impossible(f"the profile {profile[:32]}")
        least, greatest = choice.gov_lengths
        if gov_length is None:
            gov_length = min(max(encoder.gov_length, least), greatest)
        if not least <= gov_length <= greatest:
            raise _impossible(f"a group of {gov_length} pictures")
    else:
        profile, gov_length = "", None
    if any(math.isnan(each) for each in (wanted.framerate, wanted.quality) if each is not None):
        raise _impossible("a rate or quality that is no number")
    framerate = encoder.framerate if wanted.framerate is None else wanted.framerate
    bitrate = encoder.bitrate if wanted.bitrate is None else wanted.bitrate
    quality = encoder.quality if wanted.quality is None else wanted.quality
    return replace(
        wanted,
        profile=profile,
        gov_length=gov_length,
        # Cameras need not say which rates they have.
        framerate=min(choice.framerates, key=lambda each: abs(each - framerate), default=framerate),
        bitrate=min(max(bitrate, choice.bitrates[0]), choice.bitrates[1]),
        quality=min(max(quality, choice.quality[0]), choice.quality[1]),
    )


def differs(encoder: VideoEncoder, wanted: EncoderSettings) -> bool:
    """Whether an encoder has other settings than these, which are all given."""
    exact = (wanted.codec, wanted.width, wanted.height, wanted.framerate, wanted.bitrate, wanted.quality)
    if exact != (
        *(encoder.codec, encoder.width, encoder.height),
        *(encoder.framerate, encoder.bitrate, encoder.quality),
    ):
        return True
    return wanted.gov_length is not None and (wanted.gov_length, wanted.profile) != (
        encoder.gov_length,
        encoder.profile,
    )


def _impossible(what: str) -> InvalidArgument:
    return InvalidArgument(f"The encoder does not offer {what}.", detail="ConfigModify")
