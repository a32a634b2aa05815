"""Every operation that is served, against every level: the default access policy of Core 5.9.4.

The table of the standard is written out here; the classes of the operations are those of the services' own specifications,
taken from their WSDL and the requirements by the tests of the services.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from lxml import etree

from onvifd.access.types import AccessClass, Account, Credential, Level
from onvifd.cli import contract
from onvifd.clock import SimulatedClock
from onvifd.onvif.soap.codec import encode
from onvifd.onvif.soap.dispatch import Dispatcher, HttpRequest, Operation, Service, operation
from onvifd.onvif.soap.namespaces import SOAP
from onvifd.onvif.soap.wsse import security_header
from tests.onvif.soap import samples

S = f"{{{SOAP}}}"
ALL = ("Administrator", "Operator", "User", "Anonymous")
POLICY = {
    "PRE_AUTH": ALL,
    "READ_SYSTEM": ALL[:3],
    "READ_SYSTEM_SENSITIVE": ALL[:2],
    "READ_SYSTEM_SECRET": ALL[:1],
    "WRITE_SYSTEM": ALL[:1],
    "UNRECOVERABLE": ALL[:1],
    "READ_MEDIA": ALL[:3],
    "ACTUATE": ALL[:2],
}
"""Core 5.9.4.3, table."""


def lookup(name: str) -> Credential | None:
    return Credential(Account(name, Level(name)), "", "pass") if name in ALL[:3] else None


def stand_in(service: type[Service]) -> Service:
    """A service with the operations of `service`, whose handlers answer at once."""

    class StandIn(Service):
        namespace, path, prefix = service.namespace, service.path, service.prefix

        @classmethod
        def operations(cls) -> tuple[Operation, ...]:
            return service.operations()

        def __getattr__(self, name: str) -> Any:
            item = next(item for item in service.operations() if item.method == name)

            async def handler(call: Any, request: Any) -> Any:
                return samples.sample(item.response, optional=False)

            return handler

    return StandIn()


SERVED = [(service, item) for service in contract.served() for item in service.operations()]
NONCES = itertools.count()


@pytest.fixture(scope="module")
def dispatcher() -> Dispatcher:
    services = [stand_in(service) for service in contract.served()]
    return Dispatcher(services, lookup=lookup, clock=SimulatedClock())


def message(item: Operation, level: str) -> bytes:
    root = etree.Element(f"{S}Envelope")
    header = etree.SubElement(root, f"{S}Header")
    if level != "Anonymous":
        header.append(security_header(level, "pass", next(NONCES).to_bytes(16, "big"), SimulatedClock().utc()))
    encode(samples.sample(item.request, optional=False), parent=etree.SubElement(root, f"{S}Body"))
    return etree.tostring(root)


@pytest.mark.covers("SEC-04")
@pytest.mark.parametrize("level", ALL)
@pytest.mark.parametrize(
    ("service", "item"), SERVED, ids=[f"{service.prefix}:{item.request.__name__}" for service, item in SERVED]
)
async def test_level_may_call_what_its_class_allows(
    dispatcher: Dispatcher, service: type[Service], item: Operation, level: str
) -> None:
    reply = await dispatcher.handle(
        HttpRequest(
            method="POST",
            target=service.path,
            path=service.path,
            scheme="http",
            host="nvr",
            local_address="192.0.2.1",
            peer="192.0.2.9",
            authorization=None,
            body=message(item, level),
        )
    )
    codes = [node.text for node in etree.fromstring(reply.body).iter(f"{S}Value")]
    if level in POLICY[item.access.value]:
        assert reply.status == 200, reply.body.decode()
    else:
        assert (reply.status, codes) == (400, ["SOAP-ENV:Sender", "ter:NotAuthorized"])


def test_every_class_of_the_standard_is_known() -> None:
    assert set(POLICY) == {access.value for access in AccessClass}


def test_nothing_is_served_without_a_class() -> None:
    assert SERVED
    for service, item in SERVED:
        assert isinstance(item.access, AccessClass), (service, item.name)
    with pytest.raises(TypeError):
        operation()  # type: ignore[call-arg]


KNOWN = {
    # device management (Core 8)
    **dict.fromkeys(
        ("GetServices", "GetServiceCapabilities", "GetCapabilities", "GetWsdlUrl", "GetHostname"), "PRE_AUTH"
    ),
    **dict.fromkeys(("GetEndpointReference", "GetSystemDateAndTime"), "PRE_AUTH"),
    **dict.fromkeys(("GetUsers", "GetSystemLog", "GetSystemBackup"), "READ_SYSTEM_SECRET"),
    **dict.fromkeys(("CreateUsers", "SetUser", "DeleteUsers", "SetScopes", "SetHashingAlgorithm"), "WRITE_SYSTEM"),
    **dict.fromkeys(("SystemReboot", "SetSystemFactoryDefault", "RestoreSystem"), "UNRECOVERABLE"),
    **dict.fromkeys(("GetDeviceInformation", "GetScopes", "GetNTP", "GetDiscoveryMode"), "READ_SYSTEM"),
    **dict.fromkeys(
        ("GetPasswordComplexityOptions", "GetPasswordComplexityConfiguration", "GetPasswordHistoryConfiguration"),
        "READ_SYSTEM",
    ),
    **dict.fromkeys(
        ("SetPasswordComplexityConfiguration", "SetPasswordHistoryConfiguration", "SetAuthFailureWarningConfiguration"),
        "WRITE_SYSTEM",
    ),
    # media, recordings, events
    **dict.fromkeys(("GetStreamUri", "GetReplayUri", "GetRecordings", "FindRecordings", "PullMessages"), "READ_MEDIA"),
    **dict.fromkeys(("SetReplayConfiguration", "SetRecordingJobMode"), "ACTUATE"),
}


@pytest.mark.parametrize("name", KNOWN)
def test_classes_that_surprise(name: str) -> None:
    found = {item.access.value for _, item in SERVED if item.request.__name__ == name}
    if not found:
        pytest.skip(f"{name} is not served")
    assert found == {KNOWN[name]}
