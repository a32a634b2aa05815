"""Presentations composed of tracks of several streams."""

import asyncio
import weakref

import pytest

from onvifd.access.types import Account, Level
from onvifd.errors import Unavailable
from onvifd.live import hub
from onvifd.live.hub import LiveStream, LiveTrack
from onvifd.live.mount import LiveMount
from onvifd.live.parts import Blend, Composition, Part, as_track
from onvifd.media.types import Codec, FlushUnit, Kind, TrackFormat
from onvifd.rtsp.multicast import Groups
from onvifd.rtsp.play import Multicast, PlayRequest

VIDEO = LiveTrack(TrackFormat(codec=Codec.H264, clock_rate=90000), 96, 0x11)
AUDIO = LiveTrack(TrackFormat(codec=Codec.PCMU, clock_rate=8000), 0, 0x22)
TEXT = LiveTrack(TrackFormat(codec=Codec.METADATA, clock_rate=90000), 107, 0x33)
ME = Account("viewer", Level.USER)
GROUP = Multicast("239.1.2.3", 5000, 4)


def unit(number: int, track: int = 0, *, key: bool = False, rtcp: bool = False) -> FlushUnit:
    data = bytes((0x24, 2 * track + rtcp, 0, 12, 0x80, 96)) + number.to_bytes(2, "big") + bytes(8)
    return FlushUnit(track, data, (0,), key, number * 3600, number * 40_000, True, rtcp)


class Outlet:
    def __init__(self) -> None:
        self.units: list[FlushUnit] = []
        self.ended = 0

    @property
    def ready(self) -> bool:
        return True

    def send(self, unit: FlushUnit) -> None:
        self.units.append(unit)

    def expect(self, size: int) -> None: ...

    async def drain(self) -> None: ...

    def end(self) -> None:
        self.ended += 1

    @property
    def seen(self) -> list[tuple[int, int, int]]:
        """Track, channel on the wire and number of each unit."""
        return [(each.track, each.data[1], each.data[7]) for each in self.units]


def stream(*tracks: LiveTrack, name: str = "cam-1/main") -> LiveStream:
    made = LiveStream(name)
    made.set_tracks(tracks)
    return made


def mounted(composition: Composition | LiveStream, wait: float = 0.01) -> LiveMount:
    return LiveMount(lambda path: composition, 60, format_wait=wait)


async def playing(mount: LiveMount, outlet: Outlet, path: str = "/live/cam-1/p"):  # type: ignore[no-untyped-def]
    presentation = await mount.find(path, ME)
    playback = presentation.open(outlet)
    await playback.play(PlayRequest(cseq=1), frozenset(range(len(presentation.tracks))))
    playback.start()
    return playback


async def test_the_tracks_of_one_stream_are_watched_directly() -> None:
    main = stream(VIDEO, AUDIO)
    outlet = Outlet()
    await playing(mounted(Composition(name="n", profile="p", video=main, audio=main)), outlet)
    sent = unit(1, key=True)
    main.publish(sent)
    assert outlet.units[0] is sent


async def test_a_profile_without_sound_leaves_the_track_of_the_stream_out() -> None:
    main = stream(VIDEO, AUDIO)
    presentation = await mounted(Composition(name="n", profile="p", video=main)).find("/live/cam-1/p", ME)
    assert [track.format.kind for track in presentation.tracks] == [Kind.VIDEO]


async def test_tracks_of_several_streams_have_numbers_controls_groups_and_profile_of_the_presentation() -> None:
    main, sub = stream(VIDEO, AUDIO), stream(VIDEO, name="cam-1/sub")
    text = stream(TEXT, name="cam-1/metadata/m")
    composition = Composition(
        name="n", profile="prof", video=sub, audio=main, metadata=text, multicast={Kind.VIDEO: GROUP}
    )
    mount = LiveMount(lambda path: composition, 60, groups=Groups("127.0.0.1"))
    presentation = await mount.find("/live/cam-1/p", ME)
    assert [(track.format.kind, track.control, track.ssrc) for track in presentation.tracks] == [
        (Kind.VIDEO, "trackID=0", 0x11),
        (Kind.AUDIO, "trackID=1", 0x22),
        (Kind.METADATA, "trackID=2", 0x33),
    ]
    assert [track.multicast for track in presentation.tracks] == [GROUP, None, None]
    assert {track.profile for track in presentation.tracks} == {"prof"}
    without = await mounted(composition).find("/live/cam-1/p", ME)
    assert {track.multicast for track in without.tracks} == {None}, "nothing here sends to groups"


async def test_units_of_other_streams_come_on_the_channels_of_their_track() -> None:
    main, sub, text = stream(VIDEO, AUDIO), stream(VIDEO), stream(TEXT)
    mount = mounted(Composition(name="n", profile="p", video=sub, audio=main, metadata=text))
    one, other = Outlet(), Outlet()
    playback = await playing(mount, one)
    await playing(mount, other)
    main.publish(unit(9, key=True))
    main.publish(unit(1, 1, key=True))
    sub.publish(unit(2, key=True))
    text.publish(unit(3, key=True))
    text.publish(unit(4, rtcp=True))
    assert one.seen == [(1, 2, 1), (0, 0, 2), (2, 4, 3), (2, 5, 4)]
    assert [a is b for a, b in zip(one.units, other.units, strict=True)] == [True] * 4, "made once for all who watch"
    await playback.close()
    main.publish(unit(5, 1, key=True))
    assert (len(one.units), len(other.units)) == (4, 5)


async def test_a_late_joiner_of_a_composed_presentation_begins_at_the_clean_point_of_the_picture() -> None:
    main, sub, text = stream(VIDEO, AUDIO), stream(VIDEO), stream(TEXT)
    main.publish(unit(1, key=True))
    main.publish(unit(2, 1, key=True))
    text.publish(unit(3, key=True))
    sub.publish(unit(4, key=True))
    sub.publish(unit(5))
    main.publish(unit(6, 1, key=True))
    sub.publish(unit(7))
    outlet = Outlet()
    await playing(mounted(Composition(name="n", profile="p", video=sub, audio=main, metadata=text)), outlet)
    # the document is the latest state, however old
    assert [number for *_, number in outlet.seen] == [3, 4, 5, 6, 7]


async def test_time_stamps_of_all_tracks_are_those_of_the_time_that_the_answer_states() -> None:
    main = stream(VIDEO, AUDIO)
    main.publish(unit(1, key=True))
    main.publish(unit(2, 1, key=True))
    presentation = await mounted(main).find("/live/cam-1/p", ME)
    playback = presentation.open(Outlet())
    reply = await playback.play(PlayRequest(cseq=1), frozenset({0, 1}))
    told = [(each.track, each.seq, each.rtp_time) for each in reply.rtp]
    assert reply.start == 40_000
    # the first sound is 40 ms behind the picture: its time stamp would shift it by as much (Streaming 5.2.2.3)
    assert told == [(0, 1, 3600), (1, 2, 7200 - 320)]
    await playback.close()


async def test_the_answer_to_play_waits_for_the_tracks_that_were_set_up() -> None:
    """A client that wants metadata alone must be told where its numbers begin, though there are pictures in the presentation."""
    main, text = stream(VIDEO), stream(TEXT, name="cam-1/metadata/m")
    main.publish(unit(1, key=True))
    presentation = await mounted(Composition(name="n", profile="p", video=main, metadata=text)).find(
        "/live/cam-1/p", ME
    )
    playback = presentation.open(Outlet())
    asked = asyncio.create_task(playback.play(PlayRequest(cseq=1), frozenset({1})))
    async with asyncio.timeout(10):
        while not text.clients:
            await asyncio.sleep(0)
    main.publish(unit(2))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not asked.done()
    text.publish(unit(7, key=True))
    assert [(each.track, each.seq) for each in (await asked).rtp] == [(1, 7)]
    await playback.close()


async def test_streams_are_watched_only_while_somebody_watches_the_presentation() -> None:
    main, sub = stream(VIDEO, AUDIO), stream(VIDEO)
    sub.publish(unit(1, key=True))
    told: list[bool] = []
    main.on_wanted = told.append
    mount = mounted(Composition(name="n", profile="p", video=sub, audio=main))
    first, second = await playing(mount, Outlet()), await playing(mount, Outlet())
    assert (main.clients, sub.clients) == (1, 1)
    await first.close()
    assert (main.clients, sub.clients, told) == (1, 1, [True])
    await second.close()
    assert (main.clients, sub.clients, told) == (0, 0, [True, False])


async def test_what_was_composed_is_forgotten_when_nobody_watches_it_any_more() -> None:
    main, sub = stream(VIDEO, AUDIO), stream(VIDEO)
    sub.publish(unit(1, key=True))
    gone = weakref.ref(main)
    mount = mounted(Composition(name="n", profile="p", video=sub, audio=main))
    first, second = await playing(mount, Outlet()), await playing(mount, Outlet(), "/live/cam-1/other")
    await first.close()
    await second.close()
    mount._lookup = lambda path: None
    del first, second, main
    assert gone() is None


async def test_a_key_frame_is_not_asked_of_the_stream_that_gives_the_sound() -> None:
    main, sub, text = stream(VIDEO, AUDIO, name="main"), stream(VIDEO, name="sub"), stream(TEXT, name="text")
    asked: list[str] = []
    for each in (main, sub, text):
        each.on_keyframe_wanted = lambda name=each.name: asked.append(name)  # type: ignore[misc]
    mount = mounted(Composition(name="n", profile="p", video=sub, audio=main, metadata=text))
    (await mount.find("/live/cam-1/p", ME)).want_keyframe()
    assert asked == ["sub", "text"]


async def test_a_stream_that_changes_ends_the_sessions_of_all_that_is_composed_of_it() -> None:
    main, sub = stream(VIDEO, AUDIO), stream(VIDEO)
    outlet = Outlet()
    await playing(mounted(Composition(name="n", profile="p", video=sub, audio=main)), outlet)
    main.set_tracks((VIDEO,))
    assert outlet.ended == 1


async def test_what_is_behind_the_picture_may_be_missing() -> None:
    sub, silent = stream(VIDEO), LiveStream("cam-1/main")
    presentation = await mounted(Composition(name="n", profile="p", video=sub, audio=silent)).find("/p", ME)
    assert [track.control for track in presentation.tracks] == ["trackID=0"]
    with pytest.raises(Unavailable):
        await mounted(Composition(name="n", profile="p", video=silent, audio=sub)).find("/p", ME)
    with pytest.raises(Unavailable):
        await mounted(Composition(name="n", profile="p", video=stream(AUDIO))).find("/p", ME)


class Refusing(LiveStream):
    """A stream that says at once that it will not deliver."""

    async def known(self, timeout: float) -> bool:
        raise Unavailable("no more decoders")


async def test_who_refuses_a_part_leaves_nobody_waiting() -> None:
    refusing, sub, silent = Refusing("cam-1/jpeg"), stream(VIDEO), LiveStream("cam-1/main")
    before = asyncio.all_tasks()
    with pytest.raises(Unavailable, match="no more decoders"):
        await mounted(Composition(name="n", profile="p", video=refusing, audio=silent)).find("/p", ME)
    assert asyncio.all_tasks() == before
    presentation = await mounted(Composition(name="n", profile="p", video=sub, audio=refusing)).find("/p", ME)
    assert [track.control for track in presentation.tracks] == ["trackID=0"]


async def test_a_blend_whose_stream_has_lost_the_track_has_none() -> None:
    main = stream(VIDEO, AUDIO)
    blend = Blend("n", (Part(main, 1, "a"),))
    assert blend.tracks == (AUDIO,)
    main.set_tracks((VIDEO,))
    assert blend.tracks == ()


def test_a_unit_is_given_another_track_once() -> None:
    original = unit(1, 1, rtcp=True)
    made = as_track(original, 2)
    assert (made.track, made.data[1], made.rtcp) == (2, 5, True)
    assert as_track(original, 2) is made
    assert as_track(original, 1) is original


async def test_key_frames_are_asked_for_once_per_interval_and_not_when_one_has_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hub, "KEYFRAME_INTERVAL", 0.05)
    source = stream(VIDEO)
    asked: list[int] = []
    source.on_keyframe_wanted = lambda: asked.append(1)
    for _ in range(10):
        source.want_keyframe()
    assert len(asked) == 1
    while len(asked) < 2:
        await asyncio.sleep(0.01)
    source.want_keyframe()
    source.publish(unit(1, key=True))
    await asyncio.sleep(0.1)
    assert len(asked) == 2, "the wish was fulfilled before it was due"
    source.want_keyframe()
    assert len(asked) == 3
    source.want_keyframe()
    source.end()


async def test_a_stream_tells_when_it_is_wanted() -> None:
    source = LiveStream("cam-1/main")
    told: list[bool] = []
    source.on_wanted = told.append
    assert not await source.known(0.01)
    assert told == [True, False]
    waiting = asyncio.create_task(source.known(5))
    await asyncio.sleep(0)
    source.set_tracks((VIDEO,))
    assert await waiting
    sink, other = Outlet(), Outlet()
    source.attach(sink.send, sink.end)
    source.attach(other.send, other.end)
    source.detach(sink.send)
    source.detach(sink.send)
    assert told == [True, False, True, False, True]
    source.detach(other.send)
    assert told[-1] is False
