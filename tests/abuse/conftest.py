from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.abuse.server import MEGABYTE, Server

ALLOWANCE = 48 * MEGABYTE
"""What the processes may have kept after an attack: allocators do not give everything back, and caches fill."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all, so that what an attack leaves behind is felt by the next test."""
    made = Server(tmp_path_factory.mktemp("abuse") / "data")
    made.start()
    made.device().call("<tds:GetDeviceInformation/>")
    yield made
    made.stop()


@pytest.fixture
def survives(server: Server) -> Iterator[None]:
    """After the test a client that behaves is answered within a second, memory and descriptors are back."""
    memory, descriptors = server.memory(), server.descriptors()
    yield
    assert server.answer_time() < 1.0
    deadline = time.monotonic() + 20
    while server.descriptors() > descriptors + 8 or server.memory() > memory + ALLOWANCE:
        assert time.monotonic() < deadline, (
            f"descriptors {descriptors} -> {server.descriptors()}, megabytes {memory >> 20} -> {server.memory() >> 20}"
        )
        time.sleep(0.2)
    assert "Traceback" not in server.log()
