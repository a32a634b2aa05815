"""What is watched at a media worker is counted, whatever it is made of."""

from __future__ import annotations

from onvifd.clock import SimulatedClock
from onvifd.live.hub import LiveStream
from onvifd.workers.link import LocalLink
from onvifd.workers.media import MediaWorker
from onvifd.workers.messages import Presentations
from onvifd.workers.specs import MetadataSpec, PresentationSpec


async def test_metadata_and_pictures_count_in_the_bandwidth() -> None:
    worker = MediaWorker(LocalLink.pair()[0], SimulatedClock())
    spec = PresentationSpec(
        path="/live/cam-1/p", profile="p", camera="cam-1", video="jpeg", metadata=MetadataSpec(token="m")
    )
    worker._metadata.replace(Presentations(presentations=(spec,)))
    metadata = worker._metadata.stream(spec)
    assert metadata is not None
    worker._pictures._find = lambda camera, name: LiveStream(f"{camera}/{name}")
    pictures = worker._pictures.stream("cam-1")
    assert pictures is not None
    worker._measure(1.0)
    metadata.attach(lambda unit: None, lambda: None)
    metadata.synchronise()
    pictures._octets = 1000
    worker._measure(2.0)
    assert metadata.bitrate > 0
    assert pictures.bitrate == 8000
    await worker.stop()
