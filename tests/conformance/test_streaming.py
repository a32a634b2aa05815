"""The cases of both streaming specifications: all are there, and the recorder passes those that apply."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from conformance import runner
from tests.conformance.laboratory import Laboratory, laboratory

STREAMING, STREAMING2 = "Streaming", "Streaming using Media2"
COUNTS = {STREAMING: 136, STREAMING2: 104}
OPTIONS = ("--operation-delay", "20", "--case-timeout", "90", "--destructive")
PASSES = {STREAMING: 90, STREAMING2: 84}
"""The rest is about sound that the simulated camera does not have by default."""
SOUNDS = {"aac": ("AAC", 44), "g726": ("G.726", 23)}


def test_all_official_cases_are_there() -> None:
    found = Counter(each.document for each in runner.select(documents=list(COUNTS)))
    assert found == COUNTS
    assert all(
        each.id.startswith({STREAMING: "RTSS-", STREAMING2: "MEDIA2_RTSS-"}[each.document])
        for each in runner.select(documents=list(COUNTS))
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    with laboratory(tmp_path_factory.mktemp("streaming")) as made:
        made.start(host="::")
        yield made


@pytest.mark.e2e
@pytest.mark.timeout(600)
@pytest.mark.xdist_group("recorder")
@pytest.mark.parametrize(
    "document",
    [
        pytest.param(
            STREAMING,
            marks=pytest.mark.covers(
                *(
                    "S-RTSP",
                    "S-RTP-UDP",
                    "S-RTP-RTSP-HTTP-TCP",
                    "S-RTP-UDP-multicast",
                    "S-H264",
                    "S-JPEG",
                    "S-JPEG-extension",
                ),
                *("S-GetStreamUri", "S-StartMulticastStreaming", "S-StopMulticastStreaming"),
                *(
                    "S-media-SetSynchronizationPoint",
                    "S-SetVideoEncoderConfiguration",
                    "S-SetAudioEncoderConfiguration",
                ),
                *("S-GetGuaranteedNumberOfVideoEncoderInstances", "NET-37", "LIV-42"),
            ),
        ),
        pytest.param(
            STREAMING2,
            marks=pytest.mark.covers(
                *("T-RTSP", "T-RTP-UDP", "T-RTP-RTSP-HTTP-TCP", "T-RTP-RTSP-HTTPS-TCP", "T-RTP-RTSP-TCP-WebSocket"),
                *("T-RTP-UDP-multicast", "T-H264orH265", "T-MetadataStream", "T-Backchannel"),
                *("T-Backchannel-G711", "T-Backchannel-AAC", "T-G711orAAC"),
                *("T-media2-GetStreamUri", "T-media2-SetSynchronizationPoint", "T-media2-GetVideoEncoderInstances"),
                *("T-media2-SetVideoEncoderConfiguration", "T-media2-SetAudioEncoderConfiguration"),
                *("M-RTP-UDP", "M-RTP-RTSP-HTTP-TCP", "M-RTP-RTSP-HTTPS-TCP", "M-MetadataStream", "M-VideoStream"),
                *("M-media2-GetStreamUri", "M-media2-SetSynchronizationPoint", "NET-43"),
            ),
        ),
    ],
)
def test_no_case_fails(place: Laboratory, document: str) -> None:
    verdicts = examined(place, "--document", document)
    assert len(verdicts) == COUNTS[document]
    assert passed(verdicts) == PASSES[document], verdicts


@pytest.mark.e2e
@pytest.mark.timeout(300)
@pytest.mark.xdist_group("recorder")
@pytest.mark.parametrize("audio", SOUNDS)
def test_no_case_of_other_sound_fails(tmp_path_factory: pytest.TempPathFactory, audio: str) -> None:
    """The same with cameras that have other sound than those of the other tests: the cases that are about it."""
    name, count = SOUNDS[audio]
    chosen = [
        each.id
        for each in runner.select(documents=list(COUNTS))
        if any(one.endswith(f"/Audio/{name}") for one in each.requires)
    ]
    with laboratory(tmp_path_factory.mktemp(f"streaming-{audio}")) as made:
        made.start(host="::", audio=audio)
        verdicts = examined(made, *(word for each in chosen for word in ("--only", each)))
    assert passed(verdicts) == len(chosen) == count, verdicts


def examined(place: Laboratory, *arguments: str) -> dict[str, tuple[str, str]]:
    """Verdicts, and why, of cases of which none fails."""
    report = place.examine(*arguments, *OPTIONS, timeout=560)
    verdicts = {each["id"]: (each["verdict"], each["why"]) for each in report["cases"]}
    assert {each: why for each, (verdict, why) in verdicts.items() if verdict in ("FAIL", "NOT RUN")} == {}
    return verdicts


def passed(verdicts: dict[str, tuple[str, str]]) -> int:
    return sum(verdict == "PASS" for verdict, _ in verdicts.values())
