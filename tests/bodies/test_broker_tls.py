"""A real mosquitto that lets in who shows a certificate of its authority, and the recorder's keystore on the other side."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from onvifd.access.keyfile import SecretBox
from onvifd.bodies.broker_tls import BrokerTls
from onvifd.bodies.tls import Tls
from onvifd.clock import SystemClock
from onvifd.config import Config
from onvifd.errors import InvalidArgument, NotFound
from onvifd.events import topics
from onvifd.events.bus import EventBus
from onvifd.onvif.notification.mqtt import bridge
from onvifd.onvif.notification.mqtt.brokers import Broker, Brokers
from onvifd.onvif.types.tev import ConnectionStatus
from onvifd.pki.device import Host
from onvifd.store.catalogue import AsyncCatalogue, Catalogue
from tests.e2e.harness import free_ports
from tests.onvif.notification.mqtt.conftest import Mosquitto
from tests.pki.conftest import OpenSsl

BOX = SecretBox(b"k" * 32)


@dataclass
class Bench:
    """A broker of the test's own authority, and the recorder's parts that publish to it."""

    tls: Tls
    brokers: Brokers
    openssl: OpenSsl
    url: str
    log: Path

    async def upload(self, name: str, *, first_only: bool = False) -> str:
        """Take a certificate of openssl's with its key and what is above it into the keystore; gives its id."""
        data = self.openssl(
            *("pkcs12", "-export", "-inkey", f"{name}.key", "-in", f"{name}.pem", "-certfile", "above.pem"),
            *("-passout", "pass:x"),
        )
        path, _ = await self.tls.manager.change(
            self.tls.keystore.upload_pkcs12, data, name, None, first_only=first_only, passphrases=("x", "x")
        )
        return str(self.tls.manager.state.paths[path].certificates[0])

    def broker(self, certificate: str | None) -> Broker:
        return Broker(
            address=self.url,
            topic_prefix="nvr",
            user_name=None,
            certificate_id=certificate,
            policy_id=None,
            publish_filter="",
            qos=1,
        )

    async def until(self, status: ConnectionStatus) -> None:
        async with asyncio.timeout(20):
            while self.brokers.status(self.url) is not status:
                await asyncio.sleep(0.01)

    async def logged(self, text: str) -> None:
        async with asyncio.timeout(20):
            while text not in await asyncio.to_thread(self.log.read_text):
                await asyncio.sleep(0.02)


@pytest.fixture
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    if shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin") is None:
        pytest.skip("mosquitto is not installed")
    monkeypatch.setattr(bridge, "BACK_OFF", (0.05,))
    openssl = OpenSsl(tmp_path)
    openssl.root()
    openssl.issue("localhost", extensions="subjectAltName=DNS:localhost")
    openssl.issue("mid", extensions="basicConstraints=critical,CA:TRUE")
    openssl.issue("nvr", "mid")
    (tmp_path / "above.pem").write_bytes((tmp_path / "mid.pem").read_bytes())
    mosquitto = _mosquitto(tmp_path)
    await mosquitto.start()

    catalogue = AsyncCatalogue(Catalogue.open(f"sqlite:///{tmp_path / 'catalogue.sqlite3'}", migrate=True))
    clock = SystemClock()
    bus = EventBus(clock)
    await bus.start()
    data = tmp_path / "data"
    data.mkdir()
    names = Host("nvr", ("nvr", "localhost"))
    tls = Tls(catalogue, BOX, clock, bus, replace(Config(), data=data), enabled=lambda: False, names=lambda: names)
    await tls.start()
    trust = BrokerTls(lambda: tls, str(tmp_path / "ca.pem"))
    brokers = Brokers(catalogue, BOX, bus, clock, topics.RECORDER_TOPICS, trust, name="uuid", limit=2)
    yield Bench(tls, brokers, openssl, mosquitto.url("mqtts"), tmp_path / "log")
    await brokers.close()
    await tls.close()
    await bus.close()
    await catalogue.close()
    await mosquitto.stop()


def _mosquitto(folder: Path) -> Mosquitto:
    (port,) = free_ports(1)
    lines = (
        *("user root", "persistence false", f"log_dest file {folder / 'log'}", "log_type all"),
        *(f"listener {port} 127.0.0.1", f"certfile {folder / 'localhost.pem'}", f"keyfile {folder / 'localhost.key'}"),
        # Who comes is who the certificate says, and nobody else comes.
        *(f"cafile {folder / 'ca.pem'}", "require_certificate true", "use_identity_as_username true"),
    )
    (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")
    return Mosquitto(folder, {"mqtts": port}, folder / "ca.pem")


@pytest.mark.covers("SEC-15")
async def test_the_configured_certificate_is_shown_with_what_is_above_it(bench: Bench) -> None:
    certificate = await bench.upload("nvr")
    await bench.brokers.put(bench.broker(certificate), None)
    await bench.until(ConnectionStatus.CONNECTED)
    await bench.logged("u'nvr'")  # the broker's name for it is that of the certificate


async def test_without_a_certificate_the_broker_keeps_it_out_until_one_is_configured(bench: Bench) -> None:
    await bench.brokers.put(bench.broker(None), None)
    await bench.logged("peer did not return a certificate")
    assert bench.brokers.status(bench.url) is not ConnectionStatus.CONNECTED
    await bench.brokers.put(bench.broker(await bench.upload("nvr")), None)
    await bench.until(ConnectionStatus.CONNECTED)


async def test_what_cannot_be_shown_is_refused_and_nothing_kept(bench: Bench) -> None:
    with pytest.raises(NotFound) as unknown:
        await bench.brokers.put(bench.broker("certificate-0"), None)
    assert unknown.value.detail == "CertificateID"
    der = bench.openssl.der("mid")
    upload = bench.tls.keystore.upload_certificate
    certificate, _ = await bench.tls.manager.change(upload, der, None, None, False)
    with pytest.raises(InvalidArgument) as keyless:
        await bench.brokers.put(bench.broker(certificate), None)
    assert keyless.value.detail == "CertificateID"
    assert bench.brokers.all() == ()


async def test_the_key_is_in_no_file_that_others_could_use(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = await bench.upload("nvr")
    seen: list[bytes] = []
    load = ssl.SSLContext.load_cert_chain

    def watched(context: ssl.SSLContext, file: str, *more: Any, **rest: Any) -> None:
        seen.append(Path(file).read_bytes())
        load(context, file, *more, **rest)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", watched)
    await bench.brokers.put(bench.broker(certificate), None)
    await bench.until(ConnectionStatus.CONNECTED)
    assert seen
    assert all(b"BEGIN ENCRYPTED PRIVATE KEY" in content for content in seen)
    folder = bench.log.parent / "data"
    assert not [path for path in folder.rglob("*") if path.name.startswith(".tls-")]
