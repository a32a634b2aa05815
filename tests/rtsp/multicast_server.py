"""A server of the sample by multicast, for players in a network namespace.

`python -m tests.rtsp.multicast_server HOST GROUP PORT [started]` prints its RTSP port. With `started` the sample is sent without
any session, its parameter sets taken out of the stream.
"""

from __future__ import annotations

import asyncio
import sys

from onvifd.live.hub import LiveStream
from onvifd.live.mount import LiveMount
from onvifd.live.parts import Composition
from onvifd.media import nal
from onvifd.media.types import Kind
from onvifd.rtsp.multicast import Groups
from onvifd.rtsp.play import Multicast
from tests.rtsp import sample


async def main(host: str, address: str, port: int, started: bool) -> None:
    stream = LiveStream("cam-1/main")
    stream.set_tracks(sample.Source().tracks)
    group = Multicast(address, port, 1)
    groups = Groups(host)
    composition = Composition(name="n", profile="p", video=stream, multicast={Kind.VIDEO: group})
    server = sample.RtspServer(
        {"/live": LiveMount(lambda path: composition, 60, groups=groups)}, sample.verifier(), sample.SystemClock()
    )
    bound = await server.serve(host, 0)
    if started:
        groups.join(stream, 0, group, lambda: None)
        strip()
    print(bound, flush=True)
    async with sample.feeding(stream, 0.04):
        await asyncio.sleep(120)


def strip() -> None:
    """Let the sample's key frames come without parameter sets."""
    format, frames = sample.encoded()
    bare = tuple(
        (
            key,
            b"".join(len(unit).to_bytes(4, "big") + unit for unit in nal.iterate(data) if unit[0] & 0x1F not in (7, 8)),
        )
        for key, data in frames
    )
    sample.encoded = lambda: (format, bare)  # type: ignore[assignment]


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), "started" in sys.argv[4:]))
