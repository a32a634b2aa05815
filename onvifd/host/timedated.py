"""The host's clock by systemd: `timedatectl` and the settings file of its time service."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path

from onvifd.clock import to_datetime
from onvifd.errors import Unavailable
from onvifd.host import reading
from onvifd.host.run import Runner

log = logging.getLogger(__name__)

MAX_SERVERS = 8
DROP_IN = Path("/etc/systemd/timesyncd.conf.d/onvifd.conf")


class TimeDate:
    """Sets clock and servers. `drop_in` is the file that holds the servers which were set."""

    max_servers = MAX_SERVERS

    def __init__(self, runner: Runner, *, drop_in: Path = DROP_IN) -> None:
        self._runner = runner
        self._drop_in = drop_in

    def synchronized(self) -> bool:
        return self._runner.run("timedatectl", "show", "-p", "NTP", "--value").strip() == "yes"

    def servers(self) -> tuple[bool, tuple[str, ...]]:
        text = reading.read(self._drop_in)
        if not text:
            return True, reading.ntp_servers()
        return False, tuple(server for line in text.splitlines() for server in line.partition("NTP=")[2].split())

    def set_servers(self, from_dhcp: bool, servers: tuple[str, ...]) -> None:
        """Servers from DHCP are what the time service uses when none are set."""
        try:
            if from_dhcp:
                self._drop_in.unlink(missing_ok=True)
            else:
                self._drop_in.parent.mkdir(parents=True, exist_ok=True)
                # An empty NTP= clears those of the main file (systemd.unit: lists).
                text = f"[Time]\nNTP=\nNTP={' '.join(servers)}\n" if servers else "[Time]\nNTP=\n"
                temporary = self._drop_in.with_suffix(".new")
                with temporary.open("w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                temporary.replace(self._drop_in)
        except OSError as error:
            raise Unavailable(f"{self._drop_in} cannot be written: {error.strerror}") from error
        if self.synchronized():
            self._runner.run("systemctl", "try-restart", "systemd-timesyncd.service")

    def follow(self, ntp: bool) -> None:
        self._runner.run("timedatectl", "set-ntp", "true" if ntp else "false")

    def set_time(self, utc: int) -> None:
        moment = to_datetime(utc).strftime("%Y-%m-%d %H:%M:%S UTC")
        with contextlib.suppress(Unavailable):
            self.follow(False)  # timedated refuses a time while NTP runs; without a time service there is none to stop
        self._runner.run("timedatectl", "set-time", moment)
