"""What a recorder must be able to do so that its recordings, jobs and receivers can be configured, and footage exported.

Reading is in `onvif.backend`. All faults of the operations arise behind these protocols.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from onvifd.media.types import Kind
from onvifd.onvif.backend import Job, JobTrack, RecordingBackend, RecordingTarget, SourceKind


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingSettings:
    """What a client sets of a recording (RecordingControl 5.3.1). `retention` is seconds, 0 for unlimited."""

    source_id: str
    source_name: str
    source_location: str
    source_description: str
    source_address: str
    content: str
    retention: int
    target: RecordingTarget | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedSource:
    """A source of a job as a client wants it: `token` is empty where a receiver is to be made (`create`)."""

    kind: SourceKind
    token: str
    tracks: tuple[JobTrack, ...]
    create: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSettings:
    """What a client sets of a job (RecordingControl 5.3.3). `mode` and `priority` are as sent."""

    recording: str
    mode: str
    priority: int
    sources: tuple[WantedSource, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingOptions:
    """What can still be added to a recording, and the profiles that it can record."""

    jobs: int
    profiles: tuple[str, ...]
    tracks: Mapping[Kind, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingLimits:
    """Static bounds (RecordingControl 5.25)."""

    recordings: int
    jobs: int


class RecordingControlBackend(RecordingBackend, Protocol):
    """Everything raises NotFound with NoRecording, NoTrack or NoRecordingJob for what is not there."""

    def limits(self) -> RecordingLimits: ...

    async def create_recording(self, settings: RecordingSettings) -> str:
        """Gives the token. Raises LimitReached (MaxRecordings), InvalidArgument (BadConfiguration), Conflict
        (NoLocalRecording, UnsupportedStorageStrategy)."""
        ...

    async def delete_recording(self, token: str) -> None:
        """Raises Conflict (CannotDelete)."""
        ...

    async def configure_recording(self, token: str, settings: RecordingSettings) -> None:
        """Raises InvalidArgument (BadConfiguration), Conflict (UnsupportedStorageStrategy)."""
        ...

    async def create_track(self, recording: str, kind: Kind, description: str) -> str:
        """Gives the token. Raises LimitReached (MaxTracks)."""
        ...

    async def delete_track(self, recording: str, track: str) -> None:
        """Raises Conflict (CannotDelete)."""
        ...

    async def describe_track(self, recording: str, track: str, description: str) -> None: ...

    def options(self, recording: str) -> RecordingOptions: ...

    async def create_job(self, settings: JobSettings) -> Job:
        """Raises InvalidArgument (BadConfiguration), LimitReached (MaxRecordingJobs, MaxReceivers)."""
        ...

    async def configure_job(self, token: str, settings: JobSettings) -> Job:
        """Raises InvalidArgument (BadConfiguration), LimitReached (MaxReceivers)."""
        ...

    async def delete_job(self, token: str) -> None:
        """Raises Conflict (CannotDelete) for the job of a camera."""
        ...


class ReceiverMode(StrEnum):
    """tt:ReceiverMode (Receiver 5.2)."""

    AUTO = "AutoConnect"
    ALWAYS = "AlwaysConnect"
    NEVER = "NeverConnect"


class ReceiverState(StrEnum):
    """tt:ReceiverState."""

    NOT_CONNECTED = "NotConnected"
    CONNECTING = "Connecting"
    CONNECTED = "Connected"


class ReceiverProtocol(StrEnum):
    """How a receiver gets RTP: a tt:TransportProtocol, or GROUP for multicast (which is UDP, too)."""

    UDP = "UDP"
    RTSP = "RTSP"
    GROUP = "GROUP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """A receiver as shown: `uri` is without credentials."""

    token: str
    mode: ReceiverMode
    uri: str
    protocol: ReceiverProtocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverSettings:
    """What a client sets of a receiver; `uri` may carry credentials."""

    mode: ReceiverMode
    uri: str
    protocol: ReceiverProtocol

    def __repr__(self) -> str:
        return f"ReceiverSettings({self.mode!r}, {self.protocol!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverLimits:
    receivers: int
    uri: int
    """Octets of an address."""


class ReceiverBackend(Protocol):
    """Everything raises NotFound (UnknownToken) for a receiver that is not there."""

    def limits(self) -> ReceiverLimits: ...
    def receivers(self) -> tuple[Receiver, ...]: ...
    def state(self, token: str) -> tuple[ReceiverState, bool]:
        """Its state, and whether it was made by a job."""
        ...

    async def create(self, settings: ReceiverSettings) -> Receiver:
        """Raises InvalidArgument (BadConfiguration), LimitReached (MaxReceivers)."""
        ...

    async def delete(self, token: str) -> None:
        """Raises Conflict (CannotDeleteReceiver)."""
        ...

    async def configure(self, token: str, settings: ReceiverSettings) -> None:
        """Raises InvalidArgument (BadConfiguration)."""
        ...

    async def set_mode(self, token: str, mode: ReceiverMode) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSegment:
    """A segment that can be exported: it does not change any more. Times are microseconds UTC."""

    start: int
    end: int
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportState:
    """How far an export is, 0 to 1, as a whole and per file."""

    progress: float
    files: tuple[tuple[str, float], ...]


class ExportBackend(Protocol):
    """Copies footage to the folders of storage configurations, in the background (RecordingControl 5.21 to 5.28)."""

    def formats(self) -> tuple[str, ...]:
        """File formats of `export_data`."""
        ...

    async def segments(
        self, recording: str, start: int, end: int, limit: int
    ) -> tuple[tuple[ExportSegment, ...], bool]:
        """Segments that touch the time, in order, and whether there are more. Raises NotFound (NoRecording, NoStorage)."""
        ...

    async def export_segments(
        self, recording: str, start: int, end: int, *, alias: str | None, storage: str | None, kind: Kind | None
    ) -> str:
        """Begin to copy whole segments; gives the token of the operation.

        Raises NotFound (NoRecording), InvalidArgument (InvalidStorage, BadDuration), LimitReached.
        """
        ...

    async def stop_segments(self, operation: str) -> None:
        """Raises NotFound (NoOperation)."""
        ...

    async def export_data(
        self, recordings: tuple[str, ...], start: int | None, end: int | None, *, format: str, storage: str, path: str
    ) -> tuple[str, tuple[str, ...]]:
        """Begin to copy what lies between two times; gives the token of the operation and the names of the files.

        Raises InvalidArgument (BadConfiguration), LimitReached.
        """
        ...

    async def stop_data(self, operation: str) -> ExportState:
        """Raises NotFound (BadConfiguration)."""
        ...

    def data_state(self, operation: str) -> ExportState:
        """Raises NotFound (BadConfiguration)."""
        ...
