from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from lxml import etree

from onvifd.access.digest import ClientDigest, DigestVerifier, make_ha1
from onvifd.access.types import AccessClass, Account, Credential, Level
from onvifd.clock import US, SimulatedClock
from onvifd.errors import NotFound
from onvifd.onvif.soap import envelope, wsse
from onvifd.onvif.soap.dispatch import Call, Dispatcher, HttpReply, HttpRequest, Service, operation
from onvifd.onvif.types import tds, trt, tt

SOAP = "{http://www.w3.org/2003/05/soap-envelope}"
PATH = "/onvif/device_service"
REALM = "onvifd"
LEVELS = {"admin": Level.ADMINISTRATOR, "operator": Level.OPERATOR, "user": Level.USER}


def lookup(name: str) -> Credential | None:
    if name not in LEVELS:
        return None
    return Credential(Account(name, LEVELS[name]), ha1=make_ha1(name, REALM, "pass"), password="pass")


class Device(Service):
    namespace = tds.NAMESPACE
    path = PATH
    prefix = "tds"
    extra_paths = ("/onvif/other",)

    def __init__(self) -> None:
        self.calls: list[Call] = []

    @operation(access=AccessClass.PRE_AUTH)
    async def get_hostname(self, call: Call, request: tds.GetHostname) -> tds.GetHostnameResponse:
        self.calls.append(call)
        return tds.GetHostnameResponse(hostname_information=tt.HostnameInformation(from_dhcp=False, name="nvr"))

    @operation(access=AccessClass.READ_SYSTEM)
    async def get_scopes(self, call: Call, request: tds.GetScopes) -> tds.GetScopesResponse:
        self.calls.append(call)
        return tds.GetScopesResponse(scopes=(tt.Scope(scope_def=tt.ScopeDefinition.FIXED, scope_item="onvif://x"),))

    @operation(access=AccessClass.READ_SYSTEM_SECRET)
    async def get_users(self, call: Call, request: tds.GetUsers) -> tds.GetUsersResponse:
        return tds.GetUsersResponse()

    @operation(access=AccessClass.PRE_AUTH)
    async def get_ntp(self, call: Call, request: tds.GetNTP) -> tds.GetNTPResponse:
        raise ZeroDivisionError("secret detail")

    @operation(access=AccessClass.PRE_AUTH, timeout=0.01)
    async def get_dns(self, call: Call, request: tds.GetDNS) -> tds.GetDNSResponse:
        await asyncio.Event().wait()
        raise AssertionError


class Media(Service):
    namespace = trt.NAMESPACE
    path = "/onvif/media_service"
    prefix = "trt"

    @operation(access=AccessClass.PRE_AUTH)
    async def get_profile(self, call: Call, request: trt.GetProfile) -> trt.GetProfileResponse:
        raise NotFound(f"no profile {request.profile_token}", detail="NoProfile")


class House:
    """A dispatcher and what a client needs to talk to it."""

    def __init__(self, *, digest: bool = True, **options: Any) -> None:
        self.clock = SimulatedClock()
        self.device = Device()
        verifier = DigestVerifier(REALM, lookup) if digest else None
        self.dispatcher = Dispatcher(
            (self.device, Media()), lookup=lookup, clock=self.clock, digest=verifier, **options
        )
        self.nonces = 0

    def token(self, name: str, password: str = "pass", skew: int = 0) -> Any:
        self.nonces += 1
        return wsse.security_header(name, password, f"nonce {self.nonces}".encode(), self.clock.utc() + skew * US)

    async def send(self, body: bytes, *, authorization: str | None = None, path: str = PATH) -> HttpReply:
        return await self.dispatcher.handle(
            HttpRequest(
                method="POST",
                target=path,
                path=path,
                scheme="http",
                host="nvr:8080",
                local_address="192.0.2.1",
                peer="192.0.2.9",
                authorization=authorization,
                body=body,
            )
        )

    async def call(
        self, request: object, *headers: Any, authorization: str | None = None, path: str = PATH
    ) -> HttpReply:
        return await self.send(envelope.write_request(request, headers=headers), authorization=authorization, path=path)


def assert_fault(reply: HttpReply, status: int, *expected: str) -> str:
    """The reply is a fault with these codes, the outermost first; returns its reason."""
    assert dict(reply.headers)["Content-Type"] == "application/soap+xml; charset=utf-8"
    root = etree.fromstring(reply.body)
    codes = tuple(node.text.rpartition(":")[2] for node in root.iter(f"{SOAP}Value"))
    assert (reply.status, *codes) == (status, *expected)
    reason = root.findtext(f".//{SOAP}Text")
    assert reason
    return str(reason)


class TestDispatch:
    async def test_operation_is_found_by_its_expanded_name(self, assert_valid: Any) -> None:
        house = House()
        reply = await house.call(tds.GetHostname())
        assert reply.status == 200
        assert_valid(reply.body)
        # Any known path will do.
        assert (await house.call(tds.GetHostname(), path="/onvif/media_service")).status == 200

    async def test_call_carries_the_circumstances(self) -> None:
        house = House()
        await house.call(tds.GetHostname(), path=PATH + "/sub")
        (call,) = house.device.calls
        assert (call.host, call.scheme, call.peer, call.path) == ("nvr:8080", "http", "192.0.2.9", PATH + "/sub")
        assert call.now == house.clock.utc()
        assert call.account is None
        assert call.element.tag == f"{{{tds.NAMESPACE}}}GetHostname"

    def test_known_paths(self) -> None:
        dispatcher = House().dispatcher
        assert dispatcher.knows_path("/onvif/other/7")
        assert dispatcher.knows_path("/onvif/media_service")
        assert not dispatcher.knows_path("/onvif/media_services")
        assert not dispatcher.knows_path("/onvif")

    def test_an_operation_is_served_once(self) -> None:
        with pytest.raises(ValueError, match="served twice"):
            Dispatcher((Device(), Device()), lookup=lookup, clock=SimulatedClock())

    def test_operations_in_order_of_definition(self) -> None:
        assert [item.request for item in Device.operations()][:2] == [tds.GetHostname, tds.GetScopes]
        assert Device.operations()[0].response is tds.GetHostnameResponse
        assert Device.operations()[1].access is AccessClass.READ_SYSTEM

    async def test_operation_of_the_specification_that_is_not_served(self) -> None:
        assert_fault(await House().call(tds.GetDot11Capabilities()), 500, "Receiver", "ActionNotSupported")

    @pytest.mark.parametrize(
        "xml",
        [
            f'<FlyAway xmlns="{tds.NAMESPACE}"/>',
            '<GetHostname xmlns="urn:x"/>',
            "<GetHostname/>",
            f'<Service xmlns="{tds.NAMESPACE}"/>',
        ],
    )
    async def test_unknown_operation(self, xml: str) -> None:
        body = f'<s:Envelope xmlns:s="{SOAP[1:-1]}"><s:Body>{xml}</s:Body></s:Envelope>'.encode()
        assert_fault(await House().send(body), 500, "Sender", "UnknownAction")

    async def test_errors_of_handlers(self) -> None:
        reply = await House().call(trt.GetProfile(profile_token="x"))
        assert assert_fault(reply, 500, "Sender", "InvalidArgVal", "NoProfile") == "no profile x"

    async def test_surprises_stay_inside(self, caplog: pytest.LogCaptureFixture) -> None:
        reply = await House().call(tds.GetNTP())
        assert assert_fault(reply, 500, "Receiver", "Action") == "internal error"
        assert b"secret" not in reply.body
        assert "ZeroDivisionError" in caplog.text

    async def test_handlers_are_timed_out(self) -> None:
        assert "too long" in assert_fault(await House().call(tds.GetDNS()), 500, "Receiver", "Action")

    @pytest.mark.covers("SEC-10")
    async def test_requests_at_once_are_bounded(self) -> None:
        house = House(max_active=1)
        slow = asyncio.create_task(house.call(tds.GetDNS()))
        await asyncio.sleep(0)
        assert "too many" in assert_fault(await house.call(tds.GetHostname()), 500, "Receiver", "Action")
        await slow
        assert (await house.call(tds.GetHostname())).status == 200

    async def test_no_message_no_fault(self) -> None:
        for body in (b"", b" \n"):
            reply = await House().send(body, authorization='Digest username="user"')
            assert reply.status == 400
            assert b"Fault" not in reply.body

    async def test_client_that_waits_for_the_challenge_with_its_message_gets_it(self) -> None:
        reply = await House().send(b"")
        assert reply.status == 401
        assert dict(reply.headers)["WWW-Authenticate"].startswith("Digest realm=")
        assert b"Fault" not in reply.body

    async def test_malformed_message(self) -> None:
        assert_fault(await House().send(b"<a"), 400, "Sender", "WellFormed")

    async def test_faults_relate_to_the_request(self) -> None:
        wsa = "http://www.w3.org/2005/08/addressing"
        message_id = etree.Element(f"{{{wsa}}}MessageID")
        message_id.text = "urn:uuid:7"
        reply = await House().call(trt.GetProfile(profile_token="x"), message_id)
        root = etree.fromstring(reply.body)
        assert root.findtext(f".//{{{wsa}}}RelatesTo") == "urn:uuid:7"
        assert root.findtext(f".//{{{wsa}}}Action") == "http://www.w3.org/2005/08/addressing/soap/fault"


class TestAuthentication:
    """The decision table of Core 5.9.1."""

    async def test_nothing_gives_a_challenge(self) -> None:
        reply = await House().call(tds.GetScopes())
        assert_fault(reply, 401, "Sender", "NotAuthorized")
        assert dict(reply.headers)["WWW-Authenticate"].startswith("Digest ")

    async def test_nothing_gives_400_without_digest(self) -> None:
        reply = await House(digest=False).call(tds.GetScopes())
        assert_fault(reply, 400, "Sender", "NotAuthorized")
        assert "WWW-Authenticate" not in dict(reply.headers)

    @pytest.mark.covers("A033", "S-WS-UsernameToken")
    @pytest.mark.parametrize("digest", [True, False])
    async def test_username_token(self, digest: bool) -> None:
        house = House(digest=digest)
        assert (await house.call(tds.GetScopes(), house.token("user"))).status == 200
        assert house.device.calls[0].account == Account("user", Level.USER)

    @pytest.mark.covers("S-WS-UsernameToken")
    async def test_wrong_username_token(self, caplog: pytest.LogCaptureFixture) -> None:
        house = House()
        for token in (house.token("user", "wrong"), house.token("nobody"), house.token("user", skew=400)):
            assert_fault(await house.call(tds.GetScopes(), token), 400, "Sender", "NotAuthorized")
        assert caplog.text.count("GetScopes from 192.0.2.9 refused") == 3
        assert "wrong user name" in caplog.text

    @pytest.mark.covers("A033")
    async def test_http_digest(self) -> None:
        house = House()
        challenge = dict((await house.call(tds.GetScopes())).headers)["WWW-Authenticate"]
        client = ClientDigest("operator", "pass")
        client.receive_challenge([challenge])
        for _ in range(2):
            reply = await house.call(tds.GetScopes(), authorization=client.authorization("POST", PATH))
            assert reply.status == 200
        await house.clock.advance(3600)
        reply = await house.call(tds.GetScopes(), authorization=client.authorization("POST", PATH))
        assert reply.status == 401
        assert "stale=true" in dict(reply.headers)["WWW-Authenticate"]

    @pytest.mark.covers("G-HTTPDigest", "M-HTTPDigest", "T-HTTPDigest")
    @pytest.mark.parametrize("authorization", ["Basic YTpi", "Digest", "Digest x", "", 'Digest username="user"'])
    async def test_wrong_http_credentials(self, authorization: str) -> None:
        assert_fault(await House().call(tds.GetScopes(), authorization=authorization), 401, "Sender", "NotAuthorized")

    async def test_both(self) -> None:
        house = House()
        challenge = dict((await house.call(tds.GetScopes())).headers)["WWW-Authenticate"]
        client = ClientDigest("user", "pass")
        client.receive_challenge([challenge])

        async def both(token: Any) -> HttpReply:
            return await house.call(tds.GetScopes(), token, authorization=client.authorization("POST", PATH))

        assert (await both(house.token("user"))).status == 200
        assert_fault(await both(house.token("user", "wrong")), 400, "Sender", "NotAuthorized")
        assert_fault(await both(house.token("admin")), 400, "Sender", "NotAuthorized")
        bad = await house.call(tds.GetScopes(), house.token("user"), authorization="Digest x")
        assert_fault(bad, 401, "Sender", "NotAuthorized")

    async def test_wrong_credentials_do_not_close_what_is_open(self) -> None:
        house = House()
        assert (await house.call(tds.GetHostname(), house.token("user", "wrong"))).status == 200
        assert (await house.call(tds.GetHostname(), authorization="Digest x")).status == 200
        assert all(call.account is None for call in house.device.calls)

    @pytest.mark.covers("A033")
    async def test_level_too_low(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.WARNING)
        house = House()
        for name in ("user", "operator"):
            assert_fault(await house.call(tds.GetUsers(), house.token(name)), 400, "Sender", "NotAuthorized")
        assert (await house.call(tds.GetUsers(), house.token("admin"))).status == 200
        assert "operator at 192.0.2.9 may not call GetUsers" in caplog.text

    async def test_request_is_not_read_before_the_caller_is_known(self) -> None:
        body = f'<s:Envelope xmlns:s="{SOAP[1:-1]}"><s:Body><GetUsers xmlns="{tds.NAMESPACE}">bad</GetUsers></s:Body></s:Envelope>'
        assert_fault(await House().send(body.encode()), 401, "Sender", "NotAuthorized")
