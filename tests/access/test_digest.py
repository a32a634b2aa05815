"""Digest and Basic authentication, both sides."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import quote

import pytest

from onvifd.access.digest import (
    ClientDigest,
    DigestRejected,
    DigestVerifier,
    make_ha1,
    make_ha1_sha256,
    nonce_of,
    parse_parameters,
)
from onvifd.access.gate import Gate, Refusal
from onvifd.access.lockout import Lockout, LockoutPolicy
from onvifd.access.periods import WeekPlan
from onvifd.access.types import Account, Credential, Level
from onvifd.clock import SimulatedClock
from onvifd.errors import NotAuthorized, NotSupported

REALM = 'the "realm"'
ACCOUNT = Account("Ann, B.", Level.OPERATOR)
PASSWORD = 'p"w,d'


def lookup(name: str) -> Credential | None:
    if name != ACCOUNT.name:
        return None
    return Credential(ACCOUNT, make_ha1(name, REALM, PASSWORD), ha1_sha256=make_ha1_sha256(name, REALM, PASSWORD))


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
    assert challenge.endswith(", algorithm=MD5")
    # what live555 reads: realm, nonce and stale, in this order, with nothing between
    assert re.search(r'^Digest realm=.*", nonce="[^"]*", stale=true, ', challenge)
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


def test_the_nonce_of_a_connection_that_stands_is_not_too_old() -> None:
    server = DigestVerifier.for_rtsp(REALM, lookup)
    value = authorization(client(server.challenge(0)))
    assert server.verify(value, "GET", "/a", 9999, held=nonce_of(value)) == ACCOUNT
    with pytest.raises(DigestRejected):
        server.verify(value, "GET", "/a", 9999, held=nonce_of(authorization(client(server.challenge(1)))))
    assert nonce_of("Digest nonce") == nonce_of("Basic QTpC") == nonce_of("") == ""


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


@pytest.mark.parametrize(
    "challenge",
    [
        pytest.param('Digest realm="cam" nonce="n1"', id="no commas"),
        pytest.param('Digest realm="cam",, nonce="n1",', id="too many commas"),
        pytest.param('Digest realm="cam", nonce="n1", nonce="n1"', id="twice"),
        pytest.param('Digest realm="cam", nonce="n1", qop=""', id="empty qop"),
        pytest.param('Digest realm="cam", nonce="n1", qop=, stale', id="no value"),
    ],
)
def test_odd_challenges_of_cameras_are_answered(challenge: str) -> None:
    """And the password is not told in clear instead."""
    client = ClientDigest("admin", "secret")
    assert client.receive_challenge([challenge, 'Basic realm="cam"'])
    expected = ClientDigest("admin", "secret")
    expected.receive_challenge(['Digest realm="cam", nonce="n1"'])
    assert client.authorization("DESCRIBE", "rtsp://c/") == expected.authorization("DESCRIBE", "rtsp://c/")


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


# ---- several algorithms, bounds of nonces, locks


def both() -> DigestVerifier:
    return verifier(algorithms=("SHA-256", "MD5"))


@pytest.mark.covers("SEC-04")
def test_one_challenge_per_algorithm_in_order_of_preference() -> None:
    first, second = both().challenges(0)
    assert first.endswith("algorithm=SHA-256")
    assert second.endswith("algorithm=MD5")
    one, two = (parse_parameters(text.removeprefix("Digest ")) for text in (first, second))
    assert {name: one[name] for name in ("realm", "nonce", "opaque", "qop")} == {
        name: two[name] for name in ("realm", "nonce", "opaque", "qop")
    }
    assert all(", stale=true, " in text for text in both().challenges(0, stale=True))


@pytest.mark.parametrize("index", [0, 1])
def test_each_offered_algorithm_is_accepted(index: int) -> None:
    server = both()
    assert server.verify(authorization(client(server.challenges(0)[index])), "GET", "/a", 1) == ACCOUNT
    with pytest.raises(DigestRejected, match="wrong") as caught:
        server.verify(authorization(client(server.challenges(0)[index], password="bad")), "GET", "/a", 1)
    assert not caught.value.stale


def test_an_algorithm_that_is_not_offered_is_refused() -> None:
    server = verifier()
    sha = client(both().challenges(0)[0])
    with pytest.raises(DigestRejected, match="offered"):
        server.verify(authorization(sha), "GET", "/a", 1)
    server.algorithms = ("SHA-256",)
    assert server.algorithms == ("SHA-256",)
    with pytest.raises(DigestRejected, match="offered"):
        server.verify(authorization(client(verifier().challenge(0))), "GET", "/a", 1)
    with pytest.raises(ValueError, match="digest algorithms"):
        server.algorithms = ("SHA-512",)


@pytest.mark.parametrize(
    ("change", "stale"),
    [
        (('opaque="', 'opaque="0'), True),
        ((', nonce="', ', nonce="' + "0" * 3000), True),
        ((', nonce="', ', nonce="x'), True),
        (("Digest ", "Digest userhash=true, "), False),
        (("algorithm=MD5", "algorithm=MD5-sess"), False),
        (('username="', 'username*="'), False),
    ],
)
def test_what_was_not_offered_is_refused(change: tuple[str, str], stale: bool) -> None:
    server = verifier()
    text = authorization(client(server.challenge(0))).replace(*change)
    with pytest.raises(DigestRejected) as caught:
        server.verify(text, "GET", "/a", 0)
    assert caught.value.stale is stale


def test_oversized_credentials_are_refused_unread() -> None:
    with pytest.raises(DigestRejected):
        verifier().verify('Digest nonce="' + "0" * 1_000_000 + '"', "GET", "/a", 0)


def test_extended_user_name() -> None:
    server = verifier()
    plain = authorization(client(server.challenge(0)))
    quoted = re.search(r'username="((?:[^"\\]|\\.)*)"', plain)
    assert quoted is not None
    text = plain.replace(quoted[0], f"username*=UTF-8''{quote(ACCOUNT.name, safe='')}")
    assert server.verify(text, "GET", "/a", 0) == ACCOUNT


def test_a_nonce_is_good_for_so_many_requests() -> None:
    server = verifier(max_uses=2)
    digest = client(server.challenge(0))
    for _ in range(2):
        assert server.verify(authorization(digest), "GET", "/a", 1) == ACCOUNT
    with pytest.raises(DigestRejected) as caught:
        server.verify(authorization(digest), "GET", "/a", 1)
    assert caught.value.stale


def test_without_qop_a_nonce_is_good_for_less() -> None:
    server = verifier(max_plain_uses=3)
    value = authorization(client(without_qop(server.challenge(0))))
    for _ in range(3):
        assert server.verify(value, "GET", "/a", 1) == ACCOUNT
    with pytest.raises(DigestRejected, match="too often") as caught:
        server.verify(value, "GET", "/a", 1)
    assert caught.value.stale
    late = authorization(client(without_qop(server.challenge(0))))
    with pytest.raises(DigestRejected, match="too old") as caught:
        server.verify(late, "GET", "/a", 61)
    assert caught.value.stale


class Listener:
    def __init__(self) -> None:
        self.refusals: list[Refusal] = []
        self.admissions: list[tuple[str, str, str]] = []

    def refused(self, refusal: Refusal) -> None:
        self.refusals.append(refusal)

    def admitted(self, face: str, account: str, source: str) -> None:
        self.admissions.append((face, account, source))


class Guarded:
    """A verifier behind a gate."""

    def __init__(self, periods: str = "", former: str = "") -> None:
        self.clock = SimulatedClock()
        self.told = Listener()
        self.answers: list[tuple[str, bool]] = []
        gate = Gate("onvif", Lockout(LockoutPolicy(3, 300)), self.clock, self.told)
        before = Credential(ACCOUNT, make_ha1(ACCOUNT.name, REALM, former)) if former else None
        known = Credential(
            ACCOUNT, make_ha1(ACCOUNT.name, REALM, PASSWORD), periods=WeekPlan.parse(periods), former=before
        )
        self.server = DigestVerifier(REALM, lambda name: known if name == ACCOUNT.name else None, gate=gate)

    def log_in(self, password: str = PASSWORD, user: str = ACCOUNT.name, peer: str = "192.0.2.1") -> bool:
        now = self.clock.monotonic()
        value = authorization(client(self.server.challenge(now), user, password))
        try:
            return self.server.verify(value, "GET", "/a", now, peer=peer) == ACCOUNT
        except DigestRejected as error:
            self.answers.append((error.reason, error.stale))
            return False


@pytest.mark.covers("SEC-09")
async def test_wrong_passwords_lock_and_time_frees() -> None:
    scene = Guarded()
    assert scene.log_in()
    assert [scene.log_in("bad") for _ in range(3)] == [False] * 3
    assert not scene.log_in()
    assert not scene.log_in(peer="192.0.2.2")
    assert [refusal.counted for refusal in scene.told.refusals] == [True, True, True, False, False]
    assert {(lock.account, lock.source) for lock in scene.told.refusals[2].locks} == {
        (f"onvif:{ACCOUNT.name}", ""),
        ("", "192.0.2.1"),
    }
    # a lock cannot be told from a wrong password
    assert set(scene.answers) == {("user name or password is wrong", False)}
    await scene.clock.advance(301)
    assert scene.log_in()
    assert scene.told.admissions[0] == ("onvif", ACCOUNT.name, "192.0.2.1")


def test_guessing_names_locks_the_source_alone() -> None:
    scene = Guarded()
    assert [scene.log_in(user=f"guess{n}") for n in range(3)] == [False] * 3
    assert not scene.log_in()
    assert scene.log_in(peer="192.0.2.2")


def test_yesterdays_password_is_refused_but_no_guess() -> None:
    scene = Guarded(former="yesterday")
    assert not any(scene.log_in("yesterday") for _ in range(10))
    assert {refusal.reason for refusal in scene.told.refusals} == {"former password"}
    assert scene.log_in()


@pytest.mark.covers("ACC-07")
def test_outside_its_periods_an_account_is_refused() -> None:
    scene = Guarded(periods="mon 00:00-00:01")  # the simulated clock begins on a Thursday
    assert not scene.log_in()
    assert [(refusal.reason, refusal.counted) for refusal in scene.told.refusals] == [
        ("outside its login periods", False)
    ]
    assert Guarded(periods="mon-sun 00:00-24:00").log_in()


def test_who_comes_often_is_told_of_once_a_minute() -> None:
    scene = Guarded()
    for _ in range(5):
        assert scene.log_in()
    assert len(scene.told.admissions) == 1


def test_the_nonce_stands_directly_behind_the_realm() -> None:
    """Clients on live555, VLC among them, read a challenge by `Digest realm="%[^"]", nonce="%[^"]"`."""
    for challenge in verifier().challenges(1.0):
        assert re.match(r'Digest realm=".+?", nonce="[^"]+"', challenge)


def test_a_challenge_that_is_no_utf8_is_answered_in_kind() -> None:
    nonce = b"n\xe4\xff".decode("utf-8", "surrogateescape")
    answer = authorization(client(f'Digest realm="r", nonce="{nonce}"'), "GET", "/x")
    assert f'nonce="{nonce}"' in answer
