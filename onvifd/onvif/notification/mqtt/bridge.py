"""The connection to one event broker: one task that publishes what its outbox holds and comes back when it is lost."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable

import aiomqtt

from onvifd.clock import Clock
from onvifd.errors import OnvifdError
from onvifd.events.bus import EventBus
from onvifd.onvif.notification.mqtt.address import BrokerAddress
from onvifd.onvif.notification.mqtt.outbox import Outbox
from onvifd.onvif.types.tev import ConnectionStatus

log = logging.getLogger(__name__)

TIMEOUT = 10.0
"""Seconds for connecting, and for the broker's word that it has a message."""
KEEP_ALIVE = 30
"""Seconds after which a silent connection is tested (MQTT 3.1.1 3.1.2.10)."""
BACK_OFF = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds between attempts; the last value repeats."""
CLOSE_TIMEOUT = 3.0


class Bridge:
    """Publishes the events of `bus` that `outbox` selects. `context` gives the TLS context, anew for each attempt; it may block."""

    def __init__(
        self,
        address: BrokerAddress,
        outbox: Outbox,
        bus: EventBus,
        clock: Clock,
        *,
        identifier: str,
        user: str | None,
        password: str | None,
        qos: int,
        context: Callable[[], ssl.SSLContext],
    ) -> None:
        self.status = ConnectionStatus.OFFLINE
        self._address = address
        self._outbox = outbox
        self._bus = bus
        self._clock = clock
        self._identifier = identifier
        self._user = user
        self._password = password
        self._qos = qos
        self._context = context
        self._ready = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        outbox.on_ready = self._ready.set
        self._subscription = bus.subscribe(outbox.offer)

    def start(self) -> None:
        # A broker learns the present state of all properties once, when it becomes ours (Core 9.12.7.1: they are retained).
        self._outbox.resynchronize(self._bus.properties())
        self._task = asyncio.create_task(self._run(), name=f"broker {self._address.host}")

    async def close(self) -> None:
        """Say goodbye (DISCONNECT), for at most 3 s."""
        self._subscription.close()
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.wait({task}, timeout=CLOSE_TIMEOUT)
        if not task.done():
            log.warning("broker %s: the connection does not end", self._address.host)
        elif not task.cancelled() and (error := task.exception()) is not None:
            log.error("broker %s: its task had failed", self._address.host, exc_info=error)

    async def _run(self) -> None:
        attempt = 0
        while True:
            self.status = ConnectionStatus.CONNECTING
            try:
                await self._connected()
            except* (aiomqtt.MqttError, OSError, OnvifdError, ValueError) as failures:
                if self.status is ConnectionStatus.CONNECTED:
                    attempt = 0
                if attempt in (0, len(BACK_OFF)):
                    log.warning("broker %s:%d: %s", self._address.host, self._address.port, _reason(failures))
            self.status = ConnectionStatus.OFFLINE
            await self._clock.sleep(BACK_OFF[min(attempt, len(BACK_OFF) - 1)])
            attempt += 1

    async def _connected(self) -> None:
        """Connect and publish until something fails; always raises."""
        address = self._address
        client = aiomqtt.Client(
            address.host,
            address.port,
            username=self._user,
            password=self._password,
            identifier=self._identifier,
            transport="websockets" if address.websocket else "tcp",
            websocket_path=address.path if address.websocket else None,
            tls_context=await asyncio.to_thread(self._context) if address.tls else None,
            timeout=TIMEOUT,
            keepalive=KEEP_ALIVE,
        )
        try:
            async with client:
                self.status = ConnectionStatus.CONNECTED
                log.info("broker %s:%d: connected", address.host, address.port)
                async with asyncio.TaskGroup() as group:
                    group.create_task(_watch(client))
                    group.create_task(self._publish(client))
        finally:
            _settle(client)

    async def _publish(self, client: aiomqtt.Client) -> None:
        while True:
            message = self._outbox.next()
            if message is not None:
                await client.publish(
                    message.topic, message.payload, qos=self._qos, retain=message.retain, timeout=TIMEOUT
                )
                self._outbox.sent(message)
                # Up to Python 3.11 asyncio.wait_for swallows a cancellation that comes together with the acknowledgement.
                if (task := asyncio.current_task()) is not None and task.cancelling():
                    raise asyncio.CancelledError
            elif self._outbox.lost:
                self._outbox.resynchronize(self._bus.properties())
            else:
                self._ready.clear()
                await self._ready.wait()


async def _watch(client: aiomqtt.Client) -> None:
    """Raises MqttError when the connection is lost. Nothing is subscribed, so nothing comes."""
    async for _ in client.messages:
        pass


def _settle(client: aiomqtt.Client) -> None:
    """A refused connection leaves a future of the library unread, which asyncio would log as an error at every attempt."""
    future = getattr(client, "_disconnected", None)
    if isinstance(future, asyncio.Future) and future.done() and not future.cancelled():
        future.exception()


def _reason(failures: BaseExceptionGroup[BaseException]) -> str:
    """The first failure in words, without what a library may have put of the password into it."""
    first: BaseException = failures
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    if isinstance(first, OnvifdError):
        return first.reason
    return f"{type(first).__name__}: {' '.join(str(first).split())[:200]}"
