"""Connections that stand end with what allows them: accounts, passwords, login periods, the address filter."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from onvifd.access.accounts import AccountChange, Accounts, NewAccount
from onvifd.access.console import ConsoleAccounts, ConsoleChange
from onvifd.access.ip_filter import FilterRules, IpFilter
from onvifd.access.keyfile import SecretBox
from onvifd.access.periods import WeekPlan
from onvifd.access.permissions import VIEWERS
from onvifd.access.types import AccessClass, Level
from onvifd.bodies.access import AccessControl
from onvifd.bodies.channel import Channel
from onvifd.bodies.console import Console
from onvifd.bodies.face import HttpFace
from onvifd.cli.setup import first_console_account
from onvifd.clock import SimulatedClock, from_datetime
from onvifd.config import load
from onvifd.events import topics
from onvifd.events.bus import EventBus
from onvifd.onvif.services.common import DEVICE_PATH, NS_DEVICE
from onvifd.onvif.services.events import EventService
from onvifd.onvif.soap import envelope
from onvifd.onvif.soap.dispatch import Call, Service, operation
from onvifd.onvif.soap.wsse import security_header
from onvifd.onvif.types import tds, tev, tt
from onvifd.store.catalogue import Catalogue
from onvifd.workers.messages import Credentials
from onvifd.workers.specs import FilterSpec

ADMIN, PASSWORD = "admin", "Admin-pass1"
PATH = "/onvif/event_service"
BOUND = 20.0
WORK = WeekPlan.parse("mon 08:00-18:00")
MONDAY = datetime.datetime(2026, 1, 5, 17, 59, 58).astimezone()
"""Two seconds before work ends, in the time zone of this host, as periods are."""


@dataclass
class Client:
    """A VMS on one keep-alive connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    scene: Scene
    user: str

    async def ask(self, request: object, path: str = PATH) -> None:
        header = security_header(self.user, PASSWORD, os.urandom(16), self.scene.clock.utc())
        body = envelope.write_request(request, headers=(header,))
        head = f"POST {path} HTTP/1.1\r\nHost: nvr\r\nContent-Type: application/soap+xml\r\nContent-Length: {len(body)}\r\n\r\n"
        self.writer.write(head.encode() + body)
        await self.writer.drain()

    async def answer(self) -> bytes:
        async with asyncio.timeout(BOUND):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            return head + await self.reader.readexactly(length)

    async def pull(self) -> None:
        """Ask for events that do not come."""
        await self.ask(tev.CreatePullPointSubscription())
        created = await self.answer()
        path = PATH + created.partition(PATH.encode())[2].split(b"<")[0].decode()
        await self.ask(tev.PullMessages(timeout=datetime.timedelta(minutes=5), message_limit=10), path)
        async with asyncio.timeout(BOUND):
            while not any(point.on_ready for point in self.scene.points()):
                await asyncio.sleep(0)

    async def ended(self) -> bool:
        """Wait for the other side to close."""
        async with asyncio.timeout(BOUND):
            with contextlib.suppress(ConnectionError):
                return await self.reader.read() == b""
        return True


class Users(Service):
    """The one operation of the device service that changes accounts."""

    namespace, path, prefix = NS_DEVICE, DEVICE_PATH, "tds"

    def __init__(self, access: AccessControl) -> None:
        self._access = access

    @operation(access=AccessClass.WRITE_SYSTEM)
    async def set_user(self, call: Call, request: tds.SetUser) -> tds.SetUserResponse:
        changes = tuple(AccountChange(name=user.username, password=user.password) for user in request.user)
        assert call.account is not None
        await self._access.change_users(changes, call.account.name, call.peer)
        return tds.SetUserResponse()


@dataclass
class Scene:
    """Access control and an HTTP face with the event service."""

    access: AccessControl
    events: EventService
    catalogue: Catalogue
    clock: SimulatedClock
    filter: IpFilter
    port: int
    told: list[Credentials] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)

    def set_credentials(self, credentials: Credentials) -> None:
        self.told.append(credentials)

    async def kick(self, worker: str, session: str) -> None: ...

    def points(self) -> tuple[Any, ...]:
        return tuple(self.events.subscriptions._all.values())

    async def reload(self) -> None:
        """As the recorder does when the catalogue has changed."""
        await asyncio.to_thread(self.access.reload)
        self.access.reloaded(self)

    async def client(self, user: str = ADMIN, address: str = "127.0.0.1") -> Client:
        streams = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(address, 0))
        made = Client(*streams, self, user)
        self.clients.append(made)
        return made

    def elsewhere(self) -> Accounts:
        """The accounts as the command line changes them, in another process."""
        return Accounts(self.catalogue, SecretBox(bytes(32)), self.clock, realm="onvifd")


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    config = load({"data": tmp_path, "network.host": "127.0.0.1"}, environment={})
    catalogue = Catalogue.open(f"sqlite:///{tmp_path / 'catalogue.sqlite3'}", migrate=True)
    clock = SimulatedClock(from_datetime(MONDAY))
    first_console_account(catalogue, ADMIN, PASSWORD)
    access = AccessControl(config, catalogue, SecretBox(bytes(32)), clock)
    access.accounts.create([NewAccount(name=ADMIN, level=Level.ADMINISTRATOR, password=PASSWORD)])
    access.accounts.create([NewAccount(name="vms", level=Level.OPERATOR, password=PASSWORD)])
    bus = EventBus(clock)
    await bus.start()
    filter_ = IpFilter()
    access.follow(filter_)
    events = EventService(bus, clock, topics.RECORDER_TOPICS)
    face = HttpFace(
        (events, Users(access)),
        None,  # type: ignore[arg-type]
        lookup=access.accounts.lookup,
        access=access,
        realm="onvifd",
        clock=clock,
        permits=filter_.permits,
    )
    await access.start(bus.publish)
    await face.start()
    made = Scene(access, events, catalogue, clock, filter_, await face.listen("127.0.0.1", 0))
    await made.reload()
    yield made
    for client in made.clients:
        client.writer.close()
    await events.close()
    await face.close()
    await access.close()
    await bus.close()
    catalogue.close()


async def waiting(scene: Scene) -> tuple[Client, Client, Client]:
    """A pull of `vms` under way, a connection of `vms` that is kept for later, and one of another account."""
    pulling, idle, other = await scene.client("vms"), await scene.client("vms"), await scene.client(ADMIN)
    await pulling.pull()
    for each in (idle, other):
        await each.ask(tev.GetEventProperties())
        assert (await each.answer()).startswith(b"HTTP/1.1 200")
    return pulling, idle, other


async def serves(client: Client) -> bool:
    await client.ask(tev.GetEventProperties())
    return (await client.answer()).startswith(b"HTTP/1.1 200")


@pytest.mark.covers("ACC-16")
@pytest.mark.parametrize("how", ["password", "level", "removed"])
@pytest.mark.parametrize("by", ["ONVIF", "command line"])
async def test_connections_of_a_changed_account_end(scene: Scene, how: str, by: str) -> None:
    pulling, idle, other = await waiting(scene)
    if by == "ONVIF":
        if how == "removed":
            await scene.access.remove_users(("vms",), ADMIN, "192.0.2.1")
        else:
            await scene.access.change_users((_change(how),), ADMIN, "192.0.2.1")
    else:
        accounts = await asyncio.to_thread(scene.elsewhere)
        if how == "removed":
            await asyncio.to_thread(accounts.remove, ["vms"])
        else:
            await asyncio.to_thread(accounts.change, [_change(how)])
        await scene.reload()
    assert await idle.ended()
    assert await pulling.ended()
    assert await serves(other)


def _change(how: str) -> AccountChange:
    if how == "password":
        return AccountChange(name="vms", password="Another-pass2")
    return AccountChange(name="vms", level=Level.USER)


async def test_a_change_that_changes_nothing_ends_nothing(scene: Scene) -> None:
    _, idle, _ = await waiting(scene)
    await scene.access.change_users((AccountChange(name="vms", level=Level.OPERATOR),), ADMIN, "192.0.2.1")
    assert await serves(idle)


async def test_who_changes_the_own_password_still_gets_the_answer(scene: Scene) -> None:
    client = await scene.client(ADMIN)
    user = tt.User(username=ADMIN, password="Another-pass2", user_level=tt.UserLevel.ADMINISTRATOR)
    await client.ask(tds.SetUser(user=(user,)), Users.path)
    answer = await client.answer()
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"SetUserResponse" in answer
    assert await client.ended()


async def test_connections_end_with_the_login_period(scene: Scene) -> None:
    await scene.access.change_users((AccountChange(name="vms", periods=WORK),), ADMIN, "192.0.2.1")
    pulling, idle, other = await waiting(scene)
    await scene.clock.advance(1)
    assert await serves(idle)
    await scene.clock.advance(2)
    assert await idle.ended()
    assert await pulling.ended()
    assert await serves(other)


@pytest.mark.covers("S-SetIPAddressFilter")
async def test_connections_of_addresses_that_are_kept_out_end(scene: Scene) -> None:
    far, near = await scene.client("vms", "127.0.0.2"), await scene.client("vms")
    await far.pull()
    assert await serves(near)
    scene.filter.replace(FilterRules(False, (ipaddress.ip_network("127.0.0.2/32"),)))
    assert await far.ended()
    assert await serves(near)
    assert scene.told[-1].filter == FilterSpec(allow=False, prefixes=("127.0.0.2/32",))


class Pictures:
    channels: tuple[Channel, ...] = ()

    async def snapshot(self, profile_token: str) -> bytes:
        return b"JPEG"


@pytest.mark.covers("ACC-16")
@pytest.mark.parametrize("how", ["password", "disabled", "period"])
async def test_console_sessions_end_with_the_account(scene: Scene, how: str) -> None:
    accounts = scene.access.console
    await asyncio.to_thread(
        lambda: accounts.create("eva", VIEWERS, "Correct-horse9", periods=WORK if how == "period" else None)
    )
    await scene.reload()
    console = Console(scene.access, scene.clock, Pictures())
    secret, _ = await console.sign_in("eva", "Correct-horse9", "192.0.2.9")
    assert console.session(secret, active=True) is not None
    assert "eva" in scene.access.console_sessions.accounts()
    if how == "period":
        await scene.clock.advance(5)
    else:
        password = {"password": "Other-horse10"}.get(how)
        other = ConsoleAccounts(scene.catalogue, scene.clock)
        await asyncio.to_thread(
            lambda: other.change(ConsoleChange(name="eva", password=password, enabled=how != "disabled"))
        )
        await scene.reload()
    # without anybody asking with the cookie
    assert "eva" not in scene.access.console_sessions.accounts()
    assert console.session(secret, active=True) is None
