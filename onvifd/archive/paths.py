"""Where the files of segments lie below a volume."""

from __future__ import annotations

import re

from onvifd.clock import US, to_datetime
from onvifd.errors import InvalidArgument

_TOKEN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
_PATH = re.compile(rf"{_TOKEN.pattern}/\d{{4}}-\d\d-\d\d/\d\d/\d{{6}}\.\d{{3}}(-\d{{1,2}})?\.mp4", re.ASCII)


def segment_path(recording: str, start: int) -> str:
    """Path of a segment below its volume. Raises InvalidArgument for a token that cannot be a folder."""
    if not _TOKEN.fullmatch(recording):
        raise InvalidArgument("recording token cannot name a folder")
    moment = to_datetime(start)
    return f"{recording}/{moment:%Y-%m-%d}/{moment:%H}/{moment:%H%M%S}.{start % US // 1000:03d}.mp4"


def is_segment_path(relative: str) -> bool:
    """Whether a path below a volume is one that the archive gives to its files."""
    return _PATH.fullmatch(relative) is not None
