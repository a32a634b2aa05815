"""live555's file server as the benchmarks start it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from benchmarks.scale import Unable, space, within
from benchmarks.servers import LIVE555_FILES, live555_files
from onvifd.media import nal
from tests.e2e.harness import need
from tests.rtsp.sample import encoded


def test_it_finds_the_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under a name by which it knows what is in the file; it follows symbolic links before it looks at the name."""
    need(LIVE555_FILES)
    if os.geteuid():
        pytest.skip("network namespaces need root")
    clip = tmp_path / "clip.h264"
    clip.write_bytes(b"".join(nal.to_annexb(data) for _, data in encoded()[1]))
    monkeypatch.setattr("benchmarks.servers.elementary_stream", lambda: clip)
    try:
        with space() as name:
            for _ in range(2):
                with live555_files(name) as (server, url):
                    asked = [need("ffprobe"), "-v", "error", "-rtsp_transport", "tcp", "-show_entries"]
                    command = within(name, *asked, "stream=codec_name,width", "-of", "csv=p=0", url)
                    told = subprocess.run(command, capture_output=True, text=True, timeout=30)
                    assert told.stdout.split() == ["h264,320"], told.stderr
                    assert server.cpu() > 0
    except Unable as error:
        pytest.skip(str(error))
