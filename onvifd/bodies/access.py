"""Who may use the recorder: accounts, locks, sessions and audit of the control process, behind what the faces need of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from onvifd.access.accounts import AccountChange, Accounts, NewAccount
from onvifd.access.audit import AuditLog, Kind
from onvifd.access.console import ConsoleAccounts, ConsoleChange
from onvifd.access.console_sessions import ConsoleSessions
from onvifd.access.digest import DigestVerifier
from onvifd.access.gate import Gate, Refusal, account_key
from onvifd.access.ip_filter import IpFilter
from onvifd.access.keyfile import SecretBox
from onvifd.access.lockout import Lock, Lockout, LockoutPolicy
from onvifd.access.policy import ALGORITHMS, AccessPolicy, FailureMonitor
from onvifd.access.sessions import Session, SessionKind, SessionRegistry
from onvifd.access.types import Account, Credential, Level
from onvifd.bodies import host
from onvifd.clock import Clock
from onvifd.config import Config
from onvifd.errors import NotFound
from onvifd.events.device_topics import auth_failed
from onvifd.events.types import Event
from onvifd.store.catalogue import Catalogue
from onvifd.workers.messages import AnyMessage, Credentials, LoginNotice, SessionRefused, Stats
from onvifd.workers.specs import CredentialSpec, FilterSpec, LockSpec

log = logging.getLogger(__name__)

ONVIF, RTSP, CONSOLE = "onvif", "rtsp", "console"
TICK = 1.0
"""Seconds between looks at what is over, and at most between two tellings of locks to the workers."""


class Workers(Protocol):
    """What is needed of the cluster."""

    def set_credentials(self, credentials: Credentials) -> None: ...

    async def kick(self, worker: str, session: str) -> None: ...


class Face(Protocol):
    """Who has connections that stand (`bodies.gate.HttpGate`)."""

    def expel(self, refusal: Callable[[str, str], str]) -> None:
        """End those that `refusal` gives a reason against, by account and address."""
        ...


class AccessControl:
    """One per recorder. Is the device service's UserBackend, and the dispatcher's Observer."""

    def __init__(
        self,
        config: Config,
        catalogue: Catalogue,
        box: SecretBox,
        clock: Clock,
        run: Callable[..., Awaitable[object]] = asyncio.to_thread,
    ) -> None:
        access, limits = config.access, config.limits
        self._config = config
        self._clock = clock
        self._run = run
        self.accounts = Accounts(catalogue, box, clock, realm=access.realm, limit=limits.accounts)
        self.console = ConsoleAccounts(
            catalogue, clock, limit=limits.console_accounts, group_limit=limits.console_groups
        )
        self.audit = AuditLog(catalogue, clock, keep=limits.audit_entries)
        self.lockout = Lockout(LockoutPolicy(access.lockout_tries, access.lockout_seconds))
        self.sessions = SessionRegistry()
        self.console_sessions = ConsoleSessions(self.sessions, idle=access.console_idle, limit=limits.console_sessions)
        self.gate = Gate(ONVIF, self.lockout, clock, self)
        self.console_gate = Gate(CONSOLE, self.lockout, clock, self, realm=CONSOLE)
        self.verifier = DigestVerifier(access.realm, self.accounts.lookup, gate=self.gate)
        self._publish: Callable[[Event], object] | None = None
        self._monitor = FailureMonitor()
        self._workers: Workers | None = None
        self._told: tuple[tuple[str, str], ...] = ()
        self._changed: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
        self._task: asyncio.Task[None] | None = None
        self._interfaces: dict[str, str] = {}
        self._faces: list[Face] = []
        self._filter = IpFilter()

    # ---- life

    async def start(self, publish: Callable[[Event], object]) -> None:
        """`publish` takes the events."""
        self._publish = publish
        self.audit.start()
        self._interfaces = await asyncio.to_thread(_interfaces, self._config.network.host)
        self._task = asyncio.create_task(self._watch(), name="access")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.audit.close()

    def attach(self, face: Face) -> None:
        """A face whose connections end with what allows them."""
        self._faces.append(face)

    def follow(self, filter_: IpFilter) -> None:
        """The address filter in force."""
        self._filter = filter_
        filter_.changed = self._filter_changed

    def _filter_changed(self) -> None:
        self._expel(frozenset(), "")
        self.tell_workers()

    def reload(self) -> None:
        """Read everything again; blocks. What belongs on the loop is done by `reloaded`."""
        self._changed = (self.accounts.reload(), self.console.reload())

    def reloaded(self, workers: Workers) -> None:
        """Take over what `reload` has read: free changed accounts, end their console sessions, tell the workers."""
        self._workers = workers
        changed, of_console = self._changed
        for name in changed:
            self.lockout.unlock(account_key(ONVIF, name))
        for name in of_console:
            self.lockout.unlock(account_key(CONSOLE, name))
            for session in self.console_sessions.close_account(name):
                self.audit.put(Kind.LOGOUT, "account changed", account=session.account, face=CONSOLE)
        self.tell_workers()

    def tell_workers(self) -> None:
        """All accounts, algorithms and locks, to those who serve RTSP; the algorithms to our own face too."""
        self.verifier.algorithms = self.hashing_algorithms()
        if withdrawn := self.accounts.withdrawn():
            self._expel(withdrawn, "its account has changed")
        locks = self.lockout.locks(self._clock.monotonic())
        self._told = _names(locks)
        if self._workers is None:
            return
        rows = self.accounts.rows()
        specs = tuple(_spec(each, rows[each.account.name].changed) for each in self.accounts.export())
        mine = tuple(
            LockSpec(account=lock.account, source=lock.source, seconds=lock.seconds_left)
            for lock in locks
            if not lock.account.startswith(f"{CONSOLE}:")
        )
        rules = self._filter.rules
        kept_out = FilterSpec(allow=rules.allow, prefixes=tuple(map(str, rules.prefixes)))
        self._workers.set_credentials(
            Credentials(accounts=specs, algorithms=self.hashing_algorithms(), locks=mine, filter=kept_out)
        )

    def _expel(self, accounts: frozenset[str], why: str) -> None:
        """End HTTP connections of accounts and of addresses that may not be here any more. Workers see to theirs."""

        def refusal(account: str, address: str) -> str:
            if account in accounts:
                return why
            return "" if self._filter.permits(address) else "the IP address filter keeps it out"

        for face in self._faces:
            face.expel(refusal)

    async def _watch(self) -> None:
        while True:
            await self._clock.sleep(TICK)
            try:
                self._look()
            except Exception:
                # a defect must cost one look, not all that follow
                log.exception("access")

    def _look(self) -> None:
        now = self._clock.utc()
        for gone in self.sessions.expire(now):
            self.audit.put(Kind.LOGOUT, "silent", account=gone.account, address=gone.address, face=ONVIF)
        for session in self.console_sessions.expire(now):
            self.audit.put(Kind.LOGOUT, "timed out", account=session.account, face=CONSOLE)
        self._end_periods(now)
        if _names(self.lockout.locks(self._clock.monotonic())) != self._told:
            self.tell_workers()

    def _end_periods(self, now: int) -> None:
        """Whose login period is over goes."""
        if over := self.accounts.outside_periods(now):
            self._expel(over, "its login period is over")
        for name in self.console_sessions.accounts():
            account = self.console.lookup(name)
            if account is None or not account.enabled or not account.periods.allows_utc(now):
                for session in self.console_sessions.close_account(name):
                    self.audit.put(Kind.LOGOUT, "login period over", account=session.account, face=CONSOLE)

    # ---- what gates and workers tell

    def refused(self, refusal: Refusal) -> None:
        """A login was refused (GateListener)."""
        self.audit.put(
            Kind.REFUSED,
            "login",
            account=refusal.account,
            address=refusal.source,
            face=refusal.face,
            outcome=refusal.reason,
        )
        self._locked(refusal.locks, refusal.face)
        if not refusal.counted:
            return
        warning = self.accounts.policy.warning
        if self._monitor.failed(warning, self._clock.monotonic()):
            self._warn(refusal)

    def _warn(self, refusal: Refusal) -> None:
        log.warning("more than %d logins were refused", self.accounts.policy.warning.failures)
        try:
            event = auth_failed(self._interface(refusal.local), refusal.source, self._clock.utc())
        except ValueError:
            # a source that is no IP address cannot be told in the event's terms
            return
        if self._publish is not None:
            self._publish(event)

    def admitted(self, face: str, account: str, source: str) -> None:
        """Somebody came in (GateListener). Console sessions tell of themselves."""
        if face == ONVIF and self.sessions.seen(account, source, self._clock.utc()):
            self.audit.put(Kind.LOGIN, "login", account=account, address=source, face=face)

    def heard(self, message: AnyMessage) -> None:
        """What workers tell of logins and sessions."""
        if isinstance(message, LoginNotice):
            self._heard_login(message)
        elif isinstance(message, SessionRefused):
            self.audit.put(
                Kind.REFUSED,
                "play",
                account=message.account,
                address=message.address,
                face=RTSP,
                outcome=message.reason,
            )
        elif isinstance(message, Stats):
            now = self._clock.utc()
            told = (
                Session(
                    id=one.id,
                    kind=SessionKind.RTSP,
                    account=one.account,
                    address=one.address,
                    since=now,
                    last=now,
                    detail=f"{one.path} (talks)" if "talk" in one.kinds else one.path,
                    worker=message.worker,
                )
                for one in message.sessions
            )
            for new in self.sessions.report(message.worker, told):
                self.audit.put(
                    Kind.SESSION, "play", account=new.account, address=new.address, face=RTSP, detail=new.detail
                )

    def _heard_login(self, notice: LoginNotice) -> None:
        key = account_key(ONVIF, notice.account)
        if not notice.reason:
            self.lockout.succeeded(key, notice.source)
            return
        locks: tuple[Lock, ...] = ()
        if notice.counted:
            locks = self.lockout.failed(key, notice.source, self._clock.monotonic(), known=notice.known)
        self.refused(
            Refusal(
                face=RTSP,
                account=notice.account,
                source=notice.source,
                local=notice.local,
                reason=notice.reason,
                known=notice.known,
                counted=notice.counted,
                locks=locks,
            )
        )

    def _locked(self, locks: Iterable[Lock], face: str) -> None:
        for lock in locks:
            log.warning("%s is locked for %d s", lock.account or lock.source, lock.seconds_left)
            name = lock.account.partition(":")[2]
            self.audit.put(
                Kind.LOCKED,
                "lockout",
                account=name,
                address=lock.source,
                face=face,
                outcome="locked",
                detail=f"for {lock.seconds_left:.0f} s",
            )

    def _interface(self, local: str) -> str:
        """The interface that an address of ours belongs to; the address where that is not known."""
        return self._interfaces.get(local, local or "unknown")

    # ---- what the dispatcher tells (Observer)

    def forbidden(self, account: str, peer: str, operation: str) -> None:
        self.audit.put(Kind.REFUSED, operation, account=account, address=peer, face=ONVIF, outcome="level too low")

    def changed(self, account: str, peer: str, operation: str, outcome: str) -> None:
        self.audit.put(Kind.CHANGE, operation, account=account, address=peer, face=ONVIF, outcome=outcome)

    # ---- users of the device service (UserBackend)

    @property
    def max_users(self) -> int:
        return self.accounts.limit

    def users(self) -> tuple[tuple[str, Level], ...]:
        return tuple((account.name, account.level) for account in self.accounts.all())

    async def create_users(self, accounts: tuple[NewAccount, ...], actor: str, peer: str) -> None:
        await self._run(self.accounts.create, accounts)
        for one in accounts:
            self._account_changed(actor, peer, "made", one.name, one.level)

    async def change_users(self, changes: tuple[AccountChange, ...], actor: str, peer: str) -> None:
        await self._run(self.accounts.change, changes)
        for one in changes:
            self._account_changed(actor, peer, "changed", one.name, one.level)

    async def remove_users(self, names: tuple[str, ...], actor: str, peer: str) -> None:
        await self._run(self.accounts.remove, names)
        for name in names:
            self._account_changed(actor, peer, "removed", name, None)

    async def change_console_password(self, name: str, password: str) -> None:
        """A person's own change, already authenticated. Raises Prohibited."""
        await self._run(self.console.change, ConsoleChange(name=name, password=password))

    def policy(self) -> AccessPolicy:
        return self.accounts.policy

    async def set_policy(self, decide: Callable[[AccessPolicy], AccessPolicy]) -> None:
        await self._run(self.accounts.set_policy, decide)
        self.tell_workers()

    def _account_changed(self, actor: str, peer: str, action: str, name: str, level: Level | None) -> None:
        self.lockout.unlock(account_key(ONVIF, name))
        detail = f"{name}, {level}" if level is not None else name
        self.audit.put(Kind.ACCOUNT, action, account=actor, address=peer, face=ONVIF, detail=detail)
        self.tell_workers()

    # ---- algorithms of digest (Core 5.9.3)

    def supported_hashing_algorithms(self) -> tuple[str, ...]:
        return ALGORITHMS

    def hashing_algorithms(self) -> tuple[str, ...]:
        """Those in force, the preferred one first: as a client has set them, or else the settings."""
        return self.accounts.policy.algorithms or tuple(self._config.access.digest_algorithms.split(","))

    async def set_hashing_algorithms(self, names: tuple[str, ...]) -> None:
        """For all challenges from now on. Raises InvalidArgument."""
        await self.set_policy(lambda policy: policy.with_algorithms(names))

    # ---- sessions

    async def kick(self, session: str, *, actor: str, address: str, block: float = 0.0) -> None:
        """End a session, and keep its account out for `block` seconds. Raises NotFound, Unavailable.

        What a VMS calls by SOAP has no session that could be ended: without a block it comes back with its next call.
        """
        found = self.sessions.get(session)
        if found is None:
            raise NotFound("there is no such session")
        if block > 0:
            realm = CONSOLE if found.kind is SessionKind.CONSOLE else ONVIF
            key = account_key(realm, found.account)
            self.lockout.block(account=key, seconds=min(block, 65_535.0), now=self._clock.monotonic())
            self.tell_workers()
        await self._end(found)
        self.audit.put(
            Kind.SESSION,
            "ended",
            account=actor,
            address=address,
            face=CONSOLE,
            detail=f"{found.kind} of {found.account} at {found.address}, blocked for {block:.0f} s",
        )

    async def _end(self, session: Session) -> None:
        if session.kind is SessionKind.CONSOLE:
            self.console_sessions.close(session.id)
        elif session.kind is SessionKind.RTSP and self._workers is not None:
            await self._workers.kick(session.worker, session.id)
        self.sessions.close(session.id)


def _names(locks: Iterable[Lock]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((lock.account, lock.source) for lock in locks))


def _spec(credential: Credential, changed: int) -> CredentialSpec:
    account: Account = credential.account
    former = credential.former
    return CredentialSpec(
        name=account.name,
        level=account.level,
        ha1=credential.ha1,
        ha1_sha256=credential.ha1_sha256,
        former=(former.ha1, former.ha1_sha256) if former is not None else ("", ""),
        periods=credential.periods.format(),
        changed=changed,
    )


def _interfaces(bound: str) -> dict[str, str]:
    """Interfaces of this host by their addresses. Blocks."""
    return {
        address.partition("%")[0]: interface.token
        for interface in host.interfaces(bound)
        for address, _ in (*interface.ipv4, *interface.ipv6)
    }
