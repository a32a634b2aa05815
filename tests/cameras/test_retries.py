"""When a camera is tried again."""

from __future__ import annotations

from onvifd.cameras.retries import AT_ONCE, BACK_OFF, PATIENCE, RESPITE, SHORT, SPAN, STABLE, Respite, Retries


def test_failures_in_a_row_are_waited_for_longer_and_longer() -> None:
    retries = Retries()
    waits = [retries.delay(now, now - 60, False) for now in range(len(BACK_OFF) + 2)]
    assert waits == [*BACK_OFF, BACK_OFF[-1], BACK_OFF[-1]]
    assert retries.delay(100, 100 - STABLE - 1, True) == AT_ONCE
    assert retries.delay(101, 100, False) == BACK_OFF[0]
    retries.good()
    assert retries.delay(102, 101, False) == BACK_OFF[0]


def test_a_refused_login_is_tried_less_often_so_that_no_account_is_locked() -> None:
    retries = Retries()
    waits = [retries.delay(now, now - 1, False, refused=True) for now in range(len(BACK_OFF) + 1)]
    assert waits == [BACK_OFF[0], *(PATIENCE * wait for wait in BACK_OFF[1:]), PATIENCE * BACK_OFF[-1]]
    assert sum(waits[:5]) > 120, "five tries in two minutes"


def test_a_camera_that_refuses_while_it_starts_is_asked_again_soon() -> None:
    retries = Retries()
    for now in range(20):
        retries.delay(now, now - 1, False)
    assert retries.delay(20, 19, False, refused=True) <= BACK_OFF[-1]
    assert retries.delay(21, 20, False) == BACK_OFF[-1]
    assert retries.delay(22, 21, False, refused=True) <= BACK_OFF[-1]


def test_a_camera_that_is_set_every_second_is_back_at_once() -> None:
    retries = Retries()
    assert all(retries.delay(now, now - 1, True) == AT_ONCE for now in range(0, SHORT * 4, 4))


def test_a_camera_that_ends_connections_over_and_over_is_asked_less_often() -> None:
    retries = Retries()
    waits = [retries.delay(now / 2, now / 2 - 0.5, True) for now in range(SHORT + 2)]
    assert waits == [*[AT_ONCE] * SHORT, *BACK_OFF[:2]]
    assert retries.delay(SPAN + 1, SPAN, True) == AT_ONCE


def test_what_cost_a_connection_is_asked_for_again_later() -> None:
    respite = Respite()
    assert respite.is_over(0.0)
    respite.begin(100.0)
    assert not respite.is_over(100.0 + RESPITE - 1)
    assert respite.is_over(100.0 + RESPITE)
