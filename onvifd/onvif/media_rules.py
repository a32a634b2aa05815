"""Which configurations go together in a profile, and which settings an encoder takes (Media2 5.2, 5.3.3). Pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from onvifd.cameras.settings import EncoderChoice, EncoderSettings
from onvifd.errors import Conflict, InvalidArgument, NotFound
from onvifd.media.types import Codec
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


def with_present(choice: EncoderChoice, encoder: VideoEncoder) -> EncoderChoice:
    """What a camera offers; of what it does not say the range of, there is what the encoder has."""
    return replace(
        choice,
        bitrates=choice.bitrates if choice.bitrates[1] else (encoder.bitrate, encoder.bitrate),
        gov_lengths=choice.gov_lengths if choice.gov_lengths[1] else (encoder.gov_length, encoder.gov_length),
    )


def adapt(encoder: VideoEncoder, wanted: EncoderSettings, choices: tuple[EncoderChoice, ...]) -> EncoderSettings:
    """The settings that an encoder gets: rates and quality that are out of range are moved into it, all else must have been
    offered, or be what it has (Media 5.5.5, Media2 5.3.3). Raises InvalidArgument (ConfigModify)."""
    choice = next((each for each in choices if each.codec is wanted.codec), None)
    if choice is None:
        raise _impossible(f"the encoding {wanted.codec.value}")
    same = wanted.codec is encoder.codec
    size = (wanted.width, wanted.height)
    if size not in choice.resolutions and not (same and size == (encoder.width, encoder.height)):
        raise _impossible(f"the size {wanted.width} x {wanted.height}")
    profile, gov_length = "", None
    if wanted.codec is not Codec.JPEG:
        profile = _profile(encoder, wanted, choice)
        gov_length = _gov_length(encoder, wanted, choice)
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


def _profile(encoder: VideoEncoder, wanted: EncoderSettings, choice: EncoderChoice) -> str:
    had = encoder.profile if wanted.codec is encoder.codec else ""
    if not choice.profiles:
        return wanted.profile  # cameras need not say which they have
    profile = wanted.profile or had or choice.profiles[0]
    if profile not in (*choice.profiles, had):
        raise _impossible(f"the profile {profile[:32]}")
    return profile


def _gov_length(encoder: VideoEncoder, wanted: EncoderSettings, choice: EncoderChoice) -> int:
    least, greatest = choice.gov_lengths
    length = wanted.gov_length
    if length is None:
        return min(max(encoder.gov_length, least), greatest)
    had = wanted.codec is encoder.codec and length == encoder.gov_length
    if not had and not least <= length <= greatest:
        raise _impossible(f"a group of {length} pictures")
    return length


def told(encoder: VideoEncoder, wanted: EncoderSettings, adapted: EncoderSettings) -> EncoderSettings | None:
    """What a camera is to be told when a client wrote `wanted`, which became `adapted`: only what is to change, None for nothing.

    Of what is shown a part was measured, or is not known: written back with a change of something else, it must not become the
    camera's setting. Another encoding gets all but the quality, since the camera may have nothing of it yet.
    """
    same = adapted.codec is encoder.codec

    def of(name: str) -> Any:
        asked, made, shown = (getattr(each, name) for each in (wanted, adapted, encoder))
        unchanged = made == shown or asked in (None, shown)
        return None if unchanged and (same or name == "quality") else made

    rates: dict[str, Any] = {name: of(name) for name in ("framerate", "bitrate", "quality", "gov_length")}
    profile = "" if same and adapted.profile == encoder.profile else adapted.profile
    size = (adapted.width, adapted.height)
    if same and not profile and size == (encoder.width, encoder.height) and set(rates.values()) == {None}:
        return None
    return replace(adapted, profile=profile, **rates)


def completed(made: EncoderSettings, before: EncoderSettings | None) -> EncoderSettings:
    """What a camera made of it, and of what it was told before where it says nothing now."""
    if before is None or before.codec is not made.codec:
        return made
    kept = {
        name: getattr(before, name)
        for name in ("framerate", "bitrate", "quality", "gov_length")
        if getattr(made, name) is None
    }
    return replace(made, profile=made.profile or before.profile, **kept)


def differs(encoder: VideoEncoder, wanted: EncoderSettings) -> bool:
    """Whether an encoder has other settings than these, which `adapt` has made."""
    exact = (wanted.codec, wanted.width, wanted.height, wanted.framerate, wanted.bitrate, wanted.quality)
    if exact != (
        *(encoder.codec, encoder.width, encoder.height),
        *(encoder.framerate, encoder.bitrate, encoder.quality),
    ):
        return True
    return wanted.gov_length not in (None, encoder.gov_length) or wanted.profile not in ("", encoder.profile)


def _impossible(what: str) -> InvalidArgument:
    return InvalidArgument(f"The encoder does not offer {what}.", detail="ConfigModify")
