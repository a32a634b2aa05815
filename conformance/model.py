"""Cases, verdicts, and what a case is given: an `Examination`."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from conformance.masks import Masks

if TYPE_CHECKING:
    from conformance.discovery import Prober
    from conformance.feature_set import Features
    from conformance.rtsp import RtspClient
    from conformance.soap import SoapClient


class Verdict(StrEnum):
    PASS = "PASS"
    FAIL = "FAIL"
    NOT_APPLICABLE = "NOT APPLICABLE"
    """The device has not a feature that the case needs."""
    NOT_RUN = "NOT RUN"
    """Nothing is known: the case takes the device away (`--destructive`) or needs equipment that is not there."""


class Failure(Exception):
    """The device did what the case forbids. The text quotes what was received and names the section."""


class NotApplicable(Exception):
    """The device has not the feature that the case is about; the text is the name of the feature."""


class NotRun(Exception):
    """The examiner cannot run the case here; the text says what it lacks. Never a way to hide what a device does."""


Run = Callable[["Examination"], Awaitable[None]]
"""`async def run(x: Examination) -> None`"""


@dataclass(frozen=True, slots=True)
class Case:
    """One case of an official test specification."""

    id: str
    document: str
    """Test specification: Base, Event, Security, AccessPolicy ..."""
    name: str
    requires: frozenset[str]
    """Features that must be there; `a OR b` needs one of the two, `NOT a` needs its absence."""
    run: Run
    destructive: bool = False
    """Takes the device away for a while or loses its settings; runs only if asked for."""
    bound: float = 0.0
    """Seconds after which the case fails; 0: the usual bound."""


REGISTRY: dict[str, Case] = {}


def case(
    id: str,
    *,
    document: str,
    name: str,
    requires: Iterable[str] = (),
    destructive: bool = False,
    bound: float = 0.0,
) -> Callable[[Run], Run]:
    """Register an `async def run(x: Examination) -> None` under an official id."""

    def register(run: Run) -> Run:
        if id in REGISTRY:
            raise ValueError(f"two cases are called {id}")
        REGISTRY[id] = Case(id, document, name, frozenset(requires), run, destructive, bound)
        return run

    return register


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the log of a case. Secrets are masked before a step is made."""

    title: str
    request: str = ""
    response: str = ""
    seconds: float = 0.0
    """Since the start of the case."""


@dataclass(frozen=True, slots=True)
class Outcome:
    case: Case
    verdict: Verdict
    why: str
    seconds: float
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """What the person who examines decides."""

    url: str
    """Address of the device service."""
    user: str = ""
    password: str = field(default="", repr=False)
    destructive: bool = False
    message_timeout: float = 10.0
    """Seconds for one answer."""
    operation_delay: float = 2.0
    """Seconds a device may need until a setting shows (the test tool's Operation Delay)."""
    discovery_timeout: float = 5.0
    """DISCOVERY_TIMEOUT, Base Test 9.7."""
    reboot_timeout: float = 120.0
    """Seconds until a rebooted device must say Hello."""
    case_timeout: float = 120.0
    interface: str = ""
    """Local address that discovery listens on; empty: the one that leads to the device."""
    equipment: frozenset[str] = frozenset()
    """What there is in the network for the device to use: `dhcpv4`, `dhcpv6`, `ra` (a router that advertises)."""
    ntp_server: str = ""
    """IPv4 address of a time server that the device can reach."""
    firmware: str = ""
    """Path of a firmware file that the device accepts."""
    spare_address: str = ""
    """IPv4 address that the device may take; empty: a high one of its own network."""
    recording: str = ""
    """Token of the recording that was prepared for search and replay; empty: the longest one."""
    metadata_filter: str = "boolean(//*)"
    """XPath that selects metadata which that recording holds."""
    password_for_tests: str = field(default="Exam-2468-pass", repr=False)
    """Of accounts that cases create."""


@dataclass(slots=True)
class Examination:
    """What a case works with. One per case; the clients in it are shared by all."""

    settings: Settings
    soap: SoapClient
    features: Features
    prober: Prober
    masks: Masks = field(default_factory=Masks)
    steps: list[Step] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    case: Case | None = None

    # ---- log ---------------------------------------------------------------------------------------

    def note(self, title: str, request: str | bytes = "", response: str | bytes = "") -> None:
        """Put a line into the log."""
        if len(self.steps) < MAX_STEPS:
            mask = self.masks
            self.steps.append(Step(mask(title), mask(request), mask(response), time.monotonic() - self.began))

    # ---- verdicts ----------------------------------------------------------------------------------

    def check(self, condition: object, why: str) -> None:
        """Fail with `why` unless `condition` holds."""
        if not condition:
            raise Failure(self.masks(why))

    def fail(self, why: str) -> None:
        raise Failure(self.masks(why))

    def skip(self, feature: str) -> None:
        """The feature that this case needs is missing: NOT APPLICABLE."""
        raise NotApplicable(feature)

    def cannot(self, why: str) -> None:
        """The examiner lacks something (a DHCP server, a second address ...): NOT RUN."""
        raise NotRun(why)

    def require(self, *features: str) -> None:
        """NOT APPLICABLE unless the device has all of them."""
        for feature in features:
            if not self.features.has(feature):
                raise NotApplicable(feature)

    def has(self, feature: str) -> bool:
        return self.features.has(feature)

    # ---- clients -----------------------------------------------------------------------------------

    def rtsp(self, uri: str, *, user: str | None = None, password: str | None = None) -> RtspClient:
        """A client for one RTSP address; use as `async with x.rtsp(uri) as client`."""
        from conformance.rtsp import RtspClient

        account = (
            self.settings.user if user is None else user,
            self.settings.password if password is None else password,
        )
        return RtspClient(uri, *account, timeout=self.settings.message_timeout, note=self.note)

    async def ask(self, service: str, body: str, **options: Any) -> Any:
        """Send a request that must succeed; returns the response element."""
        return await self.soap.ask(service, body, **options)


MAX_STEPS = 2000
"""A case that loops forever must not fill the memory."""
