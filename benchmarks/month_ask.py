"""Questions to a month of recordings: most as a VMS asks them, bytes in and bytes out of the search service."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from lxml import etree

from benchmarks.month_data import DAY, START, VOLUME, Month
from onvifd.access.types import Account, Credential, Level
from onvifd.archive.catalogue_index import CatalogueSegmentStore
from onvifd.bodies.recorder_search import RecorderSearch
from onvifd.clock import US, SystemClock
from onvifd.events.catalogue_store import CatalogueEventStore
from onvifd.events.topics import RECORDER_TOPICS
from onvifd.media.types import Kind
from onvifd.onvif.backend import Job, Recording, Track
from onvifd.onvif.services.search import SearchService
from onvifd.onvif.soap.dispatch import Dispatcher, HttpRequest
from onvifd.onvif.soap.namespaces import SOAP
from onvifd.onvif.soap.wsse import security_header
from onvifd.store.catalogue import Catalogue

NS = "http://www.onvif.org/ver10/search/wsdl"
TT = "http://www.onvif.org/ver10/schema"
PASSWORD = "month-pass1"
TIMELINES = 16
PAGE = 100
"""Events that a client asks for at a time."""


class _Recorder:
    """Recordings of as many cameras as the month has, all of them going on."""

    def __init__(self, month: Month) -> None:
        self._recordings = {
            token: Recording(
                token=token,
                source_id=token.removeprefix("rec-"),
                source_name=token,
                source_location="",
                source_description="",
                source_address="",
                content="",
                retention=0,
                tracks=(
                    Track(token="VIDEO001", kind=Kind.VIDEO, description=""),
                    Track(token="AUDIO001", kind=Kind.AUDIO, description=""),
                ),
            )
            for token in month.recordings
        }

    def recordings(self) -> tuple[Recording, ...]:
        return tuple(self._recordings.values())

    def recording(self, token: str, detail: str = "NoRecording") -> Recording:
        return self._recordings[token]

    def jobs(self) -> tuple[Job, ...]:
        return ()

    def is_recording(self, token: str) -> bool:
        return True

    def framerate_of(self, recording: str) -> float:
        return 25.0


@dataclass(slots=True)
class Took:
    """Milliseconds that a question took each time, on the clock and on a CPU."""

    times: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    @contextmanager
    def measured(self) -> Iterator[None]:
        begin, used = time.perf_counter(), time.process_time()
        yield
        self.times.append((time.perf_counter() - begin) * 1e3)
        self.cpu.append((time.process_time() - used) * 1e3)

    def share(self, part: float, *, cpu: bool = False) -> float:
        ordered = sorted(self.cpu if cpu else self.times)
        return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else 0.0


class Asker:
    """Asks everything for some seconds each."""

    def __init__(self, catalogue: Catalogue, month: Month, seconds: float, least: int = 20) -> None:
        """Each question is asked for `seconds`, and `least` times."""
        self._catalogue, self._month, self._seconds, self._least = catalogue, month, seconds, least
        self._segments = CatalogueSegmentStore(catalogue)
        self._chance = random.Random(5)
        self._nonces = itertools.count()
        self.took: dict[str, Took] = {}
        self.rate = 0.0

    async def run(self) -> None:
        recorder: Any = _Recorder(self._month)
        executor = ThreadPoolExecutor(2)
        search = RecorderSearch(recorder, self._segments, CatalogueEventStore(self._catalogue), executor)
        service = SearchService(search, recorder, SystemClock(), RECORDER_TOPICS)
        self._dispatcher = Dispatcher([service], lookup=_credential, clock=SystemClock())
        try:
            await self._each("FindRecordings and all its results", self._find_recordings)
            await self._each("GetRecordingSummary", lambda: self._ask("<tse:GetRecordingSummary/>"))
            await self._each("FindEvents over a day, first 100 results", self._first_events)
            await self._each("the same for one recording", lambda: self._first_events(self._one()))
            await self._each("the same with start states", lambda: self._first_events(states=True))
            await self._each(
                "the same, a topic that is rare",
                lambda: self._first_events(topic="tns1:RecordingConfig/TrackConfiguration"),
            )
            await self._all_events()
            await self._each("GetMediaAttributes of all recordings", self._attributes)
            await self._each(f"timeline of a day, {TIMELINES} channels", self._timeline)
            await self._each("calendar of the month, one channel", self._calendar)
            await self._each(
                "retention: the 20 oldest found and deleted", self._retention, most=self._month.cameras * 3
            )
            await self._each("the 20 oldest behind locks on the first week", self._locked)
        finally:
            await service.close()
            executor.shutdown()

    async def _each(self, name: str, work: Callable[[], Awaitable[Any]], most: int = 1000) -> None:
        took = self.took[name] = Took()
        end = time.monotonic() + self._seconds
        while len(took.times) < most and (time.monotonic() < end or len(took.times) < self._least):
            with took.measured():
                await work()

    async def _ask(self, body: str) -> etree._Element:
        envelope = etree.fromstring(
            f'<s:Envelope xmlns:s="{SOAP}" xmlns:tse="{NS}" xmlns:tt="{TT}" xmlns:tns1="http://www.onvif.org/ver10/topics" '
            'xmlns:wsnt="http://docs.oasis-open.org/wsn/b-2"><s:Header/>'
            f"<s:Body>{body}</s:Body></s:Envelope>"
        )
        nonce = next(self._nonces).to_bytes(16, "big")
        envelope[0].append(security_header("admin", PASSWORD, nonce, SystemClock().utc()))
        request = HttpRequest(
            method="POST",
            target="/onvif/search_service",
            path="/onvif/search_service",
            scheme="http",
            host="192.0.2.10",
            local_address="192.0.2.10",
            peer="192.0.2.99",
            authorization=None,
            body=etree.tostring(envelope),
        )
        reply = await self._dispatcher.handle(request)
        if reply.status != 200:
            raise RuntimeError(reply.body.decode())
        return etree.fromstring(reply.body)

    def _day(self) -> tuple[int, int]:
        start = START + self._chance.randrange(self._month.days) * DAY
        return start, start + DAY

    def _one(self) -> str:
        return self._chance.choice(self._month.recordings)

    async def _find_recordings(self) -> None:
        found = await self._ask(
            "<tse:FindRecordings><tse:Scope/><tse:KeepAliveTime>PT10S</tse:KeepAliveTime></tse:FindRecordings>"
        )
        token = _text(found, "SearchToken")
        number = 0
        while True:
            page = await self._ask(
                f"<tse:GetRecordingSearchResults><tse:SearchToken>{token}</tse:SearchToken>"
                f"<tse:MinResults>1</tse:MinResults><tse:WaitTime>PT5S</tse:WaitTime></tse:GetRecordingSearchResults>"
            )
            number += sum(1 for _ in page.iter(f"{{{TT}}}RecordingInformation"))
            if _text(page, "SearchState") == "Completed":
                break
        if number != self._month.cameras:
            raise RuntimeError(f"{number} recordings of {self._month.cameras}")

    async def _find_events(self, recording: str = "", topic: str = "", states: bool = False) -> str:
        start, end = self._day()
        scope = f"<tt:IncludedRecordings>{recording}</tt:IncludedRecordings>" if recording else ""
        dialect = "http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet"
        filter_ = f'<wsnt:TopicExpression Dialect="{dialect}">{topic}</wsnt:TopicExpression>' if topic else ""
        found = await self._ask(
            f"<tse:FindEvents><tse:StartPoint>{_time(start)}</tse:StartPoint><tse:EndPoint>{_time(end)}</tse:EndPoint>"
            f"<tse:Scope>{scope}</tse:Scope><tse:SearchFilter>{filter_}</tse:SearchFilter>"
            f"<tse:IncludeStartState>{str(states).lower()}</tse:IncludeStartState>"
            "<tse:KeepAliveTime>PT30S</tse:KeepAliveTime></tse:FindEvents>"
        )
        return _text(found, "SearchToken")

    async def _results(self, token: str) -> tuple[int, bool]:
        page = await self._ask(
            f"<tse:GetEventSearchResults><tse:SearchToken>{token}</tse:SearchToken><tse:MinResults>{PAGE}</tse:MinResults>"
            f"<tse:MaxResults>{PAGE}</tse:MaxResults><tse:WaitTime>PT10S</tse:WaitTime></tse:GetEventSearchResults>"
        )
        return sum(1 for _ in page.iter(f"{{{TT}}}Result")), _text(page, "SearchState") == "Completed"

    async def _first_events(self, recording: str = "", topic: str = "", states: bool = False) -> None:
        token = await self._find_events(recording, topic, states)
        _, completed = await self._results(token)
        if not completed:
            await self._ask(f"<tse:EndSearch><tse:SearchToken>{token}</tse:SearchToken></tse:EndSearch>")

    async def _all_events(self) -> None:
        """Read on through a day, for some times the time of another question."""
        took = self.took["FindEvents over a day, each next 100 results"] = Took()
        token = await self._find_events()
        begin, number, completed = time.monotonic(), 0, False
        while not completed and time.monotonic() < begin + 3 * self._seconds:
            with took.measured():
                count, completed = await self._results(token)
            number += count
        self.rate = number / (time.monotonic() - begin)
        if not completed:
            await self._ask(f"<tse:EndSearch><tse:SearchToken>{token}</tse:SearchToken></tse:EndSearch>")

    async def _attributes(self) -> None:
        at = _time(self._day()[0] + self._chance.randrange(DAY))
        await self._ask(f"<tse:GetMediaAttributes><tse:Time>{at}</tse:Time></tse:GetMediaAttributes>")

    async def _timeline(self) -> None:
        names = self._chance.sample(self._month.recordings, min(TIMELINES, self._month.cameras))
        start, end = self._day()

        def work() -> None:
            self._segments.timelines(names, start, end, US)
            for name in names:
                self._catalogue.spans.between(name, start, end)

        await asyncio.to_thread(work)

    async def _calendar(self) -> None:
        days = [(START + day * DAY, START + (day + 1) * DAY) for day in range(31)]
        await asyncio.to_thread(self._segments.calendar, self._one(), days)

    async def _retention(self) -> None:
        def work() -> None:
            rows = self._catalogue.upkeep.oldest(volume=VOLUME, recording=None, before=None, after=(0, 0), limit=20)
            self._segments.delete_segments([row["id"] for row in rows])

        await asyncio.to_thread(work)

    async def _locked(self) -> None:
        locks = {name: [(START - DAY, START + 7 * DAY)] for name in self._month.recordings}
        await asyncio.to_thread(self._segments.oldest_segments, VOLUME, 20, locks=locks)


def _credential(name: str) -> Credential | None:
    return Credential(account=Account(name, Level.ADMINISTRATOR), ha1="", password=PASSWORD)


def _text(element: etree._Element, name: str) -> str:
    return next(element.iter(f"{{*}}{name}")).text or ""


def _time(utc: int) -> str:
    return datetime.fromtimestamp(utc // US, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
