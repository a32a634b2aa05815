"""Downloads of logs, support information and backups, and the upload of a backup, over HTTP with Digest."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from onvifd.access.digest import DigestVerifier, make_ha1
from onvifd.access.types import Account, Credential, Level
from onvifd.clock import SimulatedClock
from onvifd.errors import Unavailable
from onvifd.onvif.services import device_files
from onvifd.onvif.services.device_files import BACKUP, MAX_UPLOAD, RESTORE, SystemFiles
from tests.onvif.services.device_stage import System


def lookup(name: str) -> Credential | None:
    levels = {str(level).lower(): level for level in Level if level is not Level.ANONYMOUS}
    if name not in levels:
        return None
    return Credential(account=Account(name, levels[name]), ha1=make_ha1(name, "r", "pw"))


class Files:
    def __init__(self, system: System, url: Any) -> None:
        self.system = system
        self.url = url

    async def ask(self, method: str, path: str, user: str | None = "administrator", **more: Any) -> tuple[int, bytes]:
        login = () if user is None else (aiohttp.DigestAuthMiddleware(user, "pw"),)
        async with (
            aiohttp.ClientSession(middlewares=login) as session,
            session.request(method, self.url(path), **more) as reply,
        ):
            return reply.status, await reply.read()


@pytest.fixture
async def files() -> AsyncIterator[Files]:
    system = System()
    app = web.Application()
    device_files.add_routes(app, SystemFiles(system, DigestVerifier("r", lookup), SimulatedClock()))
    async with TestServer(app) as server:
        yield Files(system, server.make_url)


async def test_files_are_for_administrators(files: Files) -> None:
    paths = (device_files.SYSTEM_LOG, device_files.ACCESS_LOG, device_files.SUPPORT, BACKUP)
    for path, content in zip(
        paths, (b"System entries\n", b"Access entries\n", b"all is", b"\x00backup\xff"), strict=True
    ):
        status, body = await files.ask("GET", path)
        assert (status, body[: len(content)]) == (200, content)
        assert (await files.ask("GET", path, "operator"))[0] == 403
        assert (await files.ask("GET", path, "user"))[0] == 403
        assert (await files.ask("GET", path, None))[0] == 401
        assert (await files.ask("GET", path, "nobody"))[0] == 401
    assert (await files.ask("POST", RESTORE, "operator", data=b"\x00backup"))[0] == 403
    assert (await files.ask("POST", RESTORE, None, data=b"\x00backup"))[0] == 401
    assert files.system.asked == []


async def test_a_log_that_is_not_kept_is_not_found(files: Files) -> None:
    files.system.silent = True
    assert (await files.ask("GET", device_files.SYSTEM_LOG))[0] == 404


async def test_a_backup_is_taken_and_what_is_none_is_415(files: Files) -> None:
    head = {"Content-Type": "application/octet-stream"}
    assert (await files.ask("POST", RESTORE, data=b"noise", headers=head))[0] == 415  # Core 8.3.5
    assert files.system.asked == []
    assert (await files.ask("POST", RESTORE, data=b"\x00backup 7", headers=head))[0] == 200
    assert files.system.asked == [b"\x00backup 7"]


async def test_an_error_of_the_device_is_500(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(archive: bytes) -> None:
        raise Unavailable("the disk is full")

    monkeypatch.setattr(files.system, "restore", broken)
    assert (await files.ask("POST", RESTORE, data=b"x"))[0] == 500


async def test_uploads_are_bounded(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_UPLOAD == 32 << 20
    monkeypatch.setattr(device_files, "MAX_UPLOAD", 100)
    assert (await files.ask("POST", RESTORE, data=b"x" * 101))[0] == 413
    assert files.system.asked == []
