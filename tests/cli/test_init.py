"""`onvifd init`."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.covers("INI-01")
def test_it_makes_a_private_recorder(run: Callable[..., Result], data: Path) -> None:
    result = run("init", ONVIFD_ADMIN_PASSWORD="first-password")
    assert result.exit_code == 0
    assert "first-password" not in result.output
    assert (mode(data), mode(data / "onvifd.key"), mode(data / "catalogue.sqlite3")) == (0o700, 0o600, 0o600)
    assert (data / "volume").is_dir()
    assert "admin" in run("user", "list").output


@pytest.mark.covers("INI-01")
def test_without_a_password_one_is_made_and_shown_once(run: Callable[..., Result]) -> None:
    first = run("init", "--admin", "chief")
    found = re.search(r"password of chief: (\S{16}) ", first.output)
    assert found
    again = run("init")
    assert again.exit_code == 0
    assert "nothing was changed" in again.output
    assert found[1] not in again.output


def test_the_password_may_come_from_standard_input(run: Callable[..., Result]) -> None:
    result = run("init", "--password-stdin", stdin="from-stdin-1\n")
    assert result.exit_code == 0
    assert "password of" not in result.output


@pytest.mark.covers("INI-01", "P013", "P015")
def test_a_weak_password_makes_nothing(run: Callable[..., Result], data: Path) -> None:
    result = run("init", ONVIFD_ADMIN_PASSWORD="short")
    assert result.exit_code == 1
    assert "shorter than 8" in result.output
    assert not (data / "onvifd.key").exists()
    assert run("init", ONVIFD_ADMIN_PASSWORD="long-enough-1").exit_code == 0


def test_a_lost_key_is_not_replaced(recorder: Callable[..., Result], data: Path) -> None:
    (data / "onvifd.key").unlink()
    result = recorder("init", ONVIFD_ADMIN_PASSWORD="long-enough-1")
    assert result.exit_code == 1
    assert "backup" in result.output
    assert not (data / "onvifd.key").exists()


def test_commands_before_init_say_so(run: Callable[..., Result], data: Path) -> None:
    for command in (["user", "list"], ["camera", "list"], ["camera", "remove", "1"]):
        result = run(*command)
        assert result.exit_code == 1
        assert "onvifd init" in result.output
    assert not data.exists()


def test_a_wrong_setting_is_one_line(run: Callable[..., Result]) -> None:
    result = run("init", ONVIFD_NETWORK_HTTP_PORT="99999")
    assert result.exit_code == 1
    assert result.output.strip().splitlines() == [
        "onvifd: network.http_port: 99999 is out of range (allowed: 0 to 65535), from ONVIFD_NETWORK_HTTP_PORT"
    ]
