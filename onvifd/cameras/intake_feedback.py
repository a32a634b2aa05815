"""RTCP of ours to a camera: how its packets arrive, and that a key frame is needed."""

from __future__ import annotations

from collections.abc import Sequence

from onvifd.cameras.intake_track import InboundTrack
from onvifd.media.rtp.packet import ReceiverReport, build_receiver_report
from onvifd.media.rtp.reception import picture_loss
from onvifd.media.types import Kind
from onvifd.rtsp.client import RtspClient


def ask_keyframe(client: RtspClient, tracks: Sequence[InboundTrack], ssrc: int, now: int) -> None:
    """Picture loss indications (RFC 4585 6.3.1) for all video that comes; `ssrc` is ours."""
    if not client.options.reports:
        return
    for track in tracks:
        if track.format.kind is Kind.VIDEO and track.source >= 0:
            block = track.reception.block(track.source, track.expected - 1, now)
            client.send_rtcp(track.rtcp_channel, picture_loss(ssrc, track.source, block))


def report_reception(client: RtspClient, tracks: Sequence[InboundTrack], ssrc: int, now: int) -> None:
    """Tell the camera how its packets arrive (RFC 3550 6.4.2)."""
    if not client.options.reports:
        return
    for track in tracks:
        block = track.reception.block(track.source & 0xFFFFFFFF, track.expected - 1, now)
        packet = build_receiver_report(ReceiverReport(ssrc=ssrc, blocks=(block,) if block else ()))
        client.send_rtcp(track.rtcp_channel, packet)
