"""Intake: keeps one stream of a camera coming in, for as long as it runs.

It connects, follows the conversation, hands media to the walker (`intake_core`), notices silence and connects anew with a
growing delay. What comes out goes on as if the camera had never left. The camera's metadata track comes along for recordings;
it is not relayed, and a camera that does not give it loses nothing else by that.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass

from onvifd.cameras.intake_core import Counters, InboundTrack, Walker
from onvifd.clock import Clock
from onvifd.errors import OnvifdError, Timeout, Unavailable
from onvifd.live.hub import LiveStream, LiveTrack
from onvifd.media.types import AccessUnit, FlushUnit, Kind
from onvifd.rtsp.client import CONNECT_TIMEOUT, RtspClient
from onvifd.rtsp.poller import ReadPoller
from onvifd.rtsp.sdp import DescribedTrack, Description

log = logging.getLogger(__name__)

SILENCE = 10.0
"""Seconds without a packet of the first track (video, where there is any) after which a camera counts as lost."""

BACK_OFF = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
STEADY = 30.0
"""Seconds of reception after which the delays start anew."""

FLUSH_AFTER = 0.005
"""Seconds that packets wait for the marker of their frame."""

MAX_TRACKS = 4


@dataclass(frozen=True, slots=True)
class Source:
    """What to pull. `name` is `<camera>/<stream>` for logs."""

    name: str
    url: str
    user: str = ""
    password: str = ""
    audio: bool = True
    udp: bool = False
    """Whether RTP is to come by UDP."""

    def __repr__(self) -> str:
        return f"Source({self.name!r})"


class Intake:
    """One stream of one camera. `run` never returns until cancelled; everything is told through the callbacks.

    `on_frame` is None or takes every whole access unit (recording), `on_document` those of the camera's metadata. `on_tracks` is called with the formats at each
    connection and when parameter sets change in-band. `on_state` is called when the stream comes up or is lost.
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
        self._no_documents = False
        """The camera failed when it was asked for its metadata: it is not asked again."""
        self._documents_logged = 0
        self._clock = clock
        self._on_state = on_state
        self._on_tracks = on_tracks
        self._on_frame = on_frame
        self._on_document = on_document
        self._connect_timeout = connect_timeout
        self._silence = silence
        self._back_off = back_off
        self._poller = poller
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

    async def run(self) -> None:
        """Receive for ever."""
        failures = 0
        while True:
            began = self._clock.monotonic()
            reason = await self._receive_once()
            self._lost(reason)
            failures = 0 if self._clock.monotonic() - began > STEADY else failures + 1
            delay = self._back_off[min(max(failures - 1, 0), len(self._back_off) - 1)]
            # Cameras that were lost together must not all come back in the same instant.
            await self._clock.sleep(delay * random.uniform(0.8, 1.2))
            self.reconnects += 1

    async def _receive_once(self) -> str:
        """One connection, to its end; gives the reason of the end."""
        client = RtspClient(self.source.url, self.source.user, self.source.password, self._poller)
        try:
            await client.connect(self._connect_timeout)
            await self._start(client)
            return await self._watch(client)
        except OnvifdError as error:
            return error.reason
        except TimeoutError:
            return "the camera does not answer"
        except Exception:
            # a defect must cost one connection of one camera, not its intake
            log.exception("%s: intake failed", self.source.name)
            return "the recorder failed to read the camera"
        finally:
            self._stop_timer()
            self._walker = self._read_now = None
            await client.close()

    async def _start(self, client: RtspClient) -> None:
        description = await client.describe()
        wanted, documents = self._choose(description)
        self.tracks = self._begin(wanted)
        self._relayed = len(wanted)
        channels: dict[int, InboundTrack] = {}
        for track, described in zip(self.tracks, wanted, strict=True):
            await self._set_up(client, track, described, channels)
        if documents is not None and not self._no_documents:
            await self._set_up_documents(client, documents, channels)
        elif not wanted:
            raise Unavailable("the camera gives nothing that can be used")
        walker = Walker(
            channels,
            self.counters,
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
            self._no_documents |= len(self.tracks) > self._relayed > 0
            raise
        self._read_now = client.read_now

    async def _set_up(
        self, client: RtspClient, track: InboundTrack, described: DescribedTrack, channels: dict[int, InboundTrack]
    ) -> None:
        channel = 2 * track.index
        if self.source.udp:
            ssrc = await client.setup_udp(described, channel)
        else:
            channel, ssrc = await client.setup(described, channel)
        channels.setdefault(channel, track)
        if ssrc is not None and all(other.ssrc != ssrc for other in self.tracks):
            track.adopt(ssrc)

    async def _set_up_documents(
        self, client: RtspClient, described: DescribedTrack, channels: dict[int, InboundTrack]
    ) -> None:
        """Set the metadata track up; without it the others go on."""
        track = InboundTrack(self._relayed, described.format, 96 + self._relayed, random.getrandbits(32))
        try:
            await self._set_up(client, track, described, channels)
        except (OnvifdError, TimeoutError) as error:
            reason = error.reason if isinstance(error, OnvifdError) else "no answer"
            if not self._relayed:
                raise
            # An answer that comes late, or a connection that was closed, would cost the pictures each time.
            self._no_documents = isinstance(error, Timeout | TimeoutError) or client.lost.done()
            log.info("%s: goes on without metadata: %s", self.source.name, reason)
            if self._no_documents:
                raise
        else:
            self.tracks += (track,)

    def _choose(self, description: Description) -> tuple[list[DescribedTrack], DescribedTrack | None]:
        """Video, then audio if wanted, one of each kind; and metadata."""
        found: list[DescribedTrack] = []
        for kind in (Kind.VIDEO, Kind.AUDIO) if self.source.audio else (Kind.VIDEO,):
            found.extend([track for track in description.tracks if track.format.kind is kind][:1])
        for why in description.skipped:
            log.info("%s: not used: %s", self.source.name, why)
        others = [track for track in description.tracks if track.format.kind is not Kind.METADATA]
        documents = next((track for track in description.tracks if track.format.kind is Kind.METADATA), None)
        return found or others[:MAX_TRACKS], documents

    def _begin(self, wanted: list[DescribedTrack]) -> tuple[InboundTrack, ...]:
        """Tracks for a new connection: those of the last one if the codecs are the same, so that numbers go on."""
        before = self.tracks[: self._relayed]
        same = [(t.format.codec, t.format.clock_rate) for t in before] == [
            (d.format.codec, d.format.clock_rate) for d in wanted
        ]
        if same:
            for track, described in zip(before, wanted, strict=True):
                track.begin(described.format)
            return before
        types = [described.payload_type for described in wanted]
        return tuple(
            InboundTrack(
                index,
                described.format,
                # the camera's own where that can be: packets then pass as they are
                described.payload_type if types.count(described.payload_type) == 1 else 96 + index,
                random.getrandbits(32),
            )
            for index, described in enumerate(wanted)
        )

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
        used = walker.receive(buffer, start, end, self._clock.utc())
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
        while True:
            quiet = self._clock.monotonic() - self._heard
            if quiet >= self._silence:
                client.abort("silent")
                return f"no media for {quiet:.0f} s"
            try:
                async with asyncio.timeout(min(self._silence - quiet, 1.0) + 0.01):
                    return await asyncio.shield(client.lost)
            except TimeoutError:
                pass
            self._log_garbage()
            if self._clock.monotonic() >= next_alive:
                next_alive = self._clock.monotonic() + interval
                client.keep_alive()

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
