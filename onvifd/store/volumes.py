"""Volumes, and what is stored on which of them for how long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Connection, delete, exists, insert, select, update

from onvifd.errors import Conflict, NotFound
from onvifd.store import schema
from onvifd.store.engine import Database
from onvifd.store.rows import StorageRuleRow, VolumeRow
from onvifd.store.settings import bump

PREFIX = "vol-"
LAST_SETTING = "volumes.last"
"""The highest number of a volume that was removed: ids are never given again."""


class Volumes:
    """Folders that hold segments. Every change bumps the revision in the same transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> tuple[VolumeRow, ...]:
        """In order of creation."""
        t = schema.volumes
        query = select(t).order_by(t.c.created, t.c.id)
        return self._database.read(
            lambda connection: tuple(VolumeRow(**row) for row in connection.execute(query).mappings())
        )

    def get(self, volume: str) -> VolumeRow:
        """Raises NotFound."""
        for row in self.all():
            if row.id == volume:
                return row
        raise NotFound(f"there is no volume {volume}")

    def ensure(self, path: str, max_bytes: int, now: int) -> VolumeRow:
        """The volume at `path`, made known if it is new; `max_bytes` is brought up to date.

        Ids are `vol-1`, `vol-2`, ... in order of registration, so they stay when the settings name the folders in another order.
        """
        t = schema.volumes

        def work(connection: Connection) -> VolumeRow:
            row = connection.execute(select(t).where(t.c.path == path)).mappings().first()
            if row is None:
                volume = VolumeRow(id=_next_id(connection), path=path, max_bytes=max_bytes, created=now)
                connection.execute(insert(t).values(asdict(volume)))
                return volume
            if row["max_bytes"] != max_bytes:
                connection.execute(update(t).where(t.c.id == row["id"]).values(max_bytes=max_bytes))
            return replace(VolumeRow(**row), max_bytes=max_bytes)

        return self._database.write(work)

    def add(self, volume: VolumeRow) -> VolumeRow:
        """Make a folder known; its `id` is given here. Raises Conflict for a path or uuid that is known."""
        t = schema.volumes

        def work(connection: Connection) -> VolumeRow:
            if connection.scalar(select(exists().where(t.c.path == volume.path))):
                raise Conflict(f"{volume.path} is a volume already")
            if volume.uuid and connection.scalar(select(exists().where(t.c.uuid == volume.uuid))):
                raise Conflict(f"the volume in {volume.path} is known already")
            made = replace(volume, id=_next_id(connection))
            connection.execute(insert(t).values(asdict(made)))
            bump(connection)
            return made

        return self._database.write(work)

    def change(self, volume: str, **values: Any) -> VolumeRow:
        """Set columns of a volume. Raises NotFound, Conflict for a path of another."""
        t = schema.volumes

        def work(connection: Connection) -> VolumeRow:
            path = values.get("path")
            if path is not None and connection.scalar(select(exists().where(t.c.path == path, t.c.id != volume))):
                raise Conflict(f"{path} is a volume already")
            if connection.execute(update(t).where(t.c.id == volume).values(values)).rowcount == 0:
                raise NotFound(f"there is no volume {volume}")
            bump(connection)
            return VolumeRow(**connection.execute(select(t).where(t.c.id == volume)).mappings().one())

        return self._database.write(work)

    def regroup(self, volumes: Mapping[str, int], rules: Sequence[StorageRuleRow]) -> None:
        """Put volumes into groups, and set the rules of what is stored in groups; all or none. Raises NotFound."""
        t, r = schema.volumes, schema.storage_rules

        def work(connection: Connection) -> None:
            for volume, group in volumes.items():
                if connection.execute(update(t).where(t.c.id == volume).values(group=group)).rowcount == 0:
                    raise NotFound(f"there is no volume {volume}")
            for rule in rules:
                connection.execute(delete(r).where(r.c.owner == rule.owner))
                if rule != StorageRuleRow(owner=rule.owner):
                    connection.execute(insert(r).values(asdict(rule)))
            bump(connection)

        self._database.write(work)

    def remove(self, volume: str, *, forget: bool = False) -> int:
        """Forget a volume; gives how many segments were forgotten with it. Without `forget`, one that the index knows footage
        on stays: raises Conflict. Raises NotFound."""
        t, s = schema.volumes, schema.segments

        def work(connection: Connection) -> int:
            if not connection.scalar(select(exists().where(t.c.id == volume))):
                raise NotFound(f"there is no volume {volume}")
            if not forget and connection.scalar(select(exists().where(s.c.volume == volume))):
                raise Conflict(f"there is footage on {volume}")
            last = _number(connection)
            count = connection.execute(delete(s).where(s.c.volume == volume)).rowcount
            connection.execute(delete(schema.usage).where(schema.usage.c.volume == volume))
            connection.execute(delete(t).where(t.c.id == volume))
            settings = schema.settings
            if (
                connection.execute(
                    update(settings).where(settings.c.key == LAST_SETTING).values(value=str(last))
                ).rowcount
                == 0
            ):
                connection.execute(insert(settings).values(key=LAST_SETTING, value=str(last)))
            bump(connection)
            return count

        return self._database.write(work)

    def ids(self, paths: Sequence[str]) -> dict[str, str]:
        """The ids of these folders: those that they have, or would get if they were registered now in this order."""

        def work(connection: Connection) -> dict[str, str]:
            known = {row.path: row.id for row in connection.execute(select(schema.volumes))}
            following = _number(connection)
            found = {}
            for path in paths:
                if path not in known:
                    following += 1
                found[path] = known.get(path, f"{PREFIX}{following}")
            return found

        return self._database.read(work)


class StorageRules:
    """Group, quota and age of recordings and of the snapshots of cameras. Every change bumps the revision."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> tuple[StorageRuleRow, ...]:
        """In order of their owners; who has none has the defaults."""
        t = schema.storage_rules
        query = select(t).order_by(t.c.owner)
        return self._database.read(
            lambda connection: tuple(StorageRuleRow(**row) for row in connection.execute(query).mappings())
        )

    def get(self, owner: str) -> StorageRuleRow:
        """The defaults if there is none."""
        return next((row for row in self.all() if row.owner == owner), StorageRuleRow(owner=owner))

    def put(self, rules: Sequence[StorageRuleRow]) -> None:
        """Set rules; one that says nothing but the defaults is dropped."""
        t = schema.storage_rules

        def work(connection: Connection) -> None:
            for rule in rules:
                connection.execute(delete(t).where(t.c.owner == rule.owner))
                if rule != StorageRuleRow(owner=rule.owner):
                    connection.execute(insert(t).values(asdict(rule)))
            bump(connection)

        self._database.write(work)


def _next_id(connection: Connection) -> str:
    return f"{PREFIX}{_number(connection) + 1}"


def _number(connection: Connection) -> int:
    """The highest number ever given to a volume."""
    numbers = [int(one.removeprefix(PREFIX)) for one in connection.scalars(select(schema.volumes.c.id))]
    removed = connection.scalar(select(schema.settings.c.value).where(schema.settings.c.key == LAST_SETTING))
    return max((*numbers, int(removed or 0)))
