"""What the catalogue and the settings say, as the other rooms want to hear it. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from onvifd.archive.disk import Volume
from onvifd.bodies.channel import Channel, ChannelStream, Limits
from onvifd.bodies.talk_model import talk_spec
from onvifd.cameras.registry import Camera
from onvifd.config import Config
from onvifd.media.types import TrackFormat
from onvifd.workers.messages import Setup
from onvifd.workers.specs import CameraSpec, RecordSpec, StreamSpec, VolumeSpec


def channel_of(camera: Camera, record: bool) -> Channel:
    """A configured camera as a channel, with what was last known of its streams. `record` is whether its mode is not off."""
    streams: dict[str, ChannelStream] = {}
    for stream in camera.streams:
        formats: list[TrackFormat] = []
        if stream.video_codec:
            codec = stream.video_codec
            formats.append(TrackFormat(codec=codec, clock_rate=90_000, width=stream.width, height=stream.height))
        if stream.audio_codec:
            rate, channels = stream.sample_rate or 8000, stream.audio_channels or 1
            formats.append(TrackFormat(codec=stream.audio_codec, clock_rate=rate, channels=channels))
        streams[stream.role.value] = ChannelStream(
            name=stream.role.value,
            formats=tuple(formats),
            framerate=stream.framerate,
            bitrate=stream.bitrate * 1000,
            gov_length=stream.gov_length,
            encoder_profile=stream.encoder_profile,
            limits=Limits(
                framerate=stream.framerate,
                bitrate=stream.bitrate,
                gov_length=stream.gov_length,
                audio_bitrate=stream.audio_bitrate,
                quality=stream.quality,
            ),
        )
    return Channel(
        camera=camera.id,
        number=camera.channel,
        name=camera.name,
        address=camera.shown_address,
        location="",
        record=record,
        streams=streams,
        talk=camera.talk,
        ptz=frozenset(part for stream in camera.streams for part in stream.ptz),
    )


def spec_of(camera: Camera, recordings: Mapping[tuple[str, str], tuple[RecordSpec, ...]]) -> CameraSpec:
    """What a media worker must know of a camera. `recordings` are those that each stream of each camera feeds."""
    return CameraSpec(
        id=camera.id,
        channel=camera.channel,
        streams=tuple(
            StreamSpec(
                name=stream.role,
                url=stream.uri,
                user=camera.credentials.user if camera.credentials else "",
                password=camera.credentials.password if camera.credentials else "",
                recordings=recordings.get((camera.id, stream.role), ()),
            )
            for stream in camera.streams
        ),
        talk=talk_spec(camera),
    )


def setup_of(config: Config, volumes: Iterable[Volume], replay_timeout: int) -> Setup:
    """What every worker is told first; the cluster fills in kind and name."""
    return Setup(
        kind="",
        name="",
        database_url=config.database_url,
        volumes=tuple(VolumeSpec(id=volume.id, path=str(volume.root), uuid=volume.uuid) for volume in volumes),
        realm=config.access.realm,
        segment_seconds=config.archive.segment_seconds,
        session_timeout=config.timeouts.rtsp_session,
        replay_timeout=replay_timeout,
        max_clients=config.limits.rtsp_clients,
        max_replay=config.limits.replay_clients,
        lockout_tries=config.access.lockout_tries,
        lockout_seconds=config.access.lockout_seconds,
        fragment_seconds=config.archive.fragment_seconds,
        camera_connect=config.timeouts.camera_connect,
        camera_silence=config.timeouts.camera_silence,
        multicast_interface=config.network.host,
        max_sessions=config.limits.rtsp_sessions,
        max_sessions_per_account=config.limits.rtsp_sessions_per_user,
        max_sessions_per_address=config.limits.rtsp_sessions_per_address,
        max_bandwidth=round(config.limits.rtsp_bandwidth * 1_000_000),
    )
