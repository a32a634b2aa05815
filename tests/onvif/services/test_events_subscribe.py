"""Base notification by bytes (Core 9.3), Seek and GetCurrentMessage: answers and faults of the event service."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from lxml import etree

from onvifd.access.types import Account, Credential, Level
from onvifd.clock import US, SimulatedClock
from onvifd.events import topics
from onvifd.events.bus import EventBus
from onvifd.events.catalogue_store import CatalogueEventStore
from onvifd.onvif.notification.pusher import Pusher
from onvifd.onvif.services.common import EVENTS_PATH, NS_EVENTS
from onvifd.onvif.services.events import EventService
from onvifd.onvif.soap.dispatch import Dispatcher, HttpReply, HttpRequest
from onvifd.onvif.soap.namespaces import SOAP, TNS1, TT, WSA, WSNT, WSRF_BF, WSRF_R
from onvifd.onvif.soap.values import format_datetime, parse_datetime
from onvifd.onvif.soap.wsse import security_header
from onvifd.store.catalogue import Catalogue

TEV, NT, T = f"{{{NS_EVENTS}}}", f"{{{WSNT}}}", f"{{{TT}}}"
S, A, BF, R = f"{{{SOAP}}}", f"{{{WSA}}}", f"{{{WSRF_BF}}}", f"{{{WSRF_R}}}"
CONCRETE_SET = "http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet"
FAULT_ACTION = "http://www.w3.org/2005/08/addressing/soap/fault"
PEER, LOCAL = "127.0.0.1", "127.0.0.5"


def account(name: str) -> Credential | None:
    levels = {str(level).lower(): level for level in Level if level is not Level.ANONYMOUS}
    return Credential(account=Account(name, levels[name]), ha1="", password="secret") if name in levels else None


class Vms:
    """A client at 127.0.0.1 that subscribes and listens."""

    def __init__(self, bus: EventBus, clock: SimulatedClock, valid: Callable[[bytes], Any], *, bound: int = 4) -> None:
        self.bus, self.clock, self._valid = bus, clock, valid
        self.service = EventService(bus, clock, topics.RECORDER_TOPICS, pusher=Pusher(clock), max_pushed=bound)
        self._dispatcher = Dispatcher([self.service], lookup=account, clock=clock)
        self._nonces = itertools.count()
        self.heard: asyncio.Queue[Any] = asyncio.Queue()
        self.port = 0

    async def listen(self, request: web.Request) -> web.Response:
        self.heard.put_nowait(etree.fromstring(await request.read()))
        return web.Response()

    async def send(self, content: str, path: str = EVENTS_PATH, *, level: str | None = "user") -> HttpReply:
        root = etree.fromstring(
            f'<s:Envelope xmlns:s="{SOAP}" xmlns:e="{NS_EVENTS}" xmlns:n="{WSNT}" xmlns:tns1="{TNS1}" xmlns:tt="{TT}" '
            f'xmlns:a="{WSA}"><s:Header><a:Action>urn:xRequest</a:Action><a:MessageID>urn:uuid:1</a:MessageID></s:Header>'
            f"<s:Body>{content}</s:Body></s:Envelope>"
        )
        if level is not None:
            nonce = next(self._nonces).to_bytes(16, "big")
            root[0].append(security_header(level, "secret", nonce, self.clock.utc()))
        return await self._dispatcher.handle(
            HttpRequest(
                method="POST",
                target=path,
                path=path,
                scheme="http",
                host="recorder.example:8080",
                local_address=LOCAL,
                peer=PEER,
                authorization=None,
                body=etree.tostring(root),
            )
        )

    async def ask(self, content: str, path: str = EVENTS_PATH) -> Any:
        reply = await self.send(content, path)
        assert reply.status == 200, reply.body.decode()
        return self._valid(reply.body)

    async def fault(self, content: str, path: str = EVENTS_PATH) -> Any:
        """Detail of the fault, after what holds for all of them (Core 9.9)."""
        reply = await self.send(content, path)
        assert reply.status == 500
        root = etree.fromstring(reply.body)
        assert root.findtext(f"{S}Header/{A}Action") == FAULT_ACTION
        assert root.findtext(f"{S}Header/{A}RelatesTo") == "urn:uuid:1"
        assert (root.findtext(f".//{S}Code/{S}Value") or "").endswith(":Receiver")
        self._valid(reply.body)
        (detail,) = root.find(f".//{S}Detail")
        assert parse_datetime(detail.findtext(f"{BF}Timestamp")) == self.clock.utc()
        assert detail.findtext(f"{BF}Description")
        return detail

    def subscribe(self, filter_: str = "", extra: str = "", url: str | None = None) -> str:
        url = url or f"http://127.0.0.1:{self.port}/events"
        reference = f"<n:ConsumerReference><a:Address>{url}</a:Address></n:ConsumerReference>"
        return f"<n:Subscribe>{reference}{filter_}{extra}</n:Subscribe>"

    async def subscribed(self, filter_: str = "", lifetime: str = "PT60S") -> str:
        """Subscribe; gives the path of the subscription."""
        extra = f"<n:InitialTerminationTime>{lifetime}</n:InitialTerminationTime>"
        answer = await self.ask(self.subscribe(filter_, extra))
        return urlsplit(answer.findtext(f"{NT}SubscriptionReference/{A}Address")).path

    async def notified(self) -> Any:
        """The next Notify."""
        await asyncio.sleep(0)
        await self.clock.advance(1)
        async with asyncio.timeout(10):
            return await self.heard.get()


@pytest.fixture
async def vms(assert_valid: Callable[[bytes], Any], tmp_path: Path) -> AsyncIterator[Vms]:
    clock = SimulatedClock()
    catalogue = Catalogue.open(f"sqlite:///{tmp_path / 'catalogue.db'}", migrate=True)
    bus = EventBus(clock, CatalogueEventStore(catalogue))
    await bus.start()
    made = Vms(bus, clock, assert_valid)
    app = web.Application()
    app.router.add_post("/events", made.listen)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.port = runner.addresses[0][1]
    yield made
    await made.service.close()
    await runner.cleanup()
    await bus.close()
    catalogue.close()


def topic(text: str) -> str:
    return f'<n:Filter><n:TopicExpression Dialect="{CONCRETE_SET}">{text}</n:TopicExpression></n:Filter>'


def topics_of(notify: Any) -> list[str]:
    return [node.text for node in notify.iter(f"{NT}Topic")]


def operations_of(notify: Any) -> list[str]:
    return [node.get("PropertyOperation") for node in notify.iter(f"{T}Message")]


@pytest.mark.covers("S-Subscribe", "S-Notify")
async def test_subscribe_states_its_times_and_pushes_the_present_state(vms: Vms) -> None:
    vms.bus.publish(topics.motion_alarm("vs-1", True, vms.clock.utc()))
    begun = vms.clock.utc()
    extra = "<n:InitialTerminationTime>PT10S</n:InitialTerminationTime>"
    answer = await vms.ask(vms.subscribe(extra=extra))
    assert parse_datetime(answer.findtext(f"{NT}CurrentTime")) == begun
    assert parse_datetime(answer.findtext(f"{NT}TerminationTime")) == begun + 10 * US
    assert answer.findtext(f"{NT}TerminationTime").endswith("Z")
    address = answer.findtext(f"{NT}SubscriptionReference/{A}Address")
    assert address.startswith(f"http://recorder.example:8080{EVENTS_PATH}/")
    notify = await vms.notified()
    assert (topics_of(notify), operations_of(notify)) == (["tns1:VideoSource/MotionAlarm"], ["Initialized"])


@pytest.mark.covers("S-Subscribe")
async def test_filters_select_what_is_pushed(vms: Vms) -> None:
    vms.bus.publish(topics.motion_alarm("vs-1", True, vms.clock.utc()))
    content = (
        '<n:MessageContent Dialect="http://www.onvif.org/ver10/tev/messageContentFilter/ItemFilter">'
        'boolean(//tt:SimpleItem[@Name="Source" and @Value="vs-2"])</n:MessageContent></n:Filter>'
    )
    expression = "tns1:VideoSource//.|tns1:Media/ProfileChanged"
    await vms.subscribed(topic(expression).replace("</n:Filter>", content))
    vms.bus.publish(topics.motion_alarm("vs-1", False, vms.clock.utc()))
    vms.bus.publish(topics.profile_changed("vs-2", vms.clock.utc()))
    vms.bus.publish(topics.signal_loss("vs-2", True, vms.clock.utc()))
    assert topics_of(await vms.notified()) == ["tns1:VideoSource/SignalLoss"]


@pytest.mark.covers("S-Renew", "S-Subscribe")
async def test_renew_and_synchronize_and_unsubscribe_work_on_pushed_subscriptions(vms: Vms) -> None:
    vms.bus.publish(topics.motion_alarm("vs-1", True, vms.clock.utc()))
    path = await vms.subscribed()
    await vms.notified()
    answer = await vms.ask("<n:Renew><n:TerminationTime>PT10S</n:TerminationTime></n:Renew>", path)
    now = vms.clock.utc()
    assert parse_datetime(answer.findtext(f"{NT}CurrentTime")) == now
    assert parse_datetime(answer.findtext(f"{NT}TerminationTime")) == now + 10 * US
    until = format_datetime(now + 30 * US)
    answer = await vms.ask(f"<n:Renew><n:TerminationTime>{until}</n:TerminationTime></n:Renew>", path)
    assert parse_datetime(answer.findtext(f"{NT}TerminationTime")) == now + 30 * US
    await vms.ask("<e:SetSynchronizationPoint/>", path)
    assert operations_of(await vms.notified()) == ["Initialized"]
    await vms.ask("<n:Unsubscribe/>", path)
    for content in (
        "<n:Unsubscribe/>",
        "<n:Renew><n:TerminationTime>PT10S</n:TerminationTime></n:Renew>",
        "<e:SetSynchronizationPoint/>",
    ):
        assert (await vms.fault(content, path)).tag == f"{R}ResourceUnknownFault"


async def test_a_pushed_subscription_is_no_pull_point(vms: Vms) -> None:
    path = await vms.subscribed()
    pull = "<e:PullMessages><e:Timeout>PT1S</e:Timeout><e:MessageLimit>1</e:MessageLimit></e:PullMessages>"
    assert (await vms.fault(pull, path)).tag == f"{R}ResourceUnknownFault"
    seek = f"<e:Seek><e:UtcTime>{format_datetime(vms.clock.utc())}</e:UtcTime></e:Seek>"
    assert (await vms.fault(seek, path)).tag == f"{R}ResourceUnknownFault"


@pytest.mark.covers("S-Subscribe")
@pytest.mark.parametrize(
    ("filter_", "name"),
    [
        (topic("xyz"), "TopicNotSupportedFault"),
        (topic('boolean(//tt:SimpleItem[@Name="xyz" and @Value="xyz"])'), "InvalidTopicExpressionFault"),
        (
            '<n:Filter><n:MessageContent Dialect="http://www.onvif.org/ver10/tev/messageContentFilter/ItemFilter">'
            'boolean((//tt:SimpleItem[@Name="xyz" and @Value="xyz"])</n:MessageContent></n:Filter>',
            "InvalidMessageContentExpressionFault",
        ),
        (
            '<n:Filter><n:TopicExpression Dialect="urn:x">a</n:TopicExpression></n:Filter>',
            "TopicExpressionDialectUnknownFault",
        ),
        ("<n:Filter><n:Other>a</n:Other></n:Filter>", "InvalidFilterFault"),
    ],
)
async def test_a_wrong_filter_gets_its_fault_and_subscribes_nothing(vms: Vms, filter_: str, name: str) -> None:
    assert (await vms.fault(vms.subscribe(filter_))).tag == NT + name
    assert len(vms.service.subscriptions) == 0


async def test_a_termination_time_out_of_range_is_answered_with_the_range(vms: Vms) -> None:
    for asked in ("PT86401S", "-PT1S", format_datetime(vms.clock.utc() - US), "soon"):
        extra = f"<n:InitialTerminationTime>{asked}</n:InitialTerminationTime>"
        detail = await vms.fault(vms.subscribe(extra=extra))
        assert detail.tag == f"{NT}UnacceptableInitialTerminationTimeFault"
        assert parse_datetime(detail.findtext(f"{NT}MinimumTime")) > vms.clock.utc()
    assert len(vms.service.subscriptions) == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.5:80/",
        "http://127.0.0.2/",
        "http://169.254.169.254/latest",
        "ftp://127.0.0.1/",
        "file:///x",
        "urn:x",
    ],
)
async def test_a_callback_that_is_not_allowed_is_refused(vms: Vms, url: str) -> None:
    assert (await vms.fault(vms.subscribe(url=url))).tag == f"{NT}SubscribeCreationFailedFault"
    assert len(vms.service.subscriptions) == 0


async def test_the_number_of_subscriptions_is_bounded_apart_from_pull_points(vms: Vms) -> None:
    for _ in range(4):
        await vms.subscribed()
    assert (await vms.fault(vms.subscribe())).tag == f"{NT}SubscribeCreationFailedFault"
    await vms.ask("<e:CreatePullPointSubscription/>")
    await vms.clock.advance(61)
    await vms.subscribed()


async def test_raw_notifications_are_refused(vms: Vms) -> None:
    policy = "<n:SubscriptionPolicy><n:UseRaw/></n:SubscriptionPolicy>"
    assert (await vms.fault(vms.subscribe(extra=policy))).tag == f"{NT}UnsupportedPolicyRequestFault"


async def test_the_class_of_access_is_that_of_reading_media(vms: Vms) -> None:
    reply = await vms.send(vms.subscribe(), level=None)
    assert reply.status in (400, 401)
    assert len(vms.service.subscriptions) == 0


async def test_pausing_is_not_offered(vms: Vms) -> None:
    path = await vms.subscribed()
    for name in ("PauseSubscription", "ResumeSubscription"):
        reply = await vms.send(f"<n:{name}/>", path)
        assert b"ActionNotSupported" in reply.body


async def test_the_current_message_of_a_property_can_be_had(vms: Vms) -> None:
    def ask(text: str) -> str:
        return f'<n:GetCurrentMessage><n:Topic Dialect="{CONCRETE_SET}">{text}</n:Topic></n:GetCurrentMessage>'

    assert (await vms.fault(ask("tns1:VideoSource/MotionAlarm"))).tag == f"{NT}NoCurrentMessageOnTopicFault"
    vms.bus.publish(topics.motion_alarm("vs-1", False, vms.clock.utc()))
    vms.bus.publish(topics.motion_alarm("vs-2", True, vms.clock.utc() + 5))
    answer = await vms.ask(ask("tns1:VideoSource/MotionAlarm"))
    (message,) = answer
    assert message.find(f"{T}Source/{T}SimpleItem").get("Value") == "vs-2"
    assert (await vms.fault(ask("tns1:VideoSource//."))).tag == f"{NT}MultipleTopicsSpecifiedFault"
    assert (await vms.fault(ask("tns1:Nothing"))).tag == f"{NT}TopicNotSupportedFault"


async def test_capabilities_say_what_there_is(vms: Vms) -> None:
    (capabilities,) = await vms.ask("<e:GetServiceCapabilities/>")
    assert capabilities.get("MaxNotificationProducers") == "4"
    assert capabilities.get("PersistentNotificationStorage") == "true"
    assert capabilities.get("WSPausableSubscriptionManagerInterfaceSupport") == "false"
    assert capabilities.get("MaxEventBrokers") is None


async def test_seek_reads_the_store_through_the_service(vms: Vms) -> None:
    now = vms.clock.utc()
    for number in range(3):
        vms.bus.publish(topics.profile_changed(f"p{number}", now - (3 - number) * US))
    answer = await vms.ask("<e:CreatePullPointSubscription/>")
    path = urlsplit(answer.findtext(f"{TEV}SubscriptionReference/{A}Address")).path
    pull = "<e:PullMessages><e:Timeout>PT0S</e:Timeout><e:MessageLimit>10</e:MessageLimit></e:PullMessages>"

    async def pulled(seek: str) -> list[str]:
        await vms.ask(f"<e:Seek>{seek}</e:Seek>", path)
        return topics_of(await vms.ask(pull, path))

    changed = "tns1:Media/ProfileChanged"
    begin = "tns1:EventBuffer/Begin"
    utc = f"<e:UtcTime>{format_datetime(now - 2 * US)}</e:UtcTime>"
    assert await pulled(utc) == [changed, changed]
    assert await pulled(f"{utc}<e:Reverse>false</e:Reverse>") == [changed, changed]
    assert await pulled(f"{utc}<e:Reverse>true</e:Reverse>") == [changed, changed, begin]
    unknown = f"{EVENTS_PATH}/nobody"
    assert (await vms.fault(f"<e:Seek>{utc}</e:Seek>", unknown)).tag == f"{R}ResourceUnknownFault"
