"""A catalogue with cameras in it, and a director in simulated time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from onvifd.access.keyfile import create_key
from onvifd.cameras.registry import Driver, NewCamera, Registry, Role, Stream
from onvifd.clock import SimulatedClock
from onvifd.events import topics
from onvifd.events.bus import EventBus
from onvifd.host.timezone import parse
from onvifd.recording.director import Director
from onvifd.recording.localtime import LocalTime
from onvifd.recording.settings import load
from onvifd.recording.triggers import Watched
from onvifd.recording.types import Mode
from onvifd.store.catalogue import AsyncCatalogue, Catalogue
from onvifd.workers.messages import RecordingState


@pytest.fixture
async def catalogue(tmp_path: Path) -> AsyncIterator[AsyncCatalogue]:
    made = AsyncCatalogue(Catalogue.open(f"sqlite:///{tmp_path / 'catalogue.sqlite3'}", migrate=True))
    yield made
    await made.close()


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture
def cameras(catalogue: AsyncCatalogue, clock: SimulatedClock, tmp_path: Path) -> tuple[str, str]:
    """Two cameras with main and sub stream."""
    registry = Registry(catalogue.sync, create_key(tmp_path / "key"), clock)
    made = []
    for number in (1, 2):
        base = f"rtsp://192.0.2.{number}"
        streams = (Stream(role=Role.MAIN, uri=f"{base}/main"), Stream(role=Role.SUB, uri=f"{base}/sub"))
        new = NewCamera(name=f"Camera {number}", driver=Driver.RTSP, address=f"{base}/main", streams=streams)
        made.append(registry.add(new).id)
    return made[0], made[1]


@dataclass
class Stage:
    """A director with workers that do at once what they are ordered: `pre` seconds come from memory."""

    catalogue: AsyncCatalogue
    clock: SimulatedClock
    director: Director = field(init=False)
    zone: str = "UTC0"
    pre: int = 5
    works: bool = True
    orders: list[frozenset[str]] = field(default_factory=list)
    bus: EventBus = field(init=False)
    _writing: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.bus = EventBus(self.clock)
        self.director = Director(
            self.catalogue,
            self.clock,
            self.bus,
            local=lambda: LocalTime(parse(self.zone)),
            on_orders=self._ordered,
            storage=lambda recording: "" if self.works else "volume vol-1 is full",
        )

    def _ordered(self, active: frozenset[str]) -> None:
        self.orders.append(active)
        if not self.works:
            return
        before, self._writing = self._writing, active
        now = self.clock.utc()
        # As workers do: later, and out of the director's own call.
        loop = asyncio.get_running_loop()
        for token in active - before:
            loop.call_soon(self.say, token, True, now - self.pre * 1_000_000)
        for token in before - active:
            loop.call_soon(self.say, token, False, now)

    def say(self, token: str, active: bool, utc: int, reason: str = "", error: bool = False) -> None:
        self.director.recording_changed(
            RecordingState(recording=token, active=active, utc=utc, reason=reason, error=error)
        )

    async def read(self) -> None:
        """As the recorder does when the catalogue has changed."""
        settings = await self.catalogue.run(load, self.catalogue.sync)
        watched = [
            Watched(
                recording=f"rec-{camera}" + ("" if stream == "main" else "-sub"),
                camera=camera,
                policy=policy,
            )
            for (camera, stream), policy in settings.policies.items()
            if policy.mode is not Mode.OFF
        ]
        self.director.configure(settings, watched)

    async def start(self) -> None:
        await self.bus.start()
        await self.read()
        await self.director.start()
        await self.settle()

    async def stop(self) -> None:
        await self.director.stop()
        await self.bus.close()

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    def motion(self, camera: str, state: bool) -> None:
        self.bus.publish(topics.motion_alarm(f"vs-{camera}", state, self.clock.utc(), f"rec-{camera}"))

    @property
    def writing(self) -> frozenset[str]:
        return self.orders[-1] if self.orders else frozenset()

    async def spans(self, recording: str) -> list[tuple[str, str, int, int | None]]:
        """Kind, marks, begin and end in seconds since the beginning of 2026, once all is written."""
        await asyncio.wait_for(self.director._writer._lines.join(), 5)
        rows = await self.catalogue.run(self.catalogue.sync.spans.between, recording, 0, 1 << 62)
        base = 1_767_225_600
        return [
            (row.kind, row.marks, row.start // 10**6 - base, None if row.end is None else row.end // 10**6 - base)
            for row in rows
        ]


@pytest.fixture
async def stage(catalogue: AsyncCatalogue, clock: SimulatedClock) -> AsyncIterator[Stage]:
    """Not started; stopped at the end."""
    made = Stage(catalogue, clock)
    yield made
    await made.stop()


@pytest.fixture
def advance(clock: SimulatedClock) -> Callable[[float], object]:
    return clock.advance
