"""By which network interface a group is sent to, and that it is once."""

from __future__ import annotations

import asyncio

import pytest

from onvifd.errors import Unavailable
from onvifd.live.mount import LiveMount
from onvifd.live.parts import Composition
from onvifd.media.rtp.packet import parse_rtp
from onvifd.media.types import Codec, Kind, TrackFormat
from onvifd.rtsp import multicast as module
from onvifd.rtsp.multicast import Groups, leads_to, open_group
from onvifd.rtsp.play import Multicast, PlayRequest
from onvifd.rtsp.udp import DatagramPair
from tests.rtsp import sample
from tests.rtsp.test_multicast import TRACK, free_group, key, stream, unit

covers = pytest.mark.covers("S-RTP-UDP-multicast", "T-RTP-UDP-multicast", "S-StartMulticastStreaming")


@covers
async def test_who_comes_by_the_address_to_which_the_routes_lead_shares_what_was_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[str] = []

    def opening(group: Multicast, interface: str) -> DatagramPair:
        opened.append(interface)
        return open_group(group, "127.0.0.1")

    monkeypatch.setattr(module, "open_group", opening)
    monkeypatch.setattr(module, "leads_to", lambda group: "192.0.2.7")
    source, group, groups = stream(), free_group(), Groups()
    groups.join(source, 0, group, lambda: None)  # a start
    for local in ("127.0.0.1", "192.0.2.7"):
        groups.join(source, 0, group, lambda: None, local)
    assert opened == [""], "listeners would get each packet twice"
    groups.join(source, 0, group, lambda: None, "198.51.100.9")
    assert opened == ["", "198.51.100.9"], "those of another network would get nothing"
    groups.close()


def test_where_the_routes_lead() -> None:
    assert leads_to(Multicast("127.0.0.9", 5000, 1)) == "127.0.0.1"
    assert leads_to(Multicast("::1", 5000, 1)) in ("::1", "")


@pytest.mark.parametrize("change", ["end", "codec"])
async def test_a_group_of_what_is_no_longer_as_described_is_refused(change: str) -> None:
    source, group, groups = stream(), free_group(), Groups("127.0.0.1")
    composition = Composition(name="n", profile="p", video=source, multicast={Kind.VIDEO: group})
    mount = LiveMount(lambda path: composition, 60, groups=groups)
    presentation = await mount.find("/live/cam-1/main", sample.lookup(sample.USER).account)  # type: ignore[union-attr]
    if change == "end":
        source.end()
    else:
        other = TrackFormat(codec=Codec.H265, clock_rate=90000)
        source.set_tracks((type(TRACK)(other, 96, 0x11),))
    playback = presentation.open_groups(frozenset({0}), lambda: None, "127.0.0.1")
    with pytest.raises(Unavailable, match="described again"):
        await playback.play(PlayRequest(cseq=1), frozenset({0}))
    assert groups.senders == (), "it would keep the group from what takes its place"
    await playback.close()


async def test_the_answer_waits_for_the_first_unit_of_a_group() -> None:
    """Metadata begin when something happens: the answer must tell where their numbers begin."""
    source = stream()
    groups = Groups("127.0.0.1")
    composition = Composition(name="n", profile="p", video=source, multicast={Kind.VIDEO: free_group()})
    mount = LiveMount(lambda path: composition, 60, groups=groups)
    presentation = await mount.find("/live/cam-1/main", sample.lookup(sample.USER).account)  # type: ignore[union-attr]
    playback = presentation.open_groups(frozenset({0}), lambda: None, "127.0.0.1")
    asked = asyncio.create_task(playback.play(PlayRequest(cseq=1), frozenset({0})))
    async with asyncio.timeout(10):
        while not source.clients:
            await asyncio.sleep(0)
    assert not asked.done()
    source.publish(key(7))
    assert [(each.track, each.seq) for each in (await asked).rtp] == [(0, 7)]
    assert source.clients == 1, "only the group itself watches on"
    await playback.close()


async def test_numbers_of_a_group_belong_to_the_time_that_is_told() -> None:
    source, other = stream(), stream()
    groups = Groups("127.0.0.1")
    composition = Composition(
        name="n",
        profile="p",
        video=source,
        metadata=other,
        multicast={Kind.VIDEO: free_group(), Kind.METADATA: free_group("239.255.77.2")},
    )
    other.set_tracks((type(TRACK)(TrackFormat(codec=Codec.METADATA, clock_rate=90000), 107, 0x33),))
    source.publish(key(7))
    other.publish(unit(17, b"<d/>", key=True))
    mount = LiveMount(lambda path: composition, 60, groups=groups)
    presentation = await mount.find("/live/cam-1/main", sample.lookup(sample.USER).account)  # type: ignore[union-attr]
    playback = presentation.open_groups(frozenset({0, 1}), lambda: None, "127.0.0.1")
    reply = await playback.play(PlayRequest(cseq=1), frozenset({0, 1}))
    assert reply.start == 7000
    assert [(each.track, each.seq, each.rtp_time) for each in reply.rtp] == [
        (0, 7, 70),
        (1, 17, 170 - 900 & 0xFFFFFFFF),
    ]
    assert parse_rtp(unit(17, b"<d/>").data[4:]).rtp_time == 170
    await playback.close()
