"""The accounts of a worker."""

from __future__ import annotations

import pytest

from onvifd.access.digest import ClientDigest, DigestRejected, DigestVerifier, make_ha1, make_ha1_sha256
from onvifd.clock import SimulatedClock
from onvifd.workers.accounts import AccountTable
from onvifd.workers.messages import Credentials, CredentialSpec, LockSpec, LoginNotice, Setup

REALM, URI, PEER = "onvifd", "rtsp://nvr/live/cam-1/main", "192.0.2.7"
SETUP = Setup(
    kind="media",
    name="media-0",
    database_url="",
    volumes=(),
    realm=REALM,
    segment_seconds=60,
    session_timeout=60,
    replay_timeout=60,
    max_clients=10,
    lockout_tries=3,
    lockout_seconds=100.0,
)


def spec(name: str, password: str, *, former: str = "", changed: int = 1, periods: str = "") -> CredentialSpec:
    return CredentialSpec(
        name=name,
        level="Operator",
        ha1=make_ha1(name, REALM, password),
        ha1_sha256=make_ha1_sha256(name, REALM, password),
        former=(make_ha1(name, REALM, former), make_ha1_sha256(name, REALM, former)) if former else ("", ""),
        changed=changed,
        periods=periods,
    )


class Scene:
    def __init__(self) -> None:
        self.clock = SimulatedClock()
        self.told: list[LoginNotice] = []
        self.table = AccountTable(self.clock, self.told.append)
        self.table.replace(Credentials(accounts=(spec("vms", "good"),)))
        self.verifier: DigestVerifier = self.table.verifier(SETUP)

    def log_in(self, password: str = "good", peer: str = PEER, index: int = 0) -> bool:
        now = self.clock.monotonic()
        client = ClientDigest("vms", password)
        client.receive_challenge([self.verifier.challenges(now)[index]])
        value = client.authorization("DESCRIBE", URI)
        assert value is not None
        try:
            self.verifier.verify(value, "DESCRIBE", URI, now, peer=peer)
        except DigestRejected:
            return False
        return True


@pytest.mark.covers("T-RTSPDigest", "M-RTSPDigest")
def test_new_passwords_and_algorithms_reach_a_running_server() -> None:
    scene = Scene()
    assert scene.log_in()
    scene.table.replace(
        Credentials(accounts=(spec("vms", "new", former="good", changed=2),), algorithms=("SHA-256", "MD5"))
    )
    assert not any(scene.log_in("good") for _ in range(10))
    assert scene.log_in("new", index=0)
    assert scene.log_in("new", index=1)
    assert not any(notice.counted for notice in scene.told)
    scene.table.replace(Credentials(accounts=()))
    assert not scene.log_in("new")


@pytest.mark.covers("SEC-09")
def test_failures_lock_here_and_are_told() -> None:
    scene = Scene()
    assert not any(scene.log_in("bad") for _ in range(3))
    assert not scene.log_in()
    assert [(n.account, n.source, n.counted, n.known) for n in scene.told[:3]] == [("vms", PEER, True, True)] * 3
    scene.table.replace(Credentials(accounts=(spec("vms", "good", changed=2),)))
    assert scene.log_in()


async def test_locks_of_control_hold_here() -> None:
    scene = Scene()
    scene.table.replace(
        Credentials(accounts=(spec("vms", "good"),), locks=(LockSpec(account="onvif:vms", seconds=50),))
    )
    assert not scene.log_in()
    await scene.clock.advance(51)
    assert scene.log_in()
    scene.table.replace(Credentials(accounts=(spec("vms", "good"),), locks=(LockSpec(source=PEER, seconds=50),)))
    assert not scene.log_in()
    assert scene.log_in(peer="192.0.2.8")


@pytest.mark.covers("ACC-07")
def test_periods_hold_here() -> None:
    scene = Scene()
    scene.table.replace(Credentials(accounts=(spec("vms", "good", periods="mon 00:00-00:01"),)))
    assert not scene.log_in()


async def test_a_flood_does_not_fill_the_link() -> None:
    scene = Scene()
    for number in range(1000):
        scene.log_in("bad", peer=f"198.51.100.{number % 250}")
    assert len(scene.told) == 100
    await scene.clock.advance(1)
    scene.log_in("bad")
    assert len(scene.told) == 101


def test_secrets_do_not_show() -> None:
    shown = repr(spec("vms", "good"))
    assert make_ha1("vms", REALM, "good") not in shown
    assert make_ha1_sha256("vms", REALM, "good") not in shown
