"""Accounts, locks, sessions and audit of the control process, and the users of the device service on top of them."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from lxml import etree

from onvifd.access.accounts import AccountChange, NewAccount
from onvifd.access.console import ConsoleChange
from onvifd.access.digest import ClientDigest, make_ha1
from onvifd.access.keyfile import SecretBox
from onvifd.access.permissions import VIEWERS, Permissions
from onvifd.access.sessions import SessionKind
from onvifd.access.types import Level
from onvifd.bodies.access import AccessControl
from onvifd.bodies.channel import Channel
from onvifd.bodies.console import Console
from onvifd.cli.setup import first_console_account
from onvifd.clock import SimulatedClock
from onvifd.config import Config, load
from onvifd.errors import Forbidden, LimitReached, NotAuthorized, NotFound, Prohibited, Unavailable
from onvifd.events.types import Event
from onvifd.onvif.services.common import ServiceRegistry
from onvifd.onvif.services.device import DeviceService
from onvifd.onvif.soap import envelope
from onvifd.onvif.soap.dispatch import Dispatcher, HttpReply, HttpRequest
from onvifd.onvif.types import tds, tt
from onvifd.store.catalogue import Catalogue
from onvifd.workers.messages import Credentials, LoginNotice, Stats
from onvifd.workers.specs import SessionSpec

PATH, HERE = "/onvif/device_service", "192.0.2.9"
ADMIN = ("admin", "Admin-pass1")
LIMIT = 6


class Workers:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told = Credentials(accounts=())
        self.kicked: list[tuple[str, str]] = []

    def set_credentials(self, credentials: Credentials) -> None:
        self.told = credentials

    async def kick(self, worker: str, session: str) -> None:
        self.kicked.append((worker, session))


def sample_body() -> Any:
    """The sample device of the tests of the services."""
    name = "onvif_sample_body"
    if name not in sys.modules:
        path = Path(__file__).parents[1] / "onvif" / "sample_body.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module: ModuleType = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name].SampleBody()


class Scene:
    """A recorder's access control with a device service on top."""

    def __init__(self, config: Config, catalogue: Catalogue) -> None:
        self.clock = SimulatedClock()
        self.access = AccessControl(config, catalogue, SecretBox(bytes(32)), self.clock)
        self.workers = Workers()
        self.events: list[Event] = []
        device = DeviceService(sample_body(), ServiceRegistry(), users=self.access)
        self.dispatcher = Dispatcher(
            (device,),
            lookup=self.access.accounts.lookup,
            clock=self.clock,
            digest=self.access.verifier,
            gate=self.access.gate,
            observer=self.access,
        )

    async def reload(self) -> None:
        await asyncio.to_thread(self.access.reload)
        self.access.reloaded(self.workers)

    async def call(
        self, request: object, user: str = ADMIN[0], password: str = ADMIN[1], peer: str = HERE
    ) -> HttpReply:
        client = ClientDigest(user, password)
        client.receive_challenge([self.access.verifier.challenge(self.clock.monotonic())])
        return await self.dispatcher.handle(
            HttpRequest(
                method="POST",
                target=PATH,
                path=PATH,
                scheme="http",
                host="nvr",
                local_address="127.0.0.1",
                peer=peer,
                authorization=client.authorization("POST", PATH),
                body=envelope.write_request(request),
            )
        )

    async def ok(self, request: object, **who: str) -> etree._Element:
        reply = await self.call(request, **who)
        assert reply.status == 200, reply.body.decode()
        return etree.fromstring(reply.body)

    async def fault(self, request: object, **who: str) -> tuple[str, ...]:
        reply = await self.call(request, **who)
        values = etree.fromstring(reply.body).iter("{http://www.w3.org/2003/05/soap-envelope}Value")
        return tuple((value.text or "").partition(":")[2] for value in values)

    async def users(self) -> dict[str, str]:
        root = await self.ok(tds.GetUsers())
        assert "Password" not in etree.tostring(root).decode()
        return {
            user.findtext("{*}Username") or "": user.findtext("{*}UserLevel") or "" for user in root.iter("{*}User")
        }

    async def entries(self, *kinds: str) -> list[tuple[str, str, str]]:
        return [(row.account, row.action, row.outcome) for row in await self.access.audit.find(kinds=kinds)]


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    config = load({"data": tmp_path, "limits.accounts": LIMIT, "network.host": "127.0.0.1"}, environment={})
    catalogue = Catalogue.open(f"sqlite:///{tmp_path / 'catalogue.sqlite3'}", migrate=True)
    scene = Scene(config, catalogue)
    first_console_account(catalogue, *ADMIN)
    scene.access.accounts.create([NewAccount(name=ADMIN[0], level=Level.ADMINISTRATOR, password=ADMIN[1])])
    await scene.access.start(scene.events.append)
    await scene.reload()
    yield scene
    await scene.access.close()
    catalogue.close()


def user(name: str, level: tt.UserLevel = tt.UserLevel.OPERATOR, password: str | None = "OnvifTest123") -> tt.User:
    return tt.User(username=name, password=password, user_level=level)


# ---- users of the device service


@pytest.mark.covers("S-CreateUsers", "G-CreateUsers", "T-CreateUsers", "ACC-15")
async def test_users_are_made_and_log_in(scene: Scene) -> None:
    await scene.ok(tds.CreateUsers(user=(user("OnvifTest1"), user("OnvifTest2", tt.UserLevel.USER))))
    assert await scene.users() == {"admin": "Administrator", "OnvifTest1": "Operator", "OnvifTest2": "User"}
    assert await scene.fault(tds.GetUsers(), user="OnvifTest1", password="OnvifTest123") == ("Sender", "NotAuthorized")
    await scene.ok(tds.GetScopes(), user="OnvifTest2", password="OnvifTest123")
    assert {spec.name for spec in scene.workers.told.accounts} == {"admin", "OnvifTest1", "OnvifTest2"}
    assert ("admin", "made", "done") in await scene.entries("account")


@pytest.mark.parametrize(
    ("bad", "codes"),
    [
        (user("admin"), ("Sender", "OperationProhibited", "UsernameClash")),
        (user("OnvifTest4"), ("Sender", "OperationProhibited", "UsernameClash")),
        (user("x", password="1x" * 17), ("Sender", "OperationProhibited", "PasswordTooLong")),
        (user("x" * 33), ("Sender", "OperationProhibited", "UsernameTooLong")),
        (user(""), ("Sender", "OperationProhibited", "UsernameTooShort")),
        (user("x", password="short"), ("Sender", "OperationProhibited", "Password")),
        (user("x", password=None), ("Sender", "OperationProhibited", "Password")),
        (user("OnvifTest9", password="OnvifTest9"), ("Sender", "OperationProhibited", "Password")),
        (user("x", tt.UserLevel.ANONYMOUS), ("Sender", "OperationProhibited", "AnonymousNotAllowed")),
        (user("x", tt.UserLevel.EXTENDED), ("Sender", "InvalidArgVal")),
    ],
)
async def test_create_users_refuses_all_or_none(scene: Scene, bad: tt.User, codes: tuple[str, ...]) -> None:
    assert await scene.fault(tds.CreateUsers(user=(user("OnvifTest4"), bad))) == codes
    assert await scene.users() == {"admin": "Administrator"}


async def test_create_users_is_bounded(scene: Scene) -> None:
    many = tuple(user(f"OnvifTest{n}") for n in range(LIMIT))
    assert await scene.fault(tds.CreateUsers(user=many)) == ("Receiver", "Action", "TooManyUsers")
    root = await scene.ok(tds.GetServiceCapabilities())
    security = next(root.iter("{*}Security"))
    assert {name: security.get(name) for name in ("MaxUsers", "MaxUserNameLength", "MaxPasswordLength")} == {
        "MaxUsers": str(LIMIT),
        "MaxUserNameLength": "32",
        "MaxPasswordLength": "32",
    }
    assert security.get("SecurityPolicies") == "PasswordComplexity AuthFailureWarnings"
    assert security.get("MaxPasswordHistory") == "10"
    assert security.get("RemoteUserHandling") == "false"
    assert security.get("MaxUserRoles") is None
    assert next(root.iter("{*}System")).get("UserConfigNotSupported") == "false"


@pytest.mark.covers("S-SetUser", "G-SetUser", "T-SetUser")
async def test_users_are_changed(scene: Scene) -> None:
    await scene.ok(tds.CreateUsers(user=(user("OnvifTest1"), user("OnvifTest2"))))
    changes = (user("OnvifTest1"), user("OnvifTest2", tt.UserLevel.USER, "OnvifTest321"))
    await scene.ok(tds.SetUser(user=changes))
    assert await scene.users() == {"admin": "Administrator", "OnvifTest1": "Operator", "OnvifTest2": "User"}
    await scene.ok(tds.GetScopes(), user="OnvifTest2", password="OnvifTest321")
    told = {spec.name: spec.ha1 for spec in scene.workers.told.accounts}
    assert told["OnvifTest2"] == make_ha1("OnvifTest2", "onvifd", "OnvifTest321")


@pytest.mark.parametrize(
    ("bad", "codes"),
    [
        (user("OnvifTest5"), ("Sender", "InvalidArgVal", "UsernameMissing")),
        (user("OnvifTest1", password="1x" * 17), ("Sender", "OperationProhibited", "PasswordTooLong")),
        (user("OnvifTest1", password="short"), ("Sender", "OperationProhibited", "PasswordTooWeak")),
        (user("OnvifTest1", password=None), ("Sender", "OperationProhibited", "PasswordTooWeak")),
        (user("OnvifTest1", tt.UserLevel.ANONYMOUS), ("Sender", "OperationProhibited", "AnonymousNotAllowed")),
        (user("admin", tt.UserLevel.USER), ("Sender", "InvalidArgVal", "FixedUser")),
    ],
)
async def test_set_user_refuses_all_or_none(scene: Scene, bad: tt.User, codes: tuple[str, ...]) -> None:
    await scene.ok(tds.CreateUsers(user=(user("OnvifTest1"),)))
    first = user("OnvifTest1", tt.UserLevel.USER, "OnvifTest321")
    assert await scene.fault(tds.SetUser(user=(first, bad))) == codes
    assert await scene.users() == {"admin": "Administrator", "OnvifTest1": "Operator"}
    await scene.ok(tds.GetScopes(), user="OnvifTest1", password="OnvifTest123")


@pytest.mark.covers("S-DeleteUsers", "G-DeleteUsers", "T-DeleteUsers")
async def test_users_are_deleted_all_or_none(scene: Scene) -> None:
    await scene.ok(tds.CreateUsers(user=(user("OnvifTest1"), user("OnvifTest2"))))
    assert await scene.fault(tds.DeleteUsers(username=("OnvifTest1", "OnvifTest9"))) == (
        "Sender",
        "InvalidArgVal",
        "UsernameMissing",
    )
    assert await scene.fault(tds.DeleteUsers(username=("OnvifTest1", "admin"))) == (
        "Sender",
        "InvalidArgVal",
        "FixedUser",
    )
    assert len(await scene.users()) == 3
    await scene.ok(tds.DeleteUsers(username=("OnvifTest1", "OnvifTest2")))
    assert await scene.users() == {"admin": "Administrator"}
    reply = await scene.call(tds.GetScopes(), user="OnvifTest1", password="OnvifTest123")
    assert reply.status == 401


async def test_password_policies(scene: Scene) -> None:
    await scene.ok(tds.GetPasswordComplexityOptions())
    await scene.ok(tds.SetPasswordComplexityConfiguration(min_len=10, uppercase=2, block_username_occurrence=True))
    root = await scene.ok(tds.GetPasswordComplexityConfiguration())
    found = {etree.QName(node).localname: node.text for node in root.iter() if node.text and node.text.strip()}
    assert found == {
        "MinLen": "10",
        "Uppercase": "2",
        "Number": "0",
        "SpecialChars": "0",
        "BlockUsernameOccurrence": "true",
        "PolicyConfigurationLocked": "false",
    }
    assert await scene.fault(tds.CreateUsers(user=(user("OnvifTest1"),))) == (
        "Sender",
        "OperationProhibited",
        "Password",
    )
    await scene.ok(tds.CreateUsers(user=(user("eve", password="Good-Password"),)))
    await scene.ok(tds.SetPasswordHistoryConfiguration(enabled=True, length=2))
    again = tds.SetUser(user=(user("eve", password="Good-Password"),))
    assert await scene.fault(again) == ("Sender", "OperationProhibited", "PasswordTooWeak")
    for password in ("Other-Password", "Third-Password"):
        await scene.ok(tds.SetUser(user=(user("eve", password=password),)))
    assert await scene.fault(again) == ("Sender", "OperationProhibited", "PasswordTooWeak")
    await scene.ok(tds.SetUser(user=(user("eve", password="Fourth-Password"),)))
    await scene.ok(again)
    for bad in (
        tds.SetPasswordComplexityConfiguration(min_len=3),
        tds.SetPasswordHistoryConfiguration(enabled=True, length=0),
        tds.SetAuthFailureWarningConfiguration(enabled=True, monitor_period=0, max_auth_failures=1),
    ):
        assert await scene.fault(bad) == ("Sender", "InvalidArgVal")
    await scene.ok(tds.SetPasswordComplexityConfiguration(policy_configuration_locked=True))
    assert await scene.fault(tds.SetPasswordComplexityConfiguration(min_len=8)) == ("Sender", "InvalidArgVal")


async def test_a_device_without_accounts_of_its_own_says_so() -> None:
    device = DeviceService(sample_body(), ServiceRegistry())
    assert device.users_backend is None
    call: Any = None
    assert device.capabilities(call).system.user_config_not_supported is True
    for handler, request in (
        (device.create_users, tds.CreateUsers(user=())),
        (device.get_password_complexity_options, tds.GetPasswordComplexityOptions()),
        (device.get_auth_failure_warning_options, tds.GetAuthFailureWarningOptions()),
    ):
        with pytest.raises(Exception, match="cannot be changed"):
            await handler(call, request)  # type: ignore[operator]


# ---- warnings, locks, workers


@pytest.mark.covers("SEC-21", "SEC-09", "P215", "ALM-29")
async def test_too_many_failures_raise_the_event_once(scene: Scene) -> None:
    await scene.ok(tds.SetAuthFailureWarningConfiguration(enabled=True, monitor_period=60, max_auth_failures=3))
    for number in range(5):
        await scene.call(tds.GetScopes(), password="wrong", peer=f"192.0.2.{number}")
    (event,) = scene.events
    assert event.topic == "Device/SecurityPolicy/AuthFailed"
    assert event.operation is None
    assert event.data == (("SourceIPv4", "192.0.2.3"),)
    assert [name for name, _ in event.source] == ["NetworkInterface"]


@pytest.mark.covers("SEC-09")
async def test_failures_of_rtsp_and_soap_add_up_and_workers_are_told(scene: Scene) -> None:
    notice = LoginNotice(
        account="admin", source=HERE, local="127.0.0.1", reason="wrong name or password", known=True, counted=True
    )
    for _ in range(3):
        scene.access.heard(notice)
    for _ in range(2):
        await scene.call(tds.GetScopes(), password="wrong")
    assert (await scene.call(tds.GetScopes())).status == 401
    scene.access._look()
    assert {(lock.account, lock.source) for lock in scene.workers.told.locks} == {("onvif:admin", ""), ("", HERE)}
    assert ("admin", "lockout", "locked") in await scene.entries("locked")
    await scene.clock.advance(301)
    await scene.ok(tds.GetScopes())
    scene.access._look()
    assert scene.workers.told.locks == ()


async def test_a_new_password_frees_the_account(scene: Scene) -> None:
    await scene.ok(tds.CreateUsers(user=(user("eve"),)))
    for _ in range(5):
        await scene.call(tds.GetScopes(), user="eve", password="wrong", peer="192.0.2.77")
    assert (await scene.call(tds.GetScopes(), user="eve", password="OnvifTest123")).status == 401
    other = AccessControl(
        load({"data": "/tmp"}, environment={}), scene.access.accounts.catalogue, SecretBox(bytes(32)), scene.clock
    )
    await scene.clock.advance(1)
    await asyncio.to_thread(other.accounts.change, [AccountChange(name="eve", password="Next-password")])
    await scene.reload()
    await scene.ok(tds.GetScopes(), user="eve", password="Next-password")
    # who has the password of yesterday is refused, but does not lock the account again
    for _ in range(10):
        assert (await scene.call(tds.GetScopes(), user="eve", password="OnvifTest123")).status == 401
    await scene.ok(tds.GetScopes(), user="eve", password="Next-password")


async def test_algorithms_are_set_for_all_faces(scene: Scene) -> None:
    assert scene.access.hashing_algorithms() == ("MD5",)
    await scene.access.set_hashing_algorithms(("SHA-256", "MD5"))
    assert scene.workers.told.algorithms == ("SHA-256", "MD5")
    assert [c.partition("algorithm=")[2] for c in scene.access.verifier.challenges(0)] == ["SHA-256", "MD5"]
    await scene.reload()
    assert scene.access.hashing_algorithms() == ("SHA-256", "MD5")
    await scene.ok(tds.GetScopes())


# ---- sessions


@pytest.mark.covers("ACC-16", "P238", "SEC-25")
async def test_sessions_of_all_kinds_are_listed_and_ended(scene: Scene) -> None:
    await scene.ok(tds.GetScopes())
    spec = SessionSpec(id="rtsp-1", account="admin", address=HERE, path="/live/cam-1/main")
    scene.access.heard(Stats(worker="media-0", clients=1, sessions=(spec,)))
    console = Console(scene.access, scene.clock, Pictures())
    secret, opened = await console.sign_in(*ADMIN, HERE)
    kinds = {session.kind: session for session in console.sessions()}
    assert set(kinds) == set(SessionKind)
    assert kinds[SessionKind.RTSP].detail == "/live/cam-1/main"
    admin = scene.access.console.lookup("admin")
    assert admin is not None
    for session in kinds.values():
        await console.end_session(session.id, 0, admin, HERE)
    assert scene.workers.kicked == [("media-0", "rtsp-1")]
    assert console.session(secret, active=True) is None
    assert console.sessions() == ()
    with pytest.raises(NotFound):
        await console.end_session(opened.id, 0, admin, HERE)
    assert len([row for row in await scene.entries("session") if row[1] == "ended"]) == 3


@pytest.mark.covers("ACC-16")
async def test_who_is_sent_away_with_a_block_stays_away(scene: Scene) -> None:
    await scene.ok(tds.CreateUsers(user=(user("eve"),)))
    await scene.ok(tds.GetScopes(), user="eve", password="OnvifTest123", peer="192.0.2.5")
    session = next(one for one in scene.access.sessions.all() if one.account == "eve")
    await scene.access.kick(session.id, actor="admin", address=HERE, block=3600)
    assert (await scene.call(tds.GetScopes(), user="eve", password="OnvifTest123")).status == 401
    assert [lock.account for lock in scene.workers.told.locks] == ["onvif:eve"]
    await scene.clock.advance(3601)
    await scene.ok(tds.GetScopes(), user="eve", password="OnvifTest123")


async def test_workers_are_told_of_a_removed_account(scene: Scene) -> None:
    await scene.ok(tds.CreateUsers(user=(user("eve"),)))
    assert "eve" in [account.name for account in scene.workers.told.accounts]
    await scene.ok(tds.DeleteUsers(username=("eve",)))
    assert "eve" not in [account.name for account in scene.workers.told.accounts]


# ---- the console


class Pictures:
    channels = (
        Channel(camera="cam-1", number=1, name="Gate", address="", location="", record=True, streams={"main": None}),
    )  # type: ignore[dict-item]

    async def snapshot(self, profile_token: str) -> bytes:
        return b"JPEG"


@pytest.mark.covers("SEC-09", "P236")
async def test_console_sign_in_is_locked_apart_from_onvif(scene: Scene) -> None:
    console = Console(scene.access, scene.clock, Pictures())
    for _ in range(5):
        with pytest.raises(NotAuthorized):
            await console.sign_in("admin", "wrong", "192.0.2.50")
    with pytest.raises(NotAuthorized):
        await console.sign_in(*ADMIN, HERE)
    await scene.ok(tds.GetScopes())
    reply = await scene.call(tds.GetScopes(), peer="192.0.2.50")
    assert reply.status == 401  # the address is locked for all faces
    await scene.clock.advance(301)
    await console.sign_in(*ADMIN, HERE)


async def test_console_sign_ins_at_once_are_bounded(scene: Scene) -> None:
    console = Console(scene.access, scene.clock, Pictures())
    results = await asyncio.gather(
        *(console.sign_in("nobody", "wrong", f"192.0.2.{n}") for n in range(30)), return_exceptions=True
    )
    assert sum(isinstance(result, LimitReached) for result in results) == 14


@pytest.mark.covers("P235", "ACC-08")
async def test_own_password_ends_other_sessions(scene: Scene) -> None:
    console = Console(scene.access, scene.clock, Pictures())
    first, one = await console.sign_in(*ADMIN, HERE)
    second, _ = await console.sign_in(*ADMIN, HERE)
    with pytest.raises(Forbidden):
        await console.change_password(one, "wrong", "Next-password", HERE)
    with pytest.raises(Prohibited):
        await console.change_password(one, ADMIN[1], "short", HERE)
    await console.change_password(one, ADMIN[1], "Next-password", HERE)
    await scene.reload()
    assert console.session(first, active=True) is not None
    assert console.session(second, active=True) is None
    await scene.ok(tds.GetScopes())  # the ONVIF account of the same name keeps its own
    await console.sign_in("admin", "Next-password", HERE)


@pytest.mark.covers("ACC-07", "P232")
async def test_sessions_end_with_the_account_and_its_periods(scene: Scene) -> None:
    accounts = scene.access.console
    console = Console(scene.access, scene.clock, Pictures())
    await asyncio.to_thread(accounts.create, "eve", VIEWERS, "good-password")
    secret, _ = await console.sign_in("eve", "good-password", HERE)
    assert console.session(secret, active=True) is not None
    await asyncio.to_thread(accounts.change, ConsoleChange(name="eve", enabled=False))
    assert console.session(secret, active=True) is None
    with pytest.raises(NotAuthorized):
        await console.sign_in("eve", "good-password", HERE)


@pytest.mark.covers("P238", "PLY-37")
async def test_pictures_need_the_right_for_the_camera(scene: Scene) -> None:
    console = Console(scene.access, scene.clock, Pictures())
    accounts = scene.access.console
    await asyncio.to_thread(accounts.put_group, "guards", Permissions.of([], {"live": ["cam-1"]}), new=True)
    await asyncio.to_thread(accounts.create, "eve", "guards", "good-password")
    eve = accounts.lookup("eve")
    assert eve is not None
    assert await console.snapshot(eve, "cam-1-main") == b"JPEG"
    with pytest.raises(NotFound):
        await console.snapshot(eve, "cam-2-main")
    await asyncio.to_thread(accounts.put_group, "guards", Permissions.of([], {"live": ["cam-2"]}))
    eve = accounts.lookup("eve")
    assert eve is not None
    with pytest.raises(Forbidden):
        await console.snapshot(eve, "cam-1-main")


async def test_a_worker_that_is_gone_is_said_so(scene: Scene) -> None:
    spec = SessionSpec(id="rtsp-3", account="admin", address=HERE, path="/live/cam-1/main")
    scene.access.heard(Stats(worker="media-0", clients=1, sessions=(spec,)))

    async def fails(worker: str, session: str) -> None:
        raise Unavailable("the worker is not running")

    scene.workers.kick = fails  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        await scene.access.kick("rtsp-3", actor="admin", address=HERE)
