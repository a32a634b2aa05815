"""What Core demands and no official case looks at. The ids are ours; the verdicts stand beside the official ones."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

from conformance.auth import Digest, read_challenges, username_token
from conformance.cases.base_discovery import get_scopes, scopes_kept, scopes_request
from conformance.cases.event_common import PULL_POINT, SERVICE, filter_of, pull_point
from conformance.cases.event_messages import pull
from conformance.model import Examination, case
from conformance.names import find
from conformance.soap import CONTENT_TYPE, Http, Reply, envelope, read_reply

CORE = "Core"
REQUEST = "<tds:GetUsers/>"
FIRST, SECOND = "onvif://www.onvif.org/examiner/kept", "onvif://www.onvif.org/examiner/added"


# ---- scopes -------------------------------------------------------------------------------------------


@case("CORE-SCOPES-1", document=CORE, name="ADDED SCOPES ARE ADDED", requires=("Device/Discovery",))
async def added_scopes(x: Examination) -> None:
    """Core 7.3.2.2, 8.3.16."""
    async with scopes_kept(x) as before:
        for scope in (FIRST, SECOND):
            reply = await x.soap.call("tds", scopes_request("AddScopes", "ScopeItem", scope))
            if reply.fault is not None and "ter:TooManyScopes" in reply.fault.subcodes:
                x.note("TooManyScopes: no room for this case")
                return
            x.check(reply.fault is None and reply.status == 200, f"AddScopes was refused: {reply}")
        after = await get_scopes(x)
        for scope in (*before, FIRST, SECOND):
            x.check(scope in after, f"scope {scope} is gone after AddScopes (Core 8.3.16)")


@case("CORE-SCOPES-2", document=CORE, name="FIXED SCOPES STAY", requires=("Device/Discovery",))
async def fixed_scopes(x: Examination) -> None:
    """Core 8.3.17."""
    async with scopes_kept(x) as before:
        fixed = next((scope for scope, kind in before.items() if kind == "Fixed"), None)
        if fixed is None:
            x.skip("a fixed scope")
            return
        body = scopes_request("RemoveScopes", "ScopeItem", fixed)
        await x.soap.refuse("tds", body, ("env:Sender", "ter:OperationProhibited", "ter:FixedScope"))
        x.check(fixed in await get_scopes(x), f"the fixed scope {fixed} is gone")


# ---- authentication -----------------------------------------------------------------------------------

DIGEST = ("Device/HTTP Digest",)


async def _send(x: Examination, header: str = "", authorization: str = "") -> Reply:
    headers = {"Content-Type": CONTENT_TYPE, **({"Authorization": authorization} if authorization else {})}
    http: Http = await x.soap.http(
        "POST", x.soap.address("tds"), envelope(REQUEST, header), headers=headers, title="GetUsers"
    )
    return read_reply(http)


@case("CORE-SECURITY-1", document=CORE, name="USERNAME TOKENS ARE TAKEN ONCE", requires=("Device/WS-UsernameToken",))
async def token_replay(x: Examination) -> None:
    """WSS UsernameToken Profile 1.0, 3.1: a used nonce is refused."""
    header = username_token(x.settings.user, x.settings.password, offset=x.soap.clock_offset)
    first = await _send(x, header)
    x.check(first.status == 200 and first.fault is None, f"a correct UsernameToken was refused: {first}")
    second = await _send(x, header)
    x.check(second.status != 200, "a UsernameToken was accepted a second time (UsernameToken Profile 1.0, 3.1)")


async def _digest(x: Examination) -> tuple[Digest, str]:
    """Credentials for a fresh challenge, and the address that they are for."""
    refused = await _send(x)
    known = [each for each in read_challenges(refused.http.all("WWW-Authenticate")) if each.known]
    x.check(known, f"GetUsers without credentials gave no Digest challenge: {refused}")
    return Digest(x.settings.user, x.settings.password, known[0]), urlsplit(x.soap.address("tds")).path


@case("CORE-SECURITY-2", document=CORE, name="DIGEST NONCE COUNT RISES", requires=DIGEST)
async def digest_replay(x: Examination) -> None:
    """RFC 7616 3.4: nc detects replays."""
    digest, path = await _digest(x)
    proof = digest.authorize("POST", path)
    first = await _send(x, authorization=proof)
    x.check(first.status == 200, f"correct Digest credentials were refused: {first}")
    if "nc=" not in proof:
        x.skip("Digest with qop=auth")
    second = await _send(x, authorization=proof)
    x.check(second.status == 401, f"the same nonce count was accepted a second time: {second} (RFC 7616 3.4)")


@case("CORE-SECURITY-3", document=CORE, name="DIGEST PROTECTS WHAT IT NAMES", requires=DIGEST)
async def digest_of_something_else(x: Examination) -> None:
    """RFC 7616 3.4: another nonce count, address or password than the proof is made of."""
    digest, path = await _digest(x)
    proof = digest.authorize("POST", path)
    if "nc=" in proof:
        changed = await _send(x, authorization=proof.replace("nc=00000001", "nc=00000007"))
        x.check(changed.status == 401, f"Digest with a changed nonce count was accepted: {changed}")
    digest, path = await _digest(x)
    other = await _send(x, authorization=digest.authorize("POST", f"{path}/another"))
    x.check(other.status != 200, f"Digest made for another address was accepted: {other}")


@case("CORE-SECURITY-4", document=CORE, name="DIGEST ALGORITHMS", requires=DIGEST)
async def digest_algorithms(x: Examination) -> None:
    """Core 5.9.3: after SetHashingAlgorithm there is a challenge for each algorithm that was set."""
    security = find(await x.ask("tds", "<tds:GetServiceCapabilities/>"), "tds:Capabilities/tds:Security")
    listed = ("" if security is None else security.get("HashingAlgorithms", "")).replace(",", " ").split()
    if not listed:
        x.skip("HashingAlgorithms")
    before = await _algorithms(x)
    strange = sorted(before - set(listed))
    x.check(not strange, f"challenged with {' '.join(strange)}, which HashingAlgorithms does not have (Core 5.9.3)")
    try:
        await _set_algorithms(x, listed)
        found = await _algorithms(x)
        missing = sorted(set(listed) - found)
        x.check(
            not missing,
            f"no challenge with {' '.join(missing)} though it was set by SetHashingAlgorithm (Core 5.9.3.2)",
        )
    finally:
        await _set_algorithms(x, [each for each in listed if each in before])


async def _algorithms(x: Examination) -> set[str]:
    refused = await _send(x)
    return {each.algorithm.upper() for each in read_challenges(refused.http.all("WWW-Authenticate"))}


async def _set_algorithms(x: Examination, algorithms: list[str]) -> None:
    joined = ",".join(algorithms)
    x.soap.forget()
    await x.ask("tds", f"<tds:SetHashingAlgorithm><tds:Algorithm>{joined}</tds:Algorithm></tds:SetHashingAlgorithm>")
    x.soap.forget()


# ---- events -------------------------------------------------------------------------------------------

PULL = 3.0


@case(
    "CORE-EVENT-1",
    document=CORE,
    name="PULLMESSAGES ENDS WITH ITS TIMEOUT",
    requires=(SERVICE, PULL_POINT, "Event/ONVIF Message Content Filter Dialect"),
)
async def pull_ends_in_time(x: Examination) -> None:
    """Core 9.1.2: with nothing to tell, PullMessages is answered when Timeout has passed, not sooner and not later."""
    nothing = 'boolean(//tt:SimpleItem[@Name="ExaminerOnly" and @Value="never"])'
    async with pull_point(x, filter_of(content=nothing)) as sub:
        began = time.monotonic()
        pulled = await pull(x, sub, timeout=PULL, limit=10)
        x.check(not pulled.messages, "messages though the filter matches nothing")
        seconds = time.monotonic() - began
        x.check(
            seconds > PULL - 0.2,
            f"PullMessages with Timeout {PULL:g} s was answered without messages after {seconds:.1f} s (Core 9.1.2)",
        )
        late = max(2.0, x.settings.operation_delay)
        x.check(
            seconds < PULL + late,
            f"PullMessages with Timeout {PULL:g} s was answered after {seconds:.1f} s (Core 9.1.2)",
        )
