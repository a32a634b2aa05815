"""Lines for pictures that break while both workers live are laid again."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from onvifd.bodies.simulated_device import SimulatedDevice
from onvifd.errors import Unavailable
from onvifd.media.types import FlushUnit
from onvifd.store.catalogue import Catalogue
from onvifd.workers import process
from onvifd.workers.cluster import Cluster
from onvifd.workers.lines import PictureLines
from onvifd.workers.link import Link, LocalLink
from onvifd.workers.media import MediaWorker
from onvifd.workers.messages import AnyMessage, Setup
from onvifd.workers.specs import VolumeSpec
from onvifd.workers.supervisor import Handle, Worker, launch_local
from tests.workers.conftest import spec, worker_setup

WAIT = 30.0
SETUP = worker_setup()


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(WAIT):
        while not true():
            await asyncio.sleep(0.01)


async def grown(items: Sequence[object], count: int) -> None:
    await until(lambda: len(items) >= count)


# ---- real workers ----------------------------------------------------------------------------------


class Stage:
    """A media worker and a vision worker within this process. `cut` breaks the line between them as the kernel would."""

    def __init__(self, folder: Path) -> None:
        (folder / "volume").mkdir()
        self.setup = msgspec.structs.replace(
            SETUP,
            database_url=f"sqlite:///{folder / 'catalogue.sqlite3'}",
            volumes=(VolumeSpec(id="vol-1", path=str(folder / "volume")),),
        )
        self.bodies: dict[str, process.WorkerBody] = {}
        self.ends: list[socket.socket] = []
        self.cluster = Cluster(self.setup, 1, self._launch, heard=lambda _: None, lost=self._lost)

    async def _start(self, setup: Setup, link: Link) -> process.Made:
        body, adopt, connect = process.make(setup.kind, link)
        link.listen(body.handle)
        self.bodies[setup.name] = body
        return adopt, body.stop, connect  # type: ignore[return-value]

    async def _launch(self, setup: Setup) -> Handle:
        handle = await launch_local(self._start)(setup)  # type: ignore[arg-type]
        give = handle.give_line
        assert give is not None

        async def give_line(sock: socket.socket) -> None:
            self.ends.append(sock.dup())
            await give(sock)

        handle.give_line = give_line
        return handle

    async def _lost(self, cameras: tuple[str, ...]) -> None:
        pass

    def cut(self, at: int) -> None:
        self.ends[at].shutdown(socket.SHUT_RDWR)

    @property
    def media(self) -> MediaWorker:
        found = self.bodies["media-0"]
        assert isinstance(found, MediaWorker)
        return found

    async def close(self) -> None:
        await self.cluster.stop()
        for sock in self.ends:
            sock.close()


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    made = Stage(tmp_path)
    (await asyncio.to_thread(Catalogue.open, made.setup.database_url, migrate=True)).close()
    await made.cluster.start()
    yield made
    await made.close()


@pytest.mark.covers("S-JPEG")
@pytest.mark.timeout(120)
async def test_who_watches_goes_on_when_the_line_is_cut(stage: Stage, camera: SimulatedDevice) -> None:
    stage.cluster.set_cameras(spec(camera).cameras)
    await until(lambda: stage.media._stream("cam-1", "jpeg"))
    stream = stage.media._stream("cam-1", "jpeg")
    assert stream is not None
    seen: list[FlushUnit] = []
    ended: list[bool] = []
    stream.attach(seen.append, lambda: ended.append(True))
    await grown(seen, 3)
    restarts = [state.restarts for state in stage.cluster.states()]
    for at in (-1, -2):  # the end of the media worker, then that of the vision worker
        laid = len(stage.ends)
        stage.cut(at)
        await grown(stage.ends, laid + 2)
        await grown(seen, len(seen) + 3)
    assert not ended
    assert [state.restarts for state in stage.cluster.states()] == restarts


# ---- when and how often ----------------------------------------------------------------------------


class Ends:
    """A worker that takes ends of lines, or does not."""

    def __init__(self, name: str) -> None:
        self.taken: list[socket.socket] = []
        self.takes = True
        self.worker = Worker(
            msgspec.structs.replace(SETUP, name=name), self._launch, self._receive, self._brief, self._lost
        )
        self.start()

    def start(self) -> None:
        link, _ = LocalLink.pair()
        self.worker.handle = Handle(link, 1, self._nothing, self._nothing, self._take)

    async def _take(self, sock: socket.socket) -> None:
        if not self.takes:
            raise Unavailable("the worker takes no connections")
        self.taken.append(sock.dup())

    async def _nothing(self, *_: object) -> None: ...

    async def _launch(self, setup: Setup) -> Handle:
        raise NotImplementedError

    async def _receive(self, name: str, message: AnyMessage) -> None: ...

    async def _brief(self, name: str, link: Link) -> None: ...

    async def _lost(self, name: str) -> None: ...

    def close(self) -> None:
        for sock in self.taken:
            sock.close()


class Pair:
    def __init__(self, waits: tuple[float, ...] = (0.001,), steady: float = 60.0) -> None:
        self.media, self.vision = Ends("media-0"), Ends("vision")
        self.lines = PictureLines(self.vision.worker, waits=waits, steady=steady)

    def laid(self) -> int:
        return len(self.media.taken)

    async def close(self) -> None:
        await self.lines.stop()
        self.media.close()
        self.vision.close()


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    made = Pair()
    yield made
    await made.close()


async def test_both_get_an_end_of_the_same_line(pair: Pair) -> None:
    await pair.lines.lay(pair.media.worker)
    (one,), (other,) = pair.media.taken, pair.vision.taken
    one.sendall(b"word")
    assert other.recv(4) == b"word"
    pair.lines.broken(pair.media.worker)
    pair.lines.broken(pair.media.worker)  # said twice, laid once
    await until(lambda: pair.laid() == 2)
    await asyncio.sleep(0.02)
    assert pair.laid() == 2


async def test_nothing_is_laid_without_both(pair: Pair) -> None:
    pair.vision.worker.handle = None
    await pair.lines.lay(pair.media.worker)
    pair.lines.broken(pair.media.worker)
    await asyncio.sleep(0.02)
    assert not pair.media.taken


async def test_who_died_gets_its_line_when_it_starts_not_before(pair: Pair) -> None:
    await pair.lines.lay(pair.media.worker)
    pair.lines.broken(pair.media.worker)
    pair.vision.start()  # another process under the same name
    await asyncio.sleep(0.02)
    assert pair.laid() == 1


async def test_an_end_that_is_not_taken_is_offered_again(pair: Pair) -> None:
    pair.media.takes = False
    await pair.lines.lay(pair.media.worker)
    await until(lambda: len(pair.vision.taken) > 3)
    pair.media.takes = True
    await until(lambda: pair.laid() == 1)
    count = len(pair.vision.taken)
    # the ends that were given away in vain were closed with their other ends
    assert pair.vision.taken[0].recv(1) == b""
    await asyncio.sleep(0.02)
    assert len(pair.vision.taken) == count


async def test_a_line_that_breaks_again_and_again_waits_longer_until_it_stood() -> None:
    waited: list[float] = []
    pair = Pair(waits=(1.0, 2.0, 4.0), steady=100.0)
    sleep = asyncio.sleep
    loop = asyncio.get_running_loop()
    clock = [0.0]

    async def instantly(seconds: float) -> None:
        waited.append(seconds)
        clock[0] += seconds
        await sleep(0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("onvifd.workers.lines.asyncio.sleep", instantly)
        patch.setattr(loop, "time", lambda: clock[0])
        await pair.lines.lay(pair.media.worker)
        for number in range(5):
            pair.lines.broken(pair.media.worker)
            while pair.laid() < number + 2:
                await sleep(0)
            await sleep(0)
        clock[0] += 101
        pair.lines.broken(pair.media.worker)
        while pair.laid() < 7:
            await sleep(0)
    assert waited == [1.0, 2.0, 4.0, 4.0, 4.0, 1.0]
    await pair.close()


async def test_nothing_is_laid_after_the_stop(pair: Pair) -> None:
    await pair.lines.lay(pair.media.worker)
    pair.lines.broken(pair.media.worker)
    await pair.lines.stop()
    pair.lines.broken(pair.media.worker)
    await asyncio.sleep(0.02)
    assert pair.laid() == 1
