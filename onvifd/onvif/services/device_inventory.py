"""Device management service: relay outputs, auxiliary commands, places, storage (Core 8.3.20, 8.6 to 8.8).

A part of `services.device`.
"""

from __future__ import annotations

import math
from datetime import timedelta

from onvifd.access.types import AccessClass
from onvifd.errors import InvalidArgument, NotFound
from onvifd.onvif.device_backend import Place, Relay, Storage
from onvifd.onvif.services.device_host import Controlled
from onvifd.onvif.soap.dispatch import Call, operation
from onvifd.onvif.types import tds, tt

READ = AccessClass.READ_SYSTEM
WRITE = AccessClass.WRITE_SYSTEM
MEDIA = AccessClass.READ_MEDIA
ACTUATE = AccessClass.ACTUATE

LOCAL = "Local"
MAX_TEXT = 128
Triple = tuple[float | None, float | None, float | None]


class DeviceInventory(Controlled):
    @property
    def relay_count(self) -> int:
        return len(self.device_control.relays.relays()) if self.device_control is not None else 0

    @property
    def auxiliary_commands(self) -> tuple[str, ...]:
        return self.device_control.relays.commands() if self.device_control is not None else ()

    # ---- relay outputs and commands

    @operation(access=MEDIA)
    async def get_relay_outputs(self, call: Call, request: tds.GetRelayOutputs) -> tds.GetRelayOutputsResponse:
        # Also where there are none: clients of Profile S ask all the same.
        relays = self.device_control.relays.relays() if self.device_control is not None else ()
        return tds.GetRelayOutputsResponse(relay_outputs=tuple(map(_relay, relays)))

    @operation(access=ACTUATE)
    async def set_relay_output_settings(
        self, call: Call, request: tds.SetRelayOutputSettings
    ) -> tds.SetRelayOutputSettingsResponse:
        wanted = request.properties
        await self._device.relays.configure_relay(
            request.relay_output_token,
            bistable=wanted.mode is tt.RelayMode.BISTABLE,
            delay=wanted.delay_time // timedelta(microseconds=1),
            idle_open=wanted.idle_state is tt.RelayIdleState.OPEN,
        )
        return tds.SetRelayOutputSettingsResponse()

    @operation(access=ACTUATE)
    async def set_relay_output_state(
        self, call: Call, request: tds.SetRelayOutputState
    ) -> tds.SetRelayOutputStateResponse:
        active = request.logical_state is tt.RelayLogicalState.ACTIVE
        await self._device.relays.set_relay(request.relay_output_token, active)
        return tds.SetRelayOutputStateResponse()

    @operation(access=ACTUATE)
    async def send_auxiliary_command(
        self, call: Call, request: tds.SendAuxiliaryCommand
    ) -> tds.SendAuxiliaryCommandResponse:
        answer = await self._device.relays.command(request.auxiliary_command)
        return tds.SendAuxiliaryCommandResponse(auxiliary_command_response=answer[:MAX_TEXT])

    # ---- places

    @operation(access=READ)
    async def get_geo_location(self, call: Call, request: tds.GetGeoLocation) -> tds.GetGeoLocationResponse:
        return tds.GetGeoLocationResponse(location=tuple(map(_entity, self._device.places.places())))

    @operation(access=WRITE)
    async def set_geo_location(self, call: Call, request: tds.SetGeoLocation) -> tds.SetGeoLocationResponse:
        await self._device.places.set_places(tuple(map(_place, request.location)))
        return tds.SetGeoLocationResponse()

    @operation(access=WRITE)
    async def delete_geo_location(self, call: Call, request: tds.DeleteGeoLocation) -> tds.DeleteGeoLocationResponse:
        names = tuple((item.entity or "", item.token or "") for item in request.location)
        await self._device.places.delete_places(names)
        return tds.DeleteGeoLocationResponse()

    # ---- storage

    @operation(access=MEDIA)
    async def get_storage_configurations(
        self, call: Call, request: tds.GetStorageConfigurations
    ) -> tds.GetStorageConfigurationsResponse:
        found = await self._device.storage.storages()
        return tds.GetStorageConfigurationsResponse(storage_configurations=tuple(map(_storage, found)))

    @operation(access=MEDIA)
    async def get_storage_configuration(
        self, call: Call, request: tds.GetStorageConfiguration
    ) -> tds.GetStorageConfigurationResponse:
        for storage in await self._device.storage.storages():
            if storage.token == request.token:
                return tds.GetStorageConfigurationResponse(storage_configuration=_storage(storage))
        raise NotFound("There is no such storage configuration.", detail="NoConfig")

    @operation(access=ACTUATE)
    async def create_storage_configuration(
        self, call: Call, request: tds.CreateStorageConfiguration
    ) -> tds.CreateStorageConfigurationResponse:
        kind, path = _folder(request.storage_configuration, None)
        token = await self._device.storage.create_storage(kind, path)
        return tds.CreateStorageConfigurationResponse(token=token)

    @operation(access=ACTUATE)
    async def set_storage_configuration(
        self, call: Call, request: tds.SetStorageConfiguration
    ) -> tds.SetStorageConfigurationResponse:
        wanted = request.storage_configuration
        known = {storage.token: storage for storage in await self._device.storage.storages()}
        if wanted.token not in known:
            raise NotFound("There is no such storage configuration.", detail="NoConfig")
        kind, path = _folder(wanted.data, "ConfigModify", known[wanted.token].kind)
        await self._device.storage.set_storage(wanted.token, kind, path)
        return tds.SetStorageConfigurationResponse()

    @operation(access=ACTUATE)
    async def delete_storage_configuration(
        self, call: Call, request: tds.DeleteStorageConfiguration
    ) -> tds.DeleteStorageConfigurationResponse:
        await self._device.storage.delete_storage(request.token)
        return tds.DeleteStorageConfigurationResponse()


def _relay(item: Relay) -> tt.RelayOutput:
    return tt.RelayOutput(
        token=item.token,
        properties=tt.RelayOutputSettings(
            mode=tt.RelayMode.BISTABLE if item.bistable else tt.RelayMode.MONOSTABLE,
            delay_time=timedelta(microseconds=item.delay),
            idle_state=tt.RelayIdleState.OPEN if item.idle_open else tt.RelayIdleState.CLOSED,
        ),
    )


def _storage(item: Storage) -> tds.StorageConfiguration:
    # Core 8.8.5: credentials are never returned; local folders have none.
    data = tds.StorageConfigurationData(local_path=item.path, storage_uri=item.uri or None, type_=item.kind)
    return tds.StorageConfiguration(token=item.token, data=data)


def _folder(data: tds.StorageConfigurationData, detail: str | None, kind: str = LOCAL) -> tuple[str, str]:
    """Kind and path of a local folder, all that can be configured."""
    if data.type_ not in (LOCAL, kind) or data.storage_uri or data.user is not None or data.configuration_renewal:
        raise InvalidArgument("Only folders of the host can be configured.", detail=detail)
    if not data.local_path:
        raise InvalidArgument("A folder needs a path.", detail=detail)
    return data.type_, data.local_path


# ---- places ---------------------------------------------------------------------------------------


def _entity(place: Place) -> tt.LocationEntity:
    geo, turn, local, bearing = (
        place.geo_location,
        place.geo_orientation,
        place.local_location,
        place.local_orientation,
    )
    return tt.LocationEntity(
        geo_location=None if geo is None else tt.GeoLocation(lon=geo[0], lat=geo[1], elevation=geo[2]),
        geo_orientation=None if turn is None else tt.GeoOrientation(roll=turn[0], pitch=turn[1], yaw=turn[2]),
        local_location=None if local is None else tt.LocalLocation(x=local[0], y=local[1], z=local[2]),
        local_orientation=None
        if bearing is None
        else tt.LocalOrientation(pan=bearing[0], tilt=bearing[1], roll=bearing[2]),
        entity=place.entity or None,
        token=place.token or None,
        fixed=False,
        geo_source=place.source,
    )


def _place(item: tt.LocationEntity) -> Place:
    if item.auto_geo:
        raise InvalidArgument("The place cannot be found out by itself.", detail="NoAutoGeo")
    for text in (item.entity, item.token, item.geo_source):
        if text is not None and len(text) > MAX_TEXT:
            raise InvalidArgument(f"Names have at most {MAX_TEXT} characters.")
    geo, turn, local, bearing = item.geo_location, item.geo_orientation, item.local_location, item.local_orientation
    return Place(
        entity=item.entity or "",
        token=item.token or "",
        source=item.geo_source,
        geo_location=None if geo is None else _triple((geo.lon, 180.0), (geo.lat, 90.0), (geo.elevation, 1e7)),
        geo_orientation=None if turn is None else _angles(turn.roll, turn.pitch, turn.yaw),
        local_location=None if local is None else _triple((local.x, 1e7), (local.y, 1e7), (local.z, 1e7)),
        local_orientation=None if bearing is None else _angles(bearing.pan, bearing.tilt, bearing.roll),
    )


def _angles(*values: float | None) -> Triple:
    first, second, third = ((value, 360.0) for value in values)
    return _triple(first, second, third)


def _triple(*pairs: tuple[float | None, float]) -> Triple:
    """Three values, each within plus or minus its bound."""
    for value, bound in pairs:
        if value is not None and (math.isnan(value) or abs(value) > bound):
            raise InvalidArgument(f"{value:g} is not within {-bound:g} to {bound:g}.")
    first, second, third = (value for value, _ in pairs)
    return first, second, third
