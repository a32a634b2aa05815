"""The examiner can fail: every seeded defect is found by the case that is meant for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import pytest
from lxml import etree

from conformance import defects
from conformance.defects import model
from conformance.defects.__main__ import main
from conformance.defects.model import DEFECTS, Answer, Exchange, Stage
from conformance.defects.responder import read_probe, scope_matches
from conformance.discovery import probe_message
from conformance.model import REGISTRY
from conformance.runner import select
from conformance.soap import Http, envelope, read_reply
from tests.conformance.laboratory import EXAMINER, URL, Laboratory, laboratory
from tests.e2e.harness import PASSWORD, ROOT, USER

select()
defects.load()


def test_each_defect_names_a_case() -> None:
    select()
    assert len(DEFECTS) >= 320
    assert [each.name for each in DEFECTS.values() if each.case not in REGISTRY] == []
    documents = {REGISTRY[each.case].document for each in DEFECTS.values()}
    assert documents == {
        "Base",
        "Event",
        "Security",
        "AccessPolicy",
        "Core",
        "Recording",
        "Receiver",
        "Search",
        "Replay",
        "Streaming",
        "Streaming using Media2",
    }
    families = Counter(REGISTRY[each.case].document for each in DEFECTS.values())
    assert all(families[name] >= 20 for name in ("Recording", "Receiver", "Search", "Replay")), families


def test_defects_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in DEFECTS)
    assert main([]) == 2


ARCHIVE = ("Recording", "Receiver", "Search", "Replay")
"""Specifications whose defects are proved in `test_archive_defects`."""


def of_archive(name: str) -> bool:
    return REGISTRY[DEFECTS[name].case].document in ARCHIVE


STREAMS = ("Streaming", "Streaming using Media2")
"""Those whose defects are proved in `test_streaming_defects`."""


def of_streams(name: str) -> bool:
    return REGISTRY[DEFECTS[name].case].document in STREAMS


HERE = [name for name in DEFECTS if not of_archive(name) and not of_streams(name)]


@pytest.fixture(scope="module")
def proofs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, str]]]:
    """The defects tried in front of a recorder, on a network of its own."""
    with laboratory(tmp_path_factory.mktemp("defects")) as place:
        place.start()
        yield prove(place, HERE)


def prove(place: Laboratory, names: list[str]) -> dict[str, dict[str, str]]:
    file = place.folder / "proofs.json"
    command = [
        *("ip", "netns", "exec", place.spaces[1], sys.executable, "-m", "conformance.defects", URL, "--user", USER),
        *("--host", EXAMINER, "--discovery-port", "3799", "--prove", "--json", str(file)),
        *(word for name in names for word in ("--only", name)),
    ]
    environment = os.environ | {"CONFORMANCE_PASSWORD": PASSWORD}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=800)
    assert file.exists(), f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    assert PASSWORD not in done.stdout
    return {each["defect"]: each for each in json.loads(file.read_text("utf-8"))}


@pytest.mark.e2e
@pytest.mark.timeout(900)
@pytest.mark.xdist_group("recorder")
@pytest.mark.parametrize("name", HERE)
def test_defect_is_caught(proofs: dict[str, dict[str, str]], name: str) -> None:
    found = proofs[name]
    assert found["verdict"] == "CAUGHT", f"{found['case']}: {found['why']}"


# ---- parts --------------------------------------------------------------------------------------------


def _exchange(body: str, headers: str = "", *pairs: tuple[str, str]) -> Exchange:
    return Exchange("POST", "/onvif/device_service", pairs, envelope(body, headers))


def test_exchange_knows_operation_and_caller() -> None:
    exchange = _exchange("<tds:GetUsers/>", "", ("Authorization", 'Digest username="anna", nonce="x"'))
    assert (exchange.operation, exchange.user) == ("GetUsers", "anna")
    assert exchange.without_credentials().user == ""
    token = (
        "<wsse:Security><wsse:UsernameToken><wsse:Username>otto</wsse:Username></wsse:UsernameToken></wsse:Security>"
    )
    exchange = _exchange("<tds:GetUsers/>", token)
    assert exchange.user == "otto"
    assert exchange.without_credentials().user == ""
    assert Exchange("GET", "/", (), b"no XML").operation == ""


def test_faults_and_answers_of_our_own_are_soap() -> None:
    made = model.fault("env:Sender", "ter:InvalidArgVal", "ter:BadCertificate")
    reply = read_reply(Http(made.status, made.headers, made.content))
    assert reply.fault is not None
    assert reply.fault.matches("env:Sender", "ter:InvalidArgVal", "ter:BadCertificate")
    assert not model.succeed("<tds:SetScopesResponse/>").is_fault


async def _apply(name: str, exchange: Exchange, answer: str) -> Answer:
    async def forward(exchange: Exchange) -> Answer:
        return Answer(200, (), envelope(answer))

    apply = DEFECTS[name].apply
    assert apply is not None
    return await apply(exchange, Stage(forward, forward, lambda address, change: address))


async def test_a_defect_changes_one_thing() -> None:
    answer = "<tds:GetDeviceInformationResponse><tds:Model>m</tds:Model><tds:SerialNumber>1</tds:SerialNumber></tds:GetDeviceInformationResponse>"
    changed = (await _apply("no-serial-number", _exchange("<tds:GetDeviceInformation/>"), answer)).root
    (body,) = changed.iterfind("{*}Body/*")
    assert [etree.QName(each).localname for each in body] == ["Model"]


def test_probes_are_read_by_namespace_unless_the_defect_is_there() -> None:
    content, identity = probe_message("dn:NetworkVideoTransmitter", "onvif://www.onvif.org/name")
    probe = read_probe(content)
    assert probe is not None
    assert (probe.identity, probe.types) == (identity, ("dn:NetworkVideoTransmitter",))
    odd = content.replace(b"d:Probe", b"other:Probe").replace(b"xmlns:d=", b"xmlns:other=")
    odd = odd.replace(b"d:Types", b"other:Types").replace(b"d:Scopes", b"other:Scopes").replace(b"another:", b"other:")
    assert read_probe(odd, by_prefix=True) is None
    assert read_probe(b"no XML") is None


@pytest.mark.parametrize(
    ("asked", "own", "matches"),
    [
        ("onvif://www.onvif.org", "onvif://www.onvif.org/hardware/D1", True),
        ("ONVIF://WWW.ONVIF.ORG/hardware", "onvif://www.onvif.org/hardware/D1", True),
        ("onvif://www.onvif.org/hardware/D1", "onvif://www.onvif.org/hardware/D1-566", False),
        ("onvif://www.example.org/hardware", "onvif://www.onvif.org/hardware/D1", False),
    ],
)
def test_scopes_match_by_segments(asked: str, own: str, matches: bool) -> None:
    assert scope_matches(asked, own) is matches
