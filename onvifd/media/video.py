"""The questions that H.264 and H.265 answer alike, by codec."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

from onvifd.errors import InvalidArgument, NotSupported, OnvifdError
from onvifd.media import h264, h265, nal
from onvifd.media.types import Codec, TrackFormat


def parse_sps(codec: Codec, unit: bytes) -> h264.Sps | h265.Sps:
    """Parse an SPS NAL unit. Raises InvalidArgument on garbage, NotSupported for other codecs."""
    return _module(codec).parse_sps(unit)


def is_sps(codec: Codec, unit: bytes) -> bool:
    """Whether a NAL unit is a sequence parameter set."""
    if codec is Codec.H264:
        return h264.nal_type(unit) == h264.NAL_SPS
    return codec is Codec.H265 and h265.nal_type(unit) == h265.NAL_SPS


def is_clean_point(codec: Codec, data: bytes) -> bool:
    """Whether the access unit `data` (length prefixed) can be decoded without what came before. True for audio."""
    if codec not in (Codec.H264, Codec.H265):
        return True
    return _module(codec).is_clean_point(nal.iterate(data))


def find_parameter_sets(codec: Codec, data: bytes) -> tuple[bytes, ...]:
    """Parameter sets inside an access unit (length prefixed), in the order of TrackFormat; empty if there are none."""
    return _module(codec).select_parameter_sets(nal.iterate(data))


def codec_string(track: TrackFormat) -> str:
    """RFC 6381 `codecs` value of a video track. Raises InvalidArgument without parameter sets."""
    return _module(track.codec).codec_string(track.parameter_sets)


def decoder_configuration(track: TrackFormat) -> bytes:
    """Payload of `avcC` or `hvcC`. Raises InvalidArgument when parameter sets are missing."""
    return _module(track.codec).decoder_configuration(track.parameter_sets)


def with_parameter_sets(track: TrackFormat, parameter_sets: Iterable[bytes]) -> TrackFormat:
    """`track` with other parameter sets and the picture size they state (the size stays where they cannot be parsed)."""
    sets = _module(track.codec).select_parameter_sets(parameter_sets)
    width, height = track.width, track.height
    for unit in sets:
        try:
            sps = parse_sps(track.codec, unit)
        except InvalidArgument:
            continue
        width, height = sps.width, sps.height
        break
    return replace(track, parameter_sets=sets, width=width, height=height)


def learned(track: TrackFormat, data: bytes) -> TrackFormat | None:
    """`track` with the parameter sets inside a clean point (length prefixed); None if they are its own, or there are none that a
    decoder could be configured with."""
    if track.codec not in _MODULES:
        return None
    try:
        sets = find_parameter_sets(track.codec, data)
        if not sets or sets == track.parameter_sets:
            return None
        found = with_parameter_sets(track, sets)
        decoder_configuration(found)
    except OnvifdError:
        return None
    return found


class _Bitstream(Protocol):
    """The functions that both codec modules have."""

    def parse_sps(self, nal: bytes) -> h264.Sps | h265.Sps: ...
    def is_clean_point(self, nals: Iterable[bytes]) -> bool: ...
    def select_parameter_sets(self, nals: Iterable[bytes]) -> tuple[bytes, ...]: ...
    def codec_string(self, parameter_sets: Iterable[bytes]) -> str: ...
    def decoder_configuration(self, parameter_sets: Iterable[bytes]) -> bytes: ...


_MODULES: dict[Codec, _Bitstream] = {Codec.H264: h264, Codec.H265: h265}


def _module(codec: Codec) -> _Bitstream:
    found = _MODULES.get(codec)
    if found is None:
        raise NotSupported(f"{codec} has no NAL units")
    return found
