"""Loudspeakers of cameras as the media services show them, and as media workers hear of them. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from onvifd.bodies.channel import Channel, fixed_bitrate
from onvifd.cameras.registry import Camera
from onvifd.media.types import Codec, TrackFormat
from onvifd.onvif.backend import AudioDecoder, AudioOutput, MediaModel, MediaProfile
from onvifd.rtsp.backchannel import Primacy
from onvifd.workers.specs import TalkSpec, TrackSpec

G711 = ((Codec.PCMU, (64,), (8000,)), (Codec.PCMA, (64,), (8000,)))
"""What can always be sent: it is turned into what the camera decodes."""
_AAC_BITRATES = (16, 24, 32, 48, 64)
"""kbit/s of speech; AAC tells its rate with every frame."""


def output_token(camera: str) -> str:
    return f"ao-{camera}"


def output_config(camera: str) -> str:
    return f"aoc-{camera}"


def decoder_token(camera: str) -> str:
    return f"adc-{camera}"


def encodings(formats: Iterable[TrackFormat]) -> tuple[tuple[Codec, tuple[int, ...], tuple[int, ...]], ...]:
    """What clients may send to a loudspeaker that decodes `formats`: bit rates (kbit/s) and sample rates (Hz) by codec."""
    found: dict[Codec, tuple[set[int], set[int]]] = {
        codec: (set(bitrates), set(rates)) for codec, bitrates, rates in G711
    }
    for format in formats:
        bitrates, rates = found.setdefault(format.codec, (set(), set()))
        bitrates.update(_bitrates(format))
        rates.add(format.clock_rate)
    return tuple((codec, tuple(sorted(bitrates)), tuple(sorted(rates))) for codec, (bitrates, rates) in found.items())


def _bitrates(format: TrackFormat) -> tuple[int, ...]:
    fixed = fixed_bitrate(format)
    return (fixed,) if fixed else _AAC_BITRATES


def with_talk(model: MediaModel, channels: Iterable[Channel]) -> MediaModel:
    """The model with the loudspeakers of those channels that it shows; their fixed profiles can be talked to."""
    shown = {source.camera for source in model.video_sources}
    talking = [channel for channel in channels if channel.talk and channel.camera in shown]
    if not talking:
        return model
    outputs = tuple(
        AudioOutput(
            token=output_token(each.camera),
            config_token=output_config(each.camera),
            name=each.name,
            camera=each.camera,
            primacy=Primacy.AUTO.value,
        )
        for each in talking
    )
    decoders = tuple(
        AudioDecoder(
            token=decoder_token(each.camera), name=each.name, camera=each.camera, encodings=encodings(each.talk)
        )
        for each in talking
    )
    sources = {source.token: source.camera for source in model.video_sources}
    cameras = {each.camera for each in talking}
    return replace(
        model,
        audio_outputs=outputs,
        audio_decoders=decoders,
        profiles=tuple(
            _profile(profile, sources.get(profile.video_source or ""), cameras) for profile in model.profiles
        ),
    )


def _profile(profile: MediaProfile, camera: str | None, cameras: set[str]) -> MediaProfile:
    if camera not in cameras or camera is None:
        return profile
    return replace(profile, audio_output=output_token(camera), audio_decoder=decoder_token(camera))


def talk_spec(camera: Camera) -> TalkSpec | None:
    """What a media worker must know to talk to a camera; None for one that cannot be talked to."""
    if not camera.talk:
        return None
    return TalkSpec(
        url=camera.main.uri,
        user=camera.credentials.user if camera.credentials else "",
        password=camera.credentials.password if camera.credentials else "",
        formats=tuple(
            TrackSpec(
                codec=each.codec,
                clock_rate=each.clock_rate,
                config=each.config,
                channels=each.channels,
                bits=each.bits,
                rtpmap=each.rtpmap,
                fmtp=each.fmtp,
            )
            for each in camera.talk
        ),
    )
