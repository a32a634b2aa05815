"""The media of a simulated camera as clients may change it: encoders, groups of multicast, what its metadata holds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from onvifd.bodies.simulated_streams import SimulatedStreams, shown_spec
from onvifd.bodies.talk_model import encodings
from onvifd.cameras.settings import EncoderChoice, EncoderSettings
from onvifd.cameras.simulated.clip import Clip
from onvifd.cameras.simulated.loudspeaker import Loudspeaker
from onvifd.cameras.simulated.scene import Scene
from onvifd.errors import InvalidArgument, Unavailable
from onvifd.live.parts import Composition
from onvifd.media import video
from onvifd.media.types import Codec, Kind, PtzPart, TrackFormat
from onvifd.onvif.backend import (
    AudioDecoder,
    AudioEncoder,
    AudioOutput,
    AudioSource,
    MediaModel,
    MediaProfile,
    Metadata,
    MetadataChoice,
    MulticastSettings,
    VideoEncoder,
    VideoSource,
)
from onvifd.onvif.media_rules import adapt, differs, present
from onvifd.onvif.services.media_fixed import FixedMedia
from onvifd.onvif.services.media_view import MediaView
from onvifd.rtsp.backchannel import Primacy
from onvifd.rtsp.multicast import Groups, Membership
from onvifd.rtsp.play import Multicast

log = logging.getLogger(__name__)

_AUDIO_BITRATE = {Codec.PCMU: 64, Codec.PCMA: 64, Codec.G726: 32}
_FIRST_PORT = 41_000
_TTL = 1


class SimulatedMedia(FixedMedia):
    """Implements MediaControl. Profiles are fixed; their paths are `/main` and `/sub`."""

    def __init__(
        self,
        number: int,
        streams: SimulatedStreams,
        scene: Scene,
        sound: Clip,
        groups: Groups,
        loudspeaker: Loudspeaker,
    ) -> None:
        super().__init__(lambda: self.model)
        self.streams = streams
        self._groups = groups
        self._line = loudspeaker.line
        self._scene = scene
        self._started: dict[str, list[Membership]] = {}
        self.model = _with_loudspeaker(_model(number, streams, sound), number, loudspeaker)

    # ---- encoders ------------------------------------------------------------------------------

    async def video_options(self, encoders: Sequence[VideoEncoder]) -> tuple[EncoderChoice, ...]:
        return tuple(choice for each in encoders for choice in self._choices(each))

    def _choices(self, encoder: VideoEncoder) -> tuple[EncoderChoice, ...]:
        return self.streams.all[encoder.stream].options() or (present(encoder),)

    async def set_video_encoder(
        self, token: str, *, name: str, settings: EncoderSettings, multicast: MulticastSettings | None
    ) -> None:
        encoder = MediaView(self.model).video_encoder(token)
        wanted = adapt(encoder, settings, self._choices(encoder))
        stream = self.streams.all[encoder.stream]
        if differs(encoder, wanted):
            stream.set(wanted)
            codec, width, height, framerate, bitrate, gov_length = shown_spec(stream)
            encoder = replace(
                encoder,
                codec=codec,
                width=width,
                height=height,
                framerate=framerate,
                bitrate=bitrate,
                gov_length=gov_length,
                profile=wanted.profile,
                quality=encoder.quality if wanted.quality is None else wanted.quality,
            )
        encoder = replace(encoder, name=name, multicast=_group(multicast, encoder.multicast))
        self._put("video_encoders", encoder)

    async def set_audio_encoder(self, token: str, *, name: str, multicast: MulticastSettings | None) -> None:
        found = MediaView(self.model).audio_encoder(token)
        self._put("audio_encoders", replace(found, name=name, multicast=_group(multicast, found.multicast)))

    async def set_metadata(
        self, token: str, *, name: str, choice: MetadataChoice, multicast: MulticastSettings | None
    ) -> None:
        found = MediaView(self.model).metadata(token)
        if choice.topics:
            raise InvalidArgument("There are no events in this metadata to be filtered.", detail="ConfigModify")
        self._scene.analytics = choice.analytics
        self._scene.ptz = choice.ptz_status or choice.ptz_position
        changed = replace(found, name=name, choice=choice, multicast=_group(multicast, found.multicast))
        self._put("metadata", changed)

    async def set_audio_output(self, config_token: str, *, name: str, level: int, primacy: str) -> None:
        found = MediaView(self.model).audio_output(config_token)
        self._line.level, self._line.primacy = level, Primacy(primacy)
        self._put("audio_outputs", replace(found, name=name, level=level, primacy=primacy))

    def _put(self, family: str, changed: VideoEncoder | AudioEncoder | AudioOutput | Metadata) -> None:
        before = getattr(self.model, family)
        after = tuple(changed if each.token == changed.token else each for each in before)
        changes: dict[str, Any] = {family: after}
        self.model = replace(self.model, **changes)

    # ---- multicast -----------------------------------------------------------------------------

    async def start_multicast(self, token: str, started: bool) -> None:
        """Raises Unavailable, and nothing is sent, where one of the groups carries something else."""
        profile = MediaView(self.model).profile(token)
        if started and token not in self._started:
            joined = self._started[token] = []
            try:
                for part in self.composition(profile).parts():
                    if part.multicast is not None:
                        joined.append(self._groups.join(part.stream, part.track, part.multicast, self._ended(token)))
            except Unavailable:
                self._ended(token)()
                raise
        elif not started:
            for each in self._started.pop(token, []):
                each.leave()
        profiles = tuple(
            replace(each, started=started) if each.token == token else each for each in self.model.profiles
        )
        self.model = replace(self.model, profiles=profiles)

    def _ended(self, token: str) -> Callable[[], None]:
        def ended() -> None:
            for each in self._started.pop(token, []):
                each.leave()

        return ended

    def composition(self, profile: MediaProfile) -> Composition:
        """What the path of a profile is composed of."""
        view = MediaView(self.model)
        stream = self.streams.all[profile.path.strip("/")].live
        encoder, audio = view.encoder_of(profile), view.audio_encoder_of(profile)
        metadata = next((each for each in self.model.metadata if each.token == profile.metadata), None)
        groups = (
            (Kind.VIDEO, encoder.multicast if encoder else None),
            (Kind.AUDIO, audio.multicast if audio else None),
            (Kind.METADATA, metadata.multicast if metadata else None),
        )
        return Composition(
            name=profile.name,
            profile=profile.token,
            video=stream,
            audio=stream,
            metadata=stream if metadata is not None else None,
            talk=self._line if profile.audio_output and profile.audio_decoder else None,
            multicast={
                kind: Multicast(group.address, group.port, group.ttl)
                for kind, group in groups
                if group is not None and group.valid
            },
        )


def _group(wanted: MulticastSettings | None, before: MulticastSettings | None) -> MulticastSettings | None:
    return before if wanted is None else replace(wanted, auto_start=False)


# ---- the model -------------------------------------------------------------------------------------


def _default_group(number: int, place: int) -> MulticastSettings:
    """Every configuration of every camera has a group of its own (RFC 2365 6.1: 239.255/16 is local)."""
    return MulticastSettings(f"239.255.{number >> 8 & 255}.{number & 255}", _FIRST_PORT + 2 * place, _TTL)


def _model(number: int, streams: SimulatedStreams, clip: Clip) -> MediaModel:
    sound, main = clip.format, streams.all["main"].clip
    camera = f"camera-{number}"
    picture = VideoSource(
        token=f"vs-{number}",
        config_token=f"vsc-{number}",
        name=f"Camera {number}",
        width=main.format.width,
        height=main.format.height,
        framerate=float(main.rate),
        camera=camera,
    )
    microphone = AudioSource(
        token=f"as-{number}",
        config_token=f"asc-{number}",
        name="Microphone",
        channels=max(1, sound.channels),
        camera=camera,
    )
    # One for each stream, which sends the sound with its own numbers: two cannot share a group.
    audio_encoders = tuple(
        AudioEncoder(
            token=f"ae-{number}-{name}",
            name=f"Microphone {name}",
            codec=sound.codec,
            bitrate=_AUDIO_BITRATE.get(sound.codec, max(1, round(clip.bitrate / 1000))),
            sample_rate=sound.clock_rate,
            channels=max(1, sound.channels),
            camera=camera,
            stream=name,
            multicast=_default_group(number, place),
        )
        for place, name in enumerate(streams.all, 3)
    )
    return MediaModel(
        video_sources=(picture,),
        video_encoders=tuple(
            _video_encoder(number, place, name, streams, camera) for place, name in enumerate(streams.all)
        ),
        audio_sources=(microphone,),
        audio_encoders=audio_encoders,
        metadata=(
            Metadata(
                token=f"mdc-{number}",
                name="Metadata",
                camera=camera,
                multicast=_default_group(number, 2),
                ptz=frozenset(PtzPart),
            ),
        ),
        profiles=tuple(_fixed(number, name, camera) for name in streams.all),
    )


def _fixed(number: int, name: str, camera: str) -> MediaProfile:
    return MediaProfile(
        token=f"profile-{name}",
        name=name,
        fixed=True,
        video_source=f"vs-{number}",
        video_encoder=f"ve-{number}-{name}",
        audio_source=f"as-{number}",
        audio_encoder=f"ae-{number}-{name}",
        path=f"/{name}",
        snapshot=True,
        metadata=f"mdc-{number}" if name == "main" else None,
        camera=camera,
    )


def _with_loudspeaker(model: MediaModel, number: int, loudspeaker: Loudspeaker) -> MediaModel:
    camera, output, decoder = model.video_sources[0].camera, f"ao-{number}", f"adc-{number}"
    horn = AudioOutput(
        token=output, config_token=f"aoc-{number}", name="Loudspeaker", camera=camera, primacy=Primacy.AUTO.value
    )
    formats = tuple(loudspeaker.line.offered.values())
    return replace(
        model,
        audio_outputs=(horn,),
        audio_decoders=(AudioDecoder(token=decoder, name="Loudspeaker", camera=camera, encodings=encodings(formats)),),
        profiles=tuple(replace(each, audio_output=output, audio_decoder=decoder) for each in model.profiles),
    )


def _video_encoder(number: int, place: int, name: str, streams: SimulatedStreams, camera: str) -> VideoEncoder:
    stream = streams.all[name]
    codec, width, height, framerate, bitrate, gov_length = shown_spec(stream)
    return VideoEncoder(
        token=f"ve-{number}-{name}",
        name=name,
        codec=codec,
        width=width,
        height=height,
        framerate=framerate,
        bitrate=bitrate,
        gov_length=gov_length,
        profile=_profile(stream.clip.format),
        camera=camera,
        stream=name,
        multicast=_default_group(number, place),
    )


def _profile(track: TrackFormat) -> str:
    found = (
        video.parse_sps(track.codec, unit).profile for unit in track.parameter_sets if video.is_sps(track.codec, unit)
    )
    return next(found, "SP" if track.codec is Codec.MPEG4 else "Main")
