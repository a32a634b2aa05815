"""The metadata stream of the simulated camera."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from lxml import etree

from onvifd.cameras.simulated.picture import FPS, GRID_HEIGHT, GRID_WIDTH, Picture, motion_at
from onvifd.cameras.simulated.player import StreamPlayer
from onvifd.cameras.simulated.scene import TURN, Scene
from onvifd.clock import US, isoformat
from onvifd.media.rtp.depack import depacketizer, metadata_document
from onvifd.media.rtp.packet import parse_rtp
from onvifd.onvif.search.metadata import PAN_TILT_SPACE, ZOOM_SPACE, position_of
from tests.onvif import oracle

T0 = 1_767_225_600 * US
TT = "{http://www.onvif.org/ver10/schema}"


def document(utc: int, **options: bool) -> Any:
    scene = Scene(1, **options)
    return etree.fromstring(scene.unit(scene.number_at(utc), 2).data)


def test_documents_are_valid_and_whole() -> None:
    scene = Scene(1)
    for second in range(10):
        unit = scene.unit(T0 // US + second, 2)
        oracle.metadata_schema().assertValid(etree.fromstring(unit.data))
        assert metadata_document(unit.data) == unit.data
        assert (unit.utc, unit.ticks, unit.key) == (T0 + second * US, (T0 // US + second) * 90_000, True)


def test_positions_are_of_their_time_and_go_around() -> None:
    scene = Scene(1)
    places = []
    for second in range(TURN):
        utc = T0 + second * US
        found = position_of(utc, scene.unit(utc // US, 0).data)
        assert found is not None
        assert found.pan_tilt is not None
        assert found.zoom is not None
        assert (found.pan_tilt.space, found.zoom.space) == (PAN_TILT_SPACE, ZOOM_SPACE)
        assert (*found.pan_tilt.values, *found.zoom.values) == scene.position(utc)
        assert document(utc).findtext(f".//{TT}UtcTime") == isoformat(utc)
        places.append(found.pan_tilt.values)
    assert len(set(places)) > TURN - 5
    assert all(abs(axis) <= 1 for place in places for axis in place)
    assert scene.position(T0) == scene.position(T0 + TURN * US) != Scene(2).position(T0)


def test_the_object_is_where_the_picture_shows_it() -> None:
    for second in range(10):
        utc = T0 + second * US
        frames = document(utc).findall(f"{TT}VideoAnalytics/{TT}Frame")
        assert len(frames) == motion_at(utc)
        assert document(utc, motion=False).find(f"{TT}VideoAnalytics") is None
        if not frames:
            continue
        assert frames[0].get("UtcTime") == isoformat(utc)
        edges = {name: float(value) for name, value in frames[0].find(f".//{TT}BoundingBox").attrib.items()}
        picture = Picture(1, 1)
        still = picture.draw(0).copy()
        rows, columns = np.nonzero(picture.draw(second * FPS)[224:344] != still[224:344])
        assert columns.min() == pytest.approx((edges["left"] + 1) / 2 * GRID_WIDTH, abs=2)
        assert columns.max() == pytest.approx((edges["right"] + 1) / 2 * GRID_WIDTH, abs=2)
        assert rows.min() + 224 == pytest.approx((1 - edges["top"]) / 2 * GRID_HEIGHT, abs=2)
        assert rows.max() + 224 == pytest.approx((1 - edges["bottom"]) / 2 * GRID_HEIGHT, abs=2)


def test_it_is_played_at_whole_seconds() -> None:
    player = StreamPlayer([Scene(1)], seed=1)
    player.start(T0 + 1)
    depack = depacketizer(player.formats[0])
    found = []
    for now in range(T0 + 1, T0 + 5 * US, 100_000):
        for unit in player.due(now):
            if not unit.rtcp:
                packet = parse_rtp(unit.data, 4)
                frames = depack.feed(unit.data[packet.start :], packet.marker, packet.rtp_time, True)
                found += [(unit.utc, frame.damaged) for frame in frames]
    assert found == [(T0 + second * US, False) for second in (1, 2, 3, 4)]
