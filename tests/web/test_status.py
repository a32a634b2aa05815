"""The status page."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from onvifd.access.permissions import ConsoleAccount, Permissions
from onvifd.errors import Unavailable
from onvifd.web.guard import Guard
from onvifd.web.status import (
    CameraStatus,
    RecordingStatus,
    Status,
    StreamStatus,
    VolumeLine,
    WorkerStatus,
    add_routes,
    render,
    shown,
)
from tests.web.digest import Digest

STREAM = StreamStatus(
    name="main",
    online=True,
    reason="",
    codec="h264",
    width=1920,
    height=1080,
    framerate=25.0,
    bitrate=4_000_000,
    clients=2,
    lost_packets=0,
    reconnects=0,
    url="rtsp://host:8554/live/cam-1/main",
    profile="cam-1-main",
)
STATUS = Status(
    name="<Recorder>",
    version="0.1.0",
    utc=1_767_225_600_000_000,
    device_url="http://host/onvif/device_service",
    rtsp_url="rtsp://host:8554",
    free_bytes=12_500_000_000,
    cameras=(CameraStatus(id="cam-1", channel=1, name="<b>Gate</b>", motion=True, streams=(STREAM,)),),
    recordings=(
        RecordingStatus(
            token="rec-cam-1",
            camera="cam-1",
            active=False,
            reason="disk full",
            earliest=None,
            latest=None,
            bytes=0,
            url="u",
        ),
    ),
    workers=(WorkerStatus(name="media-0", running=True, pid=7, restarts=0),),
)


class Source:
    fails = False

    async def status(self, scheme: str, host: str) -> Status:
        if self.fails:
            raise Unavailable("the database does not answer")
        return STATUS


GOOD = {"Authorization": "Digest good"}


@pytest.fixture
async def client() -> AsyncIterator[TestClient[web.Request, web.Application]]:
    app = web.Application()
    add_routes(app, Source(), Guard(Digest("admin")))
    async with TestClient(TestServer(app)) as made:
        yield made


def test_every_value_is_escaped() -> None:
    page = render(STATUS, "n")
    assert "&lt;b&gt;Gate&lt;/b&gt;" in page
    assert "<b>Gate" not in page
    assert "&lt;Recorder&gt;" in page
    assert "12.5 GB" in page
    assert "disk full" in page


@pytest.mark.covers(
    *("A041", "A056", "A060", "CAM-36", "MNT-04", "MNT-05", "P042", "P131", "P138", "P252", "REC-24", "SYS-01"),
)
def test_shows_state_of_cameras_streams_recordings_and_version() -> None:
    page = render(STATUS, "n")
    assert "onvifd 0.1.0" in page
    for text in ("online", "h264", "1920×1080", "25.0", "4.00 Mbit/s", "rtsp://host:8554/live/cam-1/main", "motion"):
        assert text in page
    lost = replace(STREAM, online=False, reason="refused: wrong password")
    page = render(replace(STATUS, cameras=(replace(STATUS.cameras[0], streams=(lost,)),)), "n")
    assert "offline" in page
    assert "refused: wrong password" in page
    active = replace(
        STATUS.recordings[0], active=True, earliest=STATUS.utc - 60_000_000, latest=STATUS.utc, bytes=7_500_000
    )
    page = render(replace(STATUS, recordings=(active,)), "n")
    for text in ("recording", "2025-12-31 23:59:00Z", "2026-01-01 00:00:00Z", "7.5 MB"):
        assert text in page


VOLUME = VolumeLine(
    id="vol-1",
    name="<Attic>",
    state="full",
    reason="all that it holds is locked",
    access="read-write",
    group=2,
    bytes=3_000_000_000_000,
    free=0,
    total=4_000_000_000_000,
)


@pytest.mark.covers("P131", "P138", "REC-24", "STO-03", "A041", "A043", "A044")
def test_shows_why_something_is_recorded_volumes_and_how_far_the_archive_reaches() -> None:
    recorded = replace(
        STATUS.recordings[0], active=True, mode="auto", types=("motion", "general"), days=12.34, will_reach=29.96
    )
    said = "Group 2: at today's rate of 100.0 GB a day the archive reaches 30.0 days"
    page = render(replace(STATUS, recordings=(recorded,), volumes=(VOLUME,), forecast=(said,)), "n")
    for found in ("auto", "motion, general", "12.3 days", "30.0 days", "full: all that it holds is locked"):
        assert found in page
    assert "&lt;Attic&gt;" in page
    assert "3.00 TB" in page
    assert "today&#x27;s rate of 100.0 GB" in page
    assert "Storage" not in render(STATUS, "n")


def test_volumes_are_for_who_has_the_right_to_storage() -> None:
    whole = replace(STATUS, volumes=(VOLUME,), forecast=("far",))
    account = ConsoleAccount(name="a", group="g", permissions=Permissions.of(["storage"], {}))
    assert shown(whole, account).volumes == (VOLUME,)
    other = ConsoleAccount(name="a", group="g", permissions=Permissions.of(["maintenance"], {"live": ["cam-1"]}))
    assert (shown(whole, other).volumes, shown(whole, other).forecast) == ((), ())


@pytest.mark.covers("P042", "P131", "REC-24", "SEC-04")
@pytest.mark.parametrize("path", ["/", "/api/status"])
async def test_asks_for_credentials(client: TestClient[web.Request, web.Application], path: str) -> None:
    for headers in ({}, {"Authorization": "Digest bad"}):
        reply = await client.get(path, headers=headers)
        assert reply.status == 401
        assert reply.headers["WWW-Authenticate"].startswith("Digest")
        assert reply.content_type == "application/problem+json"
    assert (await client.get(path, headers=GOOD)).status == 200


async def test_data_is_json(client: TestClient[web.Request, web.Application]) -> None:
    data = await (await client.get("/api/status", headers=GOOD)).json()
    assert data["cameras"][0]["streams"][0]["url"] == "rtsp://host:8554/live/cam-1/main"


async def test_failure_is_a_problem(
    client: TestClient[web.Request, web.Application], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Source, "fails", True)
    reply = await client.get("/api/status", headers=GOOD)
    assert reply.status == 503
    assert (await reply.json())["detail"] == "the database does not answer"
