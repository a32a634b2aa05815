"""Digest and Basic authentication, both sides."""

from __future__ import annotations

import hashlib

import pytest

from onvifd.access.digest import ClientDigest, DigestRejected, DigestVerifier, make_ha1, parse_parameters
from onvifd.access.types import Account, Credential, Level
from onvifd.errors import NotAuthorized, NotSupported

REALM = 'the "realm"'
ACCOUNT = Account("Ann, B.", Level.OPERATOR)
PASSWORD = 'p"w,d'


def lookup(name: str) -> Credential | None:
    return Credential(ACCOUNT, make_ha1(name, REALM, PASSWORD)) if name == ACCOUNT.name else None


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def client(challenge: str, user: str = ACCOUNT.name, password: str = PASSWORD) -> ClientDigest:
    digest = ClientDigest(user, password)
    assert digest.receive_challenge([challenge])
    return digest


def verifier(**options: object) -> DigestVerifier:
    return DigestVerifier(REALM, lookup, b"s" * 32, **options)  # type: ignore[arg-type]


def authorization(digest: ClientDigest, method: str = "GET", uri: str = "/a") -> str:
    value = digest.authorization(method, uri)
    assert value is not None
    return value


def without_qop(challenge: str) -> str:
    return challenge.replace('qop="auth", ', "")


def test_example_of_rfc_7616() -> None:
    values = [
        'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, '
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"',
        'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=MD5, nonce="x"',
    ]
    digest = ClientDigest("Mufasa", "Circle of Life")
    digest.receive_challenge(values)
    fields = parse_parameters(authorization(digest, "GET", "/dir/index.html").removeprefix("Digest "))
    assert fields["algorithm"] == "SHA-256"
    assert (fields["nc"], fields["qop"]) == ("00000001", "auth")

    def sha(text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()

    ha1, ha2 = sha("Mufasa:http-auth@example.org:Circle of Life"), sha("GET:/dir/index.html")
    assert fields["response"] == sha(f"{ha1}:{fields['nonce']}:00000001:{fields['cnonce']}:auth:{ha2}")


def test_client_and_verifier_agree_on_names_and_passwords_with_quotes_and_commas() -> None:
    server = verifier()
    assert server.verify(authorization(client(server.challenge(0))), "GET", "/a", 1) == ACCOUNT


def test_challenge_has_tokens_without_quotes() -> None:
    challenge = verifier().challenge(5, stale=True)
    assert challenge.endswith(", algorithm=MD5, stale=true")
    fields = parse_parameters(challenge.removeprefix("Digest "))
    assert (fields["realm"], fields["qop"]) == (REALM, "auth")
    assert len(fields["opaque"]) == 32


def test_nonces_differ_even_in_one_instant() -> None:
    server = verifier()
    assert server.challenge(3) != server.challenge(3)


@pytest.mark.parametrize(("user", "password"), [(ACCOUNT.name, "wrong"), ("nobody", PASSWORD), ("", "")])
def test_wrong_credentials_are_refused_and_not_stale(user: str, password: str) -> None:
    server = verifier()
    with pytest.raises(DigestRejected) as caught:
        server.verify(authorization(client(server.challenge(0), user, password)), "GET", "/a", 0)
    assert not caught.value.stale
    assert isinstance(caught.value, NotAuthorized)


def test_old_nonce_is_stale_only_for_who_knows_the_password() -> None:
    server = verifier(lifetime=300)
    good, bad = client(server.challenge(0)), client(server.challenge(0), password="bad")
    with pytest.raises(DigestRejected) as caught:
        server.verify(authorization(good), "GET", "/a", 301)
    assert caught.value.stale
    assert caught.value.detail == "stale"
    with pytest.raises(DigestRejected) as caught:
        server.verify(authorization(bad), "GET", "/a", 301)
    assert not caught.value.stale


def test_nonce_of_another_secret_is_stale() -> None:
    other = DigestVerifier(REALM, lookup, b"t" * 32)
    with pytest.raises(DigestRejected) as caught:
        verifier().verify(authorization(client(other.challenge(0))), "GET", "/a", 0)
    assert caught.value.stale


def test_nonce_works_in_another_process_with_the_same_secret() -> None:
    assert verifier().verify(authorization(client(verifier().challenge(0))), "GET", "/a", 1) == ACCOUNT


def test_client_tries_again_after_stale_and_gives_up_otherwise() -> None:
    server = verifier()
    digest = client(server.challenge(0))
    assert digest.receive_challenge([server.challenge(400, stale=True)])
    assert server.verify(authorization(digest), "GET", "/a", 401) == ACCOUNT
    assert not digest.receive_challenge([server.challenge(402)])


@pytest.mark.parametrize(("method", "uri"), [("POST", "/a"), ("GET", "/b"), ("GET", "/a/b")])
def test_digest_is_bound_to_method_and_uri(method: str, uri: str) -> None:
    server = verifier()
    with pytest.raises(DigestRejected):
        server.verify(authorization(client(server.challenge(0))), method, uri, 0)


def test_request_count_cannot_be_used_again() -> None:
    server = verifier()
    digest = client(server.challenge(0))
    first, second, third = (authorization(digest) for _ in range(3))
    for value in (first, third, second):  # pipelined requests may swap places
        assert server.verify(value, "GET", "/a", 1) == ACCOUNT
    for value in (first, second, third):
        with pytest.raises(DigestRejected, match="nc"):
            server.verify(value, "GET", "/a", 1)


def test_table_of_request_counts_is_bounded_and_fails_closed() -> None:
    server = verifier(max_nonces=2)
    old = client(server.challenge(0))
    used = authorization(old)
    server.verify(used, "GET", "/a", 1)
    for now in (2, 3, 4):
        server.verify(authorization(client(server.challenge(now))), "GET", "/a", now)
    with pytest.raises(DigestRejected) as caught:
        server.verify(used, "GET", "/a", 5)
    assert caught.value.stale


def test_rfc_2069_without_qop() -> None:
    server = DigestVerifier.for_rtsp(REALM, lookup)
    digest = client(without_qop(server.challenge(0)))
    value = authorization(digest, "PLAY", "rtsp://h/a")
    assert "qop" not in value
    for now in (1, 2):
        assert server.verify(value, "PLAY", "rtsp://h/a", now) == ACCOUNT
    with pytest.raises(DigestRejected):
        verifier(allow_rfc2069=False).verify(value, "PLAY", "rtsp://h/a", 1)


@pytest.mark.parametrize(
    ("signed", "requested", "fits"),
    [
        ("rtsp://h/live/a", "rtsp://h/live/a/trackID=0", True),
        ("rtsp://h/live/a/", "rtsp://h:554/live/a", True),
        ("/live/a", "rtsp://h/live/a", True),
        ("rtsp://h/live/a", "rtsp://h/live/ab", False),
        ("rtsp://h/live/b", "rtsp://h/live/a", False),
        ("rtsp://[bad", "rtsp://h/live/a", False),
    ],
)
def test_rtsp_accepts_the_base_of_the_requested_url(signed: str, requested: str, fits: bool) -> None:
    server = DigestVerifier.for_rtsp(REALM, lookup)
    value = authorization(client(server.challenge(0)), "SETUP", signed)
    if fits:
        assert server.verify(value, "SETUP", requested, 0) == ACCOUNT
    else:
        with pytest.raises(DigestRejected):
            server.verify(value, "SETUP", requested, 0)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Basic QTpi",
        "Digest",
        "Digest username",
        'Digest username="a", username="b", nonce="", uri="", response=""',
        'Digest username="a", nonce="zz", uri="/a", response="0"',
        'Digest username="a", nonce="00", uri="/a", response="0", qop=auth-int, nc=1, cnonce="c"',
        'Digest username="a", nonce="00", uri="/a", response="0", qop=auth, nc=0, cnonce="c"',
        'Digest username="a", nonce="00", uri="/a", response="0", qop=auth, nc=1',
        'Digest username="a", nonce="00", uri="/a", response="0", algorithm=SHA-256',
        "Digest " + "a=b," * 5000,
    ],
)
def test_malformed_credentials_are_refused(value: str) -> None:
    with pytest.raises(DigestRejected):
        verifier().verify(value, "GET", "/a", 0)


def test_basic_is_the_last_choice() -> None:
    digest = ClientDigest("user", "pass")
    digest.receive_challenge(['Basic realm="x"', verifier().challenge(0)])
    assert authorization(digest).startswith("Digest ")
    digest = ClientDigest("user", "pass")
    digest.receive_challenge(['Basic realm="x"'])
    assert authorization(digest) == "Basic dXNlcjpwYXNz"


def test_several_challenges_in_one_header() -> None:
    digest = ClientDigest("user", "pass")
    digest.receive_challenge(['Basic realm="cam", Digest realm="cam", nonce="n", qop="auth"'])
    assert authorization(digest).startswith('Digest username="user", realm="cam", nonce="n"')


def test_unknown_or_forbidden_schemes() -> None:
    with pytest.raises(NotSupported):
        ClientDigest("user", "pass").receive_challenge(["Negotiate"])
    with pytest.raises(NotSupported):
        ClientDigest("user", "pass", allow_basic=False).receive_challenge(['Basic realm="x"'])
    assert ClientDigest("user", "pass").authorization("GET", "/") is None


def test_password_is_in_no_repr() -> None:
    assert "hidden" not in repr(ClientDigest("user", "hidden"))
