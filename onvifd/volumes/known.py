"""All volumes by id, for whoever reads: a volume that was added while the recorder runs is found in the catalogue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from onvifd.archive.disk import Volume
from onvifd.store.catalogue import Catalogue


class KnownVolumes(Mapping[str, Volume]):
    """Asks the catalogue for an id that it has not seen yet: blocks then. Raises Unavailable.

    A volume that has moved since is found anew when `refresh` was called.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._known: dict[str, Volume] = {}

    def refresh(self) -> None:
        """Read all of them."""
        self._known = {row.id: Volume(row.id, Path(row.path), row.uuid) for row in self._catalogue.volumes.all()}

    def __getitem__(self, volume: str) -> Volume:
        if volume not in self._known:
            self.refresh()
        return self._known[volume]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)
