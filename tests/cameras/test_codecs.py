"""Every encoding that cameras send: from a foreign RTSP server through our intake and our server to a foreign player."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import av
import pytest

from onvifd.bodies.simulated import SimulatedCamera
from onvifd.cameras.intake import Intake, Source
from onvifd.cameras.simulated.encode import CameraClips, ClipMaker, load_sound, sub_spec
from onvifd.clock import SystemClock
from onvifd.events.bus import EventBus
from onvifd.live.hub import LiveStream
from onvifd.live.mount import LiveMount
from onvifd.media import aac
from onvifd.media.mp4 import STORABLE, Run, Sample, build_fragment, init_segment, timescale
from onvifd.media.types import AccessUnit, Codec, Kind, TrackFormat
from onvifd.onvif.backend import Ports
from onvifd.rtsp.server import RtspServer
from tests.rtsp.sample import PASSWORD, USER, verifier

CAMERA = Path(__file__).with_name("gst_camera.py")
LIMIT = 40.0
FRAMES = 12

VIDEO = "videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=320,height=176,framerate=25/1 !"
SOUND = "audiotestsrc is-live=true wave=sine !"
AAC = f"{SOUND} audio/x-raw,rate=16000,channels=1 ! avenc_aac ! aacparse !"
PIPELINES = {
    "h264": "filesrc location={file} ! qtdemux ! h264parse ! rtph264pay name=pay0 pt=96",
    "h264-stap": "filesrc location={file} ! qtdemux ! h264parse ! rtph264pay aggregate-mode=zero-latency "
    "config-interval=-1 name=pay0 pt=96",
    "h265": f"{VIDEO} x265enc tune=zerolatency key-int-max=10 ! rtph265pay name=pay0 pt=96",
    "h265-ap": f"{VIDEO} x265enc tune=zerolatency key-int-max=10 ! rtph265pay aggregate-mode=zero-latency "
    "config-interval=-1 name=pay0 pt=96",
    "mpeg4": "filesrc location={file} ! qtdemux ! mpeg4videoparse ! rtpmp4vpay config-interval=1 name=pay0 pt=96",
    "jpeg": f"{VIDEO} jpegenc ! rtpjpegpay name=pay0 pt=26",
    "g726": f"{SOUND} audio/x-raw,rate=8000,channels=1 ! avenc_g726 bitrate=32000 ! rtpg726pay force-aal2=false "
    "name=pay0 pt=97",
    "aac": f"{AAC} rtpmp4gpay name=pay0 pt=97",
    "aac-latm": f"{AAC} rtpmp4apay name=pay0 pt=97",
    "opus": f"{SOUND} audio/x-raw,rate=48000,channels=2 ! opusenc ! rtpopuspay name=pay0 pt=97",
    "l16": f"{SOUND} audio/x-raw,rate=16000,channels=1 ! audioconvert ! rtpL16pay name=pay0 pt=97",
    "pcmu": f"{SOUND} audio/x-raw,rate=8000,channels=1 ! mulawenc ! rtppcmupay name=pay0",
    "vp8": f"{VIDEO} vp8enc deadline=1 keyframe-max-dist=10 ! rtpvp8pay name=pay0 pt=96",
    "g722": f"{SOUND} audio/x-raw,rate=16000,channels=1 ! avenc_g722 ! rtpg722pay name=pay0",
}
CODECS = {
    "h264": Codec.H264,
    "h264-stap": Codec.H264,
    "h265": Codec.H265,
    "h265-ap": Codec.H265,
    "mpeg4": Codec.MPEG4,
    "jpeg": Codec.JPEG,
    "g726": Codec.G726,
    "aac": Codec.AAC,
    "aac-latm": Codec.AAC,
    "opus": Codec.OPUS,
    "l16": Codec.L16,
    "pcmu": Codec.PCMU,
    "vp8": Codec.OTHER_VIDEO,
    "g722": Codec.OTHER_AUDIO,
}


@functools.cache
def _lacks() -> str:
    """What is missing here; empty if all is there."""
    if shutil.which("ffmpeg") is None:
        return "ffmpeg"
    wanted = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    done = subprocess.run(["/usr/bin/python3", "-c", wanted], capture_output=True, check=False)
    return "gst-rtsp-server" if done.returncode else ""


def _has(pipeline: str) -> bool:
    elements = [word for word in pipeline.replace("!", " ").split() if word.endswith(("enc", "pay", "parse"))]
    elements += [word for word in pipeline.split() if word.startswith("avenc")]
    return all(
        subprocess.run(["gst-inspect-1.0", "--exists", each], check=False).returncode == 0 for each in set(elements)
    )


@contextlib.asynccontextmanager
async def foreign_camera(pipeline: str) -> AsyncIterator[str]:
    """The URL of a gst-rtsp-server with this pipeline."""
    process = await asyncio.create_subprocess_exec(
        "/usr/bin/python3",
        str(CAMERA),
        f"( {pipeline} )",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        async with asyncio.timeout(LIMIT):
            port = int(await process.stdout.readline())
        yield f"rtsp://127.0.0.1:{port}/main"
    finally:
        process.stdin.close()
        try:
            async with asyncio.timeout(5):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


class Received:
    """An intake of a stream, and a server that relays it."""

    def __init__(self, url: str) -> None:
        login, at, place = url.removeprefix("rtsp://").rpartition("@")
        self.stream = LiveStream("cam-1/main")
        self.frames: list[AccessUnit] = []
        self.states: list[tuple[bool, str]] = []
        self.intake = Intake(
            Source("cam-1/main", f"rtsp://{place}", USER if at else "", PASSWORD if login else ""),
            self.stream,
            SystemClock(),
            on_state=lambda online, reason: self.states.append((online, reason)),
            on_tracks=lambda _: None,
            on_frame=self._take,
        )

    def _take(self, unit: AccessUnit) -> None:
        if len(self.frames) < 500:
            self.frames.append(unit)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        task = asyncio.create_task(self.intake.run())
        mount = LiveMount(lambda path: self.stream if path.strip("/") == "main" else None, 60, format_wait=20.0)
        try:
            async with serving(mount) as url:
                yield url
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def serving(mount: LiveMount) -> AsyncIterator[str]:
    server = RtspServer({"/": mount}, verifier(), SystemClock())
    port = await server.serve("127.0.0.1", 0)
    try:
        yield f"rtsp://{USER}:{quote(PASSWORD)}@127.0.0.1:{port}/main"
    finally:
        await server.close()


async def play(url: str, kind: Kind, frames: int = FRAMES) -> list[str]:
    """Have ffmpeg decode some frames; the lines that tell them."""
    video = kind is Kind.VIDEO
    count = ("-frames:v", str(frames)) if video else ("-frames:a", str(frames))
    process = await asyncio.create_subprocess_exec(
        *("ffmpeg", "-nostdin", "-v", "error", "-rtsp_transport", "tcp", "-i", url),
        *("-map", "0:v:0" if video else "0:a:0", *count, "-f", "framemd5", "-"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(LIMIT):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode == 0, err.decode()
    return [line for line in out.decode().splitlines() if line and not line.startswith("#")]


def encoded_file(path: Path, codec: Codec) -> Path:
    """Twenty seconds of pictures, for what GStreamer has no encoder of, or none that works with live sources."""
    source = ("-f", "lavfi", "-i", "testsrc=size=320x176:rate=25:duration=20")
    how = ("mpeg4",) if codec is Codec.MPEG4 else ("libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", *source, "-c:v", *how, "-g", "10", str(path)]
    subprocess.run(command, check=True, timeout=LIMIT)
    return path


def stored(track: TrackFormat, frames: list[AccessUnit], path: Path) -> int:
    """Frames that libavformat decodes from a file of ours with these units."""
    units = frames[next(n for n, unit in enumerate(frames) if unit.key) :]
    step = timescale(track) // (25 if track.kind is Kind.VIDEO else 50)
    samples = [Sample(unit.data, step, unit.key) for unit in units]
    path.write_bytes(init_segment((track,)) + build_fragment(1, [Run(0, units[0].utc, 0, samples)]))
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(container.streams[0]))


@pytest.mark.parametrize("name", PIPELINES)
async def test_received_from_gstreamer_played_by_ffmpeg(name: str, tmp_path: Path) -> None:
    if missing := _lacks():
        pytest.skip(f"needs {missing}")
    if not _has(PIPELINES[name]):
        pytest.skip(f"GStreamer has no {name}")
    codec, pipeline = CODECS[name], PIPELINES[name]
    if "{file}" in pipeline:
        pipeline = pipeline.format(file=await asyncio.to_thread(encoded_file, tmp_path / "source.mp4", codec))
    async with foreign_camera(pipeline) as url:
        received = Received(url)
        async with received.running() as relayed:
            lines = await play(relayed, codec.kind)
            assert len(lines) == FRAMES
            assert received.intake.online, received.states
            track = received.stream.tracks[0].format
            assert track.codec is codec
            counters = received.intake.counters
            if codec in (Codec.OTHER_VIDEO, Codec.OTHER_AUDIO):
                assert track.rtpmap
                assert not received.frames
                return
            async with asyncio.timeout(LIMIT):
                while len(received.frames) < FRAMES:
                    await asyncio.sleep(0.02)
            assert counters.lost_packets == 0
            # joining in the middle may cost the first picture
            assert counters.bad_frames <= 1
            format = received.intake.tracks[0].format
    assert any(unit.key for unit in received.frames)
    if codec in STORABLE and codec is not Codec.JPEG:
        count = stored(format.stored, received.frames, tmp_path / "x.mp4")
        keyed = len(received.frames) - next(n for n, unit in enumerate(received.frames) if unit.key)
        assert count >= keyed - 2


@pytest.mark.parametrize(
    ("codec", "audio", "latm"),
    [
        (Codec.H264, Codec.AAC, False),
        (Codec.H265, Codec.AAC, True),
        (Codec.MPEG4, Codec.OPUS, False),
        (Codec.JPEG, Codec.G726, False),
        (Codec.H264, Codec.L16, False),
    ],
)
@pytest.mark.covers("S-MPEG4")
async def test_sent_by_the_simulated_camera_played_by_ffmpeg(
    clip_folder: Path, codec: Codec, audio: Codec, latm: bool
) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("needs ffmpeg")
    spec = replace(sub_spec(codec), gop=10 if codec is not Codec.JPEG else 1)
    maker = ClipMaker(clip_folder, 9, spec, spec)
    clip = await asyncio.to_thread(maker.clip, spec)
    clips = CameraClips(clip, clip, load_sound(clip_folder, audio, latm=latm), maker)
    clock = SystemClock()
    body = SimulatedCamera(
        9,
        clips,
        seed="test",
        bound="127.0.0.1",
        ports=Ports(http=1, https=None, rtsp=1),
        clock=clock,
        bus=EventBus(clock),
        users=lambda: (),
    )
    task = asyncio.create_task(body.run())
    try:
        async with serving(LiveMount(body.lookup, 60)) as url:
            assert len(await play(url, Kind.VIDEO)) == FRAMES
            assert len(await play(url, Kind.AUDIO)) == FRAMES
            # through the recorder's own intake, which reads what it can
            received = Received(url)
            async with received.running() as relayed:
                assert len(await play(relayed, Kind.AUDIO)) == FRAMES
                kinds = [each.format.codec for each in received.stream.tracks]
                assert kinds == [codec, audio]
                if audio is Codec.AAC:
                    assert aac.parse_config(received.intake.tracks[1].format.config).sample_rate == 16000
                assert received.intake.counters.bad_frames <= 1
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
