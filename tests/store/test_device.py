"""What is kept of the device itself."""

from __future__ import annotations

from onvifd.store.catalogue import Catalogue


def test_sections_are_kept_replaced_and_removed(catalogue: Catalogue) -> None:
    assert catalogue.device.all() == {}
    catalogue.device.put({"scopes": "[]", "time": "{}"})
    catalogue.device.put({"scopes": '["a"]'})
    assert catalogue.device.all() == {"scopes": '["a"]', "time": "{}"}
    catalogue.device.remove(["time", "nothing"])
    assert catalogue.device.all() == {"scopes": '["a"]'}
