"""The decision of what a console account may do."""

from __future__ import annotations

import pytest

from onvifd.access.permissions import CHANNEL_RIGHTS, RECORDER_RIGHTS, ConsoleAccount, Permissions, Right, may
from onvifd.errors import InvalidArgument

GATE, YARD = "cam-00000001", "cam-00000002"


def account(permissions: Permissions, *, enabled: bool = True) -> ConsoleAccount:
    return ConsoleAccount(name="eve", group="g", permissions=permissions, enabled=enabled)


@pytest.mark.covers("P229", "ACC-03", "PLY-37")
def test_rights_of_channels_are_per_channel() -> None:
    eve = account(Permissions.of(["storage"], {"live": [GATE], "playback": ["*"]}))
    assert may(eve, Right.LIVE, GATE)
    assert not may(eve, Right.LIVE, YARD)
    assert not may(eve, Right.LIVE)
    assert may(eve, Right.PLAYBACK, YARD)
    assert may(eve, Right.PLAYBACK)
    assert not may(eve, Right.PTZ, GATE)
    assert may(eve, Right.STORAGE)
    assert not may(eve, Right.ACCOUNTS)


def test_everything_and_nothing() -> None:
    admin, nobody = account(Permissions.everything()), account(Permissions())
    for right in Right:
        assert may(admin, right, GATE)
        assert not may(nobody, right, GATE)
    assert set(Right) == {*CHANNEL_RIGHTS, *RECORDER_RIGHTS}


@pytest.mark.covers("P232")
def test_disabled_accounts_may_nothing() -> None:
    assert not may(account(Permissions.everything(), enabled=False), Right.LIVE)


@pytest.mark.covers("ACC-05")
def test_within_and_narrowed() -> None:
    group = Permissions.of(["network"], {"live": ["*"], "ptz": [GATE]})
    assert Permissions.of([], {"live": [YARD]}).within(group)
    assert not Permissions.of([], {"ptz": [YARD]}).within(group)
    assert not Permissions.of([], {"ptz": ["*"]}).within(group)
    assert not Permissions.of(["accounts"], {}).within(group)
    own = Permissions.of(["network", "accounts"], {"live": [YARD], "ptz": [GATE, YARD], "export": ["*"]})
    assert own.narrowed(group) == Permissions.of(["network"], {"live": [YARD], "ptz": [GATE]})
    assert group.narrowed(own) == own.narrowed(group)


def test_is_stored_as_json() -> None:
    permissions = Permissions.of(["onvif"], {"live": ["*"], "record": [GATE, YARD]})
    assert Permissions.from_json(permissions.to_json()) == permissions
    assert Permissions.from_json("{}") == Permissions()


@pytest.mark.parametrize(
    "text", ["", "[]", '{"recorder": ["live"]}', '{"channels": {"accounts": "*"}}', '{"channels": 1}']
)
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        Permissions.from_json(text)
