"""What messages between control and its workers are made of: cameras and streams, profiles, accounts, volumes, and what is told of
them (msgpack through msgspec)."""

from __future__ import annotations

import msgspec


class VolumeSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A folder for segments. `uuid` is what the marker in it must say; empty for a folder without one."""

    id: str
    path: str
    uuid: str = ""
    max_bytes: int = 0


class CredentialSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One ONVIF account for digest over RTSP: no clear password. `former` are the HA1 of its password before the present
    one; `changed` grows with every change, which frees it of locks."""

    name: str
    level: str
    ha1: str
    ha1_sha256: str = ""
    former: tuple[str, str] = ("", "")
    periods: str = ""
    changed: int = 0

    def __repr__(self) -> str:
        return f"CredentialSpec({self.name!r}, {self.level!r})"


class LockSpec(msgspec.Struct, frozen=True, kw_only=True):
    """An account or an address that may not log in for some seconds more."""

    account: str = ""
    source: str = ""
    seconds: float = 0.0


class FilterSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The IP address filter (see access.ip_filter)."""

    allow: bool = False
    prefixes: tuple[str, ...] = ()


class RecordSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One recording that a stream feeds.

    `volumes` are ids in order of preference: the first that takes a new segment gets it. `copies` are redundant volumes; the
    first that is there gets a second copy of the video. `pre` is seconds kept in memory while it is not recorded. `metadata`
    is whether documents for it are recorded as a track of its own.
    """

    recording: str
    volumes: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()
    pre: float = 0.0
    audio: bool = True
    metadata: bool = True


class StreamSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One stream to pull, and the recordings that it feeds. `audio` is whether its sound is pulled at all.

    `transport` is a rtsp.client_transport.Way, `tunnel_port` the port of HTTP tunnels (0: the usual one), `trust` a
    rtsp.client_trust.Judge and `pin` the fingerprint that its certificate must have (empty: the first one seen). With
    `on_demand` it is pulled only while somebody watches, unless it feeds a recording. `quirks` are ids of cameras.quirks.
    `digest`: the camera has offered Digest before.
    """

    name: str
    url: str
    user: str = ""
    password: str = ""
    audio: bool = True
    transport: str = "auto"
    tunnel_port: int = 0
    trust: str = "pin"
    pin: str = ""
    on_demand: bool = False
    quirks: tuple[str, ...] = ()
    digest: bool = False
    recordings: tuple[RecordSpec, ...] = ()

    def __repr__(self) -> str:
        return f"StreamSpec({self.name!r}, recordings={[each.recording for each in self.recordings]})"


class TrackSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Format of one track on the wire between processes (see media.types.TrackFormat)."""

    codec: str
    clock_rate: int
    parameter_sets: tuple[bytes, ...] = ()
    config: bytes = b""
    width: int = 0
    height: int = 0
    channels: int = 0
    bits: int = 0
    rtpmap: str = ""
    fmtp: str = ""


class TalkSpec(msgspec.Struct, frozen=True, kw_only=True):
    """How a camera is talked to: the URL of a stream with a back channel, what it decodes, and the way there (see StreamSpec)."""

    url: str
    user: str = ""
    password: str = ""
    formats: tuple[TrackSpec, ...] = ()
    transport: str = "auto"
    tunnel_port: int = 0
    trust: str = "pin"
    pin: str = ""
    quirks: tuple[str, ...] = ()
    digest: bool = False

    def __repr__(self) -> str:
        return f"TalkSpec(formats={self.formats!r})"


class CameraSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A camera that the worker owns. `talk` is None for one that cannot be talked to."""

    id: str
    channel: int
    streams: tuple[StreamSpec, ...]
    talk: TalkSpec | None = None


class MulticastSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Where a track of a presentation goes by multicast. `kind` is that of the track (media.types.Kind); RTCP goes to the next
    port."""

    kind: str
    address: str
    port: int
    ttl: int


class MetadataSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a metadata configuration selects for the live metadata track of a presentation; events are selected by control."""

    token: str
    analytics: bool = False
    ptz_status: bool = False
    ptz_position: bool = False


class PictureSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The JPEG stream of a camera, made on demand. `framerate` is pictures per second, `quality` 1 to 100; `width` and `height` 0
    keep the size of the source, `height` 0 its shape."""

    width: int = 640
    height: int = 0
    framerate: float = 5.0
    quality: float = 75.0


class PresentationSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A media profile as it can be asked for by RTSP.

    `video` and `audio` are names of streams of the camera, empty for none. `talk` is whether sound may be sent to the camera,
    at what loudness (percent), and who may speak meanwhile (Media 5.14; empty for the camera's choice).
    `started` is whether it is sent by multicast without any session. `picture` is how the stream `jpeg` is made, where that is
    the video.
    """

    path: str
    profile: str
    camera: str
    video: str = ""
    audio: str = ""
    metadata: MetadataSpec | None = None
    talk: bool = False
    talk_level: int = 100
    talk_primacy: str = ""
    multicast: tuple[MulticastSpec, ...] = ()
    started: bool = False
    picture: PictureSpec | None = None


class StreamStats(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of a stream since the worker started; `bitrate` is bit/s (`audio_bitrate` that of its sound alone) and `framerate`
    frames/s over the last report interval;
    `gov_length` is frames between the last two key frames. `ptz` is what the camera's metadata was seen to tell of where it looks
    (media.types.PtzPart), with spaces between."""

    camera: str
    stream: str
    online: bool
    frames: int
    bytes: int
    lost_packets: int
    bad_frames: int
    reconnects: int
    clients: int
    bitrate: int
    framerate: float
    gov_length: int
    last_utc: int
    recorded_bytes: int = 0
    dropped_frames: int = 0
    audio_bitrate: int = 0
    ptz: str = ""


class SessionSpec(msgspec.Struct, frozen=True, kw_only=True):
    """An RTSP session. `id` is its public name, not the one of the protocol; `kinds` are those of the tracks that it is sent.

    `bitrate` is bit/s as far as they are known. The rest is what its client reports: the fraction lost of late, packets lost in
    all, jitter and round trip in seconds; below 0 is what it has not told.
    """

    id: str
    account: str
    address: str
    path: str
    kinds: tuple[str, ...] = ()
    bitrate: int = 0
    loss: float = -1.0
    lost: int = -1
    jitter: float = -1.0
    round_trip: float = -1.0
