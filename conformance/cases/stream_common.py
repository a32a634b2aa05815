"""What the cases of test/Streaming and test/StreamingMedia2 share: sessions, and what is demanded of them."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from conformance.cases.media_options import Group
from conformance.cases.media_service import MediaService
from conformance.model import Examination, Run, case
from conformance.payloads import KINDS, NAMES
from conformance.rtp import Description, Media
from conformance.rtsp import RtspReply
from conformance.session import StreamClient, Track
from conformance.watch import Flow, flows, offered, see
from conformance.wires import bracketed

STREAMING, STREAMING2 = "Streaming", "Streaming using Media2"
BACKCHANNEL = "www.onvif.org/ver20/backchannel"
MAX_URI = 128
"""Octets of a stream URI (Media 5.15, Streaming Test 6.21)."""
SILENCE = 1.0
"""Seconds without packets after which a stream counts as stopped."""
WORDS = {"G711": "G.711", "G726": "G.726", "H264": "H.264", "H265": "H.265"}
"""As the specifications write the encodings."""


def word(encoding: str) -> str:
    return WORDS.get(encoding, encoding)


# ---- addresses ----------------------------------------------------------------------------------------


def version_of(host: str) -> int:
    """4 or 6; 0 for a name."""
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0]).version
    except ValueError:
        return 0


async def stream_uri(x: Examination, media: MediaService, profile: str, transport: str) -> str:
    """Streaming Test 6.21 and 6.30, Streaming using Media2 Test 6.38."""
    uri = await media.uri(profile, transport)
    target, service = urlsplit(uri), urlsplit(x.soap.address(media.prefix))
    x.check(target.hostname, f"GetStreamUri gave {uri!r}, which is no URI")
    x.check(len(uri.encode()) <= MAX_URI, f"the stream URI has {len(uri.encode())} octets, more than {MAX_URI}: {uri}")
    if transport in ("HTTP", "HTTPS"):
        schemes = (service.scheme,) if media.prefix == "tr2" else ("http", "https")
        x.check(target.scheme in schemes, f"the URI for streams by HTTP is {uri}, the web service's {service.geturl()}")
        ports = [each.port or {"http": 80, "https": 443}.get(each.scheme) for each in (target, service)]
        x.check(
            ports[0] == ports[1], f"the URI for streams by HTTP has the port {ports[0]}, the web service {ports[1]}"
        )
    else:
        x.check(target.scheme in ("rtsp", "rtsps"), f"the stream URI is {uri}, expected rtsp://")
    wanted = 6 if ":" in x.prober.local() else 4
    given = version_of(target.hostname or "")
    x.check(given in (0, wanted), f"the stream URI {uri} has an IPv{given} address, expected IPv{wanted}")
    return uri


def websocket_uri(x: Examination) -> str:
    """Streaming using Media2 Test 6.57: the capability, with the host and port that the device is spoken to at."""
    given = x.features.capability("tr2", "StreamingCapabilities", "RTSPWebSocketUri") or ""
    target, service = urlsplit(given), urlsplit(x.soap.address("tr2"))
    x.check(target.scheme in ("ws", "wss") and target.path, f"RTSPWebSocketUri is {given!r}, no URI of a WebSocket")
    if target.hostname:
        return given
    port = service.port if (service.scheme == "https") == (target.scheme == "wss") else None
    place = bracketed(service.hostname or "") + (f":{port}" if port else "")
    return f"{target.scheme}://{place}{target.path}" + (f"?{target.query}" if target.query else "")


def check_families(x: Examination, reply: RtspReply | None, description: Description, version: int, where: str) -> None:
    """All addresses in an answer to DESCRIBE are of one family (Streaming Test 6.31)."""

    def check(host: str | None, place: str) -> None:
        # A name says nothing of the family.
        known = version_of(host or "")
        x.check(known in (0, version), f"{place} has an IPv{known} address, expected IPv{version} ({where})")

    for name in ("Content-Base", "Content-Location"):
        for value in reply.all(name) if reply is not None else ():
            check(urlsplit(value).hostname, name)
    for media in description.media:
        if "://" in media.control:
            check(urlsplit(media.control).hostname, "a=control")
    for line in description.text.replace("\r\n", "\n").split("\n"):
        if line.startswith(("o=", "c=")):
            parts = line.split(" ")
            family, address = parts[-2], parts[-1].partition("/")[0]
            x.check(family == f"IP{version}", f"{line!r} has the address type {family}, expected IP{version} ({where})")
            check(address, line[:2])


# ---- sessions -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Show:
    """A session that plays."""

    client: StreamClient
    flows: list[Flow]
    set_up: list[RtspReply]
    play: RtspReply

    def flow(self, kind: str) -> Flow:
        return next(each for each in self.flows if each.track.media.kind == kind)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be streamed, and how."""

    encodings: Mapping[str, str]
    """Encoding by kind of media."""
    transport: str = "UDP"
    only: bool = False
    """Nothing else may be in the session description."""
    groups: Mapping[str, Group] | None = None
    """Where each kind must be sent, for multicast."""
    named: bool = False
    """SETUP names that group and port."""
    line_breaks: bool = False


@contextlib.asynccontextmanager
async def session(
    x: Examination, uri: str, transport: str, *, require: str = "", line_breaks: bool = False
) -> AsyncIterator[StreamClient]:
    """Connected and described; addresses in the description are judged."""
    client = StreamClient(x, uri, transport, require=require, line_breaks=line_breaks)
    if transport == "WS":
        client.websocket = websocket_uri(x)
    async with client:
        description = await client.describe()
        version = version_of(urlsplit(uri).hostname or "") or (6 if ":" in x.prober.local() else 4)
        check_families(x, client.answer, description, version, "Streaming Test 6.31")
        yield client


@contextlib.asynccontextmanager
async def playing(x: Examination, uri: str, plan: Plan) -> AsyncIterator[Show]:
    """DESCRIBE, SETUP of each media, PLAY; TEARDOWN must succeed at the end (Streaming Test 6.15 to 6.18)."""
    async with session(x, uri, plan.transport, line_breaks=plan.line_breaks) as client:
        assert client.description is not None
        wanted = [offered(client, encoding) for encoding in plan.encodings.values()]
        if plan.only:
            others = [
                each.kind for each in client.description.media if each not in wanted and each.direction != "sendonly"
            ]
            x.check(not others, f"the profile has nothing else, and the session description has {', '.join(others)}")
        set_up = []
        for media in wanted:
            group = (plan.groups or {}).get(media.kind)
            if plan.transport == "MULTICAST":
                x.check(version_of(media.group), f"no multicast address in c= of the {media.kind} (Streaming 5.2.2.5)")
                x.check(
                    ipaddress.ip_address(media.group).is_multicast,
                    f"c= of the {media.kind} has {media.group}, no multicast address (Streaming 5.2.2.5)",
                )
            if plan.named and group is not None:
                client.destination = group.address, group.port
            reply = await client.set_up(media)
            set_up.append(reply)
            x.check(reply.header("Session"), "the answer to SETUP has no Session")
            if group is not None:
                check_group(x, client.tracks[-1], group)
        play = await client.start()
        for name in ("Session", "RTP-Info"):
            x.check(play.header(name), f"the answer to PLAY has no {name} (Streaming Test 6.15 to 6.18)")
        yield Show(client, flows(client, plan.encodings), set_up, play)
        await client.tear_down()
        await client.finish()


def check_group(x: Examination, track: Track, group: Group) -> None:
    address, port = track._peer
    x.check(
        ipaddress.ip_address(address) == ipaddress.ip_address(group.address) and port == group.port,
        f"{track.media.kind} is sent to {address} port {port}, configured are {group.address} and {group.port}",
    )


async def stream(x: Examination, uri: str, plan: Plan) -> None:
    """Receive, judge, and end."""
    async with playing(x, uri, plan) as show:
        await see(x, show.client, show.flows)


# ---- multicast without RTSP ---------------------------------------------------------------------------

DYNAMIC = tuple(str(number) for number in range(96, 128))
RATES = {"PCMU": 8000, "G726-32": 8000}


def undescribed(encoding: str) -> Media:
    """What may come where no session description is read: static payload types, or any dynamic one."""
    name = {"G726": "G726-32"}.get(encoding, NAMES[encoding][0])
    formats = {"PCMU": ("0",), "JPEG": ("26",)}.get(name, DYNAMIC)
    clock = RATES.get(name, 90_000)
    maps = tuple((each, f"{name}/{clock}") for each in formats)
    return Media(KINDS.get(encoding, "video"), "", "", name, clock, formats, maps)


@contextlib.asynccontextmanager
async def joined(x: Examination, tracks: Mapping[str, tuple[Media, Group]]) -> AsyncIterator[Show]:
    """Listen to groups; `tracks` by encoding. There is no session: who sends there was told to by web services."""
    client = StreamClient(x, "rtsp://none/", "MULTICAST")
    try:
        for media, group in tracks.values():
            track = Track(media, "")
            await client.listen(track, group.address, group.port)
            client.tracks.append(track)
        encodings = {media.kind: encoding for encoding, (media, _) in tracks.items()}
        yield Show(client, flows(client, encodings), [], RtspReply(200, "", (), b""))
    finally:
        await client.__aexit__(None, None, None)


async def described(x: Examination, media: MediaService, profile: str, encoding: str) -> Media:
    """As the session description has it, for encodings that cannot be read without."""
    if encoding not in ("AAC", "G726"):
        return undescribed(encoding)
    async with session(x, await stream_uri(x, media, profile, "MULTICAST"), "MULTICAST") as client:
        return offered(client, encoding)


async def sent_to_groups(
    x: Examination, media: MediaService, profile: str, wanted: Mapping[str, Group], *, stops: bool = True
) -> None:
    """StartMulticastStreaming sends to the groups (by encoding), StopMulticastStreaming ends it."""
    tracks = {each: (await described(x, media, profile, each), group) for each, group in wanted.items()}
    async with joined(x, tracks) as show:
        await media.multicast(profile, True)
        try:
            await see(x, show.client, show.flows)
        finally:
            await media.multicast(profile, False)
        quiet = await show.client.quiet(SILENCE, 3 * SILENCE) if stops else True
        x.check(quiet, "the device goes on sending to the group after StopMulticastStreaming")


# ---- registration -------------------------------------------------------------------------------------

ADDRESSES = {4: "", 6: "Device/IPv6"}


def requirements(prefix: str, transport: str, version: int, *more: str) -> tuple[str, ...]:
    """Features that a case needs by its service, transport and address family."""
    area = {"trt": "Media", "tr2": "Media2"}[prefix]
    transports = {
        "RTSP": f"{area}/RTP/RTSP/TCP",
        "MULTICAST": f"{area}/RTP-Multicast/UDP",
        "HTTPS": "Media2/RTP/RTSP/HTTPS",
        "WS": "Media2/RTSP WebSocket",
    }
    named = (transports.get(transport, ""), ADDRESSES[version], *more)
    return (f"{area} Service", f"{area}/Real-time Streaming", *(each for each in named if each))


def add(id: str, prefix: str, name: str, run: Run, needs: tuple[str, ...], **options: Any) -> None:
    case(id, document=STREAMING if prefix == "trt" else STREAMING2, name=name, requires=needs, **options)(run)
