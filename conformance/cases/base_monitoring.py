"""Base Test 7.9: monitoring events."""

from __future__ import annotations

import asyncio
import ipaddress
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from conformance.cases.base_common import BASE, back_at_last, reboot
from conformance.cases.base_network import address, ntp_kept, set_ntp
from conformance.cases.base_system import get_time, need_time_server, set_time, time_kept
from conformance.cases.event_common import Subscription, filter_of, pull_point
from conformance.cases.event_messages import Message, pull
from conformance.cases.event_values import moment, patience
from conformance.clock import date_time
from conformance.clock import moment as read_moment
from conformance.model import Examination, case
from conformance.names import NS, clark, find, findall, flag, resolve, text

PULL = "Event/Pull-Point Notification"


@dataclass(frozen=True, slots=True)
class Topic:
    """What the specification wants of a topic."""

    name: str
    """Below `tns1:`."""
    data: tuple[str, str]
    """Name and type of the data item."""
    source: tuple[str, str] | None = None

    @property
    def feature(self) -> str:
        return f"Device/{self.name.removeprefix('Device/')}"


TOKEN = ("Token", "tt:ReferenceToken")
STATUS = ("Status", "xs:dateTime")
FAILED = ("Failed", "xs:boolean")

REBOOT = Topic("Monitoring/OperatingTime/LastReboot", STATUS)
CLOCK = Topic("Monitoring/OperatingTime/LastClockSynchronization", STATUS)


def check_value(x: Examination, kind: str, value: str, where: str) -> None:
    """Is the value one of the type?"""
    match kind:
        case "xs:dateTime":
            moment(value)
            x.check("T" in value, f"{where}: {value!r} is no xs:dateTime")
        case "xs:boolean":
            x.check(value in ("true", "false", "1", "0"), f"{where}: {value!r} is no xs:boolean")
        case "xs:float":
            try:
                number = float(value)
            except ValueError:
                x.fail(f"{where}: {value!r} is no xs:float")
                raise
            x.check(math.isfinite(number) and 0 <= number <= 100, f"{where}: {value} is not in 0 to 100 (7.9.1)")
        case "tt:ReferenceToken":
            x.check(0 < len(value) <= 64, f"{where}: {value!r} is no tt:ReferenceToken")


async def check_description(x: Examination, topic: Topic) -> None:
    """The topic in GetEventProperties."""
    body = await x.ask("tev", "<tev:GetEventProperties/>")
    node = find(body, "wstop:TopicSet")
    for number, step in enumerate(topic.name.split("/")):
        # Only the root of a topic is in a namespace.
        found = next(
            (
                each
                for each in (node if node is not None else ())
                if isinstance(each.tag, str)
                and each.tag in ((clark(f"tns1:{step}"),) if number == 0 else (step, clark(f"tns1:{step}")))
            ),
            None,
        )
        x.check(found is not None, f"TopicSet does not contain tns1:{topic.name}")
        node = found
    description = find(node, "tt:MessageDescription")
    x.check(description is not None, f"tns1:{topic.name} has no MessageDescription")
    x.check(flag(description, "IsProperty"), f"tns1:{topic.name}: IsProperty is missing or false")
    for part, item in (("Source", topic.source), ("Data", topic.data)):
        if item is None:
            continue
        items = findall(description, f"tt:{part}/tt:SimpleItemDescription")
        entry = next((each for each in items if each.get("Name") == item[0]), None)
        x.check(entry is not None, f"tns1:{topic.name}: {part} has no SimpleItemDescription {item[0]}")
        kind = resolve(entry.get("Type", ""), entry) if entry is not None else ""
        x.check(kind == item[1], f"tns1:{topic.name}: {part} item {item[0]} has type {kind}, expected {item[1]}")


def check_message(x: Examination, topic: Topic, message: Message) -> str:
    """Judge a message; returns the value of its data item."""
    name = "/".join((message.topic.root.rpartition("}")[2], *message.topic.path))
    x.check(message.topic.root.startswith(f"{{{NS['tns1']}}}"), f"the topic {name} is not in the namespace of tns1")
    x.check(name == topic.name, f"the subscription to {topic.name} delivered {name}")
    found = ""
    for part, item in (("Source", topic.source), ("Data", topic.data)):
        if item is None:
            continue
        values = dict(message.items(part))
        x.check(item[0] in values, f"the message of {topic.name} has no {part} item {item[0]}: {values}")
        found = values[item[0]]
        check_value(x, item[1], found, f"{part} item {item[0]} of {topic.name}")
    return found


async def next_message(x: Examination, sub: Subscription, topic: Topic, operation: str, wait: float = 0.0) -> str:
    """The data of the next message with this PropertyOperation, within Operation Delay (timeout1)."""
    limit = max(patience(x), wait)
    deadline = time.monotonic() + limit
    while (left := deadline - time.monotonic()) > 0:
        pulled = await pull(x, sub, timeout=max(0.2, min(left, 60.0)), limit=1)
        for message in pulled.messages:
            if message.operation == operation:
                return check_message(x, topic, message)
    x.fail(f"no message of {topic.name} with PropertyOperation {operation} within {limit:g} s")
    raise AssertionError


def _initial(topic: Topic, *, utc: bool = False) -> Callable[[Examination], Awaitable[None]]:
    async def run(x: Examination) -> None:
        await check_description(x, topic)
        async with pull_point(x, filter_of(f"tns1:{topic.name}")) as sub:
            value = await next_message(x, sub, topic, "Initialized")
            x.check(not utc or value.endswith("Z"), f"Status {value!r} is not UTC with the Z indicator (7.9.5)")

    return run


for _id, _name, _topic in (
    ("DEVICE-9-1-1", "Processor Usage event", Topic("Monitoring/ProcessorUsage", ("Value", "xs:float"), TOKEN)),
    ("DEVICE-9-1-2", "Last Reset event", Topic("Monitoring/OperatingTime/LastReset", STATUS)),
    ("DEVICE-9-1-3", "Last Reboot event", REBOOT),
    ("DEVICE-9-1-5", "Last Clock Synchronization event", CLOCK),
    ("DEVICE-9-1-8", "Last Backup event", Topic("Monitoring/Backup/Last", STATUS)),
    ("DEVICE-9-1-9", "Fan Failure event", Topic("Device/HardwareFailure/FanFailure", FAILED, TOKEN)),
    ("DEVICE-9-1-10", "Power Supply Failure event", Topic("Device/HardwareFailure/PowerSupplyFailure", FAILED, TOKEN)),
    ("DEVICE-9-1-11", "Storage Failure event", Topic("Device/HardwareFailure/StorageFailure", FAILED, TOKEN)),
    (
        "DEVICE-9-1-12",
        "Critical Temperature event",
        Topic("Device/HardwareFailure/TemperatureCritical", ("Critical", "xs:boolean")),
    ),
):
    case(_id, document=BASE, name=_name, requires=("Event Service", PULL, _topic.feature))(
        _initial(_topic, utc=_topic is CLOCK)
    )


@case(
    "DEVICE-9-1-4",
    document=BASE,
    name="Last Reboot event (Status change)",
    requires=("Event Service", PULL, REBOOT.feature),
    destructive=True,
)
async def reboot_event(x: Examination) -> None:
    async def status() -> datetime:
        async with pull_point(x, filter_of(f"tns1:{REBOOT.name}")) as sub:
            return moment(await next_message(x, sub, REBOOT, "Initialized"))

    before = await status()
    async with back_at_last(x):
        hello = await reboot(x)
        if hello is not None:
            x.check(any(_usable(each) for each in hello.xaddrs), f"no usable IPv4 address in XAddrs {hello.xaddrs}")
            await asyncio.sleep(5)
        after = await status()
    x.check(after > before, f"LastReboot is {after} after the reboot, it was {before} before")


def _usable(url: str) -> bool:
    try:
        return not ipaddress.ip_address(urlsplit(url).hostname or "").is_link_local
    except ValueError:
        return False


@case(
    "DEVICE-9-1-6",
    document=BASE,
    name="Last Clock Synchronization change event (SetSystemDateAndTime)",
    requires=("Event Service", PULL, CLOCK.feature),
)
async def clock_event(x: Examination) -> None:
    async with pull_point(x, filter_of(f"tns1:{CLOCK.name}")) as sub, time_kept(x) as before:
        first = moment(await next_message(x, sub, CLOCK, "Initialized"))
        await asyncio.sleep(1)
        # The very moment that was read is set again (step 10): the clock goes back by a second or two.
        value = read_moment(find(before, "tt:UTCDateTime")) or datetime.now(UTC)
        await x.ask("tds", set_time("Manual", utc=date_time("tds:UTCDateTime", value)))
        last = moment(await next_message(x, sub, CLOCK, "Changed"))
        x.check(last > first, f"LastClockSynchronization is {last} after the clock was set, it was {first} before")


@case(
    "DEVICE-9-1-7",
    document=BASE,
    name="Last Clock Synchronization change event (NTP message)",
    requires=("Event Service", PULL, CLOCK.feature, "Device/NTP"),
)
async def ntp_event(x: Examination) -> None:
    server = need_time_server(x)
    async with time_kept(x) as before, ntp_kept(x):
        if text(before, "tt:DateTimeType") == "NTP":
            now = read_moment(find(await get_time(x), "tt:UTCDateTime")) or datetime.now(UTC)
            await x.ask("tds", set_time("Manual", utc=date_time("tds:UTCDateTime", now)))
        await x.ask("tds", set_ntp(manual=address("tds:NTPManual", server, 4)))
        async with pull_point(x, filter_of(f"tns1:{CLOCK.name}")) as sub:
            first = moment(await next_message(x, sub, CLOCK, "Initialized"))
            await asyncio.sleep(1)
            await x.ask("tds", set_time("NTP", zone="PST8PDT,M3.2.0,M11.1.0"))
            last = moment(await next_message(x, sub, CLOCK, "Changed", wait=30.0))
            x.check(last > first, f"LastClockSynchronization is {last} after NTP was set, it was {first} before")
