"""The API of storage over HTTP, on a real catalogue, a real keeper of volumes and real segment files."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from onvifd.access.console_sessions import ConsoleSession, ConsoleSessions
from onvifd.access.keyfile import create_key
from onvifd.access.permissions import OPERATORS, ConsoleAccount, Permissions, Right
from onvifd.access.sessions import SessionRegistry
from onvifd.archive.catalogue_index import CatalogueSegmentStore
from onvifd.archive.disk import SegmentFiles, Volume
from onvifd.archive.doctor import examine
from onvifd.archive.index import EndReason
from onvifd.archive.segment import Append, SegmentWriter
from onvifd.bodies import storage_jobs_view
from onvifd.bodies.storage_forecast_view import StorageForecast
from onvifd.bodies.storage_jobs_view import StorageJobs
from onvifd.bodies.storage_view import StorageSettings
from onvifd.cameras.registry import Driver, NewCamera, Registry, Role, Stream
from onvifd.clock import US, SystemClock
from onvifd.config import ArchiveSettings, Config
from onvifd.media.types import Codec
from onvifd.store.catalogue import AsyncCatalogue, Catalogue
from onvifd.volumes.keeper import VolumeKeeper
from onvifd.volumes.model import Health
from onvifd.volumes.register import active_rows, add, register
from onvifd.web import storage, storage_forecast, storage_jobs
from onvifd.web.guard import Guard
from tests.archive.conftest import T0, Clip, encode, video_units
from tests.web.digest import Digest, Visitors

CHANGES = [
    ("PATCH", "volumes/vol-2", {"name": "Attic"}),
    ("PATCH", "groups", {"volumes": {"vol-2": 3}}),
    ("PATCH", "rules", {"owners": "all", "days": 9}),
    ("PATCH", "policy", {"full": "stop"}),
    ("POST", "jobs", {"kind": "check", "volumes": "all"}),
    ("DELETE", "jobs/1", None),
]
READS = ["volumes", "groups", "rules", "policy", "jobs", "jobs/1", "forecast"]


class Rig:
    """The API with two volumes: one of the settings, one that was added; `keeper` watches them."""

    def __init__(self, sync: Catalogue, root: Path, clip: Clip) -> None:
        self.catalogue = AsyncCatalogue(sync)
        self.sync = sync
        self.clip = clip
        self.clock = SystemClock()
        registry = Registry(sync, create_key(root / "key"), self.clock)
        new = NewCamera(
            name="Gate",
            driver=Driver.RTSP,
            address="rtsp://192.0.2.1/main",
            streams=(
                Stream(role=Role.MAIN, uri="rtsp://192.0.2.1/main"),
                Stream(role=Role.SUB, uri="rtsp://192.0.2.1/sub"),
            ),
        )
        self.camera = registry.add(new).id
        self.recording = f"rec-{self.camera}"
        paths = (root / "one", root / "two")
        for path in paths:
            path.mkdir()
        self.config = Config(data=root / "data", archive=ArchiveSettings(volumes=(paths[0],)))
        register(sync, [paths[0]], 0, T0)
        add(sync, paths[1], T0)
        self.keeper = VolumeKeeper(
            self.catalogue,
            self.clock,
            lambda event: None,
            paths=[paths[0]],
            reserve=0.0,
            max_age=0,
            smart=lambda device: (
                Health(device="sda", passed=True, celsius=41, attributes=(("Reallocated", 100, 99, 10, "1"),)),
            ),
        )
        self.audit: list[tuple[str, str, str]] = []
        self.sessions = ConsoleSessions(SessionRegistry(), idle=600)
        others = frozenset(Right) - {Right.STORAGE}
        everything = Permissions.everything()
        self.accounts = {
            "admin": ConsoleAccount(name="admin", group=OPERATORS, permissions=everything),
            "disks": ConsoleAccount(name="disks", group=OPERATORS, permissions=Permissions.of(["storage"], {})),
            "others": ConsoleAccount(
                name="others",
                group=OPERATORS,
                permissions=Permissions(everything.recorder & others, everything.channels),
            ),
        }
        self.visitors = Visitors(self.sessions)
        self.client: TestClient[web.Request, web.Application]
        active = lambda: active_rows(sync, [str(paths[0])])  # noqa: E731
        self.jobs = StorageJobs(self.catalogue, self.clock, active, self, self.change)

    def volume(self, number: int = 1) -> Volume:
        row = next(each for each in self.sync.volumes.all() if each.id == f"vol-{number}")
        return Volume(row.id, Path(row.path), row.uuid)

    def record(self, *, on: int = 1, seconds: float = 6, start: int = T0, closed: bool = True) -> None:
        volume = self.volume(on)
        core = SegmentWriter(self.recording, volume.id, [self.clip.format], segment_us=2 * US, fragment_us=US)
        files = SegmentFiles(volume, CatalogueSegmentStore(self.sync))
        units = video_units(self.clip, start=start, seconds=seconds)
        actions = [action for unit in units for action in core.feed(unit, 0.0)]
        if closed:
            actions += core.finish(EndReason.STOP)
        for action in actions:
            files.append(action) if isinstance(action, Append) else files.close(action)
        for path in self.files(on):
            os.utime(path, (1, 1))

    def files(self, number: int) -> list[Path]:
        return sorted(self.volume(number).root.rglob("*.mp4"))

    def put(self, kind: Any, action: str, *, account: str = "", detail: str = "", **more: Any) -> None:
        self.audit.append((action, account, detail))

    def session(self, secret: str, *, active: bool) -> tuple[ConsoleSession, ConsoleAccount] | None:
        found = self.sessions.find(secret, 0, active=active)
        return (found, self.accounts[found.account]) if found is not None else None

    async def change(self, call: Callable[..., Any], *args: Any, **named: Any) -> Any:
        result = await self.catalogue.run(call, *args, **named)
        await self.keeper.reload()
        return result

    def headers(self, who: str) -> dict[str, str]:
        return self.visitors.headers(who, self.client.port)

    async def ask(self, method: str, path: str, body: Any = None, who: str = "disks") -> tuple[int, Any]:
        async with self.client.request(method, f"/api/storage/{path}", headers=self.headers(who), json=body) as reply:
            return reply.status, await reply.json(content_type=None)

    async def ok(self, method: str, path: str, body: Any = None, who: str = "disks", status: int = 200) -> Any:
        got, found = await self.ask(method, path, body, who)
        assert got == status, found
        return found

    def kept(self) -> Any:
        sync = self.sync
        return sync.volumes.all(), sync.storage_rules.all(), sync.settings.get("storage.options"), self.jobs.jobs()

    async def refused(self, method: str, path: str, body: Any = None, who: str = "disks") -> int:
        """Problem and status; nothing may be different afterwards, and nothing audited."""
        before, entries = self.kept(), list(self.audit)
        status, found = await self.ask(method, path, body, who)
        assert set(found) == {"type", "title", "status", "detail"}
        assert found["status"] == status
        assert (self.kept(), self.audit) == (before, entries)
        return status

    async def finished(self, job: int) -> Any:
        async with asyncio.timeout(30):
            while (found := (await self.ok("GET", f"jobs/{job}"))["job"])["state"] == "running":
                await asyncio.sleep(0.02)
        return found

    async def work(self, body: Any) -> Any:
        return await self.finished((await self.ok("POST", "jobs", body, status=202))["job"]["id"])


@pytest.fixture(scope="module")
def clip() -> Clip:
    return encode(Codec.H264)


@pytest.fixture
async def rig(tmp_path: Path, clip: Clip) -> AsyncIterator[Rig]:
    made = Rig(Catalogue.open(f"sqlite:///{tmp_path / 'c.sqlite3'}", migrate=True), tmp_path, clip)
    await made.keeper.start()
    app = web.Application()
    guard = Guard(Digest(), made)
    view = StorageSettings(made.config, made.catalogue, made.keeper.statuses, made, made.change)
    storage.add_routes(app, view, guard)
    storage_jobs.add_routes(app, made.jobs, guard)
    forecast = StorageForecast(made.config, made.catalogue, made.keeper.statuses, made.clock)
    storage_forecast.add_routes(app, forecast, guard)
    async with TestClient(TestServer(app)) as client:
        made.client = client
        yield made
    await made.jobs.close()
    await made.keeper.close()
    await made.catalogue.close()


# ---- who may


async def test_everything_needs_the_right_to_storage(rig: Rig) -> None:
    for path in READS:
        assert await rig.refused("GET", path, who="others") == 403
    for method, path, body in (*CHANGES, ("POST", "calculate", {"days": 1})):
        assert await rig.refused(method, path, body, "others") == 403
    for path in ("volumes", "groups", "rules", "policy", "jobs", "forecast"):
        await rig.ok("GET", path)
        await rig.ok("GET", path, who="digest")
    for method, path, body in CHANGES:
        assert await rig.refused(method, path, body, "digest") == 401


# ---- volumes


@pytest.mark.covers("STO-03", "STO-19", "A041", "A043", "A044", "P139", "P147")
async def test_volumes_with_state_space_and_dates(rig: Rig) -> None:
    rig.record()
    one, two = (await rig.ok("GET", "volumes"))["volumes"]
    assert (one["volume"], one["fixed"], one["state"], one["access"], one["group"]) == (
        "vol-1",
        True,
        "ok",
        "read-write",
        1,
    )
    assert one["earliest"] == T0
    assert one["latest"] > T0 + 5 * US
    assert 0 < one["free"] <= one["total"]
    assert (two["fixed"], two["earliest"], two["writes"]) == (False, None, [])
    shutil.rmtree(rig.volume(2).root)
    rig.keeper.trouble("vol-2", "gone")
    async with asyncio.timeout(10):
        while (two := (await rig.ok("GET", "volumes"))["volumes"][1])["state"] != "missing":
            await asyncio.sleep(0.05)
    assert two["reason"] == "it is not there"


@pytest.mark.covers("STO-20", "A045")
async def test_what_the_disk_says_of_itself(rig: Rig) -> None:
    async with asyncio.timeout(10):
        while (disk := (await rig.ok("GET", "volumes"))["volumes"][0]["disk"]) is None:
            await asyncio.sleep(0.05)
    assert (disk["passed"], disk["celsius"], disk["hours"]) == (True, 41, None)
    assert disk["attributes"] == [{"name": "Reallocated", "value": 100, "worst": 99, "threshold": 10, "raw": "1"}]


async def test_the_recordings_that_are_written_to_a_volume(rig: Rig) -> None:
    rig.record(closed=False)
    assert (await rig.ok("GET", "volumes"))["volumes"][0]["writes"] == [rig.recording]


@pytest.mark.covers("STO-04")
async def test_the_property_of_a_volume_takes_effect_at_once(rig: Rig) -> None:
    found = (await rig.ok("PATCH", "volumes/vol-2", {"access": "redundant", "name": "Attic", "max_bytes": 5 << 30}))[
        "volume"
    ]
    assert (found["access"], found["name"], found["max_bytes"]) == ("redundant", "Attic", 5 << 30)
    assert rig.keeper.copies_for(rig.recording) == ("vol-2",)
    await rig.ok("PATCH", "volumes/vol-1", {"access": "read-only"})
    assert rig.keeper.reason_for(rig.recording)
    assert rig.audit[-1] == ("set volume", "disks", "vol-1: access read-only")


@pytest.mark.parametrize(
    ("volume", "body", "status"),
    [
        ("vol-2", {}, 400),
        ("vol-2", {"access": "write-only"}, 400),
        ("vol-2", {"name": "x" * 65}, 400),
        ("vol-2", {"name": "a\nb"}, 400),
        ("vol-2", {"name": 5}, 400),
        ("vol-2", {"max_bytes": -1}, 400),
        ("vol-2", {"path": "/etc"}, 400),
        ("vol-2", {"name": "x", "max_bytes": 1 << 61}, 400),
        ("vol-9", {"name": "x"}, 404),
        # the bound of a volume of the settings file is said there
        ("vol-1", {"name": "x", "max_bytes": 5}, 409),
    ],
)
async def test_bad_volumes_change_nothing(rig: Rig, volume: str, body: Any, status: int) -> None:
    assert await rig.refused("PATCH", f"volumes/{volume}", body) == status


# ---- groups, quotas, ages, policy


@pytest.mark.covers("STO-14")
async def test_groups_of_volumes_and_recordings(rig: Rig) -> None:
    owners = {f"{rig.recording}-sub": 2, f"snapshots-{rig.camera}": 2}
    one, two = (await rig.ok("PATCH", "groups", {"volumes": {"vol-2": 2}, "owners": owners}))["groups"]
    assert (one["volumes"], one["owners"]) == (["vol-1"], [rig.recording])
    assert (two["volumes"], set(two["owners"]), two["warning"]) == (["vol-2"], set(owners), "")
    assert rig.keeper.volumes_for(f"{rig.recording}-sub") == ("vol-2",)
    assert rig.keeper.volumes_for(rig.recording) == ("vol-1",)
    three = (await rig.ok("PATCH", "groups", {"owners": {rig.recording: 3}}))["groups"][-1]
    assert "no volume to record to" in three["warning"]
    for bad, status in (
        ({}, 400),
        ({"volumes": {}}, 400),
        ({"volumes": {"vol-1": 0}}, 400),
        ({"volumes": {"vol-1": 65}}, 400),
        ({"volumes": ["vol-1"]}, 400),
        ({"volumes": {"vol-1": 5, "vol-9": 5}}, 404),
        ({"volumes": {"vol-1": 5}, "owners": {"rec-none": 5}}, 404),
    ):
        assert await rig.refused("PATCH", "groups", bad) == status


@pytest.mark.covers("STO-15", "P137", "A040")
async def test_quotas_and_ages(rig: Rig) -> None:
    assert await rig.refused("PATCH", "rules", {"owners": [rig.recording], "quota": 1 << 30}) == 409
    await rig.ok("PATCH", "rules", {"owners": "all", "days": 30})
    rules = {each["owner"]: each for each in (await rig.ok("GET", "rules"))["rules"]}
    assert {each["days"] for each in rules.values()} == {30}
    assert set(rules) == {rig.recording, f"{rig.recording}-sub", f"snapshots-{rig.camera}"}
    assert rig.keeper.rules().ages[rig.recording] == 30 * 86_400 * US
    await rig.ok("PATCH", "rules", {"owners": [rig.recording], "days": None})
    assert rig.recording not in rig.keeper.rules().ages
    # one excludes the other
    await rig.ok("PATCH", "policy", {"mode": "quotas"})
    await rig.ok("PATCH", "rules", {"owners": [rig.recording], "quota": 1 << 30})
    assert rig.keeper.rules().quotas == {rig.recording: 1 << 30}
    assert await rig.refused("PATCH", "groups", {"volumes": {"vol-1": 2}}) == 409
    for bad, status in (
        ({"owners": "all"}, 400),
        ({"days": 3}, 400),
        ({"owners": "all", "days": 361}, 400),
        ({"owners": "all", "days": True}, 400),
        ({"owners": "all", "quota": -1}, 400),
        ({"owners": [rig.recording, "rec-none"], "days": 3}, 404),
    ):
        assert await rig.refused("PATCH", "rules", bad) == status


@pytest.mark.covers("STO-01", "P134", "REC-18")
async def test_what_happens_to_full_volumes(rig: Rig) -> None:
    assert (await rig.ok("GET", "policy"))["policy"]["full"] == "overwrite"
    body = {"full": "stop", "low_percent": 12.5, "critical_celsius": 55}
    assert (await rig.ok("PATCH", "policy", body))["policy"] == body | {"mode": "groups"}
    assert rig.keeper.rules().overwrite is False
    for bad in (
        {},
        {"full": "explode"},
        {"mode": "both"},
        {"low_percent": 91},
        {"low_percent": "5"},
        {"full": "overwrite", "critical_celsius": 29},
        {"overwrite": True},
    ):
        assert await rig.refused("PATCH", "policy", bad) == 400


# ---- work on volumes


@pytest.mark.covers("STO-16", "STO-17")
async def test_a_check_finds_and_a_repair_mends(rig: Rig) -> None:
    rig.record()
    rig.record(on=2, start=T0 + 60 * US)
    torn, lost = rig.files(1)[0], rig.files(2)[0]
    os.truncate(torn, torn.stat().st_size - 100)
    lost.unlink()
    os.utime(torn, (1, 1))
    found = await rig.work({"kind": "check", "volumes": "all"})
    assert (found["state"], found["done"], found["total"], found["found"]) == ("done", 6, 6, 2)
    assert {each["kind"] for each in found["findings"]} == {"size differs", "missing file"}
    assert (await rig.work({"kind": "check", "volumes": ["vol-2"], "depth": "full"}))["found"] == 1
    mended = await rig.work({"kind": "repair", "volumes": "all"})
    assert mended["state"] == "done", mended
    assert "1 segments mended" in mended["result"]
    assert (await rig.work({"kind": "check", "volumes": "all", "depth": "full"}))["found"] == 0
    assert [each["id"] for each in (await rig.ok("GET", "jobs"))["jobs"]] == [4, 3, 2, 1]
    assert ("repair volumes", "disks", "vol-1, vol-2, boxes") in rig.audit
    assert [entry[0] for entry in rig.audit][-1] == "end of check"


async def test_a_job_is_stopped_and_another_waits_for_its_end(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.record()
    reached, go = threading.Event(), threading.Event()

    def slow(*args: Any, **named: Any) -> Any:
        reached.set()
        assert go.wait(10)
        yield from examine(*args, **named)

    monkeypatch.setattr(storage_jobs_view, "examine", slow)
    await rig.ok("POST", "jobs", {"kind": "check", "volumes": "all"}, status=202)
    await asyncio.to_thread(reached.wait, 10)
    assert await rig.refused("POST", "jobs", {"kind": "repair", "volumes": "all"}) == 409
    await rig.ok("DELETE", "jobs/1", status=202)
    go.set()
    found = await rig.finished(1)
    assert (found["state"], found["done"]) == ("stopped", 1)
    assert await rig.refused("DELETE", "jobs/1") == 409
    assert await rig.refused("DELETE", "jobs/7") == 404
    assert await rig.refused("GET", "jobs/7") == 404
    assert (await rig.work({"kind": "check", "volumes": "all"}))["state"] == "done"


@pytest.mark.covers("STO-05", "A042", "P132")
async def test_a_volume_is_made_anew_when_somebody_typed_it(rig: Rig) -> None:
    rig.record(on=2)
    uuid = rig.volume(2).uuid
    body = {"kind": "initialise", "volumes": ["vol-2"]}
    for bad in (
        body,
        body | {"confirm": "vol-2"},
        body | {"confirm": "erase vol-1"},
        body | {"confirm": True},
        body | {"volumes": "all", "confirm": "erase vol-2"},
        body | {"volumes": ["vol-1", "vol-2"], "confirm": "erase vol-1"},
    ):
        assert await rig.refused("POST", "jobs", bad) == 400
    assert len(rig.files(2)) == 3
    found = await rig.work(body | {"confirm": "erase vol-2"})
    assert (found["state"], found["result"]) == ("done", "3 files deleted")
    assert rig.files(2) == []
    assert rig.volume(2).uuid not in ("", uuid, "initialising")
    assert rig.sync.segments.count("vol-2") == 0


async def test_locked_footage_is_not_erased(rig: Rig) -> None:
    rig.record(on=2)
    rig.sync.locks.add(rig.recording, T0, T0 + US, account="admin", now=T0)
    body = {"kind": "initialise", "volumes": ["vol-2"], "confirm": "erase vol-2"}
    assert await rig.refused("POST", "jobs", body) == 409
    assert len(rig.files(2)) == 3


async def test_a_volume_that_is_written_is_left_as_it_was(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_jobs_view, "LEAVE", 0.0)
    rig.record(on=2, closed=False)
    uuid = rig.volume(2).uuid
    found = await rig.work({"kind": "initialise", "volumes": ["vol-2"], "confirm": "erase vol-2"})
    assert (found["state"], found["result"]) == ("failed", "volume vol-2 is still being written")
    assert rig.volume(2).uuid == uuid
    assert rig.files(2)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"kind": "format", "volumes": "all"}, 400),
        ({"kind": "check"}, 400),
        ({"kind": "check", "volumes": "all", "depth": "deep"}, 400),
        ({"kind": "repair", "volumes": "all", "depth": "quick"}, 400),
        ({"kind": "check", "volumes": "all", "confirm": "erase vol-1"}, 400),
        ({"kind": "check", "volumes": ["vol-1", "vol-9"]}, 404),
        ({"kind": "initialise", "volumes": ["vol-9"], "confirm": "erase vol-9"}, 404),
    ],
)
async def test_bad_jobs_do_not_begin(rig: Rig, body: Any, status: int) -> None:
    assert await rig.refused("POST", "jobs", body) == status
    assert (await rig.ok("GET", "jobs"))["jobs"] == []


# ---- how far it reaches


@pytest.mark.covers("A041", "P078")
async def test_forecast(rig: Rig) -> None:
    rig.record(start=rig.clock.utc() - 60 * US)
    found = await rig.ok("GET", "forecast")
    (group,) = found["groups"]
    assert group["group"] == 1
    assert group["capacity"] > group["used"] >= 0
    (depth,) = found["recordings"]
    assert (depth["recording"], depth["camera"]) == (rig.recording, rig.camera)
    assert 0 < depth["days"] < 1
    assert depth["rate"] > 0
    assert depth["will_reach"] == group["days"]


@pytest.mark.covers("STO-21", "STO-22", "STO-23", "STO-24", "A006", "P078")
async def test_calculator(rig: Rig) -> None:
    channel = {"bitrate": 8000, "hours": 12, "alarm_rate": 0.5, "count": 4}
    found = await rig.ok("POST", "calculate", {"channels": [channel], "days": 10})
    # 8 Mbit/s are 1 MB/s: 6 of 24 hours, four channels, ten days, and what files need for themselves
    assert found["space"] == round(1_000_000 * 3600 * 6 * 4 * 10 * 1.01)
    assert found["channels"][0] == {"name": "", "bitrate": 8000, "per_hour": 3_636_000_000, "per_day": 21_816_000_000}
    back = await rig.ok("POST", "calculate", {"channels": [channel], "space": found["space"]}, who="digest")
    assert back["days"] == pytest.approx(10)
    picture = {"width": 1920, "height": 1080, "framerate": 25, "codec": "h265"}
    free = await rig.ok("POST", "calculate", {"channels": [picture], "volumes": ["vol-1"]})
    both = await rig.ok("POST", "calculate", {"channels": [picture]})
    assert 0 < free["days"] < both["days"]
    # nothing is known of the camera's stream yet
    assert (await rig.ok("POST", "calculate", {"days": 1})) == {
        "channels": [],
        "unknown": ["Gate"],
        "days": 1,
        "space": 0,
    }
    for bad, status in (
        ({"channels": []}, 400),
        ({"channels": [{}]}, 400),
        ({"channels": [{"bitrate": 0}]}, 400),
        ({"channels": [{"bitrate": 5, "hours": 25}]}, 400),
        ({"channels": [{"bitrate": 5, "alarm_rate": 1.5}]}, 400),
        ({"channels": [{"bitrate": 5, "count": 1001}]}, 400),
        ({"channels": [picture | {"codec": "av1"}]}, 400),
        ({"channels": [picture | {"size": 5}]}, 400),
        ({"days": 1, "space": 1}, 400),
        ({"days": -1}, 400),
        ({"space": 1.5}, 400),
        ({"volumes": ["vol-9"]}, 404),
    ):
        assert await rig.refused("POST", "calculate", bad) == status
