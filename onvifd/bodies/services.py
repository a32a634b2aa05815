"""What the recorder offers by HTTP: all ONVIF services, and the pages and APIs beside them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from onvifd.access.digest import DigestVerifier
from onvifd.archive.index import SegmentStore
from onvifd.bodies.access import AccessControl
from onvifd.bodies.archive_parts import ArchiveParts
from onvifd.bodies.console import Console
from onvifd.bodies.device_parts import DeviceParts
from onvifd.bodies.events_parts import EventParts
from onvifd.bodies.footage_parts import FootageParts
from onvifd.bodies.media_control import MediaParts
from onvifd.bodies.recorder import Recorder
from onvifd.bodies.recorder_search import RecorderSearch
from onvifd.bodies.recorder_status import RecorderStatus
from onvifd.bodies.recording_parts import RecordingParts
from onvifd.bodies.recording_wiring import RecordingWiring
from onvifd.bodies.settings_parts import SettingsParts
from onvifd.bodies.tls import Tls
from onvifd.clock import Clock
from onvifd.config import Config
from onvifd.events.bus import EventBus
from onvifd.events.store import EventStore
from onvifd.onvif.device_backend import DeviceControl
from onvifd.onvif.services import device_files
from onvifd.onvif.services.common import ServiceRegistry
from onvifd.onvif.services.device import DeviceService
from onvifd.onvif.services.events import EventService
from onvifd.onvif.services.media import MediaService
from onvifd.onvif.services.media2 import Media2Service
from onvifd.onvif.services.receiver import ReceiverService
from onvifd.onvif.services.recording import RecordingService
from onvifd.onvif.services.replay import ReplayService
from onvifd.onvif.services.search import SearchService
from onvifd.onvif.services.security import SecurityService
from onvifd.onvif.soap.dispatch import Service
from onvifd.web import certificate, console, status
from onvifd.web.guard import Guard
from onvifd.workers.cluster import Cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of a recorder that services and pages stand on. `rtsps_port` is where RTSPS is served, if it
    is."""

    config: Config
    clock: Clock
    bus: EventBus
    segments: SegmentStore
    spans: EventStore
    executor: Executor
    recorder: Recorder
    cluster: Cluster
    access: AccessControl
    device: DeviceParts
    archive: ArchiveParts
    events: EventParts
    when: RecordingParts
    recording: RecordingWiring
    media: MediaParts
    footage: FootageParts
    settings: SettingsParts
    tls: Tls
    rtsps_port: Callable[[], int | None]


@dataclass(frozen=True, slots=True)
class Offered:
    """All services. `events` and `searches` hold requests open: whoever has this closes them."""

    services: tuple[Service, ...]
    events: EventService
    searches: SearchService
    pages: Callable[[web.Application, DigestVerifier], None]


async def offered(parts: Parts) -> Offered:
    """Make every service of a recorder, and make them known to each other."""
    config, recorder = parts.config, parts.recorder
    page = RecorderStatus(
        recorder,
        parts.cluster,
        parts.segments,
        parts.archive,
        parts.executor,
        parts.clock,
        parts.when.director.status,
        parts.settings.forecast,
    )

    async def record_all(active: bool) -> None:
        for job in recorder.jobs():
            if job.fixed:
                await recorder.set_job_mode(job.token, active)

    control = await parts.device.control(parts.access, parts.bus, parts.archive.volumes, page.report, record_all)
    parts.recording.storage = control.storage
    await parts.events.start()
    parts.device.tell(parts.events.monitor)
    search = RecorderSearch(recorder, parts.segments, parts.spans, parts.executor, parts.footage.volumes)
    events = await parts.events.service()
    searches = SearchService(search, recorder, parts.clock, parts.events.topics, max_searches=config.limits.searches)
    registry = ServiceRegistry()
    device = DeviceService(
        recorder,
        registry,
        discovery=config.network.discovery,
        ipv6=":" in config.network.host,
        users=parts.access,
        control=control,
    )
    others = (
        *_media(parts),
        events,
        RecordingService(parts.recording.control, parts.recording.export, search),
        ReceiverService(parts.recording.receivers),
        searches,
        ReplayService(recorder, recorder, reverse=True),
        SecurityService(parts.tls.manager, lambda: recorder.ports().https is not None),
    )
    for service in others:
        registry.add(service)
    return Offered((device, *others), events, searches, _pages(parts, page, control))


def _media(parts: Parts) -> tuple[MediaService | Media2Service, ...]:
    topics = tuple(topic.name for topic in parts.events.topics)
    shown: dict[str, Any] = {"multicast": True, "secure": parts.rtsps_port, "topics": topics}
    return tuple(kind(parts.recorder, parts.recorder, parts.media, **shown) for kind in (MediaService, Media2Service))


def _pages(
    parts: Parts, page: RecorderStatus, control: DeviceControl
) -> Callable[[web.Application, DigestVerifier], None]:
    """Mounts everything that is no service."""
    signed_in = Console(parts.access, parts.clock, parts.recorder)

    def mount(app: web.Application, verifier: DigestVerifier) -> None:
        guard = Guard(verifier, signed_in)
        status.add_routes(app, page, guard)
        console.add_routes(app, signed_in, guard)
        parts.footage.add_routes(app, guard)
        parts.settings.add_routes(app, guard)
        certificate.add_routes(app, parts.tls)
        device_files.add_routes(app, device_files.SystemFiles(control.system, verifier, parts.clock))

    return mount
