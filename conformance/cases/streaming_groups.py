"""Test/Streaming: addresses and ports of multicast, and streams that web services start and stop."""

from __future__ import annotations

from collections.abc import Mapping

from conformance.cases.media_options import Group, Profile, VideoWish, group_of
from conformance.cases.media_profiles import (
    AUDIO,
    Kept,
    find_audio,
    find_encoder,
    find_video,
    new_group,
    only_audio,
    set_any_video,
    set_audio,
    set_multicast,
    set_video,
)
from conformance.cases.media_service import MediaService, service
from conformance.cases.stream_common import (
    Plan,
    add,
    requirements,
    sent_to_groups,
    stream,
    stream_uri,
    version_of,
    word,
)
from conformance.cases.stream_network import network
from conformance.cases.streaming import FEATURES
from conformance.cases.streaming_video import encoding_of
from conformance.model import Examination
from conformance.names import find


async def check_group_set(x: Examination, media: MediaService, kind: str, token: str, group: Group) -> None:
    name = f"trt:Get{kind}Configuration"
    answer = await media.ask(f"<{name}><trt:ConfigurationToken>{token}</trt:ConfigurationToken></{name}>")
    now = group_of(find(answer, "trt:Configuration"))
    x.check(
        now == group, f"Multicast of {token} is {now.address} port {now.port} after {group.address} port {group.port}"
    )


def audio_encoding(media: MediaService, profile: Profile) -> str:
    given = media.encoding_of(profile.configurations["AudioEncoder"])
    return next((each for each in ("G711", "G726", "AAC") if media.is_called(each, given)), given)


# ---- the settings of each encoder ---------------------------------------------------------------------


async def each_encoder(x: Examination, kind: str, same: str) -> None:
    """All encoders of a kind with the same address or the same port (`same`), each where it was told to send."""
    media = service(x, "trt")
    async with Kept(media) as kept:
        groups: dict[str, Group] = {}
        first = new_group()
        for index, present in enumerate(await media.configurations(kind)):
            other = (
                Group(first.address, first.port + 4 * index)
                if same == "address"
                else Group(new_group().address, first.port)
            )
            token = str(present.get("token"))
            groups[token] = other
            await set_multicast(kept, Profile("", "", False, {kind: present}), kind, other)
            await check_group_set(x, media, kind, token, other)
        x.check(groups, f"Get{kind}Configurations lists nothing")
        for token, group in groups.items():
            profile = await find_encoder(kept, kind, token)
            x.check(profile is not None, f"no profile can be made with {token}")
            assert profile is not None
            await _started(x, kept, profile, kind, group)


async def _started(x: Examination, kept: Kept, profile: Profile, kind: str, group: Group) -> None:
    media = kept.media
    if kind == "VideoEncoder":
        await media.strip(profile, ("AudioEncoder", "AudioSource", "Metadata"))
        await sent_to_groups(x, media, profile.token, {encoding_of(media, profile): group})
        return
    for other in ("VideoEncoder", "Metadata"):
        # Streaming Test 6.11: what else the profile has needs a valid group too.
        if other in profile.configurations and not _valid(group_of(profile.configurations[other])):
            await set_multicast(kept, profile, other, new_group())
    await sent_to_groups(x, media, profile.token, {audio_encoding(media, profile): group})


def _valid(group: Group) -> bool:
    return version_of(group.address) != 0 and group.address not in ("0.0.0.0", "::") and group.port > 0


for _id, _kind, _same, _what in (
    ("RTSS-1-2-19", "VideoEncoder", "address", "PORT"),
    ("RTSS-1-2-20", "VideoEncoder", "port", "ADDRESS"),
    ("RTSS-2-2-9", "AudioEncoder", "address", "PORT"),
    ("RTSS-2-2-10", "AudioEncoder", "port", "ADDRESS"),
):

    async def _each(x: Examination, kind: str = _kind, same: str = _same) -> None:
        await each_encoder(x, kind, same)

    _words = "VIDEO" if _kind.startswith("V") else "AUDIO"
    _more = () if _kind.startswith("V") else ("Media/Audio",)
    _title = f"{_words} ENCODER CONFIGURATION – MULTICAST {_what} (IPv4)"
    add(_id, "trt", _title, _each, requirements("trt", "MULTICAST", 4, *_more), bound=300.0)


# ---- named in SETUP -----------------------------------------------------------------------------------


async def named(x: Examination, version: int) -> None:
    async with network(x, "MULTICAST", version):
        media = service(x, "trt")
        async with Kept(media) as kept:
            profile, options = await find_video(kept, "JPEG")
            group = new_group(version)
            await set_video(kept, profile, options, VideoWish(group=group))
            await media.strip(profile, ("AudioEncoder", "Metadata"))
            uri = await stream_uri(x, media, profile.token, "MULTICAST")
            await stream(x, uri, Plan({"video": "JPEG"}, "MULTICAST", groups={"video": group}, named=True))


for _number, _version in ((21, 4), (22, 6)):

    async def _named(x: Examination, version: int = _version) -> None:
        await named(x, version)

    _title = f"VIDEO ENCODER CONFIGURATION – MULTICAST ADDRESS AND PORT IN RTSP SETUP (IPv{_version})"
    add(f"RTSS-1-2-{_number}", "trt", _title, _named, requirements("trt", "MULTICAST", _version, "Media/JPEG"))


# ---- video and audio of one profile -------------------------------------------------------------------


async def video_and_audio(x: Examination, video: Group, audio: Group, *, verify: bool = True) -> None:
    media = service(x, "trt")
    async with Kept(media) as kept:
        profile, options = await find_audio(kept, "G711", video=True)
        pictures = await set_any_video(kept, profile, VideoWish(group=video))
        await set_audio(kept, profile, options, audio)
        if verify:
            await check_group_set(x, media, "VideoEncoder", profile.token_of("VideoEncoder"), video)
            await check_group_set(x, media, "AudioEncoder", profile.token_of("AudioEncoder"), audio)
        await media.strip(profile, ("Metadata",))
        await sent_to_groups(x, media, profile.token, {pictures: video, "G711": audio})


async def different_ports(x: Examination) -> None:
    video = new_group()
    await video_and_audio(x, video, Group(video.address, video.port + 4))


async def different_addresses(x: Examination) -> None:
    video = new_group()
    await video_and_audio(x, video, Group(new_group().address, video.port))


async def start_both(x: Examination) -> None:
    # The specification has one address and port for both; two RTP sessions cannot share them (RFC 3550 5.2).
    video = new_group()
    await video_and_audio(x, video, Group(video.address, video.port + 4), verify=False)


_BOTH = requirements("trt", "MULTICAST", 4, *FEATURES["trt"]["G711"])
add("RTSS-3-2-22", "trt", "VIDEO AND AUDIO ENCODER CONFIGURATION – DIFFERENT PORTS", different_ports, _BOTH)
add("RTSS-3-2-23", "trt", "VIDEO AND AUDIO ENCODER CONFIGURATION – DIFFERENT ADDRESS", different_addresses, _BOTH)


# ---- started and stopped ------------------------------------------------------------------------------


async def start_video(x: Examination) -> None:
    media = service(x, "trt")
    async with Kept(media) as kept:
        profile, options = await find_video(kept, "JPEG")
        group = new_group()
        await set_video(kept, profile, options, VideoWish(group=group))
        await media.strip(profile, (*AUDIO, "Metadata"))
        await sent_to_groups(x, media, profile.token, {"JPEG": group})


async def start_audio(x: Examination, encoding: str) -> None:
    media = service(x, "trt")
    async with Kept(media) as kept:
        profile, options = await only_audio(kept, encoding)
        wanted: Mapping[str, Group] = {encoding: new_group()}
        await set_audio(kept, profile, options, wanted[encoding])
        await sent_to_groups(x, media, profile.token, wanted)


_HEAD = "START AND STOP MULTICAST STREAMING"
add("RTSS-5-1-7", "trt", f"{_HEAD} – JPEG (IPv4)", start_video, requirements("trt", "MULTICAST", 4, "Media/JPEG"))
add("RTSS-5-1-9", "trt", f"{_HEAD} – VIDEO AND G.711 AUDIO (IPv4)", start_both, _BOTH)
for _number, _encoding in ((10, "G711"), (11, "G726"), (12, "AAC")):

    async def _start(x: Examination, encoding: str = _encoding) -> None:
        await start_audio(x, encoding)

    _title = f"{_HEAD} – {word(_encoding)} (IPv4, ONLY AUDIO PROFILE)"
    add(f"RTSS-5-1-{_number}", "trt", _title, _start, requirements("trt", "MULTICAST", 4, *FEATURES["trt"][_encoding]))
