"""TLS of the recorder: its certificates, the context that listeners use, and trust for connections to others.

tls = Tls(catalogue, box, clock, config, enabled=...)
await tls.start()
context = await tls.https()      # for every listener; new connections follow every later change
tls.refusal(ssl_object)          # after a handshake: why the client is kept out
tls.outgoing(policy)             # for a client of ours (MQTT, cameras)
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from cryptography import x509

from onvifd.access.keyfile import SecretBox
from onvifd.bodies import host
from onvifd.bodies.premises import data_file
from onvifd.clock import Clock
from onvifd.config import Config
from onvifd.errors import OnvifdError, Unavailable
from onvifd.events.bus import EventBus
from onvifd.events.security_topics import key_status
from onvifd.pki import contexts, device
from onvifd.pki.contexts import CurrentContext, Server
from onvifd.pki.device import DeviceCertificates, Host
from onvifd.pki.keystore import Keystore
from onvifd.pki.manager import SecurityManager
from onvifd.pki.profiles import CA, SERVERS, Profile
from onvifd.store.catalogue import AsyncCatalogue, Catalogue
from onvifd.store.security import SecurityState

log = logging.getLogger(__name__)

CHECK_SECONDS = 300.0
"""How often the recorder's own certificates are looked at: their end, and the names of the host."""
MAX_NAMES = 32
"""Host names and addresses in a certificate."""


def profiles() -> dict[str, Profile]:
    """The certificate profiles by role. Blocks."""
    return {role: Profile.parse(data_file(f"certs/{role}.toml")) for role in (CA, *SERVERS)}


def host_names(bound: str) -> Host:
    """What certificates are made for, for a recorder that listens on `bound`. Blocks."""
    hostname = socket.gethostname()
    found = [hostname, "localhost", "127.0.0.1", "::1"]
    for interface in host.interfaces(bound):
        found += [address for address, _ in interface.ipv4]
        # Link-local addresses need a zone, which no certificate can have.
        found += [address for address, _ in interface.ipv6 if "%" not in address and not address.startswith("fe80")]
    return Host(hostname, tuple(dict.fromkeys(found))[:MAX_NAMES])


def certificates(catalogue: Catalogue, box: SecretBox, clock: Clock) -> tuple[Keystore, DeviceCertificates]:
    """The keystore and the recorder's own certificates in it, for whoever blocks anyway (the command line)."""
    keystore = Keystore(catalogue.security, box, clock)
    return keystore, DeviceCertificates(keystore, profiles())


class Tls:
    """One per recorder. `enabled` tells whether HTTPS is served now; `names` says what the host is called and reached at."""

    def __init__(
        self,
        catalogue: AsyncCatalogue,
        box: SecretBox,
        clock: Clock,
        bus: EventBus,
        config: Config,
        *,
        enabled: Callable[[], bool],
        names: Callable[[], Host] | None = None,
    ) -> None:
        self._bus = bus
        self._clock = clock
        self._folder: Path = config.data
        self._enabled = enabled
        self._names = names or (lambda: host_names(config.network.host))
        self.keystore = Keystore(catalogue.sync.security, box, clock)
        self.manager = SecurityManager(
            self.keystore, catalogue.run, clock, changed=self._key_changed, applied=self._apply
        )
        self.context = CurrentContext(ssl.PROTOCOL_TLS_SERVER)
        """For listeners: new connections get what is assigned now, others stay as they are."""
        self._server: Server | None = None
        self._made_of: tuple[object, ...] = ()
        self._task: asyncio.Task[None] | None = None

    # ---- life ----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Read the keystore and make the recorder's own certificates if they are missing or due."""
        self._own = DeviceCertificates(self.keystore, await asyncio.to_thread(profiles))
        await self.manager.start()
        await self._look(self._enabled())
        self._task = asyncio.create_task(self._watch(), name="certificates")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.manager.close()

    async def refresh(self) -> None:
        """Take over what the command line changed."""
        await self.manager.refresh()

    async def https(self) -> ssl.SSLContext:
        """The context of the HTTPS port; makes a certificate if none is assigned. Raises Unavailable."""
        if self._server is None:
            await self._look(True)
        if self._server is None:
            raise Unavailable("no usable certificate is assigned to the TLS server")
        return self.context

    async def _watch(self) -> None:
        while True:
            await self._clock.sleep(CHECK_SECONDS)
            await self._look(self._enabled())

    async def _look(self, enabled: bool) -> None:
        try:
            names = await asyncio.to_thread(self._names)
            await self.manager.change(self._own.ensure, names, enabled=enabled)
        except OnvifdError as error:
            log.error("the recorder's own certificates cannot be renewed: %s", error.reason)
        except Exception:
            # A defect must cost one look, not all that follow.
            log.exception("the recorder's own certificates cannot be renewed")

    # ---- what changed --------------------------------------------------------------------------

    def _key_changed(self, key: str, old: str | None, new: str) -> None:
        self._bus.publish(key_status(key, old, new, self._clock.utc()))

    async def _apply(self, state: SecurityState) -> None:
        """Exchange the context, unless what changed does not concern it."""
        made_of = (state.tls, state.paths, state.certificates, state.policies, state.crls)
        if made_of == self._made_of:
            return
        try:
            server = await asyncio.to_thread(contexts.build, state, self.keystore.private_key, self._folder)
        except (OnvifdError, OSError, ValueError) as error:
            log.error("the TLS server stays as it was: %s", error)
            return
        self._made_of = made_of
        self._server = server
        self.context.current = server.context if server is not None else None

    # ---- for others ----------------------------------------------------------------------------

    def refusal(self, connection: Any) -> str | None:
        """Why the client of an established connection is kept out; None if it is let in."""
        return None if self._server is None else self._server.refusal(connection)

    def user(self, connection: Any) -> str | None:
        """The account that the client's certificate stands for; None if certificates stand for none."""
        return None if self._server is None else self._server.user(connection)

    def authority(self) -> x509.Certificate | None:
        """The certificate that a VMS imports to trust what the recorder presents; None before it was made."""
        return device.authority(self.manager.state)

    def outgoing(
        self,
        policy: str | None = None,
        further: Iterable[x509.Certificate] = (),
        *,
        certificate: str | None = None,
    ) -> ssl.SSLContext:
        """The context for a connection to another party, which must have a certificate for the name it is reached at.

        Trusted are the anchors of the certification path validation policy with this id, or what the host trusts if None;
        and `further`. With `certificate`, the one with this id in the keystore is shown to a party that asks. Blocks.

        Raises NotFound (CertPathValidationPolicyID, CertificateID), InvalidArgument for a certificate without private key,
        Unavailable for one that the TLS library does not take.
        """
        state = self.manager.state
        context = contexts.outgoing(state, policy, further)
        if certificate is not None:
            path = contexts.client_path(state, certificate, self.keystore.private_key)
            try:
                contexts.present(context, path, self._folder)
            except (ssl.SSLError, OSError) as error:
                raise Unavailable(f"certificate {certificate} cannot be shown: {error}") from error
        return context
