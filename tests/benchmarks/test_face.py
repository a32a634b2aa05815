"""The peer of the face benchmark answers what we answer; otherwise the comparison would be worth nothing."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest
from lxml import etree

from benchmarks import face_server
from benchmarks.face_load import OPERATIONS, message
from onvifd.onvif.soap.codec import decode
from onvifd.onvif.types import tds, trt

pytestmark = pytest.mark.skipif(sys.version_info >= (3, 12), reason="stock spyne imports on Python 3.11 only")

ASKED = (
    ("GetDeviceInformation", tds.GetDeviceInformation(), tds.GetDeviceInformationResponse),
    ("GetProfiles", trt.GetProfiles(), trt.GetProfilesResponse),
)


@pytest.mark.filterwarnings("ignore")  # spyne is of 2022
@pytest.mark.parametrize(("operation", "request_", "response"), ASKED, ids=[each[0] for each in ASKED])
async def test_spyne_answers_the_same(operation: str, request_: Any, response: type) -> None:
    body = face_server.Body(3)
    path, namespace = OPERATIONS[operation]
    service = next(each for each in face_server.services(body) if each.path == path)
    ours = await face_server.answer(body, service, request_, response)
    peer = face_server.spyne_application({type(request_): ours}, namespace)
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
    assert status == ["200 OK"]
    assert decode(response, etree.fromstring(reply)[-1][0]) == ours
