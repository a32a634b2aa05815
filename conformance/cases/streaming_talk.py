"""Back channels: sound to the device (test/Streaming 5.6, test/StreamingMedia2 5.3 and 5.6)."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import struct
import time
from dataclasses import dataclass

from conformance import watch
from conformance.cases.media_options import VideoWish
from conformance.cases.media_profiles import (
    Kept,
    find_audio,
    find_talk,
    set_any_video,
    set_audio,
)
from conformance.cases.media_service import service
from conformance.cases.stream_common import (
    BACKCHANNEL,
    add,
    requirements,
    session,
    stream_uri,
    word,
)
from conformance.cases.stream_network import network
from conformance.cases.streaming import TRANSPORTS
from conformance.model import Examination, Failure
from conformance.payloads import NAMES
from conformance.session import StreamClient, Track
from conformance.watch import flows, offered, see

TALK = 1.0
"""Seconds that are talked at least."""
SILENT_AAC = bytes.fromhex("010c40e0")
"""A frame of AAC-LC in which nothing sounds."""


# ---- talking ------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Voice:
    """Packets of silence in one encoding."""

    payload_type: int
    payload: bytes
    step: int
    """RTP time of one packet."""
    seconds: float
    sequence: int = 0
    stamp: int = 0
    ssrc: int = 0

    def packet(self) -> bytes:
        head = struct.pack("!BBHII", 0x80, self.payload_type, self.sequence, self.stamp, self.ssrc)
        self.sequence, self.stamp = self.sequence + 1 & 0xFFFF, self.stamp + self.step & 0xFFFFFFFF
        return head + self.payload


def voice_of(track: Track, encoding: str) -> Voice:
    """For the payload type of the session description that has the encoding."""
    media = track.media
    kind, name = next((kind, name) for kind, name in media.codecs.items() if name in NAMES[encoding])
    start = secrets.randbelow(1 << 16), secrets.randbelow(1 << 32), secrets.randbelow(1 << 32)
    if encoding == "G711":
        return Voice(int(kind), b"\xff" * 160, 160, 0.02, *start)
    if encoding == "G726":
        return Voice(int(kind), bytes(20 * int(name.rpartition("-")[2]) // 8), 160, 0.02, *start)
    mapped = dict(media.maps).get(kind, "").split("/")
    rate = int(mapped[1]) if len(mapped) > 1 and mapped[1].isdigit() else 16_000
    size = len(SILENT_AAC)
    head = struct.pack("!HH", 16, size << 3) if name == "MPEG4-GENERIC" else bytes([size])
    return Voice(int(kind), head + SILENT_AAC, 1024, 1024 / rate, *start)


async def talk(client: StreamClient, track: Track, encoding: str) -> None:
    """Send for a while, and until the device has reported what it received."""
    voice = voice_of(track, encoding)
    began = time.monotonic()
    for count in itertools.count(1):
        await client.send(track, voice.packet())
        # At the pace of the sound, not of this loop.
        await asyncio.sleep(max(0.0, began + count * voice.seconds - time.monotonic()))
        if track.wrong:
            raise Failure(track.wrong)
        passed = time.monotonic() - began
        if passed >= TALK and track.rtcp:
            return
        if passed > watch.PATIENCE:
            raise Failure(f"no RTCP came for the back channel within {watch.PATIENCE:g} s of sound")


# ---- steps --------------------------------------------------------------------------------------------


async def back_channel(x: Examination, prefix: str, encoding: str, transport: str, version: int) -> None:
    async with network(x, transport, version):
        media = service(x, prefix)
        async with Kept(media) as kept:
            profile, primacy = await find_talk(kept, encoding)
            output = profile.configurations["AudioOutput"]
            await kept.set("AudioOutput", output, media.output(output, primacy))
            uri = await stream_uri(x, media, profile.token, transport)
            async with session(x, uri, transport, require=BACKCHANNEL) as client:
                await client.set_up(offered(client, encoding, talk=True))
                await client.start()
                await talk(client, client.tracks[0], encoding)
                await client.tear_down()
                await client.finish()
            # Who does not ask for it must not be shown it (Streaming 5.3.2).
            async with session(x, uri, transport) as plain:
                assert plain.description is not None
                x.check(
                    all(each.direction != "sendonly" for each in plain.description.media),
                    "the back channel is in a session description that was asked for without Require (Streaming 5.3.2)",
                )


async def everything(x: Examination) -> None:
    """Talk, see and hear at once (Streaming using Media2 Test 6.63 and 6.66)."""
    media = service(x, "tr2")
    async with Kept(media) as kept:
        sound = "G711" if x.has("Media2/Audio/G.711") else "AAC"
        profile, options = await find_audio(kept, sound, video=True)
        pictures = await set_any_video(kept, profile, VideoWish())
        await set_audio(kept, profile, options)
        await _add_talk(kept, profile.token)
        uri = await stream_uri(x, media, profile.token, "UDP")
        async with session(x, uri, "UDP", require=BACKCHANNEL) as client:
            wanted = [offered(client, "G711", talk=True), offered(client, pictures), offered(client, sound)]
            for each in wanted:
                await client.set_up(each)
            await client.start()
            running = flows(client, {"video": pictures, "audio": sound})
            await talk(client, client.tracks[0], "G711")
            await see(x, client, running)
            await client.tear_down()


async def _add_talk(kept: Kept, token: str) -> None:
    media = kept.media
    present = (await media.profile(token)).configurations
    for kind in ("AudioOutput", "AudioDecoder"):
        for each in await media.compatible(token, kind):
            name = str(each.get("token"))
            if kind == "AudioDecoder" and "G711" not in await media.decoders(token, name):
                continue
            if kind not in present or present[kind].get("token") != name:
                await media.add(token, kind, name)
            if kind == "AudioOutput":
                await kept.set(kind, each, media.output(each, ""))
            break
        else:
            raise Failure(f"no {kind} configuration can be added to a profile with video and audio")


# ---- the table ----------------------------------------------------------------------------------------

_FEATURES = {
    "trt": {"": "Media/Audio Outputs", "G711": "G.711", "G726": "G.726", "AAC": "AAC"},
    "tr2": {"": "Media2/Audio Output", "G711": "G.711", "AAC": "AAC"},
}


def _register(id: str, prefix: str, encoding: str, transport: str, version: int) -> None:
    async def examine(x: Examination) -> None:
        await back_channel(x, prefix, encoding, transport, version)

    title = "BACKCHANNEL STREAMING BY POST" if transport.startswith("HTTP") else "BACKCHANNEL"
    family = ", IPv6" if version == 6 else "" if transport == "WS" else ", IPv4"
    head = _FEATURES[prefix][""]
    needs = requirements(prefix, transport, version, head, f"{head}/{_FEATURES[prefix][encoding]}")
    add(id, prefix, f"{title} – {word(encoding)} ({TRANSPORTS[transport]}{family})", examine, needs)


for _index, _encoding in enumerate(("G711", "G726", "AAC")):
    _register(f"RTSS-6-1-{1 + 3 * _index}", "trt", _encoding, "UDP", 4)
    _register(f"RTSS-6-1-{3 + 3 * _index}", "trt", _encoding, "RTSP", 4)
    _register(f"RTSS-6-1-{10 + _index}", "trt", _encoding, "HTTP", 4)
for _index, _encoding in enumerate(("G711", "AAC")):
    for _offset, _transport, _version in ((1, "UDP", 4), (3, "RTSP", 4), (4, "UDP", 6), (6, "RTSP", 6)):
        _register(f"MEDIA2_RTSS-3-1-{6 * _index + _offset}", "tr2", _encoding, _transport, _version)
    _register(f"MEDIA2_RTSS-3-1-{13 + _index}", "tr2", _encoding, "WS", 4)
    _register(f"MEDIA2_RTSS-3-1-{15 + _index}", "tr2", _encoding, "WS", 6)
    for _offset, _version in enumerate((4, 6)):
        _register(f"MEDIA2_RTSS-3-1-{21 + 2 * _index + _offset}", "tr2", _encoding, "HTTP", _version)
        _register(f"MEDIA2_RTSS-3-1-{25 + _index + 2 * _offset}", "tr2", _encoding, "HTTPS", _version)

add(
    "MEDIA2_RTSS-6-1-1",
    "tr2",
    "MEDIA2 STREAMING – G.711 BACKCHANNEL AND H.26X VIDEO AND G.711/AAC AUDIO (RTP-Unicast/UDP)",
    everything,
    requirements(
        *("tr2", "UDP", 4, "Media2/Audio Output", "Media2/Audio Output/G.711"),
        *("Media2/Audio", "Media2/Audio/G.711 OR Media2/Audio/AAC"),
        *("Media2/Video", "Media2/Video/H.264 OR Media2/Video/H.265"),
    ),
)
