"""Media2 service, ver20: configurations of audio outputs and decoders (Media2 5.2.9, 5.2.10, 5.3)."""

from __future__ import annotations

from onvifd.access.types import AccessClass
from onvifd.onvif.services import media_talk_view as convert
from onvifd.onvif.services import media_write as write
from onvifd.onvif.services.media_base import MediaBase
from onvifd.onvif.services.media_view import choose
from onvifd.onvif.soap.dispatch import Call, operation
from onvifd.onvif.types import tr2

READ, ACTUATE = AccessClass.READ_MEDIA, AccessClass.ACTUATE


class Talk2(MediaBase):
    """See module. Adding to and removing from profiles is the same for all configurations there."""

    @operation(access=READ)
    async def get_audio_output_configurations(
        self, call: Call, request: tr2.GetAudioOutputConfigurations
    ) -> tr2.GetAudioOutputConfigurationsResponse:
        view = self._view()
        chosen = choose(view, request, view.model.audio_outputs, view.audio_output, view.audio_outputs_for)
        return tr2.GetAudioOutputConfigurationsResponse(
            configurations=tuple(convert.output(view, item) for item in chosen)
        )

    @operation(access=READ)
    async def get_audio_decoder_configurations(
        self, call: Call, request: tr2.GetAudioDecoderConfigurations
    ) -> tr2.GetAudioDecoderConfigurationsResponse:
        view = self._view()
        chosen = choose(view, request, view.model.audio_decoders, view.audio_decoder, view.audio_decoders_for)
        return tr2.GetAudioDecoderConfigurationsResponse(
            configurations=tuple(convert.decoder(view, item) for item in chosen)
        )

    @operation(access=READ)
    async def get_audio_output_configuration_options(
        self, call: Call, request: tr2.GetAudioOutputConfigurationOptions
    ) -> tr2.GetAudioOutputConfigurationOptionsResponse:
        view = self._view()
        chosen = choose(view, request, view.model.audio_outputs, view.audio_output, view.audio_outputs_for, strict=True)
        return tr2.GetAudioOutputConfigurationOptionsResponse(options=convert.output_options(chosen))

    @operation(access=READ)
    async def get_audio_decoder_configuration_options(
        self, call: Call, request: tr2.GetAudioDecoderConfigurationOptions
    ) -> tr2.GetAudioDecoderConfigurationOptionsResponse:
        view = self._view()
        convert.need_decoders(view)
        chosen = choose(
            view, request, view.model.audio_decoders, view.audio_decoder, view.audio_decoders_for, strict=True
        )
        # What a profile may have is told even while it needs an output first: Options are not optional.
        decoders = chosen or view.model.audio_decoders
        return tr2.GetAudioDecoderConfigurationOptionsResponse(options=convert.decoder_options2(decoders))

    @operation(access=ACTUATE)
    async def set_audio_output_configuration(
        self, call: Call, request: tr2.SetAudioOutputConfiguration
    ) -> tr2.SetAudioOutputConfigurationResponse:
        given = request.configuration
        name, level, primacy = convert.wanted(self._view().audio_output(given.token), given)
        await self._control.set_audio_output(given.token, name=name, level=level, primacy=primacy)
        return tr2.SetAudioOutputConfigurationResponse()

    @operation(access=ACTUATE)
    async def set_audio_decoder_configuration(
        self, call: Call, request: tr2.SetAudioDecoderConfiguration
    ) -> tr2.SetAudioDecoderConfigurationResponse:
        given = request.configuration
        self._view().audio_decoder(given.token)
        await self._control.set_audio_decoder(given.token, name=write.name(given.name))
        return tr2.SetAudioDecoderConfigurationResponse()
