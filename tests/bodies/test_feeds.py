"""Event feeds follow the cameras, until the recorder stops."""

from __future__ import annotations

from typing import Any

import pytest

from onvifd.bodies import feeds
from onvifd.bodies.feeds import EventFeeds
from onvifd.cameras.registry import Camera, Driver


class Feed:
    def __init__(self) -> None:
        self.running = False

    def start(self) -> None:
        self.running = True

    async def close(self) -> None:
        self.running = False


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Feed]:
    found: list[Feed] = []

    def make(*what: object) -> Feed:
        found.append(Feed())
        return found[-1]

    monkeypatch.setattr(feeds, "event_feed", make)
    return found


def camera(number: int, address: str = "http://192.0.2.1/events") -> Camera:
    return Camera(
        id=f"cam-{number}",
        channel=number,
        name="",
        driver=Driver.ONVIF,
        address="",
        streams=(),
        credentials=None,
        enabled=True,
        manufacturer="",
        model="",
        firmware="",
        serial="",
        event_address=address,
        created=0,
    )


async def test_feeds_are_those_of_the_cameras(made: list[Feed]) -> None:
    unused: Any = None
    feeds = EventFeeds(unused, unused, unused)
    await feeds.adjust([camera(1), camera(2), camera(3, address="")])
    await feeds.adjust([camera(1), camera(2, address="http://192.0.2.2/events")])
    assert [each.running for each in made] == [True, False, True]
    await feeds.close()
    assert not any(each.running for each in made)
    await feeds.adjust([camera(1)])  # a change that was being taken over when the recorder stopped
    assert len(made) == 3
