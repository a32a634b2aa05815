"""Settings, accounts, volumes, spans and the facade for event loops, on both databases."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from onvifd.errors import NotFound, Unavailable
from onvifd.store import catalogue as module
from onvifd.store.accounts import AccountEdit
from onvifd.store.catalogue import AsyncCatalogue, Catalogue
from onvifd.store.rows import AccountRow, CameraRow, JobRow, JobSourceRow, ProfileRow, RecordingRow, StreamRow, TrackRow


def test_settings_are_kept(catalogue: Catalogue) -> None:
    settings = catalogue.settings
    assert settings.get("uuid") is None
    assert settings.put_default("uuid", "a") == "a"
    assert settings.put_default("uuid", "b") == "a"
    settings.put("uuid", "c")
    assert settings.get("uuid") == "c"
    settings.remove("uuid")
    assert settings.get("uuid") is None


def account(name: str, created: int = 0) -> AccountRow:
    return AccountRow(name=name, level="User", password=b"\0sealed", created=created)


def test_accounts_are_edited_in_one_transaction(catalogue: Catalogue) -> None:
    before = catalogue.revision()
    catalogue.accounts.edit(lambda present: AccountEdit(put=(account("b", 1), account("a", 2))))
    assert [row.name for row in catalogue.accounts.all()] == ["b", "a"]
    assert catalogue.revision() == before + 1

    def decide(present: Mapping[str, AccountRow]) -> AccountEdit:
        return AccountEdit(put=(replace(present["a"], level="Operator"),), remove=("b",))

    catalogue.accounts.edit(decide)
    assert catalogue.accounts.all() == (replace(account("a", 2), level="Operator"),)
    assert catalogue.revision() == before + 2


def test_of_two_editors_the_second_sees_what_the_first_did(catalogue: Catalogue) -> None:
    """The rule of the last administrator rests on it."""
    seen: list[int] = []
    entered = threading.Barrier(2)

    def add(name: str) -> None:
        entered.wait(10)

        def decide(present: Mapping[str, AccountRow]) -> AccountEdit:
            seen.append(len(present))
            return AccountEdit(put=(account(name),))

        catalogue.accounts.edit(decide)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(add, ("a", "b")))
    assert sorted(seen) == [0, 1]


def test_secrets_do_not_show_in_rows() -> None:
    assert "sealed" not in repr(account("a"))
    assert "argon2id" not in repr(account("a"))


def camera_rows(ident: str = "cam-00000001") -> tuple[CameraRow, list[ProfileRow], RecordingRow, JobRow]:
    camera = CameraRow(
        id=ident,
        channel=0,
        name="Gate",
        driver="onvif",
        address="http://192.0.2.1/",
        credentials=b"\0\1",
        streams=(
            StreamRow(camera=ident, role="main", uri="rtsp://192.0.2.1/a", framerate=12.5),
            StreamRow(camera=ident, role="sub", uri="rtsp://192.0.2.1/b"),
        ),
    )
    profiles = [ProfileRow(token=f"{ident}-{role}", camera=ident, role=role, name=role) for role in ("sub", "main")]
    track = TrackRow(recording=f"rec-{ident}", token="VIDEO001", kind="video")
    recording = RecordingRow(
        token=f"rec-{ident}", camera=ident, source_id=f"vs-{ident}", source_name="Gate", tracks=(track,)
    )
    return (
        camera,
        profiles,
        recording,
        JobRow(
            token=f"job-{ident}",
            recording=recording.token,
            camera=ident,
            sources=(JobSourceRow(kind="profile", token=f"{ident}-main"),),
        ),
    )


def test_a_camera_and_what_belongs_to_it(catalogue: Catalogue) -> None:
    camera, profiles, recording, job = camera_rows()
    stored = catalogue.cameras.add(camera, profiles, recording, job, limit=10)
    assert stored == replace(camera, channel=1)
    assert catalogue.cameras.all() == (stored,)
    assert [profile.role for profile in catalogue.cameras.profiles()] == ["main", "sub"]
    assert catalogue.recordings.get(recording.token) == recording
    assert catalogue.recordings.jobs() == (job,)
    catalogue.cameras.remove(camera.id)
    assert catalogue.cameras.all() == ()
    assert catalogue.cameras.profiles() == ()
    assert catalogue.recordings.all() == (replace(recording, camera=None),)
    with pytest.raises(NotFound):
        catalogue.cameras.get(camera.id)


def test_a_track_that_turns_up_is_noted_once(catalogue: Catalogue) -> None:
    camera, profiles, recording, job = camera_rows()
    catalogue.cameras.add(camera, profiles, recording, job, limit=10)
    audio = TrackRow(recording=recording.token, token="AUDIO001", kind="audio", description="sound")
    assert catalogue.recordings.add_track(audio) is True
    revision = catalogue.revision()
    assert catalogue.recordings.add_track(audio) is False
    assert catalogue.revision() == revision
    assert [track.token for track in catalogue.recordings.get(recording.token).tracks] == ["VIDEO001", "AUDIO001"]
    with pytest.raises(NotFound):
        catalogue.recordings.add_track(replace(audio, recording="rec-none"))


def test_job_modes(catalogue: Catalogue) -> None:
    camera, profiles, recording, job = camera_rows()
    catalogue.cameras.add(camera, profiles, recording, job, limit=10)
    catalogue.recordings.set_job_mode(job.token, False)
    assert catalogue.recordings.jobs() == (replace(job, active=False),)
    with pytest.raises(NotFound) as error:
        catalogue.recordings.set_job_mode("job-none", True)
    assert error.value.detail == "NoRecordingJob"


def test_volumes_keep_their_ids(catalogue: Catalogue) -> None:
    assert catalogue.volumes.ids(["/a", "/b"]) == {"/a": "vol-1", "/b": "vol-2"}
    a, b = catalogue.volumes.ensure("/a", 0, 5), catalogue.volumes.ensure("/b", 7, 5)
    assert (a.id, b.id) == ("vol-1", "vol-2")
    assert catalogue.volumes.ensure("/b", 9, 6) == replace(b, max_bytes=9)
    assert catalogue.volumes.ids(["/c", "/b", "/d"]) == {"/c": "vol-3", "/b": "vol-2", "/d": "vol-4"}
    assert [volume.path for volume in catalogue.volumes.all()] == ["/a", "/b"]


def test_spans(catalogue: Catalogue) -> None:
    spans = catalogue.spans
    first, second = spans.begin("rec-1", "motion", 10), spans.begin("rec-1", "motion", 30)
    spans.finish(first, 20)
    assert [(span.start, span.end) for span in spans.between("rec-1", 0, 100)] == [(10, 20), (30, None)]
    assert [span.id for span in spans.between("rec-1", 20, 100)] == [second]
    assert spans.between("rec-1", 0, 10) == ()
    assert spans.between("rec-2", 0, 100) == ()
    spans.forget_before("rec-1", 25)
    assert [span.id for span in spans.between("rec-1", 0, 100)] == [second]


async def test_the_facade_runs_calls_in_its_own_threads(catalogue: Catalogue) -> None:
    facade = AsyncCatalogue(catalogue)
    assert (await facade.run(threading.current_thread)).name.startswith("catalogue")
    await facade.run(catalogue.settings.put, "a", value="1")
    assert await facade.run(catalogue.settings.get, "a") == "1"
    with pytest.raises(NotFound):
        await facade.run(catalogue.cameras.get, "cam-none")
    await facade.close()


async def test_the_facade_is_bounded(catalogue: Catalogue) -> None:
    facade = AsyncCatalogue(catalogue, threads=1, waiting=1)
    release = threading.Event()
    calls = [asyncio.create_task(facade.run(release.wait, 10)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="overloaded"):
        await facade.run(catalogue.revision)
    release.set()
    assert await asyncio.gather(*calls) == [True, True]
    assert await facade.run(catalogue.revision) == 0
    await facade.close()


async def test_a_caller_does_not_wait_for_ever(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CALL_TIMEOUT", 0.01)
    facade = AsyncCatalogue(catalogue, threads=1)
    release = threading.Event()
    with pytest.raises(module.Timeout):
        await facade.run(release.wait, 10)
    release.set()
    await facade.close()


async def test_cancellation_that_comes_with_the_result_is_not_lost(catalogue: Catalogue) -> None:
    """A task that is told to end while its answer arrives must end: a stop waits for it."""
    facade = AsyncCatalogue(catalogue)
    for _ in range(20):
        task = asyncio.create_task(facade.run(lambda: 1))
        await asyncio.sleep(0)
        while facade._pending:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await facade.close()
