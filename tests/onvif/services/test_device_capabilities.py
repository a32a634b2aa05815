"""GetServices and GetCapabilities with every service mounted: complete, consistent, nothing that is not served."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from lxml import etree

from onvifd.clock import SimulatedClock
from onvifd.events.bus import EventBus
from onvifd.onvif.services.common import VERSIONS, ServiceRegistry
from onvifd.onvif.services.device import DeviceService
from onvifd.onvif.services.events import EventService
from onvifd.onvif.services.media import MediaService
from onvifd.onvif.services.media2 import Media2Service
from onvifd.onvif.services.recording import RecordingService
from onvifd.onvif.services.replay import ReplayService
from onvifd.onvif.services.search import SearchService
from onvifd.onvif.types import tds, tt

TDS = "{http://www.onvif.org/ver10/device/wsdl}"
TT = "{http://www.onvif.org/ver10/schema}"


@pytest.fixture
def recorder(body: Any, client: Callable[..., Any]) -> Any:
    clock = SimulatedClock()
    registry = ServiceRegistry()
    services = [
        DeviceService(body, registry),
        MediaService(body, body),
        Media2Service(body, body),
        EventService(EventBus(clock), clock, ()),
        RecordingService(body, body, body),
        SearchService(body, body, clock, ()),
        ReplayService(body, body),
    ]
    for service in services[1:]:
        registry.add(service)
    return SimpleNamespace(client=client(*services), services=services)


@pytest.mark.covers(
    *("G-GetServices", "G-device-GetServiceCapabilities", "G-event-GetServiceCapabilities"),
    *("G-media-GetServiceCapabilities", "G-recording-GetServiceCapabilities", "G-replay-GetServiceCapabilities"),
    *("G-search-GetServiceCapabilities", "M-GetServices", "M-device-GetServiceCapabilities"),
    *("M-event-GetServiceCapabilities", "M-media2-GetServiceCapabilities", "T-GetServices"),
    *("T-device-GetServiceCapabilities", "T-event-GetServiceCapabilities", "T-media2-GetServiceCapabilities"),
)
async def test_every_service_is_announced_with_its_own_capabilities(recorder: Any) -> None:
    answer = await recorder.client.ask(tds.GetServices(include_capability=True), None)
    announced = list(answer.iter(f"{TDS}Service"))
    assert [item.findtext(f"{TDS}Namespace") for item in announced] == [item.namespace for item in recorder.services]
    for item, service in zip(announced, recorder.services, strict=True):
        assert item.findtext(f"{TDS}XAddr") == f"http://192.0.2.10:8080{service.path}"
        version = tuple(int(part.text) for part in item.find(f"{TDS}Version"))
        assert version == VERSIONS[service.namespace]
        (embedded,) = item.find(f"{TDS}Capabilities")
        own = await recorder.client.ask(f'<x:GetServiceCapabilities xmlns:x="{service.namespace}"/>', None)
        assert etree.tostring(embedded, method="c14n", exclusive=True) == etree.tostring(
            own[0], method="c14n", exclusive=True
        )


@pytest.mark.covers("S-GetCapabilities")
async def test_capabilities_of_all_services_name_the_same_addresses(recorder: Any) -> None:
    services = await recorder.client.ask(tds.GetServices(include_capability=False), None)
    addresses = {item.findtext(f"{TDS}XAddr") for item in services}
    capabilities = (await recorder.client.ask(tds.GetCapabilities(), None))[0]
    found = [element.text for element in capabilities.iter(f"{TT}XAddr")]
    # Media2 has no branch: GetCapabilities is older than it.
    assert addresses - set(found) == {"http://192.0.2.10:8080/onvif/media2_service"}
    assert len(found) == len(recorder.services) - 1
    extension = [etree.QName(child).localname for child in capabilities.find(f"{TT}Extension")]
    assert extension == ["Recording", "Search", "Replay"]
    recording = capabilities.find(f"{TT}Extension/{TT}Recording")
    assert recording.findtext(f"{TT}MediaProfileSource") == "true"
    assert recording.findtext(f"{TT}ReceiverSource") == "false"


async def test_events_branch_alone(recorder: Any) -> None:
    request = tds.GetCapabilities(category=(tt.CapabilityCategory.EVENTS,))
    capabilities = (await recorder.client.ask(request, None))[0]
    assert [etree.QName(child).localname for child in capabilities] == ["Events"]
    assert capabilities.findtext(f"{TT}Events/{TT}WSPullPointSupport") == "true"
