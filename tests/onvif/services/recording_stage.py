"""Recording control and receivers over a real catalogue, with two cameras and workers that only listen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from onvifd.access.keyfile import SecretBox
from onvifd.archive.catalogue_index import CatalogueSegmentStore
from onvifd.archive.disk import Volume
from onvifd.archive.index import FragmentFlag, SegmentRow, SegmentState
from onvifd.bodies.events_recording import RecordingChanges
from onvifd.bodies.receivers import Receivers
from onvifd.bodies.recording_control import ControlActions, RecordingControl
from onvifd.bodies.recording_export import RecordingExport
from onvifd.bodies.recording_plan import Feed
from onvifd.bodies.recording_tables import read_tables
from onvifd.bodies.recording_tracks import NewTracks
from onvifd.cameras.registry import Driver, NewCamera, Registry, Role, Stream
from onvifd.clock import US, SimulatedClock
from onvifd.events.bus import EventBus
from onvifd.events.types import Event
from onvifd.media.types import Codec
from onvifd.onvif.backend import RecordingData, RecordingStatus
from onvifd.store.catalogue import Catalogue
from onvifd.workers.messages import CameraState, RecordingState

T0 = 1_767_225_600 * US
H264 = Codec.H264


class RecordingStage:
    """`cameras` are the ids of the two: the first with sound, both online with main and sub stream."""

    def __init__(self, folder: Path, *, receivers: int = 3, cameras: int = 4, no_storage: str = "") -> None:
        self.folder = folder
        self.clock = SimulatedClock(T0)
        self.catalogue = Catalogue.open(f"sqlite:///{folder / 'catalogue.sqlite3'}", migrate=True)
        self.segments = CatalogueSegmentStore(self.catalogue)
        self.box = SecretBox(bytes(32))
        registry = Registry(self.catalogue, self.box, self.clock)
        known = registry.all()
        if not known:
            for number, audio in ((1, Codec.PCMU), (2, None)):
                streams = tuple(
                    Stream(role=role, uri=f"rtsp://192.0.2.{number}/{role}", video_codec=H264, audio_codec=audio)
                    for role in (Role.MAIN, Role.SUB)
                )
                registry.add(
                    NewCamera(
                        name=f"Cam {number}", driver=Driver.RTSP, address=f"rtsp://192.0.2.{number}/", streams=streams
                    )
                )
            known = registry.all()
        self.cameras = tuple(camera.id for camera in known)
        self.online: dict[str, bool] = dict.fromkeys(self.cameras, True)
        self.reasons: dict[str, str] = {}
        self.bus = EventBus(self.clock)
        self.seen: list[Event] = []
        self.bus.subscribe(self.seen.append)
        self.changes = RecordingChanges(self.bus.publish)
        self.purged: list[str] = []
        self.pushed = 0
        self.receivers = Receivers(
            self.catalogue,
            self.box,
            self.bus,
            self.clock,
            change=self._change,
            told=lambda token, utc: self.control.source_changed(token, utc),
            limit=receivers,
        )
        self.tracks = NewTracks(self.catalogue.recordings, self._change)
        self.control = RecordingControl(
            catalogue=self.catalogue,
            segments=self.segments,
            streams=self,
            receivers=self.receivers,
            bus=self.bus,
            clock=self.clock,
            actions=ControlActions(
                change=self._change,
                set_record=self._set_record,
                purge=self.purged.append,
                replanned=self._replanned,
                written=self.tracks.written,
            ),
            cameras=cameras,
            no_storage=no_storage,
            storages=self.storages,
        )
        self.volume = Volume("vol-1", folder / "volume")
        self.export = RecordingExport(
            self.segments,
            self.bus,
            self.clock,
            volumes=lambda: (self.volume,),
            find=self.control.recording,
            recordings=self.control.recordings,
            storages=self.storages,
            locks=self.catalogue.locks,
        )
        self.take_over()
        self.seen.clear()

    def close(self) -> None:
        self.catalogue.close()

    def profile_feeds(self) -> Mapping[str, Feed]:
        return {
            f"{camera}-{role}": Feed(
                camera=camera, stream=role, online=self.online[camera], reason=self.reasons.get(camera, "")
            )
            for camera in self.cameras
            for role in ("main", "sub")
        }

    def take_over(self) -> None:
        self.control.configure(read_tables(self.catalogue, self.segments, frozenset(self.cameras)))
        self.changes.update(self.control.recordings(), self.control.jobs(), self.clock.utc())

    async def _change(self, call: Callable[..., Any], *args: Any, **named: Any) -> Any:
        result = call(*args, **named)
        self.take_over()
        return result

    async def _set_record(self, camera: str, stream: str, active: bool) -> None:
        suffix = "" if stream == "main" else f"-{stream}"
        self.catalogue.recordings.set_job_mode(f"job-{camera}{suffix}", active)
        self.take_over()

    def _replanned(self) -> None:
        self.pushed += 1

    async def storages(self) -> Mapping[str, Path]:
        return {"storage-1": self.folder / "storage"}

    async def recording_data(self, tokens: tuple[str, ...] | None = None) -> tuple[RecordingData, ...]:
        return tuple(
            RecordingData(recording=each, status=RecordingStatus.STOPPED, earliest=None, latest=None, tracks=())
            for each in self.control.recordings()
            if tokens is None or each.token in tokens
        )

    # ---- what workers would say

    def written(
        self, recording: str, active: bool = True, error: str = "", tracks: tuple[str, ...] = ("VIDEO001", "AUDIO001")
    ) -> None:
        tracks = tracks if active else ()
        state = RecordingState(
            recording=recording, active=active, utc=self.clock.utc(), reason=error, error=bool(error), tracks=tracks
        )
        self.control.recording_state(state)

    def stream(self, camera: str, online: bool, reason: str = "") -> None:
        state = CameraState(camera=camera, stream="main", online=online, utc=self.clock.utc(), reason=reason)
        if camera in self.online:
            self.online[camera] = online
            self.reasons[camera] = reason
            self.control.source_changed(camera, state.utc)
        else:
            self.receivers.heard(state)

    def footage(self, recording: str, kinds: FragmentFlag = FragmentFlag.VIDEO) -> int:
        """A minute of it in the index."""
        row = SegmentRow(
            recording=recording,
            volume="vol-1",
            path=f"{recording}/1.mp4",
            start=T0 - 60 * US,
            end=T0,
            size=1000,
            formats=(),
            kinds=kinds,
            state=SegmentState.CLOSED,
        )
        return self.segments.insert_segment(row)

    def topics(self) -> list[str]:
        """Last parts of the topics heard so far, without histories."""
        return [each.topic.rpartition("/")[2] for each in self.seen if not each.topic.startswith("RecordingHistory")]
