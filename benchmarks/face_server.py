"""ONVIF faces to ask: `python -m benchmarks.face_server ours|spyne PORT CHANNELS` serves GetDeviceInformation and GetProfiles.

Ours is the HTTP face as `onvifd run` has it, accounts included. The peer is stock spyne with the same types (declared to it as
for the contract) and the same answers, made beforehand; it checks no account. Both sit behind the same web server, so
that the SOAP layers alone are compared.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import signal
from collections.abc import Callable
from typing import Any

from aiohttp import web
from lxml import etree

from benchmarks.servers import PASSWORD, USER
from onvifd.access.digest import make_ha1
from onvifd.access.types import Account, Credential, Level
from onvifd.bodies.channel import Channel, ChannelStream, media_model
from onvifd.bodies.face import HttpFace
from onvifd.clock import SystemClock
from onvifd.media.types import Codec, TrackFormat
from onvifd.onvif.backend import MediaModel
from onvifd.onvif.services.common import MEDIA_PATH, ServiceRegistry
from onvifd.onvif.services.device import DeviceService
from onvifd.onvif.services.media import MediaService
from onvifd.onvif.soap.codec import decode, encode, plan_of, tag_of
from onvifd.onvif.soap.dispatch import Dispatcher, HttpRequest, Service
from onvifd.onvif.types import tds, trt
from tests.onvif.sample_body import SampleBody

REALM = "benchmark"
CREDENTIAL = Credential(Account(USER, Level.ADMINISTRATOR), make_ha1(USER, REALM, PASSWORD), PASSWORD)


def channel(number: int) -> Channel:
    """A camera with main and sub stream and sound."""
    sound = TrackFormat(codec=Codec.PCMU, clock_rate=8000, channels=1)
    sizes = {"main": (1920, 1080), "sub": (640, 360)}
    streams = {
        name: ChannelStream(
            name=name,
            formats=(TrackFormat(codec=Codec.H264, clock_rate=90_000, width=width, height=height), sound),
            framerate=25.0,
            bitrate=4_000_000,
            gov_length=50,
            encoder_profile="High",
        )
        for name, (width, height) in sizes.items()
    }
    return Channel(
        camera=f"cam-{number:08x}",
        number=number,
        name=f"Camera {number}",
        address="",
        location="",
        record=True,
        streams=streams,
    )


class Body(SampleBody):
    """The sample device with so many channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self._served = media_model(tuple(channel(number) for number in range(1, channels + 1)))

    def media(self) -> MediaModel:
        return self._served


def services(body: Body) -> tuple[DeviceService, MediaService]:
    registry = ServiceRegistry()
    device, media = DeviceService(body, registry), MediaService(body, body)
    registry.add(media)
    return device, media


async def serve_ours(port: int, body: Body) -> Callable[[], Any]:
    face = HttpFace(
        services(body),
        body,
        lookup=lambda name: CREDENTIAL if name == USER else None,
        realm=REALM,
        clock=SystemClock(),
    )
    await face.start()
    await face.listen("127.0.0.1", port)
    return face.close


# ---- the peer --------------------------------------------------------------------------------------


async def answer(body: Body, service: Service, request: object, response: type) -> Any:
    """What our service answers, as an object."""
    envelope = etree.Element("{http://www.w3.org/2003/05/soap-envelope}Envelope")
    content = etree.SubElement(envelope, "{http://www.w3.org/2003/05/soap-envelope}Body")
    encode(request, parent=content)
    dispatcher = Dispatcher([service], lookup=lambda _: CREDENTIAL, clock=SystemClock(), digest=Anybody())
    reply = await dispatcher.handle(
        HttpRequest(
            method="POST",
            target=service.path,
            path=service.path,
            scheme="http",
            host="127.0.0.1",
            local_address="127.0.0.1",
            peer="127.0.0.1",
            authorization="Digest",
            body=etree.tostring(envelope),
        )
    )
    return decode(response, etree.fromstring(reply.body)[-1][0])


class Anybody:
    """Lets everybody in: the peer knows no accounts."""

    def verify(self, *_: object, **__: object) -> Account:
        return CREDENTIAL.account

    def challenges(self, *_: object, **__: object) -> tuple[str, ...]:
        return ()


def to_spyne(value: Any, model: Callable[[type], Any]) -> Any:
    """An object of our types as one of spyne's."""
    made = model(type(value))()
    for item in plan_of(type(value)).fields:
        content = getattr(value, item.py)
        if content is None or content == ():
            continue
        convert = (lambda each: to_spyne(each, model)) if item.plan is not None else _simple
        setattr(
            made,
            item.spec.name or item.py,
            [convert(each) for each in content] if item.repeated else convert(content),
        )
    return made


def _simple(value: Any) -> Any:
    return str(value) if isinstance(value, str) else value


def spyne_application(answers: dict[type, Any], namespace: str) -> Any:
    """A WSGI application that answers each request class with its object."""
    from spyne import Application, rpc
    from spyne import ServiceBase as SpyneService
    from spyne.protocol.soap import Soap12
    from spyne.server.wsgi import WsgiApplication

    from onvifd.cli.contract import Declarer

    declarer = Declarer()
    members = {}
    for request, response in answers.items():
        options = {
            "_returns": declarer.model(type(response)),
            "_body_style": "bare",
            "_in_message_name": tag_of(request),
            "_out_message_name": tag_of(type(response)),
            "_operation_name": request.__name__,
            "_no_ctx": True,
        }
        members[request.__name__] = rpc(**options)(_returning(request.__name__, to_spyne(response, declarer.model)))
    application = Application(
        [type("Peer", (SpyneService,), members)],
        tns=namespace,
        name="Peer",
        in_protocol=Soap12(),
        out_protocol=Soap12(),
    )
    return WsgiApplication(application)


def _returning(name: str, made: Any) -> Callable[[], Any]:
    def call() -> Any:
        return made

    call.__name__ = name
    return call


async def serve_spyne(port: int, body: Body) -> Callable[[], Any]:
    device, media = services(body)
    about = await answer(body, device, tds.GetDeviceInformation(), tds.GetDeviceInformationResponse)
    profiles = await answer(body, media, trt.GetProfiles(), trt.GetProfilesResponse)
    applications = {
        device.path: spyne_application({tds.GetDeviceInformation: about}, device.namespace),
        MEDIA_PATH: spyne_application({trt.GetProfiles: profiles}, media.namespace),
    }

    async def handle(request: web.Request) -> web.Response:
        content = await request.read()
        environ = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": request.path,
            "QUERY_STRING": "",
            "CONTENT_TYPE": request.headers["Content-Type"],
            "CONTENT_LENGTH": str(len(content)),
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": str(port),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(content),
        }
        status: list[str] = []
        parts = applications[request.path](environ, lambda code, headers, *_: status.append(code))
        return web.Response(status=int(status[0].split()[0]), body=b"".join(parts), content_type="application/soap+xml")

    app = web.Application()
    app.router.add_post("/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner.cleanup


async def serve(options: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    start = serve_ours if options.kind == "ours" else serve_spyne
    close = await start(options.port, Body(options.channels))
    print("ready", flush=True)
    await stopped.wait()
    await close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("ours", "spyne"))
    parser.add_argument("port", type=int)
    parser.add_argument("channels", type=int)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
