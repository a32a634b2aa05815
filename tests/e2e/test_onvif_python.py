"""`onvif-python` with the official WSDLs: every served reading operation must decode in zeep's strict mode."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.harness import CLIENTS, Recorder, python_with, run_client


@pytest.mark.covers(
    *("A032", "G-FindRecordings", "G-GetRecordingSearchResults", "G-FindEvents", "G-GetEventSearchResults"),
    *("G-EndSearch", "G-SearchFilter", "G-GetRecordingInformation", "G-GetMediaAttributes", "G-GetReplayConfiguration"),
    *(
        "G-GetRecordingConfiguration",
        "G-GetTrackConfiguration",
        "G-GetRecordingJobState",
        "G-GetRecordingJobConfiguration",
    ),
    *("G-GetRecordingOptions", "G-recording-GetServiceCapabilities", "G-search-GetServiceCapabilities"),
    *("G-replay-GetServiceCapabilities", "G-event-GetServiceCapabilities", "G-device-GetServiceCapabilities"),
    *("T-media2-GetProfiles", "T-media2-GetVideoSourceConfigurations", "T-media2-GetVideoEncoderConfigurations"),
    *("T-media2-GetVideoEncoderConfigurationOptions", "T-media2-GetServiceCapabilities", "S-GetDNS"),
    *("S-GetNetworkProtocols", "S-GetNetworkDefaultGateway", "S-GetNTP", "S-GetEventProperties"),
)
def test_reads_everything_and_searches(recorder: Recorder, footage: str) -> None:
    python = python_with("onvif-python==0.4.7")
    answers: dict[str, Any] = run_client(
        [
            *(python, str(CLIENTS / "onvif_python.py"), recorder.host, str(recorder.http_port)),
            *(recorder.user, recorder.password),
        ]
    )
    assert answers["failed"] == {}
    assert footage in answers["recordings"]
    assert set(answers["found"]) == set(answers["recordings"])
    assert answers["replay"].startswith(f"rtsp://{recorder.host}:{recorder.rtsp_port}/")
    assert {"IsRecording", "IsDataPresent", "State"} <= set(answers["items"])
