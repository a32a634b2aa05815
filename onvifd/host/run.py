"""Runs the host's own tools: argument lists, never a shell, always with an end."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess

from onvifd.errors import Timeout, Unavailable

log = logging.getLogger(__name__)

TIMEOUT = 10.0
"""Seconds a tool may take unless its caller says otherwise."""
MAX_OUTPUT = 1 << 20
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where tools are looked for, whatever the service manager's environment says."""


class Runner:
    """Runs commands. `prefix` is put in front of each, for example to work within a network namespace."""

    def __init__(self, prefix: tuple[str, ...] = ()) -> None:
        self._prefix = prefix

    def has(self, tool: str) -> bool:
        """Whether a tool is installed."""
        return shutil.which(tool, path=_PATH) is not None

    def run(self, *argv: str, timeout: float = TIMEOUT) -> str:
        """Standard output of a command. Raises Unavailable when it is missing or fails, Timeout when it does not end."""
        command = [*self._prefix, *argv]
        found = shutil.which(command[0], path=_PATH)
        if found is None:
            raise Unavailable(f"{command[0]} is not installed on this host")
        environment = {"PATH": _PATH, "LC_ALL": "C", "HOME": os.environ.get("HOME", "/")}
        try:
            done = subprocess.run(  # noqa: S603 - an argument list of checked values
                [found, *command[1:]],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=timeout,
                check=False,
                env=environment,
            )
        except subprocess.TimeoutExpired as error:
            raise Timeout(f"{argv[0]} did not end within {timeout:g} s") from error
        except OSError as error:
            raise Unavailable(f"{argv[0]} cannot be run: {error.strerror}") from error
        if done.returncode != 0:
            reason = " ".join(done.stderr[:500].decode("utf-8", "replace").split()) or f"status {done.returncode}"
            log.warning("%s: %s", " ".join(argv), reason)
            raise Unavailable(f"{argv[0]}: {reason}")
        return done.stdout[:MAX_OUTPUT].decode("utf-8", "replace")
