"""The loudspeaker of the simulated camera: it keeps what it was told, so that tests can compare it."""

from __future__ import annotations

from collections import deque

from onvifd.live.talk import Sound, TalkLine
from onvifd.media.types import Codec, TrackFormat

MAX_HEARD = 4096
"""Packets that are kept: more than a minute of speech."""

DECODES = (
    TrackFormat(codec=Codec.G726, clock_rate=8000, channels=1, bits=4),
    TrackFormat(codec=Codec.AAC, clock_rate=16000, channels=1, config=b"\x14\x08"),
)
"""What it takes besides G.711."""


class Loudspeaker:
    """A line that ends here."""

    def __init__(self, name: str, formats: tuple[TrackFormat, ...] = DECODES) -> None:
        self.line = TalkLine(name, formats)
        self.line.attach(self._hear)
        self.sounds: deque[Sound] = deque(maxlen=MAX_HEARD)

    def _hear(self, sound: Sound) -> None:
        self.sounds.append(sound)

    @property
    def heard(self) -> bytes:
        """All payloads, in order."""
        return b"".join(sound.data for sound in self.sounds)
