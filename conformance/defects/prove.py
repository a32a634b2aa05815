"""Can the examiner fail? Each defect in turn, with the case that must find it: PASS without the defect, FAIL with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from conformance import cases, watch
from conformance.cases import core_supplement, event_pull, event_seek
from conformance.cases.base_discovery import scopes_request
from conformance.defects.model import Defect
from conformance.defects.proxy import Proxy
from conformance.discovery import Prober
from conformance.feature_set import Features
from conformance.features import Discovery
from conformance.masks import Masks
from conformance.model import REGISTRY, Examination, Outcome, Settings, Verdict
from conformance.names import find, findall, text
from conformance.runner import run_case
from conformance.soap import SoapClient

CONTROLS = ("DEVICE-3-1-9", "EVENT-5-1-1")
"""Cases that every defect leaves alone, its own ones excepted: the device is wrong in one way, not broken."""


@dataclass(frozen=True, slots=True)
class Proof:
    defect: Defect
    without: Outcome
    with_: Outcome | None
    """None where the case could not be run without the defect."""
    control: Outcome | None = None

    @property
    def verdict(self) -> str:
        """`CAUGHT`, `MISSED`, `NOT APPLICABLE`, or what went wrong before the defect was there."""
        if self.without.verdict in (Verdict.NOT_APPLICABLE, Verdict.NOT_RUN):
            return str(self.without.verdict)
        if self.without.verdict is not Verdict.PASS:
            return "FAILS ANYWAY"
        assert self.with_ is not None
        if self.with_.verdict is not Verdict.FAIL:
            return "MISSED"
        return "CAUGHT" if self.control is None or self.control.verdict is Verdict.PASS else "BREAKS MORE"

    @property
    def why(self) -> str:
        match self.verdict:
            case "CAUGHT":
                return self.with_.why if self.with_ else ""
            case "BREAKS MORE":
                return f"{self.control.case.id}: {self.control.why}" if self.control else ""
            case "MISSED":
                return f"{self.defect.case} passes: {self.defect.what}"
        return self.without.why


def hurry() -> None:
    """Shorten what the specification waits for; a device that keeps its times keeps shorter ones as well."""
    event_pull.EXPIRY = timedelta(seconds=3)
    event_seek.EMPTY_WAIT = 2.0
    core_supplement.PULL = 2.0
    watch.PATIENCE = 5.0


async def examination(proxy: Proxy, session: aiohttp.ClientSession, settings: Settings) -> Examination:
    """An examination of the device behind the proxy, its features found without any defect."""
    soap = SoapClient(session, settings.user, settings.password, settings.message_timeout)
    host = urlsplit(proxy.url).hostname or ""
    prober = Prober(host, settings.interface or host, settings.discovery_timeout)
    if proxy.discovery_port:
        prober.port = proxy.discovery_port
    masks = Masks()
    masks.add(settings.password, settings.password_for_tests)
    x = Examination(settings, soap, Features(), prober, masks)
    soap.note = prober.note = x.note
    x.features = await Discovery(soap, prober, settings).run()
    return x


async def prove(
    proxy: Proxy, settings: Settings, defects: Iterable[Defect], progress: Callable[[Proof], None] | None = None
) -> list[Proof]:
    """Run all of them against the device behind `proxy`, whose state is put back after each."""
    cases.load()
    hurry()
    proofs: list[Proof] = []
    baseline: dict[str, Outcome] = {}
    connector = aiohttp.TCPConnector(ssl=False, force_close=True, limit=64)
    async with aiohttp.ClientSession(
        connector=connector, timeout=aiohttp.ClientTimeout(total=None), auto_decompress=False
    ) as session:
        x = await examination(proxy, session, settings)
        # The proxy speaks HTTP alone.
        x.features.set("Device/HTTPS", False)
        before = await _state(x)
        for made in defects:
            proxy.seed(None)
            if made.case not in baseline:
                baseline[made.case] = await _run(x, made.case)
            without = baseline[made.case]
            with_ = control = None
            if without.verdict is Verdict.PASS:
                proxy.seed(made)
                with_ = await _run(x, made.case)
                control = await _control(x, made)
                proxy.seed(None)
                x.soap.forget()
                await _restore(x, before)
            proofs.append(Proof(made, without, with_, control))
            if progress is not None:
                progress(proofs[-1])
    return proofs


async def _run(x: Examination, identity: str) -> Outcome:
    if identity not in REGISTRY:
        raise ValueError(f"no case is called {identity}")
    return await run_case(REGISTRY[identity], x)


async def _control(x: Examination, made: Defect) -> Outcome | None:
    touched = {"GetDeviceInformation": "DEVICE-3-1-9", "GetServiceCapabilities": "EVENT-5-1-1"}
    spoiled = {made.case, *(touched.get(each, "") for each in made.operations)}
    chosen = next((each for each in CONTROLS if each not in spoiled), None)
    return None if chosen is None else await _run(x, chosen)


# ---- putting things back ------------------------------------------------------------------------------

_KEPT = (
    # Lists of the security service: request, element, identifier, deletion, its field. What uses others comes first.
    (
        "GetAssignedServerCertificates",
        "CertificationPathID",
        "",
        "RemoveServerCertificateAssignment",
        "CertificationPathID",
    ),
    (
        *("GetAssignedCertPathValidationPolicies", "CertPathValidationPolicyID", ""),
        *("RemoveCertPathValidationPolicyAssignment", "CertPathValidationPolicyID"),
    ),
    (
        *("GetAllCertPathValidationPolicies", "CertPathValidationPolicy", "CertPathValidationPolicyID"),
        *("DeleteCertPathValidationPolicy", "CertPathValidationPolicyID"),
    ),
    ("GetAllCertificationPaths", "CertificationPathID", "", "DeleteCertificationPath", "CertificationPathID"),
    ("GetAllCertificates", "Certificate", "CertificateID", "DeleteCertificate", "CertificateID"),
    ("GetAllKeys", "KeyAttribute", "KeyID", "DeleteKey", "KeyID"),
    ("GetAllPassphrases", "PassphraseAttribute", "PassphraseID", "DeletePassphrase", "PassphraseID"),
    ("GetAllCRLs", "Crl", "CRLID", "DeleteCRL", "CrlID"),
)


async def _state(x: Examination) -> dict[str, set[str]]:
    """What there is: accounts, scopes, brokers, and all that the security service keeps."""
    state: dict[str, set[str]] = {}
    state["users"] = {text(each, "tt:Username") for each in await _list(x, "tds", "GetUsers", "tds:User")}
    scopes = await _list(x, "tds", "GetScopes", "tds:Scopes")
    state["scopes"] = {text(each, "tt:ScopeItem") for each in scopes if text(each, "tt:ScopeDef") == "Configurable"}
    if x.has("Event/Event Broker"):
        state["brokers"] = {
            text(each, "tev:Address") for each in await _list(x, "tev", "GetEventBrokers", "tev:EventBroker")
        }
    if "tas" in x.features.services:
        for request, element, identifier, _, _ in _KEPT:
            found = await _list(x, "tas", request, f"tas:{element}")
            state[request] = {text(each, f"tas:{identifier}" if identifier else "") for each in found}
    return state


async def _list(x: Examination, service: str, request: str, path: str) -> list[Any]:
    reply = await x.soap.call(service, f"<{service}:{request}/>", validate=False)
    return [] if reply.fault is not None or reply.body is None else findall(reply.body, path)


async def _restore(x: Examination, before: dict[str, set[str]]) -> None:
    """Remove what a defect kept from being removed."""
    now = await _state(x)
    for name in sorted(now["users"] - before["users"]):
        await _try(x, "tds", f"<tds:DeleteUsers><tds:Username>{name}</tds:Username></tds:DeleteUsers>")
    if now["scopes"] != before["scopes"] and before["scopes"]:
        await _try(x, "tds", scopes_request("SetScopes", "Scopes", *sorted(before["scopes"])))
    for address in now.get("brokers", set()) - before.get("brokers", set()):
        await _try(x, "tev", f"<tev:DeleteEventBroker><tev:Address>{address}</tev:Address></tev:DeleteEventBroker>")
    for request, _, _, deletion, field_ in _KEPT:
        for identity in now.get(request, set()) - before.get(request, set()):
            await _try(x, "tas", f"<tas:{deletion}><tas:{field_}>{identity}</tas:{field_}></tas:{deletion}>")
    mode = find((await x.soap.call("tds", "<tds:GetDiscoveryMode/>")).body, "tds:DiscoveryMode")
    if mode is not None and text(mode) != "Discoverable":
        await _try(
            x, "tds", "<tds:SetDiscoveryMode><tds:DiscoveryMode>Discoverable</tds:DiscoveryMode></tds:SetDiscoveryMode>"
        )


async def _try(x: Examination, service: str, body: str) -> None:
    reply = await x.soap.call(service, body, validate=False)
    if reply.fault is not None:
        x.note(f"could not be put back: {reply.fault}")
