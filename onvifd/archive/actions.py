"""What is to be done to segment files, as a `SegmentWriter` decides and `SegmentFiles` carries out."""

from __future__ import annotations

from dataclasses import dataclass

from onvifd.archive.index import SegmentRow


@dataclass(frozen=True, slots=True)
class Append:
    """Write `parts`, one behind the other, at `offset` of segment number `serial` (offset 0: create the file), then store `row`.
    `frames` counts the main-track units in it."""

    serial: int
    offset: int
    parts: tuple[bytes, ...]
    """Not joined: the kernel gathers them, and footage is copied once less."""
    row: SegmentRow
    frames: int

    @property
    def size(self) -> int:
        """Bytes of all parts."""
        return self.row.size - self.offset

    @property
    def data(self) -> bytes:
        return b"".join(self.parts)


@dataclass(frozen=True, slots=True)
class Close:
    """Segment `serial` is complete."""

    serial: int
    row: SegmentRow


Action = Append | Close
