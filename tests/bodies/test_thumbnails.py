"""Small pictures of footage: which key frame is shown, what is kept, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from onvifd.archive.disk import SegmentFiles, Volume
from onvifd.archive.index import EndReason
from onvifd.archive.memory import MemorySegmentStore
from onvifd.archive.segment import Append, SegmentWriter
from onvifd.bodies import thumbnails as module
from onvifd.bodies.thumbnails import Thumbnails
from onvifd.clock import US
from onvifd.errors import LimitReached, NotFound, Unavailable
from onvifd.media.types import Codec
from onvifd.workers.messages import MakeJpeg
from onvifd.workers.vision import jpeg_of_keyframe
from tests.archive.conftest import T0, Clip, encode, video_units

REC = "rec-1"


class Vision:
    """Answers with what it was asked."""

    def __init__(self) -> None:
        self.asked: list[MakeJpeg] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, wanted: MakeJpeg) -> bytes:
        self.asked.append(wanted)
        await self.gate.wait()
        return b"JPEG of " + wanted.data


@pytest.fixture
def vision() -> Vision:
    return Vision()


@pytest.fixture(scope="session")
def clip() -> Clip:
    """A key frame every two seconds."""
    return encode(Codec.H264, seconds=2)


@pytest.fixture
def small(tmp_path: Path, vision: Vision, clip: Clip) -> Iterator[Thumbnails]:
    """Ten seconds, and after a gap two more; the last file is open."""
    store, volume = MemorySegmentStore(), Volume("v", tmp_path)
    for start, seconds, reason in ((0, 10, EndReason.GAP), (60, 2.5, None)):
        core, files = SegmentWriter(REC, "v", [clip.format]), SegmentFiles(volume, store)
        units = video_units(clip, T0 + start * US, seconds)
        actions = [action for unit in units for action in core.feed(unit, unit.utc / US)]
        for action in actions + (core.finish(reason) if reason else []):
            files.append(action) if isinstance(action, Append) else files.close(action)
    made = Thumbnails(store, lambda: {"v": volume}, vision)
    yield made
    made.close()


@pytest.mark.covers("PLY-11")
@pytest.mark.parametrize(
    ("at", "shown", "final"),
    [(0, 0, True), (1.9, 0, True), (2, 2, True), (9.9, 8, True), (30, 8, True), (60.4, 60, False), (100, 60, False)],
)
async def test_the_key_frame_at_or_before_the_moment(small: Thumbnails, at: float, shown: float, final: bool) -> None:
    found = await small.at(REC, T0 + round(at * US), 160)
    assert (found.utc, found.final) == (T0 + shown * US, final)


async def test_the_vision_worker_gets_all_that_it_needs(small: Thumbnails, vision: Vision, clip: Clip) -> None:
    await small.at(REC, T0 + US, 80)
    (asked,) = vision.asked
    assert (asked.codec, asked.parameter_sets, asked.width) == ("h264", clip.format.parameter_sets, 80)
    assert asked.data == clip.frames[0][1]
    assert (
        jpeg_of_keyframe(asked.codec, asked.parameter_sets, asked.data, asked.quality, asked.width)[:2] == b"\xff\xd8"
    )


async def test_a_picture_is_decoded_once(small: Thumbnails, vision: Vision, monkeypatch: pytest.MonkeyPatch) -> None:
    for at in (0, 0, 1, 2):
        await small.at(REC, T0 + at * US, 160)
    assert len(vision.asked) == 2
    await small.at(REC, T0, 320)
    assert len(vision.asked) == 3
    monkeypatch.setattr(module, "KEPT", 1)
    await small.at(REC, T0 + 4 * US, 160)
    await small.at(REC, T0, 160)
    assert len(vision.asked) == 5


async def test_before_all_footage_there_is_none(small: Thumbnails) -> None:
    for recording, at in ((REC, T0 - 1), ("rec-2", T0)):
        with pytest.raises(NotFound):
            await small.at(recording, at, 160)


async def test_those_who_ask_at_once_are_bounded(
    small: Thumbnails, vision: Vision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    vision.gate.clear()
    tasks = [asyncio.create_task(small.at(REC, T0 + n * 2 * US, 160)) for n in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(LimitReached):
        await small.at(REC, T0 + 4 * US, 160)
    vision.gate.set()
    assert len(await asyncio.gather(*tasks)) == 2
    await small.at(REC, T0 + 4 * US, 160)


async def test_a_worker_that_does_not_answer_is_given_up(
    small: Thumbnails, vision: Vision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TIMEOUT", 0.05)
    vision.gate.clear()
    with pytest.raises(Unavailable):
        await small.at(REC, T0, 160)
