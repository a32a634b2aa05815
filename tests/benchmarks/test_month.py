"""The short form of the month: what it asks is answered by indices, never by walking through a table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from benchmarks.month_ask import Asker
from benchmarks.month_data import DAY, START, VOLUME, Month, fill
from benchmarks.month_writer import Writer
from onvifd.archive.catalogue_index import CatalogueSegmentStore
from onvifd.archive.index import unpack_fragments
from onvifd.clock import US
from onvifd.store.catalogue import Catalogue

MONTH = Month(cameras=5, days=2, events=20_000)
LARGE = r"(segments|events|spans)(_\d+)?"
WALKS = {
    # The index of open segments has nothing but them.
    "sqlite": re.compile(rf"SCAN {LARGE}\b(?! USING (COVERING )?INDEX ix_\w+_open)"),
    "postgresql": re.compile(r"Seq Scan on (segments|events|spans)\b"),
}


@pytest.fixture(params=["sqlite", "postgresql"])
def catalogue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Catalogue]:
    url = f"sqlite:///{tmp_path / 'catalogue.sqlite3'}"
    if request.param == "postgresql":
        url = str(request.getfixturevalue("postgresql_url"))
    made = Catalogue.open(url, migrate=True)
    fill(made, MONTH, lambda _: None)
    yield made
    made.close()


async def test_every_question_is_answered_by_an_index(catalogue: Catalogue) -> None:
    asked: dict[str, Any] = {}

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        asked.setdefault(statement, parameters[0] if many else parameters)

    event.listen(catalogue.database.engine, "before_cursor_execute", note)
    asker = Asker(catalogue, MONTH, seconds=0, least=1)
    await asker.run()
    writer = Writer(catalogue.database.engine.url.render_as_string(hide_password=False))
    event.listen(writer.database.engine, "before_cursor_execute", note)
    writer.second(0)
    writer.close()
    event.remove(catalogue.database.engine, "before_cursor_execute", note)
    assert len(asker.took) == 12
    assert writer.failed == 0
    plans = {statement: _plan(catalogue, statement, values) for statement, values in asked.items()}
    assert sum("segments" in plan for plan in plans.values()) > 8
    walks = WALKS[catalogue.database.engine.dialect.name]
    assert [f"{statement}\n{plan}" for statement, plan in plans.items() if walks.search(plan)] == []


def _plan(catalogue: Catalogue, statement: str, values: Any) -> str:
    """How the database answers a statement. PostgreSQL may walk through a table only if nothing else is possible."""
    if not statement.lstrip().upper().startswith(("SELECT", "WITH", "UPDATE", "DELETE")):
        return ""
    explain = "EXPLAIN QUERY PLAN" if catalogue.database.is_sqlite else "EXPLAIN"
    with catalogue.database.engine.connect() as connection:
        if not catalogue.database.is_sqlite:
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        rows = connection.exec_driver_sql(f"{explain} {statement}", values).all()
        connection.rollback()
    return "\n".join(str(row[-1]) for row in rows)


def test_the_month_is_as_a_recorder_leaves_it(catalogue: Catalogue) -> None:
    store = CatalogueSegmentStore(catalogue)
    assert catalogue.segments.usage.check() == ()
    assert set(store.all_times()) == set(MONTH.recordings)
    assert len(store.open_segments()) == MONTH.cameras
    first = MONTH.recordings[0]
    # Ten minutes are missing each day.
    assert len(store.covered(first, START, START + DAY, US)) == 1
    assert store.covered(first, START, START + DAY, US)[0][0] == START + 600 * US
    assert store.calendar(first, [(START + day * DAY, START + (day + 1) * DAY) for day in range(-1, 4)]) == (
        False,
        True,
        True,
        False,
        False,
    )
    (row,) = store.segments_between(first, START + 700 * US, START + 701 * US)
    assert len(unpack_fragments(row.fragments)) == 30
    assert len(row.fragments) < 300
    (event_row,) = catalogue.events.between(start=START, end=None, recordings=None, backward=False, limit=1)
    assert event_row.recording in MONTH.recordings
    locks = {recording: [(START - DAY, START + DAY)] for recording in MONTH.recordings}
    assert min(row.start for row in store.oldest_segments(VOLUME, 20, locks=locks)) >= START + DAY


def test_the_writer_keeps_all_segments_growing(catalogue: Catalogue) -> None:
    writer = Writer(catalogue.database.engine.url.render_as_string(hide_password=False))
    before = catalogue.segments.count(VOLUME)
    for second in range(60):
        writer.second(second)
    writer.close()
    assert writer.failed == 0
    # Each ended once in a minute, and another began.
    assert catalogue.segments.count(VOLUME) == before + MONTH.cameras
    assert catalogue.segments.usage.check() == ()
