"""Which tracks of a camera's description are taken."""

from __future__ import annotations

import logging

from onvifd.media.types import Codec, Kind
from onvifd.rtsp.sdp import DescribedTrack, Description

log = logging.getLogger("onvifd.cameras.intake")

MAX_TRACKS = 4
_UNREAD = (Codec.OTHER_VIDEO, Codec.OTHER_AUDIO)


def choose(description: Description, name: str, audio: bool) -> tuple[list[DescribedTrack], DescribedTrack | None]:
    """Video, then audio if wanted, one of each kind; and metadata. Of several video sections the first is taken."""
    found: list[DescribedTrack] = []
    for kind in (Kind.VIDEO, Kind.AUDIO) if audio else (Kind.VIDEO,):
        usable = [track for track in description.tracks if track.format.kind is kind]
        # One that is relayed unread is better than none.
        found.extend(sorted(usable, key=lambda track: track.format.codec in _UNREAD)[:1])
    for why in description.skipped:
        log.info("%s: not used: %s", name, why)
    others = [track for track in description.tracks if track.format.kind is not Kind.METADATA]
    documents = next((track for track in description.tracks if track.format.kind is Kind.METADATA), None)
    return found or others[:MAX_TRACKS], documents
