"""The decision table of Core 5.9.1: what a request carries, what the device offers, what the answer is."""

from __future__ import annotations

import itertools

import pytest
from lxml import etree

from onvifd.access.digest import ClientDigest, DigestVerifier, make_ha1, make_ha1_sha256
from onvifd.access.gate import Gate, Refusal
from onvifd.access.lockout import Lockout, LockoutPolicy
from onvifd.access.types import AccessClass, Account, Credential, Level
from onvifd.clock import SimulatedClock
from onvifd.onvif.soap import envelope, wsse
from onvifd.onvif.soap.dispatch import Call, Dispatcher, HttpReply, HttpRequest, Service, operation
from onvifd.onvif.types import tds, tt

REALM, PATH, PASSWORD = "onvifd", "/onvif/device_service", "pass"
LEVELS = {"admin": Level.ADMINISTRATOR, "operator": Level.OPERATOR, "user": Level.USER}


def lookup(name: str) -> Credential | None:
    if name not in LEVELS:
        return None
    return Credential(
        Account(name, LEVELS[name]),
        make_ha1(name, REALM, PASSWORD),
        PASSWORD,
        make_ha1_sha256(name, REALM, PASSWORD),
    )


class Device(Service):
    namespace, path, prefix = tds.NAMESPACE, PATH, "tds"

    @operation(access=AccessClass.PRE_AUTH)
    async def get_hostname(self, call: Call, request: tds.GetHostname) -> tds.GetHostnameResponse:
        name = call.account.name if call.account is not None else "nobody"
        return tds.GetHostnameResponse(hostname_information=tt.HostnameInformation(from_dhcp=False, name=name))

    @operation(access=AccessClass.WRITE_SYSTEM)
    async def set_hostname(self, call: Call, request: tds.SetHostname) -> tds.SetHostnameResponse:
        return tds.SetHostnameResponse()

    @operation(access=AccessClass.READ_SYSTEM)
    async def get_dns(self, call: Call, request: tds.GetDNS) -> tds.GetDNSResponse:
        name = call.account.name if call.account is not None else "nobody"
        return tds.GetDNSResponse(dns_information=tt.DNSInformation(from_dhcp=False, search_domain=(name,)))


class Observer:
    def __init__(self) -> None:
        self.told: list[tuple[str, ...]] = []
        self.refusals: list[Refusal] = []

    def forbidden(self, account: str, peer: str, operation: str) -> None:
        self.told.append(("forbidden", account, peer, operation))

    def changed(self, account: str, peer: str, operation: str, outcome: str) -> None:
        self.told.append(("changed", account, peer, operation, outcome))

    def refused(self, refusal: Refusal) -> None:
        self.refusals.append(refusal)

    def admitted(self, face: str, account: str, source: str) -> None: ...


class Scene:
    """A device and the credentials of a client."""

    def __init__(self, *, digest: bool = True, tries: int = 0) -> None:
        self.clock = SimulatedClock()
        self.observer = Observer()
        gate = Gate("onvif", Lockout(LockoutPolicy(tries, 300)), self.clock, self.observer)
        self.verifier = DigestVerifier(REALM, lookup, gate=gate, algorithms=("MD5", "SHA-256")) if digest else None
        self.dispatcher = Dispatcher(
            (Device(),), lookup=lookup, clock=self.clock, digest=self.verifier, gate=gate, observer=self.observer
        )
        self._nonces = itertools.count()

    def token(self, name: str, password: str = PASSWORD) -> etree._Element:
        return wsse.security_header(name, password, f"nonce {next(self._nonces)}".encode(), self.clock.utc())

    def digest(self, name: str, password: str = PASSWORD) -> str | None:
        verifier = self.verifier or DigestVerifier(REALM, lookup)
        client = ClientDigest(name, password)
        client.receive_challenge([verifier.challenge(self.clock.monotonic())])
        return client.authorization("POST", PATH)

    async def send(
        self,
        request: object,
        *,
        digest: tuple[str, str] | None = None,
        token: tuple[str, str] | None = None,
        peer: str = "192.0.2.9",
    ) -> HttpReply:
        headers = (self.token(*token),) if token is not None else ()
        return await self.dispatcher.handle(
            HttpRequest(
                method="POST",
                target=PATH,
                path=PATH,
                scheme="http",
                host="nvr",
                local_address="192.0.2.1",
                peer=peer,
                authorization=self.digest(*digest) if digest is not None else None,
                body=envelope.write_request(request, headers=headers),
            )
        )


def seen(reply: HttpReply) -> tuple[object, ...]:
    """Status, how many challenges, and the codes of the fault or whom the device took the caller for."""
    challenges = sum(name == "WWW-Authenticate" for name, _ in reply.headers)
    root = etree.fromstring(reply.body)
    codes = [node.text for node in root.iter("{http://www.w3.org/2003/05/soap-envelope}Value")]
    who = [node.text for node in root.iter("{*}SearchDomain", "{*}Name")]
    return (reply.status, challenges, *codes, *who)


GOOD, BAD, OTHER = ("operator", PASSWORD), ("operator", "wrong"), ("user", PASSWORD)
ASKED = (401, 2, "SOAP-ENV:Sender", "ter:NotAuthorized")
REFUSED = (400, 0, "SOAP-ENV:Sender", "ter:NotAuthorized")

TABLE = [
    # digest, token, answer where Digest is offered, answer where it is not
    (None, None, ASKED, REFUSED),
    (GOOD, None, (200, 0, "operator"), REFUSED),
    (None, GOOD, (200, 0, "operator"), (200, 0, "operator")),
    (GOOD, GOOD, (200, 0, "operator"), (200, 0, "operator")),
    (BAD, None, ASKED, REFUSED),
    (None, BAD, REFUSED, REFUSED),
    (BAD, GOOD, ASKED, (200, 0, "operator")),
    (GOOD, BAD, REFUSED, REFUSED),
    (GOOD, OTHER, REFUSED, (200, 0, "user")),
    (("nobody", PASSWORD), None, ASKED, REFUSED),
    (None, ("nobody", PASSWORD), REFUSED, REFUSED),
]


@pytest.mark.covers("SEC-04", "S-WS-UsernameToken", "G-HTTPDigest", "T-HTTPDigest", "M-HTTPDigest")
@pytest.mark.parametrize("offered", [True, False], ids=["digest and token", "token only"])
@pytest.mark.parametrize(("digest", "token", "both", "token_only"), TABLE)
async def test_operation_that_needs_an_account(
    digest: tuple[str, str] | None,
    token: tuple[str, str] | None,
    both: tuple[object, ...],
    token_only: tuple[object, ...],
    offered: bool,
) -> None:
    reply = await Scene(digest=offered).send(tds.GetDNS(), digest=digest, token=token)
    assert seen(reply) == (both if offered else token_only)


@pytest.mark.parametrize("offered", [True, False])
@pytest.mark.parametrize(("digest", "token", "both", "token_only"), TABLE)
async def test_operation_before_authentication_is_always_served(
    digest: tuple[str, str] | None,
    token: tuple[str, str] | None,
    both: tuple[object, ...],
    token_only: tuple[object, ...],
    offered: bool,
) -> None:
    status, _, *who = both if offered else token_only
    reply = await Scene(digest=offered).send(tds.GetHostname(), digest=digest, token=token)
    assert seen(reply) == (200, 0, who[0] if status == 200 else "nobody")


@pytest.mark.covers("SEC-04")
async def test_level_too_low_is_401_by_digest_and_400_by_token() -> None:
    scene = Scene()
    request = tds.SetHostname(name="nvr")
    reply = await scene.send(request, digest=OTHER)
    assert seen(reply) == ASKED
    assert not any("stale" in value for _, value in reply.headers)  # the same credentials will not do
    assert seen(await scene.send(request, token=OTHER)) == REFUSED
    assert scene.observer.told == [("forbidden", "user", "192.0.2.9", "SetHostname")] * 2


@pytest.mark.covers("SEC-25")
async def test_changes_are_told_and_readings_are_not() -> None:
    scene = Scene()
    await scene.send(tds.GetDNS(), digest=GOOD)
    await scene.send(tds.SetHostname(name="nvr"), digest=("admin", PASSWORD))
    assert scene.observer.told == [("changed", "admin", "192.0.2.9", "SetHostname", "done")]


@pytest.mark.covers("SEC-09")
async def test_one_lock_for_digest_and_token() -> None:
    scene = Scene(tries=4)
    for kind in ("digest", "token", "digest", "token"):
        await scene.send(tds.GetDNS(), **{kind: BAD})  # type: ignore[arg-type]
    assert seen(await scene.send(tds.GetDNS(), digest=GOOD)) == ASKED
    assert seen(await scene.send(tds.GetDNS(), token=GOOD, peer="192.0.2.10")) == REFUSED
    assert seen(await scene.send(tds.GetDNS(), token=OTHER)) == REFUSED  # the address is locked
    assert seen(await scene.send(tds.GetDNS(), token=OTHER, peer="192.0.2.10")) == (200, 0, "user")
    assert seen(await scene.send(tds.GetHostname(), token=GOOD)) == (200, 0, "nobody")
    await scene.clock.advance(301)
    assert seen(await scene.send(tds.GetDNS(), digest=GOOD)) == (200, 0, "operator")


async def test_no_credentials_and_a_replay_are_no_guesses() -> None:
    scene = Scene(tries=2)
    for _ in range(10):
        assert seen(await scene.send(tds.GetDNS())) == ASKED
    header = scene.token("operator")
    for status in (200, 400, 400, 400):
        reply = await scene.dispatcher.handle(
            HttpRequest(
                method="POST",
                target=PATH,
                path=PATH,
                scheme="http",
                host="nvr",
                local_address="192.0.2.1",
                peer="192.0.2.9",
                authorization=None,
                body=envelope.write_request(tds.GetDNS(), headers=(header,)),
            )
        )
        assert reply.status == status
    assert {refusal.reason for refusal in scene.observer.refusals} == {"token used before"}
    assert seen(await scene.send(tds.GetDNS(), token=GOOD)) == (200, 0, "operator")
