"""Receivers: RTSP sources outside the recorder that clients have configured (Receiver 5)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, delete, func, insert, select, update

from onvifd.errors import Conflict, LimitReached, NotFound
from onvifd.store import schema
from onvifd.store.engine import Database
from onvifd.store.rows import ReceiverRow
from onvifd.store.settings import bump

RECEIVER = "receiver"
"""Kind of a job's source."""


class Receivers:
    """Every change bumps the revision in the same transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> tuple[ReceiverRow, ...]:
        """In order of creation."""
        query = select(schema.receivers).order_by(schema.receivers.c.created, schema.receivers.c.token)
        return self._database.read(
            lambda connection: tuple(ReceiverRow(**row) for row in connection.execute(query).mappings())
        )

    def create(self, receiver: ReceiverRow, *, limit: int) -> None:
        """Raises LimitReached (MaxReceivers)."""

        def work(connection: Connection) -> None:
            insert_receivers(connection, (receiver,), limit)
            bump(connection)

        self._database.write(work)

    def replace(self, receiver: ReceiverRow) -> None:
        """Keep its new configuration. Raises NotFound (UnknownToken)."""

        def work(connection: Connection) -> None:
            t = schema.receivers
            values = asdict(receiver)
            del values["token"], values["created"], values["automatic"]
            if connection.execute(update(t).where(t.c.token == receiver.token).values(values)).rowcount == 0:
                raise NotFound(f"there is no receiver {receiver.token}", detail="UnknownToken")
            bump(connection)

        self._database.write(work)

    def remove(self, token: str) -> None:
        """Raises NotFound (UnknownToken), Conflict (CannotDeleteReceiver) while a job uses it."""

        def work(connection: Connection) -> None:
            t = schema.receivers
            if token in _used(connection):
                raise Conflict(f"receiver {token} is used by a recording job", detail="CannotDeleteReceiver")
            if connection.execute(delete(t).where(t.c.token == token)).rowcount == 0:
                raise NotFound(f"there is no receiver {token}", detail="UnknownToken")
            bump(connection)

        self._database.write(work)


def insert_receivers(connection: Connection, receivers: Sequence[ReceiverRow], limit: int) -> None:
    """Raises LimitReached (MaxReceivers) when there would be more than `limit`."""
    t = schema.receivers
    count = connection.scalar(select(func.count()).select_from(t)) or 0
    if receivers and count + len(receivers) > limit:
        raise LimitReached(f"there are {count} receivers already", detail="MaxReceivers")
    for receiver in receivers:
        connection.execute(insert(t).values(asdict(receiver)))


def drop_unused(connection: Connection) -> None:
    """Delete the receivers that were made for a job and have none any more (RecordingControl 5.14)."""
    t = schema.receivers
    connection.execute(delete(t).where(t.c.automatic, t.c.token.not_in(_used(connection) or ("",))))


def _used(connection: Connection) -> set[str]:
    return {
        token
        for text in connection.scalars(select(schema.jobs.c.sources))
        for kind, token, _ in json.loads(text)
        if kind == RECEIVER
    }
