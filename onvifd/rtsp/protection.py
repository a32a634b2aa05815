"""SRTP of the sessions of one connection: keys offered, keys brought, keys exchanged (Streaming 8.2; RFC 4567). Sans-IO.

A description asked for with `?srtp` is one of RTP/SAVP with our key, which may name a suite (`?srtp=AEAD_AES_128_GCM`). A client
that brings a key with an MKI in SETUP wants media under its own key (as Genetec's does). One without an MKI is for what the client
itself sends (as GStreamer does), while media stays under ours; packets are then without an MKI, which that client does not know.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from weakref import WeakKeyDictionary, WeakValueDictionary

from onvifd.errors import BadInput
from onvifd.media.types import FlushUnit
from onvifd.rtsp import mikey
from onvifd.rtsp.messages import Request, RtspError
from onvifd.rtsp.mikey import CryptoSession, Message
from onvifd.rtsp.play import CountsRollovers, Outlet, Presentation
from onvifd.rtsp.srtp import KeyMaterial, Receiver, Sender, Suite

QUERY = "srtp"
PROFILE = "SAVP"
NONE = "NONE"
ALGORITHMS = (*(suite.value for suite in Suite), NONE)
"""As Streaming 8.1 names them."""
PARAMETERS = "text/parameters"
MAX_OFFERS = 16
"""Presentations whose keys one connection may hold."""
_NTP = 2_208_988_800


def failure(reason: str) -> RtspError:
    """RFC 4567 3.2: key management failure."""
    return RtspError(463, reason)


def fields_of(uri: str) -> list[str]:
    """The fields of a URL's query; clients may have put a track behind it."""
    return uri.partition("?")[2].split("/")[0].split("&")


def wanted_suite(uri: str) -> Suite | None:
    """The suite that the query of a description asks for; None without. Raises RtspError 463 for one that is not served."""
    for field in fields_of(uri):
        name, mark, value = field.partition("=")
        if name == QUERY:
            try:
                return Suite(value) if mark and value else Suite.AES_CM_128
            except ValueError:
                raise failure("crypto suite is not served") from None
    return None


@dataclass(slots=True)
class Secured:
    """One track of a session under SRTP."""

    sender: Sender
    receiver: Receiver | None = None
    group: bool = False
    """Whether the track goes to a group, all of whose listeners use one key."""


class KeyStore:
    """Keys of live media, which all clients of a URL share, so that each unit is encrypted once. A key is forgotten with the last
    connection that knows it. `utc` gives microseconds."""

    def __init__(self, utc: Callable[[], int]) -> None:
        self._utc = utc
        self._senders: WeakValueDictionary[tuple[str, int, Suite, int], Sender] = WeakValueDictionary()
        self._plain: WeakKeyDictionary[Sender, Sender] = WeakKeyDictionary()

    def sender(self, path: str, track: int, suite: Suite, ssrc: int, *, live: bool) -> Sender:
        """For replay each client has numbers of its own, and so a key of its own."""
        if not live:
            return Sender(KeyMaterial.fresh(suite), ssrc, once=True)
        name = (path, track, suite, ssrc)
        found = self._senders.get(name)
        if found is None:
            found = self._senders[name] = Sender(KeyMaterial.fresh(suite), ssrc, shared=True)
        return found

    def without_mki(self, sender: Sender) -> Sender:
        """What clients get that know no MKI, one for all of them."""
        found = self._plain.get(sender)
        if found is None:
            found = self._plain[sender] = sender.without_mki()
        return found

    def message(self, sender: Sender, rollover: int | None = None) -> bytes:
        """The key with the rollover counter as it is now (Streaming 8.2.1.3), by default that of what was sent last."""
        now = self._utc()
        ntp = (now // 1_000_000 + _NTP) << 32 | (now % 1_000_000 << 32) // 1_000_000
        session = CryptoSession(0, sender.ssrc, sender.rollover if rollover is None else rollover)
        return mikey.build(sender.material, secrets.randbits(32), session, ntp, secrets.token_bytes(16))


class Protection:
    """See module. One for each connection within TLS."""

    def __init__(self, keys: KeyStore) -> None:
        self._keys = keys
        self._offers: dict[str, dict[int, Sender]] = {}

    def describe(self, uri: str, path: str, presentation: Presentation, *, talk: bool = False) -> dict[int, str]:
        """The MIKEY message (base64) of each track, where the description is to be one of SRTP. `talk`: that of the back channel as
        well, whose key is for what the client sends."""
        suite = wanted_suite(uri)
        if suite is None:
            self._offers.pop(path, None)
            return {}
        groups = "multicast" in fields_of(uri)
        offer = {
            number: self._keys.sender(
                _name(path, presentation, number, groups), number, suite, track.ssrc or 0, live=not presentation.replay
            )
            for number, track in enumerate(presentation.tracks)
        }
        if talk:
            # not the one of whoever talked before: a sender may begin with the same numbers each time
            offer[len(presentation.tracks)] = self._keys.sender(path, len(presentation.tracks), suite, 0, live=False)
        while len(self._offers) >= MAX_OFFERS and path not in self._offers:
            self._offers.pop(next(iter(self._offers)))
        self._offers[path] = offer
        return {
            number: mikey.to_text(self._message(sender, presentation, number, groups=groups))
            for number, sender in offer.items()
        }

    def _message(self, sender: Sender, presentation: Presentation, track: int, *, groups: bool) -> bytes:
        """The key with the counter of what will be sent next: the stream's, for the sender may not have sent for long."""
        rollover = None
        if isinstance(presentation, CountsRollovers) and track < len(presentation.tracks):
            rollover = presentation.rollover(track)
            if groups:  # where parameter sets are put in, the numbers are further
                rollover = max(rollover, sender.rollover)
        return self._keys.message(sender, rollover)

    def set_up(self, request: Request, path: str, presentation: Presentation, track: int, *, group: bool) -> Secured:
        """What a SETUP with RTP/SAVP agrees on; `group` where it is for multicast. Raises RtspError 463."""
        offered = self._offers.get(path, {}).get(track)
        header = request.headers.get("KeyMgmt")
        ssrc = presentation.tracks[track].ssrc if track < len(presentation.tracks) else None
        if group:
            return self._join(path, presentation, track, header)
        if offered is not None and not offered.shared:
            # Each session of replay has numbers of its own: two under one key would use the same nonces.
            del self._offers[path][track]
        if header is None:
            live = not presentation.replay and track < len(presentation.tracks)
            sender = offered or self._keys.sender(path, track, Suite.AES_CM_128, ssrc or 0, live=live)
            # what it sends, reports above all, is then under the same key (RFC 3711 9.1 allows that to different SSRCs)
            return Secured(sender, Receiver(sender.material))
        try:
            material = mikey.from_header(header)[1].material(offered.material.suite if offered else Suite.AES_CM_128)
        except BadInput as error:
            raise failure(error.reason) from None
        if offered is not None and not material.mki:
            return Secured(self._keys.without_mki(offered), Receiver(material))
        return Secured(Sender(material, ssrc or 0), Receiver(material))

    def _join(self, path: str, presentation: Presentation, track: int, header: str | None) -> Secured:
        """The key of a group is ours; what a client brings may be for its own reports only."""
        name = _name(path, presentation, track, groups=True)
        ssrc = presentation.tracks[track].ssrc or 0
        offered = self._offers.get(path, {}).get(track)
        suite = Suite.AES_CM_128 if offered is None else offered.material.suite
        sender = self._keys.sender(name, track, suite, ssrc, live=not presentation.replay)
        sender.once = True  # a group that is sent to anew must not repeat numbers that were others'
        if header is None:
            return Secured(sender, None, True)
        try:
            material = mikey.from_header(header)[1].material(suite)
        except BadInput as error:
            raise failure(error.reason) from None
        if material.mki:
            raise failure("the key of a group is the device's")
        return Secured(sender, Receiver(material), True)

    def answer(
        self, request: Request, secured: Secured, presentation: Presentation, track: int
    ) -> list[tuple[str, str]]:
        """The header of a SETUP's answer that tells our key as it is now, unless the client brought it."""
        brought = request.headers.get("KeyMgmt")
        if brought is not None and not secured.sender.shared and secured.receiver is not None:
            return []
        message = self._message(secured.sender, presentation, track, groups=secured.group)
        return [("KeyMgmt", mikey.to_header(request.uri, message))]

    def change(self, secured: dict[int, Secured], message: Message, named: int | None) -> None:
        """New keys for media from now on (Streaming 8.2.1.2). `named` is the track of the URL. Raises RtspError 463."""
        for each in _meant(secured, message, named):
            try:
                material = message.material(each.sender.material.suite)
            except BadInput as error:
                raise failure(error.reason) from None
            if material.suite is not each.sender.material.suite:
                raise failure("the suite cannot be changed after SETUP")  # Streaming 8.2.1.1
            if each.group:
                each.sender.rekey(material)  # 8.2.1.3: the others learn it by the MKI, and ask
            elif each.sender.shared:
                each.sender = each.sender.fork(material)  # the key of one client is not for the others
            else:
                each.sender.rekey(material)
            if each.receiver is None:
                each.receiver = Receiver(material)
            else:
                each.receiver.add(material)

    def tell(self, secured: dict[int, Secured], named: int | None) -> bytes:
        """The body that tells the current key of a track. Raises RtspError 463 where there is none."""
        number = named if named is not None else min(secured, default=-1)
        if number not in secured:
            raise failure("there is no key")
        return f"mikey: {mikey.to_text(self._keys.message(secured[number].sender))}\r\n".encode()


def _name(path: str, presentation: Presentation, track: int, groups: bool) -> str:
    """What a key is for: a URL, or a group."""
    group = presentation.tracks[track].multicast if groups and track < len(presentation.tracks) else None
    return path if group is None else f"{group.address}:{group.port}"


def _meant(secured: dict[int, Secured], message: Message, named: int | None) -> list[Secured]:
    """The tracks that a new key is for: that of the URL, those whose SSRC it names, or all."""
    if named is not None:
        secured = {number: each for number, each in secured.items() if number == named}
    if not secured:
        raise failure("nothing is sent by SRTP")
    sources = {session.ssrc for session in message.sessions}
    return [each for each in secured.values() if each.sender.ssrc in sources] or list(secured.values())


def asks_for_key(body: bytes) -> bool:
    """Whether the body of GET_PARAMETER asks for the key."""
    return any(line.strip().lower() == b"mikey" for line in body.splitlines())


def opened(secured: Secured | None, rtcp: bool, data: bytes) -> bytes | None:
    """What a client sent for a track: as it is without SRTP, else opened; None if it is not the client's."""
    if secured is None:
        return data
    if secured.receiver is None:
        return None
    return secured.receiver.report(data) if rtcp else secured.receiver.packet(data)


class SecureOutlet:
    """Puts SRTP before a way out (rtsp.play.Outlet). `secured` is that of the session, and may change while it plays."""

    def __init__(self, outlet: Outlet, secured: dict[int, Secured]) -> None:
        self._outlet = outlet
        self._secured = secured

    def send(self, unit: FlushUnit) -> None:
        """See Outlet."""
        found = self._secured.get(unit.track)
        if found is not None:
            unit = found.sender.protect(unit)
            if not unit.starts:
                return
        self._outlet.send(unit)

    def expect(self, size: int) -> None:
        """See Outlet."""
        self._outlet.expect(size)

    @property
    def ready(self) -> bool:
        """See Outlet."""
        return self._outlet.ready

    async def drain(self) -> None:
        """See Outlet."""
        await self._outlet.drain()

    def end(self) -> None:
        """See Outlet."""
        self._outlet.end()


def group_senders(secured: Mapping[int, Secured]) -> dict[int, Sender]:
    """What protects the tracks that go to groups."""
    return {number: each.sender for number, each in secured.items() if each.group}


def protected(outlet: Outlet, secured: dict[int, Secured]) -> Outlet:
    return SecureOutlet(outlet, secured) if secured else outlet
