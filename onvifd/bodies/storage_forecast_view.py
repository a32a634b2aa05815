"""How far the archive reaches, for the API and the status page: implements web.storage_forecast.ForecastBackend."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from onvifd.bodies.archive_view import camera_of
from onvifd.clock import US, Clock
from onvifd.config import Config
from onvifd.errors import NotFound
from onvifd.store.catalogue import AsyncCatalogue
from onvifd.volumes import forecast
from onvifd.volumes.calculator import ChannelEstimate, estimated_bitrate
from onvifd.volumes.model import DEFAULT_GROUP, Mode, VolumeStatus, load_options
from onvifd.web.storage_forecast import DepthView, Forecast

FRESH = 30.0
"""Seconds that a forecast is good for: to make it, the segments of a day are counted."""


class StorageForecast:
    """`statuses` are the volumes as their keeper sees them."""

    def __init__(
        self,
        config: Config,
        catalogue: AsyncCatalogue,
        statuses: Callable[[], tuple[VolumeStatus, ...]],
        clock: Clock,
    ) -> None:
        self._config = config
        self._catalogue = catalogue
        self._statuses = statuses
        self._clock = clock
        self._last: tuple[float, Forecast] | None = None
        self._making = asyncio.Lock()

    async def forecast(self) -> Forecast:
        """See ForecastBackend."""
        async with self._making:
            now = self._clock.monotonic()
            if self._last is None or now - self._last[0] >= FRESH:
                made = await self._catalogue.run(self._make, self._statuses(), self._clock.utc())
                self._last = now, made
            return self._last[1]

    def _make(self, statuses: Sequence[VolumeStatus], now: int) -> Forecast:
        sync, archive = self._catalogue.sync, self._config.archive
        options = load_options(sync.settings)
        depths = forecast.depths(sync, now)
        groups = {rule.owner: rule.group for rule in sync.storage_rules.all()}
        ages = forecast.ages(sync)
        reaches = forecast.reaches(statuses, depths, groups, options, archive.reserve_percent / 100)
        days = {each.group: each.days for each in reaches}
        found = []
        for each in depths:
            group = groups.get(each.recording, DEFAULT_GROUP) if options.mode is Mode.GROUPS else None
            found.append(
                DepthView(
                    recording=each.recording,
                    camera=camera_of(each.recording),
                    earliest=each.earliest,
                    latest=each.latest,
                    bytes=each.bytes,
                    rate=each.rate,
                    recorded=each.recorded,
                    days=each.days(now),
                    will_reach=forecast.limited(days.get(group), each.recording, ages, archive.retention_seconds * US),
                )
            )
        return Forecast(utc=now, groups=reaches, recordings=tuple(found))

    async def capacity(self, volumes: Sequence[str] | None) -> int:
        """See ForecastBackend."""
        known = {each.id: each for each in self._statuses()}
        for volume in volumes or ():
            if volume not in known:
                raise NotFound(f"there is no volume {volume[:32]}")
        reserve = self._config.archive.reserve_percent / 100
        return sum(forecast.capacity(known[each], reserve) for each in (known if volumes is None else volumes))

    async def cameras(self, hours: float, alarm_rate: float) -> tuple[tuple[ChannelEstimate, ...], tuple[str, ...]]:
        """See ForecastBackend."""
        rows = await self._catalogue.run(self._catalogue.sync.cameras.all)
        found, unknown = [], []
        for camera in rows:
            stream = next(iter(camera.streams), None)
            rate = stream.bitrate * 1000.0 if stream is not None else 0.0
            if stream is not None and not rate and all((stream.width, stream.height, stream.framerate)):
                codec = stream.video_codec or "h264"
                rate = estimated_bitrate(stream.width, stream.height, stream.framerate, codec)
            if stream is None or not rate:
                unknown.append(camera.name)
                continue
            made = ChannelEstimate(name=camera.name, bitrate=rate + stream.audio_bitrate * 1000)
            found.append(replace(made, hours=hours, alarm_rate=alarm_rate))
        return tuple(found), tuple(unknown)
