"""When snapshots are taken: by a schedule of their own and at events. Sans-IO."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from onvifd.clock import US
from onvifd.recording.calendar import Calendar
from onvifd.recording.triggers import FAR, Now
from onvifd.recording.types import RecordType, effective, ordered
from onvifd.store.rows import SnapshotPolicyRow

HOUR = 3600.0


@dataclass(slots=True)
class _Place:
    """Where a camera stands. Times are monotonic seconds."""

    policy: SnapshotPolicyRow
    calendar: Calendar
    general: float | None = None
    """When the next one by the schedule is due; None while it is not armed."""
    event: float | None = None
    """When the next one of an event that lasts is due."""


class SnapshotPlan:
    """`active` gives the types of the events of a camera that last."""

    def __init__(self, active: Callable[[str], frozenset[RecordType]]) -> None:
        self._active = active
        self._places: dict[str, _Place] = {}

    def configure(self, policies: Mapping[str, SnapshotPolicyRow], calendars: Mapping[str, Calendar]) -> None:
        """All cameras that may have snapshots. A running interval goes on where it is as long as before."""
        before, self._places = self._places, {}
        for camera, policy in policies.items():
            if not policy.enabled or camera not in calendars:
                continue
            place = _Place(policy, calendars[camera])
            known = before.get(camera)
            if known is not None and known.policy.interval == policy.interval:
                place.general = known.general
            self._places[camera] = place

    def stream(self, camera: str) -> str:
        """The stream that pictures of a camera are made of."""
        place = self._places.get(camera)
        return place.policy.stream if place is not None else "main"

    def event(self, camera: str, kind: RecordType, now: Now) -> bool:
        """Something happened: whether a picture of it is wanted."""
        place = self._places.get(camera)
        if place is None or kind not in self._armed(place, now):
            return False
        if place.policy.event_interval:
            place.event = now.monotonic + place.policy.event_interval
        return True

    def _armed(self, place: _Place, now: Now) -> frozenset[RecordType]:
        return effective(place.calendar.armed(now.utc))

    def due(self, now: Now) -> list[tuple[str, RecordType]]:
        """Cameras of which a picture is due, and for which type."""
        found: list[tuple[str, RecordType]] = []
        for camera, place in self._places.items():
            armed = self._armed(place, now)
            lasting = ordered(self._active(camera) & armed)
            if place.event is not None and not lasting:
                place.event = None
            if place.event is not None and now.monotonic >= place.event:
                place.event = now.monotonic + place.policy.event_interval
                found.append((camera, lasting[0]))
            if RecordType.GENERAL not in armed:
                place.general = None
            elif place.general is None or now.monotonic >= place.general:
                place.general = now.monotonic + place.policy.interval
                found.append((camera, RecordType.GENERAL))
        return found

    def next_look(self, now: Now) -> float:
        """Seconds until `due` may have something, or the schedule changes; infinite without cameras."""
        soonest = FAR
        for place in self._places.values():
            for at in (place.general, place.event):
                if at is not None:
                    soonest = min(soonest, max(0.0, at - now.monotonic))
            if place.general is None:
                following = place.calendar.next_change(now.utc)
                soonest = min(soonest, HOUR if following is None else (following - now.utc) / US)
        return soonest
