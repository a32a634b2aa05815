from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onvifd.cameras.simulated import picture
from onvifd.cameras.simulated.picture import BlockCode, Picture, motion_at, next_motion_change, read_block_code
from onvifd.clock import US
from onvifd.errors import InvalidArgument

T0 = 1_767_225_600 * US


@settings(deadline=None, max_examples=40)
@given(camera=st.integers(0, picture.MAX_CAMERA), frame=st.integers(0, 249))
def test_the_code_of_every_picture_reads_back(camera: int, frame: int) -> None:
    assert read_block_code(Picture(camera, 1).draw(frame)) == BlockCode(camera, frame)


@pytest.mark.parametrize("size", [(180, 320), (720, 1280), (480, 640), (1080, 1920)])
def test_the_code_survives_scaling_and_noise(size: tuple[int, int]) -> None:
    luma = Picture(12, 3).draw(201)
    rows = np.arange(size[0]) * luma.shape[0] // size[0]
    columns = np.arange(size[1]) * luma.shape[1] // size[1]
    noise = np.random.default_rng(0).integers(-25, 26, size)
    small = np.clip(luma[rows][:, columns].astype(int) + noise, 0, 255)
    assert read_block_code(small) == BlockCode(12, 201)


def test_no_code_in_other_pictures() -> None:
    random = np.random.default_rng(3)
    assert read_block_code(np.zeros((360, 640), np.uint8)) is None
    assert read_block_code(np.full((360, 640), 255, np.uint8)) is None
    assert read_block_code(np.zeros((10, 10), np.uint8)) is None
    assert read_block_code(np.zeros((360, 640, 3), np.uint8)) is None
    for _ in range(20):
        assert read_block_code(random.integers(0, 256, (360, 640), np.uint8)) is None


def test_one_wrong_block_is_noticed() -> None:
    luma = Picture(5, 1).draw(99).copy()
    for block in range(4, 32):
        wrong = luma.copy()
        area = wrong[8:24, 48 + 16 * block : 64 + 16 * block]
        area[:] = 251 - area
        assert read_block_code(wrong) is None


def test_the_loop_is_aligned_with_utc() -> None:
    assert picture.frame_at(T0) == 0
    assert picture.frame_at(T0 + 3 * US) == 75
    assert picture.frame_at(T0 + 10 * US - 1) == 249


def test_motion_times() -> None:
    changes = [T0 - 4 * US, T0 + 3 * US, T0 + 6 * US, T0 + 13 * US]
    for before, after in itertools.pairwise(changes):
        assert next_motion_change(before) == after
        assert motion_at(after) is not motion_at(after - 1)
    assert motion_at(T0 + 3 * US)
    assert not motion_at(T0 + 6 * US)


def test_the_lane_moves_in_motion_times_only() -> None:
    drawing = Picture(1, 1)
    lane = slice(picture.LANE_TOP, picture.LANE_BOTTOM)
    last = drawing.draw(249)[lane].copy()
    for frame in range(250):
        now = drawing.draw(frame)[lane].copy()
        moved = bool(np.abs(now.astype(int) - last).max() > 30)
        # the object appears with frame 75 and is gone with frame 150
        assert moved is (75 <= frame <= 150)
        last = now


def test_camera_numbers_are_bounded() -> None:
    with pytest.raises(InvalidArgument):
        Picture(4096, 1)
