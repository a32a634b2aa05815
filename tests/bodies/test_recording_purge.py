"""Footage of deleted recordings goes, but nothing that is locked and nothing from volumes that are only read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from onvifd.archive.catalogue_upkeep import CatalogueUpkeep
from onvifd.archive.disk import Volume
from onvifd.archive.index import SegmentRow
from onvifd.bodies.recording_purge import LATER, Purge
from onvifd.clock import US, SimulatedClock
from onvifd.errors import Conflict
from onvifd.store import rows
from onvifd.store.catalogue import AsyncCatalogue, Catalogue

T0 = 1_767_225_600 * US
TOKEN = "rec-0123abcd"


class Scene:
    """A deleted recording with two segments, which are files on a volume, and one that stays."""

    def __init__(self, catalogue: AsyncCatalogue, root: Path) -> None:
        self.catalogue = catalogue
        self.sync = catalogue.sync
        self.clock = SimulatedClock(T0 + 60 * US)
        self.volume = Volume(self.sync.volumes.ensure(str(root), 0, T0).id, root)
        self.deletable: list[Volume] = [self.volume]
        self.deleted: list[SegmentRow] = []
        for token in (TOKEN, "rec-4567ef01"):
            row = rows.RecordingRow(token=token, camera=None, source_id="", source_name="", dynamic=True)
            self.sync.recordings.create(row, limit=10)
        self.paths = [self._segment(TOKEN, n) for n in range(2)]
        self.other = self._segment("rec-4567ef01", 0)
        upkeep = CatalogueUpkeep(self.sync)
        self.purge = Purge(catalogue, upkeep, lambda: self.deletable, self.clock, self.deleted.append)

    def _segment(self, token: str, number: int) -> Path:
        name = f"{token}/2026-01-01/00/0000{number:02}.000.mp4"
        path = self.volume.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"footage")
        start = T0 + number * US
        self.sync.segments.insert(
            rows.SegmentRow(
                recording=token, volume=self.volume.id, path=name, start=start, end=start + US, size=7, state="closed"
            )
        )
        return path

    def lock(self, start: int, end: int) -> int:
        return self.sync.locks.add(TOKEN, start, end, account="admin", now=self.clock.utc()).id

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not holds():
                await self.clock.advance(LATER)

    async def passes(self, count: int = 3) -> None:
        """It looks again several times."""
        looked = 0
        original = self.purge._once

        async def once() -> bool:
            nonlocal looked
            left = await original()
            looked += 1
            return left

        self.purge._once = once  # type: ignore[method-assign]
        await self.until(lambda: looked >= count)

    def known(self) -> set[str]:
        return {row.token for row in self.sync.recordings.all()}


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    opened = Catalogue.open(f"sqlite:///{tmp_path / 'catalogue.sqlite3'}", migrate=True)
    catalogue = AsyncCatalogue(opened)
    root = tmp_path / "volume"
    root.mkdir()
    made = Scene(catalogue, root)
    yield made
    await made.purge.stop()
    await catalogue.close()


@pytest.mark.covers("G-DeleteRecording")
async def test_the_footage_goes_and_then_the_recording(scene: Scene) -> None:
    scene.sync.recordings.begin_removal(TOKEN, now=scene.clock.utc())
    scene.purge.start()
    await scene.until(lambda: TOKEN not in scene.known())
    assert not any(path.exists() for path in scene.paths)
    assert len(scene.deleted) == 2
    assert scene.other.exists()
    assert scene.known() == {"rec-4567ef01"}


@pytest.mark.covers("G-DeleteRecording")
async def test_a_recording_with_locked_footage_is_not_deleted(scene: Scene) -> None:
    lock = scene.lock(T0, T0 + 1)
    with pytest.raises(Conflict) as refused:
        scene.sync.recordings.begin_removal(TOKEN, now=scene.clock.utc())
    assert refused.value.detail == "CannotDelete"
    assert not any(row.removing for row in scene.sync.recordings.all())
    scene.sync.locks.remove(lock)
    scene.sync.recordings.begin_removal(TOKEN, now=scene.clock.utc())


@pytest.mark.covers("G-DeleteRecording")
async def test_a_lock_that_ended_keeps_nothing(scene: Scene) -> None:
    now = scene.clock.utc()
    scene.sync.locks.add(TOKEN, T0, T0 + US, account="admin", now=now, until=now + US)
    scene.sync.recordings.begin_removal(TOKEN, now=now + US)


async def test_what_was_locked_since_stays_until_it_is_unlocked(scene: Scene) -> None:
    scene.sync.recordings.begin_removal(TOKEN, now=scene.clock.utc())
    lock = scene.lock(T0, T0 + 1)
    scene.purge.start()
    await scene.passes()
    assert [path.exists() for path in scene.paths] == [True, False]
    assert TOKEN in scene.known()
    scene.sync.locks.remove(lock)
    await scene.until(lambda: TOKEN not in scene.known())
    assert not scene.paths[0].exists()


async def test_nothing_is_deleted_from_a_volume_that_is_only_read(scene: Scene) -> None:
    scene.deletable.clear()
    scene.sync.recordings.begin_removal(TOKEN, now=scene.clock.utc())
    scene.purge.start()
    await scene.passes()
    assert all(path.exists() for path in scene.paths)
    scene.deletable.append(scene.volume)
    await scene.until(lambda: TOKEN not in scene.known())


async def test_a_defect_costs_one_attempt(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.sync.recordings.begin_removal(TOKEN, now=scene.clock.utc())
    original = scene.purge._batch
    calls = 0

    def broken(*args: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise RuntimeError("a defect")
        return original(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(scene.purge, "_batch", broken)
    scene.purge.start()
    await scene.until(lambda: TOKEN not in scene.known())
