"""The other client: libavformat in a thread, for a camera with which ours does not come to terms.

What it gives are access units without the camera's packets; they are packed anew and go on with the same SSRC, numbers and
times as those that our client has relayed before. It costs several times as much.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple
from urllib.parse import quote

import av
import av.error

from onvifd.cameras.intake_track import Counters, InboundTrack
from onvifd.clock import US, Clock
from onvifd.errors import OnvifdError, Timeout, Unavailable
from onvifd.media import nal, video
from onvifd.media.rtp.pack import Packer
from onvifd.media.types import AccessUnit, Codec, FlushUnit, Kind, TrackFormat
from onvifd.rtsp.client import RtspClient
from onvifd.rtsp.client_session import BasicRefused
from onvifd.rtsp.client_transport import Way

log = logging.getLogger(__name__)

MAX_WAITING = 64
"""Access units between thread and loop; beyond that the thread waits, and the camera's window closes."""

CLOSE_WAIT = 2.0
"""Seconds that the end of the thread is waited for. One that waits for a silent camera ends by its own time-out."""

REPORT_INTERVAL = 5 * US
_HEADS = 16
"""Bytes of a packet that are no payload: framing and RTP header."""

_CODECS = {
    "h264": Codec.H264,
    "hevc": Codec.H265,
    "pcm_mulaw": Codec.PCMU,
    "pcm_alaw": Codec.PCMA,
    "aac": Codec.AAC,
}
_TRANSPORTS = {Way.UDP: "udp", Way.MULTICAST: "udp_multicast", Way.HTTP: "http", Way.HTTPS: "https"}
_PROTOCOLS = "rtsp,rtsps,rtp,rtcp,udp,tcp,tls,http,httpproxy,https"
"""All that libavformat may open, wherever a camera redirects it to: no files."""


@dataclass(frozen=True, slots=True)
class AvSource:
    """What to pull; see intake.Source."""

    name: str
    url: str
    user: str = ""
    password: str = field(default="", repr=False)
    audio: bool = True
    transport: Way = Way.AUTO


class _Unit(NamedTuple):
    """An access unit as the thread gives it; `ticks` are in the track's clock."""

    track: int
    ticks: int
    key: bool
    data: bytes


async def clear_login(client: RtspClient, timeout: float, *, digest: bool) -> tuple[str, tuple[str, str]]:
    """What libavformat may be told of the login of a camera in clear, as our client sees that camera just now; or before it, why
    that is not turned to.

    libavformat cannot be told to send Digest alone, so it gets no login that nobody has asked for: nothing where the camera
    describes itself to all, or where it has offered Digest before (`digest`) and does not ask at all now.
    """
    described = False
    try:
        async with asyncio.timeout(timeout):
            await client.connect(timeout)
            await client.describe()
            described = True
    except BasicRefused as error:
        return error.reason, ("", "")
    except (OnvifdError, TimeoutError) as error:
        log.debug("our client: %s", error)  # that is why the other one is used
    finally:
        await client.close()
    if client.challenged or not (described or digest):
        return "", (client.session.user, client.session.password)
    return "", ("", "")


class AvReceiver:
    """One connection: `open`, `begin`, `run`, and always `close`. Everything but the thread's own work is on the loop."""

    def __init__(
        self, source: AvSource, clock: Clock, counters: Counters, *, silence: float = 10.0, connect_timeout: float = 5.0
    ) -> None:
        self._source = source
        self._clock = clock
        self._counters = counters
        self._timeout = (connect_timeout + 5.0, silence)
        self._loop = asyncio.get_running_loop()
        self._formats: asyncio.Future[tuple[TrackFormat, ...]] = self._loop.create_future()
        self._ended: asyncio.Future[str] = self._loop.create_future()
        self._stop = threading.Event()
        self._go = threading.Event()
        self._room = threading.Semaphore(MAX_WAITING)
        self._thread = threading.Thread(target=self._work, name=f"libav {source.name}", daemon=True)
        self._tracks: tuple[InboundTrack, ...] = ()
        self._packers: tuple[Packer, ...] = ()
        self._first: list[bool] = []
        self._report_due: list[int] = []
        self._since_key = 0
        self._on_unit: Callable[[FlushUnit], None] = lambda unit: None
        self._on_frame: Callable[[], Callable[[AccessUnit], None] | None] = lambda: None
        self._on_format: Callable[[InboundTrack], None] = lambda track: None

    # ---- on the loop -----------------------------------------------------------------------------

    async def open(self) -> tuple[TrackFormat, ...]:
        """Connect; gives the formats of the tracks. Raises Unavailable, Timeout."""
        self._thread.start()
        try:
            async with asyncio.timeout(self._timeout[0] + 1):
                done, _ = await asyncio.wait((self._formats, self._ended), return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            raise Timeout("the camera does not answer libavformat") from None
        if self._formats in done:
            return self._formats.result()
        raise Unavailable(self._ended.result())

    def begin(
        self,
        tracks: tuple[InboundTrack, ...],
        on_unit: Callable[[FlushUnit], None],
        on_frame: Callable[[], Callable[[AccessUnit], None] | None],
        on_format: Callable[[InboundTrack], None],
    ) -> None:
        """Where what comes is to go; `on_frame` gives who takes access units, if anybody does."""
        self._tracks = tracks
        self._packers = tuple(
            Packer(track.format, track=track.index, payload_type=track.payload_type, ssrc=track.ssrc)
            for track in tracks
        )
        self._first = [True] * len(tracks)
        self._report_due = [0] * len(tracks)
        self._on_unit, self._on_frame, self._on_format = on_unit, on_frame, on_format
        self._go.set()

    async def run(self, wanted: asyncio.Event, idle: str) -> str:
        """Receive until the camera or the demand ends; gives the reason, `idle` for the latter."""
        while wanted.is_set():
            done, _ = await asyncio.wait((self._ended,), timeout=1.0)
            if done:
                return self._ended.result()
        return idle

    async def close(self) -> None:
        """End the thread, as far as that can be waited for."""
        self._stop.set()
        self._go.set()
        self._room.release()
        if self._thread.is_alive():
            await asyncio.wait((self._ended,), timeout=CLOSE_WAIT)
        for future in (self._formats, self._ended):
            future.cancel()

    def _take(self, unit: _Unit) -> None:
        self._room.release()
        if self._stop.is_set() or not self._tracks:
            return
        try:
            self._relay(unit)
        except OnvifdError as error:
            self._counters.bad_frames += 1
            log.debug("%s: %s", self._source.name, error.reason)

    def _relay(self, unit: _Unit) -> None:
        track, packer = self._tracks[unit.track], self._packers[unit.track]
        now, rtp_time = self._clock.utc(), unit.ticks & 0xFFFFFFFF
        if self._first[unit.track]:
            self._first[unit.track] = False
            track.anchor(track.next_seq, rtp_time, now)
        elif track.leaps(rtp_time, now):
            self._counters.restarts += 1
            track.retime(rtp_time, now)
        track.arrived = now
        stamp = track.clock.stamp(rtp_time, now)
        track.stamp(rtp_time, stamp.utc)
        if unit.key and track.format.kind is Kind.VIDEO:
            self._update(track, packer, unit.data)
        packer.seq = track.next_seq
        whole = AccessUnit(track.index, stamp.utc, track.ticks, unit.key, unit.data)
        if stamp.utc >= self._report_due[unit.track]:
            self._report_due[unit.track] = stamp.utc + REPORT_INTERVAL
            self._on_unit(packer.sender_report(stamp.utc, track.ticks))
        flush = packer.pack(whole)
        track.next_seq = packer.seq
        self._count(flush, track)
        self._on_unit(flush)
        deliver = self._on_frame()
        if deliver is not None:
            deliver(whole)

    def _count(self, flush: FlushUnit, track: InboundTrack) -> None:
        counters = self._counters
        counters.bytes += len(flush.data)
        if track.format.kind is not Kind.VIDEO:
            track.octets += len(flush.data) - _HEADS * len(flush.starts)
            return
        counters.frames += 1
        counters.last_utc = flush.utc
        if flush.key:
            if self._since_key:
                counters.gov_length = counters.frames - self._since_key
            self._since_key = counters.frames

    def _update(self, track: InboundTrack, packer: Packer, data: bytes) -> None:
        found = video.find_parameter_sets(track.format.codec, data)
        if found and set(found) != set(track.format.parameter_sets):
            track.format = packer.format = video.with_parameter_sets(track.format, found)
            self._on_format(track)

    # ---- in the thread ---------------------------------------------------------------------------

    def _work(self) -> None:
        reason = "the camera closed the connection"
        try:
            self._demux()
        except av.error.ExitError:
            reason = "no media for libavformat"
        except av.error.FFmpegError as error:
            # Not str(error): it holds the address with the password.
            reason = f"libavformat: {error.strerror}"
        except Unavailable as error:
            reason = error.reason
        except Exception as error:
            # Whatever it was, it costs this connection alone.
            log.exception("%s: libavformat failed", self._source.name)
            reason = f"libavformat failed: {type(error).__name__}"
        finally:
            self._tell(self._finish, reason)

    def _tell(self, call: Callable[..., None], *args: Any) -> None:
        # The loop may be gone when a thread comes back from a silent camera.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call, *args)

    def _finish(self, reason: str) -> None:
        if not self._ended.done():
            self._ended.set_result(reason)

    def _opened(self, formats: tuple[TrackFormat, ...]) -> None:
        if not self._formats.done():
            self._formats.set_result(formats)

    def _demux(self) -> None:
        source = self._source
        scheme, mark, rest = source.url.partition("://")
        if source.transport is Way.RTSPS:
            scheme = "rtsps"
        login = f"{quote(source.user, safe='')}:{quote(source.password, safe='')}@" if source.user else ""
        options = {
            "rtsp_transport": _TRANSPORTS.get(source.transport, "tcp"),
            "protocol_whitelist": _PROTOCOLS,
            "fflags": "nobuffer",
            "allowed_media_types": "video+audio" if source.audio else "video",
            "analyzeduration": "2000000",
        }
        with av.open(f"{scheme}{mark}{login}{rest}", options=options, timeout=self._timeout) as container:
            chosen: list[tuple[Any, TrackFormat]] = []
            for kind in (Kind.VIDEO, Kind.AUDIO) if source.audio else (Kind.VIDEO,):
                usable = [(each, _format(each)) for each in container.streams if each.type == kind.value]
                chosen += [(each, found) for each, found in usable if found is not None][:1]
            if not chosen:
                raise Unavailable("libavformat finds no track that can be used")
            self._tell(self._opened, tuple(found for _, found in chosen))
            self._go.wait(self._timeout[1])
            places = {each.index: (index, found) for index, (each, found) in enumerate(chosen)}
            for packet in container.demux([each for each, _ in chosen]):
                if self._stop.is_set():
                    return
                index, found = places[packet.stream.index]
                unit = _unit(packet, index, found)
                if unit is None:
                    continue
                while not self._room.acquire(timeout=1.0):
                    if self._stop.is_set():
                        return
                self._tell(self._take, unit)


def _format(stream: Any) -> TrackFormat | None:
    """The format of a stream of libavformat's; None for what we do not carry."""
    context = stream.codec_context
    codec = _CODECS.get(context.name if context is not None else "")
    if codec is None:
        return None
    extra = bytes(context.extradata or b"")
    if codec.kind is Kind.VIDEO:
        found = TrackFormat(codec=codec, clock_rate=90_000, width=context.width, height=context.height)
        sets = video.find_parameter_sets(codec, nal.from_annexb(extra)) if extra else ()
        return video.with_parameter_sets(found, sets) if sets else found
    if codec is Codec.AAC and not extra:
        return None
    return TrackFormat(
        codec=codec,
        clock_rate=context.sample_rate,
        config=extra if codec is Codec.AAC else b"",
        channels=context.layout.nb_channels,
    )


def _unit(packet: Any, index: int, format: TrackFormat) -> _Unit | None:
    time = packet.pts if packet.pts is not None else packet.dts
    if time is None or not packet.size:
        return None
    data = bytes(packet)
    if format.kind is Kind.VIDEO:
        data = nal.from_annexb(data)
    ticks = round(time * Fraction(packet.time_base) * format.clock_rate)
    return _Unit(index, ticks, format.kind is not Kind.VIDEO or bool(packet.is_keyframe), data) if data else None
