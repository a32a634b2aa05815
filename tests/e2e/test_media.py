"""Media profiles as foreign clients make them: zeep with the official WSDLs, and the npm package `onvif`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from lxml import etree

from tests.e2e.harness import CLIENTS, Recorder, need, node_modules, python_with, run_client
from tests.e2e.rtsp_client import RtspClient
from tests.e2e.soap import NS, Device


@pytest.fixture
def metadata_as_before(device: Device) -> Iterator[None]:
    """Other tests watch events in the metadata of fixed profiles; zeep leaves out elements without content, which turns them off."""
    found = list(device.call("<trt:GetMetadataConfigurations/>"))
    yield
    for each in found:
        each.tag = f"{{{NS['trt']}}}Configuration"
        device.call(
            f"<trt:SetMetadataConfiguration>{etree.tostring(each, encoding='unicode')}"
            "<trt:ForcePersistence>true</trt:ForcePersistence></trt:SetMetadataConfiguration>"
        )


@pytest.mark.covers(
    *("S-CreateProfile", "S-DeleteProfile", "S-AddVideoSourceConfiguration", "S-AddVideoEncoderConfiguration"),
    *("S-AddMetadataConfiguration", "S-SetVideoEncoderConfiguration", "S-SetMetadataConfiguration"),
    *("S-StartMulticastStreaming", "S-StopMulticastStreaming", "S-GetStreamUri", "T-media2-CreateProfile"),
    *("T-media2-AddConfiguration", "T-media2-RemoveConfiguration", "T-media2-DeleteProfile", "T-media2-GetStreamUri"),
)
@pytest.mark.usefixtures("metadata_as_before")
def test_zeep_makes_and_changes_profiles(recorder: Recorder) -> None:
    python = python_with("onvif-python==0.4.7")
    script = str(CLIENTS / "onvif_python_media.py")
    answers: dict[str, Any] = run_client(
        [python, script, recorder.host, str(recorder.http_port), recorder.user, recorder.password]
    )
    assert answers["encoder"] == ["Still", 2, "239.10.20.30", 45000, 3]
    assert answers["analytics"] is False
    assert answers["started"] == [True, False]
    assert answers["other"] == answers["expected"]
    assert [320, 240] in answers["sizes"]
    plain = f"rtsp://{recorder.host}:{recorder.rtsp_port}/live/"
    web = f"http://{recorder.host}:{recorder.http_port}/live/"
    for uris, starts in (
        (answers["addresses"], (plain, plain, web, plain)),
        (answers["protocols"], (plain, plain, plain, web)),
    ):
        assert all(uri.startswith(start) for uri, start in zip(uris, starts, strict=True))
    assert answers["made"] not in answers["left"]
    assert len(answers["left"]) == 3 * recorder.cameras


@pytest.mark.covers(
    "S-CreateProfile", "S-DeleteProfile", "S-AddVideoEncoderConfiguration", "T-media2-SetVideoEncoderConfiguration"
)
def test_npm_onvif_makes_a_profile(recorder: Recorder) -> None:
    folder = node_modules("onvif@0.8.3")
    script = str(CLIENTS / "npm_media.js")
    answers: dict[str, Any] = run_client(
        [need("node"), script, recorder.host, str(recorder.http_port), recorder.user, recorder.password],
        env={"NODE_PATH": str(folder / "node_modules")},
    )
    assert answers["after"] == [320, 240, 3]
    assert answers["stream"].endswith(f"/{answers['made']}")
    assert answers["made"] in answers["profiles"]
    assert answers["made"] not in answers["left"]


@pytest.mark.covers("S-DeleteProfile", "T-media2-DeleteProfile")
def test_who_watches_a_profile_that_is_deleted_is_ended(recorder: Recorder, device: Device) -> None:
    """Both by Media1 and Media2, with nothing else disturbed."""
    fixed = device.profiles()[0]
    found = device.call(f"<trt:GetProfile><trt:ProfileToken>{fixed}</trt:ProfileToken></trt:GetProfile>")
    source, encoder = (
        found.find(f"trt:Profile/tt:{name}", NS).get("token")  # type: ignore[union-attr]
        for name in ("VideoSourceConfiguration", "VideoEncoderConfiguration")
    )
    with RtspClient(device.stream_uri(fixed), recorder.user, recorder.password) as beside:
        beside.setup(beside.describe()[0])
        beside.demand("PLAY")
        for deletion in (
            "<trt:DeleteProfile><trt:ProfileToken>{}</trt:ProfileToken></trt:DeleteProfile>",
            "<tr2:DeleteProfile><tr2:Token>{}</tr2:Token></tr2:DeleteProfile>",
        ):
            made = device.call(
                "<tr2:CreateProfile><tr2:Name>gone soon</tr2:Name>"
                f"<tr2:Configuration><tr2:Type>VideoSource</tr2:Type><tr2:Token>{source}</tr2:Token></tr2:Configuration>"
                f"<tr2:Configuration><tr2:Type>VideoEncoder</tr2:Type><tr2:Token>{encoder}</tr2:Token></tr2:Configuration>"
                "</tr2:CreateProfile>"
            ).findtext("tr2:Token", "", NS)
            with RtspClient(device.stream_uri(made), recorder.user, recorder.password, timeout=20.0) as client:
                client.setup(client.describe()[0])
                client.demand("PLAY")
                assert next(client.packets())
                device.call(deletion.format(made))
                client.socket.settimeout(20)
                while client.socket.recv(1 << 16):
                    pass
            with RtspClient(client.url, recorder.user, recorder.password) as late:
                assert late.request("DESCRIBE").status == 404
        assert beside.request("GET_PARAMETER").status == 200
