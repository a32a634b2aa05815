"""Security policies that administrators set at run time (Core 8.5): complexity and history of passwords, warnings, algorithms.

They are kept in the catalogue as one JSON value.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from onvifd.access.passwords import MAX_PASSWORD, MIN_PASSWORD, Complexity
from onvifd.errors import InvalidArgument

POLICY_SETTING = "access.policy"
MAX_HISTORY = 10
"""tds:SecurityCapabilities MaxPasswordHistory."""
MONITOR_RANGE = (10, 3600)
"""Seconds of tds:GetAuthFailureWarningOptions MonitorPeriodRange."""
FAILURES_RANGE = (1, 100)
ALGORITHMS = ("MD5", "SHA-256")
"""Digest algorithms that can be offered (RFC 7616 section 6.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureWarning:
    """Core 8.5: more than `failures` within `period` seconds raise tns1:Device/SecurityPolicy/AuthFailed."""

    enabled: bool = True
    period: int = 60
    failures: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessPolicy:
    """All of it. `algorithms` None leaves the choice to the settings; `locked` ends changes of the complexity."""

    complexity: Complexity = field(default_factory=Complexity)
    locked: bool = False
    history: int = 3
    history_enabled: bool = False
    warning: FailureWarning = field(default_factory=FailureWarning)
    algorithms: tuple[str, ...] | None = None

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | None) -> AccessPolicy:
        """What `to_json` wrote; the defaults for nothing. Raises InvalidArgument."""
        if text is None:
            return cls()
        try:
            found: dict[str, Any] = json.loads(text)
            algorithms = found.pop("algorithms")
            return cls(
                complexity=Complexity(**found.pop("complexity")),
                warning=FailureWarning(**found.pop("warning")),
                algorithms=tuple(algorithms) if algorithms is not None else None,
                **found,
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InvalidArgument("the stored security policy cannot be read") from error

    def with_complexity(self, complexity: Complexity, locked: bool) -> AccessPolicy:
        """Raises InvalidArgument if it is locked (Core 8.5.3 has no other fault), and for what no password could fulfil."""
        if self.locked:
            raise InvalidArgument("the password policy is locked until a factory default")
        parts = complexity.uppercase, complexity.number, complexity.special
        if not MIN_PASSWORD <= complexity.min_length <= MAX_PASSWORD or any(part < 0 for part in parts):
            raise InvalidArgument(f"MinLen is {MIN_PASSWORD} to {MAX_PASSWORD}, counts are not negative")
        if sum(parts) > MAX_PASSWORD:
            raise InvalidArgument(f"together more than {MAX_PASSWORD} characters are asked for")
        return replace(self, complexity=complexity, locked=locked)

    def with_history(self, enabled: bool, length: int) -> AccessPolicy:
        """Raises InvalidArgument."""
        if not 1 <= length <= MAX_HISTORY:
            raise InvalidArgument(f"Length is 1 to {MAX_HISTORY}")
        return replace(self, history_enabled=enabled, history=length)

    def with_warning(self, warning: FailureWarning) -> AccessPolicy:
        """Raises InvalidArgument."""
        for value, (low, high) in ((warning.period, MONITOR_RANGE), (warning.failures, FAILURES_RANGE)):
            if not low <= value <= high:
                raise InvalidArgument(f"{value} is not within {low} to {high}")
        return replace(self, warning=warning)

    def with_algorithms(self, names: tuple[str, ...]) -> AccessPolicy:
        """In order of preference (Core 5.9.3.1). Raises InvalidArgument."""
        if not names or len(set(names)) != len(names) or any(name not in ALGORITHMS for name in names):
            raise InvalidArgument(f"algorithms are {', '.join(ALGORITHMS)}, each once")
        return replace(self, algorithms=names)


class FailureMonitor:
    """Counts refused logins for the warning; sans-IO, `now` in seconds."""

    def __init__(self) -> None:
        self._start = float("-inf")
        self._count = 0

    def failed(self, warning: FailureWarning, now: float) -> bool:
        """Count one; true when the warning is due, once per period (Core 8.5: the period begins with the first failure)."""
        if now - self._start >= warning.period:
            self._start, self._count = now, 0
        self._count += 1
        return warning.enabled and self._count == warning.failures + 1
