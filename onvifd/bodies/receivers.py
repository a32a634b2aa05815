"""Receivers: RTSP sources outside the recorder that clients configure, and what is heard of them. Implements ReceiverBackend.

Credentials in an address are kept encrypted; what is shown, logged and sent in events is free of them.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from onvifd.access.keyfile import SecretBox
from onvifd.bodies.recording_plan import Feed
from onvifd.cameras.registry import redact, split_credentials
from onvifd.clock import Clock
from onvifd.errors import InvalidArgument, NotFound, OnvifdError
from onvifd.events import receiver_topics as topics
from onvifd.events.bus import EventBus
from onvifd.onvif.backend import Job, SourceKind
from onvifd.onvif.recording_backend import (
    Receiver,
    ReceiverLimits,
    ReceiverMode,
    ReceiverProtocol,
    ReceiverSettings,
    ReceiverState,
)
from onvifd.rtsp.client_transport import Way
from onvifd.store.catalogue import Catalogue
from onvifd.store.rows import ReceiverRow
from onvifd.workers.messages import CameraState
from onvifd.workers.specs import CameraSpec, RecordSpec, StreamSpec

log = logging.getLogger(__name__)

MAX_RECEIVERS = 32
MAX_URI = 1024
STREAM = "main"
"""A receiver has one stream."""
UNCONFIGURED = "no address is configured"

Change = Callable[..., Awaitable[Any]]


@dataclass(slots=True)
class _Known:
    row: ReceiverRow
    used: bool = False
    """An active job wants it."""
    state: ReceiverState = ReceiverState.NOT_CONNECTED
    reason: str = "not yet connected"

    @property
    def wanted(self) -> bool:
        """Whether it is to connect (Receiver 5.2)."""
        return self.row.mode == ReceiverMode.ALWAYS or (self.row.mode == ReceiverMode.AUTO and self.used)


class Receivers:
    """One per recorder. `change` changes the catalogue and has everybody take over; `told` is called with the token of a
    receiver that came up or was lost, and the time."""

    def __init__(
        self,
        catalogue: Catalogue,
        box: SecretBox,
        bus: EventBus,
        clock: Clock,
        *,
        change: Change,
        told: Callable[[str, int], None],
        limit: int = MAX_RECEIVERS,
    ) -> None:
        self._catalogue = catalogue
        self._box = box
        self._bus = bus
        self._clock = clock
        self._change = change
        self._told = told
        self._limits = ReceiverLimits(receivers=limit, uri=MAX_URI)
        self._known: dict[str, _Known] = {}

    # ---- what the service asks -----------------------------------------------------------------

    def limits(self) -> ReceiverLimits:
        return self._limits

    def receivers(self) -> tuple[Receiver, ...]:
        return tuple(_shown(each.row) for each in self._known.values())

    def _get(self, token: str) -> _Known:
        if token not in self._known:
            raise NotFound(f"There is no receiver {token}.", detail="UnknownToken")
        return self._known[token]

    def state(self, token: str) -> tuple[ReceiverState, bool]:
        known = self._get(token)
        return known.state, known.row.automatic

    async def create(self, settings: ReceiverSettings) -> Receiver:
        row = self._row(_new_token(), settings, created=self._clock.utc())
        await self._change(self._catalogue.receivers.create, row, limit=self._limits.receivers)
        log.info("receiver %s created: %s", row.token, row.uri)
        return _shown(row)

    async def delete(self, token: str) -> None:
        self._get(token)
        await self._change(self._catalogue.receivers.remove, token)
        log.info("receiver %s deleted", token)

    async def configure(self, token: str, settings: ReceiverSettings) -> None:
        known = self._get(token).row
        row = self._row(token, settings, created=known.created)
        if row.secret is None and row.uri == known.uri:
            # A client that writes back what it was shown does not take the credentials away.
            row = replace(row, secret=known.secret)
        await self._change(self._catalogue.receivers.replace, row)
        log.info("receiver %s configured: %s, %s", token, row.mode, row.uri)

    async def set_mode(self, token: str, mode: ReceiverMode) -> None:
        await self._change(self._catalogue.receivers.replace, replace(self._get(token).row, mode=mode.value))

    def automatic(self) -> ReceiverRow:
        """A receiver that a job brings: its fields are empty until a client configures it (RecordingControl 5.1)."""
        return ReceiverRow(
            token=_new_token(),
            mode=ReceiverMode.AUTO.value,
            protocol=ReceiverProtocol.UDP.value,
            automatic=True,
            created=self._clock.utc(),
        )

    def _row(self, token: str, settings: ReceiverSettings, *, created: int) -> ReceiverRow:
        """Raises InvalidArgument (BadConfiguration). An address that leads nowhere is no fault: its state tells."""
        if len(settings.uri.encode()) > MAX_URI or any(ord(one) < 32 for one in settings.uri):
            raise InvalidArgument(f"An address has at most {MAX_URI} octets.", detail="BadConfiguration")
        shown = redact(settings.uri)
        hidden = shown != settings.uri
        return ReceiverRow(
            token=token,
            mode=settings.mode.value,
            uri=shown,
            secret=self._box.seal(settings.uri, f"receiver:{token}") if hidden else None,
            protocol=settings.protocol.value,
            created=created,
        )

    # ---- what is in the catalogue --------------------------------------------------------------

    def take_over(self, rows: Iterable[ReceiverRow], jobs: Iterable[Job]) -> None:
        """Take over what the catalogue says. Receivers that active jobs name are in use."""
        used = {
            source.token for job in jobs if job.active for source in job.sources if source.kind is SourceKind.RECEIVER
        }
        before = self._known
        self._known = {}
        for row in rows:
            known = before.get(row.token) or _Known(row)
            moved = (known.row.uri, known.row.secret, known.row.protocol) != (row.uri, row.secret, row.protocol)
            was = row.token in before and known.wanted and not moved
            known.row = row
            known.used = row.token in used
            self._known[row.token] = known
            if not known.wanted:
                self._set(known, ReceiverState.NOT_CONNECTED, "it is not to connect")
            elif not was or moved:
                self._begin(known, moved)

    def _begin(self, known: _Known, moved: bool) -> None:
        """It is to connect now, if there is anything to connect to."""
        if known.state is ReceiverState.CONNECTED and not moved:
            return
        if self._address(known.row) is not None:
            self._set(known, ReceiverState.CONNECTING, "connecting")
        elif known.row.uri:
            self._set(known, ReceiverState.NOT_CONNECTED, "the address is no RTSP address")
            self._bus.publish(topics.connection_failed(known.row.token, known.row.uri, self._clock.utc()))
        else:
            self._set(known, ReceiverState.NOT_CONNECTED, UNCONFIGURED)

    def _set(self, known: _Known, state: ReceiverState, reason: str, utc: int | None = None) -> None:
        known.reason = reason
        if known.state is state:
            return
        known.state = state
        now = self._clock.utc() if utc is None else utc
        self._bus.publish(topics.change_state(known.row.token, state.value, known.row.uri, now))

    def _address(self, row: ReceiverRow) -> tuple[str, str, str] | None:
        """URL, user and password; None if nothing can be reached by it."""
        try:
            whole = self._box.open(row.secret, f"receiver:{row.token}") if row.secret is not None else row.uri
            clean, login = split_credentials(whole)
        except OnvifdError as error:
            if row.uri:
                log.error("receiver %s cannot be used: %s", row.token, error.reason)
            return None
        if urlsplit(clean).scheme not in ("rtsp", "rtsps"):
            return None
        return clean, login.user if login else "", login.password if login else ""

    # ---- what workers are told, and tell -------------------------------------------------------

    def feeds(self) -> Mapping[str, Feed]:
        """What is behind each receiver, as a source of jobs."""
        found = {}
        for token, known in self._known.items():
            reachable = known.wanted and bool(known.row.uri)
            found[token] = Feed(
                camera=token if reachable or known.row.mode == ReceiverMode.AUTO else "",
                stream=STREAM,
                online=known.state is ReceiverState.CONNECTED,
                expected=reachable and known.state is not ReceiverState.CONNECTING,
                reason=known.reason,
            )
        return found

    def specs(self, recordings: Mapping[tuple[str, str], tuple[RecordSpec, ...]]) -> tuple[CameraSpec, ...]:
        """Those that are to connect, as workers know them."""
        found = []
        for token, known in self._known.items():
            address = self._address(known.row) if known.wanted else None
            if address is not None:
                stream = StreamSpec(
                    name=STREAM,
                    url=address[0],
                    user=address[1],
                    password=address[2],
                    recordings=recordings.get((token, STREAM), ()),
                    transport=_transport(known.row, address[0]),
                )
                found.append(CameraSpec(id=token, channel=0, streams=(stream,)))
        return tuple(found)

    def heard(self, state: CameraState) -> bool:
        """A worker tells of a stream. False if it is none of a receiver."""
        known = self._known.get(state.camera)
        if known is None:
            return False
        if not known.wanted:
            return True
        if state.online:
            self._set(known, ReceiverState.CONNECTED, "", state.utc)
        else:
            was, known.reason = known.state, state.reason
            self._set(known, ReceiverState.NOT_CONNECTED, state.reason, state.utc)
            if was is ReceiverState.CONNECTING:
                self._bus.publish(topics.connection_failed(known.row.token, known.row.uri, state.utc))
        self._told(state.camera, state.utc)
        return True

    def interrupted(self, tokens: frozenset[str], utc: int) -> None:
        """The worker of these died; it connects anew when it is back."""
        for token in tokens & self._known.keys():
            self._set(self._known[token], ReceiverState.CONNECTING, "the media worker is restarting", utc)
            self._told(token, utc)


def _transport(row: ReceiverRow, address: str) -> str:
    """How RTP comes: as the stream set-up says (Receiver 5.1), and within TLS where the address does."""
    if address.startswith("rtsps:"):
        return Way.RTSPS
    if row.protocol == ReceiverProtocol.GROUP:
        return Way.MULTICAST
    return Way.UDP if row.protocol == ReceiverProtocol.UDP else Way.AUTO


def _new_token() -> str:
    return f"rcv-{secrets.token_hex(4)}"


def _shown(row: ReceiverRow) -> Receiver:
    return Receiver(token=row.token, mode=ReceiverMode(row.mode), uri=row.uri, protocol=ReceiverProtocol(row.protocol))
