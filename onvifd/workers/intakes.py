"""What a media worker pulls: from specs to intakes, and streams that wait to be asked for."""

from __future__ import annotations

import asyncio
import contextlib

from onvifd.cameras.intake import Intake, Source
from onvifd.live.hub import LiveStream
from onvifd.media.types import FlushUnit
from onvifd.rtsp.client_transport import Way
from onvifd.rtsp.client_trust import Judge, Trust
from onvifd.workers.specs import StreamSpec

WAKE = 5.0
"""Seconds that a picture of a stream that nobody watches is waited for."""


def source_of(name: str, spec: StreamSpec) -> Source:
    """What the intake of a stream pulls; `name` is `<camera>/<stream>`."""
    return Source(
        name,
        spec.url,
        spec.user,
        spec.password,
        spec.audio,
        Way(spec.transport),
        spec.tunnel_port,
        Trust(Judge(spec.trust), spec.pin),
        frozenset(spec.quirks),
        spec.digest,
    )


def on_demand(spec: StreamSpec) -> bool:
    """Whether a stream waits until somebody watches: never if it feeds a recording, which may need what was before."""
    return spec.on_demand and not spec.recordings


def must_restart(intake: Intake, name: str, spec: StreamSpec) -> bool:
    """Whether a stream cannot go on as it is. A pin that it has told itself is no change."""
    return not intake.is_same(source_of(name, spec))


async def awake(stream: LiveStream) -> None:
    """Wait for a key frame of a stream that may be asleep, WAKE seconds at most."""
    if stream.keyframe():
        return
    came = asyncio.Event()

    def look(unit: FlushUnit) -> None:
        if unit.end_of_frame and stream.keyframe():
            came.set()

    stream.attach(look, came.set)
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WAKE):
                await came.wait()
    finally:
        stream.detach(look)
