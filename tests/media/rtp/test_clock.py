from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from onvifd.clock import US, utc_to_ntp
from onvifd.media.rtp.clock import TimestampUnwrapper, TrackClock

T0 = 1_767_225_600 * US
FRAME = 40_000


@given(start=st.integers(0, 0xFFFFFFFF), steps=st.lists(st.integers(-(1 << 31), (1 << 31) - 1), max_size=30))
def test_unwrapper_follows_every_step(start: int, steps: list[int]) -> None:
    unwrapper = TimestampUnwrapper()
    ticks = unwrapper.unwrap(start)
    assert ticks == start
    for step in steps:
        ticks += step
        assert unwrapper.peek(ticks & 0xFFFFFFFF) == ticks
        assert unwrapper.unwrap(ticks & 0xFFFFFFFF) == ticks


@given(offset=st.integers(0, 0xFFFFFFFF), delay=st.integers(0, 900_000), count=st.integers(1, 2000))
def test_a_report_on_a_frame_gives_the_exact_microsecond(offset: int, delay: int, count: int) -> None:
    clock = TrackClock(90000)
    clock.sender_report(utc_to_ntp(T0), offset, T0 + delay)
    for index in range(0, count, 97):
        stamp = clock.stamp((offset + index * 3600) & 0xFFFFFFFF, T0 + index * FRAME + delay)
        assert stamp.utc == T0 + index * FRAME
        assert stamp.jump == 0
    assert clock.by_report


def test_exact_over_a_wrap_with_a_report_every_5_seconds() -> None:
    clock = TrackClock(90000)
    offset = 0xFFFFFFFF - 90000
    for index in range(5000):
        utc, rtp_time = T0 + index * FRAME, (offset + index * 3600) & 0xFFFFFFFF
        if index % 125 == 0:
            clock.sender_report(utc_to_ntp(utc), rtp_time, utc + 1000)
        assert clock.stamp(rtp_time, utc + 3000).utc == utc


def test_before_the_first_report_frames_keep_their_distance_from_the_first_arrival() -> None:
    clock = TrackClock(90000)
    jitter = [0, 9000, 2000, 30000, 1000]
    stamps = [clock.stamp(index * 3600, T0 + index * FRAME + late) for index, late in enumerate(jitter)]
    assert [stamp.utc for stamp in stamps] == [T0 + index * FRAME for index in range(5)]
    assert not clock.by_report


def test_the_first_report_moves_the_mapping_and_a_large_move_is_reported() -> None:
    clock = TrackClock(90000)
    clock.stamp(0, T0)
    clock.sender_report(utc_to_ntp(T0 - US), 0, T0 + 1000)
    stamp = clock.stamp(3600, T0 + FRAME)
    assert stamp.utc == T0 - US + FRAME
    assert stamp.jump == -US
    assert clock.stamp(7200, T0 + 2 * FRAME).jump == 0


def test_a_small_move_back_never_makes_time_go_back() -> None:
    clock = TrackClock(90000)
    first = clock.stamp(0, T0)
    clock.sender_report(utc_to_ntp(T0 - 90_000), 0, T0 + 1000)
    stamps = [clock.stamp(index * 3600, T0 + index * FRAME) for index in range(1, 6)]
    times = [first.utc, *[stamp.utc for stamp in stamps]]
    assert times == sorted(set(times))
    assert times[-1] == T0 - 90_000 + 5 * FRAME
    assert not any(stamp.jump for stamp in stamps)


def test_a_camera_clock_that_is_off_is_not_followed() -> None:
    clock = TrackClock(90000)
    clock.stamp(0, T0)
    clock.sender_report(utc_to_ntp(T0 - 3600 * US), 0, T0)
    stamp = clock.stamp(3600, T0 + FRAME + 5000)
    assert stamp.utc == T0 + FRAME
    assert not clock.by_report


def test_a_report_without_time_is_ignored() -> None:
    clock = TrackClock(90000)
    clock.sender_report(0, 0, T0)
    assert clock.stamp(0, T0).utc == T0


def test_a_stall_makes_frames_late_and_changes_nothing() -> None:
    clock = TrackClock(90000)
    clock.sender_report(utc_to_ntp(T0), 0, T0)
    for index in range(10):
        clock.stamp(index * 3600, T0 + index * FRAME)
    clock.sender_report(utc_to_ntp(T0 + 10 * FRAME), 36000, T0 + 8 * US)
    stamp = clock.stamp(36000, T0 + 8 * US)
    assert (stamp.utc, stamp.jump) == (T0 + 10 * FRAME, 0)


def test_a_clock_that_was_set_is_given_up_after_three_reports() -> None:
    clock = TrackClock(90000)
    clock.sender_report(utc_to_ntp(T0), 0, T0)
    clock.stamp(0, T0)
    for index in range(1, 4):
        utc = T0 + index * 5 * US
        clock.sender_report(utc_to_ntp(utc - 60 * US), index * 450_000, utc)
    stamp = clock.stamp(4 * 450_000, T0 + 20 * US)
    assert not clock.by_report
    assert stamp.utc == T0 + 20 * US


def test_a_camera_that_begins_again_is_anchored_anew_and_reported() -> None:
    clock = TrackClock(90000)
    clock.sender_report(utc_to_ntp(T0), 900_000_000, T0)
    clock.stamp(900_000_000, T0)
    stamp = clock.stamp(5, T0 + FRAME)
    assert stamp.utc == T0 + FRAME
    assert stamp.jump != 0


def test_drift_of_a_camera_without_reports_is_followed() -> None:
    # 200 ppm fast: after an hour the ticks are 720 ms ahead; the stamp must not be
    clock = TrackClock(90000)
    last = 0
    for index in range(0, 90_000, 5):
        arrival = T0 + index * FRAME
        stamp = clock.stamp(round(index * 3600 * 1.0002) & 0xFFFFFFFF, arrival)
        assert abs(stamp.utc - arrival) < 20_000
        assert stamp.jump == 0
        assert stamp.utc > last
        last = stamp.utc


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("frame"), st.integers(1, 20_000), st.integers(0, 3_000_000)),
            st.tuples(st.just("report"), st.integers(0, 20_000), st.integers(-20_000_000, 20_000_000)),
        ),
        max_size=60,
    )
)
def test_time_goes_back_only_with_a_reported_jump(steps: list[tuple[str, int, int]]) -> None:
    clock = TrackClock(90000)
    ticks, last = 0, None
    for kind, step, amount in steps:
        if kind == "report":
            utc = T0 + ticks * 100 // 9
            clock.sender_report(utc_to_ntp(utc + amount), (ticks + step) & 0xFFFFFFFF, utc)
            continue
        ticks += step
        stamp = clock.stamp(ticks & 0xFFFFFFFF, T0 + ticks * 100 // 9 + amount)
        if last is not None and not stamp.jump:
            assert stamp.utc > last
        last = stamp.utc
