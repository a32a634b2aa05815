"""How many sessions there may be."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from onvifd.rtsp.admission import Budget, Door, Elsewhere, network_of
from onvifd.rtsp.messages import RtspError
from onvifd.rtsp.play import Multicast
from onvifd.rtsp.server_events import Session
from tests.rtsp.test_server_session import LIVE, TCP, Peer, Sample


@dataclass
class Rated(Sample):
    bitrate: int = 4_000_000


def session(number: int = 1, presentation: Sample | None = None) -> Session:
    return Session(str(number), "/live/cam-1/main", "rtsp://h/p", presentation or Rated(), 0.0)


def refused(door: Door, each: Session, account: str = "one", address: str = "192.0.2.1") -> int:
    with pytest.raises(RtspError) as caught:
        door.admit(each, account, address)
    return caught.value.status


@pytest.mark.covers("NET-14")
def test_sessions_in_all() -> None:
    told: list[tuple[str, ...]] = []
    door = Door(Budget(sessions=2), lambda *args: told.append(args))
    first = session(1)
    door.admit(first, "one", "192.0.2.1")
    door.admit(session(2), "two", "192.0.2.2")
    assert refused(door, session(3), "three", "192.0.2.3") == 503
    assert told == [("three", "192.0.2.3", "/live/cam-1/main", "all 2 RTSP sessions are taken")]
    door.release(session(3))
    assert refused(door, session(3)) == 503, "one that was not admitted frees nothing"
    door.release(first)
    door.admit(session(3), "three", "192.0.2.3")


@pytest.mark.covers("NET-14")
def test_sessions_of_an_account_and_of_an_address() -> None:
    door = Door(Budget(per_account=1, per_address=2))
    door.admit(session(1), "one", "192.0.2.1")
    assert refused(door, session(2), "one", "192.0.2.9") == 503
    door.admit(session(2), "two", "192.0.2.1")
    assert refused(door, session(3), "three", "192.0.2.1") == 503
    door.admit(session(3), "three", "192.0.2.2")


def test_hosts_of_ipv6_have_many_addresses() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::2:3") != network_of("2001:db8:0:1::1")
    assert network_of("192.0.2.1") == "192.0.2.1"
    assert network_of("") == ""


def test_bandwidth() -> None:
    door = Door(Budget(bandwidth=10_000_000))
    door.admit(session(1), "one", "")
    door.admit(session(2), "one", "")
    assert door.bandwidth == 8_000_000
    assert refused(door, session(3)) == 453
    door.admit(session(3, Sample()), "one", "")  # of what is not known nothing can be said
    shared = session(4)
    shared.tracks[0] = Multicast("239.1.1.1", 5000, 1)
    door.admit(shared, "one", "")  # it is sent once, however many listen


def test_sessions_at_other_workers_count() -> None:
    door = Door(Budget(sessions=5, per_account=3, per_address=4, bandwidth=10_000_000))
    door.elsewhere = Elsewhere(sessions=5)
    assert refused(door, session()) == 503
    door.elsewhere = Elsewhere(sessions=3, accounts={"one": 3})
    assert refused(door, session()) == 503
    door.elsewhere = Elsewhere(sessions=4, addresses={"192.0.2.1": 4})
    assert refused(door, session()) == 503
    door.elsewhere = Elsewhere(bandwidth=7_000_000)
    assert refused(door, session()) == 453


def test_a_refused_setup_leaves_nothing_and_an_ended_session_makes_room() -> None:
    door = Door(Budget(sessions=1))
    peer = Peer()
    peer.machine._admission = door
    peer.set_up()
    other = Peer()
    other.machine._admission = door
    assert other.ask("SETUP", LIVE + "/trackID=0", TCP).status == 503
    assert not other.machine.sessions
    peer.set_up(track=1)
    assert peer.ask("TEARDOWN", LIVE).status == 200
    other.set_up()
    other.machine.close("gone")
    assert door._admitted == {}


def test_a_session_whose_ports_cannot_be_bound_leaves_nothing() -> None:
    door = Door(Budget(sessions=1))
    peer = Peer()
    peer.machine._admission = door
    udp = ("Transport", "RTP/AVP;unicast;client_port=4000-4001")
    real = peer.machine.set_up
    peer.machine.set_up = lambda ports: peer.machine.failed(RtspError(503, "no ports"))  # type: ignore[method-assign]
    assert peer.ask("SETUP", LIVE + "/trackID=0", udp).status == 503
    assert (peer.machine.sessions, door._admitted) == ({}, {})
    peer.machine.set_up = real  # type: ignore[method-assign]
    assert peer.ask("SETUP", LIVE + "/trackID=0", udp).status == 200
