"""JPEG streams on demand: from a live stream over a line to the decoder and back."""

from __future__ import annotations

import asyncio
import fractions
import itertools
import socket
from collections.abc import AsyncIterator, Callable
from functools import lru_cache
from typing import cast

import av
import numpy as np
import pytest
from av.video.codeccontext import VideoCodecContext

from onvifd.clock import US, ntp_to_utc
from onvifd.errors import Unavailable
from onvifd.live.hub import LiveStream, LiveTrack
from onvifd.media import jpeg, nal, video
from onvifd.media.rtp.frame import Frame
from onvifd.media.rtp.jpeg import JpegDepacketizer, tell_extension
from onvifd.media.rtp.pack import Packer
from onvifd.media.rtp.packet import SenderReport, parse_rtcp, parse_rtp
from onvifd.media.types import AccessUnit, Codec, FlushUnit, TrackFormat
from onvifd.workers.messages import Presentations
from onvifd.workers.picture_line import MAX_MESSAGE, Begin, Picture, PictureLine, Refused, Unit, Word
from onvifd.workers.pictures import Pictures
from onvifd.workers.specs import PictureSpec, PresentationSpec
from onvifd.workers.vision_codec import Transcoder, quantizer, wanted_size
from onvifd.workers.vision_pictures import MAX_UNITS, PictureMakers
from tests.media.pictures import make_jpeg, pattern, show

T0 = 1_767_225_600_000_000
FRAME = US // 25
WAIT = 20.0
_NAMES = {Codec.H264: "libx264", Codec.H265: "libx265", Codec.MPEG4: "mpeg4"}


@lru_cache(8)
def encoded(
    codec: Codec, width: int = 640, height: int = 384, count: int = 50
) -> tuple[TrackFormat, tuple[AccessUnit, ...]]:
    """Two groups of the test pattern with a white bar that moves."""
    if codec is Codec.JPEG:
        one = TrackFormat(codec=codec, clock_rate=90_000, width=width, height=height)
        data = make_jpeg(width, height)
        return one, tuple(AccessUnit(0, T0 + n * FRAME, n * 3600, True, data) for n in range(count))
    encoder = cast(VideoCodecContext, VideoCodecContext.create(_NAMES[codec], "w"))
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base = fractions.Fraction(1, 25)
    encoder.gop_size = 25
    encoder.options = {
        Codec.H264: {"preset": "ultrafast", "tune": "zerolatency", "x264-params": "repeat-headers=1:scenecut=0"},
        Codec.H265: {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "x265-params": "log-level=none:repeat-headers=1:scenecut=0",
        },
        Codec.MPEG4: {"b": "2000000"},
    }[codec]
    units = []
    base = pattern(width, height)
    for number in range(count):
        picture = base.copy()
        picture[:32, number * 8 : number * 8 + 32] = 255
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24").reformat(format="yuv420p")
        frame.pts = number
        for packet in encoder.encode(frame):
            data = bytes(packet)
            if codec is not Codec.MPEG4:
                data = nal.from_annexb(data)
            units.append(AccessUnit(0, T0 + number * FRAME, number * 3600, packet.is_keyframe, data))
    format = TrackFormat(codec=codec, clock_rate=90_000, width=width, height=height)
    if codec is not Codec.MPEG4:
        format = video.with_parameter_sets(format, video.find_parameter_sets(codec, units[0].data))
    return format, tuple(units)


class Source:
    """A camera's stream: publishes units as fast as it is told."""

    def __init__(self, name: str, codec: Codec = Codec.H264, width: int = 640, height: int = 384) -> None:
        self.stream = LiveStream(name)
        self.format, self.units = encoded(codec, width, height)
        self.packer = Packer(self.format, track=0, payload_type=96, ssrc=5)
        self.stream.set_tracks((LiveTrack(self.format, 96, 5),))
        self.stream.online = True
        self.sent = 0

    def send(self, count: int, shift: int = 0) -> None:
        for _ in range(count):
            laps, number = divmod(self.sent, len(self.units))
            unit = self.units[number]
            later = laps * len(self.units) * FRAME + shift
            self.sent += 1
            self.stream.publish(
                self.packer.pack(AccessUnit(0, unit.utc + later, unit.ticks + later * 9 // 100, unit.key, unit.data))
            )


class Watcher:
    """Somebody who watches pictures."""

    def __init__(self) -> None:
        self.units: list[FlushUnit] = []
        self.frames: list[tuple[int, Frame]] = []
        self.reports: list[SenderReport] = []
        self.ended = 0
        self._joiner = JpegDepacketizer(TrackFormat(codec=Codec.JPEG, clock_rate=90_000))

    def take(self, unit: FlushUnit) -> None:
        if unit.rtcp:
            self.reports += [each for each in parse_rtcp(unit.data[4:]) if isinstance(each, SenderReport)]
            return
        self.units.append(unit)
        for start, end in itertools.pairwise((*unit.starts, len(unit.data))):
            packet = parse_rtp(unit.data, start + 4, end)
            tell_extension(self._joiner, packet)
            for frame in self._joiner.feed(unit.data[packet.start : packet.end], packet.marker, packet.rtp_time, True):
                assert not frame.damaged
                self.frames.append((unit.utc, frame))

    def end(self) -> None:
        self.ended += 1

    def numbers(self) -> list[int]:
        return [
            parse_rtp(unit.data, start + 4, end).seq
            for unit in self.units
            for start, end in itertools.pairwise((*unit.starts, len(unit.data)))
        ]


class Scene:
    """A media worker's pictures and a vision worker with a line between them."""

    def __init__(self, *, most: int = 16, linger: float = 0.1) -> None:
        self.sources: dict[tuple[str, str], Source] = {}
        self.pictures = Pictures(self._find, linger=linger)
        self.makers = PictureMakers(most=most)
        self.join()

    def _find(self, camera: str, name: str) -> LiveStream | None:
        found = self.sources.get((camera, name))
        return found.stream if found is not None else None

    def join(self) -> None:
        one, other = socket.socketpair()
        self.makers.connect(one)
        self.pictures.connect(other)

    def add(self, camera: str = "cam-1", name: str = "sub", *shape: object) -> Source:
        made = self.sources[camera, name] = Source(f"{camera}/{name}", *shape)  # type: ignore[arg-type]
        return made

    def stream(self, camera: str = "cam-1") -> LiveStream:
        found = self.pictures.stream(camera)
        assert found is not None
        return found

    def set(self, camera: str = "cam-1", **settings: float) -> None:
        spec = PictureSpec(**settings)  # type: ignore[arg-type]
        path = f"/live/{camera}/jpeg"
        self.pictures.replace(
            Presentations(
                presentations=(
                    PresentationSpec(path=path, profile=f"{camera}-jpeg", camera=camera, video="jpeg", picture=spec),
                )
            )
        )

    def watch(self, stream: LiveStream) -> Watcher:
        watcher = Watcher()
        for unit in stream.backlog():
            watcher.take(unit)
        stream.attach(watcher.take, watcher.end)
        return watcher


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    made = Scene()
    yield made
    await made.pictures.stop()
    await made.makers.stop()


async def until(true: Callable[[], object], step: Callable[[], object] = lambda: None) -> None:
    async with asyncio.timeout(WAIT):
        while not true():
            step()
            await asyncio.sleep(0.01)


@pytest.mark.covers("S-JPEG")
@pytest.mark.parametrize("codec", [Codec.H264, Codec.H265, Codec.MPEG4, Codec.JPEG])
async def test_pictures_have_the_times_of_their_source(scene: Scene, codec: Codec) -> None:
    source = scene.add("cam-1", "sub", codec)
    scene.set(width=320, height=192, framerate=5.0, quality=80.0)
    source.send(1)
    stream = scene.stream()
    assert await stream.known(WAIT)
    (track,) = stream.tracks
    assert (track.format.codec, track.payload_type, track.format.clock_rate) == (Codec.JPEG, 26, 90_000)
    watcher = scene.watch(stream)
    await until(lambda: len(watcher.frames) >= 6, lambda: source.send(1) if source.sent < 49 else None)
    times = [utc for utc, _ in watcher.frames]
    assert times[0] == T0
    assert set(times) <= {unit.utc for unit in source.units}
    assert all(abs(after - before - US // 5) <= FRAME for before, after in itertools.pairwise(times))
    picture = show(watcher.frames[-1][1].data)
    assert picture.shape == (192, 320, 3)
    red, green, blue = picture[60, 40], picture[60, 280], picture[150, 40]
    assert red[0] > 150 > red[1]
    assert green[1] > 150 > green[0]
    assert blue[2] > 150 > blue[0]
    # a sender report ties RTP time to the same clock
    report = watcher.reports[0]
    first = watcher.units[0]
    assert abs(ntp_to_utc(report.ntp) - T0) < 2
    assert report.rtp_time == first.rtp_time
    assert [unit.rtp_time - first.rtp_time & 0xFFFFFFFF for unit in watcher.units] == [
        (utc - T0) * 9 // 100 for utc in times
    ]


async def test_nothing_runs_when_nobody_watches(scene: Scene) -> None:
    source = scene.add()
    stream = scene.stream()
    source.send(2)
    assert (scene.pictures.running, scene.makers.count, source.stream.clients) == (0, 0, 0)
    watcher = scene.watch(stream)
    await until(lambda: watcher.frames)
    assert (scene.pictures.running, scene.makers.count, source.stream.clients) == (1, 1, 1)
    stream.detach(watcher.take)
    await until(lambda: scene.makers.count == 0)
    assert (scene.pictures.running, source.stream.clients) == (0, 0)
    # and it begins again, with a report of the new time and numbers that go on
    assert stream.backlog() == []
    again = scene.watch(stream)
    await until(lambda: again.frames, lambda: source.send(1))
    assert again.reports
    assert again.numbers()[0] == (watcher.numbers()[-1] + 1) & 0xFFFF


async def test_a_description_alone_is_enough_to_begin_and_is_let_go(scene: Scene) -> None:
    scene.add().send(1)
    assert await scene.stream().known(WAIT)
    assert scene.pictures.running == 1
    await until(lambda: scene.pictures.running == 0 and scene.makers.count == 0)
    assert scene.stream().tracks == ()


async def test_two_watchers_share_one_decoder(scene: Scene) -> None:
    source = scene.add()
    one = scene.watch(scene.stream())
    two = scene.watch(scene.stream())
    await until(lambda: one.frames and two.frames, lambda: source.send(1))
    assert scene.makers.count == 1


async def test_a_vision_worker_that_dies_is_replaced(scene: Scene) -> None:
    source = scene.add()
    watcher = scene.watch(scene.stream())
    await until(lambda: len(watcher.frames) > 1, lambda: source.send(1))
    await scene.makers.stop()
    count = len(watcher.frames)
    scene.makers = PictureMakers()
    scene.join()
    await until(lambda: len(watcher.frames) > count + 2, lambda: source.send(1))
    assert watcher.ended == 0
    numbers = watcher.numbers()
    assert all((before + 1) & 0xFFFF == after for before, after in itertools.pairwise(numbers))
    times = [utc for utc, _ in watcher.frames]
    assert times == sorted(times)


async def test_settings_change_while_it_is_watched(scene: Scene) -> None:
    source = scene.add()
    scene.set(width=320, height=192, framerate=25.0)
    watcher = scene.watch(scene.stream())
    await until(lambda: watcher.frames, lambda: source.send(1))
    assert jpeg.size_of(watcher.frames[-1][1].data) == (320, 192)
    scene.set(width=160, height=96, framerate=25.0)
    await until(lambda: jpeg.size_of(watcher.frames[-1][1].data) == (160, 96), lambda: source.send(1))
    assert watcher.ended == 0
    assert scene.makers.count == 1


async def test_larger_pictures_are_made_of_the_main_stream(scene: Scene) -> None:
    main = scene.add("cam-1", "main", Codec.H264, 1280, 768)
    sub = scene.add("cam-1", "sub")
    scene.set(width=960, height=576)
    watcher = scene.watch(scene.stream())

    def both() -> None:
        main.send(1)
        sub.send(1)

    await until(lambda: watcher.frames, both)
    assert (main.stream.clients, sub.stream.clients) == (1, 0)
    scene.set(width=320, height=192)
    await until(lambda: sub.stream.clients == 1)
    assert main.stream.clients == 0


async def test_without_a_smaller_stream_the_main_one_serves(scene: Scene) -> None:
    scene.add("cam-1", "main").send(1)
    assert await scene.stream().known(WAIT)
    assert scene.pictures.stream("cam-2") is None


async def test_too_many_are_refused_with_the_reason() -> None:
    scene = Scene(most=1)
    try:
        for camera in ("cam-1", "cam-2"):
            scene.add(camera).send(1)
        watcher = scene.watch(scene.stream("cam-1"))
        await until(lambda: watcher.frames)
        with pytest.raises(Unavailable, match="no more than 1 JPEG streams"):
            await scene.stream("cam-2").known(WAIT)
        with pytest.raises(Unavailable):
            await scene.stream("cam-2").known(WAIT)
        late = scene.watch(scene.stream("cam-2"))
        await until(lambda: late.ended)
        assert scene.makers.count == 1
    finally:
        await scene.pictures.stop()
        await scene.makers.stop()


async def test_a_source_that_is_replaced_goes_on(scene: Scene) -> None:
    source = scene.add()
    watcher = scene.watch(scene.stream())
    await until(lambda: watcher.frames, lambda: source.send(1))
    other = scene.add("cam-1", "sub", Codec.H265)
    source.stream.end()
    count = len(watcher.frames)
    await until(lambda: len(watcher.frames) > count, lambda: other.send(1, shift=60 * US))
    assert watcher.ended == 0


async def test_cameras_that_are_gone_end(scene: Scene) -> None:
    source = scene.add()
    watcher = scene.watch(scene.stream())
    await until(lambda: watcher.frames, lambda: source.send(1))
    scene.sources.clear()
    scene.pictures.forget()
    assert watcher.ended == 1
    await until(lambda: scene.makers.count == 0)


async def test_time_stamps_grow_when_the_clock_is_set_back(scene: Scene) -> None:
    source = scene.add()
    scene.set(width=320, height=192, framerate=25.0)
    watcher = scene.watch(scene.stream())
    await until(lambda: len(watcher.frames) > 3, lambda: source.send(1))
    before = len(watcher.frames)
    await until(lambda: watcher.units[-1].utc < T0 - US, lambda: source.send(1, shift=-3600 * US))
    assert len(watcher.frames) > before
    ticks = [unit.rtp_time for unit in watcher.units]
    assert all(0 < (after - first) & 0xFFFFFFFF < 1 << 31 for first, after in itertools.pairwise(ticks))
    told = watcher.reports[-1]
    assert ntp_to_utc(told.ntp) < T0
    assert told.rtp_time in ticks


async def test_what_does_not_decode_is_left_out(scene: Scene) -> None:
    source = scene.add()
    watcher = scene.watch(scene.stream())
    bad = AccessUnit(0, T0, 0, True, nal.join([b"\x67garbage", b"\x68more", b"\x65" + bytes(900)]))
    source.stream.publish(source.packer.pack(bad))
    await until(lambda: watcher.frames, lambda: source.send(1))
    assert jpeg.size_of(watcher.frames[0][1].data)[0] == 640


async def test_a_decoder_that_fails_ends_the_pictures_with_a_reason(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def work(coder: Transcoder, *_: object) -> list[tuple[int, bytes]]:
        raise RuntimeError("no such picture")

    monkeypatch.setattr(Transcoder, "work", work)
    source = scene.add()
    source.send(1)
    with pytest.raises(Unavailable, match="cannot be made"):
        await scene.stream().known(WAIT)
    await until(lambda: scene.makers.count == 0)
    assert "no such picture" in caplog.text


# ---- the line --------------------------------------------------------------------------------------


async def test_garbage_ends_a_line_and_no_more(scene: Scene) -> None:
    source = scene.add()
    watcher = scene.watch(scene.stream())
    await until(lambda: watcher.frames, lambda: source.send(1))
    for data in (b"\xff\xff\xff\xff", b"\0\0\0\4abcd", b"\0\0\0\1\xc0"):
        one, other = socket.socketpair()
        scene.makers.connect(one)
        other.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(other, data)
        async with asyncio.timeout(WAIT):
            assert await loop.sock_recv(other, 1) == b""
        other.close()
    count = len(watcher.frames)
    await until(lambda: len(watcher.frames) > count, lambda: source.send(1))


async def test_words_about_unknown_numbers_and_encodings(scene: Scene) -> None:
    heard: list[Word] = []
    one, other = socket.socketpair()
    scene.makers.connect(one)
    line = await PictureLine.open(other, lambda _, word: heard.append(word))
    try:
        line.send(Unit(9, T0, True, b"x"))
        line.send(Begin(1, "theora", (), b"", 0, 0, 5.0, 75.0))
        await until(lambda: heard)
        assert heard == [Refused(1, "no picture can be made of theora")]
        # a decoder that lags drops to the next key frame
        format, units = encoded(Codec.H264)
        line.send(Begin(2, "h264", format.parameter_sets, b"", 160, 96, 0.0, 50.0))
        for lap in range(MAX_UNITS // 50 + 4):
            for unit in units:
                line.send(Unit(2, unit.utc + lap * 50 * FRAME, unit.key, unit.data))
        last = units[-1].utc + (MAX_UNITS // 50 + 3) * 50 * FRAME
        await until(lambda: any(isinstance(word, Picture) and word.utc == last for word in heard))
        assert all(jpeg.size_of(word.data) == (160, 96) for word in heard if isinstance(word, Picture))
    finally:
        await line.close()


async def test_a_fault_of_who_hears_ends_the_line_and_is_told(caplog: pytest.LogCaptureFixture) -> None:
    def hear(line: PictureLine, word: Word) -> None:
        raise RuntimeError("not understood")

    one, other = socket.socketpair()
    line, speaker = await PictureLine.open(one, hear), await PictureLine.open(other, hear)
    try:
        speaker.send(Unit(1, T0, True, b"x"))
        async with asyncio.timeout(WAIT):
            await asyncio.shield(line.closed)
        await until(lambda: "not understood" in caplog.text)
    finally:
        await line.close()
        await speaker.close()


async def test_what_is_too_large_is_left_out_and_the_line_stands() -> None:
    heard: list[Word] = []
    one, other = socket.socketpair()
    line = await PictureLine.open(one, lambda _, word: None)
    listener = await PictureLine.open(other, lambda _, word: heard.append(word))
    try:
        assert not line.send(Unit(1, T0, True, bytes(MAX_MESSAGE)))
        assert line.send(Unit(2, T0, True, b"x"))
        await until(lambda: heard)
        assert heard == [Unit(2, T0, True, b"x")]
    finally:
        await line.close()
        await listener.close()


async def test_who_does_not_read_loses_pictures_not_the_line() -> None:
    one, other = socket.socketpair()
    line = await PictureLine.open(one, lambda _, word: None)
    try:
        sent = [line.send(Unit(1, T0, True, bytes(1 << 20))) for _ in range(40)]
        assert sent[0]
        assert not sent[-1]
        assert not line.closed.done()
    finally:
        await line.close()
        other.close()


# ---- decoding --------------------------------------------------------------------------------------


def begin(**settings: object) -> Begin:
    format, _ = encoded(Codec.H264)
    usual = {"width": 160, "height": 96, "rate": 5.0, "quality": 75.0}
    return Begin(number=1, codec="h264", parameter_sets=format.parameter_sets, config=b"", **usual | settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(("rate", "count"), [(1.0, 2), (5.0, 10), (10.0, 20), (12.5, 25), (25.0, 50), (0.0, 50)])
def test_rate(rate: float, count: int) -> None:
    _, units = encoded(Codec.H264)
    made = Transcoder(begin(rate=rate)).work(Unit(1, each.utc, each.key, each.data) for each in units)
    assert len(made) == count


def test_late_pictures_are_not_made() -> None:
    _, units = encoded(Codec.H264)
    made = Transcoder(begin()).work([Unit(1, each.utc, each.key, each.data) for each in units[:20]], True)
    assert [utc for utc, _ in made] == [units[15].utc]


def test_quality() -> None:
    _, units = encoded(Codec.H264)
    sizes = []
    for quality in (10.0, 50.0, 90.0):
        ((_, data),) = Transcoder(begin(quality=quality)).work([Unit(1, units[0].utc, True, units[0].data)])
        sizes.append(len(data))
        picture = jpeg.parse(data)
        assert picture.restart == 0
        assert picture.dc == (jpeg.DC_LUMINANCE, jpeg.DC_CHROMINANCE, jpeg.DC_CHROMINANCE)
    assert sizes == sorted(sizes)
    assert [quantizer(each) for each in (0, 1, 50, 75, 100)] == [31, 31, 8, 4, 1]


def test_sizes() -> None:
    assert wanted_size(1920, 1080, 0, 0) == (1920, 1080)
    assert wanted_size(1920, 1080, 640, 0) == (640, 360)
    assert wanted_size(320, 180, 640, 0) == (320, 180)
    assert wanted_size(1920, 1080, 320, 240) == (320, 240)
