"""Log files of the recorder's processes: small, private, and written by a thread of their own."""

from __future__ import annotations

import io
import logging
import logging.handlers
import os
import queue
from pathlib import Path

FORMAT = "%(asctime)s %(levelname)-7s {process} %(name)s: %(message)s"
FOLDER_VARIABLE = "ONVIFD_LOG_FOLDER"
"""Tells worker processes where to write."""
MAX_BYTES = 2 << 20
BACKUPS = 2
MAX_QUEUED = 10_000
"""Records that wait for the disk; further ones are left out of the file."""


class _Bounded(logging.handlers.QueueHandler):
    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            return


class _Private(logging.handlers.RotatingFileHandler):
    def _open(self) -> io.TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        return io.TextIOWrapper(os.fdopen(descriptor, "ab"), encoding=self.encoding)


class LogFile:
    """Everything that this process logs, also in a file, until `close`."""

    def __init__(self, folder: Path, process: str) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = _Private(folder / f"{process}.log", maxBytes=MAX_BYTES, backupCount=BACKUPS, encoding="utf-8")
        file.setFormatter(logging.Formatter(FORMAT.format(process=process)))
        waiting: queue.Queue[logging.LogRecord] = queue.Queue(MAX_QUEUED)
        self._file = file
        self._handler = _Bounded(waiting)
        self._listener = logging.handlers.QueueListener(waiting, file)
        self._listener.start()
        logging.getLogger().addHandler(self._handler)

    def close(self) -> None:
        logging.getLogger().removeHandler(self._handler)
        self._listener.stop()
        self._file.close()


def from_environment(process: str) -> LogFile | None:
    """The log file of a worker, where control said to keep some."""
    folder = os.environ.get(FOLDER_VARIABLE)
    try:
        return LogFile(Path(folder), f"{process}-{os.getpid()}") if folder else None
    except OSError as error:
        logging.getLogger(__name__).warning("no log file: %s", error)
        return None


def collect(folder: Path, most: int) -> str:
    """The last lines of all files, in order of time, at most `most` characters. Blocks. Raises OSError."""
    entries: list[str] = []
    for path in folder.glob("*.log*"):
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - most))
            text = file.read().decode("utf-8", "replace")
        lines = text.splitlines()
        for line in lines[1 if size > most else 0 :]:
            if line[:4].isdigit() or not entries:
                entries.append(line)
            else:
                entries[-1] += "\n" + line  # a traceback goes with the line above it
    entries.sort(key=lambda entry: entry[:23])
    length, kept = 0, len(entries)
    while kept and length + len(entries[kept - 1]) + 1 <= most:
        kept -= 1
        length += len(entries[kept]) + 1
    return "".join(f"{entry}\n" for entry in entries[kept:])


def prune(folder: Path, keep: int) -> None:
    """Delete the oldest files beyond `keep`: every worker process that ever ran has left some. Blocks."""
    found = sorted(folder.glob("*.log*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in found[keep:]:
        path.unlink(missing_ok=True)
