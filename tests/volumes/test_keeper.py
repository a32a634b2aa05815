"""The keeper knows how volumes are, tells it, and says what goes where."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from onvifd.archive.disk import Volume
from onvifd.archive.retention import Swept
from onvifd.clock import SimulatedClock
from onvifd.events.types import Event
from onvifd.store.catalogue import AsyncCatalogue, Catalogue
from onvifd.store.rows import RecordingRow, StorageRuleRow
from onvifd.store.settings import put_setting
from onvifd.volumes import keeper as keeping
from onvifd.volumes.forecast import ages
from onvifd.volumes.keeper import DAY, VolumeKeeper
from onvifd.volumes.look import Look, look
from onvifd.volumes.model import OPTIONS_SETTING, Health, Mode, Options, VolumeState, dump_options, snapshots_of
from tests.archive.conftest import T0
from tests.volumes.conftest import MakeVolume

GB = 10**9


class Stage:
    """A keeper whose looks may be told what they see, with what it tells."""

    def __init__(self, catalogue: AsyncCatalogue) -> None:
        self.catalogue = catalogue
        self.clock = SimulatedClock(T0)
        self.events: list[Event] = []
        self.changes = 0
        self.woken = 0
        self.seen: dict[str, Look] = {}
        self.disks: tuple[Health, ...] = ()
        self.keeper = VolumeKeeper(
            catalogue,
            self.clock,
            self.events.append,
            paths=[],
            reserve=0.1,
            max_age=30 * DAY,
            changed=self._changed,
            full=self._full,
            look=self._look,
            smart=lambda device: self.disks,
        )

    def _changed(self) -> None:
        self.changes += 1

    def _full(self) -> None:
        self.woken += 1

    def _look(self, root: Path, *args: object, **named: object) -> Look:
        return self.seen.get(root.name) or look(root, *args, **named)  # type: ignore[arg-type]

    def state(self, volume: Volume) -> VolumeState:
        return next(each.state for each in self.keeper.statuses() if each.id == volume.id)

    def reason(self, volume: Volume) -> str:
        return next(each.reason for each in self.keeper.statuses() if each.id == volume.id)

    async def until(self, condition: Callable[[], object], seconds: float = 2.0) -> None:
        async with asyncio.timeout(10):
            while not condition():
                await self.clock.advance(seconds)
                await asyncio.sleep(0.005)

    async def set(self, **options: object) -> None:
        text = dump_options(replace(Options(), **options))  # type: ignore[arg-type]
        await self.catalogue.run(put_setting, self.catalogue.sync.database, OPTIONS_SETTING, text)
        await self.keeper.reload()

    def told(self) -> list[tuple[str, ...]]:
        found = [
            (event.topic.rsplit("/", 1)[1], event.source[0][1], *(text for _, text in event.data))
            for event in self.events
        ]
        self.events.clear()
        return found


@pytest.fixture
async def stage(catalogue: Catalogue) -> AsyncIterator[Stage]:
    wrapped = AsyncCatalogue(catalogue)
    made = Stage(wrapped)
    yield made
    await made.keeper.close()


def well(root: str = "", total: int = 1000 * GB, free: int = 500 * GB, device: str = "8:1") -> Look:
    return Look(state=VolumeState.OK, total=total, free=free, device=device)


@pytest.mark.covers("ALM-23", "A043", "A044", "P147", "P212", "P213", "P214", "P217", "STO-03", "STO-19")
async def test_a_volume_is_pulled_and_returns(stage: Stage, make_volume: MakeVolume) -> None:
    one, two = make_volume("one"), make_volume("two")
    await stage.keeper.start()
    # Each volume is looked at by a thread of its own: in whatever order they answer.
    assert set(stage.told()) == {
        (topic, volume.id, *values)
        for volume in (one, two)
        for topic, values in (("StorageFailure", ("false",)), ("State", ("ok", "", "false", "false", "false")))
    }
    assert set(stage.keeper.volumes_for("rec-1")) == {one.id, two.id}
    before = stage.changes
    two.root.rename(two.root.with_name("away"))
    two.root.mkdir()  # the mount point stays
    await stage.until(lambda: stage.state(two) is VolumeState.MISSING)
    assert stage.told() == [
        ("StorageFailure", two.id, "true"),
        ("State", two.id, "missing", "its file system is not mounted", "false", "false", "false"),
    ]
    assert stage.changes > before
    assert stage.keeper.volumes_for("rec-1") == (one.id,)
    assert [volume.id for volume in stage.keeper.writable()] == [one.id]
    assert {volume.id for volume in stage.keeper.known()} == {one.id, two.id}
    assert two.id not in stage.keeper.rules().volumes
    assert list(two.root.iterdir()) == []
    two.root.rmdir()
    two.root.with_name("away").rename(two.root)
    await stage.until(lambda: stage.state(two) is VolumeState.OK)
    assert ("StorageFailure", two.id, "false") in stage.told()
    assert set(stage.keeper.volumes_for("rec-1")) == {one.id, two.id}


async def test_a_real_file_system_goes_and_comes(stage: Stage, catalogue: Catalogue, tmp_path: Path) -> None:
    """tmpfs in place of a disk."""
    root = tmp_path / "disk"
    root.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "onvifd-test", str(root)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting needs root")
    kept = tmp_path / "kept"
    kept.mkdir()
    try:
        from onvifd.volumes.register import add

        volume = add(catalogue, root, T0)
        mine = Volume(volume.id, root, volume.uuid)
        await stage.keeper.start()
        assert stage.state(mine) is VolumeState.OK
        # Moved away and back: the file system lives on, as a disk does that is pulled.
        subprocess.run(["mount", "--bind", str(root), str(kept)], check=True)
        subprocess.run(["umount", str(root)], check=True)
        await stage.until(lambda: stage.state(mine) is VolumeState.MISSING)
        assert not mine.is_there()
        assert list(root.iterdir()) == []
        subprocess.run(["mount", "--bind", str(kept), str(root)], check=True)
        await stage.until(lambda: stage.state(mine) is VolumeState.OK)
        subprocess.run(["mount", "-o", "remount,bind,ro", str(root)], check=True)
        await stage.until(lambda: stage.state(mine) is VolumeState.ERROR)
        assert stage.reason(mine) == "Read-only file system"
    finally:
        for each in (root, kept):
            subprocess.run(["umount", "-l", str(each)], capture_output=True, check=False)


async def test_a_disk_that_hangs_fails_its_volume_only_and_takes_one_thread(
    stage: Stage, make_volume: MakeVolume, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "LOOK_TIMEOUT", 0.02)
    fast, slow = make_volume("fast"), make_volume("slow")
    release, looks = threading.Event(), 0

    def hang(root: Path, *args: object, **named: object) -> Look:
        nonlocal looks
        if root.name == "slow":
            looks += 1
            release.wait(20)
        return well()

    stage.keeper._look_at = hang
    try:
        await stage.keeper.start()
        assert (stage.state(fast), stage.state(slow)) == (VolumeState.OK, VolumeState.ERROR)
        assert stage.reason(slow) == "it does not answer"
        for _ in range(5):
            await stage.clock.advance(2)
            await asyncio.sleep(0.03)
        assert looks == 1
        assert slow.id not in stage.keeper.rules().volumes
        release.set()
        await stage.until(lambda: stage.state(slow) is VolumeState.OK)
    finally:
        release.set()


async def test_a_worker_that_cannot_write_is_believed(stage: Stage, make_volume: MakeVolume) -> None:
    """A disk may look well and fail all the same: it is tried again after a while, not at once."""
    one = make_volume("one")
    await stage.keeper.start()
    stage.keeper.trouble(one.id, "Input/output error")
    stage.keeper.trouble("vol-99", "nobody knows it")
    assert (stage.state(one), stage.reason(one)) == (VolumeState.ERROR, "Input/output error")
    assert stage.keeper.volumes_for("rec-1") == ()
    assert stage.keeper.reason_for("rec-1") == f"volume {one.id}: Input/output error"
    assert stage.woken == 1
    start = stage.clock.monotonic()
    await stage.until(lambda: stage.state(one) is VolumeState.OK)
    assert stage.clock.monotonic() - start >= 10


@pytest.mark.covers("STO-14", "REC-20", "P140", "P141", "P142", "P144", "P138")
async def test_groups(stage: Stage, catalogue: Catalogue, make_volume: MakeVolume) -> None:
    """Main stream, sub stream and snapshots each go to the volumes of their group; who has none says so."""
    one, two, three = make_volume("one"), make_volume("two", group=2), make_volume("three", group=3, access="redundant")
    rules = [
        StorageRuleRow(owner="rec-cam-1-sub", group=2),
        StorageRuleRow(owner=snapshots_of("cam-1"), group=3),
        StorageRuleRow(owner="rec-cam-2", group=9),
    ]
    catalogue.storage_rules.put(rules)
    await stage.keeper.start()
    keeper = stage.keeper
    assert keeper.volumes_for("rec-cam-1") == (one.id,)  # everybody is in group 1 at first
    assert keeper.volumes_for("rec-cam-1-sub") == (two.id,)
    assert keeper.volumes_for(snapshots_of("cam-1")) == ()  # a redundant volume takes copies alone
    assert keeper.copies_for(snapshots_of("cam-1")) == (three.id,)
    assert keeper.reason_for("rec-cam-2") == "group 9 has no volume to record to"
    assert keeper.reason_for("rec-cam-1") == ""
    changes = stage.changes
    catalogue.storage_rules.put([StorageRuleRow(owner="rec-cam-2", group=2)])
    await keeper.reload()
    assert stage.changes == changes + 1
    assert keeper.volumes_for("rec-cam-2") == (two.id,)


@pytest.mark.covers("REC-11", "STO-04")
async def test_properties(stage: Stage, make_volume: MakeVolume) -> None:
    plain, copies, shelf = make_volume("a"), make_volume("b", access="redundant"), make_volume("c", access="read-only")
    await stage.keeper.start()
    keeper = stage.keeper
    assert (keeper.volumes_for("rec-1"), keeper.copies_for("rec-1")) == ((plain.id,), (copies.id,))
    assert {volume.id for volume in keeper.writable()} == {plain.id, copies.id}
    assert {volume.id for volume in keeper.present()} == {plain.id, copies.id, shelf.id}
    assert set(keeper.rules().volumes) == {plain.id, copies.id}  # nothing is deleted where nothing is written
    assert {volume.id for volume in keeper.deletable()} == {plain.id, copies.id}


@pytest.mark.covers("STO-15", "A040", "P137", "REC-19")
async def test_quotas_take_the_place_of_groups(stage: Stage, catalogue: Catalogue, make_volume: MakeVolume) -> None:
    one, two = make_volume("one"), make_volume("two", group=2)
    catalogue.storage_rules.put(
        [
            StorageRuleRow(owner="rec-1", group=2, quota=5 * GB, days=7),
            StorageRuleRow(owner="rec-2", days=0),
        ]
    )
    await stage.keeper.start()
    rules = stage.keeper.rules()
    assert (rules.quotas, rules.ages, rules.max_age) == ({}, {"rec-1": 7 * DAY, "rec-2": 0}, 30 * DAY)
    assert stage.keeper.volumes_for("rec-1") == (two.id,)
    await stage.set(mode=Mode.QUOTAS)
    assert stage.keeper.rules().quotas == {"rec-1": 5 * GB}
    assert set(stage.keeper.volumes_for("rec-1")) == {one.id, two.id}


@pytest.mark.covers("REC-18", "P134", "P138", "STO-01")
async def test_full_volumes(stage: Stage, make_volume: MakeVolume) -> None:
    """Stop: the next volume takes over, then recording says why it stops. Overwrite: it goes on."""
    one, two = make_volume("one"), make_volume("two")
    stage.seen = {"one": well(free=50 * GB), "two": well(free=300 * GB)}
    await stage.set(overwrite=False)
    await stage.keeper.start()
    assert stage.state(one) is VolumeState.FULL
    assert stage.keeper.volumes_for("rec-1") == (two.id,)
    assert stage.woken
    stage.seen["two"] = well(free=20 * GB)
    await stage.until(lambda: stage.state(two) is VolumeState.FULL)
    assert stage.keeper.volumes_for("rec-1") == ()
    assert stage.keeper.reason_for("rec-1") == "; ".join(
        f"volume {each.id}: it is full and is not overwritten" for each in (one, two)
    )
    assert not stage.keeper.rules().overwrite
    await stage.set(overwrite=True)
    await stage.until(lambda: stage.state(one) is stage.state(two) is VolumeState.OK)


@pytest.mark.covers("PLY-28")
async def test_a_volume_of_locked_footage_is_full(stage: Stage, make_volume: MakeVolume) -> None:
    one = make_volume("one")
    await stage.keeper.start()
    stage.told()
    stage.keeper.swept(Swept(locked_up=frozenset({one.id})))
    assert stage.told() == [
        ("StorageFailure", one.id, "true"),
        ("State", one.id, "full", "all that it holds is locked", "false", "false", "false"),
    ]
    stage.keeper.swept(Swept())
    assert stage.state(one) is VolumeState.OK


async def test_low_space_is_told_once(stage: Stage, make_volume: MakeVolume) -> None:
    one = make_volume("one")
    stage.seen["one"] = well(free=40 * GB)
    await stage.keeper.start()
    assert stage.told()[1:] == [("State", one.id, "ok", "", "true", "false", "false")]
    stage.seen["one"] = well(free=39 * GB)
    for _ in range(3):
        await stage.clock.advance(2)
        await asyncio.sleep(0.01)
    assert stage.told() == []
    stage.seen["one"] = well(free=60 * GB)
    await stage.until(lambda: stage.events)
    assert stage.told()[1:] == [("State", one.id, "ok", "", "false", "false", "false")]


@pytest.mark.covers("STO-18", "STO-20", "A045", "P146")
async def test_disks_are_asked(stage: Stage, make_volume: MakeVolume) -> None:
    one = make_volume("one")
    stage.seen["one"] = well()
    stage.disks = (Health(device="sda", celsius=35, passed=True), Health(device="sdb", celsius=41))
    await stage.keeper.start()
    await stage.until(lambda: stage.keeper.statuses()[0].health is not None)
    assert stage.keeper.statuses()[0].health == stage.disks[1]
    stage.told()
    stage.disks = (Health(device="sda", celsius=70, passed=False),)
    await stage.until(lambda: stage.events, 600)
    assert stage.told() == [("State", one.id, "ok", "", "false", "true", "true")]


async def test_a_volume_that_is_made_anew_is_left_alone(
    stage: Stage, catalogue: Catalogue, make_volume: MakeVolume
) -> None:
    from onvifd.volumes.register import begin_initialising, finish_initialising

    one = make_volume("one")
    await stage.keeper.start()
    row = catalogue.volumes.get(one.id)
    begin_initialising(catalogue, row)
    await stage.keeper.reload()
    await stage.until(lambda: stage.state(one) is VolumeState.INITIALISING, 0)
    assert stage.keeper.writable() == ()
    finish_initialising(catalogue, row, T0)
    await stage.keeper.reload()
    await stage.until(lambda: stage.state(one) is VolumeState.OK, 0)


async def test_volumes_come_and_go_while_it_runs(stage: Stage, catalogue: Catalogue, make_volume: MakeVolume) -> None:
    await stage.keeper.start()
    assert stage.keeper.reason_for("rec-1") == "group 1 has no volume to record to"
    one = make_volume("one")
    await stage.keeper.reload()
    await stage.until(lambda: stage.keeper.volumes_for("rec-1") == (one.id,), 0)
    catalogue.volumes.remove(one.id)
    await stage.keeper.reload()
    assert stage.keeper.volumes_for("rec-1") == ()
    assert stage.keeper.statuses() == ()


async def test_a_folder_of_the_settings_that_comes_late_becomes_a_volume(catalogue: Catalogue, tmp_path: Path) -> None:
    from onvifd.volumes.register import register

    root = tmp_path / "late"
    register(catalogue, [root], 0, T0)
    clock = SimulatedClock(T0)
    wrapped = AsyncCatalogue(catalogue)
    keeper = VolumeKeeper(
        wrapped, clock, lambda event: None, paths=[root], reserve=0.1, max_age=0, smart=lambda device: ()
    )
    await keeper.start()
    try:
        assert keeper.statuses()[0].state is VolumeState.MISSING
        root.mkdir()
        async with asyncio.timeout(10):
            while keeper.statuses()[0].state is not VolumeState.OK:
                await clock.advance(2)
                await asyncio.sleep(0.005)
        assert catalogue.volumes.all()[0].uuid
    finally:
        await keeper.close()


@pytest.mark.covers("G-SetRecordingConfiguration")
@pytest.mark.parametrize(
    ("configured", "seconds", "age"),
    [(True, 3600, DAY // 24), (True, 0, 0), (False, 0, None)],
    ids=["an hour", "for ever", "nobody said"],
)
async def test_what_a_client_set_counts_for_its_recording(
    stage: Stage, catalogue: Catalogue, make_volume: MakeVolume, configured: bool, seconds: int, age: int | None
) -> None:
    """RecordingControl 5.3.1: with a MaximumRetentionTime of 0 nothing is too old, whatever holds for others."""
    make_volume("one")
    row = RecordingRow(
        token="rec-1",
        camera=None,
        source_id="",
        source_name="",
        retention=seconds,
        dynamic=True,
        configured=configured,
    )
    catalogue.recordings.create(row, limit=10)
    await stage.keeper.start()
    assert stage.keeper.rules().ages.get("rec-1") == age
    assert ages(catalogue).get("rec-1") == age
