"""`onvifd camera`: find, add, list, test and remove cameras. A running recorder follows within a second."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onvifd.cli.camera_set import Quirks, Transport, TrustWay, TunnelPort, quirks_, reach, set_
from onvifd.cli.common import (
    FAILED,
    AsJson,
    ConfigFile,
    Data,
    FromStdin,
    Yes,
    one_line_errors,
    print_json,
    print_table,
    read_password,
    settings,
    waiting,
)

if TYPE_CHECKING:
    from onvifd.cameras.drivers import StreamCheck
    from onvifd.cameras.probe import CameraProbe
    from onvifd.cameras.registry import Camera, Credentials, Stream
    from onvifd.cameras.ways import Reach
    from onvifd.config import Config

PASSWORD_VARIABLE = "ONVIFD_CAMERA_PASSWORD"

app = typer.Typer(help="Cameras that the recorder pulls from.", no_args_is_help=True)
app.command("set")(set_)
app.command("quirks")(quirks_)

Which = Annotated[str, typer.Argument(help="Id, channel number or name of a camera.")]
User = Annotated[str, typer.Option(help="Account at the camera.")]


@app.command()
@one_line_errors
def search(
    host: Annotated[
        str | None, typer.Option(help="Address of this machine to search from; 127.0.0.1 for this machine alone.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.5, max=30, help="How long to wait for answers.")] = 3.0,
    json: AsJson = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Look for ONVIF devices in the network."""
    resolved = settings(data, config)
    from dataclasses import asdict

    from onvifd.cameras.search import search as find

    with waiting("asking the network"):
        found = asyncio.run(find(host or resolved.network.host, seconds))
    if json:
        print_json([asdict(device) for device in found])
        return
    rows = [[device.addresses[0], device.name, device.hardware, device.location] for device in found]
    print_table(["Address", "Name", "Hardware", "Location"], rows, empty="no device answered")


def _login(user: str, from_stdin: bool) -> Credentials | None:
    if not user:
        return None
    from onvifd.cameras.registry import Credentials

    password = read_password(PASSWORD_VARIABLE, from_stdin, f"Password of {user} at the camera")
    if password is None:
        raise typer.BadParameter(f"give the password with --password-stdin, {PASSWORD_VARIABLE} or at a terminal")
    return Credentials(user=user, password=password)


@app.command()
@one_line_errors
def add(
    address: Annotated[
        str,
        typer.Argument(help="Host or URL: 192.0.2.7, http://192.0.2.7/onvif/device_service or rtsp://192.0.2.7/path."),
    ],
    name: Annotated[str, typer.Option(help="Name; the camera's own if left out.")] = "",
    user: User = "",
    password_stdin: FromStdin = False,
    sub: Annotated[str, typer.Option(help="URL of the sub stream of a plain RTSP camera.")] = "",
    source: Annotated[str | None, typer.Option(help="Video source of a camera with several lenses.")] = None,
    record: Annotated[bool, typer.Option(help="Record its main stream.")] = True,
    transport: Transport = None,
    tunnel_port: TunnelPort = None,
    trust: TrustWay = None,
    quirk: Quirks = None,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Ask a camera for its streams and add it."""
    resolved = settings(data, config)
    from dataclasses import replace

    from onvifd.cameras.drivers import prepare
    from onvifd.cli.setup import open_registry

    allowed = reach(resolved, transport, tunnel_port, trust, quirk)
    with open_registry(resolved) as registry:
        login = _login(user, password_stdin)
        with waiting(f"asking {_shown(address)}"):
            new = asyncio.run(prepare(address, login, name=name, sub_address=sub, source=source, reach=allowed))
        camera = registry.add(replace(new, record=record))
    typer.echo(f"camera {camera.id} added as channel {camera.channel}: {camera.name}")
    ways = {row.stream: row.transport for row in new.receptions}
    for stream in camera.streams:
        way = ways.get(stream.role, "auto")
        typer.echo(f"  {stream.role}: {_encoding(stream)}{'' if way == 'auto' else f', by {way}'}")


@app.command("list")
@one_line_errors
def list_(json: AsJson = False, data: Data = None, config: ConfigFile = None) -> None:
    """Show the cameras."""
    resolved = settings(data, config)
    from onvifd.cli.setup import open_registry

    with open_registry(resolved) as registry:
        cameras, modes = registry.all(), registry.modes()
    if json:
        print_json([_as_json(camera) | {"record": modes[camera.id]} for camera in cameras])
        return
    rows = [
        [
            str(camera.channel),
            camera.id,
            camera.name,
            camera.shown_address,
            _encoding(camera.main),
            modes[camera.id],
        ]
        for camera in cameras
    ]
    print_table(["Channel", "Id", "Name", "Address", "Main stream", "Recording"], rows, empty="there are no cameras")


@app.command("test")
@one_line_errors
def probe_(
    which: Annotated[str, typer.Argument(help="Id, channel number or name of a camera, or an address.")],
    user: User = "",
    password_stdin: FromStdin = False,
    transport: Transport = None,
    tunnel_port: TunnelPort = None,
    trust: TrustWay = None,
    quirk: Quirks = None,
    json: AsJson = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Ask a camera what it is, what it streams and whether it can be talked to. Exit status 1 if the recorder could not use it.

    A camera of the recorder is asked as it is set; how to reach it is for addresses.
    """
    resolved = settings(data, config)
    from onvifd.cameras.drivers import asker, check_streams, choose, probe, talk
    from onvifd.cli.setup import open_registry

    known = _known(resolved, which)
    streams = known.streams if known else None
    if known is None:
        from onvifd.cameras.registry import split_credentials

        address = which
        login = _login(user, password_stdin) or (split_credentials(which)[1] if "://" in which else None)
    else:
        address, login = known.address, known.credentials
    if known is None:
        asks = [asker(address, login, reach(resolved, transport, tunnel_port, trust, quirk))]
    else:
        asks = [asker(address, login, each) for each in _reaches(resolved, known)]
    with waiting(f"asking {_shown(address)}"):
        found = asyncio.run(probe(address, login, ask=asks[0]))
        checks = asyncio.run(check_streams(streams or choose(found), asks if streams else asks[0]))
        decodes = asyncio.run(talk(checks[0].stream, login, checks[0].reach))
    if known is not None and not checks[0].problem:
        with open_registry(resolved) as registry:
            registry.learn_talk(known.id, decodes)
    _tell_probe(found, checks, [format.codec.value for format in decodes], json)
    if any(check.problem for check in checks):
        raise typer.Exit(FAILED)


def _tell_probe(found: CameraProbe, checks: tuple[StreamCheck, ...], codecs: list[str], json: bool) -> None:
    """What a camera is, streams and can be told."""
    report = [
        {
            "role": check.stream.role.value,
            "uri": _shown(check.stream.uri),
            "encoding": _encoding(check.stream),
            "transport": check.reach.transport.value,
            "problem": check.problem,
            "left_out": list(check.skipped),
        }
        for check in checks
    ]
    if json:
        about = {key: getattr(found, key) for key in ("name", "manufacturer", "model", "firmware", "serial")}
        print_json(
            {
                **about,
                "driver": found.driver.value,
                "events": bool(found.event_address),
                "talk": codecs,
                "streams": report,
            }
        )
    else:
        typer.echo(f"{found.manufacturer} {found.model} {found.firmware}".strip() or "plain RTSP camera")
        typer.echo(f"events: {'yes' if found.event_address else 'no'}")
        typer.echo(f"talk: {', '.join(codecs) or 'no'}")
        rows = [[str(one["role"]), str(one["uri"]), str(one["problem"] or one["encoding"])] for one in report]
        print_table(["Stream", "Address", "Carries"], rows, empty="no streams")


@app.command()
@one_line_errors
def remove(which: Which, yes: Yes = False, data: Data = None, config: ConfigFile = None) -> None:
    """Remove a camera. What was recorded of it stays until retention deletes it."""
    resolved = settings(data, config)
    from onvifd.cli.setup import open_registry

    with open_registry(resolved) as registry:
        camera = registry.find(which)
        if not yes:
            typer.confirm(f"Remove camera {camera.name} ({camera.id})?", abort=True)
        registry.remove(camera.id)
    typer.echo(f"camera {camera.id} removed")


def _known(config: Config, which: str) -> Camera | None:
    """The camera that `which` names, or None if it looks like an address. Raises NotFound for anything else."""
    from onvifd.cli.setup import open_registry
    from onvifd.errors import NotFound, Unavailable

    if "://" in which:
        return None
    try:
        with open_registry(config) as registry:
            return registry.find(which)
    except (NotFound, Unavailable):
        if "." in which or ":" in which:
            return None
        raise


def _reaches(config: Config, camera: Camera) -> list[Reach]:
    """How each stream of a camera is received."""
    from dataclasses import replace

    from onvifd.cameras.ways import reach_of
    from onvifd.cli.setup import open_catalogue
    from onvifd.rtsp.client_transport import Way
    from onvifd.store.receptions import ReceptionRow

    with open_catalogue(config) as catalogue:
        rows = {row.stream: row for row in catalogue.receptions.all() if row.camera == camera.id}
    digest = any(row.digest for row in rows.values())
    found = (rows.get(each.role) or ReceptionRow(camera=camera.id, stream=each.role) for each in camera.streams)
    # Streams without another setting come by TCP or UDP: that a tunnel would answer is no help.
    return [replace(reach_of(row), digest=digest, ways=(Way.TCP,)) for row in found]


def _shown(url: str) -> str:
    from onvifd.cameras.registry import redact

    return redact(url)


def _encoding(stream: Stream) -> str:
    """`H.265 1920x1080 25 fps, PCMU 8 kHz`."""
    video = {"h264": "H.264", "h265": "H.265"}.get(stream.video_codec or "", str(stream.video_codec or "unknown"))
    parts = [video]
    if stream.width:
        parts.append(f"{stream.width}x{stream.height}")
    if stream.framerate:
        parts.append(f"{stream.framerate:g} fps")
    text = " ".join(parts)
    if stream.audio_codec is not None:
        text += f", {stream.audio_codec.value.upper()} {stream.sample_rate / 1000:g} kHz"
    return text


def _as_json(camera: Camera) -> dict[str, Any]:
    return {
        "id": camera.id,
        "channel": camera.channel,
        "name": camera.name,
        "driver": camera.driver.value,
        "address": camera.shown_address,
        "enabled": camera.enabled,
        "manufacturer": camera.manufacturer,
        "model": camera.model,
        "streams": [
            {"role": stream.role.value, "uri": _shown(stream.uri), "encoding": _encoding(stream)}
            for stream in camera.streams
        ],
    }
