"""A small device held in memory: two cameras, recordings of both, an hour of events. It implements every backend protocol.

Camera one: H.264 main and sub, G.711 audio. Camera two: H.265 main, H.264 sub, no audio. Everything is a plain
attribute, so that a test changes what it needs (`dataclasses.replace`).
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field, replace
from typing import Any

from onvifd.access.types import Level
from onvifd.clock import US
from onvifd.errors import Conflict, InvalidArgument, LimitReached, NotFound
from onvifd.events.types import Event, Operation
from onvifd.media.types import Codec, Kind
from onvifd.onvif.backend import (
    AudioEncoder,
    AudioSource,
    DeviceBackend,
    Identity,
    Interface,
    Job,
    JobSource,
    JobState,
    JobStatus,
    JobTrack,
    MediaBackend,
    MediaModel,
    MediaProfile,
    Network,
    Ports,
    Recording,
    RecordingData,
    RecordingMedia,
    RecordingStatus,
    ReplayBackend,
    Scope,
    SearchBackend,
    SourceKind,
    SourceStatus,
    SystemTime,
    Track,
    TrackData,
    TrackMedia,
    TrackStatus,
    VideoEncoder,
    VideoSource,
)
from onvifd.onvif.recording_backend import (
    ExportBackend,
    ExportSegment,
    ExportState,
    JobSettings,
    RecordingControlBackend,
    RecordingLimits,
    RecordingOptions,
    RecordingSettings,
)

CAM1 = "cam-1a2b3c4d"
CAM2 = "cam-5e6f7a8b"
UUID = "1b4e28ba-2fa1-11d2-883f-b9a761bde3fb"
NOW = 1_767_225_600 * US
"""2026-01-01T00:00:00Z, the present of the sample device."""
BEGIN = NOW - 3600 * US
"""Start of both recordings."""
END2 = NOW - 1800 * US
"""End of the second recording, which is stopped."""

JPEG = base64.b64decode(
    "/9j//gAQTGF2YzYyLjI4LjEwMgD/2wBDAAgEBAQEBAUFBQUFBQYGBgYGBgYGBgYGBgYHBwcICAgHBwcGBgcHCAgICAkJCQgICAgJCQoKCgwMCwsO"
    "Dg4RERT/xABKAAEAAAAAAAAAAAAAAAAAAAAAAQEAAAAAAAAAAAAAAAAAAAAAEAEAAAAAAAAAAAAAAAAAAAAAEQEAAAAAAAAAAAAAAAAAAAAA/8AA"
    "EQgAEAAQAwEiAAIRAAMRAP/aAAwDAQACEQMRAD8AAA//2Q=="
)


def _identity() -> Identity:
    return Identity(
        uuid=UUID,
        manufacturer="Example & Sons",
        model="Sample <1>",
        firmware_version="0.1.0",
        serial_number="SN-0001",
        hardware_id="x86_64",
        name="Sample",
        location="Lab",
    )


def _scopes() -> tuple[Scope, ...]:
    base = "onvif://www.onvif.org/"
    fixed = ("Profile/Streaming", "Profile/G", "Profile/T", "hardware/Sample%20%3C1%3E", "name/Sample")
    return (*(Scope(base + path, True) for path in fixed), Scope(base + "location/country/china", False))


def _network() -> Network:
    return Network(
        hostname="sample",
        search_domains=("example.org",),
        dns_servers=("192.0.2.1", "2001:db8::53"),
        ntp_servers=("192.0.2.2", "pool.example.org"),
        gateways=("192.0.2.254", "fe80::1"),
        interfaces=(
            Interface(
                token="eth0",
                name="eth0",
                mac="02:00:00:00:00:01",
                mtu=1500,
                enabled=True,
                ipv4=(("192.0.2.10", 24),),
                ipv6=(("2001:db8::10", 64), ("fe80::10", 64)),
                dhcp=True,
            ),
            Interface(token="eth1", name="eth1", mac="02:00:00:00:00:02", mtu=None, enabled=False),
        ),
    )


def _video_encoder(camera: str, stream: str, codec: Codec, width: int, height: int, bitrate: int) -> VideoEncoder:
    return VideoEncoder(
        token=f"vec-{camera}-{stream}",
        name=f"{camera} {stream}",
        codec=codec,
        width=width,
        height=height,
        framerate=25.0,
        bitrate=bitrate,
        gov_length=50,
        profile="High" if codec is Codec.H264 else "Main",
        camera=camera,
        stream=stream,
    )


def _profile(camera: str, stream: str, *, audio: bool) -> MediaProfile:
    return MediaProfile(
        token=f"{camera}-{stream}",
        name=f"{camera} {stream}",
        fixed=True,
        video_source=f"vs-{camera}",
        video_encoder=f"vec-{camera}-{stream}",
        audio_source=f"as-{camera}" if audio else None,
        audio_encoder=f"aec-{camera}" if audio else None,
        path=f"/live/{camera}/{stream}",
        snapshot=True,
        camera=camera,
    )


def _video_source(camera: str, name: str) -> VideoSource:
    return VideoSource(
        token=f"vs-{camera}",
        config_token=f"vsc-vs-{camera}",
        name=name,
        width=1920,
        height=1080,
        framerate=25.0,
        camera=camera,
    )


def _media() -> MediaModel:
    return MediaModel(
        video_sources=(_video_source(CAM1, "Door"), _video_source(CAM2, "Yard")),
        video_encoders=(
            _video_encoder(CAM1, "main", Codec.H264, 1920, 1080, 4096),
            _video_encoder(CAM1, "sub", Codec.H264, 640, 360, 512),
            _video_encoder(CAM2, "main", Codec.H265, 1920, 1080, 2048),
            _video_encoder(CAM2, "sub", Codec.H264, 640, 360, 512),
        ),
        audio_sources=(
            AudioSource(token=f"as-{CAM1}", config_token=f"asc-as-{CAM1}", name="Door", channels=1, camera=CAM1),
        ),
        audio_encoders=(
            AudioEncoder(token=f"aec-{CAM1}", name="Door", codec=Codec.PCMU, bitrate=64, sample_rate=8000, camera=CAM1),
        ),
        profiles=(
            _profile(CAM1, "main", audio=True),
            _profile(CAM1, "sub", audio=True),
            _profile(CAM2, "main", audio=False),
            _profile(CAM2, "sub", audio=False),
        ),
    )


VIDEO = Track(token="VIDEO001", kind=Kind.VIDEO, description="Video")
AUDIO = Track(token="AUDIO001", kind=Kind.AUDIO, description="Audio")


def _recording(camera: str, name: str, *tracks: Track) -> Recording:
    return Recording(
        token=f"rec-{camera}",
        source_id=f"vs-{camera}",
        source_name=name,
        source_location="Lab",
        source_description=f"Camera {name}",
        source_address="http://192.0.2.20/onvif/device_service",
        content="Continuous",
        retention=0,
        tracks=tracks,
    )


def _job(camera: str, *tracks: Track) -> Job:
    return Job(
        token=f"job-{camera}",
        recording=f"rec-{camera}",
        active=camera == CAM1,
        priority=1,
        sources=(
            JobSource(
                kind=SourceKind.PROFILE,
                token=f"{camera}-main",
                tracks=tuple(JobTrack(track.token, track.token) for track in tracks),
            ),
        ),
        fixed=True,
    )


def _track_state(camera: str, utc: int, active: bool, operation: Operation = Operation.CHANGED) -> Event:
    return Event(
        topic="RecordingHistory/Track/State",
        utc=utc,
        source=(("RecordingToken", f"rec-{camera}"), ("Track", "VIDEO001")),
        data=(("IsDataPresent", str(active).lower()),),
        operation=operation,
        recording=f"rec-{camera}",
    )


def _motion(camera: str, utc: int, state: bool, operation: Operation = Operation.CHANGED) -> Event:
    return Event(
        topic="VideoSource/MotionAlarm",
        utc=utc,
        source=(("Source", f"vs-{camera}"),),
        data=(("State", str(state).lower()),),
        operation=operation,
        recording=f"rec-{camera}",
    )


def _events() -> tuple[Event, ...]:
    return (
        _track_state(CAM1, BEGIN, True),
        _track_state(CAM2, BEGIN, True),
        _motion(CAM1, BEGIN + 60 * US, True),
        _motion(CAM1, BEGIN + 70 * US, False),
        _motion(CAM2, BEGIN + 90 * US, True),
        _motion(CAM2, BEGIN + 95 * US, False),
        _track_state(CAM2, END2, False),
    )


@dataclass(frozen=True)
class _Scanned:
    found: tuple[Any, ...]
    reached: int


@dataclass
class SampleBody(DeviceBackend, MediaBackend, RecordingControlBackend, ExportBackend, SearchBackend, ReplayBackend):
    """The sample device. `synchronized` lists the profile tokens for which a key frame was asked."""

    identity_: Identity = field(default_factory=_identity)
    scopes_: tuple[Scope, ...] = field(default_factory=_scopes)
    discoverable_: bool = True
    ports_: Ports = field(default_factory=lambda: Ports(http=8080, https=8443, rtsp=8554))
    time_: SystemTime = field(
        default_factory=lambda: SystemTime(
            utc=NOW, timezone="CET-1CEST,M3.5.0,M10.5.0/3", ntp=True, daylight=False, utc_offset=3600
        )
    )
    network_: Network = field(default_factory=_network)
    metadata_: dict[str, list[tuple[int, bytes]]] = field(default_factory=dict)
    """Documents of the metadata track META001 by recording; recordings without them have no such track."""
    users_: tuple[tuple[str, Level], ...] = (("admin", Level.ADMINISTRATOR), ("vms", Level.OPERATOR))
    media_: MediaModel = field(default_factory=_media)
    recordings_: tuple[Recording, ...] = field(
        default_factory=lambda: (_recording(CAM1, "Door", VIDEO, AUDIO), _recording(CAM2, "Yard", VIDEO))
    )
    jobs_: dict[str, Job] = field(
        default_factory=lambda: {job.token: job for job in (_job(CAM1, VIDEO, AUDIO), _job(CAM2, VIDEO))}
    )
    events_: tuple[Event, ...] = field(default_factory=_events)
    replay_timeout_: int = 60
    synchronized: list[str] = field(default_factory=list)

    # ---- device

    def identity(self) -> Identity:
        return self.identity_

    def scopes(self) -> tuple[Scope, ...]:
        return self.scopes_

    def discoverable(self) -> bool:
        return self.discoverable_

    def ports(self) -> Ports:
        return self.ports_

    def system_time(self) -> SystemTime:
        return self.time_

    async def network(self) -> Network:
        return self.network_

    async def users(self) -> tuple[tuple[str, Level], ...]:
        return self.users_

    # ---- media

    def media(self) -> MediaModel:
        return self.media_

    async def snapshot(self, profile_token: str) -> bytes:
        self._profile(profile_token)
        return JPEG

    async def synchronize(self, profile_token: str) -> None:
        self._profile(profile_token)
        self.synchronized.append(profile_token)

    def _profile(self, token: str) -> MediaProfile:
        for profile in self.media_.profiles:
            if profile.token == token:
                return profile
        raise NotFound("There is no such profile.", detail="NoProfile")

    # ---- recording

    def recordings(self) -> tuple[Recording, ...]:
        return self.recordings_

    def jobs(self) -> tuple[Job, ...]:
        return tuple(self.jobs_.values())

    def _job(self, token: str) -> Job:
        try:
            return self.jobs_[token]
        except KeyError:
            raise NotFound("There is no such recording job.", detail="NoRecordingJob") from None

    def job_status(self, token: str) -> JobStatus:
        job = self._job(token)
        state = JobState.ACTIVE if job.active else JobState.IDLE
        return JobStatus(
            job=token,
            recording=job.recording,
            state=state,
            sources=tuple(
                SourceStatus(
                    kind=source.kind,
                    token=source.token,
                    state=state,
                    tracks=tuple(
                        TrackStatus(source_tag=track.source_tag, destination=track.destination, state=state)
                        for track in source.tracks
                    ),
                )
                for source in job.sources
            ),
        )

    async def set_job_mode(self, token: str, active: bool) -> None:
        self.jobs_[token] = replace(self._job(token), active=active)

    def limits(self) -> RecordingLimits:
        return RecordingLimits(recordings=256, jobs=256)

    def options(self, recording: str) -> RecordingOptions:
        jobs = [job for job in self.jobs_.values() if job.recording == recording]
        if not any(each.token == recording for each in self.recordings_):
            raise NotFound("There is no such recording.", detail="NoRecording")
        return RecordingOptions(jobs=0, profiles=tuple(job.profile for job in jobs), tracks={})

    async def create_recording(self, settings: RecordingSettings) -> str:
        raise LimitReached("The sample is full.", detail="MaxRecordings")

    async def delete_recording(self, token: str) -> None:
        raise Conflict("The sample stays as it is.", detail="CannotDelete")

    async def configure_recording(self, token: str, settings: RecordingSettings) -> None:
        raise InvalidArgument("The sample stays as it is.", detail="BadConfiguration")

    async def create_track(self, recording: str, kind: Kind, description: str) -> str:
        raise LimitReached("The sample is full.", detail="MaxTracks")

    async def delete_track(self, recording: str, track: str) -> None:
        raise Conflict("The sample stays as it is.", detail="CannotDelete")

    async def describe_track(self, recording: str, track: str, description: str) -> None:
        raise InvalidArgument("The sample stays as it is.", detail="BadConfiguration")

    async def create_job(self, settings: JobSettings) -> Job:
        raise LimitReached("The sample is full.", detail="MaxRecordingJobs")

    async def configure_job(self, token: str, settings: JobSettings) -> Job:
        raise InvalidArgument("The sample stays as it is.", detail="BadConfiguration")

    async def delete_job(self, token: str) -> None:
        raise Conflict("The sample stays as it is.", detail="CannotDelete")

    # ---- export

    def formats(self) -> tuple[str, ...]:
        return ("MP4",)

    async def segments(
        self, recording: str, start: int, end: int, limit: int
    ) -> tuple[tuple[ExportSegment, ...], bool]:
        return (), False

    async def export_segments(
        self, recording: str, start: int, end: int, *, alias: str | None, storage: str | None, kind: Kind | None
    ) -> str:
        raise InvalidArgument("The sample has no storage.", detail="InvalidStorage")

    async def stop_segments(self, operation: str) -> None:
        raise NotFound("There is no such operation.", detail="NoOperation")

    async def export_data(
        self, recordings: tuple[str, ...], start: int | None, end: int | None, *, format: str, storage: str, path: str
    ) -> tuple[str, tuple[str, ...]]:
        raise InvalidArgument("The sample has no storage.", detail="BadConfiguration")

    async def stop_data(self, operation: str) -> ExportState:
        return self.data_state(operation)

    def data_state(self, operation: str) -> ExportState:
        raise NotFound("There is no such operation.", detail="BadConfiguration")

    # ---- search

    def _named(self, tokens: tuple[str, ...]) -> tuple[Recording, ...]:
        known = {recording.token: recording for recording in self.recordings_}
        if missing := [token for token in tokens if token not in known]:
            raise NotFound(f"There is no recording {missing[0]!r}.", detail="InvalidToken")
        return tuple(known[token] for token in tokens)

    def _until(self, recording: Recording) -> int:
        return NOW if recording.token == f"rec-{CAM1}" else END2

    async def recording_data(self, tokens: tuple[str, ...] | None = None) -> tuple[RecordingData, ...]:
        return tuple(
            RecordingData(
                recording=recording,
                status=RecordingStatus.RECORDING if self._until(recording) == NOW else RecordingStatus.STOPPED,
                earliest=BEGIN,
                latest=self._until(recording),
                tracks=tuple(
                    TrackData(
                        token=track.token,
                        kind=track.kind,
                        description=track.description,
                        data_from=BEGIN,
                        data_to=self._until(recording),
                    )
                    for track in (*recording.tracks, *self._metadata_track(recording.token))
                ),
            )
            for recording in (self.recordings_ if tokens is None else self._named(tokens))
        )

    def _metadata_track(self, recording: str) -> tuple[Track, ...]:
        if recording not in self.metadata_:
            return ()
        return (Track(token="META001", kind=Kind.METADATA, description="Metadata"),)

    async def media_attributes(self, tokens: tuple[str, ...], at: int) -> tuple[RecordingMedia, ...]:
        return tuple(
            RecordingMedia(
                recording=recording.token,
                start=BEGIN,
                until=self._until(recording),
                tracks=tuple(self._track_media(recording, track) for track in recording.tracks),
            )
            for recording in self._named(tokens)
            if BEGIN <= at <= self._until(recording)
        )

    def _track_media(self, recording: Recording, track: Track) -> TrackMedia:
        video = track.kind is Kind.VIDEO
        h265 = recording.token == f"rec-{CAM2}"
        return TrackMedia(
            token=track.token,
            kind=track.kind,
            description=track.description,
            data_from=BEGIN,
            data_to=self._until(recording),
            codec=(Codec.H265 if h265 else Codec.H264) if video else Codec.PCMU,
            width=1920 if video else 0,
            height=1080 if video else 0,
            framerate=25.0 if video else 0.0,
            bitrate=4096 if video else 64,
            sample_rate=0 if video else 8000,
        )

    async def events(
        self,
        *,
        start: int,
        end: int | None,
        recordings: frozenset[str],
        backward: bool,
        limit: int,
        topics: Any = None,
    ) -> tuple[tuple[str, Event], ...]:
        chosen = [
            (event.recording, event)
            for event in self.events_
            if event.recording in recordings
            and start <= event.utc
            and (end is None or event.utc <= end)
            and (topics is None or topics(event.topic))
        ]
        chosen.sort(key=lambda pair: pair[1].utc, reverse=backward)
        return tuple(chosen[:limit])

    async def scan_metadata(self, recording: str, start: int, end: int, take: Any, *, backward: bool) -> Any:
        """One document at a time, so that searches need many steps."""
        known = [each for each in self.metadata_.get(recording, ()) if start <= each[0] <= end]
        if not known:
            return _Scanned((), start if backward else end)
        utc, document = known[-1] if backward else known[0]
        taken = take(utc, document)
        return _Scanned(() if taken is None else ((utc, taken),), utc)

    async def states_at(self, at: int, recordings: frozenset[str]) -> tuple[tuple[str, Event], ...]:
        last: dict[object, Event] = {}
        for event in self.events_:
            if event.recording in recordings and event.utc <= at:
                last[event.instance] = event
        return tuple(
            (
                event.recording,
                Event(
                    topic=event.topic,
                    utc=at,
                    source=event.source,
                    key=event.key,
                    data=event.data,
                    operation=Operation.INITIALIZED,
                    recording=event.recording,
                ),
            )
            for event in last.values()
        )

    # ---- replay

    def replay_path(self, recording: str) -> str:
        if not any(known.token == recording for known in self.recordings_):
            raise NotFound("There is no such recording.", detail="NoRecording")
        return f"/replay/{recording}"

    def replay_timeout(self) -> int:
        return self.replay_timeout_

    async def set_replay_timeout(self, seconds: int) -> None:
        self.replay_timeout_ = seconds
