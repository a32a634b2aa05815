"""Probing a camera: what it is, what it streams, and which of its streams the recorder takes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

import aiohttp

from onvifd.cameras import onvif_driver, rtsp_driver
from onvifd.cameras.camera_events import CameraListener
from onvifd.cameras.event_feed import CameraEventFeed, MotionCallback
from onvifd.cameras.event_scope import EventScope
from onvifd.cameras.probe import CameraProbe
from onvifd.cameras.registry import Camera, Credentials, Driver, NewCamera, Role, Stream, redact, split_credentials
from onvifd.cameras.talkback import talk_formats
from onvifd.cameras.ways import Asker, Reach, Told, reception_of
from onvifd.clock import Clock, SystemClock
from onvifd.errors import InvalidArgument, OnvifdError, Timeout, Unavailable
from onvifd.media.types import Codec, Kind, TrackFormat
from onvifd.onvif.client import OnvifClient
from onvifd.rtsp.client_session import secured
from onvifd.rtsp.client_transport import Way

log = logging.getLogger(__name__)

DEVICE_PATH = "/onvif/device_service"
PROBE_TIMEOUT = 45.0
"""Seconds for a whole probe; a camera of eight profiles needs some thirty requests."""
DESCRIBE_TIMEOUT = 8.0
SUB_PIXELS = 640 * 360
"""The sub stream serves tiles and motion detection: the nearest to this size is taken."""

_RECORDABLE = (Codec.H264, Codec.H265, Codec.MPEG4)
_RELAYED = (*_RECORDABLE, Codec.JPEG, Codec.OTHER_VIDEO)
"""What is taken of a camera that gives nothing better: it can be watched."""


def full_address(address: str) -> str:
    """A person's shorthand as a URL: `192.0.2.7` or `camera.local:8000` is an ONVIF camera at the usual path."""
    address = address.strip()
    if "://" not in address:
        address = f"http://{address}"
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https", "rtsp", "rtsps"):
        raise InvalidArgument(f"addresses that begin with {parts.scheme}:// are not supported")
    if parts.scheme in ("http", "https") and parts.path in ("", "/"):
        address = parts._replace(path=DEVICE_PATH).geturl()
    return address


def asker(address: str, credentials: Credentials | None = None, reach: Reach | None = None) -> Asker:
    """Who asks the camera at `address` for descriptions of its streams, by the ways that `reach` allows."""
    url, login = split_credentials(full_address(address))
    user, password = (who.user, who.password) if (who := credentials or login) else ("", "")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        return Asker(user, password, reach)

    async def advertised(profile: str) -> Mapping[Way, Told]:
        async with aiohttp.ClientSession() as session:
            client = OnvifClient(url, user, password, session, clock=SystemClock())
            return await onvif_driver.ways_told(client, profile)

    web = {Way.HTTP: parts.port or 80} if parts.scheme == "http" else {Way.HTTPS: parts.port or 443}
    return Asker(user, password, reach, advertised=advertised, web=web)


async def probe(
    address: str, credentials: Credentials | None = None, *, clock: Clock | None = None, ask: Asker | None = None
) -> CameraProbe:
    """Ask a camera what it is and what it streams; `rtsp://` addresses are described (by `ask`), others are asked by ONVIF.

    Raises NotAuthorized, Unavailable, Timeout, NotSupported (no media service) or InvalidArgument.
    """
    url, login = split_credentials(full_address(address))
    credentials = credentials or login
    try:
        async with asyncio.timeout(PROBE_TIMEOUT):
            if urlsplit(url).scheme in ("rtsp", "rtsps"):
                return await rtsp_driver.probe(url, ask or asker(url, credentials))
            async with aiohttp.ClientSession() as session:
                return await onvif_driver.probe(url, credentials, session, clock or SystemClock())
    except TimeoutError:
        raise Timeout(f"{redact(url)} did not answer all questions within {PROBE_TIMEOUT:g} s") from None


def choose(found: CameraProbe, source: str | None = None) -> tuple[Stream, ...]:
    """Main and sub stream of one video source (the first, if `source` is None). Raises Unavailable if there is none.

    Main is the largest picture that can be recorded, of H.264 and H.265 before others. Sub is, of those that are smaller, the
    nearest to 640x360.
    """
    for codecs in ((Codec.H264, Codec.H265), _RECORDABLE, _RELAYED):
        sources = [stream.video_source for stream in found.streams if stream.stream.video_codec in codecs]
        if source in sources or (source is None and sources):
            break
    else:
        which = "" if source is None else f" of video source {source}"
        raise Unavailable(f"the camera has no stream that can be used{which}")
    wanted = sources[0] if source is None else source
    usable = [one.stream for one in found.streams if one.video_source == wanted and one.stream.video_codec in codecs]
    main = max(usable, key=_pixels)
    others = [one for one in usable if one.uri != main.uri and 0 < _pixels(one) < _pixels(main)]
    streams = [replace(main, role=Role.MAIN)]
    if others:
        sub = min(others, key=lambda one: abs(_pixels(one) - SUB_PIXELS))
        streams.append(replace(sub, role=Role.SUB))
    return tuple(streams)


def _pixels(stream: Stream) -> int:
    return stream.width * stream.height


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamCheck:
    """What DESCRIBE said of a stream; `problem` is empty when all is well, `stream` has what was learned, `reach` the way."""

    stream: Stream
    problem: str = ""
    reach: Reach = field(default_factory=Reach)
    skipped: tuple[str, ...] = field(default=())
    """Tracks that the recorder cannot take, in the camera's words."""


async def check_streams(streams: Sequence[Stream], ask: Asker | Sequence[Asker]) -> tuple[StreamCheck, ...]:
    """Describe every stream at the camera: the SDP tells codecs that the ONVIF configuration leaves open.

    `ask` is one for all or one for each. The first stream is asked before the others, which come by the same way.
    """
    asks = [ask] * len(streams) if isinstance(ask, Asker) else ask
    checks = [await _check(stream, each) for stream, each in zip(streams[:1], asks, strict=False)]
    rest = zip(streams[1:], asks[1:], strict=True)
    return (*checks, *await asyncio.gather(*(_check(stream, each) for stream, each in rest)))


async def _check(stream: Stream, ask: Asker) -> StreamCheck:
    try:
        described = await rtsp_driver.describe_stream(ask, stream.uri, stream.source_profile, DESCRIBE_TIMEOUT)
    except OnvifdError as error:
        return StreamCheck(stream=stream, problem=error.reason)
    reach, stream = described.reach, replace(stream, uri=described.url)
    video = next((track for track in described.formats if track.kind is Kind.VIDEO), None)
    if video is None:
        return StreamCheck(stream=stream, problem="the stream has no video", reach=reach, skipped=described.skipped)
    found = rtsp_driver.refine(stream, described.formats)
    return StreamCheck(stream=found, reach=reach, skipped=described.skipped)


async def prepare(
    address: str,
    credentials: Credentials | None = None,
    *,
    name: str = "",
    sub_address: str = "",
    source: str | None = None,
    clock: Clock | None = None,
    reach: Reach | None = None,
) -> NewCamera:
    """Probe a camera, choose its streams and describe them: what `Registry.add` takes.

    `sub_address` gives a plain RTSP camera its sub stream. `reach` says by which ways it may be asked; the one that was
    answered is how its streams are received. Raises what `probe` and `choose` raise, and Unavailable if the main stream cannot
    be described.
    """
    url, login = split_credentials(full_address(address))
    credentials = credentials or login
    ask = asker(url, credentials, reach)
    found = await probe(url, credentials, clock=clock, ask=ask)
    streams = list(choose(found, source))
    if sub_address and found.driver is Driver.RTSP:
        streams = [streams[0], Stream(role=Role.SUB, uri=split_credentials(sub_address)[0])]
    checks = await check_streams(streams, ask)
    if checks[0].problem:
        raise Unavailable(f"the main stream cannot be used: {checks[0].problem}")
    kept, receptions = [], []
    for check in checks:
        if check.problem:
            log.warning("%s stream of %s is left out: %s", check.stream.role, redact(url), check.problem)
        else:
            kept.append(check.stream)
            receptions.append(reception_of(check.reach, "", check.stream.role))
    return NewCamera(
        talk=await talk(kept[0], credentials, checks[0].reach),
        receptions=tuple(receptions),
        name=name or found.name or urlsplit(url).hostname or "camera",
        driver=found.driver,
        address=url,
        credentials=credentials,
        streams=tuple(kept),
        manufacturer=found.manufacturer,
        model=found.model,
        firmware=found.firmware,
        serial=found.serial,
        event_address=found.event_address,
    )


async def talk(stream: Stream, credentials: Credentials | None, reach: Reach | None = None) -> tuple[TrackFormat, ...]:
    """What the camera's loudspeaker decodes: the description of its main stream tells it, whatever its configuration says.

    Empty for a camera that cannot be talked to.
    """
    user, password = (credentials.user, credentials.password) if credentials else ("", "")
    reach = reach or Reach()
    way = reach.concrete()
    url = secured(stream.uri) if way is Way.RTSPS else stream.uri
    try:
        return await talk_formats(url, user, password, DESCRIBE_TIMEOUT, reach.options(way))
    except OnvifdError as error:
        # RTSP servers that do not know the feature refuse the request (Streaming 5.3.2), in one way or another.
        log.debug("%s has no back channel: %s", redact(stream.uri), error.reason)
        return ()


def event_feed(
    camera: Camera,
    session: aiohttp.ClientSession,
    on_motion: MotionCallback,
    clock: Clock,
    listener: CameraListener | None = None,
) -> CameraEventFeed | None:
    """The feed of a camera's events, not started; None for a camera without an event service."""
    if camera.driver is not Driver.ONVIF or not camera.event_address:
        return None
    login = camera.credentials or Credentials(user="", password="")

    def connect() -> OnvifClient:
        return OnvifClient(camera.address, login.user, login.password, session, clock=clock)

    profiles = frozenset(stream.source_profile for stream in camera.streams if stream.source_profile)

    async def scope() -> EventScope | None:
        return await onvif_driver.event_scope(connect(), profiles)

    return CameraEventFeed(
        camera.id,
        camera.event_address,
        connect,
        on_motion,
        clock,
        rewrite=onvif_driver.reachable,
        listener=listener,
        scope=scope if profiles else None,
    )
