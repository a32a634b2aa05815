"""When a camera is tried again. Sans-IO; seconds of a monotonic clock."""

from __future__ import annotations

from collections import deque

BACK_OFF = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds until the next try, after each failure in a row."""
AT_ONCE = 0.3
"""Seconds until the first try after a connection that was good."""
STABLE = 3.0
"""Seconds of reception that make a good connection whatever came before it."""
SHORT, SPAN = 20, 60.0
"""How many shorter connections in so many seconds count as good if pictures came on them: a camera ends a connection whenever
it is set otherwise, and clients may do that every second. One that fails is not asked more often than that."""
PATIENCE = 10
"""By how much longer the second and further tries of a login that was refused are waited for. Cameras lock accounts after five
or seven wrong passwords, and keep them locked while more of them come."""
RESPITE = 600.0
"""Seconds for which something is left out that cost a connection. It may have been the network."""


class Respite:
    """Of one thing that a camera is not asked for."""

    def __init__(self) -> None:
        self._until = float("-inf")

    def begin(self, now: float) -> None:
        """It failed."""
        self._until = now + RESPITE

    def is_over(self, now: float) -> bool:
        """Whether it may be asked for."""
        return now >= self._until


class Retries:
    """Of one stream."""

    def __init__(self, back_off: tuple[float, ...] = BACK_OFF) -> None:
        self._back_off = back_off
        self._failures = self._refusals = 0
        self._short: deque[float] = deque(maxlen=SHORT)

    def good(self) -> None:
        """A connection was ended by ourselves."""
        self._failures = 0

    def delay(self, now: float, began: float, delivered: bool, refused: bool = False) -> float:
        """Seconds to wait after a connection that began at a time: whether pictures came on it, whether the login was refused."""
        self._refusals = self._refusals + 1 if refused else 0
        if self._refusals > 1:
            return PATIENCE * self._back_off[min(self._refusals, len(self._back_off)) - 1]
        if delivered and (now - began > STABLE or self._is_rare(now)):
            self._failures = 0
            return AT_ONCE
        self._failures += 1
        return self._back_off[min(self._failures, len(self._back_off)) - 1]

    def _is_rare(self, now: float) -> bool:
        if len(self._short) == SHORT and now - self._short[0] < SPAN:
            return False
        self._short.append(now)
        return True
