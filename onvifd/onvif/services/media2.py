"""Media2 service, ver20 (Media2 5): what there is, and where it streams."""

from __future__ import annotations

from onvifd.access.types import AccessClass
from onvifd.errors import Conflict, InvalidArgument, NotFound
from onvifd.onvif.services import media_configurations as convert
from onvifd.onvif.services import media_options as options
from onvifd.onvif.services.common import MEDIA2_PATH, NS_MEDIA2, rtsp_uri, snapshot_uri, tunnel_uri
from onvifd.onvif.services.media2_changes import Media2Changes
from onvifd.onvif.services.media_base import GROUPS_FIELD, GROUPS_QUERY, SRTP_QUERY
from onvifd.onvif.services.media_profile_view import profile2
from onvifd.onvif.services.media_talk2 import Talk2
from onvifd.onvif.services.media_view import choose
from onvifd.onvif.soap.dispatch import Call, operation
from onvifd.onvif.types import tr2
from onvifd.rtsp import websocket

READ = AccessClass.READ_MEDIA

Protocol = tr2.TransportProtocol


class Media2Service(Media2Changes, Talk2):
    """Profiles, configurations and addresses of the live streams for clients of Profile T."""

    namespace = NS_MEDIA2
    path = MEDIA2_PATH
    prefix = "tr2"

    def capabilities(self, call: Call) -> tr2.Capabilities2:
        model = self._backend.media()
        rtsp = self._device.ports().rtsp is not None
        kinds = tr2.ConfigurationEnumeration
        audio = (kinds.AUDIO_SOURCE, kinds.AUDIO_ENCODER) if model.audio_sources else ()
        metadata = (kinds.METADATA,) if model.metadata else ()
        talk = (kinds.AUDIO_OUTPUT, kinds.AUDIO_DECODER) if model.audio_outputs else ()
        return tr2.Capabilities2(
            profile_capabilities=tr2.ProfileCapabilities(
                maximum_number_of_profiles=self._control.max_profiles(),
                configurations_supported=(kinds.VIDEO_SOURCE, kinds.VIDEO_ENCODER, *audio, *talk, *metadata),
            ),
            streaming_capabilities=tr2.StreamingCapabilities(
                rtsp_streaming=rtsp,
                rtp_multicast=rtsp and self._multicast,
                rtp_rtsp_tcp=rtsp,
                non_aggregate_control=rtsp,
                rtsp_web_socket_uri=websocket.URI if rtsp else None,
                auto_start_multicast=rtsp and self._multicast,
                secure_rtsp_streaming=rtsp and self._secure() is not None,
            ),
            snapshot_uri=any(profile.snapshot for profile in model.profiles),
            rotation=False,
            video_source_mode=False,
            osd=False,
            temporary_osd_text=False,
            mask=False,
            source_mask=False,
        )

    @operation(access=AccessClass.PRE_AUTH)
    async def get_service_capabilities(
        self, call: Call, request: tr2.GetServiceCapabilities
    ) -> tr2.GetServiceCapabilitiesResponse:
        return tr2.GetServiceCapabilitiesResponse(capabilities=self.capabilities(call))

    @operation(access=READ)
    async def get_profiles(self, call: Call, request: tr2.GetProfiles) -> tr2.GetProfilesResponse:
        view = self._view()
        profiles = (view.profile(request.token),) if request.token else view.model.profiles
        types = frozenset(request.type_)
        return tr2.GetProfilesResponse(profiles=tuple(profile2(view, item, types) for item in profiles))

    # ---- configurations

    @operation(access=READ)
    async def get_video_source_configurations(
        self, call: Call, request: tr2.GetVideoSourceConfigurations
    ) -> tr2.GetVideoSourceConfigurationsResponse:
        view = self._view()
        chosen = choose(view, request, view.model.video_sources, view.video_source, view.video_sources_for)
        return tr2.GetVideoSourceConfigurationsResponse(
            configurations=tuple(convert.video_source_configuration(view, source) for source in chosen)
        )

    @operation(access=READ)
    async def get_video_encoder_configurations(
        self, call: Call, request: tr2.GetVideoEncoderConfigurations
    ) -> tr2.GetVideoEncoderConfigurationsResponse:
        view = self._view()
        chosen = choose(view, request, view.model.video_encoders, view.video_encoder, view.video_encoders_for)
        return tr2.GetVideoEncoderConfigurationsResponse(
            configurations=tuple(convert.video_encoder2(view, encoder) for encoder in chosen)
        )

    @operation(access=READ)
    async def get_audio_source_configurations(
        self, call: Call, request: tr2.GetAudioSourceConfigurations
    ) -> tr2.GetAudioSourceConfigurationsResponse:
        view = self._view()
        chosen = choose(view, request, view.model.audio_sources, view.audio_source, view.audio_sources_for)
        return tr2.GetAudioSourceConfigurationsResponse(
            configurations=tuple(convert.audio_source_configuration(view, source) for source in chosen)
        )

    @operation(access=READ)
    async def get_audio_encoder_configurations(
        self, call: Call, request: tr2.GetAudioEncoderConfigurations
    ) -> tr2.GetAudioEncoderConfigurationsResponse:
        view = self._view()
        chosen = choose(view, request, view.model.audio_encoders, view.audio_encoder, view.audio_encoders_for)
        return tr2.GetAudioEncoderConfigurationsResponse(
            configurations=tuple(convert.audio_encoder2(view, encoder) for encoder in chosen)
        )

    # ---- families of which there is nothing: clients ask for the lists all the same

    @operation(access=READ)
    async def get_analytics_configurations(
        self, call: Call, request: tr2.GetAnalyticsConfigurations
    ) -> tr2.GetAnalyticsConfigurationsResponse:
        self._none_of(request)
        return tr2.GetAnalyticsConfigurationsResponse()

    def _none_of(self, request: tr2.GetConfiguration) -> None:
        if request.profile_token:
            self._view().profile(request.profile_token)
        if request.configuration_token:
            raise NotFound("There is no such configuration.", detail="NoConfig")

    # ---- options

    @operation(access=READ)
    async def get_video_source_configuration_options(
        self, call: Call, request: tr2.GetVideoSourceConfigurationOptions
    ) -> tr2.GetVideoSourceConfigurationOptionsResponse:
        view = self._view()
        chosen = choose(view, request, view.model.video_sources, view.video_source, view.video_sources_for, strict=True)
        profiles = self._control.max_profiles()
        return tr2.GetVideoSourceConfigurationOptionsResponse(options=options.video_source_options(chosen, profiles))

    @operation(access=READ)
    async def get_video_encoder_configuration_options(
        self, call: Call, request: tr2.GetVideoEncoderConfigurationOptions
    ) -> tr2.GetVideoEncoderConfigurationOptionsResponse:
        view = self._view()
        chosen = choose(
            view, request, view.model.video_encoders, view.video_encoder, view.video_encoders_for, strict=True
        )
        return tr2.GetVideoEncoderConfigurationOptionsResponse(
            options=options.video_encoder_options2(await self._control.video_options(chosen))
        )

    @operation(access=READ)
    async def get_audio_source_configuration_options(
        self, call: Call, request: tr2.GetAudioSourceConfigurationOptions
    ) -> tr2.GetAudioSourceConfigurationOptionsResponse:
        view = self._view()
        chosen = choose(view, request, view.model.audio_sources, view.audio_source, view.audio_sources_for, strict=True)
        return tr2.GetAudioSourceConfigurationOptionsResponse(options=options.audio_source_options(chosen))

    @operation(access=READ)
    async def get_audio_encoder_configuration_options(
        self, call: Call, request: tr2.GetAudioEncoderConfigurationOptions
    ) -> tr2.GetAudioEncoderConfigurationOptionsResponse:
        view = self._view()
        chosen = choose(
            view, request, view.model.audio_encoders, view.audio_encoder, view.audio_encoders_for, strict=True
        )
        return tr2.GetAudioEncoderConfigurationOptionsResponse(options=options.audio_encoder_options2(chosen))

    @operation(access=READ)
    async def get_video_encoder_instances(
        self, call: Call, request: tr2.GetVideoEncoderInstances
    ) -> tr2.GetVideoEncoderInstancesResponse:
        view = self._view()
        encoders = view.video_encoders_of(view.video_source(request.configuration_token))
        counted = await self._instances(encoders)
        return tr2.GetVideoEncoderInstancesResponse(
            info=tr2.EncoderInstanceInfo(
                codec=tuple(tr2.EncoderInstance(encoding=codec, number=number) for codec, number in counted.items()),
                total=len(encoders),
            )
        )

    # ---- streams and pictures

    @operation(access=READ)
    async def get_stream_uri(self, call: Call, request: tr2.GetStreamUri) -> tr2.GetStreamUriResponse:
        view = self._view()
        profile = view.profile(request.profile_token)
        secure = self._secure()
        match request.protocol:
            case Protocol.RTSP_UNICAST | Protocol.RTSP | Protocol.RTSP_MULTICAST:
                uri = rtsp_uri(call, self._device.ports().rtsp, profile.path)
            case Protocol.RTSP_OVER_HTTP:
                uri = tunnel_uri(call, self._device.ports().rtsp, profile.path)
            case Protocol.RTSPS_UNICAST | Protocol.RTSPS_MULTICAST if secure is not None:
                uri = rtsp_uri(call, secure, profile.path, scheme="rtsps") + SRTP_QUERY
            case other:
                raise InvalidArgument(f"{other[:40]} is not served.", detail="InvalidStreamSetup")
        self._streaming(view, profile.token)
        if request.protocol in (Protocol.RTSP_MULTICAST, Protocol.RTSPS_MULTICAST):
            self._check_groups(view, profile)
            uri += GROUPS_QUERY if request.protocol == Protocol.RTSP_MULTICAST else GROUPS_FIELD
        return tr2.GetStreamUriResponse(uri=uri)

    @operation(access=READ)
    async def get_snapshot_uri(self, call: Call, request: tr2.GetSnapshotUri) -> tr2.GetSnapshotUriResponse:
        profile = self._view().profile(request.profile_token)
        if not profile.snapshot:
            raise Conflict("The profile gives no pictures.", detail="IncompleteConfiguration")
        return tr2.GetSnapshotUriResponse(uri=snapshot_uri(call, profile.token))

    @operation(access=AccessClass.ACTUATE)
    async def set_synchronization_point(
        self, call: Call, request: tr2.SetSynchronizationPoint
    ) -> tr2.SetSynchronizationPointResponse:
        await self._backend.synchronize(self._view().profile(request.profile_token).token)
        return tr2.SetSynchronizationPointResponse()
