"""The lines of a media worker follow what control wants."""

from __future__ import annotations

from onvifd.bodies.simulated_device import SimulatedDevice
from onvifd.clock import SystemClock
from onvifd.live.talk import TalkLine
from onvifd.media.types import Codec
from onvifd.rtsp.backchannel import Primacy, Talker
from onvifd.workers.specs import CameraSpec, PresentationSpec, TalkSpec, TrackSpec
from onvifd.workers.talking import Talking
from tests.cameras.conftest import device as device
from tests.cameras.conftest import small_clips as small_clips
from tests.cameras.test_talkback import SPEECH, say, until

ANNA = Talker("anna", "192.0.2.1", "a")
CLOCK = SystemClock()
AAC = TrackSpec(codec="aac", clock_rate=16000, channels=1, config=b"\x14\x08")


def spec(device: SimulatedDevice, path: str = "main", formats: tuple[TrackSpec, ...] = ()) -> CameraSpec:
    url = f"rtsp://127.0.0.1:{device.rtsp_port}/{path}"
    talk = TalkSpec(url=url, user="admin", password="camera-pass-1", formats=formats)
    return CameraSpec(id="cam-1", channel=1, streams=(), talk=talk)


async def test_lines_come_and_go_with_their_cameras(device: SimulatedDevice) -> None:
    talking = Talking(CLOCK)
    deaf = CameraSpec(id="cam-2", channel=2, streams=())
    await talking.configure((spec(device, formats=(AAC,)), deaf))
    line = talking.line("cam-1")
    assert isinstance(line, TalkLine)
    assert Codec.AAC in [format.codec for format in line.offered.values()]
    assert talking.line("cam-2") is None
    say(line.take(ANNA, CLOCK.monotonic()), SPEECH[:1600])
    await until(lambda: len(device.loudspeaker.sounds) == 10)
    await talking.configure((deaf,))
    assert talking.line("cam-1") is None
    assert line.closed
    await until(lambda: device.loudspeaker.line.talker(CLOCK.monotonic()) is None)
    await talking.close()


async def test_a_talker_stays_when_the_way_to_the_camera_changes(device: SimulatedDevice) -> None:
    talking = Talking(CLOCK)
    await talking.configure((spec(device),))
    line = talking.line("cam-1")
    assert line is not None
    grip = line.take(ANNA, CLOCK.monotonic())
    say(grip, SPEECH[:160])
    await until(lambda: len(device.loudspeaker.sounds) == 1)
    await talking.configure((spec(device, "sub"),))
    assert talking.line("cam-1") is line
    await until(lambda: device.loudspeaker.line.talker(CLOCK.monotonic()) is None)
    say(grip, SPEECH[160:320], first=1)
    await until(lambda: len(device.loudspeaker.sounds) == 2)
    assert device.loudspeaker.heard == SPEECH[:320]
    await talking.close()


async def test_loudness_and_who_may_speak_come_from_profiles(device: SimulatedDevice) -> None:
    talking = Talking(CLOCK)
    profile = {"profile": "p", "camera": "cam-1", "talk_level": 30, "talk_primacy": Primacy.SERVER.value}
    talking.tune((PresentationSpec(path="/live/cam-1/main", talk=True, **profile),))
    await talking.configure((spec(device),))
    line = talking.line("cam-1")
    assert line is not None
    assert (line.level, line.primacy) == (30, Primacy.SERVER)
    talking.tune((PresentationSpec(path="/live/cam-1/main", profile="p", camera="cam-1", talk=True),))
    assert (line.level, line.primacy) == (100, Primacy.AUTO)
    await talking.close()
