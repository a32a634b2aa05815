"""The accounts of a worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime

import pytest

from onvifd.access.digest import ClientDigest, DigestRejected, DigestVerifier, make_ha1, make_ha1_sha256
from onvifd.clock import SimulatedClock, SystemClock, from_datetime
from onvifd.rtsp.client import RtspClient
from onvifd.rtsp.server import RtspServer
from onvifd.workers.accounts import AccountTable
from onvifd.workers.messages import Credentials, LoginNotice
from onvifd.workers.specs import CredentialSpec, FilterSpec, LockSpec
from tests.rtsp.sample import feeding, live
from tests.workers.conftest import worker_setup

REALM, URI, PEER = "onvifd", "rtsp://nvr/live/cam-1/main", "192.0.2.7"
SETUP = worker_setup(kind="media", name="media-0", realm=REALM, lockout_tries=3, lockout_seconds=100.0)


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


# ---- connections that stand ------------------------------------------------------------------------


class Stage:
    """The RTSP server of a worker with clients that play."""

    def __init__(self, table: AccountTable, server: RtspServer, port: int) -> None:
        self.table, self.server, self.port = table, server, port
        self.clients: list[RtspClient] = []

    async def play(self, user: str) -> None:
        client = RtspClient(f"rtsp://127.0.0.1:{self.port}/live/cam-1/main", user, "good")
        self.clients.append(client)
        await client.connect()
        description = await client.describe()
        await client.setup(description.tracks[0], 0)
        await client.play(lambda buffer, start, end: end)

    def playing(self) -> set[str]:
        return {spec.account for spec in self.table.sessions()}

    async def until(self, accounts: set[str]) -> None:
        async with asyncio.timeout(20):
            while self.playing() != accounts or self.server.connections != len(accounts):
                await asyncio.sleep(0.005)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    clock = SimulatedClock(from_datetime(datetime(2026, 1, 5, 17, 59, 58).astimezone()))
    table = AccountTable(clock, lambda notice: None)
    stream, mount = live()
    server = RtspServer({"/live": mount}, table.verifier(SETUP), SystemClock())
    table.server = server
    table.replace(Credentials(accounts=(spec("vms", "good"), spec("other", "good"))))
    async with feeding(stream):
        made = Stage(table, server, await server.serve("127.0.0.1", 0))
        for user in ("vms", "other"):
            await made.play(user)
        assert made.playing() == {"vms", "other"}
        yield made
        for client in made.clients:
            await client.close()
        await server.close()


@pytest.mark.covers("ACC-16")
@pytest.mark.parametrize(
    "changed", [(), (spec("vms", "new", changed=2),)], ids=["the account is gone", "it has another password"]
)
async def test_sessions_of_a_changed_account_end(stage: Stage, changed: tuple[CredentialSpec, ...]) -> None:
    stage.table.replace(Credentials(accounts=(*changed, spec("other", "good"))))
    await stage.until({"other"})


async def test_sessions_go_on_while_their_account_stays_as_it_is(stage: Stage) -> None:
    same = (spec("vms", "good", changed=2), spec("other", "good"))
    stage.table.replace(Credentials(accounts=same, locks=(LockSpec(account="onvif:vms", seconds=60),)))
    assert stage.playing() == {"vms", "other"}


async def test_sessions_end_with_the_login_period(stage: Stage) -> None:
    plan = "mon 08:00-18:00"
    stage.table.replace(Credentials(accounts=(spec("vms", "good", periods=plan), spec("other", "good"))))
    assert stage.playing() == {"vms", "other"}
    clock = stage.table._clock
    assert isinstance(clock, SimulatedClock)
    await clock.advance(2)
    await stage.until({"other"})


async def test_connections_of_addresses_that_are_kept_out_end(stage: Stage) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.port, local_addr=("127.0.0.2", 0))
    writer.write(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"RTSP/1.0 200")
    accounts = (spec("vms", "good"), spec("other", "good"))
    stage.table.replace(Credentials(accounts=accounts, filter=FilterSpec(allow=True, prefixes=("192.0.2.0/24",))))
    async with asyncio.timeout(20):
        assert await reader.read() == b""
    writer.close()
    assert stage.playing() == {"vms", "other"}  # this machine itself is never kept out
