"""Notify requests on the wire: a real consumer on loopback (Core 9.3, WS-BaseNotification 1.3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from lxml import etree

from onvifd.clock import SimulatedClock
from onvifd.events import topics
from onvifd.events.bus import EventBus
from onvifd.onvif.notification import subscription as bounds
from onvifd.onvif.notification.callback import parse_target
from onvifd.onvif.notification.faults import FaultKind, NotificationFault
from onvifd.onvif.notification.filters import EventFilter
from onvifd.onvif.notification.manager import SubscriptionManager
from onvifd.onvif.notification.push import NOTIFY_ACTION, Consumer, PushSubscription
from onvifd.onvif.notification.pusher import HEAD_START, Pusher
from onvifd.onvif.soap.namespaces import SOAP, TT, WSA, WSNT

S, A, NT, T = f"{{{SOAP}}}", f"{{{WSA}}}", f"{{{WSNT}}}", f"{{{TT}}}"
SERVICE = "http://192.0.2.10/onvif/event_service"


@dataclass
class Receiver:
    """A consumer that answers with `answers` in turn, then with 200."""

    port: int = 0
    answers: list[int | str] = field(default_factory=list)
    requests: list[tuple[web.Request, bytes]] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.Response:
        self.requests.append((request, await request.read()))
        self.came.set()
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, str):
            return web.Response(status=307, headers={"Location": answer})
        return web.Response(status=answer)

    async def next(self, count: int) -> Any:
        """The `count`-th request as XML."""
        async with asyncio.timeout(10):
            while len(self.requests) < count:
                self.came.clear()
                await self.came.wait()
        return etree.fromstring(self.requests[count - 1][1])


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", made.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()


@dataclass
class Producer:
    clock: SimulatedClock
    bus: EventBus
    manager: SubscriptionManager

    def subscribe(self, port: int, path: str = "/events?id=7", host: str = "consumer.example") -> PushSubscription:
        parameter = etree.fromstring('<x:Ticket xmlns:x="urn:x">42</x:Ticket>')
        consumer = Consumer(
            url=f"http://{host}:{port}{path}",
            host=host,
            port=port,
            address="127.0.0.1",
            tls=False,
            parameters=(parameter,),
        )
        return self.manager.subscribe(EventFilter(), 60, consumer, producer=SERVICE, references=SERVICE)

    async def begin(self) -> None:
        """Let the answer to Subscribe be out."""
        await asyncio.sleep(0)
        await self.clock.advance(HEAD_START)


@pytest.fixture
async def producer() -> AsyncIterator[Producer]:
    clock = SimulatedClock()
    bus = EventBus(clock)
    made = Producer(clock, bus, SubscriptionManager(bus, clock, pusher=Pusher(clock)))
    yield made
    await made.manager.close()


def sources(root: Any) -> list[str]:
    return [item.get("Value") for item in root.iterfind(f".//{T}Source/{T}SimpleItem")]


def operations(root: Any) -> list[str | None]:
    return [message.get("PropertyOperation") for message in root.iter(f"{T}Message")]


@pytest.mark.covers("S-Notify")
async def test_a_notify_is_a_valid_request_to_exactly_the_address_that_was_given(
    producer: Producer, receiver: Receiver, assert_valid: Callable[[bytes], Any]
) -> None:
    producer.bus.publish(topics.motion_alarm("vs-1", True, producer.clock.utc()))
    made = producer.subscribe(receiver.port)
    await producer.begin()
    root = await receiver.next(1)
    request, body = receiver.requests[0]
    assert_valid(body)
    assert (request.method, request.path_qs) == ("POST", "/events?id=7")
    assert request.host == f"consumer.example:{receiver.port}"
    assert request.content_type == "application/soap+xml"
    assert root.findtext(f"{S}Header/{A}Action") == NOTIFY_ACTION
    assert root.findtext(f"{S}Header/{A}To") == made.consumer.url
    assert root.findtext(f"{S}Header/{A}MessageID").startswith("urn:uuid:")
    ticket = root.find(f"{S}Header/{{urn:x}}Ticket")
    assert (ticket.text, ticket.get(f"{A}IsReferenceParameter")) == ("42", "true")
    (message,) = root.iterfind(f".//{NT}NotificationMessage")
    assert message.findtext(f"{NT}SubscriptionReference/{A}Address") == made.reference
    assert message.findtext(f"{NT}ProducerReference/{A}Address") == SERVICE
    assert message.findtext(f"{NT}Topic") == "tns1:VideoSource/MotionAlarm"
    assert operations(root) == ["Initialized"]


async def test_nothing_is_sent_before_the_answer_to_subscribe_is_out(producer: Producer, receiver: Receiver) -> None:
    producer.bus.publish(topics.motion_alarm("vs-1", True, producer.clock.utc()))
    producer.subscribe(receiver.port)
    await asyncio.sleep(0.05)
    assert not receiver.requests


async def test_events_come_in_order_and_once(producer: Producer, receiver: Receiver) -> None:
    producer.subscribe(receiver.port)
    await producer.begin()
    for state in (False, True, True, False):
        producer.bus.publish(topics.motion_alarm("vs-1", state, producer.clock.utc()))
    root = await receiver.next(1)
    assert operations(root) == ["Initialized", "Changed", "Changed"]
    producer.bus.publish(topics.profile_changed("p", producer.clock.utc()))
    assert sources(await receiver.next(2)) == ["p"]


@pytest.mark.parametrize("answer", [500, 404, "http://127.0.0.1:1/elsewhere"])
async def test_what_is_not_taken_is_sent_again_and_no_redirect_is_followed(
    producer: Producer, receiver: Receiver, answer: int | str
) -> None:
    receiver.answers = [answer, answer]
    producer.subscribe(receiver.port)
    await producer.begin()
    producer.bus.publish(topics.profile_changed("p", producer.clock.utc()))
    first = await receiver.next(1)
    for count, pause in ((2, 1.0), (3, 2.0)):
        await asyncio.sleep(0.05)
        assert len(receiver.requests) == count - 1
        await producer.clock.advance(pause)
        assert etree.tostring(await receiver.next(count)) == etree.tostring(first)
    producer.bus.publish(topics.profile_changed("q", producer.clock.utc()))
    assert sources(await receiver.next(4)) == ["q"]


async def test_a_consumer_that_is_away_holds_up_nobody(producer: Producer, receiver: Receiver) -> None:
    producer.subscribe(1)
    producer.subscribe(receiver.port)
    await producer.begin()
    producer.bus.publish(topics.profile_changed("p", producer.clock.utc()))
    assert sources(await receiver.next(1)) == ["p"]


async def test_after_an_overflow_the_states_are_told_again(
    producer: Producer, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "QUEUE_LIMIT", 2)
    producer.bus.publish(topics.motion_alarm("vs-1", True, producer.clock.utc()))
    producer.subscribe(receiver.port)
    for name in "abc":
        producer.bus.publish(topics.profile_changed(name, producer.clock.utc()))
    await producer.begin()
    assert sources(await receiver.next(1)) == ["b", "c"]
    again = await receiver.next(2)
    assert (sources(again), operations(again)) == (["vs-1"], ["Initialized"])


async def test_after_unsubscribe_nothing_is_sent(producer: Producer, receiver: Receiver) -> None:
    made = producer.subscribe(receiver.port)
    await producer.begin()
    producer.manager.unsubscribe(made.id)
    producer.bus.publish(topics.profile_changed("p", producer.clock.utc()))
    await asyncio.sleep(0.05)
    assert not receiver.requests


async def test_an_expired_subscription_is_not_served(producer: Producer, receiver: Receiver) -> None:
    producer.subscribe(receiver.port)
    await producer.begin()
    await producer.clock.advance(61)
    producer.bus.publish(topics.profile_changed("p", producer.clock.utc()))
    await asyncio.sleep(0.05)
    assert not receiver.requests
    assert len(producer.manager) == 0


async def test_a_name_is_looked_up_and_judged() -> None:
    pusher = Pusher(SimulatedClock())
    try:
        assert await pusher.resolve(parse_target("http://localhost/"), peer="127.0.0.1", own=()) == "127.0.0.1"
        for url in ("http://localhost/", "http://127.0.0.1/", "http://no-such-host.invalid/"):
            with pytest.raises(NotificationFault) as caught:
                await pusher.resolve(parse_target(url), peer="192.0.2.9", own=())
            assert caught.value.kind is FaultKind.CREATION_FAILED
    finally:
        await pusher.close()
