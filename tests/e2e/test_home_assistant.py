"""`onvif-zeep-async` as Home Assistant uses it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.harness import CLIENTS, Recorder, python_with, run_client


@pytest.mark.covers(
    *("A032", "S-GetNetworkInterfaces", "S-Renew", "S-Unsubscribe", "S-SetSynchronizationPoint", "S-PullMessages"),
    *("T-event-MotionAlarm", "T-CreatePullPointSubscription", "T-PullMessages", "T-Unsubscribe", "G-Renew"),
)
def test_sets_up_and_receives_motion(recorder: Recorder) -> None:
    python = python_with("onvif-zeep-async==4.3.0")
    answers: dict[str, Any] = run_client(
        [
            *(python, str(CLIENTS / "home_assistant.py"), recorder.host, str(recorder.http_port)),
            *(recorder.user, recorder.password),
        ]
    )
    assert answers["serial"]
    assert answers["year"] >= 2025
    assert answers["macs"]
    assert answers["snapshot_capability"] is True
    first = answers["profiles"][0]
    assert (first["encoding"], first["width"], first["height"]) == ("H264", 1920, 1080)
    assert answers["snapshot"][0] > 1000
    assert answers["snapshot"][1] == "ffd8"
    assert answers["stream"].startswith(f"rtsp://{recorder.host}:{recorder.rtsp_port}/")
    sources = {profile["source"] for profile in answers["profiles"]}
    assert answers["event"]["source"]["Source"] in sources
    assert answers["event"]["data"]["State"] in ("true", "false")
    assert answers["renewed"] is True
    assert answers["ended"] is True
    assert answers["lost"] == 0
