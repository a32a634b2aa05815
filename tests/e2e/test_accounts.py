"""Accounts of a running recorder: made and changed by ONVIF, used by ffmpeg in other processes, locked and audited."""

from __future__ import annotations

import json
import os
import subprocess
from urllib.parse import quote

import pytest

from tests.e2e.conftest import device_of, wait_for
from tests.e2e.harness import Recorder, need, onvifd
from tests.e2e.soap import Device, post

FIRST, SECOND = "OnvifTest123", "OnvifTest321"


def user(password: str) -> str:
    return f"<tt:Username>OnvifTest1</tt:Username><tt:Password>{password}</tt:Password><tt:UserLevel>Operator</tt:UserLevel>"


def plays(url: str, password: str) -> bool:
    """Whether ffmpeg gets pictures with a password."""
    address = url.replace("rtsp://", f"rtsp://OnvifTest1:{quote(password)}@", 1)
    command = [
        need("ffmpeg"),
        "-v",
        "error",
        "-rtsp_transport",
        "tcp",
        "-i",
        address,
        "-frames:v",
        "1",
        "-f",
        "null",
        "-",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 or "401" in done.stderr, done.stderr
    return done.returncode == 0


def audit(recorder: Recorder, *options: str) -> list[dict[str, str]]:
    command = [onvifd(), "audit", "--json", "--data", str(recorder.data), *options]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ONVIFD_")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=environment)
    found: list[dict[str, str]] = json.loads(done.stdout)
    return found


@pytest.mark.covers("SEC-09", "SEC-25", "T-SetUser", "T-CreateUsers", "T-DeleteUsers", "T-RTSPDigest", "M-RTSPDigest")
def test_a_password_changes_while_workers_run_and_guessing_is_locked(own_recorder: Recorder) -> None:
    own_recorder.start()
    admin = device_of(own_recorder)
    admin.call(f"<tds:CreateUsers><tds:User>{user(FIRST)}</tds:User></tds:CreateUsers>")
    client = Device(admin.address, "OnvifTest1", FIRST)
    url = wait_for(
        lambda: next((client.stream_uri(token) for token in client.profiles()), None), seconds=30, what="profile"
    )
    wait_for(lambda: plays(url, FIRST) or None, seconds=30, what="picture")
    admin.call(f"<tds:SetUser><tds:User>{user(SECOND)}</tds:User></tds:SetUser>")
    assert plays(url, SECOND)
    # the password of yesterday is no guess, however often a client that was not told of it tries
    assert not any(plays(url, FIRST) for _ in range(6))
    assert plays(url, SECOND)
    assert not any(plays(url, "Wrong-password") for _ in range(5))
    assert not plays(url, SECOND)
    status, _ = post(admin.address, admin.envelope("<tds:GetScopes/>"))
    assert status == 400  # the address is locked for SOAP too, which has other processes to ask
    assert post(admin.address, admin.envelope("<tds:GetSystemDateAndTime/>"))[0] == 200
    found = wait_for(lambda: audit(own_recorder, "--kind", "locked") or None, seconds=10, what="entry")
    assert {entry["face"] for entry in found} == {"rtsp"}
    assert [entry["detail"] for entry in audit(own_recorder, "--kind", "account")] == ["OnvifTest1, Operator"] * 2


class Viewer:
    """ffmpeg playing until somebody ends it."""

    def __init__(self, url: str, password: str) -> None:
        address = url.replace("rtsp://", f"rtsp://OnvifTest1:{quote(password)}@", 1)
        command = [need("ffmpeg"), "-v", "error", "-rtsp_transport", "tcp", "-i", address, "-f", "null", "-"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self) -> Viewer:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait(10)


def listed(recorder: Recorder) -> int:
    """RTSP sessions of the account that began, by the audit log."""
    return sum(entry["account"] == "OnvifTest1" for entry in audit(recorder, "--kind", "session"))


@pytest.mark.covers("ACC-16")
def test_streams_end_with_the_password_and_with_the_account(own_recorder: Recorder) -> None:
    own_recorder.start()
    admin = device_of(own_recorder)
    admin.call(f"<tds:CreateUsers><tds:User>{user(FIRST)}</tds:User></tds:CreateUsers>")
    client = Device(admin.address, "OnvifTest1", FIRST)
    url = wait_for(
        lambda: next((client.stream_uri(token) for token in client.profiles()), None), seconds=30, what="profile"
    )
    wait_for(lambda: plays(url, FIRST) or None, seconds=30, what="picture")
    before = listed(own_recorder)
    with Viewer(url, FIRST) as viewer:
        wait_for(lambda: listed(own_recorder) > before or None, seconds=30, what="session")
        admin.call(f"<tds:SetUser><tds:User>{user(SECOND)}</tds:User></tds:SetUser>")
        viewer.process.wait(20)
    before = listed(own_recorder)
    with Viewer(url, SECOND) as viewer:
        wait_for(lambda: listed(own_recorder) > before or None, seconds=30, what="session")
        command = [onvifd(), "user", "remove", "OnvifTest1", "--yes", "--data", str(own_recorder.data)]
        subprocess.run(command, timeout=60, check=True, capture_output=True)
        viewer.process.wait(20)
    own_recorder.stop()
