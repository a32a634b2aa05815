"""Where the device and its parts are (Core 8.3.20 to 8.3.22), and the folders that hold footage (Core 8.8)."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path

from onvifd.bodies.device_state import DeviceState
from onvifd.errors import Conflict, InvalidArgument, LimitReached, NotFound
from onvifd.host.reading import read
from onvifd.onvif.device_backend import Place, Storage
from onvifd.onvif.soap.faults import RECEIVER, SoapFault

MAX_PLACES = 64
MAX_STORAGES = 8
"""Folders that clients may add."""
LOCAL = "Local"
_KINDS = {"nfs": "NFS", "nfs4": "NFS", "cifs": "CIFS", "smb3": "CIFS"}
"""Kinds of file systems that tds:StorageType has a name for."""


class DevicePlaces:
    """Entries by entity and token."""

    def __init__(self, state: DeviceState) -> None:
        self._state = state

    def max_places(self) -> int:
        return MAX_PLACES

    def places(self) -> tuple[Place, ...]:
        return self._state.now.places

    async def set_places(self, places: tuple[Place, ...]) -> None:
        async with self._state.changing:
            after = {(place.entity, place.token): place for place in self.places()}
            after |= {(place.entity, place.token): place for place in places}
            if len(after) > MAX_PLACES:
                raise LimitReached(f"At most {MAX_PLACES} entries can be kept.", detail="TooManyEntries")
            await self._state.change(places=tuple(after.values()))

    async def delete_places(self, names: tuple[tuple[str, str], ...]) -> None:
        async with self._state.changing:
            after = {(place.entity, place.token): place for place in self.places()}
            for name in names:
                if name not in after:
                    raise NotFound("There is no such entry.", detail="NoConfig")
                del after[name]
            await self._state.change(places=tuple(after.values()))


class DeviceStorage:
    """`fixed` gives the recorder's volumes as they are now: token and folder. Clients may add folders below `roots`, which are
    recorded to from the next start on. `used` tells whether a folder holds footage (blocking)."""

    def __init__(
        self,
        state: DeviceState,
        fixed: Callable[[], Iterable[tuple[str, Path]]],
        roots: Iterable[Path],
        used: Callable[[Path], bool],
    ) -> None:
        self._state = state
        self._volumes = fixed
        self._roots = tuple(roots)
        self._used = used

    @property
    def _fixed(self) -> tuple[tuple[str, Path], ...]:
        return tuple(self._volumes())

    def max_storages(self) -> int:
        return len(self._fixed) + (MAX_STORAGES if self._roots else 0)

    async def storages(self) -> tuple[Storage, ...]:
        return await asyncio.to_thread(self._all)

    def _all(self) -> tuple[Storage, ...]:
        mounts = _mounts()
        added = [Storage(token=token, kind=kind, path=path) for token, kind, path in self._state.now.storages]
        own = {storage.path for storage in added}
        # A folder that was added is a volume since the last start; it keeps the token that its client knows.
        fixed = [(token, path) for token, path in self._fixed if str(path) not in own]
        return (*(Storage(token=token, kind=_kind(path, mounts), path=str(path)) for token, path in fixed), *added)

    async def create_storage(self, kind: str, path: str) -> str:
        async with self._state.changing:
            if len(await self.storages()) >= self.max_storages():
                raise SoapFault(
                    RECEIVER,
                    ("OperationProhibited", "MaxStorageConfigurations"),
                    "No further storage can be configured.",
                )
            folder = await asyncio.to_thread(self._check, path)
            if any(each.path == folder for each in await self.storages()):
                raise InvalidArgument("This folder is configured already.")
            token = f"storage-{uuid.uuid4().hex[:12]}"
            await self._state.change(storages=(*self._state.now.storages, (token, kind, folder)))
            return token

    def _check(self, path: str) -> str:
        """The folder in full. Raises InvalidArgument for one that may not be used."""
        folder = Path(path)
        if not folder.is_absolute() or not folder.is_dir():
            raise InvalidArgument("There is no such folder.")
        folder = folder.resolve()
        if not any(folder.is_relative_to(root.resolve()) for root in self._roots):
            raise InvalidArgument("Folders for recordings are only allowed where the settings say.")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise InvalidArgument("The folder cannot be written to.")
        return str(folder)

    async def _find(self, token: str) -> Storage:
        for storage in await self.storages():
            if storage.token == token:
                return storage
        raise NotFound("There is no such storage configuration.", detail="NoConfig")

    async def set_storage(self, token: str, kind: str, path: str) -> None:
        async with self._state.changing:
            storage = await self._find(token)
            if storage.path == path and storage.kind == kind:
                return
            if token in {name for name, _ in self._fixed} or await asyncio.to_thread(self._used, Path(storage.path)):
                raise InvalidArgument("A folder in use stays where it is.", detail="ConfigModify")
            try:
                folder = await asyncio.to_thread(self._check, path)
            except InvalidArgument as error:
                raise InvalidArgument(error.reason, detail="ConfigModify") from error
            others = tuple(each for each in self._state.now.storages if each[0] != token)
            await self._state.change(storages=(*others, (token, kind, folder)))

    async def delete_storage(self, token: str) -> None:
        async with self._state.changing:
            storage = await self._find(token)
            fixed = token in {name for name, _ in self._fixed}
            if fixed or await asyncio.to_thread(self._used, Path(storage.path)):
                raise Conflict("The storage is in use.", detail="ConfigurationConflict")
            await self._state.change(storages=tuple(each for each in self._state.now.storages if each[0] != token))


def _mounts() -> list[tuple[str, str]]:
    """Folders and kinds of the file systems that are mounted."""
    found = []
    for line in read("/proc/self/mounts").splitlines():
        fields = line.split()
        if len(fields) > 2:
            found.append((fields[1].replace("\\040", " "), fields[2]))
    return found


def _kind(path: Path, mounts: list[tuple[str, str]]) -> str:
    """What the folder lies on: the longest mount point above it decides."""
    best = max((m for m in mounts if path.is_relative_to(m[0])), key=lambda m: len(m[0]), default=("", ""))
    return _KINDS.get(best[1], LOCAL)
