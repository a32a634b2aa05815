"""What the catalogue takes and gives: one frozen dataclass per table. Columns are explained in `schema`."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRow:
    camera: str
    role: str
    uri: str
    source_profile: str = ""
    snapshot_uri: str = ""
    video_codec: str = ""
    width: int = 0
    height: int = 0
    framerate: float = 0.0
    bitrate: int = 0
    gov_length: int = 0
    encoder_profile: str = ""
    audio_codec: str = ""
    sample_rate: int = 0
    audio_channels: int = 0
    audio_bitrate: int = 0
    quality: float | None = None
    ptz: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraRow:
    """A camera with its streams, main first. `channel` 0 on insertion asks for the lowest free one."""

    id: str
    channel: int
    name: str
    driver: str
    address: str
    credentials: bytes | None = field(default=None, repr=False)
    enabled: bool = True
    manufacturer: str = ""
    model: str = ""
    firmware: str = ""
    serial: str = ""
    event_address: str = ""
    created: int = 0
    streams: tuple[StreamRow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileRow:
    token: str
    camera: str
    role: str
    name: str
    fixed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackRow:
    recording: str
    token: str
    kind: str
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingRow:
    """A recording with its tracks in order VIDEO001, AUDIO001, META001. `retention` is seconds, 0 for unlimited; it counts
    once a client has `configured` it. `target` is JSON, empty for none."""

    token: str
    camera: str | None
    source_id: str
    source_name: str
    source_location: str = ""
    source_description: str = ""
    source_address: str = ""
    content: str = ""
    retention: int = 0
    role: str = "main"
    dynamic: bool = False
    configured: bool = False
    removing: bool = False
    target: str = ""
    created: int = 0
    tracks: tuple[TrackRow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSourceRow:
    """A source of a job: `kind` is profile or receiver; `tracks` pairs source tags with tracks of the recording."""

    kind: str
    token: str
    tracks: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """A job; `camera` is None for one that a client made."""

    token: str
    recording: str
    camera: str | None
    sources: tuple[JobSourceRow, ...]
    active: bool = True
    priority: int = 1
    created: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverRow:
    """A receiver. `uri` is what is shown; `secret` the sealed whole where something is hidden."""

    token: str
    mode: str
    uri: str = ""
    secret: bytes | None = field(default=None, repr=False)
    protocol: str = "UDP"
    automatic: bool = False
    created: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow:
    name: str
    level: str
    password: bytes = field(repr=False)
    created: int = 0
    changed: int = 0
    fixed: bool = False
    periods: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeRow:
    """`uuid` is empty until its folder is marked. `origin` is `settings` or `command`."""

    id: str
    path: str
    max_bytes: int = 0
    created: int = 0
    uuid: str = ""
    name: str = ""
    access: str = "read-write"
    group: int = 1
    origin: str = "settings"


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageRuleRow:
    """Where and how long something is kept. `days` None is what the settings say, 0 for ever."""

    owner: str
    group: int = 1
    quota: int = 0
    days: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockRow:
    """Footage that must stay: `start` to before `end`. `until` None is for ever."""

    id: int = 0
    recording: str
    start: int
    end: int
    account: str = ""
    reason: str = ""
    created: int = 0
    until: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRow:
    """One segment. `id` is 0 until inserted. `start` and `end` are microseconds UTC; the archive knows what is in the rest."""

    id: int = 0
    recording: str
    volume: str
    path: str
    start: int
    end: int
    size: int
    kinds: int = 0
    copy: bool = False
    state: str = "open"
    end_reason: str = ""
    formats: str = field(default="[]", repr=False)
    fragments: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanRow:
    """A stretch of time with a record type; `end` is None while it lasts. `marks` are all types that apply, with commas."""

    id: int = 0
    recording: str
    kind: str
    start: int
    end: int | None
    marks: str = ""


Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """A message. `operation` is empty for what is no property."""

    utc: int
    topic: str
    recording: str = ""
    operation: str = ""
    source: Pairs = ()
    key: Pairs = ()
    data: Pairs = ()
    elements: Pairs = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleGroupRow:
    name: str
    remark: str = ""
    builtin: bool = False
    rights: str = "{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleAccountRow:
    name: str
    group: str
    hash: str = field(repr=False)
    rights: str | None = None
    enabled: bool = True
    fixed: bool = False
    periods: str = ""
    email: str = ""
    remark: str = ""
    created: int = 0
    changed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One act or refusal. `id` is 0 until inserted."""

    id: int = 0
    utc: int
    kind: str
    account: str = ""
    address: str = ""
    face: str = ""
    action: str = ""
    outcome: str = ""
    detail: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRow:
    """How a stream of a camera is recorded."""

    camera: str
    stream: str
    mode: str = "auto"
    pre: int = 5
    post: int = 30
    audio: bool = True
    redundant: bool = False
    manual: bool = False
    resume: str = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class HolidayRow:
    name: str
    first: str
    last: str
    yearly: bool = False
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotPolicyRow:
    camera: str
    enabled: bool = False
    stream: str = "main"
    interval: int = 60
    event_interval: int = 0
    days: int = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotRow:
    """A stored picture. `id` is 0 until inserted."""

    id: int = 0
    camera: str
    utc: int
    kind: str
    volume: str
    path: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordStateRow:
    """How a recording stands, as the running recorder last said."""

    recording: str
    camera: str = ""
    stream: str = ""
    mode: str = "auto"
    ordered: bool = False
    active: bool = False
    kind: str = ""
    marks: str = ""
    reason: str = ""
    utc: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaProfileRow:
    token: str
    camera: str | None = None
    fixed: bool = False
    name: str | None = None
    parts: str | None = None
    started: bool = False
    created: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaConfigurationRow:
    token: str
    camera: str
    body: str
