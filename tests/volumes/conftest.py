"""A catalogue and real segment files on volumes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from onvifd.archive.catalogue_index import CatalogueSegmentStore
from onvifd.archive.disk import SegmentFiles, Volume
from onvifd.archive.index import EndReason
from onvifd.archive.marker import Marker, new_marker, write_marker
from onvifd.archive.segment import Append, SegmentWriter
from onvifd.clock import US
from onvifd.media.types import Codec
from onvifd.store.catalogue import Catalogue
from onvifd.store.rows import VolumeRow
from tests.archive.conftest import T0, Clip, encode, video_units


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    made = Catalogue.open(f"sqlite:///{tmp_path / 'catalogue.sqlite3'}", migrate=True)
    yield made
    made.close()


@pytest.fixture
def store(catalogue: Catalogue) -> CatalogueSegmentStore:
    return CatalogueSegmentStore(catalogue)


@pytest.fixture(scope="session")
def clip() -> Clip:
    return encode(Codec.H264)


MakeVolume = Callable[..., Volume]


@pytest.fixture
def make_volume(catalogue: Catalogue, tmp_path: Path) -> MakeVolume:
    """A marked folder that the catalogue knows."""

    def make(name: str = "one", **values: object) -> Volume:
        root = tmp_path / name
        root.mkdir()
        marker: Marker = new_marker(T0)
        write_marker(root, marker)
        row = VolumeRow(id="", path=str(root), created=T0, uuid=marker.uuid, origin="command")
        made = catalogue.volumes.add(row)
        if values:
            catalogue.volumes.change(made.id, **values)
        return Volume(made.id, root, marker.uuid)

    return make


@pytest.fixture
def volume(make_volume: MakeVolume) -> Volume:
    return make_volume()


Record = Callable[..., None]


@pytest.fixture
def record(store: CatalogueSegmentStore, volume: Volume, clip: Clip) -> Record:
    """Writes seconds of footage in segments of two seconds, as the recorder does."""

    def run(
        recording: str = "rec-1",
        *,
        seconds: float = 10,
        start: int = T0,
        on: Volume = volume,
        reason: EndReason | None = EndReason.STOP,
    ) -> None:
        core = SegmentWriter(recording, on.id, [clip.format], segment_us=2 * US, fragment_us=US)
        files = SegmentFiles(on, store)
        actions = [
            action for unit in video_units(clip, start=start, seconds=seconds) for action in core.feed(unit, 0.0)
        ]
        if reason is not None:
            actions += core.finish(reason)
        for action in actions:
            files.append(action) if isinstance(action, Append) else files.close(action)

    return run


def aged(volume: Volume) -> list[Path]:
    """All segment files, made old: what is young may be about to get its row."""
    import os

    paths = sorted(volume.root.rglob("*.mp4"))
    for path in paths:
        os.utime(path, (1, 1))
    return paths
