"""A replay client: streams whose requests ask for replay, and the CSeq that marks what PLAY brings (Replay 6.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from conformance.rtsp import RtspReply
from conformance.session import StreamClient


@dataclass
class ReplayClient(StreamClient):
    """`async with ReplayClient(x, uri, "UDP") as client:`"""

    require: str = "onvif-replay"
    required: ClassVar[frozenset[str]] = frozenset({"SETUP", "PLAY"})

    async def play(self, **headers: str) -> tuple[RtspReply, int]:
        """PLAY of the whole session; gives the answer and the low byte of its CSeq."""
        reply = await self.start(**headers)
        return reply, self.cseq & 0xFF
