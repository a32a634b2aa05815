"""What the API of storage shows and changes: implements web.storage.StorageBackend over the catalogue and the volumes' keeper."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from onvifd.access.audit import Log
from onvifd.bodies.archive_view import camera_of
from onvifd.bodies.recording_view import Change, Told
from onvifd.clock import US
from onvifd.config import Config
from onvifd.errors import Conflict, NotFound
from onvifd.store.catalogue import AsyncCatalogue, Catalogue
from onvifd.store.rows import StorageRuleRow, VolumeRow
from onvifd.store.settings import put_setting
from onvifd.volumes.keeper import DAY
from onvifd.volumes.model import (
    DEFAULT_GROUP,
    OPTIONS_SETTING,
    Access,
    Mode,
    Options,
    VolumeStatus,
    dump_options,
    load_options,
    snapshots_of,
)
from onvifd.volumes.register import active_rows
from onvifd.web.guard import Visitor
from onvifd.web.storage import GroupView, RuleView, VolumeView

SUB = "sub"


class StorageSettings:
    """`statuses` are the volumes as their keeper sees them."""

    def __init__(
        self,
        config: Config,
        catalogue: AsyncCatalogue,
        statuses: Callable[[], tuple[VolumeStatus, ...]],
        audit: Log,
        change: Change,
    ) -> None:
        self._config = config
        self._catalogue = catalogue
        self._statuses = statuses
        self._told = Told(audit)
        self._change = change
        self._fixed = frozenset(str(path) for path in config.volume_paths)

    # ---- volumes -------------------------------------------------------------------------------

    async def volumes(self) -> tuple[VolumeView, ...]:
        """See StorageBackend."""
        return await self._catalogue.run(self._volumes, self._statuses())

    def _volumes(self, statuses: Sequence[VolumeStatus]) -> tuple[VolumeView, ...]:
        sync = self._catalogue.sync
        writes: dict[str, set[str]] = {}
        for row in sync.segments.open():
            writes.setdefault(row.volume, set()).add(row.recording)
        found = []
        for each in statuses:
            held = sync.upkeep.volume_times(each.id)
            found.append(
                VolumeView(
                    status=each,
                    fixed=each.path in self._fixed,
                    earliest=held[0] if held else None,
                    latest=held[1] if held else None,
                    writes=tuple(sorted(writes.get(each.id, ()))),
                )
            )
        return tuple(found)

    def _active(self, sync: Catalogue) -> tuple[VolumeRow, ...]:
        return active_rows(sync, [str(path) for path in self._config.volume_paths])

    async def set_volume(self, volume: str, values: Mapping[str, Any], visitor: Visitor) -> None:
        """See StorageBackend."""

        def work() -> None:
            sync = self._catalogue.sync
            row = next((each for each in self._active(sync) if each.id == volume), None)
            if row is None:
                raise NotFound(f"there is no volume {volume}")
            if "max_bytes" in values and row.path in self._fixed:
                raise Conflict(f"volume {volume} is named in the settings: archive.max_bytes is its bound")
            sync.volumes.change(volume, **values)
            if values.get("access") in (Access.READ_WRITE, Access.READ_ONLY):
                # What they were copies of may be gone: then they are what is played.
                sync.upkeep.promote(volume)

        await self._change(work)
        self._told("set volume", f"{volume}: {_words(values)}", visitor)

    # ---- what is stored where, for how long ----------------------------------------------------

    def _owners(self, sync: Catalogue) -> dict[str, tuple[str | None, str]]:
        """What rules can be made for: recordings and the snapshots of cameras; with camera and name."""
        cameras = {each.id: each for each in sync.cameras.all()}
        owners: dict[str, tuple[str | None, str]] = {}
        for row in sync.recordings.all():
            owners[row.token] = (camera_of(row.token), row.source_name)
        for camera in cameras.values():
            if any(each.role == SUB for each in camera.streams):
                owners.setdefault(f"rec-{camera.id}-{SUB}", (camera.id, camera.name))
            owners[snapshots_of(camera.id)] = (camera.id, camera.name)
        return owners

    async def groups(self) -> tuple[GroupView, ...]:
        """See StorageBackend."""
        return await self._catalogue.run(self._groups)

    def _groups(self) -> tuple[GroupView, ...]:
        sync = self._catalogue.sync
        rows, rules = self._active(sync), {each.owner: each.group for each in sync.storage_rules.all()}
        owners: dict[int, list[str]] = {DEFAULT_GROUP: []}
        for owner in self._owners(sync):
            owners.setdefault(rules.get(owner, DEFAULT_GROUP), []).append(owner)
        found = []
        for group in sorted({*owners, *(row.group for row in rows)}):
            mine = [row for row in rows if row.group == group]
            empty = not any(row.access == Access.READ_WRITE for row in mine) and bool(owners.get(group))
            found.append(
                GroupView(
                    group=group,
                    volumes=tuple(row.id for row in mine),
                    owners=tuple(owners.get(group, ())),
                    warning="it has no volume to record to: its recordings are not written" if empty else "",
                )
            )
        return tuple(found)

    async def set_groups(self, volumes: Mapping[str, int], owners: Mapping[str, int], visitor: Visitor) -> None:
        """See StorageBackend."""

        def work() -> None:
            sync = self._catalogue.sync
            if load_options(sync.settings).mode is not Mode.GROUPS:
                raise Conflict("recordings have quotas, not groups: change the mode of the policy first")
            known = {row.id for row in self._active(sync)}
            for volume in volumes:
                if volume not in known:
                    raise NotFound(f"there is no volume {volume[:32]}")
            rules = self._rules_of(sync, tuple(owners))
            sync.volumes.regroup(volumes, [replace(rule, group=owners[rule.owner]) for rule in rules])

        await self._change(work)
        self._told("set storage groups", _words({**volumes, **owners}), visitor)

    def _rules_of(self, sync: Catalogue, owners: Sequence[str] | None) -> list[StorageRuleRow]:
        """The rules of some owners, or of all. Raises NotFound."""
        known = self._owners(sync)
        rules = {each.owner: each for each in sync.storage_rules.all()}
        for owner in owners or ():
            if owner not in known:
                raise NotFound(f"there is no recording {owner[:64]}")
        return [rules.get(owner, StorageRuleRow(owner=owner)) for owner in (known if owners is None else owners)]

    async def rules(self) -> tuple[RuleView, ...]:
        """See StorageBackend."""

        def work() -> tuple[RuleView, ...]:
            sync = self._catalogue.sync
            known = self._owners(sync)
            return tuple(
                RuleView(
                    owner=rule.owner,
                    camera=known[rule.owner][0],
                    name=known[rule.owner][1],
                    group=rule.group,
                    quota=rule.quota,
                    days=rule.days,
                )
                for rule in self._rules_of(sync, None)
            )

        return await self._catalogue.run(work)

    async def set_rules(self, owners: Sequence[str] | None, values: Mapping[str, Any], visitor: Visitor) -> None:
        """See StorageBackend."""

        def work() -> None:
            sync = self._catalogue.sync
            if values.get("quota") and load_options(sync.settings).mode is not Mode.QUOTAS:
                raise Conflict("recordings have groups, not quotas: change the mode of the policy first")
            sync.storage_rules.put([replace(rule, **values) for rule in self._rules_of(sync, owners)])

        await self._change(work)
        self._told("set storage rules", f"{', '.join(owners or ('all',))}: {_words(values)}", visitor)

    # ---- what holds for all --------------------------------------------------------------------

    async def options(self) -> Options:
        """See StorageBackend."""
        return await self._catalogue.run(load_options, self._catalogue.sync.settings)

    def retention_days(self) -> float | None:
        """See StorageBackend."""
        seconds = self._config.archive.retention_seconds
        return seconds * US / DAY if seconds else None

    async def set_options(self, values: Mapping[str, Any], visitor: Visitor) -> None:
        """See StorageBackend."""

        def work() -> None:
            sync = self._catalogue.sync
            made = replace(load_options(sync.settings), **values)
            put_setting(sync.database, OPTIONS_SETTING, dump_options(made))

        await self._change(work)
        self._told("set storage policy", _words(values), visitor)


def _words(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
