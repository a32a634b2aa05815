"""Cameras that are lost are asked by other ways after a while, and one that works is stored."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from onvifd.access.keyfile import SecretBox
from onvifd.bodies.reception import Receptions
from onvifd.bodies.way_search import AFTER, FAILURES, LOOK, WaySearch
from onvifd.cameras.reception import changed
from onvifd.cameras.registry import Camera, Driver, NewCamera, Registry, Role, Stream
from onvifd.cameras.ways import Answered, Reach
from onvifd.clock import SimulatedClock, SystemClock
from onvifd.errors import Unavailable
from onvifd.rtsp.client_transport import Way
from onvifd.rtsp.sdp import Description
from onvifd.store.catalogue import AsyncCatalogue, Catalogue
from onvifd.store.receptions import ReceptionRow
from onvifd.workers.messages import CameraState

URL, OTHER = "rtsp://192.0.2.1/a", "rtsp://192.0.2.1/b"


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    opened = Catalogue.open(f"sqlite:///{tmp_path}/c.db", migrate=True)
    yield opened
    opened.close()


class Stage:
    """A search over a real catalogue and a clock that is told; `found` is what cameras answer."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.clock = SimulatedClock()
        self.registry = Registry(catalogue, SecretBox(secrets.token_bytes(32)), SystemClock())
        new = NewCamera(name="a", driver=Driver.RTSP, address=URL, streams=(Stream(role=Role.MAIN, uri=URL),))
        self.camera = self.registry.add(new).id
        self.receptions = Receptions(AsyncCatalogue(catalogue))
        self.searched: list[Reach] = []
        self.said: list[tuple[str, str, str]] = []
        self.found: Answered | None = None
        self.search = WaySearch(
            AsyncCatalogue(catalogue), self.registry, self.clock, self.receptions.reach, search=self._search
        )
        self.search.say = lambda *told: self.said.append(told)
        self.search.set_cameras(self.registry.all())

    async def _search(self, camera: Camera, stream: Stream, known: Reach) -> Answered | None:
        self.searched.append(known)
        return self.found

    def tell(self, online: bool = False, times: int = 1) -> None:
        for _ in range(times):
            self.search.heard(
                CameraState(camera=self.camera, stream="main", online=online, reason="", utc=self.clock.utc())
            )

    async def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds / LOOK)):
            await self.clock.advance(LOOK)

    async def settle(self) -> None:
        """What is stored is stored in a thread."""
        while self.search.searching:
            await asyncio.sleep(0.001)

    def row(self) -> tuple[str, int, bool]:
        row = next(iter(self.catalogue.receptions.all()), ReceptionRow(camera=self.camera, stream="main"))
        return row.transport, row.tunnel_port, row.found


@pytest.fixture
def stage(catalogue: Catalogue) -> Stage:
    return Stage(catalogue)


def by_tunnel() -> Answered:
    reach = Reach(transport=Way.HTTP, tunnel_port=8080, digest=True, found=True)
    return Answered(url=OTHER, description=Description(url=OTHER, tracks=()), reach=reach)


@pytest.mark.covers("CAM-20")
async def test_a_way_that_works_is_stored(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    await stage.receptions.read()
    stage.found = by_tunnel()
    stage.tell(times=FAILURES)
    await stage.pass_time(AFTER[0] - LOOK)
    assert stage.searched == []
    await stage.pass_time(LOOK)
    await stage.settle()
    assert stage.searched == [Reach()]
    assert stage.row() == ("http", 8080, True)
    assert stage.registry.get(stage.camera).main.uri == OTHER
    assert "answers by http, which is stored" in caplog.text
    assert stage.said == [(stage.camera, "main", "answers by http now")]
    await stage.search.close()


async def test_who_comes_back_or_hardly_failed_is_left_alone(stage: Stage) -> None:
    await stage.receptions.read()
    stage.tell(times=FAILURES - 1)
    await stage.pass_time(2 * AFTER[0])
    stage.tell()
    stage.tell(online=True)
    await stage.pass_time(2 * AFTER[0])
    assert stage.searched == []
    # And what is configured anew has its time again.
    stage.tell(times=FAILURES)
    stage.registry.change(stage.camera, lambda camera: replace(camera, name="b"))
    stage.search.set_cameras(stage.registry.all())
    await stage.pass_time(2 * AFTER[0])
    assert stage.searched == []
    await stage.search.close()


async def test_searches_become_rare(stage: Stage) -> None:
    await stage.receptions.read()
    stage.tell(times=FAILURES)
    for number, wait in enumerate((*AFTER, AFTER[-1]), 1):
        await stage.pass_time(wait + 2 * LOOK)
        await stage.settle()
        assert len(stage.searched) == number
    assert stage.row() == ("auto", 0, False)
    assert "asked by http too" in stage.said[0][2]
    await stage.search.close()


async def test_what_a_person_sets_stays(stage: Stage) -> None:
    await stage.receptions.read()
    stage.found = by_tunnel()
    stage.tell(times=FAILURES)
    # Set while it was searched.
    stage.catalogue.receptions.change(stage.camera, "main", lambda row: changed(row, transport="udp"))
    await stage.pass_time(AFTER[0])
    await stage.settle()
    assert stage.row() == ("udp", 0, False)
    await stage.receptions.read()
    stage.searched.clear()
    await stage.pass_time(AFTER[1] + LOOK)
    assert stage.searched == []
    await stage.search.close()
    # A way that was found is a person's when it is set by one.
    stage.catalogue.receptions.change(stage.camera, "main", lambda row: replace(row, transport="http", found=True))
    stage.catalogue.receptions.change(stage.camera, "main", lambda row: changed(row, transport="http"))
    assert stage.row() == ("http", 0, False)


async def test_a_catalogue_that_cannot_store_ends_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    await stage.receptions.read()
    stage.found = by_tunnel()

    def full(*_: object) -> None:
        raise Unavailable("the disk is full")

    monkeypatch.setattr(stage.registry, "change", full)
    stage.tell(times=FAILURES)
    await stage.pass_time(AFTER[0])
    await stage.settle()
    await stage.pass_time(AFTER[1] + LOOK)
    await stage.settle()
    assert len(stage.searched) == 2
    assert stage.said == []
    await stage.search.close()
