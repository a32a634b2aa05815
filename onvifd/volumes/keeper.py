"""Watches all volumes: what state they are in, which of them take footage, and what is stored on which.

Each volume has a task and a thread of its own: a disk that hangs holds up nobody. A volume that went and has come back is taken
up again without a restart.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from onvifd.archive.disk import Volume
from onvifd.archive.retention import Rules, Swept, VolumeBounds
from onvifd.clock import US, Alarm, Clock
from onvifd.errors import OnvifdError
from onvifd.events import device_topics, storage_topics
from onvifd.events.types import Event
from onvifd.store.catalogue import AsyncCatalogue
from onvifd.store.rows import RecordingRow, StorageRuleRow, VolumeRow
from onvifd.volumes import smart
from onvifd.volumes.choice import Weighted, order, step_of
from onvifd.volumes.look import Look, look
from onvifd.volumes.model import (
    DEFAULT_GROUP,
    INITIALISING,
    Access,
    Health,
    Mode,
    Options,
    VolumeState,
    VolumeStatus,
    load_options,
)
from onvifd.volumes.register import active_rows, settle
from onvifd.volumes.state import Circumstances, Distrust, capacity_of, judge, room_of

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
LOOK_TIMEOUT = 5.0
"""Seconds after which a disk that does not answer is taken to have failed."""
PROBE_EVERY = 8
"""Looks between two in which a little is written."""
ACCOUNT_SECONDS = 15.0
SMART_SECONDS = 600.0
DAY = 86_400 * US

Publish = Callable[[Event], object]
LookFunction = Callable[..., Look]


@dataclass(slots=True)
class _Watched:
    """One volume as the keeper knows it."""

    row: VolumeRow
    thread: ThreadPoolExecutor
    alarm: Alarm
    task: asyncio.Task[None] | None = None
    seen: Look = field(default_factory=lambda: Look(state=VolumeState.MISSING, reason="it was not looked at yet"))
    state: VolumeState | None = None
    reason: str = ""
    low: bool = False
    step: int | None = None
    used: int = 0
    segments: int = 0
    locked_up: bool = False
    looks: int = 0
    distrust: Distrust = field(default_factory=Distrust)
    pending: asyncio.Future[Look] | None = None
    health: Health | None = None
    failing: bool = False
    hot: bool = False


class VolumeKeeper:
    """One per recorder. `reserve` is the part of each file system that stays free, `max_age` microseconds (0 for ever).

    `changed` is called on the event loop when something else may be written than before; `full` when room is needed.
    """

    def __init__(
        self,
        catalogue: AsyncCatalogue,
        clock: Clock,
        publish: Publish,
        *,
        paths: Iterable[Path],
        reserve: float,
        max_age: int,
        changed: Callable[[], None] = lambda: None,
        full: Callable[[], None] = lambda: None,
        look: LookFunction = look,
        smart: Callable[[str], tuple[Health, ...]] = smart.read,
    ) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._publish = publish
        self._paths = tuple(str(path) for path in paths)
        self._reserve = reserve
        self._max_age = max_age
        self._changed = changed
        self._full = full
        self._look_at = look
        self._smart = smart
        self._watched: dict[str, _Watched] = {}
        self._rules: dict[str, StorageRuleRow] = {}
        self._kept: dict[str, int] = {}
        """Seconds that recordings are kept at most by what clients set: 0 is for ever."""
        self.options = Options()
        self._order: object = None
        self._tasks: list[asyncio.Task[None]] = []
        self._running = False

    # ---- from start to stop --------------------------------------------------------------------

    async def start(self) -> None:
        """Look at all volumes once, waiting for none longer than LOOK_TIMEOUT; then go on watching."""
        await self.reload()
        await self._account()
        await asyncio.gather(*(self._look(each) for each in self._watched.values()))
        self._running = True
        for each in self._watched.values():
            self._watch(each)
        self._tasks = [
            asyncio.create_task(self._repeat(self._account, ACCOUNT_SECONDS), name="storage accounting"),
            asyncio.create_task(self._repeat(self._ask_disks, SMART_SECONDS), name="health of disks"),
        ]

    async def close(self) -> None:
        """End the tasks and let go of the threads; one that hangs in the kernel is not waited for."""
        self._running = False
        tasks = [*self._tasks, *(each.task for each in self._watched.values() if each.task is not None)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for each in self._watched.values():
            each.thread.shutdown(wait=False, cancel_futures=True)

    async def reload(self) -> None:
        """Take over what the catalogue says: volumes, rules, options. Raises OnvifdError."""
        rows, rules, kept, options = await self._catalogue.run(self._read)
        self._rules, self._kept, self.options = rules, kept, options
        for row in rows:
            known = self._watched.get(row.id)
            if known is None:
                thread = ThreadPoolExecutor(1, thread_name_prefix=f"look at {row.id}")
                self._watched[row.id] = _Watched(row, thread, Alarm(self._clock))
                if self._running:
                    self._watch(self._watched[row.id])
            elif known.row != row:
                known.row = row
                known.looks = 0
                known.alarm.ring()
        for gone in self._watched.keys() - {row.id for row in rows}:
            await self._drop(self._watched.pop(gone))
        self._compare()

    def _read(
        self,
    ) -> tuple[tuple[VolumeRow, ...], dict[str, StorageRuleRow], dict[str, int], Options]:
        sync = self._catalogue.sync
        rows = active_rows(sync, self._paths)
        rules = {rule.owner: rule for rule in sync.storage_rules.all()}
        kept = set_by_clients(sync.recordings.all())
        return rows, rules, kept, load_options(sync.settings)

    async def _drop(self, watched: _Watched) -> None:
        if watched.task is not None:
            watched.task.cancel()
            await asyncio.gather(watched.task, return_exceptions=True)
        watched.thread.shutdown(wait=False, cancel_futures=True)

    def _watch(self, watched: _Watched) -> None:
        watched.task = asyncio.create_task(self._watch_for_ever(watched), name=f"watch {watched.row.id}")

    async def _watch_for_ever(self, watched: _Watched) -> None:
        while True:
            try:
                await self._look(watched)
            except OnvifdError as error:
                log.error("volume %s: %s", watched.row.id, error.reason)
            except Exception:
                # a defect must cost one look, not all that follow
                log.exception("volume %s could not be looked at", watched.row.id)
            await watched.alarm.wait(LOOK_SECONDS)

    async def _repeat(self, work: Callable[[], Awaitable[None]], seconds: float) -> None:
        while True:
            try:
                await work()
            except OnvifdError as error:
                log.error("storage: %s", error.reason)
            except Exception:
                log.exception("storage: upkeep failed once")
            await self._clock.sleep(seconds)

    # ---- looking -------------------------------------------------------------------------------

    async def _look(self, watched: _Watched) -> None:
        """Look once and draw the conclusions."""
        watched.seen = await self._see(watched)
        if watched.seen.state is VolumeState.NEEDS_INITIALISING and watched.row.origin == "settings":
            await self._settle(watched)
        self._conclude(watched)

    async def _see(self, watched: _Watched) -> Look:
        row = watched.row
        if row.uuid == INITIALISING:
            return Look(state=VolumeState.INITIALISING, reason="it is being made anew")
        if watched.pending is None:
            access = Access(row.access)
            probe = watched.looks % PROBE_EVERY == 0 or watched.state is not VolumeState.OK
            watched.looks += 1
            watched.pending = asyncio.get_running_loop().run_in_executor(
                watched.thread, lambda: self._look_at(Path(row.path), row.uuid, access, probe=probe)
            )
        done, _ = await asyncio.wait({watched.pending}, timeout=LOOK_TIMEOUT)
        if not done:
            return replace(watched.seen, state=VolumeState.ERROR, reason="it does not answer")
        pending, watched.pending = watched.pending, None
        return pending.result()

    async def _settle(self, watched: _Watched) -> None:
        """A folder of the settings that was not there at the start."""
        try:
            row = await asyncio.get_running_loop().run_in_executor(
                watched.thread, settle, self._catalogue.sync, watched.row, self._clock.utc()
            )
        except OSError as error:
            watched.seen = Look(state=VolumeState.ERROR, reason=error.strerror or "it cannot be read")
            return
        except OnvifdError as error:
            watched.seen = Look(state=VolumeState.ERROR, reason=error.reason)
            return
        if row.uuid != watched.row.uuid:
            watched.row = row
            watched.seen = await self._see(watched)

    def _about(self, watched: _Watched) -> Circumstances:
        return Circumstances(
            access=Access(watched.row.access),
            overwrite=self.options.overwrite,
            reserve=self._reserve,
            max_bytes=watched.row.max_bytes,
            used=watched.used,
            locked_up=watched.locked_up,
        )

    def _conclude(self, watched: _Watched) -> None:
        about, seen = self._about(watched), watched.seen
        state, reason = judge(seen, about, watched.state)
        if state is VolumeState.OK and watched.distrust.holds(self._clock.monotonic()):
            state, reason = VolumeState.ERROR, watched.distrust.reason
        low = bool(seen.total) and seen.free < seen.total * self.options.low_percent / 100
        low = low and state in (VolumeState.OK, VolumeState.FULL) and about.access is not Access.READ_ONLY
        if state is VolumeState.FULL and watched.state is not VolumeState.FULL:
            self._full()
        if (state, reason, low) != (watched.state, watched.reason, watched.low):
            self._tell(watched, state, reason, low)
        if state is VolumeState.OK:
            watched.step = step_of(room_of(seen, about), capacity_of(seen.total, about), watched.step)
        self._compare()

    def _tell(self, watched: _Watched, state: VolumeState, reason: str, low: bool) -> None:
        """Events and log of a change; the first look is one."""
        former, watched.state, watched.reason = watched.state, state, reason
        became_low, watched.low = low and not watched.low, low
        now, volume = self._clock.utc(), watched.row.id
        self._publish(device_topics.storage_failure(volume, state is not VolumeState.OK, now))
        self._publish_state(watched)
        if state is not VolumeState.OK:
            log.error("volume %s (%s): %s: %s", volume, watched.row.path, state.value, reason)
        elif former not in (None, VolumeState.OK):
            log.info("volume %s is back", volume)
        if became_low:
            log.warning("volume %s: less than %g %% is free", volume, self.options.low_percent)

    def trouble(self, volume: str, reason: str) -> None:
        """A worker could not write to a volume: it is looked at at once, and left alone for a while if it looks well."""
        watched = self._watched.get(volume)
        if watched is None:
            return
        watched.distrust.refused(reason, self._clock.monotonic())
        watched.looks = 0
        watched.alarm.ring()
        self._full()
        self._conclude(watched)

    def swept(self, swept: Swept) -> None:
        """Retention has done what it could."""
        for volume, watched in self._watched.items():
            locked_up = volume in swept.locked_up
            if locked_up != watched.locked_up:
                watched.locked_up = locked_up
                self._conclude(watched)

    async def _account(self) -> None:
        """Bytes of footage by the index."""
        found = await self._catalogue.run(self._catalogue.sync.upkeep.volume_bytes)
        for volume, watched in self._watched.items():
            watched.segments, watched.used = found.get(volume, (0, 0))

    async def _ask_disks(self) -> None:
        """Health of the disks below the volumes. A disk may take its time: nobody waits for the answer but this task."""
        for watched in tuple(self._watched.values()):
            if watched.pending is not None:
                await asyncio.wait({watched.pending}, timeout=LOOK_TIMEOUT)
            # A disk that does not answer a look is not asked more.
            if not watched.seen.device or (watched.pending is not None and not watched.pending.done()):
                continue
            disks = await asyncio.to_thread(self._smart, watched.seen.device)
            health = watched.health = smart.worst_of(disks)
            failing = any(disk.passed is False for disk in disks)
            hot = any(disk.celsius is not None and disk.celsius >= self.options.critical_celsius for disk in disks)
            if (failing, hot) == (watched.failing, watched.hot):
                continue
            if failing and not watched.failing:
                log.error("volume %s: its disk says that it will fail", watched.row.id)
            if hot and not watched.hot and health is not None:
                log.error("volume %s: its disk has %s °C", watched.row.id, health.celsius)
            watched.failing, watched.hot = failing, hot
            self._publish_state(watched)

    def _publish_state(self, watched: _Watched) -> None:
        state = watched.state or VolumeState.MISSING
        self._publish(
            storage_topics.storage_state(
                watched.row.id,
                state.value,
                watched.reason,
                self._clock.utc(),
                low=watched.low,
                failing=watched.failing,
                hot=watched.hot,
            )
        )

    # ---- what others ask -----------------------------------------------------------------------

    def _compare(self) -> None:
        """Tell whoever writes when something else may be written than before."""
        present = {
            each.row.id: (each.row.path, each.row.uuid, each.row.access, each.row.group, each.step, each.row.max_bytes)
            for each in self._watched.values()
            if each.state is VolumeState.OK
        }
        known = (present, dict(self._rules), self.options.mode)
        if known != self._order:
            first, self._order = self._order is None, known
            if not first:
                self._changed()

    def _group_of(self, owner: str) -> int | None:
        """None for all volumes."""
        if self.options.mode is Mode.QUOTAS:
            return None
        rule = self._rules.get(owner)
        return DEFAULT_GROUP if rule is None else rule.group

    def _usable(self, owner: str, access: Access) -> tuple[str, ...]:
        group = self._group_of(owner)
        return order(
            owner,
            [
                Weighted(id=each.row.id, step=each.step or 0, total=capacity_of(each.seen.total, self._about(each)))
                for each in self._watched.values()
                if each.state is VolumeState.OK
                and each.row.access == access.value
                and (group is None or each.row.group == group)
            ],
        )

    def volumes_for(self, recording: str) -> tuple[str, ...]:
        """Ids of the volumes that a recording (or the snapshots of a camera) may go to now, the best first."""
        return self._usable(recording, Access.READ_WRITE)

    def copies_for(self, recording: str) -> tuple[str, ...]:
        """Ids of the volumes that a second copy of a recording may go to now."""
        return self._usable(recording, Access.REDUNDANT)

    def reason_for(self, recording: str) -> str:
        """Why a recording goes to no volume; empty if it does."""
        if self.volumes_for(recording):
            return ""
        group = self._group_of(recording)
        mine = [
            each
            for each in self._watched.values()
            if each.row.access == Access.READ_WRITE.value and (group is None or each.row.group == group)
        ]
        if not mine:
            return "there is no volume to record to" if group is None else f"group {group} has no volume to record to"
        return "; ".join(f"volume {each.row.id}: {each.reason or 'not ready'}" for each in mine)

    def writable(self) -> tuple[Volume, ...]:
        """All volumes that take data now, redundant ones too."""
        return tuple(
            _volume(each.row)
            for each in self._watched.values()
            if each.state is VolumeState.OK and each.row.access != Access.READ_ONLY.value
        )

    def known(self) -> tuple[Volume, ...]:
        """All volumes, wherever they may be at the moment: what is played from them is found when they are back."""
        return tuple(_volume(each.row) for each in self._watched.values())

    def deletable(self) -> tuple[Volume, ...]:
        """The volumes from which something may be deleted, wherever they may be at the moment."""
        return tuple(_volume(each.row) for each in self._watched.values() if each.row.access != Access.READ_ONLY.value)

    def present(self) -> tuple[Volume, ...]:
        """The volumes that can be read."""
        return tuple(
            _volume(each.row) for each in self._watched.values() if each.state in (VolumeState.OK, VolumeState.FULL)
        )

    def statuses(self) -> tuple[VolumeStatus, ...]:
        """All volumes as they are now."""
        return tuple(
            VolumeStatus(
                id=each.row.id,
                name=each.row.name,
                path=each.row.path,
                uuid=each.row.uuid,
                access=Access(each.row.access),
                group=each.row.group,
                state=each.state or VolumeState.MISSING,
                reason=each.reason,
                total=each.seen.total,
                free=each.seen.free,
                used=each.used,
                segments=each.segments,
                max_bytes=each.row.max_bytes,
                low=each.low,
                health=each.health,
            )
            for each in self._watched.values()
        )

    def rules(self) -> Rules:
        """What retention has to keep to now."""
        return Rules(
            volumes={
                each.row.id: VolumeBounds(volume=_volume(each.row), max_bytes=each.row.max_bytes, reserve=self._reserve)
                for each in self._watched.values()
                if each.state in (VolumeState.OK, VolumeState.FULL, VolumeState.ERROR)
                and each.seen.total
                and each.row.access != Access.READ_ONLY.value
                and each.pending is None
            },
            overwrite=self.options.overwrite,
            max_age=self._max_age,
            ages=ages_of(self._rules, self._kept),
            quotas={rule.owner: rule.quota for rule in self._rules.values() if rule.quota}
            if self.options.mode is Mode.QUOTAS
            else {},
        )


def set_by_clients(rows: Iterable[RecordingRow]) -> dict[str, int]:
    """Seconds that recordings are kept by their MaximumRetentionTime, those alone for which a client has set one; 0 is for ever
    (RecordingControl 5.3.1)."""
    return {row.token: row.retention for row in rows if row.configured}


def ages_of(rules: Mapping[str, StorageRuleRow], kept: Mapping[str, int]) -> dict[str, int]:
    """Microseconds that recordings are kept, for those that have an age of their own. What people set for a channel counts
    before what a VMS set for a recording (seconds)."""
    ages = {recording: seconds * US for recording, seconds in kept.items()}
    ages |= {rule.owner: rule.days * DAY for rule in rules.values() if rule.days is not None}
    return ages


def _volume(row: VolumeRow) -> Volume:
    return Volume(row.id, Path(row.path), row.uuid)
