from __future__ import annotations

import av
import numpy as np
import pytest
from av.audio.codeccontext import AudioCodecContext

from onvifd.cameras.simulated.sound import encode_sound
from onvifd.errors import NotSupported
from onvifd.media import g711
from onvifd.media.types import Codec


def test_a_beep_at_every_second() -> None:
    clip = encode_sound(Codec.PCMU)
    assert (clip.count, clip.rate, clip.bitrate) == (250, 25, 64000)
    loud = g711.decode_mulaw(b"".join(clip.data(index) for index in range(250)))
    for second in range(10):
        assert np.abs(loud[second * 8000 : second * 8000 + 800]).max() > 7000
        assert np.abs(loud[second * 8000 + 800 : second * 8000 + 8000]).max() < 20


def test_a_law() -> None:
    clip = encode_sound(Codec.PCMA)
    loud = g711.decode_alaw(b"".join(clip.data(index) for index in range(250)))
    assert np.abs(loud[:800]).max() > 7000


def test_aac_beeps_at_the_second_across_the_seam() -> None:
    clip = encode_sound(Codec.AAC)
    assert (clip.format.clock_rate, clip.format.channels, clip.count) == (16000, 1, 625)
    context = av.CodecContext.create("aac", "r")
    assert isinstance(context, AudioCodecContext)
    context.extradata = clip.format.config
    parts = []
    for number in range(1250):
        parts += [frame.to_ndarray()[0] for frame in context.decode(av.Packet(clip.data(number)))]
    sound = np.concatenate(parts)
    for second in (38, 39, 40, 41, 50):
        at = second * 16000
        assert np.abs(sound[at + 200 : at + 1400]).max() > 0.15, second
        assert np.abs(sound[at + 6000 : at + 14000]).max() < 0.02, second


def test_other_codecs_are_refused() -> None:
    with pytest.raises(NotSupported):
        encode_sound(Codec.H264)
