"""Snapshots by HTTP."""

from __future__ import annotations

import io
import time
import urllib.error
import urllib.request

import av
import pytest

from tests.e2e.pictures import apart, loop_time
from tests.e2e.soap import Device


@pytest.mark.covers("T-media2-GetSnapshotUri", "A032")
def test_snapshot_is_a_jpeg_of_the_present(device: Device) -> None:
    kind, data = device.download(device.snapshot_uri(device.profiles()[0]))
    now = time.time_ns() // 1000
    assert kind == "image/jpeg"
    assert data[:2] == b"\xff\xd8"
    with av.open(io.BytesIO(data), format="jpeg_pipe") as picture:
        frame = next(picture.decode(video=0))
    # The latest key frame is at most one group of pictures (2 s) old.
    assert apart(loop_time(frame.to_ndarray(format="gray")), now) < 4_000_000


@pytest.mark.covers("SEC-04")
def test_snapshot_needs_an_account(device: Device) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(device.snapshot_uri(device.profiles()[0]), timeout=20)
    with refused.value as reply:
        assert reply.code == 401
        assert "Digest" in reply.headers["WWW-Authenticate"]
