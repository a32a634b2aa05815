"""Test/Streaming 5.1: resolutions of video encoders, and as many streams at once as the device guarantees; the same of StreamingMedia2."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from conformance.cases.media_options import KINDS, Group, Profile, VideoOptions, VideoWish
from conformance.cases.media_profiles import (
    TEST_NAME,
    VIDEO_NAMES,
    Kept,
    find_encoder,
    new_group,
    set_multicast,
    set_video,
)
from conformance.cases.media_service import MediaService, service
from conformance.cases.stream_common import STREAMING2, Plan, add, playing, requirements, stream_uri, word
from conformance.cases.streaming import FEATURES, TRANSPORTS
from conformance.model import Examination, Failure, case
from conformance.names import find, findall, text
from conformance.session import PROFILE_T
from conformance.watch import goes_on, see

TOLERANCE = 8
"""Pixels by which pictures may differ from the resolution that was set (RTSS-1-1-24)."""


# ---- resolutions --------------------------------------------------------------------------------------


def three(values: Sequence[Any]) -> list[Any]:
    """First, middle and last, each once."""
    wanted = {0, len(values) // 2, len(values) - 1}
    return [each for index, each in enumerate(values) if index in wanted]


async def resolutions(x: Examination, encoding: str, every: bool) -> None:
    media = service(x, "trt")
    async with Kept(media) as kept:
        encoders = await media.configurations("VideoEncoder")
        found = 0
        for each in encoders if every else three(encoders):
            found += await _resolutions_of(x, kept, each, encoding, every)
        if not found and not every:
            for each in encoders:
                found = found or await _resolutions_of(x, kept, each, encoding, every)
        x.check(found, f"no media profile can be made with a video encoder for {encoding}")


async def _resolutions_of(x: Examination, kept: Kept, encoder: Any, encoding: str, every: bool) -> bool:
    media, token = kept.media, str(encoder.get("token"))
    given = await media.video_options("", token)
    if not any(media.is_called(encoding, each.encoding) for each in given):
        return False
    profile = await find_encoder(kept, "VideoEncoder", token)
    if profile is None:
        return False
    given = await media.video_options(profile.token, token)
    options = next((each for each in given if media.is_called(encoding, each.encoding)), None)
    if options is None:
        return False
    # Minimum, middle and maximum are by the number of pixels.
    known = sorted(set(options.resolutions), key=lambda size: size[0] * size[1])
    for size in options.resolutions if every else three(known):
        rate = 5.0 if encoding == "JPEG" and size == known[-1] else 25.0
        await set_video(kept, profile, options, VideoWish(resolution=size, rate=rate))
        await _is_set(x, media, token, options.encoding, size)
        await _shows(x, media, profile, encoding, size)
    return True


async def _is_set(x: Examination, media: MediaService, token: str, name: str, size: tuple[int, int]) -> None:
    request = "<trt:GetVideoEncoderConfiguration>{}</trt:GetVideoEncoderConfiguration>"
    answer = await media.ask(request.format(f"<trt:ConfigurationToken>{token}</trt:ConfigurationToken>"))
    now = find(answer, "trt:Configuration")
    given = text(now, "tt:Resolution/tt:Width"), text(now, "tt:Resolution/tt:Height")
    x.check(
        given == (str(size[0]), str(size[1])) and text(now, "tt:Encoding") == name,
        f"{token} is {text(now, 'tt:Encoding')} {'x'.join(given)} after {name} {size[0]}x{size[1]} was set",
    )


async def _shows(x: Examination, media: MediaService, profile: Profile, encoding: str, size: tuple[int, int]) -> None:
    uri = await stream_uri(x, media, profile.token, "UDP")
    async with playing(x, uri, Plan({"video": encoding})) as show:
        await see(x, show.client, show.flows)
        flow = show.flow("video")

        def right() -> bool:
            flow.update()
            found = flow.judge.size or (0, 0)
            return all(abs(one - other) <= TOLERANCE for one, other in zip(found, size, strict=True))

        # A device may need its operation delay until a setting shows.
        good = await show.client.until(right, x.settings.operation_delay)
        given = flow.judge.size
        x.check(given is not None, f"the pictures of {encoding} do not tell their size")
        assert given is not None
        x.check(
            good,
            f"pictures of {given[0]}x{given[1]} come after {size[0]}x{size[1]} was set",
        )


for _number, _encoding in ((24, "JPEG"), (25, "MPEG4"), (26, "H264"), (46, "JPEG"), (47, "MPEG4"), (48, "H264")):

    async def _resolutions(x: Examination, encoding: str = _encoding, every: bool = _number < 40) -> None:
        await resolutions(x, encoding, every)

    _all = " (ALL RESOLUTIONS)" if _number < 40 else ""
    _name = f"VIDEO ENCODER CONFIGURATION – {word(_encoding)} RESOLUTION{_all}"
    _needs = requirements("trt", "UDP", 4, *FEATURES["trt"][_encoding])
    add(f"RTSS-1-1-{_number}", "trt", _name, _resolutions, _needs, bound=600.0)


# ---- guaranteed instances -----------------------------------------------------------------------------


async def instances(x: Examination, transports: Sequence[str], every: bool) -> None:
    """As many streams at once as GetGuaranteedNumberOfVideoEncoderInstances says."""
    media = service(x, "trt")
    async with Kept(media) as kept:
        sources = await media.configurations("VideoSource")
        x.check(sources, "GetVideoSourceConfigurations lists nothing")
        for source in sources if every else three(sources):
            token = str(source.get("token"))
            request = f"<trt:ConfigurationToken>{token}</trt:ConfigurationToken>"
            name = "trt:GetGuaranteedNumberOfVideoEncoderInstances"
            total = int(text(await media.ask(f"<{name}>{request}</{name}>"), "trt:TotalNumber"))
            await _at_once(x, kept, await _profiles_of(kept, source, total), transports)


async def _profiles_of(kept: Kept, source: Any, total: int) -> list[Profile]:
    """Profiles with one video source and different encoders (Streaming Test 6.14)."""
    media, token = kept.media, str(source.get("token"))
    found: dict[str, Profile] = {}
    for profile in await media.profiles():
        if profile.token_of("VideoSource") == token and "VideoEncoder" in profile.configurations:
            found.setdefault(profile.token_of("VideoEncoder"), profile)
    while len(found) < total:
        profile = Profile(await media.create(TEST_NAME), TEST_NAME, False, {})
        await media.add(profile.token, "VideoSource", token)
        profile.configurations["VideoSource"] = source
        compatible = await media.compatible(profile.token, "VideoEncoder")
        encoder = next((each for each in compatible if each.get("token") not in found), None)
        if encoder is None:
            raise Failure(
                f"{total} instances are guaranteed for {token}, and {len(found)} encoders can be used at once"
            )
        await media.add(profile.token, "VideoEncoder", str(encoder.get("token")))
        profile.configurations["VideoEncoder"] = encoder
        found[str(encoder.get("token"))] = profile
    return list(found.values())[:total]


async def _at_once(x: Examination, kept: Kept, profiles: list[Profile], transports: Sequence[str]) -> None:
    media = kept.media
    async with contextlib.AsyncExitStack() as stack:
        shows = []
        for profile, transport in zip(profiles, itertools.cycle(transports), strict=False):
            group: Group | None = None
            if transport == "MULTICAST":
                await media.strip(profile, ("AudioEncoder", "Metadata"))
                group = new_group()
                await set_multicast(kept, profile, "VideoEncoder", group)
            uri = await stream_uri(x, media, profile.token, transport)
            plan = Plan({"video": encoding_of(media, profile)}, transport, groups={"video": group} if group else None)
            shows.append(await stack.enter_async_context(playing(x, uri, plan)))
            await see(x, shows[-1].client, shows[-1].flows)
        for show in shows:
            await goes_on(x, show.client, show.flows, "the other streams had begun")


def encoding_of(media: MediaService, profile: Profile) -> str:
    """Of the video of a profile, by the examiner's name."""
    given = media.encoding_of(profile.configurations["VideoEncoder"])
    found = next((each for each in VIDEO_NAMES if media.is_called(each, given)), "")
    if not found:
        raise Failure(f"the video encoder {profile.token_of('VideoEncoder')} has the encoding {given!r}")
    return found


_INSTANCES = "MEDIA STREAMING – GUARANTEED NUMBER OF VIDEO ENCODER INSTANCES"
_EVERY = " (ALL VIDEO SOURCE CONFIGURATIONS)"


def _register(id: str, where: str, transports: tuple[str, ...], every: bool) -> None:
    async def examine(x: Examination) -> None:
        wanted = transports
        if len(transports) > 1:
            lacking = {"RTSP": "Media/RTP/RTSP/TCP", "MULTICAST": "Media/RTP-Multicast/UDP"}
            wanted = tuple(each for each in transports if x.has(lacking.get(each, "Media Service")))
        await instances(x, wanted, every)

    needs = requirements("trt", transports[0] if len(transports) == 1 else "RTSP", 4)
    add(id, "trt", f"{_INSTANCES} ({where}){_EVERY if every else ''}", examine, needs, bound=600.0)


_MIX = ("UDP", "HTTP", "RTSP", "MULTICAST")
for _offset, _transport in enumerate(("UDP", "HTTP", "RTSP")):
    _register(f"RTSS-1-1-{27 + _offset}", TRANSPORTS[_transport], (_transport,), False)
    _register(f"RTSS-1-1-{49 + _offset}", TRANSPORTS[_transport], (_transport,), True)
_register("RTSS-1-1-30", "MIX OF TRANSPORT TYPES", _MIX, False)
_register("RTSS-1-1-52", "MIX OF TRANSPORT TYPES", _MIX, True)
_register("RTSS-1-2-12", "RTP-Multicast/UDP", ("MULTICAST",), False)
_register("RTSS-1-2-23", "RTP-Multicast/UDP", ("MULTICAST",), True)


# ---- instances of the second service ------------------------------------------------------------------


async def instances2(x: Examination, encoding: str) -> None:
    """GetVideoEncoderInstances is true of profiles that can be made and of streams at once; empty `encoding`: of any."""
    media = service(x, "tr2")
    if PROFILE_T not in x.features.scopes:
        x.skip("Profile T")
    async with Kept(media) as kept:
        limit = int(x.features.capability("tr2", "ProfileCapabilities", "MaximumNumberOfProfiles") or "0")
        totals: list[tuple[Any, int]] = []
        for source in await media.configurations("VideoSource"):
            request = f"<tr2:ConfigurationToken>{source.get('token')}</tr2:ConfigurationToken>"
            answer = await media.ask(f"<tr2:GetVideoEncoderInstances>{request}</tr2:GetVideoEncoderInstances>")
            totals.append((source, _total(media, find(answer, "tr2:Info"), encoding)))
        wanted = sum(total for _, total in totals)
        fixed = sum(each.fixed for each in kept.before)
        encoders = len(await media.configurations("VideoEncoder"))
        x.check(
            wanted <= limit - fixed,
            f"{wanted} instances are guaranteed, MaximumNumberOfProfiles is {limit} and {fixed} profiles are fixed",
        )
        x.check(wanted <= encoders, f"{wanted} instances are guaranteed, and there are {encoders} video encoders")
        # Streaming using Media2 Test 6.50.
        for profile in kept.before:
            if profile.fixed:
                await media.strip(replace(profile, configurations=dict(profile.configurations)), KINDS)
            else:
                await media.delete(profile.token)
        used: set[str] = set()
        profiles = [each for source, total in totals for each in await _new(kept, source, total, used, encoding)]
        await _at_once(x, kept, profiles, ("UDP",))


def _total(media: MediaService, info: Any, encoding: str) -> int:
    """Streaming using Media2 Test 6.54."""
    for each in findall(info, "tr2:Codec"):
        if encoding and media.is_called(encoding, text(each, "tr2:Encoding")):
            return int(text(each, "tr2:Number"))
    return int(text(info, "tr2:Total"))


async def _new(kept: Kept, source: Any, total: int, used: set[str], encoding: str) -> list[Profile]:
    """Streaming using Media2 Test 6.52 and 6.55."""
    media = kept.media
    made: list[Profile] = []
    for _ in range(total):
        profile = Profile(await media.create("testMedia"), "testMedia", False, {})
        await media.add(profile.token, "VideoSource", str(source.get("token")))
        options = None
        for each in await media.compatible(profile.token, "VideoEncoder"):
            token = str(each.get("token"))
            if token in used:
                continue
            options = await _options(media, profile, token, encoding)
            if options is not None:
                profile.configurations["VideoEncoder"] = each
                break
        if options is None:
            raise Failure(
                f"{total} instances are guaranteed for {source.get('token')}, and {len(made)} can be configured"
            )
        await set_video(kept, profile, options, VideoWish(resolution=options.resolutions[0]))
        await media.add(profile.token, "VideoEncoder", profile.token_of("VideoEncoder"))
        used.add(profile.token_of("VideoEncoder"))
        made.append(await media.profile(profile.token))
    return made


async def _options(media: MediaService, profile: Profile, token: str, encoding: str) -> VideoOptions | None:
    given = await media.video_options(profile.token, token)
    return next((each for each in given if not encoding or media.is_called(encoding, each.encoding)), None)


for _number, _encoding in ((23, ""), (24, "H264"), (25, "H265")):

    async def _instances(x: Examination, encoding: str = _encoding) -> None:
        await instances2(x, encoding)

    case(
        f"MEDIA2_RTSS-1-1-{_number}",
        document=STREAMING2,
        name="VIDEO ENCODER INSTANCES" + (f" - {word(_encoding)}" if _encoding else ""),
        requires=requirements("tr2", "UDP", 4, *(FEATURES["tr2"][_encoding] if _encoding else ())),
        destructive=True,
        bound=600.0,
    )(_instances)
