"""`onvifd account`, `onvifd group`, `onvifd audit`, and what `onvifd user` gained."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

Run = Callable[..., Result]


def ok(recorder: Run, *arguments: str, **variables: str) -> str:
    result = recorder(*arguments, **variables)
    assert result.exit_code == 0, result.output
    return result.output


def listed(recorder: Run, what: str) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in json.loads(ok(recorder, what, "list", "--json"))}


@pytest.mark.covers("INI-01", "ACC-02", "ACC-15", "P228")
def test_the_first_administrator_is_in_both(recorder: Run) -> None:
    assert listed(recorder, "user")["admin"]["fixed"]
    admin = listed(recorder, "account")["admin"]
    assert (admin["group"], admin["fixed"], len(admin["rights"])) == ("administrators", True, 11)
    for what in ("user", "account"):
        result = recorder(what, "remove", "admin", "--yes")
        assert result.exit_code == 1
        assert "first administrator must stay" in result.output


@pytest.mark.covers("ACC-01", "ACC-04", "ACC-07", "ACC-08", "P230", "P232", "P234")
def test_an_account_lives(recorder: Run) -> None:
    secret = {"ONVIFD_ACCOUNT_PASSWORD": "eve-pass-1"}
    ok(
        recorder,
        "account",
        "add",
        "eve",
        "--group",
        "viewers",
        "--email",
        "e@example.org",
        "--periods",
        "mon-tue 08:00-18:00",
        **secret,
    )
    eve = listed(recorder, "account")["eve"]
    assert (eve["group"], eve["enabled"], eve["email"]) == ("viewers", True, "e@example.org")
    assert eve["periods"] == "mon 08:00-18:00; tue 08:00-18:00"
    assert eve["rights"] == ["live", "playback"]
    ok(recorder, "account", "set", "eve", "--disable", "--periods", "", "--right", "live=cam-1", "--remark", "away")
    eve = listed(recorder, "account")["eve"]
    assert (eve["enabled"], eve["periods"], eve["rights"], eve["remark"]) == (False, "", ["live=cam-1"], "away")
    ok(recorder, "account", "set", "eve", "--enable", "--group-rights")
    assert listed(recorder, "account")["eve"]["rights"] == ["live", "playback"]
    assert "eve" not in listed(recorder, "user")
    ok(recorder, "account", "passwd", "eve", ONVIFD_ACCOUNT_PASSWORD="eve-pass-2")
    ok(recorder, "account", "unlock", "eve")
    assert "viewers" in ok(recorder, "account", "list")
    ok(recorder, "account", "remove", "eve", "--yes")
    assert set(listed(recorder, "account")) == {"admin"}


@pytest.mark.covers("ACC-03", "P229")
def test_a_group_lives(recorder: Run) -> None:
    ok(
        recorder,
        "group",
        "add",
        "guards",
        "--like",
        "viewers",
        "--right",
        "ptz=cam-1",
        "--right",
        "storage",
        "--remark",
        "gate",
    )
    guards = listed(recorder, "group")["guards"]
    assert guards["rights"] == ["storage", "live", "playback", "ptz=cam-1"] or set(guards["rights"]) == {
        "storage",
        "live",
        "playback",
        "ptz=cam-1",
    }
    ok(recorder, "account", "add", "bob", "--group", "guards", ONVIFD_ACCOUNT_PASSWORD="bob-pass-11")
    assert listed(recorder, "group")["guards"]["accounts"] == ["bob"]
    result = recorder("group", "remove", "guards", "--yes")
    assert (result.exit_code, "has accounts" in result.output) == (1, True)
    ok(recorder, "group", "set", "guards", "--right", "live")
    assert listed(recorder, "account")["bob"]["rights"] == ["live"]
    ok(recorder, "account", "remove", "bob", "--yes")
    ok(recorder, "group", "remove", "guards", "--yes")
    assert "guards" not in ok(recorder, "group", "list")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["account", "add", "eve", "--group", "nobody"], "no group nobody"),
        (["account", "add", "eve", "--periods", "someday 08:00-09:00"], "no day"),
        (["account", "set", "admin", "--disable"], "first administrator"),
        (["account", "set", "nobody", "--enable"], "no console account nobody"),
        (["account", "passwd", "nobody"], "no console account nobody"),
        (["group", "add", "g", "--right", "fly"], "no right"),
        (["group", "add", "g", "--right", "accounts=cam-1"], "no right"),
        (["group", "add", "g", "--like", "nobody"], "no group nobody"),
        (["group", "set", "administrators", "--right", "live"], "cannot be changed"),
        (["group", "remove", "viewers", "--yes"], "built in"),
        (["user", "set", "admin", "--level", "user"], "first administrator"),
        (["user", "unlock", "nobody"], "no account nobody"),
    ],
)
def test_refusals_are_one_line(recorder: Run, arguments: list[str], reason: str) -> None:
    result = recorder(*arguments, ONVIFD_ACCOUNT_PASSWORD="good-password")
    assert result.exit_code == 1
    assert reason in result.output
    assert len(result.output.strip().splitlines()) == 1
    assert "good-password" not in result.output


@pytest.mark.covers("ACC-07")
def test_onvif_accounts_have_periods_too(recorder: Run) -> None:
    ok(recorder, "user", "add", "vms", "--periods", "sat 00:00-24:00", ONVIFD_USER_PASSWORD="vms-pass-1")
    assert listed(recorder, "user")["vms"]["periods"] == "sat 00:00-24:00"
    ok(recorder, "user", "set", "vms", "--periods", "", "--level", "administrator")
    vms = listed(recorder, "user")["vms"]
    assert (vms["periods"], vms["level"], vms["fixed"]) == ("", "Administrator", False)
    ok(recorder, "user", "unlock", "vms")


@pytest.mark.covers("SEC-25", "MNT-01")
def test_changes_are_in_the_audit_log(recorder: Run) -> None:
    ok(recorder, "user", "add", "vms", ONVIFD_USER_PASSWORD="vms-pass-1")
    ok(recorder, "user", "remove", "vms", "--yes")
    found = json.loads(ok(recorder, "audit", "--json", "--kind", "account", "--since", "2000-01-01T00:00:00Z"))
    assert [(one["face"], one["action"], one["detail"]) for one in found] == [
        ("cli", "removed", "vms"),
        ("cli", "made", "vms, Operator"),
    ]
    assert "removed" in ok(recorder, "audit")
    assert json.loads(ok(recorder, "audit", "--json", "--until", "2000-01-01")) == []
    assert "nothing was entered" in ok(recorder, "audit", "--kind", "login")
    assert recorder("audit", "--kind", "no").exit_code == 2
    assert recorder("audit", "--since", "yesterday").exit_code == 2
