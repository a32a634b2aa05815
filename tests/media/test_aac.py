from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvifd.errors import InvalidArgument
from onvifd.media.aac import SAMPLE_RATES, AudioSpecificConfig, build_config, parse_config


def test_known_configurations() -> None:
    # AAC-LC 48 kHz stereo and 16 kHz mono, as cameras state them in SDP
    assert parse_config(b"\x11\x90") == AudioSpecificConfig(object_type=2, sample_rate=48000, channels=2)
    assert parse_config(b"\x14\x08") == AudioSpecificConfig(object_type=2, sample_rate=16000, channels=1)
    assert build_config(AudioSpecificConfig(object_type=2, sample_rate=48000, channels=2)) == b"\x11\x90"


@given(
    rate=st.one_of(st.sampled_from(SAMPLE_RATES), st.integers(1, (1 << 24) - 1)),
    channels=st.sampled_from([1, 2, 3, 4, 5, 6, 8]),
    samples=st.sampled_from([960, 1024]),
)
def test_round_trip(rate: int, channels: int, samples: int) -> None:
    config = AudioSpecificConfig(object_type=2, sample_rate=rate, channels=channels, samples=samples)
    assert parse_config(build_config(config)) == config


def test_explicit_sbr_names_the_core_coder() -> None:
    # HE-AAC: object type 5, core 24 kHz, extension 48 kHz, core object type 2
    value = 5 << 27 | 6 << 23 | 2 << 19 | 3 << 15 | 2 << 10
    config = parse_config(value.to_bytes(4, "big"))
    assert (config.object_type, config.sample_rate, config.channels) == (2, 24000, 2)


@given(st.binary(max_size=8))
def test_garbage_raises_invalid_argument_or_parses(data: bytes) -> None:
    try:
        parse_config(data)
    except InvalidArgument:
        return


@pytest.mark.parametrize("change", [{"object_type": 31}, {"channels": 7}, {"sample_rate": 0}])
def test_what_cannot_be_expressed(change: dict[str, int]) -> None:
    with pytest.raises(InvalidArgument):
        build_config(AudioSpecificConfig(**{"object_type": 2, "sample_rate": 8000, "channels": 1, **change}))
