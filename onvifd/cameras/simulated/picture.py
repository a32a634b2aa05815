"""The picture of the simulated camera: a loop of 10 s whose every frame proves its camera and its place in the loop.

Everything is laid out on a grid of 640 x 360 units; a picture is drawn at a whole multiple of it (1 for the sub stream, 3 for
1080 lines). From top to bottom: a strip of blocks for machines, two lines of text for people, and the lane of an object that
crosses the picture in known seconds. The loop is aligned with UTC: frame 0 is the one at UTC seconds divisible by 10.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from onvifd.clock import US
from onvifd.errors import InvalidArgument

GRID_WIDTH, GRID_HEIGHT = 640, 360
FPS = 25
LOOP_SECONDS = 10
LOOP_FRAMES = FPS * LOOP_SECONDS
MOTION_START, MOTION_END = 3.0, 6.0
"""Seconds of each loop between which the object crosses the picture (start included, end excluded)."""

LANE_TOP, LANE_BOTTOM = 224, 344
"""Rows of the grid in which the object moves; nothing else changes there."""

MAX_CAMERA = 4095

_BLOCK = 16
_CODE_X, _CODE_Y = 48, 8
_SYNC, _TAIL = (1, 0, 1, 0), (0, 1)
_CAMERA_BITS, _FRAME_BITS, _CHECK_BITS = 12, 8, 8
_BLOCKS = len(_SYNC) + _CAMERA_BITS + _FRAME_BITS + _CHECK_BITS + len(_TAIL)
_BLACK, _WHITE = 16, 235

_GRAIN = 24
_GRAIN_FIELDS = 7
_GRAIN_AREA = (416, 40, 216, 176)
"""Left, top, width and height of the grain: beside the text, above the lane."""

_GLYPH = 9
_TEXT_X, _CAMERA_Y, _TIME_Y = 32, 48, 132
_OBJECT = 100
_OBJECT_COLOUR = (150, 90, 200)

Plane = npt.NDArray[np.uint8]


class BlockCode(NamedTuple):
    """What the strip says: camera number and frame within the loop (0 to 249)."""

    camera: int
    frame: int


# 5 x 7 dots, one row per number, the highest bit on the left
_FONT = {
    "0": (14, 17, 19, 21, 25, 17, 14),
    "1": (4, 12, 4, 4, 4, 4, 14),
    "2": (14, 17, 1, 2, 4, 8, 31),
    "3": (31, 2, 4, 2, 1, 17, 14),
    "4": (2, 6, 10, 18, 31, 2, 2),
    "5": (31, 16, 30, 1, 1, 17, 14),
    "6": (6, 8, 16, 30, 17, 17, 14),
    "7": (31, 1, 2, 4, 8, 8, 8),
    "8": (14, 17, 17, 14, 17, 17, 14),
    "9": (14, 17, 17, 15, 1, 2, 12),
    "A": (14, 17, 17, 31, 17, 17, 17),
    "C": (14, 17, 16, 16, 16, 17, 14),
    "F": (31, 16, 16, 30, 16, 16, 16),
    "M": (17, 27, 21, 21, 17, 17, 17),
    "S": (15, 16, 16, 14, 1, 1, 30),
    " ": (0, 0, 0, 0, 0, 0, 0),
}


def frame_at(utc: int) -> int:
    """Frame of the loop that is shown at `utc` (microseconds)."""
    return utc * FPS // US % LOOP_FRAMES


def motion_at(utc: int) -> bool:
    """Whether the object is moving at `utc` (microseconds)."""
    return MOTION_START * US <= utc % (LOOP_SECONDS * US) < MOTION_END * US


def next_motion_change(utc: int) -> int:
    """The first moment after `utc` at which `motion_at` changes."""
    loop = LOOP_SECONDS * US
    begin = utc - utc % loop
    edges = (int(MOTION_START * US), int(MOTION_END * US), loop + int(MOTION_START * US))
    return next(begin + edge for edge in edges if begin + edge > utc)


def object_at(second: float) -> tuple[int, int, int]:
    """Left, top and size of the moving object on the grid, at a second of the loop in which it moves."""
    way = (second - MOTION_START) / (MOTION_END - MOTION_START)
    return 20 + round(way * (GRID_WIDTH - _OBJECT - 40)), LANE_TOP + 10, _OBJECT


def read_block_code(luma: npt.NDArray[np.generic]) -> BlockCode | None:
    """Read the strip from a grey picture (height x width, 0 to 255) of any size; None without a readable one."""
    if luma.ndim != 2 or luma.shape[0] < GRID_HEIGHT // 4 or luma.shape[1] < GRID_WIDTH // 4:
        return None
    height, width = luma.shape
    top, bottom = round((_CODE_Y + 5) * height / GRID_HEIGHT), round((_CODE_Y + 11) * height / GRID_HEIGHT)
    bits = []
    for index in range(_BLOCKS):
        left = (_CODE_X + index * _BLOCK + 5) * width / GRID_WIDTH
        right = (_CODE_X + index * _BLOCK + 11) * width / GRID_WIDTH
        mean = float(luma[top : max(bottom, top + 1), round(left) : max(round(right), round(left) + 1)].mean())
        if 100 < mean < 155:
            return None
        bits.append(int(mean > 127))
    if tuple(bits[: len(_SYNC)]) != _SYNC or tuple(bits[-len(_TAIL) :]) != _TAIL:
        return None
    value = int("".join(map(str, bits[len(_SYNC) : -len(_TAIL)])), 2)
    value, check = divmod(value, 1 << _CHECK_BITS)
    camera, frame = divmod(value, 1 << _FRAME_BITS)
    if check != _checksum(value) or frame >= LOOP_FRAMES:
        return None
    return BlockCode(camera, frame)


def _checksum(value: int) -> int:
    """CRC-8 (polynomial 0x07, initial value 0xFF) over camera and frame, as 3 bytes."""
    remainder = 0xFF
    for byte in value.to_bytes(3, "big"):
        remainder ^= byte
        for _ in range(8):
            remainder = (remainder << 1 ^ 0x07 if remainder & 0x80 else remainder << 1) & 0xFF
    return remainder


def _code_bits(camera: int, frame: int) -> list[int]:
    value = camera << _FRAME_BITS | frame
    value = value << _CHECK_BITS | _checksum(value)
    length = _CAMERA_BITS + _FRAME_BITS + _CHECK_BITS
    return [*_SYNC, *(value >> shift & 1 for shift in reversed(range(length))), *_TAIL]


class Picture:
    """Draws the frames of one camera at `scale` times the grid.

    `canvas` is the picture in YUV 4:2:0 as one block of bytes (height * 3 / 2 rows of `width`: luma, then both chroma
    planes); every `draw` changes only what differs from the frame before. The background is a still texture that differs from
    camera to camera; in one area grain changes on every frame, so that the encoder has real work and the bit rate is real.
    """

    def __init__(self, camera: int, scale: int) -> None:
        if not 0 <= camera <= MAX_CAMERA:
            raise InvalidArgument(f"camera number must be 0 to {MAX_CAMERA}")
        self.camera = camera
        self.scale = scale
        self.width, self.height = width, height = GRID_WIDTH * scale, GRID_HEIGHT * scale
        self._random = np.random.default_rng(camera)
        self.canvas = np.empty((height * 3 // 2, width), np.uint8)
        self._y = self.canvas[:height]
        chroma = self.canvas[height:].reshape(2, height // 2, width // 2)
        self._u, self._v = chroma[0], chroma[1]
        self._still = self._background()
        left, top, grain_width, grain_height = (edge * scale for edge in _GRAIN_AREA)
        self._grain_at = (slice(top, top + grain_height), slice(left, left + grain_width))
        # the background is at most 200, so no addition can overflow
        self._grain = self._random.integers(0, 2 * _GRAIN + 1, (_GRAIN_FIELDS, grain_height, grain_width), np.uint8)
        self._y[:] = self._still
        self._text(_TEXT_X, _CAMERA_Y, f"CAM {camera}")
        self._fill(self._y, _CODE_X - _BLOCK, 0, (_BLOCKS + 2) * _BLOCK, _CODE_Y + _BLOCK + 8, _BLACK)
        self._tint = 128 + int(self._random.integers(0, 16)), 128 + int(self._random.integers(0, 16))
        self._u[:], self._v[:] = self._tint

    def draw(self, frame: int) -> Plane:
        """Draw frame `frame` (0 to 249) of the loop; returns the luma plane, valid until the next call."""
        np.add(self._still[self._grain_at], self._grain[frame % _GRAIN_FIELDS], out=self._y[self._grain_at])
        for index, bit in enumerate(_code_bits(self.camera, frame)):
            self._fill(self._y, _CODE_X + index * _BLOCK, _CODE_Y, _BLOCK, _BLOCK, _WHITE if bit else _BLACK)
        self._text(_TEXT_X, _TIME_Y, f"S{frame // FPS} F{frame:03d}")
        self._lane(frame)
        return self._y

    def _lane(self, frame: int) -> None:
        scale = self.scale
        rows = slice(LANE_TOP * scale, LANE_BOTTOM * scale)
        half = slice(rows.start // 2, rows.stop // 2)
        self._y[rows] = self._still[rows]
        self._u[half], self._v[half] = self._tint
        if not MOTION_START <= frame / FPS < MOTION_END:
            return
        x, top, _ = object_at(frame / FPS)
        luma, blue, red = _OBJECT_COLOUR
        self._fill(self._y, x, top, _OBJECT, _OBJECT, _WHITE)
        self._fill(self._y, x + 10, top + 10, _OBJECT - 20, _OBJECT - 20, luma)
        for plane, value in ((self._u, blue), (self._v, red)):
            plane[top * scale // 2 : (top + _OBJECT) * scale // 2, x * scale // 2 : (x + _OBJECT) * scale // 2] = value

    def _background(self) -> Plane:
        """A still texture of soft tiles, a gradient and fine structure: luma from 40 to 200."""
        tiles = self._random.integers(-20, 21, (18, 32)).astype(np.float32)
        fine = self._random.integers(-14, 15, (180, 320)).astype(np.float32)
        texture = tiles.repeat(20, 0).repeat(20, 1) + fine.repeat(2, 0).repeat(2, 1)
        texture += np.linspace(90, 150, GRID_WIDTH, dtype=np.float32)
        luma = np.clip(texture, 40, 200).astype(np.uint8)
        return np.asarray(luma.repeat(self.scale, 0).repeat(self.scale, 1), np.uint8)

    def _fill(self, plane: Plane, x: int, y: int, width: int, height: int, value: int) -> None:
        scale = self.scale
        plane[y * scale : (y + height) * scale, x * scale : (x + width) * scale] = value

    def _text(self, x: int, y: int, text: str) -> None:
        """White on black with dots of _GLYPH units."""
        self._fill(self._y, x - _GLYPH, y - _GLYPH, (6 * len(text) + 1) * _GLYPH, 9 * _GLYPH, _BLACK)
        for place, letter in enumerate(text):
            for row, dots in enumerate(_FONT[letter]):
                for column in range(5):
                    if dots >> (4 - column) & 1:
                        left = x + (6 * place + column) * _GLYPH
                        self._fill(self._y, left, y + row * _GLYPH, _GLYPH, _GLYPH, _WHITE)
