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


class FragmentCache:
    """Keeps what was read last, up to `limit` bytes. Thread-safe."""

    def __init__(self, limit: int = 64 << 20) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._items: OrderedDict[CacheKey, LoadedFragment] = OrderedDict()
        self._bytes = 0

    @property
    def size(self) -> int:
        """Bytes held now."""
        return self._bytes

    def get(self, key: CacheKey) -> LoadedFragment | None:
        with self._lock:
            found = self._items.get(key)
            if found is not None:
                self._items.move_to_end(key)
            return found

    def put(self, key: CacheKey, loaded: LoadedFragment) -> None:
        """Keep a fragment; one that is larger than the whole cache is not kept."""
        if len(loaded.data) > self._limit:
            return
        with self._lock:
            old = self._items.pop(key, None)
            self._bytes += len(loaded.data) - (len(old.data) if old else 0)
            self._items[key] = loaded
            while self._bytes > self._limit:
                _, dropped = self._items.popitem(last=False)
                self._bytes -= len(dropped.data)
