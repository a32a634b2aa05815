"""Search sessions: blocking, paging, keep-alive, bounds, on a simulated clock (Search 5.2.3, 5.8)."""

from __future__ import annotations

import asyncio

import pytest

from onvifd.clock import SimulatedClock
from onvifd.errors import LimitReached, NotFound, OnvifdError, Unavailable
from onvifd.onvif.search import session
from onvifd.onvif.search.session import Batch, Producer, SearchSessions, Sink


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture
def sessions(clock: SimulatedClock) -> SearchSessions[int]:
    return SearchSessions(clock)


def counting(total: int) -> Producer[int]:
    async def produce(sink: Sink[int]) -> None:
        for number in range(total):
            if not await sink.put(number, number):
                return

    return produce


class Slow:
    """A search that goes on when the test says so."""

    def __init__(self) -> None:
        self.steps: asyncio.Queue[int | None] = asyncio.Queue()
        self.cancelled = False

    async def __call__(self, sink: Sink[int]) -> None:
        try:
            while (number := await self.steps.get()) is not None:
                await sink.put(number, number)
        except asyncio.CancelledError:
            self.cancelled = True
            raise


def start(
    sessions: SearchSessions[int], produce: Producer[int], *, keep_alive: float = 10, max_matches: int | None = None
) -> str:
    return sessions.start(produce, keep_alive=keep_alive, max_matches=max_matches, start=-1, end=100)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_results_come_in_increments_and_never_twice(sessions: SearchSessions[int]) -> None:
    token = start(sessions, counting(5))
    assert await sessions.results(token, None, 2, 5) == Batch((0, 1), False)
    assert await sessions.results(token, None, 2, 5) == Batch((2, 3), False)
    assert await sessions.results(token, None, 2, 5) == Batch((4,), True)


async def test_the_token_is_dead_after_completion(sessions: SearchSessions[int]) -> None:
    token = start(sessions, counting(1))
    assert (await sessions.results(token, None, None, 5)).completed
    for use in (sessions.results(token, None, None, 5), sessions.end(token)):
        with pytest.raises(NotFound) as caught:
            await use
        assert caught.value.detail == "InvalidToken"
    assert len(sessions) == 0


async def test_an_empty_search_completes_at_once(sessions: SearchSessions[int]) -> None:
    assert await sessions.results(start(sessions, counting(0)), 1, 10, 60) == Batch((), True)


async def test_min_results_are_awaited(sessions: SearchSessions[int], clock: SimulatedClock) -> None:
    slow = Slow()
    token = start(sessions, slow, keep_alive=60)
    answer = asyncio.create_task(sessions.results(token, 2, 10, 30))
    slow.steps.put_nowait(1)
    await settle()
    assert not answer.done()
    slow.steps.put_nowait(2)
    assert await answer == Batch((1, 2), False)
    await sessions.close()


async def test_wait_time_ends_the_wait_with_what_is_there(sessions: SearchSessions[int], clock: SimulatedClock) -> None:
    slow = Slow()
    token = start(sessions, slow, keep_alive=60)
    answer = asyncio.create_task(sessions.results(token, 2, 10, 5))
    slow.steps.put_nowait(1)
    await settle()
    await clock.advance(4.9)
    assert not answer.done()
    await clock.advance(0.2)
    assert await answer == Batch((1,), False)
    await sessions.close()


async def test_without_min_or_max_it_blocks_until_complete_or_wait_time(
    sessions: SearchSessions[int], clock: SimulatedClock
) -> None:
    slow = Slow()
    token = start(sessions, slow, keep_alive=60)
    answer = asyncio.create_task(sessions.results(token, None, None, None))
    slow.steps.put_nowait(1)
    await settle()
    assert not answer.done()
    slow.steps.put_nowait(None)
    assert await answer == Batch((1,), True)


async def test_zero_wait_answers_at_once(sessions: SearchSessions[int]) -> None:
    slow = Slow()
    token = start(sessions, slow)
    assert await sessions.results(token, 5, 10, 0) == Batch((), False)
    await sessions.close()


@pytest.mark.parametrize(("least", "most", "wait"), [(10**9, None, 10**9), (-5, -5, -5), (10**9, 0, 5)])
async def test_values_out_of_range_are_adapted(
    sessions: SearchSessions[int], least: int, most: int | None, wait: float
) -> None:
    token = start(sessions, counting(session.BUFFER + 10))
    await settle()
    batch = await sessions.results(token, least, most, wait)
    assert 1 <= len(batch.results) <= session.BUFFER
    await sessions.close()


async def test_max_matches_ends_the_search(sessions: SearchSessions[int]) -> None:
    token = start(sessions, counting(100), max_matches=3)
    assert await sessions.results(token, None, None, 5) == Batch((0, 1, 2), True)


async def test_the_search_pauses_when_nobody_reads(sessions: SearchSessions[int]) -> None:
    made: list[int] = []

    async def produce(sink: Sink[int]) -> None:
        for number in range(3 * session.BUFFER):
            await sink.put(number)
            made.append(number)

    token = start(sessions, produce)
    for _ in range(3 * session.BUFFER):
        await asyncio.sleep(0)
    assert len(made) == session.BUFFER
    got: list[int] = []
    while True:
        batch = await sessions.results(token, None, None, 5)
        got += batch.results
        if batch.completed:
            break
    assert got == list(range(3 * session.BUFFER))


async def test_end_returns_blocked_requests_and_the_point_reached(sessions: SearchSessions[int]) -> None:
    slow = Slow()
    token = start(sessions, slow)
    slow.steps.put_nowait(42)
    answer = asyncio.create_task(sessions.results(token, 5, 10, 60))
    await settle()
    assert await sessions.end(token) == 42
    assert await answer == Batch((42,), True)
    assert slow.cancelled
    assert token not in sessions


async def test_end_before_anything_was_found_returns_the_start_point(sessions: SearchSessions[int]) -> None:
    assert await sessions.end(start(sessions, Slow())) == -1


async def test_end_of_a_finished_search_returns_the_end_point(sessions: SearchSessions[int]) -> None:
    token = start(sessions, counting(3))
    await settle()
    assert await sessions.end(token) == 100


async def test_silence_for_the_keep_alive_time_ends_the_session(
    sessions: SearchSessions[int], clock: SimulatedClock
) -> None:
    slow = Slow()
    token = start(sessions, slow, keep_alive=10)
    await settle()
    await clock.advance(9)
    await sessions.results(token, None, None, 0)
    await clock.advance(9)
    assert token in sessions, "a request begins the time anew"
    await clock.advance(1.5)
    assert token not in sessions
    assert slow.cancelled
    with pytest.raises(NotFound):
        await sessions.results(token, None, None, 0)


async def test_a_blocked_request_keeps_the_session(sessions: SearchSessions[int], clock: SimulatedClock) -> None:
    slow = Slow()
    token = start(sessions, slow, keep_alive=2)
    answer = asyncio.create_task(sessions.results(token, 1, 10, 50))
    await settle()
    await clock.advance(40)
    assert not answer.done()
    slow.steps.put_nowait(7)
    assert await answer == Batch((7,), False)
    await sessions.close()


async def test_number_of_sessions_is_bounded(sessions: SearchSessions[int], clock: SimulatedClock) -> None:
    tokens = [start(sessions, Slow(), keep_alive=5) for _ in range(session.MAX_SESSIONS)]
    assert len(set(tokens)) == session.MAX_SESSIONS
    with pytest.raises(LimitReached) as caught:
        start(sessions, Slow())
    assert caught.value.detail == "ResourceProblem"
    await settle()
    await clock.advance(6)
    assert len(sessions) == 0
    await sessions.end(start(sessions, Slow()))


@pytest.mark.parametrize("error", [Unavailable("database is locked"), ValueError("bug")])
async def test_what_was_found_is_given_before_the_error_of_the_search(
    sessions: SearchSessions[int], error: Exception
) -> None:
    async def produce(sink: Sink[int]) -> None:
        await sink.put(1)
        raise error

    token = start(sessions, produce)
    assert await sessions.results(token, None, None, 5) == Batch((1,), False)
    with pytest.raises(OnvifdError) as caught:
        await sessions.results(token, None, None, 5)
    assert isinstance(caught.value, Unavailable)
    assert token not in sessions


async def test_closing_leaves_no_task(sessions: SearchSessions[int]) -> None:
    slow = Slow()
    start(sessions, slow)
    start(sessions, counting(10_000))
    await settle()
    await sessions.close()
    assert slow.cancelled
    assert asyncio.all_tasks() == {asyncio.current_task()}
