"""Tags: moments of recordings that somebody gave a name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from onvifd.clock import US
from onvifd.errors import InvalidArgument, LimitReached, NotFound
from onvifd.store import tags as module
from onvifd.store.catalogue import Catalogue
from onvifd.store.tags import Tags

T0 = 1_767_225_600 * US


@pytest.fixture
def tags(url: str) -> Iterator[Tags]:
    catalogue = Catalogue.open(url, migrate=True)
    yield catalogue.tags
    catalogue.close()


def add(tags: Tags, recording: str = "rec-1", seconds: int = 0, name: str = "") -> int:
    return tags.add(recording, T0 + seconds * US, name, account="anna", now=T0 + 99 * US).id


@pytest.mark.covers("PLY-29", "P174")
def test_a_tag_without_a_name_is_named_by_the_recorded_time(tags: Tags) -> None:
    found = tags.get(add(tags, seconds=1))
    assert (found.name, found.account, found.utc) == ("2026-01-01T00:00:01Z", "anna", T0 + US)
    assert tags.get(add(tags, name="  A car ")).name == "A car"


@pytest.mark.covers("PLY-32", "P174")
def test_found_by_recording_time_and_name_page_by_page(tags: Tags) -> None:
    first, second, third = add(tags, seconds=5, name="Car 100%"), add(tags, "rec-2", 3, "Dog"), add(tags, seconds=9)
    assert [tag.id for tag in tags.find()] == [second, first, third]
    assert [tag.id for tag in tags.find(recordings=["rec-1"])] == [first, third]
    assert tags.find(recordings=[]) == ()
    assert [tag.id for tag in tags.find(start=T0 + 5 * US, end=T0 + 9 * US)] == [first]
    assert [tag.id for tag in tags.find(text="car 100%")] == [first]
    assert tags.find(text="100_") == ()
    (one,) = tags.find(limit=1)
    assert [tag.id for tag in tags.find(after=(one.utc, one.id))] == [first, third]


@pytest.mark.covers("PLY-32", "P174")
def test_rename_and_delete_several(tags: Tags) -> None:
    ids = [add(tags, seconds=second) for second in range(3)]
    assert tags.rename(ids[0], "Gate").name == tags.get(ids[0]).name == "Gate"
    assert [tag.id for tag in tags.some([*ids[:2], 12345])] == ids[:2]
    assert tags.remove([*ids[:2], 12345]) == 2
    assert [tag.id for tag in tags.find()] == ids[2:]
    with pytest.raises(NotFound):
        tags.get(ids[0])
    with pytest.raises(NotFound):
        tags.rename(ids[0], "Gate")


def test_names_have_bounds(tags: Tags) -> None:
    for name in ("x" * 65, "a\nb", "\0"):
        with pytest.raises(InvalidArgument):
            add(tags, name=name)
    tag = add(tags, name="Ü" * 64)
    for name in ("", " ", "x" * 65):
        with pytest.raises(InvalidArgument):
            tags.rename(tag, name)
    assert tags.get(tag).name == "Ü" * 64


def test_their_number_is_bounded(tags: Tags, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TAGS", 2)
    add(tags)
    add(tags)
    with pytest.raises(LimitReached):
        add(tags)
    assert len(tags.find()) == 2
