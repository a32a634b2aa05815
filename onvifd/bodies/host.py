"""The host as a body of this package sees it: what `onvifd.host` reads, and time in the host's own zone."""

from __future__ import annotations

import time

from onvifd.host.reading import interfaces, network, ntp_servers, posix_timezone
from onvifd.onvif.backend import SystemTime

__all__ = ["interfaces", "network", "ntp_servers", "posix_timezone", "system_time"]


def system_time(utc: int, timezone: str, ntp: bool) -> SystemTime:
    """Time as the device states it, for the host's own zone."""
    local = time.localtime(utc // 1_000_000)
    return SystemTime(utc=utc, timezone=timezone, ntp=ntp, daylight=local.tm_isdst > 0, utc_offset=local.tm_gmtoff)
