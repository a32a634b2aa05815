"""What the catalogue keeps of when is recorded, as the rules go by it; and changes of it, checked. Everything here blocks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from onvifd.errors import InvalidArgument, NotFound, Prohibited
from onvifd.recording.calendar import Calendar
from onvifd.recording.holidays import MAX_HOLIDAYS, Holiday, check_holiday, parse_date
from onvifd.recording.localtime import LocalTime
from onvifd.recording.schedule import FIXED, NamedSchedule, Row, Week, all_week, check_name
from onvifd.recording.triggers import Rules
from onvifd.recording.types import CAUSES, SCHEDULED, STREAMS, Mode, Policy, RecordType, check_policy
from onvifd.store.catalogue import Catalogue
from onvifd.store.rows import HolidayRow, PolicyRow, SnapshotPolicyRow
from onvifd.store.schedules import VIDEO

log = logging.getLogger(__name__)

MAX_NAMED = 64
MIN_INTERVAL, MAX_INTERVAL = 1, 86_400
MAX_DAYS = 360
DEFAULT_WEEK = all_week((RecordType.GENERAL,))
"""Of channels that nobody gave a schedule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that was configured, read at one moment."""

    policies: Mapping[tuple[str, str], Policy] = field(default_factory=dict)
    """By camera and stream, in channel order."""
    weeks: Mapping[tuple[str, str], Week] = field(default_factory=dict)
    """By camera and purpose, those alone that were set."""
    named: Mapping[str, NamedSchedule] = field(default_factory=dict)
    assigned: Mapping[str, Mapping[RecordType, str | None]] = field(default_factory=dict)
    holidays: tuple[Holiday, ...] = ()
    links: Mapping[tuple[str, RecordType], frozenset[str]] = field(default_factory=dict)
    snapshots: Mapping[str, SnapshotPolicyRow] = field(default_factory=dict)

    @property
    def cameras(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(camera for camera, _ in self.policies))

    def week(self, camera: str, purpose: str = VIDEO) -> Week:
        return self.weeks.get((camera, purpose), DEFAULT_WEEK)

    def calendar(self, camera: str, local: LocalTime, purpose: str = VIDEO) -> Calendar:
        """The schedules of a channel. Named ones are assigned for video alone."""
        assigned: dict[RecordType, Week | None] = {}
        for kind, name in self.assigned.get(camera, {}).items() if purpose == VIDEO else ():
            assigned[kind] = None if name is None or name not in self.named else self.named[name].week
        return Calendar(local, self.week(camera, purpose), assigned, self.holidays)

    def rules(self, local: LocalTime) -> Rules:
        return Rules(
            calendars={camera: self.calendar(camera, local) for camera in self.cameras}, links=dict(self.links)
        )


def load(catalogue: Catalogue) -> Settings:
    """What is kept. What cannot be read is logged and left out."""
    policies = {(row.camera, row.stream): policy_of(row) for row in catalogue.policies.all()}
    rows = catalogue.schedules.all()
    assigned: dict[str, dict[RecordType, str | None]] = {}
    for (camera, kind), name in rows.assigned.items():
        assigned.setdefault(camera, {})[RecordType(kind)] = name
    return Settings(
        policies=policies,
        weeks={key: week for key, text in rows.weeks.items() if (week := _week(str(key), text, typed=True))},
        named={
            name: NamedSchedule(name, week)
            for name, text in rows.named.items()
            if (week := _week(name, text, typed=False))
        },
        assigned=assigned,
        holidays=tuple(holiday_of(row) for row in rows.holidays),
        links={(camera, RecordType(kind)): targets for (camera, kind), targets in rows.links.items()},
        snapshots=rows.snapshots,
    )


def _week(whose: str, text: str, *, typed: bool) -> Week | None:
    try:
        return Week.from_json(text, typed=typed)
    except InvalidArgument as error:
        log.error("schedule of %s: %s", whose, error.reason)
        return None


def policy_of(row: PolicyRow) -> Policy:
    values = asdict(row) | {"mode": Mode(row.mode), "resume": Mode(row.resume)}
    return Policy(**values)


def row_of(policy: Policy) -> PolicyRow:
    return PolicyRow(**(asdict(policy) | {"mode": policy.mode.value, "resume": policy.resume.value}))


def holiday_of(row: HolidayRow) -> Holiday:
    return Holiday(
        name=row.name,
        first=parse_date(row.first),
        last=parse_date(row.last),
        yearly=row.yearly,
        enabled=row.enabled,
    )


class Changes:
    """Changes what is kept, after checking it. A running recorder follows: the revision is raised with each."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    # ---- how streams are recorded --------------------------------------------------------------

    def policies(self, change: Callable[[Policy], Policy], cameras: Iterable[str], stream: str) -> tuple[Policy, ...]:
        """Change how a stream of some cameras is recorded, all or none. Raises NotFound or InvalidArgument."""
        if stream not in STREAMS:
            raise InvalidArgument(f"{stream[:32]!r} is no stream; streams are {', '.join(STREAMS)}")
        policies = []
        for camera in cameras:
            policies.append(check_policy(change(policy_of(self._catalogue.policies.get(camera, stream)))))
        self._catalogue.policies.put(*(row_of(policy) for policy in policies))
        return tuple(policies)

    def set_mode(self, cameras: Iterable[str], stream: str, mode: Mode) -> None:
        """Raises NotFound or InvalidArgument."""
        self.policies(lambda known: with_mode(known, mode), cameras, stream)

    def set_manual(self, cameras: Iterable[str], stream: str, on: bool) -> None:
        """Start or stop recording by hand. Raises NotFound or InvalidArgument."""
        self.policies(lambda known: replace(known, manual=on), cameras, stream)

    # ---- schedules -----------------------------------------------------------------------------

    def set_week(self, cameras: Iterable[str], week: Week, purpose: str = VIDEO) -> None:
        """Raises NotFound or InvalidArgument."""
        text = week.checked(typed=True).to_json()
        self._catalogue.schedules.put_weeks(purpose, dict.fromkeys(cameras, text), {})

    def set_rows(self, cameras: Sequence[str], rows: Mapping[int, Row | None], purpose: str = VIDEO) -> None:
        """Some days of the weeks of channels, all or none; other days stay. Raises NotFound or InvalidArgument."""
        settings = load(self._catalogue)
        weeks = {}
        for camera in cameras:
            week = settings.week(camera, purpose)
            for number, row in rows.items():
                week = week.with_row(number, row)
            weeks[camera] = week.checked(typed=True).to_json()
        self._catalogue.schedules.put_weeks(purpose, weeks, {})

    def copy_row(self, cameras: Sequence[str], source: int, targets: Sequence[int], purpose: str = VIDEO) -> None:
        """A day of each channel for other days of the same channel. Raises NotFound or InvalidArgument."""
        settings = load(self._catalogue)
        weeks = {camera: settings.week(camera, purpose).copy_row(source, targets) for camera in cameras}
        texts = {camera: week.checked(typed=True).to_json() for camera, week in weeks.items()}
        self._catalogue.schedules.put_weeks(purpose, texts, {})

    def copy_week(self, source: str, targets: Iterable[str], purpose: str = VIDEO) -> None:
        """The schedule of a channel for others, named schedules included. Raises NotFound."""
        settings = load(self._catalogue)
        if source not in settings.cameras:
            raise NotFound(f"there is no camera {source}", detail="NoSource")
        targets = [target for target in targets if target != source]
        text = settings.week(source, purpose).to_json()
        names = {kind.value: name for kind, name in settings.assigned.get(source, {}).items()}
        assigned: dict[str, dict[str, str | None]] = dict.fromkeys(targets, names) if purpose == VIDEO else {}
        self._catalogue.schedules.put_weeks(purpose, dict.fromkeys(targets, text), assigned)

    def one_click(self, cameras: Sequence[str], week: Week) -> None:
        """A ready-made week for channels: no named schedules, and their main streams go by it. Raises NotFound."""
        text = week.checked(typed=True).to_json()
        policies = [policy_of(self._catalogue.policies.get(camera, STREAMS[0])) for camera in cameras]
        none: dict[str, str | None] = {}
        self._catalogue.schedules.put_weeks(VIDEO, dict.fromkeys(cameras, text), dict.fromkeys(cameras, none))
        self._catalogue.policies.put(*(row_of(with_mode(policy, Mode.AUTO)) for policy in policies))

    def assign(self, cameras: Iterable[str], kind: RecordType, name: str | None, *, own: bool = False) -> None:
        """Let a named schedule give the times of a type; None is never, `own` the channel's own week again.

        Raises NotFound or InvalidArgument.
        """
        if kind not in SCHEDULED:
            raise InvalidArgument("what is recorded by hand needs no schedule")
        settings = load(self._catalogue)
        assigned: dict[str, dict[str, str | None]] = {}
        for camera in cameras:
            names = {each.value: given for each, given in settings.assigned.get(camera, {}).items() if each != kind}
            assigned[camera] = names if own else names | {kind.value: name}
        self._catalogue.schedules.put_weeks(VIDEO, {}, assigned)

    def set_assigned(self, cameras: Iterable[str], names: Mapping[RecordType, str | None]) -> None:
        """All named schedules of channels; types that are not among them go by the channels' own weeks.

        Raises NotFound or InvalidArgument.
        """
        if any(kind not in SCHEDULED for kind in names):
            raise InvalidArgument("what is recorded by hand needs no schedule")
        wanted = {kind.value: name for kind, name in names.items()}
        self._catalogue.schedules.put_weeks(VIDEO, {}, dict.fromkeys(cameras, wanted))

    def put_named(self, schedule: NamedSchedule) -> None:
        """Make or change a named schedule. Raises Prohibited for the fixed one, InvalidArgument, LimitReached."""
        if schedule.fixed:
            raise Prohibited(f"the schedule {FIXED} is fixed")
        week = schedule.week.checked(typed=False).to_json()
        self._catalogue.schedules.put_named(check_name(schedule.name), week, limit=MAX_NAMED)

    def remove_named(self, name: str) -> None:
        """Raises Prohibited for the fixed one, NotFound, or Conflict while it is assigned."""
        if name == FIXED:
            raise Prohibited(f"the schedule {FIXED} is fixed")
        self._catalogue.schedules.remove_named(name)

    def add_holiday(self, holiday: Holiday) -> None:
        """Raises InvalidArgument, Conflict if there is one of the name, LimitReached."""
        self._catalogue.schedules.put_holiday(_holiday_row(holiday), limit=MAX_HOLIDAYS, new=True)

    def change_holiday(self, name: str, change: Callable[[Holiday], Holiday]) -> None:
        """Raises NotFound or InvalidArgument. Its name stays."""
        for holiday in load(self._catalogue).holidays:
            if holiday.name == name:
                row = _holiday_row(replace(change(holiday), name=name))
                self._catalogue.schedules.put_holiday(row, limit=MAX_HOLIDAYS, new=False)
                return
        raise NotFound(f"there is no holiday {name}")

    def remove_holiday(self, name: str) -> None:
        """Raises NotFound."""
        self._catalogue.schedules.remove_holiday(name)

    def set_links(self, camera: str, kind: RecordType, targets: Iterable[str]) -> None:
        """The other cameras that an event of a camera concerns. Raises NotFound or InvalidArgument."""
        if kind not in CAUSES:
            raise InvalidArgument(f"{kind} is no event; events are {', '.join(CAUSES)}")
        self._catalogue.schedules.put_links(camera, kind.value, [each for each in targets if each != camera])

    def set_snapshots(self, *rows: SnapshotPolicyRow) -> None:
        """All or none. Raises NotFound or InvalidArgument."""
        for row in rows:
            if row.stream not in STREAMS:
                raise InvalidArgument(f"{row.stream[:32]!r} is no stream; streams are {', '.join(STREAMS)}")
            if not MIN_INTERVAL <= row.interval <= MAX_INTERVAL:
                raise InvalidArgument(
                    f"snapshots are {MIN_INTERVAL} to {MAX_INTERVAL} seconds apart, not {row.interval}"
                )
            if not 0 <= row.event_interval <= MAX_INTERVAL:
                raise InvalidArgument(f"snapshots of an event are at most {MAX_INTERVAL} seconds apart")
            if not 0 <= row.days <= MAX_DAYS:
                raise InvalidArgument(f"snapshots are kept for 1 to {MAX_DAYS} days, or for ever (0)")
        self._catalogue.schedules.put_snapshots(*rows)


def with_mode(policy: Policy, mode: Mode) -> Policy:
    """In another mode; what it was before is what off is left for."""
    resume = policy.mode if mode is Mode.OFF and policy.mode is not Mode.OFF else policy.resume
    return replace(policy, mode=mode, resume=resume if mode is Mode.OFF else mode)


def with_active(policy: Policy, active: bool) -> Policy:
    """As a job's mode says: Idle is off, Active is what it was before (RecordingControl 5.3)."""
    if active:
        return with_mode(policy, policy.resume) if policy.mode is Mode.OFF else policy
    return with_mode(policy, Mode.OFF)


def _holiday_row(holiday: Holiday) -> HolidayRow:
    holiday = check_holiday(holiday)
    return HolidayRow(
        name=holiday.name,
        first=holiday.first.isoformat(),
        last=holiday.last.isoformat(),
        yearly=holiday.yearly,
        enabled=holiday.enabled,
    )
