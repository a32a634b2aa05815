"""HTTPS of a device, and TLS handshakes with it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
import warnings
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import TracebackType
from urllib.parse import urlsplit

from conformance.cases.certificates import Identity, load_identity
from conformance.cases.security_common import assigned, read_capabilities, tas, unb64
from conformance.model import Examination, Failure
from conformance.names import boolean, findall, text

# ---- HTTPS and TLS ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Protocol:
    """HTTPS in GetNetworkProtocols."""

    enabled: bool
    port: int

    @property
    def request(self) -> str:
        return (
            f"<tds:NetworkProtocols><tt:Name>HTTPS</tt:Name><tt:Enabled>{str(self.enabled).lower()}</tt:Enabled>"
            f"<tt:Port>{self.port}</tt:Port></tds:NetworkProtocols>"
        )


async def https_protocol(x: Examination) -> Protocol:
    answer = await x.ask("tds", "<tds:GetNetworkProtocols/>")
    for each in findall(answer, "tds:NetworkProtocols"):
        if text(each, "tt:Name") == "HTTPS":
            port = text(each, "tt:Port")
            return Protocol(boolean(text(each, "tt:Enabled")), int(port) if port.isdigit() else 443)
    raise Failure("GetNetworkProtocols does not list HTTPS (Security Test 6.47)")


async def set_https(x: Examination, protocol: Protocol) -> None:
    await x.ask("tds", f"<tds:SetNetworkProtocols>{protocol.request}</tds:SetNetworkProtocols>")
    await asyncio.sleep(x.settings.operation_delay)


@dataclass(slots=True)
class WithoutHttps:
    """`async with WithoutHttps(x) as initial`: HTTPS is off, and there is room for an assignment (Security Test 6.47, 6.48)."""

    x: Examination
    initial: Protocol | None = None
    removed: str = ""

    async def __aenter__(self) -> Protocol:
        if urlsplit(self.x.settings.url).scheme == "https":
            self.x.skip("HTTP (this case turns HTTPS off, and the device is examined over HTTPS)")
        initial = await https_protocol(self.x)
        if initial.enabled:
            await set_https(self.x, Protocol(False, initial.port))
            self.initial = initial
        try:
            known = await read_capabilities(self.x)
            present = await assigned(self.x)
            if len(present) >= known.number("MaximumNumberOfTLSCertificationPaths", tls=True) and present:
                await tas(
                    self.x,
                    "RemoveServerCertificateAssignment",
                    f"<tas:CertificationPathID>{present[0]}</tas:CertificationPathID>",
                )
                await asyncio.sleep(self.x.settings.operation_delay)
                self.removed = present[0]
        except BaseException:
            await self._restore()
            raise
        return Protocol(False, initial.port or 443)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._restore()
        except Failure:
            if error is None:
                raise

    async def _restore(self) -> None:
        if self.removed:
            await tas(
                self.x,
                "AddServerCertificateAssignment",
                f"<tas:CertificationPathID>{self.removed}</tas:CertificationPathID>",
            )
            await asyncio.sleep(self.x.settings.operation_delay)
        if self.initial is not None:
            await set_https(self.x, self.initial)


@contextlib.asynccontextmanager
async def https(x: Examination, state: Protocol) -> AsyncIterator[int]:
    """HTTPS is on within the block, and as it was afterwards; gives the port."""
    port = state.port or 443
    if not state.enabled:
        # The specification says port 443; a device that has a port for HTTPS keeps it.
        await set_https(x, Protocol(True, port))
    try:
        yield port
    finally:
        if not state.enabled:
            await set_https(x, state)


VERSIONS = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}


def client_context(version: str | None = None, identity: Identity | None = None) -> ssl.SSLContext:
    """Accepts everything a device may offer: the examiner judges, it does not protect."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = VERSIONS[version] if version else ssl.TLSVersion.TLSv1
        if version:
            context.maximum_version = VERSIONS[version]
    if identity is not None:
        load_identity(context, identity)
    return context


async def handshake(x: Examination, port: int, *, version: str | None = None) -> tuple[bytes, str]:
    """The server's certificate in DER and the protocol version (Security Test 6.21). Raises OSError or ssl.SSLError."""
    host = urlsplit(x.settings.url).hostname or ""
    async with asyncio.timeout(x.settings.message_timeout):
        _, writer = await asyncio.open_connection(host, port, ssl=client_context(version))
        try:
            tls = writer.get_extra_info("ssl_object")
            der, used = tls.getpeercert(binary_form=True), tls.version()
        finally:
            writer.close()
    x.note(f"TLS handshake with {host}:{port}: {used}")
    return der or b"", used or ""


async def check_handshake(x: Examination, port: int, expected: bytes, *, strict: bool = False) -> None:
    """The port is open and a handshake succeeds; another certificate than expected is a failure only if `strict`."""
    deadline = time.monotonic() + max(x.settings.operation_delay, 2.0)
    while True:
        try:
            der, _ = await handshake(x, port)
            break
        except (OSError, TimeoutError) as error:
            if time.monotonic() > deadline:
                raise Failure(
                    f"no TLS handshake at port {port}: {error or type(error).__name__} (Security Test 6.21)"
                ) from None
            await asyncio.sleep(0.3)
    if der != expected:
        x.note("WARNING: the server presents another certificate than the one that was assigned")
        x.check(
            not strict, "the server presents another certificate than the one that was assigned (Security Test 5.3.2)"
        )


async def certificate_of(x: Examination, identity: str) -> bytes:
    answer = await tas(x, "GetCertificate", f"<tas:CertificateID>{identity}</tas:CertificateID>")
    return unb64(x, answer, "tas:Certificate/tas:CertificateContent")
