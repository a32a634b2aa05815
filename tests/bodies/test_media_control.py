"""What clients changed of the media model: rules, what is kept, what is announced, how it feeds recordings."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest

from onvifd.bodies import media_jpeg
from onvifd.bodies.channel import STEADY, Channel, ChannelStream, Limits, media_model
from onvifd.bodies.media_changes import media_events
from onvifd.bodies.media_settings import Changed, KeptProfile, MediaSettings, apply, profile_row, settings_of
from onvifd.cameras.settings import EncoderChoice, EncoderSettings
from onvifd.errors import Conflict, InvalidArgument, NotFound
from onvifd.media.types import Codec, TrackFormat
from onvifd.onvif.backend import MediaModel, MetadataChoice, Part
from onvifd.onvif.media_rules import adapt, combine, parts_of, present
from onvifd.store.rows import MediaConfigurationRow, MediaProfileRow

ONE, TWO = "cam-00000001", "cam-00000002"


def model(*cameras: str) -> MediaModel:
    channels = []
    for number, camera in enumerate(cameras, 1):
        video = TrackFormat(codec=Codec.H264, clock_rate=90_000, width=1280, height=960)
        sound = TrackFormat(codec=Codec.PCMU, clock_rate=8000)
        streams = {name: ChannelStream(name=name, formats=(video, sound)) for name in ("main", "sub")}
        channels.append(
            Channel(camera=camera, number=number, name="x", address="", location="", record=True, streams=streams)
        )
    return media_model(tuple(channels), pictures=True)


def kept(token: str, parts: dict[Part, str] | None, *, fixed: bool = False, started: bool = False) -> KeptProfile:
    return KeptProfile(token=token, fixed=fixed, name=None, parts=parts, started=started, created=0)


# ---- rules


def test_parts_of_different_cameras_do_not_go_together() -> None:
    both = model(ONE, TWO)
    source: dict[Part, str | None] = {Part.VIDEO_SOURCE: f"vsc-{ONE}"}
    after, camera = combine(both, {}, source)
    assert (after, camera) == ({Part.VIDEO_SOURCE: f"vsc-{ONE}"}, ONE)
    with pytest.raises(Conflict):
        combine(both, after, {Part.METADATA: f"mdc-{TWO}-main"})
    with pytest.raises(Conflict):
        combine(both, {}, source, camera=TWO)
    assert combine(both, after, {Part.VIDEO_SOURCE: f"vsc-{TWO}"})[1] == TWO
    assert combine(both, after, {Part.VIDEO_SOURCE: None}) == ({}, "")


def test_metadata_needs_one_of_two_sources() -> None:
    one = model(ONE)
    for part, token in ((Part.VIDEO_SOURCE, f"vsc-{ONE}"), (Part.AUDIO_SOURCE, f"asc-{ONE}")):
        combine(one, {}, {part: token, Part.METADATA: f"mdc-{ONE}-sub"})
    with pytest.raises(Conflict):
        combine(one, {}, {Part.METADATA: f"mdc-{ONE}-sub"})
    combine(one, {}, {Part.METADATA: f"mdc-{ONE}-sub"}, lone_metadata=True)
    with pytest.raises(NotFound):
        combine(one, {}, {Part.VIDEO_SOURCE: f"mdc-{ONE}-sub"})


CHOICE = EncoderChoice(
    codec=Codec.H264,
    resolutions=((1280, 720), (640, 360)),
    framerates=(30.0, 15.0, 1.0),
    bitrates=(100, 4000),
    quality=(0.0, 10.0),
    gov_lengths=(10, 60),
    profiles=("Main", "High"),
)


@pytest.mark.covers("ENC-08")
def test_rates_and_quality_are_moved_into_their_range() -> None:
    encoder = model(ONE).video_encoders[0]
    wanted = EncoderSettings(
        codec=Codec.H264, width=640, height=360, framerate=14.0, bitrate=5, quality=-3.0, gov_length=10
    )
    made = adapt(encoder, wanted, (CHOICE,))
    assert (made.framerate, made.bitrate, made.quality, made.gov_length) == (15.0, 100, 0.0, 10)
    assert made.profile in CHOICE.profiles
    quiet = adapt(encoder, EncoderSettings(codec=Codec.H264, width=640, height=360), (CHOICE,))
    assert (quiet.framerate, quiet.gov_length) == (30.0, 25)
    assert adapt(encoder, wanted, (replace(CHOICE, framerates=()),)).framerate == 14.0


@pytest.mark.parametrize(
    "change",
    [
        {"codec": Codec.H265},
        {"width": 641},
        {"gov_length": 9},
        {"gov_length": 61},
        {"profile": "Baseline"},
        {"framerate": math.nan},
        {"quality": math.nan},
    ],
)
def test_what_was_not_offered_is_refused(change: dict[str, object]) -> None:
    wanted = EncoderSettings(codec=Codec.H264, width=640, height=360)
    with pytest.raises(InvalidArgument) as caught:
        adapt(model(ONE).video_encoders[0], replace(wanted, **change), (CHOICE,))  # type: ignore[arg-type]
    assert caught.value.detail == "ConfigModify"


def test_what_an_encoder_has_can_always_be_chosen() -> None:
    for encoder in model(ONE).video_encoders:
        same = EncoderSettings(codec=encoder.codec, width=encoder.width, height=encoder.height)
        made = adapt(encoder, same, (present(encoder),))
        assert (made.framerate, made.bitrate, made.quality) == (encoder.framerate, encoder.bitrate, encoder.quality)


# ---- pictures


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1280, 960), (4000, 3000), (320, 240), (176, 144), (0, 0)])
def test_sizes_of_pictures(width: int, height: int) -> None:
    found = media_jpeg.sizes(width, height)
    assert (320, 240) in found
    assert all(one > other for one, other in itertools.pairwise(found))
    assert all(each[0] % 8 == each[1] % 8 == 0 for each in found)
    usual = media_jpeg.default(width, height)
    assert (usual.width, usual.height) in found
    # A size that the camera's new shape does not have is not kept.
    odd = EncoderSettings(codec=Codec.JPEG, width=777, height=3, framerate=9.0, quality=9.0)
    assert media_jpeg.effective(odd, width, height) == usual


# ---- kept


def test_what_is_kept_comes_back() -> None:
    settings = settings_of(
        (profile_row(kept("wall", {Part.VIDEO_SOURCE: f"vsc-{ONE}"}, started=True), ONE),),
        (MediaConfigurationRow(token=f"mdc-{ONE}-main", camera=ONE, body='{"choice":{"analytics":false}}'),),
    )
    assert settings.profiles == (kept("wall", {Part.VIDEO_SOURCE: f"vsc-{ONE}"}, started=True),)
    assert settings.configurations == {f"mdc-{ONE}-main": Changed(choice=MetadataChoice(analytics=False))}


def test_what_cannot_be_read_is_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    rows = (
        MediaProfileRow(token="a", parts="["),
        MediaProfileRow(token="b", fixed=True, parts='{"NoSuchKind":"x"}'),
    )
    settings = settings_of(rows, (MediaConfigurationRow(token="c", camera=ONE, body="nothing"),))
    assert [each.parts for each in settings.profiles] == [{}, None]
    assert settings.configurations == {}
    assert len(caplog.records) == 3


def test_profiles_of_clients_come_last_and_have_what_there_is_still() -> None:
    parts = {
        Part.VIDEO_SOURCE: f"vsc-{ONE}",
        Part.VIDEO_ENCODER: f"ve-{ONE}-gone",
        Part.METADATA: f"mdc-{ONE}-main",
    }
    shown = apply(model(ONE), MediaSettings(profiles=(kept("wall", parts), kept("none", {}))))
    *_, wall, none = shown.profiles
    assert (wall.token, wall.video_encoder, wall.metadata) == ("wall", None, f"mdc-{ONE}-main")
    assert (wall.path, wall.camera, wall.snapshot) == (f"/live/{ONE}/wall", ONE, False)
    assert (none.path, none.camera) == ("", "")
    assert parts_of(shown, wall) == {Part.VIDEO_SOURCE: f"vsc-{ONE}", Part.METADATA: f"mdc-{ONE}-main"}


# ---- announced


def test_only_what_lasts_is_announced() -> None:
    before = model(ONE)
    encoder = before.video_encoders[0]
    measured = replace(before, video_encoders=(replace(encoder, bitrate=1, framerate=7.0), *before.video_encoders[1:]))
    assert media_events(before, measured, {}, {}, 0) == ()
    larger = replace(before, video_encoders=(replace(encoder, width=99), *before.video_encoders[1:]))
    (event,) = media_events(before, larger, {}, {}, 0)
    assert event.source == (("Token", encoder.token), ("Type", "VideoEncoder"))
    (event,) = media_events(before, before, {}, {encoder.token: Changed(group=("239.1.1.1", 5000, 1))}, 0)
    assert event.topic == "Media/ConfigurationChanged"
    started = apply(before, MediaSettings(profiles=(kept(f"{ONE}-main", None, fixed=True, started=True),)))
    assert started.profiles[0].started
    assert media_events(before, started, {}, {}, 0) == ()


def test_profiles_that_come_and_go_are_announced() -> None:
    one, both = model(ONE), model(ONE, TWO)
    come = [event.source[0][1] for event in media_events(one, both, {}, {}, 0)]
    assert come == [f"{TWO}-main", f"{TWO}-sub", f"{TWO}-jpeg"]
    assert {event.source[0][1] for event in media_events(both, one, {}, {}, 0)} == set(come)


@pytest.mark.parametrize(("indication", "profile"), [(0x01, "SP"), (0x08, "SP"), (0xF3, "ASP"), (None, "SP")])
def test_the_profile_of_mpeg4_is_its_own_whatever_the_camera_said_of_h264(indication: int | None, profile: str) -> None:
    config = b"" if indication is None else bytes((0, 0, 1, 0xB0, indication))
    video = TrackFormat(codec=Codec.MPEG4, clock_rate=90_000, width=1280, height=720, config=config)
    stream = ChannelStream(name="main", formats=(video,), encoder_profile="Baseline")
    channel = Channel(camera=ONE, number=1, name="x", address="", location="", record=True, streams={"main": stream})
    assert media_model((channel,)).video_encoders[0].profile == profile


# ---- what is shown of streams


def shown(stream: ChannelStream) -> MediaModel:
    return media_model(
        (Channel(camera=ONE, number=1, name="x", address="", location="", record=True, streams={"main": stream}),)
    )


VIDEO = TrackFormat(codec=Codec.H264, clock_rate=90_000, width=1280, height=720)


def test_limits_are_what_the_camera_says_rather_than_what_is_measured() -> None:
    limits = Limits(framerate=25.0, bitrate=4096, gov_length=50)
    stream = ChannelStream(
        name="main", formats=(VIDEO,), framerate=12.4, bitrate=1_800_000, gov_length=12, limits=limits
    )
    (encoder,) = shown(stream).video_encoders
    assert (encoder.framerate, encoder.bitrate, encoder.gov_length) == (25.0, 4096, 50)
    # It was set otherwise since.
    stream.framerate, stream.bitrate = 50.0, 9_000_000
    (encoder,) = shown(stream).video_encoders
    assert (encoder.framerate, encoder.bitrate) == (50.0, 9000)
    stream.limits = Limits()
    stream.framerate, stream.bitrate = 12.4, 1_800_000
    (encoder,) = shown(stream).video_encoders
    assert (encoder.framerate, encoder.bitrate, encoder.gov_length) == (12.4, 1800, 12)


def sound(codec: Codec, rate: int, channels: int = 1, bits: int = 0) -> TrackFormat:
    return TrackFormat(codec=codec, clock_rate=rate, channels=channels, bits=bits)


@pytest.mark.parametrize(
    ("track", "bitrate"),
    [
        (sound(Codec.PCMU, 8000), 64),
        (sound(Codec.PCMA, 16000, 2), 256),
        (sound(Codec.L16, 44100, 2), 1411),
        (sound(Codec.G726, 8000, bits=3), 24),
        (sound(Codec.AAC, 16000), 48),
        (sound(Codec.OPUS, 48000, 2), 48),
    ],
)
def test_the_bit_rate_of_sound_is_that_of_the_stream(track: TrackFormat, bitrate: int) -> None:
    stream = ChannelStream(name="main", formats=(VIDEO, track))
    assert shown(stream).audio_encoders[0].bitrate > 0
    stream.measured(25, 46_900)
    assert shown(stream).audio_encoders[0].bitrate == bitrate


def test_the_camera_knows_the_bit_rate_of_its_aac() -> None:
    stream = ChannelStream(name="main", formats=(VIDEO, sound(Codec.AAC, 16000)), limits=Limits(audio_bitrate=32))
    stream.measured(25, 46_900)
    assert shown(stream).audio_encoders[0].bitrate == 32


def test_what_is_measured_is_shown_when_it_has_settled() -> None:
    """What a client reads and writes back a moment later must be what is shown still."""
    stream = ChannelStream(name="main", formats=(VIDEO, sound(Codec.AAC, 16000)))
    stream.measured(50, 64_000)
    assert (stream.gov_length, stream.audio_bitrate) == (50, 64)
    # A key frame on demand, a moment of silence, a report of a worker that has just begun.
    for gov_length, audio in ((7, 9_000), (43, 64_500), (50, 63_000), (0, 0), (7, 9_000)):
        stream.measured(gov_length, audio)
        assert (stream.gov_length, stream.audio_bitrate) == (50, 64)
    for _ in range(STEADY):
        stream.measured(25, 128_000)
    assert (stream.gov_length, stream.audio_bitrate) == (25, 128)
