"""`onvifd doctor`: holds settings, folders, keys, catalogue and files against each other, changing nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onvifd.cli.common import FAILED, AsJson, ConfigFile, Data, counting, print_json, print_table, settings, waiting

if TYPE_CHECKING:
    from onvifd.access.keyfile import SecretBox
    from onvifd.archive.disk import Volume
    from onvifd.config import Config
    from onvifd.store.catalogue import Catalogue

MAX_FINDINGS = 1000
"""Findings that are shown; a volume that was lost has one for every file."""


@dataclass(frozen=True, slots=True)
class Check:
    """The outcome of one examination: `subject` is what was looked at, `detail` what was found."""

    subject: str
    ok: bool
    detail: str


def doctor(
    json: AsJson = False,
    files: Annotated[bool, typer.Option(help="Read every segment file; off: look at the index alone.")] = True,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Look for what is wrong, changing nothing. Exit status 1 if there are findings."""
    checks = list(_examine(data, config, files))
    if json:
        print_json([asdict(check) for check in checks])
    else:
        rows = [["ok" if check.ok else "WRONG", check.subject, check.detail] for check in checks]
        print_table(["", "Subject", "Found"], rows, empty="nothing to look at")
    if not all(check.ok for check in checks):
        raise typer.Exit(FAILED)


def _examine(data: Path | None, file: Path | None, files: bool) -> Iterator[Check]:
    from onvifd.errors import OnvifdError

    try:
        config = settings(data, file)
    except OnvifdError as error:
        yield Check("settings", False, error.reason)
        return
    yield Check("settings", True, f"{len(config.volume_paths)} volume(s), listens on {config.network.host}")
    yield _folder(config)
    box, check = _key(config)
    yield check
    yield from _catalogue(config, box, files)


def _folder(config: Config) -> Check:
    try:
        about = config.data.stat()
    except OSError as error:
        return Check("data folder", False, f"{config.data}: {error.strerror}")
    if about.st_mode & 0o077:
        return Check("data folder", False, f"{config.data} is open to others (mode {about.st_mode & 0o777:04o})")
    if about.st_uid != os.geteuid():
        return Check("data folder", False, f"{config.data} belongs to user {about.st_uid}")
    return Check("data folder", True, str(config.data))


def _key(config: Config) -> tuple[SecretBox | None, Check]:
    from onvifd.access.keyfile import load_key
    from onvifd.errors import OnvifdError

    try:
        return load_key(config.key_file), Check("key file", True, str(config.key_file))
    except OnvifdError as error:
        return None, Check("key file", False, error.reason)


def _catalogue(config: Config, box: SecretBox | None, files: bool) -> Iterator[Check]:
    from onvifd.cli.setup import open_catalogue
    from onvifd.errors import OnvifdError
    from onvifd.store.migrate import versions

    try:
        with open_catalogue(config) as catalogue:
            version, _ = versions(catalogue.database.engine)
            yield Check("catalogue", True, f"{catalogue.database.engine.dialect.name}, version {version}")
            with waiting("reading the catalogue"):
                checks = [
                    check
                    for examine in (_database, _accounts, _cameras, _recordings)
                    for check in _guarded(examine, catalogue, config, box)
                ]
            yield from checks
            yield from _volumes(catalogue, config, files)
    except OnvifdError as error:
        yield Check("catalogue", False, error.reason)


def _guarded(
    examine: Callable[[Catalogue, Config, SecretBox | None], Iterator[Check]],
    catalogue: Catalogue,
    config: Config,
    box: SecretBox | None,
) -> Iterator[Check]:
    """One examination that fails does not keep the others from happening."""
    from onvifd.errors import OnvifdError

    try:
        yield from examine(catalogue, config, box)
    except OnvifdError as error:
        yield Check(examine.__name__.strip("_"), False, error.reason)


def _database(catalogue: Catalogue, config: Config, box: SecretBox | None) -> Iterator[Check]:
    if not catalogue.database.is_sqlite:
        return
    problems = catalogue.database.quick_check()
    yield Check("database", not problems, "; ".join(problems[:5]) or "whole")
    path = Path(catalogue.database.engine.url.database or "")
    mode = path.stat().st_mode & 0o777
    if mode & 0o077 and not config.database.url:
        yield Check("database", False, f"{path} is open to others (mode {mode:04o})")


def _accounts(catalogue: Catalogue, config: Config, box: SecretBox | None) -> Iterator[Check]:
    from onvifd.access.accounts import Accounts
    from onvifd.access.types import Level
    from onvifd.clock import SystemClock

    stored = catalogue.accounts.all()
    administrators = sum(row.level == Level.ADMINISTRATOR for row in stored)
    if box is not None:
        accounts = Accounts(catalogue, box, SystemClock(), realm=config.access.realm)
        accounts.reload()
        for row in stored:
            if accounts.lookup(row.name) is None:
                yield Check("accounts", False, f"the password of {row.name} does not fit the key file")
    yield Check("accounts", administrators > 0, f"{len(stored)}, of which {administrators} administrator(s)")


def _cameras(catalogue: Catalogue, config: Config, box: SecretBox | None) -> Iterator[Check]:
    from onvifd.cameras.registry import Registry
    from onvifd.clock import SystemClock

    stored = catalogue.cameras.all()
    if box is not None:
        usable = {camera.id for camera in Registry(catalogue, box, SystemClock()).all()}
        for row in stored:
            if row.id not in usable:
                yield Check("cameras", False, f"the login of {row.name} ({row.id}) does not fit the key file")
    yield Check("cameras", True, str(len(stored)))


def _recordings(catalogue: Catalogue, config: Config, box: SecretBox | None) -> Iterator[Check]:
    known = {recording.token for recording in catalogue.recordings.all()}
    for token in catalogue.segments.recorded():
        if token not in known:
            yield Check("recordings", False, f"{token} has footage but is not in the catalogue")
    yield Check("recordings", True, str(len(known)))


def _volumes(catalogue: Catalogue, config: Config, files: bool) -> Iterator[Check]:
    from onvifd.archive.disk import Volume

    ids = catalogue.volumes.ids([str(path) for path in config.volume_paths])
    for path in config.volume_paths:
        subject = f"volume {ids[str(path)]}"
        check = _space(subject, path, config.archive.reserve_percent)
        yield check
        if not files or not path.is_dir():
            continue
        yield from _files(catalogue, subject, Volume(ids[str(path)], path))


def _files(catalogue: Catalogue, subject: str, volume: Volume) -> Iterator[Check]:
    """Every segment file of a volume against the index."""
    from onvifd.archive.catalogue_index import CatalogueSegmentStore
    from onvifd.archive.doctor import examine
    from onvifd.errors import OnvifdError

    total, done, found = catalogue.segments.count(volume.id), 0, 0
    with counting(f"segment files of {subject}") as progress:

        def examined() -> None:
            nonlocal done
            done += 1
            # Recording goes on: there may be more than at first.
            progress(done, max(done, total))

        try:
            for finding in examine(CatalogueSegmentStore(catalogue), [volume], examined):
                found += 1
                if found <= MAX_FINDINGS:
                    yield Check(subject, False, f"{finding.path}: {finding.kind.value}: {finding.detail}")
        except OnvifdError as error:
            yield Check(subject, False, error.reason)
            return
    if found > MAX_FINDINGS:
        yield Check(subject, False, f"{found - MAX_FINDINGS} more findings")
    if not found:
        yield Check(subject, True, "files and index agree")


def _space(subject: str, path: Path, reserve: float) -> Check:
    if not path.is_dir():
        return Check(subject, False, f"{path} is not a folder")
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        return Check(subject, False, f"{path} cannot be written")
    usage = shutil.disk_usage(path)
    free = 100 * usage.free / usage.total
    # Retention keeps the reserve free; half of it gone means that others fill the disk.
    if free < reserve / 2:
        return Check(subject, False, f"{path}: {free:.1f} % free, {reserve:g} % should be")
    return Check(subject, True, f"{path}: {usage.free / 1e9:.1f} GB free")
