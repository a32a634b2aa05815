"""Results of searches as ONVIF types, and their filters as the searches know them."""

from __future__ import annotations

from datetime import timedelta

from onvifd.onvif.notification.messages import notification_message
from onvifd.onvif.search.events import FoundEvent
from onvifd.onvif.search.metadata import Axes, FoundPosition, Position
from onvifd.onvif.types import tt


def seconds(value: timedelta | None) -> float | None:
    return None if value is None else value.total_seconds()


def state_of(completed: bool) -> tt.SearchState:
    """Search 5.3.4: `Queued` is deprecated."""
    return tt.SearchState.COMPLETED if completed else tt.SearchState.SEARCHING


def event_result(found: FoundEvent, tracks: dict[str, str]) -> tt.FindEventResult:
    """Search 5.3.6. `tracks` gives the first track of each recording."""
    event = found.event
    # Events that concern no single track are reported with the first one; the schema wants a token.
    track = dict(event.source).get("Track") or tracks.get(found.recording, "")
    return tt.FindEventResult(
        recording_token=found.recording,
        track_token=track,
        time=event.utc,
        event=notification_message(event),
        start_state_event=found.virtual,
    )


def position_result(found: FoundPosition) -> tt.FindPTZPositionResult:
    """Search 5.3.7."""
    pan_tilt, zoom = found.position.pan_tilt, found.position.zoom
    return tt.FindPTZPositionResult(
        recording_token=found.recording,
        track_token=found.track,
        time=found.utc,
        position=tt.PTZVector(
            pan_tilt=None
            if pan_tilt is None
            else tt.Vector2D(x=pan_tilt.values[0], y=pan_tilt.values[1], space=pan_tilt.space or None),
            zoom=None if zoom is None else tt.Vector1D(x=zoom.values[0], space=zoom.space or None),
        ),
    )


def as_position(vector: tt.PTZVector) -> Position:
    """A bound of a PTZ volume (Search 5.3.8)."""
    pan_tilt, zoom = vector.pan_tilt, vector.zoom
    return Position(
        None if pan_tilt is None else Axes((pan_tilt.x, pan_tilt.y), pan_tilt.space or ""),
        None if zoom is None else Axes((zoom.x,), zoom.space or ""),
    )
