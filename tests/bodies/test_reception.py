"""How a stream is received: from the catalogue to the worker, and a certificate back into the catalogue."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from onvifd.access.keyfile import SecretBox
from onvifd.bodies.reception import Receptions
from onvifd.cameras.reception import changed
from onvifd.cameras.registry import Driver, NewCamera, Registry, Role, Stream
from onvifd.clock import SystemClock
from onvifd.errors import InvalidArgument, NotFound
from onvifd.rtsp.client_transport import Way
from onvifd.store.catalogue import AsyncCatalogue, Catalogue
from onvifd.store.receptions import ReceptionRow
from onvifd.workers.messages import CertificateSeen, DigestSeen
from onvifd.workers.specs import CameraSpec, StreamSpec, TalkSpec

PIN, OTHER = "ab" * 32, "cd" * 32


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    opened = Catalogue.open(f"sqlite:///{tmp_path}/c.db", migrate=True)
    yield opened
    opened.close()


@pytest.fixture
def camera(catalogue: Catalogue) -> str:
    registry = Registry(catalogue, SecretBox(secrets.token_bytes(32)), SystemClock())
    streams = tuple(Stream(role=role, uri=f"rtsps://192.0.2.1/{role}") for role in Role)
    return registry.add(NewCamera(name="a", driver=Driver.RTSP, address="rtsps://192.0.2.1/main", streams=streams)).id


def specs(camera: str) -> tuple[CameraSpec, ...]:
    streams = tuple(StreamSpec(name=role.value, url="rtsp://192.0.2.1/") for role in Role)
    return (CameraSpec(id=camera, channel=1, streams=streams),)


@pytest.mark.covers("CAM-20", "CAM-21")
async def test_what_is_set_reaches_the_worker(catalogue: Catalogue, camera: str) -> None:
    revision = catalogue.revision()
    catalogue.receptions.change(
        camera, "sub", lambda row: changed(row, transport="UDP", on_demand=True, quirks=("no-options",), pin=PIN)
    )
    assert catalogue.revision() > revision
    receptions = Receptions(AsyncCatalogue(catalogue))
    await receptions.read()
    ((main, sub),) = (each.streams for each in receptions.applied(specs(camera)))
    assert main == specs(camera)[0].streams[0]
    assert (sub.transport, sub.on_demand, sub.quirks, sub.trust, sub.pin) == ("udp", True, ("no-options",), "pin", PIN)


async def test_digest_is_remembered_for_all_streams_and_for_talk(catalogue: Catalogue, camera: str) -> None:
    receptions = Receptions(AsyncCatalogue(catalogue))
    await receptions.read()
    (known,) = specs(camera)
    talking = structs.replace(known, talk=TalkSpec(url="rtsp://192.0.2.1/"))
    assert receptions.applied((talking,)) == (talking,)
    receptions.heard(DigestSeen(camera=camera, stream="sub"))
    await receptions.close()
    change = {"transport": "rtsps", "pin": PIN, "quirks": ("no-options",)}
    catalogue.receptions.change(camera, "main", lambda row: changed(row, **change))  # type: ignore[arg-type]
    await receptions.read()
    (found,) = receptions.applied((talking,))
    assert [stream.digest for stream in found.streams] == [True, True]
    assert found.talk is not None
    assert (found.talk.transport, found.talk.pin, found.talk.digest) == ("rtsps", PIN, True)
    assert found.talk.quirks == ("no-options",)
    reach = receptions.reach(camera, "main")
    assert (reach.transport, reach.trust.pin, reach.digest) == (Way.RTSPS, PIN, True)


def test_a_new_camera_brings_how_it_was_reached(catalogue: Catalogue) -> None:
    registry = Registry(catalogue, SecretBox(secrets.token_bytes(32)), SystemClock())
    streams = (Stream(role=Role.MAIN, uri="rtsp://192.0.2.2/main"),)
    rows = (ReceptionRow(camera="", stream="main", transport="http", tunnel_port=8080, digest=True),)
    new = NewCamera(name="b", driver=Driver.RTSP, address=streams[0].uri, streams=streams, receptions=rows)
    added = registry.add(new)
    (row,) = catalogue.receptions.all()
    assert (row.camera, row.transport, row.tunnel_port, row.digest) == (added.id, "http", 8080, True)


async def test_the_first_certificate_is_remembered_and_no_later_one(
    catalogue: Catalogue, camera: str, caplog: pytest.LogCaptureFixture
) -> None:
    receptions = Receptions(AsyncCatalogue(catalogue))
    for pin in (PIN, OTHER):
        receptions.heard(CertificateSeen(camera=camera, stream="main", fingerprint=pin))
        await receptions.close()
    # One of a camera that is gone is nobody's.
    receptions.heard(CertificateSeen(camera="cam-00000000", stream="main", fingerprint=pin))
    receptions.heard(DigestSeen(camera="rcv-00000000", stream="main"))
    await receptions.close()
    assert not caplog.records
    assert [(row.stream, row.pin) for row in catalogue.receptions.all()] == [("main", PIN)]


def test_what_is_set_outlives_a_probe_and_ends_with_the_camera(catalogue: Catalogue, camera: str) -> None:
    registry = Registry(catalogue, SecretBox(secrets.token_bytes(32)), SystemClock())
    catalogue.receptions.change(camera, "main", lambda row: changed(row, transport="http", tunnel_port=8080))
    registry.learn(camera, "main", ())
    (row,) = catalogue.receptions.all()
    assert (row.transport, row.tunnel_port) == ("http", 8080)
    # What is as by default needs no row.
    catalogue.receptions.change(camera, "main", lambda row: changed(row, transport="auto", tunnel_port=0))
    assert catalogue.receptions.all() == ()
    catalogue.receptions.change(camera, "main", lambda row: changed(row, transport="tcp"))
    registry.remove(camera)
    assert catalogue.receptions.all() == ()


def test_nonsense_is_refused(catalogue: Catalogue, camera: str) -> None:
    row = ReceptionRow(camera=camera, stream="main")
    for wrong in ({"transport": "x"}, {"trust": "x"}, {"pin": "zz"}, {"tunnel_port": -1}, {"quirks": ("x",)}):
        with pytest.raises(InvalidArgument):
            changed(row, **wrong)  # type: ignore[arg-type]
    assert changed(ReceptionRow(camera=camera, stream="main", pin=PIN), trust="none").pin == ""
    with pytest.raises(NotFound):
        catalogue.receptions.change(camera, "third", lambda known: known)
