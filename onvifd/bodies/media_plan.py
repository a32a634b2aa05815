"""The media model as media workers hear it: what can be asked for by RTSP, and which groups it goes to. Pure functions."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

from onvifd.media.types import Kind
from onvifd.onvif.backend import (
    AudioEncoder,
    AudioOutput,
    MediaModel,
    MediaProfile,
    Metadata,
    MulticastSettings,
    VideoEncoder,
)
from onvifd.workers.specs import MetadataSpec, MulticastSpec, PictureSpec, PresentationSpec

STREAMS = ("main", "sub", "jpeg")
"""Last parts of the paths of fixed profiles."""
PORTS = 32
"""Ports of one camera's groups: an even one for RTP and the next for RTCP of each configuration."""
_FIRST_PORT = 20_000
"""Below the ports that hosts give out by themselves."""
_KINDS = (Kind.VIDEO, Kind.AUDIO, Kind.METADATA)
_PLAIN = re.compile(r"(?!p-[0-9a-f]{16}$)[A-Za-z0-9._-]{1,36}")
"""Tokens that are part of a path as they are: none that looks like the digest of another one."""
_NOT_EASILY = frozenset((0, 128, 255))
"""Second octets in 239/8 that are left alone: 239.0.0 and 239.128.0 share MAC addresses with 224.0.0, 239.255 is where
discovery protocols are."""


def live_path(camera: str, stream: str) -> str:
    """RTSP path of a live stream; stable for ever."""
    return f"/live/{camera}/{stream}"


def profile_path(camera: str, token: str) -> str:
    """RTSP path of a profile that a client made: stable, and short enough for an address of 128 octets (Media2 5.4.1). A token
    that does not fit into a path, or that would be taken for another one, is replaced by its digest."""
    plain = _PLAIN.fullmatch(token) and token not in (*STREAMS, ".", "..", "metadata")
    return live_path(camera, token if plain else f"p-{hashlib.sha256(token.encode()).hexdigest()[:16]}")


@lru_cache(maxsize=4096)
def default_multicast(camera: str, stream: str, kind: Kind) -> MulticastSettings:
    """The group that a configuration has until a client chooses another: an administratively scoped address (RFC 2365) and a
    port that derive from the camera's id, so that they stay the same and two cameras hardly ever share one."""
    digest = hashlib.sha256(camera.encode()).digest()
    second = digest[0] if digest[0] not in _NOT_EASILY else digest[0] ^ 0x55
    port = _FIRST_PORT + PORTS * digest[3] + 2 * (len(_KINDS) * STREAMS.index(stream) + _KINDS.index(kind))
    return MulticastSettings(f"239.{second}.{digest[1]}.{digest[2] or 1}", port, 1)


def presentations(model: MediaModel) -> tuple[PresentationSpec, ...]:
    """What the media workers are to serve."""
    videos = {each.token: each for each in model.video_encoders}
    audios = {each.token: each for each in model.audio_encoders}
    metadata = {each.token: each for each in model.metadata}
    outputs = {each.token: each for each in model.audio_outputs}
    found = (
        _presentation(
            profile,
            videos.get(profile.video_encoder or ""),
            audios.get(profile.audio_encoder or ""),
            metadata.get(profile.metadata or ""),
            outputs.get(profile.audio_output or ""),
        )
        for profile in model.profiles
    )
    return tuple(each for each in found if each is not None)


def _presentation(
    profile: MediaProfile,
    video: VideoEncoder | None,
    audio: AudioEncoder | None,
    metadata: Metadata | None,
    output: AudioOutput | None,
) -> PresentationSpec | None:
    """None for a profile that has nothing to send."""
    camera = next((each.camera for each in (video, audio, metadata) if each is not None), "")
    if not profile.path or not camera:
        return None
    groups = (
        (Kind.VIDEO, video.multicast if video else None),
        (Kind.AUDIO, audio.multicast if audio else None),
        (Kind.METADATA, metadata.multicast if metadata else None),
    )
    return PresentationSpec(
        path=profile.path,
        profile=profile.token,
        camera=camera,
        video=video.stream if video else "",
        audio=audio.stream if audio else "",
        metadata=_metadata(metadata) if metadata else None,
        talk=output is not None and profile.audio_decoder is not None,
        talk_level=output.level if output else 100,
        talk_primacy=output.primacy if output else "",
        multicast=tuple(
            MulticastSpec(kind=kind, address=group.address, port=group.port, ttl=group.ttl)
            for kind, group in groups
            if group is not None and group.valid
        ),
        started=profile.started,
        picture=_picture(video) if video is not None and video.stream == "jpeg" else None,
    )


def _picture(video: VideoEncoder) -> PictureSpec:
    return PictureSpec(width=video.width, height=video.height, framerate=video.framerate, quality=video.quality)


def _metadata(metadata: Metadata) -> MetadataSpec:
    choice = metadata.choice
    return MetadataSpec(
        token=metadata.token,
        analytics=choice.analytics,
        ptz_status=choice.ptz_status,
        ptz_position=choice.ptz_position,
    )
