"""Topics of the recorder as a device: storage, times of operation, load, refused logins (Core 8.5, 8.9)."""

from __future__ import annotations

import ipaddress

from onvifd.clock import isoformat
from onvifd.events.topic import BOOLEAN, DATETIME, FLOAT, TOKEN, Item, Topic, boolean, message
from onvifd.events.types import Event
from onvifd.onvif.soap.namespaces import TT


def _time(name: str) -> Topic:
    return Topic(name=f"Monitoring/{name}", is_property=True, data=(Item("Status", DATETIME),))


STORAGE_FAILURE = Topic(
    name="Device/HardwareFailure/StorageFailure",
    is_property=True,
    source=(Item("Token", TOKEN),),
    data=(Item("Failed", BOOLEAN),),
)
# Core 8.9.1
PROCESSOR_USAGE = Topic(
    name="Monitoring/ProcessorUsage",
    is_property=True,
    source=(Item("Token", TOKEN),),
    data=(Item("Value", FLOAT),),
)
# Core 8.9.4
LAST_REBOOT = _time("OperatingTime/LastReboot")
LAST_RESET = _time("OperatingTime/LastReset")
LAST_CLOCK_SYNCHRONIZATION = _time("OperatingTime/LastClockSynchronization")
LAST_BACKUP = _time("Backup/Last")
# Core 8.5. Only one of the two addresses is in a message.
AUTH_FAILED = Topic(
    name="Device/SecurityPolicy/AuthFailed",
    is_property=False,
    source=(Item("NetworkInterface", TOKEN),),
    data=(Item("SourceIPv4", f"{{{TT}}}IPv4Address"), Item("SourceIPv6", f"{{{TT}}}IPv6Address")),
)

DEVICE_TOPICS = (
    STORAGE_FAILURE,
    PROCESSOR_USAGE,
    LAST_REBOOT,
    LAST_RESET,
    LAST_CLOCK_SYNCHRONIZATION,
    LAST_BACKUP,
    AUTH_FAILED,
)

PROCESSOR = "cpu"
"""Token of all processors together."""
NEVER = 0
"""Core 8.9.4: what has never happened is said to have happened in 1970."""


def storage_failure(volume: str, failed: bool, utc: int) -> Event:
    """A volume takes no footage any more, or does again."""
    return message(STORAGE_FAILURE, utc, (volume,), (boolean(failed),))


def processor_usage(percent: float, utc: int) -> Event:
    """The load of the machine, 0 to 100."""
    return message(PROCESSOR_USAGE, utc, (PROCESSOR,), (f"{percent:g}",))


def operating_time(topic: Topic, at: int, utc: int) -> Event:
    """When something last happened: `at` is microseconds UTC, `NEVER` if it has not."""
    return message(topic, utc, (), (isoformat(at),))


def auth_failed(interface: str, peer: str, utc: int) -> Event:
    """More logins were refused than may be; `peer` is the address of the last one."""
    address = ipaddress.ip_address(peer.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    name = "SourceIPv4" if address.version == 4 else "SourceIPv6"
    return Event(
        topic=AUTH_FAILED.name, utc=utc, source=(("NetworkInterface", interface),), data=((name, str(address)),)
    )
