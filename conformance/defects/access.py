"""Defects of authentication and access control."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

from conformance.auth import PASSWORD_DIGEST
from conformance.defects.model import Answer, Exchange, Stage, body_of, defect, fault
from conformance.names import find, findall, text

CHALLENGE = "www-authenticate"


# ---- UsernameToken ------------------------------------------------------------------------------------


def _token(name: str, what: str, path: str) -> None:
    @defect(name, what, "SECURITY-1-1-1", "GetUsers")
    async def accepted(exchange: Exchange, stage: Stage) -> Answer:
        token = find(exchange.root, "env:Header/wsse:Security/wsse:UsernameToken")
        if token is not None and find(token, path) is None:
            return await stage.forward_as_administrator(exchange)
        return await stage.forward(exchange)


_token("token-without-nonce", "a UsernameToken without Nonce is accepted", "wsse:Nonce")
_token("token-without-created", "a UsernameToken without Created is accepted", "wsu:Created")


@defect("token-in-plain-text", "a UsernameToken of type PasswordText is accepted", "SECURITY-1-1-1", "GetUsers")
async def token_in_plain_text(exchange: Exchange, stage: Stage) -> Answer:
    password = find(exchange.root, "env:Header/wsse:Security/wsse:UsernameToken/wsse:Password")
    if password is not None and password.get("Type") != PASSWORD_DIGEST:
        return await stage.forward_as_administrator(exchange)
    return await stage.forward(exchange)


@defect("no-username-token", "a correct UsernameToken is refused", "SECURITY-1-1-1", "GetUsers")
async def no_username_token(exchange: Exchange, stage: Stage) -> Answer:
    token = find(exchange.root, "env:Header/wsse:Security/wsse:UsernameToken")
    return fault("env:Sender", "ter:NotAuthorized", status=400) if token is not None else await stage.forward(exchange)


@defect("token-replayed", "a UsernameToken is accepted a second time", "CORE-SECURITY-1", "GetUsers")
async def token_replayed(exchange: Exchange, stage: Stage) -> Answer:
    nonce = text(exchange.root, "env:Header/wsse:Security/wsse:UsernameToken/wsse:Nonce")
    answer = await stage.forward(exchange)
    known = stage.memory.setdefault("nonces", set())
    if nonce and answer.status == 200:
        known.add(nonce)
    elif nonce in known:
        return await stage.forward_as_administrator(exchange)
    return answer


# ---- Digest -------------------------------------------------------------------------------------------


@defect("no-challenge", "HTTP 401 comes without a challenge", "SECURITY-1-1-2", "GetUsers")
async def no_challenge(exchange: Exchange, stage: Stage) -> Answer:
    answer = await stage.forward(exchange)
    return replace(answer, headers=tuple(each for each in answer.headers if each[0].lower() != CHALLENGE))


@defect("refused-with-400", "who sends no credentials gets HTTP 400", "SECURITY-1-1-2", "GetUsers")
async def refused_with_400(exchange: Exchange, stage: Stage) -> Answer:
    return await stage.forward(exchange) if exchange.user else fault("env:Sender", "ter:NotAuthorized", status=400)


@defect("challenge-without-nonce", "the challenge has no nonce", "SECURITY-1-1-2", "GetUsers")
async def challenge_without_nonce(exchange: Exchange, stage: Stage) -> Answer:
    answer = await stage.forward(exchange)
    headers = tuple(
        (name, re.sub(r',?\s*nonce="[^"]*"', "", value) if name.lower() == CHALLENGE else value)
        for name, value in answer.headers
    )
    return replace(answer, headers=headers)


@defect("digest-refused", "correct Digest credentials are refused", "SECURITY-1-1-2", "GetUsers")
async def digest_refused(exchange: Exchange, stage: Stage) -> Answer:
    bare = replace(exchange, headers=tuple(each for each in exchange.headers if each[0].lower() != "authorization"))
    return await stage.forward(bare)


@defect(
    "nonce-count-replayed",
    "Digest credentials are accepted a second time with the same nonce count",
    "CORE-SECURITY-2",
    "GetUsers",
)
async def nonce_count_replayed(exchange: Exchange, stage: Stage) -> Answer:
    proof = exchange.header("Authorization")
    answer = await stage.forward(exchange)
    known = stage.memory.setdefault("proofs", set())
    if proof and answer.status == 200:
        known.add(proof)
    elif proof in known:
        return await stage.forward_as_administrator(exchange)
    return answer


@defect(
    "any-nonce-count",
    "Digest credentials are accepted whose nonce count is not the one of the proof",
    "CORE-SECURITY-3",
    "GetUsers",
)
async def any_nonce_count(exchange: Exchange, stage: Stage) -> Answer:
    answer = await stage.forward(exchange)
    if answer.status == 401 and exchange.header("Authorization"):
        return await stage.forward_as_administrator(exchange)
    return answer


@defect(
    "digest-of-another-address",
    "Digest credentials are accepted that were made for another address",
    "CORE-SECURITY-3",
    "GetUsers",
)
async def digest_of_another_address(exchange: Exchange, stage: Stage) -> Answer:
    answer = await stage.forward(exchange)
    if answer.status != 200 and f'uri="{exchange.target}"' not in exchange.header("Authorization") and exchange.user:
        return await stage.forward_as_administrator(exchange)
    return answer


@defect(
    "no-sha-256",
    "HashingAlgorithms has SHA-256, but there is no challenge with it",
    "CORE-SECURITY-4",
    "GetUsers",
    "GetServiceCapabilities",
)
async def no_sha_256(exchange: Exchange, stage: Stage) -> Answer:
    answer = await stage.forward(exchange)
    if exchange.operation == "GetServiceCapabilities":
        root = answer.root
        for security in findall(body_of(root), "tds:Capabilities/tds:Security"):
            security.set("HashingAlgorithms", "MD5,SHA-256")
        return answer.with_root(root)
    return replace(
        answer,
        headers=tuple(each for each in answer.headers if each[0].lower() != CHALLENGE or "SHA-256" not in each[1]),
    )


# ---- access policy ------------------------------------------------------------------------------------


@defect("pre-auth-guarded", "GetHostname asks for credentials", "ACCESS_POLICY-1-1-2", "GetHostname")
async def pre_auth_guarded(exchange: Exchange, stage: Stage) -> Answer:
    if exchange.user:
        return await stage.forward(exchange)
    nonce = hashlib.sha256(exchange.content).hexdigest()[:16]
    refusal = fault("env:Sender", "ter:NotAuthorized", status=401)
    return replace(
        refusal, headers=(*refusal.headers, ("WWW-Authenticate", f'Digest realm="defect", nonce="{nonce}", qop="auth"'))
    )


def _open(name: str, what: str, case: str, *operations: str) -> None:
    @defect(name, what, case, *operations)
    async def served(exchange: Exchange, stage: Stage) -> Answer:
        return await stage.forward(exchange) if exchange.user else await stage.forward_as_administrator(exchange)


_open(
    "read-system-open",
    "GetNetworkInterfaces (READ_SYSTEM) is served without credentials",
    "ACCESS_POLICY-1-1-3",
    "GetNetworkInterfaces",
)
_open(
    "events-open",
    "GetEventProperties (READ_MEDIA) is served without credentials",
    "ACCESS_POLICY-1-1-3",
    "GetEventProperties",
)
_open(
    "discovery-mode-open",
    "SetDiscoveryMode (WRITE_SYSTEM) is served without credentials",
    "ACCESS_POLICY-1-1-4",
    "SetDiscoveryMode",
)
_open("accounts-open", "CreateUsers is served without credentials", "ACCESS_POLICY-1-1-4", "CreateUsers")
_open(
    "recordings-open",
    "GetRecordings (READ_MEDIA) is served without credentials",
    "ACCESS_POLICY-1-1-1",
    "GetRecordings",
)


def _level(name: str, what: str, case: str, *operations: str) -> None:
    @defect(name, what, case, *operations)
    async def served(exchange: Exchange, stage: Stage) -> Answer:
        answer = await stage.forward(exchange)
        refused = b"NotAuthorized" in answer.content or answer.status in (401, 403)
        # Only credentials that the device has accepted before: a level that is too low, no wrong password.
        if refused and exchange.header("Authorization") and await _is_known(exchange, stage):
            return await stage.forward_as_administrator(exchange)
        return answer


async def _is_known(exchange: Exchange, stage: Stage) -> bool:
    from conformance.soap import envelope

    listed = await stage.forward_as_administrator(replace(exchange, content=envelope("<tds:GetUsers/>")))
    return exchange.user in [text(each, "tt:Username") for each in findall(body_of(listed.root), "tds:User")]


_level("operator-writes-users", "any account may create accounts", "ACCESS_POLICY-1-1-5", "CreateUsers")
_level("operator-sets-scopes", "any account may set scopes", "ACCESS_POLICY-1-1-5", "SetScopes")
_level("operator-reads-users", "any account may read the list of accounts", "ACCESS_POLICY-1-1-1", "GetUsers")


@defect("user-shut-out", "accounts of level User may not read scopes", "ACCESS_POLICY-1-1-3", "GetScopes")
async def user_shut_out(exchange: Exchange, stage: Stage) -> Answer:
    from conformance.soap import envelope

    if exchange.user:
        listed = await stage.forward_as_administrator(replace(exchange, content=envelope("<tds:GetUsers/>")))
        levels = {
            text(each, "tt:Username"): text(each, "tt:UserLevel") for each in findall(body_of(listed.root), "tds:User")
        }
        if levels.get(exchange.user) == "User":
            return fault("env:Sender", "ter:NotAuthorized", status=400)
    return await stage.forward(exchange)
