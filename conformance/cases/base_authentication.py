"""Base Test 8: authentication."""

from __future__ import annotations

from conformance.auth import PASSWORD_DIGEST, read_challenges, username_token
from conformance.model import Examination, case
from conformance.soap import Reply, envelope, read_reply

BASE = "Base"
REQUEST = "<tds:GetUsers/>"
"""An operation that requires authentication (READ_SYSTEM_SECRET)."""


async def _send(x: Examination, header: str) -> Reply:
    return read_reply(await x.soap.post(x.soap.address("tds"), envelope(REQUEST, header), title="GetUsers"))


@case("SECURITY-1-1-1", document=BASE, name="USER TOKEN PROFILE", requires=("Device/WS-UsernameToken",))
async def user_token(x: Examination) -> None:
    user, password, offset = x.settings.user, x.settings.password, x.soap.clock_offset
    whole = username_token(user, password, offset=offset)

    def without(name: str) -> str:
        token = username_token(user, password, offset=offset)
        start, end = token.index(f"<{name}"), token.index(f"</{name}>") + len(f"</{name}>")
        return token[:start] + token[end:]

    text_type = PASSWORD_DIGEST.replace("#PasswordDigest", "#PasswordText")
    wrong_type = username_token(user, password, offset=offset).replace(PASSWORD_DIGEST, text_type)
    for what, header in (
        ("without nonce", without("wsse:Nonce")),
        ("without timestamp", without("wsu:Created")),
        ("with password type PasswordText", wrong_type),
    ):
        reply = await _send(x, header)
        refused = reply.status == 401 or reply.fault is not None
        x.check(refused and reply.status != 200, f"a UsernameToken {what} was accepted: {reply} (8.1)")
    reply = await _send(x, whole)
    x.check(reply.status == 200 and reply.fault is None, f"a correct UsernameToken was refused: {reply} (8.1)")


@case("SECURITY-1-1-2", document=BASE, name="DIGEST AUTHENTICATION", requires=("Device/HTTP Digest",))
async def digest(x: Examination) -> None:
    reply = await _send(x, "")
    x.check(reply.status == 401, f"GetUsers without credentials must be refused with HTTP 401, received {reply} (8.2)")
    values = reply.http.all("WWW-Authenticate")
    challenges = read_challenges(values)
    x.check(challenges, f"the 401 has no Digest challenge with realm and nonce in WWW-Authenticate: {values} (8.2)")
    for each in challenges:
        x.check(each.realm and each.nonce, f"the challenge {values} lacks realm or nonce (RFC 2617 3.2.1)")
    answer = await x.soap.call("tds", REQUEST, auth="digest")
    x.check(answer.status == 200 and answer.fault is None, f"correct Digest credentials were refused: {answer} (8.2)")
