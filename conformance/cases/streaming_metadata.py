"""Metadata streams: test/Streaming 5.4 (notifications) and test/StreamingMedia2 5.4."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from conformance import watch
from conformance.cases.media_options import Group, Profile
from conformance.cases.media_profiles import Kept, new_group
from conformance.cases.media_service import MediaService, service
from conformance.cases.stream_common import Plan, Show, add, playing, requirements, stream_uri
from conformance.cases.stream_network import network
from conformance.cases.streaming import TRANSPORTS
from conformance.model import Examination, Failure
from conformance.names import find, findall, text
from conformance.payloads import Metadata
from conformance.watch import see

CONCRETE = "http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet"
WELCOME = 1.5
"""Seconds without the state of any property, after which a new client has been told how things are."""
PLAN = {"application": "Metadata"}


# ---- profiles and configurations ----------------------------------------------------------------------


async def find_metadata(kept: Kept) -> Profile:
    """A profile with a video source and a metadata configuration that can be uncompressed (Media2 Test 6.30)."""
    media = kept.media
    for profile in await media.profiles():
        if all(kind in profile.configurations for kind in ("VideoSource", "Metadata")) and await _plain(
            media, profile, profile.token_of("Metadata")
        ):
            return profile
    for profile in await media.profiles():
        if "VideoSource" not in profile.configurations:
            sources = await media.compatible(profile.token, "VideoSource")
            if not sources:
                continue
            await media.add(profile.token, "VideoSource", str(sources[0].get("token")))
            profile.configurations["VideoSource"] = sources[0]
        for each in await media.compatible(profile.token, "Metadata"):
            if await _plain(media, profile, str(each.get("token"))):
                await media.add(profile.token, "Metadata", str(each.get("token")))
                profile.configurations["Metadata"] = each
                return profile
    raise Failure(
        "no media profile can be made with metadata that is not compressed (Streaming using Media2 Test 6.30)"
    )


async def _plain(media: MediaService, profile: Profile, token: str) -> bool:
    options = await media.metadata_options(profile.token, token)
    offered = [text(each) for each in findall(options, "tt:Extension/tt:CompressionType")]
    return not offered or "None" in offered


async def content(x: Examination, media: MediaService, profile: Profile, events: str) -> str:
    """What is wanted in the stream, in the order of the schema; `events` is inside of tt:Events."""
    options = await media.metadata_options(profile.token, profile.token_of("Metadata"))
    ptz = find(options, "tt:PTZStatusFilterOptions")

    def offered(*names: str) -> str:
        return str(any(text(ptz, f"tt:{name}") in ("true", "1") for name in names)).lower()

    status = offered("PanTiltStatusSupported", "ZoomStatusSupported")
    position = offered("PanTiltPositionSupported", "ZoomPositionSupported")
    made = ""
    if "true" in (status, position):
        made += f"<tt:PTZStatus><tt:Status>{status}</tt:Status><tt:Position>{position}</tt:Position></tt:PTZStatus>"
    made += f"<tt:Events>{events}</tt:Events>"
    if "Analytics" in profile.configurations:
        made += "<tt:Analytics>true</tt:Analytics>"
    return made


async def configure(kept: Kept, profile: Profile, inside: str, group: Group | None) -> None:
    present = profile.configurations["Metadata"]
    await kept.set("Metadata", present, kept.media.metadata(present, inside, group))


def filter_of(topic: str) -> str:
    return (
        f'<tt:Filter><wsnt:TopicExpression Dialect="{CONCRETE}" xmlns:tns1="http://www.onvif.org/ver10/topics">{topic}'
        "</wsnt:TopicExpression></tt:Filter>"
    )


def judge(show: Show) -> Metadata:
    made = show.flow("application").judge
    assert isinstance(made, Metadata)
    return made


# ---- streams ------------------------------------------------------------------------------------------


async def metadata(x: Examination, transport: str, version: int) -> None:
    async with network(x, transport, version):
        media = service(x, "tr2")
        async with Kept(media) as kept:
            profile = await find_metadata(kept)
            group = new_group(version) if transport == "MULTICAST" else None
            await configure(kept, profile, await content(x, media, profile, ""), group)
            if group is not None:
                await media.strip(profile, ("VideoEncoder", "AudioEncoder"))
            uri = await stream_uri(x, media, profile.token, transport)
            plan = Plan(PLAN, transport, groups={"application": group} if group else None)
            async with playing(x, uri, plan) as show:
                await see(x, show.client, show.flows)
                # A filter changes what comes, not that it comes (6.33).
                inside = await content(x, media, profile, filter_of("tns1:Media/ConfigurationChanged"))
                await configure(kept, profile, inside, group)
                await watch.goes_on(x, show.client, show.flows, "SetMetadataConfiguration with a filter")


async def synchronization(x: Examination) -> None:
    media = service(x, "tr2")
    async with Kept(media) as kept:
        profile = await find_metadata(kept)
        await configure(kept, profile, await content(x, media, profile, ""), None)
        uri = await stream_uri(x, media, profile.token, "UDP")
        async with playing(x, uri, Plan(PLAN)) as show:
            await see(x, show.client, show.flows)
            await _welcomed(show)
            asked = len(judge(show).documents)
            await media.synchronize(profile.token)
            found = await _events_after(show, asked)
            x.check(
                found is not None,
                "no document of the metadata stream ended and no other began after SetSynchronizationPoint",
            )
            names = [each for each in found or [] if each == "Initialized"]
            x.check(
                names or not x.features.topics,
                "no property event came with PropertyOperation Initialized after SetSynchronizationPoint (Media 5.18)",
            )


async def _welcomed(show: Show) -> None:
    """Wait until a new client has been told how things are: what is told so later was asked for."""
    flow, began = show.flow("application"), time.monotonic()

    def settled() -> bool:
        flow.update()
        told = [at for at, root in judge(show).documents if "Initialized" in _operations([root])]
        return time.monotonic() - max((began, *told)) >= WELCOME

    await show.client.until(settled, watch.PATIENCE)


def _operations(documents: Iterable[Any]) -> list[str]:
    return [operation(each) for root in documents for each in findall(root, "tt:Event/wsnt:NotificationMessage")]


async def _events_after(show: Show, count: int) -> list[str] | None:
    """PropertyOperation of the events in documents beyond a number of them; None if there is no such document."""
    made, flow = judge(show), show.flow("application")

    def operations() -> list[str]:
        return _operations(root for _, root in made.documents[count:])

    def there() -> bool:
        flow.update()
        return "Initialized" in operations()

    await show.client.until(there, watch.PATIENCE)
    return operations() if len(made.documents) > count else None


def operation(notification: Any) -> str:
    message = find(notification, "wsnt:Message/tt:Message")
    return "" if message is None else str(message.get("PropertyOperation") or "")


# ---- notification streaming ---------------------------------------------------------------------------


async def notifications(x: Examination) -> None:
    media = service(x, "trt")
    async with Kept(media) as kept:
        profile = await kept.empty()
        known = await media.configurations("Metadata")
        x.check(known, "GetMetadataConfigurations lists nothing")
        sources = await media.compatible(profile.token, "VideoSource")
        x.check(sources, "no video source configuration can be added to an empty profile")
        await media.add(profile.token, "VideoSource", str(sources[0].get("token")))
        for each in await media.compatible(profile.token, "Metadata"):
            await media.add(profile.token, "Metadata", str(each.get("token")))
            profile.configurations["Metadata"] = each
            break
        else:
            x.fail("no metadata configuration can be added to a profile with a video source")
        await configure(kept, profile, "<tt:Events/><tt:Analytics>false</tt:Analytics>", None)
        uri = await stream_uri(x, media, profile.token, "UDP")
        async with playing(x, uri, Plan(PLAN, only=True)) as show:
            await see(x, show.client, show.flows)
            await _welcomed(show)
            asked = len(judge(show).documents)
            await media.synchronize(profile.token)
            found = await _events_after(show, asked)
            x.check(found, f"no notification came within {watch.PATIENCE:g} s of SetSynchronizationPoint")
            wrong = [each for each in found or [] if each not in ("Initialized", "Changed", "Deleted", "")]
            x.check(not wrong, f"a property event has the PropertyOperation {wrong[0] if wrong else ''!r}")
            x.check(
                any(each in ("Initialized", "Changed") for each in found or []),
                "no property event with PropertyOperation Initialized or Changed came after SetSynchronizationPoint",
            )


add("RTSS-4-1-3", "trt", "NOTIFICATION STREAMING", notifications, requirements("trt", "UDP", 4, "Event Service"))


# ---- the table ----------------------------------------------------------------------------------------


def _register(id: str, where: str, transport: str, version: int) -> None:
    async def examine(x: Examination) -> None:
        await metadata(x, transport, version)

    name = f"METADATA STREAMING ({where}{', IPv6' if version == 6 else ''})"
    add(id, "tr2", name, examine, requirements("tr2", transport, version, "Media2/Metadata"))


for _number, (_transport, _version) in {
    1: ("UDP", 4),
    2: ("HTTP", 4),
    3: ("RTSP", 4),
    5: ("UDP", 6),
    6: ("HTTP", 6),
    7: ("RTSP", 6),
    8: ("HTTPS", 4),
    9: ("HTTPS", 6),
    10: ("WS", 4),
    11: ("WS", 6),
}.items():
    _register(f"MEDIA2_RTSS-4-1-{_number}", TRANSPORTS[_transport], _transport, _version)
for _number, _version in ((1, 4), (2, 6)):
    _register(f"MEDIA2_RTSS-4-2-{_number}", "RTP-Multicast/UDP", "MULTICAST", _version)
add(
    "MEDIA2_RTSS-4-1-4",
    "tr2",
    "METADATA STREAMING - SET SYNCHRONIZATION POINT",
    synchronization,
    requirements("tr2", "UDP", 4, "Media2/Metadata"),
)
