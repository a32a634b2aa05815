"""Events at a real mosquitto: by TCP, TLS and WebSocket, with every quality of service, across its restarts (Core 9.12)."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from onvifd.access.keyfile import SecretBox
from onvifd.clock import Clock, SystemClock
from onvifd.errors import InvalidArgument, LimitReached, NotFound
from onvifd.events import topics
from onvifd.events.bus import EventBus
from onvifd.onvif.notification.mqtt import bridge
from onvifd.onvif.notification.mqtt.brokers import Broker, Brokers, SystemTrust
from onvifd.onvif.types.tev import ConnectionStatus
from onvifd.store.catalogue import AsyncCatalogue, Catalogue

USER, PASSWORD = "recorder", "secret-of-the-broker"
KEY = bytes(32)
PREFIX = "Device/7"


@pytest.fixture
async def catalogue(tmp_path: Path) -> AsyncIterator[AsyncCatalogue]:
    made = AsyncCatalogue(Catalogue.open(f"sqlite:///{tmp_path / 'catalogue.db'}", migrate=True))
    yield made
    await made.close()


@pytest.fixture
def clock() -> Clock:
    return SystemClock()


@pytest.fixture
async def bus(clock: Clock) -> AsyncIterator[EventBus]:
    made = EventBus(clock)
    await made.start()
    yield made
    await made.close()


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge, "BACK_OFF", (0.05,))


def brokers_of(catalogue: AsyncCatalogue, bus: EventBus, clock: Clock, ca_file: Path | None = None) -> Brokers:
    trust = SystemTrust(ca_file)
    return Brokers(catalogue, SecretBox(KEY), bus, clock, topics.RECORDER_TOPICS, trust, name="uuid", limit=2)


@pytest.fixture
async def brokers(catalogue: AsyncCatalogue, bus: EventBus, clock: Clock, mosquitto: Any) -> AsyncIterator[Brokers]:
    made = brokers_of(catalogue, bus, clock, mosquitto.ca_file)
    yield made
    await made.close()


def broker(address: str, **more: Any) -> Broker:
    values = {
        "topic_prefix": PREFIX,
        "user_name": USER,
        "certificate_id": None,
        "policy_id": None,
        "publish_filter": "",
        "qos": 0,
    }
    return Broker(address=address, **(values | more))


async def reached(brokers: Brokers, address: str, status: ConnectionStatus) -> None:
    async with asyncio.timeout(10):
        while brokers.status(address) is not status:
            await asyncio.sleep(0.01)


class Reader:
    """A client of the broker that reads everything below the prefix."""

    def __init__(self, port: int) -> None:
        self._client = aiomqtt.Client("127.0.0.1", port, username=USER, password=PASSWORD)

    async def __aenter__(self) -> Reader:
        await self._client.__aenter__()
        await self._client.subscribe(f"{PREFIX}/#", qos=2)
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._client.__aexit__(*error)

    async def read(self, count: int) -> list[tuple[str, Any, int, bool]]:
        """Topic below the prefix, payload, quality and retained flag of the next messages."""
        found = []
        async with asyncio.timeout(10):
            async for message in self._client.messages:
                payload = json.loads(message.payload) if message.payload else None
                found.append(
                    (str(message.topic).removeprefix(f"{PREFIX}/onvif-ej/"), payload, message.qos, message.retain)
                )
                if len(found) == count:
                    break
        return found


@pytest.mark.covers("M-MQTT")
@pytest.mark.parametrize("scheme", ["mqtt", "mqtts", "ws", "wss"])
async def test_events_arrive_by_every_protocol(brokers: Brokers, bus: EventBus, mosquitto: Any, scheme: str) -> None:
    address = mosquitto.url(scheme)
    async with Reader(mosquitto.ports["mqtt"]) as reader:
        bus.publish(topics.motion_alarm("vs-1", False, 1))
        await brokers.put(broker(address), PASSWORD)
        await reached(brokers, address, ConnectionStatus.CONNECTED)
        bus.publish(topics.motion_alarm("vs-1", True, 1_767_225_600_000_000))
        bus.publish(topics.profile_changed("p", 2))
        first, second, third = await reader.read(3)
    assert first[0] == second[0] == "VideoSource/MotionAlarm/&vs-1"
    assert first[1]["Data"] == {"State": "false"}
    assert second[1] == {"UtcTime": "2026-01-01T00:00:00Z", "Source": {"Source": "vs-1"}, "Data": {"State": "true"}}
    assert third[0] == "Media/ProfileChanged/&p"


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_the_quality_of_service_is_the_configured_one(
    brokers: Brokers, bus: EventBus, mosquitto: Any, qos: int
) -> None:
    async with Reader(mosquitto.ports["mqtt"]) as reader:
        await brokers.put(broker(mosquitto.url("mqtt"), qos=qos), PASSWORD)
        bus.publish(topics.profile_changed("p", 2))
        ((_, _, got, _),) = await reader.read(1)
    assert got == qos


@pytest.mark.covers("M-MQTT")
async def test_states_are_retained_and_forgotten_with_their_property(
    brokers: Brokers, bus: EventBus, mosquitto: Any
) -> None:
    address = mosquitto.url("mqtt")
    await brokers.put(broker(address, qos=1), PASSWORD)
    await reached(brokers, address, ConnectionStatus.CONNECTED)
    async with Reader(mosquitto.ports["mqtt"]) as reader:
        bus.publish(topics.motion_alarm("vs-1", True, 1))
        bus.publish(topics.motion_alarm("vs-2", True, 1))
        await reader.read(2)
        bus.forget([event for event in bus.properties() if event.source[0][1] == "vs-1"])
        ((name, payload, _, _),) = await reader.read(1)
        assert (name, payload) == ("VideoSource/MotionAlarm/&vs-1", None)
    async with Reader(mosquitto.ports["mqtt"]) as reader:
        ((name, _, _, retained),) = await reader.read(1)
    assert (name, retained) == ("VideoSource/MotionAlarm/&vs-2", True)


async def test_the_filter_selects_what_is_published(brokers: Brokers, bus: EventBus, mosquitto: Any) -> None:
    filter_ = (
        '<filter><n:TopicExpression xmlns:n="http://docs.oasis-open.org/wsn/b-2" xmlns:x="http://www.onvif.org/ver10/topics"'
        ' Dialect="http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet">x:Media//.</n:TopicExpression></filter>'
    )
    async with Reader(mosquitto.ports["mqtt"]) as reader:
        await brokers.put(broker(mosquitto.url("mqtt"), publish_filter=filter_), PASSWORD)
        bus.publish(topics.motion_alarm("vs-1", True, 1))
        bus.publish(topics.profile_changed("p", 2))
        assert [name for name, *_ in await reader.read(1)] == ["Media/ProfileChanged/&p"]


async def test_what_happened_while_the_broker_was_away_is_made_good(
    brokers: Brokers, bus: EventBus, mosquitto: Any
) -> None:
    address = mosquitto.url("mqtt")
    await brokers.put(broker(address, qos=1), PASSWORD)
    await reached(brokers, address, ConnectionStatus.CONNECTED)
    await mosquitto.stop()
    await reached(brokers, address, ConnectionStatus.OFFLINE)
    for state in (False, True, False):
        bus.publish(topics.motion_alarm("vs-1", state, 1))
    await mosquitto.start()
    await reached(brokers, address, ConnectionStatus.CONNECTED)
    async with Reader(mosquitto.ports["mqtt"]) as reader:
        async with asyncio.timeout(10):
            while True:
                (found,) = await reader.read(1)
                if found[1]["Data"] == {"State": "false"}:
                    break


# paho drops the socket of a failed handshake unclosed: it is collected here, so that no other test hears of it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_wrong_password_or_an_unknown_authority_keeps_it_offline(
    catalogue: AsyncCatalogue, bus: EventBus, clock: Clock, mosquitto: Any, caplog: pytest.LogCaptureFixture
) -> None:
    made = brokers_of(catalogue, bus, clock)
    try:
        await made.put(broker(mosquitto.url("mqtt")), "wrong-password")
        await made.put(broker(mosquitto.url("mqtts")), PASSWORD)
        async with asyncio.timeout(10):
            while not all(word in caplog.text.lower() for word in ("not authorized", "certificate")):
                await asyncio.sleep(0.02)
        for scheme in ("mqtt", "mqtts"):
            assert made.status(mosquitto.url(scheme)) is not ConnectionStatus.CONNECTED
    finally:
        await made.close()
        gc.collect()
    assert "certificate" in caplog.text.lower()
    assert "wrong-password" not in caplog.text
    assert PASSWORD not in caplog.text


async def test_brokers_are_remembered_and_their_passwords_are_not_readable(
    catalogue: AsyncCatalogue, bus: EventBus, clock: Clock, mosquitto: Any, tmp_path: Path
) -> None:
    address = mosquitto.url("mqtt")
    first = brokers_of(catalogue, bus, clock)
    await first.put(broker(address), PASSWORD)
    await first.close()
    second = brokers_of(catalogue, bus, clock)
    await second.load()
    try:
        await reached(second, address, ConnectionStatus.CONNECTED)
        assert second.all() == (broker(address),)
    finally:
        await second.close()
    for file in tmp_path.glob("catalogue.db*"):
        assert PASSWORD.encode() not in file.read_bytes()


async def test_a_change_without_password_keeps_it_while_the_name_stays(
    brokers: Brokers, bus: EventBus, mosquitto: Any
) -> None:
    address = mosquitto.url("mqtt")
    await brokers.put(broker(address), PASSWORD)
    await brokers.put(broker(address, topic_prefix="other"), None)
    await reached(brokers, address, ConnectionStatus.CONNECTED)
    assert [each.topic_prefix for each in brokers.all()] == ["other"]
    await brokers.put(broker(address, user_name="somebody"), None)
    (row,) = await brokers._catalogue.run(brokers._catalogue.sync.brokers.all)
    assert row.password is None


async def test_the_number_of_brokers_is_bounded_and_a_change_is_no_addition(
    catalogue: AsyncCatalogue, bus: EventBus, clock: Clock
) -> None:
    made = brokers_of(catalogue, bus, clock)
    try:
        for port in (1, 2):
            await made.put(broker(f"mqtt://127.0.0.1:{port}"), None)
        with pytest.raises(LimitReached) as caught:
            await made.put(broker("mqtt://127.0.0.1:3"), None)
        assert caught.value.detail == "TooManyEventBrokers"
        await made.put(broker("mqtt://127.0.0.1:2", qos=2), None)
        await made.remove("mqtt://127.0.0.1:1")
        for call in (made.get("mqtt://127.0.0.1:2"),):
            assert call.qos == 2
        with pytest.raises(NotFound) as missing:
            await made.remove("mqtt://127.0.0.1:1")
        assert missing.value.detail == "InvalidAddress"
        assert made.status("mqtt://127.0.0.1:1") is ConnectionStatus.OFFLINE
    finally:
        await made.close()


async def test_unknown_certificates_are_refused_before_anything_is_kept(
    catalogue: AsyncCatalogue, bus: EventBus, clock: Clock
) -> None:
    made = brokers_of(catalogue, bus, clock)
    with pytest.raises(InvalidArgument):
        await made.put(broker("mqtts://127.0.0.1:1", certificate_id="nothing"), None)
    with pytest.raises(InvalidArgument):
        await made.put(broker("mqtt://127.0.0.1:1", certificate_id="nothing"), None)
    assert made.all() == ()
    await made.close()
