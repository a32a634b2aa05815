"""What a picture of the simulated camera proves: the camera's number and the time within the loop of 10 s."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from onvifd.cameras.simulated.picture import read_block_code

LOOP_US = 10_000_000
FRAME_US = 40_000
"""25 frames a second."""

Grey = npt.NDArray[Any]


def loop_time(grey: Grey) -> int:
    """Microseconds within the loop that the block code of a grey picture states."""
    code = read_block_code(np.ascontiguousarray(grey))
    assert code is not None, "no block code in the picture"
    return code.frame * FRAME_US % LOOP_US


def apart(first: int, second: int) -> int:
    """Distance of two times modulo the loop, in microseconds."""
    distance = (first - second) % LOOP_US
    return min(distance, LOOP_US - distance)


def grey_frames(data: bytes, width: int, height: int) -> list[Grey]:
    """Raw 8-bit pictures, one after the other."""
    whole = len(data) // (width * height) * (width * height)
    return list(np.frombuffer(data[:whole], np.uint8).reshape(-1, height, width))
