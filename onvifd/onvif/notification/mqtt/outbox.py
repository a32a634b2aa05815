"""What still has to be published to one broker. No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping

from onvifd.events.topics import Topic
from onvifd.events.types import Event
from onvifd.onvif.notification.filters import EventFilter
from onvifd.onvif.notification.mqtt.payload import Message, mqtt_message

QUEUE_LIMIT = 4096
"""Events that wait while the broker is away. At the bound the oldest is dropped; the states are published again afterwards."""
MAX_RETAINED = 50_000
"""Topics that are remembered to be retained by the broker, so that they can be cleared."""


class Outbox:
    """Events on their way to a broker, in order. `on_ready` is called when there is something."""

    def __init__(self, prefix: str, filter_: EventFilter, topics: Mapping[str, Topic]) -> None:
        self.on_ready: Callable[[], None] | None = None
        self.lost = False
        """Events were dropped: `resynchronize` when the rest is published."""
        self._prefix = prefix
        self._filter = filter_
        self._topics = topics
        self._queue: deque[Message] = deque()
        self._retained: set[str] = set()

    def __len__(self) -> int:
        return len(self._queue)

    def offer(self, event: Event) -> None:
        """Queue an event if the filter selects it."""
        if not self._filter.matches(event):
            return
        if len(self._queue) >= QUEUE_LIMIT:
            self._queue.popleft()
            self.lost = True
        self._put(mqtt_message(event, self._prefix, self._topics))

    def _put(self, message: Message) -> None:
        self._queue.append(message)
        if message.retain and message.payload and len(self._retained) < MAX_RETAINED:
            self._retained.add(message.topic)
        elif not message.payload:
            self._retained.discard(message.topic)
        if self.on_ready is not None:
            self.on_ready()

    def resynchronize(self, properties: Iterable[Event]) -> None:
        """Queue the state of all properties, and clear what the broker retains of those that are gone."""
        self.lost = False
        selected = [event for event in properties if self._filter.matches(event)]
        messages = [mqtt_message(event, self._prefix, self._topics) for event in selected]
        for topic in sorted(self._retained - {message.topic for message in messages}):
            self._put(Message(topic, b"", True))
        for message in messages:
            self._put(message)

    def next(self) -> Message | None:
        """The oldest message; it stays until `sent`."""
        return self._queue[0] if self._queue else None

    def sent(self, message: Message) -> None:
        """A message was published."""
        if self._queue and self._queue[0] is message:
            self._queue.popleft()
