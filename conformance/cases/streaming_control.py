"""Test/Streaming 5.1.1: RTSP control, keep-alives, line breaks in the tunnel, synchronization points, the extension of JPEG."""

from __future__ import annotations

import asyncio
import re

from conformance import watch
from conformance.cases.media_options import VideoOptions, VideoWish
from conformance.cases.media_profiles import Kept, find_video, set_video
from conformance.cases.media_service import service
from conformance.cases.replay_common import METHODS, check_play, check_set_up
from conformance.cases.stream_common import SILENCE, Plan, Show, add, playing, requirements, stream, stream_uri
from conformance.cases.streaming import FEATURES
from conformance.model import Examination, Failure
from conformance.names import text
from conformance.payloads import Jpeg
from conformance.rtp import ahead
from conformance.watch import early_key, fresh_key, see

SHORT = "PT10S"
"""Session timeout that is asked for, so that keep-alives show within a test."""
ATTEMPTS = 2
"""Times that a synchronization point is asked for."""
EARLY = 0.9
"""Of the interval between regular key frames: what comes sooner after the one before was asked for."""
WATCHED = 2.5
"""Intervals after a key frame in which what was asked for must come: a busy device may need more than one."""
LONGEST = 20
"""Seconds of a session timeout that are waited for; a longer one is not."""


# ---- control ------------------------------------------------------------------------------------------


async def media_control(x: Examination) -> None:
    media = service(x, "trt")
    async with Kept(media) as kept:
        profile, options = await find_video(kept, "JPEG")
        await set_video(kept, profile, options, VideoWish())
        uri = await stream_uri(x, media, profile.token, "UDP")
        async with playing(x, uri, Plan({"video": "JPEG"})) as show:
            public = {each.strip() for each in (await show.client.ask("OPTIONS")).header("Public").split(",")}
            missing = [each for each in METHODS if each not in public]
            x.check(not missing, f"Public in the answer to OPTIONS lacks {', '.join(missing)}")
            if "SET_PARAMETER" not in public:
                x.note("warning: OPTIONS does not list SET_PARAMETER")
            for reply in show.set_up:
                check_set_up(x, reply)
            check_play(x, show.play, len(show.client.tracks))
            await see(x, show.client, show.flows)
            _check_announced(x, show)
        quiet = await show.client.quiet(SILENCE, watch.PATIENCE)
        x.check(quiet, "the device goes on sending after TEARDOWN was answered 200 OK")


def _check_announced(x: Examination, show: Show) -> None:
    """seq and rtptime of RTP-Info are those of the packets that come first (RFC 2326 12.33)."""
    entries = show.play.header("RTP-Info").split(",")
    for entry, track in zip(entries, show.client.tracks, strict=True):
        told = {name.strip(): value for name, _, value in (each.partition("=") for each in entry.split(";"))}
        good = told["seq"].isdigit() and told["rtptime"].isdigit()
        x.check(good, f"seq and rtptime in RTP-Info are no numbers: {entry!r}")
        first = track.rtp[0]
        # The first datagrams may have been lost.
        late = first.sequence - int(told["seq"]) & 0xFFFF
        x.check(late < watch.WINDOW, f"RTP-Info announces seq {told['seq']}, the first packet has {first.sequence}")
        apart = abs(ahead(first.stamp, int(told["rtptime"]))) / track.media.clock
        x.check(
            apart < watch.LAG,
            f"RTP-Info announces rtptime {told['rtptime']}, the first packet has {first.stamp}, {apart:.1f} s away",
        )


add("RTSS-1-1-31", "trt", "MEDIA CONTROL – RTSP/TCP", media_control, requirements("trt", "UDP", 4, "Media/JPEG"))


# ---- keep-alives --------------------------------------------------------------------------------------


async def _keepalive(x: Examination, method: str) -> None:
    media = service(x, "trt")
    async with Kept(media) as kept:
        profile, options = await find_video(kept, "JPEG")
        try:
            await set_video(kept, profile, options, VideoWish(timeout=SHORT))
        except Failure as failure:
            x.note(f"the device takes no session timeout of {SHORT}: {failure}")
            await set_video(kept, profile, options, VideoWish())
        uri = await stream_uri(x, media, profile.token, "UDP")
        async with playing(x, uri, Plan({"video": "JPEG"})) as show:
            header = show.set_up[0].header("Session")
            found = re.search(r"timeout\s*=\s*(\d+)", header)
            x.check(found, f"Session in the answer to SETUP has no timeout: {header!r}")
            timeout = int(found[1]) if found else 60
            x.check(timeout > 0, f"Session in the answer to SETUP has the timeout {timeout}")
            await see(x, show.client, show.flows)
            count, pause = (4, timeout / 3) if timeout <= LONGEST else (3, 1.0)
            if timeout > LONGEST:
                x.note(f"the session timeout is {timeout} s: that the session outlives it is not waited for")
            for _ in range(count):
                await asyncio.sleep(pause)
                await watch.goes_on(x, show.client, show.flows, f"{pause:.1f} s without a request")
                await show.client.ask(method, show.client.aggregate)
            await asyncio.sleep(pause)
            await watch.goes_on(x, show.client, show.flows, f"the last {method}")
            show.flow("video").check_reports(x.soap.clock_offset)


for _id, _name, _method in (
    ("RTSS-1-1-32", "MEDIA STREAMING – RTSP KEEPALIVE (SET_PARAMETER)", "SET_PARAMETER"),
    ("RTSS-1-1-33", "MEDIA STREAMING - RTSP KEEPALIVE (OPTIONS)", "OPTIONS"),
):

    async def _examine(x: Examination, method: str = _method) -> None:
        await _keepalive(x, method)

    add(_id, "trt", _name, _examine, requirements("trt", "UDP", 4, "Media/JPEG"))


# ---- line breaks --------------------------------------------------------------------------------------


async def line_breaks(x: Examination) -> None:
    media = service(x, "trt")
    async with Kept(media) as kept:
        profile, options = await find_video(kept, "JPEG")
        await set_video(kept, profile, options, VideoWish())
        uri = await stream_uri(x, media, profile.token, "HTTP")
        await stream(x, uri, Plan({"video": "JPEG"}, "HTTP", line_breaks=True))


add(
    "RTSS-1-1-45",
    "trt",
    "MEDIA STREAMING – RTP-Unicast/RTSP/HTTP/TCP (LINE BREAKS IN BASE64 ENCODING)",
    line_breaks,
    requirements("trt", "HTTP", 4, "Media/JPEG"),
)


# ---- synchronization points ---------------------------------------------------------------------------


async def synchronization(x: Examination, prefix: str, encoding: str) -> None:
    """Streaming Test 6.3: a key frame before the regular one."""
    media = service(x, prefix)
    async with Kept(media) as kept:
        profile, options = await find_video(kept, encoding)
        await set_video(kept, profile, options, VideoWish(long_groups=True))
        interval = await _interval(x, kept, profile.token, options)
        uri = await stream_uri(x, media, profile.token, "UDP")
        async with playing(x, uri, Plan({"video": encoding})) as show:
            await see(x, show.client, show.flows)
            flow = show.flow("video")
            for _ in range(ATTEMPTS):
                # What a device had in store for a new client says nothing of its encoder.
                seen = len(flow.judge.keys)
                key = await fresh_key(show.client, flow, seen, 3 * interval + watch.PATIENCE)
                x.check(key is not None, f"no further key frame of {flow.name} came")
                assert key is not None
                await media.synchronize(profile.token)
                asked = ahead(flow.track.rtp[-1].stamp, key.stamp) / flow.track.media.clock
                if await early_key(show.client, flow, key, EARLY * interval, WATCHED * interval):
                    return
                x.note(f"asked {asked:.2f} s after a key frame of {flow.name}, none came before the next regular one")
            x.check(
                False,
                f"no key frame of {flow.name} came after SetSynchronizationPoint before the next regular one, "
                f"which comes {interval:.1f} s after the last (GovLength and frame rate), {ATTEMPTS} times",
            )


async def _interval(x: Examination, kept: Kept, token: str, options: VideoOptions) -> float:
    """Seconds between regular key frames."""
    present = (await kept.media.profile(token)).configurations["VideoEncoder"]
    length = present.get("GovLength") or text(present, "tt:H264/tt:GovLength") or text(present, "tt:MPEG4/tt:GovLength")
    rate = text(present, "tt:RateControl/tt:FrameRateLimit")
    length = length or (str(options.goves[1]) if options.goves is not None else "")
    frames = float(rate) if rate else (max(options.rates) if options.rates else 25.0)
    x.check(length, "the device does not say how long its groups of pictures are (GovLength)")
    return int(length) / max(frames, 1.0)


for _id, _prefix, _encoding, _name in (
    ("RTSS-1-1-40", "trt", "MPEG4", "SET SYNCHRONIZATION POINT – MPEG4"),
    ("RTSS-1-1-44", "trt", "H264", "SET SYNCHRONIZATION POINT – H.264"),
    ("MEDIA2_RTSS-1-1-4", "tr2", "H264", "MEDIA2 SET SYNCHRONIZATION POINT – H.264"),
    ("MEDIA2_RTSS-1-1-11", "tr2", "H265", "MEDIA2 SET SYNCHRONIZATION POINT – H.265"),
):

    async def _point(x: Examination, prefix: str = _prefix, encoding: str = _encoding) -> None:
        await synchronization(x, prefix, encoding)

    add(_id, _prefix, _name, _point, requirements(_prefix, "UDP", 4, *FEATURES[_prefix][_encoding]))


# ---- the extension of JPEG ----------------------------------------------------------------------------


async def jpeg_extension(x: Examination) -> None:
    media = service(x, "trt")
    async with Kept(media) as kept:
        profile, options = await find_video(kept, "JPEG")
        large = max(options.resolutions, key=lambda each: each[0] * each[1])
        await set_video(kept, profile, options, VideoWish(resolution=large, rate=5.0))
        uri = await stream_uri(x, media, profile.token, "UDP")
        async with playing(x, uri, Plan({"video": "JPEG"})) as show:
            await see(x, show.client, show.flows)
            judge = show.flow("video").judge
            assert isinstance(judge, Jpeg)
            wide = max(large) > 2040
            x.check(
                judge.extended or not wide,
                f"pictures of {large[0]}x{large[1]} come without the RTP header extension (Streaming 5.1.4)",
            )


add(
    "RTSS-1-1-53",
    "trt",
    "MEDIA STREAMING – JPEG (VALIDATING RTP HEADER EXTENSION)",
    jpeg_extension,
    requirements("trt", "UDP", 4, "Media/JPEG"),
)
