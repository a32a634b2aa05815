"""Topics of volumes and disks. That one failed is `device_topics.STORAGE_FAILURE` (Core 8.9.10); here is how it is, and why."""

from __future__ import annotations

from onvifd.events.topic import BOOLEAN, STRING, TOKEN, Item, Topic, boolean, message
from onvifd.events.types import Event

STORAGE_STATE = Topic(
    name="Monitoring/Storage/State",
    is_property=True,
    source=(Item("Token", TOKEN),),
    data=(Item("State", STRING), Item("Reason", STRING), Item("LowSpace", BOOLEAN)),
)
# Core 8.9.10
TEMPERATURE_CRITICAL = Topic(
    name="Device/HardwareFailure/TemperatureCritical", is_property=True, data=(Item("Critical", BOOLEAN),)
)

STORAGE_TOPICS = (STORAGE_STATE, TEMPERATURE_CRITICAL)


def storage_state(volume: str, state: str, reason: str, low: bool, utc: int) -> Event:
    """How a volume is: ok, error, missing, ..., why, and whether less is free than should be."""
    return message(STORAGE_STATE, utc, (volume,), (state, reason, boolean(low)))


def temperature_critical(critical: bool, utc: int) -> Event:
    """A disk is too hot, or no longer."""
    return message(TEMPERATURE_CRITICAL, utc, (), (boolean(critical),))
