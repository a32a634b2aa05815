"""Cameras that can be talked to, and what they decode."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, delete, insert, select

from onvifd.errors import NotFound
from onvifd.media.types import TrackFormat
from onvifd.store import schema
from onvifd.store.engine import Database
from onvifd.store.settings import bump

_decoder = msgspec.json.Decoder(tuple[TrackFormat, ...])


class Loudspeakers:
    """Every method blocks; every change bumps the revision in the same transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> dict[str, tuple[TrackFormat, ...]]:
        """Formats by camera; those without a loudspeaker are left out."""
        query = select(schema.loudspeakers)
        return self._database.read(
            lambda connection: {row.camera: _decoder.decode(row.formats) for row in connection.execute(query)}
        )

    def put(self, camera: str, formats: tuple[TrackFormat, ...]) -> None:
        """Remember what a camera decodes; without formats, that it cannot be talked to. What is known is not stored again.

        Raises NotFound (NoSource).
        """
        t = schema.loudspeakers

        def work(connection: Connection) -> None:
            c = schema.cameras.c
            if connection.execute(select(c.id).where(c.id == camera).with_for_update()).first() is None:
                raise NotFound(f"there is no camera {camera}", detail="NoSource")
            known = connection.scalar(select(t.c.formats).where(t.c.camera == camera))
            wanted = msgspec.json.encode(formats).decode() if formats else None
            if wanted == known:
                return
            connection.execute(delete(t).where(t.c.camera == camera))
            if wanted is not None:
                connection.execute(insert(t).values(camera=camera, formats=wanted))
            bump(connection)

        self._database.write(work)
