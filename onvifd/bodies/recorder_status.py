"""The recorder's state for the status page."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from importlib.metadata import version

from onvifd.archive.index import SegmentStore
from onvifd.bodies.archive_parts import ArchiveParts
from onvifd.bodies.channel import Channel, ChannelStream, live_path, profile_token, recording_token, replay_path
from onvifd.bodies.recorder import Recorder
from onvifd.bodies.storage_forecast_view import StorageForecast
from onvifd.bodies.storage_report import said
from onvifd.clock import Clock
from onvifd.host.descriptors import descriptors
from onvifd.media.types import Kind
from onvifd.onvif.services.common import DEVICE_PATH, host_of
from onvifd.recording.status import RecordingStatus as Stand
from onvifd.volumes.keeper import DAY
from onvifd.volumes.model import VolumeState, VolumeStatus
from onvifd.web.status import CameraStatus, RecordingStatus, Status, StreamStatus, VolumeLine, WorkerStatus
from onvifd.web.storage_forecast import DepthView
from onvifd.workers.cluster import Cluster


class RecorderStatus:
    """Implements web.status.StatusSource. `stands` says how recording stands."""

    def __init__(
        self,
        recorder: Recorder,
        cluster: Cluster,
        segments: SegmentStore,
        archive: ArchiveParts,
        executor: Executor,
        clock: Clock,
        stands: Callable[[], tuple[Stand, ...]],
        forecast: StorageForecast,
    ) -> None:
        self._recorder = recorder
        self._cluster = cluster
        self._segments = segments
        self._archive = archive
        self._executor = executor
        self._clock = clock
        self._stands = stands
        self._forecast = forecast

    async def status(self, scheme: str, host: str) -> Status:
        """See StatusSource."""
        channels = self._recorder.channels
        tokens = [recording_token(channel.camera) for channel in channels]
        free, times = await asyncio.get_running_loop().run_in_executor(self._executor, self._on_disk, tokens)
        reach = await self._forecast.forecast()
        depths = {each.recording: each for each in reach.recordings}
        stands = {each.recording: each for each in self._stands()}
        rtsp = f"rtsp://{host_of(host)}:{self._recorder.ports().rtsp}"
        identity = self._recorder.identity()
        return Status(
            name=identity.name,
            version=version("onvifd"),
            utc=self._clock.utc(),
            device_url=f"{scheme}://{host}{DEVICE_PATH}",
            rtsp_url=rtsp,
            free_bytes=free,
            cameras=tuple(self._camera(channel, rtsp) for channel in channels),
            recordings=tuple(
                self._recording(channel, rtsp, found, stands.get(token), depths.get(token))
                for channel, token, found in zip(channels, tokens, times, strict=True)
            ),
            volumes=tuple(_line(each) for each in self._archive.keeper.statuses()),
            forecast=tuple(
                f"{'All volumes' if each.group is None else f'Group {each.group}'}: {said(each)}"
                for each in reach.groups
            ),
            workers=tuple(
                WorkerStatus(name=w.name, running=w.running, pid=w.pid, restarts=w.restarts)
                for w in self._cluster.states()
            ),
        )

    async def report(self) -> dict[str, str]:
        """The state for the support information: no addresses with credentials, no names of accounts."""
        found = await self.status("http", "recorder")
        cameras = [
            f"{camera.channel} {camera.name}: "
            + ", ".join(f"{stream.name} {'online' if stream.online else 'offline'}" for stream in camera.streams)
            for camera in found.cameras
        ]
        workers = [
            f"{each.name}: {'runs' if each.running else 'stopped'}, {each.restarts} restarts"
            + (f", {load.clients} clients, {load.tasks} tasks, {load.descriptors} descriptors" if load else "")
            for each in self._cluster.states()
            for load in (each.load,)
        ]
        workers.append(f"control: {len(asyncio.all_tasks())} tasks, {descriptors()} descriptors")
        volumes = await self._archive.report()
        return {"cameras": "\n".join(cameras), "workers": "\n".join(workers), "volumes": volumes}

    def _on_disk(self, tokens: list[str]) -> tuple[int, list[tuple[int, int, int] | None]]:
        """Free bytes of all volumes, and per recording its first and last time and its size. Blocks."""
        # As the keeper saw it last: a disk that hangs must not hold up the page.
        free = sum(each.free for each in self._archive.keeper.statuses() if each.state is VolumeState.OK)
        found: list[tuple[int, int, int] | None] = []
        for token in tokens:
            times = self._segments.recording_times(token)
            found.append((*times, self._segments.recording_bytes(token)) if times else None)
        return free, found

    def _camera(self, channel: Channel, rtsp: str) -> CameraStatus:
        return CameraStatus(
            id=channel.camera,
            channel=channel.number,
            name=channel.name,
            motion=channel.motion,
            streams=tuple(self._stream(channel, stream, rtsp) for stream in channel.streams.values()),
        )

    def _stream(self, channel: Channel, stream: ChannelStream, rtsp: str) -> StreamStatus:
        video = stream.format_of(Kind.VIDEO)
        return StreamStatus(
            name=stream.name,
            online=stream.online,
            reason=stream.reason,
            codec=video.codec if video else "",
            width=video.width if video else 0,
            height=video.height if video else 0,
            framerate=stream.framerate,
            bitrate=stream.bitrate,
            clients=stream.clients,
            lost_packets=stream.lost_packets,
            reconnects=stream.reconnects,
            url=rtsp + live_path(channel.camera, stream.name),
            profile=profile_token(channel.camera, stream.name),
        )

    def _recording(
        self,
        channel: Channel,
        rtsp: str,
        found: tuple[int, int, int] | None,
        stand: Stand | None,
        depth: DepthView | None,
    ) -> RecordingStatus:
        token = recording_token(channel.camera)
        first, last, size = found if found else (None, None, 0)
        return RecordingStatus(
            token=token,
            camera=channel.camera,
            active=channel.recording,
            reason=channel.recording_error or (stand.reason if stand is not None else ""),
            earliest=first,
            latest=last,
            bytes=size,
            url=rtsp + replay_path(token),
            mode=stand.mode if stand is not None else "",
            types=tuple(each.value for each in stand.marks) if stand is not None else (),
            days=max(0, self._clock.utc() - first) / DAY if first is not None else 0.0,
            will_reach=depth.will_reach if depth is not None else None,
        )


def _line(volume: VolumeStatus) -> VolumeLine:
    return VolumeLine(
        id=volume.id,
        name=volume.name,
        state=volume.state.value,
        reason=volume.reason or ("little space is left" if volume.low else ""),
        access=volume.access.value,
        group=volume.group,
        bytes=volume.used,
        free=volume.free,
        total=volume.total,
    )
