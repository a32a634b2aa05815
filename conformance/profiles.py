"""When a profile holds: the mandatory features of the Profile Conformance specification, and no failed case."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from conformance.feature_set import Features
from conformance.model import Outcome, Verdict

_COMMON = ("Device/Discovery", "Device/Network Configuration", "Device/User Configuration", "Event Service")
_PULL = "Event/Pull-Point Notification"


@dataclass(frozen=True, slots=True)
class Profile:
    name: str
    scope: str
    mandatory: tuple[str, ...]
    """Features, in the notation of `Case.requires`."""


PROFILES: dict[str, Profile] = {
    # 3.2
    "S": Profile(
        "S",
        "onvif://www.onvif.org/Profile/Streaming",
        (
            *("GetCapabilities", "WS-Discovery/Types/dn:NetworkVideoTransmitter", *_COMMON),
            *("Event/WS Basic Notification", _PULL, "Device/WS-UsernameToken"),
            *("Media Service", "Media/Real-time Streaming"),
        ),
    ),
    # 4.2
    "G": Profile(
        "G",
        "onvif://www.onvif.org/Profile/G",
        (
            *("GetServices", "WS-Discovery/Types/tds:Device", *_COMMON, _PULL, "Device/HTTP Digest"),
            *("Recording Search Service", "Replay Service", "Recording Control Service"),
            *("Recording Control/JPEG OR Recording Control/H.264 OR Recording Control/MPEG4",),
            *("Recording Control/Recording Options", "Media Service OR Receiver Service", "Event/Two Pull Points"),
        ),
    ),
    # 7.2
    "T": Profile(
        "T",
        "onvif://www.onvif.org/Profile/T",
        (
            *("GetServices", "WS-Discovery/Types/tds:Device", *_COMMON, _PULL, "Device/HTTP Digest"),
            *("Event/Message Content Filter", "Media2 Service", "Media2/Video", "Media2/Real-time Streaming"),
            *("Media2/Video/H.264 OR Media2/Video/H.265", "Media2/Snapshot Uri", "Imaging Service"),
            *(
                "Imaging/Image Too Blurry OR Imaging/Image Too Dark OR Imaging/Image Too Bright OR Imaging/Global Scene Change",
            ),
            *("Imaging/Motion Alarm", "Device IO Service", "Media2/Metadata", "Media2/OSD", "Media2/OSD/Types/Text"),
            *("Media2/ProfileChanged", "Media2/ConfigurationChanged", "Event/Two Pull Points"),
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class Holding:
    """What can be said about one profile."""

    profile: str
    claimed: bool
    """By the device's scopes."""
    examined: bool
    missing: tuple[str, ...]
    failed: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return self.claimed and not self.missing and not self.failed


def judge_profiles(features: Features, outcomes: Iterable[Outcome], wanted: Iterable[str]) -> list[Holding]:
    """State of each profile. A failed case counts for every profile: each of its features is part of the device."""
    failed = tuple(each.case.id for each in outcomes if each.verdict is Verdict.FAIL)
    chosen = set(wanted)
    found = []
    for name, profile in PROFILES.items():
        claimed = profile.scope in features.scopes
        missing = tuple(each for each in profile.mandatory if not features.has(each))
        found.append(Holding(name, claimed, name in chosen if chosen else claimed, missing, failed))
    return found
