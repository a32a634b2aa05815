"""The API of recording over HTTP, on a real catalogue with two cameras and a director that follows every change."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from onvifd.access.console_sessions import ConsoleSession, ConsoleSessions
from onvifd.access.keyfile import create_key
from onvifd.access.permissions import OPERATORS, ConsoleAccount, Permissions
from onvifd.access.sessions import SessionRegistry
from onvifd.bodies.recording_view import RecordingSettings
from onvifd.cameras.registry import Driver, NewCamera, Registry, Role, Stream
from onvifd.clock import SimulatedClock
from onvifd.events.bus import EventBus
from onvifd.host.timezone import parse
from onvifd.recording.director import Director
from onvifd.recording.localtime import LocalTime
from onvifd.recording.settings import load
from onvifd.recording.status import recording_of
from onvifd.recording.triggers import Watched
from onvifd.recording.types import Mode, RecordType
from onvifd.store.catalogue import AsyncCatalogue, Catalogue
from onvifd.web import recording, recording_links, recording_schedules
from onvifd.web.guard import Guard
from tests.web.digest import Digest, Visitors

ALL_DAY = [{"start": "00:00", "end": "24:00"}]
WORK = {"start": "08:00", "end": "18:00", "types": ["motion"]}
NIGHT = {"start": "20:00", "end": "24:00", "types": ["general"]}
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WEEK: dict[str, Any] = {day: [WORK, NIGHT] for day in DAYS}
NEVER: dict[str, Any] = {day: [] for day in DAYS}
PLAIN: dict[str, Any] = dict.fromkeys(DAYS, ALL_DAY)


class Rig:
    """The API with a director; accounts: admin may all, `may` gives others."""

    def __init__(self, sync: Catalogue, tmp_path: Path) -> None:
        self.catalogue = AsyncCatalogue(sync)
        self.clock = SimulatedClock()
        registry = Registry(sync, create_key(tmp_path / "key"), self.clock)
        self.one, self.two = (
            registry.add(
                NewCamera(
                    name=f"Camera {number}",
                    driver=Driver.RTSP,
                    address=f"rtsp://192.0.2.{number}/main",
                    streams=(
                        Stream(role=Role.MAIN, uri=f"rtsp://192.0.2.{number}/main"),
                        *((Stream(role=Role.SUB, uri=f"rtsp://192.0.2.{number}/sub"),) if number == 1 else ()),
                    ),
                )
            ).id
            for number in (1, 2)
        )
        self.orders: list[frozenset[str]] = []
        self.director = Director(
            self.catalogue,
            self.clock,
            EventBus(self.clock),
            local=lambda: LocalTime(parse("UTC0")),
            on_orders=self.orders.append,
            storage=lambda recording: "volume vol-1 is full",
        )
        self.audit: list[tuple[str, str, str]] = []
        self.sessions = ConsoleSessions(SessionRegistry(), idle=600)
        self.accounts: dict[str, ConsoleAccount] = {}
        self.may("admin", Permissions.everything())
        self.client: TestClient[web.Request, web.Application]
        self.visitors = Visitors(self.sessions)

    def may(self, name: str, permissions: Permissions) -> None:
        self.accounts[name] = ConsoleAccount(name=name, group=OPERATORS, permissions=permissions)

    def put(self, kind: Any, action: str, *, account: str = "", detail: str = "", **more: Any) -> None:
        self.audit.append((action, account, detail))

    def session(self, secret: str, *, active: bool) -> tuple[ConsoleSession, ConsoleAccount] | None:
        found = self.sessions.find(secret, 0, active=active)
        return (found, self.accounts[found.account]) if found is not None else None

    async def follow(self) -> None:
        """As the recorder: what the catalogue says counts from now on."""
        settings = await self.catalogue.run(load, self.catalogue.sync)
        watched = [
            Watched(recording=recording_of(camera, stream), camera=camera, policy=policy)
            for (camera, stream), policy in settings.policies.items()
            if policy.mode is not Mode.OFF
        ]
        self.director.configure(settings, watched)

    async def change(self, call: Callable[..., Any], *args: Any) -> Any:
        result = await self.catalogue.run(call, *args)
        await self.follow()
        return result

    def headers(self, who: str) -> dict[str, str]:
        return self.visitors.headers(who, self.client.port)

    async def ask(self, method: str, path: str, body: Any = None, who: str = "admin") -> tuple[int, Any]:
        async with self.client.request(method, f"/api/recording/{path}", headers=self.headers(who), json=body) as reply:
            return reply.status, await reply.json(content_type=None) if reply.status != 204 else None

    async def ok(self, method: str, path: str, body: Any = None, who: str = "admin", status: int = 200) -> Any:
        got, found = await self.ask(method, path, body, who)
        assert got == status, found
        return found

    async def refused(self, method: str, path: str, body: Any = None, who: str = "admin") -> int:
        """Problem and status; nothing may be different afterwards, and nothing audited."""
        before, entries = await self.catalogue.run(load, self.catalogue.sync), list(self.audit)
        status, found = await self.ask(method, path, body, who)
        assert set(found) == {"type", "title", "status", "detail"}
        assert found["status"] == status
        assert await self.catalogue.run(load, self.catalogue.sync) == before
        assert self.audit == entries
        return status

    async def policy(self, channel: int, stream: str = "main") -> Any:
        found = (await self.ok("GET", f"policies?channel={channel}"))["policies"]
        return next(each for each in found if each["stream"] == stream)

    async def week(self, channel: int, purpose: str = "video") -> Any:
        (found,) = (await self.ok("GET", f"schedules?channel={channel}&purpose={purpose}"))["schedules"]
        return found


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    made = Rig(Catalogue.open(f"sqlite:///{tmp_path / 'c.sqlite3'}", migrate=True), tmp_path)
    one = {"live": [made.one], "playback": [made.one]}
    made.may("viewer", Permissions.of([], one))
    made.may("setter", Permissions.of([], {"configure": [made.one]}))
    made.may("hand", Permissions.of([], {"record": [made.one]}))
    made.may("both", Permissions.of([], {"configure": [made.one], "record": [made.one]}))
    made.may("nobody", Permissions.of(["storage"], {}))
    await made.follow()
    await made.director.start()
    backend = RecordingSettings(made.catalogue, made.director.status, made, made.change)
    app = web.Application()
    guard = Guard(Digest(), made)
    for pages in (recording, recording_schedules, recording_links):
        pages.add_routes(app, backend, guard)
    async with TestClient(TestServer(app)) as client:
        made.client = client
        yield made
    await made.director.stop()
    await made.catalogue.close()


# ---- how it stands


@pytest.mark.covers("P131", "P138", "REC-24", "REC-25")
async def test_status_tells_what_is_recorded_and_why_not(rig: Rig) -> None:
    one, two = (await rig.ok("GET", "status"))["recordings"]
    assert (one["recording"], one["channel"], one["stream"], one["mode"]) == (f"rec-{rig.one}", 1, "main", "auto")
    assert (one["ordered"], one["active"], one["kind"], one["marks"]) == (True, False, "general", ["general"])
    assert two["reason"] == "volume vol-1 is full"
    await rig.ok("PATCH", "policies", {"channels": [2], "mode": "off"})
    assert (await rig.ok("GET", "status?channel=2"))["recordings"][0]["reason"] == "recording is switched off"
    await rig.ok("PUT", "schedules", {"channels": 2, "week": NEVER})
    await rig.ok("PATCH", "policies", {"channels": [2], "mode": "auto"})
    assert (await rig.ok("GET", "status?channel=2"))["recordings"][0]["reason"] == "the schedule has no times"


async def test_status_is_for_who_sees_or_plays_the_channel(rig: Rig) -> None:
    assert [each["channel"] for each in (await rig.ok("GET", "status", who="viewer"))["recordings"]] == [1]
    assert (await rig.ok("GET", "status", who="nobody"))["recordings"] == []
    assert await rig.refused("GET", "status?channel=2", who="viewer") == 403
    assert await rig.refused("GET", "status?channel=7") == 404
    assert len((await rig.ok("GET", "status", who="digest"))["recordings"]) == 2


# ---- modes


@pytest.mark.covers("REC-09", "REC-10", "REC-11", "P135", "P136", "P076")
async def test_what_is_named_of_a_policy_changes_and_the_rest_stays(rig: Rig) -> None:
    body = {"channels": "all", "pre": 12, "post": 60, "audio": False, "redundant": True}
    found = (await rig.ok("PATCH", "policies", body))["policies"]
    assert [(each["channel"], each["stream"]) for each in found] == [(1, "main"), (1, "sub"), (2, "main")]
    for channel in (1, 2):
        policy = await rig.policy(channel)
        got = (policy["pre"], policy["post"], policy["audio"], policy["redundant"], policy["mode"])
        assert got == (12, 60, False, True, "auto")
    assert (await rig.policy(1, "sub"))["pre"] == 5
    assert rig.audit == [("set recording", "admin", "channels 1, 2 main: pre 12, post 60, audio False, redundant True")]


@pytest.mark.covers("REC-13", "P126", "P004")
async def test_modes_of_streams_take_effect_at_once(rig: Rig) -> None:
    await rig.ok("PATCH", "policies", {"channels": [1], "stream": "sub", "mode": "manual"})
    assert f"rec-{rig.one}-sub" in rig.director.orders()
    await rig.ok("PATCH", "policies", {"channels": [rig.one, "2"], "mode": "off"})
    assert rig.director.orders() == {f"rec-{rig.one}-sub"}
    policy = await rig.policy(1)
    assert (policy["mode"], policy["resume"]) == ("off", "auto")


@pytest.mark.covers("REC-14")
async def test_the_mode_that_records_always_needs_the_right_to_record_by_hand(rig: Rig) -> None:
    body = {"channels": [1], "mode": "manual"}
    for who in ("setter", "hand", "viewer", "nobody"):
        assert await rig.refused("PATCH", "policies", body, who) == 403
    await rig.ok("PATCH", "policies", body, "both")
    await rig.ok("PATCH", "policies", {"channels": [1], "mode": "auto"}, "setter")
    assert await rig.refused("PATCH", "policies", body | {"channels": "all"}, "both") == 403


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"channels": [1]}, 400),
        ({"channels": [1], "pre": 61}, 400),
        ({"channels": [1], "pre": True}, 400),
        ({"channels": [1], "post": 4}, 400),
        ({"channels": [1], "post": 5, "mode": "sometimes"}, 400),
        ({"channels": [1], "audio": "yes"}, 400),
        ({"channels": [1], "audio": True, "else": 1}, 400),
        ({"channels": [], "pre": 6}, 400),
        ({"channels": {"a": 1}, "pre": 6}, 400),
        ({"channels": [1.5], "pre": 6}, 400),
        ({"pre": 6}, 400),
        ({"channels": [1], "stream": "third", "pre": 6}, 400),
        ({"channels": [1, 9], "pre": 6}, 404),
        # the second camera has no such stream: the first stays as it is, too
        ({"channels": "all", "stream": "sub", "pre": 6}, 404),
    ],
)
async def test_bad_policies_change_nothing(rig: Rig, body: Any, status: int) -> None:
    assert await rig.refused("PATCH", "policies", body) == status


@pytest.mark.covers("P125")
async def test_recording_by_hand_begins_and_ends(rig: Rig) -> None:
    await rig.ok("PATCH", "policies", {"channels": [1], "mode": "auto", "pre": 0})
    await rig.ok("PUT", "schedules", {"channels": 1, "week": NEVER})
    assert f"rec-{rig.one}" not in rig.director.orders()
    for who in ("setter", "viewer"):
        assert await rig.refused("POST", "manual", {"channels": [1], "on": True}, who) == 403
    (policy,) = (await rig.ok("POST", "manual", {"channels": [1], "on": True}, "hand"))["policies"]
    assert policy["manual"] is True
    (state,) = (await rig.ok("GET", "status?channel=1"))["recordings"]
    assert (state["ordered"], state["kind"]) == (True, "manual")
    await rig.ok("POST", "manual", {"channels": [1], "on": False}, "hand")
    assert f"rec-{rig.one}" not in rig.director.orders()
    assert [entry[0] for entry in rig.audit[-2:]] == ["start recording", "stop recording"]
    assert await rig.refused("POST", "manual", {"channels": "all", "on": True}, "hand") == 403
    assert await rig.refused("POST", "manual", {"channels": [1]}) == 400


@pytest.mark.covers("P118", "P119", "P127", "P128", "P129")
async def test_ready_made_modes(rig: Rig) -> None:
    modes = (await rig.ok("GET", "one-click"))["modes"]
    assert [each["name"] for each in modes if not each["advanced"]][-1] == "always+motion+sensor"
    assert len(modes) == 13
    for mode in modes:
        await rig.ok("POST", "one-click", {"channels": "all", "mode": mode["name"]})
        week = (await rig.week(2))["week"]
        assert week["sun"] == [{"start": "00:00", "end": "24:00", "types": mode["types"]}]
        assert (f"rec-{rig.two}" in rig.director.orders()) == ("general" in mode["types"])
    assert await rig.refused("POST", "one-click", {"channels": "all", "mode": "motion"}, "setter") == 403
    assert await rig.refused("POST", "one-click", {"channels": "all", "mode": "never"}) == 400
    await rig.ok("POST", "one-click", {"channels": 1, "mode": "motion"}, "setter")
    assert await rig.refused("GET", "one-click", who="nobody") == 403


# ---- schedules


@pytest.mark.covers("REC-01", "REC-02", "REC-05", "P121", "P124")
async def test_a_week_is_set_and_followed(rig: Rig) -> None:
    assert (await rig.week(1))["own"] is False
    periods = [
        {"start": f"{hour:02}:00", "end": f"{hour + 2:02}:30", "types": [kind]}
        for hour, kind in enumerate(("general", "motion", "alarm", "motion-and-alarm", "intelligent", "pos"))
    ]
    week = WEEK | {"mon": periods, "holiday": None}
    (found,) = (await rig.ok("PUT", "schedules", {"channels": [1], "week": week}))["schedules"]
    assert found["week"] == week
    assert found["own"] is True
    assert (await rig.week(2))["own"] is False
    assert rig.audit == [("set schedule", "admin", "channels 1 video: the week")]


@pytest.mark.covers("REC-06", "REC-08", "P124")
async def test_days_change_and_others_stay(rig: Rig) -> None:
    await rig.ok("PUT", "schedules", {"channels": "all", "week": WEEK})
    body = {"channels": [1], "days": {"sat": [], "sun": [], "holiday": [NIGHT]}}
    (found,) = (await rig.ok("PATCH", "schedules", body, "setter"))["schedules"]
    assert found["week"] == WEEK | {"sat": [], "sun": [], "holiday": [NIGHT]}
    (found,) = (await rig.ok("PATCH", "schedules", {"channels": [1], "days": {"holiday": None}}))["schedules"]
    assert found["week"]["holiday"] is None
    assert (await rig.week(2))["week"] == WEEK | {"holiday": None}


@pytest.mark.covers("REC-07", "P124")
async def test_days_are_copied_to_days_and_channels_to_channels(rig: Rig) -> None:
    await rig.ok("PATCH", "schedules", {"channels": [1], "days": {"mon": [WORK]}})
    await rig.ok("POST", "schedules/copy-day", {"channels": [1], "from": "mon", "days": ["tue", "holiday"]})
    week = (await rig.week(1))["week"]
    assert week["tue"] == week["holiday"] == [WORK]
    assert week["wed"] != [WORK]
    await rig.ok("PUT", "schedules/assigned", {"channels": [1], "assigned": {"alarm": "24x5"}})
    await rig.ok("POST", "schedules/copy", {"from": 1, "channels": "all"})
    two = await rig.week(2)
    assert (two["week"], two["assigned"]) == (week, {"alarm": "24x5"})
    await rig.ok("POST", "schedules/copy-day", {"channels": [2], "from": "mon", "days": "all"})
    assert (await rig.week(2))["week"]["sun"] == [WORK]
    assert await rig.refused("POST", "schedules/copy", {"from": 1, "channels": [2]}, "setter") == 403
    assert await rig.refused("POST", "schedules/copy", {"from": 2, "channels": [1]}, "setter") == 403
    assert await rig.refused("POST", "schedules/copy", {"from": "all", "channels": [1]}) == 400
    assert await rig.refused("POST", "schedules/copy-day", {"channels": 1, "from": "new", "days": "all"}) == 400
    assert await rig.refused("POST", "schedules/copy-day", {"channels": 1, "from": "mon", "days": ["x"]}) == 400


@pytest.mark.covers("REC-15")
async def test_snapshots_have_weeks_of_their_own(rig: Rig) -> None:
    await rig.ok("PUT", "schedules", {"channels": [1], "purpose": "snapshot", "week": WEEK})
    assert (await rig.week(1, "snapshot"))["week"]["mon"] == [WORK, NIGHT]
    assert (await rig.week(1))["own"] is False
    values = {"enabled": True, "interval": 30, "event_interval": 2, "days": 7, "stream": "sub"}
    (row,) = (await rig.ok("PATCH", "snapshots", {"channels": [1], **values}, "setter"))["snapshots"]
    assert row == {"channel": 1, "camera": rig.one, **values}
    (row,) = (await rig.ok("PATCH", "snapshots", {"channels": [1], "enabled": False}))["snapshots"]
    assert row == {"channel": 1, "camera": rig.one, **values, "enabled": False}
    for bad in ({"interval": 0}, {"days": 361}, {"enabled": 1}, {"stream": "x"}, {"event_interval": -1}, {}):
        assert await rig.refused("PATCH", "snapshots", {"channels": "all", **bad}) == 400
    # the second camera has no such stream: none changes
    assert await rig.refused("PATCH", "snapshots", {"channels": "all", "stream": "sub"}) == 400
    assert await rig.refused("PATCH", "snapshots", {"channels": "all", "days": 9}, "setter") == 403


def _with(period: Any) -> dict[str, Any]:
    return {"channels": "all", "week": WEEK | {"sun": [period]}}


@pytest.mark.covers("REC-05")
@pytest.mark.parametrize(
    "body",
    [
        {"channels": "all"},
        {"channels": "all", "week": {"mon": []}},
        {"channels": "all", "week": WEEK | {"mon": [WORK] * 7}},
        {"channels": "all", "week": WEEK | {"mon": None}},
        {"channels": "all", "week": WEEK | {"noday": []}},
        {"channels": "all", "week": WEEK, "purpose": "audio"},
        _with({"start": "10:00", "end": "09:00", "types": ["motion"]}),
        _with({"start": "10:00", "end": "24:01", "types": ["motion"]}),
        _with({"start": "10", "end": "11:00", "types": ["motion"]}),
        _with({"start": 600, "end": 700, "types": ["motion"]}),
        _with({"start": "10:00", "end": "11:00", "types": []}),
        _with({"start": "10:00", "end": "11:00", "types": ["manual"]}),
        _with({"start": "10:00", "end": "11:00", "types": ["rain"]}),
        _with({"start": "10:00", "end": "11:00", "types": "motion"}),
        _with({"start": "10:00", "end": "11:00", "types": ["motion"], "x": 1}),
        _with(["10:00", "11:00"]),
    ],
)
async def test_bad_weeks_change_nothing(rig: Rig, body: Any) -> None:
    assert await rig.refused("PUT", "schedules", body) == 400


async def test_schedules_are_for_who_may_configure_the_channel(rig: Rig) -> None:
    assert [each["channel"] for each in (await rig.ok("GET", "schedules", who="setter"))["schedules"]] == [1]
    assert (await rig.ok("GET", "schedules", who="viewer"))["schedules"] == []
    assert await rig.refused("GET", "schedules?channel=2", who="setter") == 403
    assert await rig.refused("GET", "schedules?purpose=x") == 400
    for path in ("schedules", "policies", "links", "snapshots"):
        assert await rig.refused("GET", f"{path}?channel=1", who="viewer") == 403
    body = {"channels": "all", "week": WEEK}
    assert await rig.refused("PUT", "schedules", body, "setter") == 403
    assert await rig.refused("PATCH", "schedules", {"channels": 2, "days": {"mon": []}}, "setter") == 403
    # a program reads and does not change
    assert len((await rig.ok("GET", "schedules", who="digest"))["schedules"]) == 2
    assert await rig.refused("PUT", "schedules", body, "digest") == 401


# ---- named schedules, holidays, links


@pytest.mark.covers("P122", "P123")
async def test_named_schedules_are_made_assigned_and_removed(rig: Rig) -> None:
    names = {each["name"]: each for each in (await rig.ok("GET", "named"))["named"]}
    assert names.keys() == {"24x7", "24x5", "24x2"}
    assert names["24x7"]["fixed"]
    await rig.ok("PUT", "named/Shop%20hours", {"week": PLAIN})
    body = {"channels": [1], "assigned": {"motion": "Shop hours", "general": None}}
    await rig.ok("PUT", "schedules/assigned", body, "setter")
    assert (await rig.week(1))["assigned"] == {"motion": "Shop hours", "general": None}
    # general is never armed now
    assert f"rec-{rig.one}" not in rig.director.orders()
    (used,) = [each for each in (await rig.ok("GET", "named"))["named"] if each["name"] == "Shop hours"]
    assert used["cameras"] == [rig.one]
    assert await rig.refused("DELETE", "named/Shop%20hours") == 409
    await rig.ok("PUT", "schedules/assigned", {"channels": [1], "assigned": {}})
    await rig.ok("DELETE", "named/Shop%20hours", status=204)
    assert await rig.refused("DELETE", "named/Shop%20hours") == 404


async def test_named_schedules_that_may_not_be(rig: Rig) -> None:
    assert await rig.refused("PUT", "named/24x7", {"week": PLAIN}) == 409
    assert await rig.refused("DELETE", "named/24x7") == 409
    assert await rig.refused("PUT", "named/x", {"week": WEEK}) == 400
    assert await rig.refused("PUT", f"named/{'x' * 33}", {"week": PLAIN}) == 400
    # they hold for all channels
    assert await rig.refused("PUT", "named/x", {"week": PLAIN}, "setter") == 403
    assert await rig.refused("DELETE", "named/24x5", who="setter") == 403
    assert await rig.refused("GET", "named", who="viewer") == 403
    for assigned in ({"motion": "nothing"}, {"manual": "24x5"}, {"rain": None}, {"motion": 5}, ["24x5"]):
        body = {"channels": "all", "assigned": assigned}
        assert await rig.refused("PUT", "schedules/assigned", body) in (400, 404)
    assert await rig.refused("PUT", "schedules/assigned", {"channels": 2, "assigned": {}}, "setter") == 403


@pytest.mark.covers("SYS-08", "REC-08")
async def test_holidays(rig: Rig) -> None:
    body = {"name": "Christmas", "first": "2026-12-24", "last": "2026-12-26", "yearly": True}
    made = (await rig.ok("POST", "holidays", body, status=201))["holiday"]
    assert made == body | {"enabled": True}
    assert await rig.refused("POST", "holidays", body) == 409
    made = (await rig.ok("PATCH", "holidays/Christmas", {"enabled": False, "last": "2026-12-27"}))["holiday"]
    assert made == body | {"enabled": False, "last": "2026-12-27"}
    one_day = (await rig.ok("POST", "holidays", {"name": "May", "first": "2026-05-01"}, status=201))["holiday"]
    assert one_day["last"] == "2026-05-01"
    assert [each["name"] for each in (await rig.ok("GET", "holidays", who="setter"))["holidays"]] == [
        "May",
        "Christmas",
    ]
    for bad in (
        {"name": "x", "first": "2026-12-24", "last": "2026-12-23"},
        {"name": "", "first": "2026-12-24"},
        {"name": "x", "first": "24.12."},
        {"name": "x"},
        {"name": "x", "first": "2026-12-24", "yearly": "yes"},
        {"name": "x", "first": "2026-12-24", "day": 1},
    ):
        assert await rig.refused("POST", "holidays", bad) == 400
    assert await rig.refused("PATCH", "holidays/May", {"last": "2026-04-01"}) == 400
    assert await rig.refused("PATCH", "holidays/May", {}) == 400
    assert await rig.refused("PATCH", "holidays/June", {"enabled": True}) == 404
    for method, path, sent in (
        ("POST", "holidays", {"name": "x", "first": "2026-12-24"}),
        ("PATCH", "holidays/May", {"enabled": False}),
        ("DELETE", "holidays/May", None),
    ):
        assert await rig.refused(method, path, sent, "setter") == 403
    await rig.ok("DELETE", "holidays/May", status=204)
    assert await rig.refused("DELETE", "holidays/May") == 404


@pytest.mark.covers("REC-16", "LNK-07", "P187")
async def test_an_event_of_one_channel_records_others(rig: Rig) -> None:
    await rig.ok("POST", "one-click", {"channels": "all", "mode": "motion"})
    body = {"channel": 1, "type": "motion", "targets": [2]}
    found = (await rig.ok("PUT", "links", body))["links"]
    assert found == [{"channel": 1, "camera": rig.one, "type": "motion", "targets": [rig.two]}]
    rig.director.trigger(rig.one, RecordType.MOTION, active=True)
    assert rig.director.orders() == {f"rec-{rig.one}", f"rec-{rig.two}"}
    assert await rig.refused("PUT", "links", body, "setter") == 403
    assert await rig.refused("PUT", "links", body | {"type": "general"}) == 400
    assert await rig.refused("PUT", "links", body | {"type": 1}) == 400
    assert await rig.refused("PUT", "links", body | {"targets": [9]}) == 404
    assert await rig.refused("PUT", "links", body | {"channel": "all"}) == 400
    assert (await rig.ok("PUT", "links", body | {"targets": []}))["links"] == []
    assert (await rig.ok("GET", "links", who="setter"))["links"] == []


async def test_a_change_needs_the_token_of_the_session(rig: Rig) -> None:
    cookie = {"Cookie": rig.headers("admin")["Cookie"]}
    body = {"channels": [1], "mode": "off"}
    async with rig.client.patch("/api/recording/policies", headers=cookie, json=body) as reply:
        assert reply.status == 403
    async with rig.client.patch("/api/recording/policies", json=body) as reply:
        assert reply.status == 401
    async with rig.client.get("/api/recording/policies") as reply:
        assert reply.status == 401
    assert (await rig.policy(1))["mode"] == "auto"
