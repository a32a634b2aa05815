"""Test/Event 5.7: event brokers (MQTT)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from xml.sax.saxutils import escape

from conformance.cases.certificates import Identity, authority, broker_context
from conformance.cases.event_common import CONCRETE_SET, SERVICE, ask_event
from conformance.cases.event_topics import living
from conformance.cases.event_values import Topic, moment, patience
from conformance.cases.security_common import PKCS10, POLICIES, Bench, tas
from conformance.cases.security_common import SERVICE as SECURITY
from conformance.cases.security_tls import policy_request
from conformance.model import Examination, Failure, case
from conformance.mqtt import Broker, Connect, Publish, Scheme
from conformance.names import find, findall, text

REQUIRES = (SERVICE, "Event/Event Broker")
FIELDS = ("TopicPrefix", "UserName", "CertificateID", "PublishFilter", "QoS")
USER, PASSWORD, PREFIX = "TestUserName", "TestPassword", "TestDevice"


# ---- requests -----------------------------------------------------------------------------------------


async def brokers(x: Examination, address: str | None = None) -> list[Any]:
    """Event Test 6.7, 6.8."""
    inside = "" if address is None else f"<tev:Address>{escape(address)}</tev:Address>"
    answer = await ask_event(x, "GetEventBrokers", f"<tev:GetEventBrokers>{inside}</tev:GetEventBrokers>")
    return findall(answer, "tev:EventBroker")


async def only_broker(x: Examination, address: str) -> Any:
    found = await brokers(x, address)
    x.check(len(found) == 1, f"GetEventBrokers with Address {address} gave {len(found)} configurations")
    return found[0]


async def add(
    x: Examination,
    address: str,
    *,
    prefix: str = PREFIX,
    user: str | None = USER,
    password: str | None = PASSWORD,
    topic: Topic | None = None,
    qos: int = 0,
    policy: str = "",
) -> None:
    inside = f"<tev:Address>{escape(address)}</tev:Address><tev:TopicPrefix>{prefix}</tev:TopicPrefix>"
    if user is not None:
        inside += f"<tev:UserName>{user}</tev:UserName><tev:Password>{password}</tev:Password>"
    if topic is not None:
        expression = (
            f'<wsnt:TopicExpression {topic.declaration} Dialect="{CONCRETE_SET}">{topic}</wsnt:TopicExpression>'
        )
        inside += f"<tev:PublishFilter>{expression}</tev:PublishFilter>"
    inside += f"<tev:QoS>{qos}</tev:QoS>"
    if policy:
        inside += f"<tev:CertPathValidationPolicyID>{policy}</tev:CertPathValidationPolicyID>"
    body = f"<tev:AddEventBroker><tev:EventBroker>{inside}</tev:EventBroker></tev:AddEventBroker>"
    await ask_event(x, "AddEventBroker", body)


async def delete(x: Examination, address: str) -> None:
    body = f"<tev:DeleteEventBroker><tev:Address>{escape(address)}</tev:Address></tev:DeleteEventBroker>"
    await ask_event(x, "DeleteEventBroker", body)


async def capabilities(x: Examination) -> tuple[int, list[str]]:
    answer = await ask_event(x, "GetServiceCapabilities", "<tev:GetServiceCapabilities/>")
    found = find(answer, "tev:Capabilities")
    most = int(found.get("MaxEventBrokers", "0"))
    x.check(most > 0, f"MaxEventBrokers is {most} (Event Test 5.7)")
    return most, found.get("EventBrokerProtocols", "").replace(",", " ").split()


@contextlib.asynccontextmanager
async def room(x: Examination, most: int) -> AsyncIterator[None]:
    """Event Test 6.9: space for one more configuration; what had to go comes back, without its password."""
    found = await brokers(x)
    removed = found[0] if len(found) >= most else None
    if removed is not None:
        await delete(x, text(removed, "tev:Address"))
    try:
        yield
    finally:
        if removed is not None:
            from lxml import etree

            again = etree.tostring(removed, encoding="unicode")
            body = f"<tev:AddEventBroker>{again}</tev:AddEventBroker>"
            with contextlib.suppress(Failure):
                await ask_event(x, "AddEventBroker", body)


@contextlib.asynccontextmanager
async def gone_afterwards(x: Examination, address: str) -> AsyncIterator[None]:
    try:
        yield
    finally:
        # Deleted by the case itself when all went well.
        with contextlib.suppress(Failure):
            if any(text(each, "tev:Address") == address for each in await brokers(x)):
                await delete(x, address)


def fields(element: Any) -> dict[str, str]:
    """The fields that must be equal wherever a configuration is shown."""
    shown = {name: text(element, f"tev:{name}") for name in FIELDS if find(element, f"tev:{name}") is not None}
    filter_ = find(element, "tev:PublishFilter")
    if filter_ is not None and not len(filter_):
        del shown["PublishFilter"]
    for expression in filter_ if filter_ is not None else ():
        shown["PublishFilter"] = f"{expression.get('Dialect')} {text(expression)}"
    return shown


def check_shown(x: Examination, element: Any, address: str, expected: dict[str, str]) -> None:
    x.check(
        text(element, "tev:Address") == address, f"Address is {text(element, 'tev:Address')!r}, expected {address!r}"
    )
    x.check(find(element, "tev:Password") is None, "GetEventBrokers shows the Password (Core 9.12.1.1)")
    shown = fields(element)
    shown.setdefault("QoS", "0")
    x.check(shown == expected, f"the configuration of {address} is {shown}, expected {expected}")


async def check_list(x: Examination, address: str, one: Any) -> None:
    """The full list shows the same configuration."""
    listed = [each for each in await brokers(x) if text(each, "tev:Address") == address]
    x.check(listed, f"GetEventBrokers without Address does not show {address}")
    x.check(find(listed[0], "tev:Password") is None, "GetEventBrokers shows the Password (Core 9.12.1.1)")
    x.check(fields(listed[0]) == fields(one), f"GetEventBrokers shows {address} differently with and without Address")


# ---- 5.7.1 configuration ------------------------------------------------------------------------------


@case("EVENT-7-1-1", document="Event", name="GET EVENT BROKER CONFIGURATIONS", requires=REQUIRES)
async def get_brokers(x: Examination) -> None:
    most, _ = await capabilities(x)
    found = await brokers(x)
    x.check(len(found) <= most, f"{len(found)} event brokers though MaxEventBrokers is {most}")
    addresses = [text(each, "tev:Address") for each in found]
    x.check(len(set(addresses)) == len(addresses), f"two event brokers have the same Address: {addresses}")
    for address, listed in zip(addresses, found, strict=True):
        one = await only_broker(x, address)
        check_shown(x, one, address, {"QoS": "0", **fields(listed)})


@contextlib.asynccontextmanager
async def configured(x: Examination) -> AsyncIterator[str]:
    """A broker's address at a device with room for it. The broker listens but nothing is asked of it."""
    most, protocols = await capabilities(x)
    x.check(protocols, "EventBrokerProtocols is empty though MaxEventBrokers is above 0")
    async with room(x, most), running_broker(x, protocols[0]) as broker, gone_afterwards(x, broker.url):
        yield broker.url


def running_broker(x: Examination, scheme: str, issuer: Identity | None = None) -> Broker:
    context = None
    if scheme in ("mqtts", "wss"):
        context = broker_context(x.prober.local(), issuer or broker_authority())
    kind: Scheme = scheme  # type: ignore[assignment]
    return Broker(x.prober.local(), kind, x.note, context)


def broker_authority() -> Identity:
    return authority(2048, "ONVIF Test Event Broker CA")


@contextlib.asynccontextmanager
async def trusted(x: Examination, scheme: str, issuer: Identity) -> AsyncIterator[str]:
    """A validation policy by which the device may know our broker; empty where it cannot be told.

    The specification leaves out CertPathValidationPolicyID (Core 9.12.1.1), but a device that trusts nobody is right to do so.
    """
    if scheme not in ("mqtts", "wss") or not (x.has(SECURITY) and x.has(POLICIES) and x.has(PKCS10)):
        yield ""
        return
    async with Bench(x) as bench:
        anchor, _ = await bench.upload_authority(issuer)
        answer = await tas(x, "CreateCertPathValidationPolicy", policy_request("ONVIF Test Event Broker", anchor))
        yield bench.add("policy", text(answer, "tas:CertPathValidationPolicyID"))


@case("EVENT-7-1-2", document="Event", name="ADD EVENT BROKER CONFIGURATION", requires=REQUIRES)
async def add_broker(x: Examination) -> None:
    async with configured(x) as address:
        await add(x, address)
        one = await only_broker(x, address)
        check_shown(x, one, address, {"TopicPrefix": PREFIX, "UserName": USER, "QoS": "0"})
        await check_list(x, address, one)
        await delete(x, address)


@case("EVENT-7-1-3", document="Event", name="MODIFY EVENT BROKER CONFIGURATION", requires=REQUIRES)
async def modify_broker(x: Examination) -> None:
    async with configured(x) as address:
        await add(x, address)
        (topic,) = await living(x, 1, properties_only=False)
        await add(x, address, prefix="TestDevice1", user="TestUserName1", topic=topic, qos=1)
        one = await only_broker(x, address)
        expression = find(one, "tev:PublishFilter/wsnt:TopicExpression")
        x.check(expression is not None, "PublishFilter has no TopicExpression")
        shown = _local(text(expression))
        x.check(shown == _local(str(topic)), f"PublishFilter is {text(expression)!r}, expected {topic}")
        expected = {"TopicPrefix": "TestDevice1", "UserName": "TestUserName1", "QoS": "1"}
        check_shown(x, one, address, expected | {"PublishFilter": f"{CONCRETE_SET} {text(expression)}"})
        await check_list(x, address, one)
        await delete(x, address)


@case("EVENT-7-1-4", document="Event", name="DELETE EVENT BROKER CONFIGURATION", requires=REQUIRES)
async def delete_broker(x: Examination) -> None:
    async with configured(x) as address:
        await add(x, address)
        await delete(x, address)
        left = [text(each, "tev:Address") for each in await brokers(x)]
        x.check(address not in left, f"{address} is still there after DeleteEventBroker")


def _local(topic: str) -> str:
    """A topic without the prefixes of its namespaces, as MQTT names it (Core 9.12.5)."""
    return "/".join(step.rpartition(":")[2] for step in topic.split("/"))


# ---- 5.7.2 publishing ---------------------------------------------------------------------------------


async def _connected(x: Examination, broker: Broker) -> Connect:
    def found() -> Connect | None:
        return next((each.connect for each in broker.sessions if each.connect is not None), None)

    connect: Connect = await _until(x, broker, found, f"no MQTT CONNECT at {broker.url}")
    return connect


async def _until(x: Examination, broker: Broker, found: Callable[[], Any], why: str) -> Any:
    deadline = time.monotonic() + max(patience(x), x.settings.message_timeout)
    while (result := found()) is None:
        broker.changed.clear()
        left = deadline - time.monotonic()
        if left <= 0:
            trouble = f" ({'; '.join(broker.errors[-2:])})" if broker.errors else ""
            raise Failure(f"{why} within {max(patience(x), x.settings.message_timeout):g} s{trouble}")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(broker.changed.wait(), min(left, 0.5))
    return result


def _check_published(x: Examination, message: Publish, qos: int, topic: Topic, *, filtered: bool) -> bool:
    """Judge one PUBLISH (Event Test 6.11 to 6.13, 6.30); is it of the wanted topic?"""
    x.check(message.qos == qos, f"PUBLISH {message.topic} has QoS {message.qos}, expected {qos}")
    # MetadataFilter is empty, so metadata may come as well; it is published under another prefix.
    x.check(
        message.topic.startswith(f"{PREFIX}/"),
        f"topic name {message.topic!r} does not begin with TopicPrefix {PREFIX!r}",
    )
    payload, _, rest = message.topic.removeprefix(f"{PREFIX}/").partition("/")
    wanted = _local(str(topic))
    matches = payload == "onvif-ej" and (rest == wanted or rest.startswith(f"{wanted}/"))
    x.check(matches or not filtered, f"topic name {message.topic!r} though PublishFilter is {topic}")
    if not matches:
        return False
    x.check(message.retain or not topic.is_property, f"the property {message.topic} is published without RETAIN")
    try:
        content = json.loads(message.payload)
    except ValueError:
        raise Failure(f"payload of {message.topic} is no JSON: {message.payload[:200]!r}") from None
    x.check(
        isinstance(content, dict) and "UtcTime" in content, f"payload of {message.topic} has no UtcTime (Core 9.12.6)"
    )
    moment(str(content["UtcTime"]))
    return True


async def _publishing(x: Examination, scheme: Scheme, qos: int, *, filtered: bool = False) -> None:
    most, _ = await capabilities(x)
    (topic,) = await living(x, 1)
    named = scheme in ("mqtt", "ws")
    issuer = broker_authority()
    async with (
        trusted(x, scheme, issuer) as policy,
        room(x, most),
        running_broker(x, scheme, issuer) as broker,
        gone_afterwards(x, broker.url),
    ):
        # 5.7.2.2 and 5.7.2.4 leave UserName out and yet look for it in CONNECT: what is not configured cannot be sent.
        await add(
            x, broker.url, user=USER if named else None, topic=topic if filtered else None, qos=qos, policy=policy
        )
        connect = await _connected(x, broker)
        if named:
            x.check(connect.user is not None, "CONNECT has not the User Name Flag")
            x.check(connect.password is not None, "CONNECT has not the Password Flag")
            x.check(connect.user == USER, f"CONNECT has the user name {connect.user!r}, expected {USER!r}")
            x.check(connect.password == PASSWORD, "CONNECT has another password than the one configured")
        judged = 0

        def published() -> bool | None:
            nonlocal judged
            messages = [message for session in broker.sessions for message in session.published]
            for message in messages[judged:]:
                judged += 1
                if _check_published(x, message, qos, topic, filtered=filtered):
                    return True
            return None

        await _until(x, broker, published, f"no PUBLISH of {topic}")
        if filtered:
            # A filter that is ignored shows itself by what comes next.
            await asyncio.sleep(x.settings.operation_delay)
            while published() is not None:
                pass
        await delete(x, broker.url)
        await _until(
            x,
            broker,
            lambda: True if all(each.disconnected for each in broker.sessions if each.connect) else None,
            "no MQTT DISCONNECT after DeleteEventBroker",
        )


def _register(id: str, name: str, scheme: Scheme, qos: int, filtered: bool = False) -> None:
    requires = (*REQUIRES, f"Event/Protocols/{scheme}")

    @case(id, document="Event", name=f"MQTT EVENTS PUBLISHING{name}", requires=requires)
    async def publishing(x: Examination) -> None:
        await _publishing(x, scheme, qos, filtered=filtered)


_register("EVENT-7-2-1", " (MQTT, QoS=0)", "mqtt", 0)
_register("EVENT-7-2-2", " (MQTT TLS, QoS=0)", "mqtts", 0)
_register("EVENT-7-2-3", " (MQTT OVER WEBSOCKET, QoS=0)", "ws", 0)
_register("EVENT-7-2-4", " (MQTT TLS OVER WEBSOCKET, QoS=0)", "wss", 0)
_register("EVENT-7-2-5", " (MQTT, QoS=1)", "mqtt", 1)
_register("EVENT-7-2-6", " (MQTT, QoS=2)", "mqtt", 2)
_register("EVENT-7-2-7", " - PUBLISH FILTER (MQTT, QoS=0)", "mqtt", 0, filtered=True)
