"""How recording stands, and why something is not recorded. For the console, the command line and services."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass

from onvifd.clock import Clock
from onvifd.errors import OnvifdError
from onvifd.recording.calendar import Armed
from onvifd.recording.settings import Settings
from onvifd.recording.triggers import Decision, Watched
from onvifd.recording.types import Mode, RecordType, ordered
from onvifd.store.catalogue import AsyncCatalogue
from onvifd.store.rows import RecordStateRow

log = logging.getLogger(__name__)

DELAY = 0.5
"""Seconds that changes are collected before they are stored."""
MAIN = "main"

OFF = "recording is switched off"
NO_SCHEDULE = "the schedule has no times"
OUTSIDE = "outside the times of the schedule"
LOST = "the camera does not deliver"
BEGINS = "about to begin"
NO_JOB = "no active job has a source for it"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingStatus:
    """`mode` is auto, manual, off, or job for what a client's job records. `ordered` is whether it is to be written, `active`
    whether it is. `reason` says why not. `kind` is None while it is not to be written. `since` is microseconds UTC."""

    recording: str
    camera: str
    stream: str
    mode: str
    ordered: bool
    active: bool
    kind: RecordType | None = None
    marks: tuple[RecordType, ...] = ()
    reason: str = ""
    since: int | None = None

    def row(self, utc: int) -> RecordStateRow:
        return RecordStateRow(
            recording=self.recording,
            camera=self.camera,
            stream=self.stream,
            mode=self.mode,
            ordered=self.ordered,
            active=self.active,
            kind=self.kind.value if self.kind else "",
            marks=",".join(self.marks),
            reason=self.reason,
            utc=self.since or utc,
        )


def recording_of(camera: str, stream: str) -> str:
    """Token of the fixed recording of a stream."""
    return f"rec-{camera}" if stream == MAIN else f"rec-{camera}-{stream}"


def status_of(
    settings: Settings,
    watched: Mapping[str, Watched],
    decisions: Mapping[str, Decision],
    *,
    waiting: Callable[[str], Armed],
    active: Callable[[str], bool],
    lost: Set[str],
    trouble: Mapping[str, str],
    storage: Callable[[str], str],
    since: Callable[[str], int | None],
) -> tuple[RecordingStatus, ...]:
    """One for each fixed recording of main streams and of what else is watched."""
    found: list[RecordingStatus] = []
    fixed = {recording_of(camera, stream): policy for (camera, stream), policy in settings.policies.items()}
    for token in dict.fromkeys((*fixed, *watched)):
        policy, watch = fixed.get(token), watched.get(token)
        if watch is None and policy is not None and policy.mode is Mode.OFF and policy.stream != MAIN:
            continue
        policy = watch.policy if watch is not None else policy
        decision = decisions.get(token)
        camera = watch.camera if watch is not None else (policy.camera if policy is not None else "")
        is_active = active(token)
        reason = ""
        if policy is not None and policy.mode is Mode.OFF:
            reason = OFF
        elif watch is None:
            reason = NO_JOB
        elif decision is None:
            reason = _waiting(settings, camera, waiting(token))
        elif not is_active:
            reason = storage(token) or (LOST if camera in lost else "") or trouble.get(token, "") or BEGINS
        found.append(
            RecordingStatus(
                recording=token,
                camera=camera,
                stream=policy.stream if policy is not None else "",
                mode=policy.mode.value if policy is not None else "job",
                ordered=decision is not None,
                active=is_active,
                kind=decision.kind if decision else None,
                marks=decision.marks if decision else (),
                reason=reason,
                since=since(token) if is_active else None,
            )
        )
    return tuple(found)


def _waiting(settings: Settings, camera: str, armed: Armed) -> str:
    if armed:
        return f"waits for an event: {', '.join(ordered(armed))}"
    empty = not settings.week(camera).types() and not any((settings.assigned.get(camera) or {}).values())
    return NO_SCHEDULE if empty else OUTSIDE


class States:
    """Keeps what the catalogue says of recordings in line, half a second late. Owns one task from `start` to `stop`."""

    def __init__(self, catalogue: AsyncCatalogue, clock: Clock) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._ask: Callable[[], tuple[RecordingStatus, ...]] | None = None
        self._wake = asyncio.Event()
        self._known: dict[str, RecordingStatus] | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="recording states")

    def note(self, ask: Callable[[], tuple[RecordingStatus, ...]]) -> None:
        """Something may be different: `ask` says what."""
        self._ask = ask
        self._wake.set()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            await self._clock.sleep(DELAY)
            self._wake.clear()
            try:
                await self._store()
            except Exception:
                # a defect must cost one look, not all that follow
                log.exception("how recording stands is not stored")

    async def _store(self) -> None:
        found = {each.recording: each for each in self._ask()} if self._ask is not None else {}
        utc = self._clock.utc()
        whole = self._known is None or bool(self._known.keys() - found.keys())
        changed = [each for token, each in found.items() if whole or (self._known or {}).get(token) != each]
        if not changed and not whole:
            return
        rows = tuple(each.row(utc) for each in changed)
        try:
            await self._catalogue.run(self._catalogue.sync.policies.put_states, rows, others=not whole)
            self._known = found
        except OnvifdError as error:
            log.error("how recording stands is not stored: %s", error.reason)
            self._known = None

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            try:
                await self._catalogue.run(self._catalogue.sync.policies.put_states, (), others=False)
            except OnvifdError as error:
                log.error("how recording stands is not stored: %s", error.reason)
