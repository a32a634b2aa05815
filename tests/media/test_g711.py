from __future__ import annotations

import io

import av
import numpy as np
import pytest

from onvifd.media import g711

SAMPLES = np.arange(-32768, 32768, dtype=np.int32).astype(np.int16)


@pytest.mark.parametrize("law", ["mulaw", "alaw"])
def test_decoding_agrees_with_ffmpeg(law: str) -> None:
    codes = bytes(range(256))
    context = av.CodecContext.create(f"pcm_{law}", "r")
    context.sample_rate, context.layout = 8000, "mono"
    (frame,) = context.decode(av.Packet(codes))
    ours = g711.decode_mulaw(codes) if law == "mulaw" else g711.decode_alaw(codes)
    assert np.array_equal(frame.to_ndarray().reshape(-1), ours)


@pytest.mark.parametrize("law", ["mulaw", "alaw"])
def test_encoding_picks_the_nearest_value(law: str) -> None:
    if law == "mulaw":
        codes, table = g711.encode_mulaw(SAMPLES), g711.mulaw_table().astype(np.int32)
        back = g711.decode_mulaw(codes).astype(np.int32)
    else:
        codes, table = g711.encode_alaw(SAMPLES), g711.alaw_table().astype(np.int32)
        back = g711.decode_alaw(codes).astype(np.int32)
    error = np.abs(back - SAMPLES)
    for sample in range(0, 65536, 257):
        assert error[sample] == np.abs(table - int(SAMPLES[sample])).min()


def test_silence() -> None:
    # G.711: the codes of the smallest positive values
    assert g711.encode_mulaw(np.zeros(2, np.int16)) in (b"\xff\xff", b"\x7f\x7f")
    assert g711.encode_alaw(np.full(1, 8, np.int16)) == b"\xd5"
    assert isinstance(io.BytesIO(g711.encode_mulaw(np.zeros(0, np.int16))).read(), bytes)
