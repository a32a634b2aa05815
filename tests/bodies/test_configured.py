"""What workers are told of the settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from onvifd.bodies.configured import setup_of
from onvifd.config import load


@pytest.mark.covers("NET-14")
def test_limits_of_sessions_reach_the_workers(tmp_path: Path) -> None:
    limits = {"rtsp_sessions": 7, "rtsp_sessions_per_user": 5, "rtsp_sessions_per_address": 3, "rtsp_bandwidth": 2.5}
    config = load({"data": tmp_path} | {f"limits.{name}": value for name, value in limits.items()}, environment={})
    setup = setup_of(config, (), 60)
    assert (setup.max_sessions, setup.max_sessions_per_account, setup.max_sessions_per_address) == (7, 5, 3)
    assert setup.max_bandwidth == 2_500_000
