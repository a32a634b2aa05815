"""Locks of footage, on both databases."""

from __future__ import annotations

import pytest

from onvifd.errors import InvalidArgument, NotFound
from onvifd.store.catalogue import Catalogue
from onvifd.store.rows import LockRow

US = 1_000_000


@pytest.mark.covers("PLY-28")
def test_a_lock_comes_and_goes(catalogue: Catalogue) -> None:
    locks = catalogue.locks
    made = locks.add("rec-1", 10, 20, account="admin", now=5, reason="court")
    assert locks.all() == (made,)
    assert made == LockRow(
        id=made.id, recording="rec-1", start=10, end=20, account="admin", reason="court", created=5, until=None
    )
    assert locks.all("rec-2") == ()
    locks.remove(made.id)
    assert locks.all() == ()
    for call in (lambda: locks.remove(made.id), lambda: locks.prolong(made.id, 7)):
        with pytest.raises(NotFound):
            call()


def test_what_is_covered(catalogue: Catalogue) -> None:
    locks = catalogue.locks
    locks.add("rec-1", 10, 20, account="a", now=0)
    for start, end, covered in ((0, 10, False), (0, 11, True), (19, 30, True), (20, 30, False), (12, 13, True)):
        assert locks.covers("rec-1", start, end, now=0) is covered
        assert bool(locks.between("rec-1", start, end)) is covered
    assert not locks.covers("rec-2", 0, 100, now=0)


def test_a_lock_with_an_end(catalogue: Catalogue) -> None:
    locks = catalogue.locks
    made = locks.add("rec-1", 10, 20, account="export", now=0, until=100)
    assert locks.covers("rec-1", 10, 20, now=99)
    assert not locks.covers("rec-1", 10, 20, now=100)
    locks.prolong(made.id, 200)
    assert locks.covers("rec-1", 10, 20, now=150)
    other = locks.add("rec-1", 30, 40, account="a", now=300)
    assert locks.all() == (other,)  # the one that ended is gone


@pytest.mark.parametrize(("start", "end", "until"), [(10, 10, None), (20, 10, None), (-1, 5, None), (0, 5, 50)])
def test_what_is_no_lock(catalogue: Catalogue, start: int, end: int, until: int | None) -> None:
    with pytest.raises(InvalidArgument):
        catalogue.locks.add("rec-1", start, end, account="a", now=50, until=until)
    assert catalogue.locks.all() == ()
