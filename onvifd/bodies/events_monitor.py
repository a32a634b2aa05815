"""What the recorder tells of its own operation (Core 8.9): load, last start, reset, setting of the clock, backup. Sans-IO."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from onvifd.clock import US
from onvifd.events import device_topics as topics
from onvifd.events.topic import Topic
from onvifd.events.types import Event

LOAD_STEP = 10.0
"""Points of load that are worth a message: each is stored and sent to everybody."""
CLOCK_STEP = 0.5
"""Seconds that the wall clock must have moved against the one that never steps, to have been set."""
TIMESYNC_FILES = ("/run/systemd/timesync/synchronized", "/var/lib/systemd/timesync/clock")
"""systemd-timesyncd touches these when a time server was heard."""

Publish = Callable[[Event], object]


class Monitor:
    """`started` and `reset` are microseconds UTC; 0 for a reset that never was."""

    def __init__(
        self, publish: Publish, *, started: int, reset: int = topics.NEVER, backup: int = topics.NEVER
    ) -> None:
        self._publish = publish
        self._times: dict[str, int] = {
            topics.LAST_REBOOT.name: started,
            topics.LAST_RESET.name: reset,
            topics.LAST_CLOCK_SYNCHRONIZATION.name: topics.NEVER,
            topics.LAST_BACKUP.name: backup,
        }
        self._offset: float | None = None
        self._ticks: tuple[int, int] | None = None
        self._load: float | None = None

    def announce(self, utc: int) -> None:
        """Give every property its first value (Core 9.4.2)."""
        for topic in (topics.LAST_REBOOT, topics.LAST_RESET, topics.LAST_CLOCK_SYNCHRONIZATION, topics.LAST_BACKUP):
            self._publish(topics.operating_time(topic, self._times[topic.name], utc))

    def _happened(self, topic: Topic, at: int, utc: int) -> None:
        if at > self._times[topic.name]:
            self._times[topic.name] = at
            self._publish(topics.operating_time(topic, at, utc))

    def clock_set(self, at: int, utc: int) -> None:
        """The clock was synchronized, by a time server or SetSystemDateAndTime."""
        self._happened(topics.LAST_CLOCK_SYNCHRONIZATION, at, utc)

    def backed_up(self, at: int, utc: int) -> None:
        """A backup of the configuration was handed out."""
        self._happened(topics.LAST_BACKUP, at, utc)

    def look(self, utc: int, monotonic: float) -> None:
        """Compare the clocks: a wall clock that jumped was set."""
        offset = utc / US - monotonic
        if self._offset is not None and abs(offset - self._offset) >= CLOCK_STEP:
            # After a step back the new time is lower than the one before: what counts is that it was set.
            self._times[topics.LAST_CLOCK_SYNCHRONIZATION.name] = 0
            self.clock_set(utc, utc)
        self._offset = offset

    def processor(self, ticks: tuple[int, int] | None, utc: int) -> None:
        """`ticks` are all and idle ticks of the processors since the boot of the machine (`read_ticks`)."""
        before, self._ticks = self._ticks, ticks
        if before is None or ticks is None or ticks[0] <= before[0]:
            return
        load = 100.0 * (1 - (ticks[1] - before[1]) / (ticks[0] - before[0]))
        load = min(max(load, 0.0), 100.0)
        if self._load is None or abs(load - self._load) >= LOAD_STEP:
            self._load = load
            self._publish(topics.processor_usage(float(round(load)), utc))


def parse_ticks(text: str) -> tuple[int, int] | None:
    """All and idle ticks of the first line of /proc/stat (proc(5))."""
    fields = text.split("\n", 1)[0].split()
    if len(fields) < 6 or fields[0] != "cpu" or not all(field.isdigit() for field in fields[1:9]):
        return None
    ticks = [int(field) for field in fields[1:9]]  # guests are counted in user time already
    return sum(ticks), ticks[3] + ticks[4]


def read_ticks() -> tuple[int, int] | None:
    """None where there is no /proc. Blocks."""
    try:
        return parse_ticks(Path("/proc/stat").read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError):
        return None


def read_synchronized() -> int | None:
    """When a time server was last heard, microseconds UTC; None if the host does not tell. Blocks."""
    times = []
    for name in TIMESYNC_FILES:
        try:
            times.append(Path(name).stat().st_mtime_ns // 1000)
        except OSError:
            continue
    return max(times, default=None)
