"""A camera's own events: a pull point at the camera, pulled by one task that is owned and bounded.

`MotionTracker` is the sans-IO core that reads messages; `CameraEventFeed` keeps the conversation alive.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, TypeVar

from onvifd.cameras.camera_events import CLOCK_TOLERANCE, CameraListener, plain_topic, read_messages
from onvifd.cameras.event_scope import EventScope, admitted
from onvifd.clock import US, Clock
from onvifd.errors import InvalidArgument, LimitReached, NotAuthorized, NotSupported, OnvifdError, Unavailable
from onvifd.onvif.soap.codec import Element, decode
from onvifd.onvif.soap.namespaces import TT
from onvifd.onvif.types import tev, tt, wsnt

log = logging.getLogger(__name__)

T = TypeVar("T")

MotionCallback = Callable[[str, bool, int], None]
"""Camera id, state, microseconds UTC. Called on the event loop; must not block."""

LIFE = 60.0
"""Seconds of life that the pull point is asked to have."""
PULL_SECONDS = 10.0
"""Seconds that the camera may hold a PullMessages back; so a dead camera is noticed within 20 s."""
PULL_MARGIN = 10.0
PULL_LIMIT = 100
ANSWER_TIMEOUT = 10.0
CLOSE_TIMEOUT = 2.0
BACK_OFF = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds between attempts; the last value repeats."""
REFUSED_WAIT = 300.0
"""Seconds after a refused login: cameras lock accounts that try too often."""
MAX_INSTANCES = 64
"""Motion properties of one camera that may be true at once; further ones change nothing."""

MOTION_TOPICS = {
    "VideoSource/MotionAlarm": "State",
    "RuleEngine/CellMotionDetector/Motion": "IsMotion",
    "RuleEngine/MotionRegionDetector/Motion": "State",
    "VideoAnalytics/MotionDetection": "State",
}
"""Topic below tns1 and the data item that holds its state (Analytics A.2, A.3; Imaging)."""

_EVENTS = "http://www.onvif.org/ver10/events/wsdl"
CREATE = f"{_EVENTS}/EventPortType/CreatePullPointSubscriptionRequest"
PULL = f"{_EVENTS}/PullPointSubscription/PullMessagesRequest"
_MANAGER = "http://docs.oasis-open.org/wsn/bw-2/SubscriptionManager"
RENEW = f"{_MANAGER}/RenewRequest"
UNSUBSCRIBE = f"{_MANAGER}/UnsubscribeRequest"


class MotionTracker:
    """Follows every motion property of a camera; the camera has motion while any of them is true."""

    def __init__(self) -> None:
        self.motion = False
        # Only those that are true: a camera that names its regions anew each time must not use up the bound.
        self._active: set[tuple[str, tuple[tuple[str, str], ...]]] = set()

    def receive(self, messages: Sequence[wsnt.NotificationMessageHolderType], now: int) -> list[tuple[bool, int]]:
        """Changes of state with their time, in order. Messages of other topics and damaged ones change nothing."""
        changes = []
        for holder in messages:
            found = self._read(holder)
            if found is None:
                continue
            key, state, utc = found
            if not state:
                self._active.discard(key)
            elif len(self._active) < MAX_INSTANCES:
                self._active.add(key)
            motion = bool(self._active)
            if motion is not self.motion:
                self.motion = motion
                changes.append((motion, utc if abs(utc - now) <= CLOCK_TOLERANCE else now))
        return changes

    def reset(self) -> bool:
        """Forget everything; true if there was motion."""
        motion, self.motion = self.motion, False
        self._active.clear()
        return motion

    def _read(
        self, holder: wsnt.NotificationMessageHolderType
    ) -> tuple[tuple[str, tuple[tuple[str, str], ...]], bool, int] | None:
        topic = plain_topic(holder.topic.value or "") if holder.topic else ""
        item = MOTION_TOPICS.get(topic)
        node = next((one for one in holder.message.any_ if one.tag == f"{{{TT}}}Message"), None)
        if item is None or node is None:
            return None
        try:
            message = decode(tt.Message, node, lenient=True)
        except OnvifdError as error:
            log.debug("a motion message is damaged: %s", error)
            return None
        source = message.source.simple_item if message.source else ()
        data = message.data.simple_item if message.data else ()
        value = next((one.value for one in data if one.name == item), None)
        deleted = message.property_operation is tt.PropertyOperation.DELETED
        if value is None and not deleted:
            return None
        state = not deleted and (value or "").strip().lower() in ("true", "1")
        return (topic, tuple((one.name, one.value) for one in source)), state, message.utc_time


class EventCaller(Protocol):
    """What the feed needs of `OnvifClient`."""

    async def call(
        self,
        request: object,
        response: type[T],
        *,
        url: str | None = None,
        timeout: float | None = None,
        reference_parameters: tuple[Element, ...] = (),
        action: str | None = None,
    ) -> T: ...


@dataclass(frozen=True, slots=True)
class _PullPoint:
    url: str
    parameters: tuple[Element, ...]
    life: float
    """Seconds for which the camera promised to keep it, by the camera's own clock."""


class CameraEventFeed:
    """Motion and other events of one camera. `start` it on the event loop, `close` it at the end.

    `address` is the camera's event service. `connect` makes a client of its device service, anew for every attempt: the
    camera's clock may have been set meanwhile. `on_motion` hears changes only; when the camera is lost or the feed closed, motion ends.
    `listener` hears every message. `scope` asks the device which messages concern this camera.
    """

    def __init__(
        self,
        camera: str,
        address: str,
        connect: Callable[[], EventCaller],
        on_motion: MotionCallback,
        clock: Clock,
        *,
        rewrite: Callable[[str, str], str] = lambda given, asked: given,
        listener: CameraListener | None = None,
        scope: Callable[[], Awaitable[EventScope | None]] | None = None,
    ) -> None:
        self._camera = camera
        self._address = address
        self._connect = connect
        self._client = connect()
        self._on_motion = on_motion
        self._clock = clock
        self._rewrite = rewrite
        self._listener = listener
        self._ask_scope = scope
        self._scope: EventScope | None = None
        self._tracker = MotionTracker()
        self._task: asyncio.Task[None] | None = None
        self._point: _PullPoint | None = None
        self.connected = False

    def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"events of {self._camera}")

    async def close(self) -> None:
        """Stop, and tell the camera, for at most 2 s."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.wait({task})
        self._lose()
        point, self._point = self._point, None
        if point is not None:
            with contextlib.suppress(OnvifdError):
                await self._ask(wsnt.Unsubscribe(), wsnt.UnsubscribeResponse, point, UNSUBSCRIBE, CLOSE_TIMEOUT)
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error

    async def _run(self) -> None:
        attempt = 0
        while True:
            try:
                self._point = await self._create()
                await self._pull(self._point)
            except NotSupported as error:
                log.warning("camera %s has no pull point, its motion is not heard: %s", self._camera, error)
                return
            except OnvifdError as error:
                self._point = None
                attempt = 0 if self.connected else attempt
                self._lose()
                refused = isinstance(error, NotAuthorized)
                # The first refusal may be a clock that was set; another one is a wrong login.
                wait = REFUSED_WAIT if refused and attempt else BACK_OFF[min(attempt, len(BACK_OFF) - 1)]
                if attempt in (0, len(BACK_OFF)) or refused:
                    log.warning("events of camera %s: %s", self._camera, error)
                attempt += 1
                # Spread, so that cameras behind one switch do not come back in step.
                await self._clock.sleep(wait * random.uniform(0.8, 1.2))

    async def _create(self) -> _PullPoint:
        self._client = self._connect()
        if self._ask_scope is not None:
            # Anew for each connection: a device is set up while it is away.
            self._scope = await self._ask_scope()
        request = tev.CreatePullPointSubscription(initial_termination_time=f"PT{LIFE:.0f}S")
        answer = await self._client.call(
            request,
            tev.CreatePullPointSubscriptionResponse,
            url=self._address,
            timeout=ANSWER_TIMEOUT,
            action=CREATE,
        )
        reference = answer.subscription_reference
        url = self._rewrite(reference.address.value or "", self._address)
        if not url:
            raise Unavailable("the camera gave no address for its pull point")
        parameters = reference.reference_parameters.any_ if reference.reference_parameters else ()
        life = LIFE
        if answer.termination_time and answer.current_time:
            life = (answer.termination_time - answer.current_time) / US
        return _PullPoint(url, tuple(parameters), min(max(life, 2.0), LIFE))

    async def _pull(self, point: _PullPoint) -> None:
        """Pull until something fails; always raises."""
        request = tev.PullMessages(
            timeout=timedelta(seconds=min(PULL_SECONDS, point.life / 3)), message_limit=PULL_LIMIT
        )
        renewed = self._clock.monotonic()
        renews = True
        while True:
            asked = self._clock.monotonic()
            answer = await self._ask(
                request, tev.PullMessagesResponse, point, PULL, request.timeout.total_seconds() + PULL_MARGIN
            )
            if not self.connected:
                self.connected = True
                log.info("events of camera %s: connected", self._camera)
            messages = admitted(answer.notification_message, self._scope)
            for state, utc in self._tracker.receive(messages, self._clock.utc()):
                self._on_motion(self._camera, state, utc)
            if self._listener is not None and messages:
                self._listener.camera_events(self._camera, read_messages(messages, self._clock.utc()))
            now = self._clock.monotonic()
            if renews and now - renewed >= point.life / 3:
                renews = await self._renew(point)
                renewed = now
            if not answer.notification_message and now - asked < 0.5:
                # A camera that does not hold the answer back must not be asked in a tight loop.
                await self._clock.sleep(0.5)

    async def _renew(self, point: _PullPoint) -> bool:
        """Prolong the pull point. False if the camera has no Renew: pulling alone must keep it alive then."""
        try:
            await self._ask(
                wsnt.Renew(termination_time=f"PT{LIFE:.0f}S"), wsnt.RenewResponse, point, RENEW, ANSWER_TIMEOUT
            )
        except (NotSupported, InvalidArgument, LimitReached) as error:
            log.debug("camera %s does not renew: %s", self._camera, error)
            return False
        return True

    async def _ask(self, request: object, response: type[T], point: _PullPoint, action: str, timeout: float) -> T:
        return await self._client.call(
            request, response, url=point.url, timeout=timeout, reference_parameters=point.parameters, action=action
        )

    def _lose(self) -> None:
        if self.connected:
            self.connected = False
            log.info("events of camera %s: disconnected", self._camera)
            if self._listener is not None:
                self._listener.camera_lost(self._camera)
        if self._tracker.reset():
            self._on_motion(self._camera, False, self._clock.utc())
