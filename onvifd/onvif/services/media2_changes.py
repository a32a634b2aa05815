"""Media2 service, ver20: making and changing profiles and configurations; metadata; multicast (Media2 5.1, 5.3, 5.6)."""

from __future__ import annotations

from collections.abc import Iterable

from onvifd.access.types import AccessClass
from onvifd.errors import NotFound
from onvifd.onvif.backend import Part
from onvifd.onvif.services import media_metadata as metadata
from onvifd.onvif.services import media_write as write
from onvifd.onvif.services.media_base import MediaBase
from onvifd.onvif.services.media_view import choose
from onvifd.onvif.soap.dispatch import Call, operation
from onvifd.onvif.types import tr2

READ, WRITE = AccessClass.READ_MEDIA, AccessClass.ACTUATE
ALL = tr2.ConfigurationEnumeration.ALL


class Media2Changes(MediaBase):
    # ---- profiles

    @operation(access=WRITE)
    async def create_profile(self, call: Call, request: tr2.CreateProfile) -> tr2.CreateProfileResponse:
        name = write.profile_name(request.name)
        token = await self._control.create_profile(name, None, _added(request.configuration))
        return tr2.CreateProfileResponse(token=token)

    @operation(access=WRITE)
    async def delete_profile(self, call: Call, request: tr2.DeleteProfile) -> tr2.DeleteProfileResponse:
        await self._control.delete_profile(request.token)
        return tr2.DeleteProfileResponse()

    @operation(access=WRITE)
    async def add_configuration(self, call: Call, request: tr2.AddConfiguration) -> tr2.AddConfigurationResponse:
        token = self._view().profile(request.profile_token).token
        name = write.profile_name(request.name) if request.name else None
        await self._control.change_profile(token, name=name, parts={**_added(request.configuration)})
        return tr2.AddConfigurationResponse()

    @operation(access=WRITE)
    async def remove_configuration(
        self, call: Call, request: tr2.RemoveConfiguration
    ) -> tr2.RemoveConfigurationResponse:
        profile = self._view().profile(request.profile_token)
        kinds = {each.type_ for each in request.configuration}
        gone = set(Part) if ALL in kinds else {_part(kind) for kind in kinds} - {None}
        parts = {part: None for part in gone if part is not None}
        await self._control.change_profile(profile.token, parts=parts)
        return tr2.RemoveConfigurationResponse()

    # ---- configurations

    @operation(access=WRITE)
    async def set_video_source_configuration(
        self, call: Call, request: tr2.SetVideoSourceConfiguration
    ) -> tr2.SetVideoSourceConfigurationResponse:
        await self._set_video_source(request.configuration, adapt=True)
        return tr2.SetVideoSourceConfigurationResponse()

    @operation(access=WRITE)
    async def set_video_encoder_configuration(
        self, call: Call, request: tr2.SetVideoEncoderConfiguration
    ) -> tr2.SetVideoEncoderConfigurationResponse:
        wanted = request.configuration
        encoder = self._view().video_encoder(wanted.token)
        await self._control.set_video_encoder(
            encoder.token,
            name=write.name(wanted.name),
            settings=write.video_settings2(encoder, wanted),
            multicast=write.multicast(wanted.multicast),
        )
        return tr2.SetVideoEncoderConfigurationResponse()

    @operation(access=WRITE)
    async def set_audio_source_configuration(
        self, call: Call, request: tr2.SetAudioSourceConfiguration
    ) -> tr2.SetAudioSourceConfigurationResponse:
        await self._set_audio_source(request.configuration)
        return tr2.SetAudioSourceConfigurationResponse()

    @operation(access=WRITE)
    async def set_audio_encoder_configuration(
        self, call: Call, request: tr2.SetAudioEncoderConfiguration
    ) -> tr2.SetAudioEncoderConfigurationResponse:
        wanted = request.configuration
        encoder = self._view().audio_encoder(wanted.token)
        name = write.audio_encoder2(encoder, wanted)
        await self._control.set_audio_encoder(encoder.token, name=name, multicast=write.multicast(wanted.multicast))
        return tr2.SetAudioEncoderConfigurationResponse()

    @operation(access=WRITE)
    async def set_metadata_configuration(
        self, call: Call, request: tr2.SetMetadataConfiguration
    ) -> tr2.SetMetadataConfigurationResponse:
        await self._set_metadata(request.configuration)
        return tr2.SetMetadataConfigurationResponse()

    # ---- metadata

    @operation(access=READ)
    async def get_metadata_configurations(
        self, call: Call, request: tr2.GetMetadataConfigurations
    ) -> tr2.GetMetadataConfigurationsResponse:
        view = self._view()
        chosen = choose(view, request, view.model.metadata, view.metadata, view.metadata_for)
        return tr2.GetMetadataConfigurationsResponse(
            configurations=tuple(metadata.configuration(view, each) for each in chosen)
        )

    @operation(access=READ)
    async def get_metadata_configuration_options(
        self, call: Call, request: tr2.GetMetadataConfigurationOptions
    ) -> tr2.GetMetadataConfigurationOptionsResponse:
        view = self._view()
        chosen = choose(view, request, view.model.metadata, view.metadata, view.metadata_for, strict=True)
        return tr2.GetMetadataConfigurationOptionsResponse(options=metadata.options(chosen))

    # ---- multicast

    @operation(access=WRITE)
    async def start_multicast_streaming(
        self, call: Call, request: tr2.StartMulticastStreaming
    ) -> tr2.StartMulticastStreamingResponse:
        await self._start(request.profile_token, True)
        return tr2.StartMulticastStreamingResponse()

    @operation(access=WRITE)
    async def stop_multicast_streaming(
        self, call: Call, request: tr2.StopMulticastStreaming
    ) -> tr2.StopMulticastStreamingResponse:
        await self._start(request.profile_token, False, complete=False)
        return tr2.StopMulticastStreamingResponse()


def _part(kind: str) -> Part | None:
    """None for kinds of which there is nothing here."""
    return next((part for part in Part if part.value == kind), None)


def _added(references: Iterable[tr2.ConfigurationRef]) -> dict[Part, str]:
    """What is to be added, the last one of each kind. All is ignored (Media2 5.1.1, 5.1.3). Raises NoConfig."""
    found: dict[Part, str] = {}
    for each in references:
        if each.type_ == ALL:
            continue
        part = _part(each.type_)
        if part is None or not each.token:
            raise NotFound("A configuration is named by its kind and its token.", detail="NoConfig")
        found[part] = each.token
    return found
