"""The peer of the face benchmark answers what we answer; otherwise the comparison would be worth nothing."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from benchmarks import face_server
from benchmarks.face_load import OPERATIONS, message
from onvifd.onvif.soap.codec import decode
from onvifd.onvif.types import tds, trt

ROOT = Path(__file__).parents[2]

ASKED: dict[str, tuple[Any, type]] = {
    "GetDeviceInformation": (tds.GetDeviceInformation(), tds.GetDeviceInformationResponse),
    "GetProfiles": (trt.GetProfiles(), trt.GetProfilesResponse),
}


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="stock spyne imports on Python 3.11 only")
@pytest.mark.parametrize("operation", ASKED)
def test_spyne_answers_the_same(operation: str) -> None:
    # In a process of its own: spyne leaves import hooks behind that the import system of today warns of.
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.test_face", operation],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "the same\n"), done.stderr


async def compare(operation: str) -> None:
    request, response = ASKED[operation]
    body = face_server.Body(3)
    path, namespace = OPERATIONS[operation]
    service = next(each for each in face_server.services(body) if each.path == path)
    ours = await face_server.answer(body, service, request, response)
    peer = face_server.spyne_application({type(request): ours}, namespace)
    content = message(operation, account=False).partition(b"\r\n\r\n")[2]
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "CONTENT_TYPE": "application/soap+xml; charset=utf-8",
        "CONTENT_LENGTH": str(len(content)),
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(content),
    }
    status: list[str] = []
    reply = b"".join(peer(environ, lambda code, *_: status.append(code)))
    if status != ["200 OK"] or decode(response, etree.fromstring(reply)[-1][0]) != ours:
        sys.exit(f"{status} {reply!r}")
    print("the same")


if __name__ == "__main__":
    asyncio.run(compare(sys.argv[1]))
