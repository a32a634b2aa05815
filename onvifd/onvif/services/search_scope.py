"""The scope of a search: which recordings it looks into (Search 5.2.4)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from onvifd.clock import US
from onvifd.errors import InvalidArgument, NotFound
from onvifd.media.types import Kind
from onvifd.onvif.backend import RecordingBackend, RecordingData, RecordingStatus, SearchBackend
from onvifd.onvif.search.metadata import MetadataTrack
from onvifd.onvif.search.xpath import RecordingFilter
from onvifd.onvif.services.recording_view import recording_information
from onvifd.onvif.soap.codec import Element, encode
from onvifd.onvif.types import tt

SLACK = 2 * US
"""How far a document may lie outside of its segment, whose times are those of the pictures."""
MAX_TOKENS = 1000
"""Sources, and recordings, that a scope may name."""


class Scope:
    """A scope that was checked: its tokens exist and its filter is understood."""

    def __init__(self, tokens: tuple[str, ...] | None, filter_: RecordingFilter | None) -> None:
        self._tokens = tokens
        self._filter = filter_

    async def recordings(self, backend: SearchBackend) -> tuple[RecordingData, ...]:
        """The recordings in the scope. Raises InvalidArgument (InvalidFilterFault) when the filter fails."""
        data = await backend.recording_data(self._tokens)
        if self._filter is None:
            return data
        documents = [encode(recording_information(item)) for item in data]
        chosen = await asyncio.to_thread(self._filter.select, documents)
        return tuple(item for item, matches in zip(data, chosen, strict=True) if matches)


def parse_scope(scope: tt.SearchScope, element: Element, backend: RecordingBackend) -> Scope:
    """Check a scope. Raises NotFound (InvalidToken), InvalidArgument (InvalidSource, InvalidFilterFault).

    `element` is the request, for the prefixes of the filter. Named sources and recordings are united (Search 5.2.4.1).
    """
    if len(scope.included_recordings) > MAX_TOKENS or len(scope.included_sources) > MAX_TOKENS:
        raise InvalidArgument(f"A scope names at most {MAX_TOKENS} sources or recordings.")
    tokens: dict[str, None] = {}
    known = {recording.token for recording in backend.recordings()}
    for token in scope.included_recordings:
        if token not in known:
            raise NotFound("There is no such recording.", detail="InvalidToken")
        tokens[token] = None
    if scope.included_sources:
        by_source = _sources(backend)
        for source in scope.included_sources:
            if source.token not in by_source:
                raise InvalidArgument("There is no such recording source.", detail="InvalidSource")
            tokens.update(by_source[source.token])
    text = (scope.recording_information_filter or "").strip()
    named = bool(scope.included_recordings or scope.included_sources)
    if not text:
        return Scope(tuple(tokens) if named else None, None)
    filter_ = RecordingFilter(text, namespaces_of(element, "RecordingInformationFilter"))
    return Scope(tuple(tokens) if named else None, filter_)


def _sources(backend: RecordingBackend) -> dict[str, dict[str, None]]:
    """Recordings by what a client may call their source: the source id, or a profile or receiver that a job records."""
    found: dict[str, dict[str, None]] = {}
    for recording in backend.recordings():
        if recording.source_id:
            found.setdefault(recording.source_id, {})[recording.token] = None
    for job in backend.jobs():
        for source in job.sources:
            found.setdefault(source.token, {})[job.recording] = None
    return found


def namespaces_of(element: Element, name: str) -> Mapping[str | None, str]:
    """Namespaces in scope of the filter `name`, which may be declared on the element itself."""
    found: Element | None = next(element.iter(f"{{*}}{name}"), None)
    namespaces: Mapping[str | None, str] = (element if found is None else found).nsmap
    return namespaces


def event_bounds(data: Iterable[RecordingData]) -> dict[str, tuple[int, int | None]]:
    """Between which times events of recordings are given: those that hold footage, from its start to its end."""
    return {
        item.recording.token: (item.earliest, None if item.status is RecordingStatus.RECORDING else item.latest)
        for item in data
        if item.earliest is not None
    }


def metadata_tracks(data: Iterable[RecordingData], now: int) -> tuple[MetadataTrack, ...]:
    """The metadata tracks of recordings that hold something; those that are being written go on to `now`."""
    return tuple(
        MetadataTrack(
            item.recording.token,
            track.token,
            track.data_from - SLACK,
            max(track.data_to, now) if item.status is RecordingStatus.RECORDING else track.data_to + SLACK,
        )
        for item in data
        for track in item.tracks
        if track.kind is Kind.METADATA
    )
