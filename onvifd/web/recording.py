"""The API of recording: how it stands, modes, recording by hand, ready-made modes (`docs/api.md`).

Whoever may configure a channel sees and changes its settings; recording by hand, and the mode that records always, need the
right to record by hand (REC-14).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol, TypeVar

from aiohttp import web

from onvifd.access.permissions import Right, may
from onvifd.errors import Forbidden, NotFound
from onvifd.recording import schedule
from onvifd.recording.settings import Changes, Settings, with_mode
from onvifd.recording.status import RecordingStatus, recording_of
from onvifd.recording.types import MAX_POST, MAX_PRE, MIN_POST, STREAMS, Mode, Policy, ordered
from onvifd.web.archive_query import answer, read_json, several
from onvifd.web.guard import Guard, Visitor
from onvifd.web.recording_body import choice_of, flag_of, names_of, only, stream_of, whole_of

T = TypeVar("T")
OFFERED = 6
"""Ready-made modes that are offered at once; the others are advanced ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelView:
    """A channel that can be recorded."""

    camera: str
    channel: int
    name: str
    streams: tuple[str, ...]


class RecordingBackend(Protocol):
    """What recording is asked for."""

    async def channels(self) -> tuple[ChannelView, ...]:
        """All cameras, also those that are not in use at present, in channel order."""
        ...

    async def settings(self) -> Settings: ...

    def status(self) -> tuple[RecordingStatus, ...]: ...

    async def change(self, action: str, detail: str, visitor: Visitor, work: Callable[[Changes], T]) -> T:
        """Do `work` in a thread, have the recorder follow at once, and tell the audit log. Raises OnvifdError."""
        ...


class Channels:
    """The channels that requests name, and who may do what to them."""

    def __init__(self, backend: RecordingBackend) -> None:
        self._backend = backend

    async def named(self, names: Sequence[str] | None, visitor: Visitor, *rights: Right) -> tuple[ChannelView, ...]:
        """Channels by number or camera; all of them for None. Raises NotFound, Forbidden."""
        known = await self._backend.channels()
        by_name = {each.camera: each for each in known} | {str(each.channel): each for each in known}
        for name in names or ():
            if name not in by_name:
                raise NotFound(f"there is no channel {name[:32]}")
        found = known if names is None else tuple({by_name[name].camera: by_name[name] for name in names}.values())
        for each in found:
            for right in rights:
                visitor.require(right, each.camera)
        return found

    async def asked(self, request: web.Request, visitor: Visitor) -> tuple[ChannelView, ...]:
        """Those that a query names; without names those that the visitor may configure. Raises NotFound, Forbidden."""
        if names := several(request, "channel"):
            return await self.named(names, visitor, Right.CONFIGURE)
        known = await self._backend.channels()
        return tuple(each for each in known if may(visitor.account, Right.CONFIGURE, each.camera))


async def require_any(channels: Channels, visitor: Visitor) -> None:
    """What all channels share is shown to whoever may configure one. Raises Forbidden."""
    known = await channels.named(None, visitor)
    if not any(may(visitor.account, Right.CONFIGURE, each.camera) for each in known):
        visitor.require(Right.CONFIGURE)


def cameras_of(channels: Sequence[ChannelView]) -> tuple[str, ...]:
    return tuple(each.camera for each in channels)


def said(channels: Sequence[ChannelView]) -> str:
    """For the audit log."""
    return ", ".join(str(each.channel) for each in channels)


def add_routes(app: web.Application, backend: RecordingBackend, guard: Guard) -> None:
    """Mount the API."""
    api = _Recording(backend)
    root = "/api/recording"
    app.router.add_get(f"{root}/status", guard.reads(api.status))
    app.router.add_get(f"{root}/policies", guard.reads(api.policies))
    app.router.add_patch(f"{root}/policies", guard.changes(api.change_policies))
    app.router.add_post(f"{root}/manual", guard.changes(api.by_hand))
    app.router.add_get(f"{root}/one-click", guard.reads(api.one_clicks))
    app.router.add_post(f"{root}/one-click", guard.changes(api.one_click))


class _Recording:
    def __init__(self, backend: RecordingBackend) -> None:
        self._backend = backend
        self._channels = Channels(backend)

    # ---- how it stands

    async def status(self, request: web.Request, visitor: Visitor) -> web.Response:
        """Each recording: whether it is written, for what, and why not. For who sees or plays the channel."""
        asked = several(request, "channel")
        known = await self._channels.named(asked or None, visitor)
        fixed = {recording_of(each.camera, stream): each for each in known for stream in STREAMS}
        found = []
        for each in self._backend.status():
            channel = fixed.get(each.recording)
            if channel is None and asked:
                continue
            # What clients record may hold any camera: it is for those who may all.
            camera = channel.camera if channel is not None else None
            if any(may(visitor.account, right, camera) for right in (Right.LIVE, Right.PLAYBACK)):
                found.append(
                    asdict(each)
                    | {
                        "camera": camera,
                        "channel": channel.channel if channel is not None else None,
                        "name": channel.name if channel is not None else "",
                    }
                )
            elif asked:
                raise Forbidden(f"the account may not: {Right.LIVE}")
        return answer({"recordings": found})

    # ---- modes

    async def policies(self, request: web.Request, visitor: Visitor) -> web.Response:
        """How each stream is set to be recorded, and what may be set."""
        found = await self._policies(await self._channels.asked(request, visitor))
        bounds = {"pre": [0, MAX_PRE], "post": [MIN_POST, MAX_POST], "mode": list(Mode), "stream": list(STREAMS)}
        return answer({"policies": found, "bounds": bounds})

    async def _policies(self, channels: Sequence[ChannelView]) -> list[dict[str, Any]]:
        policies = (await self._backend.settings()).policies
        return [
            {"channel": each.channel, **asdict(policy)}
            for each in channels
            for stream in each.streams
            if (policy := policies.get((each.camera, stream))) is not None
        ]

    async def change_policies(self, request: web.Request, visitor: Visitor) -> web.Response:
        """`channels`, `stream`, and what is to change of `mode`, `pre`, `post`, `audio`, `redundant`; all channels or none."""
        body = await read_json(request, ("channels", "stream", "mode", "pre", "post", "audio", "redundant"))
        stream = stream_of(body)
        given = only(body, ("mode", "pre", "post", "audio", "redundant"))
        mode = Mode(choice_of(body, "mode", tuple(Mode))) if "mode" in given else None
        values: dict[str, Any] = {name: flag_of(body, name) for name in ("audio", "redundant") if name in given}
        if "pre" in given:
            values["pre"] = whole_of(body, "pre", 0, MAX_PRE)
        if "post" in given:
            values["post"] = whole_of(body, "post", MIN_POST, MAX_POST)
        rights = (Right.CONFIGURE, *((Right.RECORD,) if mode is Mode.MANUAL else ()))
        channels = await self._channels.named(names_of(body, "channels"), visitor, *rights)

        def change(known: Policy) -> Policy:
            made = replace(known, **values)
            return made if mode is None else with_mode(made, mode)

        await self._backend.change(
            "set recording",
            f"channels {said(channels)} {stream}: {words(given)}",
            visitor,
            lambda changes: changes.policies(change, cameras_of(channels), stream),
        )
        return answer({"policies": await self._policies(channels)})

    async def by_hand(self, request: web.Request, visitor: Visitor) -> web.Response:
        """`channels`, `stream`, `on`: record now whatever schedules say, or no longer."""
        body = await read_json(request, ("channels", "stream", "on"))
        stream, on = stream_of(body), flag_of(body, "on")
        channels = await self._channels.named(names_of(body, "channels"), visitor, Right.RECORD)
        await self._backend.change(
            "start recording" if on else "stop recording",
            f"channels {said(channels)} {stream}, by hand",
            visitor,
            lambda changes: changes.set_manual(cameras_of(channels), stream, on),
        )
        return answer({"policies": [each for each in await self._policies(channels) if each["stream"] == stream]})

    async def one_clicks(self, request: web.Request, visitor: Visitor) -> web.Response:
        """The ready-made modes."""
        await require_any(self._channels, visitor)
        return answer(
            {
                "modes": [
                    {
                        "name": name,
                        "types": list(ordered(schedule.one_click(name).types())),
                        "advanced": number >= OFFERED,
                    }
                    for number, name in enumerate(schedule.ONE_CLICK)
                ]
            }
        )

    async def one_click(self, request: web.Request, visitor: Visitor) -> web.Response:
        """`channels`, `mode`: day and night by a ready-made mode; other schedules of these channels are given up."""
        body = await read_json(request, ("channels", "mode"))
        name = choice_of(body, "mode", schedule.ONE_CLICK)
        channels = await self._channels.named(names_of(body, "channels"), visitor, Right.CONFIGURE)
        await self._backend.change(
            "set recording mode",
            f"channels {said(channels)}: {name}",
            visitor,
            lambda changes: changes.one_click(cameras_of(channels), schedule.one_click(name)),
        )
        return answer({"policies": await self._policies(channels)})


def words(values: dict[str, Any]) -> str:
    """For the audit log."""
    return ", ".join(f"{name} {value}" for name, value in values.items())
