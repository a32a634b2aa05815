"""Media profiles that clients made, and what they changed of profiles and configurations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, Table, delete, func, insert, select, update

from onvifd.errors import InvalidArgument, LimitReached, NotFound
from onvifd.store import schema
from onvifd.store.engine import Database
from onvifd.store.rows import MediaConfigurationRow, MediaProfileRow
from onvifd.store.settings import bump


class Media:
    """Every change bumps the revision in the same transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def profiles(self) -> tuple[MediaProfileRow, ...]:
        """In order of creation."""
        t = schema.media_profiles
        query = select(t).order_by(t.c.created, t.c.token)
        return self._database.read(
            lambda connection: tuple(MediaProfileRow(**row) for row in connection.execute(query).mappings())
        )

    def configurations(self) -> tuple[MediaConfigurationRow, ...]:
        query = select(schema.media_configurations).order_by(schema.media_configurations.c.token)
        return self._database.read(
            lambda connection: tuple(MediaConfigurationRow(**row) for row in connection.execute(query).mappings())
        )

    def create_profile(self, profile: MediaProfileRow, *, limit: int) -> None:
        """Raises InvalidArgument (ProfileExists), LimitReached (MaxNVTProfiles) when clients have made `limit` already."""

        def work(connection: Connection) -> None:
            t = schema.media_profiles
            if connection.scalar(select(func.count()).select_from(t).where(t.c.token == profile.token)):
                raise InvalidArgument(f"there is a profile {profile.token} already", detail="ProfileExists")
            if (connection.scalar(select(func.count()).select_from(t).where(t.c.fixed.is_(False))) or 0) >= limit:
                raise LimitReached(f"clients have made {limit} profiles already", detail="MaxNVTProfiles")
            connection.execute(insert(t).values(asdict(profile)))
            bump(connection)

        self._database.write(work)

    def put_profile(self, profile: MediaProfileRow) -> None:
        """Keep what was changed of a profile. Raises NotFound (NoProfile) for one of a client that is gone."""

        def work(connection: Connection) -> None:
            if not _replace(connection, schema.media_profiles, profile):
                if not profile.fixed:
                    raise NotFound(f"there is no profile {profile.token}", detail="NoProfile")
                connection.execute(insert(schema.media_profiles).values(asdict(profile)))
            bump(connection)

        self._database.write(work)

    def remove_profile(self, token: str) -> None:
        """Raises NotFound (NoProfile)."""

        def work(connection: Connection) -> None:
            t = schema.media_profiles
            if connection.execute(delete(t).where(t.c.token == token, t.c.fixed.is_(False))).rowcount == 0:
                raise NotFound(f"there is no profile {token}", detail="NoProfile")
            bump(connection)

        self._database.write(work)

    def put_configurations(self, configurations: Sequence[MediaConfigurationRow]) -> None:
        """Keep what was changed of configurations."""

        def work(connection: Connection) -> None:
            for each in configurations:
                if not _replace(connection, schema.media_configurations, each):
                    connection.execute(insert(schema.media_configurations).values(asdict(each)))
            bump(connection)

        self._database.write(work)


def _replace(connection: Connection, table: Table, row: MediaProfileRow | MediaConfigurationRow) -> bool:
    """Whether there was such a row."""
    values = asdict(row)
    token = values.pop("token")
    return connection.execute(update(table).where(table.c.token == token).values(values)).rowcount > 0
