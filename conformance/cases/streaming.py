"""Test/Streaming and test/StreamingMedia2: every encoding by every transport and address family, from one table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from conformance.cases.media_options import VideoWish
from conformance.cases.media_profiles import (
    Kept,
    find_audio,
    find_video,
    new_group,
    only_audio,
    set_any_video,
    set_audio,
    set_video,
)
from conformance.cases.media_service import service
from conformance.cases.stream_common import Plan, add, requirements, stream, stream_uri, word
from conformance.cases.stream_network import network
from conformance.model import Examination

Steps = Callable[[Examination, str, str, str, int], Awaitable[None]]
"""Of one case, by service (prefix), encoding, transport and IP version."""

TRANSPORTS = {
    "UDP": "RTP-Unicast/UDP",
    "HTTP": "RTP-Unicast/RTSP/HTTP/TCP",
    "RTSP": "RTP/RTSP/TCP",
    "HTTPS": "RTP-Unicast/RTSP/HTTPS/TCP",
    "WS": "RTP-Unicast/RTSP/WebSockets",
}
FEATURES = {
    "trt": {
        "JPEG": ("Media/JPEG",),
        "MPEG4": ("Media/MPEG-4",),
        "H264": ("Media/H.264",),
        "G711": ("Media/Audio", "Media/Audio/G.711"),
        "G726": ("Media/Audio", "Media/Audio/G.726"),
        "AAC": ("Media/Audio", "Media/Audio/AAC"),
    },
    "tr2": {
        "H264": ("Media2/Video/H.264",),
        "H265": ("Media2/Video/H.265",),
        "G711": ("Media2/Audio", "Media2/Audio/G.711"),
        "AAC": ("Media2/Audio", "Media2/Audio/AAC"),
    },
}


# ---- steps --------------------------------------------------------------------------------------------


async def video(x: Examination, prefix: str, encoding: str, transport: str, version: int) -> None:
    async with network(x, transport, version):
        media = service(x, prefix)
        async with Kept(media) as kept:
            profile, options = await find_video(kept, encoding)
            group = new_group(version) if transport == "MULTICAST" else None
            await set_video(kept, profile, options, VideoWish(group=group))
            if group is not None:
                await media.strip(profile, ("AudioEncoder", "Metadata"))
            uri = await stream_uri(x, media, profile.token, transport)
            await stream(x, uri, Plan({"video": encoding}, transport, groups={"video": group} if group else None))


async def audio(x: Examination, prefix: str, encoding: str, transport: str, version: int) -> None:
    """Sound of a profile that has pictures as well."""
    async with network(x, transport, version):
        media = service(x, prefix)
        async with Kept(media) as kept:
            profile, options = await find_audio(kept, encoding, video=prefix == "trt")
            group = new_group(version) if transport == "MULTICAST" else None
            await set_audio(kept, profile, options, group)
            if group is not None:
                await media.strip(profile, ("VideoEncoder", "Metadata"))
            uri = await stream_uri(x, media, profile.token, transport)
            await stream(x, uri, Plan({"audio": encoding}, transport, groups={"audio": group} if group else None))


async def audio_alone(x: Examination, prefix: str, encoding: str, transport: str, version: int) -> None:
    """Sound of a profile that has nothing else."""
    async with network(x, transport, version):
        media = service(x, prefix)
        async with Kept(media) as kept:
            profile, options = await only_audio(kept, encoding)
            group = new_group(version) if transport == "MULTICAST" else None
            await set_audio(kept, profile, options, group)
            uri = await stream_uri(x, media, profile.token, transport)
            groups = {"audio": group} if group else None
            await stream(x, uri, Plan({"audio": encoding}, transport, only=True, groups=groups))


async def both(x: Examination, prefix: str, encoding: str, transport: str, version: int) -> None:
    """Pictures and sound; `encoding` is the sound's."""
    async with network(x, transport, version):
        media = service(x, prefix)
        async with Kept(media) as kept:
            profile, options = await find_audio(kept, encoding, video=True)
            groups = {"video": new_group(version), "audio": new_group(version)} if transport == "MULTICAST" else {}
            wish = VideoWish(group=groups.get("video"))
            pictures = await set_any_video(kept, profile, wish)
            await set_audio(kept, profile, options, groups.get("audio"))
            if groups:
                await media.strip(profile, ("Metadata",))
            uri = await stream_uri(x, media, profile.token, transport)
            await stream(x, uri, Plan({"video": pictures, "audio": encoding}, transport, groups=groups or None))


# ---- the table ----------------------------------------------------------------------------------------


def _register(
    prefix: str, id: str, name: str, steps: Steps, encoding: str, transport: str, version: int, *more: str
) -> None:
    async def examine(x: Examination) -> None:
        await steps(x, prefix, encoding, transport, version)

    add(id, prefix, name, examine, requirements(prefix, transport, version, *FEATURES[prefix][encoding], *more))


def _streaming(group: str, title: str, steps: Steps, encoding: str, first: int, first6: int) -> None:
    """UDP, HTTP and RTSP of one encoding: three ids from `first` for IPv4, three from `first6` for IPv6."""
    for start, version in ((first, 4), (first6, 6)):
        for offset, transport in enumerate(("UDP", "HTTP", "RTSP")):
            where = TRANSPORTS[transport] + (", IPv6" if version == 6 else "")
            name = f"{title} ({where})"
            _register("trt", f"RTSS-{group}-{start + offset}", name, steps, encoding, transport, version)


def _multicast(group: str, title: str, steps: Steps, encoding: str, four: int, six: int) -> None:
    for number, version in ((four, 4), (six, 6)):
        name = f"{title} (RTP-Multicast/UDP, IPv{version})"
        _register("trt", f"RTSS-{group}-{number}", name, steps, encoding, "MULTICAST", version)


for _encoding, _first, _first6, _four, _six in (
    ("JPEG", 34, 54, 13, 16),
    ("MPEG4", 37, 57, 14, 17),
    ("H264", 41, 60, 15, 18),
):
    _title = f"MEDIA STREAMING – {word(_encoding)}"
    _streaming("1-1", _title, video, _encoding, _first, _first6)
    _multicast("1-2", _title, video, _encoding, _four, _six)

for _index, _encoding in enumerate(("G711", "G726", "AAC")):
    _title = f"MEDIA STREAMING – {word(_encoding)}"
    _streaming("2-1", _title, audio, _encoding, 19 + 3 * _index, 37 + 3 * _index)
    _streaming("2-1", f"AUDIO STREAMING – {word(_encoding)}", audio_alone, _encoding, 28 + 3 * _index, 46 + 3 * _index)
    _multicast("2-2", _title, audio_alone, _encoding, 11 + 2 * _index, 12 + 2 * _index)
    _title = f"MEDIA STREAMING – VIDEO AND {word(_encoding)} AUDIO"
    _streaming("3-1", _title, both, _encoding, 10 + 3 * _index, 19 + 3 * _index)
    _multicast("3-2", _title, both, _encoding, 16 + 2 * _index, 17 + 2 * _index)


# ---- the second service -------------------------------------------------------------------------------


def _second(
    group: str, number: int, title: str, steps: Steps, encoding: str, transport: str, version: int, *more: str
) -> None:
    if transport == "MULTICAST":
        joint = group.startswith("5")
        where = ("RTP-Multicast/UDP" + (", IPv6" if version == 6 else "")) if joint else f"RTP-Multicast, IPv{version}"
    else:
        where = TRANSPORTS[transport] + (", IPv6" if version == 6 else "")
    name = f"MEDIA2 {title} ({where})"
    _register("tr2", f"MEDIA2_RTSS-{group}-{number}", name, steps, encoding, transport, version, *more)


_PLAIN = (("UDP", 4), ("HTTP", 4), ("RTSP", 4))
_PLAIN6 = (("UDP", 6), ("HTTP", 6), ("RTSP", 6))

for _encoding, _numbers in (
    ("H264", (1, 2, 3, 5, 6, 7, 15, 17, 19, 21)),
    ("H265", (8, 9, 10, 12, 13, 14, 16, 18, 20, 22)),
):
    _ways = (*_PLAIN, *_PLAIN6, ("HTTPS", 4), ("HTTPS", 6), ("WS", 4), ("WS", 6))
    for _number, (_transport, _version) in zip(_numbers, _ways, strict=True):
        _second("1-1", _number, f"STREAMING – {word(_encoding)}", video, _encoding, _transport, _version)
for _encoding, _number in (("H264", 1), ("H265", 3)):
    for _version in (4, 6):
        _offset = _version // 2 - 2
        _second("1-2", _number + _offset, f"STREAMING – {word(_encoding)}", video, _encoding, "MULTICAST", _version)

for _encoding, _numbers in (
    ("G711", (1, 2, 3, 4, 5, 6, 13, 15, 17, 19)),
    ("AAC", (7, 8, 9, 10, 11, 12, 14, 16, 18, 20)),
):
    for _number, (_transport, _version) in zip(_numbers, _ways, strict=True):
        _second("2-1", _number, f"STREAMING – {word(_encoding)}", audio, _encoding, _transport, _version)
for _encoding, _number in (("G711", 1), ("AAC", 3)):
    for _version in (4, 6):
        _offset = _version // 2 - 2
        _second("2-2", _number + _offset, f"STREAMING – {word(_encoding)}", audio, _encoding, "MULTICAST", _version)
_second("2-1", 21, "AUDIO STREAMING – G.711", audio_alone, "G711", "UDP", 4)

_ANY_VIDEO = "Media2/Video/H.264 OR Media2/Video/H.265"
for _index, _encoding in enumerate(("G711", "AAC")):
    _title = f"STREAMING – H.26X/{word(_encoding)}"
    for _offset, (_transport, _version) in enumerate((*_PLAIN, *_PLAIN6)):
        _second("5-1", 1 + 6 * _index + _offset, _title, both, _encoding, _transport, _version, _ANY_VIDEO)
    for _offset, _version in enumerate((4, 6)):
        _second("5-2", 1 + 2 * _index + _offset, _title, both, _encoding, "MULTICAST", _version, _ANY_VIDEO)
