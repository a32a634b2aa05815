"""The command line as a whole."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable

import pytest
from click.testing import Result

from onvifd.cli import main
from onvifd.cli.common import counting, waiting


def test_help_names_every_command(run: Callable[..., Result]) -> None:
    result = run("--help")
    assert result.exit_code == 0
    for name in ("init", "run", "demo", "simulate", "camera", "user", "doctor"):
        assert name in result.output


@pytest.mark.parametrize("group", ["camera", "user"])
def test_groups_explain_themselves(run: Callable[..., Result], group: str) -> None:
    result = run(group, "--help")
    assert result.exit_code == 0
    for name in {"camera": ("search", "add", "list", "test", "remove"), "user": ("add", "list", "passwd", "remove")}[
        group
    ]:
        assert name in result.output


@pytest.mark.covers("A056", "MNT-04")
def test_version(run: Callable[..., Result]) -> None:
    assert run("--version").output.startswith("onvifd 0.")


@pytest.mark.parametrize("command", [["run"], ["demo"], ["user", "list"]])
def test_a_bad_setting_is_one_line(run: Callable[..., Result], command: list[str]) -> None:
    result = run(*command, ONVIFD_LOG_LEVEL="LOUD")
    assert result.exit_code == 1
    (line,) = result.output.splitlines()
    assert line.startswith("onvifd: log.level: 'LOUD' is not among the choices (allowed: debug, info, warning, error)")


def test_wrong_usage_has_status_2(run: Callable[..., Result]) -> None:
    assert run("camera", "fly").exit_code == 2
    assert run("user", "add", "x", "--level", "king", ONVIFD_USER_PASSWORD="x").exit_code == 2


def test_no_password_is_an_argument(run: Callable[..., Result]) -> None:
    """The list of processes shows arguments to everybody."""
    for command in (["init"], ["user", "add"], ["user", "passwd"], ["camera", "add"], ["camera", "test"]):
        text = run(*command, "--help").output
        assert "--password " not in text
        assert "--password-stdin" in text


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['onvifd', '--help']\n"
        "from onvifd.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'sqlalchemy', 'aiohttp', 'av', 'lxml', 'numpy', 'cryptography', 'wsdiscovery'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_waiting_leaves_the_output_clean(capsys: pytest.CaptureFixture[str]) -> None:
    with waiting("asking [bold]nobody"):
        print("answer")
    assert capsys.readouterr() == ("answer\n", "")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_counting_shows_counts_to_a_person_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with counting("segment files") as progress:
        progress(3, 7)
    assert capsys.readouterr() == ("", "")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with counting("segment files") as progress:
        progress(3, 7)
    assert "segment files" in terminal.getvalue()
    assert "3/7" in terminal.getvalue()
    assert capsys.readouterr().out == ""


def test_a_defect_is_one_line_without_values(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise ValueError("secret-value")

    monkeypatch.setattr(main, "app", broken)
    with pytest.raises(SystemExit) as end:
        main.main()
    assert end.value.code == main.INTERNAL
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("onvifd: internal error: ValueError at ")
    assert "secret-value" not in line
    monkeypatch.setenv("ONVIFD_LOG_LEVEL", "debug")
    with pytest.raises(SystemExit):
        main.main()
    assert "Traceback" in capsys.readouterr().err
