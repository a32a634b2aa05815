"""Event service by bytes: pull points, filters, faults, addressing; valid against the official schema (Core 9)."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from lxml import etree

from onvifd.access.types import Account, Credential, Level
from onvifd.clock import US, SimulatedClock
from onvifd.events import topics
from onvifd.events.bus import EventBus
from onvifd.onvif.services.common import EVENTS_PATH, NS_EVENTS
from onvifd.onvif.services.events import EventService
from onvifd.onvif.soap.dispatch import Dispatcher, HttpReply, HttpRequest
from onvifd.onvif.soap.namespaces import SOAP, TNS1, TT, WSA, WSNT, WSRF_BF, WSTOP
from onvifd.onvif.soap.values import parse_datetime
from onvifd.onvif.soap.wsse import security_header

TEV, NT, T = f"{{{NS_EVENTS}}}", f"{{{WSNT}}}", f"{{{TT}}}"
S, A, BF = f"{{{SOAP}}}", f"{{{WSA}}}", f"{{{WSRF_BF}}}"
FAULT_ACTION = "http://www.w3.org/2005/08/addressing/soap/fault"
CONCRETE = "http://docs.oasis-open.org/wsn/t-1/TopicExpression/Concrete"
CONCRETE_SET = "http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet"
ITEM_FILTER = "http://www.onvif.org/ver10/tev/messageContentFilter/ItemFilter"
PULL = "<e:PullMessages><e:Timeout>{}</e:Timeout><e:MessageLimit>{}</e:MessageLimit></e:PullMessages>"
UNSUBSCRIBE = "<n:Unsubscribe/>"
SYNCHRONIZE = "<e:SetSynchronizationPoint/>"


def account(name: str) -> Credential | None:
    levels = {str(level).lower(): level for level in Level if level is not Level.ANONYMOUS}
    return Credential(account=Account(name, levels[name]), ha1="", password="secret") if name in levels else None


class Vms:
    """A client of the event service that sends what the test writes."""

    def __init__(self, bus: EventBus, clock: SimulatedClock, assert_valid: Callable[[bytes], Any]) -> None:
        self.bus = bus
        self.clock = clock
        self.service = EventService(bus, clock, topics.RECORDER_TOPICS)
        self._dispatcher = Dispatcher([self.service], lookup=account, clock=clock)
        self._valid = assert_valid
        self._nonces = itertools.count()

    async def send(
        self, content: str, path: str = EVENTS_PATH, *, headers: str = "", level: str | None = "user"
    ) -> HttpReply:
        root = etree.fromstring(
            f'<s:Envelope xmlns:s="{SOAP}" xmlns:e="{NS_EVENTS}" xmlns:n="{WSNT}" xmlns:tns1="{TNS1}" xmlns:tt="{TT}" '
            f'xmlns:a="{WSA}"><s:Header>{headers}</s:Header><s:Body>{content}</s:Body></s:Envelope>'
        )
        if level is not None:
            nonce = next(self._nonces).to_bytes(16, "big")
            root[0].append(security_header(level, "secret", nonce, self.clock.utc()))
        request = HttpRequest(
            method="POST",
            target=path,
            path=path,
            scheme="http",
            host="192.0.2.10:8080",
            local_address="192.0.2.10",
            peer="192.0.2.99",
            authorization=None,
            body=etree.tostring(root),
        )
        return await self._dispatcher.handle(request)

    async def ask(self, content: str, path: str = EVENTS_PATH, **options: Any) -> Any:
        """The content of the answer, which must be valid."""
        reply = await self.send(content, path, **options)
        assert reply.status == 200, reply.body.decode()
        return self._valid(reply.body)

    async def fault(self, content: str, path: str = EVENTS_PATH, **options: Any) -> Any:
        """The detail element of the wsnt fault that answers, after the checks that hold for all of them (Core 9.9)."""
        options.setdefault("headers", "<a:Action>urn:x</a:Action><a:MessageID>urn:uuid:1</a:MessageID>")
        reply = await self.send(content, path, **options)
        assert reply.status == 500
        root = etree.fromstring(reply.body)
        assert root.findtext(f"{S}Header/{A}Action") == FAULT_ACTION
        assert root.findtext(f"{S}Header/{A}RelatesTo") == "urn:uuid:1"
        assert (root.findtext(f".//{S}Code/{S}Value") or "").endswith(":Receiver")
        self._valid(reply.body)
        (detail,) = root.find(f".//{S}Detail")
        if detail.tag != f"{TEV}PullMessagesFaultResponse":
            assert parse_datetime(detail.findtext(f"{BF}Timestamp")) == self.clock.utc()
            assert detail.findtext(f"{BF}Description")
        return detail

    async def subscribe(
        self, filter_: str = "", extra: str = "<e:InitialTerminationTime>PT60S</e:InitialTerminationTime>"
    ) -> str:
        """Create a pull point; returns its path."""
        answer = await self.ask(f"<e:CreatePullPointSubscription>{filter_}{extra}</e:CreatePullPointSubscription>")
        address = urlsplit(answer.findtext(f"{TEV}SubscriptionReference/{A}Address"))
        assert address.netloc == "192.0.2.10:8080"
        return address.path

    async def pull(
        self, path: str, timeout: str = "PT0S", limit: int = 100
    ) -> list[tuple[str, str | None, str | None]]:
        """Topic, operation and first data value of the messages of one PullMessages."""
        return [
            read(message)
            for message in (await self.ask(PULL.format(timeout, limit), path)).iter(f"{NT}NotificationMessage")
        ]


def read(message: Any) -> tuple[str, str | None, str | None]:
    inner = message.find(f"{NT}Message/{T}Message")
    value = inner.find(f"{T}Data/{T}SimpleItem")
    topic = message.find(f"{NT}Topic")
    assert topic.nsmap["tns1"] == TNS1
    return (
        topic.text.removeprefix("tns1:"),
        inner.get("PropertyOperation"),
        None if value is None else value.get("Value"),
    )


def filter_of(*parts: str) -> str:
    return f"<e:Filter>{''.join(parts)}</e:Filter>"


def topic(text: str, dialect: str = CONCRETE_SET) -> str:
    return f'<n:TopicExpression Dialect="{dialect}">{text}</n:TopicExpression>'


def content(text: str, dialect: str = ITEM_FILTER) -> str:
    return f'<n:MessageContent Dialect="{dialect}">{text}</n:MessageContent>'


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
async def vms(assert_valid: Callable[[bytes], Any]) -> AsyncIterator[Vms]:
    clock = SimulatedClock()
    made = Vms(EventBus(clock), clock, assert_valid)
    yield made
    await made.service.close()


def motion(vms: Vms, source: str, state: bool) -> None:
    vms.bus.publish(topics.motion_alarm(source, state, vms.clock.utc()))


# ---- service


@pytest.mark.covers(
    *("G-MaxPullPoints", "G-event-GetServiceCapabilities", "M-MaxPullPoints", "M-event-GetServiceCapabilities"),
    *("T-MaxPullPoints", "T-event-GetServiceCapabilities"),
)
async def test_capabilities_are_truthful_and_need_no_account(vms: Vms) -> None:
    found = (await vms.ask("<e:GetServiceCapabilities/>", level=None))[0]
    assert dict(found.attrib) == {
        "WSSubscriptionPolicySupport": "false",
        "WSPausableSubscriptionManagerInterfaceSupport": "false",
        "MaxNotificationProducers": "0",
        "MaxPullPoints": "200",
        "PersistentNotificationStorage": "false",
    }


async def test_everything_else_needs_an_account(vms: Vms) -> None:
    path = await vms.subscribe()
    for request in (
        "<e:GetEventProperties/>",
        "<e:CreatePullPointSubscription/>",
        PULL.format("PT0S", 1),
        SYNCHRONIZE,
        "<n:Renew><n:TerminationTime>PT60S</n:TerminationTime></n:Renew>",
        UNSUBSCRIBE,
    ):
        assert (await vms.send(request, path, level=None)).status == 400
        assert (await vms.send(request, path, level="user")).status == 200


@pytest.mark.covers(
    *("G-GetEventProperties", "G-MessageContentFilter", "G-event-JobState", "G-event-RecordingState"),
    *("G-event-TrackState", "M-GetEventProperties", "S-GetEventProperties", "S-MessageContentFilter"),
    *("T-GetEventProperties", "T-ItemFilter"),
)
async def test_event_properties(vms: Vms) -> None:
    answer = await vms.ask("<e:GetEventProperties/>")
    assert answer.findtext(f"{NT}FixedTopicSet") == "true"
    assert [node.text for node in answer.findall(f"{NT}TopicExpressionDialect")] == [CONCRETE, CONCRETE_SET]
    assert [node.text for node in answer.findall(f"{TEV}MessageContentFilterDialect")] == [ITEM_FILTER]
    topic_set = answer.find(f"{{{WSTOP}}}TopicSet")
    marked = [node for node in topic_set.iter() if node.get(f"{{{WSTOP}}}topic") == "true"]
    assert len(marked) == len(topics.RECORDER_TOPICS)
    assert all(node.find(f"{T}MessageDescription") is not None for node in marked)
    assert topic_set.find(f"{{{TNS1}}}RecordingConfig/JobState") is not None


async def test_what_is_not_served_is_not_supported(vms: Vms) -> None:
    reply = await vms.send("<e:Seek><e:UtcTime>2026-01-01T00:00:00Z</e:UtcTime></e:Seek>")
    assert b"ActionNotSupported" in reply.body


# ---- subscriptions


@pytest.mark.covers(
    *("G-CreatePullPointSubscription", "M-CreatePullPointSubscription", "S-CreatePullPointSubscription"),
    *("T-CreatePullPointSubscription",),
)
async def test_subscription_states_its_times_in_utc(vms: Vms) -> None:
    for asked, seconds in (("PT10S", 10), ("2026-01-01T00:05:00Z", 300)):
        answer = await vms.ask(
            "<e:CreatePullPointSubscription>"
            f"<e:InitialTerminationTime>{asked}</e:InitialTerminationTime></e:CreatePullPointSubscription>"
        )
        assert answer.findtext(f"{NT}CurrentTime") == "2026-01-01T00:00:00Z"
        end = answer.findtext(f"{NT}TerminationTime")
        assert end.endswith("Z")
        assert parse_datetime(end) == vms.clock.utc() + seconds * US


@pytest.mark.covers(
    *("G-CreatePullPointSubscription", "M-CreatePullPointSubscription", "S-CreatePullPointSubscription"),
    *("T-CreatePullPointSubscription",),
)
@pytest.mark.parametrize(
    "extra",
    ["", '<e:InitialTerminationTime xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:nil="true"/>'],
)
async def test_without_a_time_it_lives_a_minute(vms: Vms, extra: str) -> None:
    path = await vms.subscribe(extra=extra)
    await vms.clock.advance(59)
    assert await vms.pull(path) == []
    await vms.clock.advance(61)
    assert (await vms.fault(PULL.format("PT0S", 1), path)).tag.endswith("}ResourceUnknownFault")


@pytest.mark.covers(
    *("G-CreatePullPointSubscription", "G-SetSynchronizationPoint", "M-CreatePullPointSubscription"),
    *("M-SetSynchronizationPoint", "S-CreatePullPointSubscription", "S-SetSynchronizationPoint"),
    *("T-CreatePullPointSubscription", "T-PropertyStateOnSync", "T-SetSynchronizationPoint", "T-event-MotionAlarm"),
)
async def test_initialized_then_changed(vms: Vms) -> None:
    motion(vms, "vs-1", False)
    path = await vms.subscribe()
    assert await vms.pull(path) == [("VideoSource/MotionAlarm", "Initialized", "false")]
    motion(vms, "vs-1", False)
    motion(vms, "vs-1", True)
    vms.bus.publish(topics.profile_changed("p", vms.clock.utc()))
    assert await vms.pull(path) == [
        ("VideoSource/MotionAlarm", "Changed", "true"),
        ("Media/ProfileChanged", None, None),
    ]
    await vms.ask(SYNCHRONIZE, path)
    assert await vms.pull(path) == [("VideoSource/MotionAlarm", "Initialized", "true")]


@pytest.mark.covers(
    *("G-CreatePullPointSubscription", "M-CreatePullPointSubscription", "S-CreatePullPointSubscription"),
    *("T-CreatePullPointSubscription",),
)
async def test_changed_only_policy(vms: Vms) -> None:
    motion(vms, "vs-1", False)
    path = await vms.subscribe(extra="<e:SubscriptionPolicy><e:ChangedOnly/></e:SubscriptionPolicy>")
    assert await vms.pull(path) == []
    motion(vms, "vs-1", True)
    assert await vms.pull(path) == [("VideoSource/MotionAlarm", "Changed", "true")]


@pytest.mark.covers("G-PullMessages", "M-PullMessages", "S-PullMessages", "T-PullMessages")
async def test_message_limit_keeps_the_rest(vms: Vms) -> None:
    path = await vms.subscribe()
    for number in range(5):
        vms.bus.publish(topics.profile_changed(f"p{number}", vms.clock.utc()))
    assert [len(await vms.pull(path, limit=2)) for _ in range(4)] == [2, 2, 1, 0]


@pytest.mark.covers("G-PullMessages", "M-PullMessages", "S-PullMessages", "T-PullMessages")
async def test_pull_blocks_for_its_timeout_and_leaves_the_subscription_alive(vms: Vms) -> None:
    path = await vms.subscribe(extra="<e:InitialTerminationTime>PT10S</e:InitialTerminationTime>")
    begun = vms.clock.utc()
    pull = asyncio.create_task(vms.ask(PULL.format("PT1M", 10), path))
    await settle()
    await vms.clock.advance(59.5)
    assert not pull.done()
    await vms.clock.advance(1)
    answer = await pull
    assert answer.find(f"{NT}NotificationMessage") is None
    assert parse_datetime(answer.findtext(f"{TEV}CurrentTime")) == begun + 60 * US
    assert parse_datetime(answer.findtext(f"{TEV}TerminationTime")) >= begun + 120 * US


@pytest.mark.covers("G-PullMessages", "M-PullMessages", "S-PullMessages", "T-PullMessages")
async def test_an_event_ends_the_wait_at_once(vms: Vms) -> None:
    path = await vms.subscribe()
    pull = asyncio.create_task(vms.pull(path, "PT60S"))
    await settle()
    motion(vms, "vs-1", True)
    assert await pull == [("VideoSource/MotionAlarm", "Initialized", "true")]


@pytest.mark.covers(
    *("G-TopicFilter", "G-TwoPullPoints", "M-TopicFilter", "M-TwoPullPoints", "S-TopicFilter", "T-TopicFilter"),
    *("T-TwoPullPoints",),
)
async def test_two_pull_points_do_not_disturb_each_other(vms: Vms) -> None:
    one, two = (
        await vms.subscribe(filter_of(topic("tns1:VideoSource//."))),
        await vms.subscribe(filter_of(topic("tns1:Media//."))),
    )
    pulls = [asyncio.create_task(vms.pull(path, "PT60S")) for path in (one, two)]
    await settle()
    motion(vms, "vs-1", True)
    vms.bus.publish(topics.profile_changed("p", vms.clock.utc()))
    assert [[message[0] for message in await pull] for pull in pulls] == [
        ["VideoSource/MotionAlarm"],
        ["Media/ProfileChanged"],
    ]
    await vms.ask(UNSUBSCRIBE, one)
    assert await vms.pull(two) == []


@pytest.mark.covers(
    *("G-MessageContentFilter", "G-TopicFilter", "M-TopicFilter", "S-MessageContentFilter", "S-TopicFilter"),
    *("T-ItemFilter", "T-TopicFilter"),
)
async def test_content_filter_selects(vms: Vms) -> None:
    expression = 'boolean(//tt:SimpleItem[@Name="Source" and @Value="vs-2"])'
    path = await vms.subscribe(filter_of(topic("tns1:VideoSource/MotionAlarm", CONCRETE), content(expression)))
    for source in ("vs-1", "vs-2", "vs-3"):
        motion(vms, source, True)
    (message,) = (await vms.ask(PULL.format("PT0S", 10), path)).iter(f"{NT}NotificationMessage")
    assert message.find(f".//{T}Source/{T}SimpleItem").get("Value") == "vs-2"


@pytest.mark.covers("G-Renew", "S-Renew")
async def test_renew(vms: Vms) -> None:
    path = await vms.subscribe(extra="<e:InitialTerminationTime>PT10S</e:InitialTerminationTime>")
    await vms.clock.advance(8)
    for asked, seconds in (("PT2M", 120), ("2026-01-01T00:01:08Z", 60)):
        answer = await vms.ask(f"<n:Renew><n:TerminationTime>{asked}</n:TerminationTime></n:Renew>", path)
        assert parse_datetime(answer.findtext(f"{NT}CurrentTime")) == vms.clock.utc()
        assert parse_datetime(answer.findtext(f"{NT}TerminationTime")) == vms.clock.utc() + seconds * US
    await vms.clock.advance(50)
    assert await vms.pull(path) == []


@pytest.mark.covers("G-Unsubscribe", "M-Unsubscribe", "S-Unsubscribe", "T-Unsubscribe")
async def test_unsubscribed_is_unknown_to_every_operation(vms: Vms) -> None:
    path = await vms.subscribe()
    assert (await vms.ask(UNSUBSCRIBE, path)).tag == f"{NT}UnsubscribeResponse"
    renew = "<n:Renew><n:TerminationTime>PT60S</n:TerminationTime></n:Renew>"
    for request in (UNSUBSCRIBE, renew, SYNCHRONIZE, PULL.format("PT0S", 1)):
        for address in (path, EVENTS_PATH, EVENTS_PATH + "/none"):
            assert (await vms.fault(request, address)).tag.endswith("}ResourceUnknownFault")


# ---- addressing


async def test_answers_relate_to_their_request(vms: Vms) -> None:
    headers = (
        f"<a:Action>{NS_EVENTS}/EventPortType/CreatePullPointSubscriptionRequest</a:Action>"
        "<a:MessageID>urn:uuid:42</a:MessageID>"
    )
    reply = await vms.send("<e:CreatePullPointSubscription/>", headers=headers)
    root = etree.fromstring(reply.body)
    assert root.findtext(f"{S}Header/{A}RelatesTo") == "urn:uuid:42"
    action = root.findtext(f"{S}Header/{A}Action")
    assert action == f"{NS_EVENTS}/EventPortType/CreatePullPointSubscriptionResponse"


@pytest.mark.parametrize(
    "headers",
    [
        "<a:To>http://nvr.example.org:81{path}</a:To>",
        '<x:SubscriptionId xmlns:x="urn:x" a:IsReferenceParameter="true">{id}</x:SubscriptionId>',
    ],
)
async def test_subscription_is_found_by_its_address_or_reference_parameter(vms: Vms, headers: str) -> None:
    path = await vms.subscribe()
    headers = headers.format(path=path, id=path.rpartition("/")[2])
    assert (await vms.ask(PULL.format("PT0S", 1), headers=headers)).tag == f"{TEV}PullMessagesResponse"


async def test_a_malformed_address_is_no_subscription(vms: Vms) -> None:
    headers = "<a:To>http://[::1</a:To><a:Action>urn:x</a:Action><a:MessageID>urn:uuid:1</a:MessageID>"
    assert (await vms.fault(UNSUBSCRIBE, headers=headers)).tag.endswith("}ResourceUnknownFault")


# ---- faults


@pytest.mark.covers(
    *("G-MessageContentFilter", "G-TopicFilter", "M-TopicFilter", "S-MessageContentFilter", "S-TopicFilter"),
    *("T-ItemFilter", "T-TopicFilter"),
)
@pytest.mark.parametrize(
    ("filter_", "names"),
    [
        # Device tests EVENT-3-1-22 and EVENT-3-1-17.
        (topic("xyz"), {"TopicNotSupportedFault"}),
        (content('boolean((//tt:SimpleItem[@Name="xyz" and @Value="xyz"])'), {"InvalidMessageContentExpressionFault"}),
        (topic("tns1:VideoSource//"), {"InvalidTopicExpressionFault"}),
        (topic("none:VideoSource"), {"InvalidTopicExpressionFault"}),
        (topic("tns1:VideoSource//.", CONCRETE), {"InvalidTopicExpressionFault"}),
        (topic("tns1:VideoSource//.", "urn:dialect"), {"TopicExpressionDialectUnknownFault"}),
        (content("true()", "urn:dialect"), {"InvalidFilterFault"}),
        ('<x:Other xmlns:x="urn:x"/>', {"InvalidFilterFault"}),
        (
            '<n:ProducerProperties Dialect="urn:x">x</n:ProducerProperties>',
            {"InvalidProducerPropertiesExpressionFault"},
        ),
    ],
)
async def test_filter_faults(vms: Vms, filter_: str, names: set[str]) -> None:
    request = f"<e:CreatePullPointSubscription>{filter_of(filter_)}</e:CreatePullPointSubscription>"
    detail = await vms.fault(request)
    assert etree.QName(detail).localname in names
    assert len(vms.service.subscriptions) == 0


@pytest.mark.covers(
    *("G-CreatePullPointSubscription", "M-CreatePullPointSubscription", "S-CreatePullPointSubscription"),
    *("T-CreatePullPointSubscription",),
)
@pytest.mark.parametrize("asked", ["P2D", "-PT1S", "2025-01-01T00:00:00Z", "nonsense"])
async def test_termination_time_faults_state_what_is_acceptable(vms: Vms, asked: str) -> None:
    path = await vms.subscribe()
    for request, address, name in (
        (
            f"<e:CreatePullPointSubscription><e:InitialTerminationTime>{asked}</e:InitialTerminationTime>"
            "</e:CreatePullPointSubscription>",
            EVENTS_PATH,
            "UnacceptableInitialTerminationTimeFault",
        ),
        (
            f"<n:Renew><n:TerminationTime>{asked}</n:TerminationTime></n:Renew>",
            path,
            "UnacceptableTerminationTimeFault",
        ),
    ):
        detail = await vms.fault(request, address)
        assert detail.tag == f"{NT}{name}"
        assert parse_datetime(detail.findtext(f"{NT}MinimumTime")) == vms.clock.utc() + US
        assert parse_datetime(detail.findtext(f"{NT}MaximumTime")) == vms.clock.utc() + 86_400 * US


@pytest.mark.covers("G-PullMessages", "M-PullMessages", "S-PullMessages", "T-PullMessages")
async def test_too_long_a_timeout_is_answered_with_the_limits(vms: Vms) -> None:
    path = await vms.subscribe()
    detail = await vms.fault(PULL.format("PT10M1S", 1), path)
    assert detail.tag == f"{TEV}PullMessagesFaultResponse"
    assert detail.findtext(f"{TEV}MaxTimeout") == "PT600S"
    assert int(detail.findtext(f"{TEV}MaxMessageLimit")) >= 1
    assert await vms.pull(path, limit=2**31 - 1) == [], "a high MessageLimit is no fault"


async def test_a_second_pull_while_one_waits(vms: Vms) -> None:
    path = await vms.subscribe()
    first = asyncio.create_task(vms.pull(path, "PT60S"))
    await settle()
    assert (await vms.fault(PULL.format("PT1S", 1), path)).tag == f"{NT}UnableToGetMessagesFault"
    motion(vms, "vs-1", True)
    assert len(await first) == 1


async def test_negative_timeout(vms: Vms) -> None:
    path = await vms.subscribe()
    reply = await vms.send(PULL.format("-PT1S", 1), path)
    assert b"InvalidArgVal" in reply.body


@pytest.mark.covers("G-MaxPullPoints", "M-MaxPullPoints", "NET-14", "T-MaxPullPoints")
async def test_all_announced_pull_points_exist_and_one_more_fails(vms: Vms) -> None:
    paths = [await vms.subscribe() for _ in range(200)]
    assert len(set(paths)) == 200
    assert (await vms.fault("<e:CreatePullPointSubscription/>")).tag == f"{NT}SubscribeCreationFailedFault"
    await vms.ask(UNSUBSCRIBE, paths[0])
    await vms.subscribe()


async def test_raw_notifications_are_refused(vms: Vms) -> None:
    request = (
        "<e:CreatePullPointSubscription><e:SubscriptionPolicy><n:UseRaw/></e:SubscriptionPolicy>"
        "</e:CreatePullPointSubscription>"
    )
    assert (await vms.fault(request)).tag == f"{NT}UnsupportedPolicyRequestFault"
