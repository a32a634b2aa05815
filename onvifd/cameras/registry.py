"""Cameras as configured, and what is made with each: streams, profiles, recording, tracks, job.

All tokens derive from the camera's id, which never changes and is never reused. Passwords, in whatever place of a URL they
stand, are stored encrypted; what is stored, shown and logged in clear is free of them.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from onvifd.access.keyfile import SecretBox
from onvifd.cameras.urls import HIDDEN as HIDDEN
from onvifd.cameras.urls import redact as redact
from onvifd.clock import Clock
from onvifd.errors import Conflict, InvalidArgument, OnvifdError
from onvifd.media.types import Codec, Kind, PtzPart, TrackFormat
from onvifd.store.cameras import Parts
from onvifd.store.catalogue import Catalogue
from onvifd.store.policies import OFF
from onvifd.store.receptions import ReceptionRow
from onvifd.store.rows import CameraRow, JobRow, JobSourceRow, PolicyRow, ProfileRow, RecordingRow, StreamRow, TrackRow

log = logging.getLogger(__name__)

MAX_CAMERAS = 256
MAX_NAME = 63
MAX_URL = 2048

VIDEO_TRACK = "VIDEO001"
AUDIO_TRACK = "AUDIO001"
METADATA_TRACK = "META001"

PROFILE_SOURCE = "profile"
"""Kind of a job's source: a media profile of the recorder."""


class Driver(StrEnum):
    """How the recorder talks to a camera."""

    ONVIF = "onvif"
    RTSP = "rtsp"


class Role(StrEnum):
    """Which encoding a stream is."""

    MAIN = "main"
    SUB = "sub"


def profile_token(camera: str, role: str) -> str:
    return f"{camera}-{role}"


def recording_token(camera: str, role: str = "main") -> str:
    return f"rec-{camera}" if role == "main" else f"rec-{camera}-{role}"


def job_token(camera: str, role: str = "main") -> str:
    return f"job-{camera}" if role == "main" else f"job-{camera}-{role}"


def source_token(camera: str) -> str:
    """Video source of a camera; also the SourceId of its recording."""
    return f"vs-{camera}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A login at a camera."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One encoding of a camera, as last probed; numbers are 0 and codecs None until known.

    `uri` is the RTSP URL without user and password, unless the camera wants them within path or query (so it is not shown).
    `bitrate` and `audio_bitrate` are kbit/s, `sample_rate` is Hz, `gov_length` is frames. `quality` is in the camera's own range,
    None where it says nothing. `ptz` is what its metadata track was seen to tell.
    """

    role: Role
    uri: str = field(repr=False)
    source_profile: str = ""
    snapshot_uri: str = field(default="", repr=False)
    video_codec: Codec | None = None
    width: int = 0
    height: int = 0
    framerate: float = 0.0
    bitrate: int = 0
    gov_length: int = 0
    encoder_profile: str = ""
    audio_codec: Codec | None = None
    sample_rate: int = 0
    audio_channels: int = 0
    audio_bitrate: int = 0
    quality: float | None = None
    ptz: frozenset[PtzPart] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCamera:
    """A camera to add. `address` may carry credentials; they are split off unless `credentials` are given. `record` is whether
    its main stream is recorded from the beginning. `receptions` are how its streams are received; the camera is filled in."""

    name: str
    driver: Driver
    address: str = field(repr=False)
    streams: tuple[Stream, ...]
    credentials: Credentials | None = None
    enabled: bool = True
    record: bool = True
    manufacturer: str = ""
    model: str = ""
    firmware: str = ""
    serial: str = ""
    event_address: str = ""
    talk: tuple[TrackFormat, ...] = ()
    receptions: tuple[ReceptionRow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """A camera of the recorder. `address` is as the camera wants it; show `shown_address` to people. `talk` is what its
    loudspeaker decodes, empty for one that cannot be talked to."""

    id: str
    channel: int
    name: str
    driver: Driver
    address: str = field(repr=False)
    streams: tuple[Stream, ...]
    credentials: Credentials | None
    enabled: bool
    manufacturer: str
    model: str
    firmware: str
    serial: str
    event_address: str
    created: int
    talk: tuple[TrackFormat, ...] = ()

    @property
    def main(self) -> Stream:
        return self.streams[0]

    @property
    def sub(self) -> Stream | None:
        return next((stream for stream in self.streams if stream.role is Role.SUB), None)

    @property
    def shown_address(self) -> str:
        return redact(self.address)


def split_credentials(url: str) -> tuple[str, Credentials | None]:
    """A URL without its userinfo, and the login that stood there (RFC 3986 section 3.2.1). Raises InvalidArgument."""
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidArgument("the address is not a URL") from error
    if not host or len(url) > MAX_URL or any(ord(one) < 33 for one in url):
        raise InvalidArgument("the address is not a URL with a host")
    userinfo, at, location = parts.netloc.rpartition("@")
    clean = urlunsplit(parts._replace(netloc=location, fragment=""))
    if not at:
        return clean, None
    user, _, password = userinfo.partition(":")
    return clean, Credentials(user=unquote(user), password=unquote(password))


class Registry:
    """Reads and changes cameras. All methods block and belong in a thread; every change bumps the catalogue's revision."""

    def __init__(self, catalogue: Catalogue, box: SecretBox, clock: Clock, *, limit: int = MAX_CAMERAS) -> None:
        self._catalogue = catalogue
        self._box = box
        self._clock = clock
        self._limit = limit

    def all(self) -> tuple[Camera, ...]:
        """In channel order. A camera whose login the key file does not open is left out and logged."""
        found = []
        talk = self._catalogue.loudspeakers.all()
        for row in self._catalogue.cameras.all():
            try:
                found.append(replace(self._camera(row), talk=talk.get(row.id, ())))
            except OnvifdError as error:
                log.error("camera %s (%s) cannot be used: %s", row.id, row.name, error)
        return tuple(found)

    def get(self, camera: str) -> Camera:
        """Raises NotFound (NoSource)."""
        return self._whole(self._catalogue.cameras.get(camera))

    def find(self, which: str) -> Camera:
        """By id, channel number or name. Raises NotFound, or Conflict if several have the name."""
        rows = self._catalogue.cameras.all()
        named = [row for row in rows if which in (row.id, str(row.channel))] or [
            row for row in rows if row.name == which
        ]
        if len(named) > 1:
            raise Conflict(f"{len(named)} cameras have the name {which}: give the id")
        return self._whole(named[0]) if named else self.get(which)

    def add(self, new: NewCamera) -> Camera:
        """Add a camera with all that belongs to it. Raises InvalidArgument, Conflict (same stream twice) or LimitReached."""
        clean, login = split_credentials(new.address)
        streams = _checked(new.streams)
        known = {stream.uri: camera for camera in self.all() for stream in camera.streams}
        for stream in streams:
            if stream.uri in known:
                raise Conflict(f"camera {known[stream.uri].id} has the stream {redact(stream.uri)} already")
        camera = Camera(
            id=f"cam-{secrets.token_hex(4)}",
            channel=0,
            name=_checked_name(new.name),
            driver=new.driver,
            address=clean,
            streams=streams,
            credentials=new.credentials or login,
            enabled=new.enabled,
            manufacturer=new.manufacturer[:255],
            model=new.model[:255],
            firmware=new.firmware[:255],
            serial=new.serial[:255],
            event_address=split_credentials(new.event_address)[0] if new.event_address else "",
            created=self._clock.utc(),
        )
        row, profiles, recording, job = self._rows(camera)
        parts = (row, profiles, recording, replace(job, active=new.record))
        policies = (PolicyRow(camera=camera.id, stream=Role.MAIN.value, mode="auto" if new.record else OFF),)
        row = self._catalogue.cameras.add(*parts, limit=self._limit, policies=policies)
        self._catalogue.loudspeakers.put(row.id, new.talk)
        self._catalogue.receptions.put(row.id, new.receptions)
        log.info("camera %s added as channel %d: %s at %s", row.id, row.channel, row.name, row.address)
        return replace(self._camera(row), talk=new.talk)

    def update(self, camera: Camera) -> Camera:
        """Store a changed camera (same id). Raises NotFound or InvalidArgument."""
        return self.change(camera.id, lambda _known: camera)

    def change(self, camera: str, work: Callable[[Camera], Camera]) -> Camera:
        """Store what `work` makes of a camera as it is, so that no change of another process is lost.

        `work` may run more than once; what it leaves equal is not stored. Raises NotFound or InvalidArgument.
        """

        changed = False

        def rows(row: CameraRow) -> Parts | None:
            nonlocal changed
            known = self._camera(row)
            wanted = replace(_cleaned(work(known)), talk=())  # that is kept by learn_talk
            changed = wanted != known
            return self._rows(wanted) if changed else None

        row = self._catalogue.cameras.change(camera, rows)
        if changed:
            log.info("camera %s changed: %s at %s", row.id, row.name, row.address)
        return self._whole(row)

    def modes(self) -> dict[str, str]:
        """How the main stream of each camera is recorded: auto, manual or off."""
        return {row.camera: row.mode for row in self._catalogue.policies.all() if row.stream == Role.MAIN}

    def learn(self, camera: str, role: str, formats: Sequence[TrackFormat]) -> None:
        """Remember what a stream was seen to carry. Raises NotFound."""

        def work(known: Camera) -> Camera:
            streams = tuple(_seen(stream, formats) if stream.role == role else stream for stream in known.streams)
            return replace(known, streams=streams)

        self.change(camera, work)

    def remove(self, camera: str) -> None:
        """Remove a camera. Its recording stays and can be searched and replayed. Raises NotFound."""
        self._catalogue.cameras.remove(camera)
        log.info("camera %s removed", camera)

    def _rows(self, camera: Camera) -> Parts:
        row = CameraRow(
            id=camera.id,
            channel=camera.channel,
            name=camera.name,
            driver=camera.driver.value,
            address=redact(camera.address),
            credentials=self._seal(camera),
            enabled=camera.enabled,
            manufacturer=camera.manufacturer,
            model=camera.model,
            firmware=camera.firmware,
            serial=camera.serial,
            event_address=redact(camera.event_address),
            created=camera.created,
            streams=tuple(_stream_row(camera.id, stream) for stream in camera.streams),
        )
        profiles = [
            ProfileRow(
                token=profile_token(camera.id, stream.role),
                camera=camera.id,
                role=stream.role.value,
                name=f"{camera.name} {stream.role.value}",
            )
            for stream in camera.streams
        ]
        recording = recording_row(camera, Role.MAIN)
        job = job_row(camera, recording)
        return row, profiles, recording, job

    def _seal(self, camera: Camera) -> bytes | None:
        """Login and the URLs that hold secrets, as one encrypted blob; None if there are neither."""
        urls = {"address": camera.address, "event_address": camera.event_address}
        for stream in camera.streams:
            urls |= {f"{stream.role}.uri": stream.uri, f"{stream.role}.snapshot_uri": stream.snapshot_uri}
        secret: dict[str, Any] = {"urls": {key: url for key, url in urls.items() if redact(url) != url}}
        if camera.credentials is not None:
            secret |= {"user": camera.credentials.user, "password": camera.credentials.password}
        if camera.credentials is None and not secret["urls"]:
            return None
        return self._box.seal(json.dumps(secret), f"camera:{camera.id}")

    def _whole(self, row: CameraRow) -> Camera:
        return replace(self._camera(row), talk=self._catalogue.loudspeakers.all().get(row.id, ()))

    def learn_talk(self, camera: str, formats: tuple[TrackFormat, ...]) -> None:
        """Remember what the loudspeaker of a camera decodes; nothing for a camera that has none. Raises NotFound."""
        self._catalogue.loudspeakers.put(camera, formats)

    def _camera(self, row: CameraRow) -> Camera:
        """All but what it decodes."""
        secret = json.loads(self._box.open(row.credentials, f"camera:{row.id}")) if row.credentials else {"urls": {}}
        urls: dict[str, str] = secret["urls"]
        return Camera(
            id=row.id,
            channel=row.channel,
            name=row.name,
            driver=Driver(row.driver),
            address=urls.get("address", row.address),
            streams=tuple(_stream(stream, urls) for stream in row.streams),
            credentials=Credentials(user=secret["user"], password=secret["password"]) if "user" in secret else None,
            enabled=row.enabled,
            manufacturer=row.manufacturer,
            model=row.model,
            firmware=row.firmware,
            serial=row.serial,
            event_address=urls.get("event_address", row.event_address),
            created=row.created,
        )


def _cleaned(camera: Camera) -> Camera:
    """A camera as it may be stored. Raises InvalidArgument."""
    clean, login = split_credentials(camera.address)
    return replace(
        camera,
        name=_checked_name(camera.name),
        address=clean,
        credentials=login or camera.credentials,
        streams=_checked(camera.streams),
    )


def _seen(stream: Stream, formats: Sequence[TrackFormat]) -> Stream:
    """A stream's configuration with what it was seen to carry."""
    video = next((each for each in formats if each.kind is Kind.VIDEO), None)
    audio = next((each for each in formats if each.kind is Kind.AUDIO), None)
    if video is not None:
        stream = replace(stream, video_codec=video.codec, width=video.width, height=video.height)
    if audio is None:
        return replace(stream, audio_codec=None, sample_rate=0, audio_channels=0)
    return replace(stream, audio_codec=audio.codec, sample_rate=audio.clock_rate, audio_channels=max(1, audio.channels))


def _checked_name(name: str) -> str:
    name = " ".join(name.split())
    if not name or len(name) > MAX_NAME - len(" main"):
        raise InvalidArgument(f"the name of a camera has 1 to {MAX_NAME - len(' main')} characters")
    return name


def _checked(streams: Sequence[Stream]) -> tuple[Stream, ...]:
    """Streams in order of role, free of userinfo, each role at most once and main always."""
    order = sorted(streams, key=lambda stream: list(Role).index(stream.role))
    roles = [stream.role for stream in order]
    if not roles or roles[0] is not Role.MAIN or len(set(roles)) != len(roles):
        raise InvalidArgument("a camera has one main stream and at most one sub stream")
    clean = []
    for stream in order:
        uri = split_credentials(stream.uri)[0]
        if urlsplit(uri).scheme not in ("rtsp", "rtsps"):
            raise InvalidArgument(f"{redact(uri)} is not an rtsp:// URL")
        snapshot = split_credentials(stream.snapshot_uri)[0] if stream.snapshot_uri else ""
        clean.append(replace(stream, uri=uri, snapshot_uri=snapshot))
    return tuple(clean)


def recording_row(camera: Camera, role: Role) -> RecordingRow:
    """The recording of a camera's stream as it is to be in the catalogue, with the tracks that the stream fills."""
    token = recording_token(camera.id, role)
    stream = next((each for each in camera.streams if each.role is role), camera.main)
    tracks = [TrackRow(recording=token, token=VIDEO_TRACK, kind=Kind.VIDEO.value, description=f"{camera.name} video")]
    if stream.audio_codec is not None:
        tracks.append(
            TrackRow(recording=token, token=AUDIO_TRACK, kind=Kind.AUDIO.value, description=f"{camera.name} audio")
        )
    tracks.append(
        TrackRow(recording=token, token=METADATA_TRACK, kind=Kind.METADATA.value, description=f"{camera.name} events")
    )
    return RecordingRow(
        token=token,
        camera=camera.id,
        source_id=source_token(camera.id),
        source_name=camera.name,
        source_description=f"{camera.manufacturer} {camera.model}".strip()[:255],
        source_address=camera.shown_address,
        content=f"{camera.name} {role.value} stream",
        role=role.value,
        tracks=tuple(tracks),
    )


def job_row(camera: Camera, recording: RecordingRow) -> JobRow:
    """The job that fills a camera's recording from the profile of the same stream."""
    source = JobSourceRow(
        kind=PROFILE_SOURCE,
        token=profile_token(camera.id, recording.role),
        tracks=tuple((track.token, track.token) for track in recording.tracks),
    )
    return JobRow(
        token=job_token(camera.id, recording.role),
        recording=recording.token,
        camera=camera.id,
        sources=(source,),
    )


def _stream_row(camera: str, stream: Stream) -> StreamRow:
    return StreamRow(
        camera=camera,
        role=stream.role.value,
        uri=redact(stream.uri),
        source_profile=stream.source_profile,
        snapshot_uri=redact(stream.snapshot_uri),
        video_codec=stream.video_codec.value if stream.video_codec else "",
        width=stream.width,
        height=stream.height,
        framerate=stream.framerate,
        bitrate=stream.bitrate,
        gov_length=stream.gov_length,
        encoder_profile=stream.encoder_profile[:16],
        audio_codec=stream.audio_codec.value if stream.audio_codec else "",
        sample_rate=stream.sample_rate,
        audio_channels=stream.audio_channels,
        audio_bitrate=stream.audio_bitrate,
        quality=stream.quality,
        ptz=" ".join(sorted(stream.ptz)),
    )


def _stream(row: StreamRow, urls: dict[str, str]) -> Stream:
    return Stream(
        role=Role(row.role),
        uri=urls.get(f"{row.role}.uri", row.uri),
        source_profile=row.source_profile,
        snapshot_uri=urls.get(f"{row.role}.snapshot_uri", row.snapshot_uri),
        video_codec=Codec(row.video_codec) if row.video_codec else None,
        width=row.width,
        height=row.height,
        framerate=row.framerate,
        bitrate=row.bitrate,
        gov_length=row.gov_length,
        encoder_profile=row.encoder_profile,
        audio_codec=Codec(row.audio_codec) if row.audio_codec else None,
        sample_rate=row.sample_rate,
        audio_channels=row.audio_channels,
        audio_bitrate=row.audio_bitrate,
        quality=row.quality,
        ptz=frozenset(map(PtzPart, row.ptz.split())),
    )
