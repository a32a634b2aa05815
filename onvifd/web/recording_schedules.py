"""The API of recording, times: schedules of channels, named schedules, holidays (`docs/api.md`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from aiohttp import web

from onvifd.access.permissions import Right, may
from onvifd.errors import InvalidArgument, NotFound
from onvifd.recording.holidays import Holiday, parse_date
from onvifd.recording.schedule import FIXED, MAX_NAME, ROWS, NamedSchedule, check_name
from onvifd.recording.settings import Settings
from onvifd.store.schedules import VIDEO
from onvifd.web.archive_query import answer, read_json, text_of
from onvifd.web.guard import Guard, Visitor
from onvifd.web.recording import Channels, ChannelView, RecordingBackend, cameras_of, require_any, said
from onvifd.web.recording_body import (
    assigned_of,
    choice_of,
    days_of,
    flag_of,
    names_of,
    only,
    purpose_of,
    rows_of,
    week_json,
    week_of,
)

HOLIDAY_FIELDS = ("name", "first", "last", "yearly", "enabled")


def add_routes(app: web.Application, backend: RecordingBackend, guard: Guard) -> None:
    """Mount the API."""
    api = _Schedules(backend)
    root = "/api/recording"
    app.router.add_get(f"{root}/schedules", guard.reads(api.schedules))
    app.router.add_put(f"{root}/schedules", guard.changes(api.put_weeks))
    app.router.add_patch(f"{root}/schedules", guard.changes(api.change_days))
    app.router.add_put(f"{root}/schedules/assigned", guard.changes(api.assign))
    app.router.add_post(f"{root}/schedules/copy", guard.changes(api.copy))
    app.router.add_post(f"{root}/schedules/copy-day", guard.changes(api.copy_day))
    app.router.add_get(f"{root}/named", guard.reads(api.named))
    app.router.add_put(f"{root}/named/{{name}}", guard.changes(api.put_named))
    app.router.add_delete(f"{root}/named/{{name}}", guard.changes(api.remove_named))
    app.router.add_get(f"{root}/holidays", guard.reads(api.holidays))
    app.router.add_post(f"{root}/holidays", guard.changes(api.add_holiday))
    app.router.add_patch(f"{root}/holidays/{{name}}", guard.changes(api.change_holiday))
    app.router.add_delete(f"{root}/holidays/{{name}}", guard.changes(api.remove_holiday))


def _name_of(request: web.Request) -> str:
    return request.match_info["name"][: 4 * MAX_NAME]


class _Schedules:
    def __init__(self, backend: RecordingBackend) -> None:
        self._backend = backend
        self._channels = Channels(backend)

    # ---- of channels

    async def schedules(self, request: web.Request, visitor: Visitor) -> web.Response:
        """The weeks of channels for video, or with `purpose=snapshot` for snapshots."""
        purpose = purpose_of({name: value for name, value in request.query.items() if name == "purpose"})
        return await self._shown(await self._channels.asked(request, visitor), purpose)

    async def _shown(self, channels: Sequence[ChannelView], purpose: str) -> web.Response:
        settings = await self._backend.settings()
        return answer({"schedules": [_shown(settings, each, purpose) for each in channels]})

    async def put_weeks(self, request: web.Request, visitor: Visitor) -> web.Response:
        """`channels`, `purpose`, `week`: the whole week."""
        body = await read_json(request, ("channels", "purpose", "week"))
        purpose, week = purpose_of(body), week_of(body.get("week"), typed=True)
        channels = await self._channels.named(names_of(body, "channels"), visitor, Right.CONFIGURE)
        await self._backend.change(
            "set schedule",
            f"channels {said(channels)} {purpose}: the week",
            visitor,
            lambda changes: changes.set_week(cameras_of(channels), week, purpose),
        )
        return await self._shown(channels, purpose)

    async def change_days(self, request: web.Request, visitor: Visitor) -> web.Response:
        """`channels`, `purpose`, `days`: rows of the week that change; `holiday` null is a day like others."""
        body = await read_json(request, ("channels", "purpose", "days"))
        purpose, rows = purpose_of(body), rows_of(body.get("days"), typed=True)
        channels = await self._channels.named(names_of(body, "channels"), visitor, Right.CONFIGURE)
        await self._backend.change(
            "set schedule",
            f"channels {said(channels)} {purpose}: {', '.join(ROWS[each] for each in rows)}",
            visitor,
            lambda changes: changes.set_rows(cameras_of(channels), rows, purpose),
        )
        return await self._shown(channels, purpose)

    async def assign(self, request: web.Request, visitor: Visitor) -> web.Response:
        """`channels`, `assigned`: named schedules by record type, null for never; a type left out has the channel's own times."""
        body = await read_json(request, ("channels", "assigned"))
        assigned = assigned_of(body.get("assigned"))
        channels = await self._channels.named(names_of(body, "channels"), visitor, Right.CONFIGURE)
        words = ", ".join(f"{kind} {name or 'never'}" for kind, name in assigned.items())
        await self._backend.change(
            "set schedule",
            f"channels {said(channels)}: {words or 'their own times'}",
            visitor,
            lambda changes: changes.set_assigned(cameras_of(channels), assigned),
        )
        return await self._shown(channels, VIDEO)

    async def copy(self, request: web.Request, visitor: Visitor) -> web.Response:
        """`from` a channel to the others in `channels`, named schedules included; `purpose`."""
        body = await read_json(request, ("from", "channels", "purpose"))
        purpose, source = purpose_of(body), names_of(body, "from", most=1)
        if source is None:
            raise InvalidArgument("from is one channel")
        (origin,) = await self._channels.named(source, visitor, Right.CONFIGURE)
        channels = await self._channels.named(names_of(body, "channels"), visitor, Right.CONFIGURE)
        await self._backend.change(
            "set schedule",
            f"channels {said(channels)} {purpose}: as channel {origin.channel}",
            visitor,
            lambda changes: changes.copy_week(origin.camera, cameras_of(channels), purpose),
        )
        return await self._shown(channels, purpose)

    async def copy_day(self, request: web.Request, visitor: Visitor) -> web.Response:
        """`from` a day to the `days` of the same channel, for each of `channels`; `purpose`."""
        body = await read_json(request, ("channels", "purpose", "from", "days"))
        purpose = purpose_of(body)
        source = ROWS.index(choice_of(body, "from", ROWS))
        days = days_of(body.get("days"), "days")
        channels = await self._channels.named(names_of(body, "channels"), visitor, Right.CONFIGURE)
        await self._backend.change(
            "set schedule",
            f"channels {said(channels)} {purpose}: {', '.join(ROWS[each] for each in days)} as {ROWS[source]}",
            visitor,
            lambda changes: changes.copy_row(cameras_of(channels), source, days, purpose),
        )
        return await self._shown(channels, purpose)

    # ---- named

    async def named(self, request: web.Request, visitor: Visitor) -> web.Response:
        """The named schedules, and which channels use them."""
        await require_any(self._channels, visitor)
        settings = await self._backend.settings()
        users: dict[str, list[str]] = {}
        for camera, assigned in settings.assigned.items():
            for name in {each for each in assigned.values() if each is not None}:
                if may(visitor.account, Right.CONFIGURE, camera):
                    users.setdefault(name, []).append(camera)
        return answer({"named": [_named(each, users.get(each.name, ())) for each in settings.named.values()]})

    async def put_named(self, request: web.Request, visitor: Visitor) -> web.Response:
        """`week`, without record types: makes or changes a named schedule. For who may configure all channels."""
        visitor.require(Right.CONFIGURE)
        name = check_name(_name_of(request))
        body = await read_json(request, ("week",))
        made = NamedSchedule(name, week_of(body.get("week"), typed=False))
        await self._backend.change("set named schedule", name, visitor, lambda changes: changes.put_named(made))
        return answer({"named": _named(made, ())})

    async def remove_named(self, request: web.Request, visitor: Visitor) -> web.Response:
        """One that no channel uses."""
        visitor.require(Right.CONFIGURE)
        name = _name_of(request)
        await self._backend.change("delete named schedule", name, visitor, lambda changes: changes.remove_named(name))
        return web.Response(status=204)

    # ---- holidays

    async def holidays(self, request: web.Request, visitor: Visitor) -> web.Response:
        """Days on which the row of holidays holds."""
        await require_any(self._channels, visitor)
        return answer({"holidays": [_holiday(each) for each in (await self._backend.settings()).holidays]})

    async def add_holiday(self, request: web.Request, visitor: Visitor) -> web.Response:
        """`name`, `first`, `last` (the first day if left out), `yearly`, `enabled`. For who may configure all channels."""
        visitor.require(Right.CONFIGURE)
        body = await read_json(request, HOLIDAY_FIELDS)
        name = check_name(text_of(body, "name", 4 * MAX_NAME))
        made = _changed(Holiday(name=name, first=_day(body, "first"), last=_day(body, "first")), body)
        await self._backend.change("add holiday", name, visitor, lambda changes: changes.add_holiday(made))
        return answer({"holiday": await self._holiday(name)}, 201)

    async def change_holiday(self, request: web.Request, visitor: Visitor) -> web.Response:
        """What is to change of `first`, `last`, `yearly`, `enabled`."""
        visitor.require(Right.CONFIGURE)
        name = _name_of(request)
        body = only(await read_json(request, HOLIDAY_FIELDS[1:]), HOLIDAY_FIELDS[1:])
        words = ", ".join(f"{key} {value}" for key, value in body.items())
        await self._backend.change(
            "change holiday",
            f"{name}: {words}",
            visitor,
            lambda changes: changes.change_holiday(name, lambda known: _changed(known, body)),
        )
        return answer({"holiday": await self._holiday(name)})

    async def _holiday(self, name: str) -> dict[str, Any]:
        for each in (await self._backend.settings()).holidays:
            if each.name == name:
                return _holiday(each)
        raise NotFound(f"there is no holiday {name}")

    async def remove_holiday(self, request: web.Request, visitor: Visitor) -> web.Response:
        visitor.require(Right.CONFIGURE)
        name = _name_of(request)
        await self._backend.change("delete holiday", name, visitor, lambda changes: changes.remove_holiday(name))
        return web.Response(status=204)


def _shown(settings: Settings, channel: ChannelView, purpose: str) -> dict[str, Any]:
    assigned = settings.assigned.get(channel.camera, {}) if purpose == VIDEO else {}
    return {
        "channel": channel.channel,
        "camera": channel.camera,
        "purpose": purpose,
        "own": (channel.camera, purpose) in settings.weeks,
        "week": week_json(settings.week(channel.camera, purpose)),
        "assigned": {kind.value: name for kind, name in assigned.items()},
    }


def _named(schedule: NamedSchedule, users: Sequence[str]) -> dict[str, Any]:
    return {
        "name": schedule.name,
        "fixed": schedule.name == FIXED,
        "week": week_json(schedule.week),
        "cameras": sorted(users),
    }


def _holiday(holiday: Holiday) -> dict[str, Any]:
    return {
        "name": holiday.name,
        "first": holiday.first.isoformat(),
        "last": holiday.last.isoformat(),
        "yearly": holiday.yearly,
        "enabled": holiday.enabled,
    }


def _day(body: Mapping[str, Any], name: str) -> Any:
    value = body.get(name)
    if not isinstance(value, str):
        raise InvalidArgument(f"{name} is a day like 2026-12-24")
    return parse_date(value)


def _changed(known: Holiday, body: Mapping[str, Any]) -> Holiday:
    values: dict[str, Any] = {name: _day(body, name) for name in ("first", "last") if name in body}
    values |= {name: flag_of(body, name) for name in ("yearly", "enabled") if name in body}
    return replace(known, **values)
