"""Events of a channel go into the metadata tracks of its recordings (Streaming 5.1.2.1.1).

Documents are sent for all recordings, whether they are written now or not: the worker keeps them with the pictures before an
alarm. With the change of a state goes the document that tells it to whoever comes later: footage begins with these. What a
camera sends as metadata stream of its own, the worker takes from the camera.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from onvifd.bodies.channel import profile_token, recording_token, source_token
from onvifd.clock import US, Clock
from onvifd.events.bus import EventBus, Subscription
from onvifd.events.types import Event, Operation
from onvifd.onvif.notification.metadata import metadata_document
from onvifd.workers.messages import MetadataDocument, RecordingState
from onvifd.workers.specs import CameraSpec

log = logging.getLogger(__name__)

LAG = 2 * US
"""How far the time of a document may lie behind the recorder's clock: what a camera tells with a clock of its own is stored
with the pictures that are recorded when it is told. The event keeps the camera's time."""
MAX_RATE = 100
"""Documents of one recording in a second; further ones are dropped and counted."""
OWN = ("RecordingHistory/", "RecordingConfig/", "Media/")
"""Topics about the recorder's own work, which are no part of what happened in front of the camera."""

Send = Callable[[MetadataDocument], None]
"""To the worker that records it."""


@dataclass(slots=True)
class _Track:
    """What was sent for one recording."""

    last: int = 0
    second: int = 0
    count: int = 0
    dropped: int = 0


@dataclass(slots=True)
class MetadataTracks:
    """Turns what happens on the bus into documents. Lives on the loop of the bus and never waits."""

    bus: EventBus
    clock: Clock
    send: Send
    _channels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _owner: dict[str, str] = field(default_factory=dict)
    """Tokens that name a camera in events: its recordings, sources and profiles."""
    _tracks: dict[str, _Track] = field(default_factory=dict)
    _subscription: Subscription | None = None

    def start(self) -> None:
        self._subscription = self.bus.subscribe(self.event)

    def close(self) -> None:
        if self._subscription is not None:
            self._subscription.close()

    def configure(self, cameras: Iterable[CameraSpec]) -> None:
        """Which recordings each camera feeds, as the workers are told."""
        self._channels, self._owner = {}, {}
        for camera in cameras:
            wanted = (spec for stream in camera.streams for spec in stream.recordings)
            recordings = tuple(dict.fromkeys(spec.recording for spec in wanted if spec.metadata))
            self._channels[camera.id] = recordings
            streams = (profile_token(camera.id, stream.name) for stream in camera.streams)
            own = (recording_token(camera.id), source_token(camera.id), f"vsc-{camera.id}", f"as-{camera.id}")
            for token in (*recordings, *own, f"asc-{camera.id}", *streams):
                self._owner[token] = camera.id
        known_tracks = self._tracks
        kept = [token for recordings in self._channels.values() for token in recordings]
        self._tracks = {token: known_tracks.get(token) or _Track() for token in kept}
        for token in kept:
            if token not in known_tracks:
                self._tell_states(token)

    def event(self, event: Event) -> None:
        """Something happened: one document for it, in each recording of its channel."""
        camera = self._camera_of(event)
        if camera is None or not self._channels[camera]:
            return
        document, state, initial = metadata_document([event]), "", b""
        if event.operation is not None:
            state = _state(event)
            if event.operation is not Operation.DELETED:
                initial = metadata_document([replace(event, operation=Operation.INITIALIZED)])
        for recording in self._channels[camera]:
            self._put(recording, event.utc, document, state, initial)

    def recording_state(self, state: RecordingState) -> None:
        """Writing began. The worker has put the states to the first picture, unless it knew nothing of them: then it is new."""
        camera = self._owner.get(state.recording)
        if state.active and camera is not None and state.recording in self._channels[camera]:
            self._tell_states(state.recording)

    def _tell_states(self, recording: str) -> None:
        """All states of a recording's channel, not as documents but for those that come later."""
        camera, now = self._owner[recording], self.clock.utc()
        for event in self.bus.properties():
            if self._camera_of(event) == camera:
                self._tell(recording, min(event.utc, now), _state(event), metadata_document([event]))

    def _tell(self, recording: str, utc: int, state: str, initial: bytes) -> None:
        self.send(MetadataDocument(recording=recording, utc=utc, document=b"", state=state, initial=initial))

    def _camera_of(self, event: Event) -> str | None:
        """The camera in front of which something happened."""
        return None if event.topic.startswith(OWN) else self.owner_of(event)

    def owner_of(self, event: Event) -> str | None:
        """The camera that an event is about."""
        tokens = (event.recording, *(value for _, value in event.source))
        return next((self._owner[token] for token in tokens if token in self._owner), None)

    def _put(self, recording: str, utc: int, document: bytes, state: str, initial: bytes) -> None:
        track = self._tracks[recording]
        now = self.clock.utc()
        if track.second != now // US:
            if track.dropped:
                log.warning("metadata of %s: %d documents were too many", recording, track.dropped)
            track.second, track.count, track.dropped = now // US, 0, 0
        track.count += 1
        if track.count > MAX_RATE:
            track.dropped += 1
            return
        # Each document has a time of its own: results of searches are told apart by it. After the clock was set back, time
        # goes on from there.
        utc = min(max(utc, now - LAG), now)
        if utc <= track.last <= now + US:
            utc = track.last + 1
        track.last = utc
        self.send(MetadataDocument(recording=recording, utc=utc, document=document, state=state, initial=initial))


def _state(event: Event) -> str:
    """The name of a property instance."""
    return repr(event.instance)
