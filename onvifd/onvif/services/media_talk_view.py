"""Loudspeakers and what can be sent to them, in the types of the schema: the same in both media services, options excepted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from onvifd.errors import InvalidArgument, NotSupported
from onvifd.media.types import Codec
from onvifd.onvif.backend import AudioDecoder, AudioOutput
from onvifd.onvif.services import media_write as write
from onvifd.onvif.services.media_configurations import MEDIA_NAMES
from onvifd.onvif.services.media_view import MediaView
from onvifd.onvif.types import tt
from onvifd.rtsp.backchannel import Primacy

LEVELS = (0, 100)
"""OutputLevel: percent of the loudness that clients send."""


def need_outputs(view: MediaView) -> None:
    """Raises NotSupported (AudioOutputNotSupported) where there is no loudspeaker at all."""
    if not view.model.audio_outputs:
        raise NotSupported("There is no audio output.", detail="AudioOutputNotSupported")


def need_decoders(view: MediaView) -> None:
    """Raises NotSupported (AudioDecodingNotSupported) where nothing is decoded."""
    if not view.model.audio_decoders:
        raise NotSupported("There is no audio decoder.", detail="AudioDecodingNotSupported")


# ---- configurations


def output(view: MediaView, item: AudioOutput) -> tt.AudioOutputConfiguration:
    return tt.AudioOutputConfiguration(
        token=item.config_token,
        name=item.name,
        use_count=view.uses_of_audio_output(item),
        output_token=item.token,
        send_primacy=item.primacy or None,
        output_level=item.level,
    )


def decoder(view: MediaView, item: AudioDecoder) -> tt.AudioDecoderConfiguration:
    return tt.AudioDecoderConfiguration(token=item.token, name=item.name, use_count=view.uses_of_audio_decoder(item))


def wanted(item: AudioOutput, given: tt.AudioOutputConfiguration) -> tuple[str, int, str]:
    """Name, level and primacy that a client sets; what it leaves out stays. Raises InvalidArgument (ConfigModify)."""
    if given.output_token != item.token:
        raise write.impossible("The configuration belongs to another audio output.")
    if not LEVELS[0] <= given.output_level <= LEVELS[1]:
        raise write.impossible(f"The output level is {LEVELS[0]} to {LEVELS[1]}.")
    primacy = (given.send_primacy or "").strip() or item.primacy
    if primacy not in {"", *(each.value for each in Primacy)}:
        raise write.impossible("The send primacy is not known.")
    return write.name(given.name), given.output_level, primacy


# ---- options


def output_options(outputs: Sequence[AudioOutput]) -> tt.AudioOutputConfigurationOptions:
    if not outputs:
        raise NotSupported("There is no audio output.", detail="AudioOutputNotSupported")
    return tt.AudioOutputConfigurationOptions(
        output_tokens_available=tuple(item.token for item in outputs),
        send_primacy_options=tuple(each.value for each in Primacy),
        output_level_range=tt.IntRange(min_=LEVELS[0], max_=LEVELS[1]),
    )


def decoder_options(decoders: Iterable[AudioDecoder]) -> tt.AudioDecoderConfigurationOptions:
    """As ver10 says it: three families."""
    encodings = _merged(decoders)
    g711 = _items(encodings, Codec.PCMU, Codec.PCMA)
    g726, aac = _items(encodings, Codec.G726), _items(encodings, Codec.AAC)
    return tt.AudioDecoderConfigurationOptions(
        aac_dec_options=tt.AACDecOptions(bitrate=aac[0], sample_rate_range=aac[1]) if aac else None,
        g711_dec_options=tt.G711DecOptions(bitrate=g711[0], sample_rate_range=g711[1]) if g711 else None,
        g726_dec_options=tt.G726DecOptions(bitrate=g726[0], sample_rate_range=g726[1]) if g726 else None,
    )


def decoder_options2(decoders: Iterable[AudioDecoder]) -> tuple[tt.AudioEncoder2ConfigurationOptions, ...]:
    """As Media2 says it: one entry for each encoding."""
    encodings = _merged(decoders)
    found = []
    for codec in encodings:
        lists = _items(encodings, codec)
        if lists is not None and codec in MEDIA_NAMES:
            found.append(
                tt.AudioEncoder2ConfigurationOptions(
                    encoding=MEDIA_NAMES[codec], bitrate_list=lists[0], sample_rate_list=lists[1]
                )
            )
    if not found:
        raise InvalidArgument("There is no audio decoder.", detail="NoConfig")
    return tuple(found)


Encodings = dict[Codec, tuple[set[int], set[int]]]


def _merged(decoders: Iterable[AudioDecoder]) -> Encodings:
    """Bit rates and sample rates (Hz) of all decoders by codec, in order of appearance."""
    found: Encodings = {}
    for each in decoders:
        for codec, bitrates, rates in each.encodings:
            known = found.setdefault(codec, (set(), set()))
            known[0].update(bitrates)
            known[1].update(rates)
    return found


def _items(encodings: Encodings, *codecs: Codec) -> tuple[tt.IntItems, tt.IntItems] | None:
    """Bit rates in kbit/s and sample rates in kHz, as both services give them."""
    there = [encodings[codec] for codec in codecs if codec in encodings]
    if not there:
        return None
    bitrates = sorted({bitrate for known, _ in there for bitrate in known})
    rates = sorted({rate // 1000 for _, known in there for rate in known})
    return tt.IntItems(items=tuple(bitrates)), tt.IntItems(items=tuple(rates))
