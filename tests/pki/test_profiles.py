from __future__ import annotations

from pathlib import Path

import pytest

from onvifd.errors import InvalidArgument
from onvifd.pki.profiles import CA, SERVERS, Profile

FOLDER = Path(__file__).parents[2] / "certs"
GOOD = b'key="ec-p256"\ndays=1\nrenew_days=1\norganization="o"\ncommon_name="{hostname}"\n'


def test_every_profile_is_read_and_every_one_has_a_role() -> None:
    found = {path.stem: Profile.parse(path.read_bytes()) for path in FOLDER.glob("*.toml")}
    assert set(found) == {CA, *SERVERS}
    assert [role for role, profile in found.items() if profile.ca] == [CA]
    assert {found[role].size for role in SERVERS} == {"secp256r1", "3072"}
    # An authority ends after what it issues, so that a renewed one is there in time.
    assert all(found[CA].validity - found[CA].renewal > found[role].validity for role in SERVERS)


@pytest.mark.parametrize(
    "text",
    [
        b"key=",
        b"\xff",
        GOOD.replace(b"ec-p256", b"rsa-512"),
        GOOD + b'key_usage=["everything"]',
        GOOD + b'extended_key_usage=["everything"]',
        GOOD.replace(b"days=1", b'days="x"', 1),
        GOOD.replace(b'organization="o"', b""),
    ],
)
def test_what_cannot_be_used_is_refused(text: bytes) -> None:
    assert Profile.parse(GOOD).size == "secp256r1"
    with pytest.raises(InvalidArgument):
        Profile.parse(text)


def test_long_host_names_are_cut() -> None:
    from onvifd.pki.keystore import generate

    key = generate("ECC", "secp256r1").public_key()
    profile = Profile.parse((FOLDER / "ca.toml").read_bytes())
    assert b"h" * 30 in profile.subject("h" * 200, key)
