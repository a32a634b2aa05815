"""The sample body behind the services and a dispatcher, driven with bytes."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from lxml import etree

from onvifd.access.types import Account, Credential, Level
from onvifd.clock import SimulatedClock
from onvifd.onvif.soap.codec import encode
from onvifd.onvif.soap.dispatch import Dispatcher, HttpReply, HttpRequest, Service
from onvifd.onvif.soap.namespaces import SOAP, TER
from onvifd.onvif.soap.wsse import security_header

PASSWORD = "secret"
S = f"{{{SOAP}}}"


@pytest.fixture(scope="session")
def sample() -> ModuleType:
    """The module `sample_body`."""
    name = "onvif_sample_body"
    if name not in sys.modules:
        path = Path(__file__).parents[1] / "sample_body.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture
def body(sample: ModuleType) -> Any:
    """A fresh sample device."""
    return sample.SampleBody()


def _credential(name: str) -> Credential | None:
    levels = {str(level).lower(): level for level in Level if level is not Level.ANONYMOUS}
    level = levels.get(name)
    return None if level is None else Credential(account=Account(name, level), ha1="", password=PASSWORD)


class Client:
    """Asks services as a client does, and judges the answers.

    Accounts are named like their level in lower case; `None` sends no credentials.
    """

    def __init__(self, services: Iterable[Service], assert_valid: Callable[[bytes], Any]) -> None:
        self.clock = SimulatedClock()
        self.dispatcher = Dispatcher(services, lookup=_credential, clock=self.clock)
        self.host = "192.0.2.10:8080"
        self.scheme = "http"
        self._assert_valid = assert_valid
        self._nonces = itertools.count()

    async def send(self, content: Any, account: str | None = "administrator") -> HttpReply:
        """The reply to a request, given as an object of its class or as XML."""
        envelope = etree.Element(f"{S}Envelope")
        header = etree.SubElement(envelope, f"{S}Header")
        if account is not None:
            nonce = next(self._nonces).to_bytes(16, "big")
            header.append(security_header(account, PASSWORD, nonce, self.clock.utc()))
        body = etree.SubElement(envelope, f"{S}Body")
        if isinstance(content, str):
            body.append(etree.fromstring(content))
        else:
            encode(content, parent=body)
        path = self.dispatcher.services[0].path
        return await self.dispatcher.handle(
            HttpRequest(
                method="POST",
                target=path,
                path=path,
                scheme=self.scheme,
                host=self.host,
                local_address="192.0.2.10",
                peer="192.0.2.99",
                authorization=None,
                body=etree.tostring(envelope),
            )
        )

    async def ask(self, content: Any, account: str | None = "administrator") -> etree._Element:
        """The content of the answer, which must be no fault and valid against the official schemas."""
        reply = await self.send(content, account)
        assert reply.status == 200, reply.body.decode()
        found: etree._Element = self._assert_valid(reply.body)
        return found

    async def fault(self, content: Any, account: str | None = "administrator") -> tuple[str, ...]:
        """Code and subcodes of the fault that answers, for example ("Sender", "InvalidArgVal", "NoProfile")."""
        reply = await self.send(content, account)
        root = etree.fromstring(reply.body)
        fault = root.find(f".//{S}Fault")
        assert fault is not None, reply.body.decode()
        names = []
        for value in fault.iter(f"{S}Value"):
            prefix, _, local = (value.text or "").partition(":")
            assert value.nsmap[prefix] == (SOAP if not names else TER)
            names.append(local)
        return tuple(names)


@pytest.fixture
def client(assert_valid: Callable[[bytes], Any]) -> Callable[..., Client]:
    """Makes a client of services: `client(service, ...)`."""
    return lambda *services: Client(services, assert_valid)


def _stage(name: str) -> ModuleType:
    """A module of stages beside this one."""
    known = f"onvif_{name}"
    if known not in sys.modules:
        spec = importlib.util.spec_from_file_location(known, Path(__file__).parent / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[known] = module
        spec.loader.exec_module(module)
    return sys.modules[known]


@pytest.fixture
async def media_stage(tmp_path: Path) -> AsyncIterator[Any]:
    """Makes stages of media control (module `media_stage`) that share one catalogue."""
    made: list[Any] = []

    async def make(**named: Any) -> Any:
        stage = _stage("media_stage").MediaStage(tmp_path, **named)
        made.append(stage)
        await stage.take_over()
        return stage

    yield make
    for stage in made:
        await stage.close()


@pytest.fixture
def recording_stage(tmp_path: Path) -> Iterable[Any]:
    """Makes stages of recording control (module `recording_stage`) that share one catalogue."""
    made: list[Any] = []

    def make(**named: Any) -> Any:
        made.append(_stage("recording_stage").RecordingStage(tmp_path, **named))
        return made[-1]

    yield make
    for stage in made:
        stage.close()
