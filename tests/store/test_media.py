"""Media profiles and configurations in the catalogue, on both databases."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import insert

from onvifd.errors import InvalidArgument, LimitReached, NotFound
from onvifd.store import schema
from onvifd.store.catalogue import Catalogue
from onvifd.store.rows import MediaConfigurationRow, MediaProfileRow

CAMERA = "cam-00000001"


def _camera(catalogue: Catalogue) -> None:
    values = dict.fromkeys(("address", "manufacturer", "model", "firmware", "serial", "event_address"), "")
    row = {"id": CAMERA, "channel": 1, "name": "x", "driver": "rtsp", "enabled": True, "created": 1, **values}
    catalogue.database.write(lambda c: c.execute(insert(schema.cameras).values(row)))


def test_profiles_are_kept_in_order_of_creation(catalogue: Catalogue) -> None:
    revision = catalogue.revision()
    for number, token in ((2, "a"), (1, "b")):
        catalogue.media.create_profile(MediaProfileRow(token=token, name=token, parts="{}", created=number), limit=5)
    assert [each.token for each in catalogue.media.profiles()] == ["b", "a"]
    assert catalogue.revision() == revision + 2


def test_a_token_is_given_once_and_the_number_is_bounded(catalogue: Catalogue) -> None:
    profile = MediaProfileRow(token="a", name="a", parts="{}", created=1)
    catalogue.media.put_profile(MediaProfileRow(token="fixed", fixed=True, started=True))
    catalogue.media.create_profile(profile, limit=1)
    for token, detail, error in (("a", "ProfileExists", InvalidArgument), ("b", "MaxNVTProfiles", LimitReached)):
        with pytest.raises(error) as caught:
            catalogue.media.create_profile(MediaProfileRow(token=token, parts="{}"), limit=1)
        assert caught.value.detail == detail
    assert {each.token for each in catalogue.media.profiles()} == {"a", "fixed"}


def test_changes_of_profiles(catalogue: Catalogue) -> None:
    catalogue.media.create_profile(MediaProfileRow(token="a", name="a", parts="{}", created=1), limit=5)
    changed = MediaProfileRow(token="a", name="b", parts='{"Metadata":"m"}', started=True, created=1)
    catalogue.media.put_profile(changed)
    assert catalogue.media.profiles() == (changed,)
    with pytest.raises(NotFound):
        catalogue.media.put_profile(MediaProfileRow(token="gone", parts="{}"))
    catalogue.media.remove_profile("a")
    for token in ("a", "gone"):
        with pytest.raises(NotFound):
            catalogue.media.remove_profile(token)


def test_what_is_kept_of_a_fixed_profile_is_not_removed(catalogue: Catalogue) -> None:
    catalogue.media.put_profile(MediaProfileRow(token="fixed", fixed=True, started=True))
    with pytest.raises(NotFound):
        catalogue.media.remove_profile("fixed")
    assert len(catalogue.media.profiles()) == 1


def test_configurations_and_profiles_go_with_their_camera(catalogue: Catalogue) -> None:
    _camera(catalogue)
    catalogue.media.put_configurations([MediaConfigurationRow(token="c", camera=CAMERA, body="{}")])
    catalogue.media.put_configurations([MediaConfigurationRow(token="c", camera=CAMERA, body='{"name":"x"}')])
    catalogue.media.create_profile(MediaProfileRow(token="a", camera=CAMERA, parts="{}"), limit=5)
    catalogue.media.create_profile(MediaProfileRow(token="empty", parts="{}"), limit=5)
    (kept,) = catalogue.media.configurations()
    assert kept.body == '{"name":"x"}'
    catalogue.cameras.remove(CAMERA)
    assert catalogue.media.configurations() == ()
    assert [each.token for each in catalogue.media.profiles()] == ["empty"]


def test_a_backup_carries_them_and_a_factory_default_clears_them(catalogue: Catalogue, tmp_path: Path) -> None:
    _camera(catalogue)
    catalogue.media.put_configurations([MediaConfigurationRow(token="c", camera=CAMERA, body="{}")])
    catalogue.media.create_profile(MediaProfileRow(token="a", camera=CAMERA, parts="{}", started=True), limit=5)
    catalogue.configuration.copy_to(tmp_path / "copy.sqlite3")
    before = catalogue.media.profiles(), catalogue.media.configurations()
    catalogue.configuration.clear(())
    assert (catalogue.media.profiles(), catalogue.media.configurations()) == ((), ())
    catalogue.configuration.check(tmp_path / "copy.sqlite3")
    catalogue.configuration.copy_from(tmp_path / "copy.sqlite3")
    assert (catalogue.media.profiles(), catalogue.media.configurations()) == before
