"""RTP time stamps to growing ticks and to UTC."""

from __future__ import annotations

from typing import NamedTuple

from onvifd.clock import US, ntp_to_utc

_HALF = 1 << 31
_MASK = 0xFFFFFFFF


class TimestampUnwrapper:
    """32-bit time stamps to integers that go on growing: each is taken to lie within half the range of the one before."""

    def __init__(self) -> None:
        self._last: int | None = None

    def unwrap(self, rtp_time: int) -> int:
        """Ticks of the next time stamp. The first one stands for itself."""
        ticks = self.peek(rtp_time)
        self._last = ticks
        return ticks

    def peek(self, rtp_time: int) -> int:
        """Ticks of a time stamp near the last one, which stays."""
        if self._last is None:
            return rtp_time
        return self._last + ((rtp_time - self._last + _HALF) & _MASK) - _HALF


class Stamp(NamedTuple):
    """`jump` is how far the mapping moved (microseconds, signed) when it did so by more than TrackClock.MAX_STEP, else 0."""

    ticks: int
    utc: int
    jump: int


class TrackClock:
    """Maps RTP time of one track to microseconds UTC.

    Sender reports tie ticks to the camera's clock, exactly (RFC 3550 6.4.1). Before the first one, and while the camera's
    clock is more than `max_skew` microseconds from the local one, ticks are tied to arrival instead: the offset is held, so that
    frames keep their distances, and follows the least delay of each WINDOW by at most MAX_SLEW. A stalled connection makes
    frames late; that alone changes nothing.

    For growing ticks the result grows too. Only when the mapping moves by more than MAX_STEP (first sender report of a
    clock set otherwise, a clock that was set, a camera that began again) may it go back, and then the stamp says so in `jump`.
    """

    MAX_STEP = 100_000
    MAX_SLEW = 10_000
    WINDOW = 10 * US
    MAX_LATE = 30 * US
    REORDER = US
    """Farther back than this no picture is reordered: the camera began again."""
    SKEWED_REPORTS = 3
    """So many sender reports in a row must be off before a clock that was followed is given up."""

    def __init__(self, clock_rate: int, max_skew: int = 5 * US) -> None:
        self._rate = clock_rate
        self._max_skew = max_skew
        self._unwrapper = TimestampUnwrapper()
        self._ticks0 = 0
        self._utc0: int | None = None
        self._by_report = False
        self._skewed = 0
        self._top: tuple[int, int] | None = None
        self._jump = 0
        self._window_start = 0
        self._least: int | None = None

    @property
    def by_report(self) -> bool:
        """Whether the camera's own clock is followed."""
        return self._by_report

    def sender_report(self, ntp: int, rtp_time: int, arrival: int) -> None:
        """Take a report that arrived at `arrival` (local microseconds UTC). A report without a time (NTP 0) is ignored."""
        if not ntp:
            return
        utc = ntp_to_utc(ntp)
        ticks = self._unwrapper.peek(rtp_time)
        if abs(utc - arrival) > self._max_skew:
            self._skewed += 1
            if self._by_report and self._skewed >= self.SKEWED_REPORTS:
                self._by_report = False
                self._anchor(ticks, arrival)
            return
        self._skewed = 0
        # up to 2 us it is the rounding of the sender; following it would make frames jitter
        if self._by_report and self._utc0 is not None and abs(utc - self._map(ticks, self._utc0)) <= 2:
            return
        self._by_report = True
        self._anchor(ticks, utc)

    def stamp(self, rtp_time: int, arrival: int) -> Stamp:
        """Ticks and UTC of a frame whose packet arrived at `arrival` (local microseconds UTC)."""
        ticks = self._unwrapper.unwrap(rtp_time)
        if self._utc0 is None:
            self._anchor(ticks, arrival)
            utc = arrival
        else:
            utc = self._map(ticks, self._utc0)
        top_ticks, top_utc = self._top or (ticks - 1, utc - 1)
        began_again = utc < top_utc - self.REORDER and not self._jump
        if began_again or utc - arrival > self._max_skew or arrival - utc > self.MAX_LATE:
            self._by_report = False
            self._anchor(ticks, arrival)
            utc = arrival
        elif not self._by_report:
            utc = self._follow(ticks, utc, arrival)
        jump, self._jump = self._jump, 0
        if jump or ticks > top_ticks:
            if not jump:
                utc = max(utc, top_utc + 1)
            self._top = (ticks, utc)
        return Stamp(ticks, utc, jump)

    def _map(self, ticks: int, utc0: int) -> int:
        # integer arithmetic, rounded to nearest: exact where ticks and microseconds meet
        return utc0 + ((ticks - self._ticks0) * US * 2 + self._rate) // (2 * self._rate)

    def _anchor(self, ticks: int, utc: int) -> None:
        if self._utc0 is not None:
            step = self._jump + utc - self._map(ticks, self._utc0)
            self._jump = step if abs(step) > self.MAX_STEP else 0
        self._ticks0, self._utc0 = ticks, utc
        self._least = None

    def _follow(self, ticks: int, utc: int, arrival: int) -> int:
        """Move the offset towards the least delay seen, at the end of each window."""
        delay = arrival - utc
        if self._least is None:
            self._window_start, self._least = arrival, delay
        self._least = min(self._least, delay)
        if 0 <= arrival - self._window_start < self.WINDOW:
            return utc
        move = self._least
        if abs(move) <= self.MAX_STEP:
            move = max(-self.MAX_SLEW, min(self.MAX_SLEW, move))
        self._anchor(ticks, utc + move)
        return utc + move
