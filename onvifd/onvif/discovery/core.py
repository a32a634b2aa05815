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
KNOWN_SECONDS = 10.0
"""How many message ids are remembered, and for how long, to answer each request once. SOAP-over-UDP repeats a message within
two seconds; clients that use one id for every search ask again later than that and want an answer each time."""

SOURCES = 256
"""Senders whose rate is watched; the one heard longest ago is forgotten first."""
SOURCE_RATE, SOURCE_BURST = 10.0, 40.0
TOTAL_RATE, TOTAL_BURST = 100.0, 200.0
"""Requests per second that are looked at, per sender and in all; above, datagrams are dropped unread."""
WARN_SECONDS = 60.0
"""A flood is logged at most this often."""
MAX_PENDING = 256
"""Answers that wait for their time; a further one is dropped. Announcements have a share of the same size for themselves."""


Route = TypeVar("Route", bound=Hashable)
"""How the glue finds the way out of a datagram again; the core only hands it back."""


@dataclass(frozen=True, slots=True)
class Datagram(Generic[Route]):
    """Bytes to send now."""

    data: bytes
    route: Route


@dataclass(frozen=True, slots=True)
class Sender:
    """Where a datagram came from. `here` means this very machine."""

    address: str
    port: int
    here: bool = False

    @property
    def share(self) -> Hashable:
        """Whose rate it counts against.

        A neighbour is its address. Programs of this machine have one address together, so that a demo of a dozen devices
        beside a few clients would look like a flood; there each socket counts for itself.
        """
        return (self.address, self.port) if self.here else self.address


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
    announcement: bool = False
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
        self._announcements = 0
        self._known: OrderedDict[tuple[Sender, str], float] = OrderedDict()
        self._sources: OrderedDict[Hashable, _Bucket] = OrderedDict()
        self._total: _Bucket | None = None
        self._warned: float | None = None

    @property
    def target(self) -> Target:
        return self._target

    # ---- what the device does

    def describe(self, *, scopes: tuple[str, ...], metadata_version: int) -> None:
        """What the device says of itself from now on."""
        self._target = replace(self._target, scopes=scopes, metadata_version=metadata_version)

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
        self._announcements = 0

    # ---- what comes in

    def receive(
        self, data: bytes, sender: Sender, route: Route, *, multicast: bool, xaddrs: tuple[str, ...], now: float
    ) -> None:
        """Take a datagram that came from `sender` on an interface with `xaddrs`; an answer leaves by `route`.

        What cannot be understood, is a repetition, means another device or comes too fast gets no answer (Core 7.3.6).
        """
        # Announcements of other devices come by the same group and must not count as requests of their senders.
        if not messages.may_be_request(data) or not self._admit(sender, now):
            return
        try:
            request = messages.parse(data)
        except Malformed as error:
            logger.debug("discovery: dropped a datagram from %s: %s", sender.address, error)
            return
        if not self._repeated(sender, request.message_id, now):
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
            self._announcements -= message.announcement
            if message.data is None:
                self._message_number += 1
                sequence = Sequence(instance_id=self._instance_id, message_number=self._message_number)
                message.data = message.write(sequence)
            due.append(Datagram(message.data, route))
        return due

    def _announce(self, write: Callable[[Sequence], bytes], route: Route, due: float) -> None:
        low, high = REPEAT_DELAY
        message = _Message(write, announcement=True)
        self._send(message, route, due)
        self._send(message, route, due + low + self._random() * (high - low))

    def _send(self, message: _Message, route: Route, due: float) -> None:
        # Counted apart, so that a flood of probes cannot keep the device from taking leave.
        kept = self._announcements if message.announcement else len(self._pending) - self._announcements
        if kept < MAX_PENDING:
            self._announcements += message.announcement
            heapq.heappush(self._pending, (due, next(self._order), message, route))

    # ---- bounds

    def _repeated(self, sender: Sender, message_id: str, now: float) -> bool:
        """Whether the same socket has sent it a moment ago. Asked by two of its interfaces, both are answered: each has its
        own addresses."""
        while self._known and (len(self._known) >= KNOWN_IDS or next(iter(self._known.values())) < now - KNOWN_SECONDS):
            self._known.popitem(last=False)
        if (sender, message_id) in self._known:
            return True
        self._known[(sender, message_id)] = now
        return False

    def _admit(self, sender: Sender, now: float) -> bool:
        """Whether a datagram is read at all. The sender's own share is checked first, so one cannot use up all."""
        bucket = self._sources.pop(sender.share, None) or _Bucket(SOURCE_RATE, SOURCE_BURST, now)
        self._sources[sender.share] = bucket
        if len(self._sources) > SOURCES:
            self._sources.popitem(last=False)
        if self._total is None:
            self._total = _Bucket(TOTAL_RATE, TOTAL_BURST, now)
        if bucket.take(now) and self._total.take(now):
            return True
        if self._warned is None or now - self._warned >= WARN_SECONDS:
            self._warned = now
            logger.warning("discovery: too many requests, last from %s; dropping the excess", sender.address)
        return False
