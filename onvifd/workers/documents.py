"""What a recording's metadata track gets besides the documents of the camera: the states at its begin, and one document a second.

No I/O, no clock: times are those of the pictures.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from onvifd.archive.index import EMPTY_DOCUMENT
from onvifd.archive.prerecord import MAX_SECONDS
from onvifd.clock import US

MAX_STATES = 256
"""States of one recording."""
MAX_CHANGES = 32
"""Changes of one state that are remembered."""
_REACH = round(MAX_SECONDS * US) + 10 * US
"""How far back footage may begin, memory included."""


class _Change(NamedTuple):
    """`document` tells the state from `utc` on; empty when it is no more. `said`: the change itself came as a document."""

    utc: int
    document: bytes
    said: bool


class States:
    """The states of a channel as control tells them, as far back as memory reaches: so that footage that begins before its
    order begins with what was true then."""

    def __init__(self) -> None:
        self._changes: dict[str, deque[_Change]] = {}

    def tell(self, state: str, utc: int, document: bytes, *, said: bool) -> None:
        """From `utc` on `document` is the state; an empty one ends it."""
        changes = self._changes.get(state)
        if changes is None:
            if len(self._changes) >= MAX_STATES:
                return
            changes = self._changes[state] = deque(maxlen=MAX_CHANGES)
        elif not said and changes[-1].document == document:
            return
        changes.append(_Change(utc, document, said))
        while len(changes) > 1 and changes[1].utc < utc - _REACH:
            changes.popleft()

    def at(self, utc: int) -> Iterator[tuple[str, bytes]]:
        """Each state and the document that tells it at a time; empty for one that its own document will tell."""
        for state, changes in self._changes.items():
            before = next((each for each in reversed(changes) if each.utc <= utc), None)
            if before is not None and before.document:
                yield state, before.document
            elif before is None and changes[0].said:
                yield state, b""


@dataclass(slots=True)
class Documents:
    """What is to be written besides what comes. Footage begins with `begin`; then it is told of all that is written."""

    states: States
    _last: int = 0
    """Time of the latest document."""
    _told: set[str] = field(default_factory=set)

    def begin(self, utc: int) -> list[bytes]:
        """Footage begins: the states at that time, or at least a document that says nothing."""
        found = list(self.states.at(utc))
        self._told = {state for state, _ in found}
        self._last = utc
        return [document for _, document in found if document] or [EMPTY_DOCUMENT]

    def owes(self, state: str) -> bool:
        """Whether this footage knows nothing of a state yet."""
        return state not in self._told

    def wrote(self, utc: int, state: str = "") -> None:
        """A document is written; of a state if that is given."""
        self._last = max(self._last, utc)
        if state:
            self._told.add(state)

    def due(self, utc: int) -> int | None:
        """The time of the document that says nothing which is due when the picture of `utc` is written, if one is.

        Documents are closed once a second (Streaming 5.1.2.1.1): so a replay of the track alone has something to give from
        every second.
        """
        passed = utc - self._last
        if -US <= passed <= US:
            return None
        # A clock that was set, or a pause of the pictures, begins anew.
        self._last = self._last + US if US < passed < 2 * US else utc
        return self._last
