"""The API of recording and storage on a running recorder: what is set there is followed at once, without a restart."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from onvifd.app import RecorderApp
from onvifd.cameras.registry import Driver, NewCamera, Role, Stream
from onvifd.cli.setup import initialise, open_registry
from tests.local import recorder_config

PASSWORD = "Admin-pass1"


@pytest.fixture
async def recorder(tmp_path: Path) -> AsyncIterator[RecorderApp]:
    """With a camera that does not answer."""
    config = recorder_config(tmp_path, {"workers.media": 1})
    await asyncio.to_thread(initialise, config, "admin", PASSWORD)
    uri = "rtsp://127.0.0.1:9/main"
    new = NewCamera(name="Gate", driver=Driver.RTSP, address=uri, streams=(Stream(role=Role.MAIN, uri=uri),))
    with open_registry(config) as registry:
        registry.add(new)
    app = RecorderApp(config)
    await app.start()
    yield app
    await app.stop()


@pytest.mark.covers("REC-13", "P134")
async def test_changes_are_followed_without_a_restart(recorder: RecorderApp) -> None:
    root = f"http://127.0.0.1:{recorder.ports.http}"
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        form = {"name": "admin", "password": PASSWORD}
        async with browser.post(f"{root}/login", data=form, allow_redirects=False) as reply:
            assert reply.status == 303
        async with browser.get(f"{root}/api/session") as reply:
            headers = {"X-CSRF-Token": (await reply.json())["token"]}

        async def change(method: str, path: str, body: Any) -> Any:
            async with browser.request(method, f"{root}/api/{path}", json=body, headers=headers) as reply:
                assert reply.status < 300, await reply.text()
                return await reply.json()

        async def stands() -> Any:
            async with browser.get(f"{root}/api/recording/status") as reply:
                return (await reply.json())["recordings"][0]

        assert (await stands())["reason"] in ("the camera does not deliver", "about to begin")
        await change("PATCH", "recording/policies", {"channels": "all", "mode": "off"})
        found = await stands()
        assert (found["mode"], found["ordered"], found["reason"]) == ("off", False, "recording is switched off")
        await change("PATCH", "storage/policy", {"full": "stop"})
        assert recorder.archive.keeper.options.overwrite is False
        job = (await change("POST", "storage/jobs", {"kind": "check", "volumes": "all", "depth": "full"}))["job"]
        async with asyncio.timeout(20):
            while job["state"] == "running":
                await asyncio.sleep(0.05)
                async with browser.get(f"{root}/api/storage/jobs/{job['id']}") as reply:
                    job = (await reply.json())["job"]
        assert (job["state"], job["found"]) == ("done", 0)
        async with browser.get(f"{root}/", headers={"Accept": "text/html"}) as reply:
            page = await reply.text()
        assert re.search(r"recording is switched off.*<h2>Storage</h2>.*vol-1", page, re.DOTALL)
