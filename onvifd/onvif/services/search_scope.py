"""The scope of a search: which recordings it looks into (Search 5.2.4)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from onvifd.errors import InvalidArgument, NotFound
from onvifd.onvif.backend import RecordingBackend, RecordingData, SearchBackend
from onvifd.onvif.search.xpath import RecordingFilter
from onvifd.onvif.services.recording_view import recording_information
from onvifd.onvif.soap.codec import Element, encode
from onvifd.onvif.types import tt

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
    return Scope(tuple(tokens) if named else None, RecordingFilter(text, _namespaces(element)) if text else None)


def _sources(backend: RecordingBackend) -> dict[str, dict[str, None]]:
    """Recordings by what a client may call their source: the source id, or a profile that a job records."""
    found: dict[str, dict[str, None]] = {}
    for recording in backend.recordings():
        found.setdefault(recording.source_id, {})[recording.token] = None
    for job in backend.jobs():
        found.setdefault(job.profile, {})[job.recording] = None
    return found


def _namespaces(element: Element) -> Mapping[str | None, str]:
    """Namespaces in scope of the filter, which may be declared on the element itself."""
    found: Element | None = next(element.iter("{*}RecordingInformationFilter"), None)
    namespaces: Mapping[str | None, str] = (element if found is None else found).nsmap
    return namespaces
