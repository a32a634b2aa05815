"""What a recorder has on its disk, read from outside: what its clients get is held against it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from onvifd.archive.cache import FragmentCache
from onvifd.archive.catalogue_index import CatalogueSegmentStore
from onvifd.archive.disk import DiskPool
from onvifd.archive.reader import RecordingReader
from onvifd.media.types import Kind
from onvifd.store.catalogue import Catalogue
from onvifd.volumes.known import KnownVolumes


def stored_pictures(data: Path, recording: str, start: int, end: int) -> list[int]:
    """The times (microseconds UTC) of all pictures of a recording from `start` to `end`, both included."""
    return asyncio.run(_stored(data, recording, start, end))


async def _stored(data: Path, recording: str, start: int, end: int) -> list[int]:
    catalogue, pool = Catalogue.open(f"sqlite:///{data / 'catalogue.sqlite3'}"), DiskPool(1)
    try:
        store = CatalogueSegmentStore(catalogue)
        reader = RecordingReader(store, KnownVolumes(catalogue), recording, cache=FragmentCache(), pool=pool)
        found = []
        async for loaded in reader.fragments(start):
            found += [each.utc for each in loaded.samples if loaded.formats[each.track].kind is Kind.VIDEO]
            if found and found[-1] > end:
                break
        return [utc for utc in found if start <= utc <= end]
    finally:
        pool.close()
        catalogue.close()
