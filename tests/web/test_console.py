"""Signing in at the console by form, and its API, over HTTP."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection
from http.cookies import SimpleCookie

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from onvifd.access.console_sessions import ConsoleSession, ConsoleSessions
from onvifd.access.permissions import VIEWERS, ConsoleAccount, Permissions
from onvifd.access.sessions import Session, SessionRegistry
from onvifd.access.types import Level
from onvifd.errors import Forbidden, LimitReached, NotAuthorized, NotFound
from onvifd.store.rows import AuditRow
from onvifd.web import console, status
from onvifd.web.guard import Guard
from onvifd.web.status import CameraStatus, RecordingStatus, Status, WorkerStatus
from tests.web.digest import Digest

NOW = 1_767_225_600_000_000
ADMIN = ConsoleAccount(name="admin", group="administrators", permissions=Permissions.everything())
EVE = ConsoleAccount(
    name="eve<b>", group=VIEWERS, permissions=Permissions.of([], {"live": ["cam-1"], "playback": ["cam-1"]})
)
ACCOUNTS = {"admin": ADMIN, "eve": EVE}


class Backend:
    """Everybody's password is `good`."""

    def __init__(self) -> None:
        self.registry = SessionRegistry()
        self.console = ConsoleSessions(self.registry, idle=600)
        self.ended: list[tuple[str, float, str]] = []
        self.asked: dict[str, object] = {}
        self.passwords: list[tuple[str, str]] = []
        self.activity: list[bool] = []
        self.full = False

    async def sign_in(self, name: str, password: str, peer: str) -> tuple[str, ConsoleSession]:
        if self.full:
            raise LimitReached("too many people sign in at once: try again")
        if name not in ACCOUNTS or password != "good":
            raise NotAuthorized("wrong")
        return self.console.open(name, peer, NOW)

    def session(self, secret: str, *, active: bool) -> tuple[ConsoleSession, ConsoleAccount] | None:
        self.activity.append(active)
        found = self.console.find(secret, NOW, active=active)
        return (found, ACCOUNTS[found.account]) if found is not None else None

    def sign_out(self, session: ConsoleSession, peer: str) -> None:
        self.console.close(session.id)

    async def change_password(self, session: ConsoleSession, present: str, new: str, peer: str) -> None:
        self.passwords.append((present, new))

    async def snapshot(self, account: ConsoleAccount, profile: str) -> bytes:
        if profile != "cam-1-main":
            raise Forbidden("no")
        return b"JPEG"

    def sessions(self) -> tuple[Session, ...]:
        return self.registry.all()

    async def end_session(self, session: str, block: float, actor: ConsoleAccount, peer: str) -> None:
        if self.registry.get(session) is None:
            raise NotFound("there is no such session")
        self.ended.append((session, block, actor.name))

    async def audit(
        self,
        *,
        start: int | None,
        end: int | None,
        kinds: Collection[str],
        account: str | None,
        before: int | None,
        limit: int,
    ) -> tuple[AuditRow, ...]:
        self.asked = {"start": start, "end": end, "kinds": list(kinds), "account": account, "limit": limit}
        return (AuditRow(id=1, utc=NOW, kind="login", account="eve"),)


class Source:
    async def status(self, scheme: str, host: str) -> Status:
        cameras = tuple(
            CameraStatus(id=f"cam-{n}", channel=n, name=f"Camera {n}", motion=False, streams=()) for n in (1, 2)
        )
        recordings = tuple(
            RecordingStatus(
                token=f"rec-cam-{n}",
                camera=f"cam-{n}",
                active=True,
                reason="",
                earliest=None,
                latest=None,
                bytes=0,
                url="",
            )
            for n in (1, 2)
        )
        return Status(
            name="Recorder",
            version="1",
            utc=NOW,
            device_url="",
            rtsp_url="",
            free_bytes=0,
            cameras=cameras,
            recordings=recordings,
            workers=(WorkerStatus(name="media-0", running=True, pid=1, restarts=0),),
        )


Client = TestClient[web.Request, web.Application]


@pytest.fixture
def backend() -> Backend:
    return Backend()


@pytest.fixture
async def client(backend: Backend) -> AsyncIterator[Client]:
    app = web.Application()
    guard = Guard(Digest(level=Level.USER), backend)
    status.add_routes(app, Source(), guard)
    console.add_routes(app, backend, guard)
    async with TestClient(TestServer(app)) as made:
        yield made


async def sign_in(client: Client, name: str = "admin") -> str:
    """Sign in; gives the token for changes."""
    reply = await client.post("/login", data={"name": name, "password": "good"}, allow_redirects=False)
    assert (reply.status, reply.headers["Location"]) == (303, "/")
    return str((await (await client.get("/api/session")).json())["token"])


@pytest.mark.covers("WEB-02", "P268")
async def test_a_page_leads_people_to_the_form_and_programs_to_digest(client: Client) -> None:
    reply = await client.get("/", headers={"Accept": "text/html"}, allow_redirects=False)
    assert (reply.status, reply.headers["Location"]) == (303, "/login")
    reply = await client.get("/api/status")
    assert reply.status == 401
    assert reply.headers.getall("WWW-Authenticate") == ["Digest one", "Digest two"]
    # a browser would ask for a password in a window of its own
    reply = await client.get("/", headers={"X-Console": "1"}, allow_redirects=False)
    assert reply.status == 401
    assert "WWW-Authenticate" not in reply.headers
    form = await client.get("/login")
    assert form.status == 200
    assert 'type="password"' in await form.text()
    assert "frame-ancestors 'none'" in form.headers["Content-Security-Policy"]


@pytest.mark.covers("WEB-02", "P236")
async def test_the_cookie_is_kept_from_scripts_and_other_sites(client: Client) -> None:
    reply = await client.post("/login", data={"name": "admin", "password": "good"}, allow_redirects=False)
    (cookie,) = SimpleCookie(reply.headers["Set-Cookie"]).values()
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
    assert cookie.key == f"onvifd_{client.port}"
    assert reply.headers["Cache-Control"] == "no-store"
    assert (await client.get("/login", allow_redirects=False)).status == 303


async def test_wrong_passwords_say_nothing_more(client: Client, backend: Backend) -> None:
    texts = set()
    for data in ({"name": "admin", "password": "bad"}, {"name": "<b>", "password": "good"}, {}):
        reply = await client.post("/login", data=data)
        assert reply.status in (401, 400)
        assert "Set-Cookie" not in reply.headers
        if reply.status == 401:
            texts.add(re.sub(r'nonce="[^"]*"', "", await reply.text()))
    assert len(texts) == 1
    backend.full = True
    assert (await client.post("/login", data={"name": "admin", "password": "good"})).status == 429


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, b"name=admin&password=good"),
        ({"Origin": "http://evil.example"}, b"name=admin&password=good"),
        ({"Origin": "null"}, b"name=admin&password=good"),
        ({"Content-Type": "text/plain"}, b"name=admin&password=good"),
        ({}, b"name=admin&password=good&x=" + b"y" * 5000),
        ({}, b"name=%ff%fe&password=\xff"),
        ({}, b"&".join(b"a=b" for _ in range(50))),
    ],
)
async def test_forms_from_elsewhere_and_bad_forms_are_refused(
    client: Client, headers: dict[str, str], body: bytes
) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded", **headers}
    reply = await client.post("/login", data=body, headers=headers, allow_redirects=False)
    assert reply.status in (400, 403)
    assert "Set-Cookie" not in reply.headers


@pytest.mark.covers("INI-15", "WEB-04", "P236")
async def test_the_page_shows_who_is_there_and_signs_out(client: Client, backend: Backend) -> None:
    token = await sign_in(client, "eve")
    page = await (await client.get("/")).text()
    assert "eve&lt;b&gt;" in page
    assert f'value="{token}"' in page
    refused = await client.post("/logout", data={"token": "wrong"}, allow_redirects=False)
    assert refused.status == 403
    assert (await client.get("/")).status == 200
    reply = await client.post("/logout", data={"token": token}, allow_redirects=False)
    assert (reply.status, reply.headers["Location"]) == (303, "/login")
    assert backend.sessions() == ()
    assert (await client.get("/api/status")).status == 401


@pytest.mark.covers("PLY-37", "P233", "ACC-03")
async def test_an_account_sees_its_own_cameras(client: Client) -> None:
    await sign_in(client, "eve")
    data = await (await client.get("/api/status")).json()
    assert [one["id"] for one in data["cameras"]] == ["cam-1"]
    assert [one["camera"] for one in data["recordings"]] == ["cam-1"]
    assert data["workers"] == []
    rights = (await (await client.get("/api/session")).json())["rights"]
    assert rights == {"recorder": [], "channels": {"live": ["cam-1"], "playback": ["cam-1"]}}
    await sign_in(client)
    data = await (await client.get("/api/status")).json()
    assert len(data["cameras"]) == 2
    assert data["workers"]


@pytest.mark.covers("A034")
async def test_digest_reads_and_changes_nothing(client: Client) -> None:
    good = {"Authorization": "Digest good"}
    data = await (await client.get("/api/status", headers=good)).json()
    assert (len(data["cameras"]), data["workers"]) == (2, [])
    assert "token" not in await (await client.get("/api/session", headers=good)).json()
    for path in ("/api/sessions", "/api/audit"):
        assert (await client.get(path, headers=good)).status == 403
    assert (await client.post("/api/password", headers=good, data={})).status == 401
    assert (await client.delete("/api/sessions/x", headers=good)).status == 401


@pytest.mark.covers("ACC-16", "P238")
async def test_sessions_are_listed_and_ended(client: Client, backend: Backend) -> None:
    token = await sign_in(client)
    (listed,) = (await (await client.get("/api/sessions")).json())["sessions"]
    assert (listed["account"], listed["kind"], listed["address"]) == ("admin", "console", "127.0.0.1")
    path = f"/api/sessions/{listed['id']}"
    for headers in ({}, {"X-CSRF-Token": "wrong"}, {"X-CSRF-Token": token, "Origin": "http://evil.example"}):
        assert (await client.delete(path, headers=headers)).status == 403
    good = {"X-CSRF-Token": token}
    assert (await client.delete(path, params={"block": "99999"}, headers=good)).status == 400
    assert (await client.delete("/api/sessions/none", headers=good)).status == 404
    assert backend.ended == []
    assert (await client.delete(path, params={"block": "600"}, headers=good)).status == 204
    assert backend.ended == [(listed["id"], 600.0, "admin")]


@pytest.mark.covers("SEC-25", "MNT-01")
async def test_the_audit_log_is_read_by_those_who_may(client: Client, backend: Backend) -> None:
    await sign_in(client, "eve")
    assert (await client.get("/api/audit")).status == 403
    await sign_in(client)
    query = [("kind", "login"), ("kind", "refused"), ("account", "eve"), ("start", "5"), ("limit", "7")]
    data = await (await client.get("/api/audit", params=query)).json()
    assert [entry["account"] for entry in data["entries"]] == ["eve"]
    assert backend.asked == {"start": 5, "end": None, "kinds": ["login", "refused"], "account": "eve", "limit": 7}
    for bad in ({"kind": "no"}, {"limit": "0"}, {"start": "-1"}, {"start": "x"}, {"before": "9" * 30}):
        assert (await client.get("/api/audit", params=bad)).status == 400


@pytest.mark.covers("P235")
async def test_own_password(client: Client, backend: Backend) -> None:
    token = await sign_in(client, "eve")
    form = {"present": "good", "new": "better"}
    assert (await client.post("/api/password", data=form)).status == 403
    assert (await client.post("/api/password", data=form, headers={"X-CSRF-Token": token})).status == 204
    assert backend.passwords == [("good", "better")]


async def test_pictures_come_with_the_session(client: Client) -> None:
    assert (await client.get("/console/snapshot/cam-1-main")).status == 401
    await sign_in(client, "eve")
    reply = await client.get("/console/snapshot/cam-1-main")
    assert (reply.status, await reply.read(), reply.content_type) == (200, b"JPEG", "image/jpeg")
    assert (await client.get("/console/snapshot/cam-2-main")).status == 403


async def test_a_page_that_asks_by_itself_does_not_keep_the_session(client: Client, backend: Backend) -> None:
    await sign_in(client)
    backend.activity.clear()
    await client.get("/", headers={"X-Console": "1", "X-Idle": "1"})
    await client.get("/", headers={"X-Console": "1"})
    assert backend.activity == [False, True]
