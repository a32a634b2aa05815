"""Typed messages between control and its workers (msgpack through msgspec).

Control tells each worker the whole desired state; a worker compares and acts. So a restarted worker needs no history.
"""

from __future__ import annotations

import msgspec

from onvifd.workers.specs import (
    CameraSpec,
    CredentialSpec,
    FilterSpec,
    LockSpec,
    PresentationSpec,
    SessionSpec,
    StreamStats,
    TrackSpec,
    VolumeSpec,
)


class Message(msgspec.Struct, tag=True, kw_only=True):
    """Base of all messages; the class name is the tag on the wire."""


# ---- control to worker -------------------------------------------------------------------------


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


class Cameras(Message):
    """All cameras of this worker, and the ids of those that other workers have; replaces what was sent before."""

    cameras: tuple[CameraSpec, ...]
    elsewhere: tuple[str, ...] = ()


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
