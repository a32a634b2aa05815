"""Fragments in memory, shared by all readers of a process."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

from onvifd.archive.index import Fragment
from onvifd.media.mp4_parse import SampleRef
from onvifd.media.types import TrackFormat

CacheKey = tuple[str, str, int]
"""Volume, path and offset of a fragment."""


@dataclass(frozen=True, slots=True)
class LoadedFragment:
    """A fragment's bytes and its samples in order of time; sample offsets count from the start of `data`."""

    fragment: Fragment
    formats: tuple[TrackFormat, ...]
    data: bytes
    samples: tuple[SampleRef, ...]


_ENTRY = 1000
"""Bytes that an entry takes beside data and samples: key, path, objects, its place in the table."""
_SAMPLE = 200
"""Bytes that a sample takes. A second of sound has 50 of them, which are more than its data."""


def memory_of(loaded: LoadedFragment) -> int:
    """Bytes that a fragment takes in memory."""
    return len(loaded.data) + _ENTRY + _SAMPLE * len(loaded.samples)


class FragmentCache:
    """Keeps what was read last, up to `limit` bytes of memory. Thread-safe."""

    def __init__(self, limit: int = 64 << 20) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._items: OrderedDict[CacheKey, LoadedFragment] = OrderedDict()
        self._bytes = 0

    @property
    def size(self) -> int:
        """Bytes of memory held now."""
        return self._bytes

    def get(self, key: CacheKey) -> LoadedFragment | None:
        with self._lock:
            found = self._items.get(key)
            if found is not None:
                self._items.move_to_end(key)
            return found

    def put(self, key: CacheKey, loaded: LoadedFragment) -> None:
        """Keep a fragment; one that is larger than the whole cache is not kept."""
        size = memory_of(loaded)
        if size > self._limit:
            return
        with self._lock:
            old = self._items.pop(key, None)
            self._bytes += size - (memory_of(old) if old else 0)
            self._items[key] = loaded
            while self._bytes > self._limit:
                _, dropped = self._items.popitem(last=False)
                self._bytes -= memory_of(dropped)
