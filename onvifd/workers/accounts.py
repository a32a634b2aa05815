"""The accounts of the RTSP face in a worker: digests only, replaced as a whole when control sends them.

A worker counts failures itself, so that guessing ends at once, and tells control of them, which knows of those at all faces
and says who is locked.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection

import msgspec

from onvifd.access.digest import DigestVerifier
from onvifd.access.gate import Gate, Refusal, account_key
from onvifd.access.ip_filter import FilterRules, IpFilter
from onvifd.access.lockout import Lockout, LockoutPolicy
from onvifd.access.periods import WeekPlan
from onvifd.access.sessions import SessionKind, session_id
from onvifd.access.types import Account, Credential, Level
from onvifd.clock import Clock
from onvifd.rtsp.feedback import Reception
from onvifd.rtsp.server import RtspServer
from onvifd.workers.messages import Credentials, LoginNotice, Setup
from onvifd.workers.specs import CredentialSpec, SessionSpec

NOTICES_PER_SECOND = 20.0
NOTICE_BURST = 100.0
REALM = "onvif"


class AccountTable:
    """Gives credentials by name, from memory (CredentialLookup), and makes the verifier that asks for them.

    `send` takes notices for control. `server` is the RTSP server whose connections end when they are not allowed any more.
    """

    def __init__(self, clock: Clock, send: Callable[[LoginNotice], None]) -> None:
        self._clock = clock
        self._send = send
        self.server: RtspServer | None = None
        self._filter = IpFilter()
        self._known: dict[str, Credential] = {}
        self._changed: dict[str, int] = {}
        self._algorithms: tuple[str, ...] = ("MD5",)
        self._lockout = Lockout()
        self._verifier: DigestVerifier | None = None
        self._budget, self._filled = NOTICE_BURST, clock.monotonic()

    def verifier(self, setup: Setup) -> DigestVerifier:
        """Digest for the RTSP server of this worker."""
        self._lockout.policy = LockoutPolicy(setup.lockout_tries, setup.lockout_seconds)
        gate = Gate("rtsp", self._lockout, self._clock, self, realm=REALM)
        self._verifier = DigestVerifier.for_rtsp(setup.realm, self.lookup, gate=gate)
        self._verifier.algorithms = self._algorithms
        return self._verifier

    def replace(self, message: Credentials) -> None:
        """Take over all accounts; those not named are gone."""
        now = self._clock.monotonic()
        before, self._known = self._known, {spec.name: _credential(spec) for spec in message.accounts}
        for spec in message.accounts:
            if self._changed.get(spec.name, spec.changed) != spec.changed:
                self._lockout.unlock(account_key(REALM, spec.name))
        self._changed = {spec.name: spec.changed for spec in message.accounts}
        for lock in message.locks:
            self._lockout.block(account=lock.account, source=lock.source, seconds=lock.seconds, now=now)
        self._algorithms = message.algorithms
        if self._verifier is not None:
            self._verifier.algorithms = message.algorithms
        prefixes = tuple(ipaddress.ip_network(prefix) for prefix in message.filter.prefixes)
        self._filter.replace(FilterRules(message.filter.allow, prefixes))
        self.expel([name for name, old in before.items() if not _same(old, self._known.get(name))])

    def expel(self, names: Collection[str] = ()) -> None:
        """End the connections of accounts that are gone or have another password or level (`names`), of those whose login
        period is over, and from addresses that the filter keeps out."""
        if self.server is None:
            return
        utc = self._clock.utc()
        over = {name for name, one in self._known.items() if not one.periods.allows_utc(utc)}

        def refusal(account: str, address: str) -> str:
            if account in names:
                return "its account has changed"
            if account in over:
                return "its login period is over"
            return "" if self._filter.permits(address) else "the IP address filter keeps it out"

        self.server.expel(refusal)

    def sessions(self) -> tuple[SessionSpec, ...]:
        """The RTSP sessions that may go on, as control lists them."""
        self.expel()
        return session_specs(self.server)

    def lookup(self, name: str) -> Credential | None:
        return self._known.get(name)

    # ---- told by the gate

    def refused(self, refusal: Refusal) -> None:
        if self._may_tell():
            self._send(
                LoginNotice(
                    account=refusal.account,
                    source=refusal.source,
                    local=refusal.local,
                    reason=refusal.reason,
                    known=refusal.known,
                    counted=refusal.counted,
                )
            )

    def admitted(self, face: str, account: str, source: str) -> None:
        if self._may_tell():
            self._send(LoginNotice(account=account, source=source, known=True))

    def _may_tell(self) -> bool:
        """A flood of logins must not fill the link to control: what is beyond is counted here alone."""
        now = self._clock.monotonic()
        self._budget = min(NOTICE_BURST, self._budget + (now - self._filled) * NOTICES_PER_SECOND)
        self._filled = now
        if self._budget < 1:
            return False
        self._budget -= 1
        return True


def session_specs(server: RtspServer | None) -> tuple[SessionSpec, ...]:
    """The RTSP sessions of a worker as control lists them."""
    if server is None:
        return ()
    traffic = server.traffic()
    return tuple(_session_spec(*listed, *traffic.get(listed[0], (0, None))) for listed in server.listing())


def _session_spec(
    secret: str, account: str, peer: str, path: str, kinds: tuple[str, ...], bitrate: int, told: Reception | None
) -> SessionSpec:
    spec = SessionSpec(
        id=session_id(SessionKind.RTSP, secret),
        account=account,
        address=peer,
        path=path,
        kinds=kinds,
        bitrate=bitrate,
    )
    if told is None:
        return spec
    return msgspec.structs.replace(
        spec,
        loss=told.fraction,
        lost=told.lost,
        jitter=told.jitter,
        round_trip=-1.0 if told.round_trip is None else told.round_trip,
    )


def kick(server: RtspServer | None, session: str) -> bool:
    """End the session of a public id; false if there is none."""
    if server is None:
        return False
    return any(
        session_id(SessionKind.RTSP, secret) == session and server.kick(secret) for secret, *_ in server.listing()
    )


def _same(old: Credential, new: Credential | None) -> bool:
    """Whether who logged in with `old` may go on."""
    return new is not None and (old.ha1, old.account) == (new.ha1, new.account)


def _credential(spec: CredentialSpec) -> Credential:
    account = Account(spec.name, Level(spec.level))
    former = None
    if spec.former[0]:
        former = Credential(account, spec.former[0], ha1_sha256=spec.former[1])
    return Credential(
        account, spec.ha1, ha1_sha256=spec.ha1_sha256, periods=WeekPlan.parse(spec.periods), former=former
    )
