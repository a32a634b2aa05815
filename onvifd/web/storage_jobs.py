"""The API of storage, work on volumes: check, repair, initialise, as jobs that can be watched and stopped (`docs/api.md`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from aiohttp import web

from onvifd.archive.doctor import Depth
from onvifd.errors import InvalidArgument
from onvifd.web.archive_query import answer, id_of, read_json, text_of
from onvifd.web.guard import Guard, Visitor
from onvifd.web.recording_body import choice_of, names_of
from onvifd.web.storage import needs_storage


class JobKind(StrEnum):
    CHECK = "check"
    """Files and index are held against each other; nothing is changed."""
    REPAIR = "repair"
    """What a check finds is put right."""
    INITIALISE = "initialise"
    """All footage of a volume is deleted and it is made anew."""


class JobState(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job. `done` of `total` segment files were looked at; `findings` is what was found first, of `found` in all. Times are
    microseconds UTC; `result` is for people."""

    id: int
    kind: JobKind
    volumes: tuple[str, ...]
    depth: Depth
    state: JobState
    account: str
    began: int
    ended: int | None
    done: int
    total: int
    found: int
    result: str
    findings: tuple[dict[str, str], ...] = field(default=())
    left: tuple[str, ...] = field(default=())


class JobsBackend(Protocol):
    """Work on volumes; one job at a time."""

    async def start(self, kind: JobKind, volumes: Sequence[str] | None, depth: Depth, visitor: Visitor) -> JobView:
        """Of all volumes for None. Raises NotFound, Conflict while another one runs or for what may not be erased."""
        ...

    def jobs(self) -> tuple[JobView, ...]:
        """Those that are remembered, the newest first."""
        ...

    def job(self, job: int) -> JobView:
        """Raises NotFound."""
        ...

    async def stop(self, job: int, visitor: Visitor) -> JobView:
        """Raises NotFound, Conflict if it is past the point where it can be stopped."""
        ...


def confirmation(volume: str) -> str:
    """What somebody has to type who wants a volume to be made anew."""
    return f"erase {volume}"


def add_routes(app: web.Application, backend: JobsBackend, guard: Guard) -> None:
    """Mount the API."""
    api = _Jobs(backend)
    root, one = "/api/storage/jobs", r"/api/storage/jobs/{id:\d{1,18}}"
    app.router.add_get(root, guard.reads(needs_storage(api.jobs)))
    app.router.add_post(root, guard.changes(needs_storage(api.start)))
    app.router.add_get(one, guard.reads(needs_storage(api.job)))
    app.router.add_delete(one, guard.changes(needs_storage(api.stop)))


class _Jobs:
    def __init__(self, backend: JobsBackend) -> None:
        self._backend = backend

    async def jobs(self, request: web.Request, visitor: Visitor) -> web.Response:
        """All that are remembered, without what they found."""
        found: list[dict[str, Any]] = []
        for each in self._backend.jobs():
            fields = asdict(each)
            del fields["findings"], fields["left"]
            found.append(fields)
        return answer({"jobs": found})

    async def job(self, request: web.Request, visitor: Visitor) -> web.Response:
        """One, with what it found."""
        return answer({"job": self._backend.job(id_of(request))})

    async def start(self, request: web.Request, visitor: Visitor) -> web.Response:
        """`kind`, `volumes` (or all), `depth`; to initialise one volume `confirm` must say `erase` and its id."""
        body = await read_json(request, ("kind", "volumes", "depth", "confirm"))
        kind = JobKind(choice_of(body, "kind", tuple(JobKind)))
        volumes = names_of(body, "volumes", most=64)
        usual = Depth.QUICK if kind is JobKind.CHECK else Depth.BOXES
        depth = Depth(choice_of(body, "depth", tuple(Depth), usual))
        confirm = text_of(body, "confirm", 100)
        if kind is JobKind.REPAIR and depth is Depth.QUICK:
            raise InvalidArgument(f"a repair looks at {Depth.BOXES} or at all ({Depth.FULL})")
        if kind is JobKind.INITIALISE:
            if volumes is None or len(volumes) != 1:
                raise InvalidArgument("name one volume")
            if confirm != confirmation(volumes[0]):
                raise InvalidArgument(f"confirm must say: {confirmation(volumes[0])}")
        elif confirm:
            raise InvalidArgument("there is nothing to confirm")
        return answer({"job": await self._backend.start(kind, volumes, depth, visitor)}, 202)

    async def stop(self, request: web.Request, visitor: Visitor) -> web.Response:
        """What was done stays done."""
        return answer({"job": await self._backend.stop(id_of(request), visitor)}, 202)
