"""The API of recording: what an event of a channel records on others, and when snapshots are taken (`docs/api.md`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from aiohttp import web

from onvifd.access.permissions import Right
from onvifd.errors import InvalidArgument
from onvifd.recording.settings import MAX_DAYS, MAX_INTERVAL, MIN_INTERVAL
from onvifd.recording.types import CAUSES, STREAMS
from onvifd.store.rows import SnapshotPolicyRow
from onvifd.web.archive_query import answer, read_json
from onvifd.web.guard import Guard, Visitor
from onvifd.web.recording import Channels, ChannelView, RecordingBackend, cameras_of, said, words
from onvifd.web.recording_body import flag_of, names_of, only, stream_of, type_of, whole_of


def add_routes(app: web.Application, backend: RecordingBackend, guard: Guard) -> None:
    """Mount the API."""
    api = _Links(backend)
    root = "/api/recording"
    app.router.add_get(f"{root}/links", guard.reads(api.links))
    app.router.add_put(f"{root}/links", guard.changes(api.set_links))
    app.router.add_get(f"{root}/snapshots", guard.reads(api.snapshots))
    app.router.add_patch(f"{root}/snapshots", guard.changes(api.change_snapshots))


class _Links:
    def __init__(self, backend: RecordingBackend) -> None:
        self._backend = backend
        self._channels = Channels(backend)

    # ---- links

    async def links(self, request: web.Request, visitor: Visitor) -> web.Response:
        """Which other channels an event of a channel records as well."""
        channels = await self._channels.asked(request, visitor)
        return answer({"links": await self._links(channels)})

    async def _links(self, channels: Sequence[ChannelView]) -> list[dict[str, Any]]:
        found = (await self._backend.settings()).links
        return [
            {"channel": each.channel, "camera": each.camera, "type": kind, "targets": sorted(targets)}
            for each in channels
            for kind in CAUSES
            if (targets := found.get((each.camera, kind)))
        ]

    async def set_links(self, request: web.Request, visitor: Visitor) -> web.Response:
        """`channel`, `type` (of an event), `targets`: all of them, none ends it. One must be allowed to configure them all."""
        body = await read_json(request, ("channel", "type", "targets"))
        kind = type_of(body.get("type"))
        names = names_of(body, "channel", most=1)
        targets = () if body.get("targets") == [] else names_of(body, "targets")
        if names is None:
            raise InvalidArgument("name one channel")
        channels = await self._channels.named(names, visitor, Right.CONFIGURE)
        others = await self._channels.named(targets, visitor, Right.CONFIGURE)
        camera = channels[0].camera
        await self._backend.change(
            "link channels",
            f"channel {said(channels)}, {kind}: {said(others) or 'none'}",
            visitor,
            lambda changes: changes.set_links(camera, kind, cameras_of(others)),
        )
        return answer({"links": await self._links(channels)})

    # ---- snapshots

    async def snapshots(self, request: web.Request, visitor: Visitor) -> web.Response:
        """When snapshots of channels are taken; at which times of the week is in their schedule."""
        found = await self._snapshots(await self._channels.asked(request, visitor))
        return answer({"snapshots": found})

    async def _snapshots(self, channels: Sequence[ChannelView]) -> list[dict[str, Any]]:
        known = (await self._backend.settings()).snapshots
        rows = ((each, known.get(each.camera, SnapshotPolicyRow(camera=each.camera))) for each in channels)
        return [{"channel": each.channel, **asdict(row)} for each, row in rows]

    async def change_snapshots(self, request: web.Request, visitor: Visitor) -> web.Response:
        """`channels`, and what is to change of `enabled`, `stream`, `interval`, `event_interval`, `days`."""
        body = await read_json(request, ("channels", "enabled", "stream", "interval", "event_interval", "days"))
        given = only(body, ("enabled", "stream", "interval", "event_interval", "days"))
        values: dict[str, Any] = {}
        if "enabled" in given:
            values["enabled"] = flag_of(body, "enabled")
        if "stream" in given:
            values["stream"] = stream_of(body)
        for name, low, high in (
            ("interval", MIN_INTERVAL, MAX_INTERVAL),
            ("event_interval", 0, MAX_INTERVAL),
            ("days", 0, MAX_DAYS),
        ):
            if name in given:
                values[name] = whole_of(body, name, low, high)
        channels = await self._channels.named(names_of(body, "channels"), visitor, Right.CONFIGURE)
        for each in channels:
            if values.get("stream", STREAMS[0]) not in each.streams:
                raise InvalidArgument(f"channel {each.channel} has no such stream")
        known = (await self._backend.settings()).snapshots
        rows = [replace(known.get(each.camera, SnapshotPolicyRow(camera=each.camera)), **values) for each in channels]
        await self._backend.change(
            "set snapshots",
            f"channels {said(channels)}: {words(given)}",
            visitor,
            lambda changes: changes.set_snapshots(*rows),
        )
        return answer({"snapshots": await self._snapshots(channels)})
