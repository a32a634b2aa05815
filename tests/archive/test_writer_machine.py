"""Any camera, any clock and any disk at the archive: whatever comes, the index tells the truth of the files, each picture is
there once or counted as lost, and what is there can be read back in order."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import random
import tempfile
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from onvifd.archive.cache import FragmentCache
from onvifd.archive.cursor import STALLED_SECONDS, ForwardCursor
from onvifd.archive.disk import DiskPool, SegmentFiles, Volume
from onvifd.archive.doctor import Depth, examine
from onvifd.archive.index import EndReason, SegmentRow, SegmentState, unpack_fragments
from onvifd.archive.memory import MemorySegmentStore
from onvifd.archive.reader import Position, RecordingReader, access_unit
from onvifd.archive.recovery import recover
from onvifd.archive.segment import Action, Append, SegmentWriter
from onvifd.archive.selection import Wanted
from onvifd.clock import US, SimulatedClock
from onvifd.media import nal
from onvifd.media.types import AccessUnit, Codec, TrackFormat
from onvifd.rtsp.play import Frames
from tests.archive.conftest import FRAME, PCMA, PCMU, T0, Clip

HAPPENINGS = (
    *("group", "group", "group", "short", "sound", "documents"),
    *("lose", "hole", "minute", "jump", "back", "slip", "stuck", "swap", "ticks"),
    *("format", "sets", "finish", "cut", "poll", "full", "empty"),
    *("write", "write", "fail", "fail-later", "works", "crash"),
)
METADATA = TrackFormat(codec=Codec.METADATA, clock_rate=90000)


class Disk(SegmentFiles):
    """Takes some bytes of what it refuses."""

    def __init__(self, volumes: dict[str, Volume], store: MemorySegmentStore) -> None:
        super().__init__(volumes.get, store)
        self.failing: set[str] = set()
        self.takes = 0

    def append(self, action: Append) -> None:
        if action.row.volume in self.failing:
            if self._file is not None and self._serial == action.serial and action.offset:
                os.pwrite(self._file.fd, action.data[: self.takes], action.offset)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().append(action)


@dataclass
class Archive:
    """A recording, what feeds it and what it is written to."""

    seed: int
    clips: tuple[Clip, Clip]
    folder: Path
    queue: deque[Action] = field(default_factory=deque)
    fed: dict[bytes, AccessUnit] = field(default_factory=dict)
    """Pictures that were to be recorded, by their number."""
    dropped: int = 0
    """Pictures that were gone with a process, or came before there was anything to record to."""
    swapped: bool = False
    """Whether pictures were fed in another order than that of their numbers."""
    slipped: bool = False
    """Whether their times went back a little, as those of B frames do."""
    wild: bool = False
    """Whether the camera's clock was not to be trusted."""
    back: bool = False
    """Whether it went back far."""

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.volumes = {name: Volume(name, self.folder / name) for name in ("v1", "v2")}
        for volume in self.volumes.values():
            volume.root.mkdir()
        self.store = MemorySegmentStore()
        self.disk = Disk(self.volumes, self.store)
        self.clip = self.clips[0]
        self.sound = PCMU
        self.core = self.begun()
        self.utc, self.ticks, self.now = T0, 0, 0.0
        self.number = 0
        self.phase = 0
        self.room = True

    def begun(self) -> SegmentWriter:
        return SegmentWriter("rec-1", "v1", self.formats(), segment_us=10 * US)

    def formats(self) -> list[TrackFormat]:
        return [self.clip.format, self.sound, METADATA]

    def feed(self, unit: AccessUnit) -> None:
        self.queue += self.core.feed(unit, self.now, self.room)

    def picture(self, key: bool | None = None) -> AccessUnit:
        """The next one: its last eight bytes are its number."""
        wanted = self.phase == 0 if key is None else key
        self.phase = (self.phase + 1) % 25 if not wanted else 1
        _, data = next(frame for frame in self.clip.frames if frame[0] == wanted)
        self.number += 1
        *before, last = nal.iterate(data)
        unit = AccessUnit(0, self.utc, self.ticks, wanted, nal.join([*before, bytes(last) + name_of(self.number)]))
        self.utc += FRAME
        self.ticks += 3600
        self.now += FRAME / US
        return unit

    def show(self, unit: AccessUnit) -> None:
        self.fed[unit.data[-8:]] = unit
        self.feed(unit)
        self.dropped += not self.core._serial

    def step(self, happening: str) -> None:
        chance = self.chance
        self.wild |= happening in ("jump", "back", "slip", "stuck", "ticks")
        self.back |= happening == "back"
        match happening:
            case "group" | "short":
                for _ in range(25 if happening == "group" else chance.randrange(1, 25)):
                    self.show(self.picture())
            case "sound":
                for n in range(chance.randrange(60)):
                    self.feed(AccessUnit(1, self.utc + n * 20_000 - US, n * 160, True, bytes(160)))
            case "documents":
                for _ in range(chance.randrange(4)):
                    self.feed(
                        AccessUnit(2, self.utc + chance.randrange(-3 * US, US), 0, True, b"<x/>" * chance.randrange(40))
                    )
            case "lose":
                for _ in range(chance.randrange(1, 10)):
                    self.picture()
            case "hole" | "minute":
                self.later(chance.randrange(US) if happening == "hole" else chance.randrange(60 * US))
            case "jump":
                self.utc += chance.randrange(US, 7200 * US)
            case "back":
                self.utc -= chance.randrange(US, 7200 * US)
            case "slip":
                self.slipped = True
                self.utc += chance.randrange(-900_000, 900_000)
            case "ticks":
                self.ticks += chance.randrange(-(1 << 31), 1 << 31)
            case "stuck":
                self.slipped = True  # a clean point among them is moved on by a microsecond
                utc = self.utc
                for _ in range(chance.randrange(1, 5)):
                    self.show(self.picture())
                    self.utc = utc
            case "swap":
                self.swapped = self.slipped = True
                one, two = self.picture(False), self.picture(False)
                self.show(two)
                self.show(one)
            case _:
                self.act(happening)
        if chance.random() < 0.3:
            self.write()

    def later(self, by: int) -> None:
        self.utc += by
        self.ticks += by * 90000 // US
        self.now += by / US
        if self.chance.random() < 0.5:
            self.queue += self.core.poll(self.now, self.room)

    def act(self, happening: str) -> None:
        chance = self.chance
        match happening:
            case "format":
                self.sound = PCMA if self.sound is PCMU else PCMU
                self.queue += self.core.set_formats(self.formats(), self.room)
            case "sets":
                self.clip = self.clips[self.clip is self.clips[0]]
                self.show(self.picture(True))
            case "finish":
                self.queue += self.core.finish(EndReason.PAUSE, self.room)
            case "cut":
                self.core.volume = chance.choice(("v1", "v2"))
                self.core.cut()
            case "poll":
                self.now += chance.randrange(4)
                self.queue += self.core.poll(self.now, self.room)
            case "full" | "empty":
                self.room = happening == "empty"
            case "write":
                self.write()
            case "fail" | "fail-later":
                self.disk.takes = chance.choice((0, 7, 500))
                self.disk.failing = {chance.choice(("v1", "v2"))}
                if happening == "fail":
                    self.write()
            case "works":
                self.disk.failing = set()
            case "crash":
                self.crash()

    def write(self) -> None:
        """As `RecordingWriter` does."""
        while self.queue:
            action = self.queue[0]
            if not isinstance(action, Append):
                self.disk.close(action)
                self.queue.popleft()
                continue
            try:
                self.disk.append(action)
            except OSError:
                self.disk.abandon(EndReason.VOLUME)
                other = "v2" if action.row.volume == "v1" else "v1"
                unwritten = list(self.queue)
                self.queue.clear()
                self.queue += self.core.move(other, unwritten)
            else:
                self.queue.popleft()

    def crash(self) -> None:
        """The process is gone, with what it had in memory; another one takes over."""
        self.dropped += sum(each.frames for each in self.queue if isinstance(each, Append))
        self.dropped += len(self.core._pending[0]) + self.core.lost
        if (file := self.disk._file) is not None:
            if (
                self.queue
                and isinstance(action := self.queue[0], Append)
                and action.serial == self.disk._serial
                and action.offset
            ):
                os.pwrite(file.fd, action.data[: self.chance.randrange(action.size)], action.offset)
            os.close(file.fd)
        self.queue.clear()
        assert not recover(self.store, list(self.volumes.values())).failed
        self.disk = Disk(self.volumes, self.store)
        self.core = self.begun()
        self.utc += 2 * US

    def rows(self) -> list[SegmentRow]:
        return sorted(self.store.segments_between("rec-1", -(1 << 62), 1 << 62, 10_000), key=lambda row: row.id)

    def end(self) -> None:
        self.disk.failing = set()
        self.room = True
        self.queue += self.core.finish(EndReason.STOP)
        self.write()
        self.check()

    def check(self) -> None:
        assert list(examine(self.store, list(self.volumes.values()), depth=Depth.FULL)) == []
        rows = self.rows()
        files = {
            (name, str(path.relative_to(each.root)))
            for name, each in self.volumes.items()
            for path in each.root.rglob("*.mp4")
        }
        assert files == {(row.volume, row.path) for row in rows}
        reader = RecordingReader(self.store, self.volumes, "rec-1", cache=FragmentCache(), pool=DiskPool())
        found: list[bytes] = []
        for row in rows:
            assert row.state is not SegmentState.OPEN
            fragments = unpack_fragments(row.fragments)
            assert row.start == fragments[0].start
            assert row.end == max(each.end for each in fragments)
            assert all(one.start <= other.start for one, other in itertools.pairwise(fragments)), "order"
            shown: list[AccessUnit] = []
            segment = reader._view(row, False)
            for index in range(len(fragments)):
                loaded = reader.load_now(Position(segment, index))
                units = [access_unit(loaded, sample) for sample in loaded.samples]
                shown += [unit for unit in units if unit.track == 0]
            found += [unit.data[-8:] for unit in shown]
            times = [(unit.utc, max(row.start, self.fed[unit.data[-8:]].utc)) for unit in shown]
            assert self.wild or all(one == other for one, other in times)
            if not self.slipped:
                assert all(one.utc <= other.utc for one, other in itertools.pairwise(shown)), "times"
        assert len(found) == len(set(found)), "twice"
        assert set(found) <= set(self.fed), "foreign"
        assert found == sorted(found) or self.swapped, "sequence"
        asyncio.run(self.replay(found))
        self.walk(reader, sum(len(unpack_fragments(row.fragments)) for row in rows))
        assert len(self.fed) - len(found) == self.core.lost + self.dropped

    def walk(self, reader: RecordingReader, count: int) -> None:
        """There and back, each fragment once."""
        there = reader.find_now(0)
        seen: list[tuple[str, str, int]] = []
        last = there
        while there is not None:
            seen.append(there.key)
            assert len(seen) <= count
            last, there = there, reader.next_now(there)
        assert self.back or len(seen) == count or not count
        back = []
        while last is not None:
            back.append(last.key)
            assert len(back) <= count
            last = reader.previous_now(last)
        assert self.back or back == seen[::-1]

    async def replay(self, found: list[bytes]) -> None:
        """What is there is sent once and in order, but for what a clock that was set back says again (Streaming 6.3.1)."""
        pool = DiskPool(1)
        reader = RecordingReader(self.store, self.volumes, "rec-1", cache=FragmentCache(), pool=pool)
        wanted = Wanted(end=1 << 60, tracks=frozenset((0, 1, 2)), frames=Frames.ALL, interval=0)
        clock = SimulatedClock((1 << 60) + US)
        cursor = ForwardCursor(reader, clock, tuple(self.formats()), wanted, await reader.find(0), 0)
        sent: list[bytes] = []
        async with asyncio.timeout(60):
            while not cursor.done:
                items = await cursor.batch()
                for item in items:
                    if item.track == 0:
                        sent.append(access_unit(item.loaded, item.sample).data[-8:])
                if not items and not cursor.done:
                    await clock.advance(STALLED_SECONDS)
        await cursor.close()
        pool.close()
        assert len(sent) == len(set(sent))
        assert set(sent) <= set(found)
        assert self.slipped or self.back or sent == sorted(sent)
        assert self.wild or len(sent) == len(found)


def name_of(number: int) -> bytes:
    """Eight bytes that are no start code, in the order of numbers."""
    return bytes(0x20 + (number >> shift & 15) for shift in range(28, -1, -4))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1 << 30), happenings=st.lists(st.sampled_from(HAPPENINGS), min_size=1, max_size=40))
def test_each_picture_is_there_once_or_counted(seed: int, happenings: list[str], h264: Clip, h264_large: Clip) -> None:
    with tempfile.TemporaryDirectory() as folder:
        archive = Archive(seed, (h264, h264_large), Path(folder))
        for happening in ("group", *happenings):
            archive.step(happening)
        archive.end()
