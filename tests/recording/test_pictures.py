"""Snapshots are taken, kept, listed, read and deleted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from onvifd.archive.disk import Volume
from onvifd.clock import US, SimulatedClock
from onvifd.errors import NotFound, Unavailable
from onvifd.host.timezone import parse
from onvifd.recording.calendar import Calendar
from onvifd.recording.localtime import LocalTime
from onvifd.recording.pictures import MAX_WAITING, Pictures, relative, store
from onvifd.recording.schedule import all_week
from onvifd.recording.types import RecordType
from onvifd.store.catalogue import AsyncCatalogue
from onvifd.store.rows import SnapshotPolicyRow, SnapshotRow

R = RecordType
T0 = 1_767_225_600 * US


@dataclass
class Room:
    """Pictures with a camera that answers at once."""

    catalogue: AsyncCatalogue
    clock: SimulatedClock
    volumes: list[Volume]
    pictures: Pictures = field(init=False)
    asked: list[tuple[str, str]] = field(default_factory=list)
    answer: bytes | None = b"\xff\xd8jpeg"

    def __post_init__(self) -> None:
        self.pictures = Pictures(
            self.catalogue,
            self.clock,
            take=self._take,
            volumes=lambda camera: self.volumes,
            all_volumes=lambda: self.volumes,
            active=lambda camera: frozenset(),
        )

    async def _take(self, camera: str, stream: str) -> bytes:
        self.asked.append((camera, stream))
        if self.answer is None:
            raise Unavailable("the camera does not deliver")
        return self.answer

    def configure(self, *kinds: R, days: int = 30, interval: int = 60) -> None:
        policy = SnapshotPolicyRow(camera="cam-1", enabled=True, days=days, interval=interval)
        calendar = Calendar(LocalTime(parse("UTC0")), all_week(kinds))
        self.pictures.configure({"cam-1": policy}, {"cam-1": calendar})

    def rows(self) -> tuple[SnapshotRow, ...]:
        return self.catalogue.sync.snapshots.list()

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.01)


@pytest.fixture
async def room(catalogue: AsyncCatalogue, clock: SimulatedClock, tmp_path: Path) -> AsyncIterator[Room]:
    root = tmp_path / "volume"
    root.mkdir()
    made = Room(catalogue, clock, [Volume("vol-1", root)])
    yield made
    await made.pictures.stop()


@pytest.mark.covers("REC-15", "ENC-14", "P188")
async def test_by_schedule_and_at_events(room: Room, clock: SimulatedClock) -> None:
    room.configure(R.GENERAL, R.MOTION)
    room.pictures.start()
    await room.until(lambda: len(room.rows()) == 1)
    for count in (2, 3):
        for _ in range(6):
            await clock.advance(10.1)
        await room.until(lambda count=count: len(room.rows()) == count)  # type: ignore[misc]
    room.pictures.event("cam-1", R.MOTION)
    room.pictures.event("cam-1", R.ALARM)
    await room.until(lambda: len(room.rows()) == 4)
    assert [row.kind for row in room.rows()] == ["general", "general", "general", "motion"]
    first = room.rows()[0]
    assert (first.path, first.size) == ("snapshots/cam-1/2026-01-01/000000.000.jpg", 6)
    assert await room.pictures.read(first.id) == b"\xff\xd8jpeg"


async def test_by_hand(room: Room) -> None:
    row = await room.pictures.take("cam-1", stream="sub")
    assert (row.kind, row.volume, room.asked) == ("manual", "vol-1", [("cam-1", "sub")])
    room.answer = None
    with pytest.raises(Unavailable, match="does not deliver"):
        await room.pictures.take("cam-1")


async def test_the_next_volume_takes_what_the_first_does_not(room: Room, tmp_path: Path) -> None:
    room.volumes.insert(0, Volume("vol-0", tmp_path / "unplugged"))
    assert (await room.pictures.take("cam-1")).volume == "vol-1"
    assert not (tmp_path / "unplugged").exists()
    room.volumes.pop()
    with pytest.raises(Unavailable, match="no volume takes a snapshot"):
        await room.pictures.take("cam-1")


async def test_a_mount_point_is_not_written(room: Room, tmp_path: Path) -> None:
    """Its folder is there, but not the volume that is to be in it."""
    empty = tmp_path / "mount"
    empty.mkdir()
    room.volumes.insert(0, Volume("vol-0", empty, "00000000-0000-4000-8000-000000000000"))
    assert (await room.pictures.take("cam-1")).volume == "vol-1"
    assert list(empty.iterdir()) == []


async def test_old_ones_go_with_their_files(room: Room, clock: SimulatedClock) -> None:
    old = await room.pictures.take("cam-1")
    await clock.advance(2 * 86_400)
    young = await room.pictures.take("cam-1")
    gone = await room.pictures.take("cam-gone")
    room.configure(days=1)
    room.pictures.start()
    await room.until(lambda: len(room.rows()) == 2)
    root = room.volumes[0].root
    assert not (root / old.path).parent.exists()
    assert {row.id for row in room.rows()} == {young.id, gone.id}
    await room.pictures.delete(room.rows())
    assert room.rows() == ()
    with pytest.raises(NotFound):
        await room.pictures.read(young.id)
    assert list(root.rglob("*.jpg")) == []


async def test_what_lies_on_a_volume_that_is_away_stays(room: Room) -> None:
    row = await room.pictures.take("cam-1")
    volumes, room.volumes = room.volumes, []
    assert await room.pictures.delete([row]) == 0
    with pytest.raises(Unavailable):
        await room.pictures.read(row.id)
    room.volumes = volumes
    (volumes[0].root / row.path).unlink()
    with pytest.raises(NotFound):
        await room.pictures.read(row.id)
    assert await room.pictures.delete([row]) == 1


async def test_a_slow_camera_does_not_pile_up(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    stuck = asyncio.Event()

    async def take(camera: str, stream: str) -> bytes:
        await stuck.wait()
        return b""

    room.pictures._take = take
    room.configure(R.MOTION)
    for _ in range(MAX_WAITING + 3):
        room.pictures.event("cam-1", R.MOTION)
    assert len(room.pictures._asked) == MAX_WAITING
    assert "no snapshot" in caplog.text


def test_files_are_whole_and_replace_none(tmp_path: Path) -> None:
    names = [store(Volume("v", tmp_path), "cam-1", T0 + 1_234_567, bytes([number])) for number in range(3)]
    assert names == [f"snapshots/cam-1/2026-01-01/000001.23{number}.jpg" for number in (4, 5, 6)]
    assert [(tmp_path / name).read_bytes() for name in names] == [b"\0", b"\1", b"\2"]
    assert list(tmp_path.rglob("*.part")) == []
    assert names[0] == relative("cam-1", T0 + 1_234_567)


async def test_lists_are_filtered_and_paged(catalogue: AsyncCatalogue) -> None:
    snapshots = catalogue.sync.snapshots
    for number in range(10):
        row = SnapshotRow(
            camera=f"cam-{number % 2}",
            utc=T0 + number // 2,
            kind="motion" if number < 5 else "general",
            volume="vol-1",
            path=f"snapshots/{number}.jpg",
            size=number,
        )
        snapshots.insert(row)
    assert [row.size for row in snapshots.list(cameras=("cam-1",), kinds=("general",))] == [5, 7, 9]
    assert [row.size for row in snapshots.list(start=T0 + 1, end=T0 + 3)] == [2, 3, 4, 5]
    seen: list[int] = []
    after: tuple[int, int] | None = None
    while page := snapshots.list(after=after, newest_first=True, limit=3):
        seen += [row.size for row in page]
        after = (page[-1].utc, page[-1].id)
    assert seen == list(range(9, -1, -1))
    assert snapshots.volume_bytes("vol-1") == 45
    assert (snapshots.camera_bytes("cam-0"), snapshots.camera_bytes("cam-x")) == (20, 0)
    assert snapshots.cameras() == ("cam-0", "cam-1")
    assert [row.size for row in snapshots.oldest("vol-1", 2)] == [0, 1]
    # A file that is written anew has one row.
    again = snapshots.list()[0]
    assert snapshots.insert(again) != again.id
    assert len(snapshots.list()) == 10
