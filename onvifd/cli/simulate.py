"""`onvifd simulate`: cameras without hardware, for demos and tests."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onvifd.cli.common import counting

if TYPE_CHECKING:
    from onvifd.bodies.simulated_device import SimulatedDevice
    from onvifd.cameras.simulated.encode import CameraClips
    from onvifd.media.types import Codec

PASSWORD_VARIABLE = "ONVIFD_CAMERA_PASSWORD"
_LATM = "-latm"

EXIT_PORT = 3
"""Exit status when a port is taken."""


def cache_folder() -> Path:
    """Where encoded pictures are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "onvifd" / "simulated"


def parse_ports(text: str, cameras: int) -> list[tuple[int, int]]:
    """`8001/8002,8003/8004` (HTTP and RTSP port of each camera) or empty for free ones. Raises BadParameter."""
    if not text:
        return [(0, 0)] * cameras
    try:
        pairs = [tuple(int(number) for number in item.split("/")) for item in text.split(",")]
    except ValueError:
        raise typer.BadParameter("ports are given as HTTP/RTSP,HTTP/RTSP,...") from None
    if len(pairs) != cameras or any(len(pair) != 2 or not all(0 <= n < 65536 for n in pair) for pair in pairs):
        raise typer.BadParameter(f"{cameras} pairs of ports from 0 to 65535 are needed")
    return [(pair[0], pair[1]) for pair in pairs]


def simulate(
    cameras: Annotated[int, typer.Option(min=1, max=256, help="How many cameras.")] = 1,
    clip: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Play this footage instead.")] = None,
    codec: Annotated[str, typer.Option(help="h264, h265, mpeg4 or jpeg.")] = "h264",
    audio: Annotated[str, typer.Option(help="pcmu, pcma, aac, aac-latm, g726, opus or l16.")] = "pcmu",
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    ports: Annotated[
        str, typer.Option(help="HTTP/RTSP ports of each camera, comma separated; free ones if empty.")
    ] = "",
    user: Annotated[str, typer.Option(help="Account of the cameras.")] = "admin",
    seed: Annotated[str, typer.Option(help="What stable identities derive from.")] = "onvifd",
    cache: Annotated[Path | None, typer.Option(help="Folder for encoded pictures.")] = None,
    discovery: Annotated[bool, typer.Option(help="Answer WS-Discovery.")] = True,
    until_eof: Annotated[bool, typer.Option(help="Stop when standard input ends: the parent has died.")] = False,
) -> None:
    """Run simulated ONVIF cameras until interrupted.

    The password comes from ONVIFD_CAMERA_PASSWORD; without it one is made and printed once.
    """
    from onvifd.media.types import Codec, Kind

    try:
        video, sound = Codec(codec), Codec(audio.removesuffix(_LATM))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    latm = audio.endswith(_LATM)
    if video not in (Codec.H264, Codec.H265, Codec.MPEG4, Codec.JPEG):
        raise typer.BadParameter("video is h264, h265, mpeg4 or jpeg")
    if sound.kind is not Kind.AUDIO or sound is Codec.OTHER_AUDIO or (latm and sound is not Codec.AAC):
        raise typer.BadParameter("audio is pcmu, pcma, aac, aac-latm, g726, opus or l16")
    given = os.environ.get(PASSWORD_VARIABLE)
    password = given or secrets.token_urlsafe(12)
    if not given:
        typer.echo(f"password of {user} at all cameras: {password}")
    wanted = Wanted(
        pairs=tuple(parse_ports(ports, cameras)),
        clip=clip,
        video=video,
        audio=sound,
        latm=latm,
        host=host,
        user=user,
        password=password,
        seed=seed,
        cache=cache or cache_folder(),
        discovery=discovery,
    )
    from onvifd.workers.process import run_loop

    run_loop(_serve(wanted, until_eof))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The cameras to run: one for each pair of HTTP and RTSP port. Without `clip` they show the test picture."""

    pairs: tuple[tuple[int, int], ...]
    clip: Path | None
    video: Codec
    audio: Codec
    latm: bool
    host: str
    user: str
    password: str = field(repr=False)
    seed: str
    cache: Path
    discovery: bool


async def _serve(wanted: Wanted, until_eof: bool) -> None:
    """Run the cameras until a signal, the end of standard input, or a fault of one of them, which is raised."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    if until_eof:
        # Nothing is ever written to it: readable means that the other end is closed.
        loop.add_reader(sys.stdin.fileno(), stopped.set)
    with _telling() as progress:
        clips = await asyncio.to_thread(_load, wanted, progress)
    started: list[SimulatedDevice] = []
    try:
        for device in _devices(wanted, clips):
            started.append(device)
            try:
                await device.start()
            except OSError as error:
                typer.echo(f"cannot listen: {error.strerror or error}", err=True)
                raise typer.Exit(EXIT_PORT) from None
            typer.echo(f"camera {device.device_url} {device.rtsp_port}")
        typer.echo("ready")
        players = [device.ended for device in started if device.ended is not None]
        for player in players:
            player.add_done_callback(lambda _: stopped.set())
        await stopped.wait()
        for player in players:
            if player.done() and not player.cancelled() and (fault := player.exception()) is not None:
                raise fault
    finally:
        await asyncio.gather(*(device.stop() for device in started))


@contextmanager
def _telling() -> Iterator[Callable[[int, int], None]]:
    """Who hears how far encoding is: a person at a terminal, or a program that reads lines."""
    if sys.stdout.isatty():
        with counting("encoding pictures") as progress:
            yield progress
    else:
        yield lambda done, total: typer.echo(f"encoding {done} {total}")


def _load(wanted: Wanted, progress: Callable[[int, int], None]) -> dict[int, CameraClips]:
    """What each camera shows, by its number. Blocks while it is encoded for the first time."""
    from onvifd.cameras.simulated.encode import load_cameras
    from onvifd.cameras.simulated.footage import load_footage

    wanted.cache.mkdir(parents=True, exist_ok=True)
    numbers = range(1, len(wanted.pairs) + 1)
    if wanted.clip is not None:
        return dict.fromkeys(
            numbers, load_footage(wanted.cache, wanted.clip, wanted.video, wanted.audio, latm=wanted.latm)
        )
    return load_cameras(wanted.cache, numbers, wanted.video, wanted.audio, progress, latm=wanted.latm)


def _devices(wanted: Wanted, clips: dict[int, CameraClips]) -> Iterator[SimulatedDevice]:
    from onvifd.bodies.simulated_device import SimulatedDevice
    from onvifd.clock import SystemClock

    clock = SystemClock()
    for number, (http, rtsp) in enumerate(wanted.pairs, 1):
        yield SimulatedDevice(
            number,
            clips[number],
            seed=wanted.seed,
            host=wanted.host,
            http_port=http,
            rtsp_port=rtsp,
            user=wanted.user,
            password=wanted.password,
            clock=clock,
            motion=wanted.clip is None,
            discovery=wanted.discovery,
        )
