"""The API of storage: volumes, groups, quotas, ages, and what holds for all of them (`docs/api.md`).

Everything needs the right to storage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import web

from onvifd.access.permissions import Right
from onvifd.errors import InvalidArgument
from onvifd.volumes.model import MAX_DAYS, MAX_GROUP, Access, Mode, Options, VolumeStatus
from onvifd.web.archive_query import answer, read_json
from onvifd.web.guard import Guard, Handler, Visitor
from onvifd.web.recording_body import choice_of, names_of, only, whole_of

MAX_NAME = 64
MOST_BYTES = 1 << 60
FULL = ("overwrite", "stop")


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeView:
    """A volume. `fixed`: named in the settings file, which says its path and bound. Times are microseconds UTC of the footage on
    it; `writes` are the recordings that are written to it now."""

    status: VolumeStatus
    fixed: bool
    earliest: int | None
    latest: int | None
    writes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleView:
    """Where and how long something is kept: a recording, or the snapshots of a camera. `quota` is bytes, 0 for none; `days`
    None is as the settings say, 0 for ever."""

    owner: str
    camera: str | None
    name: str
    group: int
    quota: int
    days: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupView:
    """Volumes, and what is stored on them. `warning` says why nothing is."""

    group: int
    volumes: tuple[str, ...]
    owners: tuple[str, ...]
    warning: str


class StorageBackend(Protocol):
    """What storage is asked for. Everything that changes takes effect at once and is told to the audit log."""

    async def volumes(self) -> tuple[VolumeView, ...]: ...

    async def set_volume(self, volume: str, values: Mapping[str, Any], visitor: Visitor) -> None:
        """Columns name, access, max_bytes. Raises NotFound, Conflict for what the settings file says."""
        ...

    async def groups(self) -> tuple[GroupView, ...]: ...

    async def set_groups(self, volumes: Mapping[str, int], owners: Mapping[str, int], visitor: Visitor) -> None:
        """All or none. Raises NotFound, Conflict while there are quotas instead."""
        ...

    async def rules(self) -> tuple[RuleView, ...]: ...

    async def set_rules(self, owners: Sequence[str] | None, values: Mapping[str, Any], visitor: Visitor) -> None:
        """Columns quota, days; of all recordings for None. Raises NotFound, Conflict for quotas while there are groups."""
        ...

    async def options(self) -> Options: ...

    def retention_days(self) -> float | None:
        """Days that recordings without an age of their own are kept; None for ever."""
        ...

    async def set_options(self, values: Mapping[str, Any], visitor: Visitor) -> None:
        """Raises InvalidArgument."""
        ...


def needs_storage(handler: Handler) -> Handler:
    """Before anything else is looked at."""

    async def checked(request: web.Request, visitor: Visitor) -> web.StreamResponse:
        visitor.require(Right.STORAGE)
        return await handler(request, visitor)

    return checked


def add_routes(app: web.Application, backend: StorageBackend, guard: Guard) -> None:
    """Mount the API."""
    api = _Storage(backend)
    root = "/api/storage"
    for name, handler in (
        ("volumes", api.volumes),
        ("groups", api.groups),
        ("rules", api.rules),
        ("policy", api.policy),
    ):
        app.router.add_get(f"{root}/{name}", guard.reads(needs_storage(handler)))
    for name, handler in (
        ("volumes/{volume}", api.change_volume),
        ("groups", api.change_groups),
        ("rules", api.change_rules),
        ("policy", api.change_policy),
    ):
        app.router.add_patch(f"{root}/{name}", guard.changes(needs_storage(handler)))


class _Storage:
    def __init__(self, backend: StorageBackend) -> None:
        self._backend = backend

    # ---- volumes

    async def volumes(self, request: web.Request, visitor: Visitor) -> web.Response:
        """State, property, group, space, dates held, and what the disk says of itself."""
        return answer({"volumes": [volume_json(each) for each in await self._backend.volumes()]})

    async def change_volume(self, request: web.Request, visitor: Visitor) -> web.Response:
        """What is to change of `name`, `access`, `max_bytes` (0 for all but the reserve)."""
        volume = request.match_info["volume"][:64]
        given = only(await read_json(request, ("name", "access", "max_bytes")), ("name", "access", "max_bytes"))
        if "name" in given and not (
            isinstance(given["name"], str) and len(given["name"]) <= MAX_NAME and _printable(given["name"])
        ):
            raise InvalidArgument(f"name is a text of at most {MAX_NAME} characters")
        if "access" in given:
            choice_of(given, "access", tuple(Access))
        if "max_bytes" in given:
            whole_of(given, "max_bytes", 0, MOST_BYTES)
        await self._backend.set_volume(volume, given, visitor)
        (found,) = [each for each in await self._backend.volumes() if each.status.id == volume]
        return answer({"volume": volume_json(found)})

    # ---- what is stored where, for how long

    async def groups(self, request: web.Request, visitor: Visitor) -> web.Response:
        return answer({"groups": await self._backend.groups()})

    async def change_groups(self, request: web.Request, visitor: Visitor) -> web.Response:
        """`volumes` and `owners` (recordings, snapshots of cameras) with the numbers of their groups; others stay."""
        given = only(await read_json(request, ("volumes", "owners")), ("volumes", "owners"))
        volumes, owners = (_numbers(given, name) for name in ("volumes", "owners"))
        if not volumes and not owners:
            raise InvalidArgument("say which volumes or owners move")
        await self._backend.set_groups(volumes, owners, visitor)
        return answer({"groups": await self._backend.groups()})

    async def rules(self, request: web.Request, visitor: Visitor) -> web.Response:
        """Group, quota and age of each recording and of the snapshots of each camera."""
        return answer({"rules": await self._backend.rules(), "days": self._backend.retention_days()})

    async def change_rules(self, request: web.Request, visitor: Visitor) -> web.Response:
        """`owners` (or all), and what is to change of `quota` and `days` (1 to 360, 0 for ever, null as the settings say)."""
        body = await read_json(request, ("owners", "quota", "days"))
        given = only(body, ("quota", "days"))
        owners = names_of(body, "owners")
        if "quota" in given:
            whole_of(given, "quota", 0, MOST_BYTES)
        if given.get("days") is not None:
            whole_of(given, "days", 0, MAX_DAYS)
        await self._backend.set_rules(owners, given, visitor)
        return await self.rules(request, visitor)

    # ---- what holds for all

    async def policy(self, request: web.Request, visitor: Visitor) -> web.Response:
        """What happens to full volumes, groups or quotas, and what is worth an event."""
        options = await self._backend.options()
        return answer(
            {
                "policy": {
                    "full": FULL[0] if options.overwrite else FULL[1],
                    "mode": options.mode.value,
                    "low_percent": options.low_percent,
                    "critical_celsius": options.critical_celsius,
                }
            }
        )

    async def change_policy(self, request: web.Request, visitor: Visitor) -> web.Response:
        """What is to change of `full` (overwrite or stop), `mode` (groups or quotas), `low_percent`, `critical_celsius`."""
        names = ("full", "mode", "low_percent", "critical_celsius")
        given = only(await read_json(request, names), names)
        values: dict[str, Any] = {}
        if "full" in given:
            values["overwrite"] = choice_of(given, "full", FULL) == FULL[0]
        if "mode" in given:
            values["mode"] = Mode(choice_of(given, "mode", tuple(Mode)))
        if "low_percent" in given:
            low = given["low_percent"]
            if isinstance(low, bool) or not isinstance(low, int | float) or not 0 <= low <= 90:
                raise InvalidArgument("low_percent is 0 to 90")
            values["low_percent"] = float(low)
        if "critical_celsius" in given:
            values["critical_celsius"] = whole_of(given, "critical_celsius", 30, 100)
        await self._backend.set_options(values, visitor)
        return await self.policy(request, visitor)


def volume_json(volume: VolumeView) -> dict[str, Any]:
    """As the API gives it: without the uuid, with the attributes of the disk by name."""
    status, health = volume.status, volume.status.health
    disk = None
    if health is not None:
        disk = {
            "device": health.device,
            "model": health.model,
            "serial": health.serial,
            "passed": health.passed,
            "celsius": health.celsius,
            "hours": health.hours,
            "attributes": [
                dict(zip(("name", "value", "worst", "threshold", "raw"), each, strict=True))
                for each in health.attributes
            ],
        }
    return {
        "volume": status.id,
        "name": status.name,
        "path": status.path,
        "fixed": volume.fixed,
        "state": status.state.value,
        "reason": status.reason,
        "access": status.access.value,
        "group": status.group,
        "total": status.total,
        "free": status.free,
        "low": status.low,
        "max_bytes": status.max_bytes,
        "bytes": status.used,
        "segments": status.segments,
        "earliest": volume.earliest,
        "latest": volume.latest,
        "writes": volume.writes,
        "disk": disk,
    }


def _printable(text: str) -> bool:
    return not text or text.isprintable()


def _numbers(given: Mapping[str, Any], name: str) -> dict[str, int]:
    value = given.get(name, {})
    if not isinstance(value, dict) or len(value) > 1000:
        raise InvalidArgument(f"{name} has the number of a group by id")
    return {each: whole_of(value, each, 1, MAX_GROUP) for each in value}
