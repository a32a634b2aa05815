"""Profiles in the types of the schema, for both media services."""

from __future__ import annotations

from onvifd.onvif.backend import MediaProfile
from onvifd.onvif.services import media_configurations as convert
from onvifd.onvif.services import media_metadata, media_talk_view
from onvifd.onvif.services.media_view import MediaView
from onvifd.onvif.types import tr2, tt


def profile(view: MediaView, item: MediaProfile) -> tt.Profile:
    """In ver10. Encoders that it has no name for are left out."""
    source, encoder = view.source_of(item), view.encoder_of(item)
    listened, audio = view.audio_source_of(item), view.audio_encoder_of(item)
    metadata = view.metadata_of(item)
    output, decoder = view.audio_output_of(item), view.audio_decoder_of(item)
    seen = encoder is not None and convert.in_ver10(encoder)
    heard = audio is not None and convert.in_ver10(audio)
    return tt.Profile(
        token=item.token,
        fixed=item.fixed,
        name=item.name,
        video_source_configuration=None if source is None else convert.video_source_configuration(view, source),
        audio_source_configuration=None if listened is None else convert.audio_source_configuration(view, listened),
        video_encoder_configuration=convert.video_encoder(view, encoder) if encoder is not None and seen else None,
        audio_encoder_configuration=convert.audio_encoder(view, audio) if audio is not None and heard else None,
        metadata_configuration=None if metadata is None else media_metadata.configuration(view, metadata),
        extension=tt.ProfileExtension(
            audio_output_configuration=None if output is None else media_talk_view.output(view, output),
            audio_decoder_configuration=None if decoder is None else media_talk_view.decoder(view, decoder),
        )
        if output is not None or decoder is not None
        else None,
    )


def profile2(view: MediaView, item: MediaProfile, types: frozenset[str]) -> tr2.MediaProfile:
    """A profile with the configurations of the types asked for; without types, with none (Media2 5.1.2)."""
    wanted = tr2.ConfigurationEnumeration
    every = wanted.ALL in types

    def asked(kind: tr2.ConfigurationEnumeration) -> bool:
        return every or kind in types

    source = view.source_of(item) if asked(wanted.VIDEO_SOURCE) else None
    encoder = view.encoder_of(item) if asked(wanted.VIDEO_ENCODER) else None
    listened = view.audio_source_of(item) if asked(wanted.AUDIO_SOURCE) else None
    audio = view.audio_encoder_of(item) if asked(wanted.AUDIO_ENCODER) else None
    metadata = view.metadata_of(item) if asked(wanted.METADATA) else None
    output = view.audio_output_of(item) if asked(wanted.AUDIO_OUTPUT) else None
    decoder = view.audio_decoder_of(item) if asked(wanted.AUDIO_DECODER) else None
    configurations = tr2.ConfigurationSet(
        video_source=None if source is None else convert.video_source_configuration(view, source),
        audio_source=None if listened is None else convert.audio_source_configuration(view, listened),
        video_encoder=None if encoder is None else convert.video_encoder2(view, encoder),
        audio_encoder=None if audio is None else convert.audio_encoder2(view, audio),
        metadata=None if metadata is None else media_metadata.configuration(view, metadata),
        audio_output=None if output is None else media_talk_view.output(view, output),
        audio_decoder=None if decoder is None else media_talk_view.decoder(view, decoder),
    )
    return tr2.MediaProfile(
        token=item.token, fixed=item.fixed, name=item.name, configurations=configurations if types else None
    )
