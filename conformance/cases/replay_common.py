"""What the cases of test/Replay share: sessions, and what is demanded of every packet."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from conformance.cases.event_values import stamp
from conformance.cases.recording_common import AUDIO, capabilities
from conformance.cases.search_common import EVENTS, Footage, footage, scope, search
from conformance.cases.search_events import EMPTY, RECORDING_STATE
from conformance.cases.search_events import read as read_event
from conformance.cases.stream_common import check_families
from conformance.model import Examination
from conformance.names import flag, text
from conformance.replay import ReplayClient
from conformance.rtp import MAX_DATAGRAM, Description, Media, Rtp
from conformance.rtsp import RtspReply
from conformance.session import Track

DOCUMENT = "Replay"
REPLAY = "Replay Service"
MEDIA_OF = {"Video": "video", "Audio": "audio", "Metadata": "application"}
INACCURACY = timedelta(seconds=2)
"""Of times, by the specification."""
DRIFT = 0.25
"""Seconds by which RTP time may run apart from the times in the extension, within footage without a gap."""
SILENCE = 3.0
PATIENCE = 15.0
"""Seconds in which the first packets of a track must come."""
SHOWN = 2.0
"""Seconds of a stream that are judged where the specification says "render it"."""
LONGEST = timedelta(seconds=5)
METHODS = ("OPTIONS", "DESCRIBE", "SETUP", "PLAY", "TEARDOWN")


def clock(value: datetime) -> str:
    """utc-time of RFC 2326 3.7 with microseconds."""
    return value.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%fZ")


def clock_range(start: datetime, end: datetime | None = None) -> str:
    return f"clock={clock(start)}-{clock(end) if end is not None else ''}"


# ---- sessions -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Scene:
    """A session that was set up on the recording of the case."""

    client: ReplayClient
    place: Footage
    kinds: tuple[str, ...]
    set_up: list[RtspReply]
    length: timedelta
    """Of the footage up to the first gap: points in time are chosen there (notes of Replay Test 5.3.14)."""

    @property
    def delta(self) -> timedelta:
        """The specification's delta."""
        return min(LONGEST, self.length / 3)

    def rtp(self, cseq: int | None = None) -> dict[str, list[Rtp]]:
        """What came for each track; `cseq` leaves out what came before the PLAY with this CSeq took effect."""
        return {each.media.kind: since(each, cseq) for each in self.client.tracks}

    def begun(self, cseq: int) -> bool:
        """Whether all tracks have packets of a PLAY."""
        return all(since(each, cseq) for each in self.client.tracks)


def since(track: Track, cseq: int | None) -> list[Rtp]:
    """Packets from the first whose extension has a CSeq."""
    if cseq is None:
        return list(track.rtp)
    for index, packet in enumerate(track.rtp):
        if packet.extension is not None and packet.extension.cseq == cseq:
            return track.rtp[index:]
    return []


async def replay_uri(x: Examination, token: str, transport: str) -> str:
    setup = f"<tt:Stream>RTP-Unicast</tt:Stream><tt:Transport><tt:Protocol>{transport}</tt:Protocol></tt:Transport>"
    body = f"<trp:StreamSetup>{setup}</trp:StreamSetup><trp:RecordingToken>{token}</trp:RecordingToken>"
    uri = text(await x.ask("trp", f"<trp:GetReplayUri>{body}</trp:GetReplayUri>"), "trp:Uri")
    x.check(urlsplit(uri).hostname, f"GetReplayUri gave {uri!r}, which is no URI")
    return uri


async def recorded_kinds(x: Examination, kinds: tuple[str, ...]) -> tuple[str, ...]:
    """Audio and metadata belong to a case with all tracks only where the device records them."""
    if len(kinds) == 1 or not x.has("Recording Control Service"):
        return kinds
    supported = await capabilities(x)
    there = {
        "Video": True,
        "Audio": bool({each.upper() for each in (supported.get("Encoding") or "").split()} & AUDIO),
        "Metadata": flag(supported, "MetadataRecording"),
    }
    return tuple(kind for kind in kinds if there[kind])


@contextlib.asynccontextmanager
async def scene(x: Examination, kinds: tuple[str, ...], transport: str) -> AsyncIterator[Scene]:
    """A session with one track of each kind, ready for PLAY; TEARDOWN must succeed at its end."""
    kinds = await recorded_kinds(x, kinds)
    async with footage(x, *kinds) as place:
        uri = await replay_uri(x, place.token, transport)
        async with ReplayClient(x, uri, transport) as client:
            description = await client.describe()
            version = 6 if ":" in x.prober.local() else 4
            check_families(x, client.answer, description, version, "Replay Test 6.5")
            made = Scene(client, place, kinds, [], await _first_stretch(x, place))
            for kind in kinds:
                media = next((each for each in description.media if each.kind == MEDIA_OF[kind]), None)
                x.check(media is not None, f"the session description has no {MEDIA_OF[kind]} for the track of {kind}")
                assert media is not None
                made.set_up.append(await client.set_up(media))
            yield made
            for track in client.tracks:
                x.check(not track.wrong, track.wrong)
            await client.tear_down()


async def _first_stretch(x: Examination, place: Footage) -> timedelta:
    """From the start to where the history says that recording ended for the first time."""
    where = scope(recording=place.token)
    found = await search(x, EVENTS, where, start=place.start, end=place.end, inside=EMPTY, states=False)
    for event in (read_event(x, each) for each in found):
        if event.topic == RECORDING_STATE and event.value("IsRecording") == "false" and event.time > place.start:
            return event.time - place.start
    return place.end - place.start


# ---- packets ------------------------------------------------------------------------------------------


def frames(packets: list[Rtp]) -> list[list[Rtp]]:
    """Packets by access unit: those of one RTP time up to its marker. Further packets of a unit may have the extension too."""
    found: list[list[Rtp]] = []
    fresh = True
    for packet in packets:
        if fresh or packet.stamp != found[-1][0].stamp or _other_time(found[-1][0], packet):
            found.append([])
        found[-1].append(packet)
        fresh = packet.marker
    return found


def _other_time(first: Rtp, packet: Rtp) -> bool:
    if packet.extension is None:
        return False
    return first.extension is None or first.extension.time != packet.extension.time


def times(packets: list[Rtp]) -> list[datetime]:
    """The times in the extensions, in order of delivery."""
    return [each.extension.time for each in packets if each.extension is not None]


def check_packets(
    x: Examination,
    track: Track,
    packets: list[Rtp],
    *,
    cseq: int,
    transport: str,
    backward: bool = False,
    seek: bool = False,
) -> None:
    """Replay Test 6.1, Replay 6.3, and the rules for both directions. `seek`: replay went on elsewhere than it was."""
    kind = track.media.kind
    x.check(packets, f"no RTP packet of {kind} came")
    for one, other in itertools.pairwise(packets):
        step = other.sequence - one.sequence & 0xFFFF
        x.check(
            step == 1 or (transport == "UDP" and 1 < step < 0x8000),
            f"sequence numbers of {kind} go from {one.sequence} to {other.sequence}",
        )
    for packet in packets:
        x.check(
            transport != "UDP" or packet.size <= MAX_DATAGRAM,
            f"an RTP packet of {kind} has {packet.size} bytes and does not fit into an Ethernet frame",
        )
    units = frames(packets)
    for unit in units:
        extension = unit[0].extension
        x.check(extension is not None, f"an access unit of {kind} begins without the replay extension (Replay 6.3)")
        assert extension is not None
        x.check(not extension.zeros, f"the mbz bits of a replay extension of {kind} are {extension.zeros:#x}, not 0")
        x.check(
            extension.cseq == cseq,
            f"a replay extension of {kind} has the CSeq {extension.cseq}, the PLAY had {cseq} in its low byte",
        )
    heads = [unit[0].extension for unit in units]
    where = next((index for index, each in enumerate(track.rtp) if each is packets[0]), 0)
    # By UDP the first packet may be lost to a device that sends as fast as it can.
    whole = transport != "UDP" or not where or packets[0].sequence - track.rtp[where - 1].sequence & 0xFFFF == 1
    x.check(
        not seek or not whole or (heads[0] is not None and heads[0].discontinuity),
        f"the first packet of {kind} from the new location has no D bit (Replay 6.3)",
    )
    if backward:
        _check_backward(x, kind, units)
    else:
        moments = times(packets)
        for earlier, later in itertools.pairwise(moments):
            x.check(
                later >= earlier,
                f"the NTP time of {kind} falls from {stamp(earlier)} to {stamp(later)} in forward replay",
            )


def groups(units: list[list[Rtp]]) -> list[list[list[Rtp]]]:
    """Access units by group of pictures: each begins with a clean point."""
    found: list[list[list[Rtp]]] = []
    for unit in units:
        extension = unit[0].extension
        if not found or (extension is not None and extension.clean):
            found.append([])
        found[-1].append(unit)
    return found


def _check_backward(x: Examination, kind: str, units: list[list[Rtp]]) -> None:
    """Groups in reverse order, frames in them forward, D at the start of each (Replay 6.6)."""
    previous: datetime | None = None
    for group in groups(units):
        inside = times([packet for unit in group for packet in unit])
        head = group[0][0].extension
        x.check(
            head is not None and head.discontinuity,
            f"a group of {kind} in reverse replay begins without the D bit (Replay 6.6)",
        )
        x.check(inside == sorted(inside), f"frames in a group of {kind} are not in forward order in reverse replay")
        x.check(
            previous is None or inside[0] < previous,
            f"groups of {kind} are not in reverse order: {stamp(inside[0])} after {stamp(previous or inside[0])}",
        )
        previous = inside[0]


def check_stamps(x: Examination, track: Track, packets: list[Rtp], *, backward: bool = False) -> None:
    """RTP times must run as the times in the extensions do: forward, or as the client shall show reversed frames."""
    kind, rate = track.media.kind, track.media.clock
    anchor: Rtp | None = None
    for unit in frames(packets):
        first = unit[0]
        if first.extension is None:
            continue
        if anchor is None or anchor.extension is None or first.extension.discontinuity:
            anchor = first
        passed = (first.extension.time - anchor.extension.time).total_seconds() if anchor.extension else 0.0
        ticks = (first.stamp - anchor.stamp + (1 << 31) & 0xFFFFFFFF) - (1 << 31)
        if backward:
            # Replay 6.6: within a group RTP times may fall, as frames are shown in reverse.
            passed, ticks = abs(passed), abs(ticks)
        x.check(
            abs(ticks / rate - passed) <= DRIFT,
            f"RTP time of {kind} advances by {ticks / rate:.3f} s where the recording advances by {passed:.3f} s",
        )
        if first.extension.end:
            anchor = None


# ---- frames of video ----------------------------------------------------------------------------------


def is_intra(encoding: str, unit: list[Rtp]) -> bool:
    """Whether an access unit holds intra coded slices only (RFC 6184, RFC 7798, RFC 6416)."""
    judge = {"H264": _intra_h264, "H265": _intra_h265, "MP4V-ES": _intra_mpeg4}.get(encoding)
    if judge is None:
        return encoding == "JPEG"
    return all(judge(packet.payload) for packet in unit)


def _intra_h264(payload: bytes) -> bool:
    if not payload:
        return True
    kind = payload[0] & 0x1F
    if kind == 24:
        offset = 1
        while offset + 2 < len(payload):
            size = int.from_bytes(payload[offset : offset + 2], "big")
            if not _intra_nal(payload[offset + 2 : offset + 2 + size]):
                return False
            offset += 2 + size
        return True
    if kind == 28 and len(payload) > 2:
        if not payload[1] & 0x80:
            return True
        return _intra_nal(bytes([payload[1] & 0x1F]) + payload[2:])
    return _intra_nal(payload)


def _intra_nal(nal: bytes) -> bool:
    """Slice data is intra if it is IDR, or its slice_type is I or SI (H.264 7.4.3)."""
    kind = nal[0] & 0x1F if nal else 0
    if kind not in (1, 2):
        return True
    bits = int.from_bytes(nal[1:9].ljust(8, b"\0"), "big")
    position = 64

    def ue() -> int:
        nonlocal position
        zeros = 0
        while position and not bits >> position - 1 & 1:
            zeros += 1
            position -= 1
        position -= 1
        value = (1 << zeros) - 1 + (bits >> position - zeros & (1 << zeros) - 1 if zeros else 0)
        position -= zeros
        return value

    ue()
    return ue() % 5 in (2, 4)


def _intra_h265(payload: bytes) -> bool:
    """Only IRAP pictures are taken for intra (H.265 table 7-1)."""
    if len(payload) < 3:
        return True
    kind = payload[0] >> 1 & 0x3F
    if kind == 49:
        kind = payload[2] & 0x3F
    elif kind == 48:
        kind = payload[4] >> 1 & 0x3F if len(payload) > 4 else 32
    return kind > 15


def _intra_mpeg4(payload: bytes) -> bool:
    """vop_coding_type I (ISO 14496-2 6.2.5)."""
    start = payload.find(b"\0\0\1\xb6")
    return start < 0 or len(payload) <= start + 4 or payload[start + 4] >> 6 == 0


# ---- answers ------------------------------------------------------------------------------------------


def check_set_up(x: Examination, reply: RtspReply) -> None:
    x.check(reply.header("Transport"), "the answer to SETUP has no Transport")
    session = reply.header("Session")
    x.check(session, "the answer to SETUP has no Session")
    x.check("timeout" in session, f"Session in the answer to SETUP has no timeout: {session!r}")


def check_play(x: Examination, reply: RtspReply, tracks: int) -> None:
    x.check(reply.header("Session"), "the answer to PLAY has no Session")
    information = reply.header("RTP-Info")
    x.check(information, "the answer to PLAY has no RTP-Info")
    entries = [each.strip() for each in information.split(",")]
    x.check(len(entries) == tracks, f"RTP-Info has {len(entries)} entries for {tracks} tracks: {information!r}")
    for entry in entries:
        names = {each.strip().partition("=")[0] for each in entry.split(";")}
        missing = {"url", "seq", "rtptime"} - names
        x.check(not missing, f"RTP-Info lacks {', '.join(sorted(missing))}: {entry!r}")


def check_references(x: Examination, description: Description, kinds: tuple[str, ...], known: dict[str, str]) -> None:
    """Each track has its a=x-onvif-track (Replay 6.2)."""
    wanted = {MEDIA_OF[kind] for kind in kinds}
    for media in description.media:
        if media.kind in wanted:
            x.check(media.track, f"the {media.kind} in the session description has no a=x-onvif-track (Replay 6.2)")
            x.check(
                media.track in known, f"a=x-onvif-track:{media.track} is no track of the recording ({', '.join(known)})"
            )
            x.check(media.encoding, f"the {media.kind} in the session description has no a=rtpmap")


def media_of(description: Description, kind: str) -> Media | None:
    return next((each for each in description.media if each.kind == MEDIA_OF[kind]), None)


Step = Callable[[Examination, Scene], Any]
