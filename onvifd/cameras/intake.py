"""Intake: keeps one stream of a camera coming in, for as long as it runs.

It connects, follows the conversation, hands media to the walker (`intake_core`), notices silence and connects anew with a
growing delay. What comes out goes on as if the camera had never left. The camera's metadata track comes along for recordings;
it is not relayed, and a camera that does not give it loses nothing else by that.

A stream that is pulled on demand waits until somebody watches or records. A camera with which our client does not come to
terms is received by libavformat (`intake_av`).
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import replace

from onvifd.cameras.codec_change import CodecChanged, Findings
from onvifd.cameras.intake_av import AvReceiver, AvSource, clear_login
from onvifd.cameras.intake_choice import choose
from onvifd.cameras.intake_core import Walker
from onvifd.cameras.intake_demand import LINGER, Demand
from onvifd.cameras.intake_feedback import ask_keyframe, report_reception
from onvifd.cameras.intake_source import Source
from onvifd.cameras.intake_track import Counters, InboundTrack, continued
from onvifd.cameras.quirks import client_options
from onvifd.cameras.retries import BACK_OFF, Respite, Retries
from onvifd.cameras.sound_change import SoundWatch
from onvifd.clock import Clock
from onvifd.errors import BadInput, NotAuthorized, OnvifdError, Timeout, Unavailable
from onvifd.live.hub import LiveStream, LiveTrack
from onvifd.media.types import AccessUnit, FlushUnit
from onvifd.rtsp.client import CONNECT_TIMEOUT, RtspClient
from onvifd.rtsp.client_session import NotUnderstood, TransportRefused, parse_url, redirected, secured
from onvifd.rtsp.client_transport import Way
from onvifd.rtsp.client_trust import Judge
from onvifd.rtsp.poller import ReadPoller
from onvifd.rtsp.sdp import DescribedTrack

__all__ = ["Intake", "Source"]

log = logging.getLogger(__name__)

SILENCE = 10.0
"""Seconds without a packet of the first track (video, where there is any) after which a camera counts as lost."""

FLUSH_AFTER = 0.005
"""Seconds that packets wait for the marker of their frame."""

REPORT_EVERY = 5.0
"""Seconds between two receiver reports (RFC 3550 6.2)."""

MISUNDERSTANDINGS = 3
"""Failures in a row that are a matter of how we ask, after which the other client is tried."""

_IDLE = "nobody watches"

_Channels = dict[int, InboundTrack]


class Intake:
    """One stream of one camera. `run` never returns until cancelled; everything is told through the callbacks.

    `on_frame` is None or takes every whole access unit (recording), `on_document` those of the camera's metadata. `on_tracks` is
    called with the formats at each connection and when parameter sets change in-band. `on_state` is called when the stream
    comes up or is lost; a stream on demand that nobody watches is neither. `on_pin` is called with the fingerprint of a
    certificate that was taken without knowing it, `on_digest` when the camera has offered Digest for the first time.
    """

    def __init__(
        self,
        source: Source,
        stream: LiveStream,
        clock: Clock,
        *,
        on_state: Callable[[bool, str], None],
        on_tracks: Callable[[tuple[InboundTrack, ...]], None],
        on_frame: Callable[[AccessUnit], None] | None = None,
        on_document: Callable[[AccessUnit], None] | None = None,
        on_pin: Callable[[str], None] | None = None,
        on_digest: Callable[[], None] = lambda: None,
        on_demand: bool = False,
        linger: float = LINGER,
        connect_timeout: float = CONNECT_TIMEOUT,
        silence: float = SILENCE,
        back_off: tuple[float, ...] = BACK_OFF,
        poller: ReadPoller | None = None,
    ) -> None:
        self.source = source
        self.stream = stream
        self.counters = Counters()
        self.reconnects = 0
        self.online = False
        self.tracks: tuple[InboundTrack, ...] = ()
        """Those that are relayed, then the metadata track if there is one."""
        self._relayed = 0
        self._documents = Respite()  # when the camera failed as it was asked for its metadata
        self._documents_logged = 0
        self._clock = clock
        self._on_state = on_state
        self._on_tracks = on_tracks
        self._on_frame = on_frame
        self._on_document = on_document
        self._on_pin = on_pin
        self._on_digest = on_digest
        self.demand = Demand(stream, on_demand, linger)
        self.demand.recorded(on_frame is not None)
        self._connect_timeout = connect_timeout
        self._silence = silence
        self._retries = Retries(back_off)
        self._poller = poller
        self._way = Way.TCP if source.transport is Way.AUTO else source.transport
        self._pin = source.trust.pin
        self._digest = source.digest
        self._moved = ""
        """Where the camera has sent us to, for one connection."""
        self._misunderstood = 0
        self._refused = False
        """Whether the login was refused, by the last connection."""
        self._findings = Findings()
        self._sound = SoundWatch(clock)
        self._by_libav = "libav" in source.quirks
        self._ssrc = random.getrandbits(32)
        self._client: RtspClient | None = None
        self._walker: Walker | None = None
        self._read_now: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._heard = 0.0
        self._garbage_logged = 0
        self._reason = ""

    @property
    def on_frame(self) -> Callable[[AccessUnit], None] | None:
        return self._on_frame

    @on_frame.setter
    def on_frame(self, deliver: Callable[[AccessUnit], None] | None) -> None:
        self._on_frame = deliver
        if self._walker is not None:
            self._walker.on_frame = deliver
        self.demand.recorded(deliver is not None)

    def is_same(self, source: Source) -> bool:
        """Whether this is what is pulled already. What was learnt here may be told again."""
        trust = source.trust
        if trust.judge is not self.source.trust.judge or trust.pin not in (self.source.trust.pin, self._pin):
            return False
        return replace(source, trust=self.source.trust, digest=self.source.digest) == self.source

    def ask_keyframe(self) -> None:
        """Ask the camera for a key frame by RTCP, besides what its driver does."""
        if self._client is not None and self._client.connected:
            ask_keyframe(self._client, self.tracks[: self._relayed], self._ssrc, self._clock.utc())

    # ---- connections ---------------------------------------------------------------------------

    async def run(self) -> None:
        """Receive for ever."""
        try:
            while True:
                await self.demand.wanted.wait()
                began, frames = self._clock.monotonic(), self.counters.frames
                reason = await (self._receive_by_libav() if self._by_libav else self._receive_once())
                if reason == _IDLE:
                    self._idle()
                    self._retries.good()
                    continue
                self._lost(reason)
                # A camera that closes a connection on which pictures came has been set otherwise, most likely.
                now, delivered = self._clock.monotonic(), self.counters.frames > frames
                delay = self._retries.delay(now, began, delivered, self._refused)
                # Cameras that were lost together must not all come back in the same instant.
                await self._clock.sleep(delay * random.uniform(0.8, 1.2))
                self.reconnects += 1
        finally:
            self.demand.close()

    def _idle(self) -> None:
        log.info("%s: %s, no longer received", self.source.name, _IDLE)
        self.online = self.stream.online = False
        self._reason = ""
        # What comes next time does not continue it.
        self.stream.forget()

    async def _receive_once(self) -> str:
        """One connection, to its end; gives the reason of the end."""
        client = self._make_client()
        before = self.counters.frames
        self._refused = False
        try:
            await client.connect(self._connect_timeout)
            self._learn(client)
            await self._start(client)
            self._learn(client)
            return await self._watch(client)
        except (NotUnderstood, BadInput) as error:
            self._refused = isinstance(error, NotAuthorized)
            if not self._refused:
                self._misunderstand()
            return error.reason
        except OnvifdError as error:
            if client.misunderstood:
                self._misunderstand()
            return error.reason
        except TimeoutError:
            return "the camera does not answer"
        except Exception:
            # a defect must cost one connection of one camera, not its intake
            log.exception("%s: intake failed", self.source.name)
            return "the recorder failed to read the camera"
        finally:
            self._stop_timer()
            self._walker = self._read_now = self._client = None
            if self.counters.frames > before:
                self._misunderstood = 0
            elif self.source.transport is Way.AUTO and self._way is Way.UDP:
                # Refused by TCP and silent by UDP: the next try is by TCP again.
                self._way = Way.TCP
            self._learn(client)
            await client.close()

    def _make_client(self) -> RtspClient:
        source, way = self.source, self._way
        url, user, password = source.url, source.user, source.password
        if self._moved:
            old, url, self._moved = url, self._moved, ""
            if parse_url(url).host != parse_url(old).host:
                user = password = ""
        if way is Way.RTSPS:
            url = secured(url)
        trust = replace(source.trust, pin=self._pin)
        options = client_options(way, source.tunnel_port, trust, source.quirks, digest=self._digest)
        return RtspClient(url, user, password, self._poller, options)

    def _learn(self, client: RtspClient) -> None:
        """What the camera has shown holds for the next connections."""
        if client.offered_digest and not self._digest:
            self._digest = True
            self._on_digest()
        if client.seen_pin and not self._pin:
            self._pin = client.seen_pin
            log.info("%s: its certificate is remembered", self.source.name)
            if self._on_pin is not None:
                self._on_pin(client.seen_pin)

    def _misunderstand(self) -> None:
        self._misunderstood += 1
        source = self.source
        if source.transport.encrypted or source.url.startswith("rtsps:") or "no-libav" in source.quirks:
            return
        if self._misunderstood >= MISUNDERSTANDINGS:
            log.warning("%s: our client does not come to terms with it; libavformat is tried", self.source.name)
            self._by_libav, self._misunderstood = True, 0

    async def _receive_by_libav(self) -> str:
        """One connection by the other client; it is given up after as many failures as ours."""
        source = self.source
        secure = source.transport.encrypted or source.url.startswith("rtsps:")
        if secure and source.trust.judge is not Judge.NONE:
            return "libavformat does not judge certificates: it is not used"
        login = source.user, source.password
        if source.user and not secure and "basic-clear" not in source.quirks:
            client = self._make_client()
            refusal, login = await clear_login(client, 2 * self._connect_timeout, digest=self._digest)
            self._learn(client)
            if refusal:
                return refusal
        receiver = AvReceiver(
            AvSource(source.name, source.url, *login, source.audio, source.transport),
            self._clock,
            self.counters,
            silence=self._silence,
            connect_timeout=self._connect_timeout,
        )
        try:
            formats = await receiver.open()
            self.tracks = continued(self.tracks[: self._relayed], formats)
            self._relayed = len(formats)
            receiver.begin(self.tracks, self._unit, lambda: self._on_frame, self._format_changed)
            self._publish_tracks()
            return await receiver.run(self.demand.wanted, _IDLE)
        except OnvifdError as error:
            self._misunderstood += 1
            if self._misunderstood >= MISUNDERSTANDINGS and "libav" not in source.quirks:
                self._by_libav, self._misunderstood = False, 0
            return error.reason
        finally:
            await receiver.close()

    async def _start(self, client: RtspClient) -> None:
        self._client = client
        description = await client.describe()
        wanted, documents = choose(description, self.source.name, self.source.audio)
        wanted = self._findings.applied(wanted)
        if "no-metadata" in self.source.quirks:
            documents = None
        types = [described.payload_type for described in wanted]
        self.tracks = continued(self.tracks[: self._relayed], [described.format for described in wanted], types)
        self._relayed = len(wanted)
        channels: _Channels = {}
        reports: _Channels = {}
        for track, described in zip(self.tracks, wanted, strict=True):
            await self._set_up(client, track, described, channels, reports)
        if documents is not None and self._documents.is_over(self._clock.monotonic()):
            await self._set_up_documents(client, documents, channels, reports)
        elif not wanted:
            raise Unavailable("the camera gives nothing that can be used")
        walker = Walker(
            channels,
            self.counters,
            reports=reports,
            on_unit=self._unit,
            on_format=self._format_changed,
            on_message=client.answered,
            on_jump=self._jumped,
        )
        walker.on_frame = self._on_frame
        walker.on_document = self._on_document
        self._walker = walker
        self._publish_tracks()
        self._heard = self._clock.monotonic()
        try:
            await client.play(self._received)
        except (OnvifdError, TimeoutError):
            if len(self.tracks) > self._relayed > 0:
                self._documents.begin(self._clock.monotonic())
            raise
        self._read_now = client.read_now

    async def _set_up(
        self,
        client: RtspClient,
        track: InboundTrack,
        described: DescribedTrack,
        channels: _Channels,
        reports: _Channels,
    ) -> None:
        try:
            placed = await client.place(described, 2 * track.index)
        except TransportRefused as error:
            # Within TLS nothing is to leave by UDP in clear.
            if self.source.transport is not Way.AUTO or channels or parse_url(self.source.url).secure:
                raise
            # All tracks come the same way: the first one tells which.
            self._way = Way.UDP if self._way is Way.TCP else Way.TCP
            log.info("%s: %s; %s is tried", self.source.name, error.reason, self._way)
            client.use(self._way)
            placed = await client.place(described, 2 * track.index)
        rtp, rtcp = placed.rtp, placed.rtcp
        if rtp in channels:
            # The same answer for each track: what was asked for is what counts.
            rtp, rtcp = 2 * track.index, 2 * track.index + 1
        channels.setdefault(rtp, track)
        reports.setdefault(rtcp, track)
        track.described, track.rtcp_channel = described.payload_type, rtcp
        track.listed = dict(described.others)
        track.honest = track.honest and "no-markers" not in self.source.quirks
        track.follow_reports = "arrival-time" not in self.source.quirks
        if placed.ssrc is not None and all(other.ssrc != placed.ssrc for other in self.tracks):
            track.adopt(placed.ssrc)

    async def _set_up_documents(
        self, client: RtspClient, described: DescribedTrack, channels: _Channels, reports: _Channels
    ) -> None:
        """Set the metadata track up; without it the others go on."""
        track = InboundTrack(self._relayed, described.format, 96 + self._relayed, random.getrandbits(32))
        try:
            await self._set_up(client, track, described, channels, reports)
        except (OnvifdError, TimeoutError) as error:
            reason = error.reason if isinstance(error, OnvifdError) else "no answer"
            if not self._relayed:
                raise
            # An answer that comes late, or a connection that was closed, would cost the pictures each time.
            log.info("%s: goes on without metadata: %s", self.source.name, reason)
            if isinstance(error, Timeout | TimeoutError) or client.lost.done():
                self._documents.begin(self._clock.monotonic())
                raise
        else:
            self.tracks += (track,)

    def _publish_tracks(self) -> None:
        self.stream.clear()
        for track in self.tracks:
            track.told = True
        self._tell_tracks()

    def _tell_tracks(self) -> None:
        relayed = self.tracks[: self._relayed]
        self.stream.set_tracks(tuple(LiveTrack(t.format, t.payload_type, t.ssrc) for t in relayed))
        self._on_tracks(self.tracks)

    def _format_changed(self, track: InboundTrack) -> None:
        log.info("%s: new parameter sets, %dx%d", self.source.name, track.format.width, track.format.height)
        self._tell_tracks()

    def _jumped(self, track: InboundTrack, by: int) -> None:
        log.info("%s: clock of the %s track moved by %.3f s", self.source.name, track.format.kind, by / 1e6)

    # ---- media ---------------------------------------------------------------------------------

    def _received(self, buffer: bytearray, start: int, end: int) -> int:
        walker = self._walker
        if walker is None:
            return end
        try:
            used = walker.receive(buffer, start, end, self._clock.utc())
        except CodecChanged as change:
            # Nothing more of this connection can be read. The camera is asked at once what it sends now.
            self._findings.note(change)
            self._walker = None
            if self._client is not None:
                self._client.abort(change.reason)
            return end
        if walker.pending and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_AFTER, self._flush)
        return used

    def _flush(self) -> None:
        self._timer = None
        if self._read_now is not None:
            # The end of the picture may lie in the socket since the last look; one unit is cheaper than two.
            self._read_now()
        if self._walker is not None:
            self._walker.flush()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _unit(self, unit: FlushUnit) -> None:
        if not unit.rtcp and not unit.track:
            # Sender reports, sound or answers are no sign that pictures come.
            self._heard = self._clock.monotonic()
            self._up()
        if unit.track < self._relayed:
            self.stream.publish(unit)

    def _up(self) -> None:
        if not self.online:
            self.online = True
            self.stream.online = True
            self._reason = ""
            log.info("%s: receiving %s", self.source.name, ", ".join(t.format.codec for t in self.tracks))
            self._on_state(True, "")

    async def _watch(self, client: RtspClient) -> str:
        """Keep the session alive and notice silence; returns the reason when it ends."""
        interval = max(2.0, client.session.timeout / 2)
        next_alive = self._clock.monotonic() + interval
        next_report = self._clock.monotonic() + REPORT_EVERY
        while True:
            if not self.demand.wanted.is_set():
                return _IDLE
            quiet = self._clock.monotonic() - self._heard
            if quiet >= self._silence:
                client.abort("silent")
                return f"no media for {quiet:.0f} s"
            try:
                async with asyncio.timeout(min(self._silence - quiet, 1.0) + 0.01):
                    return self._ended(client, await asyncio.shield(client.lost))
            except TimeoutError:
                pass
            self._log_garbage()
            if changed := self._sound.look(client, self.tracks, self.stream.backlog, self.counters.restarts):
                client.abort(changed)
                return changed
            if self._clock.monotonic() >= next_report:
                next_report = self._clock.monotonic() + REPORT_EVERY
                report_reception(client, self.tracks, self._ssrc, self._clock.utc())
            if self._clock.monotonic() >= next_alive:
                next_alive = self._clock.monotonic() + interval
                client.keep_alive()

    def _ended(self, client: RtspClient, reason: str) -> str:
        """The connection has ended: by itself, or since the camera wants us elsewhere."""
        if client.misunderstood:
            self._misunderstand()
        if client.session.redirect:
            self._moved = redirected(
                client.session.redirect, client.session.url, encrypted=client.options.way.encrypted
            )
        return reason

    def _log_garbage(self) -> None:
        if self.counters.bad_documents > self._documents_logged:
            log.warning("%s: %d broken documents in its metadata", self.source.name, self.counters.bad_documents)
            self._documents_logged = self.counters.bad_documents * 2
        if self.counters.garbage > self._garbage_logged:
            log.warning("%s: %d bytes of garbage from the camera", self.source.name, self.counters.garbage)
            self._garbage_logged = self.counters.garbage * 2  # once per doubling

    def _lost(self, reason: str) -> None:
        if self.online or reason != self._reason:
            log.warning("%s: %s", self.source.name, reason)
        self._reason = reason
        self.online = False
        self.stream.online = False
        self._on_state(False, reason)
