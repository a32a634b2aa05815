"""A catalogue as it is after a month of many cameras, made quickly: rows go in before their indices, in order of time.

Fragment tables are real ones of about 30 fragments, taken in turn from a few, so that their size is right; nobody looks into
them here.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import Connection, select, text
from sqlalchemy.schema import CreateIndex

from onvifd.archive.index import Fragment, FragmentFlag, compact_fragments, encode_formats, pack_fragments
from onvifd.clock import US
from onvifd.media.types import Codec, TrackFormat
from onvifd.store import schema
from onvifd.store.catalogue import Catalogue
from onvifd.store.events import values_of
from onvifd.store.rows import EventRow
from onvifd.store.segments import format_row

START = 1_767_225_600 * US
"""The month begins on 2026-01-01."""
MINUTE = 60 * US
DAY = 24 * 60 * MINUTE
VOLUME = "vol-1"
SPANS_A_DAY = 100
_CHUNK = 20_000
_PROPERTIES = (
    "VideoSource/MotionAlarm",
    "RuleEngine/CellMotionDetector/Motion",
    "VideoSource/ImageTooDark/ImagingService",
)
_RARE = "RecordingConfig/TrackConfiguration"
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Month:
    """How much there is to be."""

    cameras: int = 100
    days: int = 30
    events: int = 10_000_000

    @property
    def end(self) -> int:
        return START + self.days * DAY

    @property
    def segments(self) -> int:
        return self.cameras * self.days * 24 * 60

    @property
    def recordings(self) -> tuple[str, ...]:
        return tuple(f"rec-cam-{number:08x}" for number in range(1, self.cameras + 1))


FORMATS = (
    TrackFormat(
        codec=Codec.H264, clock_rate=90000, parameter_sets=(b"\x67" * 24, b"\x68" * 5), width=1920, height=1080
    ),
    TrackFormat(codec=Codec.AAC, clock_rate=48000, config=b"\x11\x90", channels=2),
)


def tables(count: int = 64) -> list[bytes]:
    """Fragment tables of minutes with a fragment every two seconds, times of 90 kHz and sizes that vary."""
    chance = random.Random(1)
    made = []
    for _ in range(count):
        fragments, offset, start = [], 1200, START + chance.randrange(DAY)
        for _ in range(30):
            size, length = chance.randrange(700_000, 1_300_000), 2 * US + chance.choice((-11, 0, 0, 11))
            fragments.append(
                Fragment(offset, size, start, length, FragmentFlag.VIDEO | FragmentFlag.AUDIO | FragmentFlag.CLEAN)
            )
            offset, start = offset + size, start + length
        made.append(compact_fragments(pack_fragments(fragments)))
    return made


def segment_rows(month: Month, format: int) -> Iterator[tuple[Any, ...]]:
    """In order of time, as they were inserted. Each camera misses ten minutes a day, and the last minute is open."""
    packed = tables()
    kinds = int(FragmentFlag.VIDEO | FragmentFlag.AUDIO)
    names = month.recordings
    number = 0
    for minute in range(month.days * 24 * 60):
        start = START + minute * MINUTE
        hour, of_hour = divmod(minute % 1440, 60)
        folder, last = (
            f"{minute // 1440 + 1:02d}/{hour:02d}/{hour:02d}{of_hour:02d}00",
            minute == month.days * 24 * 60 - 1,
        )
        for camera, recording in enumerate(names):
            if (minute + 13 * camera) % 1440 < 10 and not last:
                continue
            number += 1
            begin = start + camera * 1000
            path = f"{recording}/2026-01-{folder}.{camera:03d}.mp4"
            size = 29_000_000 + number % 65_536
            state, reason = ("open", "") if last else ("closed", "time")
            yield (
                number, recording, VOLUME, path, begin, begin + MINUTE, size, kinds, False, state, reason, format,
                packed[number % len(packed)],
            )  # fmt: skip


def event_rows(month: Month, numbers: dict[str, int]) -> Iterator[tuple[Any, ...]]:
    """In order of time: mostly properties of the cameras, some of none."""
    ready: list[tuple[Any, ...]] = []
    for camera, recording in enumerate(month.recordings):
        source = (("VideoSourceConfigurationToken", f"vsc-{camera}"), ("Rule", "MyMotionDetectorRule"))
        for topic in _PROPERTIES:
            for state in ("true", "false"):
                row = EventRow(
                    utc=0,
                    topic=topic,
                    recording=recording,
                    operation="Changed",
                    source=source,
                    data=(("State", state),),
                )
                made = values_of(row)
                ready.append((numbers[topic], recording, "Changed", made["instance"], made["body"]))
    rare = values_of(EventRow(utc=0, topic=_RARE, recording=month.recordings[0]))
    rare_row = (numbers[_RARE], month.recordings[0], "", None, rare["body"])
    step = month.days * DAY / max(1, month.events)
    for number in range(month.events):
        columns = rare_row if number % 100_000 == 99_999 else ready[number * 7919 % len(ready)]
        yield (number + 1, START + int(number * step), *columns)


def span_rows(month: Month) -> Iterator[tuple[Any, ...]]:
    number = 0
    step = DAY // SPANS_A_DAY
    for recording in month.recordings:
        for each in range(month.days * SPANS_A_DAY):
            number += 1
            start = START + each * step
            yield number, recording, "motion" if each % 2 else "general", start, start + step, ""


SEGMENT_COLUMNS = (
    "id", "recording", "volume", "path", "start", "end", "size", "kinds", "copy", "state", "end_reason", "format", "fragments",
)  # fmt: skip
EVENT_COLUMNS = ("id", "utc", "topic", "recording", "operation", "instance", "body")
SPAN_COLUMNS = ("id", "recording", "kind", "start", "end", "marks")


def fill(catalogue: Catalogue, month: Month, progress: Progress) -> None:
    """Put the month into an empty catalogue."""
    database = catalogue.database
    # Topics and the format get their rows in the ordinary way.
    catalogue.events.insert([EventRow(utc=START, topic=topic) for topic in (*_PROPERTIES, _RARE)])

    def prepare(connection: Connection) -> tuple[dict[str, int], int]:
        connection.execute(text("DELETE FROM events"))
        for table in (schema.segments, schema.events, schema.spans):
            for index in table.indexes:
                index.drop(connection)
        numbers = {row.name: row.id for row in connection.execute(select(schema.topics))}
        return numbers, format_row(connection, encode_formats(FORMATS))

    numbers, format = database.write(prepare)
    copy = _copy_sqlite if database.is_sqlite else _copy_postgresql
    progress(f"{month.segments} segments")
    copy(catalogue, "segments", SEGMENT_COLUMNS, segment_rows(month, format))
    progress(f"{month.events} events")
    copy(catalogue, "events", EVENT_COLUMNS, event_rows(month, numbers))
    copy(catalogue, "spans", SPAN_COLUMNS, span_rows(month))
    progress("indices")
    engine = database.engine
    with engine.begin() as connection:
        if not database.is_sqlite:
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SET LOCAL maintenance_work_mem = '512MB'"))
        for table in (schema.segments, schema.events, schema.spans):
            for index in table.indexes:
                connection.execute(CreateIndex(index))
            if not database.is_sqlite:
                last = f"(SELECT max(id) FROM {table.name})"
                connection.execute(text(f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), {last})"))
    progress("counters")
    catalogue.segments.usage.repair()
    if database.is_sqlite:
        raw = engine.raw_connection()
        try:
            raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            raw.close()
    else:
        # What autovacuum does in the course of a month.
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("SET statement_timeout = 0"))
            connection.execute(text("VACUUM ANALYZE"))


def _chunks(rows: Iterable[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    iterator = iter(rows)
    while chunk := list(islice(iterator, _CHUNK)):
        yield chunk


def _copy_sqlite(catalogue: Catalogue, table: str, columns: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> None:
    path = catalogue.database.engine.url.database
    assert path is not None
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous=OFF")
        names = ", ".join(f'"{column}"' for column in columns)
        query = f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(columns))})"
        for chunk in _chunks(rows):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(query, chunk)
            connection.execute("COMMIT")
    finally:
        connection.close()


def _copy_postgresql(
    catalogue: Catalogue, table: str, columns: tuple[str, ...], rows: Iterable[tuple[Any, ...]]
) -> None:
    names = ", ".join(f'"{column}"' for column in columns)
    raw = catalogue.database.engine.raw_connection()
    try:
        cursors: Any = raw
        with cursors.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")
            with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
                for chunk in _chunks(rows):
                    copy.write("".join(map(_line, chunk)))
        raw.commit()
    finally:
        raw.close()


def _line(row: tuple[Any, ...]) -> str:
    return "\t".join(map(_field, row)) + "\n"


def _field(value: Any) -> str:
    if isinstance(value, str):
        return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
    if isinstance(value, bytes):
        return "\\\\x" + value.hex()
    if value is None:
        return "\\N"
    return str(value)
