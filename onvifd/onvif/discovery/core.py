"""The target service of WS-Discovery as a state machine: datagrams and the time in, datagrams with their due times out.

One `Responder` serves all interfaces of a device. It opens no socket; `service.py` is the glue.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import uuid
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from onvifd.onvif.discovery import messages
from onvifd.onvif.discovery.matching import SUPPORTED_RULES, UnsupportedRule, matches
from onvifd.onvif.discovery.messages import Kind, Malformed, Request, Sequence, Target

logger = logging.getLogger(__name__)

APP_MAX_DELAY = 0.5
"""Seconds within which announcements and answers to multicast are spread (WS-Discovery section 2.4)."""
REPEAT_DELAY = (0.05, 0.25)
"""Seconds after which an announcement is sent once more (SOAP-over-UDP appendix I: UDP_MIN_DELAY, UDP_MAX_DELAY)."""

KNOWN_IDS = 1024
KNOWN_SECONDS = 60.0
"""How many message ids are remembered, and for how long, to answer each request once."""

SOURCES = 256
"""Senders whose rate is watched; the one heard longest ago is forgotten first."""
SOURCE_RATE, SOURCE_BURST = 5.0, 20.0
TOTAL_RATE, TOTAL_BURST = 50.0, 200.0
"""Requests per second that are looked at, per sender and in all; above, datagrams are dropped unread."""
WARN_SECONDS = 60.0
"""A flood is logged at most this often."""
MAX_PENDING = 256
"""Datagrams that wait for their time; a further one is dropped."""


Route = TypeVar("Route", bound=Hashable)
"""How the glue finds the way out of a datagram again; the core only hands it back."""


@dataclass(frozen=True, slots=True)
class Datagram(Generic[Route]):
    """Bytes to send now."""

    data: bytes
    route: Route


class _Bucket:
    """A token bucket."""

    __slots__ = ("_burst", "_level", "_rate", "_seen")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate, self._burst, self._level, self._seen = rate, burst, burst, now

    def take(self, now: float) -> bool:
        self._level = min(self._burst, self._level + (now - self._seen) * self._rate)
        self._seen = now
        if self._level < 1:
            return False
        self._level -= 1
        return True


@dataclass(slots=True)
class _Message:
    """A message that is written when it is first sent; a repetition sends the same bytes."""

    write: Callable[[Sequence], bytes]
    data: bytes | None = None


class Responder(Generic[Route]):
    """Answers probes for one device and makes its announcements.

    `instance_id` must grow from one start of the device to the next (seconds since 1970 will do). `random` gives floats
    in [0, 1). `now` is monotonic seconds in every call. After each call the glue sends what `datagrams_to_send` gives and
    arms a timer for `next_due`.
    """

    def __init__(
        self,
        target: Target,
        *,
        instance_id: int,
        random: Callable[[], float],
        new_id: Callable[[], str] = lambda: uuid.uuid4().urn,
    ) -> None:
        self._target = target
        self._instance_id = instance_id
        self._random = random
        self._new_id = new_id
        self._message_number = 0
        self._order = itertools.count()
        self._pending: list[tuple[float, int, _Message, Route]] = []
        self._known: OrderedDict[str, float] = OrderedDict()
        self._sources: OrderedDict[str, _Bucket] = OrderedDict()
        self._total: _Bucket | None = None
        self._warned: float | None = None

    @property
    def target(self) -> Target:
        return self._target

    # ---- what the device does

    def update(self, *, scopes: tuple[str, ...]) -> bool:
        """Take over changed scopes. True if something changed; the caller then sends a new Hello."""
        if scopes == self._target.scopes:
            return False
        self._target = replace(self._target, scopes=scopes, metadata_version=self._target.metadata_version + 1)
        return True

    def readdressed(self) -> None:
        """The addresses of the device have changed: part of its metadata (WS-Discovery section 4.1)."""
        self._target = replace(self._target, metadata_version=self._target.metadata_version + 1)

    def hello(self, route: Route, xaddrs: tuple[str, ...], now: float) -> None:
        """Announce the device on one interface, whose addresses are given: after a random delay, and once more."""

        def write(sequence: Sequence) -> bytes:
            return messages.hello(self._target, xaddrs, self._new_id(), sequence)

        self._announce(write, route, now + self._random() * APP_MAX_DELAY)

    def bye(self, route: Route, now: float) -> None:
        """Take leave on one interface: at once, because the process is about to end, and once more."""

        def write(sequence: Sequence) -> bytes:
            return messages.bye(self._target, self._new_id(), sequence)

        self._announce(write, route, now)

    def forget(self) -> None:
        """Drop what waits to be sent."""
        self._pending.clear()

    # ---- what comes in

    def receive(
        self, data: bytes, source: str, route: Route, *, multicast: bool, xaddrs: tuple[str, ...], now: float
    ) -> None:
        """Take a datagram that came from the address `source` on an interface with `xaddrs`; an answer leaves by `route`.

        What cannot be understood, is a repetition, means another device or comes too fast gets no answer (Core 7.3.6).
        """
        if not self._admit(source, now):
            return
        try:
            request = messages.parse(data)
        except Malformed as error:
            logger.debug("discovery: dropped a datagram from %s: %s", source, error)
            return
        if not self._repeated(request.message_id, now):
            self._answer(request, route, multicast, xaddrs, now)

    def _answer(self, request: Request, route: Route, multicast: bool, xaddrs: tuple[str, ...], now: float) -> None:
        def write(sequence: Sequence) -> bytes:
            return messages.matches(request.kind, request.message_id, self._target, xaddrs, self._new_id(), sequence)

        def refuse(sequence: Sequence) -> bytes:
            return messages.rule_fault(request.message_id, SUPPORTED_RULES, self._new_id(), sequence)

        if request.kind is Kind.RESOLVE:
            if request.address.lower() == self._target.address.lower():
                self._send(_Message(write), route, now)
            return
        try:
            if matches(request, self._target):
                # WS-Discovery 5.3: answers to a multicast probe are spread so that they do not arrive all at once.
                self._send(_Message(write), route, now + (self._random() * APP_MAX_DELAY if multicast else 0.0))
        except UnsupportedRule:
            if not multicast:
                self._send(_Message(refuse), route, now)

    # ---- what goes out

    def next_due(self) -> float | None:
        """When `datagrams_to_send` has something; None if nothing waits."""
        return self._pending[0][0] if self._pending else None

    def datagrams_to_send(self, now: float) -> list[Datagram[Route]]:
        """What is due. Messages are numbered as they leave, so that the numbers grow on the wire."""
        due: list[Datagram[Route]] = []
        while self._pending and self._pending[0][0] <= now:
            _, _, message, route = heapq.heappop(self._pending)
            if message.data is None:
                self._message_number += 1
                sequence = Sequence(instance_id=self._instance_id, message_number=self._message_number)
                message.data = message.write(sequence)
            due.append(Datagram(message.data, route))
        return due

    def _announce(self, write: Callable[[Sequence], bytes], route: Route, due: float) -> None:
        low, high = REPEAT_DELAY
        message = _Message(write)
        self._send(message, route, due)
        self._send(message, route, due + low + self._random() * (high - low))

    def _send(self, message: _Message, route: Route, due: float) -> None:
        if len(self._pending) < MAX_PENDING:
            heapq.heappush(self._pending, (due, next(self._order), message, route))

    # ---- bounds

    def _repeated(self, message_id: str, now: float) -> bool:
        while self._known and (len(self._known) >= KNOWN_IDS or next(iter(self._known.values())) < now - KNOWN_SECONDS):
            self._known.popitem(last=False)
        if message_id in self._known:
            return True
        self._known[message_id] = now
        return False

    def _admit(self, source: str, now: float) -> bool:
        """Whether a datagram is read at all. The sender's own share is checked first, so one cannot use up all."""
        bucket = self._sources.pop(source, None) or _Bucket(SOURCE_RATE, SOURCE_BURST, now)
        self._sources[source] = bucket
        if len(self._sources) > SOURCES:
            self._sources.popitem(last=False)
        if self._total is None:
            self._total = _Bucket(TOTAL_RATE, TOTAL_BURST, now)
        if bucket.take(now) and self._total.take(now):
            return True
        if self._warned is None or now - self._warned >= WARN_SECONDS:
            self._warned = now
            logger.warning("discovery: too many requests, last from %s; dropping the excess", source)
        return False
