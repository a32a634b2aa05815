"""`onvifd camera` against a running simulated camera."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable

import pytest
from click.testing import Result

from onvifd.bodies.simulated_device import SimulatedDevice

Run = Callable[..., Result]
Beside = Callable[..., asyncio.Future[Result]]
LOGIN = {"ONVIFD_CAMERA_PASSWORD": "camera-pass-1"}


@pytest.mark.covers(
    *("A003", "A009", "A010", "A013", "A014", "CAM-08", "CAM-16", "CAM-26", "CAM-37", "CAM-39", "P003", "P027", "P031"),
    *("P036", "P040"),
)
async def test_a_camera_is_added_listed_tested_and_removed(
    recorder: Run, camera: SimulatedDevice, beside: Beside
) -> None:
    added = await beside(recorder, "camera", "add", camera.device_url, "--user", "admin", "--name", "Hall", **LOGIN)
    assert added.exit_code == 0, added.output
    assert "as channel 1: Hall" in added.output
    assert "main: H.264 640x360 25 fps, PCMU 8 kHz" in added.output
    (listed,) = json.loads((await beside(recorder, "camera", "list", "--json")).output)
    assert (listed["name"], listed["channel"], listed["driver"], listed["record"]) == ("Hall", 1, "onvif", "auto")
    assert [stream["role"] for stream in listed["streams"]] == ["main"]
    table = (await beside(recorder, "camera", "list")).output
    assert listed["id"] in table
    assert camera.device_url in table
    for which in (listed["id"], "1", "Hall"):
        tested = await beside(recorder, "camera", "test", which)
        assert tested.exit_code == 0, tested.output
    assert "Simulated camera" in tested.output
    assert "talk: pcmu, pcma, g726, aac" in tested.output
    assert "events: yes" in tested.output
    assert "camera-pass-1" not in added.output + table + tested.output
    again = await beside(recorder, "camera", "add", camera.device_url, "--user", "admin", **LOGIN)
    assert again.exit_code == 1
    assert "already" in again.output
    removed = await beside(recorder, "camera", "remove", "Hall", "--yes")
    assert removed.exit_code == 0
    assert "no cameras" in (await beside(recorder, "camera", "list")).output


@pytest.mark.covers("CAM-20")
async def test_a_camera_that_answers_by_its_tunnel_alone(
    recorder: Run, camera: SimulatedDevice, beside: Beside
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        closed = probe.getsockname()[1]
    url = f"rtsp://admin:camera-pass-1@127.0.0.1:{closed}/main"
    port = ("--tunnel-port", str(camera.http_port))
    for words, reason in (((), "no connection"), (("--transport", "tcp", *port), "no connection")):
        refused = await beside(recorder, "camera", "add", url, *words, ONVIFD_CAMERAS_WAYS="tcp,http")
        assert refused.exit_code == 1
        assert reason in refused.output
    wrong = await beside(recorder, "camera", "add", url, "--transport", "pigeon")
    assert (wrong.exit_code, "transport is one of" in wrong.output) == (1, True)
    tested = await beside(recorder, "camera", "test", url, *port, "--json", ONVIFD_CAMERAS_WAYS="tcp,http")
    assert tested.exit_code == 0, tested.output
    assert [stream["transport"] for stream in json.loads(tested.output)["streams"]] == ["http"]
    added = await beside(recorder, "camera", "add", url, *port, "--name", "Gate", ONVIFD_CAMERAS_WAYS="tcp,http")
    assert added.exit_code == 0, added.output
    assert "PCMU 8 kHz, by http" in added.output
    (row,) = json.loads((await beside(recorder, "camera", "set", "Gate", "--json")).output)
    assert (row["transport"], row["tunnel_port"], row["digest"]) == ("http", camera.http_port, True)
    # It is asked as it is set: by the tunnel that was found, and not at all where that is set otherwise.
    assert (await beside(recorder, "camera", "test", "Gate")).exit_code == 0
    assert (await beside(recorder, "camera", "set", "Gate", "--transport", "auto")).exit_code == 0
    assert (await beside(recorder, "camera", "test", "Gate")).exit_code == 1


@pytest.mark.covers("A003", "P003")
async def test_a_plain_rtsp_camera(recorder: Run, camera: SimulatedDevice, beside: Beside) -> None:
    base = f"rtsp://admin:camera-pass-1@127.0.0.1:{camera.rtsp_port}"
    added = await beside(recorder, "camera", "add", f"{base}/main", "--sub", f"{base}/sub", "--no-record")
    assert added.exit_code == 0, added.output
    (listed,) = json.loads((await beside(recorder, "camera", "list", "--json")).output)
    assert (listed["driver"], listed["record"], len(listed["streams"])) == ("rtsp", "off", 2)
    assert "camera-pass-1" not in added.output + json.dumps(listed)


@pytest.mark.covers("A010", "A013", "CAM-42", "P031")
async def test_a_camera_can_be_tested_before_there_is_a_recorder(
    run: Run, camera: SimulatedDevice, beside: Beside
) -> None:
    result = await beside(run, "camera", "test", camera.device_url, "--user", "admin", "--json", **LOGIN)
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert (found["name"], found["driver"], found["events"]) == ("Camera 6", "onvif", True)
    assert found["streams"][0]["problem"] == ""


@pytest.mark.covers("A012", "CAM-42")
async def test_refusals(recorder: Run, camera: SimulatedDevice, beside: Beside) -> None:
    wrong = await beside(
        recorder, "camera", "add", camera.device_url, "--user", "admin", ONVIFD_CAMERA_PASSWORD="wrong"
    )
    assert wrong.exit_code == 1
    assert "refuses" in wrong.output
    nobody = await beside(recorder, "camera", "add", "127.0.0.1:9")
    assert nobody.exit_code == 1
    missing = await beside(recorder, "camera", "remove", "7", "--yes")
    assert missing.exit_code == 1
    assert "no camera 7" in missing.output
    unknown = await beside(recorder, "camera", "test", "7")
    assert unknown.exit_code == 1
    assert (await beside(recorder, "camera", "add", "127.0.0.1:9", "--user", "admin")).exit_code == 2


@pytest.mark.covers("A009", "CAM-01", "CAM-08", "P027")
async def test_search_finds_it(run: Run, camera: SimulatedDevice, beside: Beside) -> None:
    result = await beside(run, "camera", "search", "--host", "127.0.0.1", "--seconds", "1.5", "--json")
    assert result.exit_code == 0, result.output
    assert camera.device_url in [address for device in json.loads(result.output) for address in device["addresses"]]
    refused = await beside(run, "camera", "search", "--host", "192.0.2.1", "--seconds", "0.5")
    assert refused.exit_code == 1
