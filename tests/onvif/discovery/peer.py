"""A device of its own in a process of its own, for tests: `python peer.py HOST UUID`. Runs until its input closes.

A line of input is a new scope.
"""

from __future__ import annotations

import asyncio
import logging
import sys

from onvifd.access.types import Level
from onvifd.clock import SystemClock
from onvifd.onvif.backend import Identity, Network, Ports, Scope, SystemTime
from onvifd.onvif.discovery.control import DiscoveryControl
from onvifd.onvif.discovery.service import DiscoveryService


def identity_of(uuid: str) -> Identity:
    return Identity(
        uuid=uuid,
        manufacturer="m",
        model="m",
        firmware_version="1",
        serial_number="1",
        hardware_id="h",
        name="n",
        location="l",
    )


class Device:
    def __init__(self, uuid: str) -> None:
        self._uuid = uuid
        self.scope = "onvif://www.onvif.org/name/first"
        self.visible = True

    def identity(self) -> Identity:
        return identity_of(self._uuid)

    def scopes(self) -> tuple[Scope, ...]:
        return (Scope("onvif://www.onvif.org/Profile/T", True), Scope(self.scope, False))

    def discoverable(self) -> bool:
        return self.visible

    def ports(self) -> Ports:
        return Ports(http=8080, https=None, rtsp=8554)

    def system_time(self) -> SystemTime:
        return SystemTime(utc=0, timezone="UTC0", ntp=False, daylight=False, utc_offset=0)

    async def network(self) -> Network:
        return Network(hostname="h")

    async def users(self) -> tuple[tuple[str, Level], ...]:
        return ()


async def main(host: str, uuid: str) -> None:
    device, control = Device(uuid), DiscoveryControl()
    service = DiscoveryService(device, SystemClock(), host=host, control=control)
    await service.start()
    print("ready", *(f"{link.name}/{link.version}" for link in service.links), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        device.scope = line.strip()
        control.changed()
    await service.stop()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    asyncio.run(main(sys.argv[1], sys.argv[2]))
