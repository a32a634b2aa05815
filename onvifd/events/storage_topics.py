"""Topics of volumes and disks. That one failed is `device_topics.STORAGE_FAILURE` (Core 8.9.10); here is how it is, and why."""

from __future__ import annotations

from onvifd.events.topic import BOOLEAN, STRING, TOKEN, Item, Topic, boolean, message
from onvifd.events.types import Event

STORAGE_STATE = Topic(
    name="Monitoring/Storage/State",
    is_property=True,
    source=(Item("Token", TOKEN),),
    data=(
        Item("State", STRING),
        Item("Reason", STRING),
        Item("LowSpace", BOOLEAN),
        Item("DiskFailing", BOOLEAN),
        Item("DiskHot", BOOLEAN),
    ),
)

STORAGE_TOPICS = (STORAGE_STATE,)


def storage_state(
    volume: str, state: str, reason: str, utc: int, *, low: bool = False, failing: bool = False, hot: bool = False
) -> Event:
    """How a volume is: ok, error, missing, ..., and why; whether less is free than should be, its disk says that it will fail,
    or is too hot."""
    return message(STORAGE_STATE, utc, (volume,), (state, reason, boolean(low), boolean(failing), boolean(hot)))
