"""Search for cameras by WS-Discovery."""

from __future__ import annotations

import pytest

from onvifd.bodies.simulated_device import SimulatedDevice
from onvifd.cameras.search import interfaces, read_service, search
from onvifd.errors import InvalidArgument

EPR = "urn:uuid:5f5a69c2-e0ae-504f-829b-000000000001"


async def test_a_camera_on_lo_is_found(device: SimulatedDevice) -> None:
    found = await search("127.0.0.1", 1.5)
    (camera,) = [one for one in found if device.device_url in one.addresses]
    assert camera.name == "Camera 5"
    assert camera.hardware == "simulated"
    assert "NetworkVideoTransmitter" in camera.types
    assert len(camera.uuid) == 36


async def test_an_address_that_is_not_ours_is_refused() -> None:
    with pytest.raises(InvalidArgument):
        await search("192.0.2.1", 0.1)


def test_loopback_is_searched_only_when_asked_for() -> None:
    assert [str(address) for address in interfaces("127.0.0.1")] == ["127.0.0.1"]
    assert not any(address.is_loopback for address in interfaces("0.0.0.0"))
    assert all(address.version == 4 for address in interfaces("0.0.0.0"))


def test_scopes_tell_name_hardware_and_location() -> None:
    device = read_service(
        EPR,
        ["http://192.0.2.1/onvif/device_service", "soap.udp://192.0.2.1"],
        [
            "onvif://www.onvif.org/name/Front%20door",
            "onvif://www.onvif.org/hardware/M1",
            "onvif://www.onvif.org/location/hall",
        ],
        ["NetworkVideoTransmitter"],
    )
    assert device is not None
    assert device.uuid == EPR.removeprefix("urn:uuid:")
    assert device.addresses == ("http://192.0.2.1/onvif/device_service",)
    assert (device.name, device.hardware, device.location) == ("Front door", "M1", "hall")


def test_printers_and_devices_without_address_are_left_out() -> None:
    assert read_service(EPR, ["http://192.0.2.1/wsd"], [], ["PrintDeviceType"]) is None
    assert read_service(EPR, [], ["onvif://www.onvif.org/name/x"], ["NetworkVideoTransmitter"]) is None
    assert read_service(EPR, ["ftp://192.0.2.1/"], [], ["NetworkVideoTransmitter"]) is None
