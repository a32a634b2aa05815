"""What attackers and broken clients do to a recorder, and that it serves the others meanwhile and afterwards."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from tests.abuse.server import DEVICE, MEGABYTE, PASSWORD, TIME, USER, Server
from tests.e2e.soap import DIGEST, NS, WSSE, WSU

ATTACKER = "127.0.0.66"
S = 'xmlns:s="http://www.w3.org/2003/05/soap-envelope"'

pytestmark = pytest.mark.usefixtures("survives")


# ---- documents


def wrapped(dtd: str, content: str) -> bytes:
    operation = f'<GetScopes xmlns="http://www.onvif.org/ver10/device/wsdl">{content}</GetScopes>'
    return f"<?xml version='1.0'?>{dtd}<s:Envelope {S}><s:Body>{operation}</s:Body></s:Envelope>".encode()


LAUGHS = (
    "<!DOCTYPE l [<!ENTITY a0 'lol'>" + "".join(f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" for n in range(1, 12)) + "]>"
)
BOMBS = {
    "billion laughs": wrapped(LAUGHS, "&a11;"),
    "quadratic": wrapped(f"<!DOCTYPE l [<!ENTITY a '{'A' * 100_000}'>]>", "&a;" * 100_000),
    "file": wrapped("<!DOCTYPE l [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>", "&a;"),
    "network": wrapped("<!DOCTYPE l [<!ENTITY a SYSTEM 'http://127.0.0.1:9/x'>]>", "&a;"),
    "parameter": wrapped("<!DOCTYPE l [<!ENTITY % a SYSTEM 'http://127.0.0.1:9/x'> %a;]>", ""),
    "external subset": wrapped("<!DOCTYPE l SYSTEM 'file:///etc/passwd'>", ""),
    "utf-16": wrapped(LAUGHS, "&a11;").decode().encode("utf-16"),
    "utf-16 without mark": wrapped(LAUGHS, "&a11;").decode().encode("utf-16-be"),
    "utf-7": b"<?xml version='1.0' encoding='UTF-7'?>+ADw-!DOCTYPE l+AD4-" + wrapped("", "")[21:],
    "deep": b"<a>" * 300_000,
    "deep within": wrapped("", "<a>" * 20_000 + "</a>" * 20_000),
    "wide": wrapped("", "<a/>" * 200_000),
    "attributes": wrapped("", "<a " + " ".join(f'b{n}="1"' for n in range(60_000)) + "/>"),
    "prefixes": wrapped("", "<a " + " ".join(f'xmlns:b{n}="u{n}"' for n in range(40_000)) + "/>"),
    "long name": wrapped("", f"<{'a' * 900_000}/>"),
    "long text": wrapped("", "A" * 900_000),
    "comment": wrapped("", f"<!--{'a' * 900_000}-->"),
    "character references": wrapped("", "&#65;" * 180_000),
    "too large": wrapped("", "A" * (8 * MEGABYTE)),
    "zeros": bytes(MEGABYTE),
}


@pytest.mark.covers("SEC-10")
@pytest.mark.parametrize("name", BOMBS)
def test_document_bombs_are_refused_at_once(server: Server, name: str) -> None:
    began = time.monotonic()
    answer = server.send(
        f"POST {DEVICE} HTTP/1.1\r\nHost: x\r\nContent-Type: application/soap+xml\r\nConnection: close\r\n"
        f"Content-Length: {len(BOMBS[name])}\r\n\r\n".encode()
        + BOMBS[name]
    )
    assert time.monotonic() - began < 8
    # A body that is too long may be answered by a reset while it is still being sent.
    assert re.match(rb"HTTP/1.[01] (400|401|413|500) ", answer) or (name == "too large" and not answer)
    assert b"root:" not in answer
    assert b"lollol" not in answer


# ---- heads, bodies, connections


@contextmanager
def held(server: Server, count: int, first: bytes, port: int = 0, sources: int = 1) -> Iterator[list[socket.socket]]:
    """Connections that have sent `first` and then say no more."""
    with ExitStack() as stack:
        connections = []
        for number in range(count):
            with contextlib.suppress(OSError):
                connection = stack.enter_context(server.connect(port, f"127.0.66.{number % sources + 1}"))
                connections.append(connection)
                connection.sendall(first)
        yield connections


def ended(connections: list[socket.socket]) -> int:
    """How many of them the server has closed."""
    count = 0
    for each in connections:
        each.setblocking(False)
        try:
            count += not each.recv(1)
        except BlockingIOError:
            continue
        except OSError:
            count += 1
    return count


@pytest.mark.covers("SEC-10")
def test_thousand_connections_of_one_address_leave_room_for_the_others(server: Server) -> None:
    began = time.monotonic()
    with held(server, 1000, b"") as connections:
        assert time.monotonic() - began < 10
        assert server.answer_time() < 1.0
        assert len(connections) - ended(connections) <= 256


def test_thousand_connections_of_many_addresses_are_bounded(server: Server) -> None:
    with held(server, 1000, b"", sources=50) as connections:
        time.sleep(0.2)
        assert len(connections) - ended(connections) <= 512


def test_thousand_connections_to_the_rtsp_port_keep_nobody_out(server: Server) -> None:
    with held(server, 1000, b"DESCRIBE rtsp://", server.rtsp_port, sources=3):
        answer = server.send(
            b"OPTIONS rtsp://127.0.0.1/ RTSP/1.0\r\nCSeq: 1\r\n\r\n", port=server.rtsp_port, source="127.0.0.1", wait=1
        )
        assert answer.startswith(b"RTSP/1.0 200 OK")


def test_unfinished_handshakes_are_bounded_like_connections(server: Server) -> None:
    with held(server, 400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", server.https_port) as connections:
        deadline = time.monotonic() + 10
        while len(connections) - ended(connections) > 256:
            assert time.monotonic() < deadline, "more handshakes are held than the bound on connections"
            time.sleep(0.05)
        assert server.answer_time() < 1.0


def test_two_hundred_slow_heads_and_bodies_hold_nobody_up(server: Server) -> None:
    slow_head = b"POST " + DEVICE.encode() + b" HTTP/1.1\r\nHost: x\r\nX-"
    slow_body = slow_head[:-2] + b"Content-Type: application/soap+xml\r\nContent-Length: 500000\r\n\r\n<s:Env"
    with held(server, 100, slow_head, sources=2), held(server, 100, slow_body, sources=2):
        assert server.answer_time() < 1.0


@pytest.mark.parametrize(
    "fields",
    [b"X: " + b"a" * 8000 + b"\r\n", b"a: b\r\n", b"Cookie: " + b"a=b;" * 1000 + b"\r\n", b"X: " + b"a" * 900_000],
    ids=["large", "many", "cookies", "endless"],
)
def test_header_floods_are_refused(server: Server, fields: bytes) -> None:
    data = b"POST " + DEVICE.encode() + b" HTTP/1.1\r\nHost: x\r\n" + fields * (MEGABYTE // len(fields))
    floods = [threading.Thread(target=server.send, args=(data,), daemon=True) for _ in range(20)]
    for flood in floods:
        flood.start()
    assert server.answer_time() < 1.0
    for flood in floods:
        flood.join(30)
        assert not flood.is_alive()
    answer = server.send(data)
    assert not answer or re.match(rb"HTTP/1.[01] 4(00|31) ", answer)


def test_flood_of_pipelined_requests_whose_answers_nobody_reads_is_bounded(server: Server) -> None:
    request = f"POST {DEVICE} HTTP/1.1\r\nHost: x\r\nContent-Type: application/soap+xml\r\nContent-Length: {len(TIME)}\r\n\r\n"
    with server.connect() as connection:
        connection.settimeout(1)
        with contextlib.suppress(OSError):
            for _ in range(2000):
                connection.sendall((request.encode() + TIME) * 50)
        assert server.answer_time() < 1.0


@pytest.mark.parametrize(
    "head",
    [
        b"POST /onvif/device_service HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /onvif/device_service HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /onvif/device_service HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\n",
        b"POST /onvif/device_service HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFF\r\n",
        b"POST /onvif/device_service HTTP/1.1\r\nHost: x\r\nX : y\r\n\r\n",
        b"GET /../../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /onvif/wsdl/..%2f..%2f..%2fetc%2fpasswd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ],
    ids=[
        "length and chunks",
        "two lengths",
        "signed length",
        "huge chunk",
        "space before colon",
        "path",
        "encoded path",
    ],
)
def test_ambiguous_requests_are_refused(server: Server, head: bytes) -> None:
    answer = server.send(head, wait=3)
    assert re.match(rb"HTTP/1.[01] (400|401|403|404|405) ", answer)
    assert b"root:" not in answer


# ---- credentials


def token(
    *,
    user: str = USER,
    password: str = PASSWORD,
    nonce: bytes | None = None,
    created: str | None = None,
    kind: str = DIGEST,
    without: str = "",
) -> bytes:
    """A request with a UsernameToken."""
    nonce = secrets.token_bytes(16) if nonce is None else nonce
    created = created or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    digest = hashlib.sha1(nonce + created.encode() + password.encode(), usedforsecurity=False).digest()
    fields = {
        "Username": f"<o:Username>{user}</o:Username>",
        "Password": f'<o:Password Type="{kind}">{base64.b64encode(digest).decode()}</o:Password>',
        "Nonce": f"<o:Nonce>{base64.b64encode(nonce).decode()}</o:Nonce>",
        "Created": f"<u:Created>{created}</u:Created>",
    }
    text = "".join(value for name, value in fields.items() if name != without)
    return (
        f'<s:Envelope {S}><s:Header><o:Security xmlns:o="{WSSE}" xmlns:u="{WSU}"><o:UsernameToken>{text}</o:UsernameToken>'
        f'</o:Security></s:Header><s:Body><GetDeviceInformation xmlns="{NS["tds"]}"/></s:Body></s:Envelope>'
    ).encode()


def shifted(**delta: float) -> str:
    return (datetime.now(UTC) + timedelta(**delta)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.covers("SEC-10")
def test_replayed_token_is_refused(server: Server) -> None:
    request = token()
    assert server.post(request).status == 200
    reply = server.post(request, source="127.0.1.1")
    assert reply.status in (400, 401)
    assert reply.subcodes() == ["Sender", "NotAuthorized"]


@pytest.mark.parametrize(
    "request_",
    [
        token(nonce=b"n" * 200_000),
        token(nonce=b"n" * 129),
        token(nonce=b""),
        token(without="Nonce"),
        token(without="Created"),
        token(created="1" * 100_000),
        token(created="not a date"),
        token(created=shifted(hours=-2)),
        token(created=shifted(hours=2)),
        token(kind=DIGEST.replace("Digest", "Text")),
        token(user="x" * 500_000),
        token(user="' OR 1=1 --"),
        token(user="$(reboot)"),
    ],
    ids=[
        *("oversized nonce", "nonce just too long", "empty nonce", "no nonce", "no created", "oversized created"),
        *("no date", "old", "of the future", "text", "oversized name", "name as SQL", "name as a command"),
    ],
)
def test_tokens_that_are_not_acceptable_are_refused(server: Server, request_: bytes) -> None:
    source = f"127.0.2.{secrets.randbelow(200) + 1}"  # so that no lock of the address is mistaken for a refusal
    reply = server.post(request_, source=source)
    assert reply.status in (400, 401)
    assert reply.subcodes()[-1] in ("NotAuthorized", "WellFormed")


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def challenge(server: Server, source: str) -> dict[str, str]:
    reply = server.post(BARE, source=source)
    assert reply.status == 401
    return dict(re.findall(r'(\w+)="?([^",]+)"?', reply.headers["WWW-Authenticate"].removeprefix("Digest ")))


BARE = f'<s:Envelope {S}><s:Body><GetDeviceInformation xmlns="{NS["tds"]}"/></s:Body></s:Envelope>'.encode()


def digest(
    given: dict[str, str], *, qop: bool = True, count: int = 1, password: str = PASSWORD, user: str = USER
) -> str:
    ha1, ha2 = md5(f"{user}:{given['realm']}:{password}"), md5(f"POST:{DEVICE}")
    middle = f":{count:08x}:abcd:auth" if qop else ""
    response = md5(f"{ha1}:{given['nonce']}{middle}:{ha2}")
    extra = f', qop=auth, nc={count:08x}, cnonce="abcd"' if qop else ""
    return (
        f'Digest username="{user}", realm="{given["realm"]}", nonce="{given["nonce"]}", uri="{DEVICE}", response="{response}"'
        f'{extra}, opaque="{given["opaque"]}"'
    )


def with_digest(server: Server, credentials: str, source: str) -> int:
    return server.post(BARE, source=source, headers={"Authorization": credentials}).status


@pytest.mark.covers("SEC-10")
def test_digest_count_that_was_used_is_refused(server: Server) -> None:
    given = challenge(server, "127.0.3.1")
    assert with_digest(server, digest(given, count=1), "127.0.3.1") == 200
    assert with_digest(server, digest(given, count=1), "127.0.3.1") == 401
    assert with_digest(server, digest(given, count=2), "127.0.3.1") == 200


def test_digest_without_qop_is_judged_by_its_response_and_cannot_be_replayed_for_long(server: Server) -> None:
    source = "127.0.3.2"
    given = challenge(server, source)
    credentials = digest(given, qop=False)
    assert with_digest(server, credentials, source) == 200
    assert (
        with_digest(server, digest(challenge(server, source), qop=False, password="wrong", user="nobody"), source)
        == 401
    )
    uses = 0
    while with_digest(server, credentials, source) == 200:
        uses += 1
        assert uses < 2000, "the same credentials are good without end"


@pytest.mark.parametrize(
    "credentials",
    [
        "Digest",
        "Digest " + "a" * 7000,
        'Digest username="admin", realm="onvifd", nonce="' + "0" * 6000 + '", uri="/", response="0"',
        'Digest username="admin", nonce="x", uri="/", response="0"',
        'Digest username="admin", realm="onvifd", nonce="00", uri="/onvif/device_service", response="", qop=auth-int, nc=1, cnonce="x"',
        'Digest username="admin", realm="onvifd", nonce="00", uri="/onvif/device_service", response="", qop=auth, nc=zz, cnonce="x"',
        'Digest username="admin", username="admin", realm="onvifd", nonce="00", uri="/", response="0"',
        "Basic YWRtaW46YWRtaW4=",
        "Bearer x",
        "\x80\xff",
    ],
    ids=[
        *("nothing", "long token", "oversized nonce", "foreign nonce", "auth-int", "count", "twice", "Basic", "Bearer"),
        "octets",
    ],
)
def test_malformed_credentials_are_asked_for_again(server: Server, credentials: str) -> None:
    source = f"127.0.4.{secrets.randbelow(200) + 1}"
    assert with_digest(server, credentials, source) == 401


# ---- operations that others were abused by


def authenticated(server: Server, request: str, path: str = DEVICE) -> tuple[int, list[str]]:
    reply = server.post(server.device().envelope(request), path=path)
    return reply.status, reply.subcodes()


@pytest.mark.parametrize(
    "address",
    [
        *(
            "http://169.254.169.254/latest/meta-data/",
            "http://127.0.0.99:22/",
            "http://[::1]:6379/",
            "http://localhost:9/",
        ),
        *("file:///etc/passwd", "gopher://127.0.0.1/", "ftp://192.0.2.1/", "http://", "x" * 5000, "http://0.0.0.0/"),
        *("http://2130706433:22/", "http://[::ffff:169.254.169.254]/", "http://user@169.254.169.254/", "//192.0.2.1/"),
    ],
)
def test_notifications_are_pushed_to_no_address_but_a_harmless_one(server: Server, address: str) -> None:
    request = (
        '<wsnt:Subscribe><wsnt:ConsumerReference><a:Address xmlns:a="http://www.w3.org/2005/08/addressing">'
        f"{address}</a:Address></wsnt:ConsumerReference></wsnt:Subscribe>"
    )
    # From an address that none of these names stands for: one's own is allowed.
    reply = server.post(server.device().envelope(request), path="/onvif/event_service", source="127.0.0.5")
    assert reply.status >= 400
    assert reply.subcodes()


@pytest.mark.parametrize("asked", ["P100Y", "PT99999999999999999999S", "9999-12-31T23:59:59Z"])
def test_subscriptions_last_a_day_at_most(server: Server, asked: str) -> None:
    request = f"<tev:CreatePullPointSubscription><tev:InitialTerminationTime>{asked}</tev:InitialTerminationTime></tev:CreatePullPointSubscription>"
    reply = server.post(server.device().envelope(request), path="/onvif/event_service")
    if reply.status == 200:
        end = re.search(rb"TerminationTime>([^<]+)<", reply.body)
        assert end is not None
        assert datetime.fromisoformat(end[1].decode()) <= datetime.now(UTC) + timedelta(days=1, minutes=1)
    else:
        assert reply.subcodes()


def test_waiting_for_messages_without_end_is_refused(server: Server) -> None:
    made = server.device().call(
        "<tev:CreatePullPointSubscription><tev:InitialTerminationTime>PT60S</tev:InitialTerminationTime></tev:CreatePullPointSubscription>"
    )
    address = made.findtext(".//{http://www.w3.org/2005/08/addressing}Address")
    assert address is not None
    path = "/" + address.split("/", 3)[3]
    for timeout in ("PT99999H", "P10Y", "PT999999999999999999999S"):
        status, _ = authenticated(
            server,
            f"<tev:PullMessages><tev:Timeout>{timeout}</tev:Timeout><tev:MessageLimit>1</tev:MessageLimit></tev:PullMessages>",
            path,
        )
        assert status >= 400, timeout
    assert authenticated(server, "<wsnt:Unsubscribe/>", path)[0] == 200


@pytest.mark.parametrize("name", ["$(reboot)", "a;reboot", "a`id`", "a|id", "../../x", "a\nb", "-rf", "a" * 300])
def test_names_that_a_shell_would_obey_are_refused(server: Server, name: str) -> None:
    status, codes = authenticated(server, f"<tds:SetHostname><tds:Name>{name}</tds:Name></tds:SetHostname>")
    assert status >= 400, codes


def test_subscriptions_are_bounded(server: Server) -> None:
    request = "<tev:CreatePullPointSubscription><tev:InitialTerminationTime>PT20S</tev:InitialTerminationTime></tev:CreatePullPointSubscription>"
    statuses = [authenticated(server, request, "/onvif/event_service")[0] for _ in range(400)]
    assert statuses[0] == 200
    assert statuses[-1] >= 400


# ---- the address filter


@pytest.mark.covers("SEC-07", "SEC-08", "S-SetIPAddressFilter", "S-RemoveIPAddressFilter")
def test_address_filter_holds_on_every_port_at_once_and_can_be_lifted(server: Server) -> None:
    def reaches(port: int, data: bytes) -> bool:
        try:
            return bool(server.send(data, port=port, source="127.0.77.1", wait=2))
        except OSError:
            return False

    def shakes_hands() -> bool:
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        try:
            with server.connect(server.https_port, "127.0.77.1") as raw, trusting.wrap_socket(raw):
                return True
        except OSError:
            return False

    def reached() -> list[bool]:
        return [
            reaches(server.http_port, b"GET / HTTP/1.0\r\n\r\n"),
            shakes_hands(),
            reaches(server.rtsp_port, b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
        ]

    def change(operation: str, kind: str) -> None:
        prefix = (
            "<tt:IPv4Address><tt:Address>127.0.77.0</tt:Address><tt:PrefixLength>24</tt:PrefixLength></tt:IPv4Address>"
        )
        content = f"<tds:IPAddressFilter><tt:Type>{kind}</tt:Type>{prefix}</tds:IPAddressFilter>"
        server.device().call(f"<tds:{operation}>{content}</tds:{operation}>")

    assert reached() == [True, True, True]
    change("SetIPAddressFilter", "Deny")
    assert reached() == [False, False, False]
    change("RemoveIPAddressFilter", "Deny")
    assert reached() == [True, True, True]


# ---- the long form


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["http", "https", "rtsp"])
def test_ten_thousand_connections(server: Server, kind: str) -> None:
    port = {"http": server.http_port, "https": server.https_port, "rtsp": server.rtsp_port}[kind]
    with held(server, 10_000, b"", port, sources=100) as connections:
        time.sleep(1)
        assert len(connections) - ended(connections) <= 1024
        if kind == "rtsp":
            answer = server.send(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n", port=port, source="127.0.0.1", wait=1)
            assert answer.startswith(b"RTSP/1.0 200 OK")
    deadline = time.monotonic() + 5
    while True:
        with contextlib.suppress(OSError):
            assert server.answer_time() < 1.0
            break
        assert time.monotonic() < deadline
