"""Asks an ONVIF camera what it is and what it streams: Media2 where it is served (it alone knows H.265), else Media."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Collection, Iterable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import unquote, urlsplit

import aiohttp

from onvifd.cameras.event_scope import EventScope, SourceTokens, scope_of
from onvifd.cameras.onvif_encoders import told_quality
from onvifd.cameras.probe import CameraProbe, ProbedStream
from onvifd.cameras.registry import Credentials, Driver, Role, Stream, redact, split_credentials
from onvifd.cameras.ways import Told
from onvifd.clock import Clock
from onvifd.errors import InvalidArgument, NotAuthorized, NotSupported, OnvifdError, Timeout, Unavailable
from onvifd.media.types import Codec
from onvifd.onvif.client import OnvifClient
from onvifd.onvif.soap.namespaces import TEV, TR2, TRT
from onvifd.onvif.types import tds, tr2, trt, tt
from onvifd.rtsp.client_transport import Way

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_PROFILES = 32
"""Profiles that are asked for their addresses."""
NAME_SCOPE = "onvif://www.onvif.org/name/"

_VIDEO = {
    "h264": Codec.H264,
    "h265": Codec.H265,
    "hevc": Codec.H265,
    "jpeg": Codec.JPEG,
    "mpeg4": Codec.MPEG4,
    "mpv4-es": Codec.MPEG4,
}
# G711 does not say which law; DESCRIBE will.
_AUDIO = {
    "g711": Codec.PCMU,
    "pcmu": Codec.PCMU,
    "pcma": Codec.PCMA,
    "aac": Codec.AAC,
    "mp4a-latm": Codec.AAC,
    "mpeg4-generic": Codec.AAC,
    "g726": Codec.G726,
    "opus": Codec.OPUS,
}


# Some say RTSP with the port of HTTP and mean the tunnel there (Media 5.15.1).
_TUNNELS = {"http": (Way.HTTP, 80), "https": (Way.HTTPS, 443), "rtsp": (Way.HTTP, 80), "rtsps": (Way.RTSPS, 322)}


@dataclass(frozen=True, slots=True)
class Addresses:
    """Service addresses of a camera; empty for services it has not."""

    media: str = ""
    media2: str = ""
    events: str = ""


async def probe(url: str, credentials: Credentials | None, session: aiohttp.ClientSession, clock: Clock) -> CameraProbe:
    """Ask the device service at `url`. Raises NotAuthorized, NotSupported (no media service), Unavailable, Timeout."""
    user, password = (credentials.user, credentials.password) if credentials else ("", "")
    client = OnvifClient(url, user, password, session, clock=clock)
    about = await client.call(tds.GetDeviceInformation(), tds.GetDeviceInformationResponse)
    addresses = await service_addresses(client)
    if addresses.media2:
        streams = await _or_else(_media2_streams(client.at(addresses.media2)), ())
    else:
        streams = ()
    if not streams and addresses.media:
        streams = await _media_streams(client.at(addresses.media))
    if not addresses.media and not addresses.media2:
        raise NotSupported("the device has no media service")
    return CameraProbe(
        driver=Driver.ONVIF,
        name=await _or_else(_name(client), "") or about.model,
        manufacturer=about.manufacturer or "",
        model=about.model or "",
        firmware=about.firmware_version or "",
        serial=about.serial_number or "",
        event_address=addresses.events,
        streams=streams,
    )


class Synchronizer:
    """Asks one camera for key frames (SetSynchronizationPoint), by Media2 or Media as the camera has it."""

    def __init__(self, client: OnvifClient, addresses: Addresses) -> None:
        self._client = client
        self._addresses = addresses

    @classmethod
    async def open(
        cls, url: str, user: str, password: str, session: aiohttp.ClientSession, clock: Clock
    ) -> Synchronizer:
        """Learn where the media services of the device at `url` are. Raises NotSupported if it has none."""
        client = OnvifClient(url, user, password, session, clock=clock)
        addresses = await service_addresses(client)
        if not addresses.media and not addresses.media2:
            raise NotSupported("the device has no media service")
        return cls(client, addresses)

    async def synchronize(self, profile: str) -> None:
        """Ask for a key frame of a profile of the camera's. Raises what `OnvifClient.call` raises."""
        media, media2 = self._addresses.media, self._addresses.media2
        if media2:
            try:
                request = tr2.SetSynchronizationPoint(profile_token=profile)
                await self._client.at(media2).call(request, tr2.SetSynchronizationPointResponse)
            except (NotSupported, InvalidArgument):
                # Profiles of the two services may have tokens of their own.
                if not media:
                    raise
            else:
                return
        await self._client.at(media).call(
            trt.SetSynchronizationPoint(profile_token=profile), trt.SetSynchronizationPointResponse
        )


async def event_scope(client: OnvifClient, ours: Collection[str]) -> EventScope | None:
    """Which events concern the camera whose streams are the profiles `ours` of the device. Raises what the client raises."""
    addresses = await service_addresses(client)
    found: list[SourceTokens] = []
    if addresses.media2:
        found += await _or_else(_media2_tokens(client.at(addresses.media2)), ())
    if addresses.media and not any(each.profile in ours for each in found):
        found += await _or_else(_media_tokens(client.at(addresses.media)), ())
    return scope_of(found, ours)


async def _media2_tokens(client: OnvifClient) -> tuple[SourceTokens, ...]:
    answer = await client.call(tr2.GetProfiles(type_=("All",)), tr2.GetProfilesResponse)
    found = []
    for profile in answer.profiles:
        parts = profile.configurations
        if parts is not None and (source := _source(parts.video_source)):
            others = (parts.video_source, parts.video_encoder, parts.analytics)
            found.append(_tokens(profile.token, source, others))
    return tuple(found)


async def _media_tokens(client: OnvifClient) -> tuple[SourceTokens, ...]:
    answer = await client.call(trt.GetProfiles(), trt.GetProfilesResponse)
    found = []
    for profile in answer.profiles:
        if source := _source(profile.video_source_configuration):
            others = (
                profile.video_source_configuration,
                profile.video_encoder_configuration,
                profile.video_analytics_configuration,
            )
            found.append(_tokens(profile.token, source, others))
    return tuple(found)


def _tokens(profile: str, source: str, parts: Iterable[tt.ConfigurationEntity | None]) -> SourceTokens:
    tokens = {profile, source, *(part.token for part in parts if part is not None)}
    return SourceTokens(source, profile, frozenset(tokens - {""}))


def reachable(address: str, asked: str) -> str:
    """An address that the camera gave, with the host under which we reach it.

    Behind address translation, and with a wrong network setting, cameras give addresses that lead nowhere. A login in
    it is dropped: ours is used. Empty for what is no URL.
    """
    try:
        clean, _ = split_credentials(address.strip())
    except InvalidArgument:
        return ""
    parts, ours = urlsplit(clean), urlsplit(asked)
    if parts.hostname == ours.hostname or not ours.hostname:
        return clean
    host = f"[{ours.hostname}]" if ":" in ours.hostname else ours.hostname
    return parts._replace(netloc=host if parts.port is None else f"{host}:{parts.port}").geturl()


async def _or_else(question: Awaitable[T], default: T) -> T:
    """The answer, or `default` if the camera refuses or answers nonsense. A wrong login or silence is raised."""
    try:
        return await question
    except (NotAuthorized, Timeout):
        raise
    except OnvifdError as error:
        log.debug("camera: %s", error)
        return default


async def service_addresses(client: OnvifClient) -> Addresses:
    """Where the services of a camera are. Raises what the client raises."""
    services = await _or_else(_services(client), ())
    if services:
        given = {service.namespace: reachable(service.x_addr, client.url) for service in services if service.x_addr}
        return Addresses(given.get(TRT, ""), given.get(TR2, ""), given.get(TEV, ""))
    # Before GetServices (ONVIF 2.1) there was GetCapabilities alone.
    answer = await client.call(tds.GetCapabilities(category=(tt.CapabilityCategory.ALL,)), tds.GetCapabilitiesResponse)
    media, events = answer.capabilities.media, answer.capabilities.events
    return Addresses(
        media=reachable(media.x_addr, client.url) if media and media.x_addr else "",
        events=reachable(events.x_addr, client.url) if events and events.x_addr else "",
    )


async def _services(client: OnvifClient) -> tuple[tds.Service, ...]:
    return (await client.call(tds.GetServices(include_capability=False), tds.GetServicesResponse)).service


async def _name(client: OnvifClient) -> str:
    """The name among the scopes (Core 7.3.2.2)."""
    answer = await client.call(tds.GetScopes(), tds.GetScopesResponse)
    for scope in answer.scopes:
        item = scope.scope_item or ""
        if item.startswith(NAME_SCOPE):
            return " ".join(unquote(item.removeprefix(NAME_SCOPE)).split())[:58]
    return ""


async def _media2_streams(client: OnvifClient) -> tuple[ProbedStream, ...]:
    answer = await client.call(tr2.GetProfiles(type_=("All",)), tr2.GetProfilesResponse)
    found = []
    for profile in answer.profiles[:MAX_PROFILES]:
        configurations = profile.configurations
        if configurations is None or configurations.video_encoder is None:
            continue
        uri = await _or_else(_media2_uri(client, profile.token), "")
        if not uri:
            continue
        snapshot = await _or_else(_media2_snapshot(client, profile.token), "")
        encoder, audio = configurations.video_encoder, configurations.audio_encoder
        rate = encoder.rate_control
        stream = Stream(
            role=Role.MAIN,
            uri=uri,
            source_profile=profile.token,
            snapshot_uri=snapshot,
            video_codec=_VIDEO.get((encoder.encoding or "").lower()),
            width=_count(encoder.resolution.width),
            height=_count(encoder.resolution.height),
            framerate=max(0.0, float(rate.frame_rate_limit or 0)) if rate else 0.0,
            bitrate=_count(rate.bitrate_limit if rate else 0),
            gov_length=_count(encoder.gov_length),
            quality=told_quality(encoder.quality),
            encoder_profile=encoder.profile or "",
            audio_codec=_AUDIO.get((audio.encoding or "").lower()) if audio else None,
            sample_rate=_hertz(audio.sample_rate) if audio else 0,
            audio_channels=1 if audio else 0,
            audio_bitrate=_count(audio.bitrate if audio else 0),
        )
        found.append(
            ProbedStream(name=profile.name or "", video_source=_source(configurations.video_source), stream=stream)
        )
    return tuple(found)


async def _media2_uri(client: OnvifClient, token: str) -> str:
    # "RTSP" is RTP over RTSP over TCP (Media2 5.4.1), which is how the recorder takes it.
    answer = await client.call(tr2.GetStreamUri(protocol="RTSP", profile_token=token), tr2.GetStreamUriResponse)
    return _stream_address(answer.uri, client.url)


async def _media2_snapshot(client: OnvifClient, token: str) -> str:
    answer = await client.call(tr2.GetSnapshotUri(profile_token=token), tr2.GetSnapshotUriResponse)
    return reachable(answer.uri or "", client.url)


async def _media_streams(client: OnvifClient) -> tuple[ProbedStream, ...]:
    answer = await client.call(trt.GetProfiles(), trt.GetProfilesResponse)
    found = []
    for profile in answer.profiles[:MAX_PROFILES]:
        encoder, audio = profile.video_encoder_configuration, profile.audio_encoder_configuration
        if encoder is None:
            continue
        uri = await _or_else(_media_uri(client, profile.token), "")
        if not uri:
            continue
        snapshot = await _or_else(_media_snapshot(client, profile.token), "")
        rate, h264 = encoder.rate_control, encoder.h264
        stream = Stream(
            role=Role.MAIN,
            uri=uri,
            source_profile=profile.token,
            snapshot_uri=snapshot,
            video_codec=_VIDEO.get(str(encoder.encoding or "").lower()),
            width=_count(encoder.resolution.width),
            height=_count(encoder.resolution.height),
            framerate=float(_count(rate.frame_rate_limit if rate else 0)),
            bitrate=_count(rate.bitrate_limit if rate else 0),
            gov_length=_count(h264.gov_length if h264 else 0),
            quality=told_quality(encoder.quality),
            encoder_profile=str(h264.h264_profile or "") if h264 else "",
            audio_codec=_AUDIO.get(str(audio.encoding or "").lower()) if audio else None,
            sample_rate=_hertz(audio.sample_rate) if audio else 0,
            audio_channels=1 if audio else 0,
            audio_bitrate=_count(audio.bitrate if audio else 0),
        )
        source = _source(profile.video_source_configuration)
        found.append(ProbedStream(name=profile.name or "", video_source=source, stream=stream))
    return tuple(found)


async def _media_uri(client: OnvifClient, token: str) -> str:
    setup = tt.StreamSetup(stream=tt.StreamType.RTP_UNICAST, transport=tt.Transport(protocol=tt.TransportProtocol.RTSP))
    request = trt.GetStreamUri(stream_setup=setup, profile_token=token)
    answer = await client.call(request, trt.GetStreamUriResponse)
    return _stream_address(answer.media_uri.uri, client.url)


async def ways_told(client: OnvifClient, profile: str) -> dict[Way, Told]:
    """Where the camera serves a profile's stream within HTTP and within TLS, as far as it says so. Raises no OnvifdError."""
    try:
        addresses = await service_addresses(client)
        uris = []
        if addresses.media2:
            # RtspsUnicast is SRTP by UDP, but tells where RTSP is within TLS (Media2 5.4.1).
            for protocol in ("RtspOverHttp", "RtspsUnicast"):
                asked = tr2.GetStreamUri(protocol=protocol, profile_token=profile)
                answer = client.at(addresses.media2).call(asked, tr2.GetStreamUriResponse)
                uris.append(await _or_else(_uri_of(answer), ""))
        if addresses.media and not any(uris):
            setup = tt.StreamSetup(
                stream=tt.StreamType.RTP_UNICAST, transport=tt.Transport(protocol=tt.TransportProtocol.HTTP)
            )
            by_media = trt.GetStreamUri(stream_setup=setup, profile_token=profile)
            old = await _or_else(client.at(addresses.media).call(by_media, trt.GetStreamUriResponse), None)
            uris.append(old.media_uri.uri or "" if old is not None else "")
    except OnvifdError as error:
        log.debug("camera tells of no other ways: %s", error.reason)
        return {}
    return dict(found for found in map(_told, uris) if found is not None)


async def _uri_of(answer: Awaitable[tr2.GetStreamUriResponse]) -> str:
    return (await answer).uri or ""


def _told(uri: str) -> tuple[Way, Told] | None:
    try:
        parts = urlsplit(split_credentials(uri.strip())[0])
    except InvalidArgument:
        return None
    if parts.scheme not in _TUNNELS or (parts.scheme == "rtsp" and parts.port in (None, 554)):
        return None
    way, usual = _TUNNELS[parts.scheme]
    return way, Told(parts.port or usual, parts.path + (f"?{parts.query}" if parts.query else ""))


async def _media_snapshot(client: OnvifClient, token: str) -> str:
    answer = await client.call(trt.GetSnapshotUri(profile_token=token), trt.GetSnapshotUriResponse)
    return reachable(answer.media_uri.uri or "", client.url)


def _stream_address(uri: str, asked: str) -> str:
    address = reachable(uri or "", asked)
    if urlsplit(address).scheme not in ("rtsp", "rtsps"):
        raise Unavailable(f"the camera gave {redact(address) or 'nothing'} as stream address")
    return address


def _source(configuration: tt.VideoSourceConfiguration | None) -> str:
    return (configuration.source_token or "") if configuration else ""


def _count(value: int | None) -> int:
    """A number as cameras give it: missing and negative ones are 0."""
    return max(0, int(value or 0))


def _hertz(value: int | None) -> int:
    """Sample rates are kHz by the specification (tt:AudioEncoderConfiguration); some cameras give Hz."""
    rate = _count(value)
    return rate * 1000 if rate < 1000 else rate
