"""The recorder as an ONVIF device: all channels, their recordings and the archive behind the backend protocols.

It lives on control's event loop and hears from the workers what happens; everything the services read is in memory.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from onvifd.access.types import Level
from onvifd.bodies.channel import (
    Channel,
    ChannelStream,
    job_token,
    media_model,
    profile_token,
    recording_token,
    replay_path,
    source_token,
)
from onvifd.clock import Clock
from onvifd.errors import NotFound, Unavailable
from onvifd.events import topics
from onvifd.events.bus import EventBus
from onvifd.media.types import Codec, TrackFormat
from onvifd.onvif.backend import (
    Identity,
    Job,
    JobState,
    JobStatus,
    MediaModel,
    Network,
    Ports,
    Recording,
    Scope,
    SystemTime,
)
from onvifd.workers.messages import CameraState, RecordingState, StreamFormats, StreamStats, TrackSpec

log = logging.getLogger(__name__)

JOB_PRIORITY = 1

Snapshot = Callable[[str, str], Awaitable[bytes]]
"""Camera id and stream name to a JPEG of the latest key frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actions:
    """What the body asks of the rest of control."""

    snapshot: Snapshot
    synchronize: Callable[[str, str], Awaitable[None]]
    """Camera id and stream name: ask the camera for a key frame."""
    set_record: Callable[[str, bool], Awaitable[None]]
    """Camera id and mode: persist the job's mode and tell the worker."""
    set_replay_timeout: Callable[[int], Awaitable[None]]
    users: Callable[[], tuple[tuple[str, Level], ...]]


def to_format(track: TrackSpec) -> TrackFormat:
    """A track as it travels between processes, as the engine knows it."""
    return TrackFormat(
        codec=Codec(track.codec),
        clock_rate=track.clock_rate,
        parameter_sets=track.parameter_sets,
        config=track.config,
        width=track.width,
        height=track.height,
        channels=track.channels,
    )


class RecorderDevice(Protocol):
    """The recorder as a device that is configured (`device_parts.DeviceParts`): what DeviceBackend reads of it."""

    def scopes(self) -> tuple[Scope, ...]: ...
    def discoverable(self) -> bool: ...
    def ports(self) -> Ports: ...
    def system_time(self) -> SystemTime: ...
    async def network(self) -> Network: ...


class Recorder:
    """Implements DeviceBackend, MediaBackend, RecordingBackend and ReplayBackend (SearchBackend: `recorder_search`)."""

    def __init__(
        self,
        *,
        identity: Identity,
        device: RecorderDevice,
        retention: int,
        replay_timeout: int,
        clock: Clock,
        bus: EventBus,
        actions: Actions,
        no_storage: str = "",
    ) -> None:
        """`no_storage` says why nothing can be recorded at all; every job is in error then (RecordingControl 5.19)."""
        self._identity = identity
        self._device = device
        self._retention = retention
        self._replay_timeout = replay_timeout
        self._clock = clock
        self.bus = bus
        self._actions = actions
        self._no_storage = no_storage
        self._channels: dict[str, Channel] = {}
        self._archived: dict[str, Recording] = {}
        self._model = MediaModel()

    # ---- device --------------------------------------------------------------------------------

    def identity(self) -> Identity:
        return self._identity

    def scopes(self) -> tuple[Scope, ...]:
        return self._device.scopes()

    def discoverable(self) -> bool:
        return self._device.discoverable()

    def ports(self) -> Ports:
        return self._device.ports()

    def system_time(self) -> SystemTime:
        return self._device.system_time()

    async def network(self) -> Network:
        return await self._device.network()

    async def users(self) -> tuple[tuple[str, Level], ...]:
        return self._actions.users()

    # ---- channels ------------------------------------------------------------------------------

    @property
    def channels(self) -> tuple[Channel, ...]:
        return tuple(self._channels.values())

    def configure(self, channels: tuple[Channel, ...], archived: tuple[Recording, ...] = ()) -> None:
        """Take over the configured cameras, in channel order. What is known of a camera's present state is kept.

        `archived` are the recordings without a channel: nothing is added to them, but they are searched and replayed.
        """
        before = self._channels
        former, self._archived = self._archived, {recording.token: recording for recording in archived}
        self._channels = {}
        for channel in channels:
            known = before.pop(channel.camera, None)
            if known is not None:
                for name, stream in channel.streams.items():
                    channel.streams[name] = known.streams.get(name, stream)
                channel.motion = known.motion
                channel.recording = known.recording
                channel.recording_error = known.recording_error
                channel.recording_tracks = known.recording_tracks
            self._channels[channel.camera] = channel
        for channel in before.values():
            self._forget(source_token(channel.camera), job_token(channel.camera))
            former.setdefault(recording_token(channel.camera), channel.as_recording(self._retention))
        present = {recording_token(camera) for camera in self._channels} | self._archived.keys()
        self._forget(*(former.keys() - present))
        for channel in self._channels.values():
            self._announce(channel)
        self._refresh()

    def _announce(self, channel: Channel) -> None:
        """Give every property of a channel a value from the start, so that a subscriber sees it (Core 9.4.2)."""
        now = self._clock.utc()
        recording = recording_token(channel.camera)
        self.bus.publish(topics.motion_alarm(source_token(channel.camera), channel.motion, now, recording))
        self.bus.publish(topics.recording_state(recording, channel.recording, now))
        for track in channel.tracks:
            present = channel.recording and track.token in channel.recording_tracks
            self.bus.publish(topics.track_state(recording, track.token, present, now))
        self.bus.publish(topics.job_state(self.job_status(job_token(channel.camera)), now))

    def _forget(self, *tokens: str) -> None:
        """The properties of what these tokens name are no more."""
        self.bus.forget(event for event in self.bus.properties() if event.source and event.source[0][1] in tokens)

    def _refresh(self) -> None:
        """Rebuild the media model and announce what changed in it (Media2 5.16)."""
        old = self._model
        self._model = media_model(self.channels)
        now = self._clock.utc()
        before = {profile.token: profile for profile in old.profiles}
        after = {profile.token: profile for profile in self._model.profiles}
        for token in before.keys() | after.keys():
            if before.get(token) != after.get(token):
                self.bus.publish(topics.profile_changed(token, now))
        known = {encoder.token: (encoder.codec, encoder.width, encoder.height) for encoder in old.video_encoders}
        for encoder in self._model.video_encoders:
            if known.get(encoder.token, (encoder.codec, encoder.width, encoder.height)) != (
                encoder.codec,
                encoder.width,
                encoder.height,
            ):
                self.bus.publish(topics.configuration_changed(encoder.token, "VideoEncoder", now))

    def _channel(self, camera: str) -> Channel | None:
        return self._channels.get(camera)

    # ---- what the workers and cameras report ---------------------------------------------------

    def stream_state(self, state: CameraState) -> None:
        """A stream came up or was lost."""
        channel = self._channel(state.camera)
        if channel is None or state.stream not in channel.streams:
            return
        stream = channel.streams[state.stream]
        stream.online, stream.reason = state.online, state.reason
        if state.stream == "main":
            recording = recording_token(channel.camera)
            lost = topics.signal_loss(source_token(channel.camera), not state.online, state.utc, recording)
            self.bus.publish(lost)
            self._job_changed(channel, state.utc)

    def stream_formats(self, message: StreamFormats) -> bool:
        """What a stream carries now; true if that is news worth keeping."""
        channel = self._channel(message.camera)
        if channel is None or message.stream not in channel.streams:
            return False
        formats = tuple(to_format(track) for track in message.tracks)
        stream = channel.streams[message.stream]
        if stream.formats == formats:
            return False
        stream.formats = formats
        self._announce(channel)
        self._refresh()
        return True

    def stream_stats(self, stats: StreamStats) -> None:
        """Measured rates of a stream. The first ones complete the media model, later ones only refresh it quietly."""
        channel = self._channel(stats.camera)
        if channel is None or stats.stream not in channel.streams:
            return
        stream = channel.streams[stats.stream]
        stream.framerate, stream.bitrate, stream.gov_length = stats.framerate, stats.bitrate, stats.gov_length
        stream.clients, stream.lost_packets, stream.reconnects = stats.clients, stats.lost_packets, stats.reconnects
        self._model = media_model(self.channels)

    def recording_state(self, state: RecordingState) -> None:
        """Writing of a recording began or ended."""
        channel = next((c for c in self.channels if recording_token(c.camera) == state.recording), None)
        if channel is None:
            self._archived_state(state)
            return
        channel.recording = state.active
        channel.recording_error = state.reason if state.error else ""
        if state.active:
            channel.recording_tracks = state.tracks
        self.bus.publish(topics.recording_state(state.recording, state.active, state.utc))
        for track in channel.tracks:
            present = state.active and track.token in state.tracks
            self.bus.publish(topics.track_state(state.recording, track.token, present, state.utc))
        self._job_changed(channel, state.utc)

    def _archived_state(self, state: RecordingState) -> None:
        """A camera was removed while it recorded: its recording ends."""
        recording = self._archived.get(state.recording)
        if recording is None or state.active:
            return
        self.bus.publish(topics.recording_state(recording.token, False, state.utc))
        for track in recording.tracks:
            self.bus.publish(topics.track_state(recording.token, track.token, False, state.utc))

    def interrupted(self, channel: Channel, utc: int, end: int) -> RecordingState | None:
        """The worker of a channel died at `utc`: until it is back nothing is received or recorded.

        `end` is where the footage ends; gives the state of the recording if it was active.
        """
        for stream in channel.streams.values():
            stream.online, stream.reason = False, "the media worker is restarting"
        recording = recording_token(channel.camera)
        self.bus.publish(topics.signal_loss(source_token(channel.camera), True, utc, recording))
        if not channel.recording:
            return None
        state = RecordingState(recording=recording, active=False, utc=end, reason="the media worker is restarting")
        self.recording_state(state)
        return state

    def motion(self, camera: str, state: bool, utc: int) -> None:
        """The camera says that motion began or ended."""
        channel = self._channel(camera)
        if channel is None or channel.motion == state:
            return
        channel.motion = state
        self.bus.publish(topics.motion_alarm(source_token(camera), state, utc, recording_token(camera)))

    def _job_changed(self, channel: Channel, utc: int) -> None:
        self.bus.publish(topics.job_state(self.job_status(job_token(channel.camera)), utc))

    # ---- media ---------------------------------------------------------------------------------

    def media(self) -> MediaModel:
        return self._model

    def _stream_of(self, token: str) -> tuple[Channel, ChannelStream]:
        for channel in self.channels:
            for stream in channel.streams.values():
                if profile_token(channel.camera, stream.name) == token and stream.formats:
                    return channel, stream
        raise NotFound(f"There is no profile {token}.", detail="NoProfile")

    async def snapshot(self, profile_token: str) -> bytes:
        channel, stream = self._stream_of(profile_token)
        if not stream.online:
            raise Unavailable(f"Camera {channel.name} does not deliver.")
        return await self._actions.snapshot(channel.camera, stream.name)

    async def synchronize(self, profile_token: str) -> None:
        channel, stream = self._stream_of(profile_token)
        await self._actions.synchronize(channel.camera, stream.name)

    # ---- recording and replay ------------------------------------------------------------------

    def recordings(self) -> tuple[Recording, ...]:
        """Those of the channels first, then those whose camera is gone."""
        return (*(channel.as_recording(self._retention) for channel in self.channels), *self._archived.values())

    def recording(self, token: str, detail: str = "NoRecording") -> Recording:
        """One recording. Raises NotFound with `detail`."""
        for channel in self.channels:
            if recording_token(channel.camera) == token:
                return channel.as_recording(self._retention)
        if token in self._archived:
            return self._archived[token]
        raise NotFound(f"There is no recording {token}.", detail=detail)

    def is_recording(self, token: str) -> bool:
        return any(c.recording for c in self.channels if recording_token(c.camera) == token)

    def framerate_of(self, recording: str) -> float:
        """Measured frame rate of the recorded stream, 0 if unknown."""
        return next((c.main.framerate for c in self.channels if recording_token(c.camera) == recording), 0.0)

    def jobs(self) -> tuple[Job, ...]:
        return tuple(
            Job(
                token=job_token(channel.camera),
                recording=recording_token(channel.camera),
                active=channel.record,
                priority=JOB_PRIORITY,
                profile=profile_token(channel.camera, "main"),
                tracks=tuple(track.token for track in channel.tracks),
            )
            for channel in self.channels
        )

    def _job_channel(self, token: str) -> Channel:
        for channel in self.channels:
            if job_token(channel.camera) == token:
                return channel
        raise NotFound(f"There is no recording job {token}.", detail="NoRecordingJob")

    def job_status(self, token: str) -> JobStatus:
        channel = self._job_channel(token)
        error = ""
        if not channel.record:
            state = JobState.IDLE
        elif channel.recording:
            state = JobState.ACTIVE
        elif self._no_storage:
            state, error = JobState.ERROR, self._no_storage
        elif channel.recording_error:
            state, error = JobState.ERROR, channel.recording_error
        elif not channel.main.online and channel.main.formats:
            state, error = JobState.ERROR, channel.main.reason or "the camera does not deliver"
        else:
            state = JobState.IDLE
        tracks = tuple(
            (
                track.token,
                state if state is not JobState.ACTIVE or track.token in channel.recording_tracks else JobState.IDLE,
            )
            for track in channel.tracks
        )
        if state is JobState.ACTIVE and any(s is not JobState.ACTIVE for _, s in tracks):
            state = JobState.PARTIAL  # RecordingControl 5.19: a mixture of active and idle tracks
        return JobStatus(
            job=token,
            recording=recording_token(channel.camera),
            state=state,
            profile=profile_token(channel.camera, "main"),
            tracks=tracks,
            error=error,
        )

    async def set_job_mode(self, token: str, active: bool) -> None:
        channel = self._job_channel(token)
        await self._actions.set_record(channel.camera, active)
        channel.record = active
        self._job_changed(channel, self._clock.utc())

    def replay_path(self, recording: str) -> str:
        return replay_path(self.recording(recording).token)

    def replay_timeout(self) -> int:
        return self._replay_timeout

    async def set_replay_timeout(self, seconds: int) -> None:
        await self._actions.set_replay_timeout(seconds)
        self._replay_timeout = seconds
