from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from onvifd.cli import contract
from onvifd.onvif.soap.codec import encode_bytes
from onvifd.onvif.soap.dispatch import Service
from tests.onvif.soap import samples

COMMITTED = Path(__file__).resolve().parents[2] / "wsdl"
WSDL = "{http://schemas.xmlsoap.org/wsdl/}"
SOAP12 = "{http://schemas.xmlsoap.org/wsdl/soap12/}"
XS = "{http://www.w3.org/2001/XMLSchema}"


def services() -> list[Any]:
    return [pytest.param(service, id=contract.file_name(service)) for service in contract.served()]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The contract of the present types, written by spyne in a process of its own: it leaves import hooks behind."""
    folder = tmp_path_factory.mktemp("wsdl")
    command = [sys.executable, "-W", "ignore", "-m", "onvifd.cli.contract", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    if done.returncode == contract.NO_SPYNE:
        pytest.skip(done.stdout)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def clients() -> dict[str, Any]:
    return contract.load(COMMITTED)


@pytest.fixture(scope="module")
def schema() -> etree.XMLSchema:
    """All committed schemas in one."""
    wrapper = etree.Element(f"{XS}schema")
    for path in sorted(COMMITTED.glob("*.xsd")):
        namespace = etree.parse(path).getroot().get("targetNamespace")
        etree.SubElement(wrapper, f"{XS}import", namespace=namespace, schemaLocation=path.as_uri())
    return etree.XMLSchema(etree.fromstring(etree.tostring(wrapper)))


def test_committed_contract_is_that_of_the_types(fresh: Path) -> None:
    def files(folder: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".wsdl", ".xsd")}

    now, committed = files(fresh), files(COMMITTED)
    assert sorted(committed) == sorted(now), "run `make contract`"
    assert [name for name in now if committed[name] != now[name]] == [], "run `make contract`"


def test_old_files_are_removed(tmp_path: Path) -> None:
    (tmp_path / "old.wsdl").write_bytes(b"")
    contract.write(tmp_path, {"new.wsdl": b"x"})
    assert [path.name for path in tmp_path.iterdir()] == ["new.wsdl"]


@pytest.mark.parametrize("service", services())
def test_zeep_knows_every_operation(service: type[Service], clients: dict[str, Any]) -> None:
    (wsdl_service,) = clients[contract.file_name(service)].wsdl.services.values()
    (port,) = wsdl_service.ports.values()
    assert port.binding_options["address"] == "http://localhost" + service.path
    operations = port.binding._operations
    assert sorted(operations) == sorted(item.request.__name__ for item in service.operations())
    for item in service.operations():
        known = operations[item.request.__name__]
        assert known.soapaction.endswith(f"/{item.request.__name__}")
        assert known.input.body.qname == etree.QName(item.name)


@pytest.mark.parametrize("service", services())
def test_addresses_and_names_resolve(service: type[Service]) -> None:
    root = etree.parse(COMMITTED / contract.file_name(service)).getroot()
    assert root.get("targetNamespace") == service.namespace
    assert [node.get("location") for node in root.iter(f"{SOAP12}address")] == ["http://localhost" + service.path]
    for node in root.iter(etree.Element):
        for name in ("element", "message", "binding", "type"):
            value = node.get(name)
            if value is not None:
                assert value.partition(":")[0] in node.nsmap, value


@pytest.mark.parametrize("service", services())
@pytest.mark.parametrize("optional", [False, True], ids=["mandatory parts", "all parts"])
def test_messages_are_valid_in_our_own_schemas(service: type[Service], optional: bool, schema: etree.XMLSchema) -> None:
    for item in service.operations():
        for cls in (item.request, item.response):
            schema.assertValid(etree.fromstring(encode_bytes(samples.sample(cls, optional=optional))))


def test_tool_says_where_spyne_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_spyne(*_: object) -> None:
        raise ImportError("No module named 'spyne.util.six.moves'")

    monkeypatch.setattr(contract, "build", no_spyne)
    said: list[str] = []
    assert contract.main(say=said.append) == contract.NO_SPYNE
    assert "Python 3.11" in said[1]
