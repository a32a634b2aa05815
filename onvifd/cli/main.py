"""The command line: `onvifd COMMAND`. Commands import what they need when they run, so that `--help` is quick."""

from __future__ import annotations

from typing import Annotated

import typer

from onvifd.cli import account, backup, camera, certificate, user, volume_upkeep
from onvifd.cli.doctor import doctor
from onvifd.cli.init import init
from onvifd.cli.serve import demo, run
from onvifd.cli.simulate import simulate

app = typer.Typer(
    name="onvifd",
    help="Network video recorder that presents itself as an ONVIF device of Profiles S, G and T.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # locals hold passwords
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"onvifd {version('onvifd')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Network video recorder that presents itself as an ONVIF device of Profiles S, G and T."""


for command in (init, run, demo, simulate, doctor):
    app.command()(command)
app.add_typer(backup.app, name="backup")
app.add_typer(camera.app, name="camera")
app.add_typer(certificate.app, name="certificate")
app.add_typer(user.app, name="user")
app.add_typer(volume_upkeep.app, name="volume")
app.add_typer(account.app, name="account")
app.add_typer(account.groups, name="group")
app.command()(account.audit)


def main() -> None:
    app()
