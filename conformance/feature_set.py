"""What a device can do: features by name, and what they are judged by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from conformance.feature_tables import AUXILIARY, BY_CAPABILITY, BY_TOPIC, OTHERS, RELAY_MODES, SERVICE_FEATURES, Row
from conformance.names import boolean, find


class State(StrEnum):
    SUPPORTED = "supported"
    NOT_SUPPORTED = "not supported"
    UNDEFINED = "undefined"


KNOWN: frozenset[str] = frozenset(
    {*SERVICE_FEATURES.values(), *BY_TOPIC, *(row.feature for row in BY_CAPABILITY), *AUXILIARY, *OTHERS, *RELAY_MODES}
)
"""Every name that `requires` may use."""


def alternatives(requirement: str) -> list[str]:
    return [each.strip() for each in requirement.split(" OR ")]


def check_names(requirements: Iterable[str]) -> list[str]:
    """Requirements that name no feature."""
    return [
        each
        for requirement in requirements
        for each in alternatives(requirement)
        if each.removeprefix("NOT ") not in KNOWN
    ]


@dataclass(slots=True)
class Features:
    """The result. A feature that nothing was found out about counts as supported (Feature Discovery 5.1)."""

    states: dict[str, State] = field(default_factory=dict)
    services: dict[str, str] = field(default_factory=dict)
    """Address by prefix."""
    versions: dict[str, tuple[int, int]] = field(default_factory=dict)
    capabilities: dict[str, Any] = field(default_factory=dict)
    """`Capabilities` element of GetServiceCapabilities by prefix."""
    get_capabilities: Any = None
    """`Capabilities` element of GetCapabilities."""
    scopes: tuple[str, ...] = ()
    information: dict[str, str] = field(default_factory=dict)
    topics: frozenset[str] = frozenset()
    """Concrete topics of the TopicSet: `tns1:Monitoring/ProcessorUsage`."""
    filter_dialects: tuple[str, ...] = ()
    remarks: list[str] = field(default_factory=list)
    """What the device did wrong while it was asked."""

    def state(self, feature: str) -> State:
        return self.states.get(feature, State.UNDEFINED)

    def has(self, requirement: str) -> bool:
        """Is a requirement (`a`, `a OR b`, `NOT a`) met?"""
        for each in alternatives(requirement):
            negated, name = each.startswith("NOT "), each.removeprefix("NOT ")
            if (self.state(name) is not State.NOT_SUPPORTED) != negated:
                return True
        return False

    def capability(self, service: str, path: str, attribute: str) -> str | None:
        """An attribute of a service's capabilities (`path` empty: of the element itself); None where it is missing."""
        element = self.capabilities.get(service)
        if element is not None and path:
            element = find(element, f"{service}:{path}")
        value = None if element is None else element.get(attribute)
        return None if value is None else str(value)

    def set(self, feature: str, supported: bool | None) -> None:
        state = State.UNDEFINED if supported is None else State.SUPPORTED if supported else State.NOT_SUPPORTED
        self.states[feature] = state


def judge(row: Row, value: str | None) -> bool:
    """Table rows of Feature Discovery 5.4: does this attribute value mean supported?"""
    match row.rule.partition(":"):
        case ("true", _, _):
            return value is not None and boolean(value)
        case ("not-true", _, _):
            return value is None or not boolean(value)
        case ("positive", _, _):
            return value is not None and value.strip().lstrip("+").isdigit() and int(value) > 0
        case ("positive-or-missing", _, _):
            return value is None or (value.strip().isdigit() and int(value) > 0)
        case ("present", _, _):
            return value is not None
        case ("filled", _, _):
            return bool(value and value.strip())
        case ("contains", _, words):
            return value is not None and any(word in value.split() for word in words.split(","))
    raise ValueError(row.rule)
