"""`onvifd camera set`: how streams are received."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest
from click.testing import Result

from onvifd.bodies.simulated_device import SimulatedDevice

Run = Callable[..., Result]
Beside = Callable[..., asyncio.Future[Result]]


@pytest.mark.covers("CAM-20", "CAM-21")
async def test_transport_trust_demand_and_quirks_are_set_and_shown(
    recorder: Run, camera: SimulatedDevice, beside: Beside
) -> None:
    base = f"rtsp://admin:camera-pass-1@127.0.0.1:{camera.rtsp_port}"
    added = await beside(recorder, "camera", "add", f"{base}/main", "--sub", f"{base}/sub", "--no-record")
    assert added.exit_code == 0, added.output
    (shown, other) = json.loads((await beside(recorder, "camera", "set", "1", "--json")).output)
    plain = {"tunnel_port": 0, "trust": "pin", "pin": "", "on_demand": False, "quirks": [], "transport": "auto"}
    plain |= {"digest": True}
    assert (shown, other) == ({"stream": "main", **plain}, {"stream": "sub", **plain})
    for transport in ("tcp", "udp", "multicast", "http", "https", "rtsps"):
        done = await beside(recorder, "camera", "set", "1", "--transport", transport, "--stream", "main", "--json")
        assert [each["transport"] for each in json.loads(done.output)] == [transport]
    pin = ":".join(["AB"] * 32)
    words = ("--pin", pin, "--on-demand", "--quirk", "no-options", "--quirk", "md5-only", "--stream", "sub", "--json")
    (sub,) = json.loads((await beside(recorder, "camera", "set", "1", *words)).output)
    assert sub["pin"] == "ab" * 32
    assert (sub["on_demand"], sub["quirks"], sub["transport"]) == (True, ["md5-only", "no-options"], "auto")
    (sub,) = json.loads(
        (
            await beside(recorder, "camera", "set", "1", "--stream", "sub", "--trust", "ca", "--no-quirks", "--json")
        ).output
    )
    assert (sub["trust"], sub["pin"], sub["quirks"]) == ("ca", "", [])
    assert "rtsps" in (await beside(recorder, "camera", "set", "1")).output


@pytest.mark.parametrize(
    "words",
    [
        ("--transport", "pigeon"),
        ("--tunnel-port", "70000"),
        ("--trust", "blindly"),
        ("--pin", "abc"),
        ("--quirk", "unheard-of"),
        ("--quirk", "line-feeds"),
        ("--stream", "third"),
    ],
)
async def test_nonsense_changes_nothing(
    recorder: Run, camera: SimulatedDevice, beside: Beside, words: tuple[str, ...]
) -> None:
    url = f"rtsp://admin:camera-pass-1@127.0.0.1:{camera.rtsp_port}/main"
    assert (await beside(recorder, "camera", "add", url)).exit_code == 0
    before = (await beside(recorder, "camera", "set", "1", "--json")).output
    refused = await beside(recorder, "camera", "set", "1", "--transport", "udp", *words)
    assert refused.exit_code == 1, refused.output
    assert (await beside(recorder, "camera", "set", "1", "--json")).output == before


async def test_quirks_are_listed(recorder: Run, beside: Beside) -> None:
    listed = json.loads((await beside(recorder, "camera", "quirks", "--json")).output)
    assert {"id": "md5-only", "switch": "camera"}.items() <= next(
        each for each in listed if each["id"] == "md5-only"
    ).items()
    assert all(each["source"] for each in listed)
