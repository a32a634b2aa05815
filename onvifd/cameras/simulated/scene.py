"""The metadata stream of the simulated camera: each second where it looks, and the object in its picture while it moves.

All of it follows from the time alone, as the picture does.
"""

from __future__ import annotations

import math

from onvifd.cameras.simulated.picture import GRID_HEIGHT, GRID_WIDTH, LOOP_SECONDS, motion_at, object_at
from onvifd.clock import US, isoformat
from onvifd.media.types import AccessUnit, Codec, TrackFormat

FORMAT = TrackFormat(codec=Codec.METADATA, clock_rate=90_000)
TURN = 120
"""Seconds after which the camera looks at the same place again."""

_TT = "http://www.onvif.org/ver10/schema"
_SPACES = "http://www.onvif.org/ver10/tptz"
_PAN_TILT = f"{_SPACES}/PanTiltSpaces/PositionGenericSpace"
_ZOOM = f"{_SPACES}/ZoomSpaces/PositionGenericSpace"


class Scene:
    """One document a second, at whole seconds UTC. `number` is the camera's: no two look at the same place."""

    format = FORMAT

    def __init__(self, number: int, *, motion: bool = True) -> None:
        self._number = number
        self._motion = motion
        self.analytics = True
        self.ptz = True
        """What goes into the documents (tt:MetadataConfiguration)."""

    def utc_of(self, number: int) -> int:
        return number * US

    def number_at(self, utc: int) -> int:
        return -(-utc // US)

    def key(self, number: int) -> bool:
        return True

    def unit(self, number: int, track: int) -> AccessUnit:
        """The document of second `number` since 1970."""
        utc = self.utc_of(number)
        return AccessUnit(track, utc, number * FORMAT.clock_rate, True, self._document(utc).encode())

    def _document(self, utc: int) -> str:
        frame = _frame(utc) if self.analytics and self._motion and motion_at(utc) else ""
        head = f'<?xml version="1.0" encoding="UTF-8"?>\n<tt:MetadataStream xmlns:tt="{_TT}">'
        position = self._ptz(utc) if self.ptz else ""
        return f"{head}{frame}{position}</tt:MetadataStream>"

    def _ptz(self, utc: int) -> str:
        pan, tilt, zoom = self.position(utc)
        return (
            "<tt:PTZ><tt:PTZStatus><tt:Position>"
            f'<tt:PanTilt x="{pan}" y="{tilt}" space="{_PAN_TILT}"/><tt:Zoom x="{zoom}" space="{_ZOOM}"/>'
            "</tt:Position><tt:MoveStatus><tt:PanTilt>MOVING</tt:PanTilt><tt:Zoom>MOVING</tt:Zoom></tt:MoveStatus>"
            f"<tt:UtcTime>{isoformat(utc)}</tt:UtcTime></tt:PTZStatus></tt:PTZ>"
        )

    def position(self, utc: int) -> tuple[float, float, float]:
        """Pan, tilt (-1 to 1) and zoom (0 to 1) at a time."""
        angle = 2 * math.pi * (utc / US % TURN / TURN + self._number * 0.07)
        return round(0.8 * math.sin(angle), 4), round(0.4 * math.cos(angle), 4), round(0.5 + 0.3 * math.sin(angle), 4)


def _frame(utc: int) -> str:
    """The object where the picture shows it, from -1 to 1 with up and right positive (Analytics 5.2.2)."""
    left, top, size = object_at(utc % (LOOP_SECONDS * US) / US)
    box = {
        "left": left / GRID_WIDTH * 2 - 1,
        "top": 1 - top / GRID_HEIGHT * 2,
        "right": (left + size) / GRID_WIDTH * 2 - 1,
        "bottom": 1 - (top + size) / GRID_HEIGHT * 2,
    }
    edges = " ".join(f'{name}="{value:.4f}"' for name, value in box.items())
    centre = f'x="{(box["left"] + box["right"]) / 2:.4f}" y="{(box["top"] + box["bottom"]) / 2:.4f}"'
    return (
        f'<tt:VideoAnalytics><tt:Frame UtcTime="{isoformat(utc)}">'
        f'<tt:Object ObjectId="{utc // (LOOP_SECONDS * US)}"><tt:Appearance><tt:Shape>'
        f"<tt:BoundingBox {edges}/><tt:CenterOfGravity {centre}/>"
        "</tt:Shape></tt:Appearance></tt:Object></tt:Frame></tt:VideoAnalytics>"
    )
