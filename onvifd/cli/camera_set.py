"""`onvifd camera set` and `onvifd camera quirks`: how the streams of a camera are received."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from onvifd.cli.common import AsJson, ConfigFile, Data, one_line_errors, print_json, print_table, settings

if TYPE_CHECKING:
    from onvifd.cameras.ways import Reach
    from onvifd.config import Config
    from onvifd.store.receptions import ReceptionRow

Transport = Annotated[
    str | None,
    typer.Option(
        help="tcp, udp, multicast, http, https or rtsps. Default: auto, which asks by the ways of the setting cameras.ways."
    ),
]
TunnelPort = Annotated[
    int | None, typer.Option(help="Port of http and https; by default what the camera tells, or 80 and 443.")
]
TrustWay = Annotated[
    str | None, typer.Option(help="How its certificate is judged: pin (the first one seen, default), ca or none.")
]
Quirks = Annotated[list[str] | None, typer.Option(help="Quirk to switch on, see camera quirks.")]


def reach(
    config: Config, transport: str | None, tunnel_port: int | None, trust: str | None, quirk: list[str] | None
) -> Reach:
    """How a camera that is not known yet may be reached. Raises InvalidArgument."""
    from dataclasses import replace

    from onvifd.cameras.reception import changed
    from onvifd.cameras.ways import parse_ways, reach_of
    from onvifd.store.receptions import ReceptionRow

    row = changed(
        ReceptionRow(camera="", stream=""),
        transport=transport,
        tunnel_port=tunnel_port,
        trust=trust,
        quirks=tuple(quirk) if quirk else None,
    )
    return replace(reach_of(row), ways=parse_ways(config.cameras.ways))


@one_line_errors
def set_(
    which: Annotated[str, typer.Argument(help="Id, channel number or name of a camera.")],
    stream: Annotated[str, typer.Option(help="main or sub; all of its streams if left out.")] = "",
    transport: Annotated[
        str | None, typer.Option(help="auto (TCP, else UDP), tcp, udp, multicast, http, https or rtsps.")
    ] = None,
    tunnel_port: Annotated[int | None, typer.Option(help="Port of http and https; 0 for 80 and 443.")] = None,
    trust: Annotated[
        str | None, typer.Option(help="How its certificate is judged: pin (the first one seen), ca or none.")
    ] = None,
    pin: Annotated[
        str | None, typer.Option(help="SHA-256 that its certificate must have; empty to take the next one seen.")
    ] = None,
    on_demand: Annotated[
        bool | None, typer.Option(help="Pull it only while somebody watches, unless it is recorded.")
    ] = None,
    quirk: Annotated[
        list[str] | None, typer.Option(help="Quirk to switch on, see camera quirks; takes the place of those before.")
    ] = None,
    no_quirks: Annotated[bool, typer.Option("--no-quirks", help="Switch all quirks off.")] = False,
    json: AsJson = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Set how the streams of a camera are received, and show it."""
    resolved = settings(data, config)
    from onvifd.cameras.reception import changed
    from onvifd.cli.setup import open_catalogue, open_registry
    from onvifd.errors import NotFound

    quirks = () if no_quirks else tuple(quirk) if quirk else None
    with open_registry(resolved) as registry:
        camera = registry.find(which)
    names = [each.role.value for each in camera.streams if stream in ("", each.role.value)]
    if not names:
        raise NotFound(f"camera {camera.id} has no stream {stream}")

    def work(row: ReceptionRow) -> ReceptionRow:
        return changed(
            row,
            transport=transport,
            tunnel_port=tunnel_port,
            trust=trust,
            pin=pin,
            on_demand=on_demand,
            quirks=quirks,
        )

    with open_catalogue(resolved) as catalogue:
        rows = [catalogue.receptions.change(camera.id, name, work) for name in names]
    if json:
        print_json([_as_json(row) for row in rows])
        return
    table = [
        [row.stream, row.transport, row.trust, row.pin[:16], "yes" if row.on_demand else "no", row.quirks]
        for row in rows
    ]
    print_table(["Stream", "Transport", "Trust", "Certificate", "On demand", "Quirks"], table, empty="no streams")


def _as_json(row: ReceptionRow) -> dict[str, Any]:
    return {
        "stream": row.stream,
        "transport": row.transport,
        "tunnel_port": row.tunnel_port,
        "trust": row.trust,
        "pin": row.pin,
        "on_demand": row.on_demand,
        "quirks": row.quirks.split(),
        "digest": row.digest,
    }


@one_line_errors
def quirks_(json: AsJson = False) -> None:
    """Show the odd ways of cameras that are known, and which are to be switched on per camera."""
    from onvifd.cameras.quirks import QUIRKS

    if json:
        print_json(
            [{"id": each.id, "switch": each.switch, "what": each.what, "source": each.source} for each in QUIRKS]
        )
        return
    print_table(["Quirk", "Switch", "What"], [[each.id, each.switch, each.what] for each in QUIRKS], empty="none")
