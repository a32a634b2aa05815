"""Device management service: scopes, time, maintenance (Core 8.3): writing, and what is read of logs and backups.

A part of `services.device`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from onvifd.access.types import AccessClass
from onvifd.clock import from_datetime
from onvifd.errors import InvalidArgument
from onvifd.onvif.device_backend import LogKind
from onvifd.onvif.services import device_files
from onvifd.onvif.services.common import xaddr
from onvifd.onvif.services.device_host import Controlled
from onvifd.onvif.soap.dispatch import Call, operation
from onvifd.onvif.types import tds, tt, xop

READ = AccessClass.READ_SYSTEM
WRITE = AccessClass.WRITE_SYSTEM
SECRET = AccessClass.READ_SYSTEM_SECRET
UNRECOVERABLE = AccessClass.UNRECOVERABLE

DOWN_TIME = timedelta(seconds=30)
"""How long a restart takes at most, workers and recovery of the archive included."""
YEARS = range(1970, 2106)
"""Years that a clock of 32 bits knows; a device shows its time to all kinds of clients."""


class DeviceMaintenance(Controlled):
    # ---- scopes and discovery

    @operation(access=WRITE)
    async def set_scopes(self, call: Call, request: tds.SetScopes) -> tds.SetScopesResponse:
        await self._device.scopes.set_scopes(request.scopes)
        return tds.SetScopesResponse()

    @operation(access=WRITE)
    async def add_scopes(self, call: Call, request: tds.AddScopes) -> tds.AddScopesResponse:
        await self._device.scopes.add_scopes(request.scope_item)
        return tds.AddScopesResponse()

    @operation(access=WRITE)
    async def remove_scopes(self, call: Call, request: tds.RemoveScopes) -> tds.RemoveScopesResponse:
        await self._device.scopes.remove_scopes(request.scope_item)
        return tds.RemoveScopesResponse(scope_item=request.scope_item)

    @operation(access=WRITE)
    async def set_discovery_mode(self, call: Call, request: tds.SetDiscoveryMode) -> tds.SetDiscoveryModeResponse:
        await self._device.scopes.set_discoverable(request.discovery_mode is tt.DiscoveryMode.DISCOVERABLE)
        return tds.SetDiscoveryModeResponse()

    # ---- time

    @operation(access=WRITE)
    async def set_system_date_and_time(
        self, call: Call, request: tds.SetSystemDateAndTime
    ) -> tds.SetSystemDateAndTimeResponse:
        ntp = request.date_time_type is tt.SetDateTimeType.NTP
        given = request.utc_date_time
        # Core 8.3.7: with NTP the date has no meaning.
        utc = None if ntp or given is None else _utc(given)
        zone = None if request.time_zone is None else request.time_zone.tz
        await self._device.time.set_time(ntp=ntp, daylight=request.daylight_savings, timezone=zone, utc=utc)
        return tds.SetSystemDateAndTimeResponse()

    # ---- digest

    @operation(access=WRITE)
    async def set_hashing_algorithm(
        self, call: Call, request: tds.SetHashingAlgorithm
    ) -> tds.SetHashingAlgorithmResponse:
        # The list may come with commas or spaces between its items.
        names = tuple(name for text in request.algorithm for name in text.split(",") if name)
        await self._device.hashing.set_hashing_algorithms(names)
        return tds.SetHashingAlgorithmResponse()

    # ---- restart

    @operation(access=UNRECOVERABLE)
    async def system_reboot(self, call: Call, request: tds.SystemReboot) -> tds.SystemRebootResponse:
        name = call.account.name if call.account else "anonymous"
        seconds = await self._device.system.reboot(f"SystemReboot by {name} at {call.peer}")
        return tds.SystemRebootResponse(message=f"Rebooting in {seconds:g} seconds.")

    @operation(access=UNRECOVERABLE)
    async def set_system_factory_default(
        self, call: Call, request: tds.SetSystemFactoryDefault
    ) -> tds.SetSystemFactoryDefaultResponse:
        await self._device.system.reset(hard=request.factory_default is tt.FactoryDefaultType.HARD)
        return tds.SetSystemFactoryDefaultResponse()

    # ---- logs and support information

    @operation(access=SECRET)
    async def get_system_log(self, call: Call, request: tds.GetSystemLog) -> tds.GetSystemLogResponse:
        found = await self._device.system.log(LogKind(str(request.log_type)))
        return tds.GetSystemLogResponse(system_log=tt.SystemLog(string=found.data.decode()))

    @operation(access=SECRET)
    async def get_system_support_information(
        self, call: Call, request: tds.GetSystemSupportInformation
    ) -> tds.GetSystemSupportInformationResponse:
        found = await self._device.system.support()
        return tds.GetSystemSupportInformationResponse(
            support_information=tt.SupportInformation(string=found.data.decode())
        )

    @operation(access=READ)
    async def get_system_uris(self, call: Call, request: tds.GetSystemUris) -> tds.GetSystemUrisResponse:
        _ = self._device
        kind = tt.SystemLogType
        logs = ((kind.SYSTEM, device_files.SYSTEM_LOG), (kind.ACCESS, device_files.ACCESS_LOG))
        return tds.GetSystemUrisResponse(
            system_log_uris=tt.SystemLogUriList(
                system_log=tuple(tt.SystemLogUri(type_=type_, uri=xaddr(call, path)) for type_, path in logs)
            ),
            support_info_uri=xaddr(call, device_files.SUPPORT),
            system_backup_uri=xaddr(call, device_files.BACKUP),
        )

    # ---- backup and restore

    @operation(access=SECRET, timeout=60)
    async def get_system_backup(self, call: Call, request: tds.GetSystemBackup) -> tds.GetSystemBackupResponse:
        found = await self._device.system.backup()
        href = call.attachments.add(found.content_type, found.data)
        data = tt.AttachmentData(include=xop.Include(href=href), content_type=found.content_type)
        return tds.GetSystemBackupResponse(backup_files=(tt.BackupFile(name=found.name, data=data),))

    @operation(access=UNRECOVERABLE, timeout=60)
    async def restore_system(self, call: Call, request: tds.RestoreSystem) -> tds.RestoreSystemResponse:
        if len(request.backup_files) != 1:
            raise InvalidArgument("A backup is one file.", detail="InvalidBackupFile")
        archive = call.attachments.get(request.backup_files[0].data.include.href)
        await self._device.system.restore(archive)
        return tds.RestoreSystemResponse()

    @operation(access=UNRECOVERABLE)
    async def start_system_restore(self, call: Call, request: tds.StartSystemRestore) -> tds.StartSystemRestoreResponse:
        _ = self._device
        return tds.StartSystemRestoreResponse(
            upload_uri=xaddr(call, device_files.RESTORE), expected_down_time=DOWN_TIME
        )


def _utc(value: tt.DateTime) -> int:
    """Microseconds UTC. Raises InvalidArgument (InvalidDateTime) for a day or time that does not exist."""
    date, time = value.date, value.time
    try:
        if date.year not in YEARS:
            raise ValueError("year")
        return from_datetime(datetime(date.year, date.month, date.day, time.hour, time.minute, time.second, tzinfo=UTC))
    except (ValueError, OverflowError):
        raise InvalidArgument("There is no such date and time.", detail="InvalidDateTime") from None
