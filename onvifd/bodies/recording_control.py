"""Recordings and their jobs: what clients configure of them, what is taken from where, and the states that follow.

It lives on control's event loop; what the catalogue holds is read by `read_tables` and taken over by `configure`.
Implements RecordingControlBackend.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from onvifd.archive.index import SegmentStore
from onvifd.bodies.receivers import Receivers
from onvifd.bodies.recording_checks import check_settings, checked_sources
from onvifd.bodies.recording_plan import Feed, SourceKey, Take, Written, job_status, takes
from onvifd.bodies.recording_tables import Tables, to_job, to_recording, to_row
from onvifd.cameras.registry import AUDIO_TRACK, METADATA_TRACK, VIDEO_TRACK
from onvifd.clock import Clock
from onvifd.errors import Conflict, InvalidArgument, LimitReached, NotFound
from onvifd.events import topics
from onvifd.events.bus import EventBus
from onvifd.media.types import Kind
from onvifd.onvif.backend import (
    Job,
    JobSource,
    JobState,
    JobStatus,
    Recording,
    SourceKind,
    Track,
)
from onvifd.onvif.recording_backend import JobSettings, RecordingLimits, RecordingOptions, RecordingSettings
from onvifd.store.catalogue import Catalogue
from onvifd.store.rows import JobRow, JobSourceRow, ReceiverRow, RecordingRow, TrackRow
from onvifd.workers.messages import CameraState, RecordingState

log = logging.getLogger(__name__)

TRACKS: Mapping[Kind, str] = {Kind.VIDEO: VIDEO_TRACK, Kind.AUDIO: AUDIO_TRACK, Kind.METADATA: METADATA_TRACK}
"""A recording has at most one track of a kind: all its footage comes from one stream at a time."""
KINDS = {Kind.VIDEO: "video", Kind.AUDIO: "audio", Kind.METADATA: "metadata"}
JOBS_PER_RECORDING = 8
DYNAMIC = 64
"""Recordings that clients can make besides two for each camera."""


class Change(Protocol):
    """Changes the catalogue in a thread, one at a time, and has everybody take over what it says then."""

    def __call__(self, call: Callable[..., Any], *args: Any, **named: Any) -> Awaitable[Any]: ...


class Streams(Protocol):
    """What is known of the streams of cameras (bodies.recorder.Recorder)."""

    def profile_feeds(self) -> Mapping[str, Feed]:
        """By profile token, all profiles of the recorder."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlActions:
    """What recording control asks of the rest of control."""

    change: Change
    set_record: Callable[[str, str, bool], Awaitable[None]]
    """Camera, stream and mode: persist the mode of the camera's own job."""
    purge: Callable[[str], None]
    """A recording was deleted: its footage is to go."""
    replanned: Callable[[], None]
    """What is taken from where has changed."""
    written: Callable[[Recording, Sequence[str]], None] = lambda recording, tracks: None
    """Tracks that a worker writes."""


class RecordingControl:
    """One per recorder. `retention` is that of recordings for which no client has set one, seconds. `no_storage` says why
    nothing can be recorded at all. `storages` are the storage configurations by token, `segment` is the length of segments in
    seconds."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        segments: SegmentStore,
        streams: Streams,
        receivers: Receivers,
        bus: EventBus,
        clock: Clock,
        actions: ControlActions,
        retention: int = 0,
        cameras: int = 256,
        no_storage: str = "",
        storages: Callable[[], Awaitable[Mapping[str, object]]] | None = None,
        segment: int = 60,
    ) -> None:
        self._catalogue = catalogue
        self._segments = segments
        self._streams = streams
        self._receivers = receivers
        self._bus = bus
        self._clock = clock
        self._actions = actions
        self._retention = retention
        recordings = 2 * cameras + DYNAMIC
        self._limits = RecordingLimits(recordings=recordings, jobs=2 * recordings)
        self._no_storage = no_storage
        self.reason_for: Callable[[str], str] = lambda recording: ""
        """Why a recording can be stored nowhere now; empty if it can."""
        self._storages = storages
        self._segment = segment
        self._rows: dict[str, RecordingRow] = {}
        self._recordings: dict[str, Recording] = {}
        self._jobs: dict[str, Job] = {}
        self._owners: dict[str, tuple[str, str]] = {}
        """Fixed jobs to camera and stream."""
        self._plan: dict[str, Take] = {}
        self._written: dict[str, RecordingState] = {}
        self._ordered: frozenset[str] = frozenset()
        """Recordings that are to be written now."""

    # ---- what there is -------------------------------------------------------------------------

    def limits(self) -> RecordingLimits:
        return self._limits

    def recordings(self) -> tuple[Recording, ...]:
        """Those of channels first, in their order, then those of clients and those whose camera is gone."""
        return tuple(self._recordings.values())

    def recording(self, token: str, detail: str = "NoRecording") -> Recording:
        """One recording. Raises NotFound with `detail`."""
        if token not in self._recordings:
            raise NotFound(f"There is no recording {token}.", detail=detail)
        return self._recordings[token]

    def jobs(self) -> tuple[Job, ...]:
        return tuple(self._jobs.values())

    def job(self, token: str) -> Job:
        """Raises NotFound (NoRecordingJob)."""
        if token not in self._jobs:
            raise NotFound(f"There is no recording job {token}.", detail="NoRecordingJob")
        return self._jobs[token]

    def is_recording(self, token: str) -> bool:
        state = self._written.get(token)
        return state is not None and state.active

    def plan(self) -> tuple[Take, ...]:
        """What is taken from where now."""
        return tuple(self._plan.values())

    def taken(self, token: str) -> Take | None:
        return self._plan.get(token)

    def row(self, token: str) -> RecordingRow | None:
        return self._rows.get(token)

    # ---- configuration -------------------------------------------------------------------------

    def configure(self, tables: Tables) -> None:
        """Take over what the catalogue says. States of what stays are kept."""
        before = self._recordings, self._jobs
        self._rows = {row.token: row for row in tables.recordings}
        self._recordings = {row.token: to_recording(row, self._retention) for row in tables.recordings}
        self._jobs = {row.token: to_job(row) for row in tables.jobs}
        self._owners = {
            row.token: (row.camera, self._rows[row.recording].role) for row in tables.jobs if row.camera is not None
        }
        self._receivers.take_over(tables.receivers, self._jobs.values())
        living = self._recordings.keys() - self._archived()
        self._written = {token: state for token, state in self._written.items() if token in living}
        gone = (before[0].keys() - self._recordings.keys()) | (before[1].keys() - self._jobs.keys())
        if gone:
            self._forget(gone)
        self._replan()
        for token in living:
            self._announce(token)
        self._tell(self._jobs, self._clock.utc())

    def _archived(self) -> set[str]:
        """Recordings that nothing is added to: their states are history."""
        return {token for token, row in self._rows.items() if row.camera is None and not row.dynamic}

    def _forget(self, tokens: Iterable[str]) -> None:
        """The properties of what these tokens name are no more."""
        gone = frozenset(tokens)
        self._bus.forget(event for event in self._bus.properties() if event.source and event.source[0][1] in gone)

    def _announce(self, token: str) -> None:
        """Give every property of a recording a value from the start, so that a subscriber sees it (Core 9.4.2)."""
        now, state = self._clock.utc(), self._written.get(token)
        active = state is not None and state.active
        self._bus.publish(topics.recording_state(token, active, now))
        for track in self._recordings[token].tracks:
            present = state is not None and state.active and track.token in state.tracks
            self._bus.publish(topics.track_state(token, track.token, present, now))

    # ---- states --------------------------------------------------------------------------------

    def _feeds(self) -> dict[SourceKey, Feed]:
        feeds: dict[SourceKey, Feed] = {
            (SourceKind.PROFILE, token): feed for token, feed in self._streams.profile_feeds().items()
        }
        return feeds | {(SourceKind.RECEIVER, token): feed for token, feed in self._receivers.feeds().items()}

    def _replan(self) -> bool:
        """Whether what is taken from where has changed."""
        before, self._plan = self._plan, takes(self._recordings.values(), self.jobs(), self._feeds())
        return before != self._plan

    def source_changed(self, camera: str, utc: int) -> None:
        """A stream of a camera or receiver came up or was lost."""
        if self._replan():
            self._actions.replanned()
        tokens = {job.token for job in self._jobs.values() for source in job.sources if self._is_of(source, camera)}
        self._tell(tokens, utc)

    def _is_of(self, source: JobSource, camera: str) -> bool:
        if source.kind is SourceKind.RECEIVER:
            return source.token == camera
        feed = self._streams.profile_feeds().get(source.token)
        return feed is not None and feed.camera == camera

    def receiver_state(self, state: CameraState) -> None:
        """A worker tells of a stream that is none of a camera."""
        self._receivers.heard(state)

    def job_status(self, token: str) -> JobStatus:
        """Raises NotFound (NoRecordingJob)."""
        job = self.job(token)
        state = self._written.get(job.recording)
        written = Written(ordered=job.recording in self._ordered)
        if state is not None:
            written = replace(written, active=state.active, error=state.reason if state.error else "")
        reason = self._no_storage or self.reason_for(job.recording)
        if reason and not written.active:
            written = Written(error=reason)
        return job_status(job, self._plan, written, self._feeds())

    def _tell(self, jobs: Iterable[str], utc: int) -> None:
        for token in jobs:
            self._bus.publish(topics.job_state(self.job_status(token), utc))

    def set_orders(self, active: frozenset[str]) -> None:
        """The recordings that are to be written now."""
        changed = active ^ self._ordered
        self._ordered = active
        self._tell((job.token for job in self._jobs.values() if job.recording in changed), self._clock.utc())

    def recording_state(self, state: RecordingState) -> None:
        """Writing of a recording began or ended."""
        recording = self._recordings.get(state.recording)
        if recording is None:
            return
        known = self._written.get(state.recording)
        if state.recording in self._archived():
            # A camera was removed while it recorded: its recording ends.
            if state.active:
                return
        else:
            if state.active and not state.tracks and known is not None:
                state.tracks = known.tracks
            self._written[state.recording] = state
            self._actions.written(recording, state.tracks)
        self._bus.publish(topics.recording_state(state.recording, state.active, state.utc))
        for track in recording.tracks:
            present = state.active and track.token in state.tracks
            self._bus.publish(topics.track_state(state.recording, track.token, present, state.utc))
        self._tell((job.token for job in self._jobs.values() if job.recording == state.recording), state.utc)

    def interrupted(self, cameras: frozenset[str], utc: int, ends: Mapping[str, int]) -> tuple[RecordingState, ...]:
        """The worker of these cameras and receivers died: their recordings end where their footage does (`ends`).
        Gives the states of those that were active."""
        states = tuple(
            RecordingState(
                recording=token,
                active=False,
                utc=min(utc, ends.get(token, utc)),
                reason="the media worker is restarting",
            )
            for token in self.of_cameras(cameras)
            if self.is_recording(token)
        )
        for state in states:
            self.recording_state(state)
        self._receivers.interrupted(cameras, utc)
        if self._replan():
            self._actions.replanned()
        return states

    def of_cameras(self, cameras: frozenset[str]) -> tuple[str, ...]:
        """Recordings that are filled from these cameras and receivers."""
        return tuple(token for token, each in self._plan.items() if each.camera in cameras)

    # ---- recordings ----------------------------------------------------------------------------

    async def create_recording(self, settings: RecordingSettings) -> str:
        settings = await self._checked(settings)
        if self._no_storage:
            raise Conflict("There is no volume that could take footage.", detail="NoLocalRecording")
        token = f"rec-{secrets.token_hex(4)}"
        # RecordingControl 5.4: one track of each kind, without description.
        tracks = tuple(
            TrackRow(recording=token, token=name, kind=KINDS[kind], description="") for kind, name in TRACKS.items()
        )
        row = to_row(token, settings, dynamic=True, created=self._clock.utc(), tracks=tracks)
        await self._actions.change(self._catalogue.recordings.create, row, limit=self._limits.recordings)
        log.info("recording %s created: %s", token, settings.source_name)
        return token

    async def _checked(self, settings: RecordingSettings) -> RecordingSettings:
        known: Mapping[str, object] = {}
        if settings.target is not None and self._storages is not None:
            known = await self._storages()
        return check_settings(settings, known.keys(), self._segment)

    async def configure_recording(self, token: str, settings: RecordingSettings) -> None:
        self.recording(token)
        settings = await self._checked(settings)
        await self._actions.change(self._catalogue.recordings.configure, to_row(token, settings, dynamic=False))

    async def delete_recording(self, token: str) -> None:
        self.recording(token)
        if self._rows[token].camera is not None:
            raise Conflict("The recording of a camera stays with its camera.", detail="CannotDelete")
        await self._actions.change(self._catalogue.recordings.begin_removal, token, now=self._clock.utc())
        log.info("recording %s deleted", token)
        self._actions.purge(token)

    # ---- tracks --------------------------------------------------------------------------------

    async def create_track(self, recording: str, kind: Kind, description: str) -> str:
        known = self.recording(recording).tracks
        if any(track.kind is kind for track in known):
            raise LimitReached(f"The recording has its {KINDS[kind]} track already.", detail="MaxTracks")
        row = TrackRow(recording=recording, token=TRACKS[kind], kind=KINDS[kind], description=description[:255])
        await self._actions.change(self._catalogue.recordings.add_track, row)
        return row.token

    def track(self, recording: str, token: str) -> Track:
        """Raises NotFound (NoRecording, NoTrack)."""
        for track in self.recording(recording).tracks:
            if track.token == token:
                return track
        raise NotFound(f"Recording {recording} has no track {token}.", detail="NoTrack")

    async def delete_track(self, recording: str, track: str) -> None:
        self.track(recording, track)
        if self._rows[recording].camera is not None:
            raise Conflict("The tracks of a camera's recording stay with it.", detail="CannotDelete")
        await self._actions.change(self._remove_track, recording, track)

    def _remove_track(self, recording: str, track: str) -> None:
        """Blocks. Footage of all tracks lies in the same files: a track that holds some is not taken out of them."""
        if self.track(recording, track).kind in self._segments.track_times(recording):
            raise Conflict("The track holds footage; delete the recording instead.", detail="CannotDelete")
        self._catalogue.recordings.remove_track(recording, track)

    async def describe_track(self, recording: str, track: str, description: str) -> None:
        self.track(recording, track)
        await self._actions.change(self._catalogue.recordings.describe_track, recording, track, description[:255])

    def options(self, recording: str) -> RecordingOptions:
        known = self.recording(recording)
        row = self._rows[recording]
        jobs = [job for job in self._jobs.values() if job.recording == recording]
        spare = max(0, min(JOBS_PER_RECORDING - len(jobs), self._limits.jobs - len(self._jobs)))
        if recording in self._archived():
            spare = 0  # its camera is gone: nothing is added to it
        kinds = {track.kind for track in known.tracks}
        return RecordingOptions(
            jobs=spare,
            profiles=self._profiles(row),
            tracks={kind: 0 if kind in kinds or recording in self._archived() else 1 for kind in TRACKS},
        )

    def _profiles(self, row: RecordingRow) -> tuple[str, ...]:
        """Profiles that a recording can take: for a camera's those of the same camera, else all."""
        feeds = self._streams.profile_feeds()
        return tuple(token for token, feed in feeds.items() if row.camera is None or feed.camera == row.camera)

    # ---- jobs ----------------------------------------------------------------------------------

    async def create_job(self, settings: JobSettings) -> Job:
        recording = self.recording(settings.recording)
        sources, receivers = self._sources(settings, recording)
        if recording.token in self._archived():
            raise InvalidArgument("Nothing is added to a recording whose camera is gone.", detail="BadConfiguration")
        job = JobRow(
            token=f"job-{secrets.token_hex(4)}",
            recording=recording.token,
            camera=None,
            sources=sources,
            active=settings.mode == JobState.ACTIVE,
            priority=settings.priority,
            created=self._clock.utc(),
        )
        await self._actions.change(
            self._catalogue.recordings.create_job,
            job,
            receivers,
            limit=self._limits.jobs,
            receiver_limit=self._receivers.limits().receivers,
            spare=JOBS_PER_RECORDING,
        )
        log.info("recording job %s created for %s", job.token, job.recording)
        return self.job(job.token)

    async def configure_job(self, token: str, settings: JobSettings) -> Job:
        job = self.job(token)
        if settings.recording != job.recording:
            raise InvalidArgument("The recording of a job stays as it is.", detail="BadConfiguration")
        sources, receivers = self._sources(settings, self.recording(job.recording))
        active = settings.mode == JobState.ACTIVE
        owner = self._owners.get(token)
        if owner is not None and [source.token for source in sources] != [source.token for source in job.sources]:
            raise InvalidArgument("The job of a camera records that camera.", detail="BadConfiguration")
        row = JobRow(
            token=token,
            recording=job.recording,
            camera=None,
            sources=sources,
            active=job.active if owner is not None else active,
            priority=settings.priority,
        )
        await self._actions.change(
            self._catalogue.recordings.replace_job, row, receivers, receiver_limit=self._receivers.limits().receivers
        )
        if owner is not None and active != job.active:
            await self._actions.set_record(*owner, active)
        return self.job(token)

    def _sources(
        self, settings: JobSettings, recording: Recording
    ) -> tuple[tuple[JobSourceRow, ...], tuple[ReceiverRow, ...]]:
        """Sources as they are to be kept, and the receivers to be made. Raises InvalidArgument (BadConfiguration)."""
        sources = checked_sources(settings, recording, self._feeds().keys())
        found: list[JobSourceRow] = []
        made: list[ReceiverRow] = []
        for source in sources:
            token = source.token
            if source.create:
                receiver = self._receivers.automatic()
                made.append(receiver)
                token = receiver.token
            tracks = tuple((track.source_tag, track.destination) for track in source.tracks)
            found.append(JobSourceRow(kind=source.kind.value, token=token, tracks=tracks))
        return tuple(found), tuple(made)

    async def set_job_mode(self, token: str, active: bool) -> None:
        job = self.job(token)
        owner = self._owners.get(token)
        if job.active == active:
            return
        if owner is not None:
            await self._actions.set_record(*owner, active)
        else:
            await self._actions.change(self._catalogue.recordings.set_job_mode, token, active)

    async def delete_job(self, token: str) -> None:
        self.job(token)
        if token in self._owners:
            # Clients find the camera of a recording through this job; Idle is how it is switched off.
            raise Conflict("The job of a camera stays with it; set its mode to Idle.", detail="CannotDelete")
        await self._actions.change(self._catalogue.recordings.remove_job, token)
        log.info("recording job %s deleted", token)
