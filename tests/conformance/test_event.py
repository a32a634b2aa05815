"""The cases of the Event and Access Policy specifications: all are there, and the recorder passes those that apply."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from lxml import etree

from conformance import runner, samples
from conformance.cases import event_common, event_values
from conformance.cases.access_policy_table import CLASSES, forbidden
from conformance.consumer import Consumer
from conformance.model import Examination, Failure
from conformance.mqtt import Broker, MqttError, Session, packet
from conformance.schema import faults_of
from conformance.soap import envelope
from tests.conformance.laboratory import Laboratory, laboratory

EVENT = frozenset(
    {
        "EVENT-1-1-2",
        *(f"EVENT-2-1-{n}" for n in (9, 12, 17, 18, 19, *range(21, 30))),
        *(f"EVENT-3-1-{n}" for n in (9, 12, 15, 16, 17, 19, 20, 22, 24, 25, *range(32, 39))),
        *(f"EVENT-4-1-{n}" for n in range(6, 11)),
        *(f"EVENT-5-1-{n}" for n in (1, 2)),
        *(f"EVENT-6-1-{n}" for n in (3, 4, 5)),
        *(f"EVENT-7-1-{n}" for n in range(1, 5)),
        *(f"EVENT-7-2-{n}" for n in range(1, 8)),
    }
)
ACCESS_POLICY = frozenset(f"ACCESS_POLICY-1-1-{n}" for n in range(1, 6))


def test_all_official_cases_are_there() -> None:
    assert len(EVENT) == 53
    assert {each.id for each in runner.select(documents=["Event"])} == EVENT
    assert {each.id for each in runner.select(documents=["AccessPolicy"])} == ACCESS_POLICY


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    with laboratory(tmp_path_factory.mktemp("event")) as made:
        made.start()
        yield made


@pytest.mark.e2e
@pytest.mark.timeout(600)
@pytest.mark.xdist_group("recorder")
@pytest.mark.parametrize("documents", [("Event",), ("AccessPolicy", "Core")], ids=" ".join)
def test_no_case_fails(place: Laboratory, documents: tuple[str, ...]) -> None:
    chosen = [word for each in documents for word in ("--document", each)]
    report = place.examine(*chosen, "--case-timeout", "90", timeout=560)
    failed = {each["id"]: each["why"] for each in report["cases"] if each["verdict"] == "FAIL"}
    assert failed == {}
    verdicts = Counter(each["verdict"] for each in report["cases"])
    assert verdicts["PASS"] > 0.9 * len(report["cases"])


# ---- parts --------------------------------------------------------------------------------------------


def test_requests_made_from_the_schemas_are_valid() -> None:
    made = 0
    for service, classes in CLASSES.items():
        known = samples.operations(service)
        for operation in " ".join(classes.values()).split():
            if operation in known:
                request = etree.fromstring(envelope(samples.request(service, operation)))[-1][0]
                assert faults_of(request) == "", f"{service}:{operation}"
                made += 1
    assert made > 350


def test_levels_are_forbidden_what_their_class_does_not_allow() -> None:
    assert "GetUsers" in forbidden("tds", "Operator")
    assert "GetScopes" not in forbidden("tds", "User")
    assert "SetRelayOutputState" in forbidden("tds", "User")
    assert "SetRelayOutputState" not in forbidden("tds", "Operator")
    assert "GetHostname" not in forbidden("tds", "Anonymous")
    assert "PullMessages" in forbidden("tev", "Anonymous")


def _xml(text: str) -> etree._Element:
    return etree.fromstring(envelope(text))[-1][0]


def test_topics_are_read_from_the_topic_set_and_from_messages() -> None:
    topics = event_values.topics_of(
        _xml(
            '<wstop:TopicSet><tns1:VideoSource><MotionAlarm wstop:topic="true"><tt:MessageDescription IsProperty="true"/></MotionAlarm>'
            '</tns1:VideoSource><tns1:Device><Trigger><Relay wstop:topic="true"/></Trigger></tns1:Device></wstop:TopicSet>'
        )
    )
    assert [str(each) for each in topics] == ["tns1:VideoSource/MotionAlarm", "tns1:Device/Trigger/Relay"]
    assert [each.is_property for each in topics] == [True, False]
    message = _xml('<wsnt:Topic xmlns:q="http://www.onvif.org/ver10/topics">q:VideoSource/MotionAlarm</wsnt:Topic>')
    assert event_values.topic_of(message) == topics[0]
    with pytest.raises(Failure, match="not declared"):
        event_values.topic_of(_xml("<wsnt:Topic>nobody:VideoSource</wsnt:Topic>"))


def test_times_are_read_as_schema_writes_them() -> None:
    moment = datetime(2026, 3, 1, 12, 0, 0, 500_000, tzinfo=UTC)
    assert event_values.moment("2026-03-01T12:00:00.5Z") == moment
    assert event_values.moment("2026-03-01T13:00:00.500+01:00") == moment
    assert event_values.stamp(moment) == "2026-03-01T12:00:00.500Z"
    assert event_values.duration(timedelta(seconds=10)) == "PT10S"
    assert event_values.seconds_of("P1DT2H3M4.5S") == 93784.5
    with pytest.raises(Failure):
        event_values.moment("yesterday")


async def test_termination_sooner_than_asked_for_fails(x: Examination) -> None:
    answer = _xml(
        "<tev:CreatePullPointSubscriptionResponse><tev:SubscriptionReference><wsa:Address>http://192.0.2.1/s</wsa:Address>"
        "</tev:SubscriptionReference><wsnt:CurrentTime>2026-03-01T12:00:00Z</wsnt:CurrentTime>"
        "<wsnt:TerminationTime>2026-03-01T12:00:09Z</wsnt:TerminationTime></tev:CreatePullPointSubscriptionResponse>"
    )
    event_common.read_subscription(x, answer, timedelta(seconds=9))
    with pytest.raises(Failure, match="TerminationTime"):
        event_common.read_subscription(x, answer, timedelta(seconds=10))


async def test_reference_parameters_become_headers(x: Examination) -> None:
    answer = _xml(
        "<wsnt:SubscribeResponse><wsnt:SubscriptionReference><wsa:Address>http://192.0.2.1/s</wsa:Address>"
        '<wsa:ReferenceParameters><v:Id xmlns:v="urn:v">7</v:Id></wsa:ReferenceParameters></wsnt:SubscriptionReference>'
        "<wsnt:CurrentTime>2026-03-01T12:00:00Z</wsnt:CurrentTime><wsnt:TerminationTime>2026-03-01T12:01:00Z</wsnt:TerminationTime>"
        "</wsnt:SubscribeResponse>"
    )
    header = etree.fromstring(event_common.read_subscription(x, answer, None).parameters)
    assert (header.tag, header.text) == ("{urn:v}Id", "7")
    assert header.get("{http://www.w3.org/2005/08/addressing}IsReferenceParameter") == "true"


async def test_consumer_keeps_what_is_pushed() -> None:
    notes: list[str] = []
    async with Consumer("127.0.0.1", lambda title, request, response: notes.append(title)) as consumer:
        async with aiohttp.ClientSession() as session, session.post(consumer.url, data=b"<a/>") as reply:
            assert reply.status == 202
        push = await consumer.next(time.monotonic() + 5)
        assert push is not None
        assert (push.path, push.content, push.root.tag) == (consumer.path, b"<a/>", "a")
        assert await consumer.next(time.monotonic() + 0.01) is None
    assert notes


# ---- MQTT ---------------------------------------------------------------------------------------------

CONNECT = packet(1, b"\0\4MQTT\4\xc2\0\x1e\0\2id\0\4user\0\4pass")


def test_broker_reads_connect_and_publish_in_any_pieces() -> None:
    published = packet(3, b"\0\3a/b\0\7{}", 0b0011)
    for size in (1, 3, 1000):
        session, answer = Session(), b""
        stream = CONNECT + published + packet(14)
        for at in range(0, len(stream), size):
            answer += session.receive(stream[at : at + size])
        assert session.connect is not None
        assert (session.connect.user, session.connect.password) == ("user", "pass")
        (message,) = session.published
        assert (message.topic, message.payload, message.qos, message.retain, message.identifier) == (
            "a/b",
            b"{}",
            1,
            True,
            7,
        )
        assert answer == packet(2, b"\0\0") + packet(4, b"\0\7")
        assert session.disconnected


def test_broker_completes_exactly_once() -> None:
    session = Session()
    session.receive(CONNECT)
    assert session.receive(packet(3, b"\0\1t\0\5x", 0b0100)) == packet(5, b"\0\5")
    assert session.receive(packet(6, b"\0\5", 2)) == packet(7, b"\0\5")


@pytest.mark.parametrize(
    "stream", [packet(3, b"\0\1tx"), packet(1, b"\0\4HTTP\4\0\0\0"), CONNECT + packet(3, b"\0\1t\0\0x", 2)]
)
def test_broker_refuses_what_is_no_mqtt(stream: bytes) -> None:
    with pytest.raises(MqttError):
        Session().receive(stream)


async def test_broker_listens_and_tells_of_what_came() -> None:
    async with Broker("127.0.0.1", "mqtt", lambda title, request, response: None) as broker:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(broker.url.rpartition(":")[2]))
        writer.write(CONNECT + packet(3, b"\0\1t" + json.dumps({"UtcTime": "now"}).encode()))
        assert await reader.readexactly(4) == packet(2, b"\0\0")
        async with asyncio.timeout(5):
            while not broker.sessions or not broker.sessions[0].published:
                await broker.changed.wait()
                broker.changed.clear()
                await asyncio.sleep(0)
        assert json.loads(broker.sessions[0].published[0].payload) == {"UtcTime": "now"}
        writer.close()
        await writer.wait_closed()
