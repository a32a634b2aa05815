"""Brings what is said on a line to its camera, over an RTSP connection of its own that stands while somebody talks (Streaming 5.3)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from onvifd.cameras.voice import G711, Speech, Voice, can_encode, converted, same, voice
from onvifd.clock import Clock
from onvifd.errors import NotSupported, OnvifdError, Timeout, Unavailable
from onvifd.live.talk import IDLE, Sound, TalkLine
from onvifd.media.rtp.packet import build_rtp
from onvifd.media.types import Codec, TrackFormat
from onvifd.rtsp.backchannel import BACKCHANNEL_TAG
from onvifd.rtsp.client import RtspClient
from onvifd.rtsp.client_messages import AnswerParser
from onvifd.rtsp.client_session import DEFAULTS, ClientOptions, TransportRefused, parse_url, secured
from onvifd.rtsp.client_transport import Way
from onvifd.rtsp.messages import Request, Response
from onvifd.rtsp.sdp import DescribedTalk, DescribedTrack

log = logging.getLogger(__name__)

MAX_WAITING = 100
"""Packets that wait for the camera: two seconds at 20 ms. Beyond it the oldest are left out."""

OPEN_TIMEOUT = 10.0
RETRY = 2.0
"""Seconds after a failure before the camera is asked again; what is said meanwhile is lost."""

CHANNEL = 0
MAX_WAYS = 16
_DOLLAR = 0x24


@dataclass(frozen=True, slots=True)
class TalkSource:
    """Where a camera takes sound: the URL of a stream with a back channel.

    `options` are those of the stream: its way, its certificate. `clear`: the password may be sent in clear whatever the camera
    has offered before.
    """

    name: str
    url: str
    user: str = ""
    password: str = field(default="", repr=False)
    options: ClientOptions = DEFAULTS
    clear: bool = False

    def is_same(self, other: TalkSource) -> bool:
        """Whether the other one is reached the same way, whatever was learnt of certificate and login meanwhile."""
        mine, others = self.options, other.options
        pins = {mine.trust.pin, others.trust.pin} - {""}
        known = replace(mine, trust=others.trust, basic=others.basic)
        same = mine.trust.judge is others.trust.judge and len(pins) <= 1 and known == others
        return same and replace(self, options=others) == other


def choose(talk: DescribedTalk, source: TrackFormat) -> tuple[int, TrackFormat]:
    """The payload type and format to send: what the client sends already, else the one that costs least.

    Raises NotSupported if there is none.
    """
    for number, format in talk.formats:
        if same(source, format):
            return number, format
    order = [*G711, Codec.AAC, Codec.G726]
    fitting = sorted(
        (entry for entry in talk.formats if can_encode(entry[1]) and entry[1].codec in order),
        key=lambda entry: (entry[1].clock_rate != source.clock_rate, order.index(entry[1].codec)),
    )
    for number, format in fitting:
        with contextlib.suppress(NotSupported):
            voice(source, format)
            return number, format
    raise NotSupported("the camera decodes nothing that the sound can be turned into")


async def talk_formats(
    url: str, user: str = "", password: str = "", timeout: float = OPEN_TIMEOUT, options: ClientOptions = DEFAULTS
) -> tuple[TrackFormat, ...]:
    """What the camera at `url` decodes; empty if it has no back channel. Raises OnvifdError leaves if it does not answer."""
    client = RtspClient(url, user, password, options=options, require=BACKCHANNEL_TAG)
    try:
        async with asyncio.timeout(timeout):
            await client.connect(timeout)
            talk = (await client.describe()).talk
    except TimeoutError:
        raise Timeout(f"the camera does not answer in {timeout:g} s") from None
    finally:
        await client.close()
    return tuple(format for _, format in talk.formats) if talk is not None else ()


@dataclass(slots=True)
class TalkbackCounters:
    """Packets that reached the camera's connection, those left out, and connections that were made."""

    sent: int = 0
    dropped: int = 0
    connections: int = 0


class Talkback:
    """The way from one line to its camera: `run` until cancelled.

    It connects with the first sound and leaves the camera when there was none for `idle` seconds. `trouble` says why the camera
    cannot be reached, empty while all is well. `on_pin` is called with the fingerprint of a certificate that was taken without
    knowing it.
    """

    def __init__(
        self,
        line: TalkLine,
        source: TalkSource,
        clock: Clock,
        *,
        idle: float = IDLE,
        on_pin: Callable[[str], None] | None = None,
    ) -> None:
        self._line = line
        self._on_pin = on_pin
        self.source = source
        self._options = source.options
        self._clock = clock
        self._idle = idle
        self._waiting: deque[Sound] = deque(maxlen=MAX_WAITING)
        self._said = asyncio.Event()
        self.counters = TalkbackCounters()
        self.trouble = ""
        line.attach(self.hear)

    def hear(self, sound: Sound) -> None:
        """Take sound of the line."""
        if len(self._waiting) == MAX_WAITING:
            self.counters.dropped += 1
        self._waiting.append(sound)
        self._said.set()

    async def run(self) -> None:
        """Serve the line until cancelled."""
        try:
            while True:
                await self._said.wait()
                try:
                    await self._session()
                except (OnvifdError, OSError) as error:
                    await self._failed(error)
                except Exception:
                    # a defect must cost one connection, not all that is ever said to the camera
                    log.exception("%s: talking failed", self.source.name)
                    await self._failed(Unavailable("the recorder failed to talk to the camera"))
        finally:
            self._line.attach(None)

    async def _failed(self, error: OnvifdError | OSError) -> None:
        reason = error.reason if isinstance(error, OnvifdError) else error.strerror or str(error)
        if reason != self.trouble:
            log.warning("%s cannot be talked to: %s", self.source.name, reason)
        self.trouble = reason
        await self._clock.sleep(RETRY)
        self.counters.dropped += len(self._waiting)
        self._waiting.clear()
        self._said.clear()

    async def _session(self) -> None:
        """One connection: from the first sound to the end of the last. Raises OnvifdError leaves."""
        source = self.source
        options = self._options
        url = secured(source.url) if options.way is Way.RTSPS else source.url
        client = RtspClient(url, source.user, source.password, options=options, require=BACKCHANNEL_TAG)
        try:
            sender = await self._open(client)
            self.trouble = ""
            self.counters.connections += 1
            log.info("%s hears: %s", source.name, sender.format.codec)
            await self._serve(client, sender)
            log.info("%s is talked to no longer", source.name)
        finally:
            await client.close()

    async def _open(self, client: RtspClient) -> Sender:
        try:
            async with asyncio.timeout(OPEN_TIMEOUT):
                await client.connect()
                self._learn(client)
                description = await client.describe()
                self._learn(client)
                if description.talk is None:
                    raise NotSupported("the camera has no back channel")
                self._line.set_formats(tuple(format for _, format in description.talk.formats))
                number, format = choose(description.talk, self._waiting[0].format)
                channel, udp = await _set_up(client, DescribedTrack(format, number, description.talk.url))
                await client.play(Answers(client, udp).receive)
                return Sender(client, self._line, channel, number, format)
        except TimeoutError:
            raise Timeout(f"the camera does not answer in {OPEN_TIMEOUT:g} s") from None

    def _learn(self, client: RtspClient) -> None:
        """Certificate and way of login hold for the next connection, too."""
        trust = self._options.trust
        if client.seen_pin and not trust.pin:
            self._options = replace(self._options, trust=replace(trust, pin=client.seen_pin))
            if self._on_pin is not None:
                self._on_pin(client.seen_pin)
        if client.offered_digest and not self.source.clear:
            self._options = replace(self._options, basic=False)

    async def _serve(self, client: RtspClient, sender: Sender) -> None:
        keep = client.session.timeout / 2
        now = self._clock.monotonic()
        heard, kept = now, now
        while not client.lost.done():
            while self._waiting:
                if not sender.takes(self._waiting[0].format):
                    return  # what is said now goes in another encoding: on another connection
                heard = self._clock.monotonic()
                sound = self._waiting.popleft()
                taken = await sender.send(sound)
                self.counters.sent += taken
                self.counters.dropped += not taken
            self._said.clear()
            now = self._clock.monotonic()
            if now - heard >= self._idle:
                return
            if now - kept >= keep:
                client.keep_alive()
                kept = now
            await self._wait(client, min(heard + self._idle, kept + keep) - now)
        raise Unavailable(client.lost.result())

    async def _wait(self, client: RtspClient, seconds: float) -> None:
        """Until there is sound, the connection ends, or time has passed."""
        said = asyncio.ensure_future(self._said.wait())
        time = asyncio.ensure_future(self._clock.sleep(max(0.001, seconds)))
        try:
            await asyncio.wait((said, time, client.lost), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (said, time):
                task.cancel()
            await asyncio.gather(said, time, return_exceptions=True)


async def _set_up(client: RtspClient, track: DescribedTrack) -> tuple[int, bool]:
    """As the camera's streams come: within the connection, and by UDP where that is set or the camera wants it.

    Gives the channel to send on and whether it is UDP. Raises TransportRefused where neither will do.
    """
    way, secure = client.options.way, parse_url(client.session.url).secure
    if way is not Way.UDP:
        try:
            return (await client.setup(track, CHANNEL))[0], False
        except TransportRefused:
            # Within TLS nothing is to leave by UDP in clear, and where tunnels are needed UDP does not get through.
            if secure or way not in (Way.TCP, Way.MULTICAST):
                raise
            log.debug("the camera wants sound by UDP")
    await client.setup_udp(track, CHANNEL)
    return CHANNEL, True


class Answers:
    """What a camera sends on a connection that is for talking: answers to keep-alives, requests of its own, and media that nobody
    asked for."""

    def __init__(self, client: RtspClient, udp: bool) -> None:
        self._client = client
        self._udp = udp
        self._parser = AnswerParser()

    def receive(self, buffer: bytearray, start: int, end: int) -> int:
        """See rtsp.client.Receiver. Raises RtspError for what is no RTSP."""
        if self._udp and buffer[start] == _DOLLAR:
            return end  # datagrams come whole, between the parts of a message
        self._parser.receive_data(bytes(memoryview(buffer)[start:end]))
        while (message := self._parser.next_message()) is not None:
            if isinstance(message, Response | Request):
                self._client.answered(message.serialise())
        return end


class Sender:
    """Packs speech for one session at the camera."""

    def __init__(
        self, client: RtspClient, line: TalkLine, channel: int, payload_type: int, format: TrackFormat
    ) -> None:
        self.format = format
        self._client = client
        self._line = line
        self._channel = channel
        self._payload_type = payload_type
        self._ssrc = secrets.randbits(32)
        self._seq = secrets.randbits(16)
        self._offset = secrets.randbits(32)
        self._ways: dict[tuple[TrackFormat, int], Voice | None] = {}

    async def send(self, sound: Sound) -> bool:
        """Whether the camera's connection took it."""
        way = self._way(sound.format)
        if way is None:
            return False
        try:
            speeches = await converted(way, sound)
        except NotSupported as error:
            log.debug("sound left out: %s", error.reason)
            return False
        taken = [self._client.send(self._channel, packet) for packet in self._packets(speeches)]
        return all(taken)

    def takes(self, source: TrackFormat) -> bool:
        """Whether sound of a format can be sent here."""
        return self._way(source) is not None

    def _way(self, source: TrackFormat) -> Voice | None:
        key = source, self._line.level
        if key not in self._ways:
            if len(self._ways) >= MAX_WAYS:
                self._ways.clear()
            try:
                self._ways[key] = voice(source, self.format, self._line.level)
            except NotSupported as error:
                log.debug("sound needs another encoding at the camera: %s", error.reason)
                self._ways[key] = None
        return self._ways[key]

    def _packets(self, speeches: Iterable[Speech]) -> Iterable[bytes]:
        for speech in speeches:
            # RFC 3551 4.1: the marker is set on the first packet after silence
            marker = speech.first or self.format.codec is Codec.AAC
            yield build_rtp(
                marker=marker,
                payload_type=self._payload_type,
                seq=self._seq,
                rtp_time=speech.ticks + self._offset,
                ssrc=self._ssrc,
                payload=speech.data,
            )
            self._seq = (self._seq + 1) & 0xFFFF
