"""`WSDiscovery` finds the recorder and its cameras, on the loopback interface."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.harness import CLIENTS, Recorder, python_with, run_client

PROFILES = {"Streaming", "G", "T"}


@pytest.mark.covers("S-WS-Discovery", "G-WS-Discovery", "T-WS-Discovery", "NET-41", "INI-03")
def test_probe_finds_recorder_and_cameras(recorder: Recorder) -> None:
    python = python_with("wsdiscovery==2.1.2")
    found: dict[str, Any] = run_client([python, str(CLIENTS / "discover.py")], timeout=60)
    recorders, cameras = [], []
    for epr, service in found.items():
        assert epr.startswith("urn:uuid:")
        assert "{http://www.onvif.org/ver10/network/wsdl}NetworkVideoTransmitter" in service["types"]
        addresses = service["addresses"]
        assert all(address.startswith((f"http://{recorder.host}:", "https://")) for address in addresses)
        mine = any(f":{recorder.http_port}/" in address for address in addresses)
        (recorders if mine else cameras).append(service)
    assert len(recorders) == 1
    assert len(cameras) >= recorder.cameras
    offered = {scope.rpartition("/Profile/")[2] for scope in recorders[0]["scopes"] if "/Profile/" in scope}
    assert offered >= PROFILES
