"""How many sessions there may be: in all, of one account, from one address, and how much they may take (RFC 2326 11.3.4, 453).

A worker counts its own sessions exactly; of those at other workers it is told now and then. So the bounds are exact for one
worker and soft by what begins elsewhere within a moment. No I/O.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from onvifd.rtsp.messages import RtspError
from onvifd.rtsp.play import Multicast
from onvifd.rtsp.server_events import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What all sessions together may take; 0 is no bound. `bandwidth` is bit/s."""

    sessions: int = 0
    per_account: int = 0
    per_address: int = 0
    bandwidth: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """Sessions at other workers: how many in all, by account and by address, and the bit/s that they take."""

    sessions: int = 0
    accounts: Mapping[str, int] = field(default_factory=dict)
    addresses: Mapping[str, int] = field(default_factory=dict)
    bandwidth: int = 0


@dataclass(frozen=True, slots=True)
class _Admitted:
    account: str
    address: str
    session: Session


Refused = Callable[[str, str, str, str], None]
"""Told of each refusal: account, address, path and reason."""


class Door:
    """Admits sessions (server_events.Admission)."""

    def __init__(self, budget: Budget | None = None, refused: Refused | None = None) -> None:
        self.budget = budget or Budget()
        self.elsewhere = Elsewhere()
        self._refused = refused
        self._admitted: dict[str, _Admitted] = {}

    def admit(self, session: Session, account: str, address: str) -> None:
        """See Admission."""
        place = network_of(address)
        reason, status = self._objection(session, account, place)
        if reason:
            if self._refused is not None:
                self._refused(account, address, session.path, reason)
            raise RtspError(status, reason)
        self._admitted[session.id] = _Admitted(account, place, session)

    def _objection(self, session: Session, account: str, address: str) -> tuple[str, int]:
        budget, others = self.budget, self.elsewhere
        mine = self._admitted.values()
        if 0 < budget.sessions <= len(mine) + others.sessions:
            return f"all {budget.sessions} RTSP sessions are taken", 503
        of_account = sum(each.account == account for each in mine) + others.accounts.get(account, 0)
        if 0 < budget.per_account <= of_account:
            return f"all {budget.per_account} RTSP sessions of the account are taken", 503
        from_there = sum(each.address == address for each in mine) + others.addresses.get(address, 0)
        if 0 < budget.per_address <= from_there:
            return f"all {budget.per_address} RTSP sessions of the address are taken", 503
        wanted = bitrate_of(session)
        if budget.bandwidth and wanted and self.bandwidth + others.bandwidth + wanted > budget.bandwidth:
            return f"{wanted / 1e6:.1f} Mbit/s more exceed the {budget.bandwidth / 1e6:g} Mbit/s for RTSP", 453
        return "", 0

    def release(self, session: Session) -> None:
        """See Admission."""
        self._admitted.pop(session.id, None)

    @property
    def bandwidth(self) -> int:
        """Bit/s that the sessions take now."""
        return sum(bitrate_of(each.session) for each in self._admitted.values())


def bitrate_of(session: Session) -> int:
    """Bit/s of what a session shows, as far as it is known. What goes to a group is sent once for all, and not counted."""
    if any(isinstance(way, Multicast) for way in session.tracks.values()):
        return 0
    return int(getattr(session.presentation, "bitrate", 0))


def network_of(address: str) -> str:
    """The address, or for IPv6 the network of one host."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else address
