"""Typed messages between control and its workers (msgpack through msgspec).

Control tells each worker the whole desired state; a worker compares and acts. So a restarted worker needs no history.
"""

from __future__ import annotations

import msgspec


class Message(msgspec.Struct, tag=True, kw_only=True):
    """Base of all messages; the class name is the tag on the wire."""


# ---- control to worker -------------------------------------------------------------------------


class VolumeSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A folder for segments. `uuid` is what the marker in it must say; empty for a folder without one."""

    id: str
    path: str
    uuid: str = ""
    max_bytes: int = 0


class Setup(Message):
    """First message to a worker: what does not change while it runs."""

    kind: str
    name: str
    database_url: str
    volumes: tuple[VolumeSpec, ...]
    realm: str
    segment_seconds: int
    session_timeout: int
    replay_timeout: int
    max_clients: int
    max_replay: int = 256
    lockout_tries: int = 5
    lockout_seconds: float = 300.0
    fragment_seconds: float = 1.0
    camera_connect: float = 5.0
    camera_silence: float = 10.0
    multicast_interface: str = ""
    max_sessions: int = 0
    max_sessions_per_account: int = 0
    max_sessions_per_address: int = 0
    max_bandwidth: int = 0
    log_level: str = "INFO"


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


class Credentials(Message):
    """All accounts that may log in by RTSP, how, from where, and who is locked; replaces what was sent before."""

    accounts: tuple[CredentialSpec, ...]
    algorithms: tuple[str, ...] = ("MD5",)
    locks: tuple[LockSpec, ...] = ()
    filter: FilterSpec = FilterSpec()


class RtspLoad(Message):
    """The RTSP sessions at all other workers: how many, of which accounts and addresses, and the bit/s that they take."""

    sessions: int = 0
    accounts: dict[str, int] = {}
    addresses: dict[str, int] = {}
    bandwidth: int = 0


class Kick(Message):
    """End an RTSP session by its public id."""

    session: str


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


class Cameras(Message):
    """All cameras of this worker, and the ids of those that other workers have; replaces what was sent before."""

    cameras: tuple[CameraSpec, ...]
    elsewhere: tuple[str, ...] = ()


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


class Presentations(Message):
    """All media profiles of the cameras of this worker; replaces what was sent before."""

    presentations: tuple[PresentationSpec, ...] = ()


class Synchronize(Message):
    """A client asks for a synchronisation point of a presentation: a key frame, and all metadata anew."""

    path: str


class Orders(Message):
    """The recordings that are to be written now; replaces what was sent before. All others wait, with their memory kept."""

    active: tuple[str, ...] = ()


class Volumes(Message):
    """All volumes that may be written now, replaces what was sent before."""

    volumes: tuple[VolumeSpec, ...] = ()


class MetadataDocument(Message):
    """A tt:MetadataStream document for the metadata track of a recording.

    `state` names the property whose change it tells. Then `initial` is the document that tells the same to whoever comes
    later, empty if there is no such property any more: it is kept for the begin of footage. An empty `document` is not
    written, so that a state is told without a change.
    """

    recording: str
    utc: int
    document: bytes
    state: str = ""
    initial: bytes = b""


class LivePart(Message):
    """A wsnt:NotificationMessage for the live metadata of a camera, for those of its metadata configurations whose filter lets it
    pass.

    `state` names the property it is about; then `initial` is the message that tells it to whoever comes later, empty if there
    is no such property any more. Without a `part` only the state is told. With `anew` all states told before are void.
    """

    camera: str
    configurations: tuple[str, ...] = ()
    part: bytes = b""
    state: str = ""
    initial: bytes = b""
    anew: bool = False


class ReplayTimeout(Message):
    """Session time-out of replay, seconds."""

    seconds: int


class GetKeyframe(Message):
    """Ask for the latest key frame of a stream; answered by `Keyframe` or `Failure`."""

    camera: str
    stream: str


class MakeJpeg(Message):
    """Ask the vision worker for a JPEG of a key frame; answered by `Jpeg` or `Failure`. `width` 0 keeps its size; it is
    never made larger."""

    codec: str
    parameter_sets: tuple[bytes, ...]
    data: bytes
    quality: int = 85
    width: int = 0
    config: bytes = b""


class Stop(Message):
    """End cleanly: close files and sockets, then exit."""


class Ping(Message):
    """Are you alive? Answered by `Pong`."""


# ---- worker to control -------------------------------------------------------------------------


class Ready(Message):
    """The worker has taken its set-up and serves."""

    name: str
    pid: int


class Pong(Message):
    pass


class Done(Message):
    """Positive answer without content."""


class Failure(Message):
    """Negative answer: the reason for a person."""

    reason: str


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


class Keyframe(Message):
    """A key frame (media.types.AccessUnit.data)."""

    codec: str
    parameter_sets: tuple[bytes, ...]
    data: bytes
    utc: int
    config: bytes = b""


class Jpeg(Message):
    data: bytes


class CameraState(Message):
    """A stream came up or was lost."""

    camera: str
    stream: str
    online: bool
    utc: int
    reason: str = ""


class StreamFormats(Message):
    """What a stream carries, at start and after every change."""

    camera: str
    stream: str
    tracks: tuple[TrackSpec, ...]


class RecordingState(Message):
    """Recording of a container began or ended. `error` is true when it ended against the job's will."""

    recording: str
    active: bool
    utc: int
    reason: str = ""
    error: bool = False
    tracks: tuple[str, ...] = ()


class KeyframeWanted(Message):
    """Clients ask for a key frame of a stream: the camera is to be asked."""

    camera: str
    stream: str


class PictureLineLost(Message):
    """The line to the vision worker has ended while this worker goes on: another one is wanted."""


class CertificateSeen(Message):
    """A camera showed a certificate, and there was none to compare it with. `fingerprint` is its SHA-256 in hex."""

    camera: str
    stream: str
    fingerprint: str


class DigestSeen(Message):
    """A camera has offered Digest: its password is not to be sent in clear any more."""

    camera: str
    stream: str


class VolumeTrouble(Message):
    """A volume did not take footage: the reason for a person. Said once until it takes some again."""

    volume: str
    reason: str
    utc: int


class StreamStats(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of a stream since the worker started; `bitrate` is bit/s (`audio_bitrate` that of its sound alone) and `framerate`
    frames/s over the last report interval;
    `gov_length` is frames between the last two key frames."""

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


class Stats(Message):
    """Sent every few seconds. `tasks` and `descriptors` are what the process holds: they must not grow without a reason."""

    worker: str
    clients: int
    tasks: int = 0
    descriptors: int = 0
    streams: tuple[StreamStats, ...] = ()
    sessions: tuple[SessionSpec, ...] = ()


class SessionRefused(Message):
    """An RTSP session was refused since there are enough: the reason for a person."""

    account: str
    address: str
    path: str
    reason: str


class LoginNotice(Message):
    """Somebody came in by RTSP (no reason), or was refused. `counted` is false for what is no guess."""

    account: str
    source: str
    local: str = ""
    reason: str = ""
    known: bool = False
    counted: bool = False


AnyMessage = (
    Setup
    | Credentials
    | Cameras
    | Presentations
    | Synchronize
    | Orders
    | Volumes
    | MetadataDocument
    | LivePart
    | Kick
    | RtspLoad
    | SessionRefused
    | ReplayTimeout
    | GetKeyframe
    | MakeJpeg
    | Stop
    | Ping
    | Ready
    | Pong
    | Done
    | Failure
    | Keyframe
    | Jpeg
    | CameraState
    | StreamFormats
    | RecordingState
    | KeyframeWanted
    | PictureLineLost
    | CertificateSeen
    | DigestSeen
    | VolumeTrouble
    | Stats
    | LoginNotice
)


class Envelope(msgspec.Struct, frozen=True, array_like=True):
    """`id` numbers a request that wants an answer (0: none wanted); `re` is the id that this answers (0: no answer)."""

    id: int
    re: int
    body: AnyMessage


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Envelope)


def encode(envelope: Envelope) -> bytes:
    """An envelope as msgpack."""
    return _encoder.encode(envelope)


def decode(data: bytes) -> Envelope:
    """Msgpack back to an envelope. Raises `msgspec.DecodeError` or `msgspec.ValidationError`."""
    return _decoder.decode(data)
