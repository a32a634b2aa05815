"""Media service, ver10 (Media 5): what there is, and where it streams."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TypeVar

from onvifd.access.types import AccessClass
from onvifd.errors import Conflict, InvalidArgument, NotFound
from onvifd.media.types import Codec
from onvifd.onvif.backend import AudioEncoder, AudioSource, VideoEncoder, VideoSource
from onvifd.onvif.services import media_configurations as convert
from onvifd.onvif.services import media_options as options
from onvifd.onvif.services.common import MEDIA_PATH, NS_MEDIA, check_unicast, rtsp_uri, snapshot_uri, tunnel_uri
from onvifd.onvif.services.media_base import GROUPS_QUERY
from onvifd.onvif.services.media_changes import MediaChanges
from onvifd.onvif.services.media_profile_view import profile
from onvifd.onvif.services.media_profiles import MediaProfiles
from onvifd.onvif.services.media_talk import AudioDecoders
from onvifd.onvif.services.media_view import MediaView, choose
from onvifd.onvif.soap.dispatch import Call, operation
from onvifd.onvif.types import trt, tt

READ = AccessClass.READ_MEDIA

Encoder = TypeVar("Encoder", VideoEncoder, AudioEncoder)


class MediaService(MediaProfiles, MediaChanges, AudioDecoders):
    """Profiles, configurations and addresses of the live streams for clients of Profile S.

    H.265 streams are profiles without encoder configuration here, because ver10 has no name for the encoding.
    """

    namespace = NS_MEDIA
    path = MEDIA_PATH
    prefix = "trt"

    def capabilities(self, call: Call) -> trt.Capabilities:
        model = self._backend.media()
        rtsp = self._device.ports().rtsp is not None
        return trt.Capabilities(
            profile_capabilities=trt.ProfileCapabilities(maximum_number_of_profiles=self._control.max_profiles()),
            streaming_capabilities=trt.StreamingCapabilities(
                rtp_multicast=rtsp and self._multicast,
                rtp_tcp=False,
                rtp_rtsp_tcp=rtsp,
                non_aggregate_control=rtsp,
                no_rtsp_streaming=not rtsp,
            ),
            snapshot_uri=any(profile.snapshot for profile in model.profiles),
            rotation=False,
            video_source_mode=False,
            osd=False,
            temporary_osd_text=False,
            exi_compression=False,
        )

    @operation(access=AccessClass.PRE_AUTH)
    async def get_service_capabilities(
        self, call: Call, request: trt.GetServiceCapabilities
    ) -> trt.GetServiceCapabilitiesResponse:
        return trt.GetServiceCapabilitiesResponse(capabilities=self.capabilities(call))

    # ---- profiles

    @operation(access=READ)
    async def get_profiles(self, call: Call, request: trt.GetProfiles) -> trt.GetProfilesResponse:
        view = self._view()
        return trt.GetProfilesResponse(profiles=tuple(profile(view, item) for item in view.model.profiles))

    @operation(access=READ)
    async def get_profile(self, call: Call, request: trt.GetProfile) -> trt.GetProfileResponse:
        view = self._view()
        return trt.GetProfileResponse(profile=profile(view, view.profile(request.profile_token)))

    # ---- video sources

    @operation(access=READ)
    async def get_video_sources(self, call: Call, request: trt.GetVideoSources) -> trt.GetVideoSourcesResponse:
        sources = self._backend.media().video_sources
        return trt.GetVideoSourcesResponse(video_sources=tuple(convert.video_source(source) for source in sources))

    @operation(access=READ)
    async def get_video_source_configurations(
        self, call: Call, request: trt.GetVideoSourceConfigurations
    ) -> trt.GetVideoSourceConfigurationsResponse:
        view = self._view()
        return trt.GetVideoSourceConfigurationsResponse(
            configurations=_video_sources(view, view.model.video_sources),
        )

    @operation(access=READ)
    async def get_video_source_configuration(
        self, call: Call, request: trt.GetVideoSourceConfiguration
    ) -> trt.GetVideoSourceConfigurationResponse:
        view = self._view()
        source = view.video_source(request.configuration_token)
        return trt.GetVideoSourceConfigurationResponse(configuration=convert.video_source_configuration(view, source))

    @operation(access=READ)
    async def get_compatible_video_source_configurations(
        self, call: Call, request: trt.GetCompatibleVideoSourceConfigurations
    ) -> trt.GetCompatibleVideoSourceConfigurationsResponse:
        view = self._view()
        sources = view.video_sources_for(view.profile(request.profile_token))
        return trt.GetCompatibleVideoSourceConfigurationsResponse(configurations=_video_sources(view, sources))

    @operation(access=READ)
    async def get_video_source_configuration_options(
        self, call: Call, request: trt.GetVideoSourceConfigurationOptions
    ) -> trt.GetVideoSourceConfigurationOptionsResponse:
        view = self._view()
        sources = choose(view, request, view.model.video_sources, view.video_source, view.video_sources_for)
        profiles = self._control.max_profiles()
        return trt.GetVideoSourceConfigurationOptionsResponse(options=options.video_source_options(sources, profiles))

    # ---- video encoders

    @operation(access=READ)
    async def get_video_encoder_configurations(
        self, call: Call, request: trt.GetVideoEncoderConfigurations
    ) -> trt.GetVideoEncoderConfigurationsResponse:
        view = self._view()
        return trt.GetVideoEncoderConfigurationsResponse(
            configurations=_video_encoders(view, view.model.video_encoders)
        )

    @operation(access=READ)
    async def get_video_encoder_configuration(
        self, call: Call, request: trt.GetVideoEncoderConfiguration
    ) -> trt.GetVideoEncoderConfigurationResponse:
        view = self._view()
        encoder = _named_encoder(view, request.configuration_token)
        return trt.GetVideoEncoderConfigurationResponse(configuration=convert.video_encoder(view, encoder))

    @operation(access=READ)
    async def get_compatible_video_encoder_configurations(
        self, call: Call, request: trt.GetCompatibleVideoEncoderConfigurations
    ) -> trt.GetCompatibleVideoEncoderConfigurationsResponse:
        view = self._view()
        encoders = view.video_encoders_for(view.profile(request.profile_token))
        return trt.GetCompatibleVideoEncoderConfigurationsResponse(configurations=_video_encoders(view, encoders))

    @operation(access=READ)
    async def get_video_encoder_configuration_options(
        self, call: Call, request: trt.GetVideoEncoderConfigurationOptions
    ) -> trt.GetVideoEncoderConfigurationOptionsResponse:
        view = self._view()
        named = partial(_named_encoder, view)
        encoders = choose(view, request, view.model.video_encoders, named, view.video_encoders_for)
        return trt.GetVideoEncoderConfigurationOptionsResponse(
            options=options.video_encoder_options(await self._control.video_options(encoders))
        )

    @operation(access=READ)
    async def get_guaranteed_number_of_video_encoder_instances(
        self, call: Call, request: trt.GetGuaranteedNumberOfVideoEncoderInstances
    ) -> trt.GetGuaranteedNumberOfVideoEncoderInstancesResponse:
        view = self._view()
        encoders = view.video_encoders_of(view.video_source(request.configuration_token))
        known = [encoder for encoder in encoders if convert.in_ver10(encoder)]
        counted = await self._instances(known)
        jpeg, h264, mpeg4 = (counted[convert.MEDIA_NAMES[codec]] for codec in (Codec.JPEG, Codec.H264, Codec.MPEG4))
        return trt.GetGuaranteedNumberOfVideoEncoderInstancesResponse(
            # None of an encoding is said by 0: what is left out has no limit of its own (test/Media 5.2.3).
            total_number=len(known),
            jpeg=jpeg,
            h264=h264,
            mpeg4=mpeg4,
        )

    # ---- audio

    @operation(access=READ)
    async def get_audio_sources(self, call: Call, request: trt.GetAudioSources) -> trt.GetAudioSourcesResponse:
        sources = self._backend.media().audio_sources
        return trt.GetAudioSourcesResponse(audio_sources=tuple(convert.audio_source(source) for source in sources))

    @operation(access=READ)
    async def get_audio_source_configurations(
        self, call: Call, request: trt.GetAudioSourceConfigurations
    ) -> trt.GetAudioSourceConfigurationsResponse:
        view = self._view()
        return trt.GetAudioSourceConfigurationsResponse(configurations=_audio_sources(view, view.model.audio_sources))

    @operation(access=READ)
    async def get_audio_source_configuration(
        self, call: Call, request: trt.GetAudioSourceConfiguration
    ) -> trt.GetAudioSourceConfigurationResponse:
        view = self._view()
        source = view.audio_source(request.configuration_token)
        return trt.GetAudioSourceConfigurationResponse(configuration=convert.audio_source_configuration(view, source))

    @operation(access=READ)
    async def get_compatible_audio_source_configurations(
        self, call: Call, request: trt.GetCompatibleAudioSourceConfigurations
    ) -> trt.GetCompatibleAudioSourceConfigurationsResponse:
        view = self._view()
        sources = view.audio_sources_for(view.profile(request.profile_token))
        return trt.GetCompatibleAudioSourceConfigurationsResponse(configurations=_audio_sources(view, sources))

    @operation(access=READ)
    async def get_audio_source_configuration_options(
        self, call: Call, request: trt.GetAudioSourceConfigurationOptions
    ) -> trt.GetAudioSourceConfigurationOptionsResponse:
        view = self._view()
        sources = choose(view, request, view.model.audio_sources, view.audio_source, view.audio_sources_for)
        return trt.GetAudioSourceConfigurationOptionsResponse(options=options.audio_source_options(sources))

    @operation(access=READ)
    async def get_audio_encoder_configurations(
        self, call: Call, request: trt.GetAudioEncoderConfigurations
    ) -> trt.GetAudioEncoderConfigurationsResponse:
        view = self._view()
        return trt.GetAudioEncoderConfigurationsResponse(
            configurations=_audio_encoders(view, view.model.audio_encoders)
        )

    @operation(access=READ)
    async def get_audio_encoder_configuration(
        self, call: Call, request: trt.GetAudioEncoderConfiguration
    ) -> trt.GetAudioEncoderConfigurationResponse:
        view = self._view()
        encoder = _named_sound(view, request.configuration_token)
        return trt.GetAudioEncoderConfigurationResponse(configuration=convert.audio_encoder(view, encoder))

    @operation(access=READ)
    async def get_compatible_audio_encoder_configurations(
        self, call: Call, request: trt.GetCompatibleAudioEncoderConfigurations
    ) -> trt.GetCompatibleAudioEncoderConfigurationsResponse:
        view = self._view()
        encoders = view.audio_encoders_for(view.profile(request.profile_token))
        return trt.GetCompatibleAudioEncoderConfigurationsResponse(configurations=_audio_encoders(view, encoders))

    @operation(access=READ)
    async def get_audio_encoder_configuration_options(
        self, call: Call, request: trt.GetAudioEncoderConfigurationOptions
    ) -> trt.GetAudioEncoderConfigurationOptionsResponse:
        view = self._view()
        named = partial(_named_sound, view)
        encoders = choose(view, request, view.model.audio_encoders, named, view.audio_encoders_for)
        return trt.GetAudioEncoderConfigurationOptionsResponse(options=options.audio_encoder_options(encoders))

    # ---- families of which there is nothing: clients ask for the lists all the same

    @operation(access=READ)
    async def get_video_analytics_configurations(
        self, call: Call, request: trt.GetVideoAnalyticsConfigurations
    ) -> trt.GetVideoAnalyticsConfigurationsResponse:
        return trt.GetVideoAnalyticsConfigurationsResponse()

    # ---- streams and pictures

    @operation(access=READ)
    async def get_stream_uri(self, call: Call, request: trt.GetStreamUri) -> trt.GetStreamUriResponse:
        view = self._view()
        item = view.profile(request.profile_token)
        unicast = request.stream_setup.stream is tt.StreamType.RTP_UNICAST
        if unicast:
            check_unicast(request.stream_setup)
        elif request.stream_setup.transport.protocol is not tt.TransportProtocol.UDP:
            raise InvalidArgument("Multicast goes over UDP only.", detail="InvalidStreamSetup")
        self._streaming(view, item.token)
        if not unicast:
            self._check_groups(view, item)
        http = request.stream_setup.transport.protocol is tt.TransportProtocol.HTTP
        uri = (tunnel_uri if http else rtsp_uri)(call, self._device.ports().rtsp, item.path)
        uri += "" if unicast else GROUPS_QUERY
        return trt.GetStreamUriResponse(media_uri=_uri(uri))

    @operation(access=READ)
    async def get_snapshot_uri(self, call: Call, request: trt.GetSnapshotUri) -> trt.GetSnapshotUriResponse:
        item = self._view().profile(request.profile_token)
        if not item.snapshot:
            raise Conflict("The profile gives no pictures.", detail="IncompleteConfiguration")
        return trt.GetSnapshotUriResponse(media_uri=_uri(snapshot_uri(call, item.token)))

    @operation(access=AccessClass.ACTUATE)
    async def set_synchronization_point(
        self, call: Call, request: trt.SetSynchronizationPoint
    ) -> trt.SetSynchronizationPointResponse:
        await self._backend.synchronize(self._view().profile(request.profile_token).token)
        return trt.SetSynchronizationPointResponse()


def _uri(uri: str) -> tt.MediaUri:
    """Addresses here stay valid for as long as the profile exists (Media 5.15.1)."""
    return tt.MediaUri(uri=uri, invalid_after_connect=False, invalid_after_reboot=False, timeout=timedelta(0))


def _named_encoder(view: MediaView, token: str) -> VideoEncoder:
    return _in_ver10(view.video_encoder(token))


def _named_sound(view: MediaView, token: str) -> AudioEncoder:
    return _in_ver10(view.audio_encoder(token))


def _in_ver10(encoder: Encoder) -> Encoder:
    if not convert.in_ver10(encoder):
        raise NotFound("This encoding is visible in Media2 only.", detail="NoConfig")
    return encoder


def _video_sources(view: MediaView, sources: tuple[VideoSource, ...]) -> tuple[tt.VideoSourceConfiguration, ...]:
    return tuple(convert.video_source_configuration(view, source) for source in sources)


def _video_encoders(view: MediaView, encoders: tuple[VideoEncoder, ...]) -> tuple[tt.VideoEncoderConfiguration, ...]:
    return tuple(convert.video_encoder(view, encoder) for encoder in encoders if convert.in_ver10(encoder))


def _audio_sources(view: MediaView, sources: tuple[AudioSource, ...]) -> tuple[tt.AudioSourceConfiguration, ...]:
    return tuple(convert.audio_source_configuration(view, source) for source in sources)


def _audio_encoders(view: MediaView, encoders: tuple[AudioEncoder, ...]) -> tuple[tt.AudioEncoderConfiguration, ...]:
    return tuple(convert.audio_encoder(view, encoder) for encoder in encoders if convert.in_ver10(encoder))
