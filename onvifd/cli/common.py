"""What the commands share: options, settings, passwords, one line for what went wrong."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar

import typer

if TYPE_CHECKING:
    from onvifd.config import Config

P = ParamSpec("P")
T = TypeVar("T")

FAILED = 1
"""Exit status when something was refused or found wrong; 2 is wrong usage (click)."""

Data = Annotated[Path | None, typer.Option(help="Data folder.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", exists=True, dir_okay=False, help="Settings file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
FromStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def settings(data: Path | None, file: Path | None) -> Config:
    """All settings, and plain logging of warnings to standard error."""
    import logging

    from onvifd.config import load

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s", stream=sys.stderr)
    return load({"data": data}, file=file)


def one_line_errors(command: Callable[P, T]) -> Callable[P, T]:
    """Refusals end a command with one line and status 1, never with a traceback."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        from onvifd.errors import OnvifdError

        try:
            return command(*args, **kwargs)
        except OnvifdError as error:
            typer.echo(f"onvifd: {error.reason}", err=True)
            raise typer.Exit(FAILED) from None

    return wrapped


def read_password(variable: str, from_stdin: bool, prompt: str, *, confirm: bool = False) -> str | None:
    """A password from standard input, the environment, or a person; None if there is none of these.

    It is never an argument: the list of processes shows arguments to everybody.
    """
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if variable in os.environ:
        return os.environ[variable]
    if sys.stdin.isatty():
        return str(typer.prompt(prompt, hide_input=True, confirmation_prompt=confirm))
    return None


@contextmanager
def waiting(text: str) -> Iterator[None]:
    """Shows a person at a terminal that something takes its time; standard output stays clean."""
    from rich.console import Console
    from rich.text import Text

    if not sys.stderr.isatty():
        yield
        return
    with Console(stderr=True).status(Text(text)):
        yield


@contextmanager
def counting(text: str) -> Iterator[Callable[[int, int], None]]:
    """A bar with counts for a person at a terminal; gives what is to be told how many are done of how many."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(text, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def print_json(value: Any) -> None:
    import json

    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def print_table(columns: list[str], rows: list[list[str]], *, empty: str) -> None:
    """A table for people; `empty` if there are no rows."""
    if not rows:
        typer.echo(empty)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        # Text: names of cameras may contain what would be markup.
        table.add_row(*(Text(cell) for cell in row))
    # Into a file or pipe nothing is wrapped.
    Console(width=None if sys.stdout.isatty() else 400).print(table)
