"""Footage that a VMS has copied out: files that play, with the sound that was recorded and none that was not."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import need
from tests.e2e.soap import NS, Device
from tests.e2e.test_recording_control import CONFIGURATION, create_job, delete, first_profile, job_state, until


@pytest.fixture
def recording(device: Device) -> Iterator[str]:
    token = device.text(f"<trc:CreateRecording>{CONFIGURATION}</trc:CreateRecording>", "trc:RecordingToken")
    yield token
    delete(device, token)


@pytest.fixture
def silent(device: Device, recording: str) -> Iterator[str]:
    """A profile with the pictures of the first camera and no sound."""
    full = device.call(
        "<tr2:GetProfiles><tr2:Type>VideoSource</tr2:Type><tr2:Type>VideoEncoder</tr2:Type></tr2:GetProfiles>"
    ).find(f"tr2:Profiles[@token='{first_profile(device, recording)}']/tr2:Configurations", NS)
    assert full is not None
    parts = "".join(
        f"<tr2:Configuration><tr2:Type>{kind}</tr2:Type><tr2:Token>{each.get('token')}</tr2:Token></tr2:Configuration>"
        for kind in ("VideoSource", "VideoEncoder")
        if (each := full.find(f"tr2:{kind}", NS)) is not None
    )
    token = device.text(f"<tr2:CreateProfile><tr2:Name>silent</tr2:Name>{parts}</tr2:CreateProfile>", "tr2:Token")
    yield token
    device.call(f"<tr2:DeleteProfile><tr2:Token>{token}</tr2:Token></tr2:DeleteProfile>")


def storage(device: Device) -> tuple[str, Path]:
    """A storage configuration and its folder."""
    found = device.call("<tds:GetStorageConfigurations/>").find("tds:StorageConfigurations", NS)
    assert found is not None
    return str(found.get("token")), Path(found.findtext("tds:Data/tds:LocalPath", "", NS))


def exported(device: Device, recording: str) -> list[Path]:
    """All footage of a recording as files, once they are whole."""
    span = device.span(recording)
    assert span
    token, folder = storage(device)
    answer = device.call(
        f"<trc:ExportRecordedData><trc:SearchScope><tt:IncludedRecordings>{recording}</tt:IncludedRecordings>"
        "</trc:SearchScope><trc:FileFormat>MP4</trc:FileFormat><trc:StorageDestination>"
        f"<tt:StorageToken>{token}</tt:StorageToken><tt:RelativePath>{recording}</tt:RelativePath>"
        "</trc:StorageDestination></trc:ExportRecordedData>"
    )
    operation = answer.findtext("trc:OperationToken", "", NS)
    state = (
        f"<trc:GetExportRecordedDataState><trc:OperationToken>{operation}</trc:OperationToken>"
        "</trc:GetExportRecordedDataState>"
    )
    until(lambda: float(device.text(state, "trc:Progress")) == 1.0, "the end of the export")
    return [folder / str(each.text) for each in answer.findall("trc:FileNames", NS)]


def kinds(path: Path) -> dict[str, int]:
    """Packets of each kind of track in a file."""
    done = subprocess.run(
        [need("ffprobe"), "-v", "error", "-count_packets", "-show_streams", "-of", "json", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, ""), path.name
    return {each["codec_type"]: int(each["nb_read_packets"]) for each in json.loads(done.stdout)["streams"]}


@pytest.mark.covers("P184")
@pytest.mark.parametrize("sound", [True, False])
def test_what_is_exported_has_sound_if_it_was_recorded(
    device: Device, recording: str, sound: bool, silent: str
) -> None:
    profile = first_profile(device, recording) if sound else silent
    job, _ = create_job(device, recording, profile, "Profile")
    until(lambda: job_state(device, job) == "Active", "the job")

    def enough() -> bool:
        span = device.span(recording)
        return span is not None and span[1] - span[0] > 2_000_000

    until(enough, "footage")
    # What is still being written is not exported: the job closes its file.
    device.call(f"<trc:DeleteRecordingJob><trc:JobToken>{job}</trc:JobToken></trc:DeleteRecordingJob>")
    found: list[Path] = []
    until(lambda: found.extend(exported(device, recording)) or found, "files")
    heard = [kinds(path) for path in found]
    assert all(each.get("video", 0) > 10 for each in heard)
    assert all((each.get("audio", 0) > 10) is sound for each in heard), heard
