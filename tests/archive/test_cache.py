"""The fragment cache holds what it may and no more."""

from __future__ import annotations

from onvifd.archive.cache import FragmentCache, LoadedFragment
from onvifd.archive.index import Fragment, FragmentFlag


def loaded(size: int) -> LoadedFragment:
    return LoadedFragment(Fragment(0, size, 0, 1, FragmentFlag.VIDEO), (), bytes(size), ())


def test_what_was_used_last_stays() -> None:
    cache = FragmentCache(100)
    for name in "abc":
        cache.put(("v", name, 0), loaded(30))
    assert cache.get(("v", "a", 0)) is not None
    cache.put(("v", "d", 0), loaded(30))
    assert [name for name in "abcd" if cache.get(("v", name, 0))] == ["a", "c", "d"]
    assert cache.size == 90


def test_the_same_fragment_counts_once() -> None:
    cache = FragmentCache(100)
    cache.put(("v", "a", 0), loaded(60))
    cache.put(("v", "a", 0), loaded(70))
    assert cache.size == 70


def test_what_is_larger_than_the_cache_is_not_kept() -> None:
    cache = FragmentCache(100)
    cache.put(("v", "a", 0), loaded(50))
    cache.put(("v", "b", 0), loaded(101))
    assert (cache.get(("v", "a", 0)) is not None, cache.get(("v", "b", 0))) == (True, None)
