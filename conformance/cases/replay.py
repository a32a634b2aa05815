"""Test/Replay: every case of one track and of all, by each transport."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from conformance.cases.base_common import INVALID, SENDER
from conformance.cases.event_values import seconds_of, stamp
from conformance.cases.recording_general import same_capabilities
from conformance.cases.replay_common import (
    DOCUMENT,
    INACCURACY,
    METHODS,
    PATIENCE,
    REPLAY,
    SHOWN,
    SILENCE,
    Scene,
    check_packets,
    check_play,
    check_references,
    check_set_up,
    check_stamps,
    clock_range,
    frames,
    groups,
    is_intra,
    scene,
    since,
    times,
)
from conformance.model import Examination, case
from conformance.names import find, text
from conformance.rtp import Rtp

ALL = ("Video", "Audio", "Metadata")
NOWHERE = "no-such-recording-77"
_RANGE_END = timedelta(milliseconds=1)
"""The extension's 32 bits of fraction round."""

Run = Callable[[Examination, tuple[str, ...]], Awaitable[None]]
"""Steps of a case for some types of track."""


# ---- 5.1, 5.2, 5.7 ------------------------------------------------------------------------------------


@case("REPLAY-1-1-1", document=DOCUMENT, name="REPLAY SERVICE CAPABILITIES", requires=(REPLAY,))
async def service_capabilities(x: Examination) -> None:
    x.check(
        find(await x.ask("trp", "<trp:GetServiceCapabilities/>"), "trp:Capabilities") is not None, "no Capabilities"
    )


@case(
    "REPLAY-1-1-2",
    document=DOCUMENT,
    name="GET SERVICES AND GET REPLAY SERVICE CAPABILITIES CONSISTENCY",
    requires=("GetServices", REPLAY),
)
async def consistency(x: Examination) -> None:
    await same_capabilities(x, "trp", "ReversePlayback", "SessionTimeoutRange", "RTP_RTSP_TCP")


@case("REPLAY-1-2-1", document=DOCUMENT, name="GETREPLAYURI COMMAND WITH INVALID RECORDING TOKEN", requires=(REPLAY,))
async def invalid_token(x: Examination) -> None:
    setup = "<tt:Stream>RTP-Unicast</tt:Stream><tt:Transport><tt:Protocol>UDP</tt:Protocol></tt:Transport>"
    body = f"<trp:StreamSetup>{setup}</trp:StreamSetup><trp:RecordingToken>{NOWHERE}</trp:RecordingToken>"
    expected = (SENDER, INVALID, "ter:InvalidToken")
    await x.soap.refuse("trp", f"<trp:GetReplayUri>{body}</trp:GetReplayUri>", expected, strict=False)


async def _timeout(x: Examination) -> str:
    answer = await x.ask("trp", "<trp:GetReplayConfiguration/>")
    return text(answer, "trp:Configuration/tt:SessionTimeout")


async def _set_timeout(x: Examination, value: str) -> None:
    body = f"<trp:Configuration><tt:SessionTimeout>{value}</tt:SessionTimeout></trp:Configuration>"
    await x.ask("trp", f"<trp:SetReplayConfiguration>{body}</trp:SetReplayConfiguration>")


@case("REPLAY-4-1-1", document=DOCUMENT, name="REPLAY CONFIGURATION", requires=("GetServices", REPLAY))
async def configuration(x: Examination) -> None:
    capabilities = find(await x.ask("trp", "<trp:GetServiceCapabilities/>"), "trp:Capabilities")
    limits = (capabilities.get("SessionTimeoutRange") or "").split()
    before = await _timeout(x)
    wanted = 60.0
    if limits:
        wanted = float(limits[0]) if seconds_of(before) != float(limits[0]) else float(limits[-1])
    try:
        await _set_timeout(x, f"PT{wanted:g}S")
        now = seconds_of(await _timeout(x))
        x.check(now == wanted, f"SessionTimeout was set to {wanted:g} s and is {now:g} s")
    finally:
        await _set_timeout(x, before)


# ---- steps --------------------------------------------------------------------------------------------


async def _shown(
    x: Examination, stage: Scene, cseq: int, *, backward: bool = False, seconds: float = SHOWN, seek: bool = False
) -> None:
    """Await some seconds of each track, or its end, and judge what came."""
    client = stage.client
    x.check(
        await client.until(lambda: stage.begun(cseq), PATIENCE),
        f"no RTP with the CSeq {cseq} in its extension came for {_missing(stage, cseq)} within {PATIENCE:g} s",
    )

    def enough() -> bool:
        return all(_span(since(track, cseq)) >= seconds or _terminated(since(track, cseq)) for track in client.tracks)

    await client.until(enough, seconds + SILENCE)
    _judge(x, stage, cseq, backward=backward, seek=seek)


def _missing(stage: Scene, cseq: int) -> str:
    return ", ".join(each.media.kind for each in stage.client.tracks if not since(each, cseq)) or "nothing"


def _span(packets: list[Rtp]) -> float:
    return packets[-1].at - packets[0].at if packets else 0.0


def _terminated(packets: list[Rtp]) -> bool:
    return any(each.extension is not None and each.extension.terminal for each in packets)


def _judge(x: Examination, stage: Scene, cseq: int, *, backward: bool = False, seek: bool = False) -> None:
    for track in stage.client.tracks:
        x.check(not track.wrong, track.wrong)
        packets = since(track, cseq)
        check_packets(x, track, packets, cseq=cseq, transport=stage.client.transport, backward=backward, seek=seek)
        check_stamps(x, track, packets, backward=backward)


async def _media_control(x: Examination, kinds: tuple[str, ...]) -> None:
    async with scene(x, kinds, "UDP") as stage:
        client = stage.client
        public = {each.strip() for each in (await client.ask("OPTIONS")).header("Public").split(",")}
        missing = [each for each in METHODS if each not in public]
        x.check(not missing, f"Public in the answer to OPTIONS lacks {', '.join(missing)}")
        assert client.description is not None
        check_references(x, client.description, stage.kinds, stage.place.tracks)
        for reply in stage.set_up:
            check_set_up(x, reply)
        reply, cseq = await client.play(Range=clock_range(stage.place.start))
        check_play(x, reply, len(client.tracks))
        await _shown(x, stage, cseq)


async def _forward(x: Examination, kinds: tuple[str, ...], transport: str) -> None:
    async with scene(x, kinds, transport) as stage:
        _reply, cseq = await stage.client.play(Range=clock_range(stage.place.start))
        await _shown(x, stage, cseq)


async def _reverse(x: Examination, kinds: tuple[str, ...], transport: str) -> None:
    async with scene(x, kinds, transport) as stage:
        _reply, cseq = await stage.client.play(Range=clock_range(stage.place.end), Scale="-1.0")
        # More than one group of pictures: those of the recording last up to 2 s (Replay Test 6.2).
        await _shown(x, stage, cseq, backward=True, seconds=5.0)
        for track in stage.client.tracks:
            count = len(groups(frames(since(track, cseq))))
            x.check(
                count > 1 or track.media.kind != "video",
                f"reverse replay gave {count} group of pictures of a recording of {stage.length.total_seconds():.0f} s",
            )


async def _with_range(x: Examination, kinds: tuple[str, ...]) -> None:
    async with scene(x, kinds, "UDP") as stage:
        end = stage.place.start + stage.delta
        _reply, cseq = await stage.client.play(Range=clock_range(stage.place.start, end))
        await _shown(x, stage, cseq, seconds=stage.delta.total_seconds())
        await _stops(x, stage, cseq, end)


async def _stops(x: Examination, stage: Scene, cseq: int, end: datetime) -> None:
    """Nothing after `end`, and silence."""
    x.check(
        await stage.client.quiet(SILENCE, stage.delta.total_seconds() + 4 * SILENCE),
        f"the device goes on streaming though replay was to end at {stamp(end)}",
    )
    _judge(x, stage, cseq)
    for track in stage.client.tracks:
        late = [each for each in times(since(track, cseq)) if each > end + _RANGE_END]
        x.check(not late, f"{track.media.kind} of {stamp(late[0]) if late else ''} came, after the end {stamp(end)}")


async def _intra_frames(x: Examination, kinds: tuple[str, ...]) -> None:
    async with scene(x, kinds, "UDP") as stage:
        _reply, cseq = await stage.client.play(Range=clock_range(stage.place.start), Frames="intra")
        await _shown(x, stage, cseq, seconds=3.0)
        for track in stage.client.tracks:
            units = frames(since(track, cseq))
            for unit in units[:-1]:
                extension = unit[0].extension
                moment = stamp(extension.time) if extension is not None else "unknown time"
                x.check(
                    is_intra(track.media.encoding, unit),
                    f"a frame of {moment} is not intra coded though Frames: intra was asked for",
                )
            x.check(units, "no I-frame came")


async def _rate_control(x: Examination, kinds: tuple[str, ...]) -> None:
    async with scene(x, kinds, "HTTP") as stage:
        start, end = stage.place.start, stage.place.start + stage.delta
        lasted = []
        for value in ("yes", "no"):
            _reply, cseq = await stage.client.play(Range=clock_range(start, end), Rate_Control=value)
            await _shown(x, stage, cseq, seconds=stage.delta.total_seconds())
            await _stops(x, stage, cseq, end)
            packets = [packet for track in stage.client.tracks for packet in since(track, cseq)]
            lasted.append(max(each.at for each in packets) - min(each.at for each in packets))
        x.check(
            lasted[1] < lasted[0],
            f"with Rate-Control: no the range took {lasted[1]:.1f} s, with rate control {lasted[0]:.1f} s",
        )


async def _immediate(x: Examination, kinds: tuple[str, ...]) -> None:
    async with scene(x, kinds, "UDP") as stage:
        _reply, first = await stage.client.play(Range=clock_range(stage.place.start))
        await _shown(x, stage, first, seconds=1.0)
        target = stage.place.start + stage.delta
        _reply, second = await stage.client.play(Range=clock_range(target), Immediate="yes")
        await _shown(x, stage, second, seek=True)
        _arrived_at(x, stage, second, target)


def _arrived_at(x: Examination, stage: Scene, cseq: int, target: datetime) -> None:
    """Replay begins where it was asked to, and nothing older follows."""
    for track in stage.client.tracks:
        moments = times(since(track, cseq))
        x.check(
            abs(moments[0] - target) <= INACCURACY,
            f"{track.media.kind} begins at {stamp(moments[0])}, asked for was {stamp(target)} (inaccuracy 2 s)",
        )


async def _pause(x: Examination, kinds: tuple[str, ...]) -> None:
    async with scene(x, kinds, "UDP") as stage:
        client = stage.client
        _reply, cseq = await client.play(Range=clock_range(stage.place.start))
        await _shown(x, stage, cseq, seconds=1.0)
        await client.pause()
        x.check(await client.quiet(SILENCE, 2 * SILENCE), "the device goes on streaming after PAUSE")
        before = {track.media.kind: times(track.rtp)[-1] for track in client.tracks}
        await _resumes(x, stage, before)


async def _pause_with_range(x: Examination, kinds: tuple[str, ...]) -> None:
    async with scene(x, kinds, "UDP") as stage:
        client = stage.client
        end = stage.place.start + stage.delta
        _reply, cseq = await client.play(Range=clock_range(stage.place.start))
        await client.pause(Range=clock_range(end).removesuffix("-"))
        await _shown(x, stage, cseq, seconds=stage.delta.total_seconds())
        await _stops(x, stage, cseq, end)
        before = {track.media.kind: times(track.rtp)[-1] for track in client.tracks}
        for kind, last in before.items():
            x.check(end - last <= INACCURACY, f"{kind} was paused at {stamp(last)}, PAUSE named {stamp(end)}")
        await _resumes(x, stage, before)


async def _resumes(x: Examination, stage: Scene, before: dict[str, datetime]) -> None:
    """PLAY without Range goes on from the pause point."""
    client = stage.client
    await client.quiet(2.0, 2.0)
    _reply, cseq = await client.play()
    await _shown(x, stage, cseq)
    for track in client.tracks:
        last, next_ = before[track.media.kind], times(since(track, cseq))[0]
        x.check(
            abs(next_ - last) <= INACCURACY + (stage.delta if track.media.kind == "application" else timedelta(0)),
            f"{track.media.kind} was paused at {stamp(last)} and goes on at {stamp(next_)}",
        )


async def _seek(x: Examination, kinds: tuple[str, ...]) -> None:
    async with scene(x, kinds, "UDP") as stage:
        place = stage.place
        middle = place.start + min(timedelta(seconds=30), stage.length / 2)
        step = min(timedelta(seconds=3), stage.length / 6)
        for number, target in enumerate((place.start, middle, middle - step, middle + step)):
            more = {"Immediate": "yes"} if number else {}
            _reply, cseq = await stage.client.play(Range=clock_range(target), Rate_Control="no", **more)
            await _shown(x, stage, cseq, seconds=0.5, seek=bool(number))
            _arrived_at(x, stage, cseq, target)


# ---- cases --------------------------------------------------------------------------------------------

_TRANSPORTS = (("RTP-Unicast/UDP", "UDP"), ("RTP-Unicast/RTSP/HTTP/TCP", "HTTP"), ("RTP/RTSP/TCP", "RTSP"))


def _register(number: str, name: str, kinds: tuple[str, ...], run: Run, *more: str) -> None:
    async def examine(x: Examination) -> None:
        await run(x, kinds)

    case(f"REPLAY-3-{number}", document=DOCUMENT, name=name, requires=(REPLAY, *more))(examine)


def _family(
    group: int, kinds: tuple[str, ...], words: str, needs: tuple[str, ...], reverse: bool, numbers: dict[str, int]
) -> None:
    head = f"PLAYBACK {words} STREAMING"
    _register(f"{group}-1", f"{head} - MEDIA CONTROL", kinds, _media_control, *needs)
    for number, (name, transport) in enumerate(_TRANSPORTS, 2):
        tcp = ("Replay/RTP/RTSP/TCP",) if transport == "RTSP" else ()
        run = functools.partial(_forward, transport=transport)
        _register(f"{group}-{number}", f"{head} - {name}", kinds, run, *needs, *tcp)
        if reverse:
            back = functools.partial(_reverse, transport=transport)
            more = (*needs, *tcp, "Replay/Reverse Replay")
            _register(f"{group}-{number + 3}", f"REVERSE {head} - {name}", kinds, back, *more)
    for key, title, step in (
        ("range", "PLAY WITH RANGE", _with_range),
        ("intra", "I-FRAMES", _intra_frames),
        ("rate", "RATECONTROL", _rate_control),
        ("immediate", "IMMEDIATE HEADER", _immediate),
        ("pause", "PAUSE WITHOUT RANGE", _pause),
        ("pause_range", "PAUSE WITH RANGE", _pause_with_range),
        ("seek", "SEEK", _seek),
    ):
        if key in numbers:
            _register(f"{group}-{numbers[key]}", f"{head} - {title}", kinds, step, *needs)


_PLAIN = {"range": 10, "rate": 11, "immediate": 12, "pause": 14, "pause_range": 15, "seek": 16}
_family(
    1,
    ("Video",),
    "VIDEO",
    (),
    True,
    {"range": 10, "intra": 11, "rate": 12, "immediate": 13, "pause": 15, "pause_range": 16, "seek": 17},
)
_family(2, ("Audio",), "AUDIO", ("Recording Control/Audio Recording",), False, _PLAIN)
_family(3, ("Metadata",), "METADATA", ("Recording Control/Metadata Recording",), True, _PLAIN)
_family(4, ALL, "VIDEO, AUDIO AND METADATA", (), False, _PLAIN)
