"""The event brokers of a device: configured, remembered, connected (Core 9.12)."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lxml import etree

from onvifd.access.keyfile import SecretBox
from onvifd.clock import Clock
from onvifd.errors import InvalidArgument, LimitReached, NotFound, OnvifdError, Unavailable
from onvifd.events.bus import EventBus
from onvifd.events.topics import Topic
from onvifd.onvif.notification.filters import parse_filter
from onvifd.onvif.notification.mqtt.address import PORTS, parse_address
from onvifd.onvif.notification.mqtt.bridge import Bridge
from onvifd.onvif.notification.mqtt.outbox import Outbox
from onvifd.onvif.soap.codec import Element
from onvifd.onvif.soap.envelope import parse_xml
from onvifd.onvif.types.tev import ConnectionStatus
from onvifd.store.brokers import BrokerRow
from onvifd.store.catalogue import AsyncCatalogue

log = logging.getLogger(__name__)

MAX_BROKERS = 4
PROTOCOLS = tuple(PORTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """What a client may know of a configured broker. `publish_filter` is the text of `write_filter`, empty for none."""

    address: str
    topic_prefix: str
    user_name: str | None
    certificate_id: str | None
    policy_id: str | None
    publish_filter: str
    qos: int


class TlsContexts(Protocol):
    """Where the TLS contexts of outgoing connections come from (the security service, when it has keys and policies)."""

    def context(self, certificate_id: str | None, policy_id: str | None) -> ssl.SSLContext:
        """A client context that shows this certificate and judges the server by this policy. May block.

        Raises NotFound or InvalidArgument for ids that are not known or cannot be used.
        """
        ...


class SystemTrust:
    """Trusts the authorities of the system, and those of a PEM file."""

    def __init__(self, ca_file: Path | None = None) -> None:
        self._ca_file = ca_file

    def context(self, certificate_id: str | None = None, policy_id: str | None = None) -> ssl.SSLContext:
        """See TlsContexts."""
        if certificate_id is not None or policy_id is not None:
            raise InvalidArgument("There is no such certificate or validation policy.")
        try:
            made = ssl.create_default_context()
            if self._ca_file is not None:
                made.load_verify_locations(cafile=str(self._ca_file))
        except OSError as error:
            raise Unavailable(f"the authorities in {self._ca_file} cannot be read: {error.strerror}") from error
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        return made


def write_filter(elements: Sequence[Element]) -> str:
    """Filter elements as text, each with the namespaces that its expression needs."""
    root = etree.Element("filter")
    parts = "".join(etree.tostring(node, encoding="unicode", with_tail=False) for node in elements)
    return f"<{root.tag}>{parts}</{root.tag}>"


def read_filter(text: str) -> tuple[Element, ...]:
    """The elements again."""
    return tuple(parse_xml(text.encode()))


class Brokers:
    """Owns the connections. Call `load` once the bus runs, `close` at the end.

    `name` tells this device from others at a broker (its uuid).
    """

    protocols = PROTOCOLS

    def __init__(
        self,
        catalogue: AsyncCatalogue,
        box: SecretBox,
        bus: EventBus,
        clock: Clock,
        topics: Sequence[Topic],
        tls: TlsContexts,
        *,
        name: str,
        limit: int = MAX_BROKERS,
    ) -> None:
        self.limit = limit
        self._catalogue = catalogue
        self._box = box
        self._bus = bus
        self._clock = clock
        self._topics = {topic.name: topic for topic in topics}
        self._tls = tls
        self._name = name
        self._rows: dict[str, BrokerRow] = {}
        self._bridges: dict[str, Bridge] = {}
        self._changing = asyncio.Lock()

    async def load(self) -> None:
        """Connect to what was configured before."""
        for row in await self._catalogue.run(self._catalogue.sync.brokers.all):
            self._rows[row.address] = row
            try:
                self._connect(row)
            except OnvifdError as error:
                log.error("broker %s: %s", row.address, error.reason)

    async def close(self) -> None:
        bridges, self._bridges = self._bridges, {}
        await asyncio.gather(*(bridge.close() for bridge in bridges.values()))

    def all(self) -> tuple[Broker, ...]:
        """In order of creation."""
        return tuple(map(_broker, self._rows.values()))

    def get(self, address: str) -> Broker:
        """Raises NotFound (InvalidAddress)."""
        return _broker(self._known(address))

    def _known(self, address: str) -> BrokerRow:
        row = self._rows.get(address)
        if row is None:
            raise NotFound("There is no such event broker.", detail="InvalidAddress")
        return row

    def status(self, address: str) -> ConnectionStatus:
        bridge = self._bridges.get(address)
        return ConnectionStatus.OFFLINE if bridge is None else bridge.status

    async def put(self, broker: Broker, password: str | None) -> None:
        """Add a broker, or change the one of this address (Core 9.12.2).

        Without a password, the one that is known for this user name stays: it is never told, so clients cannot repeat it.
        Raises LimitReached (TooManyEventBrokers), InvalidArgument, Unavailable.
        """
        async with self._changing:
            known = self._rows.get(broker.address)
            if known is None and len(self._rows) >= self.limit:
                raise LimitReached(f"There are {self.limit} event brokers already.", detail="TooManyEventBrokers")
            if parse_address(broker.address, PROTOCOLS).tls:
                await asyncio.to_thread(self._tls.context, broker.certificate_id, broker.policy_id)
            elif broker.certificate_id or broker.policy_id:
                raise InvalidArgument("Certificates need mqtts or wss.")
            sealed = None if password is None else self._box.seal(password, _context(broker.address))
            if sealed is None and known is not None and broker.user_name and known.user_name == broker.user_name:
                sealed = known.password
            row = BrokerRow(
                address=broker.address,
                topic_prefix=broker.topic_prefix,
                user_name=broker.user_name,
                password=sealed,
                certificate_id=broker.certificate_id,
                policy_id=broker.policy_id,
                publish_filter=broker.publish_filter,
                qos=broker.qos,
                created=known.created if known is not None else self._clock.utc(),
            )
            await self._catalogue.run(self._catalogue.sync.brokers.put, row)
            self._rows[row.address] = row
            await self._disconnect(row.address)
            self._connect(row)

    async def remove(self, address: str) -> None:
        """Raises NotFound (InvalidAddress)."""
        async with self._changing:
            self._known(address)
            await self._catalogue.run(self._catalogue.sync.brokers.remove, address)
            del self._rows[address]
            await self._disconnect(address)

    async def _disconnect(self, address: str) -> None:
        bridge = self._bridges.pop(address, None)
        if bridge is not None:
            await bridge.close()

    def _connect(self, row: BrokerRow) -> None:
        filter_ = parse_filter(read_filter(row.publish_filter) if row.publish_filter else (), tuple(self._topics))
        # One name at a broker for each configuration: two connections of one name put each other out (MQTT 3.1.1 3.1.4).
        mark = hashlib.blake2b(f"{self._name} {row.address}".encode(), digest_size=8).hexdigest()
        bridge = Bridge(
            parse_address(row.address, PROTOCOLS),
            Outbox(row.topic_prefix, filter_, self._topics),
            self._bus,
            self._clock,
            identifier=f"onvifd{mark}",
            user=row.user_name,
            password=self._box.open(row.password, _context(row.address)) if row.password is not None else None,
            qos=row.qos,
            context=lambda: self._tls.context(row.certificate_id, row.policy_id),
        )
        self._bridges[row.address] = bridge
        bridge.start()


def _context(address: str) -> str:
    return f"broker:{address}"


def _broker(row: BrokerRow) -> Broker:
    return Broker(
        address=row.address,
        topic_prefix=row.topic_prefix,
        user_name=row.user_name,
        certificate_id=row.certificate_id,
        policy_id=row.policy_id,
        publish_filter=row.publish_filter,
        qos=row.qos,
    )
