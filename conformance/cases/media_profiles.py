"""Profiles for streaming: found, made, configured, and put back (the annexes of test/Streaming and test/StreamingMedia2)."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from lxml import etree

from conformance.cases.media_options import KINDS, AudioOptions, Group, Profile, VideoOptions, VideoWish
from conformance.cases.media_service import MediaService
from conformance.cases.stream_common import session, stream_uri
from conformance.model import Failure
from conformance.names import DECLARATIONS, NS, find, renamed, text
from conformance.payloads import judge_of
from conformance.watch import offered

VIDEO_NAMES = ("H264", "H265", "MPEG4", "JPEG")
POLL = 0.2
TEST_NAME = "testprofileX"
HALF_DUPLEX = "www.onvif.org/ver20/HalfDuplex/"
VIDEO, AUDIO = ("VideoSource", "VideoEncoder"), ("AudioSource", "AudioEncoder")


def parsed(element: str) -> Any:
    """An element of a request, whose prefixes are the usual ones."""
    return etree.fromstring(f"<all {DECLARATIONS}>{element}</all>")[0]


def picture(configuration: Any) -> tuple[str, ...]:
    """What changes the pictures of a video encoder configuration, for comparison."""
    paths = ("tt:Encoding", "tt:Resolution/tt:Width", "tt:Resolution/tt:Height", "tt:RateControl/tt:FrameRateLimit")
    more = ("tt:RateControl/tt:BitrateLimit", "tt:H264/tt:GovLength", "tt:H264/tt:H264Profile", "tt:MPEG4/tt:GovLength")
    names = ("GovLength", "Profile")
    return (*(text(configuration, each) for each in (*paths, *more)), *(configuration.get(each, "") for each in names))


def new_group(version: int = 4) -> Group:
    """A group and a port that nobody else has: of RFC 2365 6.1, and transient ones of the site (RFC 4291 2.7)."""
    number = secrets.token_bytes(4)
    port = 40_000 + 2 * secrets.randbelow(10_000)
    if version == 6:
        return Group(f"ff15::{number[:2].hex()}:{number[2:].hex()}", port)
    return Group(f"239.{192 + number[0] % 4}.{number[1]}.{1 + number[2] % 254}", port)


@dataclass
class Kept:
    """`async with Kept(service) as kept:` puts profiles and configurations back as they were."""

    media: MediaService
    before: list[Profile] = field(default_factory=list)
    _changed: dict[tuple[str, str], str] = field(default_factory=dict)

    async def __aenter__(self) -> Kept:
        self.before = await self.media.profiles()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._restore()
        except Failure as failure:
            self.media.x.note(f"not everything could be put back: {failure}")
            if error is None:
                raise

    async def set(self, kind: str, present: Any, element: str) -> None:
        """Set a configuration; `present` is how it was before the case."""
        key = kind, str(present.get("token"))
        self._changed.setdefault(key, renamed(present, f"{self.media.prefix}:Configuration"))
        await self.media.set(kind, element)
        if kind == "VideoEncoder":
            await self._shown(present, parsed(element))

    async def _shown(self, before: Any, now: Any) -> None:
        """Until the encoder has begun anew, a device may describe what was before: for its operation delay."""
        media, token = self.media, str(now.get("token"))
        if picture(before) == picture(now):
            return
        wanted = next((name for name in VIDEO_NAMES if media.is_called(name, media.encoding_of(now))), "")
        size = tuple(int(text(now, f"tt:Resolution/tt:{side}", "0")) for side in ("Width", "Height"))
        profiles = await media.profiles()
        profile = next((each for each in profiles if each.token_of("VideoEncoder") == token), None)
        deadline = time.monotonic() + media.x.settings.operation_delay
        while profile is not None and time.monotonic() < deadline:
            if await _describes(media, profile, wanted, size):
                return
            await asyncio.sleep(POLL)
        media.x.note(f"{token} is not described as {wanted} {size} within the operation delay" if profile else "")

    async def _restore(self) -> None:
        wrong: list[Failure] = []

        async def attempt(step: Any) -> None:
            try:
                await step
            except Failure as failure:
                wrong.append(failure)

        for (kind, _token), element in self._changed.items():
            await attempt(self._put_back(kind, element))
        await attempt(self._restore_profiles())
        if wrong:
            raise wrong[0]

    async def _put_back(self, kind: str, element: str) -> None:
        now, before = parsed(element), None
        if kind == "VideoEncoder":
            before = await self.media.configuration(kind, str(now.get("token")))
        await self.media.set(kind, element)
        if before is not None:
            await self._shown(before, now)

    async def _restore_profiles(self) -> None:
        media, now = self.media, {each.token: each for each in await self.media.profiles()}
        known = {each.token for each in self.before}
        for token in now.keys() - known:
            await media.delete(token)
        for profile in self.before:
            present = now.get(profile.token)
            if present is None:
                present = Profile(await media.create(profile.name, profile.token), profile.name, False, {})
            gone = [kind for kind in present.configurations if profile.token_of(kind) != present.token_of(kind)]
            await media.strip(present, gone)
            for kind in KINDS:
                if (wanted := profile.token_of(kind)) and kind not in present.configurations:
                    await media.add(present.token, kind, wanted)

    # ---- empty profiles

    async def empty(self) -> Profile:
        """A profile without configurations (Streaming Test 6.9): a new one, or room is made for it."""
        media = self.media
        try:
            token = await media.create(TEST_NAME)
        except Failure as failure:
            media.x.note(f"no profile can be created: {failure}")
        else:
            return Profile(token, TEST_NAME, False, {})
        profiles = await media.profiles()
        other = next((each for each in profiles if not each.fixed), None)
        if other is not None:
            await media.delete(other.token)
            return Profile(await media.create(TEST_NAME), TEST_NAME, False, {})
        if not profiles:
            raise Failure("there is no profile, and none can be created (Streaming Test 6.9)")
        await media.strip(profiles[0], KINDS)
        return profiles[0]


async def _describes(media: MediaService, profile: Profile, encoding: str, size: tuple[int, ...]) -> bool:
    """Whether the session description of a profile has an encoding, and a size where it tells one."""
    try:
        async with session(media.x, await stream_uri(media.x, media, profile.token, "UDP"), "UDP") as client:
            found = judge_of(offered(client, encoding))
    except Failure:
        return False
    return found.size is None or all(abs(one - other) < 16 for one, other in zip(found.size, size, strict=True))


# ---- finding ------------------------------------------------------------------------------------------


def _off_size(profile: Profile) -> int:
    """How far the pictures of a profile are from the size that cases want."""
    return abs(int(text(profile.configurations.get("VideoEncoder"), "tt:Resolution/tt:Width", "0")) - 640)


async def find_video(kept: Kept, encoding: str) -> tuple[Profile, VideoOptions]:
    """A profile with a video encoder that has the encoding among its options (Streaming Test 6.4, 6.19; Media2 Test 6.6)."""
    media = kept.media

    def other(profile: Profile) -> tuple[bool, int]:
        """One that has the encoding already, and about the size, needs no change."""
        present = profile.configurations.get("VideoEncoder")
        called = present is not None and media.is_called(encoding, media.encoding_of(present))
        return not called, _off_size(profile)

    for profile in sorted(await media.profiles(), key=other):
        if all(kind in profile.configurations for kind in VIDEO):
            options = await _video_options(media, profile, encoding)
            if options is not None:
                return profile, options
    for profile in await media.profiles():
        if "VideoSource" in profile.configurations:
            options = await _add_video_encoder(media, profile, encoding)
            if options is not None:
                return profile, options
    profile = await kept.empty()
    options = await _add_video(media, profile, encoding)
    if options is None:
        raise Failure(f"no media profile can be made with a video encoder for {encoding}")
    return profile, options


async def _video_options(media: MediaService, profile: Profile, encoding: str) -> VideoOptions | None:
    given = await media.video_options(profile.token, profile.token_of("VideoEncoder"))
    return next((each for each in given if media.is_called(encoding, each.encoding)), None)


async def _add_video_encoder(media: MediaService, profile: Profile, encoding: str) -> VideoOptions | None:
    for each in await media.compatible(profile.token, "VideoEncoder"):
        token = str(each.get("token"))
        given = await media.video_options(profile.token, token)
        options = next((one for one in given if not encoding or media.is_called(encoding, one.encoding)), None)
        if options is not None:
            await media.add(profile.token, "VideoEncoder", token)
            profile.configurations["VideoEncoder"] = each
            return options
    return None


async def _add_video(media: MediaService, profile: Profile, encoding: str) -> VideoOptions | None:
    """Source and encoder; an empty encoding stands for any."""
    for source in await media.compatible(profile.token, "VideoSource"):
        await media.add(profile.token, "VideoSource", str(source.get("token")))
        profile.configurations["VideoSource"] = source
        options = await _add_video_encoder(media, profile, encoding)
        if options is not None:
            return options
    return None


async def _audio_options(media: MediaService, profile: Profile, token: str, encoding: str) -> AudioOptions | None:
    given = {each.encoding: each for each in await media.audio_options(profile.token, token)}
    return given.get(media.best(encoding, given))


async def _add_audio(media: MediaService, profile: Profile, encoding: str) -> AudioOptions | None:
    for source in await media.compatible(profile.token, "AudioSource"):
        await media.add(profile.token, "AudioSource", str(source.get("token")))
        profile.configurations["AudioSource"] = source
        for each in await media.compatible(profile.token, "AudioEncoder"):
            token = str(each.get("token"))
            options = await _audio_options(media, profile, token, encoding)
            if options is not None:
                await media.add(profile.token, "AudioEncoder", token)
                profile.configurations["AudioEncoder"] = each
                return options
    return None


async def find_audio(kept: Kept, encoding: str, *, video: bool) -> tuple[Profile, AudioOptions]:
    """A profile with an audio encoder for the encoding, and with video if wanted (Streaming Test 6.20; Media2 Test 6.7)."""
    media = kept.media
    wanted = (*AUDIO, *(VIDEO if video else ()))
    for profile in sorted(await media.profiles(), key=_off_size):
        if all(kind in profile.configurations for kind in wanted):
            options = await _audio_options(media, profile, profile.token_of("AudioEncoder"), encoding)
            if options is not None:
                return profile, options
    profile = await kept.empty()
    options = await _add_audio(media, profile, encoding)
    if options is None:
        raise Failure(f"no media profile can be made with an audio encoder for {encoding}")
    if video and await _add_video(media, profile, "") is None:
        raise Failure(f"no media profile can be made with video and an audio encoder for {encoding}")
    return profile, options


async def only_audio(kept: Kept, encoding: str) -> tuple[Profile, AudioOptions]:
    """A profile with an audio source and an audio encoder and nothing else."""
    profile = await kept.empty()
    options = await _add_audio(kept.media, profile, encoding)
    if options is None:
        raise Failure(f"no media profile can be made with nothing but an audio encoder for {encoding}")
    return profile, options


async def find_encoder(kept: Kept, kind: str, token: str) -> Profile | None:
    """A profile with one encoder configuration (Streaming Test 6.10, 6.12); None if none can be made."""
    media, source = kept.media, kind.replace("Encoder", "Source")
    for profile in await media.profiles():
        if profile.token_of(kind) == token and source in profile.configurations:
            return profile
    profile = await kept.empty()
    for each in await media.compatible(profile.token, source):
        await media.add(profile.token, source, str(each.get("token")))
        profile.configurations[source] = each
        for encoder in await media.compatible(profile.token, kind):
            if encoder.get("token") == token:
                await media.add(profile.token, kind, token)
                profile.configurations[kind] = encoder
                return profile
    await _discard(kept, profile)
    return None


async def _discard(kept: Kept, profile: Profile) -> None:
    """Room for the next one."""
    if profile.token not in {each.token for each in kept.before}:
        await kept.media.delete(profile.token)


async def find_talk(kept: Kept, encoding: str) -> tuple[Profile, str]:
    """A profile with an audio output of ours and a decoder for the encoding, and its SendPrimacy (Media2 Test 6.20)."""
    media = kept.media
    for profile in await media.profiles():
        if all(kind in profile.configurations for kind in ("AudioOutput", "AudioDecoder")):
            primacy = await _primacy(media, profile, profile.token_of("AudioOutput"))
            known = await media.decoders(profile.token, profile.token_of("AudioDecoder"))
            if primacy is not None and encoding in known:
                return profile, primacy
    for profile in await media.profiles():
        for output in await media.compatible(profile.token, "AudioOutput"):
            token = str(output.get("token"))
            primacy = await _primacy(media, profile, token)
            if primacy is None:
                continue
            if profile.token_of("AudioOutput") != token:
                await media.add(profile.token, "AudioOutput", token)
                profile.configurations["AudioOutput"] = output
            for decoder in await media.compatible(profile.token, "AudioDecoder"):
                if encoding in await media.decoders(profile.token, str(decoder.get("token"))):
                    await media.add(profile.token, "AudioDecoder", str(decoder.get("token")))
                    profile.configurations["AudioDecoder"] = decoder
                    return profile, primacy
    raise Failure(f"no media profile can be made with an audio output and a decoder for {encoding}")


async def _primacy(media: MediaService, profile: Profile, token: str) -> str | None:
    """The client's first; empty if the device leaves no choice, None if only the server may be first."""
    offered = await media.primacies(profile.token, token)
    if not offered:
        return ""
    return next((f"{HALF_DUPLEX}{who}" for who in ("Client", "Auto") if f"{HALF_DUPLEX}{who}" in offered), None)


# ---- configuring --------------------------------------------------------------------------------------


async def set_video(kept: Kept, profile: Profile, options: VideoOptions, wish: VideoWish) -> None:
    present = profile.configurations["VideoEncoder"]
    await kept.set("VideoEncoder", present, kept.media.video(present, options, wish))


async def set_any_video(kept: Kept, profile: Profile, wish: VideoWish) -> str:
    """The video of a profile that was chosen for its audio; its encoding by the examiner's name (Streaming Test 6.6)."""
    media = kept.media
    given = await media.video_options(profile.token, profile.token_of("VideoEncoder"))
    present = media.encoding_of(profile.configurations["VideoEncoder"])
    named = {name: each for each in given for name in VIDEO_NAMES if media.is_called(name, each.encoding)}
    name = next((each for each in named if media.is_called(each, present)), next(iter(named), ""))
    if not name:
        raise Failure(f"no encoding of the video encoder {profile.token_of('VideoEncoder')} is known: {present}")
    await set_video(kept, profile, named[name], wish)
    return name


async def set_audio(kept: Kept, profile: Profile, options: AudioOptions, group: Group | None = None) -> None:
    present = profile.configurations["AudioEncoder"]
    await kept.set("AudioEncoder", present, kept.media.audio(present, options, group))


async def set_multicast(kept: Kept, profile: Profile, kind: str, group: Group) -> None:
    """Change nothing but the group of an encoder, and see that the device has it (RTSS-1-2-19 and its like)."""
    present = profile.configurations[kind]
    element = etree.fromstring(renamed(present, f"{kept.media.prefix}:Configuration"))
    before = find(element, "tt:Multicast")
    if before is None:
        raise Failure(f"the configuration {present.get('token')} has no Multicast")
    made = etree.fromstring(group.element.replace("<tt:Multicast>", f'<tt:Multicast xmlns:tt="{NS["tt"]}">'))
    element.replace(before, made)
    await kept.set(kind, present, etree.tostring(element, encoding="unicode"))
