"""All volumes by id, for whoever reads: a volume that was added while the recorder runs is found in the catalogue."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from onvifd.archive.disk import Volume
from onvifd.errors import Unavailable
from onvifd.store.catalogue import Catalogue

REFRESH_SECONDS = 5.0


class KnownVolumes(Mapping[str, Volume]):
    """Asks the catalogue for an id that it has not seen yet, and every few seconds for volumes that have moved: blocks then.

    Raises Unavailable for an id that was never seen, when the database does not answer.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._known: dict[str, Volume] = {}
        self._read = -REFRESH_SECONDS

    def _refresh(self) -> None:
        self._read = time.monotonic()
        self._known = {row.id: Volume(row.id, Path(row.path), row.uuid) for row in self._catalogue.volumes.all()}

    def __getitem__(self, volume: str) -> Volume:
        if volume not in self._known or time.monotonic() - self._read > REFRESH_SECONDS:
            try:
                self._refresh()
            except Unavailable:
                if volume not in self._known:
                    raise
        return self._known[volume]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)
