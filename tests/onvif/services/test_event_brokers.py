"""AddEventBroker, GetEventBrokers, DeleteEventBroker by bytes (Core 9.12.2 to 9.12.4)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from onvifd.access.keyfile import SecretBox
from onvifd.clock import SimulatedClock
from onvifd.events import topics
from onvifd.events.bus import EventBus
from onvifd.onvif.notification.mqtt.brokers import Brokers, SystemTrust
from onvifd.onvif.services.common import NS_EVENTS
from onvifd.onvif.services.events import EventService
from onvifd.onvif.soap.namespaces import TNS1, WSNT
from onvifd.store.catalogue import AsyncCatalogue, Catalogue

TEV, NT = f"{{{NS_EVENTS}}}", f"{{{WSNT}}}"
ADDRESS = "mqtt://127.0.0.1:9"
CONCRETE_SET = "http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet"


@pytest.fixture
async def ask(client: Callable[..., Any], tmp_path: Path) -> AsyncIterator[Any]:
    clock = SimulatedClock()
    catalogue = AsyncCatalogue(Catalogue.open(f"sqlite:///{tmp_path / 'catalogue.db'}", migrate=True))
    bus = EventBus(clock)
    brokers = Brokers(
        catalogue, SecretBox(bytes(32)), bus, clock, topics.RECORDER_TOPICS, SystemTrust(), name="u", limit=2
    )
    service = EventService(bus, clock, topics.RECORDER_TOPICS, brokers=brokers)
    yield client(service)
    await service.close()
    await brokers.close()
    await catalogue.close()


def add(address: str = ADDRESS, prefix: str = "TestDevice", more: str = "", last: str = "") -> str:
    body = f"<e:Address>{address}</e:Address><e:TopicPrefix>{prefix}</e:TopicPrefix>{more}{last}"
    return (
        f'<e:AddEventBroker xmlns:e="{NS_EVENTS}" xmlns:n="{WSNT}" xmlns:top="{TNS1}">'
        f"<e:EventBroker>{body}</e:EventBroker></e:AddEventBroker>"
    )


def get(address: str | None = None) -> str:
    inner = f"<Address>{address}</Address>" if address is not None else ""
    return f'<GetEventBrokers xmlns="{NS_EVENTS}">{inner}</GetEventBrokers>'


def delete(address: str = ADDRESS) -> str:
    return f'<DeleteEventBroker xmlns="{NS_EVENTS}"><Address>{address}</Address></DeleteEventBroker>'


def fields(node: Any) -> dict[str, str]:
    return {etree.QName(child).localname: "".join(child.itertext()) for child in node}


LOGIN = "<e:UserName>TestUserName</e:UserName><e:Password>TestPassword</e:Password>"
FILTER = f'<e:PublishFilter><n:TopicExpression Dialect="{CONCRETE_SET}">top:VideoSource//.</n:TopicExpression></e:PublishFilter>'


@pytest.mark.covers("M-AddEventBroker", "M-GetEventBrokers", "M-DeleteEventBroker")
async def test_a_broker_is_added_changed_told_and_deleted(ask: Any) -> None:
    assert len(await ask.ask(get())) == 0
    await ask.ask(add(more=LOGIN, last="<e:QoS>0</e:QoS>"))
    (first,) = await ask.ask(get(ADDRESS))
    assert fields(first) == {
        "Address": ADDRESS,
        "TopicPrefix": "TestDevice",
        "UserName": "TestUserName",
        "QoS": "0",
        "Status": fields(first)["Status"],
    }
    assert fields(first)["Status"] in ("Offline", "Connecting", "Connected")
    await ask.ask(add(prefix="TestDevice1", more=LOGIN + FILTER, last="<e:QoS>1</e:QoS>"))
    (second,) = await ask.ask(get())
    told = fields(second)
    assert (told["TopicPrefix"], told["QoS"], told["PublishFilter"]) == ("TestDevice1", "1", "top:VideoSource//.")
    expression = second.find(f"{TEV}PublishFilter/{NT}TopicExpression")
    assert expression.get("Dialect") == CONCRETE_SET
    assert expression.nsmap["top"] == TNS1
    assert "Password" not in told
    await ask.ask(delete())
    assert len(await ask.ask(get())) == 0


@pytest.mark.covers("M-AddEventBroker", "M-GetEventBrokers", "M-DeleteEventBroker")
@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (add("http://127.0.0.1"), ("Sender", "InvalidArgVal", "InvalidProtocol")),
        (add("mqtt://"), ("Sender", "InvalidArgVal", "InvalidAddress")),
        (add("nonsense"), ("Sender", "InvalidArgVal", "InvalidAddress")),
        (add(more=FILTER.replace("top:VideoSource//.", "top:Nothing")), ("Sender", "InvalidArgVal", "InvalidFilter")),
        (add(more=FILTER.replace("top:VideoSource//.", "a//b")), ("Sender", "InvalidArgVal", "InvalidFilter")),
        (add(more=FILTER.replace(CONCRETE_SET, "urn:x")), ("Sender", "InvalidArgVal", "InvalidFilter")),
        (add(prefix=""), ("Sender", "InvalidArgVal")),
        (add(prefix="a/#"), ("Sender", "InvalidArgVal")),
        (add(prefix="$SYS"), ("Sender", "InvalidArgVal")),
        (add(last="<e:QoS>3</e:QoS>"), ("Sender", "InvalidArgVal")),
        (add(more="<e:Password>alone</e:Password>"), ("Sender", "InvalidArgVal")),
        (add(more="<e:CertificateID>x</e:CertificateID>"), ("Sender", "InvalidArgVal")),
        (
            add(last=FILTER.replace("PublishFilter", "MetadataFilter")),
            ("Sender", "InvalidArgVal", "InvalidFilter"),
        ),
        (delete(), ("Sender", "InvalidArgVal", "InvalidAddress")),
        (get(ADDRESS), ("Sender", "InvalidArgVal", "InvalidAddress")),
    ],
)
async def test_bad_input_gets_its_fault_and_changes_nothing(ask: Any, content: str, fault: tuple[str, ...]) -> None:
    got = await ask.fault(content)
    assert got[: len(fault)] == fault
    assert len(await ask.ask(get())) == 0


async def test_the_bound_has_its_fault(ask: Any) -> None:
    for port in (1, 2):
        await ask.ask(add(f"mqtt://127.0.0.1:{port}"))
    assert await ask.fault(add("mqtt://127.0.0.1:3")) == ("Receiver", "Action", "TooManyEventBrokers")
    await ask.ask(add("mqtt://127.0.0.1:2", prefix="changed"))


@pytest.mark.parametrize(
    ("content", "level", "allowed"),
    [
        (add(), "operator", False),
        (delete(), "operator", False),
        (get(), "user", True),
        (get(), None, False),
        (add(), "administrator", True),
    ],
)
async def test_access_classes(ask: Any, content: str, level: str | None, allowed: bool) -> None:
    reply = await ask.send(content, level)
    assert (reply.status == 200) is allowed


async def test_capabilities_name_the_protocols_and_the_bound(ask: Any) -> None:
    (capabilities,) = await ask.ask(f'<GetServiceCapabilities xmlns="{NS_EVENTS}"/>')
    assert capabilities.get("EventBrokerProtocols") == "mqtt mqtts ws wss"
    assert capabilities.get("MaxEventBrokers") == "2"
    assert capabilities.get("MetadataOverMQTT") == "false"
    assert capabilities.get("MaxNotificationProducers") == "0"
