"""Whether a stream is to be pulled now."""

from __future__ import annotations

import asyncio

from onvifd.live.hub import LiveStream

LINGER = 10.0
"""Seconds that a stream on demand is pulled on after the last one who watched."""


class Demand:
    """`wanted` is set while the stream is to be pulled: always, or on demand while somebody watches or records."""

    def __init__(self, stream: LiveStream, on_demand: bool, linger: float = LINGER) -> None:
        self.wanted = asyncio.Event()
        self._stream = stream
        self._on_demand = on_demand
        self._recorded = False
        self._linger = linger
        self._timer: asyncio.TimerHandle | None = None
        stream.on_wanted = self._watchers

    @property
    def on_demand(self) -> bool:
        """Whether the stream is pulled only while somebody watches or records."""
        return self._on_demand

    @on_demand.setter
    def on_demand(self, only: bool) -> None:
        self._on_demand = only
        self.reconsider()

    def recorded(self, by_somebody: bool) -> None:
        """Whether access units are wanted."""
        self._recorded = by_somebody
        self.reconsider()

    def _watchers(self, any_left: bool) -> None:
        self.close()
        if not any_left and self._on_demand:
            # Who changes the picture, or opens the next one, comes back at once.
            self._timer = asyncio.get_running_loop().call_later(self._linger, self._lingered)
        self.reconsider()

    def _lingered(self) -> None:
        self._timer = None
        self.reconsider()

    def reconsider(self) -> None:
        """Look at all reasons anew."""
        if not self._on_demand or self._recorded or self._stream.wanted or self._timer is not None:
            self.wanted.set()
        else:
            self.wanted.clear()

    def close(self) -> None:
        """Linger no longer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
