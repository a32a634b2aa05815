"""The recorder as a device that can be configured: all of `bodies.device_*` put together."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from onvifd.access.ip_filter import IpFilter
from onvifd.access.keyfile import SecretBox
from onvifd.access.policy import POLICY_SETTING
from onvifd.archive.disk import Volume
from onvifd.bodies.device_archive import PASSWORD_SETTING, Premises
from onvifd.bodies.device_filter import DeviceFilter
from onvifd.bodies.device_network import DeviceNetwork
from onvifd.bodies.device_outputs import Command, DeviceOutputs
from onvifd.bodies.device_places import DevicePlaces, DeviceStorage
from onvifd.bodies.device_ports import HTTP, HTTPS, RTSP, DevicePorts
from onvifd.bodies.device_scopes import DeviceScopes
from onvifd.bodies.device_state import DeviceState, PortSection
from onvifd.bodies.device_system import DeviceSystem, Report
from onvifd.bodies.device_time import DeviceTime
from onvifd.bodies.events_monitor import Monitor
from onvifd.clock import Clock
from onvifd.config import Config
from onvifd.errors import OnvifdError
from onvifd.events.bus import EventBus
from onvifd.events.relayed_topics import RELAY
from onvifd.events.topic import message
from onvifd.host import logs
from onvifd.host.adapters import clock_adapter, network_adapter
from onvifd.host.dyndns import Updater
from onvifd.onvif.backend import Identity, Network, Ports, Scope, SystemTime
from onvifd.onvif.device_backend import DeviceControl, HashingControl
from onvifd.store.catalogue import AsyncCatalogue

log = logging.getLogger(__name__)

PROFILE_SCOPES = ("Profile/Streaming", "Profile/G", "Profile/T")
LOG_FOLDER = "log"
KEPT_LOGS = 60
"""Log files of processes that ran; the oldest are deleted at start."""
RECORDING_ON, RECORDING_OFF = "onvifd:Recording|On", "onvifd:Recording|Off"
"""Auxiliary commands: start and stop the recording of all cameras."""
DEFAULTS = ("replay.session_timeout", POLICY_SETTING, PASSWORD_SETTING)
"""Settings that a factory default takes back."""


class DeviceParts:
    """One per recorder. `restart` is asked to end the recorder and begin anew; `changed` is told when what discovery
    announces may have changed. Use: `load`, `attach`, `start`, `close`."""

    def __init__(
        self,
        config: Config,
        catalogue: AsyncCatalogue,
        box: SecretBox,
        clock: Clock,
        identity: Identity,
        *,
        restart: Callable[[], None],
        changed: Callable[[], None],
    ) -> None:
        self._config = config
        self._catalogue = catalogue
        self._box = box
        self._clock = clock
        self._restart = restart
        self._changed = changed
        self._parts = AsyncExitStack()
        self.state = DeviceState(catalogue)
        self.ip_filter = IpFilter()
        self._filter = DeviceFilter(self.state, self.ip_filter)
        self._scopes = DeviceScopes(identity, PROFILE_SCOPES, self.state, discovery=config.network.discovery)
        self._scopes.announce = self._announce
        self._places = DevicePlaces(self.state)
        self._monitor: Monitor | None = None

    async def load(self) -> None:
        """Read what is kept, and what must be known of the host. Raises Unavailable, for example for a missing tool."""
        config, network = self._config, self._config.network
        await self.state.load()
        self._filter.load()
        clock = await asyncio.to_thread(clock_adapter, config.host.clock)
        self._time = DeviceTime(self.state, clock, self._clock, told=self._clock_set)
        await self._time.load()
        adapter = await asyncio.to_thread(
            lambda: network_adapter(config.host.network, bound=network.host, run=config.data / "run")
        )
        updater = Updater(self._resolver) if config.host.dynamic_dns else None
        if updater is not None:
            self._parts.push_async_callback(updater.close)
        self._network = DeviceNetwork(self.state, adapter, clock, self._time, updater=updater)
        self._network.announce = self._announce
        self._parts.push_async_callback(self._network.close)
        await self._network.restore()
        defaults = {
            HTTP: PortSection(network.http, network.http_port),
            HTTPS: PortSection(network.https, network.https_port),
            RTSP: PortSection(True, network.rtsp_port),
        }
        self.ports_control = DevicePorts(self.state, network.host, defaults, changed=self._changed)
        await asyncio.to_thread(self._keep_log)

    def _keep_log(self) -> None:
        folder = self._config.data / LOG_FOLDER
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            logs.prune(folder, KEPT_LOGS)
            self._parts.callback(logs.LogFile(folder, "control").close)
            os.environ[logs.FOLDER_VARIABLE] = str(folder)  # workers inherit it
        except OSError as error:
            log.error("no log is kept: %s", error)

    async def _resolver(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What dynamic DNS needs to know: the host's name servers and its addresses that others can reach."""
        found = await self._network.network()
        addresses = tuple(
            address
            for interface in found.interfaces
            for address, _ in (*interface.ipv4, *interface.ipv6)
            if not address.startswith(("169.254.", "fe80:", "127.")) and address != "::1"
        )
        return found.dns_servers, addresses

    async def _announce(self) -> None:
        self._changed()

    def tell(self, monitor: Monitor | None) -> None:
        """Who announces when the clock was set and when a backup was made."""
        self._monitor = monitor

    def _clock_set(self, at: int) -> None:
        if self._monitor is not None:
            self._monitor.clock_set(at, at)

    def _backed_up(self, at: int) -> None:
        if self._monitor is not None:
            self._monitor.backed_up(at, at)

    # ---- what the services read ----------------------------------------------------------------

    def scopes(self) -> tuple[Scope, ...]:
        return self._scopes.scopes()

    def discoverable(self) -> bool:
        return self._scopes.discoverable()

    def ports(self) -> Ports:
        return self.ports_control.ports

    def system_time(self) -> SystemTime:
        return self._time.system_time()

    async def network(self) -> Network:
        return await self._network.network()

    @property
    def folders(self) -> tuple[Path, ...]:
        """Folders for recordings that clients have added."""
        return tuple(Path(path) for _, _, path in self.state.now.storages)

    # ---- what the services change --------------------------------------------------------------

    async def control(
        self,
        hashing: HashingControl,
        bus: EventBus,
        volumes: Callable[[], Sequence[Volume]],
        report: Report,
        record: Callable[[bool], Awaitable[None]],
    ) -> DeviceControl:
        """Everything that can be changed. `volumes` are those that there are now. `record` starts and stops the recording of all cameras."""
        config = self._config

        def told(token: str, active: bool) -> None:
            bus.publish(message(RELAY, self._clock.utc(), (token,), ("active" if active else "inactive",)))

        outputs = DeviceOutputs(
            self.state, self._clock, count=config.device.relay_outputs, told=told, commands=_commands(record)
        )
        self._parts.push_async_callback(outputs.close)
        await outputs.start()
        system = DeviceSystem(
            self.state,
            self._catalogue,
            Premises(config.data, config.key_file),
            self._box,
            self._clock,
            log_folder=config.data / LOG_FOLDER,
            restart=self._restart,
            report=report,
            defaults=DEFAULTS,
            backed_up=self._backed_up,
        )
        self._parts.callback(system.close)
        storage = DeviceStorage(
            self.state,
            lambda: [(volume.id, volume.root) for volume in volumes()],
            config.archive.roots,
            _holds_footage,
        )
        return DeviceControl(
            hashing=hashing,
            scopes=self._scopes,
            network=self._network,
            ports=self.ports_control,
            filter=self._filter,
            time=self._time,
            places=self._places,
            relays=outputs,
            storage=storage,
            system=system,
        )

    async def close(self) -> None:
        await self._parts.aclose()


def _commands(record: Callable[[bool], Awaitable[None]]) -> Mapping[str, Command]:
    def command(active: bool) -> Command:
        async def carry_out() -> str:
            try:
                await record(active)
            except OnvifdError as error:
                log.error("recording of all cameras: %s", error.reason)
                raise
            return "on" if active else "off"

        return carry_out

    return {RECORDING_ON: command(True), RECORDING_OFF: command(False)}


def _holds_footage(folder: Path) -> bool:
    """Whether anything is in a folder. Blocks."""
    try:
        return next(folder.iterdir(), None) is not None
    except OSError:
        return True  # what cannot be looked into is not given up
