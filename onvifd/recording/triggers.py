"""When a recording is to be written, and why. Sans-IO: causes, schedules and `now` in, decisions out.

Schedules go by the wall clock, post-record by the one that never steps. A type is triggered while it is armed and its cause
lasts; post-record begins when either ends, so that an event prolongs what is recorded and never cuts it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from onvifd.clock import US
from onvifd.recording.calendar import Armed, Calendar
from onvifd.recording.types import CAUSES, Mode, Policy, RecordType, dominant, effective, ordered

log = logging.getLogger(__name__)

MAX_CAUSES = 512
"""Causes of a camera that last at once; further ones are taken for momentary."""
FAR = float("inf")


@dataclass(frozen=True, slots=True)
class Now:
    """Microseconds UTC, and seconds of the clock that never steps."""

    utc: int
    monotonic: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A recording that is decided about. With a `policy` it follows that and its camera's schedule; `policy` None is a job
    of a client, which records whenever it is active. `camera` may be empty: then no event concerns it."""

    recording: str
    camera: str = ""
    policy: Policy | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """To be written: `kind` is what the span is called, `marks` all that goes on meanwhile (that kind included)."""

    kind: RecordType
    marks: tuple[RecordType, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What is configured: calendars by camera, and for an event of a camera by type the other cameras that it concerns."""

    calendars: Mapping[str, Calendar] = field(default_factory=dict)
    links: Mapping[tuple[str, RecordType], frozenset[str]] = field(default_factory=dict)


@dataclass(slots=True)
class _Hold:
    """Something that lasts, or did until its post-record ends at `until` (monotonic)."""

    on: bool = False
    until: float = 0.0

    def update(self, on: bool, now: float, post: float) -> None:
        if self.on and not on:
            self.until = max(self.until, now + post)
        self.on = on

    def holds(self, now: float) -> bool:
        return self.on or now < self.until


@dataclass(slots=True)
class _State:
    """What is remembered of a recording: triggered types, and events whether armed or not."""

    watched: Watched
    triggered: dict[RecordType, _Hold] = field(default_factory=dict)
    seen: dict[RecordType, _Hold] = field(default_factory=dict)

    def holds(self) -> Iterable[_Hold]:
        yield from self.triggered.values()
        yield from self.seen.values()


@dataclass(slots=True)
class _Arming:
    """What a camera's calendar says, and for which time that is known."""

    armed: Armed
    since: int
    until: int


class Triggers:
    """`decide` is to be asked after every call, and again at `next_look`."""

    def __init__(self) -> None:
        self._rules = Rules()
        self._states: dict[str, _State] = {}
        self._causes: dict[str, dict[tuple[RecordType, str], None]] = {}
        self._lost: set[str] = set()
        self._arming: dict[str, _Arming] = {}
        self._concerned: dict[str, tuple[tuple[str, RecordType], ...]] = {}

    def configure(self, rules: Rules, watched: Iterable[Watched], now: Now) -> None:
        """All that is to be decided about. What went on for a recording that stays goes on."""
        before = self._states
        self._rules = rules
        self._arming.clear()
        self._states = {}
        for each in watched:
            known = before.get(each.recording)
            state = known if known is not None and known.watched.camera == each.camera else _State(each)
            state.watched = each
            self._states[each.recording] = state
        self._concerned = {}
        for (source, kind), targets in rules.links.items():
            for target in targets:
                self._concerned[target] = (*self._concerned.get(target, ()), (source, kind))
        cameras = {each.watched.camera for each in self._states.values()} | {source for source, _ in rules.links}
        self._causes = {camera: causes for camera, causes in self._causes.items() if camera in cameras}
        self._lost &= cameras
        self.look(now)

    # ---- what happens --------------------------------------------------------------------------

    def cause(self, camera: str, kind: RecordType, key: str, active: bool, now: Now) -> None:
        """An event of a camera begins or ends. `key` tells apart those that last at once."""
        causes = self._causes.setdefault(camera, {})
        if not active:
            causes.pop((kind, key), None)
        elif len(causes) >= MAX_CAUSES and (kind, key) not in causes:
            log.warning("camera %s has more than %d events at once", camera, MAX_CAUSES)
            self.pulse(camera, kind, now)
            return
        else:
            causes[kind, key] = None
        self.look(now)

    def pulse(self, camera: str, kind: RecordType, now: Now) -> None:
        """Something happened that does not last: as if it began and ended at once."""
        causes = self._causes.setdefault(camera, {})
        causes[kind, ""] = None
        self.look(now)
        del causes[kind, ""]
        self.look(now)

    def camera_lost(self, camera: str, lost: bool, now: Now) -> None:
        """A camera that delivers nothing has no events either: they end, with their post-record."""
        if lost:
            self._lost.add(camera)
        else:
            self._lost.discard(camera)
        self.look(now)

    def resume(self, recording: str, kinds: Iterable[RecordType], now: Now) -> None:
        """An event was being recorded when the recorder ended: its post-record is begun anew, until the camera says whether
        the event still lasts. Types that are not armed are left out."""
        state = self._states.get(recording)
        if state is None or state.watched.policy is None or state.watched.policy.mode is not Mode.AUTO:
            return
        until = now.monotonic + state.watched.policy.post
        armed = effective(self.armed(state.watched.camera, now.utc)) - {RecordType.GENERAL}
        for kind in kinds:
            if kind in armed:
                hold = state.triggered.setdefault(kind, _Hold())
                hold.until = max(hold.until, until)

    def look(self, now: Now) -> None:
        """Take note of what is armed and what lasts at this moment."""
        for state in self._states.values():
            watched, policy = state.watched, state.watched.policy
            post = float(policy.post) if policy is not None else 0.0
            active = self._active(watched.camera)
            for kind in CAUSES:
                if kind in active or kind in state.seen:
                    state.seen.setdefault(kind, _Hold()).update(kind in active, now.monotonic, post)
            if policy is None or policy.mode is not Mode.AUTO:
                state.triggered.clear()
                continue
            armed = effective(self.armed(watched.camera, now.utc))
            if {RecordType.MOTION, RecordType.ALARM} <= active:
                active = active | {RecordType.MOTION_AND_ALARM}
            for kind in (*CAUSES, RecordType.MOTION_AND_ALARM):
                on = kind in armed and kind in active
                if on or kind in state.triggered:
                    state.triggered.setdefault(kind, _Hold()).update(on, now.monotonic, post)
        self._tidy(now)

    def _tidy(self, now: Now) -> None:
        """Forget what has ended for good."""
        for state in self._states.values():
            for holds in (state.triggered, state.seen):
                for kind in [kind for kind, hold in holds.items() if not hold.holds(now.monotonic)]:
                    del holds[kind]

    def _active(self, camera: str) -> frozenset[RecordType]:
        """Types of the events that last and concern a camera: its own, and those of others that are linked to it."""
        found: set[RecordType] = set()
        if camera not in self._lost:
            found.update(kind for kind, _ in self._causes.get(camera, ()))
        for source, kind in self._concerned.get(camera, ()):
            if source not in self._lost and any(each == kind for each, _ in self._causes.get(source, ())):
                found.add(kind)
        return frozenset(found)

    # ---- what follows --------------------------------------------------------------------------

    def armed(self, camera: str, utc: int) -> Armed:
        """The types that a camera's schedule arms."""
        calendar = self._rules.calendars.get(camera)
        if calendar is None:
            return frozenset()
        known = self._arming.get(camera)
        # The wall clock may have been set back: what was found is good for its own time alone.
        if known is None or not known.since <= utc < known.until:
            following = calendar.next_change(utc)
            known = _Arming(calendar.armed(utc), utc, utc + US * 3600 if following is None else following)
            self._arming[camera] = known
        return known.armed

    def decide(self, now: Now) -> dict[str, Decision]:
        """The recordings that are to be written now."""
        found = {}
        for token, state in self._states.items():
            decision = self._decision(state, now)
            if decision is not None:
                found[token] = decision
        return found

    def _decision(self, state: _State, now: Now) -> Decision | None:
        policy = state.watched.policy
        kinds = {kind for kind, hold in state.triggered.items() if hold.holds(now.monotonic)}
        if policy is None or policy.mode is Mode.MANUAL:
            kinds.add(RecordType.GENERAL)
        elif policy.mode is Mode.OFF:
            return None
        elif RecordType.GENERAL in self.armed(state.watched.camera, now.utc):
            kinds.add(RecordType.GENERAL)
        if policy is not None and policy.manual:
            kinds.add(RecordType.MANUAL)
        kind = dominant(kinds)
        if kind is None:
            return None
        seen = {kind for kind, hold in state.seen.items() if hold.holds(now.monotonic)}
        return Decision(kind, ordered(kinds | seen))

    def waiting(self, recording: str, now: Now) -> Armed:
        """The types whose events a recording waits for; empty if none is armed or it does not go by a schedule."""
        state = self._states.get(recording)
        if state is None or state.watched.policy is None or state.watched.policy.mode is not Mode.AUTO:
            return frozenset()
        return effective(self.armed(state.watched.camera, now.utc)) - {RecordType.GENERAL}

    def active(self, camera: str) -> frozenset[RecordType]:
        """Types of the events that last and concern a camera."""
        return self._active(camera)

    def next_look(self, now: Now) -> float:
        """Seconds until something changes by itself; infinite if nothing does."""
        soonest = FAR
        for state in self._states.values():
            for hold in state.holds():
                if not hold.on and hold.until > now.monotonic:
                    soonest = min(soonest, hold.until - now.monotonic)
        for camera in {state.watched.camera for state in self._states.values() if state.watched.policy is not None}:
            self.armed(camera, now.utc)
            known = self._arming.get(camera)
            if known is not None:
                soonest = min(soonest, (known.until - now.utc) / US)
        return soonest

    def interrupted(self, now: Now) -> dict[str, tuple[RecordType, ...]]:
        """The event types that are being recorded: what `resume` is to be told at the next start."""
        found = {}
        for token, state in self._states.items():
            kinds = ordered(kind for kind, hold in state.triggered.items() if hold.holds(now.monotonic))
            if kinds:
                found[token] = kinds
        return found
