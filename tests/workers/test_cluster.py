"""All workers as control sees them."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from onvifd.errors import NotFound, Unavailable
from onvifd.rtsp.arrival import Arrival
from onvifd.workers.cluster import Cluster
from onvifd.workers.link import Link
from onvifd.workers.messages import (
    AnyMessage,
    Cameras,
    CameraState,
    Credentials,
    Done,
    Failure,
    GetKeyframe,
    Jpeg,
    Keyframe,
    MakeJpeg,
    MetadataDocument,
    Orders,
    Presentations,
    Ready,
    ReplayTimeout,
    Setup,
    Synchronize,
    Volumes,
)
from onvifd.workers.specs import CameraSpec, CredentialSpec, PresentationSpec, RecordSpec, StreamSpec, VolumeSpec
from onvifd.workers.supervisor import launch_local
from tests.workers.conftest import worker_setup

SETUP = worker_setup(replay_timeout=45)


class Worker:
    """The other end of a link: answers like a worker and remembers what it was told."""

    def __init__(self, setup: Setup, link: Link) -> None:
        self.name = setup.name
        self.link = link
        self.heard: list[AnyMessage] = []
        self.adopted: list[bytes] = []
        self.keyframes = 0
        link.listen(self.handle)

    async def handle(self, message: AnyMessage) -> AnyMessage | None:
        self.heard.append(message)
        match message:
            case Setup():
                return Ready(name=message.name, pid=1)
            case GetKeyframe(camera="silent"):
                return Failure(reason="no key frame yet")
            case GetKeyframe():
                self.keyframes += 1
                return Keyframe(codec="h264", parameter_sets=(), data=b"k", utc=1)
            case MakeJpeg():
                return Jpeg(data=b"jpeg of " + message.data)
            case Credentials() | Cameras() | ReplayTimeout() | Orders() | Volumes():
                return Done()
        return None

    def adopt(self, arrival: Arrival) -> None:
        self.adopted.append(arrival.initial)
        arrival.close()

    def last(self, kind: type) -> AnyMessage:
        return [message for message in self.heard if isinstance(message, kind)][-1]


class Scene:
    def __init__(self) -> None:
        self.workers: dict[str, Worker] = {}
        self.heard: list[AnyMessage] = []
        self.lost: list[tuple[str, ...]] = []
        self.cluster = Cluster(SETUP, 2, launch_local(self._start), heard=self.heard.append, lost=self.lost.append)

    async def _start(self, setup: Setup, link: Link):  # type: ignore[no-untyped-def]
        worker = self.workers[setup.name] = Worker(setup, link)

        async def stop() -> None:
            await asyncio.sleep(0)

        return worker.adopt, stop, None


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    made = Scene()
    await made.cluster.start()
    yield made
    await made.cluster.stop()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def camera(name: str) -> CameraSpec:
    return CameraSpec(id=name, channel=1, streams=())


def owners(scene: Scene) -> dict[str, str]:
    found = {}
    for name in ("media-0", "media-1"):
        message = scene.workers[name].last(Cameras)
        assert isinstance(message, Cameras)
        found |= {spec.id: name for spec in message.cameras}
    return found


async def test_cameras_are_spread_and_stay_where_they_are(scene: Scene) -> None:
    scene.cluster.set_cameras([camera("a"), camera("b"), camera("c"), camera("d")])
    await settle()
    first = owners(scene)
    assert sorted(first.values()) == ["media-0", "media-0", "media-1", "media-1"]
    scene.cluster.set_cameras([camera("d"), camera("b"), camera("e"), camera("a")])
    await settle()
    second = owners(scene)
    assert {name: second[name] for name in "abd"} == {name: first[name] for name in "abd"}
    assert second["e"] == first["c"]


async def test_each_media_worker_knows_which_cameras_others_have(scene: Scene) -> None:
    scene.cluster.set_cameras([camera("a"), camera("b"), camera("c")])
    await settle()
    mine, theirs = (scene.workers[name].last(Cameras) for name in ("media-0", "media-1"))
    assert isinstance(mine, Cameras)
    assert isinstance(theirs, Cameras)
    assert set(mine.elsewhere) == {spec.id for spec in theirs.cameras}
    assert set(theirs.elsewhere) == {spec.id for spec in mine.cameras}


@pytest.mark.covers("G-ReplaySessionTimeout")
async def test_everyone_is_briefed(scene: Scene) -> None:
    accounts = (CredentialSpec(name="admin", level="Administrator", ha1="0" * 32),)
    scene.cluster.set_credentials(Credentials(accounts=accounts))
    scene.cluster.set_replay_timeout(90)
    await settle()
    for name in ("media-0", "media-1", "replay"):
        assert scene.workers[name].last(Credentials) == Credentials(accounts=accounts)
    timeouts = [m.seconds for m in scene.workers["replay"].heard if isinstance(m, ReplayTimeout)]
    assert timeouts == [45, 90]
    assert not [m for m in scene.workers["vision"].heard if isinstance(m, Cameras)]


def presentation(camera: str) -> PresentationSpec:
    return PresentationSpec(path=f"/live/{camera}/main", profile=f"{camera}-main", camera=camera, video="main")


async def test_media_workers_hear_of_the_profiles_of_their_cameras_and_only_of_changes(scene: Scene) -> None:
    scene.cluster.set_presentations([presentation("a"), presentation("b"), presentation("gone")])
    scene.cluster.set_cameras([camera("a"), camera("b")])
    await settle()
    found = owners(scene)
    for name in ("a", "b"):
        assert scene.workers[found[name]].last(Presentations) == Presentations(presentations=(presentation(name),))
    before = [len(scene.workers[name].heard) for name in ("media-0", "media-1")]
    scene.cluster.set_presentations([presentation("a"), presentation("b")])
    await settle()
    assert [len(scene.workers[name].heard) for name in ("media-0", "media-1")] == before
    scene.cluster.set_presentations([presentation("a")])
    await settle()
    assert scene.workers[found["b"]].last(Presentations) == Presentations()
    assert scene.workers[found["a"]].last(Presentations) == Presentations(presentations=(presentation("a"),))
    assert not any(isinstance(message, Presentations) for message in scene.workers["replay"].heard)


async def test_a_worker_that_is_back_hears_of_its_profiles(scene: Scene) -> None:
    scene.cluster.set_cameras([camera("a")])
    scene.cluster.set_presentations([presentation("a")])
    await settle()
    name = owners(scene)["a"]
    dead = scene.workers[name]
    await dead.link.close()
    async with asyncio.timeout(10):
        while scene.workers[name] is dead or not any(
            isinstance(message, Presentations) for message in scene.workers[name].heard
        ):
            await asyncio.sleep(0.01)
    assert scene.workers[name].last(Presentations) == Presentations(presentations=(presentation("a"),))


async def test_a_synchronisation_point_is_asked_of_the_owner(scene: Scene) -> None:
    scene.cluster.set_cameras([camera("a"), camera("b")])
    scene.cluster.synchronize("b", "/live/b/main")
    scene.cluster.synchronize("nobody", "/live/nobody/main")
    await settle()
    found = owners(scene)
    assert scene.workers[found["b"]].last(Synchronize) == Synchronize(path="/live/b/main")
    assert not any(isinstance(message, Synchronize) for message in scene.workers[found["a"]].heard)


async def test_connections_go_to_the_owner(scene: Scene) -> None:
    scene.cluster.set_cameras([camera("a"), camera("b")])
    await settle()
    owner = owners(scene)["b"]
    for path, initial in (("/live/b/main", b"live"), ("/replay/rec-b", b"replay"), ("/nothing", b"stray")):
        one, two = socket.socketpair()
        with one, two:
            await scene.cluster.route(path, Arrival(client=one, initial=initial))
    assert scene.workers[owner].adopted[0] == b"live"
    assert scene.workers["replay"].adopted == [b"replay"]
    assert b"stray" in scene.workers["media-0"].adopted


async def test_snapshot_is_made_once_for_all_who_ask_together(scene: Scene) -> None:
    scene.cluster.set_cameras([camera("a"), camera("silent")])
    await settle()
    pictures = await asyncio.gather(*(scene.cluster.snapshot("a", "main") for _ in range(5)))
    assert pictures == [b"jpeg of k"] * 5
    assert scene.workers[owners(scene)["a"]].keyframes == 1
    for _ in range(2):
        with pytest.raises(Unavailable, match="no key frame"):
            await scene.cluster.snapshot("silent", "main")
    with pytest.raises(NotFound):
        await scene.cluster.snapshot("other", "main")


async def test_dead_worker_names_its_cameras_and_is_briefed_when_back(scene: Scene) -> None:
    scene.cluster.set_cameras([camera("a"), camera("b")])
    await settle()
    name = owners(scene)["a"]
    dead = scene.workers[name]
    await dead.link.close()
    async with asyncio.timeout(10):
        while scene.workers[name] is dead or not scene.workers[name].heard:
            await asyncio.sleep(0.01)
    await settle()
    assert scene.lost == [("a",)]
    assert owners(scene)["a"] == name
    assert {state.name: state.restarts for state in scene.cluster.states()}[name] == 1


async def test_notices_reach_control(scene: Scene) -> None:
    notice = CameraState(camera="a", stream="main", online=True, utc=5)
    scene.workers["media-0"].link.send(notice)
    await settle()
    assert notice in scene.heard


def recorded(name: str) -> CameraSpec:
    stream = StreamSpec(name="main", url="", recordings=(RecordSpec(recording=f"rec-{name}"),))
    return CameraSpec(id=name, channel=1, streams=(stream,))


async def test_orders_go_to_the_worker_that_feeds_the_recording_and_again_when_it_is_back(scene: Scene) -> None:
    scene.cluster.set_cameras([recorded("a"), recorded("b")])
    scene.cluster.set_orders(frozenset({"rec-a", "rec-b", "rec-unknown"}))
    await settle()
    name = owners(scene)["a"]
    assert scene.workers[name].last(Orders) == Orders(active=("rec-a",))
    assert scene.workers[owners(scene)["b"]].last(Orders) == Orders(active=("rec-b",))
    heard = len(scene.workers[name].heard)
    scene.cluster.set_orders(frozenset({"rec-a"}))
    await settle()
    assert len(scene.workers[name].heard) == heard  # only what changes is said
    volumes = (VolumeSpec(id="vol-2", path="/volume"),)
    scene.cluster.set_volumes(volumes)
    scene.cluster.send_metadata(MetadataDocument(recording="rec-a", utc=5, document=b"<tt/>"))
    scene.cluster.send_metadata(MetadataDocument(recording="rec-unknown", utc=5, document=b"<tt/>"))
    await settle()
    assert scene.workers[name].last(Volumes) == Volumes(volumes=volumes)
    assert scene.workers[name].last(MetadataDocument) == MetadataDocument(recording="rec-a", utc=5, document=b"<tt/>")
    dead = scene.workers[name]
    await dead.link.close()
    async with asyncio.timeout(10):
        while scene.workers[name] is dead or not any(isinstance(m, Cameras) for m in scene.workers[name].heard):
            await asyncio.sleep(0.01)
    told = [m for m in scene.workers[name].heard if isinstance(m, (Volumes, Orders, Cameras))]
    assert told[:2] == [Volumes(volumes=volumes), Orders(active=("rec-a",))]


def fed(cameras: AnyMessage) -> set[str]:
    assert isinstance(cameras, Cameras)
    return {each.recording for spec in cameras.cameras for stream in spec.streams for each in stream.recordings}


def moving(recording: str, to: str) -> list[CameraSpec]:
    """Cameras a and b, one of which feeds the recording."""
    return [
        CameraSpec(
            id=name,
            channel=1,
            streams=(
                StreamSpec(
                    name="main",
                    url="rtsp://192.0.2.1/",
                    recordings=(RecordSpec(recording=recording),) if name == to else (),
                ),
            ),
        )
        for name in "ab"
    ]


class Slow:
    """A worker that takes its time to let go of what it records."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.asked = asyncio.Event()
        self.free = asyncio.Event()
        worker.link.listen(self.handle)

    async def handle(self, message: AnyMessage) -> AnyMessage | None:
        answer = await self.worker.handle(message)
        if isinstance(message, Cameras):
            self.asked.set()
            await self.free.wait()
        return answer


@pytest.mark.covers("REC-01")
async def test_a_recording_goes_to_another_worker_only_when_the_first_has_let_go(scene: Scene) -> None:
    scene.cluster.set_cameras(moving("rec-1", "a"))
    await settle()
    one, two = (scene.workers[owners(scene)[name]] for name in "ab")
    assert one is not two
    slow = Slow(one)
    scene.cluster.set_cameras(moving("rec-1", "b"))
    await slow.asked.wait()
    await settle()
    assert fed(one.last(Cameras)) == set()
    assert fed(two.last(Cameras)) == set()
    slow.free.set()
    await settle()
    assert fed(two.last(Cameras)) == {"rec-1"}


async def test_a_recording_that_returns_meanwhile_stays(scene: Scene) -> None:
    scene.cluster.set_cameras(moving("rec-1", "a"))
    await settle()
    one, two = (scene.workers[owners(scene)[name]] for name in "ab")
    slow = Slow(one)
    scene.cluster.set_cameras(moving("rec-1", "b"))
    await slow.asked.wait()
    scene.cluster.set_cameras(moving("rec-1", "a"))
    slow.free.set()
    await settle()
    assert fed(one.last(Cameras)) == {"rec-1"}
    assert fed(two.last(Cameras)) == set()


async def test_a_recording_of_a_worker_that_dies_goes_on_at_once(scene: Scene) -> None:
    scene.cluster.set_cameras(moving("rec-1", "a"))
    await settle()
    one, two = (scene.workers[owners(scene)[name]] for name in "ab")
    slow = Slow(one)
    scene.cluster.set_cameras(moving("rec-1", "b"))
    await slow.asked.wait()
    await one.link.close()
    async with asyncio.timeout(5):
        while fed(two.last(Cameras)) != {"rec-1"}:
            await asyncio.sleep(0)
