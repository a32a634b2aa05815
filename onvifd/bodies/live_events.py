"""Events for the live metadata streams: each goes to the configurations of its camera whose filter lets it pass.

The media workers make documents of them, with what the camera tells itself (Streaming 5.1.2.1.1).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from onvifd.events.bus import EventBus, Subscription
from onvifd.events.types import Event, Operation
from onvifd.onvif.backend import MediaModel, Metadata
from onvifd.onvif.notification.faults import NotificationFault
from onvifd.onvif.notification.filters import EventFilter
from onvifd.onvif.notification.metadata import event_text
from onvifd.onvif.notification.topic_expression import CONCRETE_SET, parse_topic_expression
from onvifd.workers.messages import LivePart

log = logging.getLogger(__name__)

Owner = Callable[[Event], str | None]
"""The camera that an event is about."""


class LiveEvents:
    """Lives on the loop of the bus and never waits. `send` brings a part to the worker that has its camera; `topics` are all that
    the recorder emits."""

    def __init__(self, bus: EventBus, owner: Owner, topics: tuple[str, ...], send: Callable[[LivePart], None]) -> None:
        self._bus = bus
        self._owner = owner
        self._topics = topics
        self._send = send
        self._filters: dict[str, dict[str, EventFilter]] = {}
        """By camera and token of the configuration; without those that want no events."""
        self._metadata: dict[str, tuple[Metadata, ...]] = {}
        self._subscription: Subscription | None = None

    def start(self) -> None:
        self._subscription = self._bus.subscribe(self._event)

    def close(self) -> None:
        if self._subscription is not None:
            self._subscription.close()

    def configure(self, model: MediaModel) -> None:
        """The metadata configurations that there are now. Where they changed all states are told anew."""
        before, self._metadata = self._metadata, {}
        for each in model.metadata:
            self._metadata[each.camera] = (*self._metadata.get(each.camera, ()), each)
        self._filters = {camera: self._filters_of(found) for camera, found in self._metadata.items()}
        for camera, found in self._metadata.items():
            if before.get(camera) != found:
                self.tell(camera)

    def _filters_of(self, found: tuple[Metadata, ...]) -> dict[str, EventFilter]:
        made = {}
        for each in found:
            choice = each.choice
            if not choice.events:
                continue
            if not choice.topics.strip():
                made[each.token] = EventFilter()
                continue
            try:
                dialect, prefixes = choice.dialect or CONCRETE_SET, {key or None: uri for key, uri in choice.namespaces}
                expression = parse_topic_expression(choice.topics, dialect, prefixes, self._topics)
            except NotificationFault as fault:
                # It was good when it was set; the topics of this version may be others.
                log.warning("metadata configuration %s selects no event: %s", each.token, fault.reason)
                continue
            made[each.token] = EventFilter((expression,))
        return made

    def tell(self, camera: str) -> None:
        """All states of a camera, for a worker that knows none of them, or that knows them for other configurations."""
        self._send(LivePart(camera=camera, anew=True))
        for event in self._bus.properties():
            tokens = self._tokens(camera, event, self._owner(event))
            if tokens:
                part = event_text(event).encode()
                self._send(LivePart(camera=camera, configurations=tokens, state=_name(event), initial=part))

    def _event(self, event: Event) -> None:
        owner = self._owner(event)
        for camera in self._filters if owner is None else (owner,):
            tokens = self._tokens(camera, event, owner)
            if tokens:
                self._send(_part(camera, tokens, event))

    def _tokens(self, camera: str, event: Event, owner: str | None) -> tuple[str, ...]:
        """The configurations of a camera that get an event. What belongs to no camera goes to who asked for its topic."""
        if owner not in (camera, None):
            return ()
        return tuple(
            token
            for token, filter_ in self._filters.get(camera, {}).items()
            if (owner is not None or filter_.by_topic) and filter_.matches(event)
        )


def _name(event: Event) -> str:
    return repr(event.instance)


def _part(camera: str, tokens: tuple[str, ...], event: Event) -> LivePart:
    text = event_text(event).encode()
    if event.operation is None:
        return LivePart(camera=camera, configurations=tokens, part=text)
    lasting = event.operation is not Operation.DELETED
    initial = event_text(replace(event, operation=Operation.INITIALIZED)).encode() if lasting else b""
    return LivePart(camera=camera, configurations=tokens, part=text, state=_name(event), initial=initial)
