"""What all judges of payloads have in common."""

from __future__ import annotations

from conformance.rtp import Media, Rtp


class Judge:
    """Of one track. `units` counts what was in order, `keys` has the last packet of each key frame."""

    def __init__(self, media: Media) -> None:
        self.media = media
        self.units = 0
        self.keys: list[Rtp] = []
        self.size: tuple[int, int] | None = None
        """Width and height of the picture, once it is known."""

    def take(self, unit: list[Rtp]) -> None:
        """One access unit, complete and in order."""
        key = self._take(unit)
        self.units += 1
        if key:
            self.keys.append(unit[-1])

    def _take(self, unit: list[Rtp]) -> bool:
        raise NotImplementedError

    @property
    def ready(self) -> bool:
        """Whether a decoder could have shown something."""
        return self.units > 0
