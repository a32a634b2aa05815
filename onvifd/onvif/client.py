"""A small ONVIF client over the same types, for cameras.

Every request carries a UsernameToken with the camera's own time; HTTP Digest is added when the camera asks for it. What
a camera answers is read leniently and within bounds.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import os
import uuid
from datetime import UTC, datetime
from typing import TypeVar

import aiohttp
from lxml import etree
from yarl import URL

from onvifd.access.digest import ClientDigest
from onvifd.clock import US, Clock, SystemClock, from_datetime
from onvifd.errors import (
    BadInput,
    InvalidArgument,
    NotAuthorized,
    NotSupported,
    OnvifdError,
    Prohibited,
    Timeout,
    Unavailable,
)
from onvifd.onvif.soap import envelope, wsse
from onvifd.onvif.soap.codec import Element, decode, tag_of
from onvifd.onvif.soap.namespaces import SOAP, SOAP11, WSA
from onvifd.onvif.types import tds, tt

logger = logging.getLogger(__name__)

T = TypeVar("T")

MAX_RESPONSE = 8 << 20
"""Octets of a response: a device with many profiles and long topic sets stays far below."""
MAX_TAGS = 400_000
TIMEOUT = 10.0


_CODES = {
    "NotAuthorized": NotAuthorized,
    "ActionNotSupported": NotSupported,
    "UnknownAction": NotSupported,
    "OperationProhibited": Prohibited,
    "InvalidArgVal": InvalidArgument,
    "InvalidArgs": BadInput,
}
"""First `ter:` subcode of a fault and the error it becomes; every other fault is Unavailable."""


class OnvifClient:
    """Calls operations of one camera with one account.

    The camera's clock is asked before the first request that needs it, since a UsernameToken must carry the camera's time.
    `clock` gives ours. Raises the leaves of `OnvifdError`: NotAuthorized, NotSupported, InvalidArgument and so on for faults,
    Timeout and Unavailable for everything that is no answer.
    """

    def __init__(
        self,
        url: str,
        user: str,
        password: str,
        session: aiohttp.ClientSession,
        *,
        timeout: float = TIMEOUT,
        clock: Clock | None = None,
    ) -> None:
        self.url = url
        self._user = user
        self._password = password
        self._session = session
        self._timeout = timeout
        self._clock = clock or SystemClock()
        self._digest = ClientDigest(user, password, allow_basic=False)
        self._offset: int | None = None

    def at(self, url: str) -> OnvifClient:
        """The same camera at another of its addresses, sharing what was learned of its clock and its authentication."""
        other = OnvifClient(url, self._user, self._password, self._session, timeout=self._timeout, clock=self._clock)
        other._digest = self._digest
        other._offset = self._offset
        return other

    async def call(
        self,
        request: object,
        response: type[T],
        *,
        url: str | None = None,
        timeout: float | None = None,
        reference_parameters: tuple[Element, ...] = (),
        action: str | None = None,
    ) -> T:
        """Send `request` and read the answer as `response`.

        `url` replaces the client's own, for subscriptions. `reference_parameters` and `action` become header blocks
        (WS-Addressing). `timeout` is for PullMessages, which the camera answers late.
        """
        if self._user and self._offset is None:
            await self.find_offset()
        limit = self._timeout if timeout is None else timeout
        content = await self._send(
            request, url or self.url, limit, reference_parameters, action, secure=bool(self._user)
        )
        expected = tag_of(response)
        if content.tag != expected and etree.QName(content).localname != etree.QName(expected).localname:
            raise Unavailable(f"the camera answered {etree.QName(content).localname[:60]} to {type(request).__name__}")
        return decode(response, content, lenient=True)

    async def find_offset(self) -> int:
        """Microseconds that the camera's clock is ahead of ours, by GetSystemDateAndTime, which needs no account."""
        before = self._clock.utc()
        offset = 0
        try:
            content = await self._send(tds.GetSystemDateAndTime(), self.url, self._timeout, (), None, secure=False)
        except (NotAuthorized, BadInput, NotSupported) as error:
            # Some cameras want credentials even here. Most of them run on the right time.
            logger.info("%s does not tell its time: %s", self.url, error)
        else:
            answer = decode(tds.GetSystemDateAndTimeResponse, content, lenient=True)
            theirs = _camera_time(answer.system_date_and_time)
            if theirs is not None:
                # Whole seconds: half of one is the fairest guess.
                offset = theirs + US // 2 - (before + self._clock.utc()) // 2
        self._offset = offset
        return offset

    async def _send(
        self,
        request: object,
        url: str,
        timeout: float,
        reference_parameters: tuple[Element, ...],
        action: str | None,
        *,
        secure: bool,
    ) -> Element:
        name = type(request).__name__
        try:
            async with asyncio.timeout(timeout):
                for attempt in range(3):
                    # A new token each time: cameras remember nonces too.
                    body = envelope.write_request(
                        request, headers=self._headers(url, action, reference_parameters, secure)
                    )
                    status, challenges, answer = await self._post(url, body, action)
                    if status != 401 or not challenges or not self._user:
                        return _content(answer, status, name)
                    if attempt == 2 or not self._digest.receive_challenge(challenges):
                        break
                raise NotAuthorized(f"the camera refuses the account for {name}")
        except TimeoutError:
            raise Timeout(f"the camera did not answer {name} within {timeout:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unavailable(f"the camera cannot be asked for {name}: {type(error).__name__}") from error

    def _headers(
        self, url: str, action: str | None, reference_parameters: tuple[Element, ...], secure: bool
    ) -> tuple[Element, ...]:
        blocks = []
        if action is not None:
            for name, value in (("To", url), ("Action", action), ("MessageID", f"urn:uuid:{uuid.uuid4()}")):
                block = etree.Element(f"{{{WSA}}}{name}", nsmap={"wsa5": WSA})
                block.text = value
                blocks.append(block)
        blocks += [copy.deepcopy(parameter) for parameter in reference_parameters]
        if secure:
            created = self._clock.utc() + (self._offset or 0)
            created -= created % 1000  # three digits of a second are what everybody parses
            blocks.append(wsse.security_header(self._user, self._password, os.urandom(16), created))
        return tuple(blocks)

    async def _post(self, url: str, body: bytes, action: str | None) -> tuple[int, list[str], bytes]:
        content_type = envelope.CONTENT_TYPE + (f'; action="{action}"' if action else "")
        headers = {"Content-Type": content_type}
        target = URL(url)
        authorization = self._digest.authorization("POST", target.raw_path_qs)
        if authorization is not None:
            headers["Authorization"] = authorization
        async with self._session.post(target, data=body, headers=headers, allow_redirects=False) as reply:
            parts = bytearray()
            async for chunk in reply.content.iter_any():
                parts += chunk
                if len(parts) > MAX_RESPONSE:
                    reply.close()
                    raise Unavailable(f"the camera sends more than {MAX_RESPONSE} octets")
            return reply.status, reply.headers.getall("WWW-Authenticate", []), bytes(parts)


def _camera_time(answer: tt.SystemDateTime) -> int | None:
    """UTCDateTime in microseconds; None if the camera does not tell it."""
    given = answer.utc_date_time
    if given is None:
        return None
    date, time = given.date, given.time
    try:
        moment = datetime(date.year, date.month, date.day, time.hour, time.minute, min(time.second, 59), tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return from_datetime(moment)


def _content(answer: bytes, status: int, name: str) -> Element:
    """What the Body of an answer holds. Raises the error that a fault means."""
    try:
        root = envelope.parse_xml(answer, limit=MAX_RESPONSE, tags=MAX_TAGS)
    except OnvifdError as error:
        if status == 401:
            raise NotAuthorized(f"the camera refuses the account for {name}") from None
        raise Unavailable(f"the camera answers {name} with HTTP {status} and no SOAP: {error.reason}") from None
    # Old firmware answers faults in SOAP 1.1.
    for version in (SOAP, SOAP11):
        body = root.find(f"{{{version}}}Body")
        if body is not None and len(body):
            content = body[0]
            if content.tag == f"{{{version}}}Fault":
                raise _fault_error(content, name)
            return content
    raise Unavailable(f"the camera answers {name} with HTTP {status} and an empty message")


def _fault_error(fault: Element, name: str) -> OnvifdError:
    """The error of the tree for a camera's fault."""
    codes = [(node.text or "").strip().rpartition(":")[2] for node in fault.iter(f"{{{SOAP}}}Value", "faultcode")][:4]
    reason = fault.findtext(f".//{{{SOAP}}}Text") or fault.findtext("faultstring") or "no reason given"
    detail = codes[2] if len(codes) > 2 else None
    kind: type[OnvifdError] = next((_CODES[code] for code in codes if code in _CODES), Unavailable)
    return kind(f"the camera refuses {name}: {' '.join(reason.split())[:200]}", detail=detail)
