"""Cameras as configured: what is made with them, tokens, secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from onvifd.access.keyfile import SecretBox
from onvifd.cameras.registry import (
    Camera,
    Credentials,
    Driver,
    NewCamera,
    Registry,
    Role,
    Stream,
    redact,
    split_credentials,
)
from onvifd.clock import SimulatedClock
from onvifd.errors import Conflict, InvalidArgument, LimitReached, NotFound, Unavailable
from onvifd.media.types import Codec, PtzPart, TrackFormat
from onvifd.store.catalogue import Catalogue
from onvifd.store.rows import SegmentRow

LOGIN = Credentials(user="operator", password="s3cret-of-camera")


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    catalogue = Catalogue.open(f"sqlite:///{tmp_path / 'catalogue.sqlite3'}", migrate=True)
    yield catalogue
    catalogue.close()


@pytest.fixture
def registry(catalogue: Catalogue) -> Registry:
    return Registry(catalogue, SecretBox(bytes(32)), SimulatedClock(), limit=3)


def new_camera(number: int = 1, *, audio: bool = True) -> NewCamera:
    host = f"192.0.2.{number}"
    main = Stream(
        role=Role.MAIN,
        uri=f"rtsp://{host}/main",
        source_profile="p0",
        snapshot_uri=f"http://{host}/snap",
        video_codec=Codec.H265,
        width=1920,
        height=1080,
        framerate=25.0,
        bitrate=4096,
        gov_length=50,
        encoder_profile="Main",
        audio_codec=Codec.PCMU if audio else None,
        sample_rate=8000,
        audio_channels=1,
        audio_bitrate=64,
        quality=72.5,
        ptz=frozenset({PtzPart.ZOOM_STATUS, PtzPart.PAN_TILT_POSITION}),
    )
    sub = Stream(role=Role.SUB, uri=f"rtsp://{host}/sub", video_codec=Codec.H264, width=640, height=360)
    return NewCamera(
        name=f"Gate {number}",
        driver=Driver.ONVIF,
        address=f"http://{host}/onvif/device_service",
        streams=(sub, main),
        credentials=LOGIN,
        manufacturer="Maker",
        model="M1",
        event_address=f"http://{host}/onvif/events",
    )


def test_a_camera_comes_back_as_it_was_added(registry: Registry) -> None:
    camera = registry.add(new_camera())
    assert re.fullmatch(r"cam-[0-9a-f]{8}", camera.id)
    assert camera.channel == 1
    assert camera.credentials == LOGIN
    assert [stream.role for stream in camera.streams] == [Role.MAIN, Role.SUB]
    assert camera.main == new_camera().streams[1]
    assert camera.sub == new_camera().streams[0]
    assert registry.get(camera.id) == camera
    assert registry.all() == (camera,)


def test_profiles_recording_and_job_derive_from_the_id(registry: Registry, catalogue: Catalogue) -> None:
    camera = registry.add(new_camera())
    assert [(p.token, p.fixed) for p in catalogue.cameras.profiles()] == [
        (f"{camera.id}-main", True),
        (f"{camera.id}-sub", True),
    ]
    (recording,) = catalogue.recordings.all()
    assert recording.token == f"rec-{camera.id}"
    assert recording.source_id == f"vs-{camera.id}"
    assert recording.source_name == "Gate 1"
    assert [track.token for track in recording.tracks] == ["VIDEO001", "AUDIO001", "META001"]
    (job,) = catalogue.recordings.jobs()
    assert (job.token, job.recording, job.sources[0].token, job.active) == (
        f"job-{camera.id}",
        recording.token,
        f"{camera.id}-main",
        True,
    )


def test_there_is_no_audio_track_without_audio(registry: Registry, catalogue: Catalogue) -> None:
    registry.add(new_camera(audio=False))
    assert [track.token for track in catalogue.recordings.all()[0].tracks] == ["VIDEO001", "META001"]


def test_channels_are_filled_from_the_lowest_free_one(registry: Registry) -> None:
    first, second = registry.add(new_camera(1)), registry.add(new_camera(2))
    assert (first.channel, second.channel) == (1, 2)
    registry.remove(first.id)
    assert registry.add(new_camera(3)).channel == 1
    assert [camera.name for camera in registry.all()] == ["Gate 3", "Gate 2"]


@pytest.mark.covers("A002", "CAM-31")
def test_the_number_of_cameras_is_bounded(registry: Registry) -> None:
    for number in range(1, 4):
        registry.add(new_camera(number))
    with pytest.raises(LimitReached):
        registry.add(new_camera(4))


def test_the_same_stream_is_not_added_twice(registry: Registry) -> None:
    first = registry.add(new_camera())
    with pytest.raises(Conflict, match=first.id):
        registry.add(new_camera())


def test_a_removed_camera_leaves_its_recording(registry: Registry, catalogue: Catalogue) -> None:
    camera = registry.add(new_camera())
    token = f"rec-{camera.id}"
    segment = catalogue.segments.insert(
        SegmentRow(recording=token, volume="v", path="a.mp4", start=0, end=1, size=1, state="closed")
    )
    registry.remove(camera.id)
    assert registry.all() == ()
    assert catalogue.cameras.profiles() == ()
    assert catalogue.recordings.jobs() == ()
    recording = catalogue.recordings.get(token)
    assert recording.camera is None
    with pytest.raises(Conflict):
        catalogue.recordings.remove(token)
    catalogue.segments.remove(segment)
    catalogue.recordings.remove(token)
    assert catalogue.recordings.all() == ()
    with pytest.raises(NotFound):
        registry.remove(camera.id)


def test_an_update_keeps_identity_and_changes_the_rest(registry: Registry, catalogue: Catalogue) -> None:
    camera = registry.add(new_camera())
    changed = registry.update(replace(camera, name="Yard", streams=(camera.main,)))
    assert (changed.id, changed.channel, changed.created) == (camera.id, camera.channel, camera.created)
    assert (changed.name, changed.sub) == ("Yard", None)
    assert [profile.name for profile in catalogue.cameras.profiles()] == ["Yard main"]
    assert catalogue.recordings.all()[0].source_name == "Yard"
    with pytest.raises(NotFound):
        registry.update(replace(camera, id="cam-00000000"))


def test_changes_at_the_same_time_are_all_kept(registry: Registry) -> None:
    camera = registry.add(new_camera())
    with ThreadPoolExecutor(4) as threads:
        work = [
            threads.submit(registry.change, camera.id, lambda known: replace(known, name=known.name + "x"))
            for _ in range(8)
        ]
        for each in work:
            each.result()
    assert registry.get(camera.id).name == camera.name + 8 * "x"


def test_what_a_stream_carries_is_learnt_once(registry: Registry, catalogue: Catalogue) -> None:
    camera = registry.add(new_camera())
    formats = (
        TrackFormat(codec=Codec.H265, clock_rate=90_000, width=640, height=480),
        TrackFormat(codec=Codec.AAC, clock_rate=16_000, channels=2),
    )
    registry.learn(camera.id, "main", formats)
    main = registry.get(camera.id).main
    assert (main.video_codec, main.width, main.height) == (Codec.H265, 640, 480)
    assert (main.audio_codec, main.sample_rate, main.audio_channels) == (Codec.AAC, 16_000, 2)
    revision = catalogue.revision()
    registry.learn(camera.id, "main", formats)
    assert catalogue.revision() == revision
    registry.learn(camera.id, "main", formats[:1])
    assert registry.get(camera.id).main.audio_codec is None
    with pytest.raises(NotFound):
        registry.learn("cam-00000000", "main", formats)


def test_every_change_raises_the_revision(registry: Registry, catalogue: Catalogue) -> None:
    seen = [catalogue.revision()]
    camera = registry.add(new_camera())
    seen.append(catalogue.revision())
    catalogue.policies.put(replace(catalogue.policies.get(camera.id, "main"), mode="off"))
    seen.append(catalogue.revision())
    registry.remove(camera.id)
    seen.append(catalogue.revision())
    assert seen == sorted(set(seen))
    assert registry.all() == ()
    assert catalogue.revision() == seen[-1]


def test_a_camera_is_recorded_unless_it_is_added_otherwise(registry: Registry, catalogue: Catalogue) -> None:
    camera = registry.add(new_camera())
    assert registry.modes() == {camera.id: "auto"}
    assert catalogue.recordings.jobs()[0].active is True
    registry.remove(camera.id)
    camera = registry.add(replace(new_camera(), record=False))
    registry.change(camera.id, lambda known: replace(known, name="Yard"))
    assert registry.modes() == {camera.id: "off"}
    assert catalogue.recordings.jobs()[0].active is False


def test_secrets_are_neither_stored_nor_shown_in_clear(
    registry: Registry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    new = replace(
        new_camera(),
        driver=Driver.RTSP,
        address="rtsp://ann:p%40ss-in-url@192.0.2.1/user=ann&password=in-path&channel=1",
        credentials=None,
        streams=(Stream(role=Role.MAIN, uri="rtsp://ann:p%40ss-in-url@192.0.2.1/user=ann&password=in-path&channel=1"),),
    )
    camera = registry.add(new)
    assert camera.credentials == Credentials(user="ann", password="p@ss-in-url")
    assert camera.main.uri == "rtsp://192.0.2.1/user=ann&password=in-path&channel=1"
    assert camera.address == camera.main.uri
    assert camera.shown_address == "rtsp://192.0.2.1/user=ann&password=***&channel=1"
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"192.0.2.1" in stored
    for secret in ("ss-in-url", "in-path"):
        assert secret.encode() not in stored
        assert secret not in caplog.text
        assert secret not in repr(camera)
        assert secret not in repr(new)


def test_another_key_does_not_open_a_login(
    registry: Registry, catalogue: Catalogue, caplog: pytest.LogCaptureFixture
) -> None:
    camera = registry.add(new_camera())
    other = Registry(catalogue, SecretBox(b"\1" * 32), SimulatedClock())
    assert other.all() == ()
    assert camera.id in caplog.text
    with pytest.raises(Unavailable):
        other.get(camera.id)


def test_find_takes_id_channel_or_name(registry: Registry) -> None:
    camera = registry.add(new_camera())
    assert [registry.find(which) for which in (camera.id, "1", "Gate 1")] == [camera] * 3
    with pytest.raises(NotFound):
        registry.find("Gate 2")
    registry.add(replace(new_camera(2), name="Gate 1"))
    with pytest.raises(Conflict):
        registry.find("Gate 1")


@pytest.mark.covers("CAM-39")
@pytest.mark.parametrize(
    "change",
    [
        {"name": "  "},
        {"name": "x" * 64},
        {"address": "no url"},
        {"address": "http:///x"},
        {"address": "http://host:port/"},
        {"streams": ()},
        {"streams": (Stream(role=Role.SUB, uri="rtsp://192.0.2.9/a"),)},
        {
            "streams": (
                Stream(role=Role.MAIN, uri="rtsp://192.0.2.9/a"),
                Stream(role=Role.MAIN, uri="rtsp://192.0.2.9/b"),
            )
        },
        {"streams": (Stream(role=Role.MAIN, uri="http://192.0.2.9/a"),)},
    ],
)
def test_a_camera_that_cannot_be_used_is_refused(registry: Registry, change: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument):
        registry.add(replace(new_camera(), **change))  # type: ignore[arg-type]
    assert registry.all() == ()


@pytest.mark.parametrize(
    ("url", "clean", "user", "password"),
    [
        ("rtsp://u:p@host:554/a?b=c", "rtsp://host:554/a?b=c", "u", "p"),
        ("rtsp://u:p%40q%3A@host/a", "rtsp://host/a", "u", "p@q:"),
        ("rtsp://u:p@q@host/a", "rtsp://host/a", "u", "p@q"),
        ("http://u@[2001:db8::1]:80/", "http://[2001:db8::1]:80/", "u", ""),
    ],
)
def test_userinfo_is_split_off(url: str, clean: str, user: str, password: str) -> None:
    assert split_credentials(url) == (clean, Credentials(user=user, password=password))
    assert split_credentials(clean) == (clean, None)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://u:p@host/a", "rtsp://host/a"),
        ("http://host/cgi?user=u&pwd=p&x=1", "http://host/cgi?user=u&pwd=***&x=1"),
        ("rtsp://host/user=a_password=b_channel=1", "rtsp://host/user=a_password=***"),
        ("rtsp://host/passage=1", "rtsp://host/passage=1"),
        ("rtsp://u:p/w?x#y@host/a", "rtsp://host/a"),
        ("rtsp://host:554/a@b", "rtsp://host:554/a@b"),
        ("rtsp://[2001:db8::1]:554/a@b", "rtsp://[2001:db8::1]:554/a@b"),
    ],
)
def test_redact(url: str, shown: str) -> None:
    assert redact(url) == shown
    assert redact(shown) == shown


def test_cameras_are_plain_data(registry: Registry) -> None:
    camera = registry.add(new_camera())
    assert isinstance(camera, Camera)
    assert "s3cret-of-camera" not in repr(camera)


def test_what_a_camera_decodes_is_kept_apart(registry: Registry) -> None:
    horn = (TrackFormat(codec=Codec.PCMU, clock_rate=8000, channels=1),)
    camera = registry.add(replace(new_camera(), talk=horn))
    assert camera.talk == horn
    assert registry.update(replace(camera, name="Gate 2")).talk == horn
    assert registry.all()[0].talk == registry.find("Gate 2").talk == horn
    registry.learn_talk(camera.id, ())
    assert registry.get(camera.id).talk == ()
