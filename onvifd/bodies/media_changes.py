"""What is announced when the media model changes (Media2 5.16). Pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from onvifd.events import topics
from onvifd.events.types import Event
from onvifd.onvif.backend import MediaModel, MediaProfile, Part

Changes = Mapping[str, object]


def media_events(
    before: MediaModel, after: MediaModel, changed_before: Changes, changed_after: Changes, utc: int
) -> tuple[Event, ...]:
    """The events for a change from one model to another; the other two are what clients changed of configurations.

    What is measured of a stream (its rates) is no change.
    """
    old = {profile.token: _lasting(profile) for profile in before.profiles}
    new = {profile.token: _lasting(profile) for profile in after.profiles}
    # Of the fixed ones in the order of the model, so that who listens hears cameras one after the other.
    found = [
        topics.profile_changed(token, utc) for token in dict.fromkeys((*new, *old)) if old.get(token) != new.get(token)
    ]
    was = dict(_configurations(before))
    for (part, token), state in _configurations(after):
        key = (part, token)
        if key in was and (was[key] != state or changed_before.get(token) != changed_after.get(token)):
            found.append(topics.configuration_changed(token, part.value, utc))
    return tuple(found)


def _lasting(profile: MediaProfile) -> MediaProfile:
    return replace(profile, started=False)


def _configurations(model: MediaModel) -> Iterator[tuple[tuple[Part, str], object]]:
    """Every configuration with what is not measured of it."""
    for source in model.video_sources:
        yield (Part.VIDEO_SOURCE, source.config_token), (source.name, source.width, source.height)
    for heard in model.audio_sources:
        yield (Part.AUDIO_SOURCE, heard.config_token), (heard.name, heard.channels)
    for video in model.video_encoders:
        yield (Part.VIDEO_ENCODER, video.token), (video.name, video.codec, video.width, video.height)
    for audio in model.audio_encoders:
        yield (Part.AUDIO_ENCODER, audio.token), (audio.name, audio.codec, audio.sample_rate, audio.channels)
    for output in model.audio_outputs:
        yield (Part.AUDIO_OUTPUT, output.config_token), output
    for decoder in model.audio_decoders:
        yield (Part.AUDIO_DECODER, decoder.token), decoder
    for metadata in model.metadata:
        yield (Part.METADATA, metadata.token), (metadata.name, metadata.choice, metadata.ptz)
