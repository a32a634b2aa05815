"""The examiner's cases of searches in metadata, against a recorder that recorded events and where its camera looked."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from tests.local import ADMIN as USER
from tests.local import PASSWORD
from tests.personas.conftest import Wire

CASES = (
    *(f"SEARCH-5-1-{number}" for number in range(1, 7)),
    *(f"SEARCH-6-1-{number}" for number in range(7, 14)),
    *("SEARCH-7-1-1", "SEARCH-3-1-11", "SEARCH-3-1-13", "SEARCH-3-1-14", "SEARCH-2-1-14", "SEARCH-2-1-16"),
)
"""Those that need no waiting for a session to expire; the others do not ask what was recorded."""


async def record(wire: Wire, seconds: float) -> None:
    """Record the camera, whose metadata stream says where it looks."""
    recorder = wire.app.recorder
    tokens = [job.token for job in recorder.jobs() if job.fixed]
    for active, pause in ((True, seconds), (False, 0.0)):
        for token in tokens:
            await recorder.set_job_mode(token, active)
        await asyncio.sleep(pause)
    await asyncio.sleep(2.0)


@pytest.mark.covers(
    *(
        "G-FindEvents",
        "G-FindRecordings",
        "G-GetEventSearchResults",
        "G-GetMediaAttributes",
        "G-SearchFilter",
        "G-FindMetadata",
        "G-GetMetadataSearchResults",
        "G-FindPTZPosition",
        "G-GetPTZPositionSearchResults",
    )
)
async def test_cases_of_searches_pass(wire: Wire, tmp_path: Path) -> None:
    # Two sections, as the specification of the tests wants: the recording shall contain a gap.
    await record(wire, 6)
    await record(wire, 5)
    only = [part for case in CASES for part in ("--only", case)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "conformance", f"{wire.base}/onvif/device_service"),
        *("--user", USER, "--password", PASSWORD, "--report", str(tmp_path)),
        *("--metadata-filter", 'boolean(//SimpleItem[@Name="State"])'),
        *only,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(120):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    lines = output.decode().splitlines()
    verdicts = {line.split()[1]: line.split()[0] for line in lines if " SEARCH-" in line}
    assert verdicts == dict.fromkeys(CASES, "PASS"), output.decode()
    assert json.loads((tmp_path / "report.json").read_text())
