"""Presentations that another worker of the recorder serves.

The front door passes a connection on by the URL of its first request. A client that asks for a second URL on the same connection
may mean what another process holds: it is told to ask for the same URL again on a connection of its own (302, RFC 2326 11.3).
"""

from __future__ import annotations

from collections.abc import Callable

from onvifd.access.types import Account
from onvifd.rtsp.messages import RtspError
from onvifd.rtsp.play import Mount, Presentation


class Elsewhere:
    """A mount for paths of which `is_elsewhere` says that another worker has them; the rest is for `here`."""

    def __init__(self, is_elsewhere: Callable[[str], bool], here: Mount) -> None:
        self._is_elsewhere = is_elsewhere
        self._here = here

    async def find(self, path: str, account: Account) -> Presentation:
        """Raises RtspError 302, and what the mount raises."""
        if self._is_elsewhere(path):
            raise RtspError(302, "it is served on another connection")
        return await self._here.find(path, account)


class AlwaysElsewhere:
    """A mount for a part of the URL space that another worker has as a whole."""

    async def find(self, path: str, account: Account) -> Presentation:
        """Raises RtspError 302."""
        raise RtspError(302, "it is served on another connection")
