"""A whole recorder from the command line, each of its processes killed at random moments while cameras stream.

Every picture of the cameras carries the time at which it was shown, a multiple of 40 ms: so what is missing is counted, and each
missing picture must belong to the death of a process that writes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from onvifd.archive.cache import FragmentCache
from onvifd.archive.catalogue_index import CatalogueSegmentStore
from onvifd.archive.disk import DiskPool
from onvifd.archive.reader import RecordingReader
from onvifd.bodies.simulated_device import SimulatedDevice
from onvifd.cameras.simulated.encode import CameraClips
from onvifd.clock import US, SystemClock
from onvifd.media.sei import find_utc
from onvifd.media.types import Codec
from onvifd.store.catalogue import Catalogue
from onvifd.volumes.known import KnownVolumes
from tests.e2e.harness import cmdline, free_ports, need, processes
from tests.e2e.rtsp_client import REPLAY, RtspClient

LONG = int(os.environ.get("ONVIFD_KILLS", "200"))
"""Rounds of the long form, which `make soak` runs."""

FRAME_US = 40_000
WRITERS = ("control", "media")
"""Without control its workers end, so its death ends recording too."""
KINDS = (*WRITERS, "replay", "vision")
FRAGMENT = 1.0
"""Seconds of the longest fragment: as much is in memory when a writer dies, and as much may be on its way to the disk."""
AWAY = 30.0
"""Seconds in which a process that was killed is started and has met a key frame, on a busy machine."""
ADMIN, PASSWORD, CAMERA_PASSWORD = "admin", "Tele-scope47", "camera-pass-1"


@dataclass(slots=True)
class Death:
    """`at` and `back` are microseconds UTC: when it was killed, and when new footage was seen in the index."""

    kind: str
    at: int
    back: int = 0


@dataclass(slots=True)
class Outcome:
    """Of one recording, in pictures: how many there are, and the length of each loss beside what of it is older than the death."""

    recorded: int = 0
    losses: list[tuple[int, int]] = field(default_factory=list)


class Unsent(logging.Handler):
    """When the simulated cameras, which share a busy machine, left pictures out themselves."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.stretches: list[tuple[int, int]] = []

    def emit(self, record: logging.LogRecord) -> None:
        now = int(record.created * US)
        late = int(float(record.args[0]) * US) if isinstance(record.args, tuple) else 0  # type: ignore[arg-type]
        # It goes on with the next key frame; groups of pictures are two seconds long.
        self.stretches.append((now - late - US // 2, now + 2 * US + FRAME_US))

    def covers(self, utc: int) -> bool:
        return any(begin <= utc <= end for begin, end in self.stretches)


class Whole:
    """`onvifd run` on a data folder of its own, whichever process of it is alive."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.http, self.rtsp = free_ports(2)
        self.process: asyncio.subprocess.Process | None = None
        self._log = folder / "onvifd.log"
        self._environment = {name: value for name, value in os.environ.items() if name != "ONVIFD_KILLS"} | {
            "ONVIFD_ADMIN_PASSWORD": PASSWORD,
            "ONVIFD_CAMERA_PASSWORD": CAMERA_PASSWORD,
            "ONVIFD_NETWORK_HOST": "127.0.0.1",
            "ONVIFD_NETWORK_HTTP_PORT": str(self.http),
            "ONVIFD_NETWORK_HTTPS": "false",
            "ONVIFD_NETWORK_RTSP_PORT": str(self.rtsp),
            "ONVIFD_NETWORK_DISCOVERY": "false",
        }

    async def command(self, *arguments: str) -> str:
        """Run a command of `onvifd` to its end, which must be good."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "onvifd", *arguments, "--data", str(self.data)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._environment,
        )
        async with asyncio.timeout(600):
            output, _ = await process.communicate()
        assert process.returncode == 0, f"onvifd {' '.join(arguments)}: {output.decode()[-4000:]}"
        return output.decode()

    async def start(self) -> None:
        with self._log.open("ab") as log:
            begin = log.tell()
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "onvifd", "run", "--data", str(self.data)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )
        async with asyncio.timeout(60):
            while not re.search(r"(?m)^ready http://", self.log(begin)):
                assert self.process.returncode is None, self.log(begin)[-4000:]
                await asyncio.sleep(0.05)

    def log(self, begin: int = 0) -> str:
        return self._log.read_bytes()[begin:].decode(errors="replace")

    async def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        async with asyncio.timeout(15):
            assert await self.process.wait() == 0, self.log()[-4000:]

    async def end(self) -> None:
        """Whatever has happened: nothing is left."""
        if self.process is not None and self.process.returncode is None:
            for pid in await asyncio.to_thread(processes, self.process.pid):
                os.kill(pid, signal.SIGKILL)
            await self.process.wait()

    def worker(self, kind: str) -> int | None:
        """Process id of the worker of a kind."""
        assert self.process is not None
        wanted = f"onvifd.workers {kind} "
        return next((pid for pid in processes(self.process.pid)[1:] if wanted in cmdline(pid)), None)

    async def kill(self, kind: str) -> None:
        """Kill a process; control is started anew at once, as a service manager does it."""
        assert self.process is not None
        if kind == "control":
            self.process.kill()
            await self.process.wait()
            await self.start()
            return
        pid = await asyncio.to_thread(self.worker, kind)
        assert pid is not None, f"there is no {kind} worker"
        os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(AWAY):
            while await asyncio.to_thread(self.worker, kind) in (None, pid):
                await asyncio.sleep(0.05)


def play(port: int, recording: str) -> None:
    """One packet of a recording, as soon as the recorder serves it."""
    deadline = time.monotonic() + AWAY
    while True:
        try:
            with RtspClient(f"rtsp://127.0.0.1:{port}/replay/{recording}", ADMIN, PASSWORD) as client:
                video = next(each for each in client.describe() if each.kind == "video")
                client.setup(video, Require=REPLAY)
                client.demand("PLAY", Require=REPLAY, Rate_Control="no")
                assert next(client.packets(seconds=10), None) is not None
                return
        except (OSError, AssertionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


@asynccontextmanager
async def devices(clips: CameraClips) -> AsyncIterator[Sequence[SimulatedDevice]]:
    """Two cameras in this process: they live on."""
    made = [
        SimulatedDevice(
            number,
            clips,
            seed=f"kill-{number}",
            host="127.0.0.1",
            http_port=0,
            rtsp_port=0,
            user=ADMIN,
            password=CAMERA_PASSWORD,
            clock=SystemClock(),
            motion=False,
            discovery=False,
        )
        for number in (7, 8)
    ]
    for device in made:
        await device.start()
    try:
        yield made
    finally:
        for device in made:
            await device.stop()


class Index:
    """The recorder's catalogue, read from outside as `onvifd doctor` reads it."""

    def __init__(self, data: Path) -> None:
        self._catalogue = Catalogue.open(f"sqlite:///{data / 'catalogue.sqlite3'}")
        self.store = CatalogueSegmentStore(self._catalogue)
        self.volumes = KnownVolumes(self._catalogue)

    def recordings(self) -> list[str]:
        return [row.token for row in self._catalogue.recordings.all()]

    async def reach(self, recording: str, utc: int) -> None:
        """Wait until a recording holds footage of `utc`."""
        async with asyncio.timeout(AWAY + 10):
            while True:
                times = await asyncio.to_thread(self.store.recording_times, recording)
                if times is not None and times[1] > utc:
                    return
                await asyncio.sleep(0.1)

    def close(self) -> None:
        self._catalogue.close()


async def pictures(index: Index, recording: str) -> list[int]:
    """The times of all recorded pictures, each as it is said within the picture."""
    pool = DiskPool(1)
    try:
        reader = RecordingReader(index.store, index.volumes, recording, cache=FragmentCache(), pool=pool)
        found = []
        async for unit in reader.units(0):
            said = find_utc(Codec.H264, unit.data)
            if said is not None:  # else it is sound
                assert said == unit.utc
                found.append(said)
        return found
    finally:
        pool.close()


def account(found: list[int], deaths: Sequence[Death], unsent: Unsent) -> Outcome:
    """Hold the recorded pictures against the sent ones. Each loss belongs to the death of a process that writes."""
    assert found == sorted(set(found))  # nothing twice, nothing out of order
    there = set(found)
    missing = [utc for utc in range(found[0], found[-1], FRAME_US) if utc not in there and not unsent.covers(utc)]
    runs: list[list[int]] = []
    for utc in missing:
        if runs and utc - runs[-1][-1] == FRAME_US:
            runs[-1].append(utc)
        else:
            runs.append([utc])
    outcome = Outcome(len(found))
    writers = [death for death in deaths if death.kind in WRITERS]
    for run in runs:
        culprits = [each for each in writers if run[0] <= each.back and each.at - 2 * FRAGMENT * US <= run[-1]]
        assert culprits, f"{len(run)} pictures from {run[0]} on are missing for no reason; deaths: {deaths}"
        early = sum(utc < culprits[0].at for utc in run)
        assert early <= 2 * FRAGMENT * US / FRAME_US, f"{early} pictures lost from before the death"
        outcome.losses.append((len(run), early))
    return outcome


def assert_decodes(path: Path) -> None:
    command = [need("ffmpeg"), "-nostdin", "-v", "error", "-i", str(path), "-f", "null", "-"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stderr) == (0, ""), path.name


async def rounds(folder: Path, clips: CameraClips, kinds: Sequence[str], chance: random.Random) -> None:
    """Kill processes of these kinds one after the other; then all must be whole, and control's own death comes last."""
    need("ffmpeg")
    whole, unsent, deaths = Whole(folder), Unsent(), list[Death]()
    player = logging.getLogger("onvifd.cameras.simulated.player")
    player.addHandler(unsent)
    try:
        async with devices(clips) as cameras:
            await whole.command("init")
            for camera in cameras:
                await whole.command("camera", "add", camera.device_url, "--user", ADMIN)
            await whole.start()
            index = await asyncio.to_thread(Index, whole.data)
            recordings = await asyncio.to_thread(index.recordings)
            assert len(recordings) == len(cameras)
            for recording in recordings:
                await index.reach(recording, 0)
            for kind in (*kinds, "control"):
                await asyncio.sleep(chance.uniform(0.05, 2.5))
                death = Death(kind, time.time_ns() // 1000)
                await whole.kill(kind)
                for recording in recordings:
                    await index.reach(recording, death.at + US)
                death.back = time.time_ns() // 1000
                deaths.append(death)
                await asyncio.to_thread(play, whole.rtsp, chance.choice(recordings))
            await whole.stop()
        assert "agree with their files" in await whole.command("volume", "check", "--full")
        outcomes = [account(await pictures(index, each), deaths, unsent) for each in recordings]
        index.close()
        segments = sorted((whole.data / "volume").rglob("*.mp4"))
        for path in segments:
            await asyncio.to_thread(assert_decodes, path)
        tell(deaths, outcomes, len(segments))
        assert "Traceback" not in whole.log()
    finally:
        player.removeHandler(unsent)
        await whole.end()


def tell(deaths: Sequence[Death], outcomes: Sequence[Outcome], segments: int) -> None:
    """The figures, for who runs it with `-s`."""
    losses = [loss for outcome in outcomes for loss in outcome.losses]
    lost = [length for length, _ in losses] or [0]
    early = [before for _, before in losses] or [0]
    count = {kind: sum(death.kind == kind for death in deaths) for kind in KINDS}
    print(
        f"\n{len(deaths)} kills {count}: {sum(each.recorded for each in outcomes)} pictures of {len(outcomes)} cameras recorded in "
        f"{segments} segments, all decode; {sum(lost)} lost in {len(losses)} stretches (median {statistics.median(lost):g}, "
        f"most {max(lost)}); of these from before the death: median {statistics.median(early):g}, most {max(early)} at once"
    )
    for kind in KINDS:
        back = [(death.back - death.at) / US for death in deaths if death.kind == kind] or [0.0]
        print(
            f"{kind}: a second of new footage {statistics.median(back):.1f} s later (median), {max(back):.1f} s at most"
        )


@pytest.mark.covers("INI-19")
@pytest.mark.timeout(300)
async def test_a_process_that_is_killed_costs_what_it_held(tmp_path: Path, tiny_clips: CameraClips) -> None:
    chance = random.Random()
    kinds = ["media", "replay", "vision", chance.choice(KINDS)]
    chance.shuffle(kinds)
    await rounds(tmp_path, tiny_clips, kinds, chance)


@pytest.mark.soak
@pytest.mark.timeout(14_400)
async def test_processes_killed_two_hundred_times(tmp_path: Path, tiny_clips: CameraClips) -> None:
    chance = random.Random()
    await rounds(tmp_path, tiny_clips, chance.choices(KINDS, k=LONG - 1), chance)
