"""The recorder as an ONVIF device: all channels, their recordings and the archive behind the backend protocols.

It lives on control's event loop and hears from the workers what happens; everything the services read is in memory.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from onvifd.access.types import Level
from onvifd.bodies.channel import (
    Channel,
    ChannelStream,
    expect,
    media_model,
    profile_token,
    recording_token,
    replay_path,
    source_token,
)
from onvifd.bodies.media_changes import media_events
from onvifd.bodies.recording_control import RecordingControl
from onvifd.bodies.recording_plan import Feed
from onvifd.bodies.talk_model import with_talk
from onvifd.cameras.settings import EncoderSettings
from onvifd.clock import Clock
from onvifd.errors import Conflict, NotFound, Unavailable
from onvifd.events import topics
from onvifd.events.bus import EventBus
from onvifd.media.types import Codec, Kind, PtzPart, TrackFormat
from onvifd.onvif.backend import (
    Identity,
    Job,
    JobStatus,
    MediaModel,
    MediaProfile,
    Network,
    Ports,
    Recording,
    Scope,
    SystemTime,
)
from onvifd.workers.messages import CameraState, RecordingState, StreamFormats
from onvifd.workers.specs import StreamStats, TrackSpec

log = logging.getLogger(__name__)

Snapshot = Callable[[str, str], Awaitable[bytes]]
"""Camera id and stream name to a JPEG of the latest key frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actions:
    """What the body asks of the rest of control."""

    snapshot: Snapshot
    synchronize: Callable[[str, str], Awaitable[None]]
    """Camera id and stream name: ask the camera for a key frame."""
    set_replay_timeout: Callable[[int], Awaitable[None]]
    synchronized: Callable[[str, str], None] = lambda camera, path: None
    """Camera id and path of a profile: clients ask for a synchronisation point."""
    users: Callable[[], tuple[tuple[str, Level], ...]]
    presented: Callable[[MediaModel], None] = lambda _: None
    """Told of every change of the media profiles."""


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
        bits=track.bits,
        rtpmap=track.rtpmap,
        fmtp=track.fmtp,
    )


class Shaper(Protocol):
    """What clients changed of the media model (`media_control.MediaParts`)."""

    def shape(self, model: MediaModel) -> MediaModel: ...
    def changed(self) -> Mapping[str, object]: ...


class _Unshaped:
    def shape(self, model: MediaModel) -> MediaModel:
        return model

    def changed(self) -> Mapping[str, object]:
        return {}


class RecorderDevice(Protocol):
    """The recorder as a device that is configured (`device_parts.DeviceParts`): what DeviceBackend reads of it."""

    def scopes(self) -> tuple[Scope, ...]: ...
    def discoverable(self) -> bool: ...
    def ports(self) -> Ports: ...
    def system_time(self) -> SystemTime: ...
    async def network(self) -> Network: ...


class Recorder:
    """Implements DeviceBackend, MediaBackend and ReplayBackend; what it says of recordings comes from its `control`
    (SearchBackend: `recorder_search`)."""

    control: RecordingControl
    """Set once, before anything else is asked."""

    def __init__(
        self,
        *,
        identity: Identity,
        device: RecorderDevice,
        replay_timeout: int,
        clock: Clock,
        bus: EventBus,
        actions: Actions,
    ) -> None:
        self._identity = identity
        self._device = device
        self._replay_timeout = replay_timeout
        self._clock = clock
        self.bus = bus
        self._actions = actions
        self._channels: dict[str, Channel] = {}
        self.shaper: Shaper = _Unshaped()
        self.pictures = True
        """Whether there is a stream of JPEG pictures of each camera."""
        self._model: MediaModel | None = None
        self._awaited: dict[tuple[str, str], asyncio.Event] = {}
        """Set when the formats of a stream are told."""
        """None while it must be made anew."""
        self._announced = MediaModel()
        self._announced_changes: Mapping[str, object] = {}

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

    def configure(self, channels: tuple[Channel, ...]) -> None:
        """Take over the configured cameras, in channel order. What is known of a camera's present state is kept.

        Recordings and jobs are taken over by `control.configure`, which comes after.
        """
        before = self._channels
        self._channels = {}
        for channel in channels:
            known = before.pop(channel.camera, None)
            if known is not None:
                for name, stream in channel.streams.items():
                    kept = channel.streams[name] = known.streams.get(name, stream)
                    kept.limits = stream.limits
                channel.ptz |= known.ptz
                channel.motion = known.motion
                channel.recording = known.recording
                channel.recording_error = known.recording_error
            self._channels[channel.camera] = channel
        self._forget(*(source_token(camera) for camera in before))
        for channel in self._channels.values():
            self._announce(channel)
        self._refresh()

    def _announce(self, channel: Channel) -> None:
        """Give the properties of a channel a value from the start, so that a subscriber sees them (Core 9.4.2)."""
        recording = recording_token(channel.camera)
        event = topics.motion_alarm(source_token(channel.camera), channel.motion, self._clock.utc(), recording)
        self.bus.publish(event)

    def _forget(self, *tokens: str) -> None:
        """The properties of what these tokens name are no more."""
        self.bus.forget(event for event in self.bus.properties() if event.source and event.source[0][1] in tokens)

    def _refresh(self) -> None:
        """Rebuild the media model and announce what changed in it (Media2 5.16)."""
        self._model = None
        model, changes = self.media(), dict(self.shaper.changed())
        self._actions.presented(model)
        before, self._announced = self._announced, model
        for event in media_events(before, model, self._announced_changes, changes, self._clock.utc()):
            self.bus.publish(event)
        self._announced_changes = changes

    def _channel(self, camera: str) -> Channel | None:
        return self._channels.get(camera)

    # ---- what the workers and cameras report ---------------------------------------------------

    def stream_state(self, state: CameraState) -> None:
        """A stream came up or was lost."""
        channel = self._channel(state.camera)
        if channel is None or state.stream not in channel.streams:
            self.control.receiver_state(state)
            return
        stream = channel.streams[state.stream]
        stream.note = "" if state.online else stream.note
        stream.online, stream.reason = state.online, "; ".join(filter(None, (state.reason, stream.note)))
        if state.stream == "main":
            recording = recording_token(channel.camera)
            lost = topics.signal_loss(source_token(channel.camera), not state.online, state.utc, recording)
            self.bus.publish(lost)
        self.control.source_changed(state.camera, state.utc)

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
        stream.expected = None
        awaited = self._awaited.pop((message.camera, message.stream), None)
        if awaited is not None:
            awaited.set()
        self._announce(channel)
        self._refresh()
        return True

    def stream_stats(self, stats: StreamStats) -> bool:
        """Measured rates of a stream. The first ones complete the media model, later ones only refresh it quietly.

        True if its metadata tells something of where the camera looks that was not known: that is worth keeping.
        """
        channel = self._channel(stats.camera)
        if channel is None or stats.stream not in channel.streams:
            return False
        stream = channel.streams[stats.stream]
        stream.framerate, stream.bitrate = stats.framerate, stats.bitrate
        stream.measured(stats.gov_length, stats.audio_bitrate)
        stream.clients, stream.lost_packets, stream.reconnects = stats.clients, stats.lost_packets, stats.reconnects
        self._model = None
        ptz = channel.ptz.union(map(PtzPart, stats.ptz.split()))
        if ptz == channel.ptz:
            return False
        channel.ptz = ptz
        self._refresh()
        return True

    def expect(self, camera: str, stream: str, settings: EncoderSettings) -> asyncio.Event:
        """A camera was told to send something else: that is shown until it does. Gives what tells that it does."""
        channel = self._channel(camera)
        if channel is not None and stream in channel.streams:
            expect(channel.streams[stream], settings, self._clock.utc())
            self._model = None
        return self._awaited.setdefault((camera, stream), asyncio.Event())

    def say(self, camera: str, stream: str, reason: str) -> None:
        """Something that people are to see of a stream for as long as it does not come."""
        channel = self._channel(camera)
        if channel is not None and stream in channel.streams and not channel.streams[stream].online:
            channel.streams[stream].note = reason

    def recording_state(self, state: RecordingState) -> None:
        """Writing of a recording began or ended."""
        for channel in self.channels:
            if recording_token(channel.camera) == state.recording:
                channel.recording = state.active
                channel.recording_error = state.reason if state.error else ""
        self.control.recording_state(state)

    def interrupted(
        self, cameras: frozenset[str], utc: int, ends: Mapping[str, int], told: Callable[[RecordingState], None]
    ) -> None:
        """The worker of these cameras and receivers died at `utc`: until it is back nothing is received or recorded.

        `ends` is where the footage of recordings ends; `told` hears of those that were active.
        """
        lost = [channel for channel in self.channels if channel.camera in cameras]
        for channel in lost:
            channel.recording = False
            for stream in channel.streams.values():
                stream.online, stream.reason = False, "the media worker is restarting"
        # Before the loss is told: the events that end with it must not count as something that was recorded.
        for state in self.control.interrupted(cameras, utc, ends):
            told(state)
        for channel in lost:
            recording = recording_token(channel.camera)
            self.bus.publish(topics.signal_loss(source_token(channel.camera), True, utc, recording))

    def motion(self, camera: str, state: bool, utc: int) -> None:
        """The camera says that motion began or ended."""
        channel = self._channel(camera)
        if channel is None or channel.motion == state:
            return
        channel.motion = state
        self.bus.publish(topics.motion_alarm(source_token(camera), state, utc, recording_token(camera)))

    # ---- media ---------------------------------------------------------------------------------

    def _delivered(self) -> MediaModel:
        return media_model(self.channels, self._clock.utc(), pictures=self.pictures)

    def media(self) -> MediaModel:
        if self._model is None:
            self._model = self.shaper.shape(with_talk(self._delivered(), self.channels))
        return self._model

    def _stream_of(self, token: str) -> tuple[Channel, ChannelStream]:
        """The stream behind a profile. Its pictures in JPEG are made of the main stream."""
        model = self.media()
        profile = next((each for each in model.profiles if each.token == token), None)
        if profile is None:
            raise NotFound(f"There is no profile {token}.", detail="NoProfile")
        encoder = next((each for each in model.video_encoders if each.token == profile.video_encoder), None)
        channel = self._channel(encoder.camera) if encoder is not None else None
        if encoder is None or channel is None:
            raise Conflict(f"Profile {token} has no pictures.", detail="IncompleteConfiguration")
        return channel, channel.streams.get(encoder.stream, channel.main)

    async def snapshot(self, profile_token: str) -> bytes:
        channel, stream = self._stream_of(profile_token)
        if not stream.online:
            raise Unavailable(f"Camera {channel.name} does not deliver.")
        return await self._actions.snapshot(channel.camera, stream.name)

    async def synchronize(self, profile_token: str) -> None:
        profile = next((each for each in self.media().profiles if each.token == profile_token), None)
        if profile is None:
            raise NotFound(f"There is no profile {profile_token}.", detail="NoProfile")
        if profile.path:
            self._actions.synchronized(profile.camera, profile.path)
        if profile.video_encoder is not None:
            channel, stream = self._stream_of(profile_token)
            await self._actions.synchronize(channel.camera, stream.name)

    # ---- recording and replay ------------------------------------------------------------------

    def profile_feeds(self) -> Mapping[str, Feed]:
        """The stream behind each media profile, as a source of recording jobs. One that was never received is expected
        only once it was."""
        found = {
            profile_token(channel.camera, stream.name): Feed(
                camera=channel.camera,
                stream=stream.name,
                online=stream.online,
                expected=bool(stream.formats),
                reason=stream.reason or "the camera does not deliver",
            )
            for channel in self.channels
            for stream in channel.streams.values()
        }
        made = [profile for profile in self.media().profiles if not profile.fixed]
        if made:
            found |= self._made_feeds(made, found)
        return found

    def _made_feeds(self, made: list[MediaProfile], known: Mapping[str, Feed]) -> dict[str, Feed]:
        """A profile of a client is what its video encoder, or else its audio encoder, is a stream of."""
        model = self.media()
        encoders = {each.token: (each.camera, each.stream) for each in model.video_encoders}
        encoders |= {each.token: (each.camera, each.stream) for each in model.audio_encoders}
        found: dict[str, Feed] = {}
        for profile in made:
            source = encoders.get(profile.video_encoder or profile.audio_encoder or "")
            feed = known.get(profile_token(*source)) if source is not None else None
            if feed is not None:
                parts = (
                    (Kind.VIDEO, profile.video_encoder),
                    (Kind.AUDIO, profile.audio_encoder),
                    (Kind.METADATA, profile.metadata),
                )
                found[profile.token] = replace(feed, kinds=frozenset(kind for kind, part in parts if part is not None))
        return found

    def recordings(self) -> tuple[Recording, ...]:
        return self.control.recordings()

    def recording(self, token: str, detail: str = "NoRecording") -> Recording:
        """One recording. Raises NotFound with `detail`."""
        return self.control.recording(token, detail)

    def is_recording(self, token: str) -> bool:
        return self.control.is_recording(token)

    def framerate_of(self, recording: str) -> float:
        """Measured frame rate of the recorded stream, 0 if unknown."""
        taken = self.control.taken(recording)
        channel = self._channel(taken.camera) if taken is not None else None
        if taken is None or channel is None or taken.stream not in channel.streams:
            return 0.0
        return channel.streams[taken.stream].framerate

    def jobs(self) -> tuple[Job, ...]:
        return self.control.jobs()

    def job_status(self, token: str) -> JobStatus:
        return self.control.job_status(token)

    async def set_job_mode(self, token: str, active: bool) -> None:
        await self.control.set_job_mode(token, active)

    def replay_path(self, recording: str) -> str:
        return replay_path(self.recording(recording).token)

    def replay_timeout(self) -> int:
        return self._replay_timeout

    async def set_replay_timeout(self, seconds: int) -> None:
        await self._actions.set_replay_timeout(seconds)
        self._replay_timeout = seconds
