"""Topics of the machine and of who watches: links, fans, supplies, temperature, running streams, the end (Core 8.9, Media 5.22.3)."""

from __future__ import annotations

from collections.abc import Sequence

from lxml import etree

from onvifd.events.topic import BOOLEAN, TOKEN, Item, Topic, boolean, message
from onvifd.events.types import Event, Operation
from onvifd.onvif.soap.codec import encode
from onvifd.onvif.soap.namespaces import TT
from onvifd.onvif.types import tt


def _failure(name: str) -> Topic:
    return Topic(
        name=f"Device/HardwareFailure/{name}",
        is_property=True,
        source=(Item("Token", TOKEN),),
        data=(Item("Failed", BOOLEAN),),
    )


def _sessions(name: str) -> Topic:
    return Topic(
        name=f"Monitoring/ActiveSessions/{name}",
        is_property=True,
        source=(Item("Token", TOKEN),),
        data=(Item("Sessions", f"{{{TT}}}StringAttrList"),),
    )


# Core 8.9.10
FAN_FAILURE = _failure("FanFailure")
POWER_SUPPLY_FAILURE = _failure("PowerSupplyFailure")
TEMPERATURE_CRITICAL = Topic(
    name="Device/HardwareFailure/TemperatureCritical", is_property=True, data=(Item("Critical", BOOLEAN),)
)
# Core 8.9.2
LINK_STATUS = Topic(
    name="Monitoring/LinkStatus",
    is_property=True,
    source=(Item("Token", TOKEN),),
    elements=(Item("Link", f"{{{TT}}}NetworkInterfaceConnectionSetting"),),
)
# Media 5.22.3
VIDEO_SESSIONS = _sessions("VideoEncoder")
AUDIO_SESSIONS = _sessions("AudioEncoder")
TALK_SESSIONS = _sessions("AudioDecoder")
# Core 8.9.8
SHUTDOWN_INITIATED = Topic(name="Device/OperationMode/ShutdownInitiated", is_property=False)

ALWAYS_TOPICS = (VIDEO_SESSIONS, AUDIO_SESSIONS, TALK_SESSIONS, SHUTDOWN_INITIATED)
"""What needs no sensor."""


def fan_failure(token: str, failed: bool, utc: int) -> Event:
    """A fan stands or turns too slowly, or does not any more."""
    return message(FAN_FAILURE, utc, (token,), (boolean(failed),))


def power_supply_failure(token: str, failed: bool, utc: int) -> Event:
    """A power supply gives nothing, or does again."""
    return message(POWER_SUPPLY_FAILURE, utc, (token,), (boolean(failed),))


def temperature_critical(critical: bool, utc: int) -> Event:
    """Some temperature is critical, or none is any more."""
    return message(TEMPERATURE_CRITICAL, utc, (), (boolean(critical),))


def link_status(token: str, speed: int, full_duplex: bool, utc: int) -> Event:
    """How fast an interface talks, Mbit/s; 0 without a carrier."""
    setting = tt.NetworkInterfaceConnectionSetting(
        auto_negotiation=True, speed=speed, duplex=tt.Duplex.FULL if full_duplex else tt.Duplex.HALF
    )
    node = encode(setting)
    etree.cleanup_namespaces(node)
    return message(LINK_STATUS, utc, (token,), elements=(etree.tostring(node, encoding="unicode"),))


def active_sessions(topic: Topic, token: str, addresses: Sequence[str], utc: int) -> Event:
    """Who is sent a configuration's stream, or sends to a decoder, once for each client. Nobody is the end of the property."""
    operation = Operation.CHANGED if addresses else Operation.DELETED
    return Event(
        topic=topic.name,
        utc=utc,
        source=(("Token", token),),
        data=(("Sessions", " ".join(addresses)),),
        operation=operation,
    )


def shutdown_initiated(utc: int) -> Event:
    """The recorder goes down, for a restart or for good."""
    return message(SHUTDOWN_INITIATED, utc)
