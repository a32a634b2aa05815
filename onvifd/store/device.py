"""What was configured of the device itself through its device service, by section: kept apart from the settings that the
recorder needs to work, so that a factory default can take it back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, delete, insert, select, update

from onvifd.store import schema
from onvifd.store.engine import Database


class Device:
    """Sections by name; their text belongs to whoever stores it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> dict[str, str]:
        t = schema.device
        return self._database.read(
            lambda connection: {row.section: row.body for row in connection.execute(select(t.c.section, t.c.body))}
        )

    def put(self, sections: Mapping[str, str]) -> None:
        """Keep sections, all or none."""

        def work(connection: Connection) -> None:
            t = schema.device
            for name, body in sections.items():
                if connection.execute(update(t).where(t.c.section == name).values(body=body)).rowcount == 0:
                    connection.execute(insert(t).values(section=name, body=body))

        self._database.write(work)

    def remove(self, sections: Iterable[str]) -> None:
        names = tuple(sections)
        t = schema.device
        self._database.write(lambda connection: connection.execute(delete(t).where(t.c.section.in_(names))))
