"""Maintenance of the recorder: logs, support information, backup, restore, restart, factory default (Core 8.3)."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import shutil
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from onvifd.access.keyfile import SecretBox
from onvifd.bodies import device_archive
from onvifd.bodies.device_archive import Premises
from onvifd.bodies.device_state import NETWORK_SECTIONS, SECTIONS, DeviceState
from onvifd.bodies.events_parts import BACKUP_SETTING, RESET_SETTING
from onvifd.clock import Clock, isoformat, to_datetime
from onvifd.errors import BadInput
from onvifd.host import logs
from onvifd.onvif.device_backend import Download, LogKind
from onvifd.store.catalogue import AsyncCatalogue

log = logging.getLogger(__name__)

RESTART_DELAY = 1.0
"""Seconds from the answer to the restart, so that the answer leaves."""
MAX_LOG = 256 << 10
"""Characters of a log that a client gets."""
MAX_AUDIT = 2000
_TEXT = "text/plain; charset=utf-8"
_LIBRARIES = ("aiohttp", "av", "cryptography", "lxml", "sqlalchemy")

Report = Callable[[], Awaitable[Mapping[str, str]]]
"""What other rooms contribute to the support information: title to text, free of secrets."""


class DeviceSystem:
    """`restart` is called when the recorder is to end and begin anew; `backed_up` hears when a backup was made.

    `defaults` are names of settings that a factory default takes back. `log_folder` is None where no log is kept.
    """

    def __init__(
        self,
        state: DeviceState,
        catalogue: AsyncCatalogue,
        premises: Premises,
        box: SecretBox,
        clock: Clock,
        *,
        log_folder: Path | None,
        restart: Callable[[], None],
        report: Report,
        defaults: Iterable[str] = (),
        backed_up: Callable[[int], None] = lambda at: None,
    ) -> None:
        self._state = state
        self._catalogue = catalogue
        self._premises = premises
        self._box = box
        self._clock = clock
        self._log_folder = log_folder
        self._restart = restart
        self._report = report
        self._defaults = tuple(defaults)
        self._backed_up = backed_up
        self._timer: asyncio.TimerHandle | None = None
        self._busy = asyncio.Lock()
        """One backup or restore at a time: each takes memory and the disk."""

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    # ---- logs and support information ----------------------------------------------------------

    async def log(self, kind: LogKind) -> Download:
        text = await (self._system_log() if kind is LogKind.SYSTEM else self._access_log())
        if not text:
            raise BadInput("There is no such log.", detail=f"{kind.capitalize()}logUnavailable")
        return Download(f"{kind.lower()}.log", _TEXT, text.encode())

    async def _system_log(self) -> str:
        if self._log_folder is None:
            return ""
        try:
            return await asyncio.to_thread(logs.collect, self._log_folder, MAX_LOG)
        except OSError as error:
            log.error("the log cannot be read: %s", error)
            return ""

    async def _access_log(self) -> str:
        """Who signed in, was refused, or changed something: the end of the audit log. Never empty, so that a client sees
        that nothing has happened."""
        rows = await self._catalogue.run(self._catalogue.sync.audit.find, limit=MAX_AUDIT)
        lines: list[str] = []
        length = 0
        for row in rows:
            account, address = row.account or "-", row.address or "-"
            times = f" x{row.count}" if row.count > 1 else ""
            line = f"{isoformat(row.utc)} {row.kind} {account}@{address} {row.face} {row.action}: {row.outcome}{times} {row.detail}"
            length += len(line) + 1
            if length > MAX_LOG:
                break
            lines.append(line.rstrip() + "\n")
        lines.append(f"# access log until {isoformat(self._clock.utc())}: the last {len(lines)} entries\n")
        return "".join(reversed(lines))

    async def support(self) -> Download:
        sections = {
            "recorder": f"onvifd {_version('onvifd')}\nUTC {isoformat(self._clock.utc())}",
            "host": await asyncio.to_thread(_host, self._premises.data),
            **await self._report(),
        }
        try:
            sections["log"] = (await self.log(LogKind.SYSTEM)).data.decode()
        except BadInput:
            sections["log"] = "none is kept"
        text = "".join(f"==== {title}\n{body.rstrip()}\n\n" for title, body in sections.items())
        return Download("support.txt", _TEXT, text.encode())

    # ---- backup and restore --------------------------------------------------------------------

    async def _password(self) -> str | None:
        return await self._catalogue.run(device_archive.password_of, self._catalogue.sync.settings, self._box)

    async def backup(self) -> Download:
        async with self._busy:
            password, now = await self._password(), self._clock.utc()
            data = await asyncio.to_thread(self._make, password, now)
        moment = to_datetime(now).strftime("%Y%m%dT%H%M%SZ")
        await self._catalogue.run(self._catalogue.sync.settings.put, BACKUP_SETTING, str(now))
        self._backed_up(now)
        return Download(f"onvifd-{moment}.backup", "application/octet-stream", data)

    def _make(self, password: str | None, now: int) -> bytes:
        content = device_archive.make(
            self._catalogue.sync.configuration, self._premises, version=_version("onvifd"), now=now
        )
        return device_archive.seal(content, password=password, key=device_archive.key_of(self._premises))

    async def restore(self, archive: bytes) -> None:
        async with self._busy:
            password = await self._password()
            await asyncio.to_thread(self._stage, archive, password)
        await self.reboot("a backup is restored")

    def _stage(self, archive: bytes, password: str | None) -> None:
        content = device_archive.unseal(archive, password=password, key=device_archive.key_of(self._premises))
        device_archive.stage(content, self._premises)

    # ---- restart and factory default -----------------------------------------------------------

    async def reboot(self, why: str) -> float:
        log.warning("restart in %g s: %s", RESTART_DELAY, why)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(RESTART_DELAY, self._restart)
        return RESTART_DELAY

    async def reset(self, *, hard: bool) -> None:
        async with self._state.changing:
            if hard:
                await self._catalogue.run(self._catalogue.sync.configuration.clear, self._defaults)
                await self._state.load()
            else:
                for name in self._defaults:
                    await self._catalogue.run(self._catalogue.sync.settings.remove, name)
                await self._state.forget(SECTIONS - NETWORK_SECTIONS - {"storages"})
        await self._catalogue.run(self._catalogue.sync.settings.put, RESET_SETTING, str(self._clock.utc()))
        await self.reboot(f"{'hard' if hard else 'soft'} factory default")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "?"


def _host(data: Path) -> str:
    usage = shutil.disk_usage(data)
    return "\n".join(
        (
            f"{platform.system()} {platform.release()} {platform.machine()}",
            f"Python {sys.version.split()[0]}, " + ", ".join(f"{name} {_version(name)}" for name in _LIBRARIES),
            f"{os.cpu_count()} processors, load {' '.join(f'{load:.2f}' for load in os.getloadavg())}",
            f"data folder: {usage.free >> 20} of {usage.total >> 20} MiB free",
        )
    )
