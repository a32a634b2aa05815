"""`onvifd simulate`: cameras without hardware, for demos and tests."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

PASSWORD_VARIABLE = "ONVIFD_CAMERA_PASSWORD"

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
    codec: Annotated[str, typer.Option(help="h264 or h265.")] = "h264",
    audio: Annotated[str, typer.Option(help="pcmu, pcma or aac.")] = "pcmu",
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
        video, sound = Codec(codec), Codec(audio)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if video not in (Codec.H264, Codec.H265) or sound.kind is not Kind.AUDIO:
        raise typer.BadParameter("video is h264 or h265, audio pcmu, pcma or aac")
    given = os.environ.get(PASSWORD_VARIABLE)
    password = given or secrets.token_urlsafe(12)
    if not given:
        typer.echo(f"password of {user} at all cameras: {password}")
    pairs = parse_ports(ports, cameras)
    from onvifd.workers.process import run_loop

    run_loop(
        _serve(pairs, clip, video, sound, host, user, password, seed, cache or cache_folder(), discovery, until_eof)
    )


async def _serve(
    pairs: list[tuple[int, int]],
    clip: Path | None,
    codec: object,
    audio: object,
    host: str,
    user: str,
    password: str,
    seed: str,
    cache: Path,
    discovery: bool,
    until_eof: bool,
) -> None:
    from onvifd.bodies.simulated_device import SimulatedDevice
    from onvifd.cameras.simulated.encode import load_cameras
    from onvifd.cameras.simulated.footage import load_footage
    from onvifd.clock import SystemClock
    from onvifd.media.types import Codec

    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    if until_eof:
        # Nothing is ever written to it: readable means that the other end is closed.
        loop.add_reader(sys.stdin.fileno(), stopped.set)
    await asyncio.to_thread(cache.mkdir, parents=True, exist_ok=True)
    numbers = range(1, len(pairs) + 1)
    if clip is not None:
        footage = await asyncio.to_thread(load_footage, cache, clip, Codec(str(codec)), Codec(str(audio)))
        clips = dict.fromkeys(numbers, footage)
    else:
        clips = await asyncio.to_thread(load_cameras, cache, numbers, Codec(str(codec)), Codec(str(audio)))
    clock = SystemClock()
    devices = [
        SimulatedDevice(
            number,
            clips[number],
            seed=seed,
            host=host,
            http_port=http,
            rtsp_port=rtsp,
            user=user,
            password=password,
            clock=clock,
            motion=clip is None,
            discovery=discovery,
        )
        for number, (http, rtsp) in zip(numbers, pairs, strict=True)
    ]
    started: list[SimulatedDevice] = []
    try:
        for device in devices:
            started.append(device)
            try:
                await device.start()
            except OSError as error:
                typer.echo(f"cannot listen: {error.strerror or error}", err=True)
                raise typer.Exit(EXIT_PORT) from None
            typer.echo(f"camera {device.device_url} {device.rtsp_port}")
        typer.echo("ready")
        players = [device.ended for device in devices if device.ended is not None]
        for player in players:
            player.add_done_callback(lambda _: stopped.set())
        await stopped.wait()
        faults = [player.exception() for player in players if player.done() and not player.cancelled()]
        for fault in faults:
            if fault is not None:
                raise fault
    finally:
        await asyncio.gather(*(device.stop() for device in started))
