"""XProtect's way to what a recorder holds: the documented calls, then RTSP as its driver sends it.

https://doc.milestonesys.com/latest/en-US/onvifdriver/requirements_for_edge_storage.htm names the calls and the filter,
https://doc.milestonesys.com/2020R3/en-US/onvifdriver/edge_storage_retrieval_and.htm shows the PLAY.
"""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from onvifd.clock import US
from onvifd.media.mp4_parse import walk_file
from onvifd.media.types import Kind
from tests.e2e.rtsp_client import RtspClient, Unit, units
from tests.local import ADMIN as USER
from tests.local import PASSWORD
from tests.personas import wsse
from tests.personas.conftest import Wire

TDS = "http://www.onvif.org/ver10/device/wsdl"
TRT = "http://www.onvif.org/ver10/media/wsdl"
TRC = "http://www.onvif.org/ver10/recording/wsdl"
TSE = "http://www.onvif.org/ver10/search/wsdl"
TRP = "http://www.onvif.org/ver10/replay/wsdl"
TT = "{http://www.onvif.org/ver10/schema}"
VIDEO = 'boolean(//Track[TrackType = "Video"])'
AUDIO = 'boolean(//Track[TrackType = "Audio"])'


class Driver(RtspClient):
    """Sends what the driver sends."""

    def send(self, data: bytes) -> None:
        super().send(data.replace(b"User-Agent: onvifd-tests", b"User-Agent: CmRtspClient Unknown"))


class Milestone:
    """The driver's SOAP side."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.places = {TDS: "/onvif/device_service"}

    async def ask(self, namespace: str, body: str) -> Any:
        """The content of the answer to an operation of a service."""
        envelope = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope">'
            f"<s:Header>{wsse.genetec()}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
        )
        return (await self.wire.post(self.places[namespace], envelope)).content()

    async def call(self, namespace: str, name: str, content: str = "") -> Any:
        return await self.ask(namespace, f'<n:{name} xmlns:n="{namespace}">{content}</n:{name}>')

    async def find(self, name: str, results: str, content: str) -> list[Any]:
        """All results of a search."""
        token = (await self.call(TSE, name, f"{content}<n:KeepAliveTime>PT10S</n:KeepAliveTime>"))[0].text
        found: list[Any] = []
        while True:
            asked = (
                f"<n:SearchToken>{token}</n:SearchToken><n:MaxResults>100</n:MaxResults><n:WaitTime>PT5S</n:WaitTime>"
            )
            (page,) = await self.call(TSE, results, asked)
            found += [each for each in page if each.tag != f"{TT}SearchState"]
            if page.findtext(f"{TT}SearchState") == "Completed":
                return found

    async def recordings(self, filter_: str) -> list[Any]:
        scope = f'<n:Scope><t:RecordingInformationFilter xmlns:t="{TT[1:-1]}">{filter_}</t:RecordingInformationFilter></n:Scope>'
        return await self.find("FindRecordings", "GetRecordingSearchResults", scope)


def _read(fd: int, offset: int, size: int) -> bytes:
    return os.pread(fd, size, offset)


def frames_of_the_index(wire: Wire, recording: str, start: int) -> list[int]:
    """Times of all pictures from a moment on, as the files hold them."""
    store: Any = wire.app._segments
    volumes = {volume.id: volume for volume in wire.app.archive.volumes()}
    found: list[int] = []
    for row in store.segments_between(recording, start, 1 << 60, 10_000):
        path = volumes[row.volume].path(row.path)
        fd = os.open(path, os.O_RDONLY)
        try:
            walk = walk_file(partial(_read, fd), path.stat().st_size)
        finally:
            os.close(fd)
        runs = (run for fragment in walk.fragments for run in fragment.runs)
        pictures = (run for run in runs if walk.formats[run.track].kind is Kind.VIDEO)
        found += (sample.utc for run in pictures for sample in run.samples)
    return sorted(found)


def download(url: str, start: int) -> list[Unit]:
    """All pictures from a moment to the end, as fast as they come."""
    at = datetime.fromtimestamp(start / US, UTC)
    clock = f"{at:%Y%m%dT%H%M%S}.{start % US // 1000:03d}Z"
    with Driver(url, USER, PASSWORD) as driver:
        video = next(media for media in driver.describe() if media.kind == "video")
        driver.setup(video, Require="onvif-replay")
        reply = driver.demand("PLAY", Range=f"clock={clock}-", Require="onvif-replay", Rate_Control="no")
        assert reply.headers["range"].startswith("clock=")
        found = []
        for unit in units(driver.packets(seconds=20)):
            found.append(unit)
            if unit.extension.terminal:
                break
        driver.demand("TEARDOWN")
        return found


@pytest.mark.covers("G-FindRecordings", "G-GetReplayUri", "G-onvif-replay")
async def test_the_last_ten_minutes_of_each_channel_are_found_and_downloaded(wire: Wire) -> None:
    driver = Milestone(wire)
    services = await driver.call(TDS, "GetServices", "<n:IncludeCapability>false</n:IncludeCapability>")
    for each in services:
        driver.places[each.findtext(f"{{{TDS}}}Namespace")] = each.findtext(f"{{{TDS}}}XAddr").removeprefix(wire.base)
    await driver.call(TDS, "GetCapabilities", "<n:Category>All</n:Category>")
    sources = {each.get("token") for each in await driver.call(TRT, "GetVideoSources")}
    await driver.call(TRT, "GetAudioSources")
    profiles = await driver.call(TRT, "GetProfiles")
    video_source = {
        each.get("token"): each.findtext(f"{TT}VideoSourceConfiguration/{TT}SourceToken") for each in profiles
    }
    await asyncio.sleep(6)  # there must be something to find
    jobs = await driver.call(TRC, "GetRecordingJobs")
    for job in jobs:
        token = job.findtext(f"{TT}JobToken")
        await driver.call(TRC, "SetRecordingJobMode", f"<n:JobToken>{token}</n:JobToken><n:Mode>Idle</n:Mode>")
    await asyncio.sleep(2)  # ... and an end to it
    (summary,) = await driver.call(TSE, "GetRecordingSummary")
    assert int(summary.findtext(f"{TT}NumberRecordings")) == len(sources)
    found = await driver.recordings(VIDEO)
    assert len(found) == len(sources)
    assert [each.findtext(f"{TT}RecordingToken") for each in await driver.recordings(AUDIO)]
    channels = set()
    now = datetime.now(UTC)
    for recording in found:
        token = recording.findtext(f"{TT}RecordingToken")
        channels.add(_channel(recording, token, jobs, video_source))
        (information,) = await driver.call(
            TSE, "GetRecordingInformation", f"<n:RecordingToken>{token}</n:RecordingToken>"
        )
        earliest, latest = (information.findtext(f"{TT}{name}Recording") for name in ("Earliest", "Latest"))
        assert earliest < latest
        attributes = await driver.call(
            TSE, "GetMediaAttributes", f"<n:RecordingTokens>{token}</n:RecordingTokens><n:Time>{earliest}</n:Time>"
        )
        assert attributes[0].findtext(f".//{TT}VideoAttributes/{TT}Encoding") == "H264"
        states = await _track_states(driver, token, now)
        assert states == [(earliest, "true"), (latest, "false")]
        start = round((now - timedelta(minutes=10)).timestamp()) * US
        indexed = frames_of_the_index(wire, token, start)
        setup = (
            f'<n:StreamSetup><t:Stream xmlns:t="{TT[1:-1]}">RTP-Unicast</t:Stream><t:Transport xmlns:t="{TT[1:-1]}">'
            f"<t:Protocol>RTSP</t:Protocol></t:Transport></n:StreamSetup><n:RecordingToken>{token}</n:RecordingToken>"
        )
        url = (await driver.call(TRP, "GetReplayUri", setup)).findtext(f"{{{TRP}}}Uri")
        pictures = await asyncio.to_thread(download, url, start)
        assert len(indexed) > 50
        assert [unit.extension.utc for unit in pictures] == indexed
        assert pictures[0].extension.clean
        assert pictures[-1].extension.end
    assert channels == sources


def _channel(recording: Any, token: str, jobs: Any, video_source: dict[str, str]) -> str:
    """The video source of a recording: by its job's profile, and by its source id as well."""
    job = next(each for each in jobs if each.findtext(f"{TT}JobConfiguration/{TT}RecordingToken") == token)
    profile = job.findtext(f"{TT}JobConfiguration/{TT}Source/{TT}SourceToken/{TT}Token")
    assert recording.findtext(f"{TT}Source/{TT}SourceId") == video_source[profile]
    return video_source[profile]


async def _track_states(driver: Milestone, token: str, now: datetime) -> list[tuple[str, str]]:
    """Times and values of Track/State of the video track in the last ten minutes, oldest first."""
    start = f"{now - timedelta(minutes=10):%Y-%m-%dT%H:%M:%S}Z"
    content = (
        f"<n:StartPoint>{start}</n:StartPoint><n:EndPoint>{now + timedelta(seconds=5):%Y-%m-%dT%H:%M:%S}Z</n:EndPoint>"
        f'<n:Scope><t:IncludedRecordings xmlns:t="{TT[1:-1]}">{token}</t:IncludedRecordings></n:Scope>'
        '<n:SearchFilter><w:TopicExpression xmlns:w="http://docs.oasis-open.org/wsn/b-2" '
        'xmlns:tns1="http://www.onvif.org/ver10/topics" '
        'Dialect="http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet">tns1:RecordingHistory/Track/State'
        "</w:TopicExpression></n:SearchFilter><n:IncludeStartState>false</n:IncludeStartState>"
    )
    found = []
    for result in await driver.find("FindEvents", "GetEventSearchResults", content):
        if result.findtext(f"{TT}TrackToken") == "VIDEO001":
            (value,) = [
                item.get("Value") for item in result.iter(f"{TT}SimpleItem") if item.get("Name") == "IsDataPresent"
            ]
            found.append((result.findtext(f"{TT}Time"), value))
    return found
