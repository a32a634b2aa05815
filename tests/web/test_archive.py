"""The API of the archive over HTTP, on a real catalogue with footage, spans, events, tags, locks and pictures."""

from __future__ import annotations

import io
import zipfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from onvifd.access.console_sessions import ConsoleSession, ConsoleSessions
from onvifd.access.permissions import VIEWERS, ConsoleAccount, Permissions
from onvifd.access.sessions import SessionRegistry
from onvifd.access.types import Level
from onvifd.archive.catalogue_index import CatalogueSegmentStore
from onvifd.archive.disk import Volume
from onvifd.archive.index import EndReason, FragmentFlag, SegmentRow, SegmentState
from onvifd.bodies.archive_marks import ArchiveMarks
from onvifd.bodies.archive_view import ArchiveView, camera_of
from onvifd.clock import US, SimulatedClock
from onvifd.errors import LimitReached, NotFound
from onvifd.events import topics
from onvifd.events.catalogue_store import CatalogueEventStore
from onvifd.media.types import Codec, TrackFormat
from onvifd.onvif.backend import Recording, SystemTime
from onvifd.recording import pictures as files
from onvifd.recording.types import RecordType
from onvifd.store.catalogue import AsyncCatalogue, Catalogue
from onvifd.store.rows import SnapshotRow
from onvifd.volumes.model import Access, VolumeState, VolumeStatus
from onvifd.web import archive, archive_marks
from onvifd.web.archive_marks import Thumbnail
from onvifd.web.guard import Guard
from tests.web.digest import Digest, Visitors

T0 = 1_767_225_600 * US
"""2026-01-01T00:00:00Z."""
MINUTE, HOUR = 60 * US, 3600 * US
ONE, TWO = "cam-11111111", "cam-22222222"
REC1, REC2, SUB1, FREE = f"rec-{ONE}", f"rec-{TWO}", f"rec-{ONE}-sub", "rec-0a0b0c0d"
VIDEO = TrackFormat(codec=Codec.H264, clock_rate=90000, width=1920, height=1080)
ADMIN = ConsoleAccount(name="admin", group="administrators", permissions=Permissions.everything())
EVE = ConsoleAccount(name="eve", group=VIEWERS, permissions=Permissions.of([], {"live": [ONE], "playback": [ONE]}))
ACCOUNTS = {"admin": ADMIN, "eve": EVE}
JPEG = b"\xff\xd8\xff jpeg"


@dataclass(frozen=True)
class Channel:
    camera: str
    number: int


class Recorder:
    channels = (Channel(ONE, 1), Channel(TWO, 2))

    def recordings(self) -> tuple[Recording, ...]:
        return tuple(
            Recording(
                token=token,
                source_id="",
                source_name=token,
                source_location="",
                source_description="",
                source_address="",
                content="",
                retention=0,
                tracks=(),
            )
            for token in (REC1, SUB1, REC2, FREE)
        )

    def is_recording(self, token: str) -> bool:
        return token == REC1

    def system_time(self) -> SystemTime:
        return SystemTime(utc=T0, timezone="CET-1CEST,M3.5.0,M10.5.0/3", ntp=True, daylight=False, utc_offset=3600)


class People:
    """Console sessions of both accounts."""

    def __init__(self) -> None:
        self.sessions = ConsoleSessions(SessionRegistry(), idle=600)

    def session(self, secret: str, *, active: bool) -> tuple[ConsoleSession, ConsoleAccount] | None:
        found = self.sessions.find(secret, T0, active=active)
        return (found, ACCOUNTS[found.account]) if found is not None else None


class Audit:
    def __init__(self) -> None:
        self.entries: list[tuple[str, str, str]] = []

    def put(self, kind: Any, action: str, *, account: str = "", detail: str = "", **more: Any) -> None:
        self.entries.append((action, account, detail))


class Pictures:
    """Stored pictures of a volume, as the recorder keeps them."""

    def __init__(self, catalogue: AsyncCatalogue, root: Path) -> None:
        self.catalogue = catalogue
        self.root = root
        self.utc = T0 + 30 * HOUR

    async def take(self, camera: str, kind: RecordType = RecordType.MANUAL, stream: str = "") -> SnapshotRow:
        return self.put(camera, self.utc, kind.value)

    def put(self, camera: str, utc: int, kind: str) -> SnapshotRow:
        path = files.store(Volume("vol-1", self.root), camera, utc, JPEG)
        row = SnapshotRow(camera=camera, utc=utc, kind=kind, volume="vol-1", path=path, size=len(JPEG))
        store = self.catalogue.sync.snapshots
        return store.get(store.insert(row))

    async def read(self, snapshot: int) -> bytes:
        return (self.root / self.catalogue.sync.snapshots.get(snapshot).path).read_bytes()

    async def delete(self, rows: Sequence[SnapshotRow]) -> int:
        for row in rows:
            files.remove(Volume("vol-1", self.root).path(row.path))
        return self.catalogue.sync.snapshots.remove([row.id for row in rows])


class Small:
    async def at(self, recording: str, utc: int, width: int) -> Thumbnail:
        if utc < T0:
            raise NotFound("nothing is recorded then or before")
        return Thumbnail(utc=utc - 7, jpeg=f"{recording} {width}".encode(), final=utc < T0 + HOUR)


class Rig:
    """An API with its catalogue; `as_` chooses who asks."""

    def __init__(self, catalogue: Catalogue, root: Path) -> None:
        self.sync = catalogue
        self.catalogue = AsyncCatalogue(catalogue)
        self.clock = SimulatedClock(T0 + 26 * HOUR)
        self.people, self.audit = People(), Audit()
        self.segments = CatalogueSegmentStore(catalogue)
        self.events = CatalogueEventStore(catalogue)
        self.pictures = Pictures(self.catalogue, root)
        recorder: Any = Recorder()
        self.view = ArchiveView(recorder, self.segments, self.catalogue, self.events, self.clock, self.statuses)
        self.marks = ArchiveMarks(
            self.catalogue, self.segments, self.pictures, Small(), self.audit, self.clock, lambda: (ONE, TWO)
        )
        self.client: TestClient[web.Request, web.Application]
        self.visitors = Visitors(self.people.sessions, T0)

    @staticmethod
    def statuses() -> tuple[VolumeStatus, ...]:
        return (
            VolumeStatus(
                id="vol-1",
                name="",
                path="/v",
                uuid="",
                access=Access.READ_WRITE,
                group=1,
                state=VolumeState.OK,
                total=9,
                free=5,
                used=3,
            ),
        )

    def footage(self, recording: str, start: int, seconds: int, kinds: int = 1, reason: str = "time") -> None:
        """Segments of a minute."""
        for at in range(0, seconds, 60):
            self.segments.insert_segment(
                SegmentRow(
                    recording=recording,
                    volume="vol-1",
                    path=f"{recording}/{start + at * US}",
                    start=start + at * US,
                    end=start + min(at + 60, seconds) * US,
                    size=1000,
                    formats=(VIDEO,),
                    kinds=FragmentFlag(kinds),
                    state=SegmentState.CLOSED,
                    end_reason=EndReason(reason),
                )
            )

    def span(self, recording: str, kind: str, start: int, end: int | None, *marks: str) -> None:
        number = self.sync.spans.begin(recording, kind, start, marks or (kind,))
        if end is not None:
            self.sync.spans.finish(number, end)

    def headers(self, who: str) -> dict[str, str]:
        return self.visitors.headers(who, self.client.port)

    async def ask(self, method: str, path: str, who: str = "admin", **options: Any) -> Any:
        """Status and JSON (or the body)."""
        async with self.client.request(method, f"/api/archive/{path}", headers=self.headers(who), **options) as reply:
            if "json" in reply.content_type:
                return reply.status, await reply.json(content_type=None)
            return reply.status, await reply.read()

    async def get(self, path: str, who: str = "admin") -> Any:
        status, body = await self.ask("GET", path, who)
        assert status == 200, body
        return body

    async def refused(self, method: str, path: str, who: str = "admin", **options: Any) -> int:
        status, body = await self.ask(method, path, who, **options)
        assert set(body) == {"type", "title", "status", "detail"}
        assert body["status"] == status
        return int(status)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    root = tmp_path / "volume"
    root.mkdir()
    made = Rig(Catalogue.open(f"sqlite:///{tmp_path / 'c.sqlite3'}", migrate=True), root)
    # Camera one: two hours from midnight UTC, a gap of an hour, ten minutes; and a day later.
    made.footage(REC1, T0, 7200, kinds=1 | 4)
    made.footage(REC1, T0 + 3 * HOUR, 600, reason="gap")
    made.footage(REC1, T0 + 25 * HOUR, 120)
    made.footage(REC2, T0 + HOUR, 60)
    made.span(REC1, "general", T0, T0 + HOUR)
    made.span(REC1, "motion", T0 + HOUR, T0 + HOUR + MINUTE, "motion", "general")
    made.span(REC1, "general", T0 + HOUR + MINUTE, T0 + 2 * HOUR)
    made.span(REC1, "alarm", T0 + 3 * HOUR, T0 + 3 * HOUR + 600 * US)
    made.span(REC1, "general", T0 + 25 * HOUR, None)
    made.span(REC2, "motion", T0 + HOUR, T0 + HOUR + MINUTE)
    app = web.Application()
    guard = Guard(Digest(level=Level.USER), made.people)
    archive.add_routes(app, made.view, guard)
    archive_marks.add_routes(app, made.view, made.marks, guard)
    async with TestClient(TestServer(app)) as client:
        made.client = client
        yield made
    await made.catalogue.close()


# ---- reading


@pytest.mark.covers("P131", "A041")
async def test_recordings_and_how_far_back_they_reach(rig: Rig) -> None:
    found = {each["recording"]: each for each in (await rig.get("recordings"))["recordings"]}
    assert set(found) == {REC1, SUB1, REC2, FREE}
    one = found[REC1]
    assert (one["earliest"], one["latest"], one["bytes"]) == (T0, T0 + 25 * HOUR + 120 * US, 132_000)
    assert (one["channel"], one["stream"], one["active"], one["days"]) == (1, "main", True, 1.08)
    assert (found[FREE]["camera"], found[FREE]["earliest"]) == (None, None)
    (sub,) = (await rig.get("recordings?channel=1&stream=sub"))["recordings"]
    assert sub["recording"] == SUB1


@pytest.mark.covers("PLY-37")
async def test_who_asks_sees_its_own_cameras(rig: Rig) -> None:
    mine = {REC1, SUB1}
    assert {each["recording"] for each in (await rig.get("recordings", "eve"))["recordings"]} == mine
    assert [each["recording"] for each in (await rig.get("timeline?day=2026-01-01", "eve"))["channels"]] == [REC1]
    assert await rig.refused("GET", "timeline?day=2026-01-01&channel=2", "eve") == 403
    assert await rig.refused("GET", f"timeline?day=2026-01-01&recording={FREE}", "eve") == 403
    assert await rig.refused("GET", f"files?start=0&end=9&recording={REC2}", "eve") == 403
    assert "volumes" not in await rig.get("storage", "eve")
    # an ONVIF account reads by Digest what its level may see
    assert len((await rig.get("recordings", "digest"))["recordings"]) == 4
    async with rig.client.get("/api/archive/recordings") as reply:
        assert reply.status == 401


@pytest.mark.parametrize("token", ["rec-cam-11111111", "rec-cam-11111111-sub"])
def test_the_camera_of_a_fixed_recording(token: str) -> None:
    assert camera_of(token) == ONE


@pytest.mark.parametrize("token", ["rec-11111111", "rec-cam-1111111", "x-rec-cam-11111111", "rec-cam-11111111-other"])
def test_recordings_of_clients_have_no_camera_whose_rights_count(token: str) -> None:
    assert camera_of(token) is None


@pytest.mark.covers("PLY-03")
async def test_days_with_footage_and_pictures_on_the_wall(rig: Rig) -> None:
    rig.pictures.put(ONE, T0 + 40 * HOUR, "motion")
    found = await rig.get("calendar?channel=1&month=2026-01")
    assert (found["days"], found["pictures"]) == ([1, 2], [2])
    # Five hours west of Greenwich the first footage is of the day before.
    assert (await rig.get("calendar?channel=1&month=2026-01&zone=EST5"))["days"] == [1]
    assert (await rig.get("calendar?channel=1&month=2025-12&zone=EST5"))["days"] == [31]
    assert (await rig.get("calendar?channel=1&month=2026-02"))["days"] == []
    for query in ("channel=1&month=2026-13", "channel=1&month=x", "month=2026-01", "channel=1&month=2026-01&zone=!"):
        assert await rig.refused("GET", f"calendar?{query}") == 400
    assert await rig.refused("GET", "calendar?channel=9&month=2026-01") == 404


@pytest.mark.covers("PLY-07", "PLY-12", "P159")
async def test_time_line_of_a_day(rig: Rig) -> None:
    found = await rig.get("timeline?channel=1&channel=2&day=2026-01-01&zone=UTC0")
    assert (found["start"], found["end"]) == (T0, T0 + 24 * HOUR)
    one, two = found["channels"]
    assert one["footage"] == [[T0, T0 + 2 * HOUR], [T0 + 3 * HOUR, T0 + 3 * HOUR + 600 * US]]
    assert one["gaps"][0] == [T0 + 2 * HOUR, T0 + 3 * HOUR]
    assert one["gaps"][-1][1] == T0 + 24 * HOUR
    assert [span["kind"] for span in one["spans"]] == ["general", "motion", "general", "alarm"]
    assert one["spans"][1]["marks"] == ["motion", "general"]
    assert two["footage"] == [[T0 + HOUR, T0 + HOUR + MINUTE]]
    # the recorder's own day begins an hour earlier
    assert (await rig.get("timeline?channel=1&day=2026-01-01"))["start"] == T0 - HOUR


@pytest.mark.covers("PLY-04", "P158")
async def test_time_line_of_some_types(rig: Rig) -> None:
    (one,) = (await rig.get("timeline?channel=1&day=2026-01-01&zone=UTC0&type=motion,alarm"))["channels"]
    assert one["footage"] == [[T0 + HOUR, T0 + HOUR + MINUTE], [T0 + 3 * HOUR, T0 + 3 * HOUR + 600 * US]]
    assert {span["kind"] for span in one["spans"]} == {"motion", "alarm"}
    assert await rig.refused("GET", "timeline?channel=1&day=2026-01-01&type=none") == 400


async def test_what_lasts_has_no_end_and_the_future_no_gap(rig: Rig) -> None:
    start, end = T0 + 25 * HOUR, T0 + 50 * HOUR
    (one,) = (await rig.get(f"timeline?channel=1&start={start}&end={end}"))["channels"]
    assert one["spans"][0]["end"] is None
    assert one["gaps"] == [[start + 120 * US, rig.clock.utc()]]


@pytest.mark.parametrize(
    "query",
    [
        *("", "day=2026", "day=2026-02-30", "start=1", "start=5&end=5", "start=9&end=1", "start=x&end=y"),
        *("start=0&end=9e9", "start=2026-01-01T00:00:00&end=2026-01-02T00:00:00", f"start=0&end={33 * 24 * HOUR}"),
        *("day=0001-01-01&stream=x", "day=2026-01-01&" + "&".join(f"channel={n}" for n in range(65))),
    ],
)
async def test_bad_ranges_are_refused(rig: Rig, query: str) -> None:
    assert await rig.refused("GET", f"timeline?{query}") == 400


async def test_times_may_be_written_as_iso_8601(rig: Rig) -> None:
    found = await rig.get("timeline?channel=1&start=2026-01-01T01:00:00%2B01:00&end=2026-01-01T01:00:00.5Z")
    assert (found["start"], found["end"]) == (T0, T0 + HOUR + US // 2)


@pytest.mark.covers("PLY-27", "PLY-01")
async def test_files_page_by_page(rig: Rig) -> None:
    rig.sync.locks.add(REC1, T0 + 60 * US, T0 + 61 * US, account="a", now=T0)
    query = f"files?channel=1&start={T0}&end={T0 + 4 * HOUR}&limit=50"
    found, following, pages = [], "", 0
    while True:
        page = await rig.get(query + (f"&after={following}" if following else ""))
        found += page["files"]
        following, pages = page["next"], pages + 1
        if following is None:
            break
    starts = [each["start"] for each in found]
    assert starts == [*(T0 + n * MINUTE for n in range(120)), *(T0 + 3 * HOUR + n * MINUTE for n in range(10))]
    assert pages == 3
    assert [each["locked"] for each in found[:3]] == [False, True, False]
    first = found[0]
    assert (first["video"], first["width"], first["audio"], first["metadata"]) == ("h264", 1920, "", True)
    assert (first["bytes"], first["state"], first["types"]) == (1000, "closed", ["general"])
    motion = (await rig.get(query.replace("limit=50", "limit=1000&type=motion")))["files"]
    assert [each["start"] for each in motion] == [T0 + HOUR]


@pytest.mark.covers("PLY-12", "PLY-36", "P161")
async def test_footage_before_and_after_a_moment(rig: Rig) -> None:
    async def around(at: int) -> list[Any]:
        found = (await rig.get(f"neighbours?channel=1&time={at}"))["neighbours"]
        assert (found["earliest"], found["latest"]) == (T0, T0 + 25 * HOUR + 120 * US)
        return [found["previous"], found["at"], found["next"]]

    first, second = [T0, T0 + 2 * HOUR], [T0 + 3 * HOUR, T0 + 3 * HOUR + 600 * US]
    third = [T0 + 25 * HOUR, T0 + 25 * HOUR + 120 * US]
    assert await around(T0 + HOUR) == [None, first, second]
    assert await around(T0 + 2 * HOUR + 1) == [first, None, second]
    assert await around(T0 + 3 * HOUR) == [first, second, third]
    assert await around(T0 + 30 * HOUR) == [third, None, None]
    assert await around(T0 - HOUR) == [None, None, first]
    # far from everything
    assert await around(T0 + 400 * 24 * HOUR) == [third, None, None]
    assert (await around(max(0, T0 - 400 * 24 * HOUR)))[2] == first
    empty = (await rig.get(f"neighbours?recording={FREE}&time={T0}"))["neighbours"]
    assert set(empty.values()) == {None}


@pytest.mark.covers("P173")
async def test_pieces_by_type_over_channels_page_by_page(rig: Rig) -> None:
    query = f"spans?channel=1,2&start={T0}&end={T0 + 40 * HOUR}"
    whole = (await rig.get(query))["spans"]
    assert [(each["recording"], each["kind"]) for each in whole] == [
        (REC1, "general"),
        (REC1, "motion"),
        (REC2, "motion"),
        (REC1, "general"),
        (REC1, "alarm"),
        (REC1, "general"),
    ]
    found: list[Any] = []
    following: str | None = ""
    while following is not None:
        page = await rig.get(f"{query}&limit=2" + (f"&after={following}" if following else ""))
        found += page["spans"]
        following = page["next"]
    assert found == whole
    motion = (await rig.get(f"{query}&type=motion"))["spans"]
    assert [each["recording"] for each in motion] == [REC1, REC2]


@pytest.mark.covers("P162", "PLY-34")
async def test_events_of_channels_page_by_page_in_both_orders(rig: Rig) -> None:
    stored = [topics.motion_alarm(f"vs-{ONE}", n % 2 == 0, T0 + n // 3, REC1) for n in range(10)]
    stored += [
        topics.motion_alarm(f"vs-{TWO}", True, T0 + 2, REC2),
        topics.signal_loss(f"vs-{ONE}", True, T0 + 9, REC1),
    ]
    rig.events.insert_events(stored)

    async def all_pages(query: str) -> list[Any]:
        found: list[Any] = []
        following: str | None = ""
        while following is not None:
            page = await rig.get(
                f"events?start={T0}&end={T0 + HOUR}&limit=2{query}" + (f"&after={following}" if following else "")
            )
            found += page["events"]
            following = page["next"]
        return found

    oldest = await all_pages("&channel=1")
    assert len(oldest) == 11
    assert await all_pages("&channel=1&order=newest") == oldest[::-1]
    assert len(await all_pages("&channel=1,2")) == 12
    (loss,) = await all_pages("&channel=1&topic=VideoSource/SignalLoss")
    assert (loss["utc"], loss["source"], loss["data"]) == (T0 + 9, {"Source": f"vs-{ONE}"}, {"State": "true"})
    assert len(await all_pages("&channel=1&topic=VideoSource/*")) == 11
    assert await all_pages("&channel=1&topic=None/*") == []
    for query in ("&after=1", "&after=1.99999999999", "&order=x", "&limit=0", "&limit=1001"):
        assert await rig.refused("GET", f"events?start={T0}&end={T0 + 1}{query}") == 400


async def test_storage(rig: Rig) -> None:
    found = await rig.get("storage")
    assert [(each["volume"], each["free"], each["state"]) for each in found["volumes"]] == [("vol-1", 5, "ok")]
    assert len(found["recordings"]) == 4


# ---- tags


@pytest.mark.covers("PLY-29", "PLY-30", "PLY-31", "PLY-32", "P174")
async def test_tags_from_birth_to_death(rig: Rig) -> None:
    status, made = await rig.ask("POST", "tags", "eve", json={"channel": 1, "time": T0 + 10 * US})
    assert status == 201
    assert (made["tag"]["name"], made["tag"]["account"]) == ("2026-01-01T00:00:10Z", "eve")
    for second in (20, 30):
        body = {"recording": REC1, "time": f"2026-01-01T00:00:{second}Z", "name": f"Car {second}"}
        assert (await rig.ask("POST", "tags", json=body))[0] == 201
    found = (await rig.get("tags?channel=1&text=car"))["tags"]
    assert [each["name"] for each in found] == ["Car 20", "Car 30"]
    assert (await rig.get(f"tags?start={T0 + 30 * US}"))["tags"] == found[1:]
    first, second = (each["id"] for each in found)
    status, renamed = await rig.ask("PATCH", f"tags/{first}", json={"name": "Red car"})
    assert (status, renamed["tag"]["name"]) == (200, "Red car")
    (day,) = (await rig.get("timeline?channel=1&day=2026-01-01"))["channels"]
    assert [tag["name"] for tag in day["tags"]] == ["2026-01-01T00:00:10Z", "Red car", "Car 30"]
    assert await rig.ask("POST", "tags/delete", json={"ids": [first, second]}) == (200, {"deleted": 2})
    assert (await rig.ask("DELETE", f"tags/{made['tag']['id']}", "eve"))[0] == 204
    assert (await rig.get("tags"))["tags"] == []
    assert [entry[:2] for entry in rig.audit.entries] == [
        ("add tag", "eve"),
        ("add tag", "admin"),
        ("add tag", "admin"),
        ("rename tag", "admin"),
        ("delete tags", "admin"),
        ("delete tags", "eve"),
    ]


@pytest.mark.covers("PLY-31")
@pytest.mark.parametrize(
    ("at", "lead", "start", "recorded"),
    [
        (HOUR, 30, HOUR - 30 * US, True),
        (10 * US, 30, 0, True),
        (3 * HOUR + 5 * US, 30, 3 * HOUR, True),
        (HOUR, 0, HOUR, True),
        (2 * HOUR + MINUTE, 30, 2 * HOUR + MINUTE, False),
        (2 * HOUR + MINUTE, 90, 2 * HOUR + MINUTE, False),
    ],
)
async def test_lead_in_ends_where_the_footage_does(rig: Rig, at: int, lead: int, start: int, recorded: bool) -> None:
    tag = (await rig.ask("POST", "tags", json={"channel": 1, "time": T0 + at}))[1]["tag"]
    play = (await rig.get(f"tags/{tag['id']}/play?lead={lead}"))["play"]
    assert (play["start"], play["utc"], play["recorded"]) == (T0 + start, T0 + at, recorded)
    assert play["url"] == f"/replay/{REC1}"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"channel": 1},
        {"channel": 1, "recording": REC1, "time": T0},
        {"channel": 1, "time": True},
        {"channel": [1], "time": T0},
        {"channel": 1, "time": T0, "name": "x" * 65},
        {"channel": 1, "time": T0, "name": 5},
        {"channel": 1, "time": T0, "colour": "red"},
        {"channel": 1, "time": "yesterday"},
        {"channel": 1, "time": -1},
        [],
        "text",
    ],
)
async def test_bad_bodies_change_nothing(rig: Rig, body: Any) -> None:
    assert await rig.refused("POST", "tags", json=body) == 400
    assert (await rig.get("tags"))["tags"] == []
    assert rig.audit.entries == []


async def test_changes_need_a_session_a_token_and_the_right(rig: Rig) -> None:
    body = {"channel": 2, "time": T0}
    assert await rig.refused("POST", "tags", "eve", json=body) == 403
    assert await rig.refused("POST", "tags", "digest", json=body) == 401
    tag = (await rig.ask("POST", "tags", json=body))[1]["tag"]["id"]
    for method, path, more in (
        ("DELETE", f"tags/{tag}", {}),
        ("PATCH", f"tags/{tag}", {"json": {"name": "mine"}}),
        ("GET", f"tags/{tag}/play", {}),
        ("POST", "tags/delete", {"json": {"ids": [tag]}}),
        ("GET", "tags?channel=2", {}),
        ("POST", "locks", {"json": {"channel": 1, "start": T0, "end": T0 + US}}),
    ):
        assert await rig.refused(method, path, "eve", **more) == 403, path
    assert (await rig.get("tags", "eve"))["tags"] == []
    headers = rig.headers("admin") | {"X-CSRF-Token": "wrong"}
    async with rig.client.delete(f"/api/archive/tags/{tag}", headers=headers) as reply:
        assert reply.status == 403
    assert len((await rig.get("tags"))["tags"]) == 1
    for path in ("tags/999", "locks/999"):
        assert await rig.refused("DELETE", path) == 404
    for ids in ([], ["1"], [0], [True], list(range(1, 1002)), 5, None):
        assert await rig.refused("POST", "tags/delete", json={"ids": ids}) == 400
    async with rig.client.post("/api/archive/tags", data=b"{}", headers=rig.headers("admin")) as reply:
        assert reply.status == 400
    headers = rig.headers("admin") | {"Content-Type": "application/json"}
    for data in (b"{", b"\xff", b"[" * 60_000, b" " * 70_000):
        async with rig.client.post("/api/archive/tags", data=data, headers=headers) as reply:
            assert reply.status == 400


# ---- locks


@pytest.mark.covers("PLY-28")
async def test_locks_from_birth_to_death(rig: Rig) -> None:
    body = {"channel": 1, "start": T0, "end": T0 + HOUR, "reason": "theft"}
    status, made = await rig.ask("POST", "locks", json=body)
    assert (status, made["lock"]["reason"], made["lock"]["account"], made["lock"]["until"]) == (
        201,
        "theft",
        "admin",
        None,
    )
    until = rig.clock.utc() + US
    await rig.ask("POST", "locks", json={"recording": REC2, "start": T0, "end": T0 + US, "until": until})
    assert rig.sync.locks.covers(REC1, T0 + 5, T0 + 6, T0)
    assert [each["id"] for each in (await rig.get("locks", "eve"))["locks"]] == [made["lock"]["id"]]
    assert len((await rig.get("locks"))["locks"]) == 2
    await rig.clock.advance(2)
    assert len((await rig.get("locks"))["locks"]) == 1
    (one,) = (await rig.get("timeline?channel=1&day=2026-01-01&zone=UTC0"))["channels"]
    assert one["locks"] == [[T0, T0 + HOUR]]
    assert (await rig.ask("DELETE", f"locks/{made['lock']['id']}"))[0] == 204
    assert not rig.sync.locks.covers(REC1, T0 + 5, T0 + 6, T0)
    assert [entry[0] for entry in rig.audit.entries] == ["lock footage", "lock footage", "unlock footage"]
    assert await rig.refused("POST", "locks", json=body | {"end": T0}) == 400
    assert await rig.refused("POST", "locks", json=body | {"until": T0}) == 400


# ---- pictures


@pytest.mark.covers("P175", "P176", "P087", "PLY-01")
async def test_snapshots_are_taken_listed_shown_exported_and_deleted(rig: Rig) -> None:
    for camera, kind, at in ((ONE, "motion", 1), (TWO, "alarm", 2), (ONE, "alarm", 3)):
        rig.pictures.put(camera, T0 + at * HOUR, kind)
    status, made = await rig.ask("POST", "snapshots", "eve", json={"channel": 1})
    assert (status, made["snapshot"]["kind"], made["snapshot"]["camera"]) == (201, "manual", ONE)
    found = (await rig.get("snapshots"))["snapshots"]
    assert [each["kind"] for each in found] == ["motion", "alarm", "alarm", "manual"]
    assert [each["camera"] for each in (await rig.get("snapshots", "eve"))["snapshots"]] == [ONE] * 3
    assert [each["id"] for each in (await rig.get("snapshots?order=newest"))["snapshots"]] == [
        each["id"] for each in reversed(found)
    ]
    assert await rig.refused("GET", "snapshots?order=x") == 400
    some = (await rig.get(f"snapshots?camera={ONE}&type=alarm,motion&start={T0}&end={T0 + 3 * HOUR}"))["snapshots"]
    assert some == found[:1]
    page = await rig.get("snapshots?limit=2")
    assert (await rig.get(f"snapshots?limit=2&after={page['next']}"))["snapshots"] == found[2:]
    one, two = found[0]["id"], found[1]["id"]
    async with rig.client.get(f"/api/archive/snapshots/{one}", headers=rig.headers("eve")) as reply:
        assert (reply.status, reply.content_type, await reply.read()) == (200, "image/jpeg", JPEG)
    assert await rig.refused("GET", f"snapshots/{two}", "eve") == 403
    assert await rig.refused("GET", f"snapshots/{one}?download", "eve") == 403
    async with rig.client.get(f"/api/archive/snapshots/{one}?download", headers=rig.headers("admin")) as reply:
        assert reply.headers["Content-Disposition"] == f'attachment; filename="{ONE}-20260101T010000Z.jpg"'
    status, body = await rig.ask("POST", "snapshots/export", json={"ids": [one, two]})
    with zipfile.ZipFile(io.BytesIO(body)) as packed:
        assert packed.namelist() == [f"{ONE}/20260101T010000Z-{one}.jpg", f"{TWO}/20260101T020000Z-{two}.jpg"]
        assert packed.read(packed.namelist()[0]) == JPEG
    assert await rig.refused("POST", "snapshots/export", "eve", json={"ids": [one]}) == 403
    assert await rig.refused("DELETE", f"snapshots/{one}", "eve") == 403
    assert (await rig.ask("DELETE", f"snapshots/{one}"))[0] == 204
    assert await rig.refused("GET", f"snapshots/{one}") == 404
    assert await rig.ask("POST", "snapshots/delete", json={"ids": [each["id"] for each in found[1:]]}) == (
        200,
        {"deleted": 3},
    )
    assert not list(rig.pictures.root.rglob("*.jpg"))
    actions = [entry[:2] for entry in rig.audit.entries]
    assert actions == [("take snapshot", "eve"), ("export snapshots", "admin")] + [("delete snapshots", "admin")] * 2
    assert await rig.refused("POST", "snapshots", "eve", json={"channel": 2}) == 403


@pytest.mark.covers("PLY-11", "P168")
async def test_small_pictures_of_footage(rig: Rig) -> None:
    async with rig.client.get(
        f"/api/archive/thumbnail?channel=1&time={T0 + 9}&width=160", headers=rig.headers("eve")
    ) as reply:
        assert (reply.status, await reply.read()) == (200, f"{REC1} 160".encode())
        assert reply.headers["X-Picture-Time"] == str(T0 + 2)
        assert "max-age" in reply.headers["Cache-Control"]
    async with rig.client.get(
        f"/api/archive/thumbnail?channel=1&time={T0 + 2 * HOUR}", headers=rig.headers("eve")
    ) as reply:
        assert reply.headers["Cache-Control"] == "no-store"
    assert await rig.refused("GET", f"thumbnail?channel=1&time={T0 - 1}") == 404
    assert await rig.refused("GET", f"thumbnail?channel=2&time={T0}", "eve") == 403
    for query in ("channel=1", f"time={T0}", f"channel=1,2&time={T0}", f"channel=1&time={T0}&width=9999"):
        assert await rig.refused("GET", f"thumbnail?{query}") == 400


async def test_locks_are_bounded(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onvifd.bodies.archive_marks.MAX_LOCKS", 1)
    body = {"channel": 1, "start": T0, "end": T0 + HOUR}
    assert (await rig.ask("POST", "locks", json=body))[0] == 201
    assert await rig.refused("POST", "locks", json=body) == LimitReached.http_status
