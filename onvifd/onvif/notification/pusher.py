"""Sends the messages of pushed subscriptions: one task for each, with retries; names of consumers are looked up here."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
from yarl import URL

from onvifd.clock import Clock
from onvifd.events.types import Event
from onvifd.onvif.notification.callback import Network, Target, choose, literal, refused
from onvifd.onvif.notification.push import PushSubscription, write_notify
from onvifd.onvif.soap import envelope

log = logging.getLogger(__name__)

BATCH = 64
"""Messages of one Notify."""
SEND_TIMEOUT = 5.0
"""Seconds that a consumer may take for a Notify, connecting included."""
BACK_OFF = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds between attempts; the last value repeats until the subscription ends."""
HEAD_START = 0.25
"""Seconds before the first Notify: the answer to Subscribe must be with the client first (test tools take the reverse for an error)."""
LOOKUP_TIMEOUT = 3.0
MAX_LOOKUPS = 8
"""Names that are looked up at once."""

Resynchronize = Callable[[PushSubscription], None]


class Pusher:
    """Owns the tasks and the connections; `close` ends them."""

    def __init__(self, clock: Clock, networks: Sequence[Network] = (), *, tls: ssl.SSLContext | None = None) -> None:
        self._clock = clock
        self._networks = tuple(networks)
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._names = ThreadPoolExecutor(2, thread_name_prefix="consumer names")
        self._lookups = 0

    async def resolve(self, target: Target, *, peer: str, own: Sequence[str]) -> str:
        """The one IP address that a consumer's address means, checked. Raises NotificationFault."""
        given = literal(target.host)
        found = (given,) if given is not None else await self._look_up(target.host, target.port)
        return choose(found, peer=peer, own=own, networks=self._networks)

    async def _look_up(self, host: str, port: int) -> tuple[str, ...]:
        if self._lookups >= MAX_LOOKUPS:
            raise refused("too many names are being looked up")
        future = asyncio.get_running_loop().run_in_executor(
            self._names, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        self._lookups += 1
        future.add_done_callback(self._looked_up)
        try:
            async with asyncio.timeout(LOOKUP_TIMEOUT):
                found = await asyncio.shield(future)
        except (TimeoutError, OSError, UnicodeError):
            raise refused("its name is not known") from None
        return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))

    def _looked_up(self, future: asyncio.Future[Any]) -> None:
        self._lookups -= 1
        if not future.cancelled():
            future.exception()  # who gave up does not ask for the outcome any more

    def start(self, subscription: PushSubscription, resynchronize: Resynchronize) -> None:
        """Push what the subscription collects until it is closed. `resynchronize` queues the states again."""
        task = asyncio.create_task(self._run(subscription, resynchronize), name=f"notify {subscription.id}")
        self._tasks[subscription.id] = task
        task.add_done_callback(lambda done: self._ended(subscription.id, done))

    def _ended(self, id_: str, task: asyncio.Task[None]) -> None:
        self._tasks.pop(id_, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("subscription %s is not served any more", id_, exc_info=error)

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
        self._names.shutdown(wait=False, cancel_futures=True)

    async def _run(self, subscription: PushSubscription, resynchronize: Resynchronize) -> None:
        ready = asyncio.Event()
        subscription.on_ready = ready.set
        await self._clock.sleep(HEAD_START)
        while not subscription.closed:
            batch = subscription.take(BATCH)
            if batch:
                await self._deliver(subscription, batch)
                continue
            if subscription.lost:
                subscription.lost = False
                resynchronize(subscription)
                continue
            ready.clear()
            await ready.wait()

    async def _deliver(self, subscription: PushSubscription, batch: Sequence[Event]) -> None:
        """Send until it is taken, or the subscription ends."""
        body = write_notify(subscription, batch)
        attempt = 0
        while not subscription.closed:
            reason = await self._send(subscription, body)
            if not reason:
                if attempt:
                    log.info("subscription %s: its consumer takes messages again", subscription.id)
                return
            if attempt == 0:
                log.warning(
                    "subscription %s: %s does not take messages: %s", subscription.id, _safe(subscription), reason
                )
            await self._clock.sleep(BACK_OFF[min(attempt, len(BACK_OFF) - 1)])
            attempt += 1

    async def _send(self, subscription: PushSubscription, body: bytes) -> str:
        """One attempt; gives why it failed, empty if it did not."""
        consumer = subscription.consumer
        # To the address that was checked, under the name that the consumer knows itself by.
        url = URL(consumer.url, encoded=True).with_host(consumer.address)
        headers = {"Content-Type": envelope.CONTENT_TYPE, "Host": URL(consumer.url, encoded=True).raw_authority}
        try:
            async with asyncio.timeout(SEND_TIMEOUT):
                async with self._http().post(
                    url,
                    data=body,
                    headers=headers,
                    allow_redirects=False,
                    server_hostname=consumer.host if consumer.tls else None,
                ) as reply:
                    return "" if 200 <= reply.status < 300 else f"HTTP {reply.status}"
        except TimeoutError:
            return f"no answer within {SEND_TIMEOUT:g} s"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return type(error).__name__

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            # No connection outlives its request: one that was checked for a consumer serves no other.
            connector = aiohttp.TCPConnector(limit=0, force_close=True, ssl=self._tls or True)
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        return self._session


def _safe(subscription: PushSubscription) -> str:
    """The consumer without what may be secret in its path."""
    return f"{subscription.consumer.host}:{subscription.consumer.port}"
