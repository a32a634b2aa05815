"""Tags: moments of recordings that somebody gave a name."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import Connection, Select, delete, func, insert, select, tuple_, update

from onvifd.clock import isoformat
from onvifd.errors import InvalidArgument, LimitReached, NotFound
from onvifd.store import schema
from onvifd.store.engine import Database

MAX_NAME = 64
MAX_TAGS = 100_000
"""Tags of all recordings; at the bound further ones are refused."""
MAX_PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class TagRow:
    """A tag at `utc` (microseconds). `id` is 0 until inserted."""

    id: int = 0
    recording: str
    utc: int
    name: str
    account: str = ""
    created: int = 0


class Tags:
    """All methods block."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, recording: str, utc: int, name: str = "", *, account: str, now: int) -> TagRow:
        """Mark a moment; without a name it gets the recorded time as its name. Raises InvalidArgument, LimitReached."""
        tag = TagRow(
            recording=recording, utc=utc, name=_name(name) or isoformat(utc), account=account[:64], created=now
        )
        t = schema.tags
        values = asdict(tag)
        del values["id"]

        def work(connection: Connection) -> int:
            if int(connection.scalar(select(func.count()).select_from(t)) or 0) >= MAX_TAGS:
                raise LimitReached(f"there are {MAX_TAGS} tags")
            return int(connection.execute(insert(t).values(values).returning(t.c.id)).scalar_one())

        return replace(tag, id=self._database.write(work))

    def get(self, tag: int) -> TagRow:
        """Raises NotFound."""
        found = self._rows(select(schema.tags).where(schema.tags.c.id == tag))
        if not found:
            raise NotFound(f"there is no tag {tag}")
        return found[0]

    def some(self, tags: Collection[int]) -> tuple[TagRow, ...]:
        """Those of these ids that there are, in order of time."""
        t = schema.tags
        return self._rows(select(t).where(t.c.id.in_(tags)).order_by(t.c.utc, t.c.id))

    def find(
        self,
        *,
        recordings: Collection[str] | None = None,
        start: int | None = None,
        end: int | None = None,
        text: str = "",
        after: tuple[int, int] | None = None,
        limit: int = 100,
    ) -> tuple[TagRow, ...]:
        """At most `limit` (1000) in order of time, from `start` to before `end`, whose name holds `text` (case aside).

        `after` is time and id of the last one of the page before; None for `recordings` means all.
        """
        t = schema.tags
        query = select(t)
        if recordings is not None:
            query = query.where(t.c.recording.in_(sorted(recordings)))
        if start is not None:
            query = query.where(t.c.utc >= start)
        if end is not None:
            query = query.where(t.c.utc < end)
        if text:
            query = query.where(t.c.name.icontains(text, autoescape=True))
        if after is not None:
            query = query.where(tuple_(t.c.utc, t.c.id) > after)
        return self._rows(query.order_by(t.c.utc, t.c.id).limit(max(1, min(limit, MAX_PAGE))))

    def rename(self, tag: int, name: str) -> TagRow:
        """Raises NotFound, InvalidArgument."""
        name = _name(name)
        if not name:
            raise InvalidArgument("a tag needs a name")
        query = update(schema.tags).where(schema.tags.c.id == tag).values(name=name)
        if not self._database.write(lambda connection: connection.execute(query).rowcount):
            raise NotFound(f"there is no tag {tag}")
        return self.get(tag)

    def remove(self, tags: Collection[int]) -> int:
        """Delete several; gives how many there were."""
        query = delete(schema.tags).where(schema.tags.c.id.in_(tags))
        return self._database.write(lambda connection: int(connection.execute(query).rowcount))

    def _rows(self, query: Select[Any]) -> tuple[TagRow, ...]:
        return self._database.read(
            lambda connection: tuple(TagRow(**row) for row in connection.execute(query).mappings())
        )


def _name(text: str) -> str:
    """A name as it is kept. Raises InvalidArgument."""
    text = text.strip()
    if len(text) > MAX_NAME:
        raise InvalidArgument(f"a name has at most {MAX_NAME} characters")
    if any(ord(character) < 32 for character in text):
        raise InvalidArgument("a name has no control characters")
    return text


def names(tags: Sequence[TagRow]) -> str:
    """Some tags for a person, for the audit log."""
    return ", ".join(f"{tag.name} ({tag.recording})" for tag in tags)
