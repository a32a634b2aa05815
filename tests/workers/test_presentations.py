"""Media profiles of a media worker."""

import asyncio

import pytest

from onvifd.live.hub import LiveStream
from onvifd.live.parts import Composition
from onvifd.media.types import Kind
from onvifd.rtsp.play import Multicast
from onvifd.workers.messages import Presentations
from onvifd.workers.presentations import PresentationTable
from onvifd.workers.specs import MetadataSpec, MulticastSpec, PresentationSpec

STREAMS = {("cam-1", name): LiveStream(f"cam-1/{name}") for name in ("main", "sub")}


def table(*specs: PresentationSpec) -> PresentationTable:
    made = PresentationTable(lambda camera, stream: STREAMS.get((camera, stream)))
    made.replace(Presentations(presentations=specs))
    return made


def test_without_profiles_a_path_names_a_stream() -> None:
    empty = table()
    assert empty.lookup("/live/cam-1/sub") is STREAMS["cam-1", "sub"]
    assert empty.lookup("/live/cam-1/none") is None
    assert empty.lookup("/live/cam-1") is None
    assert empty.lookup("/other/cam-1/sub") is None


def test_a_profile_is_composed_of_its_streams_and_groups() -> None:
    group = MulticastSpec(kind="video", address="239.1.1.1", port=5000, ttl=2)
    found = table(
        PresentationSpec(
            path="/live/cam-1/mine", profile="mine", camera="cam-1", video="sub", audio="main", multicast=(group,)
        )
    ).lookup("/live/cam-1/mine")
    assert isinstance(found, Composition)
    assert (found.video, found.audio) == (STREAMS["cam-1", "sub"], STREAMS["cam-1", "main"])
    assert (found.profile, found.name) == ("mine", "cam-1/mine")
    assert found.multicast == {Kind.VIDEO: Multicast("239.1.1.1", 5000, 2)}


def test_a_profile_of_a_camera_that_is_not_here_is_none() -> None:
    assert table(PresentationSpec(path="/live/x/p", profile="p", camera="x", video="main")).lookup("/live/x/p") is None


def test_profiles_that_are_not_named_any_more_are_gone() -> None:
    made = table(PresentationSpec(path="/live/cam-1/p", profile="p", camera="cam-1", video="main"))
    assert made.lookup("/live/cam-1/p") is not None
    made.replace(Presentations())
    assert made.lookup("/live/cam-1/p") is None


@pytest.mark.covers("S-media-SetSynchronizationPoint", "T-media2-SetSynchronizationPoint")
def test_a_synchronisation_point_is_asked_of_every_stream_of_the_profile_that_needs_one() -> None:
    document = LiveStream("cam-1/metadata/m")
    made = PresentationTable(lambda camera, stream: STREAMS.get((camera, stream)), lambda spec: document)
    spec = PresentationSpec(
        path="/live/cam-1/p", profile="p", camera="cam-1", video="main", audio="sub", metadata=MetadataSpec(token="m")
    )
    made.replace(Presentations(presentations=(spec,)))
    asked: list[str] = []

    async def ask() -> None:
        for stream in (*STREAMS.values(), document):
            stream.on_keyframe_wanted = lambda name=stream.name: asked.append(name)  # type: ignore[misc]
        assert made.synchronise("/live/cam-1/p")

    asyncio.run(ask())
    # none of the stream of which sound alone is taken
    assert asked == ["cam-1/main", "cam-1/metadata/m"]
    assert not made.synchronise("/live/cam-1/none")
