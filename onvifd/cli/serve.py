"""`onvifd run` and `onvifd demo`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onvifd.cli.common import counting, one_line_errors
from onvifd.cli.simulate import PASSWORD_VARIABLE

if TYPE_CHECKING:
    from onvifd.app import RecorderApp
    from onvifd.cameras.registry import Camera, NewCamera
    from onvifd.config import Config

log = logging.getLogger(__name__)

ADMIN = "admin"
CAMERA_USER = "admin"
ADMIN_VARIABLE = "ONVIFD_ADMIN_PASSWORD"
LOG_FORMAT = "%(asctime)s %(levelname)-7s control %(name)s: %(message)s"
CAMERAS_READY = 120.0
"""Seconds for the simulated cameras to encode their pictures and listen."""

CAMERAS_STOP = 3.0

Data = Annotated[Path | None, typer.Option(help="Data folder.")]
Host = Annotated[str | None, typer.Option(help="Address to listen on; 127.0.0.1 keeps everything on this machine.")]
HttpPort = Annotated[int | None, typer.Option(min=0, max=65535, help="HTTP port, 0 for a free one.")]
HttpsPort = Annotated[int | None, typer.Option(min=0, max=65535, help="HTTPS port, 0 for a free one.")]
RtspPort = Annotated[int | None, typer.Option(min=0, max=65535, help="RTSP port, 0 for a free one.")]
RtspsPort = Annotated[int | None, typer.Option(min=0, max=65535, help="Port of RTSP in TLS, 0 for not at all.")]


def _config(
    data: Path | None,
    host: str | None,
    http_port: int | None,
    https_port: int | None,
    rtsp_port: int | None,
    config: Path | None,
    rtsps_port: int | None = None,
) -> Config:
    from onvifd.config import load

    return load(
        {
            "data": data,
            "network.host": host,
            "network.http_port": http_port,
            "network.https_port": https_port,
            "network.rtsp_port": rtsp_port,
            "network.rtsps_port": rtsps_port,
        },
        file=config,
    )


def _set_up_logging(config: Config) -> None:
    level = config.log.level.upper()
    os.environ["ONVIFD_LOG_LEVEL"] = level  # workers inherit it
    logging.basicConfig(level=level, format=LOG_FORMAT, stream=sys.stderr)
    logging.getLogger("alembic").setLevel(logging.WARNING)


def _shown(host: str) -> str:
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{name}]" if ":" in name else name


def ready_line(app: RecorderApp) -> str:
    """The one line that says where everything listens."""
    host = _shown(app.config.network.host)
    ports = app.ports
    first = f"http://{host}:{ports.http}" if ports.http else f"https://{host}:{ports.https}"
    parts = [f"ready {first}/", f"onvif {first}/onvif/device_service"]
    if ports.http and ports.https:
        parts.append(f"https://{host}:{ports.https}/")
    parts.append(f"rtsp://{host}:{ports.rtsp}/")
    if app.rtsps_port:
        parts.append(f"rtsps://{host}:{app.rtsps_port}/")
    return " ".join(parts)


@one_line_errors
def run(
    data: Data = None,
    host: Host = None,
    http_port: HttpPort = None,
    https_port: HttpsPort = None,
    rtsp_port: RtspPort = None,
    rtsps_port: RtspsPort = None,
    config: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Settings file.")] = None,
) -> None:
    """Run the recorder until SIGTERM or Ctrl-C. Needs `onvifd init` once before."""
    settings = _config(data, host, http_port, https_port, rtsp_port, config, rtsps_port)
    _set_up_logging(settings)
    os.environ.pop(ADMIN_VARIABLE, None)  # only `init` wants it; workers need not inherit it
    _until_the_end(lambda again: _run(settings, again))


def _until_the_end(work: Callable[[list[bool]], Coroutine[Any, Any, None]]) -> None:
    """Run `work`, and this program anew if that was asked for (SystemReboot): nothing of the old process is left over."""
    from onvifd.workers.process import run_loop

    again: list[bool] = []
    run_loop(work(again))
    if again:
        logging.shutdown()
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, "-m", "onvifd", *sys.argv[1:]])  # noqa: S606 - the same command again


async def _run(config: Config, again: list[bool]) -> None:
    from onvifd.app import RecorderApp

    app = RecorderApp(config)
    with _failures():
        await app.start()
    typer.echo(ready_line(app))
    await app.run()
    again += [True] * app.again


@contextlib.contextmanager
def _failures() -> Any:
    """What goes wrong at start is one clear line, not a traceback."""
    from onvifd.errors import OnvifdError

    try:
        yield
    except OnvifdError as error:
        typer.echo(f"onvifd: {error.reason}", err=True)
        raise typer.Exit(1) from None
    except OSError as error:
        typer.echo(f"onvifd: cannot listen: {error.strerror or error}", err=True)
        raise typer.Exit(1) from None


# ---- demo ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DemoState:
    """What the demo keeps in its data folder, readable by its owner alone: the cameras' login and ports."""

    password: str
    ports: tuple[tuple[int, int], ...]

    @classmethod
    def load(cls, path: Path, cameras: int) -> DemoState:
        """What an earlier run left; ports for as many cameras as wanted, free ones where none are known."""
        try:
            found = json.loads(path.read_text())
            password, ports = str(found["password"]), [(int(http), int(rtsp)) for http, rtsp in found["ports"]]
        except (OSError, ValueError, KeyError, TypeError):
            password, ports = f"Cam-{secrets.token_urlsafe(12)}", []
        ports = (ports + [(0, 0)] * cameras)[:cameras]
        return cls(password, tuple(ports))

    def save(self, path: Path) -> None:
        from onvifd.access.private_files import write_private

        write_private(path, json.dumps({"password": self.password, "ports": self.ports}).encode())


@one_line_errors
def demo(
    cameras: Annotated[int, typer.Option(min=1, max=64, help="How many simulated cameras.")] = 2,
    data: Data = None,
    host: Host = "127.0.0.1",
    http_port: HttpPort = None,
    https_port: HttpsPort = None,
    rtsp_port: RtspPort = None,
    rtsps_port: RtspsPort = None,
    codec: Annotated[str, typer.Option(help="Codec of the cameras: h264, h265, mpeg4 or jpeg.")] = "h264",
    audio: Annotated[
        str, typer.Option(help="Sound of the cameras: pcmu, pcma, aac, aac-latm, g726, opus or l16.")
    ] = "pcmu",
    clip: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Cameras play this footage.")] = None,
) -> None:
    """Run simulated cameras and a recorder that has them added and records them.

    The password of `admin` comes from ONVIFD_ADMIN_PASSWORD; without it one is made at the first start and printed once.
    """
    # TLS is part of what a demo shows; the address is in the line with `ready`.
    from onvifd.bodies.premises import free_port

    rtsps = free_port(host, 0) if rtsps_port is None and host else rtsps_port
    settings = _config(data, host, http_port, https_port, rtsp_port, None, rtsps)
    _set_up_logging(settings)
    _until_the_end(lambda again: _demo(settings, cameras, (codec, audio), clip, again))


async def _demo(config: Config, count: int, codecs: tuple[str, str], clip: Path | None, again: list[bool]) -> None:
    from onvifd.app import RecorderApp

    with _failures():
        await asyncio.to_thread(_initialise, config)
        async with _simulated(config, count, codecs, clip) as urls:
            await _add_cameras(config, urls)
            app = RecorderApp(config)
            await app.start()
            typer.echo(ready_line(app))
            await app.run()
            again += [True] * app.again


def _initialise(config: Config) -> None:
    """Data folder, key and first administrator, unless they are there. Blocks."""
    from onvifd.cli.setup import initialise, refuse_running

    # Taken out, so that neither workers nor simulated cameras inherit it.
    given = os.environ.pop(ADMIN_VARIABLE, None)
    # The cameras of a recorder that runs must stay where they are.
    refuse_running(config)
    password = given or f"Nvr-{secrets.token_urlsafe(12)}"
    if initialise(config, ADMIN, password) and not given:
        typer.echo(f"password of {ADMIN}: {password}   (shown this once)")


@contextlib.asynccontextmanager
async def _simulated(
    config: Config, count: int, codecs: tuple[str, str], clip: Path | None
) -> AsyncIterator[list[str]]:
    """The simulated cameras as a process of their own; gives the addresses of their device services."""
    path = config.data / "demo.json"
    state = await asyncio.to_thread(DemoState.load, path, count)
    process, found = await _start_cameras(config, state, codecs, clip)
    if found is None:
        # A port of the last run is taken by now: other ones do.
        state = replace(state, ports=((0, 0),) * count)
        process, found = await _start_cameras(config, state, codecs, clip)
    try:
        if found is None:
            typer.echo("onvifd: the simulated cameras do not start", err=True)
            raise typer.Exit(1)
        state = replace(state, ports=tuple((http, rtsp) for _, http, rtsp in found))
        await asyncio.to_thread(state.save, path)
        yield [url for url, _, _ in found]
    finally:
        await _stop_cameras(process)


async def _start_cameras(
    config: Config, state: DemoState, codecs: tuple[str, str], clip: Path | None
) -> tuple[asyncio.subprocess.Process, list[tuple[str, int, int]] | None]:
    ports = ",".join(f"{http}/{rtsp}" for http, rtsp in state.ports)
    arguments = ["simulate", "--cameras", str(len(state.ports)), "--host", config.network.host]
    arguments += ["--codec", codecs[0], "--audio", codecs[1]]
    arguments += ["--ports", ports, "--seed", str(config.data), "--user", CAMERA_USER]
    arguments.append("--until-eof")
    if clip is not None:
        arguments += ["--clip", str(clip)]
    if not config.network.discovery:
        arguments.append("--no-discovery")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "onvifd",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, PASSWORD_VARIABLE: state.password},
        start_new_session=True,
    )
    output = process.stdout
    if output is None:
        raise typer.Exit(1)
    with counting("encoding the pictures of the cameras") as progress:
        found = await _until_ready(output, progress)
    if found is None:
        await _stop_cameras(process)
    return process, found


async def _until_ready(
    output: asyncio.StreamReader, progress: Callable[[int, int], None]
) -> list[tuple[str, int, int]] | None:
    """Address, HTTP and RTSP port of each camera as `simulate` tells them; None if it ends or takes too long."""
    found: list[tuple[str, int, int]] = []
    try:
        async with asyncio.timeout(CAMERAS_READY):
            async for line in output:
                match line.decode().split():
                    case ["ready", *_]:
                        return found
                    case ["encoding", done, total]:
                        progress(int(done), int(total))
                    case ["camera", url, rtsp]:
                        found.append((url, int(url.rpartition(":")[2].partition("/")[0]), int(rtsp)))
    except TimeoutError:
        log.error("the simulated cameras are not ready in %g s", CAMERAS_READY)
    return None


async def _stop_cameras(process: asyncio.subprocess.Process) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CAMERAS_STOP):
                    await process.wait()


async def _add_cameras(config: Config, urls: list[str]) -> None:
    """Add the cameras at `urls` that the recorder does not know; demo cameras that moved are taken along.

    Cameras that a person added to the demo stay as they are: those of the demo are told by its login, or by their serial
    number when the login was lost with `demo.json`.
    """
    from onvifd.cameras.drivers import prepare
    from onvifd.cameras.registry import Credentials
    from onvifd.cli.setup import open_registry

    state = await asyncio.to_thread(DemoState.load, config.data / "demo.json", len(urls))
    with open_registry(config) as registry:
        login = Credentials(user=CAMERA_USER, password=state.password)
        every = await asyncio.to_thread(registry.all)
        if [camera.address for camera in every if camera.credentials == login] == urls:
            return
        found = await asyncio.gather(*(prepare(url, login) for url in urls))
        serials = {new.serial for new in found}
        known = [
            camera
            for camera in every
            if camera.credentials is not None
            and (camera.credentials == login or (camera.credentials.user == CAMERA_USER and camera.serial in serials))
        ]
        pairs = pair_up(known, found)
        kept = [old for old, _ in pairs]
        for extra in [camera for camera in known if camera not in kept]:
            await asyncio.to_thread(registry.remove, extra.id)
        for old, new in pairs:
            if old is None:
                await asyncio.to_thread(registry.add, new)
                continue
            # The same simulated camera at another port or with another login: its id, and with it its recording, stays.
            moved = replace(
                old,
                address=new.address,
                credentials=login,
                streams=new.streams,
                event_address=new.event_address,
                serial=new.serial,
            )
            await asyncio.to_thread(registry.update, moved)


def pair_up(known: list[Camera], found: list[NewCamera]) -> list[tuple[Camera | None, NewCamera]]:
    """Each camera that was found with the one that it was before: by serial number, and by order what has none in common."""
    by_serial = {camera.serial: camera for camera in known if camera.serial}
    same = [by_serial.get(new.serial) for new in found]
    left = [camera for camera in known if camera not in same]
    return [(old or (left.pop(0) if left else None), new) for old, new in zip(same, found, strict=True)]
