"""Profiles that are sent by multicast without any session."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from onvifd.live.hub import LiveStream, LiveTrack
from onvifd.media.types import Codec, TrackFormat
from onvifd.rtsp.multicast import Groups
from onvifd.workers.groups import StartedGroups
from onvifd.workers.messages import Presentations
from onvifd.workers.presentations import PresentationTable
from onvifd.workers.specs import MulticastSpec, PresentationSpec
from tests.rtsp.test_multicast import Listener, free_group, key, numbers

covers = pytest.mark.covers("S-StartMulticastStreaming", "S-StopMulticastStreaming")
VIDEO = LiveTrack(TrackFormat(codec=Codec.H264, clock_rate=90000), 96, 0x11)


class Setting:
    def __init__(self) -> None:
        self.streams = {"main": LiveStream("cam-1/main")}
        self.table = PresentationTable(lambda camera, name: self.streams.get(name))
        self.groups = Groups("127.0.0.1")
        self.started = StartedGroups(self.table, self.groups)
        self.group = free_group()

    def tell(self, started: bool, port: int = 0, profile: str = "p") -> None:
        multicast = MulticastSpec(kind="video", address=self.group.address, port=port or self.group.port, ttl=1)
        spec = PresentationSpec(
            path=f"/live/cam-1/{profile}",
            profile=profile,
            camera="cam-1",
            video="main",
            multicast=(multicast,),
            started=started,
        )
        self.table.replace(Presentations(presentations=(spec,)))
        self.started.refresh()


@pytest.fixture
async def setting() -> AsyncIterator[Setting]:
    made = Setting()
    yield made
    made.started.close()
    made.groups.close()


@covers
async def test_a_started_profile_is_sent_as_soon_as_its_camera_tells_what_it_is(setting: Setting) -> None:
    stream = setting.streams["main"]
    setting.tell(True)
    assert setting.groups.senders == ()
    assert stream.wanted, "a stream on demand must begin"
    stream.set_tracks((VIDEO,))
    setting.started.refresh()
    assert stream.clients == 1
    listener = Listener(setting.group)
    stream.publish(key(1))
    assert numbers(await listener.take(3)) == [1, 2, 3]
    listener.close()
    setting.tell(False)
    assert setting.groups.senders == ()
    assert not stream.wanted


@covers
async def test_a_stream_that_ends_before_it_tells_what_it_is_is_asked_for_again(setting: Setting) -> None:
    stream = setting.streams["main"]
    setting.tell(True)
    stream.end()  # as pictures on demand do that are refused
    assert not stream.wanted
    setting.started.refresh()
    assert stream.wanted
    setting.tell(False)
    assert not stream.wanted


@covers
async def test_a_changed_group_is_left_for_the_new_one(setting: Setting) -> None:
    setting.streams["main"].set_tracks((VIDEO,))
    setting.tell(True)
    setting.tell(True, setting.group.port + 2)
    (sender,) = setting.groups.senders
    assert sender.group.port == setting.group.port + 2


@covers
async def test_two_profiles_of_one_configuration_send_once(setting: Setting) -> None:
    setting.streams["main"].set_tracks((VIDEO,))
    setting.tell(True)
    (sender,) = setting.groups.senders
    setting.tell(True, profile="q")
    assert setting.groups.senders == (sender,)


async def test_a_session_keeps_the_group_when_the_start_is_over(setting: Setting) -> None:
    stream = setting.streams["main"]
    stream.set_tracks((VIDEO,))
    setting.tell(True)
    member = setting.groups.join(stream, 0, setting.group, lambda: None)
    setting.tell(False)
    assert len(setting.groups.senders) == 1
    member.leave()
    assert setting.groups.senders == ()
    setting.streams["main"].end()


async def test_a_stream_that_ended_is_joined_again_when_it_is_back(setting: Setting) -> None:
    stream = setting.streams["main"]
    stream.set_tracks((VIDEO,))
    setting.tell(True)
    stream.end()
    assert setting.groups.senders == ()
    setting.streams["main"] = again = LiveStream("cam-1/main")
    again.set_tracks((VIDEO,))
    setting.started.refresh()
    assert (again.clients, stream.clients) == (1, 0)


async def test_a_group_that_cannot_be_had_is_tried_again(setting: Setting, caplog: pytest.LogCaptureFixture) -> None:
    stream = setting.streams["main"]
    stream.set_tracks((VIDEO,))
    other = LiveStream("cam-2/main")
    other.set_tracks((VIDEO,))
    member = setting.groups.join(other, 0, setting.group, lambda: None)
    setting.tell(True)
    setting.started.refresh()
    assert caplog.text.count("not sent by multicast") == 1
    member.leave()
    setting.started.refresh()
    assert stream.clients == 1
