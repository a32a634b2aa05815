"""Event brokers as stored: passwords are opaque here."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy import Connection, delete, insert, select, update

from onvifd.store import schema
from onvifd.store.engine import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerRow:
    """A row of `event_brokers`."""

    address: str
    topic_prefix: str
    user_name: str | None
    password: bytes | None
    certificate_id: str | None
    policy_id: str | None
    publish_filter: str
    qos: int
    created: int


class Brokers:
    """Reads and changes brokers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> tuple[BrokerRow, ...]:
        """In order of creation, then address."""
        t = schema.event_brokers
        query = select(t).order_by(t.c.created, t.c.address)
        return self._database.read(
            lambda connection: tuple(BrokerRow(**row) for row in connection.execute(query).mappings())
        )

    def put(self, row: BrokerRow) -> None:
        """Insert or replace."""
        t = schema.event_brokers

        def work(connection: Connection) -> None:
            if connection.execute(update(t).where(t.c.address == row.address).values(asdict(row))).rowcount == 0:
                connection.execute(insert(t).values(asdict(row)))

        self._database.write(work)

    def remove(self, address: str) -> None:
        t = schema.event_brokers
        self._database.write(lambda connection: connection.execute(delete(t).where(t.c.address == address)))
