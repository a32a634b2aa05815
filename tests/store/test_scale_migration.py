"""An index of the version before: formats and topics get rows of their own, counters are counted, old tables are still read."""

from __future__ import annotations

from importlib.resources import as_file, files

from alembic import command
from sqlalchemy import text

from onvifd.archive.catalogue_index import CatalogueSegmentStore
from onvifd.archive.index import Fragment, FragmentFlag, encode_formats, pack_fragments, unpack_fragments
from onvifd.media.types import Codec, Kind, TrackFormat
from onvifd.store.catalogue import Catalogue
from onvifd.store.engine import Database, open_engine
from onvifd.store.migrate import _config

MINUTE = 60_000_000
FORMATS = (
    (TrackFormat(codec=Codec.H264, clock_rate=90000, parameter_sets=(b"\x67", b"\x68"), width=1280, height=720),),
    (TrackFormat(codec=Codec.PCMU, clock_rate=8000, channels=1),),
)
KINDS = (FragmentFlag.VIDEO, FragmentFlag.AUDIO)
EVENTS = ("VideoSource/MotionAlarm", "Device/HardwareFailure/StorageFailure", "VideoSource/MotionAlarm")


def table(number: int) -> bytes:
    return pack_fragments([Fragment(700, 900, number * MINUTE, MINUTE, KINDS[number % 2])])


def version_before(url: str) -> None:
    engine = open_engine(url)

    def work(connection: object) -> None:
        with as_file(files("onvifd.store") / "migrations") as folder:
            command.upgrade(_config(str(folder), connection), "0009")  # type: ignore[arg-type]

    Database(engine).write(work)
    segment = text(
        'INSERT INTO segments (recording, volume, path, start, "end", size, kinds, state, end_reason, formats, fragments) '
        "VALUES ('rec-a', 'vol-1', :path, :start, :end, :size, :kinds, 'closed', 'time', :formats, :fragments)"
    )
    event = text(
        "INSERT INTO events (utc, topic, recording, operation, instance, body) "
        "VALUES (:utc, :topic, 'rec-a', '', NULL, '[[],[],[],[]]')"
    )
    with engine.begin() as connection:
        for number in range(6):
            values = {
                "path": f"{number}.mp4",
                "start": number * MINUTE,
                "end": (number + 1) * MINUTE,
                "size": 100 + number,
                "kinds": int(KINDS[number % 2]),
                "formats": encode_formats(FORMATS[number % 2]),
                "fragments": table(number),
            }
            connection.execute(segment, values)
        for utc, topic in enumerate(EVENTS):
            connection.execute(event, {"utc": utc, "topic": topic})
    engine.dispose()


def test_everything_is_there_after_it(url: str) -> None:
    version_before(url)
    catalogue = Catalogue.open(url, migrate=True)
    try:
        store = CatalogueSegmentStore(catalogue)
        rows = store.segments_between("rec-a", 0, 1 << 62)
        assert [row.formats for row in rows] == [FORMATS[number % 2] for number in range(6)]
        assert [unpack_fragments(row.fragments) for row in rows] == [unpack_fragments(table(n)) for n in range(6)]
        assert not any(row.copy for row in rows)
        assert store.track_times("rec-a") == {Kind.VIDEO: (0, 5 * MINUTE), Kind.AUDIO: (MINUTE, 6 * MINUTE)}
        assert (store.volume_bytes("vol-1"), store.recording_bytes("rec-a")) == (615, 615)
        assert catalogue.segments.usage.check() == ()
        found = catalogue.events.between(start=0, end=None, recordings=None, backward=False, limit=9)
        assert [event.topic for event in found] == list(EVENTS)
        # Numbers go on behind those of before: none is given twice.
        assert store.insert_segment(rows[0]) > max(row.id for row in rows)
        assert [row.path for row in store.volume_segments("vol-1")] == [
            "1.mp4",
            "2.mp4",
            "3.mp4",
            "4.mp4",
            "5.mp4",
            "0.mp4",
        ]
    finally:
        catalogue.close()
