"""The machine's sensors as properties, and who is sent which stream. Sans-IO: readings in, events out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from onvifd.events import hardware_topics as topics
from onvifd.events.topic import Topic
from onvifd.events.types import Event
from onvifd.host.sensors import Readings
from onvifd.onvif.backend import MediaModel
from onvifd.workers.specs import SessionSpec

MAX_LISTED = 512
"""Clients of one configuration that are named in a message."""

Publish = Callable[[Event], object]


class Hardware:
    """`first` is what the sensors said at the start: what is missing there has no topic."""

    def __init__(self, publish: Publish, first: Readings) -> None:
        self._publish = publish
        self._critical = False
        self._links = frozenset(link.token for link in first.links)
        self.topics: tuple[Topic, ...] = tuple(
            topic
            for topic, there in (
                (topics.FAN_FAILURE, first.fans),
                (topics.POWER_SUPPLY_FAILURE, first.supplies),
                (topics.TEMPERATURE_CRITICAL, first.temperatures),
                (topics.LINK_STATUS, first.links),
            )
            if there
        )

    def look(self, now: Readings, utc: int) -> None:
        """Tell how things stand; the bus passes on what has changed.

        A sensor that gives no reading any more leaves its property as it was, for nothing is known of it.
        """
        if topics.FAN_FAILURE in self.topics:
            for token, failed in now.fans:
                self._publish(topics.fan_failure(token, failed, utc))
        if topics.POWER_SUPPLY_FAILURE in self.topics:
            for token, failed in now.supplies:
                self._publish(topics.power_supply_failure(token, failed, utc))
        if topics.TEMPERATURE_CRITICAL in self.topics:
            # Each is judged by the state of all: one that has just left its bound does not end what another began.
            self._critical = any(each.is_critical(self._critical) for each in now.temperatures)
            self._publish(topics.temperature_critical(self._critical, utc))
        for link in now.links:
            if link.token in self._links:
                self._publish(topics.link_status(link.token, link.speed, link.full_duplex, utc))


class ActiveSessions:
    """Who is sent which encoder configuration's stream, and who talks, of what all workers tell (Media 5.22.3)."""

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self._told: dict[str, tuple[SessionSpec, ...]] = {}
        self._known: dict[tuple[Topic, str], tuple[str, ...]] = {}

    def heard(self, worker: str, sessions: Iterable[SessionSpec], media: MediaModel, utc: int) -> None:
        """All sessions of a worker now."""
        told = tuple(sorted(sessions, key=lambda one: (one.address, one.id)))
        if told == self._told.get(worker, ()) and set(self._known) <= _configured(media):
            return
        self._told[worker] = told
        found: dict[tuple[Topic, str], list[str]] = {}
        tokens = _tokens(media)
        for session in (one for each in self._told.values() for one in each):
            for kind in session.kinds:
                key = tokens.get((session.path.strip("/"), kind))
                if key is not None:
                    found.setdefault(key, []).append(session.address)
        now = {key: tuple(sorted(addresses)[:MAX_LISTED]) for key, addresses in found.items()}
        for topic, token in self._known.keys() | now.keys():
            addresses = now.get((topic, token), ())
            if addresses != self._known.get((topic, token), ()):
                self._publish(topics.active_sessions(topic, token, addresses, utc))
        self._known = now


def _tokens(media: MediaModel) -> Mapping[tuple[str, str], tuple[Topic, str]]:
    """Topic and configuration by the path of a stream and the kind of a track."""
    found: dict[tuple[str, str], tuple[Topic, str]] = {}
    for profile in media.profiles:
        path = profile.path.strip("/")
        if profile.video_encoder is not None:
            found[path, "video"] = (topics.VIDEO_SESSIONS, profile.video_encoder)
        if profile.audio_encoder is not None:
            found[path, "audio"] = (topics.AUDIO_SESSIONS, profile.audio_encoder)
        if profile.audio_decoder is not None:
            found[path, "talk"] = (topics.TALK_SESSIONS, profile.audio_decoder)
    return found


def _configured(media: MediaModel) -> set[tuple[Topic, str]]:
    return set(_tokens(media).values())
