"""What it costs to try a password, as the recorder stores it; other tests hash at the least cost (`tests/thrift.py`)."""

from __future__ import annotations

from pathlib import Path

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.profiles import RFC_9106_LOW_MEMORY

from onvifd.access import accounts, console
from onvifd.access.keyfile import SecretBox
from onvifd.access.permissions import ADMINISTRATORS
from onvifd.access.types import Level
from onvifd.clock import SimulatedClock
from onvifd.store.accounts import ONVIF
from onvifd.store.catalogue import Catalogue


def test_stored_passwords_cost_what_rfc_9106_recommends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (accounts, console):
        monkeypatch.setattr(module, "PasswordHasher", PasswordHasher)
    catalogue = Catalogue.open(f"sqlite:///{tmp_path / 'catalogue.sqlite3'}", migrate=True)
    try:
        console.ConsoleAccounts(catalogue, SimulatedClock()).create("admin", ADMINISTRATORS, "first-password")
        made = accounts.Accounts(catalogue, SecretBox(bytes(32)), SimulatedClock(), realm="onvifd")
        made.create([accounts.NewAccount(name="admin", level=Level.ADMINISTRATOR, password="first-password")])
        made.change([accounts.AccountChange(name="admin", password="second-password")])
        stored = catalogue.console.view().accounts["admin"].hash, *catalogue.accounts.history(ONVIF, "admin", 1)
    finally:
        catalogue.close()
    assert [extract_parameters(each) for each in stored] == [RFC_9106_LOW_MEMORY] * 2
