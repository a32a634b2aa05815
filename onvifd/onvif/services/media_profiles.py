"""Media service, ver10: making profiles, and what they are made of (Media 5.2)."""

from __future__ import annotations

from onvifd.access.types import AccessClass
from onvifd.errors import NotFound, NotSupported
from onvifd.onvif.backend import MediaModel, Part
from onvifd.onvif.services import media_write as write
from onvifd.onvif.services.media_base import MediaBase
from onvifd.onvif.services.media_configurations import in_ver10
from onvifd.onvif.services.media_profile_view import profile
from onvifd.onvif.services.media_view import MediaView
from onvifd.onvif.soap.dispatch import Call, operation
from onvifd.onvif.types import trt

WRITE = AccessClass.ACTUATE


class MediaProfiles(MediaBase):
    """Profiles of clients. Metadata may stand alone here: ver10 asks for no source with it."""

    @operation(access=WRITE)
    async def create_profile(self, call: Call, request: trt.CreateProfile) -> trt.CreateProfileResponse:
        token = await self._control.create_profile(write.profile_name(request.name), request.token or None, {})
        view = self._view()
        return trt.CreateProfileResponse(profile=profile(view, view.profile(token)))

    @operation(access=WRITE)
    async def delete_profile(self, call: Call, request: trt.DeleteProfile) -> trt.DeleteProfileResponse:
        await self._control.delete_profile(request.profile_token)
        return trt.DeleteProfileResponse()

    async def _add(self, token: str, part: Part, configuration: str) -> None:
        view = self._view()
        view.profile(token)
        _check_kind(view.model, part)
        _check_visible(view, part, configuration)
        await self._control.change_profile(token, parts={part: configuration}, lone_metadata=True)

    async def _remove(self, token: str, part: Part) -> None:
        view = self._view()
        view.profile(token)
        _check_kind(view.model, part)
        await self._control.change_profile(token, parts={part: None}, lone_metadata=True)

    # ---- one pair of operations for each kind

    @operation(access=WRITE)
    async def add_video_source_configuration(
        self, call: Call, request: trt.AddVideoSourceConfiguration
    ) -> trt.AddVideoSourceConfigurationResponse:
        await self._add(request.profile_token, Part.VIDEO_SOURCE, request.configuration_token)
        return trt.AddVideoSourceConfigurationResponse()

    @operation(access=WRITE)
    async def remove_video_source_configuration(
        self, call: Call, request: trt.RemoveVideoSourceConfiguration
    ) -> trt.RemoveVideoSourceConfigurationResponse:
        await self._remove(request.profile_token, Part.VIDEO_SOURCE)
        return trt.RemoveVideoSourceConfigurationResponse()

    @operation(access=WRITE)
    async def add_video_encoder_configuration(
        self, call: Call, request: trt.AddVideoEncoderConfiguration
    ) -> trt.AddVideoEncoderConfigurationResponse:
        await self._add(request.profile_token, Part.VIDEO_ENCODER, request.configuration_token)
        return trt.AddVideoEncoderConfigurationResponse()

    @operation(access=WRITE)
    async def remove_video_encoder_configuration(
        self, call: Call, request: trt.RemoveVideoEncoderConfiguration
    ) -> trt.RemoveVideoEncoderConfigurationResponse:
        await self._remove(request.profile_token, Part.VIDEO_ENCODER)
        return trt.RemoveVideoEncoderConfigurationResponse()

    @operation(access=WRITE)
    async def add_audio_source_configuration(
        self, call: Call, request: trt.AddAudioSourceConfiguration
    ) -> trt.AddAudioSourceConfigurationResponse:
        await self._add(request.profile_token, Part.AUDIO_SOURCE, request.configuration_token)
        return trt.AddAudioSourceConfigurationResponse()

    @operation(access=WRITE)
    async def remove_audio_source_configuration(
        self, call: Call, request: trt.RemoveAudioSourceConfiguration
    ) -> trt.RemoveAudioSourceConfigurationResponse:
        await self._remove(request.profile_token, Part.AUDIO_SOURCE)
        return trt.RemoveAudioSourceConfigurationResponse()

    @operation(access=WRITE)
    async def add_audio_encoder_configuration(
        self, call: Call, request: trt.AddAudioEncoderConfiguration
    ) -> trt.AddAudioEncoderConfigurationResponse:
        await self._add(request.profile_token, Part.AUDIO_ENCODER, request.configuration_token)
        return trt.AddAudioEncoderConfigurationResponse()

    @operation(access=WRITE)
    async def remove_audio_encoder_configuration(
        self, call: Call, request: trt.RemoveAudioEncoderConfiguration
    ) -> trt.RemoveAudioEncoderConfigurationResponse:
        await self._remove(request.profile_token, Part.AUDIO_ENCODER)
        return trt.RemoveAudioEncoderConfigurationResponse()

    @operation(access=WRITE)
    async def add_ptz_configuration(
        self, call: Call, request: trt.AddPTZConfiguration
    ) -> trt.AddPTZConfigurationResponse:
        await self._add(request.profile_token, Part.PTZ, request.configuration_token)
        return trt.AddPTZConfigurationResponse()

    @operation(access=WRITE)
    async def remove_ptz_configuration(
        self, call: Call, request: trt.RemovePTZConfiguration
    ) -> trt.RemovePTZConfigurationResponse:
        await self._remove(request.profile_token, Part.PTZ)
        return trt.RemovePTZConfigurationResponse()

    @operation(access=WRITE)
    async def add_video_analytics_configuration(
        self, call: Call, request: trt.AddVideoAnalyticsConfiguration
    ) -> trt.AddVideoAnalyticsConfigurationResponse:
        await self._add(request.profile_token, Part.ANALYTICS, request.configuration_token)
        return trt.AddVideoAnalyticsConfigurationResponse()

    @operation(access=WRITE)
    async def remove_video_analytics_configuration(
        self, call: Call, request: trt.RemoveVideoAnalyticsConfiguration
    ) -> trt.RemoveVideoAnalyticsConfigurationResponse:
        await self._remove(request.profile_token, Part.ANALYTICS)
        return trt.RemoveVideoAnalyticsConfigurationResponse()

    @operation(access=WRITE)
    async def add_metadata_configuration(
        self, call: Call, request: trt.AddMetadataConfiguration
    ) -> trt.AddMetadataConfigurationResponse:
        await self._add(request.profile_token, Part.METADATA, request.configuration_token)
        return trt.AddMetadataConfigurationResponse()

    @operation(access=WRITE)
    async def remove_metadata_configuration(
        self, call: Call, request: trt.RemoveMetadataConfiguration
    ) -> trt.RemoveMetadataConfigurationResponse:
        await self._remove(request.profile_token, Part.METADATA)
        return trt.RemoveMetadataConfigurationResponse()

    @operation(access=WRITE)
    async def add_audio_output_configuration(
        self, call: Call, request: trt.AddAudioOutputConfiguration
    ) -> trt.AddAudioOutputConfigurationResponse:
        await self._add(request.profile_token, Part.AUDIO_OUTPUT, request.configuration_token)
        return trt.AddAudioOutputConfigurationResponse()

    @operation(access=WRITE)
    async def remove_audio_output_configuration(
        self, call: Call, request: trt.RemoveAudioOutputConfiguration
    ) -> trt.RemoveAudioOutputConfigurationResponse:
        await self._remove(request.profile_token, Part.AUDIO_OUTPUT)
        return trt.RemoveAudioOutputConfigurationResponse()

    @operation(access=WRITE)
    async def add_audio_decoder_configuration(
        self, call: Call, request: trt.AddAudioDecoderConfiguration
    ) -> trt.AddAudioDecoderConfigurationResponse:
        await self._add(request.profile_token, Part.AUDIO_DECODER, request.configuration_token)
        return trt.AddAudioDecoderConfigurationResponse()

    @operation(access=WRITE)
    async def remove_audio_decoder_configuration(
        self, call: Call, request: trt.RemoveAudioDecoderConfiguration
    ) -> trt.RemoveAudioDecoderConfigurationResponse:
        await self._remove(request.profile_token, Part.AUDIO_DECODER)
        return trt.RemoveAudioDecoderConfigurationResponse()


def _check_kind(model: MediaModel, part: Part) -> None:
    """Raises ActionNotSupported for what the device has nothing of at all."""
    missing = {
        Part.AUDIO_SOURCE: (model.audio_sources, "AudioNotSupported"),
        Part.AUDIO_ENCODER: (model.audio_encoders, "AudioNotSupported"),
        Part.AUDIO_OUTPUT: (model.audio_outputs, "AudioOutputNotSupported"),
        Part.AUDIO_DECODER: (model.audio_decoders, "AudioDecodingNotSupported"),
        Part.PTZ: ((), "PTZNotSupported"),
        Part.ANALYTICS: ((), "VideoAnalyticsNotSupported"),
    }
    there, detail = missing.get(part, ((part,), ""))
    if not there:
        raise NotSupported(f"There are no {part} configurations.", detail=detail)


def _check_visible(view: MediaView, part: Part, token: str) -> None:
    """An encoder that ver10 has no name for does not exist here."""
    hidden = (part is Part.VIDEO_ENCODER and not in_ver10(view.video_encoder(token))) or (
        part is Part.AUDIO_ENCODER and not in_ver10(view.audio_encoder(token))
    )
    if hidden:
        raise NotFound("This encoding is visible in Media2 only.", detail="NoConfig")
