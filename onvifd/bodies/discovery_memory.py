"""What a body has announced, kept among the settings of the catalogue."""

from __future__ import annotations

import logging

import msgspec

from onvifd.onvif.discovery.control import Announced
from onvifd.store.catalogue import AsyncCatalogue

log = logging.getLogger(__name__)

SETTING = "discovery.announced"


class SettingsMemory:
    """`DiscoveryMemory` in the catalogue."""

    def __init__(self, catalogue: AsyncCatalogue) -> None:
        self._catalogue = catalogue

    async def recall(self) -> Announced | None:
        text = await self._catalogue.run(self._catalogue.sync.settings.get, SETTING)
        if text is None:
            return None
        try:
            return msgspec.json.decode(text.encode(), type=Announced)
        except msgspec.DecodeError as error:
            log.warning("setting %s is damaged and begins anew: %s", SETTING, error)
            return None

    async def keep(self, announced: Announced) -> None:
        text = msgspec.json.encode(announced).decode()
        await self._catalogue.run(self._catalogue.sync.settings.put, SETTING, text)
