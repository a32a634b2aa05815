"""RTSP sessions over all workers."""

from __future__ import annotations

import pytest

from onvifd.clock import SimulatedClock
from onvifd.rtsp.admission import Elsewhere
from onvifd.rtsp.messages import RtspError
from onvifd.rtsp.server_events import Session
from onvifd.workers.load import NOTICE_BURST, SharedLoad, door_of, elsewhere
from onvifd.workers.messages import RtspLoad, SessionRefused, Stats
from onvifd.workers.specs import SessionSpec
from tests.rtsp.test_server_session import Sample
from tests.workers.conftest import worker_setup

SETUP = worker_setup(kind="media", name="media-0", realm="r", max_sessions=1)


def stats(worker: str, *sessions: tuple[str, str]) -> Stats:
    return Stats(
        worker=worker,
        clients=len(sessions),
        sessions=tuple(
            SessionSpec(id="i", account=account, address=address, path="/p", bitrate=1000)
            for account, address in sessions
        ),
    )


def test_each_worker_is_told_what_the_others_have_when_it_changes() -> None:
    load = SharedLoad()
    load.heard("media-0", stats("media-0", ("one", "192.0.2.1"), ("two", "2001:db8::5")))
    load.heard("replay", stats("replay", ("one", "192.0.2.2")))
    told = load.news("media-1")
    assert told == RtspLoad(
        sessions=3,
        accounts={"one": 2, "two": 1},
        addresses={"192.0.2.1": 1, "2001:db8::/64": 1, "192.0.2.2": 1},
        bandwidth=3000,
    )
    assert load.news("media-1") is None
    assert load.news("media-0") == RtspLoad(sessions=1, accounts={"one": 1}, addresses={"192.0.2.2": 1}, bandwidth=1000)
    load.died("replay")
    assert load.news("media-0") == RtspLoad()
    load.died("media-1")
    told = load.news("media-1")
    assert told is not None, "one that was started again knows nothing"
    assert told.sessions == 2
    assert elsewhere(told) == Elsewhere(
        sessions=2, accounts=told.accounts, addresses=told.addresses, bandwidth=told.bandwidth
    )


def test_refusals_are_told_but_no_flood_of_them(caplog: pytest.LogCaptureFixture) -> None:
    notices: list[SessionRefused] = []
    clock = SimulatedClock()
    door = door_of(SETUP, clock, notices.append)
    door.admit(Session("1", "/p", "b", Sample(), 0.0), "one", "192.0.2.1")
    for _ in range(100):
        with pytest.raises(RtspError):
            door.admit(Session("2", "/p", "b", Sample(), 0.0), "two", "192.0.2.1")
    assert notices[0] == SessionRefused(
        account="two", address="192.0.2.1", path="/p", reason="all 1 RTSP sessions are taken"
    )
    assert len(notices) == NOTICE_BURST
    assert "two" in caplog.text
