"""Fixtures for tests of the examiner itself."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from conformance.discovery import Prober
from conformance.feature_set import Features
from conformance.model import Examination, Settings
from conformance.soap import SoapClient
from tests.conformance.little_device import Device


@pytest.fixture
async def device() -> AsyncIterator[Device]:
    made = Device()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/onvif/device_service"
    yield made
    await runner.cleanup()


@pytest.fixture
async def x(device: Device) -> AsyncIterator[Examination]:
    """An examination of that device."""
    settings = Settings(device.url, "admin", "Tele-scope47", message_timeout=1.0, operation_delay=0.0, case_timeout=5.0)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        soap = SoapClient(session, settings.user, settings.password, settings.message_timeout, {"tds": device.url})
        made = Examination(settings, soap, Features(), Prober("127.0.0.1"))
        made.masks.add(settings.password)
        soap.note = made.note
        yield made
