"""The live metadata track of one configuration as a stream like any other: documents on the clock, to all who watch."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable

from onvifd.clock import US
from onvifd.errors import OnvifdError
from onvifd.live.hub import LiveStream, LiveTrack
from onvifd.live.metadata import Assembler, Part, Selection, States
from onvifd.media.rtp.pack import Packer
from onvifd.media.types import AccessUnit, Codec, FlushUnit, TrackFormat

log = logging.getLogger(__name__)

FORMAT = TrackFormat(codec=Codec.METADATA, clock_rate=90_000)
PAYLOAD_TYPE = 107
REPORT_INTERVAL = 5 * US
"""Between sender reports, microseconds (RFC 3550 6.2)."""


class MetadataStream(LiveStream):
    """Gathers the parts that one metadata configuration selects, only while somebody watches.

    `now` gives microseconds UTC; `changed` is called when `due` may have come nearer. Who joins, and who asks for a
    synchronisation point, makes a new document begin with all that is true (Streaming 5.1.3).
    """

    def __init__(
        self,
        camera: str,
        configuration: str,
        states: States,
        now: Callable[[], int],
        changed: Callable[[], None],
    ) -> None:
        super().__init__(f"{camera}/metadata/{configuration}")
        self.configuration = configuration
        self._states = states
        self._now = now
        self._changed = changed
        self._assembler = Assembler(Selection())
        ssrc = secrets.randbits(32)
        self._packer = Packer(
            FORMAT,
            track=0,
            payload_type=PAYLOAD_TYPE,
            ssrc=ssrc,
            seq=secrets.randbits(16),
            ticks_offset=secrets.randbits(31),
        )
        self._report_at = 0
        self._ticks = 0
        self._shift = 0
        """Ticks that time stamps are ahead of the clock, which was set back."""
        self.online = True
        self.set_tracks((LiveTrack(FORMAT, PAYLOAD_TYPE, ssrc),))
        self.on_wanted = self._watched
        self.on_keyframe_wanted = self.synchronise

    def select(self, selection: Selection) -> None:
        """What the configuration wants from now on."""
        if selection != self._assembler.selection:
            self._assembler.selection = selection
            if self.wanted:
                self.synchronise()

    def _watched(self, watched: bool) -> None:
        # Documents and reports of those who watched before are too old for who comes next.
        self.forget()
        self._report_at = 0
        if watched:
            self._assembler.begin(self._now())
            self._tell_states()

    def backlog(self) -> list[FlushUnit]:
        """See LiveStream. Its asker joins: the next document tells all that is true."""
        found = super().backlog()
        self.want_keyframe()
        return found

    def synchronise(self) -> None:
        """Close the document at once and begin one with all that is true."""
        if self.wanted:
            self._send(self._now())
            self._tell_states()

    def _tell_states(self) -> None:
        now = self._now()
        try:
            for part in self._states.for_configuration(self.configuration):
                self._assembler.add(part, now)
        except OnvifdError as error:
            log.warning("%s: the camera's metadata cannot be read: %s", self.name, error.reason)
        self._changed()

    def add(self, part: Part) -> None:
        """Something to tell."""
        if self.wanted:
            self._assembler.add(part, self._now())
            self._changed()

    def due(self) -> int | None:
        """When a document is to be closed, microseconds UTC; None while nobody watches."""
        return self._assembler.due() if self.wanted else None

    def tick(self) -> None:
        """Close the document if it is time."""
        now, due = self._now(), self.due()
        # A clock that was set back must not end the documents for so long.
        if due is not None and (due <= now or due > now + 2 * US):
            self._send(now)

    def _send(self, now: int) -> None:
        ticks = now * FORMAT.clock_rate // US + self._shift
        set_back = ticks <= self._ticks
        if set_back:
            # Time stamps go on whatever is done to the clock; a report tells what they mean from now on.
            self._shift += self._ticks + FORMAT.clock_rate // 1000 - ticks
            ticks = self._ticks + FORMAT.clock_rate // 1000
        self._ticks = ticks
        if set_back or now >= self._report_at:
            self.publish(self._packer.sender_report(now, ticks))
            self._report_at = now + REPORT_INTERVAL
        document = self._assembler.close(now)
        self.publish(self._packer.pack(AccessUnit(0, now, ticks, True, document)))
