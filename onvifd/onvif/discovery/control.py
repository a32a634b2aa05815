"""How the rest of the recorder tells discovery that it must look again, and what discovery keeps over a restart."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol


class DiscoveryControl:
    """A bell: whoever changes scopes, discovery mode, ports or addresses rings it.

    It may be rung before the responder runs and when none does. The responder then asks the body anew and sends the Hello or
    Bye that the difference calls for (Core 7.2, WS-Discovery section 4); several rings in a row are one. To be called on the
    event loop.
    """

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def changed(self) -> None:
        """Something that is announced may have changed."""
        self._rung.set()

    def take(self) -> None:
        """What rang until now is being looked at."""
        self._rung.clear()

    async def wait(self) -> None:
        """Until it is rung."""
        await self._rung.wait()


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """What was announced last.

    `instance_id` grows with every start (WS-Discovery section 7), `metadata_version` with every change of types, scopes or
    addresses (section 4.1) and only then, so that clients need not ask again after a mere restart. `digest` stands for them.
    """

    instance_id: int
    metadata_version: int
    digest: str


class DiscoveryMemory(Protocol):
    """Where `Announced` outlives the process. Both may raise OnvifdError."""

    async def recall(self) -> Announced | None: ...
    async def keep(self, announced: Announced) -> None: ...


def digest_of(scopes: Iterable[str], xaddrs: Iterable[str]) -> str:
    """A short stand-in for metadata, regardless of the order of addresses."""
    text = "\n".join((*scopes, "", *sorted(xaddrs)))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def restarted(last: Announced | None, seconds: int) -> Announced:
    """The state of a new start at `seconds` since 1970; the clock may have been set back since the last one."""
    if last is None:
        # Nothing is known of earlier announcements: the clock gives numbers that were most likely not used yet.
        return Announced(instance_id=seconds, metadata_version=seconds, digest="")
    return Announced(
        instance_id=max(seconds, last.instance_id + 1), metadata_version=last.metadata_version, digest=last.digest
    )


def announcing(last: Announced, digest: str) -> Announced:
    """The state once metadata with this digest are announced."""
    if digest == last.digest:
        return last
    # The first metadata after a start without memory take the version as it is.
    step = 1 if last.digest else 0
    return Announced(instance_id=last.instance_id, metadata_version=last.metadata_version + step, digest=digest)
