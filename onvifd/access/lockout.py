"""Guessing is made slow: accounts and source addresses that failed too often are locked for a while.

Sans-IO: `now` is seconds of one monotonic clock. All tables are bounded. What is tried while a lock lasts does not
lengthen it, so that a client whose password was put right comes in when the time is over.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import lru_cache

CAPACITY = 4096
"""Source addresses, and unknown account names, that are remembered at once; the one that failed longest ago goes first."""


@dataclass(frozen=True, slots=True)
class LockoutPolicy:
    """`tries` failures lock for `seconds`; 0 tries never lock. A failure is forgotten after `seconds`."""

    tries: int = 5
    seconds: float = 300.0


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock that lasts. Exactly one of `account` and `source` is set."""

    account: str
    source: str
    seconds_left: float


@dataclass(slots=True)
class _Tries:
    """Failures of an account or a source. `by` counts those of a source by account."""

    count: int = 0
    last: float = 0.0
    until: float | None = None
    by: dict[str, int] = field(default_factory=dict)


class _Table:
    """Failures by key, bounded unless `capacity` is None (where keys are those of a bounded list)."""

    def __init__(self, capacity: int | None) -> None:
        self._capacity = capacity
        self.entries: OrderedDict[str, _Tries] = OrderedDict()

    def current(self, key: str, now: float, forget: float) -> _Tries | None:
        """The entry of a key, unless it is over."""
        tries = self.entries.get(key)
        if tries is None:
            return None
        if now >= (tries.until if tries.until is not None else tries.last + forget):
            del self.entries[key]
            return None
        return tries

    def touch(self, key: str) -> _Tries:
        tries = self.entries.setdefault(key, _Tries())
        self.entries.move_to_end(key)
        if self._capacity is not None and len(self.entries) > self._capacity:
            self.entries.popitem(last=False)
        return tries


class Lockout:
    """Counts failures. Accounts are named by whatever string is unique to them."""

    def __init__(self, policy: LockoutPolicy | None = None, *, capacity: int = CAPACITY) -> None:
        self.policy = policy or LockoutPolicy()
        # Names that nobody has are apart: guessing them must not push out the counts of those that exist.
        self._known = _Table(None)
        self._unknown = _Table(capacity)
        self._sources = _Table(capacity)

    def locked(self, account: str, source: str, now: float) -> float:
        """Seconds until both the account and the source are free; 0 if they are."""
        forget = self.policy.seconds
        places = (self._known, account), (self._unknown, account), (self._sources, normal_source(source))
        found = (table.current(key, now, forget) for table, key in places if key)
        return max((one.until - now for one in found if one is not None and one.until is not None), default=0.0)

    def failed(self, account: str, source: str, now: float, *, known: bool) -> tuple[Lock, ...]:
        """Count a failure; gives the locks that begin with it. Nothing is counted while a lock lasts."""
        if not self.policy.tries or self.locked(account, source, now) > 0:
            return ()
        begun = []
        table = self._known if known else self._unknown
        if self._count(table, account, account, now):
            begun.append(Lock(account, "", self.policy.seconds))
        key = normal_source(source)
        if key and self._count(self._sources, key, account, now):
            begun.append(Lock("", key, self.policy.seconds))
        return tuple(begun)

    def _count(self, table: _Table, key: str, account: str, now: float) -> bool:
        table.current(key, now, self.policy.seconds)
        tries = table.touch(key)
        tries.count += 1
        tries.last = now
        tries.by[account] = tries.by.get(account, 0) + 1
        if tries.count < self.policy.tries:
            return False
        tries.until = now + self.policy.seconds
        return True

    def succeeded(self, account: str, source: str) -> None:
        """Forget the failures of an account: its own, and its part in those of the source.

        Those of other accounts at the same source stay, or who has one account could guess at the others for ever.
        """
        tries = self._known.entries.get(account)
        if tries is not None and tries.until is None:
            del self._known.entries[account]
        key = normal_source(source)
        tries = self._sources.entries.get(key)
        if tries is not None and tries.until is None:
            tries.count -= tries.by.pop(account, 0)
            if tries.count <= 0:
                del self._sources.entries[key]

    def block(self, *, account: str = "", source: str = "", seconds: float, now: float) -> None:
        """Lock by hand, or as another process says; never shortens a lock."""
        for table, key in ((self._known, account), (self._sources, normal_source(source))):
            if key:
                tries = table.touch(key)
                tries.last = now
                tries.until = max(tries.until or 0.0, now + seconds)

    def unlock(self, account: str) -> None:
        """Free an account: it was given a new password, or a person says so."""
        self._known.entries.pop(account, None)
        for key, tries in list(self._sources.entries.items()):
            if account in tries.by:
                del self._sources.entries[key]

    def locks(self, now: float) -> tuple[Lock, ...]:
        """Every lock that lasts, of accounts that exist and of sources."""
        found = []
        for key in list(self._known.entries):
            tries = self._known.current(key, now, self.policy.seconds)
            if tries is not None and tries.until is not None:
                found.append(Lock(key, "", tries.until - now))
        for key in list(self._sources.entries):
            tries = self._sources.current(key, now, self.policy.seconds)
            if tries is not None and tries.until is not None:
                found.append(Lock("", key, tries.until - now))
        return tuple(found)


@lru_cache(CAPACITY)  # asked twice for each request
def normal_source(address: str) -> str:
    """One name per party: an IPv4 address in whatever form, and for IPv6 the network of 64 bits that one host may own."""
    if not address:
        return ""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0].partition("/")[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        if not parsed.is_loopback:
            return str(ipaddress.ip_network((int(parsed), 64), strict=False))
    return str(parsed)
