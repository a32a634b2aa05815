"""The npm package `onvif`, which UniFi Protect and many others embed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.harness import CLIENTS, Recorder, need, node_modules, run_client


@pytest.mark.covers(
    *("A032", "A033", "P274", "S-WS-UsernameToken", "S-GetDeviceInformation", "S-GetSystemDateAndTime", "S-GetScopes"),
    *("S-GetCapabilities", "S-GetUsers", "S-GetHostname", "S-GetProfiles", "S-GetVideoSources", "S-GetStreamUri"),
    *("S-CreatePullPointSubscription", "S-PullMessages", "G-GetServices", "G-GetRecordings", "G-GetRecordingJobs"),
    *("G-GetRecordingSummary", "G-GetReplayUri"),
)
def test_connects_gets_an_event_and_finds_recordings(recorder: Recorder, footage: str) -> None:
    folder = node_modules("onvif@0.8.3")
    answers: dict[str, Any] = run_client(
        [
            *(need("node"), str(CLIENTS / "npm_onvif.js"), recorder.host, str(recorder.http_port)),
            *(recorder.user, recorder.password),
        ],
        env={"NODE_PATH": str(folder / "node_modules")},
    )
    assert answers["information"]["serialNumber"]
    assert len(answers["sources"]) == recorder.cameras
    assert len(answers["profiles"]) >= 2 * recorder.cameras
    assert answers["stream"]["uri"].startswith(f"rtsp://{recorder.host}:{recorder.rtsp_port}/")
    assert answers["snapshot"]["uri"].startswith(f"http://{recorder.host}:{recorder.http_port}/")
    assert footage in answers["recordings"]
    assert len(answers["jobs"]) >= recorder.cameras
    assert int(answers["summary"]["numberRecordings"]) == len(answers["recordings"])
    assert answers["replay"].startswith(f"rtsp://{recorder.host}:{recorder.rtsp_port}/")
    assert answers["event"]["topic"].endswith("VideoSource/MotionAlarm")
