"""The fragment cache holds what it may and no more."""

from __future__ import annotations

import tracemalloc

import pytest

from onvifd.archive.cache import FragmentCache, LoadedFragment, memory_of
from onvifd.archive.index import Fragment, FragmentFlag
from onvifd.media.mp4_parse import SampleRef

ROOM = memory_of(LoadedFragment(Fragment(0, 0, 0, 1, FragmentFlag.VIDEO), (), b"", ()))
"""What an entry takes beside its data."""


def loaded(size: int, samples: int = 0, start: int = 0) -> LoadedFragment:
    fragment = Fragment(start, size, start, 1, FragmentFlag.VIDEO)
    refs = tuple(SampleRef(start + n, 0, n * 300, 300 + n, n == 0) for n in range(samples))
    return LoadedFragment(fragment, (), bytes(size), refs)


def test_what_was_used_last_stays() -> None:
    cache = FragmentCache(100 + 3 * ROOM)
    for name in "abc":
        cache.put(("v", name, 0), loaded(30))
    assert cache.get(("v", "a", 0)) is not None
    cache.put(("v", "d", 0), loaded(30))
    assert [name for name in "abcd" if cache.get(("v", name, 0))] == ["a", "c", "d"]
    assert cache.size == 90 + 3 * ROOM


def test_the_same_fragment_counts_once() -> None:
    cache = FragmentCache(100 + ROOM)
    cache.put(("v", "a", 0), loaded(60))
    cache.put(("v", "a", 0), loaded(70))
    assert cache.size == 70 + ROOM


def test_what_is_larger_than_the_cache_is_not_kept() -> None:
    cache = FragmentCache(100 + ROOM)
    cache.put(("v", "a", 0), loaded(50))
    cache.put(("v", "b", 0), loaded(101))
    assert (cache.get(("v", "a", 0)) is not None, cache.get(("v", "b", 0))) == (True, None)


@pytest.mark.parametrize(("size", "samples"), [(500_000, 25), (60_000, 50), (9_000, 50), (700, 1)])
def test_the_bound_is_that_of_the_memory(size: int, samples: int) -> None:
    """Pictures, a sub stream with sound, sound alone, a document each second: what is small has more around it than in it."""
    limit = 4 << 20
    tracemalloc.start()
    try:
        cache = FragmentCache(limit)
        before, _ = tracemalloc.get_traced_memory()
        for number in range(2 * limit // size):
            cache.put(
                ("vol-1", f"2026/11/21/rec-1/{number}.mp4", number), loaded(size, samples, 1_700_000 + number * 1000)
            )
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert 0.7 * limit < taken < 1.15 * limit
