"""How much memory many share. One event loop, no lock."""

from __future__ import annotations


class Budget:
    """Bytes that all together may hold. `take` never refuses: who holds something asks `spent` first."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    @property
    def spent(self) -> bool:
        return self.used >= self.limit

    def take(self, size: int) -> None:
        self.used += size

    def give(self, size: int) -> None:
        self.used -= size
