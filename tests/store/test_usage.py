"""Counters of segments are exact, and can be put right while others write."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import text

from onvifd.errors import Conflict
from onvifd.store import usage
from onvifd.store.catalogue import Catalogue
from onvifd.store.rows import SegmentRow
from onvifd.store.usage import Difference


def put(catalogue: Catalogue, number: int, *, volume: str = "vol-1", copy: bool = False, size: int = 100) -> int:
    row = SegmentRow(
        recording="rec-a",
        volume=volume,
        path=f"{number}.mp4",
        start=number,
        end=number + 10,
        size=size,
        kinds=1,
        copy=copy,
    )
    return catalogue.segments.insert(row)


@pytest.mark.covers("STO-19")
def test_every_change_is_counted_in_its_transaction(catalogue: Catalogue) -> None:
    first = put(catalogue, 1)
    put(catalogue, 2, volume="vol-2", copy=True)
    put(catalogue, 1, size=70)
    counted = catalogue.segments.usage
    assert (counted.bytes(recording="rec-a"), counted.bytes(volume="vol-1"), counted.segments()) == (170, 70, 2)
    catalogue.segments.grow({first: {"end": 50, "size": 999, "kinds": 3, "fragments": b""}})
    assert counted.bytes(volume="vol-1") == 70
    (row,) = catalogue.segments.on_volume("vol-1", 0, 9)
    catalogue.segments.grow({row.id: {"end": 50, "size": 90, "kinds": 3, "fragments": b""}})
    catalogue.segments.change(row.id, end=60, size=95, kinds=3, fragments=b"", state="closed")
    assert (counted.bytes(recording="rec-a", volume="vol-1"), counted.volumes()) == (
        95,
        {"vol-1": (1, 95), "vol-2": (1, 100)},
    )
    assert counted.check() == ()
    catalogue.segments.remove(
        *(each.id for volume in ("vol-1", "vol-2") for each in catalogue.segments.on_volume(volume, 0, 9))
    )
    assert (counted.recorded(), counted.volumes(), counted.check()) == ((), {}, ())


def test_a_copy_that_becomes_footage_is_counted_as_such(catalogue: Catalogue) -> None:
    put(catalogue, 1, volume="vol-2", copy=True)
    assert catalogue.segments.times_by_kinds() == {}
    assert catalogue.upkeep.promote("vol-2") == 1
    assert catalogue.segments.times_by_kinds() == {"rec-a": {1: (1, 11)}}
    assert catalogue.segments.usage.check() == ()


def test_a_change_that_is_undone_counts_for_nothing(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    number = put(catalogue, 1)
    store = usage.Tally.store

    def fail(tally: usage.Tally, connection: object) -> None:
        store(tally, connection)  # type: ignore[arg-type]
        raise Conflict("stopped in the middle")

    monkeypatch.setattr(usage.Tally, "store", fail)
    for change in (lambda: put(catalogue, 2), lambda: catalogue.segments.remove(number)):
        with pytest.raises(Conflict):
            change()
    assert catalogue.segments.usage.volumes() == {"vol-1": (1, 100)}
    assert catalogue.segments.usage.check() == ()


@pytest.mark.covers("STO-19")
def test_wrong_counters_are_found_and_put_right(catalogue: Catalogue) -> None:
    put(catalogue, 1)
    with catalogue.database.engine.begin() as connection:
        connection.execute(text("UPDATE usage SET bytes = bytes - 30, longest = 2"))
        connection.execute(text("INSERT INTO usage SELECT 'rec-gone', volume, copy, kinds, 4, 5, 6 FROM usage"))
    wrong = (Difference("rec-a", "vol-1", False, 1, 0, 30), Difference("rec-gone", "vol-1", False, 1, -4, -5))
    assert catalogue.segments.usage.check() == wrong
    assert catalogue.segments.usage.repair() == wrong
    assert catalogue.segments.usage.check() == ()
    assert catalogue.segments.recorded() == ("rec-a",)
    # The longest is right again: what began long before is found.
    assert catalogue.segments.stretches(["rec-a"], 10, 20)["rec-a"] == [(1, 11)]
    assert catalogue.segments.usage.repair() == ()


def test_writers_go_on_while_counters_are_put_right(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    number = put(catalogue, 1)
    with catalogue.database.engine.begin() as connection:
        connection.execute(text("UPDATE usage SET bytes = 1, segments = 7"))
    look = usage._differences

    def write() -> None:
        put(catalogue, 2, size=11)
        catalogue.segments.remove(number)

    def write_meanwhile(connection: object) -> object:
        found = look(connection)  # type: ignore[arg-type]
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
        return found

    monkeypatch.setattr(usage, "_differences", write_meanwhile)
    catalogue.segments.usage.repair()
    monkeypatch.undo()
    assert catalogue.segments.usage.volumes() == {"vol-1": (1, 11)}
    assert catalogue.segments.usage.check() == ()


def test_two_that_put_counters_right_at_once_do_not_do_it_twice(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(catalogue, 1)
    with catalogue.database.engine.begin() as connection:
        connection.execute(text("UPDATE usage SET bytes = 1"))
    look = usage._differences
    inner = [True]

    def repair_meanwhile(connection: object) -> object:
        found = look(connection)  # type: ignore[arg-type]
        if inner.pop() if inner else False:
            thread = threading.Thread(target=catalogue.segments.usage.repair)
            thread.start()
            thread.join()
        return found

    monkeypatch.setattr(usage, "_differences", repair_meanwhile)
    with pytest.raises(Conflict):
        catalogue.segments.usage.repair()
    assert catalogue.segments.usage.bytes() == 100


def test_removing_a_volume_clears_its_counters(catalogue: Catalogue) -> None:
    volume = catalogue.volumes.ensure("/srv/a", 0, 1).id
    put(catalogue, 1, volume=volume)
    catalogue.volumes.remove(volume, forget=True)
    assert catalogue.segments.usage.volumes() == {}
