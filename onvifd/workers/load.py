"""RTSP sessions over all workers: each counts its own, and control tells each how many the others have (decision 0041)."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable

from onvifd.clock import Clock
from onvifd.rtsp.admission import Budget, Door, Elsewhere, network_of
from onvifd.rtsp.server_events import Bucket
from onvifd.workers.messages import RtspLoad, SessionRefused, Setup, Stats

log = logging.getLogger(__name__)

NOTICES_PER_SECOND = 2.0
NOTICE_BURST = 20.0


def door_of(setup: Setup, clock: Clock, send: Callable[[SessionRefused], None]) -> Door:
    """The door of a worker. Refusals are logged and told to control, as far as they are no flood."""
    bucket = Bucket(NOTICES_PER_SECOND, NOTICE_BURST, clock.monotonic())

    def refused(account: str, address: str, path: str, reason: str) -> None:
        if bucket.take(clock.monotonic()):
            log.warning("RTSP session of %s at %s for %s refused: %s", account, address, path, reason)
            send(SessionRefused(account=account, address=address, path=path, reason=reason))

    budget = Budget(
        sessions=setup.max_sessions,
        per_account=setup.max_sessions_per_account,
        per_address=setup.max_sessions_per_address,
        bandwidth=setup.max_bandwidth,
    )
    return Door(budget, refused)


def elsewhere(load: RtspLoad) -> Elsewhere:
    """What control tells, as the door counts it."""
    return Elsewhere(sessions=load.sessions, accounts=load.accounts, addresses=load.addresses, bandwidth=load.bandwidth)


class SharedLoad:
    """What each worker has, as control knows it from their reports."""

    def __init__(self) -> None:
        self._known: dict[str, RtspLoad] = {}
        self._told: dict[str, RtspLoad] = {}

    def heard(self, worker: str, stats: Stats) -> None:
        """A report of a worker."""
        sessions = stats.sessions
        self._known[worker] = RtspLoad(
            sessions=len(sessions),
            accounts=dict(Counter(each.account for each in sessions)),
            addresses=dict(Counter(network_of(each.address) for each in sessions)),
            bandwidth=sum(each.bitrate for each in sessions),
        )

    def died(self, worker: str) -> None:
        """The sessions of a worker ended with it, and what it was told."""
        self._known.pop(worker, None)
        self._told.pop(worker, None)

    def news(self, worker: str) -> RtspLoad | None:
        """What a worker is to be told of the others; None if it knows."""
        others = [load for name, load in self._known.items() if name != worker]
        accounts, addresses = Counter[str](), Counter[str]()
        for load in others:
            accounts.update(load.accounts)
            addresses.update(load.addresses)
        found = RtspLoad(
            sessions=sum(load.sessions for load in others),
            accounts=dict(accounts),
            addresses=dict(addresses),
            bandwidth=sum(load.bandwidth for load in others),
        )
        if self._told.get(worker, RtspLoad()) == found:
            return None
        self._told[worker] = found
        return found
