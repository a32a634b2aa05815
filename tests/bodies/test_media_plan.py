"""Media profiles as media workers hear of them."""

import ipaddress

import pytest

from onvifd.bodies.channel import Channel, ChannelStream, media_model
from onvifd.bodies.media_plan import PORTS, default_multicast, presentations, profile_path
from onvifd.media.types import Codec, Kind, TrackFormat
from onvifd.onvif.backend import MediaProfile

CAMERA = "cam-0a1b2c3d"


def channel(*streams: str, audio: bool = True) -> Channel:
    formats = [TrackFormat(codec=Codec.H264, clock_rate=90_000, width=1280, height=720)]
    if audio:
        formats.append(TrackFormat(codec=Codec.PCMU, clock_rate=8000))
    return Channel(
        camera=CAMERA,
        number=1,
        name="Gate",
        address="",
        location="",
        record=True,
        streams={name: ChannelStream(name=name, formats=tuple(formats)) for name in streams},
    )


def test_a_fixed_profile_keeps_its_path_and_sends_everything_of_its_stream() -> None:
    main, sub = presentations(media_model((channel("main", "sub"),)))
    assert (main.path, main.profile, main.camera) == (f"/live/{CAMERA}/main", f"{CAMERA}-main", CAMERA)
    assert (main.video, main.audio, sub.video, sub.audio) == ("main", "main", "sub", "sub")
    assert main.metadata is not None
    assert main.metadata.token == f"mdc-{CAMERA}-main"
    assert (main.metadata.analytics, main.metadata.ptz_status, main.metadata.ptz_position) == (True, True, True)
    assert not main.talk
    assert not main.started


def test_every_track_has_a_group_of_its_own() -> None:
    found = presentations(media_model((channel("main", "sub"),)))
    groups = [(each.address, each.port) for spec in found for each in spec.multicast]
    assert len(groups) == len(set(groups)) == 6
    assert [each.kind for each in found[0].multicast] == [Kind.VIDEO, Kind.AUDIO, Kind.METADATA]
    assert {each.ttl for spec in found for each in spec.multicast} == {1}
    assert all(port % 2 == 0 for _, port in groups)


def test_without_sound_there_is_no_group_for_it() -> None:
    (main,) = presentations(media_model((channel("main", audio=False),)))
    assert main.audio == ""
    assert [each.kind for each in main.multicast] == [Kind.VIDEO, Kind.METADATA]


@pytest.mark.parametrize("number", range(300))
def test_default_groups_are_administratively_scoped_and_apart(number: int) -> None:
    camera = f"cam-{number:08x}"
    settings = [
        default_multicast(camera, stream, kind)
        for stream in ("main", "sub", "jpeg")
        for kind in (Kind.VIDEO, Kind.AUDIO, Kind.METADATA)
    ]
    (address,) = {each.address for each in settings}
    assert ipaddress.ip_address(address) in ipaddress.ip_network("239.0.0.0/8")
    assert address.split(".")[1] not in ("0", "128", "255")
    ports = sorted(each.port for each in settings)
    assert len(set(ports)) == len(settings)
    assert ports[0] % PORTS == 20_000 % PORTS
    assert ports[-1] < 32_768
    assert default_multicast(camera, "main", Kind.VIDEO) == settings[0]


def test_paths_of_profiles_of_clients_are_short_and_apart_from_those_of_streams() -> None:
    assert profile_path(CAMERA, "Profile-1.a") == f"/live/{CAMERA}/Profile-1.a"
    odd = [profile_path(CAMERA, token) for token in ("main", "sub", "jpeg", "..", "a b", "ä" * 64, "x" * 64, "a/b")]
    odd.append(profile_path(CAMERA, odd[0].rpartition("/")[2]))
    assert len(set(odd)) == len(odd)
    for path in odd:
        assert path.startswith(f"/live/{CAMERA}/p-")
        # rtsp://[IPv6 address]:port
        assert len(path) + len("rtsp://[]:65535") + 39 <= 128


def test_a_profile_that_sends_nothing_is_none() -> None:
    model = media_model((channel("main"),))
    empty = MediaProfile(
        token="empty",
        name="empty",
        fixed=False,
        video_source=None,
        video_encoder=None,
        audio_source=None,
        audio_encoder=None,
        path="",
        snapshot=False,
    )
    assert presentations(type(model)(profiles=(empty,))) == ()
