"""The command line: `onvifd COMMAND`. Commands import what they need when they run, so that `--help` is quick."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated

import typer

from onvifd.cli import account, backup, camera, certificate, record, record_schedule, user, volume_upkeep
from onvifd.cli.doctor import doctor
from onvifd.cli.init import init
from onvifd.cli.serve import demo, run
from onvifd.cli.simulate import simulate

INTERNAL = 70
"""Exit status of a defect (EX_SOFTWARE of sysexits.h)."""

app = typer.Typer(
    name="onvifd",
    help="Network video recorder that presents itself as an ONVIF device of Profiles S, G and T.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # of defects `main` writes one line; locals hold passwords
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
record.app.add_typer(record_schedule.app, name="schedule")
record.app.add_typer(record_schedule.named, name="named")
record.app.add_typer(record_schedule.holiday, name="holiday")
app.add_typer(record.app, name="record")
app.add_typer(user.app, name="user")
app.add_typer(volume_upkeep.app, name="volume")
app.add_typer(account.app, name="account")
app.add_typer(account.groups, name="group")
app.command()(account.audit)


def main() -> None:
    """Run the command of this process. A defect is one line and a status of its own; ONVIFD_LOG_LEVEL=DEBUG adds the traceback."""
    try:
        app()
    except Exception as error:
        _defect(error)
        sys.exit(INTERNAL)


def _defect(error: Exception) -> None:
    """Say what broke and where, but not with what: values may be secret."""
    if os.environ.get("ONVIFD_LOG_LEVEL", "").upper() == "DEBUG":
        traceback.print_exception(error)
    last = traceback.extract_tb(error.__traceback__)[-1]
    typer.echo(f"onvifd: internal error: {type(error).__name__} at {last.filename}:{last.lineno}", err=True)
