"""`onvifd user`."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import Result


def listed(recorder: Callable[..., Result]) -> dict[str, str]:
    return {one["name"]: one["level"] for one in json.loads(recorder("user", "list", "--json").output)}


@pytest.mark.covers("A033", "ACC-04", "ACC-08", "ACC-15", "P230", "P234")
def test_an_account_lives(recorder: Callable[..., Result]) -> None:
    assert listed(recorder) == {"admin": "Administrator"}
    assert recorder("user", "add", "vms", ONVIFD_USER_PASSWORD="vms-pass-1").exit_code == 0
    assert recorder("user", "add", "eve", "--level", "user", "--password-stdin", stdin="eve-pass-1\n").exit_code == 0
    assert listed(recorder) == {"admin": "Administrator", "vms": "Operator", "eve": "User"}
    assert "Operator" in recorder("user", "list").output
    assert recorder("user", "passwd", "vms", ONVIFD_USER_PASSWORD="vms-pass-2").exit_code == 0
    assert recorder("user", "remove", "eve", "--yes").exit_code == 0
    assert listed(recorder) == {"admin": "Administrator", "vms": "Operator"}


def test_removing_asks_first(recorder: Callable[..., Result]) -> None:
    recorder("user", "add", "vms", ONVIFD_USER_PASSWORD="vms-pass-1")
    assert recorder("user", "remove", "vms", stdin="n\n").exit_code == 1
    assert "vms" in listed(recorder)
    assert recorder("user", "remove", "vms", stdin="y\n").exit_code == 0


@pytest.mark.covers("ACC-09")
def test_refusals_are_one_line_with_status_1(recorder: Callable[..., Result]) -> None:
    cases = [
        (["add", "admin"], "long-enough-1", "exists already"),
        (["add", "bob"], "tiny-1", "shorter than 8"),
        (["add", "bobbobbob1"], "1bobbobbob", "user name"),
        (["passwd", "nobody"], "long-enough-1", "no account nobody"),
        (["remove", "nobody", "--yes"], "", "no account nobody"),
        (["remove", "admin", "--yes"], "", "first administrator"),
    ]
    for arguments, password, reason in cases:
        result = recorder("user", *arguments, ONVIFD_USER_PASSWORD=password)
        assert result.exit_code == 1, arguments
        assert reason in result.output
        assert len(result.output.strip().splitlines()) == 1
        assert not password or password not in result.output
    assert listed(recorder) == {"admin": "Administrator"}


def test_without_any_source_of_a_password_it_is_wrong_usage(recorder: Callable[..., Result]) -> None:
    result = recorder("user", "add", "bob")
    assert result.exit_code == 2
    assert "ONVIFD_USER_PASSWORD" in result.output
