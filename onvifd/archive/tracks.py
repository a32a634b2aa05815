"""Tokens of a recording's tracks. A track has one encoding for ever (RecordingControl 5.1): another one makes another track.

Tracks are numbered per kind in the order in which a recording got its encodings: VIDEO001 may be H.264 and VIDEO002 H.265.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from onvifd.media.types import Codec, Kind, TrackFormat

PREFIXES = {Kind.VIDEO: "VIDEO", Kind.AUDIO: "AUDIO", Kind.METADATA: "META"}


@dataclass(frozen=True, slots=True)
class TrackNumbers:
    """The encodings that a recording has had, in order; never forgotten, so that a token keeps its meaning."""

    codecs: tuple[Codec, ...] = ()

    @classmethod
    def parse(cls, text: str) -> TrackNumbers:
        """The reverse of `str`; what is not known is passed over."""
        known = {codec.value: codec for codec in Codec}
        return cls(tuple(known[each] for each in text.split(",") if each in known))

    def __str__(self) -> str:
        return ",".join(codec.value for codec in self.codecs)

    def with_formats(self, formats: Iterable[TrackFormat]) -> TrackNumbers:
        """With the encodings that are not there yet."""
        return TrackNumbers(tuple(dict.fromkeys((*self.codecs, *(each.codec for each in formats)))))

    def token(self, codec: Codec) -> str:
        """The track of an encoding; one that is not known would be the next."""
        same = [each for each in self.codecs if each.kind is codec.kind]
        number = same.index(codec) if codec in same else len(same)
        return f"{PREFIXES[codec.kind]}{number + 1:03d}"

    def tokens(self, formats: Iterable[TrackFormat]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.token(each.codec) for each in formats))

    def codec(self, token: str) -> Codec | None:
        """The encoding of a track."""
        return next((each for each in self.codecs if self.token(each) == token), None)
