"""Media service, ver10: changing configurations; metadata; multicast without sessions (Media 5.4 to 5.10, 5.17).

ForcePersistence is obsolete: every change persists.
"""

from __future__ import annotations

from onvifd.access.types import AccessClass
from onvifd.errors import NotFound
from onvifd.onvif.services import media_metadata as metadata
from onvifd.onvif.services import media_write as write
from onvifd.onvif.services.media_base import MediaBase
from onvifd.onvif.services.media_configurations import in_ver10
from onvifd.onvif.services.media_view import choose
from onvifd.onvif.soap.dispatch import Call, operation
from onvifd.onvif.types import trt

READ, WRITE = AccessClass.READ_MEDIA, AccessClass.ACTUATE


class MediaChanges(MediaBase):
    @operation(access=WRITE)
    async def set_video_source_configuration(
        self, call: Call, request: trt.SetVideoSourceConfiguration
    ) -> trt.SetVideoSourceConfigurationResponse:
        await self._set_video_source(request.configuration, adapt=False)
        return trt.SetVideoSourceConfigurationResponse()

    @operation(access=WRITE)
    async def set_video_encoder_configuration(
        self, call: Call, request: trt.SetVideoEncoderConfiguration
    ) -> trt.SetVideoEncoderConfigurationResponse:
        wanted = request.configuration
        encoder = self._view().video_encoder(wanted.token)
        if not in_ver10(encoder):
            raise NotFound("This encoding is visible in Media2 only.", detail="NoConfig")
        await self._control.set_video_encoder(
            encoder.token,
            name=write.name(wanted.name),
            settings=write.video_settings(encoder, wanted),
            multicast=write.multicast(wanted.multicast),
        )
        return trt.SetVideoEncoderConfigurationResponse()

    @operation(access=WRITE)
    async def set_audio_source_configuration(
        self, call: Call, request: trt.SetAudioSourceConfiguration
    ) -> trt.SetAudioSourceConfigurationResponse:
        await self._set_audio_source(request.configuration)
        return trt.SetAudioSourceConfigurationResponse()

    @operation(access=WRITE)
    async def set_audio_encoder_configuration(
        self, call: Call, request: trt.SetAudioEncoderConfiguration
    ) -> trt.SetAudioEncoderConfigurationResponse:
        wanted = request.configuration
        encoder = self._view().audio_encoder(wanted.token)
        if not in_ver10(encoder):
            raise NotFound("This encoding is visible in Media2 only.", detail="NoConfig")
        name = write.audio_encoder(encoder, wanted)
        await self._control.set_audio_encoder(encoder.token, name=name, multicast=write.multicast(wanted.multicast))
        return trt.SetAudioEncoderConfigurationResponse()

    # ---- metadata

    @operation(access=READ)
    async def get_metadata_configurations(
        self, call: Call, request: trt.GetMetadataConfigurations
    ) -> trt.GetMetadataConfigurationsResponse:
        view = self._view()
        return trt.GetMetadataConfigurationsResponse(
            configurations=tuple(metadata.configuration(view, each) for each in view.model.metadata)
        )

    @operation(access=READ)
    async def get_metadata_configuration(
        self, call: Call, request: trt.GetMetadataConfiguration
    ) -> trt.GetMetadataConfigurationResponse:
        view = self._view()
        found = view.metadata(request.configuration_token)
        return trt.GetMetadataConfigurationResponse(configuration=metadata.configuration(view, found))

    @operation(access=READ)
    async def get_compatible_metadata_configurations(
        self, call: Call, request: trt.GetCompatibleMetadataConfigurations
    ) -> trt.GetCompatibleMetadataConfigurationsResponse:
        view = self._view()
        found = view.metadata_for(view.profile(request.profile_token), alone=True)
        return trt.GetCompatibleMetadataConfigurationsResponse(
            configurations=tuple(metadata.configuration(view, each) for each in found)
        )

    @operation(access=READ)
    async def get_metadata_configuration_options(
        self, call: Call, request: trt.GetMetadataConfigurationOptions
    ) -> trt.GetMetadataConfigurationOptionsResponse:
        view = self._view()
        chosen = choose(view, request, view.model.metadata, view.metadata, view.metadata_for)
        return trt.GetMetadataConfigurationOptionsResponse(options=metadata.options(chosen))

    @operation(access=WRITE)
    async def set_metadata_configuration(
        self, call: Call, request: trt.SetMetadataConfiguration
    ) -> trt.SetMetadataConfigurationResponse:
        await self._set_metadata(request.configuration)
        return trt.SetMetadataConfigurationResponse()

    # ---- multicast

    @operation(access=WRITE)
    async def start_multicast_streaming(
        self, call: Call, request: trt.StartMulticastStreaming
    ) -> trt.StartMulticastStreamingResponse:
        await self._start(request.profile_token, True)
        return trt.StartMulticastStreamingResponse()

    @operation(access=WRITE)
    async def stop_multicast_streaming(
        self, call: Call, request: trt.StopMulticastStreaming
    ) -> trt.StopMulticastStreamingResponse:
        await self._start(request.profile_token, False)
        return trt.StopMulticastStreamingResponse()
