"""Media time follows wall time."""

from __future__ import annotations

from onvifd.archive.timeline import Timeline
from onvifd.clock import US
from onvifd.media.types import AccessUnit, Codec, TrackFormat

T0 = 1_767_225_600 * US
VIDEO = TrackFormat(codec=Codec.H264, clock_rate=90000)
SOUND = TrackFormat(codec=Codec.PCMU, clock_rate=8000, channels=1)


def units(*times: int, size: int = 160) -> list[AccessUnit]:
    return [AccessUnit(0, T0 + time, 0, False, bytes(size)) for time in times]


def test_video_durations_lead_from_frame_to_frame() -> None:
    run = Timeline(VIDEO, T0).run(0, units(0, 33_333, 66_667), T0 + 100_000)
    assert run.decode_time == 0
    assert [sample.duration for sample in run.samples] == [33_333, 33_334, 33_333]


def test_the_next_run_begins_where_the_last_ended() -> None:
    timeline = Timeline(VIDEO, T0)
    timeline.run(0, units(0, 40_000), T0 + 80_000)
    assert timeline.run(0, units(80_000), T0 + 120_000).decode_time == 80_000


def test_reordered_pictures_get_composition_offsets() -> None:
    run = Timeline(VIDEO, T0).run(0, units(0, 120_000, 40_000, 80_000), T0 + 160_000)
    assert [sample.composition for sample in run.samples] == [0, 80_000, -40_000, -40_000]
    assert [sample.duration for sample in run.samples] == [40_000] * 4


def test_equal_times_still_grow() -> None:
    run = Timeline(VIDEO, T0).run(0, units(0, 0, 40_000), T0 + 80_000)
    assert all(sample.duration > 0 for sample in run.samples)
    assert run.samples[1].composition == -1


def test_sound_with_jitter_has_no_seams() -> None:
    timeline = Timeline(SOUND, T0)
    run = timeline.run(0, units(3_000, 21_000, 44_000), T0)
    assert run.decode_time == 0
    assert [sample.duration for sample in run.samples] == [160, 160, 160]
    assert timeline.run(0, units(59_000), T0).decode_time == 480


def test_missing_sound_is_a_hole_in_media_time() -> None:
    run = Timeline(SOUND, T0).run(0, units(0, 20_000, 140_000), T0)
    assert [sample.duration for sample in run.samples] == [160, 960, 160]


def test_sound_from_before_the_segment_begins_at_zero() -> None:
    run = Timeline(SOUND, T0).run(0, units(-500_000, -480_000), T0)
    assert (run.decode_time, run.utc) == (0, T0 - 500_000)
