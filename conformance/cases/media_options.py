"""What profiles and encoder configurations are made of, and what a case may choose in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lxml import etree

from conformance.names import find, findall, text

KINDS = (
    *("VideoSource", "AudioSource", "VideoEncoder", "AudioEncoder", "AudioOutput", "AudioDecoder"),
    *("Metadata", "Analytics", "PTZ"),
)
"""Configurations of a profile; sources before what needs them."""
MAX_RATE = 480
LONG = 2.0
"""Seconds between key frames that are enough to see one that came on request."""
ENCODERS = {
    "trt": {"JPEG": "JPEG", "MPEG4": "MPEG4", "H264": "H264", "G711": "G711", "G726": "G726", "AAC": "AAC"},
    "tr2": {"JPEG": "JPEG", "H264": "H264", "H265": "H265", "G711": "PCMU", "AAC": "MP4A-LATM|MPEG4-GENERIC"},
}
"""Names of the encodings in each service; a bar separates alternatives, the better one first."""


@dataclass(slots=True)
class Profile:
    token: str
    name: str
    fixed: bool
    configurations: dict[str, Any]
    """Elements by kind."""

    def token_of(self, kind: str) -> str:
        element = self.configurations.get(kind)
        return "" if element is None else str(element.get("token"))


@dataclass(frozen=True, slots=True)
class Group:
    """Where a configuration is sent by multicast."""

    address: str
    port: int

    @property
    def element(self) -> str:
        kind = "IPv6" if ":" in self.address else "IPv4"
        place = f"<tt:Type>{kind}</tt:Type><tt:{kind}Address>{self.address}</tt:{kind}Address>"
        return (
            f"<tt:Multicast><tt:Address>{place}</tt:Address><tt:Port>{self.port}</tt:Port><tt:TTL>1</tt:TTL>"
            "<tt:AutoStart>false</tt:AutoStart></tt:Multicast>"
        )


def group_of(configuration: Any) -> Group:
    """What a configuration says."""
    inside = find(configuration, "tt:Multicast")
    address = text(inside, "tt:Address/tt:IPv4Address") or text(inside, "tt:Address/tt:IPv6Address")
    port = text(inside, "tt:Port")
    return Group(address, int(port) if port.isdigit() else 0)


@dataclass(frozen=True, slots=True)
class VideoOptions:
    """Of one encoding."""

    encoding: str
    """As the service calls it."""
    resolutions: tuple[tuple[int, int], ...]
    rates: tuple[float, ...]
    """Frame rates that are possible; empty if the device says nothing."""
    goves: tuple[int, int] | None
    quality: str
    bitrates: tuple[int, int] | None
    profiles: tuple[str, ...] = ()
    interval: str = "1"
    constant: str = ""


@dataclass(frozen=True, slots=True)
class AudioOptions:
    encoding: str
    bitrates: tuple[int, ...]
    rates: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class VideoWish:
    """What a case changes in a video encoder configuration; the rest is as the annexes say."""

    resolution: tuple[int, int] | None = None
    """None: nearest to 640x480 (Streaming Test 6.27)."""
    rate: float = 25.0
    group: Group | None = None
    long_groups: bool = False
    """Groups of pictures of two seconds and more (6.3)."""
    timeout: str = ""
    """Session timeout, for the older service."""

    def choose(self, options: VideoOptions) -> tuple[int, int]:
        return self.resolution or min(options.resolutions, key=lambda each: abs(each[0] - 640) + abs(each[1] - 480))

    def groups(self, options: VideoOptions, present: str) -> str:
        """GovLength: what is there, where it is possible and long enough; a device in use is not changed without need."""
        if options.goves is None:
            return ""
        low, high = options.goves
        usual = max(low, min(high, round(LONG * self.rate)))
        given = int(present) if present.isdigit() else 0
        least = usual if self.long_groups else 1
        return present if low <= given <= high and given >= least else str(usual)

    def profile(self, options: VideoOptions, present: str) -> str:
        return present if present in options.profiles else best_profile(options.profiles)

    def frames(self, options: VideoOptions, present: str) -> str:
        if not options.rates:
            return present
        allowed = [each for each in options.rates if each > 1] or [max(options.rates)]
        return f"{min(allowed, key=lambda each: abs(each - self.rate)):g}"


def rendered(element: Any, path: str) -> str:
    """An element as it was received, without what follows it."""
    found = find(element, path)
    return "" if found is None else str(etree.tostring(found, encoding="unicode", with_tail=False))


def numbers(element: Any, path: str) -> tuple[int, int] | None:
    inside = find(element, path)
    return None if inside is None else (int(text(inside, "tt:Min")), int(text(inside, "tt:Max")))


def resolutions_of(element: Any) -> tuple[tuple[int, int], ...]:
    found = findall(element, "tt:ResolutionsAvailable")
    return tuple((int(text(each, "tt:Width")), int(text(each, "tt:Height"))) for each in found)


def bitrate(present: Any, options: VideoOptions) -> str:
    """min{max{present, Min}, Max}"""
    value = int(text(present, "tt:RateControl/tt:BitrateLimit", "0"))
    if options.bitrates is not None:
        value = min(max(value, options.bitrates[0]), options.bitrates[1])
    return str(value)


def nearest(value: str, allowed: tuple[int, ...]) -> str:
    given = int(value) if value.isdigit() else 0
    return str(min(allowed, key=lambda each: abs(each - given))) if allowed else str(given)


def best_profile(offered: Iterable[str]) -> str:
    """High, Extended, Main, Baseline; for MPEG-4 ASP before SP (Streaming using Media2 Test 6.61)."""
    known = list(offered)
    order = ("High", "Extended", "Main", "Main10", "Baseline", "ASP", "SP")
    return next((each for each in order if each in known), known[0] if known else "Baseline")
