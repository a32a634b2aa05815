"""What a client sees of a stream: packets put in order, judged by their encoding, and sender reports (Streaming 5.1.2)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from conformance.model import Examination, Failure
from conformance.payloads import KINDS, NAMES, judge_of
from conformance.rtp import MAX_DATAGRAM, Media, Report, Rtp, ahead
from conformance.session import DATAGRAMS, StreamClient, Track

PATIENCE = 10.0
"""Seconds in which pictures, sound, documents and a sender report must have come."""
SHOWN = 0.5
"""Seconds of pictures and sound that are looked at."""
WINDOW = 32
"""Datagrams that may overtake another one."""
CLOCK = 10.0
"""Seconds by which the wall clock of a sender report may be off the device's own."""
PACE = 0.5
"""Seconds, of ten, by which the RTP time of sender reports may run apart from their wall clock."""
LAG = 5.0
"""Seconds between the newest packet and the RTP time of a sender report, beside those that passed between them."""


class Flow:
    """One track: packets become access units, and these are judged."""

    def __init__(self, track: Track, encoding: str, transport: str) -> None:
        self.track, self.encoding = track, encoding
        self.judge = judge_of(track.media)
        self.lost = 0
        self._datagrams = transport in DATAGRAMS
        self._seen = 0
        self._waiting: dict[int, Rtp] = {}
        self._next: int | None = None
        self._unit: list[Rtp] = []
        self._unmarked = 0
        self._single = encoding in ("G711", "G726")
        # Who joins a group may come in the middle of a picture.
        self._fresh = transport == "MULTICAST"

    @property
    def name(self) -> str:
        return f"{self.track.media.kind} ({self.encoding})"

    # ---- order

    def update(self) -> None:
        """Judge what has come since the last time."""
        if self.track.wrong:
            raise Failure(self.track.wrong)
        packets = self.track.rtp
        while self._seen < len(packets):
            packet = packets[self._seen]
            self._seen += 1
            self._check(packet)
            if not self._datagrams:
                if self._next is not None and packet.sequence != self._next:
                    before = self._next - 1 & 0xFFFF
                    raise Failure(f"sequence numbers of {self.name} go from {before} to {packet.sequence}")
                self._take(packet)
                continue
            if self._next is None:
                self._next = packet.sequence
            self._waiting[packet.sequence] = packet
            self._drain(self._next)

    def _drain(self, here: int) -> None:
        while self._waiting:
            # What came too late is of no use to a player either.
            for each in [one for one in self._waiting if one - here & 0xFFFF > 0x8000]:
                del self._waiting[each]
            if here in self._waiting:
                self._take(self._waiting.pop(here))
                here = here + 1 & 0xFFFF
            elif len(self._waiting) > WINDOW:
                ahead = min(each - here & 0xFFFF for each in self._waiting)
                self.lost += ahead
                here = here + ahead & 0xFFFF
                self._next, self._unit, self._fresh = here, [], not self._single
            else:
                return

    def _check(self, packet: Rtp) -> None:
        media = self.track.media
        if packet.sources:
            raise Failure(
                f"an RTP packet of {self.name} has the CSRC count {packet.sources}, not 0 (Streaming 5.1.2.1)"
            )
        if str(packet.payload_type) not in media.formats:
            raise Failure(
                f"an RTP packet of {self.name} has the payload type {packet.payload_type}, described was {', '.join(media.formats)}"
            )
        if packet.ssrc != self.track.rtp[0].ssrc:
            raise Failure(f"the SSRC of {self.name} changes from {self.track.rtp[0].ssrc:08x} to {packet.ssrc:08x}")
        if self._datagrams and packet.size > MAX_DATAGRAM:
            raise Failure(f"an RTP packet of {self.name} has {packet.size} bytes, too many for an Ethernet frame")

    # ---- units

    def _take(self, packet: Rtp) -> None:
        self._next = packet.sequence + 1 & 0xFFFF
        if self._single:
            self.judge.take([packet])
            return
        if self._unit and packet.stamp != self._unit[0].stamp:
            # A new time begins a new unit, though the marker of the last one is missing.
            self._unmarked += 1
            if self._unmarked > 3 and self.track.media.kind == "video":
                raise Failure(f"access units of {self.name} end without the marker bit")
            if self.track.media.kind != "application":
                self._end()
        self._unit.append(packet)
        if packet.marker:
            self._unmarked = 0
            self._end()

    def _end(self) -> None:
        unit, self._unit = self._unit, []
        if self._fresh or (self.encoding == "Metadata" and not self.judge.units and _torn(unit[0])):
            self._fresh = False
            return
        self.judge.take(unit)

    # ---- verdict

    @property
    def ready(self) -> bool:
        return self.judge.ready and bool(self.track.reports) and self._lasts

    @property
    def _lasts(self) -> bool:
        packets = self.track.rtp
        return self.track.media.kind == "application" or (bool(packets) and packets[-1].at - packets[0].at >= SHOWN)

    def lacks(self) -> str:
        """Why a client has seen nothing; empty if it has."""
        if not self.track.rtp:
            return f"no RTP packet of {self.name} came"
        if not self.judge.ready:
            keys = "" if self.judge.keys or self.track.media.kind != "video" else ", no key frame among them"
            return (
                f"{len(self.track.rtp)} packets of {self.name} gave {self.judge.units} whole units{keys}: "
                "nothing that a decoder could show"
            )
        if not self._lasts:
            return f"{self.name} ended after {len(self.track.rtp)} packets: nothing more came"
        return "" if self.track.reports else f"no RTCP sender report for {self.name} came"

    def check_reports(self, offset: float) -> None:
        """RFC 3550 6.4.1 and Streaming 5.1.2.2.1; `offset`: what the device's clock is ahead of ours."""
        newest = self.track.rtp[-1]
        now = datetime.now(UTC)
        for report in self.track.reports:
            if report.ssrc != newest.ssrc:
                raise Failure(
                    f"a sender report for {self.name} is of SSRC {report.ssrc:08x}, its packets of {newest.ssrc:08x}"
                )
            passed = time.monotonic() - report.at
            off = (report.time - now + timedelta(seconds=passed - offset)).total_seconds()
            if abs(off) > CLOCK:
                raise Failure(
                    f"the wall clock in a sender report for {self.name} is {off:.0f} s off the device's (Streaming 5.1.2.2.1)"
                )
            self._check_count(report)
            if self.track.media.kind == "application":
                # "The RTP timestamp of the Metadata stream has no specific meaning" (Streaming 5.1.2.1.1).
                continue
            apart = abs(ahead(report.stamp, newest.stamp) / self.track.media.clock)
            if apart > LAG + abs(report.at - newest.at):
                raise Failure(
                    f"the RTP time of a sender report for {self.name} is {apart:.1f} s away from that of its packets"
                )
        if self.track.media.kind != "application":
            self._check_pace(self.track.reports[0], self.track.reports[-1])

    def _check_count(self, report: Report) -> None:
        """What was sent is no less than what had come (RFC 3550 6.4.1); datagrams may overtake the report."""
        if not self._datagrams and report.packets < report.heard:
            raise Failure(
                f"a sender report for {self.name} counts {report.packets} packets, {report.heard} had come before it"
            )

    def _check_pace(self, first: Report, last: Report) -> None:
        """The two clocks of sender reports run alike, whenever these arrive."""
        passed = (last.time - first.time).total_seconds()
        told = ahead(last.stamp, first.stamp) / self.track.media.clock
        if abs(told - passed) > max(PACE, PACE * passed / 10):
            raise Failure(
                f"between two sender reports for {self.name} the wall clock runs {passed:.1f} s, the RTP time {told:.1f} s"
            )


def _torn(packet: Rtp) -> bool:
    """Whether a document of metadata begins elsewhere."""
    return not packet.payload.lstrip(b"\xef\xbb\xbf \r\n\t").startswith((b"<", b"\x1f\x8b"))


# ---- tracks -------------------------------------------------------------------------------------------


def offered(client: StreamClient, encoding: str, *, talk: bool = False) -> Media:
    """The media of the session description that has an encoding; `talk`: for the back channel (a=sendonly)."""
    assert client.description is not None
    kind = KINDS.get(encoding, "video")
    for media in client.description.media:
        if media.kind != kind or (media.direction == "sendonly") != talk:
            continue
        if media.codec in NAMES[encoding] or (talk and set(media.codecs.values()) & set(NAMES[encoding])):
            return media
    mark = " with a=sendonly" if talk else " without a=sendonly"
    described = ", ".join(f"{each.kind} {each.codec} {each.direction}".strip() for each in client.description.media)
    raise Failure(
        f"the session description has no {kind} of {' or '.join(NAMES[encoding])}{mark}, but {described or 'nothing'}"
    )


def flows(client: StreamClient, encodings: Mapping[str, str]) -> list[Flow]:
    """By kind of media: what each track must be."""
    return [
        Flow(track, encodings[track.media.kind], client.transport)
        for track in client.tracks
        if track.media.direction != "sendonly"
    ]


async def see(x: Examination, client: StreamClient, running: list[Flow]) -> None:
    """Wait until there is something of each track and a sender report, and judge all that came."""
    patience = PATIENCE

    def enough() -> bool:
        for each in running:
            each.update()
        return all(each.ready for each in running)

    await client.until(enough, patience)
    for each in running:
        each.update()
        if lack := each.lacks():
            raise Failure(f"{lack} within {patience:g} s")
        each.check_reports(x.soap.clock_offset)
        if each.lost > len(each.track.rtp) // 4:
            raise Failure(f"{each.lost} packets of {each.name} were lost, {len(each.track.rtp)} came")
    seen = ", ".join(f"{each.name}: {len(each.track.rtp)} packets, {each.judge.units} units" for each in running)
    x.note(f"the stream was received: {seen}")


async def goes_on(x: Examination, client: StreamClient, running: list[Flow], what: str) -> None:
    """More comes of each track; `what` has happened."""
    before = [each.judge.units for each in running]

    def more() -> bool:
        for each in running:
            each.update()
        return all(each.judge.units > count for each, count in zip(running, before, strict=True))

    good = await client.until(more, PATIENCE)
    stopped = [each.name for each, count in zip(running, before, strict=True) if each.judge.units <= count]
    x.check(good, f"nothing more of {', '.join(stopped)} came within {PATIENCE:g} s after {what}")


async def fresh_key(client: StreamClient, flow: Flow, seen: int, patience: float) -> Rtp | None:
    """The first key frame beyond those that were seen; None if none came in time."""

    def there() -> bool:
        flow.update()
        return len(flow.judge.keys) > seen

    return flow.judge.keys[seen] if await client.until(there, patience) else None


async def early_key(client: StreamClient, flow: Flow, key: Rtp, interval: float, span: float) -> bool:
    """Whether within `span` seconds of the stream after a key frame one comes sooner after its predecessor than `interval`.

    By RTP times: what is late on its way is not late in the stream.
    """
    begin, clock = flow.judge.keys.index(key), flow.track.media.clock

    def early() -> bool:
        keys = flow.judge.keys[begin:]
        return any(ahead(after.stamp, before.stamp) < interval * clock for before, after in pairwise(keys))

    def decided() -> bool:
        flow.update()
        return early() or ahead(flow.track.rtp[-1].stamp, key.stamp) > span * clock

    await client.until(decided, span + PATIENCE)
    return early()
