"""Media service, ver10: audio outputs, their configurations, and those of decoders (Media 5.11 to 5.14)."""

from __future__ import annotations

from onvifd.access.types import AccessClass
from onvifd.onvif.services import media_talk_view as convert
from onvifd.onvif.services import media_write as write
from onvifd.onvif.services.media_base import MediaBase
from onvifd.onvif.services.media_view import choose
from onvifd.onvif.soap.dispatch import Call, operation
from onvifd.onvif.types import trt, tt

READ, ACTUATE = AccessClass.READ_MEDIA, AccessClass.ACTUATE


class AudioOutputs(MediaBase):
    """See module. Lists are empty where there is no loudspeaker, since clients ask for them all the same."""

    @operation(access=READ)
    async def get_audio_outputs(self, call: Call, request: trt.GetAudioOutputs) -> trt.GetAudioOutputsResponse:
        outputs = self._backend.media().audio_outputs
        return trt.GetAudioOutputsResponse(audio_outputs=tuple(tt.AudioOutput(token=item.token) for item in outputs))

    @operation(access=READ)
    async def get_audio_output_configurations(
        self, call: Call, request: trt.GetAudioOutputConfigurations
    ) -> trt.GetAudioOutputConfigurationsResponse:
        view = self._view()
        return trt.GetAudioOutputConfigurationsResponse(
            configurations=tuple(convert.output(view, item) for item in view.model.audio_outputs)
        )

    @operation(access=READ)
    async def get_audio_output_configuration(
        self, call: Call, request: trt.GetAudioOutputConfiguration
    ) -> trt.GetAudioOutputConfigurationResponse:
        view = self._view()
        convert.need_outputs(view)
        item = view.audio_output(request.configuration_token)
        return trt.GetAudioOutputConfigurationResponse(configuration=convert.output(view, item))

    @operation(access=READ)
    async def get_compatible_audio_output_configurations(
        self, call: Call, request: trt.GetCompatibleAudioOutputConfigurations
    ) -> trt.GetCompatibleAudioOutputConfigurationsResponse:
        view = self._view()
        fitting = view.audio_outputs_for(view.profile(request.profile_token))
        return trt.GetCompatibleAudioOutputConfigurationsResponse(
            configurations=tuple(convert.output(view, item) for item in fitting)
        )

    @operation(access=READ)
    async def get_audio_output_configuration_options(
        self, call: Call, request: trt.GetAudioOutputConfigurationOptions
    ) -> trt.GetAudioOutputConfigurationOptionsResponse:
        view = self._view()
        convert.need_outputs(view)
        outputs = choose(view, request, view.model.audio_outputs, view.audio_output, view.audio_outputs_for)
        return trt.GetAudioOutputConfigurationOptionsResponse(options=convert.output_options(outputs))

    @operation(access=ACTUATE)
    async def set_audio_output_configuration(
        self, call: Call, request: trt.SetAudioOutputConfiguration
    ) -> trt.SetAudioOutputConfigurationResponse:
        view = self._view()
        convert.need_outputs(view)
        given = request.configuration
        name, level, primacy = convert.wanted(view.audio_output(given.token), given)
        await self._control.set_audio_output(given.token, name=name, level=level, primacy=primacy)
        return trt.SetAudioOutputConfigurationResponse()


class AudioDecoders(AudioOutputs):
    """Decoder configurations (Media 5.13)."""

    @operation(access=READ)
    async def get_audio_decoder_configurations(
        self, call: Call, request: trt.GetAudioDecoderConfigurations
    ) -> trt.GetAudioDecoderConfigurationsResponse:
        view = self._view()
        return trt.GetAudioDecoderConfigurationsResponse(
            configurations=tuple(convert.decoder(view, item) for item in view.model.audio_decoders)
        )

    @operation(access=READ)
    async def get_audio_decoder_configuration(
        self, call: Call, request: trt.GetAudioDecoderConfiguration
    ) -> trt.GetAudioDecoderConfigurationResponse:
        view = self._view()
        convert.need_decoders(view)
        item = view.audio_decoder(request.configuration_token)
        return trt.GetAudioDecoderConfigurationResponse(configuration=convert.decoder(view, item))

    @operation(access=READ)
    async def get_compatible_audio_decoder_configurations(
        self, call: Call, request: trt.GetCompatibleAudioDecoderConfigurations
    ) -> trt.GetCompatibleAudioDecoderConfigurationsResponse:
        view = self._view()
        fitting = view.audio_decoders_for(view.profile(request.profile_token))
        return trt.GetCompatibleAudioDecoderConfigurationsResponse(
            configurations=tuple(convert.decoder(view, item) for item in fitting)
        )

    @operation(access=READ)
    async def get_audio_decoder_configuration_options(
        self, call: Call, request: trt.GetAudioDecoderConfigurationOptions
    ) -> trt.GetAudioDecoderConfigurationOptionsResponse:
        view = self._view()
        convert.need_decoders(view)
        decoders = choose(view, request, view.model.audio_decoders, view.audio_decoder, view.audio_decoders_for)
        return trt.GetAudioDecoderConfigurationOptionsResponse(options=convert.decoder_options(decoders))

    @operation(access=ACTUATE)
    async def set_audio_decoder_configuration(
        self, call: Call, request: trt.SetAudioDecoderConfiguration
    ) -> trt.SetAudioDecoderConfigurationResponse:
        view = self._view()
        convert.need_decoders(view)
        given = request.configuration
        view.audio_decoder(given.token)
        await self._control.set_audio_decoder(given.token, name=write.name(given.name))
        return trt.SetAudioDecoderConfigurationResponse()
