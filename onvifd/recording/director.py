"""Decides what is written now: events of the bus, schedules and modes in; orders for the workers and spans out.

The rules are in `triggers`; this is the glue around them: one subscription, one timer, one task that stores spans.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from onvifd.clock import US, Clock
from onvifd.errors import OnvifdError
from onvifd.events.bus import EventBus, Subscription
from onvifd.events.types import Event
from onvifd.recording.causes import cause_of, loss_of
from onvifd.recording.localtime import LocalTime
from onvifd.recording.settings import Settings
from onvifd.recording.spans import SpanLog, SpanWriter
from onvifd.recording.status import RecordingStatus, States, status_of
from onvifd.recording.triggers import Decision, Now, Triggers, Watched
from onvifd.recording.types import RecordType
from onvifd.store.catalogue import AsyncCatalogue

log = logging.getLogger(__name__)

MAX_WAIT = 10.0
"""Seconds after which schedules are looked at anew at the latest: the wall clock or the time zone may have been set."""
MARGIN = 0.001
"""Seconds that a timer waits longer, so that it is not early by a rounding."""
INTERRUPTED_SETTING = "recording.interrupted"
"""Events that were being recorded when the recorder ended, for its next start."""
RESUME_WITHIN = 600 * US
"""How long after its end an event is still thought to last."""

OnOrders = Callable[[frozenset[str]], None]


class Change(Protocol):
    """workers.messages.RecordingState, which is above this room."""

    @property
    def recording(self) -> str: ...
    @property
    def active(self) -> bool: ...
    @property
    def utc(self) -> int: ...
    @property
    def reason(self) -> str: ...
    @property
    def error(self) -> bool: ...


class Director:
    """Lives on control's loop. `configure` may be called before `start` and any number of times.

    `local` gives the recorder's local time, `storage` the reason why a recording cannot be stored (empty if it can), `ends`
    where the footage of a recording ends by the index (blocks); `rezoned` is told when the local time is another one.
    """

    def __init__(
        self,
        catalogue: AsyncCatalogue,
        clock: Clock,
        bus: EventBus,
        *,
        local: Callable[[], LocalTime],
        on_orders: OnOrders,
        storage: Callable[[str], str] = lambda recording: "",
        ends: Callable[[str], int | None] = lambda recording: None,
        rezoned: Callable[[], None] = lambda: None,
    ) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._bus = bus
        self._local = local
        self._on_orders = on_orders
        self._storage = storage
        self._ends = ends
        self._rezoned = rezoned
        # What is configured
        self._settings = Settings()
        self._watched: dict[str, Watched] = {}
        self._zone: LocalTime | None = None
        # What goes on
        self._triggers = Triggers()
        self._decisions: dict[str, Decision] = {}
        self._lost: set[str] = set()
        self._trouble: dict[str, str] = {}
        self._writer = SpanWriter(catalogue, clock)
        self._spans = SpanLog(self._writer.put)
        self._states = States(catalogue, clock)
        # What is owned
        self._subscription: Subscription | None = None
        self._timer: asyncio.Task[None] | None = None
        self._listeners: list[Callable[[str, RecordType], None]] = []
        self._running = False

    def now(self) -> Now:
        return Now(self._clock.utc(), self._clock.monotonic())

    # ---- configuration -------------------------------------------------------------------------

    def configure(self, settings: Settings, watched: Iterable[Watched]) -> None:
        """All that is to be decided about, and by which rules."""
        self._settings = settings
        gone = set(self._watched)
        self._watched = {each.recording: each for each in watched}
        self._spans.forget(gone - set(self._watched))
        self._zone = self._local()
        self._triggers.configure(settings.rules(self._zone), self._watched.values(), self.now())
        self._look()

    # ---- life ----------------------------------------------------------------------------------

    async def start(self) -> None:
        """End what a crash left open, take up events that were being recorded, then listen."""
        await self._resume()
        self._running = True
        self._writer.start()
        self._states.start()
        self._subscription = self._bus.subscribe(self._heard)
        for event in self._bus.properties():
            self._heard(event)
        self._look()

    async def stop(self) -> None:
        """End; what recording was for is remembered for the next start."""
        self._running = False
        if self._subscription is not None:
            self._subscription.close()
        if self._timer is not None:
            self._timer.cancel()
            await asyncio.gather(self._timer, return_exceptions=True)
        await self._writer.stop()
        await self._states.stop()
        await self._remember()

    async def _remember(self) -> None:
        kinds = {token: list(kinds) for token, kinds in self._triggers.interrupted(self.now()).items()}
        try:
            text = json.dumps({"utc": self._clock.utc(), "recordings": kinds})
            await self._catalogue.run(self._catalogue.sync.settings.put, INTERRUPTED_SETTING, text)
        except OnvifdError as error:
            log.error("events that are being recorded are forgotten: %s", error.reason)

    async def _resume(self) -> None:
        """Events that were being recorded are taken to last until the camera says otherwise or their post-record is over."""
        sync, now = self._catalogue.sync, self.now()
        found: dict[str, set[str]] = {}
        text = await self._catalogue.run(sync.settings.get, INTERRUPTED_SETTING)
        if text:
            await self._catalogue.run(sync.settings.remove, INTERRUPTED_SETTING)
            kept = json.loads(text)
            if 0 <= now.utc - int(kept["utc"]) <= RESUME_WITHIN:
                found = {token: set(kinds) for token, kinds in kept["recordings"].items()}
        for span in await self._catalogue.run(sync.spans.unfinished):
            end = await self._catalogue.run(self._ends, span.recording)
            end = span.start if end is None else max(span.start, end)
            await self._catalogue.run(sync.spans.finish, span.id, end)
            if now.utc - end <= RESUME_WITHIN:
                found.setdefault(span.recording, set()).update((span.kind, *filter(None, span.marks.split(","))))
        for token, kinds in found.items():
            self._triggers.resume(token, (RecordType(kind) for kind in kinds), now)

    # ---- what happens --------------------------------------------------------------------------

    def subscribe(self, listener: Callable[[str, RecordType], None]) -> None:
        """Tell `listener` of every cause that begins: camera and type."""
        self._listeners.append(listener)

    def _heard(self, event: Event) -> None:
        lost = loss_of(event)
        if lost is not None:
            self.camera_lost(*lost)
            return
        cause = cause_of(event)
        if cause is not None:
            self.trigger(cause.camera, cause.kind, cause.key, cause.active)

    def trigger(self, camera: str, kind: RecordType, key: str = "", active: bool | None = None) -> None:
        """An event of a camera begins (True), ends (False) or does not last (None)."""
        before = kind in self._triggers.active(camera)
        if active is None:
            self._triggers.pulse(camera, kind, self.now())
        else:
            self._triggers.cause(camera, kind, key, active, self.now())
        if active is not False and not before:
            for listener in self._listeners:
                listener(camera, kind)
        self._look()

    def camera_lost(self, camera: str, lost: bool) -> None:
        """A camera delivers nothing any more, or does again."""
        if lost:
            self._lost.add(camera)
        else:
            self._lost.discard(camera)
        self._triggers.camera_lost(camera, lost, self.now())
        self._look()

    def recording_changed(self, state: Change) -> None:
        """A worker says that writing a recording began or ended."""
        self._trouble.pop(state.recording, None)
        if not state.active and state.reason:
            self._trouble[state.recording] = state.reason
        self._spans.changed(state.recording, state.active, state.utc)
        self._note()

    def _look(self) -> None:
        """Decide anew, and say what is different now."""
        now = self.now()
        zone = self._local()
        if self._zone is not None and zone != self._zone:
            log.info("the local time is that of %s now", zone.zone.text)
            self._zone = zone
            self._triggers.configure(self._settings.rules(zone), self._watched.values(), now)
            self._rezoned()
        self._triggers.look(now)
        decisions = self._triggers.decide(now)
        before, self._decisions = self._decisions, decisions
        self._spans.decided(decisions, now.utc)
        if decisions.keys() != before.keys():
            self._on_orders(frozenset(decisions))
        for token in decisions.keys() - before.keys():
            log.debug("recording %s: to be written, %s", token, decisions[token].kind)
        if self._running:
            self._note()
            self._arm(min(MAX_WAIT, self._triggers.next_look(now)))

    def _arm(self, seconds: float) -> None:
        if self._timer is not None and self._timer is not asyncio.current_task():
            self._timer.cancel()
        self._timer = asyncio.create_task(self._wait(seconds), name="recording timer")

    async def _wait(self, seconds: float) -> None:
        await self._clock.sleep(seconds + MARGIN)
        try:
            self._look()
        except Exception:
            # a defect must cost one look, not all that follow
            log.exception("what is to be recorded could not be decided")
            self._arm(MAX_WAIT)

    # ---- what is asked -------------------------------------------------------------------------

    def orders(self) -> frozenset[str]:
        """The recordings that are to be written now."""
        return frozenset(self._decisions)

    def decisions(self) -> Mapping[str, Decision]:
        """The same, with record type and marks."""
        return dict(self._decisions)

    def active(self, camera: str) -> frozenset[RecordType]:
        """Types of the events that last and concern a camera."""
        return self._triggers.active(camera)

    def status(self) -> tuple[RecordingStatus, ...]:
        """How each recording stands, those that are off included, in the order of the configuration."""
        now = self.now()
        return status_of(
            self._settings,
            self._watched,
            self._decisions,
            waiting=lambda token: self._triggers.waiting(token, now),
            active=self._spans.is_open,
            lost=self._lost,
            trouble=self._trouble,
            storage=self._storage,
            since=self._spans.since,
        )

    def _note(self) -> None:
        """Let those know who look at the catalogue."""
        if self._running:
            self._states.note(self.status)
